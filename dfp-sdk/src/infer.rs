//! Inference: every record is scored by its entity's model; unusual ones become findings.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow_array::{ArrayRef, BooleanArray, RecordBatch, StringArray, UInt64Array};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use arrow_select::concat::concat_batches;
use arrow_select::filter::filter_record_batch;
use arrow_select::take::take_record_batch;
use dfp_core::{
    Counts, Error, ErrorKind, Host, Level, Model, ORIGIN, Reject, Result, Sink, parallel_map, reason,
};
use dfp_models::autoencoder::backend::Backend;
use dfp_prep::derive::Deriver;
use dfp_prep::{ENTITY_AS_WRITTEN, MaxHistory, Seen, split, window};
use dfp_store::{Publication, Snapshot, Store, day_of, model_name, project};
use serde::Serialize;

use crate::Progress;
use crate::config::{Known, threads};
use crate::device::tell_failures;
use crate::finding::{FeatureText, FindingReader, FindingsSink, MODEL, strings, times};
use crate::ledger::{FindingLines, Ledger};
use crate::run::{
    Collect, Input, RejectLines, Run, StepTime, Steps, Warnings, add_counters, check_counts, finish,
    reject_all, without_written,
};
use crate::stream::Reader;
use crate::train::{TOO_OLD, fnv};

/// Reason of rejects: neither the entity nor the shared model is in the store.
pub const NO_MODEL: &str = "no-model";
/// Reason of rejects: the stored model was trained with other columns than the profile now gives.
pub const MODEL_MISMATCH: &str = "model-mismatch";
/// Reason of rejects: the stored model or history is damaged, or a newer version wrote the model.
pub const NOT_SCORED: &str = "not-scored";

/// How far back a model looks for what a row repeats or adds to, nanoseconds: a day.
const CONTEXT: i64 = 24 * 3_600_000_000_000;

/// What an inference run did.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct InferReport {
    /// Records read, used (that is, scored) and rejected.
    pub counts: Counts,
    /// What else was counted, such as values that could not be read and records without user that were kept.
    pub counters: BTreeMap<String, u64>,
    /// Records above the threshold.
    pub findings: u64,
    /// The score above which records became findings.
    pub threshold: f64,
    /// Entities scored by a model of their own.
    pub own_model: usize,
    /// Entities scored by the shared model.
    pub shared_model: usize,
    /// Where the time went.
    pub steps: Vec<StepTime>,
}

/// One entity's share of a period: its rows, oldest first, and how each of them spells the entity.
pub(crate) struct Group {
    entity: String,
    rows: RecordBatch,
    written: ArrayRef,
}

/// A group's scored rows, or why it has none.
struct Scored<'a> {
    entity: &'a str,
    rows: &'a RecordBatch,
    own_model: bool,
    result: Result<RecordBatch>,
}

