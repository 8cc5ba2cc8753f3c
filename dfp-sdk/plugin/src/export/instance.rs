//! What a pointer that the host holds leads to, the one way into it, and the functions that every kind begins with.

use std::cell::UnsafeCell;
use std::ffi::{c_char, c_void};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use dfp_abi::c::{dfp_buf, dfp_error, dfp_host};
use dfp_abi::{answer, bytes, caught, dropped};
use dfp_core::{Error, ErrorKind, Result};

use crate::Component;
use crate::host::{ForeignHost, HostHandle};

/// A component, or a fitted model, in the hands of the host.
pub(super) struct Instance<T> {
    /// The component's.
    id: &'static str,
    host: HostHandle,
    /// Set by the first panic: the value may be half changed since.
    poisoned: AtomicBool,
    /// Calls that change it come one at a time; those that may overlap only read.
    value: UnsafeCell<T>,
}

impl<T> Instance<T> {
    pub(super) fn new(id: &'static str, host: HostHandle, value: T) -> Self {
        Self { id, host, poisoned: AtomicBool::new(false), value: UnsafeCell::new(value) }
    }

    /// As the pointer that the host gets. [`destroy`] takes it back.
    pub(super) fn into_raw(self) -> *mut c_void {
        Box::into_raw(Box::new(self)).cast()
    }

    /// A fitted model in the hands of the same host.
    pub(super) fn beside<M>(&self, value: M) -> Instance<M> {
        Instance::new(self.id, self.host.clone(), value)
    }

    pub(super) fn host(&self) -> &HostHandle {
        &self.host
    }

    /// # Safety
    /// No call that changes the value runs meanwhile.
    pub(super) unsafe fn value(&self) -> &T {
        // SAFETY: the caller's promise.
        unsafe { &*self.value.get() }
    }

    /// Runs `f`, unless an earlier call panicked. A panic poisons this instance and no other.
    fn guarded(&self, f: impl FnOnce(&Self) -> Result<()>) -> Result<()> {
        if self.poisoned.load(Ordering::Relaxed) {
            let text = format!("{} panicked earlier and can only be destroyed", self.id);
            return Err(Error::new(ErrorKind::Poisoned, text));
        }
        let result = caught(|| f(self));
        if result.as_ref().is_err_and(|failure| failure.kind() == ErrorKind::Panic) {
            self.poisoned.store(true, Ordering::Relaxed);
        }
        result
    }
}

/// Calls `f` with the instance, and tells the host how it went. Every call of the host but `create`, `destroy` and
/// `request_cancel` goes through here.
///
/// # Safety
/// `instance` is NULL, or an `Instance<T>` that is not yet destroyed; `error` is NULL or an error struct.
pub(super) unsafe fn enter<T>(
    instance: *mut c_void,
    error: *mut dfp_error,
    f: impl FnOnce(&Instance<T>) -> Result<()>,
) -> i32 {
    // SAFETY: the caller's promise.
    let result = match unsafe { instance.cast::<Instance<T>>().as_ref() } {
        Some(instance) => instance.guarded(f),
        None => Err(Error::new(ErrorKind::InvalidArgument, "the instance is NULL")),
    };
    // SAFETY: the caller's promise.
    unsafe { answer(result, error) }
}

/// [`enter`] for calls that may change the value.
///
/// # Safety
/// As [`enter`], and no other call but `request_cancel` uses the instance.
pub(super) unsafe fn exclusive<T>(
    instance: *mut c_void,
    error: *mut dfp_error,
    f: impl FnOnce(&mut T) -> Result<()>,
) -> i32 {
    // SAFETY: the caller's promise: nobody else touches the value.
    unsafe { enter::<T>(instance, error, |instance| f(&mut *instance.value.get())) }
}

