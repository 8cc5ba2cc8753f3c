//! Models that learn what is normal for an entity and score what it does.
#![forbid(unsafe_code)]

pub mod autoencoder;
pub mod detector;
mod envelope;
mod error;
pub mod rarity;
pub mod sequence;

pub use error::{Error, Result};

use std::sync::Arc;

use autoencoder::backend::{Backend, Cpu};
use dfp_core::Model;

/// Reads a model of any kind that [`Model::save`] wrote. Safe on any bytes.
///
/// # Errors
/// If the bytes are no model, or one of a kind or format that this version does not know.
pub fn load(bytes: &[u8]) -> dfp_core::Result<Arc<dyn Model>> {
    load_on(bytes, &(Arc::new(Cpu) as Arc<dyn Backend>))
}

/// The same, scoring on `backend` where the model can.
///
/// # Errors
/// As [`load`].
pub fn load_on(bytes: &[u8], backend: &Arc<dyn Backend>) -> dfp_core::Result<Arc<dyn Model>> {
    Ok(match envelope::kind_of(bytes)?.as_str() {
        "autoencoder" => Arc::new(autoencoder::Autoencoder::load(bytes)?.on(backend.clone())),
        "rarity" => Arc::new(rarity::Rarity::load(bytes)?),
        "sequence" => Arc::new(sequence::SequenceModel::load(bytes)?),
        "detector" => Arc::new(detector::Detector::load(bytes)?.on(backend.clone())),
        other => return Err(Error::Damaged(format!("models of kind `{other}` are unknown")).into()),
    })
}

/// The features that a trainer is to learn, at least one.
fn named(features: impl IntoIterator<Item = impl Into<String>>) -> Result<Vec<String>> {
    let features: Vec<String> = features.into_iter().map(Into::into).collect();
    if features.is_empty() { Err(Error::NothingToLearn("no feature is named")) } else { Ok(features) }
}
