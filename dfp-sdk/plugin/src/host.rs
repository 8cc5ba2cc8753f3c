//! The host's table, seen as the [`Host`] that plugin code knows.

use std::ffi::c_void;
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use dfp_abi::c::{dfp_buf, dfp_error, dfp_host, dfp_reject};
use dfp_abi::{FINGERPRINT, slot};
use dfp_core::{Error, ErrorKind, Host, Level, Reject, Result};

/// One engine of a foreign host. Holds a retain on the host's context, so it may live as long as plugin code likes.
pub(crate) struct ForeignHost {
    table: *const dfp_host,
    ctx: *mut c_void,
    cancelled: AtomicBool,
}

// SAFETY: the host lets any thread call its slots at any time while the context is retained.
unsafe impl Send for ForeignHost {}
// SAFETY: as above.
unsafe impl Sync for ForeignHost {}

impl ForeignHost {
    /// # Safety
    /// `table` is NULL or a host's table, and `ctx` what that host passed to `create`, which is still running.
    pub(crate) unsafe fn new(table: *const dfp_host, ctx: *mut c_void) -> Result<Self> {
        // SAFETY: NULL or a table that lives for ever.
        let fingerprint = unsafe { table.as_ref() }.map(|table| table.fingerprint);
        if fingerprint != Some(FINGERPRINT) {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "the host speaks another version of the border than this plugin",
            ));
        }
        let host = Self { table, ctx, cancelled: AtomicBool::new(false) };
        // SAFETY: the context is valid during `create`, and stays so from here on.
        if let Some(retain) = unsafe { slot!(table, dfp_host, retain) } {
            // SAFETY: as above.
            unsafe { retain(ctx) };
        }
        Ok(host)
    }

    /// Makes [`Host::is_cancelled`] true for this instance.
    pub(crate) fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }
}

impl Drop for ForeignHost {
    fn drop(&mut self) {
        // SAFETY: `new` checked the table and retained the context once.
        unsafe {
            if let Some(release) = slot!(self.table, dfp_host, release) {
                release(self.ctx);
            }
        }
    }
}

/// What plugin code gets. Shared, because an input that was opened keeps the host alive.
#[derive(Clone)]
pub(crate) struct HostHandle(pub(crate) Arc<ForeignHost>);

// SAFETY of all calls below: `ForeignHost::new` checked the table, the context is retained, and texts are passed as pointer
// and length of strings that outlive the call.
impl Host for HostHandle {
    fn log_enabled(&self, level: Level) -> bool {
        let host = &self.0;
        // SAFETY: see the top of this block.
        unsafe {
            slot!(host.table, dfp_host, log_enabled)
                .is_some_and(|enabled| enabled(host.ctx, level as u32) != 0)
        }
    }

    fn log(&self, level: Level, target: &str, message: &str) {
        let host = &self.0;
        // SAFETY: see the top of this block.
        unsafe {
            if let Some(log) = slot!(host.table, dfp_host, log) {
                log(
                    host.ctx,
                    level as u32,
                    target.as_ptr().cast(),
                    target.len(),
                    message.as_ptr().cast(),
                    message.len(),
                );
            }
        }
    }

    fn is_cancelled(&self) -> bool {
        let host = &self.0;
        // SAFETY: see the top of this block.
        host.cancelled.load(Ordering::Relaxed)
            || unsafe {
                slot!(host.table, dfp_host, is_cancelled).is_some_and(|cancelled| cancelled(host.ctx) != 0)
            }
    }

    fn open(&self, uri: &str) -> Result<Box<dyn Read + Send>> {
        let host = &self.0;
        let mut error = dfp_error::default();
        let mut input = std::ptr::null_mut();
        // SAFETY: see the top of this block.
        let code = unsafe {
            let open = slot!(host.table, dfp_host, open_input)
                .ok_or_else(|| Error::new(ErrorKind::Unsupported, "this host opens no inputs"))?;
            open(host.ctx, uri.as_ptr().cast(), uri.len(), &raw mut input, &raw mut error)
        };
        error.outcome(code, "asking the host for an input")?;
        Ok(Box::new(Input { host: self.clone(), input }))
    }

    fn secret(&self, name: &str) -> Result<Vec<u8>> {
        let host = &self.0;
        let mut error = dfp_error::default();
        let mut secret = dfp_buf::default();
        // SAFETY: see the top of this block.
        let code = unsafe {
            let get = slot!(host.table, dfp_host, get_secret)
                .ok_or_else(|| Error::new(ErrorKind::Unsupported, "this host keeps no secrets"))?;
            get(host.ctx, name.as_ptr().cast(), name.len(), &raw mut secret, &raw mut error)
        };
        error.outcome(code, "asking the host for a secret")?;
        // SAFETY: empty, or just filled by the host.
        Ok(unsafe { secret.to_vec() }.unwrap_or_default())
    }

    fn reject(&self, reject: Reject) {
        let host = &self.0;
        let excerpt = reject.excerpt.as_deref();
        let c_reject = dfp_reject {
            origin: reject.origin.as_ptr().cast(),
            origin_len: reject.origin.len(),
            reason: reject.reason.as_ptr().cast(),
            reason_len: reject.reason.len(),
            detail: reject.detail.as_ptr().cast(),
            detail_len: reject.detail.len(),
            excerpt: excerpt.map_or(std::ptr::null(), |text| text.as_ptr().cast()),
            excerpt_len: excerpt.map_or(0, str::len),
        };
        // SAFETY: see the top of this block.
        unsafe {
            if let Some(take) = slot!(host.table, dfp_host, reject) {
                take(host.ctx, &raw const c_reject);
            }
        }
    }

