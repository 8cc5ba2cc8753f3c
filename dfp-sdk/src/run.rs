//! What training and inference share: the profile, what is read, and reading one period of it.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Instant, SystemTime};

use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::SchemaRef;
use arrow_select::concat::concat_batches;
use dfp_core::{
    CancelToken, Counts, Error, ErrorKind, Host, Level, ORIGIN, Pipeline, Reject, Result, Sink, Source,
};
#[cfg(feature = "isolation")]
use dfp_host::remote::IsolatedSource;
use dfp_host::{Found, Kind, LocalHost, Plugins};
use dfp_prep::batcher::{self, BatchOptions, DatedFile, GroupBy};
use dfp_prep::{ENTITY_AS_WRITTEN, LoadOptions, LoadStage, Profile, Selection};
use serde::Serialize;
use serde_json::Value;

use crate::config::{PipelineConfig, SourceConfig, Unreadable};
use crate::finding::{AtomicFile, json_line, strings};
use crate::stream::{Feed, Reader};
use crate::{Progress, input};

/// One training or inference run over a pipeline file.
///
/// ```no_run
/// use dfp_sdk::{PipelineConfig, Run, Silent, host::Plugins};
///
/// let config = PipelineConfig::from_file("azure.toml".as_ref())?;
/// let plugins = Plugins::new();
/// let report = Run::new(config, &plugins)?.train(&mut Silent)?;
/// println!("{} models", report.trained);
/// # Ok::<(), dfp_sdk::core::Error>(())
/// ```
pub struct Run {
    pub(crate) config: PipelineConfig,
    pub(crate) profile: Profile,
    origin: Origin,
    pub(crate) cancel: CancelToken,
    pub(crate) choice: Choice,
}

/// Which users and files a run takes; everything by default.
#[derive(Debug, Clone, Default)]
pub struct Choice {
    /// Users left out, or the only ones taken, as people write their names: their records, and models of their own. The
    /// shared model learns from all stored histories.
    pub users: Selection,
    /// Files dated earlier are left out; nanoseconds since 1970.
    pub start: Option<i64>,
    /// Files dated later are left out; nanoseconds since 1970.
    pub end: Option<i64>,
    /// A source that reads no files begins at its start, wherever an earlier run came to.
    pub from_start: bool,
}

/// What a run reads.
pub(crate) enum Input {
    /// Files, in periods, oldest first.
    Files(Vec<Vec<String>>),
    /// What the source's configuration says.
    Stream,
}

/// How long a step took.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StepTime {
    /// What was done.
    pub step: &'static str,
    /// Wall-clock time.
    pub seconds: f64,
}

/// A file of rejected records that appears when the run ends well.
pub(crate) type RejectFile = Arc<Mutex<AtomicFile>>;

/// Where rejected records go, beside the counts: lines of JSON.
pub(crate) type RejectLines = Arc<Mutex<dyn Write + Send>>;

impl Run {
    /// Checks the configuration, and finds the source and the profile; opens nothing else.
    ///
    /// # Errors
    /// If the plugin cannot be found or is not to be trusted, or the profile is wrong.
    pub fn new(config: PipelineConfig, plugins: &Plugins) -> Result<Self> {
        let plugins = plugins.clone().at_least(config.plugins.policy()?);
        let origin = Origin::find(&config.source, &plugins)?;
        let profile = profile(&config, &origin)?;
        Ok(Self { config, profile, origin, cancel: CancelToken::default(), choice: Choice::default() })
    }

    /// Takes only some users and files.
    #[must_use]
    pub fn choosing(mut self, choice: Choice) -> Self {
        self.choice = choice;
        self
    }

    /// Stops the run once `token` is cancelled; nothing is published then.
    #[must_use]
    pub fn cancelled_by(mut self, token: CancelToken) -> Self {
        self.cancel = token;
        self
    }

    /// The profile in force: the plugin's own or the file's, with the pipeline's changes.
    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    /// What the run reads: files, if any are named; else what the source's configuration says, unless that, by its schema,
    /// has to name `inputs`.
    pub(crate) fn input(&self) -> Result<Input> {
        let invalid = |what: String| Err(Error::new(ErrorKind::InvalidConfig, what));
        let (id, inputs) = (self.origin.id(), &self.config.source.inputs);
        let schema = self.origin.schema();
        if !inputs.is_empty() {
            if schema.refuses("inputs") {
                return invalid(format!("source {id} reads no files: leave out `source.inputs` and -f"));
            }
            return Ok(Input::Files(self.periods()?));
        }
        if schema.names("inputs") {
            return invalid("no inputs: name files under `source.inputs`, or with -f".to_owned());
        }
        if self.config.source.isolate {
            let what = format!(
                "source {id} reads no files, and an isolated process opens no sockets: run it without isolation"
            );
            return Err(Error::new(ErrorKind::Unsupported, what));
        }
        if self.choice.start.is_some() || self.choice.end.is_some() {
            let what = format!(
                "a time range chooses files by their dates, and source {id} reads none: `source.config` says where it begins"
            );
            return Err(Error::new(ErrorKind::InvalidArgument, what));
        }
        Ok(Input::Stream)
    }

