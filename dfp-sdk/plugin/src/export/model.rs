//! The functions of a model component: those of its trainer, and those of the models it fits and loads.

use std::ffi::c_void;
use std::mem::offset_of;
use std::sync::{Arc, OnceLock};

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use arrow_select::concat::concat_batches;
use dfp_abi::c::{dfp_buf, dfp_error, dfp_fit_context, dfp_model_ops};
use dfp_abi::{
    ArrowArray, ArrowArrayStream, ArrowSchema, ImportedStream, bytes, export_batch, export_schema,
    import_valid_batch, report, take_array, take_stream,
};
use dfp_core::{BatchStream, CancelToken, Error, ErrorKind, FitContext, Model, Result, Trainer};

use super::instance::{
    Instance, clear, create, destroy, enter, give, give_instance, introspect, request_cancel, shared,
};
use crate::Component;

/// A fitted model and the schema of its answers, once somebody asked.
struct Fitted {
    model: Arc<dyn Model>,
    scored: OnceLock<SchemaRef>,
}

impl Fitted {
    fn new(model: Arc<dyn Model>) -> Self {
        Self { model, scored: OnceLock::new() }
    }

    /// What scores look like: a batch without rows has the same columns as any other.
    fn scored(&self) -> Result<&SchemaRef> {
        if let Some(scored) = self.scored.get() {
            return Ok(scored);
        }
        let answer = self.model.score(&RecordBatch::new_empty(self.model.schema()))?;
        Ok(self.scored.get_or_init(|| answer.schema()))
    }
}

/// The functions of `T` and its models, for the macro.
pub const fn model_ops<T: Component + Trainer>() -> dfp_model_ops {
    dfp_model_ops {
        struct_size: size_of::<dfp_model_ops>() as u32,
        reserved: 0,
        create: Some(create::<T>),
        destroy: Some(destroy::<T>),
        request_cancel: Some(request_cancel::<T>),
        introspect: Some(introspect::<T>),
        fit: Some(fit::<T>),
        fit_many: Some(fit_many::<T>),
        load: Some(load::<T>),
        model_schema: Some(model_schema),
        score_schema: Some(score_schema),
        score: Some(score),
        save: Some(save),
        model_destroy: Some(destroy::<Fitted>),
    }
}

unsafe extern "C" fn fit<T: Trainer + 'static>(
    instance: *mut c_void,
    context: *const dfp_fit_context,
    data: *mut ArrowArrayStream,
    out: *mut *mut c_void,
    error: *mut dfp_error,
) -> i32 {
    // SAFETY: the border's contract; a trainer is `Sync`, so calls may overlap.
    unsafe {
        let data = take_stream(data);
        clear(out);
        enter::<T>(instance, error, |instance| {
            let context = fit_context(context, instance)?;
            let data = opened(data)?;
            let schema = data.schema();
            let batches = data.collect::<Result<Vec<RecordBatch>>>()?;
            let rows = match <[RecordBatch; 1]>::try_from(batches) {
                Ok([batch]) => batch,
                Err(batches) => concat_batches(&schema, &batches)?,
            };
            give_instance(out, instance.beside(Fitted::new(instance.value().fit(&rows, &context)?)))
        })
    }
}

unsafe extern "C" fn fit_many<T: Trainer + 'static>(
    instance: *mut c_void,
    context: *const dfp_fit_context,
    data: *mut ArrowArrayStream,
    count: usize,
    models: *mut *mut c_void,
    errors: *mut dfp_error,
    error: *mut dfp_error,
) -> i32 {
    // SAFETY: the border's contract; a trainer is `Sync`, so calls may overlap.
    unsafe {
        let data = take_stream(data);
        if !models.is_null() {
            (0..count).for_each(|index| clear(models.add(index)));
        }
        enter::<T>(instance, error, |instance| {
            let context = fit_context(context, instance)?;
            let groups = opened(data)?.collect::<Result<Vec<RecordBatch>>>()?;
            if groups.len() != count || models.is_null() || errors.is_null() {
                return Err(invalid(format!("{} batches came for {count} models", groups.len())));
            }
            let fits = instance.value().fit_many(&groups, &context);
            if fits.len() != count {
                let text = format!("the trainer fitted {} models from {count} groups", fits.len());
                return Err(Error::new(ErrorKind::Internal, text));
            }
            for (index, fitted) in fits.into_iter().enumerate() {
                match fitted {
                    Ok(model) => models.add(index).write(instance.beside(Fitted::new(model)).into_raw()),
                    Err(failure) => report(&failure, 0, errors.add(index)),
                }
            }
            Ok(())
        })
    }
}

