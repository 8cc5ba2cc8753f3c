//! Models of sequences in the store: one of all sessions, and one per entity where these are wanted.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::TimestampNanosecondType;
use arrow_array::{RecordBatch, StringArray, UInt64Array};
use arrow_select::concat::concat_batches;
use arrow_select::take::take_record_batch;
use dfp_core::{Error, ErrorKind, FitContext, Model, Result};
use dfp_models::sequence::{Config, Counts, SequenceModel, SequenceTrainer};
use dfp_prep::split;
use dfp_store::{ModelDetails, Snapshot, Store, model_name};
use serde::Serialize;

use super::{beside, with_scores};
use crate::finding::MODEL;
use crate::train::now_nanoseconds;

/// Entity of the model of all sessions.
const SHARED: &str = "shared";
/// Kind of these models in the store.
const KIND: &str = "sequence";

/// Where the entities' models are: apart from the shared one, so that no entity can pass for it.
fn source_of_entities(name: &str, by: &str) -> String {
    format!("{name}-by-{by}")
}

/// Learns models from sessions that come in batches, and puts them into the store under one name.
pub struct SessionTraining {
    name: String,
    trainer: SequenceTrainer,
    context: FitContext,
    by: Option<String>,
    shared: Option<Learned>,
    entities: BTreeMap<String, Learned>,
}

/// What was counted, and when it happened.
struct Learned {
    counts: Counts,
    start: Option<i64>,
    end: Option<i64>,
}

/// What a training of sessions did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct SessionTrainingReport {
    /// Sessions learned from, this time.
    pub sessions: u64,
    /// The shared model, as `name:version`.
    pub model: String,
    /// Models of single entities.
    pub entities: usize,
    /// Those of them that know too few sessions to judge: the shared model does it for them.
    pub abstaining: usize,
}

impl SessionTraining {
    /// Learns from the lists of events in `column`. With `by`, a text column, every one of its values gets a model of its own
    /// beside the shared one.
    ///
    /// # Errors
    /// If a setting cannot work.
    pub fn new(
        name: &str,
        column: &str,
        config: Config,
        by: Option<String>,
        context: FitContext,
    ) -> Result<Self> {
        let trainer = SequenceTrainer::new(config, column)?;
        Ok(Self { name: name.to_owned(), trainer, context, by, shared: None, entities: BTreeMap::new() })
    }

    /// Counts a batch of sessions. A session without entity counts in the shared model alone.
    ///
    /// # Errors
    /// If a column is missing or of another type, or the training is cancelled.
    pub fn add(&mut self, sessions: &RecordBatch) -> Result<()> {
        let learned = self.learn(sessions)?;
        match &mut self.shared {
            Some(shared) => shared.merge(&learned)?,
            None => self.shared = Some(learned),
        }
        let Some(by) = &self.by else { return Ok(()) };
        for (entity, sessions) in split::by_column(sessions, by)? {
            let learned = self.learn(&sessions)?;
            match self.entities.get_mut(&entity) {
                Some(known) => known.merge(&learned)?,
                None => drop(self.entities.insert(entity, learned)),
            }
        }
        Ok(())
    }

    fn learn(&self, sessions: &RecordBatch) -> Result<Learned> {
        let counts = self.trainer.count(sessions, &self.context)?;
        let (start, end) = (times(sessions, "_min"), times(sessions, "_max"));
        Ok(Learned { counts, start: start.min(), end: end.max() })
    }

