//! A loaded model component as a [`Trainer`] like any other, and what it fits as [`Model`]s.

use std::ffi::c_void;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use arrow_array::{Array, RecordBatch, RecordBatchOptions};
use arrow_schema::{DataType, SchemaRef};
use dfp_abi::c::{DFP_CONCURRENT, DFP_OK, dfp_error, dfp_fit_context, dfp_model_ops};
use dfp_abi::{ArrowArrayStream, FFI_ArrowArray, export_batch, export_stream, import_batch, slot};
use dfp_core::{Error, ErrorKind, FitContext, Host, MemoryStream, Model, Result, SCORE, Trainer, fit_each};
use serde_json::Value;

use crate::instance::{Callee, Canceller, Instance, locked, missing};
use crate::library::LoadedComponent;

/// Models asked for in one call of `fit_many`: each has a place of a kilobyte for its error.
const MANY: usize = 1024;

/// An instance of a loaded model component.
///
/// The border allows a failed instance nothing but its end; the contract of [`Trainer`] says that one entity's failure is
/// nobody else's. So a trainer whose instance has failed goes on with a new one, made from the same configuration.
///
/// A fit that is cancelled through its [`FitContext`] shows as [`Host::is_cancelled`] to the plugin. Fits that overlap (of
/// components with `DFP_CONCURRENT`) should share a token: the plugin cannot tell one from another.
pub struct TrainerHandle {
    component: &'static LoadedComponent,
    config: String,
    host: Arc<dyn Host>,
    current: Arc<Mutex<Arc<Instance>>>,
    turn: Turn,
}

/// One call at a time, unless the component takes several.
struct Turn(Option<Mutex<()>>);

impl Turn {
    fn of(component: &LoadedComponent) -> Self {
        Self((component.flags & DFP_CONCURRENT == 0).then(Mutex::default))
    }

    fn take(&self) -> Option<MutexGuard<'_, ()>> {
        self.0.as_ref().map(locked)
    }
}

impl TrainerHandle {
    pub(crate) fn create(
        component: &'static LoadedComponent,
        config: &str,
        host: Arc<dyn Host>,
    ) -> Result<Self> {
        let instance = Instance::create(component, config, host.clone())?;
        let (config, turn) = (config.to_owned(), Turn::of(component));
        Ok(Self { component, config, host, current: Arc::new(Mutex::new(Arc::new(instance))), turn })
    }

    /// What stops a call of this trainer that blocks.
    pub fn canceller(&self) -> Canceller {
        Canceller(self.current.clone())
    }

    /// What the trainer is doing, for people; `None` if it does not say.
    ///
    /// # Errors
    /// What the trainer answers, and [`ErrorKind::BadData`] if that is no JSON object.
    pub fn introspect(&self) -> Result<Option<Value>> {
        let _turn = self.turn.take();
        self.ready()?.introspect()
    }

    /// An instance that takes calls.
    fn ready(&self) -> Result<Arc<Instance>> {
        let instance = locked(&self.current).clone();
        if !instance.has_failed() {
            return Ok(instance);
        }
        let anew = Arc::new(Instance::create(self.component, &self.config, self.host.clone())?);
        // The old one is destroyed when its last call ends: not under the lock.
        let failed = std::mem::replace(&mut *locked(&self.current), anew.clone());
        drop((instance, failed));
        Ok(anew)
    }

    fn call<T>(&self, f: impl FnOnce(&Instance) -> Result<T>) -> Result<T> {
        let _turn = self.turn.take();
        let instance = self.ready()?;
        instance.guarded(|| f(&instance))
    }

    /// Takes what a function gave as a model.
    fn model(&self, instance: &Instance, doing: &str, raw: *mut c_void) -> Result<Arc<dyn Model>> {
        let callee = instance.callee();
        if raw.is_null() {
            return Err(callee.fault(ErrorKind::Internal, doing, "it made no model"));
        }
        let raw = RawModel {
            callee: Callee::new(format!("model {}", self.component.id), callee.context().clone()),
            ops: instance.ops(),
            raw,
            turn: Turn::of(self.component),
            failed: AtomicBool::new(false),
        };
        Ok(Arc::new(LoadedModel::new(raw)?))
    }

