//! What an autoencoder is built and trained with (spec sections 10 and 11).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::activation::Activation;
use super::scaler::ScalerKind;
use crate::{Error, Result};

/// Widest layer accepted: far above use, far below what exhausts memory.
const MAX_WIDTH: usize = 1 << 16;
/// Most layers accepted.
const MAX_LAYERS: usize = 64;
/// Layers of an encoder without widths.
const BARE_LAYERS: usize = 3;
/// Most categories of a feature accepted.
pub(super) const MAX_CATS: usize = (1 << 24) - 2;

/// Settings of an autoencoder. [`Config::default`] learns a user of some hundred records in a fraction of a second;
/// [`Config::morpheus`] is the reference's training stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Widths of the encoder's layers; empty for three layers of four times the input width.
    pub encoder_layers: Vec<usize>,
    /// Widths of the decoder's layers, between encoder and output heads.
    pub decoder_layers: Vec<usize>,
    /// Function after every layer.
    pub activation: Activation,
    /// Functions after the encoder's layers one by one, instead of `activation`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encoder_activations: Option<Vec<Activation>>,
    /// Functions after the decoder's layers one by one, instead of `activation`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decoder_activations: Option<Vec<Activation>>,
    /// Share of layer outputs set to 0 in training, 0 for none.
    pub dropout: f64,
    /// Swap-noise draws per row and column.
    pub swap_probability: f64,
    /// How weights follow gradients.
    pub optimizer: Optimizer,
    /// Step size at the start.
    pub learning_rate: f64,
    /// Factor on the step size after every epoch, 1 for none.
    pub learning_rate_decay: f64,
    /// Passes over the rows.
    pub epochs: usize,
    /// Rows an optimiser step learns from.
    pub batch_size: usize,
    /// Most optimiser steps of an epoch, 0 for any number: batches grow beyond `batch_size` to keep to it. Large batches
    /// are also what several threads share one fit by.
    pub max_steps: usize,
    /// Rows of a block whose mean loss counts once in the validation loss.
    pub eval_batch_size: usize,
    /// Whether every epoch deals all rows into new batches; if not, batches are always the same rows, in random order.
    pub shuffle_rows: bool,
    /// A value seen fewer times is `_other`.
    pub min_cats: usize,
    /// Most categories of a feature, the most frequent; further values are `_other`. Bounds what hostile data can
    /// make a fit cost.
    pub max_cats: usize,
    /// Scaler of numeric features.
    pub scaler: ScalerChoice,
    /// Scaler of losses.
    pub loss_scaler: ScalerKind,
    /// Share of the rows, the last ones, held out of training to watch the loss on, 0 for none.
    pub validation_size: f64,
    /// Stops after this many epochs in a row whose validation loss rose over the epoch before; 0 or less for never.
    pub patience: i64,
    /// Takes a negative patience as the reference does: stop at the first rise.
    pub literal_patience: bool,
    /// Takes loss statistics from the held-out rows instead of the training rows.
    pub use_val_for_loss_stats: bool,
    /// Seed of every random draw.
    pub seed: u64,
}

/// How weights follow gradients.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case", deny_unknown_fields)]
pub enum Optimizer {
    /// Stochastic gradient descent.
    Sgd {
        /// Share of the last step kept.
        #[serde(default)]
        momentum: f64,
        /// Looks ahead along the momentum.
        #[serde(default)]
        nesterov: bool,
        /// Share of the gradient left out of the momentum.
        #[serde(default)]
        dampening: f64,
        /// Pull of every weight towards 0.
        #[serde(default)]
        weight_decay: f64,
    },
    /// Adam (Kingma and Ba 2015), epsilon 1e-8.
    Adam {
        /// Memory of the gradient's mean and square.
        #[serde(default = "default_betas")]
        betas: (f64, f64),
        /// Never lets the square's memory fall (Reddi et al. 2018).
        #[serde(default)]
        amsgrad: bool,
        /// Pull of every weight towards 0, added to the gradient.
        #[serde(default)]
        weight_decay: f64,
    },
}

fn default_betas() -> (f64, f64) {
    (0.9, 0.999)
}

impl Optimizer {
    /// Plain gradient descent.
    pub const SGD: Self = Self::Sgd { momentum: 0.0, nesterov: false, dampening: 0.0, weight_decay: 0.0 };
    /// Adam with its usual settings.
    pub const ADAM: Self = Self::Adam { betas: (0.9, 0.999), amsgrad: false, weight_decay: 0.0 };
}

/// One scaler for all numeric features, or one each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ScalerChoice {
    /// The same for all.
    All(ScalerKind),
    /// By feature name; features not named get [`ScalerKind::GaussRank`], as in the reference.
    PerFeature(BTreeMap<String, ScalerKind>),
}

