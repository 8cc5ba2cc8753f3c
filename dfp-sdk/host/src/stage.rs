//! A loaded stage as a [`Stage`] like any other.

use std::cell::Cell;
use std::marker::PhantomData;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use dfp_abi::c::dfp_stage_ops;
use dfp_abi::{FFI_ArrowArray, export_batch, import_batch, slot};
use dfp_core::{ErrorKind, Host, Result, Stage};
use serde_json::Value;

use crate::instance::{Canceller, Instance, lend, missing};
use crate::library::LoadedComponent;

/// An instance of a loaded stage.
pub struct StageHandle {
    instance: Arc<Instance>,
    bound: Option<Bound>,
    /// An instance takes one call at a time: this keeps `&self` on one thread.
    alone: PhantomData<Cell<()>>,
}

struct Bound {
    input: SchemaRef,
    output: SchemaRef,
    /// Whether a pull found nothing since the last push: only then may more be pushed.
    drained: bool,
    finished: bool,
}

impl StageHandle {
    pub(crate) fn create(component: &LoadedComponent, config: &str, host: Arc<dyn Host>) -> Result<Self> {
        let instance = Arc::new(Instance::create(component, config, host)?);
        Ok(Self { instance, bound: None, alone: PhantomData })
    }

    /// What stops a call of this stage that blocks.
    pub fn canceller(&self) -> Canceller {
        Canceller::of(&self.instance)
    }

    /// What the stage is doing, for people; `None` if it does not say.
    ///
    /// # Errors
    /// What the stage answers, and [`ErrorKind::BadData`] if that is no JSON object.
    pub fn introspect(&self) -> Result<Option<Value>> {
        self.instance.introspect()
    }
}

/// What a stage was bound to, if now is the moment for what the caller wants.
fn bound<'a>(
    instance: &Instance,
    bound: &'a mut Option<Bound>,
    doing: &str,
    input: bool,
) -> Result<&'a mut Bound> {
    let early = |what| instance.callee().fault(ErrorKind::InvalidState, doing, what);
    let bound = bound.as_mut().ok_or_else(|| early("it is not bound yet"))?;
    if input && bound.finished {
        return Err(early("it is finished already"));
    }
    Ok(bound)
}

impl Stage for StageHandle {
    fn bind(&mut self, input: SchemaRef) -> Result<SchemaRef> {
        const DOING: &str = "binding";
        let callee = self.instance.callee();
        if self.bound.is_some() {
            return Err(callee.fault(ErrorKind::InvalidState, DOING, "it is bound already"));
        }
        let lent = lend(&input).map_err(|error| error.context(callee.doing(DOING)))?;
        let output = self.instance.guarded(|| {
            // SAFETY: the loader checked the table, the instance is alive and called by nobody else, and its functions keep
            // the border's rules.
            unsafe {
                let bind = slot!(self.instance.ops(), dfp_stage_ops, bind).ok_or_else(missing)?;
                let lent = (&raw const lent).cast();
                callee.schema(DOING, |out, error| bind(self.instance.raw(), lent, out, error))
            }
        })?;
        self.bound = Some(Bound { input, output: output.clone(), drained: true, finished: false });
        Ok(output)
    }

    fn push(&mut self, batch: RecordBatch) -> Result<()> {
        const DOING: &str = "pushing to";
        let callee = self.instance.callee();
        let bound = bound(&self.instance, &mut self.bound, DOING, true)?;
        if !bound.drained {
            let what = "it is pulled first, until there is nothing left";
            return Err(callee.fault(ErrorKind::InvalidState, DOING, what));
        }
        let batch = export_batch(batch, &bound.input).map_err(|error| error.context(callee.doing(DOING)))?;
        bound.drained = false;
        self.instance.guarded(|| {
            // SAFETY: as in `bind`.
            let push = unsafe { slot!(self.instance.ops(), dfp_stage_ops, push) }.ok_or_else(missing)?;
            // SAFETY: as in `bind`.
            callee.give(DOING, batch, |batch, error| unsafe { push(self.instance.raw(), batch, error) })
        })
    }

    fn pull(&mut self) -> Result<Option<RecordBatch>> {
        const DOING: &str = "pulling from";
        let callee = self.instance.callee();
        let bound = bound(&self.instance, &mut self.bound, DOING, false)?;
        let batch = self.instance.guarded(|| {
            let mut batch = FFI_ArrowArray::empty();
            // SAFETY: as in `bind`.
            unsafe {
                let pull = slot!(self.instance.ops(), dfp_stage_ops, pull).ok_or_else(missing)?;
                callee.ask(DOING, |error| pull(self.instance.raw(), (&raw mut batch).cast(), error))?;
                if batch.is_released() {
                    return Ok(None);
                }
                import_batch(batch, &bound.output).map(Some)
            }
            .map_err(|error| error.context(callee.doing(DOING)))
        })?;
        bound.drained = batch.is_none();
        Ok(batch)
    }

    fn finish(&mut self) -> Result<()> {
        const DOING: &str = "finishing";
        let bound = bound(&self.instance, &mut self.bound, DOING, true)?;
        bound.finished = true;
        self.instance.guarded(|| {
            // SAFETY: as in `bind`.
            let finish = unsafe { slot!(self.instance.ops(), dfp_stage_ops, finish) }.ok_or_else(missing)?;
            // SAFETY: as in `bind`.
            self.instance.callee().ask(DOING, |error| unsafe { finish(self.instance.raw(), error) })
        })
    }
}