impl Run {
    /// Scores the inputs and writes findings, and whatever `sinks` want, for example
    /// [`ScoresSink`](crate::ScoresSink). Needs nothing but the store and the source.
    ///
    /// The records join the stored history after each period, those that no model could score included, unless the pipeline
    /// says `remember = false`. Then scoring the same files again gives the same scores. With remembered records it does
    /// too, but for what came late: a record behind which older ones were remembered since then now sees them.
    ///
    /// A source that reads no files goes on where the last inference came to, or, the first time, the last training. Each
    /// period is published whole: its records in the history, the position behind them, and its findings, which are then
    /// added to the findings file (as its rejects are to theirs). A run that fails, is cancelled or killed loses nothing of that, and
    /// the next one goes on behind the last period published. `sinks` are flushed before their period is published, and so
    /// may see a period again that never was. To cancel such a run is to end it: no error.
    ///
    /// # Errors
    /// If there is no store, an input cannot be read or a result cannot be written, or the run is cancelled.
    pub fn infer(&self, sinks: &mut [&mut dyn Sink], progress: &mut dyn Progress) -> Result<InferReport> {
        let input = self.input()?;
        let store = Store::open_existing(&self.config.store.path)?;
        // If one cannot be read, that is for the records that need it.
        if store.snapshot()?.models().is_ok_and(|models| models.is_empty()) {
            let what = format!("{} holds no model; run `dfp train` first", self.config.store.path.display());
            return Err(Error::new(ErrorKind::NotFound, what));
        }
        let backend = self.config.infer.device.open(self.config.infer.precision, progress)?;
        let threshold = self.config.infer.threshold.unwrap_or_else(|| self.config.model.default_threshold());
        let reader = FindingReader::new(threshold, self.feature_texts());
        let mut report = InferReport { threshold, ..InferReport::default() };
        let mut steps = Steps::default();
        let known = |default| self.config.infer.known.unwrap_or(default);
        steps.time("score", || match &input {
            Input::Files(periods) => {
                let scorer = Scorer::new(self, &store, &backend, known(Known::Score));
                self.infer_files(scorer, periods, reader, sinks, &mut report, progress)
            }
            Input::Stream => {
                let scorer = Scorer::new(self, &store, &backend, known(Known::Skip));
                self.infer_stream(scorer, reader, sinks, &mut report, progress)
            }
        })?;
        tell_failures(&*backend, &mut report.counters, progress);
        report.steps = steps.0;
        Ok(report)
    }

    fn infer_files(
        &self,
        mut scorer: Scorer<'_>,
        periods: &[Vec<String>],
        reader: FindingReader,
        sinks: &mut [&mut dyn Sink],
        report: &mut InferReport,
        progress: &mut dyn Progress,
    ) -> Result<()> {
        let mut findings = FindingsSink::create(&self.config.infer.findings, reader)?;
        let reject_file = self.reject_file()?;
        let warnings = Warnings::default();
        progress.begin("scoring", Some(periods.iter().map(Vec::len).sum::<usize>() as u64), "files");
        for period in periods {
            let host = self.host(reject_file.clone().map(|file| file as RejectLines), &warnings)?;
            let mut loaded = Collect::default();
            self.read_period(period, &host, &mut loaded)?;
            let loaded = loaded.concat()?;
            let (groups, used) = scorer.score(&loaded, &*host, &mut with(&mut findings, sinks))?;
            drop(loaded);
            if self.config.infer.remember {
                let mut publication = scorer.store.publication()?;
                self.extend_histories(&mut publication, &groups, &*host)?;
                publication.commit()?;
            }
            let counts = host.counts(used);
            check_counts(&counts)?;
            report.counts.add(&counts);
            add_counters(&mut report.counters, host.counters());
            warnings.show(progress);
            progress.advance(period.len() as u64);
        }
        for sink in with(&mut findings, sinks) {
            sink.close()?;
        }
        finish(reject_file)?;
        progress.end();
        report.findings = findings.findings();
        scorer.report(report);
        Ok(())
    }