    /// The input files in periods, oldest first.
    fn periods(&self) -> Result<Vec<Vec<String>>> {
        let group_by: GroupBy = self
            .config
            .source
            .period
            .parse()
            .map_err(|why| Error::new(ErrorKind::InvalidConfig, format!("source.period: {why}")))?;
        let files = input::expand(&self.config.source.inputs)?;
        let count = files.len();
        let dated = files.into_iter().map(|path| {
            let time = batcher::file_date(&path)?.unwrap_or_else(|| input::modified(&path));
            Ok(DatedFile { path, time })
        });
        let options = BatchOptions {
            group_by: Some(group_by),
            start: self.choice.start,
            end: self.choice.end,
            ..BatchOptions::default()
        };
        let batches = batcher::batch_files(dated.collect::<Result<_>>()?, &options)?;
        if batches.is_empty() {
            let what = format!("none of the {count} input files is dated inside the time range asked for");
            return Err(Error::new(ErrorKind::NotFound, what));
        }
        Ok(batches.into_iter().map(|batch| batch.files).collect())
    }

    /// Reads one period's files into `sink`.
    pub(crate) fn read_period(
        &self,
        files: &[String],
        host: &Arc<LocalHost>,
        sink: &mut dyn Sink,
    ) -> Result<()> {
        let mut source = self.file_source(files, host)?;
        let mut load = self.load_stage(host)?;
        Pipeline::new(&mut *source).stage(&mut load).sink(sink).run(&self.cancel).map(drop)
    }

    /// The profile's load columns for what is read now.
    pub(crate) fn load_stage(&self, host: &Arc<LocalHost>) -> Result<LoadStage> {
        let options =
            LoadOptions { selection: self.choice.users.clone(), ..LoadOptions::at(SystemTime::now()) };
        Ok(LoadStage::new(&self.profile, &options, host.clone())?)
    }

    fn file_source(&self, files: &[String], host: &Arc<LocalHost>) -> Result<Box<dyn Source>> {
        let mut config = self.config.source.config.clone();
        config.insert("inputs".to_owned(), files.into());
        if self.config.source.unreadable == Unreadable::Skip {
            config.insert("unreadable".to_owned(), "skip".into());
        }
        self.source(config, host)
    }

    fn source(
        &self,
        mut config: serde_json::Map<String, Value>,
        host: &Arc<LocalHost>,
    ) -> Result<Box<dyn Source>> {
        if !self.origin.schema().refuses("columns") {
            config.insert("columns".to_owned(), self.profile.raw_columns().into());
        }
        self.origin.create(&Value::Object(config).to_string(), host.clone())
    }

    /// Opens the source, which reads no files, behind `resume`. For training it has to come to an end: a source that asks
    /// again every `schedule.poll_seconds` does so only once.
    pub(crate) fn feed(
        &self,
        reader: Reader,
        host: &Arc<LocalHost>,
        resume: Option<Vec<u8>>,
    ) -> Result<Feed<'_>> {
        if self.choice.users != Selection::default() {
            let what = "users are chosen from files only: what is passed over here would never be read again";
            return Err(Error::new(ErrorKind::InvalidArgument, what));
        }
        let mut config = self.config.source.config.clone();
        if reader == Reader::Train
            && let Some(seconds) =
                config.get_mut("schedule").and_then(|schedule| schedule.get_mut("poll_seconds"))
        {
            *seconds = 0.into();
        }
        Feed::open(self, host.clone(), self.source(config, host)?, resume)
    }

    /// The name in the store of a reader of the source.
    pub(crate) fn reader(&self, reader: Reader) -> String {
        reader.name(self.origin.id(), &self.config.source.config)
    }

    /// The file for rejected records, if one is wanted.
    pub(crate) fn reject_file(&self) -> Result<Option<RejectFile>> {
        let create = |path: &std::path::PathBuf| Ok(Arc::new(Mutex::new(AtomicFile::create(path)?)));
        self.config.rejects.as_ref().map(create).transpose()
    }

    /// A host whose rejects go to `lines`.
    pub(crate) fn host(&self, lines: Option<RejectLines>, warnings: &Warnings) -> Result<Arc<LocalHost>> {
        let warnings = warnings.clone();
        let mut host =
            LocalHost::new().cancelled_by(self.cancel.clone()).on_log(Level::Warn, move |_, target, text| {
                warnings.push(format!("{target}: {text}"));
            });
        if let Some(secrets) = self.config.secrets.secrets()? {
            host = host.secrets(secrets);
        }
        Ok(Arc::new(host.on_reject(move |reject| {
            if let Some(lines) = &lines {
                // A full disk shows when the file is finished; the counts are right either way.
                let _ = json_line(&mut *lines.lock().unwrap_or_else(PoisonError::into_inner), reject);
            }
        })))
    }
}

