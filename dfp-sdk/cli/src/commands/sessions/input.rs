//! Sessions from whatever the command line names: logs through a plugin, tables of events, or sessions that were built
//! before.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::UInt32Type;
use arrow_schema::SchemaRef;
use dfp_sdk::core::{CancelToken, Counts, Error, ErrorKind, Level, Pipeline, Result, Sink, Source};
use dfp_sdk::host::{Kind, LocalHost};
use dfp_sdk::prep::commands::{EventKind, SessionEvents, SessionRules};
use dfp_sdk::prep::sessionize::{Bounds, NUMBER_EVENTS, Sessionize};
use dfp_sdk::prep::{Profile, TimeColumn};
use dfp_sdk::{Progress, expand};

use super::tables::Tables;
use crate::args::{self, Cli, SessionInputArgs};
use crate::commands::plugins;
use crate::progress::{Stderr, say};

/// Gives sessions to `sink`, and closes it. Answers with the counts of records, if records were read.
pub(super) fn read(
    cli: &Cli,
    args: &SessionInputArgs,
    cancel: &CancelToken,
    sink: &mut dyn Sink,
) -> Result<Option<Counts>> {
    let files = expand(&args.inputs)?;
    let progress = Arc::new(Mutex::new(Stderr::new(cli.quiet)));
    if args.plugin.is_none() && args.rules.is_none() {
        refuse_rules(args)?;
        let mut source = Tables::new(files)?;
        let mut meter = Meter::new(&progress, sink);
        Pipeline::new(&mut source).sink(&mut meter).run(cancel)?;
        lock(&progress).end();
        return Ok(None);
    }
    let (warned, rejected, quiet) = (progress.clone(), progress.clone(), cli.quiet);
    let host = LocalHost::new()
        .cancelled_by(cancel.clone())
        .on_log(Level::Warn, move |_, target, text| lock(&warned).warn(&format!("{target}: {text}")))
        .on_reject(move |reject| {
            if !quiet {
                lock(&rejected)
                    .line(&format!("rejected: {}: {}: {}", reject.origin, reject.reason, reject.detail));
            }
        });
    let host = Arc::new(host);
    let Records { mut source, rules, time } = records(cli, args, &files, &host)?;
    let mut options = rules.options();
    options.number_distinct = args.number_distinct;
    let mut events = SessionEvents::new(rules, host.clone())?;
    let sessionize = Sessionize::new(options, host.clone())?;
    let mut sessionize = sessionize.believing(time.believable(SystemTime::now())?);
    let mut meter = Meter::new(&progress, sink);
    Pipeline::new(&mut *source).stage(&mut events).stage(&mut sessionize).sink(&mut meter).run(cancel)?;
    let used = meter.events;
    lock(&progress).end();
    let counts = host.counts(used);
    if !counts.balanced() && args.plugin.is_some() {
        say("warning: the plugin's records do not add up; please tell its author");
    }
    Ok(Some(counts))
}

/// Records, what makes sessions of them, and which times are believed.
struct Records {
    source: Box<dyn Source>,
    rules: SessionRules,
    time: TimeColumn,
}

fn records(cli: &Cli, args: &SessionInputArgs, files: &[String], host: &Arc<LocalHost>) -> Result<Records> {
    let own = args.rules.as_ref().map(|file| {
        let doing = || format!("reading the rules {}", file.display());
        let text = std::fs::read_to_string(file).map_err(|e| Error::io(doing(), e))?;
        SessionRules::from_toml(&text).map_err(|e| Error::from(e).context(doing()))
    });
    let own = own.transpose()?;
    let Some(plugin) = &args.plugin else {
        let rules = changed(own.expect("without a plugin there are rules"), args)?;
        let source = Box::new(Counted { tables: Tables::new(files.to_vec())?, host: host.clone() });
        return Ok(Records { source, rules, time: TimeColumn::default() });
    };
    let found = plugins(cli)?.find(Kind::Source, plugin)?;
    let shipped = Profile::from_toml(found.profile());
    let time = shipped.as_ref().map(|profile| profile.time.clone()).unwrap_or_default();
    let rules = match own {
        Some(rules) => rules,
        None => shipped?.sessions.ok_or_else(|| {
            let what = format!("{plugin} does not say how its records become sessions: give --rules FILE");
            Error::new(ErrorKind::InvalidArgument, what)
        })?,
    };
    let rules = changed(rules, args)?;
    let mut config: serde_json::Map<_, _> = args.option.iter().cloned().collect();
    config.insert("inputs".to_owned(), files.into());
    config.insert("columns".to_owned(), rules.raw_columns().into());
    let config = serde_json::Value::Object(config).to_string();
    Ok(Records { source: found.create_source(&config, host.clone())?, rules, time })
}

