//! The table of functions that plugins call, over any [`Host`] of the program.

use std::ffi::{CStr, c_char, c_void};
use std::io::{self, Read};
use std::sync::{Arc, Mutex};

use dfp_abi::c::{
    DFP_ABI_MINOR, DFP_ERROR_UNEXPECTED_END, DFP_OK, DFP_VERSION, dfp_buf, dfp_error, dfp_host, dfp_reject,
};
use dfp_abi::{FINGERPRINT, answer, caught, dropped, report, text_lossy};
use dfp_core::{CancelToken, Error, ErrorKind, Host, Level, Reject, Result};

use crate::instance::locked;

/// What the `ctx` of every call leads to: an `Arc<Context>` made raw.
pub(crate) struct Context {
    pub(crate) host: Arc<dyn Host>,
    /// What else cancels the calls under way.
    cancels: Mutex<Vec<(u64, CancelToken)>>,
}

/// While it lives, a token cancels the component besides its host.
pub(crate) struct AlsoCancelled<'a>(&'a Context, u64);

impl Context {
    pub(crate) fn new(host: Arc<dyn Host>) -> Self {
        Self { host, cancels: Mutex::default() }
    }

    pub(crate) fn also_cancelled_by(&self, token: &CancelToken) -> AlsoCancelled<'_> {
        let mut cancels = locked(&self.cancels);
        let key = cancels.last().map_or(0, |(last, _)| last + 1);
        cancels.push((key, token.clone()));
        AlsoCancelled(self, key)
    }

    fn is_cancelled(&self) -> bool {
        self.host.is_cancelled() || locked(&self.cancels).iter().any(|(_, token)| token.is_cancelled())
    }
}

impl Drop for AlsoCancelled<'_> {
    fn drop(&mut self) {
        locked(&self.0.cancels).retain(|(key, _)| *key != self.1);
    }
}

type Input = Box<dyn Read + Send>;

/// The same for all plugins and engines.
pub(crate) static HOST: dfp_host = dfp_host {
    struct_size: size_of::<dfp_host>() as u32,
    abi_minor: DFP_ABI_MINOR,
    fingerprint: FINGERPRINT,
    name: c"dfp".as_ptr(),
    version: VERSION.as_ptr(),
    log_enabled: Some(log_enabled),
    log: Some(log),
    is_cancelled: Some(is_cancelled),
    get_secret: Some(get_secret),
    retain: Some(retain),
    release: Some(release),
    open_input: Some(open_input),
    read_input: Some(read_input),
    close_input: Some(close_input),
    reject: Some(reject),
    count: Some(count),
};

const VERSION: &CStr = match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
    Ok(version) => version,
    Err(_) => panic!("the version has a NUL inside"),
};
const _: () = assert!(VERSION.count_bytes() == DFP_VERSION.len());

/// # Safety
/// `ctx` is what this host passed to `create`, and is still valid.
unsafe fn context<'a>(ctx: *mut c_void) -> &'a Context {
    // SAFETY: the caller's promise.
    unsafe { &*ctx.cast::<Context>() }
}

/// # Safety
/// As [`context`].
unsafe fn host<'a>(ctx: *mut c_void) -> &'a dyn Host {
    // SAFETY: the caller's promise.
    &*unsafe { context(ctx) }.host
}

/// Runs `f`, whose panic nobody can be told.
fn quietly(f: impl FnOnce()) {
    // The callee of a log or count cannot fail for the plugin.
    let _: Result<()> = caught(|| {
        f();
        Ok(())
    });
}

/// Unknown levels are the least important one.
fn level(number: u32) -> Level {
    [Level::Error, Level::Warn, Level::Info, Level::Debug]
        .into_iter()
        .find(|level| *level as u32 == number)
        .unwrap_or(Level::Trace)
}

unsafe extern "C" fn log_enabled(ctx: *mut c_void, number: u32) -> i32 {
    // SAFETY: the border's contract for `ctx`.
    let host = unsafe { host(ctx) };
    caught(|| Ok(i32::from(host.log_enabled(level(number))))).unwrap_or(0)
}

unsafe extern "C" fn log(
    ctx: *mut c_void,
    number: u32,
    target: *const c_char,
    target_len: usize,
    message: *const c_char,
    message_len: usize,
) {
    // SAFETY: the border's contract for `ctx` and texts.
    let (host, target, message) =
        unsafe { (host(ctx), text_lossy(target, target_len), text_lossy(message, message_len)) };
    quietly(|| host.log(level(number), &target, &message));
}

unsafe extern "C" fn is_cancelled(ctx: *mut c_void) -> i32 {
    // SAFETY: the border's contract for `ctx`.
    let context = unsafe { context(ctx) };
    // A host that panics here had better stop.
    caught(|| Ok(i32::from(context.is_cancelled()))).unwrap_or(1)
}

