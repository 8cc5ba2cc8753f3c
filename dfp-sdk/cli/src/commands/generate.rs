//! `dfp generate`

use std::process::ExitCode;

use dfp_sdk::Progress;
use dfp_sdk::core::{Error, ErrorKind, Result};

use super::print;
use crate::args::{Cli, GenerateArgs, LogKind};
use crate::generate::{self, Options, Summary};
use crate::progress::Stderr;

pub(crate) fn run(cli: &Cli, args: &GenerateArgs) -> Result<ExitCode> {
    let options = options(args);
    let summary = generate(generator(args.kind), &options, &mut Stderr::new(cli.quiet))?;
    print(cli, &summary, || {
        format!(
            "{} records ({} labelled) in {} files under {}",
            summary.records,
            summary.labelled,
            summary.files,
            args.out.display()
        )
    })?;
    Ok(ExitCode::SUCCESS)
}

/// What the arguments ask for; the kinds of log that tell more of each user and day get fewer of both by default.
fn options(args: &GenerateArgs) -> Options {
    let (users, days) = match args.kind {
        LogKind::AzureAd | LogKind::Duo => (120, 75),
        LogKind::Cloudtrail | LogKind::Exchange => (60, 45),
    };
    Options {
        users: args.users.unwrap_or(users),
        days: args.days.unwrap_or(days),
        seed: args.seed,
        scenario_days: args.scenario_days,
        incidents_per_scenario: args.incidents,
        out: args.out.clone(),
        ..Options::default()
    }
}

/// Writes one kind of log.
type Generator =
    fn(&Options, &mut dyn FnMut(generate::Progress)) -> std::result::Result<Summary, generate::Error>;

fn generator(kind: LogKind) -> Generator {
    match kind {
        LogKind::AzureAd => generate::azure_ad,
        LogKind::Cloudtrail => generate::cloudtrail,
        LogKind::Duo => generate::duo,
        LogKind::Exchange => generate::exchange,
    }
}

/// Generates with progress.
pub(crate) fn generate(
    generator: Generator,
    options: &Options,
    progress: &mut dyn Progress,
) -> Result<Summary> {
    progress.begin("generating", Some(u64::from(options.days)), "days");
    let summary = generator(options, &mut |_| progress.advance(1))
        .map_err(|e| Error::caused(ErrorKind::Io, "generating logs", e))?;
    progress.end();
    Ok(summary)
}
