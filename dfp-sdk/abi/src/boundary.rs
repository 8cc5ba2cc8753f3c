//! What every function called from C goes through: panics end here, failures become codes and inline text.

use std::ffi::{CStr, CString, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};

use dfp_core::{Error, ErrorKind, Result, panic_text};

use crate::c::{DFP_ERROR_MESSAGE_BYTES, DFP_ERROR_TRUNCATED, DFP_ERROR_UNEXPECTED_END, DFP_OK, dfp_error};

/// Longest text taken from a foreign pointer that says nothing about its length.
const FOREIGN_TEXT_BYTES: usize = 64 << 10;

/// Runs `f`; a panic becomes an error of [`ErrorKind::Panic`] with the panic's text.
///
/// # Errors
/// What `f` answers, or its panic.
pub fn caught<T>(f: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(f)).unwrap_or_else(|payload| {
        let text = panic_text(&*payload);
        // A payload is any value, and its drop may panic again.
        if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
            std::mem::forget(second);
        }
        Err(Error::new(ErrorKind::Panic, text))
    })
}

/// Drops a value of unknown making. A panic in its destructor ends here.
pub fn dropped<T>(value: T) {
    // There is nobody to tell: whoever releases something expects no answer.
    let _: Result<()> = caught(|| {
        drop(value);
        Ok(())
    });
}

/// The code for `result`; a failure's text goes to `out`.
///
/// # Safety
/// `out` is NULL or leads to a [`dfp_error`] that nobody else uses during the call.
pub unsafe fn answer(result: Result<()>, out: *mut dfp_error) -> i32 {
    match result {
        Ok(()) => DFP_OK,
        Err(error) => {
            // SAFETY: the caller's promise.
            unsafe { report(&error, 0, out) };
            error.kind().code()
        }
    }
}

/// Writes `error` and [`dfp_error::flags`] to `out`, unless it is NULL or too small.
///
/// # Safety
/// As [`answer`].
pub unsafe fn report(error: &Error, flags: u32, out: *mut dfp_error) {
    // SAFETY: the caller's promise. The size is read alone: a struct that is too small is not all there.
    let whole = !out.is_null()
        && unsafe { (&raw const (*out).struct_size).read() } as usize >= size_of::<dfp_error>();
    if whole {
        // SAFETY: the caller's promise, and it is as long as it has to be.
        let out = unsafe { &mut *out };
        out.code = error.kind().code();
        out.flags = flags;
        out.set_message(&error.to_string());
    }
}

impl Default for dfp_error {
    fn default() -> Self {
        Self {
            struct_size: size_of::<Self>() as u32,
            code: DFP_OK,
            flags: 0,
            message_len: 0,
            message: [0; DFP_ERROR_MESSAGE_BYTES],
        }
    }
}

impl dfp_error {
    /// Stores text: NULs inside are replaced, and what does not fit is cut at a character.
    pub fn set_message(&mut self, text: &str) {
        let mut end = text.len().min(DFP_ERROR_MESSAGE_BYTES - 1);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        if end < text.len() {
            self.flags |= DFP_ERROR_TRUNCATED;
        }
        self.message_len = end as u32;
        self.message.fill(0);
        for (to, &from) in self.message.iter_mut().zip(&text.as_bytes()[..end]) {
            *to = without_nul(from) as c_char;
        }
    }