    /// As [`Trainer::fit_many`], all groups of one schema, in one call.
    fn fit_chunk(&self, groups: &[RecordBatch], context: &FitContext) -> Vec<Result<Arc<dyn Model>>> {
        const DOING: &str = "fitting many with";
        let mut answers = Vec::new();
        let outcome = self.call(|instance| {
            let mut models = vec![std::ptr::null_mut(); groups.len()];
            let mut errors: Vec<dfp_error> = groups.iter().map(|_| dfp_error::default()).collect();
            let _watched = instance.callee().context().also_cancelled_by(&context.cancel);
            let border = fit_context(context);
            // SAFETY: the loader checked the table.
            let fit_many = unsafe { slot!(instance.ops(), dfp_model_ops, fit_many) }.ok_or_else(missing)?;
            let outcome = instance.callee().give_stream(DOING, stream_of(groups), |stream, error| {
                let (models, errors) = (models.as_mut_ptr(), errors.as_mut_ptr());
                // SAFETY: the instance is alive, the turn taken, and both lists have as many places as there are groups.
                unsafe {
                    fit_many(instance.raw(), &raw const border, stream, groups.len(), models, errors, error)
                }
            });
            for (raw, error) in models.into_iter().zip(&errors) {
                answers.push(if raw.is_null() {
                    Err(why_not(instance.callee(), DOING, error, outcome.as_ref().err()))
                } else {
                    self.model(instance, DOING, raw)
                });
            }
            outcome
        });
        if let (true, Err(error)) = (answers.is_empty(), outcome) {
            // Nothing was called at all.
            answers.extend(groups.iter().map(|_| Err(Error::new(error.kind(), error.to_string()))));
        }
        answers
    }
}

/// Why there is no model for one group: its own error, or that of the whole call.
fn why_not(callee: &Callee, doing: &str, own: &dfp_error, whole: Option<&Error>) -> Error {
    let own = if own.code == DFP_OK { Ok(()) } else { own.outcome(own.code, callee.doing(doing)) };
    match (own, whole) {
        (Err(own), _) => own,
        (Ok(()), Some(whole)) => Error::new(whole.kind(), whole.to_string()),
        (Ok(()), None) => callee.fault(ErrorKind::Internal, doing, "it made no model and does not say why"),
    }
}

/// Batches of one schema as a stream for the plugin.
fn stream_of(batches: &[RecordBatch]) -> ArrowArrayStream {
    let schema = batches[0].schema();
    export_stream(Box::new(MemoryStream::new(schema, batches.to_vec())))
}

/// `context` as the border has it; borrows its population model.
fn fit_context(context: &FitContext) -> dfp_fit_context {
    let population = context.population.as_deref();
    dfp_fit_context {
        struct_size: size_of::<dfp_fit_context>() as u32,
        threads: u32::try_from(context.threads.max(1)).unwrap_or(u32::MAX),
        population: population.map_or(std::ptr::null(), <[u8]>::as_ptr),
        population_len: population.map_or(0, <[u8]>::len),
    }
}

impl Trainer for TrainerHandle {
    fn fit(&self, data: &RecordBatch, context: &FitContext) -> Result<Arc<dyn Model>> {
        const DOING: &str = "fitting with";
        self.call(|instance| {
            let _watched = instance.callee().context().also_cancelled_by(&context.cancel);
            let border = fit_context(context);
            let mut raw = std::ptr::null_mut();
            // SAFETY: the loader checked the table.
            let fit = unsafe { slot!(instance.ops(), dfp_model_ops, fit) }.ok_or_else(missing)?;
            let data = stream_of(std::slice::from_ref(data));
            // SAFETY: the instance is alive and the turn taken; everything lent outlives the call.
            instance.callee().give_stream(DOING, data, |stream, error| unsafe {
                fit(instance.raw(), &raw const border, stream, &raw mut raw, error)
            })?;
            self.model(instance, DOING, raw)
        })
    }

    fn fit_many(&self, groups: &[RecordBatch], context: &FitContext) -> Vec<Result<Arc<dyn Model>>> {
        // SAFETY: the loader checked the table.
        let has = unsafe { slot!(self.component.ops().cast(), dfp_model_ops, fit_many) }.is_some();
        let alike = groups.windows(2).all(|pair| pair[0].schema_ref() == pair[1].schema_ref());
        if !has || !alike {
            return fit_each(self, groups, context);
        }
        groups.chunks(MANY).flat_map(|groups| self.fit_chunk(groups, context)).collect()
    }

    fn load(&self, bytes: &[u8]) -> Result<Arc<dyn Model>> {
        const DOING: &str = "loading a model with";
        self.call(|instance| {
            let mut raw = std::ptr::null_mut();
            // SAFETY: the loader checked the table.
            let load = unsafe { slot!(instance.ops(), dfp_model_ops, load) }.ok_or_else(missing)?;
            // SAFETY: the instance is alive and the turn taken; the bytes outlive the call.
            instance.callee().ask(DOING, |error| unsafe {
                load(instance.raw(), bytes.as_ptr(), bytes.len(), &raw mut raw, error)
            })?;
            self.model(instance, DOING, raw)
        })
    }
}

/// A fitted model on the other side; freed when dropped. It may outlive its trainer, so it keeps the host's context itself.
struct RawModel {
    callee: Callee,
    ops: *const dfp_model_ops,
    raw: *mut c_void,
    turn: Turn,
    /// Set by a panic. Other failures leave nothing behind: a model never changes.
    failed: AtomicBool,
}

// SAFETY: a model may be called by any thread, and by several at once unless `turn` prevents it.
unsafe impl Send for RawModel {}
// SAFETY: as above.
unsafe impl Sync for RawModel {}

impl Drop for RawModel {
    fn drop(&mut self) {
        // SAFETY: the loader checked the table; the model is alive, and this is its only owner.
        unsafe {
            if let Some(destroy) = slot!(self.ops, dfp_model_ops, model_destroy) {
                destroy(self.raw);
            }
        }
    }
}

