//! Anomalous sequences: Markov models of what users do in which order, and how rare a session's rarest stretch is.
//!
//! A model counts which command follows which, which parameters commands have, and which values these have, over sessions
//! that are thought to be normal mostly. The likelihood of a window of a session is the product of the probabilities of its
//! transitions and parameters; the least likely window of a session says how unusual the session is, and which events make it
//! so. The score is minus the natural logarithm of that likelihood.
//!
//! After the anomalous sequences of msticpy 3.0.2 (MIT licence), which [`Config::parity`] reproduces. `docs/sequences.md`
//! explains what the default settings do otherwise, and why.
//!
//! ```
//! use std::sync::Arc;
//!
//! use arrow_array::RecordBatch;
//! use arrow_array::cast::AsArray;
//! use arrow_array::types::Float64Type;
//! use dfp_core::{FitContext, Model, Trainer};
//! use dfp_models::sequence::{Config, SequenceTrainer, SessionType, SessionsBuilder};
//!
//! # fn main() -> dfp_core::Result<()> {
//! let mut usual = SessionsBuilder::new(SessionType::CmdsOnly);
//! for _ in 0..50 {
//!     usual.event("login", []).event("read", []).event("logout", []).end_session();
//! }
//! let usual = RecordBatch::try_from_iter([("events", Arc::new(usual.finish()) as _)])?;
//! let trainer = SequenceTrainer::new(Config::default(), "events")?;
//! let model = trainer.fit(&usual, &FitContext::default())?;
//!
//! let mut today = SessionsBuilder::new(SessionType::CmdsOnly);
//! today.event("login", []).event("read", []).event("logout", []).end_session();
//! today.event("login", []).event("delete", []).event("logout", []).end_session();
//! let today = RecordBatch::try_from_iter([("events", Arc::new(today.finish()) as _)])?;
//! let scored = model.score(&today)?;
//! let scores = scored["score"].as_primitive::<Float64Type>();
//! assert!(scores.value(1) > scores.value(0) + 3.0);
//! # Ok(())
//! # }
//! ```

mod builder;
mod config;
mod counts;
mod explain;
mod parameters;
mod persist;
mod probabilities;
mod product;
mod score;
mod sessions;
#[cfg(test)]
mod tests;
mod vocabulary;
mod windows;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{Field, Schema, SchemaRef};
use dfp_core::{CancelToken, FitContext, Model, Trainer, fit_each, parallel_map};

use crate::{Error, Result};
pub use builder::SessionsBuilder;
pub use config::{Config, Modellable, ParameterSmoothing};
use counts::BOUNDARY;
pub use counts::Counts;
use explain::{Rarest, Span};
pub use explain::{Reason, ReasonKind, reason_texts};
use parameters::{Observed, Parameters};
use probabilities::Probabilities;
pub use product::Product;
pub use sessions::{SessionType, Sessions};
use vocabulary::UNKNOWN;
use windows::Chain;
pub use windows::RarestWindow;

/// Events counted between two looks at whether the fit was cancelled.
const CHUNK: usize = 1 << 16;

/// Fits models of sequences to a column of sessions.
#[derive(Debug, Clone)]
pub struct SequenceTrainer {
    config: Config,
    column: String,
}

impl SequenceTrainer {
    /// A trainer for the sessions of this column.
    ///
    /// # Errors
    /// [`Error::Config`] if a setting cannot work.
    pub fn new(config: Config, column: impl Into<String>) -> Result<Self> {
        config.validate()?;
        Ok(Self { config, column: column.into() })
    }

    /// Counts the sessions of a batch. The counts are the same for any number of threads.
    ///
    /// # Errors
    /// If the column is missing, of another type or holds broken sessions, or the fit is cancelled.
    pub fn count(&self, data: &RecordBatch, context: &FitContext) -> Result<Counts> {
        let sessions = Sessions::of_batch(data, &self.column)?;
        let parts = parts(&sessions, context.threads);
        let counted = parallel_map(parts.len(), context.threads, |part| {
            let mut counts = Counts::new(sessions.session_type(), self.config.max_values);
            add_in_chunks(&mut counts, &sessions, parts[part].clone(), &context.cancel)?;
            Ok(counts)
        });
        let mut counted = counted.into_iter();
        let mut all = counted.next().expect("there is a part at least")?;
        for part in counted {
            all.merge(&part?)?;
        }
        Ok(all)
    }

