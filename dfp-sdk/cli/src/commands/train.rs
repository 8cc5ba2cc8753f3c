//! `dfp train`

use std::process::ExitCode;

use dfp_sdk::core::Result;
use dfp_sdk::{Run, TrainReport, TrainUsers};

use super::{cancel_on_signal, choice, counters_line, counts_line, pipeline, plugins, print, status};
use crate::args::{self, Cli, TrainArgs};
use crate::progress::{Stderr, say};

pub(crate) fn run(cli: &Cli, args: &TrainArgs) -> Result<ExitCode> {
    let mut config = pipeline(&args.selection)?;
    if let Some(users) = args.train_users {
        config.train.users = match users {
            args::TrainUsers::All => TrainUsers::All,
            args::TrainUsers::Generic => TrainUsers::Generic,
            args::TrainUsers::Individual => TrainUsers::Individual,
        };
    }
    config.train.device = args.selection.device.unwrap_or(config.train.device);
    let plugins = plugins(cli)?;
    let store = config.store.path.clone();
    let run = Run::new(config, &plugins)?.choosing(choice(&args.selection)?).cancelled_by(cancel_on_signal());
    let report = run.train(&mut Stderr::new(cli.quiet))?;
    say(&counts_line(&report.counts));
    if let Some(line) = counters_line(&report.counters) {
        say(&line);
    }
    print(cli, &report, || format!("{} in {}", summary(&report), store.display()))?;
    Ok(status(args.selection.strict, &report.counts))
}

/// What was trained, in a line.
pub(crate) fn summary(report: &TrainReport) -> String {
    let shared = if report.generic { " and the shared one" } else { "" };
    let mut parts = vec![format!("trained {} models{shared}", report.trained)];
    if report.waiting > 0 {
        parts.push(format!("{} entities have too few records, or too few new ones", report.waiting));
    }
    if !report.failed.is_empty() {
        parts.push(format!("{} failed", report.failed.len()));
    }
    parts.join("; ")
}