    fn count(&self, counter: &str, n: u64) {
        let host = &self.0;
        // SAFETY: see the top of this block.
        unsafe {
            if let Some(count) = slot!(host.table, dfp_host, count) {
                count(host.ctx, counter.as_ptr().cast(), counter.len(), n);
            }
        }
    }
}

/// An input that the host opened.
struct Input {
    host: HostHandle,
    input: *mut c_void,
}

// SAFETY: the host lets any thread read an input, one at a time.
unsafe impl Send for Input {}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let host = &self.host.0;
        let mut error = dfp_error::default();
        let mut read = 0;
        // SAFETY: the input is open, and the buffer is as long as is said.
        let code = unsafe {
            let read_input = slot!(host.table, dfp_host, read_input)
                .ok_or_else(|| io::Error::from(io::ErrorKind::Unsupported))?;
            read_input(host.ctx, self.input, buffer.as_mut_ptr(), buffer.len(), &raw mut read, &raw mut error)
        };
        error.outcome(code, "reading").map_err(|failure| {
            let end = error.is_unexpected_end().then_some(io::ErrorKind::UnexpectedEof);
            io::Error::new(end.unwrap_or_else(|| io_kind(failure.kind())), failure)
        })?;
        if read > buffer.len() {
            return Err(io::Error::other("the host read more than there was room for"));
        }
        Ok(read)
    }
}

impl Drop for Input {
    fn drop(&mut self) {
        let host = &self.host.0;
        // SAFETY: the input is open, and nobody can use it after this.
        unsafe {
            if let Some(close) = slot!(host.table, dfp_host, close_input) {
                close(host.ctx, self.input);
            }
        }
    }
}

/// The nearest kind std has. Never `Interrupted`, which readers take as an invitation to try again.
fn io_kind(kind: ErrorKind) -> io::ErrorKind {
    match kind {
        ErrorKind::NotFound => io::ErrorKind::NotFound,
        ErrorKind::Permission => io::ErrorKind::PermissionDenied,
        ErrorKind::Timeout => io::ErrorKind::TimedOut,
        ErrorKind::BadData => io::ErrorKind::InvalidData,
        _ => io::ErrorKind::Other,
    }
}

#[cfg(test)]
// SAFETY of the calls below: the tables and contexts are local ones that outlive their use.
#[allow(clippy::undocumented_unsafe_blocks)]
mod tests {
    use std::ffi::c_char;
    use std::mem::offset_of;
    use std::sync::atomic::AtomicUsize;

    use dfp_abi::c::DFP_OK;

    use super::*;

    unsafe extern "C" fn cancelled(_: *mut c_void) -> i32 {
        1
    }

    unsafe extern "C" fn retain(ctx: *mut c_void) {
        unsafe { &*ctx.cast::<AtomicUsize>() }.fetch_add(1, Ordering::SeqCst);
    }

    unsafe extern "C" fn release(ctx: *mut c_void) {
        unsafe { &*ctx.cast::<AtomicUsize>() }.fetch_sub(1, Ordering::SeqCst);
    }

    unsafe extern "C" fn open_input(
        _: *mut c_void,
        _: *const c_char,
        _: usize,
        _: *mut *mut c_void,
        _: *mut dfp_error,
    ) -> i32 {
        DFP_OK
    }

    /// Says that it read more than it was given room for.
    unsafe extern "C" fn read_input(
        _: *mut c_void,
        _: *mut c_void,
        _: *mut u8,
        capacity: usize,
        read: *mut usize,
        _: *mut dfp_error,
    ) -> i32 {
        unsafe { read.write(capacity + 1) };
        DFP_OK
    }

    fn table() -> dfp_host {
        dfp_host {
            struct_size: size_of::<dfp_host>() as u32,
            abi_minor: 0,
            fingerprint: FINGERPRINT,
            name: c"test".as_ptr(),
            version: c"0".as_ptr(),
            log_enabled: None,
            log: None,
            is_cancelled: Some(cancelled),
            get_secret: None,
            retain: Some(retain),
            release: Some(release),
            open_input: Some(open_input),
            read_input: Some(read_input),
            close_input: None,
            reject: None,
            count: None,
        }
    }

    #[test]
    fn a_host_with_a_short_or_empty_table_is_no_danger() {
        let retained = AtomicUsize::new(0);
        let ctx = (&raw const retained).cast_mut().cast();
        let whole = table();
        let host = HostHandle(Arc::new(unsafe { ForeignHost::new(&raw const whole, ctx) }.unwrap()));
        assert_eq!(retained.load(Ordering::SeqCst), 1);
        assert!(host.is_cancelled());
        assert!(!host.log_enabled(Level::Error));
        host.log(Level::Error, "t", "m");
        host.count("c", 1);
        host.reject(Reject::new("o", "r", "d"));
        let error = host.open("x").unwrap().read(&mut [0; 4]).unwrap_err();
        assert!(error.to_string().contains("more than there was room"), "{error}");
        drop(host);
        assert_eq!(retained.load(Ordering::SeqCst), 0);

        let short = dfp_host { struct_size: offset_of!(dfp_host, is_cancelled) as u32, ..table() };
        let host = HostHandle(Arc::new(unsafe { ForeignHost::new(&raw const short, ctx) }.unwrap()));
        assert!(!host.is_cancelled());
        assert_eq!(host.open("x").err().map(|error| error.kind()), Some(ErrorKind::Unsupported));
        host.0.cancel();
        assert!(host.is_cancelled());
    }

    #[test]
    fn a_host_of_another_fingerprint_is_refused() {
        let other = dfp_host { fingerprint: FINGERPRINT ^ 1, ..table() };
        for table in [&raw const other, std::ptr::null()] {
            let error = unsafe { ForeignHost::new(table, std::ptr::null_mut()) }.err().expect("refused");
            assert_eq!(error.kind(), ErrorKind::Unsupported);
        }
    }
}