    /// Fits a model to the sessions of a batch. If these are fewer than [`Config::min_sessions`] and there is a population,
    /// its counts are added: the model then knows what all do, and a little of what this entity does.
    ///
    /// # Errors
    /// Those of [`count`](Self::count), if there are no sessions, or if the population is of another type.
    pub fn fit_sequence(
        &self,
        data: &RecordBatch,
        population: Option<&SequenceModel>,
        context: &FitContext,
    ) -> Result<SequenceModel> {
        if data.num_rows() == 0 {
            return Err(Error::NothingToLearn("there are no sessions"));
        }
        let mut counts = self.count(data, context)?;
        if let Some(population) = population.filter(|_| counts.sessions() < self.config.min_sessions as f64) {
            counts.merge(population.counts())?;
        }
        Ok(self.model(&counts))
    }

    /// The model of what was counted, perhaps in parts, or over many days with decay between.
    pub fn model(&self, counts: &Counts) -> SequenceModel {
        SequenceModel::new(self.config.clone(), self.column.clone(), counts)
    }
}

impl Trainer for SequenceTrainer {
    fn fit(&self, data: &RecordBatch, context: &FitContext) -> dfp_core::Result<Arc<dyn Model>> {
        WithPopulation::of(self, context)?.fit(data, context)
    }

    /// Reads the population once for all.
    fn fit_many(
        &self,
        groups: &[RecordBatch],
        context: &FitContext,
    ) -> Vec<dfp_core::Result<Arc<dyn Model>>> {
        match WithPopulation::of(self, context) {
            Ok(trainer) => fit_each(&trainer, groups, context),
            // Every answer says why.
            Err(_) => fit_each(self, groups, context),
        }
    }

    fn load(&self, bytes: &[u8]) -> dfp_core::Result<Arc<dyn Model>> {
        Ok(Arc::new(SequenceModel::load(bytes)?))
    }
}

/// A trainer and the population that it was told of, read.
struct WithPopulation<'a> {
    trainer: &'a SequenceTrainer,
    population: Option<SequenceModel>,
}

impl<'a> WithPopulation<'a> {
    fn of(trainer: &'a SequenceTrainer, context: &FitContext) -> Result<Self> {
        let population = context.population.as_deref().map(SequenceModel::load).transpose()?;
        Ok(Self { trainer, population })
    }
}

impl Trainer for WithPopulation<'_> {
    fn fit(&self, data: &RecordBatch, context: &FitContext) -> dfp_core::Result<Arc<dyn Model>> {
        Ok(Arc::new(self.trainer.fit_sequence(data, self.population.as_ref(), context)?))
    }

    fn load(&self, bytes: &[u8]) -> dfp_core::Result<Arc<dyn Model>> {
        self.trainer.load(bytes)
    }
}

/// Runs of sessions with about equally many events, at least one run.
fn parts(sessions: &Sessions<'_>, number: usize) -> Vec<Range<usize>> {
    let (n, first) = (sessions.len(), sessions.events_of(0..0).start);
    let events = sessions.events_of(0..n).len();
    let number = number.clamp(1, 1 + events / CHUNK);
    let mut start = 0;
    let ends = (1..=number).map(|part| first + events * part / number);
    let parts = ends.map(|end| {
        let range = start..run_until(sessions, start, end);
        start = range.end;
        range
    });
    parts.collect()
}

/// The first session from `start` on that ends beyond the event `end`, and is not `start` itself.
fn run_until(sessions: &Sessions<'_>, start: usize, end: usize) -> usize {
    let more = (start..sessions.len()).take_while(|session| sessions.events(*session).end <= end).count();
    start + more
}

fn add_in_chunks(
    counts: &mut Counts,
    sessions: &Sessions<'_>,
    part: Range<usize>,
    cancel: &CancelToken,
) -> Result<()> {
    let mut start = part.start;
    while start < part.end {
        cancel.check("fitting a model of sequences").map_err(|_| Error::Cancelled)?;
        let until = sessions.events(start).start + CHUNK;
        let end = run_until(sessions, start, until).clamp(start + 1, part.end);
        counts.add_some(sessions, start..end);
        start = end;
    }
    Ok(())
}

