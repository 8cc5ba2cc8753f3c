//! The detector: rarity and an autoencoder, each calibrated on days it has not learned from, combined.
//!
//! Rarity carries the score: see [`crate::rarity`] for what it counts. The autoencoder adds what rarity cannot see, values
//! that are usual one by one but not together: its error is compared with the entity's own errors on days that were held
//! out of its training. What was tried, with figures, is in `docs/detection.md`.

mod config;
#[cfg(test)]
#[allow(clippy::float_cmp)] // Equal means equal there.
mod tests;

use std::sync::{Arc, Mutex};

use arrow_array::cast::AsArray;
use arrow_array::types::Float32Type;
use arrow_array::{ArrayRef, BooleanArray, Float64Array, RecordBatch};
use arrow_schema::SchemaRef;
use arrow_select::filter::filter_record_batch;
use dfp_core::{FitContext, Model, SCORE, Trainer, fit_each, guarded_map};
use serde::{Deserialize, Serialize};

use crate::autoencoder::backend::Backend;
use crate::autoencoder::{self, Autoencoder, AutoencoderTrainer};
use crate::envelope::Envelope;
use crate::rarity::{Judged, Rarity, RarityTrainer, Tail, days_of, shares_column};
use crate::{Error, Result};
pub use config::{Config, Preset};

/// What this model is called in its metadata.
const KIND: &str = "detector";
/// Newest format this version writes and reads.
const FORMAT: u64 = 1;
/// Names of the tensors: both models as they save themselves, and how to combine them.
const PARTS: [&str; 3] = ["rarity", "autoencoder", "calibration"];
/// Every so many days, one is held out of the autoencoder's training to calibrate it.
const HELD_OUT_EVERY: i64 = 5;
/// Rows the autoencoder learns from; of more, evenly spaced ones are taken.
const MOST_ROWS: usize = 4000;
/// Surprise of the autoencoder that adds nothing: one day in seven has it.
const NETWORK_ORDINARY: f64 = 2.0;
/// Most that the autoencoder adds, in nats of its own surprise: beyond, an error says no more than "unseen".
const NETWORK_MOST: f64 = 12.0;

/// The autoencoder of the `default` preset: small and quick, since there is one per entity.
fn network_config() -> autoencoder::Config {
    autoencoder::Config { epochs: 15, ..autoencoder::Config::default() }
}

/// Fits detectors.
#[derive(Debug, Clone)]
pub struct DetectorTrainer {
    rarity: RarityTrainer,
    network: AutoencoderTrainer,
    network_weight: f64,
}

impl DetectorTrainer {
    /// A trainer for these feature columns.
    ///
    /// # Errors
    /// [`Error::Config`] if a setting cannot work, [`Error::NothingToLearn`] if no feature is named.
    pub fn new(config: &Config, features: &[String]) -> Result<Self> {
        let rarity = RarityTrainer::new(config.rarity()?, features)?;
        let network = AutoencoderTrainer::new(config.autoencoder()?, features)?;
        Ok(Self { rarity, network, network_weight: config.network_weight()? })
    }

    /// Fits a detector to rows of one entity, or of many if the batch has the column `_entity`.
    ///
    /// # Errors
    /// If there are no rows, a column is missing or of a wrong type, the population does not fit, or the fit is
    /// cancelled.
    pub fn fit_detector(
        &self,
        data: &RecordBatch,
        population: Option<&Detector>,
        context: &FitContext,
    ) -> dfp_core::Result<Detector> {
        let beginning = self.begin(data, population, context)?;
        let (network, _) = self.network.fit_with_history(&beginning.learned, context)?;
        Ok(self.finish(beginning, network)?)
    }

    /// All that does not need the autoencoder.
    fn begin(
        &self,
        data: &RecordBatch,
        population: Option<&Detector>,
        context: &FitContext,
    ) -> Result<Beginning> {
        let rarity = self.rarity.fit_rarity(data, population.map(|model| &model.rarity), context)?;
        let days = days_of(data)?;
        let held_out: Vec<bool> = days.iter().map(|day| day.rem_euclid(HELD_OUT_EVERY) == 0).collect();
        let learned = thinned(&held_out.iter().map(|out| !out).collect::<Vec<_>>());
        let checked = thinned(&held_out);
        let all = !learned.contains(&true) || !checked.contains(&true);
        let pick = |rows: &[bool]| -> Result<RecordBatch> {
            let rows = if all { thinned(&vec![true; rows.len()]) } else { rows.to_vec() };
            filter_record_batch(data, &BooleanArray::from(rows)).map_err(|e| Error::Damaged(e.to_string()))
        };
        Ok(Beginning { rarity, learned: pick(&learned)?, checked: pick(&checked)? })
    }