    /// Puts new versions of the models into the store, in one transaction. With `decay`, what the latest versions know is
    /// multiplied by it and added: 1 keeps all, 0.5 halves what was known before. Without, they are replaced.
    ///
    /// # Errors
    /// If there are no sessions, the store cannot be written, or a stored model is damaged or of another type of session.
    pub fn publish(self, store: &Store, decay: Option<f64>) -> Result<SessionTrainingReport> {
        let Some(shared) = self.shared.filter(|shared| shared.counts.sessions() > 0.0) else {
            return Err(Error::new(ErrorKind::BadData, "learning sessions: there are none"));
        };
        let mut report = SessionTrainingReport {
            sessions: shared.counts.sessions() as u64,
            entities: self.entities.len(),
            ..SessionTrainingReport::default()
        };
        let mut publication = store.publication()?;
        let mut put = |source: &str, entity: &str, mut learned: Learned| -> Result<(String, bool)> {
            let name = model_name(source, entity);
            let before = decay.map(|factor| Ok((factor, publication.model_bytes(&name, None)?)));
            if let Some((factor, Some(bytes))) = before.transpose().map_err(|e: dfp_store::Error| e)? {
                let mut known = SequenceModel::load(&bytes)?.counts().clone();
                known.decay(factor)?;
                learned.counts.merge(&known)?;
            }
            let model = self.trainer.model(&learned.counts);
            let details = ModelDetails {
                created: now_nanoseconds(),
                source: source.to_owned(),
                entity: entity.to_owned(),
                kind: KIND.to_owned(),
                rows: learned.counts.sessions() as u64,
                start: learned.start,
                end: learned.end,
            };
            let version = publication.put_model(&name, &model.to_bytes()?, &details)?;
            Ok((format!("{name}:{version}"), model.abstains()))
        };
        report.model = put(&self.name, SHARED, shared)?.0;
        if let Some(by) = &self.by {
            let source = source_of_entities(&self.name, by);
            for (entity, learned) in self.entities {
                report.abstaining += usize::from(put(&source, &entity, learned)?.1);
            }
        }
        self.context.cancel.check("publishing the models")?;
        publication.log_run(&serde_json::json!({"sessions": report}))?;
        publication.commit()?;
        Ok(report)
    }
}

impl Learned {
    fn merge(&mut self, other: &Self) -> Result<()> {
        self.counts.merge(&other.counts)?;
        self.start = self.start.into_iter().chain(other.start).min();
        self.end = self.end.max(other.end);
        Ok(())
    }
}

/// The times of the first column of times whose name ends so.
fn times<'a>(sessions: &'a RecordBatch, ending: &str) -> impl Iterator<Item = i64> + 'a {
    let schema = sessions.schema();
    let columns = schema.fields().iter().zip(sessions.columns());
    let mut named = columns.filter(|(field, _)| field.name().ends_with(ending));
    let column = named.find_map(|(_, column)| column.as_primitive_opt::<TimestampNanosecondType>().cloned());
    column.into_iter().flat_map(|column| column.iter().flatten().collect::<Vec<_>>())
}

/// A model, and what it is cited as: `name:version`.
type Cited = (String, Arc<SequenceModel>);

/// Stored models of sessions, loaded as they are needed.
pub struct SessionModels {
    snapshot: Snapshot,
    shared: Cited,
    /// The column that says whose session it is, where the models of its values are, and those that were asked for: `None`
    /// where there is none, or it abstains.
    by: Option<(String, String)>,
    known: HashMap<String, Option<Cited>>,
}

impl SessionModels {
    /// The latest models of this name.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there are none, or if the store cannot be read.
    pub fn open(snapshot: Snapshot, name: &str) -> Result<Self> {
        let shared = load(&snapshot, &model_name(name, SHARED))?.ok_or_else(|| {
            let what = format!("there is no model of sessions called {name}; train one, or name another");
            Error::new(ErrorKind::NotFound, what)
        })?;
        let prefix = source_of_entities(name, "");
        let models = snapshot.models()?.into_iter().filter(|model| model.details.source.starts_with(&prefix));
        // Trained by one column, and later by another: the later counts.
        let newest = models.max_by_key(|model| model.details.created);
        let by = newest.map(|model| (model.details.source[prefix.len()..].to_owned(), model.details.source));
        Ok(Self { snapshot, shared, by, known: HashMap::new() })
    }

