//! `dfp read`: what a plugin makes of a log.

mod distinct;
mod stats;

use std::io::{IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use dfp_sdk::core::{Error, ErrorKind, Level, Pipeline, Reject, Result, Sink, Source};
use dfp_sdk::host::{Kind, LocalHost, Plugins};
use dfp_sdk::prep::{Deduplicate, EntityColumn, Profile, Without};
use dfp_sdk::{Progress, expand};
use serde_json::{Map, Value};

use self::stats::{Inputs, Stats};
use super::{cancel_on_signal, counts_line, plugins, status};
use crate::args::{Cli, ReadArgs};
use crate::output::Output;
use crate::progress::{Stderr, printable, say};

pub(crate) fn run(cli: &Cli, args: &ReadArgs) -> Result<ExitCode> {
    // First of all: from here on an interrupted run cleans up.
    let cancel = cancel_on_signal();
    let files = expand(&args.inputs)?;
    let config = config(args, &files)?;
    let writes = args.out.is_some() || !args.stats;
    let mut output = if writes { Some(Output::new(args.format, args.out.as_deref(), &files)?) } else { None };
    let plugins = plugins(cli)?;
    // A bar and records on one terminal would overwrite each other.
    let crowded = writes && args.out.is_none() && std::io::stdout().is_terminal();
    let progress = Arc::new(Mutex::new(Stderr::new(cli.quiet || crowded)));
    let inputs = Arc::new(Mutex::new(Inputs::new(&files)));
    let host = host(cli, args, &progress, &inputs)?.cancelled_by(cancel.clone());
    let host = Arc::new(host);
    let (mut source, profile) = source(&plugins, args, &config.to_string(), host.clone())?;

    let mut deduplicate = Deduplicate::new(host.clone());
    let mut stats = Stats::new(entity(&profile), inputs);
    let mut meter = Meter(&progress);
    let mut pipeline = Pipeline::new(&mut *source).sink(&mut meter);
    if args.dedup {
        pipeline = pipeline.stage(&mut deduplicate);
    }
    if args.stats {
        pipeline = pipeline.sink(&mut stats);
    }
    if let Some(output) = &mut output {
        pipeline = pipeline.sink(output);
    }
    let used = pipeline.run(&cancel)?;
    lock(&progress).end();

    let counts = host.counts(used);
    if !counts.balanced() {
        say("warning: the plugin's records do not add up; please tell its author");
    }
    if args.stats {
        let report = stats.report(&counts, host.counters());
        let text = if cli.json {
            serde_json::to_string_pretty(&report)
                .map_err(|e| Error::caused(ErrorKind::Internal, "printing JSON", e))?
        } else {
            printable(&report.to_string())
        };
        writeln!(std::io::stdout(), "{}", text.trim_end()).map_err(|e| Error::io("writing to stdout", e))?;
    } else {
        say(&counts_line(&counts));
    }
    Ok(status(args.strict, &counts))
}

/// The plugin's configuration: the file, then single options, then what the command line says by other names.
fn config(args: &ReadArgs, files: &[String]) -> Result<Value> {
    let mut config = args.config.as_deref().map(read_config).transpose()?.unwrap_or_default();
    config.extend(args.option.iter().cloned());
    if !files.is_empty() {
        config.insert("inputs".to_owned(), files.into());
    }
    if !args.column.is_empty() {
        config.insert("columns".to_owned(), args.column.clone().into());
    }
    Ok(Value::Object(config))
}

fn read_config(path: &Path) -> Result<Map<String, Value>> {
    let doing = || format!("reading the configuration {}", path.display());
    let text = std::fs::read_to_string(path).map_err(|e| Error::io(doing(), e))?;
    serde_json::from_str(&text).map_err(|e| Error::caused(ErrorKind::InvalidConfig, doing(), e))
}

fn host(
    cli: &Cli,
    args: &ReadArgs,
    progress: &Arc<Mutex<Stderr>>,
    inputs: &Arc<Mutex<Inputs>>,
) -> Result<LocalHost> {
    let (quiet, warned, rejected, inputs) = (cli.quiet, progress.clone(), progress.clone(), inputs.clone());
    let host = LocalHost::new()
        .on_log(Level::Warn, move |_, target, text| lock(&warned).warn(&format!("{target}: {text}")))
        .on_reject(move |reject: &Reject| {
            lock(&inputs).rejected(&reject.origin);
            if !quiet {
                let line = format!("rejected: {}: {}: {}", reject.origin, reject.reason, reject.detail);
                lock(&rejected).line(&line);
            }
        });
    Ok(match args.secrets.secrets()? {
        Some(secrets) => host.secrets(secrets),
        None => host,
    })
}

/// The source, here or in a process of its own, and the profile it ships; empty if it ships none.
fn source(
    plugins: &Plugins,
    args: &ReadArgs,
    config: &str,
    host: Arc<LocalHost>,
) -> Result<(Box<dyn Source>, String)> {
    if args.isolate {
        let source = plugins.isolated_source(&args.plugin)?;
        let profile = source.description().profile.clone();
        return Ok((Box::new(source.create(config, host)?), profile));
    }
    let found = plugins.find(Kind::Source, &args.plugin)?;
    Ok((found.create_source(config, host)?, found.profile().to_owned()))
}

/// Who the records are about, if the source ships a profile that says so. Who is nobody counts as nobody, kept or not.
fn entity(profile: &str) -> Option<EntityColumn> {
    Some(EntityColumn { without: Without::Reject, ..Profile::from_toml(profile).ok()?.entity })
}

/// What another thread left behind when it panicked is still good enough to count with.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Shows how many records came so far.
struct Meter<'a>(&'a Mutex<Stderr>);

impl Sink for Meter<'_> {
    fn bind(&mut self, _schema: SchemaRef) -> Result<()> {
        lock(self.0).begin("reading", None, "records");
        Ok(())
    }

    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        lock(self.0).advance(batch.num_rows() as u64);
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }

    fn close(&mut self) -> Result<()> {
        Ok(())
    }
}
