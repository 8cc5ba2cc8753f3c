//! The autoencoder: learns to predict every feature of a record from all of them; a record it predicts badly is unusual
//! (spec sections 10 to 12).
//!
//! [`AutoencoderTrainer`] and [`Autoencoder`] are all that most programs need. The modules below are public for
//! comparing with other implementations and for building others: each does one step of the way.

mod distinct;
mod kernels;
mod loss;
mod optimizer;
mod team;
#[cfg(test)]
#[allow(clippy::float_cmp)] // Equal means equal there.
mod tests;

pub mod activation;
pub mod backend;
pub mod config;
pub mod features;
pub mod fit;
pub mod network;
mod persist;
pub mod rng;
pub mod scaler;
pub mod score;
pub mod swap;

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use dfp_core::{FitContext, Model, Trainer, fit_each, parallel_map};

use backend::{Backend, Cpu, Job};
pub use config::{Config, Optimizer, ScalerChoice};
pub use score::Scores;

use crate::{Error, Result};
use features::{Feature, Features, Prepared};
use fit::{History, Trained};
use network::{Network, Shape};
use scaler::Scaler;

/// Fits autoencoders of one configuration on named features.
#[derive(Debug, Clone)]
pub struct AutoencoderTrainer {
    config: Config,
    features: Vec<String>,
    backend: Arc<dyn Backend>,
}

impl AutoencoderTrainer {
    /// A trainer for these feature columns. In the model they come in the order numeric, binary, categorical, each in
    /// the batch's order.
    ///
    /// # Errors
    /// [`Error::Config`] if a setting cannot work, [`Error::NothingToLearn`] if no feature is named.
    pub fn new(config: Config, features: impl IntoIterator<Item = impl Into<String>>) -> Result<Self> {
        config.validate()?;
        Ok(Self { config, features: crate::named(features)?, backend: Arc::new(Cpu) })
    }

    /// The same, training on `backend`; its models score there too.
    #[must_use]
    pub fn on(self, backend: Arc<dyn Backend>) -> Self {
        Self { backend, ..self }
    }

    /// Where it trains.
    pub fn backend(&self) -> &Arc<dyn Backend> {
        &self.backend
    }

    /// As [`Trainer::fit`], with the history of the losses.
    ///
    /// # Errors
    /// If there are no rows, a column is missing, the network would be too large, weights diverge, or the fit is
    /// cancelled.
    pub fn fit_with_history(
        &self,
        data: &RecordBatch,
        context: &FitContext,
    ) -> dfp_core::Result<(Autoencoder, History)> {
        let answers = self.fit_all(std::slice::from_ref(data), context);
        answers.into_iter().next().expect("one answer for one batch")
    }

    /// As [`Trainer::fit_many`], all at once, with the histories of the losses.
    pub fn fit_all(
        &self,
        groups: &[RecordBatch],
        context: &FitContext,
    ) -> Vec<dfp_core::Result<(Autoencoder, History)>> {
        let beginnings = parallel_map(groups.len(), context.threads, |nth| self.begin(&groups[nth]));
        let jobs = beginnings.iter().filter_map(|beginning| Some(beginning.as_ref().ok()?.job())).collect();
        let mut answers = self.backend.train(&self.config, jobs, context).into_iter();
        let finish = |beginning: Result<Beginning>| {
            let Beginning { features, rows, .. } = beginning?;
            let (trained, loss_scalers) = answers.next().expect("an answer for every job")?;
            let Trained { network, history, epochs, .. } = trained;
            let (config, backend) = (self.config.clone(), self.backend.clone());
            let rows = rows.rows;
            Ok((Autoencoder { config, features, network, loss_scalers, rows, epochs, backend }, history))
        };
        beginnings.into_iter().map(finish).collect()
    }

    /// Everything before the first step.
    fn begin(&self, data: &RecordBatch) -> Result<Beginning> {
        let held_out = self.held_out(data.num_rows());
        let rows = data.slice(0, data.num_rows() - held_out);
        if rows.num_rows() == 0 {
            return Err(Error::NothingToLearn("there are no rows"));
        }
        let features = Features::fit(&rows, &self.features, &self.config)?;
        let shape = Shape::new(features.list(), &self.config);
        shape.check()?;
        let network = Network::random(shape, self.config.seed);
        let validation = data.slice(rows.num_rows(), held_out);
        let validation = if held_out > 0 { Some(features.prepare(&validation)?) } else { None };
        let rows = features.prepare(&rows)?;
        Ok(Beginning { features, network, rows, validation })
    }

    /// Rows at the end kept out of training; at least one stays in.
    fn held_out(&self, rows: usize) -> usize {
        let wanted = (rows as f64 * self.config.validation_size).ceil() as usize;
        wanted.min(rows.saturating_sub(1))
    }
}

/// An autoencoder before training.
struct Beginning {
    features: Features,
    network: Network,
    rows: Prepared,
    validation: Option<Prepared>,
}

impl Beginning {
    fn job(&self) -> Job<'_> {
        Job { network: self.network.clone(), rows: &self.rows, validation: self.validation.as_ref() }
    }
}

