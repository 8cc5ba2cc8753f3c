//! What every function called from C goes through, and what its arguments become.

use std::ffi::{CStr, c_char};
use std::ptr::NonNull;

use dfp_abi::c::dfp_error;
use dfp_abi::{ArrowArrayStream, ImportedStream, answer, caught, take_stream};
use dfp_sdk::core::{Error, ErrorKind, Result};

/// Runs `f`. A panic ends here; a failure becomes a code, and its text goes to `error`.
///
/// # Safety
/// As [`answer`].
pub(crate) unsafe fn entry(error: *mut dfp_error, f: impl FnOnce() -> Result<()>) -> i32 {
    // SAFETY: the caller's promise.
    unsafe { answer(caught(f), error) }
}

pub(crate) fn is_null(name: &str) -> Error {
    Error::new(ErrorKind::InvalidArgument, format!("{name} is NULL"))
}

/// A stream that a caller hands over.
pub(crate) struct Incoming {
    stream: Option<ArrowArrayStream>,
    name: &'static str,
}

impl Incoming {
    /// Takes it, and leaves a released one there. Comes before anything that may fail, so that the stream has moved in any case.
    ///
    /// # Safety
    /// As [`take_stream`].
    pub(crate) unsafe fn take(stream: *mut ArrowArrayStream, name: &'static str) -> Self {
        // SAFETY: the caller's promise.
        Self { stream: unsafe { take_stream(stream) }, name }
    }

    /// Its batches, each validated in full.
    ///
    /// # Safety
    /// The stream was released, or filled by the rules of the C Stream Interface, to which it keeps.
    pub(crate) unsafe fn open(self) -> Result<ImportedStream> {
        let stream = self.stream.ok_or_else(|| is_null(self.name))?;
        // SAFETY: the caller's promise.
        unsafe { ImportedStream::any(stream) }.map_err(|e| e.context(self.name))
    }
}

/// A place of a caller's for a result.
pub(crate) struct Out<T>(NonNull<T>);

impl<T> Out<T> {
    /// Writes `empty`, which owns nothing, over whatever is there.
    ///
    /// # Safety
    /// `place` is NULL, or may be written to until the call returns.
    pub(crate) unsafe fn new(place: *mut T, empty: T, name: &str) -> Result<Self> {
        let place = NonNull::new(place).ok_or_else(|| is_null(name))?;
        // SAFETY: the caller's promise.
        unsafe { place.write(empty) };
        Ok(Self(place))
    }

    pub(crate) fn fill(self, value: T) {
        // SAFETY: `new` was promised that this may be written to; what is there owns nothing.
        unsafe { self.0.write(value) };
    }
}

/// A text that ends with NUL; `None` for NULL.
///
/// # Safety
/// `text` is NULL or leads to bytes with a NUL among them, which nobody changes until the call returns.
pub(crate) unsafe fn text<'a>(text: *const c_char, name: &str) -> Result<Option<&'a str>> {
    if text.is_null() {
        return Ok(None);
    }
    // SAFETY: the caller's promise.
    let text = unsafe { CStr::from_ptr(text) }.to_str();
    text.map(Some).map_err(|e| Error::caused(ErrorKind::InvalidArgument, format!("{name} is not UTF-8"), e))
}

/// As [`text`], but there must be one.
///
/// # Safety
/// As [`text`].
pub(crate) unsafe fn required<'a>(pointer: *const c_char, name: &str) -> Result<&'a str> {
    // SAFETY: the caller's promise.
    unsafe { text(pointer, name) }?.ok_or_else(|| is_null(name))
}
