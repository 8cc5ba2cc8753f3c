//! A loaded sink as a [`Sink`] like any other.

use std::cell::Cell;
use std::ffi::c_void;
use std::marker::PhantomData;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use dfp_abi::c::{dfp_error, dfp_sink_ops};
use dfp_abi::{export_batch, slot};
use dfp_core::{ErrorKind, Host, Result, Sink};
use serde_json::Value;

use crate::instance::{Canceller, Instance, lend, missing};
use crate::library::LoadedComponent;

/// An instance of a loaded sink.
pub struct SinkHandle {
    instance: Arc<Instance>,
    state: State,
    /// An instance takes one call at a time: this keeps `&self` on one thread.
    alone: PhantomData<Cell<()>>,
}

enum State {
    Fresh,
    Bound(SchemaRef),
    Closed,
}

/// `flush` or `close`.
type End = unsafe extern "C" fn(*mut c_void, *mut dfp_error) -> i32;

impl SinkHandle {
    pub(crate) fn create(component: &LoadedComponent, config: &str, host: Arc<dyn Host>) -> Result<Self> {
        let instance = Arc::new(Instance::create(component, config, host)?);
        Ok(Self { instance, state: State::Fresh, alone: PhantomData })
    }

    /// What stops a call of this sink that blocks.
    pub fn canceller(&self) -> Canceller {
        Canceller::of(&self.instance)
    }

    /// What the sink is doing, for people; `None` if it does not say.
    ///
    /// # Errors
    /// What the sink answers, and [`ErrorKind::BadData`] if that is no JSON object.
    pub fn introspect(&self) -> Result<Option<Value>> {
        self.instance.introspect()
    }

    /// The schema the sink is bound to, if it takes calls.
    fn bound(&self, doing: &str) -> Result<&SchemaRef> {
        let wrong = |what| Err(self.instance.callee().fault(ErrorKind::InvalidState, doing, what));
        match &self.state {
            State::Fresh => wrong("it is not bound yet"),
            State::Bound(schema) => Ok(schema),
            State::Closed => wrong("it is closed"),
        }
    }

    fn end(&self, doing: &str, slot: Option<End>) -> Result<()> {
        self.bound(doing)?;
        self.instance.guarded(|| {
            let end = slot.ok_or_else(missing)?;
            // SAFETY: the instance is alive and called by nobody else.
            self.instance.callee().ask(doing, |error| unsafe { end(self.instance.raw(), error) })
        })
    }
}

impl Sink for SinkHandle {
    fn bind(&mut self, schema: SchemaRef) -> Result<()> {
        const DOING: &str = "binding";
        let callee = self.instance.callee();
        if !matches!(self.state, State::Fresh) {
            return Err(callee.fault(ErrorKind::InvalidState, DOING, "it is bound already"));
        }
        let lent = lend(&schema).map_err(|error| error.context(callee.doing(DOING)))?;
        self.instance.guarded(|| {
            // SAFETY: the loader checked the table.
            let bind = unsafe { slot!(self.instance.ops(), dfp_sink_ops, bind) }.ok_or_else(missing)?;
            let lent = (&raw const lent).cast();
            // SAFETY: the instance is alive and called by nobody else; the schema outlives the call.
            callee.ask(DOING, |error| unsafe { bind(self.instance.raw(), lent, error) })
        })?;
        self.state = State::Bound(schema);
        Ok(())
    }

    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        const DOING: &str = "writing to";
        let callee = self.instance.callee();
        let batch = export_batch(batch.clone(), self.bound(DOING)?)
            .map_err(|error| error.context(callee.doing(DOING)))?;
        self.instance.guarded(|| {
            // SAFETY: the loader checked the table.
            let write = unsafe { slot!(self.instance.ops(), dfp_sink_ops, write) }.ok_or_else(missing)?;
            // SAFETY: the instance is alive and called by nobody else.
            callee.give(DOING, batch, |batch, error| unsafe { write(self.instance.raw(), batch, error) })
        })
    }

    fn flush(&mut self) -> Result<()> {
        // SAFETY: the loader checked the table.
        self.end("flushing", unsafe { slot!(self.instance.ops(), dfp_sink_ops, flush) })
    }

    fn close(&mut self) -> Result<()> {
        // SAFETY: the loader checked the table.
        let close = unsafe { slot!(self.instance.ops(), dfp_sink_ops, close) };
        self.end("closing", close)?;
        self.state = State::Closed;
        Ok(())
    }
}
