//! `dfp plugin`

use std::path::Path;
use std::process::ExitCode;

use dfp_sdk::core::{Error, Result};
use dfp_sdk::host::{SecretKey, seal};
use serde_json::json;

use super::{plugin_check, plugins, print};
use crate::args::{Cli, PluginCommand, SealArgs};

pub(crate) fn run(cli: &Cli, command: &PluginCommand) -> Result<ExitCode> {
    match command {
        PluginCommand::List => list(cli)?,
        PluginCommand::Check(args) => return plugin_check::run(cli, args),
        PluginCommand::Seal(args) => seal_library(cli, args)?,
        PluginCommand::Keygen { file } => keygen(cli, file)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn list(cli: &Cli) -> Result<()> {
    let found = plugins(cli)?.list();
    print(cli, &found, || {
        let lines: Vec<String> = found.iter().map(ToString::to_string).collect();
        if lines.is_empty() { "no plugins found".to_owned() } else { lines.join("\n") }
    })
}

fn seal_library(cli: &Cli, args: &SealArgs) -> Result<()> {
    let key = args.key.as_deref().map(SecretKey::read).transpose()?;
    let library = std::path::absolute(&args.library)
        .map_err(|e| Error::io(format!("finding {}", args.library.display()), e))?;
    let manifest = seal(&library, args.name.as_deref(), key.as_ref())?;
    let signer = key.map(|key| key.public().to_string());
    print(cli, &json!({ "manifest": manifest, "signer": signer }), || {
        let signed = signer.as_ref().map_or_else(String::new, |signer| format!(", signed by {signer}"));
        format!("{}{signed}", manifest.display())
    })
}

fn keygen(cli: &Cli, file: &Path) -> Result<()> {
    let (key, public) = SecretKey::create(file)?;
    print(cli, &json!({ "secret": file, "public": public, "key": key.to_string() }), || {
        format!("{key}\nkeep {} to yourself; give {} away", file.display(), public.display())
    })
}
