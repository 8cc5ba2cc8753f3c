//! Autoencoders of many entities trained and scored at once on a CUDA device.
//!
//! One entity's network is too small for a GPU; thousands are not. The kernels (`kernels/*.cu`, hand-written CUDA C++,
//! shipped as PTX) take a step of every entity in one launch. What they compute is what [`dfp_models::autoencoder`]
//! computes on the CPU, with the same random draws. [`CudaBackend`] is what a program hands to
//! [`AutoencoderTrainer::on`](dfp_models::autoencoder::AutoencoderTrainer::on).

#[cfg(feature = "cuda")]
pub mod cuda;
pub mod device;

mod backend;
mod evaluate;
mod group;
mod layout;
mod memory;
mod precision;
mod train;

pub use backend::{Counts, CudaBackend};
pub use evaluate::Evaluation;
pub use precision::{Precision, kernels};