impl RawModel {
    /// Runs `f`, which calls the model, when it is its turn.
    fn call<T>(&self, f: impl FnOnce() -> Result<T>) -> Result<T> {
        let _turn = self.turn.take();
        if self.failed.load(Ordering::Relaxed) {
            return Err(self.callee.fault(ErrorKind::Poisoned, "calling", "it panicked earlier"));
        }
        let result = f();
        if result.as_ref().is_err_and(|error| error.kind() == ErrorKind::Panic) {
            self.failed.store(true, Ordering::Relaxed);
        }
        result
    }

    fn model_schema(&self) -> Result<SchemaRef> {
        let doing = "asking for the columns of";
        // SAFETY: the loader checked the table, the model is alive, and its functions keep the border's rules.
        self.call(|| unsafe {
            let get = slot!(self.ops, dfp_model_ops, model_schema).ok_or_else(missing)?;
            self.callee.schema(doing, |schema, error| get(self.raw, schema, error))
        })
    }

    fn score_schema(&self) -> Result<SchemaRef> {
        let doing = "asking for the scores of";
        // SAFETY: as in `model_schema`.
        self.call(|| unsafe {
            let get = slot!(self.ops, dfp_model_ops, score_schema).ok_or_else(missing)?;
            self.callee.schema(doing, |schema, error| get(self.raw, schema, error))
        })
    }
}

/// A fitted model of a loaded component.
struct LoadedModel {
    model: RawModel,
    schema: SchemaRef,
    scores: SchemaRef,
}

const SCORING: &str = "scoring with";

impl LoadedModel {
    fn new(model: RawModel) -> Result<Self> {
        let (schema, scores) = (model.model_schema()?, model.score_schema()?);
        let first = scores.fields().first();
        if first.is_none_or(|field| field.name() != SCORE || *field.data_type() != DataType::Float64) {
            let what = format!("its first column is not {SCORE}, float64");
            return Err(model.callee.fault(ErrorKind::SchemaMismatch, SCORING, &what));
        }
        Ok(Self { model, schema, scores })
    }

    fn fault(&self, kind: ErrorKind, what: &str) -> Error {
        self.model.callee.fault(kind, SCORING, what)
    }

    /// The columns the model needs, in its order.
    fn project(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        if batch.schema_ref() == &self.schema {
            return Ok(batch.clone());
        }
        let wrong = |what: String| self.fault(ErrorKind::SchemaMismatch, &what);
        let column = |field: &arrow_schema::FieldRef| {
            let column = batch
                .column_by_name(field.name())
                .ok_or_else(|| wrong(format!("column {:?} is missing", field.name())))?;
            if column.data_type() != field.data_type() {
                let (name, found, wanted) = (field.name(), column.data_type(), field.data_type());
                return Err(wrong(format!("column {name:?} is of type {found}, not {wanted}")));
            }
            Ok(column.clone())
        };
        let columns = self.schema.fields().iter().map(column).collect::<Result<_>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)
            .map_err(|error| wrong(error.to_string()))
    }
}

impl Model for LoadedModel {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn score(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let callee = &self.model.callee;
        let rows = batch.num_rows();
        let mut out = FFI_ArrowArray::empty();
        let input = export_batch(self.project(batch)?, &self.schema)?;
        self.model.call(|| {
            // SAFETY: the loader checked the table.
            let score = unsafe { slot!(self.model.ops, dfp_model_ops, score) }.ok_or_else(missing)?;
            // SAFETY: the model is alive, and it is its turn.
            callee.give(SCORING, input, |input, error| unsafe {
                score(self.model.raw, input, (&raw mut out).cast(), error)
            })
        })?;
        if out.is_released() {
            return Err(self.fault(ErrorKind::Internal, "it gave no batch"));
        }
        // SAFETY: the model filled it, by the border's rules.
        let scores = unsafe { import_batch(out, &self.scores) }
            .map_err(|error| error.context(callee.doing(SCORING)))?;
        if scores.num_rows() != rows {
            let what = format!("it gave {} rows for {rows}", scores.num_rows());
            return Err(self.fault(ErrorKind::BadData, &what));
        }
        if scores.column(0).null_count() > 0 {
            return Err(self.fault(ErrorKind::BadData, "some scores are null"));
        }
        Ok(scores)
    }

    fn save(&self) -> Result<Vec<u8>> {
        let (callee, doing) = (&self.model.callee, "saving");
        // SAFETY: the loader checked the table, the model is alive, it is its turn, and it keeps the border's rules.
        let bytes = self.model.call(|| unsafe {
            let save = slot!(self.model.ops, dfp_model_ops, save).ok_or_else(missing)?;
            callee.bytes(doing, usize::MAX, |buf, error| save(self.model.raw, buf, error))
        })?;
        bytes.ok_or_else(|| callee.fault(ErrorKind::Internal, doing, "it gave no bytes"))
    }
}
