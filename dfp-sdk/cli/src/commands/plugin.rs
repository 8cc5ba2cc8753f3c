//! `dfp plugin`

use std::process::ExitCode;

use dfp_sdk::core::Result;

use super::{plugin_check, plugins, print};
use crate::args::{Cli, PluginCommand};

pub(crate) fn run(cli: &Cli, command: &PluginCommand) -> Result<ExitCode> {
    match command {
        PluginCommand::List => list(cli),
        PluginCommand::Check(args) => plugin_check::run(cli, args),
    }
}

fn list(cli: &Cli) -> Result<ExitCode> {
    let found = plugins(cli)?.list();
    print(cli, &found, || {
        let lines: Vec<String> = found.iter().map(ToString::to_string).collect();
        if lines.is_empty() { "no plugins found".to_owned() } else { lines.join("\n") }
    })?;
    Ok(ExitCode::SUCCESS)
}
