//! `dfp sessions`: ordered events, and how unusual their order is.

mod build;
mod input;
mod score;
mod show;
mod tables;
mod train;

use std::process::ExitCode;

use dfp_sdk::core::{Error, ErrorKind, Result};
use dfp_sdk::models::sequence::{Config, SessionType};

use crate::args::{Cli, SequenceArgs, SessionsCommand};

pub(crate) fn run(cli: &Cli, command: &SessionsCommand) -> Result<ExitCode> {
    match command {
        SessionsCommand::Build(args) => build::run(cli, args),
        SessionsCommand::Train(args) => train::run(cli, args),
        SessionsCommand::Score(args) => score::run(cli, args),
        SessionsCommand::Show(args) => show::run(cli, args),
    }
}

/// Settings of the model: a file's, or what is advised, or msticpy's; with the windows asked for.
fn config(args: &SequenceArgs) -> Result<Config> {
    let mut config = match &args.settings {
        Some(file) => {
            let doing = || format!("reading the settings {}", file.display());
            let text = std::fs::read_to_string(file).map_err(|e| Error::io(doing(), e))?;
            serde_json::from_str(&text).map_err(|e| Error::caused(ErrorKind::InvalidConfig, doing(), e))?
        }
        None if args.parity => Config::parity(),
        None => Config::default(),
    };
    if !args.window.is_empty() {
        config.windows.clone_from(&args.window);
    }
    config.validate()?;
    Ok(config)
}

/// The column of sessions in a table: the one named, or the only one that holds lists of events.
fn events_column(schema: &arrow_schema::Schema, named: Option<&str>) -> Result<String> {
    if let Some(name) = named {
        return Ok(name.to_owned());
    }
    let lists = schema
        .fields()
        .iter()
        .filter(|field| field.name().ends_with("_list") && SessionType::of(field.data_type()).is_some());
    match lists.map(|field| field.name()).collect::<Vec<_>>()[..] {
        [name] => Ok(name.clone()),
        [] => {
            let what =
                "no column holds sessions (a list of events called `..._list`): name one with --events";
            Err(Error::new(ErrorKind::SchemaMismatch, what))
        }
        ref names => {
            let what = format!("{} columns hold sessions ({names:?}): name one with --events", names.len());
            Err(Error::new(ErrorKind::InvalidArgument, what))
        }
    }
}