unsafe extern "C" fn load<T: Trainer + 'static>(
    instance: *mut c_void,
    data: *const u8,
    len: usize,
    out: *mut *mut c_void,
    error: *mut dfp_error,
) -> i32 {
    // SAFETY: the border's contract; a trainer is `Sync`, so calls may overlap.
    unsafe {
        clear(out);
        enter::<T>(instance, error, |instance| {
            let model = instance.value().load(bytes(data, len).unwrap_or_default())?;
            give_instance(out, instance.beside(Fitted::new(model)))
        })
    }
}

fn invalid(what: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidArgument, what)
}

/// # Safety
/// The stream is as [`ImportedStream::any`] wants it.
unsafe fn opened(data: Option<ArrowArrayStream>) -> Result<ImportedStream> {
    let data = data.ok_or_else(|| invalid("the stream of data is NULL"))?;
    // SAFETY: the caller's promise.
    unsafe { ImportedStream::any(data) }
}

/// What the host lets a fit use, as far as its struct reaches.
///
/// # Safety
/// `context` is NULL or leads to a struct that is readable up to its own `struct_size`.
unsafe fn fit_context<T>(context: *const dfp_fit_context, instance: &Instance<T>) -> Result<FitContext> {
    if context.is_null() {
        return Err(invalid("the context of the fit is NULL"));
    }
    // SAFETY: the caller's promise; later fields are read only if the struct has them.
    unsafe {
        let size = (&raw const (*context).struct_size).read() as usize;
        let threads = if size >= offset_of!(dfp_fit_context, population) { (*context).threads } else { 1 };
        let population = if size >= offset_of!(dfp_fit_context, population_len) + size_of::<usize>() {
            bytes((*context).population, (*context).population_len)
        } else {
            None
        };
        Ok(FitContext {
            threads: threads.max(1) as usize,
            cancel: CancelToken::of_host(Arc::new(instance.host().clone())),
            population: population.map(Arc::from),
        })
    }
}

unsafe extern "C" fn model_schema(model: *mut c_void, out: *mut ArrowSchema, error: *mut dfp_error) -> i32 {
    // SAFETY: the border's contract.
    unsafe {
        shared::<Fitted>(model, error, |fitted| give(out.cast(), export_schema(&fitted.model.schema())?))
    }
}

unsafe extern "C" fn score_schema(model: *mut c_void, out: *mut ArrowSchema, error: *mut dfp_error) -> i32 {
    // SAFETY: the border's contract.
    unsafe { shared::<Fitted>(model, error, |fitted| give(out.cast(), export_schema(fitted.scored()?)?)) }
}

unsafe extern "C" fn score(
    model: *mut c_void,
    batch: *mut ArrowArray,
    out: *mut ArrowArray,
    error: *mut dfp_error,
) -> i32 {
    // SAFETY: the border's contract.
    unsafe {
        let batch = take_array(batch);
        shared::<Fitted>(model, error, |fitted| {
            let batch = batch.ok_or_else(|| invalid("the batch is NULL"))?;
            let batch = import_valid_batch(batch, &fitted.model.schema())?;
            give(out.cast(), export_batch(fitted.model.score(&batch)?, fitted.scored()?)?)
        })
    }
}

unsafe extern "C" fn save(model: *mut c_void, out: *mut dfp_buf, error: *mut dfp_error) -> i32 {
    // SAFETY: the border's contract.
    unsafe { shared::<Fitted>(model, error, |fitted| give(out, dfp_buf::from_vec(fitted.model.save()?))) }
}