/// A model of sequences: what was counted, and how it becomes scores.
#[derive(Debug, Clone)]
pub struct SequenceModel {
    config: Config,
    column: String,
    probabilities: Probabilities,
}

/// A command, or what stands where there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Token<'a> {
    /// Before the first event.
    Start,
    /// After the last event.
    End,
    /// Any command that was never seen.
    Unknown,
    /// This command, seen or not.
    Command(&'a str),
}

/// Which ends of a session count in its likelihood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tokens {
    /// The first command is taken as the start of a session. If not, by how common it is.
    pub start: bool,
    /// The last command is taken as the end of a session.
    pub end: bool,
}

impl Tokens {
    /// Both ends.
    pub const BOTH: Self = Self { start: true, end: true };
    /// Neither.
    pub const NONE: Self = Self { start: false, end: false };
}

/// A set of parameters that a command was used with.
#[derive(Debug, Clone, PartialEq)]
pub struct ParameterSet {
    /// The command.
    pub command: String,
    /// The parameters by name, those whose values count with their value.
    pub parameters: Vec<SetParameter>,
    /// How likely an event of the command has this set.
    pub probability: f64,
}

/// A parameter of a [`ParameterSet`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum SetParameter {
    /// Its values do not count.
    Name(String),
    /// Its value counts: this one as it was written, the empty text included, or null.
    Value(String, Option<String>),
}

impl std::fmt::Display for SetParameter {
    /// As msticpy has it: `name`, `name --- value`, `None` for null.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Value(name, value) => write!(f, "{name} --- {}", value.as_deref().unwrap_or("None")),
        }
    }
}

impl SequenceModel {
    fn new(config: Config, column: String, counts: &Counts) -> Self {
        Self { probabilities: Probabilities::new(counts, &config), config, column }
    }

    /// The settings it was fitted with.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The column of sessions it learned from.
    pub fn column(&self) -> &str {
        &self.column
    }

    /// What was counted, and all that is known.
    pub fn counts(&self) -> &Counts {
        &self.probabilities.counts
    }

    /// A model of what this one learned and of more sessions: the same as if all had been there from the start. To forget
    /// the past meanwhile, decay the [`counts`](Self::counts) and go on from these with [`SequenceTrainer::model`].
    ///
    /// # Errors
    /// Those of [`SequenceTrainer::count`], or if the sessions are of another type.
    pub fn updated(&self, data: &RecordBatch, context: &FitContext) -> Result<Self> {
        let trainer = SequenceTrainer { config: self.config.clone(), column: self.column.clone() };
        let mut counts = self.counts().clone();
        counts.merge(&trainer.count(data, context)?)?;
        Ok(trainer.model(&counts))
    }

    /// Whether it learned from too few sessions to judge others.
    pub fn abstains(&self) -> bool {
        self.probabilities.sessions < self.config.min_sessions as f64
    }

    /// Parameters whose values count.
    pub fn modelled_parameters(&self) -> BTreeSet<&str> {
        match self.counts().session_type() {
            SessionType::CmdsParamsValues => self.probabilities.modelled(),
            _ => BTreeSet::new(),
        }
    }
}

/// Probabilities. Formulas are at the head of the module's source, and in `docs/sequences.md`.
impl SequenceModel {
    /// How common a command is.
    pub fn prior(&self, command: Token<'_>) -> f64 {
        self.probabilities.prior(self.number(command))
    }

    /// That `to` comes after `from`. Nothing comes after the end, and the start after nothing: they are taken as unknown there.
    pub fn transition(&self, from: Token<'_>, to: Token<'_>) -> f64 {
        let from = if from == Token::End { Token::Unknown } else { from };
        let to = if to == Token::Start { Token::Unknown } else { to };
        self.probabilities.transition(self.number(from), self.number(to))
    }

    /// That an event of a command has a parameter; `None` stands for all that it was never seen with.
    pub fn parameter(&self, command: Token<'_>, parameter: Option<&str>) -> f64 {
        let command = self.number(command);
        if command == BOUNDARY {
            return self.probabilities.boundary_presence();
        }
        let parameter = self.parameter_number(parameter);
        let seen = self.probabilities.seen(command, parameter).unwrap_or(0.0);
        self.probabilities.presence(command, seen)
    }

