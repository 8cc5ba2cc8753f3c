//! A loaded source as a [`Source`] like any other.

use std::cell::Cell;
use std::ffi::c_void;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use dfp_abi::c::{dfp_buf, dfp_error, dfp_source_ops};
use dfp_abi::{ArrowArrayStream, FFI_ArrowSchema, ImportedStream, import_schema, slot};
use dfp_core::{BatchStream, Error, ErrorKind, Host, Result, Source};

use crate::table::{Context, HOST};

/// An instance of a loaded source.
pub struct SourceHandle {
    instance: Arc<Instance>,
    schema: SchemaRef,
    /// Set by a failure after which the border allows nothing but destroying. (A `Cell`, because an instance takes one call
    /// at a time: this keeps `&self` on one thread.)
    failed: Cell<bool>,
}

/// Asks a source to stop, from any thread, while another one waits for it.
#[derive(Clone)]
pub struct Canceller(Arc<Instance>);

struct Instance {
    ops: *const dfp_source_ops,
    raw: *mut c_void,
    id: String,
    /// Dropped after `raw` is destroyed.
    context: Arc<Context>,
}

// SAFETY: an instance may be called by any thread; that calls do not overlap is kept by `SourceHandle`, which is not `Sync`.
// A `Canceller` calls nothing but `request_cancel`, which may overlap.
unsafe impl Send for Instance {}
// SAFETY: as above.
unsafe impl Sync for Instance {}

impl Drop for Instance {
    fn drop(&mut self) {
        // SAFETY: the loader checked the table; the instance is alive, and this is its last owner.
        unsafe {
            if let Some(destroy) = slot!(self.ops, dfp_source_ops, destroy) {
                destroy(self.raw);
            }
        }
    }
}

impl Canceller {
    /// Asks the source to give up what it is doing. Sources without this function look at
    /// [`Host::is_cancelled`] instead.
    pub fn cancel(&self) {
        // SAFETY: the table is checked and the instance alive; this function may be called at any time.
        unsafe {
            if let Some(request_cancel) = slot!(self.0.ops, dfp_source_ops, request_cancel) {
                request_cancel(self.0.raw);
            }
        }
    }
}

/// A slot that the loader found filled.
fn missing() -> Error {
    Error::new(ErrorKind::Unsupported, "the plugin does not have this function")
}

impl SourceHandle {
    /// Makes an instance from `config`, a JSON object as text.
    ///
    /// # Safety
    /// `ops` is the table of a loaded source and lives for ever.
    pub(crate) unsafe fn create(
        ops: *const dfp_source_ops,
        id: &str,
        config: &str,
        host: Arc<dyn Host>,
    ) -> Result<Self> {
        let context = Arc::new(Context(host));
        let mut raw = std::ptr::null_mut();
        let mut error = dfp_error::default();
        let doing = || format!("creating source {id}");
        // SAFETY: the caller's promise; `context` outlives the call.
        let code = unsafe {
            let create = slot!(ops, dfp_source_ops, create).ok_or_else(missing)?;
            let ctx = Arc::as_ptr(&context).cast_mut().cast();
            create(&raw const HOST, ctx, config.as_ptr().cast(), config.len(), &raw mut raw, &raw mut error)
        };
        error.outcome(code, doing())?;
        if raw.is_null() {
            return Err(Error::new(ErrorKind::Internal, format!("{}: it made nothing", doing())));
        }
        let instance = Arc::new(Instance { ops, raw, id: id.to_owned(), context });
        let schema = instance.schema()?;
        Ok(Self { instance, schema, failed: Cell::new(false) })
    }

    /// What stops a call of this source that blocks.
    pub fn canceller(&self) -> Canceller {
        Canceller(self.instance.clone())
    }

    fn call<T>(&self, f: impl FnOnce(&Instance) -> Result<T>) -> Result<T> {
        if self.failed.get() {
            return Err(Error::new(
                ErrorKind::Poisoned,
                format!("source {} failed earlier and takes no more calls", self.instance.id),
            ));
        }
        let result = f(&self.instance);
        if let Err(error) = &result {
            let harmless = [ErrorKind::InvalidArgument, ErrorKind::InvalidState, ErrorKind::Cancelled]
                .contains(&error.kind());
            self.failed.set(!harmless);
        }
        result
    }
}

impl Instance {
    fn schema(&self) -> Result<SchemaRef> {
        let doing = || format!("asking source {} for its schema", self.id);
        let mut schema = FFI_ArrowSchema::empty();
        let mut error = dfp_error::default();
        // SAFETY: the table is checked, the instance alive, and nobody else is calling it.
        let code = unsafe {
            let get = slot!(self.ops, dfp_source_ops, schema).ok_or_else(missing)?;
            get(self.raw, (&raw mut schema).cast(), &raw mut error)
        };
        error.outcome(code, doing())?;
        // SAFETY: empty, or just filled by the plugin.
        unsafe { import_schema(schema) }.map_err(|error| error.context(doing()))
    }

    fn open(&self, resume: Option<&[u8]>, schema: &SchemaRef) -> Result<LoadedStream> {
        let doing = || format!("opening source {}", self.id);
        let mut stream = ArrowArrayStream::default();
        let mut error = dfp_error::default();
        let (token, len) = resume.map_or((std::ptr::null(), 0), |token| (token.as_ptr(), token.len()));
        // SAFETY: as in `schema`.
        let code = unsafe {
            let open = slot!(self.ops, dfp_source_ops, open).ok_or_else(missing)?;
            open(self.raw, token, len, &raw mut stream, &raw mut error)
        };
        error.outcome(code, doing())?;
        // SAFETY: empty, or just filled by the plugin.
        let stream =
            unsafe { ImportedStream::new(stream, schema) }.map_err(|error| error.context(doing()))?;
        Ok(LoadedStream { stream, id: self.id.clone(), _context: self.context.clone() })
    }

    fn position(&self) -> Result<Option<Vec<u8>>> {
        let mut buf = dfp_buf::default();
        let mut error = dfp_error::default();
        // SAFETY: as in `schema`.
        let code = unsafe {
            let Some(position) = slot!(self.ops, dfp_source_ops, position) else { return Ok(None) };
            position(self.raw, &raw mut buf, &raw mut error)
        };
        error.outcome(code, format!("asking source {} for its position", self.id))?;
        // SAFETY: empty, or just filled by the plugin.
        Ok(unsafe { buf.to_vec() })
    }
}

impl Source for SourceHandle {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn open(&mut self, resume: Option<&[u8]>) -> Result<Box<dyn BatchStream>> {
        self.call(|instance| Ok(Box::new(instance.open(resume, &self.schema)?) as _))
    }

    fn position(&self) -> Option<Vec<u8>> {
        // The contract knows no failure here: who cannot say where it stands cannot resume.
        self.call(Instance::position).ok().flatten()
    }
}

/// A stream of a loaded source. It may outlive the source, so it keeps the host's context itself.
struct LoadedStream {
    stream: ImportedStream,
    id: String,
    _context: Arc<Context>,
}

impl Iterator for LoadedStream {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(self.stream.next()?.map_err(|error| error.context(format!("reading source {}", self.id))))
    }
}

impl BatchStream for LoadedStream {
    fn schema(&self) -> SchemaRef {
        self.stream.schema()
    }
}