    fn infer_stream(
        &self,
        mut scorer: Scorer<'_>,
        reader: FindingReader,
        sinks: &mut [&mut dyn Sink],
        report: &mut InferReport,
        progress: &mut dyn Progress,
    ) -> Result<()> {
        if !self.config.infer.remember {
            let what = "infer.remember = false (--forget) is for files: of a source that reads none, what was read must be in the \
                        history before its position moves on";
            return Err(Error::new(ErrorKind::InvalidConfig, what));
        }
        let ledger = Ledger::open(self, scorer.store)?;
        let warnings = Warnings::default();
        let rejects: Arc<Mutex<Vec<u8>>> = Arc::default();
        let host =
            self.host(self.config.rejects.is_some().then(|| rejects.clone() as RejectLines), &warnings)?;
        let mut feed = self.feed(Reader::Infer, &host, ledger.resume()?)?;
        let mut findings = FindingLines::new(reader);
        let mut used = 0;
        progress.begin("scoring", None, "records");
        let mut next = || -> Result<bool> {
            let Some(period) = feed.next()? else { return Ok(false) };
            let (groups, scored) = scorer.score(&period.rows, &*host, &mut with(&mut findings, sinks))?;
            if scorer.bound.is_some() {
                sinks.iter_mut().try_for_each(|sink| sink.flush())?;
            }
            let lines = [&mut findings.lines, &mut *lock(&rejects)].map(std::mem::take);
            ledger.publish(&groups, period.position.as_deref(), lines, &*host)?;
            used += scored;
            report.counts = host.counts(used);
            report.counters = host.counters();
            report.findings = findings.findings;
            warnings.show(progress);
            progress.advance(period.records as u64);
            Ok(true)
        };
        let end = loop {
            match next() {
                Ok(true) => {}
                end => break end,
            }
        };
        match end {
            // What came since the last period published comes again.
            Err(error) if error.kind() == ErrorKind::Cancelled && self.cancel.is_cancelled() => (),
            end => {
                end?;
                check_counts(&report.counts)?;
            }
        }
        for sink in sinks {
            sink.close()?;
        }
        progress.end();
        scorer.report(report);
        Ok(())
    }

    /// Adds rows to the histories that can take them.
    pub(crate) fn extend_histories(
        &self,
        publication: &mut Publication,
        groups: &[Group],
        host: &dyn Host,
    ) -> Result<()> {
        for Group { entity, rows, .. } in groups {
            let hashes = window::row_hashes(rows)?;
            match publication.append_history(&self.profile.name, entity, rows, &hashes) {
                Ok(_) => (),
                Err(error) if error.is_local() => {
                    let what = format!("records of {entity} are not remembered: {error}");
                    host.log(Level::Warn, "infer", &what);
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Scores one period's rows, entities in parallel, in the order of the entities.
    fn score_groups<'g>(
        &self,
        store: &Store,
        backend: &Arc<dyn Backend>,
        groups: &'g [Group],
    ) -> Result<Vec<Scored<'g>>> {
        let snapshot = store.snapshot()?;
        let fallback = model_name(&self.profile.name, &self.profile.entity.fallback);
        let fallback = load_model(&snapshot, &fallback, backend);
        let threads = threads(self.config.infer.threads);
        Ok(parallel_map(groups.len(), threads, |index| {
            self.score_entity(&snapshot, backend, fallback.as_ref(), &groups[index])
        }))
    }

    fn score_entity<'g>(
        &self,
        snapshot: &Snapshot,
        backend: &Arc<dyn Backend>,
        fallback: Option<&Result<NamedModel>>,
        Group { entity, rows, written }: &'g Group,
    ) -> Scored<'g> {
        let own = load_model(snapshot, &model_name(&self.profile.name, entity), backend);
        let result = match own.as_ref().or(fallback) {
            Some(Ok(model)) => self
                .score_rows(snapshot, model, entity, rows)
                .and_then(|scored| with_column(&scored, ENTITY_AS_WRITTEN, written)),
            Some(Err(error)) => Err(Error::new(error.kind(), error.to_string())),
            None => {
                let what = "neither a model of this entity nor a shared one is stored; run `dfp train` first";
                Err(Error::new(ErrorKind::NotFound, what))
            }
        };
        Scored { entity, rows, own_model: own.is_some(), result }
    }