    /// That a parameter has a value; `None` stands for no value and for all it was never seen with.
    pub fn value(&self, parameter: Option<&str>, value: Option<&str>) -> f64 {
        let value = value.filter(|value| !value.is_empty());
        self.probabilities.value(self.parameter_number(parameter), value)
    }

    /// The share of every parameter in all smoothed counts, `None` for unknown ones. No score uses it.
    pub fn parameter_shares(&self) -> BTreeMap<Option<&str>, f64> {
        self.probabilities.parameter_shares()
    }

    /// The share of every value in all smoothed counts of values, `None` for unknown ones. No score uses it.
    pub fn value_shares(&self) -> BTreeMap<Option<&str>, f64> {
        self.probabilities.value_shares()
    }

    fn number(&self, command: Token<'_>) -> u32 {
        match command {
            Token::Start | Token::End => BOUNDARY,
            Token::Unknown => UNKNOWN,
            Token::Command(name) => self.counts().commands.find(name),
        }
    }

    fn parameter_number(&self, parameter: Option<&str>) -> u32 {
        parameter.map_or(UNKNOWN, |name| self.counts().parameters.find(name))
    }
}

/// Likelihoods of sessions, seen before or not.
impl SequenceModel {
    /// The likelihood of every session. Its geometric mean, as msticpy has it, is the root by the number of events.
    ///
    /// # Errors
    /// [`Error::Mismatch`] if the sessions are of another type.
    pub fn likelihoods(&self, sessions: &Sessions<'_>, tokens: Tokens) -> Result<Vec<Product>> {
        let mut all = Vec::with_capacity(sessions.len());
        self.each(sessions, |_, _, chain| all.push(chain.whole(tokens.start, tokens.end)))?;
        Ok(all)
    }

    /// Likelihoods of all windows of `length` events of every session, none where it is too short. With `tokens`, the first
    /// window starts with the start of the session, and its end is one more event.
    ///
    /// # Errors
    /// [`Error::Config`] if the length is 0, [`Error::Mismatch`] if the sessions are of another type.
    pub fn windows(&self, sessions: &Sessions<'_>, length: usize, tokens: bool) -> Result<Vec<Vec<Product>>> {
        check_length(length)?;
        let mut all = Vec::with_capacity(sessions.len());
        self.each(sessions, |_, _, chain| all.push(chain.windows(length, tokens).to_vec()))?;
        Ok(all)
    }

    /// The least likely window of `length` events of every session, the first one of equals; none where the session is too
    /// short.
    ///
    /// # Errors
    /// Those of [`windows`](Self::windows).
    pub fn rarest_windows(
        &self,
        sessions: &Sessions<'_>,
        length: usize,
        tokens: bool,
    ) -> Result<Vec<Option<RarestWindow>>> {
        check_length(length)?;
        let mut all = Vec::with_capacity(sessions.len());
        self.each(sessions, |_, _, chain| all.push(chain.rarest(length, tokens)))?;
        Ok(all)
    }

    /// The distinct sets of parameters that commands are used with in these sessions, by command and set, and how likely each
    /// is; with `geometric_mean`, to the power of 1 / number of factors, as in likelihoods.
    ///
    /// # Errors
    /// [`Error::Mismatch`] if the sessions are of another type, or of commands only.
    pub fn parameter_sets(&self, sessions: &Sessions<'_>, geometric_mean: bool) -> Result<Vec<ParameterSet>> {
        self.check_type(sessions)?;
        if sessions.session_type() == SessionType::CmdsOnly {
            return Err(Error::Mismatch("these sessions have no parameters to make sets of".to_owned()));
        }
        let mut sets = BTreeMap::new();
        let mut observed = Observed::default();
        for event in sessions.events_of(0..sessions.len()) {
            let command = sessions.name(event);
            sets.entry((command, self.set_of(sessions, event))).or_insert_with(|| {
                self.parameters().observe(sessions, event..event + 1, &mut observed);
                let factors = self.parameters().factors(observed.commands[0], observed.params(0));
                if geometric_mean { factors.geometric_mean() } else { factors.product.value() }
            });
        }
        let sets = sets.into_iter().map(|((command, parameters), probability)| ParameterSet {
            command: command.to_owned(),
            parameters,
            probability,
        });
        Ok(sets.collect())
    }