    /// The model of all sessions.
    pub fn shared(&self) -> &Arc<SequenceModel> {
        &self.shared.1
    }

    /// The sessions with their scores behind, and with the column `model`: which model scored, as `name:version`. A session is
    /// scored by its entity's model if that one knows enough, else by the shared one.
    ///
    /// # Errors
    /// If a column is missing or of another type, or a stored model is damaged.
    pub fn score(&mut self, sessions: &RecordBatch) -> Result<RecordBatch> {
        let Some((by, source)) = self.by.clone() else {
            let scored = with_scores(sessions, &*self.shared.1)?;
            return named(&scored, &vec![self.shared.0.as_str(); scored.num_rows()]);
        };
        let (mut order, mut scores, mut cited) = (Vec::new(), Vec::new(), Vec::new());
        for ((cite, model), rows) in self.groups(sessions, &by, &source)? {
            cited.extend(std::iter::repeat_n(cite, rows.len()));
            let group = take_record_batch(sessions, &UInt64Array::from(rows.clone()))?;
            scores.push(model.score(&group)?);
            order.extend(rows);
        }
        let Some(first) = scores.first() else { return self.empty(sessions) };
        let scores = concat_batches(&first.schema(), &scores).map_err(|e| {
            Error::caused(ErrorKind::SchemaMismatch, "models of different settings: train all again", e)
        })?;
        // Back into the order of the sessions.
        let mut back = vec![0_u64; order.len()];
        for (place, &row) in order.iter().enumerate() {
            back[row as usize] = place as u64;
        }
        let cited: Vec<&str> = back.iter().map(|&place| cited[place as usize].as_str()).collect();
        let scores = take_record_batch(&scores, &UInt64Array::from(back.clone()))?;
        named(&beside(sessions, &scores)?, &cited)
    }

    fn empty(&self, sessions: &RecordBatch) -> Result<RecordBatch> {
        named(&with_scores(sessions, &*self.shared.1)?, &[])
    }

    /// Which rows each model scores.
    fn groups(&mut self, sessions: &RecordBatch, by: &str, source: &str) -> Result<Vec<(Cited, Vec<u64>)>> {
        let entities = split::text_column(sessions, by)?;
        let mut rows: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
        let mut shared = Vec::new();
        for (row, entity) in (0..).zip(entities) {
            match entity {
                Some(entity) => rows.entry(entity).or_default().push(row),
                None => shared.push(row),
            }
        }
        let mut groups = Vec::new();
        for (entity, rows) in rows {
            match self.own(entity, source)? {
                Some(model) => groups.push((model, rows)),
                None => shared.extend(rows),
            }
        }
        if !shared.is_empty() {
            groups.push((self.shared.clone(), shared));
        }
        Ok(groups)
    }

    fn own(&mut self, entity: &str, source: &str) -> Result<Option<Cited>> {
        if let Some(known) = self.known.get(entity) {
            return Ok(known.clone());
        }
        let own = load(&self.snapshot, &model_name(source, entity))?.filter(|(_, model)| !model.abstains());
        self.known.insert(entity.to_owned(), own.clone());
        Ok(own)
    }
}

fn load(snapshot: &Snapshot, name: &str) -> Result<Option<Cited>> {
    let Some(info) = snapshot.model_info(name, None)? else { return Ok(None) };
    let Some(bytes) = snapshot.model_bytes(name, Some(info.version))? else { return Ok(None) };
    let model = SequenceModel::load(&bytes).map_err(Error::from).map_err(|e| e.context(info.cite()))?;
    Ok(Some((info.cite(), Arc::new(model))))
}

/// A scored batch with the column that says by which model.
fn named(scored: &RecordBatch, cited: &[&str]) -> Result<RecordBatch> {
    let cited: StringArray = cited.iter().map(Some).collect();
    let column = RecordBatch::try_from_iter([(MODEL, Arc::new(cited) as _)])?;
    beside(scored, &column)
}
