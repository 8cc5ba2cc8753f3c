//! What instances of every kind share: the functions their tables begin with, and the rules of calling them.

use std::ffi::c_void;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow_schema::SchemaRef;
use dfp_abi::c::{DFP_OK, dfp_buf, dfp_error, dfp_instance_ops};
use dfp_abi::{
    ArrowArray, ArrowArrayStream, ArrowSchema, FFI_ArrowArray, FFI_ArrowSchema, borrowed_schema,
    export_schema, import_schema, slot,
};
use dfp_core::{Error, ErrorKind, Host, Level, Result};
use serde_json::Value;

use crate::library::LoadedComponent;
use crate::table::{Context, HOST};

/// Counter of the times a plugin broke a rule of the border in a way that the host could mend.
pub const PLUGIN_VIOLATIONS: &str = "plugin_violations";

/// No instance has more to say about itself.
const MAX_INTROSPECTION: usize = 16 << 20;

/// Whoever is called on the other side of the border: its name for messages, and the host it was given.
pub(crate) struct Callee {
    name: String,
    context: Arc<Context>,
}

/// An instance of a loaded component; destroyed when dropped.
pub(crate) struct Instance {
    callee: Callee,
    ops: *const dfp_instance_ops,
    raw: *mut c_void,
    /// Set by a failure after which the border allows nothing but destroying.
    failed: AtomicBool,
}

// SAFETY: an instance may be called by any thread; that calls do not overlap is kept by its handle. What may overlap is
// `request_cancel`.
unsafe impl Send for Instance {}
// SAFETY: as above.
unsafe impl Sync for Instance {}

impl Drop for Instance {
    fn drop(&mut self) {
        // SAFETY: the loader checked the table; the instance is alive, and this is its last owner.
        unsafe {
            if let Some(destroy) = slot!(self.ops, dfp_instance_ops, destroy) {
                destroy(self.raw);
            }
        }
    }
}

/// Asks a component to stop, from any thread, while another one waits for it.
#[derive(Clone)]
pub struct Canceller(pub(crate) Arc<Mutex<Arc<Instance>>>);

impl Canceller {
    pub(crate) fn of(instance: &Arc<Instance>) -> Self {
        Self(Arc::new(Mutex::new(instance.clone())))
    }

    /// Asks the component to give up what it is doing. Components without this function look at
    /// [`Host::is_cancelled`] instead.
    pub fn cancel(&self) {
        let instance = locked(&self.0).clone();
        // SAFETY: the table is checked and the instance alive; this function may be called at any time.
        unsafe {
            if let Some(request_cancel) = slot!(instance.ops, dfp_instance_ops, request_cancel) {
                request_cancel(instance.raw);
            }
        }
    }

    /// What the instance says about itself. Unlike cancelling, this must not happen during another call.
    #[cfg(feature = "remote")]
    pub(crate) fn introspect(&self) -> Result<Option<Value>> {
        locked(&self.0).clone().introspect()
    }
}

/// What such a lock protects is whole at any moment, even if a thread panicked while it held it.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A slot that the loader found filled.
pub(crate) fn missing() -> Error {
    Error::new(ErrorKind::Unsupported, "the plugin does not have this function")
}

/// `schema` for the other side to borrow, if all of its types cross the border.
pub(crate) fn lend(schema: &SchemaRef) -> Result<FFI_ArrowSchema> {
    let exported = export_schema(schema)?;
    // Read back as the other side will: a type that does not cross is better refused here, by its column's name.
    // SAFETY: it was filled a line above.
    unsafe { borrowed_schema((&raw const exported).cast()) }?;
    Ok(exported)
}

impl Callee {
    pub(crate) fn new(name: String, context: Arc<Context>) -> Self {
        Self { name, context }
    }

    pub(crate) fn context(&self) -> &Arc<Context> {
        &self.context
    }

    /// `doing`, and to whom.
    pub(crate) fn doing(&self, doing: &str) -> String {
        format!("{doing} {}", self.name)
    }

    /// A failure of the component in the host's words.
    pub(crate) fn fault(&self, kind: ErrorKind, doing: &str, what: &str) -> Error {
        Error::new(kind, format!("{}: {what}", self.doing(doing)))
    }

    /// Calls a function: `f` gets the place for its error.
    pub(crate) fn ask(&self, doing: &str, f: impl FnOnce(*mut dfp_error) -> i32) -> Result<()> {
        let mut error = dfp_error::default();
        let code = f(&raw mut error);
        if code == DFP_OK {
            return Ok(());
        }
        error.outcome(code, self.doing(doing))
    }

    /// Calls a function that takes a batch.
    pub(crate) fn give(
        &self,
        doing: &str,
        mut batch: FFI_ArrowArray,
        f: impl FnOnce(*mut ArrowArray, *mut dfp_error) -> i32,
    ) -> Result<()> {
        let answer = self.ask(doing, |error| f((&raw mut batch).cast(), error));
        if !batch.is_released() {
            self.left_behind(doing, "the batch");
        }
        answer
    }

    /// Calls a function that takes a stream.
    pub(crate) fn give_stream(
        &self,
        doing: &str,
        mut stream: ArrowArrayStream,
        f: impl FnOnce(*mut ArrowArrayStream, *mut dfp_error) -> i32,
    ) -> Result<()> {
        let answer = self.ask(doing, |error| f(&raw mut stream, error));
        if !stream.is_released() {
            self.left_behind(doing, "the stream");
        }
        answer
    }