impl Trainer for AutoencoderTrainer {
    fn fit(&self, data: &RecordBatch, context: &FitContext) -> dfp_core::Result<Arc<dyn Model>> {
        let (model, _) = self.fit_with_history(data, context)?;
        Ok(Arc::new(model))
    }

    fn fit_many(
        &self,
        groups: &[RecordBatch],
        context: &FitContext,
    ) -> Vec<dfp_core::Result<Arc<dyn Model>>> {
        if !self.backend.wants_many() {
            return fit_each(self, groups, context);
        }
        let answers = self.fit_all(groups, context).into_iter();
        answers.map(|answer| answer.map(|(model, _)| Arc::new(model) as Arc<dyn Model>)).collect()
    }

    fn load(&self, bytes: &[u8]) -> dfp_core::Result<Arc<dyn Model>> {
        Ok(Arc::new(Autoencoder::load(bytes)?.on(self.backend.clone())))
    }
}

/// A fitted autoencoder.
#[derive(Debug, Clone)]
pub struct Autoencoder {
    config: Config,
    features: Features,
    network: Network,
    loss_scalers: Vec<Scaler>,
    rows: usize,
    epochs: usize,
    backend: Arc<dyn Backend>,
}

impl Autoencoder {
    /// Trains `network` on prepared rows and takes the loss statistics.
    ///
    /// # Errors
    /// If there are no rows, weights diverge, or the fit is cancelled.
    pub fn train(
        config: &Config,
        features: Features,
        network: Network,
        train: &Prepared,
        validation: Option<&Prepared>,
        context: &FitContext,
    ) -> Result<(Self, History)> {
        let job = Job { network, rows: train, validation };
        let (trained, loss_scalers) = Cpu::train_one(config, job, context.threads, context)?;
        let Trained { network, history, epochs, .. } = trained;
        let (config, backend) = (config.clone(), Arc::new(Cpu));
        Ok((Self { config, features, network, loss_scalers, rows: train.rows, epochs, backend }, history))
    }

    /// A model of given weights, with the loss statistics of given rows.
    pub fn from_network(config: Config, features: Features, network: Network, rows: &Prepared) -> Self {
        let loss_scalers = loss_scalers(&config, &network, rows, 1);
        Self { config, features, network, loss_scalers, rows: rows.rows, epochs: 0, backend: Arc::new(Cpu) }
    }

    /// The same, scoring on `backend`.
    #[must_use]
    pub fn on(self, backend: Arc<dyn Backend>) -> Self {
        Self { backend, ..self }
    }

    /// The settings it was trained with.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The features in model order.
    pub fn features(&self) -> &[Feature] {
        self.features.list()
    }

    /// The features as they prepare and decode values.
    pub fn encoder(&self) -> &Features {
        &self.features
    }

    /// The network.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// The scaler of every feature's loss.
    pub fn loss_scalers(&self) -> &[Scaler] {
        &self.loss_scalers
    }

    /// Rows it was trained on.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Epochs it was trained for.
    pub fn epochs(&self) -> usize {
        self.epochs
    }

    /// Losses, z-scores and predictions of every row and feature.
    ///
    /// # Errors
    /// If a column is missing or of another kind than learned.
    pub fn scores(&self, batch: &RecordBatch) -> Result<Scores> {
        let rows = self.features.prepare(batch)?;
        Ok(score::score(&*self.backend, &self.network, &self.loss_scalers, &rows))
    }

    /// The result table (spec section 12), z-scores signed or absolute. Columns: `score` (the mean z), `<feature>_pred`,
    /// `<feature>_loss`, `<feature>_z_loss` for every feature, `max_abs_z`, `mean_abs_z`; the schema's metadata names
    /// the z-scores' scaler.
    ///
    /// # Errors
    /// If a column is missing or of another kind than learned.
    pub fn results(&self, batch: &RecordBatch, absolute: bool) -> Result<RecordBatch> {
        let scores = self.scores(batch)?;
        Ok(score::results(&self.features, self.config.loss_scaler, &scores, absolute))
    }
}

impl Model for Autoencoder {
    fn schema(&self) -> SchemaRef {
        self.features.schema()
    }

    fn score(&self, batch: &RecordBatch) -> dfp_core::Result<RecordBatch> {
        Ok(self.results(batch, true)?)
    }

    fn save(&self) -> dfp_core::Result<Vec<u8>> {
        Ok(self.to_bytes()?)
    }
}

/// Fits the loss scaler of every feature to the losses of rows without noise.
fn loss_scalers(config: &Config, network: &Network, rows: &Prepared, threads: usize) -> Vec<Scaler> {
    let distinct = distinct::Distinct::of(rows);
    let (losses, _) = score::losses_of(network, &distinct.rows, threads);
    let columns = losses.columns().into_iter().enumerate().map(|(feature, column)| {
        let losses: Vec<f64> = distinct.index.iter().map(|row| f64::from(column[*row as usize])).collect();
        Scaler::fit(config.loss_scaler, &losses, config.seed, feature as u32)
    });
    columns.collect()
}