/// [`enter`] for calls that read the value, at once if the component allows for it.
///
/// # Safety
/// As [`enter`]; no call that changes the value runs meanwhile, and calls overlap only if `T` is `Sync`.
pub(super) unsafe fn shared<T>(
    instance: *mut c_void,
    error: *mut dfp_error,
    f: impl FnOnce(&T) -> Result<()>,
) -> i32 {
    // SAFETY: the caller's promise.
    unsafe { enter::<T>(instance, error, |instance| f(instance.value())) }
}

/// Writes what the host asked for. A value that has no place to go to is dropped.
///
/// # Safety
/// `out` is NULL or has room for a `T`, whose old content needs no dropping.
pub(super) unsafe fn give<T>(out: *mut T, value: T) -> Result<()> {
    if out.is_null() {
        return Err(Error::new(ErrorKind::InvalidArgument, "there is no place for the answer: it is NULL"));
    }
    // SAFETY: the caller's promise.
    unsafe { out.write(value) };
    Ok(())
}

/// Nothing is there until the call succeeds.
///
/// # Safety
/// `out` is NULL or has room for a pointer.
pub(super) unsafe fn clear(out: *mut *mut c_void) {
    if !out.is_null() {
        // SAFETY: the caller's promise.
        unsafe { out.write(std::ptr::null_mut()) };
    }
}

pub(super) unsafe extern "C" fn create<C: Component>(
    host: *const dfp_host,
    ctx: *mut c_void,
    config: *const c_char,
    config_len: usize,
    out: *mut *mut c_void,
    error: *mut dfp_error,
) -> i32 {
    let made = caught(|| {
        // SAFETY: the border's contract for `create`.
        let (config, host) = unsafe {
            clear(out);
            (bytes(config.cast(), config_len), ForeignHost::new(host, ctx)?)
        };
        let config = config
            .and_then(|config| std::str::from_utf8(config).ok())
            .ok_or_else(|| Error::new(ErrorKind::InvalidConfig, "the configuration is not UTF-8 text"))?;
        let host = HostHandle(Arc::new(host));
        let made = crate::create::<C>(config, Arc::new(host.clone()))?;
        // SAFETY: the border's contract: `out` has room for a pointer.
        unsafe { give_instance(out, Instance::new(C::ID, host, made)) }
    });
    // SAFETY: the border's contract: `error` is NULL or an error struct.
    unsafe { answer(made, error) }
}

/// [`give`] for an instance.
///
/// # Safety
/// `out` is NULL or has room for a pointer.
pub(super) unsafe fn give_instance<T>(out: *mut *mut c_void, instance: Instance<T>) -> Result<()> {
    let raw = instance.into_raw();
    // SAFETY: the caller's promise; the pointer is this function's own.
    unsafe { give(out, raw).inspect_err(|_| destroy::<T>(raw)) }
}

pub(super) unsafe extern "C" fn destroy<T>(instance: *mut c_void) {
    if !instance.is_null() {
        // SAFETY: made by `into_raw`, and the host calls nothing after this.
        dropped(unsafe { Box::from_raw(instance.cast::<Instance<T>>()) });
    }
}

pub(super) unsafe extern "C" fn request_cancel<T>(instance: *mut c_void) {
    // SAFETY: NULL or made by `create` and not yet destroyed.
    if let Some(instance) = unsafe { instance.cast::<Instance<T>>().as_ref() } {
        instance.host.0.cancel();
    }
}

pub(super) unsafe extern "C" fn introspect<C: Component>(
    instance: *mut c_void,
    out: *mut dfp_buf,
    error: *mut dfp_error,
) -> i32 {
    // SAFETY: the border's contract; only trainers, which are `Sync`, are called by several threads at once.
    unsafe {
        shared::<C>(instance, error, |component| {
            let about = component.introspect().unwrap_or_else(|| serde_json::json!({}));
            if !about.is_object() {
                return Err(Error::new(ErrorKind::Internal, "introspect must answer with a JSON object"));
            }
            give(out, dfp_buf::from_vec(about.to_string().into_bytes()))
        })
    }
}
