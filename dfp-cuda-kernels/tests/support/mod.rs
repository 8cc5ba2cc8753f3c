//! A device without a GPU: the kernels compiled as C++ and run by the emulator, for tests.
#![allow(dead_code, unused_imports)] // no test uses all of it

pub(crate) mod emulated;
pub(crate) mod program;

pub(crate) use self::emulated::{Emulated, Order, Settings};
pub(crate) use self::program::{Program, Variant};

use std::sync::Arc;

use dfp_cuda_kernels::device::Device;

/// The kernels that are tested.
pub(crate) const KERNELS: &str = "kernels/autoencoder.cu";

/// What runs the kernels: the CUDA device of the number in `DFP_CUDA_DEVICE` if that is set, else the emulator, if there is a
/// compiler for it.
pub(crate) fn device() -> Option<Arc<dyn Device>> {
    match std::env::var("DFP_CUDA_DEVICE") {
        Ok(number) => Some(cuda(&number)),
        Err(_) => emulated(&Settings::default()),
    }
}

/// An emulated device, of the variant that the environment asks for.
pub(crate) fn emulated(settings: &Settings) -> Option<Arc<dyn Device>> {
    Some(Arc::new(Emulated::new(&Program::new(KERNELS, Variant::wanted())?, settings)))
}

#[cfg(feature = "cuda")]
fn cuda(number: &str) -> Arc<dyn Device> {
    let index = number.parse().expect("DFP_CUDA_DEVICE is a number");
    dfp_cuda_kernels::cuda::open(index).expect("the device that DFP_CUDA_DEVICE names")
}

#[cfg(not(feature = "cuda"))]
fn cuda(_: &str) -> Arc<dyn Device> {
    panic!("DFP_CUDA_DEVICE needs the feature `cuda`")
}
