//! `dfp generate`

use std::process::ExitCode;

use dfp_sdk::Progress;
use dfp_sdk::core::{Error, ErrorKind, Result};

use super::print;
use crate::args::{Cli, GenerateArgs, LogKind};
use crate::generate::{self, Options, Summary};
use crate::progress::Stderr;

pub(crate) fn run(cli: &Cli, args: &GenerateArgs) -> Result<ExitCode> {
    let LogKind::AzureAd = args.kind;
    let options = Options {
        users: args.users,
        days: args.days,
        seed: args.seed,
        scenario_days: args.scenario_days,
        incidents_per_scenario: args.incidents,
        out: args.out.clone(),
        ..Options::default()
    };
    let summary = azure_ad(&options, &mut Stderr::new(cli.quiet))?;
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

pub(crate) fn azure_ad(options: &Options, progress: &mut dyn Progress) -> Result<Summary> {
    progress.begin("generating", Some(u64::from(options.days)), "days");
    let summary = generate::azure_ad(options, &mut |_| progress.advance(1))
        .map_err(|e| Error::caused(ErrorKind::Io, "generating logs", e))?;
    progress.end();
    Ok(summary)
}