    /// Scores the rows beside their history: derived columns see all of it, and so that a score does not depend on how
    /// rows come in batches, the model sees the day before the first new row.
    fn score_rows(
        &self,
        snapshot: &Snapshot,
        model: &NamedModel,
        entity: &str,
        rows: &RecordBatch,
    ) -> Result<RecordBatch> {
        let days = self.days_before(snapshot, entity, times(rows)?)?;
        let history = snapshot.history(&self.profile.name, entity, days)?;
        let (merged, is_new) = merge(history.as_ref(), rows)?;
        let derived = Deriver::new(&self.profile, &merged.schema())?.derive(&merged)?;
        let times = times(&derived)?;
        let first_new = is_new.values().iter().position(|new| new).unwrap_or(times.len());
        let start = times
            .get(first_new)
            .map_or(0, |&first| times.partition_point(|&t| t < first.saturating_sub(CONTEXT)));
        let length = derived.num_rows() - start;
        let scored = score(&derived.slice(start, length), model)?;
        Ok(filter_record_batch(&scored, &is_new.slice(start, length))?)
    }

    /// The days of history that rows of these times, oldest first, can see.
    fn days_before(&self, snapshot: &Snapshot, entity: &str, times: &[i64]) -> Result<RangeInclusive<i32>> {
        let (Some(&first), Some(&last)) = (times.first(), times.last()) else { return Ok(0..=0) };
        let from = match self.profile.history.max_history {
            MaxHistory::Rows(rows) => {
                snapshot.day_of_newest(&self.profile.name, entity, rows, ..day_of(first))?
            }
            _ => self.profile.history.earliest(first).map(day_of),
        };
        Ok(from.unwrap_or(i32::MIN)..=day_of(last))
    }

    /// A period's rows by entity, oldest first, each record once; repeats are rejected. Within the period, and for at least
    /// the last [`Seen::WINDOW`] records of the run, none is missed.
    fn groups(
        &self,
        loaded: &RecordBatch,
        store: &Store,
        seen: &mut Seen,
        known: Known,
        host: &dyn Host,
    ) -> Result<Vec<Group>> {
        let snapshot = store.snapshot()?;
        let mut groups = Vec::new();
        for (entity, mut rows) in split::by_entity(loaded)? {
            let of_entity = fnv(&entity);
            rows = reject_repeats(&rows, "the same record stands elsewhere in these inputs", host, |hash| {
                seen.is_new(hash ^ of_entity)
            })?;
            if known == Known::Skip {
                rows = self.reject_too_old(&snapshot, &entity, &rows, host)?;
                let known = self.stored_hashes(&snapshot, &entity, times(&rows)?);
                rows = reject_repeats(&rows, "the stored history holds the same record", host, |hash| {
                    !known.contains(&hash)
                })?;
            }
            if rows.num_rows() > 0 {
                let (rows, written) = without_written(window::sort_by_time(&rows)?)?;
                groups.push(Group { entity, rows, written });
            }
        }
        seen.forget_oldest();
        Ok(groups)
    }

    /// The rows of days that the entity's history still takes: nobody can tell whether the others were scored before.
    fn reject_too_old(
        &self,
        snapshot: &Snapshot,
        entity: &str,
        rows: &RecordBatch,
        host: &dyn Host,
    ) -> Result<RecordBatch> {
        // Statistics that cannot be read are met again when the rows are remembered, and reported.
        let statistics = snapshot.statistics(&self.profile.name, entity).ok().flatten();
        let Some(kept_from) = statistics.and_then(|statistics| statistics.kept_from) else {
            return Ok(rows.clone());
        };
        let times = times(rows)?;
        let only = |kept: bool| {
            let chosen: BooleanArray =
                times.iter().map(|&time| Some((day_of(time) >= kept_from) == kept)).collect();
            filter_record_batch(rows, &chosen)
        };
        reject_all(host, &only(false)?, reason::TIME_OUT_OF_RANGE, TOO_OLD)?;
        Ok(only(true)?)
    }

    /// The hashes of an entity's stored rows of the days of these times. A history that cannot be read holds none: scoring
    /// reads it too, and says what is wrong.
    fn stored_hashes(&self, snapshot: &Snapshot, entity: &str, times: &[i64]) -> HashSet<u64> {
        let (Some(first), Some(last)) = (times.iter().min(), times.iter().max()) else {
            return HashSet::new();
        };
        let stored = snapshot.history(&self.profile.name, entity, day_of(*first)..=day_of(*last));
        let hashes = stored.ok().flatten().and_then(|rows| window::row_hashes(&rows).ok());
        hashes.map(|hashes| hashes.values().iter().copied().collect()).unwrap_or_default()
    }

