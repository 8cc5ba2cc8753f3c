//! Training: new records join the history, and every entity with enough of it gets a new model.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::Arc;

use arrow_array::{BooleanArray, RecordBatch};
use arrow_select::concat::concat_batches;
use dfp_core::{Counts, Error, ErrorKind, FitContext, Host, Model, Reject, Result, Trainer, reason};
use dfp_prep::derive::Deriver;
use dfp_prep::{MaxHistory, split, window};
use dfp_store::{EntityInfo, ModelDetails, Publication, Store, day_of, model_name};
use serde::Serialize;

use crate::Progress;
use crate::config::{TrainUsers, threads};
use crate::device::tell_failures;
use crate::finding::{strings, times};
use crate::run::{
    Collect, Input, RejectLines, Run, StepTime, Steps, Warnings, add_counters, check_counts, finish,
    reject_all, without_written,
};
use crate::stream::Reader;

/// Reason of rejects: the entity's stored history is damaged or too large, and so cannot take them.
pub const NOT_STORED: &str = "not-stored";

/// What a reject says of a record of a day that its entity's history has let go.
pub(crate) const TOO_OLD: &str = "older than the history that is kept";

/// Models fitted at once: enough to keep the threads busy, few enough to bound memory.
const FITS_IN_FLIGHT_PER_THREAD: usize = 8;

/// The same where an accelerator fits them.
const FITS_IN_FLIGHT: usize = 1024;

/// What a training run did.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct TrainReport {
    /// Records read, used and rejected.
    pub counts: Counts,
    /// What else was counted, such as values that could not be read and records without user that were kept.
    pub counters: BTreeMap<String, u64>,
    /// Models of single entities trained and published.
    pub trained: usize,
    /// Whether the shared model was trained.
    pub generic: bool,
    /// Entities asked for without a new model: too few records in all, or too few new ones.
    pub waiting: usize,
    /// Entities whose fit failed, or whose stored history is damaged or too large, and why. Their earlier models, if any,
    /// stay in force.
    pub failed: BTreeMap<String, String>,
    /// Where the time went.
    pub steps: Vec<StepTime>,
}

