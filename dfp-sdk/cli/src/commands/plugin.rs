//! `dfp plugin`

use std::process::ExitCode;

use dfp_sdk::core::Result;

use super::{plugins, print};
use crate::args::{Cli, PluginCommand};

pub(crate) fn run(cli: &Cli, command: &PluginCommand) -> Result<ExitCode> {
    let PluginCommand::List = command;
    let found = plugins(cli)?.list();
    print(cli, &found, || {
        let lines: Vec<String> = found.iter().map(ToString::to_string).collect();
        if lines.is_empty() { "no plugins found".to_owned() } else { lines.join("\n") }
    })?;
    Ok(ExitCode::SUCCESS)
}
