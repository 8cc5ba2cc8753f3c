//! `dfp plugin check`: whether a plugin keeps the rules.

use std::process::ExitCode;

use dfp_sdk::core::{Error, Result};
use dfp_sdk::host::Kind;
use dfp_sdk::host::check::{CheckOptions, check};
use dfp_sdk::host::remote::RemoteOptions;

use super::print;
use crate::args::{CheckArgs, Cli, ComponentKind};

pub(crate) fn run(cli: &Cli, args: &CheckArgs) -> Result<ExitCode> {
    let library = std::fs::canonicalize(&args.library)
        .map_err(|e| Error::io(format!("looking for {}", args.library.display()), e))?;
    let mut options = CheckOptions::new(&library);
    if let Some(file) = &args.config {
        options.config =
            std::fs::read_to_string(file).map_err(|e| Error::io(format!("reading {}", file.display()), e))?;
    }
    options.secrets = args.secrets.secrets()?;
    options.kind = args.kind.map(kind);
    options.id.clone_from(&args.id);
    if args.out_of_process {
        let program = std::env::current_exe().map_err(|e| Error::io("finding this program", e))?;
        options.remote = Some(RemoteOptions::new(program, library));
    }
    let report = check(&options)?;
    print(cli, &report, || report.to_string())?;
    Ok(if report.passed() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn kind(kind: ComponentKind) -> Kind {
    match kind {
        ComponentKind::Source => Kind::Source,
        ComponentKind::Stage => Kind::Stage,
        ComponentKind::Sink => Kind::Sink,
        ComponentKind::Model => Kind::Model,
    }
}