    /// Calibrates the autoencoder on the days held out of its training.
    fn finish(&self, Beginning { rarity, checked, .. }: Beginning, network: Autoencoder) -> Result<Detector> {
        let errors = network.results(&checked, true)?;
        let errors: Vec<f64> = float32(&errors, "mean_abs_z")?.iter().map(|z| f64::from(*z)).collect();
        let tail = Tail::fit(daily_maxima(&days_of(&checked)?, &errors));
        Ok(Detector { rarity, network, calibration: Calibration { tail, weight: self.network_weight } })
    }

    /// The same, its autoencoders training and scoring on `backend`.
    #[must_use]
    pub fn on(self, backend: Arc<dyn Backend>) -> Self {
        Self { network: self.network.on(backend), ..self }
    }
}

/// A detector before its autoencoder.
struct Beginning {
    rarity: Rarity,
    /// Rows that the autoencoder learns from, and those that it is calibrated on.
    learned: RecordBatch,
    checked: RecordBatch,
}

impl Trainer for DetectorTrainer {
    fn fit(&self, data: &RecordBatch, context: &FitContext) -> dfp_core::Result<Arc<dyn Model>> {
        let population = context.population.as_deref().map(Detector::load).transpose()?;
        Ok(Arc::new(self.fit_detector(data, population.as_ref(), context)?))
    }

    fn fit_many(
        &self,
        groups: &[RecordBatch],
        context: &FitContext,
    ) -> Vec<dfp_core::Result<Arc<dyn Model>>> {
        if !self.network.backend().wants_many() {
            return fit_each(self, groups, context);
        }
        let Ok(population) = context.population.as_deref().map(Detector::load).transpose() else {
            // Each answer needs an error of its own.
            return fit_each(self, groups, context);
        };
        let single = FitContext { threads: 1, ..context.clone() };
        let begin = |nth: usize| Ok(self.begin(&groups[nth], population.as_ref(), &single)?);
        let beginnings = guarded_map(groups.len(), context.threads, begin);
        let learned: Vec<RecordBatch> =
            beginnings.iter().flatten().map(|half| half.learned.clone()).collect();
        let mut networks = self.network.fit_all(&learned, context).into_iter();
        let pair = |beginning: dfp_core::Result<Beginning>| -> dfp_core::Result<_> {
            let beginning = beginning?;
            let (network, _) = networks.next().expect("an answer for every beginning")?;
            Ok((beginning, network))
        };
        let pairs: Vec<_> = beginnings.into_iter().map(pair).map(|pair| Mutex::new(Some(pair))).collect();
        guarded_map(pairs.len(), context.threads, |nth| {
            let pair = pairs[nth].lock().expect("taken once").take().expect("taken once");
            let (beginning, network) = pair?;
            Ok(Arc::new(self.finish(beginning, network)?) as Arc<dyn Model>)
        })
    }

    fn load(&self, bytes: &[u8]) -> dfp_core::Result<Arc<dyn Model>> {
        let detector = Detector::load(bytes)?;
        let network = detector.network.on(self.network.backend().clone());
        Ok(Arc::new(Detector { network, ..detector }))
    }
}

/// Of the marked rows, at most [`MOST_ROWS`], evenly spaced.
fn thinned(marked: &[bool]) -> Vec<bool> {
    let total = marked.iter().filter(|marked| **marked).count().max(1);
    let mut seen = 0;
    let keep = marked.iter().map(|marked| {
        let turn = (seen * MOST_ROWS) / total;
        seen += usize::from(*marked);
        *marked && (total <= MOST_ROWS || (seen * MOST_ROWS) / total > turn)
    });
    keep.collect()
}

/// The largest number of each run of rows of one day.
fn daily_maxima(days: &[i64], numbers: &[f64]) -> Vec<f64> {
    let mut maxima: Vec<(i64, f64)> = Vec::new();
    for (day, number) in days.iter().zip(numbers) {
        match maxima.last_mut() {
            Some((last, max)) if last == day => *max = max.max(*number),
            _ => maxima.push((*day, *number)),
        }
    }
    maxima.into_iter().map(|(_, max)| max).collect()
}

/// A fitted detector.
#[derive(Debug, Clone)]
pub struct Detector {
    rarity: Rarity,
    network: Autoencoder,
    calibration: Calibration,
}

/// What the autoencoder's errors mean.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Calibration {
    /// Of its errors on days held out of its training.
    tail: Tail,
    /// What a nat of its surprise beyond [`NETWORK_ORDINARY`] adds to the score, in nats.
    weight: f64,
}

impl Detector {
    /// The part that counts.
    pub fn rarity(&self) -> &Rarity {
        &self.rarity
    }

    /// The part that predicts.
    pub fn autoencoder(&self) -> &Autoencoder {
        &self.network
    }

    /// The same, its autoencoder scoring on `backend`.
    #[must_use]
    pub fn on(self, backend: Arc<dyn Backend>) -> Self {
        Self { network: self.network.on(backend), ..self }
    }