impl ScalerChoice {
    /// The scaler of a feature.
    pub fn of(&self, feature: &str) -> ScalerKind {
        match self {
            Self::All(kind) => *kind,
            Self::PerFeature(kinds) => kinds.get(feature).copied().unwrap_or(ScalerKind::GaussRank),
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            encoder_layers: vec![64, 32],
            decoder_layers: vec![64],
            activation: Activation::Relu,
            encoder_activations: None,
            decoder_activations: None,
            dropout: 0.0,
            swap_probability: 0.2,
            optimizer: Optimizer::ADAM,
            learning_rate: 2e-3,
            learning_rate_decay: 0.98,
            epochs: 60,
            batch_size: 64,
            max_steps: 200,
            eval_batch_size: 1024,
            shuffle_rows: true,
            min_cats: 1,
            max_cats: 2000,
            scaler: ScalerChoice::All(ScalerKind::Standard),
            loss_scaler: ScalerKind::Standard,
            validation_size: 0.0,
            patience: 0,
            literal_patience: false,
            use_val_for_loss_stats: false,
            seed: 42,
        }
    }
}

impl Config {
    /// The defaults of the reference's training stage. They hardly move the loss of a user with 300 records (spec
    /// section 26); use them to compare, not to detect.
    pub fn morpheus() -> Self {
        Self {
            encoder_layers: vec![512, 500],
            decoder_layers: vec![512],
            optimizer: Optimizer::SGD,
            learning_rate: 1e-3,
            learning_rate_decay: 0.99,
            epochs: 30,
            batch_size: 512,
            max_steps: 0,
            shuffle_rows: false,
            max_cats: MAX_CATS,
            patience: -1,
            ..Self::default()
        }
    }

    /// Refuses values that cannot work.
    ///
    /// # Errors
    /// [`Error::Config`], naming the field, the value and what is accepted.
    pub fn validate(&self) -> Result<()> {
        for (field, layers) in
            [("encoder_layers", &self.encoder_layers), ("decoder_layers", &self.decoder_layers)]
        {
            let fits = layers.len() <= MAX_LAYERS && layers.iter().all(|w| (1..=MAX_WIDTH).contains(w));
            check(fits, field, layers, "at most 64 widths between 1 and 65536")?;
        }
        let encoder_depth = self.encoder_depth();
        for (field, list, layers) in [
            ("encoder_activations", &self.encoder_activations, encoder_depth),
            ("decoder_activations", &self.decoder_activations, self.decoder_layers.len()),
        ] {
            check(list.as_ref().is_none_or(|l| l.len() == layers), field, list, "one activation a layer")?;
        }
        check((0.0..1.0).contains(&self.dropout), "dropout", self.dropout, "0 to below 1")?;
        check(
            (0.0..=1.0).contains(&self.swap_probability),
            "swap_probability",
            self.swap_probability,
            "0 to 1",
        )?;
        let positive = |x: f64| x.is_finite() && x > 0.0;
        check(positive(self.learning_rate), "learning_rate", self.learning_rate, "a number above 0")?;
        let decays = positive(self.learning_rate_decay) && self.learning_rate_decay <= 1.0;
        check(decays, "learning_rate_decay", self.learning_rate_decay, "above 0 to 1")?;
        let in_u32 = |n: usize| u32::try_from(n).is_ok();
        check(self.epochs < 1 << 31, "epochs", self.epochs, "below 2^31")?;
        check(
            self.batch_size > 0 && in_u32(self.batch_size),
            "batch_size",
            self.batch_size,
            "1 to 2^32 - 1",
        )?;
        check(self.eval_batch_size > 0, "eval_batch_size", self.eval_batch_size, "at least 1")?;
        check(self.min_cats > 0, "min_cats", self.min_cats, "at least 1")?;
        check(
            (0.0..1.0).contains(&self.validation_size),
            "validation_size",
            self.validation_size,
            "0 to below 1",
        )?;
        let can_use_validation = !self.use_val_for_loss_stats || self.validation_size > 0.0;
        check(
            can_use_validation,
            "use_val_for_loss_stats",
            true,
            "true only with a validation_size above 0",
        )?;
        self.optimizer.validate()
    }

    /// Rows of a batch when there are `rows` in all.
    pub fn batch_rows(&self, rows: usize) -> usize {
        let enough = if self.max_steps > 0 { rows.div_ceil(self.max_steps) } else { 0 };
        self.batch_size.max(enough).min(rows)
    }

    fn encoder_depth(&self) -> usize {
        if self.encoder_layers.is_empty() { BARE_LAYERS } else { self.encoder_layers.len() }
    }

