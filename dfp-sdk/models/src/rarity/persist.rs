//! Rarity models as bytes: safetensors with one tensor of JSON text, the metadata key `dfp` naming kind and format.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::table::Feature;
use super::{Background, Config, History, Rarity};
use crate::envelope::Envelope;
use crate::{Error, Result};

/// What this model is called in its metadata.
pub(super) const KIND: &str = "rarity";
/// Newest format this version writes and reads.
pub(super) const FORMAT: u64 = 1;
/// Name of the only tensor.
pub(super) const STATE: &str = "state";
/// Longest name of a type: a guard against names that nest without end.
const LONGEST_TYPE: usize = 40;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    config: Config,
    /// Name and Arrow type.
    features: Vec<(String, String)>,
    background: Background,
    entity: Vec<History>,
}

impl Rarity {
    /// The model as safetensors: the same model gives the same bytes.
    ///
    /// # Errors
    /// [`Error::Save`] if the state cannot be written as JSON.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let state = State {
            config: self.config.clone(),
            features: self.features.iter().map(|f| (f.name.clone(), f.dtype.to_string())).collect(),
            background: Background::clone(&self.background),
            entity: self.entity.clone(),
        };
        let state = serde_json::to_vec(&state).map_err(|e| Error::Save(e.to_string()))?;
        Envelope { kind: KIND, format: FORMAT }.pack(&[(STATE, &state)])
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote. Safe on any bytes.
    ///
    /// # Errors
    /// [`Error::Damaged`] if the bytes are not such a model, [`Error::TooNew`] if a newer version wrote them.
    pub fn load(bytes: &[u8]) -> Result<Self> {
        let damaged = |why: &str| Error::Damaged(why.to_owned());
        let parts = Envelope { kind: KIND, format: FORMAT }.unpack(bytes, &[STATE])?;
        let state: State = serde_json::from_slice(parts[0]).map_err(|e| Error::Damaged(e.to_string()))?;
        state.config.validate().map_err(|e| Error::Damaged(e.to_string()))?;
        let feature = |(name, dtype): &(String, String)| {
            let dtype = if dtype.len() <= LONGEST_TYPE { dtype.parse().ok() } else { None };
            let dtype = dtype.ok_or_else(|| damaged("a feature has no known type"))?;
            Feature::of(name, &dtype, &state.config).map_err(|e| Error::Damaged(e.to_string()))
        };
        let features: Vec<Feature> = state.features.iter().map(feature).collect::<Result<_>>()?;
        let State { config, background, entity, .. } = state;
        let complete = background.features.len() == features.len() && entity.len() == features.len();
        let valid =
            features.iter().zip(&background.features).all(|(f, population)| population.is_valid(f.kind))
                && features.iter().zip(&entity).all(|(f, history)| history.is_valid(f.kind))
                && background.combination.is_valid(features.len());
        if features.is_empty() || !complete || !valid {
            return Err(damaged("what was learned does not fit the features"));
        }
        Ok(Self { config, features, background: Arc::new(background), entity })
    }
}
