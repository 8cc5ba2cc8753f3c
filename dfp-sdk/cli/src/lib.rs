//! What the program `dfp` is made of; the benches and whole-system tests use its parts.
#![forbid(unsafe_code)]

mod args;
mod commands;
pub mod evaluate;
pub mod generate;
mod output;
mod progress;

use std::process::ExitCode;

use clap::Parser;
use dfp_sdk::core::{Error, ErrorKind, Result};

use args::{Cli, Command};

/// Exit status of a run that ended well but rejected records, under `--strict`.
const REJECTED: u8 = 3;

/// The program: does what its arguments say, prints what went wrong, and answers with the exit status.
pub fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(code) => code,
        // `dfp read ... | head` closes stdout early; that is no failure worth a message.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            progress::say(&format!("error: {error}"));
            exit_code(&error)
        }
    }
}

/// Does what the command line says.
fn run(cli: &Cli) -> Result<ExitCode> {
    match &cli.command {
        Command::Demo(args) => commands::demo::run(cli, args),
        Command::Generate(args) => commands::generate::run(cli, args),
        Command::Train(args) => commands::train::run(cli, args),
        Command::Infer(args) => commands::infer::run(cli, args),
        Command::Read(args) => commands::read::run(cli, args),
        Command::Plugin(command) => commands::plugin::run(cli, command),
        Command::Models(command) => commands::models::run(cli, command),
        Command::Sessions(command) => commands::sessions::run(cli, command),
        Command::Devices => commands::devices::run(cli),
        Command::PluginHost => commands::plugin_host::run(cli),
    }
}

/// The exit status of a failure: 2 for wrong usage or configuration, 1 for all else.
fn exit_code(error: &Error) -> ExitCode {
    match error.kind() {
        ErrorKind::InvalidArgument | ErrorKind::InvalidConfig => ExitCode::from(2),
        _ => ExitCode::FAILURE,
    }
}

/// Whether the failure is only that nobody reads stdout any more.
fn is_broken_pipe(error: &Error) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = error.cause();
    while let Some(error) = cause {
        if error.downcast_ref::<std::io::Error>().is_some_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe)
        {
            return true;
        }
        cause = error.source();
    }
    false
}
