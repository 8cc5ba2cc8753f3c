//! A loaded source as a [`Source`] like any other.

use std::cell::Cell;
use std::marker::PhantomData;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use dfp_abi::c::dfp_source_ops;
use dfp_abi::{ArrowArrayStream, ImportedStream, slot};
use dfp_core::{BatchStream, Host, Result, Source};
use serde_json::Value;

use crate::instance::{Canceller, Instance, missing};
use crate::library::LoadedComponent;
use crate::table::Context;

/// An instance of a loaded source.
pub struct SourceHandle {
    instance: Arc<Instance>,
    schema: SchemaRef,
    /// An instance takes one call at a time: this keeps `&self` on one thread.
    alone: PhantomData<Cell<()>>,
}

impl SourceHandle {
    pub(crate) fn create(component: &LoadedComponent, config: &str, host: Arc<dyn Host>) -> Result<Self> {
        let instance = Instance::create(component, config, host)?;
        let schema = schema(&instance)?;
        Ok(Self { instance: Arc::new(instance), schema, alone: PhantomData })
    }

    /// What stops a call of this source that blocks.
    pub fn canceller(&self) -> Canceller {
        Canceller::of(&self.instance)
    }

    /// What the source is doing, for people; `None` if it does not say.
    ///
    /// # Errors
    /// What the source answers, and [`ErrorKind::BadData`](dfp_core::ErrorKind::BadData) if that is no JSON object.
    pub fn introspect(&self) -> Result<Option<Value>> {
        self.instance.introspect()
    }
}

fn schema(instance: &Instance) -> Result<SchemaRef> {
    // SAFETY: the loader checked the table, the instance is alive and called by nobody else, and its functions keep the
    // border's rules.
    unsafe {
        let get = slot!(instance.ops(), dfp_source_ops, schema).ok_or_else(missing)?;
        instance
            .callee()
            .schema("asking for the schema of", |schema, error| get(instance.raw(), schema, error))
    }
}

fn open(instance: &Instance, resume: Option<&[u8]>, schema: &SchemaRef) -> Result<LoadedStream> {
    let callee = instance.callee();
    let mut stream = ArrowArrayStream::default();
    let (token, len) = resume.map_or((std::ptr::null(), 0), |token| (token.as_ptr(), token.len()));
    // SAFETY: as in `schema`.
    let stream = unsafe {
        let open = slot!(instance.ops(), dfp_source_ops, open).ok_or_else(missing)?;
        callee.ask("opening", |error| open(instance.raw(), token, len, &raw mut stream, error))?;
        ImportedStream::new(stream, schema)
    }
    .map_err(|error| error.context(callee.doing("opening")))?;
    Ok(LoadedStream { stream, doing: callee.doing("reading"), _context: callee.context().clone() })
}

fn position(instance: &Instance) -> Result<Option<Vec<u8>>> {
    // SAFETY: as in `schema`.
    unsafe {
        let Some(position) = slot!(instance.ops(), dfp_source_ops, position) else { return Ok(None) };
        let doing = "asking for the position of";
        instance.callee().bytes(doing, usize::MAX, |buf, error| position(instance.raw(), buf, error))
    }
}

impl Source for SourceHandle {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn open(&mut self, resume: Option<&[u8]>) -> Result<Box<dyn BatchStream>> {
        self.instance.guarded(|| Ok(Box::new(open(&self.instance, resume, &self.schema)?) as _))
    }

    fn position(&self) -> Option<Vec<u8>> {
        // The contract knows no failure here: who cannot say where it stands cannot resume.
        self.instance.guarded(|| position(&self.instance)).ok().flatten()
    }
}

/// A stream of a loaded source. It may outlive the source, so it keeps the host's context itself.
struct LoadedStream {
    stream: ImportedStream,
    doing: String,
    _context: Arc<Context>,
}

impl Iterator for LoadedStream {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(self.stream.next()?.map_err(|error| error.context(self.doing.as_str())))
    }
}

impl BatchStream for LoadedStream {
    fn schema(&self) -> SchemaRef {
        self.stream.schema()
    }
}