unsafe extern "C" fn get_secret(
    ctx: *mut c_void,
    name: *const c_char,
    name_len: usize,
    out: *mut dfp_buf,
    error: *mut dfp_error,
) -> i32 {
    // SAFETY: the border's contract for `ctx` and texts.
    let (host, name) = unsafe { (host(ctx), text_lossy(name, name_len)) };
    let secret = caught(|| host.secret(&name));
    // SAFETY: the border's contract: `out` has room for a buffer, `error` is NULL or an error struct.
    unsafe { answer(secret.map(|secret| out.write(dfp_buf::from_vec(secret))), error) }
}

unsafe extern "C" fn retain(ctx: *mut c_void) {
    // SAFETY: the border's contract: valid, and made by `Arc::into_raw`.
    unsafe { Arc::increment_strong_count(ctx.cast::<Context>()) };
}

unsafe extern "C" fn release(ctx: *mut c_void) {
    // SAFETY: the border's contract: one for each `retain`.
    dropped(unsafe { Arc::from_raw(ctx.cast::<Context>()) });
}

unsafe extern "C" fn open_input(
    ctx: *mut c_void,
    uri: *const c_char,
    uri_len: usize,
    out: *mut *mut c_void,
    error: *mut dfp_error,
) -> i32 {
    // SAFETY: the border's contract for `ctx` and texts.
    let (host, uri) = unsafe { (host(ctx), text_lossy(uri, uri_len)) };
    let opened = caught(|| host.open(&uri));
    // SAFETY: the border's contract: `out` has room for a pointer, `error` is NULL or an error struct.
    unsafe { answer(opened.map(|input: Input| out.write(Box::into_raw(Box::new(input)).cast())), error) }
}

unsafe extern "C" fn read_input(
    _ctx: *mut c_void,
    input: *mut c_void,
    buffer: *mut u8,
    capacity: usize,
    read: *mut usize,
    error: *mut dfp_error,
) -> i32 {
    if input.is_null() || (buffer.is_null() && capacity > 0) {
        let failure = Error::new(ErrorKind::InvalidArgument, "reading an input: a pointer is NULL");
        // SAFETY: the border's contract for `error`.
        return unsafe { answer(Err(failure), error) };
    }
    let mut end_too_early = false;
    // SAFETY: made by `open_input`, and used by one thread at a time; the buffer is as long as is said. Its bytes are
    // written before they are read: plugins may pass fresh memory.
    let (input, buffer) = unsafe {
        std::ptr::write_bytes(buffer, 0, capacity);
        (&mut *input.cast::<Input>(), std::slice::from_raw_parts_mut(buffer, capacity))
    };
    let result = caught(|| {
        loop {
            match input.read(buffer) {
                Err(failure) if failure.kind() == io::ErrorKind::Interrupted => {}
                Err(failure) => {
                    end_too_early = failure.kind() == io::ErrorKind::UnexpectedEof;
                    return Err(Error::io("reading an input", failure));
                }
                Ok(n) => return Ok(n),
            }
        }
    });
    match result {
        Ok(n) => {
            // SAFETY: the border's contract: room for a number.
            unsafe { read.write(n) };
            DFP_OK
        }
        Err(failure) => {
            let flags = if end_too_early { DFP_ERROR_UNEXPECTED_END } else { 0 };
            // SAFETY: the border's contract for `error`.
            unsafe { report(&failure, flags, error) };
            failure.kind().code()
        }
    }
}

unsafe extern "C" fn close_input(_ctx: *mut c_void, input: *mut c_void) {
    if !input.is_null() {
        // SAFETY: made by `open_input`, and the plugin uses it no more.
        dropped(unsafe { Box::from_raw(input.cast::<Input>()) });
    }
}

unsafe extern "C" fn reject(ctx: *mut c_void, reject: *const dfp_reject) {
    // SAFETY: the border's contract for `ctx`; NULL or a struct of texts.
    let (host, Some(reject)) = (unsafe { (host(ctx), reject.as_ref()) }) else { return };
    // SAFETY: the border's contract for texts.
    let record = unsafe {
        Reject {
            origin: text_lossy(reject.origin, reject.origin_len),
            reason: text_lossy(reject.reason, reject.reason_len).into(),
            detail: text_lossy(reject.detail, reject.detail_len),
            excerpt: None,
        }
    };
    // SAFETY: as above.
    let record = match unsafe { dfp_abi::bytes(reject.excerpt.cast(), reject.excerpt_len) } {
        Some(excerpt) => record.with_excerpt(excerpt),
        None => record,
    };
    quietly(|| host.reject(record));
}

unsafe extern "C" fn count(ctx: *mut c_void, counter: *const c_char, counter_len: usize, n: u64) {
    // SAFETY: the border's contract for `ctx` and texts.
    let (host, counter) = unsafe { (host(ctx), text_lossy(counter, counter_len)) };
    quietly(|| host.count(&counter, n));
}
