//! `dfp models`

use std::process::ExitCode;

use dfp_sdk::PipelineConfig;
use dfp_sdk::core::{Error, ErrorKind, Result};
use dfp_sdk::iso;
use dfp_sdk::store::{ModelInfo, Snapshot, Store};

use super::print;
use crate::args::{Cli, ModelsCommand, StoreArgs};

pub(crate) fn run(cli: &Cli, command: &ModelsCommand) -> Result<ExitCode> {
    match command {
        ModelsCommand::List(args) => {
            let models = snapshot(args)?.models()?;
            print(cli, &models, || table(&models))?;
        }
        ModelsCommand::Show { name, store } => {
            let versions = find(&snapshot(store)?, name)?;
            print(cli, &versions, || versions.iter().map(describe).collect::<Vec<_>>().join("\n\n"))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn snapshot(args: &StoreArgs) -> Result<Snapshot> {
    let path = match &args.config {
        Some(file) => PipelineConfig::from_file(file)?.store.path,
        None => args.store.clone(),
    };
    Ok(Store::open_read_only(&path)?.snapshot()?)
}

/// All versions of `name`, or the one of `name:version`.
fn find(snapshot: &Snapshot, name: &str) -> Result<Vec<ModelInfo>> {
    let versions = snapshot.model_versions(name)?;
    if !versions.is_empty() {
        return Ok(versions);
    }
    let one = name.rsplit_once(':').and_then(|(name, version)| Some((name, version.parse().ok()?)));
    if let Some((name, version)) = one
        && let Some(info) = snapshot.model_info(name, Some(version))?
    {
        return Ok(vec![info]);
    }
    let what = format!("no model is called {name}; `dfp models list` shows all");
    Err(Error::new(ErrorKind::NotFound, what))
}

fn table(models: &[ModelInfo]) -> String {
    let width = models.iter().map(|m| m.name.chars().count()).max().unwrap_or(0).max(5);
    let mut lines = vec![format!(
        "{:<width$}  {:>7}  {:<11}  {:>8}  {:>9}  trained up to",
        "model", "version", "kind", "rows", "bytes"
    )];
    for model in models {
        let ModelInfo { name, version, bytes, details, .. } = model;
        let end = details.end.map(iso).unwrap_or_default();
        lines.push(format!(
            "{name:<width$}  {version:>7}  {:<11}  {:>8}  {bytes:>9}  {end}",
            details.kind, details.rows
        ));
    }
    lines.join("\n")
}

fn describe(model: &ModelInfo) -> String {
    let details = &model.details;
    let time = |time: Option<i64>| time.map(iso).unwrap_or_default();
    [
        model.cite(),
        format!("  kind     {}, {} bytes", details.kind, model.bytes),
        format!("  entity   {} of {}", details.entity, details.source),
        format!("  rows     {}, {} to {}", details.rows, time(details.start), time(details.end)),
        format!("  created  {}", iso(details.created)),
    ]
    .join("\n")
}
