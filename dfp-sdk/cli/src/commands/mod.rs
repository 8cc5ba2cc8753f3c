//! One module per command, and what they share.

pub(crate) mod demo;
pub(crate) mod devices;
pub(crate) mod generate;
pub(crate) mod infer;
pub(crate) mod models;
pub(crate) mod plugin;
pub(crate) mod plugin_check;
pub(crate) mod plugin_host;
pub(crate) mod read;
pub(crate) mod sessions;
pub(crate) mod train;

use std::collections::BTreeMap;
use std::io::Write;
use std::process::ExitCode;

use dfp_sdk::core::{CancelToken, Counts, Error, ErrorKind, Result};
use dfp_sdk::host::remote::RemoteOptions;
use dfp_sdk::host::{Plugins, Policy, PublicKey};
use dfp_sdk::prep::Selection;
use dfp_sdk::{Choice, PipelineConfig};
use jiff::Timestamp;
use serde::Serialize;

use crate::REJECTED;
use crate::args::{Cli, SelectionArgs};

/// Plugins in the directories asked for, then beside the program, which itself is what runs isolated ones.
fn plugins(cli: &Cli) -> Result<Plugins> {
    let mut plugins = Plugins::new().policy(policy(cli)?);
    for dir in &cli.plugin_dir {
        let dir = std::fs::canonicalize(dir)
            .map_err(|e| Error::io(format!("looking for plugins in {}", dir.display()), e))?;
        plugins = plugins.search(dir);
    }
    let program = std::env::current_exe().map_err(|e| Error::io("finding this program's directory", e))?;
    let beside = program.parent().expect("a program is in a directory").to_owned();
    Ok(plugins.search(beside).isolated_by(RemoteOptions::of_program(program)))
}

/// What the command line wants to know of a library before it is loaded.
fn policy(cli: &Cli) -> Result<Policy> {
    // Digits first: no file needs a name like that.
    let key = |text: &String| text.parse().or_else(|_| PublicKey::read(text.as_ref()));
    let keys = cli.plugin_key.iter().map(|text| {
        key(text).map_err(|error| error.context(format!("--plugin-key {text}: neither key nor key file")))
    });
    let keys: Vec<PublicKey> = keys.collect::<Result<_>>()?;
    let default = if keys.is_empty() { "explicit-only" } else { "signed" };
    Policy::named(cli.plugin_policy.as_deref().unwrap_or(default), keys)
}

/// The pipeline file with the command line's inputs in place of its own.
fn pipeline(args: &SelectionArgs) -> Result<PipelineConfig> {
    let mut config = PipelineConfig::from_file(&args.config)?;
    if !args.inputs.is_empty() {
        config.source.inputs.clone_from(&args.inputs);
    }
    config.source.isolate |= args.isolate;
    Ok(config)
}

/// Which users and files the command line asks for.
fn choice(args: &SelectionArgs) -> Result<Choice> {
    let (start, end) = match (args.start_time, args.duration) {
        (start, None) => (start, None),
        (Some(start), Some(span)) => (Some(start), Some(shift(start, span)?)),
        (None, Some(span)) => {
            let now = Timestamp::now();
            (Some(shift(now, -span)?), Some(now))
        }
    };
    let nanoseconds = |time: Timestamp| i64::try_from(time.as_nanosecond()).unwrap_or(i64::MAX);
    Ok(Choice {
        users: Selection::new(args.skip_user.clone(), args.only_user.clone())?,
        start: start.map(nanoseconds),
        end: end.map(nanoseconds),
        from_start: args.from_start,
    })
}

fn shift(time: Timestamp, span: jiff::SignedDuration) -> Result<Timestamp> {
    time.checked_add(span).map_err(|e| Error::caused(ErrorKind::InvalidArgument, "adding --duration", e))
}

/// A token that Ctrl-C and termination cancel; a second one ends the program at once.
fn cancel_on_signal() -> CancelToken {
    let token = CancelToken::default();
    let cancelled = token.clone();
    // A handler is there already only if a program calls this twice; the first one serves.
    let _ = ctrlc::set_handler(move || {
        if cancelled.is_cancelled() {
            std::process::exit(130);
        }
        eprintln!("stopping; nothing half-done is kept (once more to stop at once)");
        cancelled.cancel();
    });
    token
}

/// Prints a line, or all of `value` as JSON under `--json`, on stdout.
fn print(cli: &Cli, value: &impl Serialize, text: impl FnOnce() -> String) -> Result<()> {
    let line = if cli.json {
        serde_json::to_string_pretty(value)
            .map_err(|e| Error::caused(ErrorKind::Internal, "printing JSON", e))?
    } else {
        text()
    };
    writeln!(std::io::stdout(), "{line}").map_err(|e| Error::io("writing to stdout", e))
}

/// One line of counts: read = used + rejected, the last by reason.
fn counts_line(counts: &Counts) -> String {
    let reasons: Vec<String> = counts.rejected.iter().map(|(reason, n)| format!("{reason} {n}")).collect();
    let reasons = if reasons.is_empty() { String::new() } else { format!(" ({})", reasons.join(", ")) };
    format!("read {} = used {} + rejected {}{reasons}", counts.read, counts.used, counts.rejected_total())
}

/// One line of what else was counted, if anything was.
fn counters_line(counters: &BTreeMap<String, u64>) -> Option<String> {
    let counters: Vec<String> = counters.iter().map(|(name, n)| format!("{name} {n}")).collect();
    (!counters.is_empty()).then(|| format!("also counted: {}", counters.join(", ")))
}

/// Success, or the status for rejected records if `strict`.
fn status(strict: bool, counts: &Counts) -> ExitCode {
    if strict && counts.rejected_total() > 0 { ExitCode::from(REJECTED) } else { ExitCode::SUCCESS }
}
