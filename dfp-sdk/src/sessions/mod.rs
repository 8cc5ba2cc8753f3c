//! Sessions from end to end: what most programs call. [`prep::sessionize`](dfp_prep::sessionize) makes sessions of events,
//! [`models::sequence`](dfp_models::sequence) learns them, [`timeline`](crate::timeline) shows them.

#[cfg(feature = "runs")]
mod stored;

use std::collections::VecDeque;
use std::sync::Arc;

use arrow_array::{RecordBatch, StringArray};
use arrow_schema::{Schema, SchemaRef};
use dfp_core::{Error, ErrorKind, FitContext, Model, Result, Stage};
use dfp_models::sequence::{Config, Counts, SequenceModel, SequenceTrainer, reason_texts};

#[cfg(feature = "runs")]
pub use self::stored::{SessionModels, SessionTraining, SessionTrainingReport};
use crate::timeline::{Timeline, TimelineOptions};

/// Learns a model from sessions and scores these same sessions: every batch with the columns of
/// [`SequenceModel`]'s scores behind its own. `column` holds the sessions' events.
///
/// What msticpy calls `score_sessions`, with [`Config::parity`]. To judge new sessions by earlier ones, keep the model:
/// [`fit_sessions`], then [`with_scores`].
///
/// # Errors
/// Those of [`fit_sessions`].
pub fn score_sessions(sessions: &[RecordBatch], column: &str, config: Config) -> Result<Vec<RecordBatch>> {
    let model = fit_sessions(sessions, column, config, &FitContext::default())?;
    sessions.iter().map(|batch| with_scores(batch, &model)).collect()
}

/// Learns a model from the sessions of several batches.
///
/// # Errors
/// If a setting cannot work, there are no sessions, or the column is missing or of another type than lists of events.
pub fn fit_sessions(
    sessions: &[RecordBatch],
    column: &str,
    config: Config,
    context: &FitContext,
) -> Result<SequenceModel> {
    let trainer = SequenceTrainer::new(config, column)?;
    match count(&trainer, sessions, context)? {
        Some(counts) if counts.sessions() > 0.0 => Ok(trainer.model(&counts)),
        _ => Err(Error::new(ErrorKind::BadData, "learning sessions: there are none")),
    }
}

/// The counts of several batches together; `None` without batches.
fn count(
    trainer: &SequenceTrainer,
    sessions: &[RecordBatch],
    context: &FitContext,
) -> Result<Option<Counts>> {
    let mut counts: Option<Counts> = None;
    for batch in sessions {
        let more = trainer.count(batch, context)?;
        match &mut counts {
            Some(counts) => counts.merge(&more)?,
            None => counts = Some(more),
        }
    }
    Ok(counts)
}

/// A batch with the columns of its scores behind its own. A column that has the name of one of them, as in a batch that
/// was scored before, gives way.
///
/// # Errors
/// Those of [`Model::score`].
pub fn with_scores(batch: &RecordBatch, model: &dyn Model) -> Result<RecordBatch> {
    beside(batch, &model.score(batch)?)
}

fn beside(batch: &RecordBatch, scores: &RecordBatch) -> Result<RecordBatch> {
    let (schema, scored) = (batch.schema(), scores.schema());
    let own = (0..batch.num_columns()).filter(|&c| scored.index_of(schema.field(c).name()).is_err());
    let (mut fields, mut columns): (Vec<_>, Vec<_>) =
        own.map(|c| (schema.fields()[c].clone(), batch.column(c).clone())).unzip();
    fields.extend(scored.fields().iter().cloned());
    columns.extend(scores.columns().iter().cloned());
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?)
}

/// Column of [`with_reasons`]: the reasons as sentences, the least likely first.
pub const WHY: &str = "why";

/// A scored batch with its column `reasons`, if it has one, also as text for people, called [`WHY`].
///
/// # Errors
/// If the column has another type than the model writes.
pub fn with_reasons(scored: &RecordBatch) -> Result<RecordBatch> {
    let Some(reasons) = scored.column_by_name("reasons") else { return Ok(scored.clone()) };
    let why: StringArray = reason_texts(reasons)?.into_iter().collect();
    beside(scored, &RecordBatch::try_from_iter_with_nullable([(WHY, Arc::new(why) as _, true)])?)
}

/// Scores sessions as they close: a [`Stage`] behind [`Sessionize`](dfp_prep::sessionize::Sessionize) with a lateness.
pub struct ScoreSessions {
    model: Arc<dyn Model>,
    ready: VecDeque<RecordBatch>,
}

impl ScoreSessions {
    /// A stage that gives every session with its scores.
    pub fn new(model: Arc<dyn Model>) -> Self {
        Self { model, ready: VecDeque::new() }
    }
}

impl Stage for ScoreSessions {
    fn bind(&mut self, input: SchemaRef) -> Result<SchemaRef> {
        Ok(with_scores(&RecordBatch::new_empty(input), &*self.model)?.schema())
    }

    fn push(&mut self, batch: RecordBatch) -> Result<()> {
        self.ready.push_back(with_scores(&batch, &*self.model)?);
        Ok(())
    }

    fn pull(&mut self) -> Result<Option<RecordBatch>> {
        Ok(self.ready.pop_front())
    }

    fn finish(&mut self) -> Result<()> {
        Ok(())
    }
}

/// Scored sessions on a line of time: read what is shown with [`Timeline::points`], write the page with
/// [`Timeline::write_html`]. Neither the batches nor the options change.
///
/// # Errors
/// As [`Timeline::new`].
pub fn visualise_scored_sessions<'a>(
    scored: impl IntoIterator<Item = &'a RecordBatch>,
    options: &TimelineOptions,
) -> Result<Timeline> {
    Timeline::new(scored, options)
}

/// [`score_sessions`], then [`visualise_scored_sessions`].
///
/// # Errors
/// As those two.
pub fn score_and_visualise_sessions(
    sessions: &[RecordBatch],
    column: &str,
    config: Config,
    options: &TimelineOptions,
) -> Result<(Vec<RecordBatch>, Timeline)> {
    let scored = score_sessions(sessions, column, config)?;
    let timeline = visualise_scored_sessions(&scored, options)?;
    Ok((scored, timeline))
}