/// Different warnings of one period that are shown; beyond, they are only counted. A damaged file can raise one per record.
const MOST_WARNINGS: usize = 20;

/// Warnings raised on other threads, shown between steps.
#[derive(Debug, Clone, Default)]
pub(crate) struct Warnings(Arc<Mutex<Raised>>);

#[derive(Debug, Default)]
struct Raised {
    shown: Vec<String>,
    more: u64,
}

impl Warnings {
    fn push(&self, text: String) {
        let mut raised = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if raised.shown.len() < MOST_WARNINGS && !raised.shown.contains(&text) {
            raised.shown.push(text);
        } else {
            raised.more += 1;
        }
    }

    pub(crate) fn show(&self, progress: &mut dyn Progress) {
        let Raised { shown, more } =
            std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        for text in shown {
            progress.warn(&text);
        }
        if more > 0 {
            progress.warn(&format!("and {more} more warnings"));
        }
    }
}

/// Adds one period's counters to a run's.
pub(crate) fn add_counters(all: &mut BTreeMap<String, u64>, period: BTreeMap<String, u64>) {
    for (name, n) in period {
        *all.entry(name).or_default() += n;
    }
}

/// Loaded rows without the column that only people read, and that column: neither histories nor models want it.
pub(crate) fn without_written(mut loaded: RecordBatch) -> Result<(RecordBatch, ArrayRef)> {
    let index = loaded.schema().index_of(ENTITY_AS_WRITTEN)?;
    let written = loaded.remove_column(index);
    Ok((loaded, written))
}

/// Fails if the books do not balance: a record vanished, which is a fault of ours or of a plugin.
pub(crate) fn check_counts(counts: &Counts) -> Result<()> {
    if counts.balanced() {
        return Ok(());
    }
    let text = format!(
        "records do not add up: {} read, {} used, {} rejected; please report this",
        counts.read,
        counts.used,
        counts.rejected_total()
    );
    Err(Error::new(ErrorKind::Internal, text))
}

/// Rejects every row, for one reason.
pub(crate) fn reject_all(
    host: &dyn Host,
    rows: &RecordBatch,
    reason: &'static str,
    detail: &str,
) -> Result<()> {
    let origins = strings(rows, ORIGIN)?;
    for row in 0..rows.num_rows() {
        host.reject(Reject::new(origins.value(row), reason, detail));
    }
    Ok(())
}

/// Where the source comes from.
enum Origin {
    /// This process.
    Here(Found),
    /// Processes of its own.
    #[cfg(feature = "isolation")]
    Isolated(Box<IsolatedSource>),
}

impl Origin {
    fn find(config: &SourceConfig, plugins: &Plugins) -> Result<Self> {
        if !config.isolate {
            return Ok(Self::Here(plugins.find(Kind::Source, &config.plugin)?));
        }
        #[cfg(feature = "isolation")]
        return Ok(Self::Isolated(Box::new(plugins.isolated_source(&config.plugin)?)));
        #[cfg(not(feature = "isolation"))]
        Err(Error::new(
            ErrorKind::Unsupported,
            "source.isolate: this program is built without the feature `isolation` of dfp-sdk",
        ))
    }

    fn id(&self) -> &str {
        match self {
            Self::Here(found) => found.id(),
            #[cfg(feature = "isolation")]
            Self::Isolated(source) => &source.description().id,
        }
    }

    fn schema(&self) -> ConfigSchema {
        let schema = match self {
            Self::Here(found) => found.config_schema(),
            #[cfg(feature = "isolation")]
            Self::Isolated(source) => &source.description().config_schema,
        };
        // One that is none says nothing; making the source says so.
        ConfigSchema(serde_json::from_str(schema).unwrap_or_default())
    }