/// The rules with the command line's changes.
fn changed(mut rules: SessionRules, args: &SessionInputArgs) -> Result<SessionRules> {
    if let Some(kind) = args.kind {
        rules.event.kind = match kind {
            args::EventKind::Commands => EventKind::Commands,
            args::EventKind::Parameters => EventKind::Parameters,
            args::EventKind::Values => EventKind::Values,
        };
    }
    let limits = &mut rules.limits;
    limits.max_length = args.max_length.unwrap_or(limits.max_length);
    limits.max_separation = args.max_separation.unwrap_or(limits.max_separation);
    limits.lateness = args.lateness.or(limits.lateness);
    if args.inclusive {
        limits.bounds = Bounds::Inclusive;
    }
    rules.validate()?;
    Ok(rules)
}

/// Sessions that are built already are as they are.
fn refuse_rules(args: &SessionInputArgs) -> Result<()> {
    let given = [
        ("--kind", args.kind.is_some()),
        ("--max-length", args.max_length.is_some()),
        ("--max-separation", args.max_separation.is_some()),
        ("--lateness", args.lateness.is_some()),
        ("--inclusive", args.inclusive),
        ("--number-distinct", args.number_distinct),
        ("--option", !args.option.is_empty()),
    ];
    match given.into_iter().find(|(_, given)| *given) {
        None => Ok(()),
        Some((flag, _)) => {
            let what = format!("{flag} says how to make sessions of records: it needs --plugin or --rules");
            Err(Error::new(ErrorKind::InvalidArgument, what))
        }
    }
}

/// A table of events as records: each row is counted as one that was read.
struct Counted {
    tables: Tables,
    host: Arc<LocalHost>,
}

impl Source for Counted {
    fn schema(&self) -> SchemaRef {
        self.tables.schema()
    }

    fn open(&mut self, resume: Option<&[u8]>) -> Result<Box<dyn dfp_sdk::core::BatchStream>> {
        use dfp_sdk::core::{Host, RECORDS_READ};
        let host = self.host.clone();
        let batches = self.tables.open(resume)?;
        let schema = self.tables.schema();
        let counted = batches.inspect(move |batch| {
            if let Ok(batch) = batch {
                host.count(RECORDS_READ, batch.num_rows() as u64);
            }
        });
        Ok(Box::new(super::tables::Stream::new(schema, Box::new(counted))))
    }
}

/// Shows how many sessions came so far, and counts their events.
struct Meter<'a> {
    progress: &'a Mutex<Stderr>,
    sink: &'a mut dyn Sink,
    events: u64,
}

impl<'a> Meter<'a> {
    fn new(progress: &'a Mutex<Stderr>, sink: &'a mut dyn Sink) -> Self {
        Self { progress, sink, events: 0 }
    }
}

impl Sink for Meter<'_> {
    fn bind(&mut self, schema: SchemaRef) -> Result<()> {
        lock(self.progress).begin("reading", None, "sessions");
        self.sink.bind(schema)
    }

    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        lock(self.progress).advance(batch.num_rows() as u64);
        let number = batch.column_by_name(NUMBER_EVENTS);
        let number = number.and_then(|column| column.as_primitive_opt::<UInt32Type>());
        self.events += number.map_or(0, |number| number.iter().flatten().map(u64::from).sum());
        self.sink.write(batch)
    }

    fn flush(&mut self) -> Result<()> {
        self.sink.flush()
    }

    fn close(&mut self) -> Result<()> {
        self.sink.close()
    }
}

/// What another thread left behind when it panicked is still good enough to count with.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