    /// The text, whatever a foreign callee left there.
    pub fn message(&self) -> String {
        let claimed = (self.message_len as usize).min(DFP_ERROR_MESSAGE_BYTES - 1);
        let bytes: Vec<u8> =
            self.message[..claimed].iter().map(|&byte| byte as u8).take_while(|&byte| byte != 0).collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Whether the failed call met the end of its input too early.
    pub fn is_unexpected_end(&self) -> bool {
        self.flags & DFP_ERROR_UNEXPECTED_END != 0
    }

    /// What a foreign function answered: `code` is what it returned, `self` what it was given to write to.
    ///
    /// # Errors
    /// If `code` is not [`DFP_OK`]; `doing` says what was asked of it.
    pub fn outcome(&self, code: i32, doing: impl Into<String>) -> Result<()> {
        if code == DFP_OK {
            return Ok(());
        }
        let kind = ErrorKind::from_code(code);
        let mut text = self.message();
        if kind.code() != code {
            text = format!("{text} (code {code})");
        }
        Err(if text.is_empty() { Error::new(kind, doing) } else { Error::caused(kind, doing, text) })
    }
}

/// Text as C wants it; NULs inside are replaced.
pub(crate) fn c_string(text: &str) -> CString {
    let bytes: Vec<u8> = text.bytes().map(without_nul).collect();
    CString::new(bytes).expect("every NUL is replaced")
}

fn without_nul(byte: u8) -> u8 {
    if byte == 0 { b' ' } else { byte }
}

/// The text behind a pointer that came with a length; bytes that are not UTF-8 are replaced.
///
/// # Safety
/// `text` is NULL or leads to `len` readable bytes.
pub unsafe fn text_lossy(text: *const c_char, len: usize) -> String {
    // SAFETY: the caller's promise.
    unsafe { bytes(text.cast(), len) }
        .map_or_else(String::new, |bytes| String::from_utf8_lossy(bytes).into_owned())
}

/// The bytes behind a pointer that came with a length; `None` for NULL.
///
/// # Safety
/// `data` is NULL or leads to `len` readable bytes that nobody changes while the answer is in use.
pub unsafe fn bytes<'a>(data: *const u8, len: usize) -> Option<&'a [u8]> {
    if data.is_null() || isize::try_from(len).is_err() {
        return None;
    }
    // SAFETY: the caller's promise; NULL and impossible lengths were refused above.
    Some(unsafe { std::slice::from_raw_parts(data, len) })
}

/// The text behind a pointer to a NUL-terminated string of foreign making; `None` for NULL.
///
/// # Safety
/// `text` is NULL or leads to bytes with a NUL among them.
pub unsafe fn foreign_text(text: *const c_char) -> Option<String> {
    if text.is_null() {
        return None;
    }
    // SAFETY: the caller's promise.
    let bytes = unsafe { CStr::from_ptr(text) }.to_bytes();
    Some(String::from_utf8_lossy(&bytes[..bytes.len().min(FOREIGN_TEXT_BYTES)]).into_owned())
}

#[cfg(test)]
// SAFETY of the calls below: every struct is a local one, filled a few lines above.
#[allow(clippy::undocumented_unsafe_blocks)]
mod tests {
    use super::*;

    fn fail(text: &str) -> dfp_error {
        let mut out = dfp_error::default();
        let code = unsafe { answer(Err(Error::new(ErrorKind::BadData, text)), &raw mut out) };
        assert_eq!((code, out.code), (11, 11));
        out
    }

    #[test]
    fn nul_is_replaced_and_long_text_is_cut_at_a_character() {
        assert_eq!(fail("a\0b").message(), "a b");

        let long = "ä".repeat(1000);
        let out = fail(&long);
        assert_eq!(out.message(), "ä".repeat(503));
        assert_eq!(out.flags, DFP_ERROR_TRUNCATED);
        assert_eq!(out.message[DFP_ERROR_MESSAGE_BYTES - 1], 0);

        let fits = "x".repeat(DFP_ERROR_MESSAGE_BYTES - 1);
        assert_eq!((fail(&fits).message(), fail(&fits).flags), (fits, 0));
    }

    #[test]
    fn null_and_short_error_structs_are_left_alone() {
        assert_eq!(unsafe { answer(Ok(()), std::ptr::null_mut()) }, 0);
        let error = Error::new(ErrorKind::Io, "x");
        assert_eq!(unsafe { answer(Err(error), std::ptr::null_mut()) }, 6);
        let mut short = dfp_error { struct_size: 16, ..dfp_error::default() };
        unsafe { report(&Error::new(ErrorKind::Io, "x"), 0, &raw mut short) };
        assert_eq!(short.code, 0);
    }

    #[test]
    fn whatever_a_callee_leaves_behind_becomes_an_error() {
        let hostile = dfp_error {
            message_len: u32::MAX,
            message: [-1_i8 as c_char; DFP_ERROR_MESSAGE_BYTES],
            ..dfp_error::default()
        };
        let error = hostile.outcome(11, "reading").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BadData);
        assert!(error.to_string().starts_with("reading: \u{FFFD}"));

        let error = dfp_error::default().outcome(4711, "reading").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Internal);
        assert!(error.to_string().contains("4711"));
        assert!(dfp_error::default().outcome(-3, "x").is_err());
        assert!(dfp_error::default().outcome(0, "x").is_ok());
    }

    #[test]
    fn panics_end_here_even_when_their_payload_panics_too() {
        struct Bomb;
        impl Drop for Bomb {
            fn drop(&mut self) {
                panic!("again");
            }
        }
        let error = caught::<()>(|| std::panic::panic_any(Bomb)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Panic);
        let error = caught::<()>(|| panic!("row {}", 7)).unwrap_err();
        assert!(error.to_string().contains("row 7"));
        dropped(Bomb);
    }
}