    fn set_of(&self, sessions: &Sessions<'_>, event: usize) -> Vec<SetParameter> {
        let places: BTreeMap<&str, usize> =
            sessions.params(event).map(|place| (sessions.param_name(place), place)).collect();
        let part = |(name, place): (&str, usize)| {
            let modelled = sessions.session_type() == SessionType::CmdsParamsValues
                && self.probabilities.is_modelled(self.counts().parameters.find(name));
            if modelled {
                SetParameter::Value(name.to_owned(), sessions.written_value(place).map(str::to_owned))
            } else {
                SetParameter::Name(name.to_owned())
            }
        };
        places.into_iter().map(part).collect()
    }

    /// What makes a window rare: its factors, the least likely first, at most [`Config::reasons`]. `window` is of items of the
    /// session: with `tokens`, the end of the session is the item after its last event.
    ///
    /// # Errors
    /// [`Error::Mismatch`] if the sessions are of another type; [`Error::Session`] if there is no such window.
    pub fn reasons<'a>(
        &'a self,
        sessions: &Sessions<'a>,
        session: usize,
        window: Range<usize>,
        tokens: bool,
    ) -> Result<Vec<Reason<'a>>> {
        self.check_type(sessions)?;
        let refuse = |why: &str| Err(Error::Session { row: session, why: why.to_owned() });
        if session >= sessions.len() {
            return refuse("there is no such session");
        }
        let items = sessions.events(session).len() + usize::from(tokens);
        if window.is_empty() || window.end > items {
            return refuse(&format!("its items {window:?} are no window of {items}"));
        }
        let mut rarest = Rarest::new(self.config.reasons);
        let mut observed = Observed::default();
        self.parameters().observe(sessions, sessions.events(session), &mut observed);
        let span = Span { session, items: window, tokens };
        self.parameters().explain(sessions, &observed, &span, &mut rarest);
        Ok(rarest.reasons)
    }

    fn parameters(&self) -> Parameters<'_> {
        Parameters { probabilities: &self.probabilities, config: &self.config }
    }

    /// Calls `f` with every session's number, events and factors.
    fn each(&self, sessions: &Sessions<'_>, mut f: impl FnMut(usize, &Observed, &mut Chain)) -> Result<()> {
        self.check_type(sessions)?;
        let (mut observed, mut chain) = (Observed::default(), Chain::default());
        let parameters = self.parameters();
        for session in 0..sessions.len() {
            parameters.observe(sessions, sessions.events(session), &mut observed);
            let events = observed.commands.iter().enumerate().map(|(event, command)| {
                (*command, parameters.factors(*command, observed.params(event)).geometric_mean())
            });
            chain.fill(&self.probabilities, events);
            f(session, &observed, &mut chain);
        }
        Ok(())
    }

    fn check_type(&self, sessions: &Sessions<'_>) -> Result<()> {
        let (ours, theirs) = (self.counts().session_type(), sessions.session_type());
        if ours == theirs {
            return Ok(());
        }
        Err(Error::Mismatch(format!("the model learned sessions of {ours:?}, these are of {theirs:?}")))
    }
}

fn check_length(length: usize) -> Result<()> {
    if length > 0 {
        return Ok(());
    }
    let (field, value) = ("window length", length.to_string());
    Err(Error::Config { field, value, accepted: "1 or more events" })
}

impl Model for SequenceModel {
    fn schema(&self) -> SchemaRef {
        let sessions = self.counts().session_type().data_type();
        Arc::new(Schema::new(vec![Field::new(&self.column, sessions, false)]))
    }

    /// Columns: `score`, minus the natural logarithm of the likelihood of the rarest window of the first length; for every
    /// length L `rarest_window<L>_likelihood`, `rarest_window<L>` (its events), `rarest_window<L>_start`; `likelihood`,
    /// `log_likelihood` and `geomean_likelihood` of the whole session; `abstained`; `reasons`, the least likely factors of the
    /// window that made the score.
    fn score(&self, batch: &RecordBatch) -> dfp_core::Result<RecordBatch> {
        let sessions = Sessions::of_batch(batch, &self.column)?;
        Ok(score::Judged::of(self, sessions)?.into_batch()?)
    }

    fn save(&self) -> dfp_core::Result<Vec<u8>> {
        Ok(self.to_bytes()?)
    }
}
