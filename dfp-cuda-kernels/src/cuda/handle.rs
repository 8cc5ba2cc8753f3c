//! What the driver makes and must be given back.

use std::ptr;

use cust::sys::CUresult;

use super::failure::Answer;
use crate::device::Result;

/// A module, stream, event, graph or piece of host memory, given back when dropped. The context it was made in must be
/// current then.
pub(super) struct Handle<T> {
    raw: *mut T,
    give_back: unsafe extern "C" fn(*mut T) -> CUresult,
}

// SAFETY: the driver's handles may be used from every thread on which their context is current, and it locks them.
unsafe impl<T> Send for Handle<T> {}
// SAFETY: the same.
unsafe impl<T> Sync for Handle<T> {}

impl<T> Handle<T> {
    /// What `make` makes.
    pub(super) fn new(
        give_back: unsafe extern "C" fn(*mut T) -> CUresult,
        make: impl FnOnce(*mut *mut T) -> CUresult,
    ) -> Result<Self> {
        let mut raw = ptr::null_mut();
        make(&raw mut raw).or_failed()?;
        Ok(Self { raw, give_back })
    }

    /// It, as the driver knows it.
    pub(super) fn raw(&self) -> *mut T {
        self.raw
    }
}

impl<T> Drop for Handle<T> {
    fn drop(&mut self) {
        // SAFETY: the handle came from the driver and is given back once. A failure has nobody to be told: what is lost with
        // its context is gone already.
        let _ = unsafe { (self.give_back)(self.raw) };
    }
}