    /// Calls a function that gives a schema.
    ///
    /// # Safety
    /// `f` leaves its place alone, or fills it by the rules of the C Data Interface.
    pub(crate) unsafe fn schema(
        &self,
        doing: &str,
        f: impl FnOnce(*mut ArrowSchema, *mut dfp_error) -> i32,
    ) -> Result<SchemaRef> {
        let mut schema = FFI_ArrowSchema::empty();
        self.ask(doing, |error| f((&raw mut schema).cast(), error))?;
        // SAFETY: empty, or filled as the caller promises.
        unsafe { import_schema(schema) }.map_err(|error| error.context(self.doing(doing)))
    }

    /// Calls a function that gives bytes; `None` if it gives none.
    ///
    /// # Safety
    /// `f` leaves its place alone, or fills it by the rules of [`dfp_buf`].
    pub(crate) unsafe fn bytes(
        &self,
        doing: &str,
        limit: usize,
        f: impl FnOnce(*mut dfp_buf, *mut dfp_error) -> i32,
    ) -> Result<Option<Vec<u8>>> {
        let mut buf = dfp_buf::default();
        self.ask(doing, |error| f(&raw mut buf, error))?;
        if buf.len > limit {
            let what = format!("it gave {} bytes, more than {limit}", buf.len);
            return Err(self.fault(ErrorKind::ResourceExhausted, doing, &what));
        }
        // SAFETY: empty, or filled as the caller promises.
        Ok(unsafe { buf.to_vec() })
    }

    /// Notes that the callee did not take what it was handed; the caller releases it.
    fn left_behind(&self, doing: &str, what: &str) {
        let host = &self.context.host;
        host.count(PLUGIN_VIOLATIONS, 1);
        if host.log_enabled(Level::Warn) {
            let text = format!("{}: it did not release {what} it was handed", self.doing(doing));
            host.log(Level::Warn, &self.name, &text);
        }
    }
}

impl Instance {
    /// Makes an instance from `config`, a JSON object as text.
    pub(crate) fn create(component: &LoadedComponent, config: &str, host: Arc<dyn Host>) -> Result<Self> {
        const DOING: &str = "creating";
        let name = format!("{} {}", component.kind, component.id);
        let callee = Callee::new(name, Arc::new(Context::new(host)));
        let ops = component.ops();
        let ctx = Arc::as_ptr(&callee.context).cast_mut().cast();
        let mut raw = std::ptr::null_mut();
        // SAFETY: the loader checked the table.
        let create = unsafe { slot!(ops, dfp_instance_ops, create) }.ok_or_else(missing)?;
        callee.ask(DOING, |error| {
            // SAFETY: the context outlives the instance, the configuration the call.
            unsafe { create(&raw const HOST, ctx, config.as_ptr().cast(), config.len(), &raw mut raw, error) }
        })?;
        if raw.is_null() {
            return Err(callee.fault(ErrorKind::Internal, DOING, "it made nothing"));
        }
        Ok(Self { callee, ops, raw, failed: AtomicBool::new(false) })
    }

    pub(crate) fn callee(&self) -> &Callee {
        &self.callee
    }

    /// The table of its kind.
    pub(crate) fn ops<T>(&self) -> *const T {
        self.ops.cast()
    }

    pub(crate) fn raw(&self) -> *mut c_void {
        self.raw
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }

    /// Runs `f`, which calls the instance, unless an earlier failure forbids it; remembers a failure that forbids more.
    pub(crate) fn guarded<T>(&self, f: impl FnOnce() -> Result<T>) -> Result<T> {
        if self.has_failed() {
            let text = format!("{} failed earlier and takes no more calls", self.callee.name);
            return Err(Error::new(ErrorKind::Poisoned, text));
        }
        let result = f();
        if let Err(error) = &result {
            let harmless = [ErrorKind::InvalidArgument, ErrorKind::InvalidState, ErrorKind::Cancelled]
                .contains(&error.kind());
            if !harmless {
                self.failed.store(true, Ordering::Relaxed);
            }
        }
        result
    }

    /// What the instance says about itself; `None` if it says nothing.
    pub(crate) fn introspect(&self) -> Result<Option<Value>> {
        const DOING: &str = "introspecting";
        // SAFETY: the loader checked the table.
        let Some(introspect) = (unsafe { slot!(self.ops, dfp_instance_ops, introspect) }) else {
            return Ok(None);
        };
        self.guarded(|| {
            // SAFETY: the instance is alive, its handle makes one call at a time, and the function keeps the border's rules.
            let text = unsafe {
                self.callee.bytes(DOING, MAX_INTROSPECTION, |buf, error| introspect(self.raw, buf, error))
            }?;
            let Some(text) = text else { return Ok(None) };
            let value: Value = serde_json::from_slice(&text)
                .map_err(|error| self.callee.fault(ErrorKind::BadData, DOING, &error.to_string()))?;
            if !value.is_object() {
                return Err(self.callee.fault(ErrorKind::BadData, DOING, "it gave no JSON object"));
            }
            Ok(Some(value))
        })
    }
}
