//! The `[model]` section of a pipeline file.

use std::ops::RangeInclusive;
use std::sync::Arc;

use dfp_core::Trainer;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::DetectorTrainer;
use crate::autoencoder::backend::{Backend, Cpu};
use crate::autoencoder::{self, AutoencoderTrainer};
use crate::{Error, Result, rarity};

/// Findings of `default` start here: what one normal entity-day in two hundred holds. On generated logs of 120 users
/// that was 18 to 34 records a day, incidents included.
const DEFAULT_THRESHOLD: f64 = 2.3;
/// What a unit of the autoencoder's surprise adds to the score.
const NETWORK_WEIGHT: f64 = 0.1;
/// What that can be.
pub(super) const WEIGHTS: RangeInclusive<f64> = 0.0..=10.0;
/// The reference's filter: mean absolute z-score.
const MORPHEUS_THRESHOLD: f64 = 2.0;

/// What to learn. In a pipeline file:
///
/// ```
/// let config: dfp_models::detector::Config = serde_json::from_str(r#"{ "preset": "default", "rarity": { "trust_days": 5 } }"#)?;
/// assert_eq!(config.rarity()?.trust_days, 5.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where every setting that is not given comes from.
    pub preset: Preset,
    /// Settings of the autoencoder that differ from the preset's: fields of
    /// [`autoencoder::Config`](crate::autoencoder::Config).
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub autoencoder: Map<String, Value>,
    /// Settings of the rarity model that differ from the preset's: fields of [`rarity::Config`](crate::rarity::Config).
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub rarity: Map<String, Value>,
    /// What one unit of the autoencoder's surprise adds to the score of `default`; 0 for rarity alone. 0.1 if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network_weight: Option<f64>,
}

/// A ready-made configuration.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Preset {
    /// Rarity and an autoencoder that learns, combined; made for finding incidents.
    #[default]
    Default,
    /// The reference's autoencoder alone, with the reference's defaults; made for comparison.
    Morpheus,
}

impl Config {
    /// A preset as it is.
    pub fn preset(preset: Preset) -> Self {
        Self { preset, ..Self::default() }
    }

    /// The autoencoder's settings.
    ///
    /// # Errors
    /// [`Error::Config`] if a setting is unknown, of a wrong type, or cannot work.
    pub fn autoencoder(&self) -> Result<autoencoder::Config> {
        let base = match self.preset {
            Preset::Default => super::network_config(),
            Preset::Morpheus => autoencoder::Config::morpheus(),
        };
        let config = overlaid(&base, &self.autoencoder, "model.autoencoder")?;
        config.validate()?;
        Ok(config)
    }

    /// The rarity model's settings.
    ///
    /// # Errors
    /// [`Error::Config`] if a setting is unknown, of a wrong type, or cannot work.
    pub fn rarity(&self) -> Result<rarity::Config> {
        let config = overlaid(&rarity::Config::default(), &self.rarity, "model.rarity")?;
        config.validate()?;
        Ok(config)
    }

    /// What one unit of the autoencoder's surprise adds.
    ///
    /// # Errors
    /// [`Error::Config`] if it cannot work.
    pub fn network_weight(&self) -> Result<f64> {
        let weight = self.network_weight.unwrap_or(NETWORK_WEIGHT);
        if !WEIGHTS.contains(&weight) {
            let (field, value) = ("model.network_weight", weight.to_string());
            return Err(Error::Config { field, value, accepted: "0 to 10" });
        }
        Ok(weight)
    }

    /// A trainer of these settings for the named feature columns.
    ///
    /// # Errors
    /// If a setting is unknown or cannot work, or no feature is named.
    pub fn trainer(&self, features: &[String]) -> dfp_core::Result<Box<dyn Trainer>> {
        self.trainer_on(features, Arc::new(Cpu))
    }

    /// The same, training on `backend`.
    ///
    /// # Errors
    /// As [`trainer`](Self::trainer).
    pub fn trainer_on(
        &self,
        features: &[String],
        backend: Arc<dyn Backend>,
    ) -> dfp_core::Result<Box<dyn Trainer>> {
        Ok(match self.preset {
            Preset::Default => Box::new(DetectorTrainer::new(self, features)?.on(backend)),
            Preset::Morpheus => Box::new(AutoencoderTrainer::new(self.autoencoder()?, features)?.on(backend)),
        })
    }

    /// The kind of the models, as their bytes say it.
    pub fn kind(&self) -> &'static str {
        match self.preset {
            Preset::Default => super::KIND,
            Preset::Morpheus => "autoencoder",
        }
    }

    /// The score above which a record is a finding, unless the pipeline says otherwise.
    pub fn default_threshold(&self) -> f64 {
        match self.preset {
            Preset::Default => DEFAULT_THRESHOLD,
            Preset::Morpheus => MORPHEUS_THRESHOLD,
        }
    }
}

/// `base` with some fields replaced.
fn overlaid<T: Serialize + for<'a> Deserialize<'a>>(
    base: &T,
    changes: &Map<String, Value>,
    section: &'static str,
) -> Result<T> {
    let wrong = |error: serde_json::Error| Error::Config {
        field: section,
        value: error.to_string(),
        accepted: "the settings that the documentation of this section lists",
    };
    let mut value = serde_json::to_value(base).map_err(wrong)?;
    for (field, change) in changes {
        value[field] = change.clone();
    }
    serde_json::from_value(value).map_err(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Config {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn a_preset_fills_what_is_not_given() {
        let morpheus = parse(r#"{ "preset": "morpheus", "autoencoder": { "epochs": 5 } }"#);
        let expected = autoencoder::Config { epochs: 5, ..autoencoder::Config::morpheus() };
        assert_eq!(morpheus.autoencoder().unwrap(), expected);
        assert_eq!((morpheus.kind(), morpheus.default_threshold()), ("autoencoder", 2.0));
        assert_eq!(parse("{}"), Config::preset(Preset::Default));
        assert_eq!(parse("{}").kind(), "detector");
    }

    #[test]
    fn wrong_settings_are_named() {
        for (text, name) in [
            (r#"{ "autoencoder": { "epoch": 5 } }"#, "epoch"),
            (r#"{ "autoencoder": { "learning_rate": -1 } }"#, "learning_rate"),
            (r#"{ "rarity": { "repeat_factor": 2 } }"#, "repeat_factor"),
            (r#"{ "rarity": { "trust_days": "x" } }"#, "model.rarity"),
            (r#"{ "network_weight": -1 }"#, "network_weight"),
        ] {
            let error = parse(text).trainer(&["app".to_owned()]).err().expect(text);
            assert!(error.to_string().contains(name), "{error}");
        }
        assert!(serde_json::from_str::<Config>(r#"{ "present": "default" }"#).is_err());
    }
}
