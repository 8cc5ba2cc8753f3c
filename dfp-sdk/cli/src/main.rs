//! The program `dfp`.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;
use dfp_cli::args::Cli;

fn main() -> ExitCode {
    // `dfp read ... | head` closes stdout early; that is no failure worth a message.
    match dfp_cli::run(&Cli::parse()) {
        Ok(code) => code,
        Err(error) if dfp_cli::is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            dfp_cli::exit_code(&error)
        }
    }
}
