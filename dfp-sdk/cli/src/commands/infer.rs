//! `dfp infer`

use std::process::ExitCode;

use dfp_sdk::core::{Result, Sink};
use dfp_sdk::{Run, ScoresSink};

use super::{cancel_on_signal, choice, counters_line, counts_line, pipeline, plugins, print, status};
use crate::args::{Cli, InferArgs};
use crate::progress::{Stderr, say};

pub(crate) fn run(cli: &Cli, args: &InferArgs) -> Result<ExitCode> {
    let mut config = pipeline(&args.selection)?;
    if let Some(path) = &args.findings {
        config.infer.findings.clone_from(path);
    }
    if args.threshold.is_some() {
        config.infer.threshold = args.threshold;
    }
    config.infer.remember &= !args.forget;
    config.infer.device = args.selection.device.unwrap_or(config.infer.device);
    let plugins = plugins(cli)?;
    let findings = config.infer.findings.clone();
    let run = Run::new(config, &plugins)?.choosing(choice(&args.selection)?).cancelled_by(cancel_on_signal());
    let mut scores = args.scores.as_deref().map(ScoresSink::create).transpose()?;
    let mut sinks: Vec<&mut dyn Sink> = scores.iter_mut().map(|sink| sink as &mut dyn Sink).collect();
    let report = run.infer(&mut sinks, &mut Stderr::new(cli.quiet))?;
    say(&counts_line(&report.counts));
    if let Some(line) = counters_line(&report.counters) {
        say(&line);
    }
    print(cli, &report, || {
        format!(
            "{} findings above {} in {}; {} entities scored by their own model, {} by the shared one",
            report.findings,
            report.threshold,
            findings.display(),
            report.own_model,
            report.shared_model
        )
    })?;
    Ok(status(args.selection.strict, &report.counts))
}