impl TrainReport {
    /// What the store answered about one entity; `None` if that failed for this entity alone, which is then reported.
    fn of_entity<T>(
        &mut self,
        entity: &str,
        answer: dfp_store::Result<T>,
        progress: &mut dyn Progress,
    ) -> Result<Option<T>> {
        match answer {
            Ok(answer) => Ok(Some(answer)),
            Err(error) if error.is_local() => {
                self.fail(entity, &error, progress);
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    fn fail(&mut self, entity: &str, error: &dyn Display, progress: &mut dyn Progress) {
        progress.warn(&format!("no new model for {entity}: {error}"));
        self.failed.insert(entity.to_owned(), error.to_string());
    }
}

impl Run {
    /// Reads the inputs into the history and trains. Everything is published in one transaction at the end: a run that
    /// fails, is cancelled or is killed leaves the store as it was.
    ///
    /// A source that reads no files goes on where the last training came to, and where this one comes to is published with
    /// the rest. Once an inference has read from it, training does not any more, and learns from the history alone, which
    /// inference adds to: what only training had read would never be scored.
    ///
    /// # Errors
    /// If an input cannot be read, the store cannot be written, or the run is cancelled. One entity's failed fit is no
    /// error; it is in the report.
    pub fn train(&self, progress: &mut dyn Progress) -> Result<TrainReport> {
        let input = self.input()?;
        let backend = self.config.train.device.open(self.config.train.precision, progress)?;
        let trainer = self.config.model.trainer_on(&self.profile.features, backend.clone())?;
        let store = Store::open(&self.config.store.path)?;
        let mut publication = store.publication()?;
        let mut report = TrainReport::default();
        let mut steps = Steps::default();

        steps.time("read", || {
            match &input {
                Input::Files(periods) => self.ingest(periods, &mut publication, &mut report, progress)?,
                Input::Stream => self.ingest_stream(&mut publication, &mut report, progress)?,
            }
            self.trim(&mut publication, &mut report, progress)
        })?;
        let population = steps.time("fit shared model", || {
            self.fit_generic(&*trainer, &mut publication, &mut report, progress)
        })?;
        if self.config.train.users != TrainUsers::Generic {
            let at_once = if backend.wants_many() {
                FITS_IN_FLIGHT
            } else {
                threads(self.config.train.threads) * FITS_IN_FLIGHT_PER_THREAD
            };
            steps.time("fit", || {
                self.fit_entities(&*trainer, at_once, &mut publication, population, &mut report, progress)
            })?;
        }
        tell_failures(&*backend, &mut report.counters, progress);
        steps.time("publish", || {
            self.cancel.check("publishing the models")?;
            publication.log_run(&serde_json::json!({
                "counts": report.counts,
                "trained": report.trained,
                "failed": report.failed,
            }))?;
            Ok(publication.commit()?)
        })?;
        report.steps = steps.0;
        Ok(report)
    }

    /// Adds the inputs' records to the history, a period at a time, each record once.
    fn ingest(
        &self,
        periods: &[Vec<String>],
        publication: &mut Publication,
        report: &mut TrainReport,
        progress: &mut dyn Progress,
    ) -> Result<()> {
        let reject_file = self.reject_file()?;
        let warnings = Warnings::default();
        let files: usize = periods.iter().map(Vec::len).sum();
        progress.begin("reading", Some(files as u64), "files");
        for period in periods {
            let host = self.host(reject_file.clone().map(|file| file as RejectLines), &warnings)?;
            let mut loaded = Collect::default();
            self.read_period(period, &host, &mut loaded)?;
            let used = self.remember(publication, &*host, loaded.concat()?, report, progress)?;
            let counts = host.counts(used);
            check_counts(&counts)?;
            report.counts.add(&counts);
            add_counters(&mut report.counters, host.counters());
            warnings.show(progress);
            progress.advance(period.len() as u64);
        }
        finish(reject_file)?;
        progress.end();
        Ok(())
    }

    /// Adds the records to the history that the source gives since the last training, each once.
    fn ingest_stream(
        &self,
        publication: &mut Publication,
        report: &mut TrainReport,
        progress: &mut dyn Progress,
    ) -> Result<()> {
        let (source, reader) = (&self.profile.name, self.reader(Reader::Train));
        let resume = if self.choice.from_start {
            None
        } else if publication.position(source, &self.reader(Reader::Infer))?.is_some() {
            progress.warn(
                "nothing is read: inference takes what this source has to give, and training learns from the history",
            );
            return Ok(());
        } else {
            publication.position(source, &reader)?
        };
        let reject_file = self.reject_file()?;
        let warnings = Warnings::default();
        let host = self.host(reject_file.clone().map(|file| file as RejectLines), &warnings)?;
        let mut feed = self.feed(Reader::Train, &host, resume)?;
        let mut used = 0;
        progress.begin("reading", None, "records");
        while let Some(period) = feed.next()? {
            used += self.remember(publication, &*host, period.rows, report, progress)?;
            warnings.show(progress);
            progress.advance(period.records as u64);
        }
        if let Some(position) = feed.position() {
            publication.set_position(source, &reader, position)?;
        }
        report.counts = host.counts(used);
        check_counts(&report.counts)?;
        report.counters = host.counters();
        finish(reject_file)?;
        progress.end();
        Ok(())
    }

    /// Adds loaded rows to the history; answers with how many were new. The others are rejected.
    fn remember(
        &self,
        publication: &mut Publication,
        host: &dyn Host,
        loaded: RecordBatch,
        report: &mut TrainReport,
        progress: &mut dyn Progress,
    ) -> Result<u64> {
        let mut used = 0;
        let (loaded, _) = without_written(loaded)?;
        for (entity, rows) in split::by_entity(&loaded)? {
            let appended =
                publication.append_history(&self.profile.name, &entity, &rows, &window::row_hashes(&rows)?);
            let Some(appended) = report.of_entity(&entity, appended, progress)? else {
                reject_all(host, &rows, NOT_STORED, &report.failed[&entity])?;
                continue;
            };
            used += appended.new_rows() as u64;
            if appended.new_rows() < rows.num_rows() {
                let kept_from =
                    publication.statistics(&self.profile.name, &entity)?.and_then(|s| s.kept_from);
                reject_unused(host, &rows, &appended.stored, kept_from)?;
            }
        }
        Ok(used)
    }

    /// Days before the entities' history windows leave the store.
    fn trim(
        &self,
        publication: &mut Publication,
        report: &mut TrainReport,
        progress: &mut dyn Progress,
    ) -> Result<()> {
        let source = &self.profile.name;
        for EntityInfo { entity, statistics } in publication.entities(source)? {
            let first = match self.profile.history.max_history {
                MaxHistory::Rows(rows) => publication.day_of_newest(source, &entity, rows, ..),
                _ => Ok(statistics.last.and_then(|last| self.profile.history.earliest(last)).map(day_of)),
            };
            if let Some(first) = report.of_entity(&entity, first, progress)?.flatten() {
                let trimmed = publication.trim_history(source, &entity, first);
                report.of_entity(&entity, trimmed, progress)?;
            }
        }
        Ok(())
    }

    /// Fits the shared model on a sample of all entities' rows, if asked for; answers with it, or with the stored one.
    fn fit_generic(
        &self,
        trainer: &dyn Trainer,
        publication: &mut Publication,
        report: &mut TrainReport,
        progress: &mut dyn Progress,
    ) -> Result<Option<Arc<[u8]>>> {
        let name = model_name(&self.profile.name, &self.profile.entity.fallback);
        if self.config.train.users == TrainUsers::Individual {
            return Ok(publication.model_bytes(&name, None)?.map(Arc::from));
        }
        let entities = publication.entities(&self.profile.name)?;
        progress.begin("fitting shared model", Some(entities.len() as u64), "entities");
        let mut samples = Vec::new();
        for entity in sample(&entities, self.config.train.generic_rows) {
            self.cancel.check("training")?;
            samples.extend(self.training_rows(publication, &entity.entity, report, progress)?);
            progress.advance(1);
        }
        let Some(first) = samples.first() else {
            progress.end();
            return Err(Error::new(ErrorKind::BadData, "there is nothing to learn from: no usable record"));
        };
        let data = concat_batches(&first.schema(), &samples)?;
        drop(samples);
        let context = self.fit_context(None);
        let model = trainer.fit(&data, &context).map_err(|e| e.context("fitting the shared model"))?;
        let bytes: Arc<[u8]> = model.save()?.into();
        publication.put_model(&name, &bytes, &self.details(&self.profile.entity.fallback, &data)?)?;
        report.generic = true;
        progress.end();
        Ok(Some(bytes))
    }

    /// Fits one model per entity that has enough history and enough news.
    fn fit_entities(
        &self,
        trainer: &dyn Trainer,
        at_once: usize,
        publication: &mut Publication,
        population: Option<Arc<[u8]>>,
        report: &mut TrainReport,
        progress: &mut dyn Progress,
    ) -> Result<()> {
        let context = self.fit_context(population);
        let entities = publication.entities(&self.profile.name)?;
        let users = self.choice.users.keys(&self.profile.entity);
        let failed = &report.failed;
        let chosen = entities
            .iter()
            .filter(|EntityInfo { entity, .. }| users.holds(entity) && !failed.contains_key(entity));
        let (ready, waiting): (Vec<_>, Vec<_>) = chosen.partition(|EntityInfo { statistics, .. }| {
            self.profile.history.is_due(statistics.rows, statistics.increment())
        });
        report.waiting = waiting.len();
        progress.begin("fitting", Some(ready.len() as u64), "entities");
        for group in ready.chunks(at_once) {
            self.cancel.check("training")?;
            let mut data = Vec::with_capacity(group.len());
            for entity in group {
                data.push(self.training_rows(publication, &entity.entity, report, progress)?);
            }
            let (group, data): (Vec<_>, Vec<_>) =
                group.iter().zip(data).filter_map(|(entity, rows)| Some((*entity, rows?))).unzip();
            for ((entity, rows), fitted) in group.iter().zip(&data).zip(trainer.fit_many(&data, &context)) {
                match fitted.and_then(|model: Arc<dyn Model>| model.save()) {
                    Ok(bytes) => {
                        let name = model_name(&self.profile.name, &entity.entity);
                        publication.put_model(&name, &bytes, &self.details(&entity.entity, rows)?)?;
                        publication.set_trained(&self.profile.name, &entity.entity)?;
                        report.trained += 1;
                    }
                    Err(error) if error.kind() == ErrorKind::Cancelled => return Err(error),
                    Err(error) => report.fail(&entity.entity, &error, progress),
                }
            }
            progress.advance(group.len() as u64);
        }
        progress.end();
        Ok(())
    }

    /// An entity's history window with its derived columns, oldest first; `None` if there is none that can be read.
    fn training_rows(
        &self,
        publication: &mut Publication,
        entity: &str,
        report: &mut TrainReport,
        progress: &mut dyn Progress,
    ) -> Result<Option<RecordBatch>> {
        let history = publication.history(&self.profile.name, entity, ..);
        let Some(rows) = report.of_entity(entity, history, progress)?.flatten() else { return Ok(None) };
        let rows = self.profile.history.newest(&rows);
        Ok(Some(Deriver::new(&self.profile, &rows.schema())?.derive(&rows)?))
    }

    fn fit_context(&self, population: Option<Arc<[u8]>>) -> FitContext {
        FitContext { threads: threads(self.config.train.threads), cancel: self.cancel.clone(), population }
    }

    fn details(&self, entity: &str, rows: &RecordBatch) -> Result<ModelDetails> {
        let times = times(rows)?;
        Ok(ModelDetails {
            created: now_nanoseconds(),
            source: self.profile.name.clone(),
            entity: entity.to_owned(),
            kind: self.config.model.kind().to_owned(),
            rows: rows.num_rows() as u64,
            start: times.iter().min().copied(),
            end: times.iter().max().copied(),
        })
    }
}

pub(crate) fn now_nanoseconds() -> i64 {
    i64::try_from(jiff::Timestamp::now().as_nanosecond()).unwrap_or(i64::MAX)
}

/// Rejects the rows that a history did not take: repeats, and rows older than what it keeps.
fn reject_unused(
    host: &dyn Host,
    rows: &RecordBatch,
    stored: &BooleanArray,
    kept_from: Option<i32>,
) -> Result<()> {
    let (origins, times) = (strings(rows, dfp_core::ORIGIN)?, times(rows)?);
    for row in (0..rows.num_rows()).filter(|&row| !stored.value(row)) {
        let too_old = kept_from.is_some_and(|kept| day_of(times[row]) < kept);
        let (reason, detail) = if too_old {
            (reason::TIME_OUT_OF_RANGE, TOO_OLD)
        } else {
            (reason::DUPLICATE, "the same record was used before")
        };
        host.reject(Reject::new(origins.value(row), reason, detail));
    }
    Ok(())
}

/// Entities that together have about `rows` rows, at least one: whole ones, since half an entity's days would look like
/// another way of working. They are taken in an order that is random but the same in every run.
fn sample(entities: &[EntityInfo], rows: u64) -> Vec<&EntityInfo> {
    let mut shuffled: Vec<&EntityInfo> =
        entities.iter().filter(|entity| entity.statistics.rows > 0).collect();
    shuffled.sort_by_cached_key(|entity| (fnv(&entity.entity), &entity.entity));
    let mut taken = 0;
    let count = shuffled.iter().take_while(|entity| {
        let fits = taken == 0 || taken + entity.statistics.rows <= rows;
        taken += entity.statistics.rows;
        fits
    });
    let count = count.count();
    shuffled.truncate(count);
    shuffled.sort_by_key(|entity| &entity.entity);
    shuffled
}

/// FNV-1a, 64 bits: a fixed, plain hash.
pub(crate) fn fnv(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entities(rows: &[u64]) -> Vec<EntityInfo> {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let mut publication = store.publication().unwrap();
        for (index, &rows) in rows.iter().enumerate() {
            let entity = format!("user{index}");
            let times =
                arrow_array::TimestampNanosecondArray::from_iter_values(0..rows as i64).with_timezone("UTC");
            let batch = RecordBatch::try_from_iter([(
                dfp_core::EVENT_TIME,
                Arc::new(times) as arrow_array::ArrayRef,
            )]);
            let hashes = arrow_array::UInt64Array::from_iter_values(0..rows);
            publication.append_history("s", &entity, &batch.unwrap(), &hashes).unwrap();
        }
        publication.entities("s").unwrap()
    }

    #[test]
    fn a_sample_is_whole_entities_within_the_limit_and_never_empty() {
        let all = entities(&[5, 3, 4, 2, 6]);
        assert_eq!(sample(&all, 100).len(), 5);
        for limit in 1..20 {
            let chosen = sample(&all, limit);
            let rows: u64 = chosen.iter().map(|entity| entity.statistics.rows).sum();
            assert!(chosen.len() == 1 || rows <= limit, "{limit}: {rows}");
            assert!(!chosen.is_empty());
            assert_eq!(chosen, sample(&all, limit));
        }
    }
}