    /// Reads what [`Model::save`] wrote. Safe on any bytes.
    ///
    /// # Errors
    /// [`Error::Damaged`] if the bytes are not such a model, [`Error::TooNew`] if a newer version wrote them.
    pub fn load(bytes: &[u8]) -> Result<Self> {
        let parts = Envelope { kind: KIND, format: FORMAT }.unpack(bytes, &PARTS)?;
        let calibration: Calibration =
            serde_json::from_slice(parts[2]).map_err(|e| Error::Damaged(e.to_string()))?;
        let (rarity, network) = (Rarity::load(parts[0])?, Autoencoder::load(parts[1])?);
        let known = |name: &str| network.features().iter().any(|feature| feature.name == name);
        if !calibration.tail.is_valid()
            || !config::WEIGHTS.contains(&calibration.weight)
            || !rarity.features().all(known)
        {
            return Err(Error::Damaged("the parts of the detector do not fit each other".to_owned()));
        }
        Ok(Self { rarity, network, calibration })
    }

    /// Adds what the autoencoder thinks, told to features by their z-scores.
    fn add_network(&self, judged: &mut Judged, errors: &RecordBatch, z_scores: &[&[f32]]) -> Result<()> {
        let means = float32(errors, "mean_abs_z")?;
        for (row, mean) in means.iter().enumerate() {
            let surprise = self.calibration.tail.surprise(f64::from(*mean)).min(NETWORK_MOST);
            let nats = self.calibration.weight * (surprise - NETWORK_ORDINARY).max(0.0);
            let score = nats / std::f64::consts::LN_10;
            judged.scores[row] += score;
            let total: f64 = z_scores.iter().map(|z| f64::from(z[row].max(0.0))).sum();
            if total > 0.0 && score > 0.0 {
                for (share, z) in judged.shares.iter_mut().zip(z_scores) {
                    share[row] += score * f64::from(z[row].max(0.0)) / total;
                }
            }
        }
        Ok(())
    }
}

fn float32<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a [f32]> {
    let column = batch.column_by_name(name).and_then(|column| column.as_primitive_opt::<Float32Type>());
    let column = column.ok_or_else(|| Error::MissingColumn { column: name.to_owned() })?;
    Ok(column.values())
}

impl Model for Detector {
    fn schema(&self) -> SchemaRef {
        self.rarity.schema()
    }

    /// Columns: `score`; per feature, in the order they were named, `<feature>_pred` (what is usual for the entity),
    /// `<feature>_loss` and `<feature>_z_loss` (the autoencoder's) and `<feature>_surprise` (its share in the score);
    /// `max_abs_z` and `mean_abs_z`. The score is -log10 of the share of normal entity-days that hold a record this
    /// unusual, a little more where the autoencoder is surprised as well, and less for repeats within the same batch.
    fn score(&self, batch: &RecordBatch) -> dfp_core::Result<RecordBatch> {
        let (mut judged, expected) = self.rarity.judge(batch)?;
        let errors = self.network.results(batch, true)?;
        let names: Vec<&str> = self.rarity.features().collect();
        let z_scores: Result<Vec<&[f32]>> =
            names.iter().map(|name| float32(&errors, &format!("{name}_z_loss"))).collect();
        self.add_network(&mut judged, &errors, &z_scores?)?;
        judged.damp_repeats(self.rarity.config());

        let of_network = |name: String| {
            let column = errors.column_by_name(&name).cloned();
            column.map(|column| (name.clone(), column, true)).ok_or(Error::MissingColumn { column: name })
        };
        let scores: ArrayRef = Arc::new(Float64Array::from(judged.scores));
        let mut columns = vec![(SCORE.to_owned(), scores, false)];
        for ((name, expected), shares) in names.iter().zip(expected).zip(&judged.shares) {
            columns.push((format!("{name}_pred"), expected, true));
            columns.push(of_network(format!("{name}_loss"))?);
            columns.push(of_network(format!("{name}_z_loss"))?);
            columns.push((format!("{name}_surprise"), shares_column(shares), true));
        }
        columns.push(of_network("max_abs_z".to_owned())?);
        columns.push(of_network("mean_abs_z".to_owned())?);
        Ok(RecordBatch::try_from_iter_with_nullable(columns)?)
    }

    fn save(&self) -> dfp_core::Result<Vec<u8>> {
        let calibration = serde_json::to_vec(&self.calibration).map_err(|e| Error::Save(e.to_string()))?;
        let (rarity, network) = (self.rarity.to_bytes()?, self.network.to_bytes()?);
        let bytes: [&[u8]; 3] = [&rarity, &network, &calibration];
        let parts: Vec<(&str, &[u8])> = PARTS.into_iter().zip(bytes).collect();
        Ok(Envelope { kind: KIND, format: FORMAT }.pack(&parts)?)
    }
}
