//! `dfp demo`: the tour in one command.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use dfp_sdk::core::{Error, ErrorKind, Result, Sink};
use dfp_sdk::{InferReport, PipelineConfig, Run, ScoresSink, StepTime, TrainReport};
use serde::Serialize;

use super::{cancel_on_signal, counts_line, generate, plugins, print};
use crate::args::{Cli, DemoArgs};
use crate::commands::train::summary;
use crate::evaluate::{Evaluation, evaluate, read_labels, read_scores};
use crate::generate::Options;
use crate::progress::Stderr;

/// The pipeline file users start from is the one the demo runs.
const PIPELINE: &str = include_str!("../../../../examples/pipelines/azure.toml");

const USERS: usize = 60;
const DAYS: u32 = 45;
/// The attacks fall into these last days; the demo trains on the others.
const SCORED_DAYS: u32 = 9;

/// What the demo did and found.
#[derive(Serialize)]
struct Report {
    training: TrainReport,
    inference: InferReport,
    evaluation: Evaluation,
    examples: Vec<serde_json::Value>,
    steps: Vec<StepTime>,
    files: Vec<(&'static str, PathBuf)>,
}

pub(crate) fn run(cli: &Cli, args: &DemoArgs) -> Result<ExitCode> {
    let report = tour(cli, args)?;
    print(cli, &report, || text(&report))?;
    Ok(ExitCode::SUCCESS)
}

fn tour(cli: &Cli, args: &DemoArgs) -> Result<Report> {
    let mut progress = Stderr::new(cli.quiet);
    let cancel = cancel_on_signal();
    let plugins = plugins(cli)?;
    let dir = fresh(&args.dir)?;
    let logs = dir.join("logs");
    let scores = dir.join("scores.jsonl");
    let mut config = PipelineConfig::from_toml(PIPELINE)?;
    config.store.path = dir.join("store");
    config.infer.findings = dir.join("findings.jsonl");
    config.rejects = Some(dir.join("rejects.jsonl"));

    let started = Instant::now();
    let options = Options {
        users: USERS,
        days: DAYS,
        seed: args.seed,
        scenario_days: SCORED_DAYS,
        incidents_per_scenario: 1,
        out: logs.clone(),
        ..Options::default()
    };
    generate::generate(crate::generate::azure_ad, &options, &mut progress)?;
    let generated = started.elapsed().as_secs_f64();

    let (old, new) = split(&logs)?;
    let job = |inputs: Vec<String>| {
        let mut config = config.clone();
        config.source.inputs = inputs;
        Ok::<_, Error>(Run::new(config, &plugins)?.cancelled_by(cancel.clone()))
    };
    let training = job(old)?.train(&mut progress)?;
    let mut sink = ScoresSink::create(&scores)?;
    let inference = job(new)?.infer(&mut [&mut sink as &mut dyn Sink], &mut progress)?;

    let labels = dir.join("logs/labels.csv");
    let evaluation = evaluate(&read_scores(&scores)?, &read_labels(&labels)?, inference.threshold);
    let mut steps = vec![StepTime { step: "generate", seconds: generated }];
    steps.extend(training.steps.iter().chain(&inference.steps).cloned());
    Ok(Report {
        examples: examples(&config.infer.findings, &evaluation)?,
        training,
        inference,
        evaluation,
        steps,
        files: vec![
            ("logs", logs),
            ("labels", labels),
            ("store", config.store.path.clone()),
            ("findings", config.infer.findings.clone()),
            ("scores", scores),
        ],
    })
}

/// The demo's directory, emptied if an earlier demo made it; anything else in the way is left alone.
fn fresh(dir: &Path) -> Result<PathBuf> {
    const MARK: &str = ".dfp-demo";
    let failed = |doing: &str| {
        let doing = format!("{doing} {}", dir.display());
        move |e| Error::io(doing, e)
    };
    if dir.join(MARK).is_file() {
        std::fs::remove_dir_all(dir).map_err(failed("emptying"))?;
    } else if dir.exists() {
        let what = format!("{} exists and no demo made it; name another directory with --dir", dir.display());
        return Err(Error::new(ErrorKind::InvalidArgument, what));
    }
    std::fs::create_dir_all(dir).map_err(failed("creating"))?;
    std::fs::write(dir.join(MARK), "").map_err(failed("writing into"))?;
    std::fs::canonicalize(dir).map_err(failed("looking at"))
}

/// The log files to train on, and those to score.
fn split(logs: &Path) -> Result<(Vec<String>, Vec<String>)> {
    let pattern = logs.join("*.json");
    let mut old = dfp_sdk::expand(&[pattern.to_string_lossy().into_owned()])?;
    let new = old.split_off(old.len().saturating_sub(SCORED_DAYS as usize));
    Ok((old, new))
}

/// For each incident found, the finding with the highest score.
fn examples(findings: &Path, evaluation: &Evaluation) -> Result<Vec<serde_json::Value>> {
    let text = std::fs::read_to_string(findings)
        .map_err(|e| Error::io(format!("reading {}", findings.display()), e))?;
    let mut findings = Vec::new();
    for line in text.lines() {
        let finding: serde_json::Value = serde_json::from_str(line)
            .map_err(|e| Error::caused(ErrorKind::BadData, "reading findings", e))?;
        findings.push(finding);
    }
    let best = evaluation.incidents.iter().filter_map(|(name, incident)| {
        let id = incident.best_id.as_ref()?;
        let finding = findings.iter().find(|finding| finding["id"].as_str() == Some(id))?;
        let mut example = finding.clone();
        example["incident"] = name.as_str().into();
        Some(example)
    });
    Ok(best.collect())
}

fn text(report: &Report) -> String {
    let Report { training, inference, evaluation, .. } = report;
    let days = evaluation.days.max(1) as f64;
    let found = evaluation.incidents.values().filter(|incident| incident.found > 0).count();
    let mut lines = vec![
        format!("Trained   {}; {}", summary(training), counts_line(&training.counts)),
        format!("Scored    {}", counts_line(&inference.counts)),
        format!(
            "Alerts    {} in {} days ({:.1} a day), {} of them on records without a label",
            evaluation.alerts,
            evaluation.days,
            evaluation.alerts as f64 / days,
            evaluation.false_alerts
        ),
        format!(
            "Found     {found} of {} incidents; PR-AUC {:.2}",
            evaluation.incidents.len(),
            evaluation.average_precision
        ),
        String::new(),
    ];
    for (name, incident) in &evaluation.incidents {
        let highest = incident.highest.map_or("none scored".to_owned(), |score| format!("{score:.1}"));
        let word = if incident.found > 0 { "found " } else { "MISSED" };
        lines.push(format!(
            "  {word} {name:<24} {:>3} of {:>3} records above {:.1}, highest {}",
            incident.found, incident.records, inference.threshold, highest
        ));
        let example = report.examples.iter().find(|example| example["incident"].as_str() == Some(name));
        lines.extend(
            example.and_then(|example| example["summary"].as_str()).map(|text| format!("           {text}")),
        );
    }
    lines.push(String::new());
    let steps: Vec<String> =
        report.steps.iter().map(|step| format!("{} {:.1} s", step.step, step.seconds)).collect();
    lines.push(format!("Time      {}", steps.join(", ")));
    for (what, path) in &report.files {
        lines.push(format!("{what:<9} {}", path.display()));
    }
    lines.join("\n")
}
