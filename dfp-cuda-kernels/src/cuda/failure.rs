//! What the driver's refusals mean to those who use a device.

use std::ffi::c_int;

use cust::error::CudaResult;
use cust::sys::CUresult;

use super::{NEEDED, shim};
use crate::device::{DeviceError, Result};

/// `CUDA_ERROR_OUT_OF_MEMORY`
const OUT_OF_MEMORY: c_int = 2;

/// `CUDA_ERROR_UNSUPPORTED_PTX_VERSION`
const UNSUPPORTED_PTX_VERSION: c_int = 222;

/// After these nothing of the context can be used any more, or the device itself is gone: driver shut down, device
/// unavailable, uncorrectable memory or link errors, every fault of a kernel, services lost, and errors without a name.
const LOST: &[c_int] =
    &[4, 46, 214, 220, 226, 700, 702, 709, 710, 714, 715, 716, 717, 718, 719, 805, 806, 810, 911, 999];

/// An answer of the driver, directly or through `cust`. What it was is looked up where the shim keeps it: `cust` knows fewer
/// reasons than the driver has.
pub(super) trait Answer<T>: Sized {
    /// The answer, with nothing more to say about it.
    fn or_failed(self) -> Result<T> {
        self.or_failed_for(0)
    }

    /// The answer to a wish for so many bytes.
    fn or_failed_for(self, bytes: usize) -> Result<T>;
}

impl<T> Answer<T> for CudaResult<T> {
    fn or_failed_for(self, bytes: usize) -> Result<T> {
        self.map_err(|_| failure(bytes))
    }
}

impl Answer<()> for CUresult {
    fn or_failed_for(self, bytes: usize) -> Result<()> {
        if self == CUresult::CUDA_SUCCESS { Ok(()) } else { Err(failure(bytes)) }
    }
}

impl Answer<()> for c_int {
    fn or_failed_for(self, bytes: usize) -> Result<()> {
        if self == 0 { Ok(()) } else { Err(failure(bytes)) }
    }
}

/// The last refusal on this thread.
fn failure(bytes: usize) -> DeviceError {
    let (call, code) = shim::refused();
    match code {
        OUT_OF_MEMORY => DeviceError::OutOfMemory { bytes },
        UNSUPPORTED_PTX_VERSION => DeviceError::TooOld {
            what: "CUDA driver".to_owned(),
            found: "of this machine".to_owned(),
            needed: NEEDED.to_owned(),
        },
        code if LOST.contains(&code) => DeviceError::Lost(format!("{call}: {}", shim::text(code))),
        code => DeviceError::Failed { call: call.to_owned(), text: shim::text(code) },
    }
}

/// Adds to a failure what it was about.
pub(super) fn about(what: &str) -> impl FnOnce(DeviceError) -> DeviceError {
    move |error| match error {
        DeviceError::Failed { call, text } => DeviceError::Failed { call: format!("{call} of {what}"), text },
        DeviceError::Lost(text) => DeviceError::Lost(format!("{text} ({what})")),
        other => other,
    }
}