    fn profile(&self) -> Result<String> {
        let profile = match self {
            Self::Here(found) => found.profile(),
            #[cfg(feature = "isolation")]
            Self::Isolated(source) => &source.description().profile,
        };
        if profile.is_empty() {
            let what = format!("source {} ships no profile; name a file under `profile.file`", self.id());
            return Err(Error::new(ErrorKind::NotFound, what));
        }
        Ok(profile.to_owned())
    }

    fn create(&self, config: &str, host: Arc<LocalHost>) -> Result<Box<dyn Source>> {
        match self {
            Self::Here(found) => found.create_source(config, host),
            #[cfg(feature = "isolation")]
            Self::Isolated(source) => Ok(Box::new(source.create(config, host)?)),
        }
    }
}

/// What a source's configuration may hold.
struct ConfigSchema(Value);

impl ConfigSchema {
    /// Whether it speaks of a member.
    fn names(&self, member: &str) -> bool {
        self.0["properties"].get(member).is_some()
    }

    /// Whether a configuration with that member is refused.
    fn refuses(&self, member: &str) -> bool {
        !self.names(member) && self.0["additionalProperties"] == false
    }
}

fn profile(config: &PipelineConfig, origin: &Origin) -> Result<Profile> {
    let text = match &config.profile.file {
        Some(path) => read_text(path)?,
        None => origin.profile()?,
    };
    let profile = Profile::from_toml(&text)?;
    if config.profile.overrides.is_empty() {
        return Ok(profile);
    }
    Ok(profile.with_overrides(&config.profile.overrides.to_string())?)
}

fn read_text(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).map_err(|e| Error::io(format!("reading the profile {}", path.display()), e))
}

/// Gives the reject file its name.
pub(crate) fn finish(file: Option<RejectFile>) -> Result<()> {
    let Some(file) = file else { return Ok(()) };
    file.lock().unwrap_or_else(PoisonError::into_inner).finish()
}

/// Keeps a period's batches in memory.
#[derive(Debug, Default)]
pub(crate) struct Collect {
    schema: Option<SchemaRef>,
    batches: Vec<RecordBatch>,
}

impl Collect {
    /// Everything written, as one batch.
    pub(crate) fn concat(&self) -> Result<RecordBatch> {
        let schema = self.schema.as_ref().expect("a pipeline binds its sinks");
        Ok(concat_batches(schema, &self.batches)?)
    }
}

impl Sink for Collect {
    fn bind(&mut self, schema: SchemaRef) -> Result<()> {
        self.schema = Some(schema);
        Ok(())
    }

    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.batches.push(batch.clone());
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }

    fn close(&mut self) -> Result<()> {
        Ok(())
    }
}

/// Step times, in order.
#[derive(Debug, Default)]
pub(crate) struct Steps(pub(crate) Vec<StepTime>);

impl Steps {
    /// Does a step and notes how long it took.
    pub(crate) fn time<T>(&mut self, step: &'static str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let started = Instant::now();
        let result = work();
        self.0.push(StepTime { step, seconds: started.elapsed().as_secs_f64() });
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Heard(Vec<String>);

    impl Progress for Heard {
        fn begin(&mut self, _step: &str, _total: Option<u64>, _unit: &str) {}
        fn advance(&mut self, _n: u64) {}
        fn end(&mut self) {}
        fn warn(&mut self, text: &str) {
            self.0.push(text.to_owned());
        }
    }

    fn heard(warnings: &Warnings) -> Vec<String> {
        let mut progress = Heard::default();
        warnings.show(&mut progress);
        progress.0
    }

    #[test]
    fn a_warning_per_record_is_counted_and_not_kept() {
        let warnings = Warnings::default();
        for record in 0..100_000 {
            warnings.push(format!("record {record}"));
        }
        let kept: usize = warnings.0.lock().unwrap().shown.iter().map(String::capacity).sum();
        assert!(kept < 10_000, "{kept} bytes kept");
        let heard_texts = heard(&warnings);
        assert_eq!(heard_texts[0], "record 0");
        assert_eq!(heard_texts.last().unwrap(), &format!("and {} more warnings", 100_000 - MOST_WARNINGS));
        assert_eq!(heard(&warnings), [""; 0]);
    }

    #[test]
    fn few_warnings_are_all_shown_and_the_same_ones_once() {
        let warnings = Warnings::default();
        for text in ["a", "b", "a", "a"] {
            warnings.push(text.to_owned());
        }
        assert_eq!(heard(&warnings), ["a", "b", "and 2 more warnings"]);
        warnings.push("a".to_owned());
        assert_eq!(heard(&warnings), ["a"]);
    }
}
