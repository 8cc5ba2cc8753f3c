//! Bytes that cross together with the way to free them.

use crate::boundary::bytes;
use crate::c::dfp_buf;

impl Default for dfp_buf {
    /// No bytes, and nothing to free.
    fn default() -> Self {
        Self { data: std::ptr::null(), len: 0, release: None, private_data: std::ptr::null_mut() }
    }
}

impl dfp_buf {
    /// Hands over `bytes`. Not even an empty one has a NULL pointer: that means "none".
    pub fn from_vec(bytes: Vec<u8>) -> Self {
        unsafe extern "C" fn release(buf: *mut dfp_buf) {
            // SAFETY: called once, with the struct that `from_vec` filled.
            unsafe {
                drop(Box::from_raw((*buf).private_data.cast::<Vec<u8>>()));
                buf.write(dfp_buf::default());
            }
        }
        let owned = Box::new(bytes);
        Self {
            data: owned.as_ptr(),
            len: owned.len(),
            release: Some(release),
            private_data: Box::into_raw(owned).cast(),
        }
    }

    /// A copy of the bytes; `None` if there are none to speak of.
    ///
    /// # Safety
    /// The struct was filled by the other side, by its rules, and is not yet released.
    pub unsafe fn to_vec(&self) -> Option<Vec<u8>> {
        // SAFETY: the caller's promise.
        unsafe { bytes(self.data, self.len) }.map(<[u8]>::to_vec)
    }
}

impl Drop for dfp_buf {
    fn drop(&mut self) {
        if let Some(release) = self.release {
            // SAFETY: whoever set it promised that it frees the struct; nothing can call it again after this.
            unsafe { release(self) };
        }
    }
}

#[cfg(test)]
// SAFETY of the calls below: every struct is a local one, filled a few lines above.
#[allow(clippy::undocumented_unsafe_blocks)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back_and_are_freed() {
        for sent in [vec![], vec![1, 2, 3]] {
            let buf = dfp_buf::from_vec(sent.clone());
            assert_eq!(unsafe { buf.to_vec() }, Some(sent));
        }
        assert_eq!(unsafe { dfp_buf::default().to_vec() }, None);
    }
}
