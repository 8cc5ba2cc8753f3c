//! `dfp plugin-host`: the process of a plugin that is not trusted to run in the one that uses it.

use std::process::ExitCode;

use dfp_sdk::core::Result;
use dfp_sdk::host::{Plugins, remote};

pub(crate) fn run() -> Result<ExitCode> {
    remote::serve(&Plugins::new())?;
    Ok(ExitCode::SUCCESS)
}