    fn feature_texts(&self) -> Vec<FeatureText> {
        let texts = self
            .profile
            .features
            .iter()
            .map(|name| FeatureText { name: name.clone(), title: self.profile.title(name).to_owned() });
        texts.collect()
    }
}

/// The findings' sink before those of the caller.
fn with<'a>(findings: &'a mut dyn Sink, sinks: &'a mut [&mut dyn Sink]) -> Vec<&'a mut dyn Sink> {
    let others = sinks.iter_mut().map(|sink| &mut **sink as &mut dyn Sink);
    std::iter::once(findings).chain(others).collect()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What an inference keeps from period to period.
struct Scorer<'r> {
    run: &'r Run,
    store: &'r Store,
    backend: &'r Arc<dyn Backend>,
    known: Known,
    seen: Seen,
    /// Entities scored by a model of their own, and by the shared one.
    own: BTreeSet<String>,
    shared: BTreeSet<String>,
    /// What the sinks were told to expect.
    bound: Option<SchemaRef>,
}

impl<'r> Scorer<'r> {
    fn new(run: &'r Run, store: &'r Store, backend: &'r Arc<dyn Backend>, known: Known) -> Self {
        let seen = Seen::last(Seen::WINDOW);
        Self { run, store, backend, known, seen, own: BTreeSet::new(), shared: BTreeSet::new(), bound: None }
    }

    /// Scores a period's rows into `sinks`. Answers with the rows by entity, and how many were scored.
    fn score(
        &mut self,
        loaded: &RecordBatch,
        host: &dyn Host,
        sinks: &mut [&mut dyn Sink],
    ) -> Result<(Vec<Group>, u64)> {
        let groups = self.run.groups(loaded, self.store, &mut self.seen, self.known, host)?;
        let mut used = 0;
        for scored in self.run.score_groups(self.store, self.backend, &groups)? {
            self.run.cancel.check("scoring")?;
            if scored.result.is_ok() {
                let names = if scored.own_model { &mut self.own } else { &mut self.shared };
                names.insert(scored.entity.to_owned());
            }
            used += write(sinks, &mut self.bound, host, &scored)?;
        }
        Ok((groups, used))
    }

    fn report(&self, report: &mut InferReport) {
        (report.own_model, report.shared_model) = (self.own.len(), self.shared.len());
    }
}

/// A model with the name and version that findings show.
struct NamedModel {
    label: String,
    model: Arc<dyn Model>,
}

/// The newest model of that name; `None` if there is none.
fn load_model(snapshot: &Snapshot, name: &str, backend: &Arc<dyn Backend>) -> Option<Result<NamedModel>> {
    let info = snapshot.model_info(name, None).transpose()?;
    Some(info.map_err(Error::from).and_then(|info| {
        let label = info.cite();
        let bytes = snapshot.model_bytes(name, Some(info.version))?.unwrap_or_default();
        let model =
            dfp_models::load_on(&bytes, backend).map_err(|e| e.context(format!("loading model {label}")))?;
        Ok(NamedModel { label, model })
    }))
}

/// The rows with another text column.
fn with_column(rows: &RecordBatch, name: &str, column: &ArrayRef) -> Result<RecordBatch> {
    let mut fields: Vec<Arc<Field>> = rows.schema().fields().iter().cloned().collect();
    fields.push(Arc::new(Field::new(name, DataType::Utf8, true)));
    let columns = rows.columns().iter().chain([column]).cloned().collect();
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?)
}