    /// Width and activation of every layer before the heads, for an input of `input` numbers; and how many of them are
    /// the encoder's.
    pub(super) fn layers(&self, input: usize) -> (Vec<(usize, Activation)>, usize) {
        let encoder = match &self.encoder_layers[..] {
            [] => &[4 * input; BARE_LAYERS][..],
            layers => layers,
        };
        let activations = |list: &Option<Vec<Activation>>, n: usize| {
            list.clone().unwrap_or_else(|| vec![self.activation; n])
        };
        let mut functions = activations(&self.encoder_activations, encoder.len());
        functions.extend(activations(&self.decoder_activations, self.decoder_layers.len()));
        let widths = encoder.iter().chain(&self.decoder_layers).copied();
        (widths.zip(functions).collect(), encoder.len())
    }
}

impl Optimizer {
    fn validate(&self) -> Result<()> {
        let share = |x: f64| (0.0..1.0).contains(&x);
        match *self {
            Self::Sgd { momentum, nesterov, dampening, weight_decay } => {
                check(share(momentum), "optimizer.momentum", momentum, "0 to below 1")?;
                check((0.0..=1.0).contains(&dampening), "optimizer.dampening", dampening, "0 to 1")?;
                let ahead = !nesterov || (momentum > 0.0 && dampening == 0.0);
                check(
                    ahead,
                    "optimizer.nesterov",
                    nesterov,
                    "true only with momentum and without dampening",
                )?;
                check(share(weight_decay), "optimizer.weight_decay", weight_decay, "0 to below 1")
            }
            Self::Adam { betas, weight_decay, .. } => {
                check(
                    share(betas.0) && share(betas.1),
                    "optimizer.betas",
                    betas,
                    "two numbers of 0 to below 1",
                )?;
                check(share(weight_decay), "optimizer.weight_decay", weight_decay, "0 to below 1")
            }
        }
    }
}

fn check(
    holds: bool,
    field: &'static str,
    value: impl std::fmt::Debug,
    accepted: &'static str,
) -> Result<()> {
    if holds { Ok(()) } else { Err(Error::Config { field, value: format!("{value:?}"), accepted }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presets_are_valid_and_survive_json() {
        for config in [Config::default(), Config::morpheus()] {
            config.validate().unwrap();
            let text = serde_json::to_string(&config).unwrap();
            assert_eq!(serde_json::from_str::<Config>(&text).unwrap(), config);
        }
    }

    #[test]
    fn fields_left_out_keep_their_defaults_and_unknown_ones_are_refused() {
        let config: Config = serde_json::from_str(r#"{"epochs": 3, "scaler": {"n": "none"}}"#).unwrap();
        assert_eq!((config.epochs, config.batch_size), (3, Config::default().batch_size));
        assert_eq!((config.scaler.of("n"), config.scaler.of("m")), (ScalerKind::None, ScalerKind::GaussRank));
        let error = serde_json::from_str::<Config>(r#"{"epoch": 3}"#).unwrap_err().to_string();
        assert!(error.contains("epoch"), "{error}");
        assert!(
            serde_json::from_str::<Config>(r#"{"optimizer": {"name": "adam", "momentum": 0.9}}"#).is_err()
        );
    }

    #[test]
    fn batches_grow_with_the_rows() {
        let config = Config { batch_size: 10, max_steps: 4, ..Config::default() };
        assert_eq!([7, 40, 41, 400].map(|rows| config.batch_rows(rows)), [7, 10, 11, 100]);
        assert_eq!(Config { max_steps: 0, ..config }.batch_rows(400), 10);
    }

    #[test]
    fn values_that_cannot_work_are_named() {
        type Spoil = fn(&mut Config);
        let cases: &[(&str, Spoil)] = &[
            ("encoder_layers", |c| c.encoder_layers = vec![0]),
            ("encoder_activations", |c| c.encoder_activations = Some(vec![Activation::Relu])),
            ("dropout", |c| c.dropout = 1.0),
            ("swap_probability", |c| c.swap_probability = f64::NAN),
            ("learning_rate", |c| c.learning_rate = 0.0),
            ("learning_rate_decay", |c| c.learning_rate_decay = 1.5),
            ("batch_size", |c| c.batch_size = 0),
            ("min_cats", |c| c.min_cats = 0),
            ("validation_size", |c| c.validation_size = 1.0),
            ("use_val_for_loss_stats", |c| c.use_val_for_loss_stats = true),
            ("optimizer.nesterov", |c| {
                c.optimizer =
                    Optimizer::Sgd { momentum: 0.0, nesterov: true, dampening: 0.0, weight_decay: 0.0 };
            }),
        ];
        for (field, spoil) in cases {
            let mut config = Config::default();
            spoil(&mut config);
            let error = config.validate().unwrap_err().to_string();
            assert!(error.contains(field), "{field}: {error}");
        }
    }
}
