//! `dfp plugin-host`: the process of a plugin that is not trusted to run in the one that uses it.

use std::process::ExitCode;

use dfp_sdk::core::Result;
use dfp_sdk::host::remote;

use super::plugins;
use crate::args::Cli;

/// Under the policy that its own command line states.
pub(crate) fn run(cli: &Cli) -> Result<ExitCode> {
    remote::serve(&plugins(cli)?)?;
    Ok(ExitCode::SUCCESS)
}
