//! Who is told of rows that cannot be used.

use std::ffi::{c_char, c_void};
use std::io::Read;

use dfp_abi::c::dfp_reject;
use dfp_sdk::core::{Error, ErrorKind, Host, Level, Reject, Result};

/// Who is told what becomes of rows: those used and those rejected are all there were. Every callback may be NULL, and is called
/// on the thread that made the call or pulls the stream, never by two threads at once. Texts are pointer and length, borrowed
/// for the call. Callbacks must return: no longjmp, no exception.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct dfp_observer {
    /// sizeof(dfp_observer), set by the caller.
    pub struct_size: u32,
    /// 0.
    pub reserved: u32,
    /// Passed to every callback. Must stay valid until the stream that the call produced is released.
    pub ctx: *mut c_void,
    /// Takes a row that cannot be used.
    pub reject: Option<unsafe extern "C" fn(ctx: *mut c_void, reject: *const dfp_reject)>,
    /// Adds n to a named counter: "unreadable:COLUMN" is rows used without their parameters.
    pub count:
        Option<unsafe extern "C" fn(ctx: *mut c_void, counter: *const c_char, counter_len: usize, n: u64)>,
    /// Takes a line for people; level is DFP_LOG_*.
    pub log: Option<
        unsafe extern "C" fn(ctx: *mut c_void, level: u32, message: *const c_char, message_len: usize),
    >,
}

/// An observer of nothing.
const NOBODY: dfp_observer = dfp_observer {
    struct_size: size_of::<dfp_observer>() as u32,
    reserved: 0,
    ctx: std::ptr::null_mut(),
    reject: None,
    count: None,
    log: None,
};

/// The observer as the stages know it.
pub(crate) struct Observer(dfp_observer);

// SAFETY: the header demands a context that the callbacks can use on whatever thread pulls the stream, and one stream is pulled by
// one thread at a time.
unsafe impl Send for Observer {}
// SAFETY: as above.
unsafe impl Sync for Observer {}

impl Observer {
    /// A copy of the caller's struct; NULL is nobody.
    ///
    /// # Safety
    /// `observer` is NULL, or leads to a struct as long as it says, with callbacks that keep to the header.
    pub(crate) unsafe fn new(observer: *const dfp_observer) -> Result<Self> {
        if observer.is_null() {
            return Ok(Self(NOBODY));
        }
        // SAFETY: the caller's promise; the size is read alone.
        let size = unsafe { (&raw const (*observer).struct_size).read() } as usize;
        if size < size_of::<dfp_observer>() {
            let what =
                format!("observer says it has {size} bytes; set its struct_size to sizeof(dfp_observer)");
            return Err(Error::new(ErrorKind::InvalidArgument, what));
        }
        // SAFETY: the caller's promise, and it is as long as it has to be.
        Ok(Self(unsafe { observer.read() }))
    }
}

// SAFETY of all calls below: `new` was promised working callbacks, and texts are passed as pointer and length of strings that
// outlive the call.
impl Host for Observer {
    fn log_enabled(&self, _level: Level) -> bool {
        self.0.log.is_some()
    }

    fn log(&self, level: Level, _target: &str, message: &str) {
        if let Some(log) = self.0.log {
            // SAFETY: see the top of this block.
            unsafe { log(self.0.ctx, level as u32, message.as_ptr().cast(), message.len()) };
        }
    }

    fn is_cancelled(&self) -> bool {
        false
    }

    fn open(&self, uri: &str) -> Result<Box<dyn Read + Send>> {
        let what = format!("opening {uri}: the C library opens no inputs");
        Err(Error::new(ErrorKind::Unsupported, what))
    }

    fn reject(&self, reject: Reject) {
        let Some(take) = self.0.reject else { return };
        let excerpt = reject.excerpt.as_deref();
        let reject = dfp_reject {
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
        unsafe { take(self.0.ctx, &raw const reject) };
    }

    fn count(&self, counter: &str, n: u64) {
        if let Some(count) = self.0.count {
            // SAFETY: see the top of this block.
            unsafe { count(self.0.ctx, counter.as_ptr().cast(), counter.len(), n) };
        }
    }
}