/// The derived rows beside the model's name and its scores.
fn score(derived: &RecordBatch, model: &NamedModel) -> Result<RecordBatch> {
    let scored = model.model.score(derived)?;
    let names: ArrayRef = Arc::new(StringArray::from(vec![model.label.as_str(); derived.num_rows()]));
    let named = with_column(derived, MODEL, &names)?;
    let mut fields: Vec<Arc<Field>> = named.schema().fields().iter().cloned().collect();
    fields.extend(scored.schema().fields().iter().cloned());
    let mut columns = named.columns().to_vec();
    columns.extend(scored.columns().iter().cloned());
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?)
}

/// Writes one entity's scored rows; answers with how many. Rows that could not be scored are rejected.
fn write(
    sinks: &mut [&mut dyn Sink],
    bound: &mut Option<SchemaRef>,
    host: &dyn Host,
    scored: &Scored<'_>,
) -> Result<u64> {
    let batch = match &scored.result {
        Ok(batch) => batch,
        Err(error) => return reject_unscored(host, scored.rows, error),
    };
    if let Some(schema) = bound {
        if *schema != batch.schema() {
            let what = "its model gives other columns than the first model of this run; train again";
            return reject_unscored(host, scored.rows, &Error::new(ErrorKind::SchemaMismatch, what));
        }
    } else {
        for sink in sinks.iter_mut() {
            sink.bind(batch.schema())?;
        }
        *bound = Some(batch.schema());
    }
    for sink in sinks.iter_mut() {
        sink.write(batch)?;
    }
    Ok(batch.num_rows() as u64)
}

fn reject_unscored(host: &dyn Host, rows: &RecordBatch, error: &Error) -> Result<u64> {
    let reason = match error.kind() {
        ErrorKind::NotFound => NO_MODEL,
        ErrorKind::SchemaMismatch => MODEL_MISMATCH,
        _ => NOT_SCORED,
    };
    reject_all(host, rows, reason, &error.to_string())?;
    Ok(0)
}

/// The rows whose hashes are `new`; the others are rejected.
fn reject_repeats(
    rows: &RecordBatch,
    why: &str,
    host: &dyn Host,
    mut new: impl FnMut(u64) -> bool,
) -> Result<RecordBatch> {
    let keep: Vec<bool> = window::row_hashes(rows)?.values().iter().map(|&hash| new(hash)).collect();
    let origins = strings(rows, ORIGIN)?;
    for row in (0..keep.len()).filter(|&row| !keep[row]) {
        host.reject(Reject::new(origins.value(row), reason::DUPLICATE, why));
    }
    Ok(filter_record_batch(rows, &BooleanArray::from(keep))?)
}

/// History and new rows together, oldest first, and which rows are new. A new row that the history already holds counts
/// once, as new. The history may be of an older profile: its columns are matched by name.
fn merge(history: Option<&RecordBatch>, new: &RecordBatch) -> Result<(RecordBatch, BooleanArray)> {
    let Some(history) = history else {
        return Ok((new.clone(), BooleanArray::from(vec![true; new.num_rows()])));
    };
    let history = &project(history, &new.schema())
        .map_err(|e| Error::new(ErrorKind::SchemaMismatch, format!("the profile has changed: {e}")))?;
    let hashes: HashSet<u64> = window::row_hashes(new)?.values().iter().copied().collect();
    let others: BooleanArray =
        window::row_hashes(history)?.values().iter().map(|hash| Some(!hashes.contains(hash))).collect();
    let history = filter_record_batch(history, &others)?;
    let both = concat_batches(&new.schema(), [&history, new])?;
    let mut order: Vec<u64> = (0..both.num_rows() as u64).collect();
    let times = times(&both)?;
    order.sort_by_key(|&row| times[row as usize]);
    let is_new = order.iter().map(|&row| Some(row as usize >= history.num_rows())).collect();
    Ok((take_record_batch(&both, &UInt64Array::from(order))?, is_new))
}
