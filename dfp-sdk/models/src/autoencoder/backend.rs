//! Where networks are trained and evaluated: on the CPU here, or on what another crate drives.

use std::fmt::Debug;

use dfp_core::{FitContext, guarded_map};
use ndarray::Array2;

use super::config::Config;
use super::features::Prepared;
use super::fit::{self, Trained};
use super::network::Network;
use super::scaler::Scaler;
use super::{loss_scalers, score};
use crate::Result;

/// A network to train.
#[derive(Debug, Clone)]
pub struct Job<'a> {
    /// As it starts.
    pub network: Network,
    /// What it learns from.
    pub rows: &'a Prepared,
    /// What its loss is watched on.
    pub validation: Option<&'a Prepared>,
}

impl<'a> Job<'a> {
    /// The rows whose losses, once trained, others are compared with.
    pub fn statistics(&self, config: &Config) -> &'a Prepared {
        self.validation.filter(|_| config.use_val_for_loss_stats).unwrap_or(self.rows)
    }
}

/// Losses, predictions and signed z-scores, each `[rows, features]`; see [`score::Scores`].
#[derive(Debug, Clone)]
pub struct Evaluated {
    /// Loss of every row and feature; never NaN or infinite.
    pub losses: Array2<f32>,
    /// What the network makes of every row and feature.
    pub predicted: Array2<f32>,
    /// How far from usual every loss is; never NaN or infinite.
    pub z: Array2<f32>,
}

/// Trains and evaluates networks. What it computes is what [`Cpu`] computes, up to rounding.
pub trait Backend: Send + Sync + Debug {
    /// Whether it should be given as many networks at a time as there are: an accelerator has room for thousands.
    fn wants_many(&self) -> bool;

    /// Trains every job's network and fits the scaler of every feature's loss; answers are in the order of the jobs, and one
    /// job's failure is nobody else's.
    fn train(
        &self,
        config: &Config,
        jobs: Vec<Job<'_>>,
        context: &FitContext,
    ) -> Vec<dfp_core::Result<(Trained, Vec<Scaler>)>>;

    /// What went wrong since the last call although every job got its answer, such as a device that failed.
    fn take_failures(&self) -> Vec<String> {
        Vec::new()
    }

    /// Evaluates prepared rows.
    fn evaluate(&self, network: &Network, loss_scalers: &[Scaler], rows: &Prepared) -> Evaluated;
}

/// This machine's processor.
#[derive(Debug, Clone, Copy, Default)]
pub struct Cpu;

impl Cpu {
    pub(super) fn train_one(
        config: &Config,
        job: Job<'_>,
        threads: usize,
        context: &FitContext,
    ) -> Result<(Trained, Vec<Scaler>)> {
        let statistics = job.statistics(config);
        let trained = fit::train(job.network, config, job.rows, job.validation, threads, &context.cancel)?;
        let scalers = loss_scalers(config, &trained.network, statistics, threads);
        Ok((trained, scalers))
    }
}

impl Backend for Cpu {
    fn wants_many(&self) -> bool {
        false
    }

    fn train(
        &self,
        config: &Config,
        jobs: Vec<Job<'_>>,
        context: &FitContext,
    ) -> Vec<dfp_core::Result<(Trained, Vec<Scaler>)>> {
        let threads = context.threads.div_ceil(jobs.len().max(1));
        guarded_map(jobs.len(), context.threads, |nth| {
            Ok(Self::train_one(config, jobs[nth].clone(), threads, context)?)
        })
    }

    fn evaluate(&self, network: &Network, loss_scalers: &[Scaler], rows: &Prepared) -> Evaluated {
        let (losses, predicted) = score::losses_of(network, rows, 1);
        let z = score::z_scores(&losses, loss_scalers);
        Evaluated { losses, predicted, z }
    }
}
