//! Models that learn what is normal for an entity and score what it does.
#![forbid(unsafe_code)]

pub mod autoencoder;
mod error;

pub use error::{Error, Result};
