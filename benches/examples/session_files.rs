//! Cuts and scores the events of Exchange logs in memory, on one core, and says how long it took, as JSON: what
//! `peers/sessions.py` sets beside msticpy. `session_files KIND FILE...`, KIND being `commands`, `parameters` or `values`.

use std::sync::Arc;
use std::time::Instant;

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use dfp_core::{Result, Stage};
use dfp_host::{LocalHost, Plugins};
use dfp_models::sequence::Config;
use dfp_prep::Profile;
use dfp_prep::commands::{EventKind, SessionEvents};
use dfp_prep::sessionize::sessionize;
use dfp_sdk::sessions::score_sessions;

/// Runs; the best counts.
const RUNS: usize = 5;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let kind = match arguments.next().as_deref() {
        Some("commands") => EventKind::Commands,
        Some("parameters") => EventKind::Parameters,
        Some("values") => EventKind::Values,
        other => panic!("{other:?} is no kind of event"),
    };
    let files: Vec<String> = arguments.collect();
    let source = dfp_plugin::linked_source::<dfp_exchange::Exchange>();
    let mut rules = Profile::from_toml(source.profile)?.sessions.expect("the profile makes sessions");
    rules.event.kind = kind;
    let options = rules.options();
    let host = Arc::new(LocalHost::new());
    let config = serde_json::json!({"inputs": files, "columns": rules.raw_columns()}).to_string();
    let mut source = Plugins::new().link(source).source(source.id, &config, host.clone())?;
    let mut events = SessionEvents::new(rules, host.clone())?;
    events.bind(source.schema())?;
    let mut batches: Vec<RecordBatch> = Vec::new();
    for batch in source.open(None)? {
        events.push(batch?)?;
        while let Some(batch) = events.pull()? {
            batches.push(batch);
        }
    }

    let (mut cut, mut scored) = (f64::INFINITY, f64::INFINITY);
    let mut results = Vec::new();
    for _ in 0..RUNS {
        let started = Instant::now();
        let sessions = sessionize(&batches, &options, host.clone())?;
        cut = cut.min(started.elapsed().as_secs_f64());
        let started = Instant::now();
        results = score_sessions(&sessions, &options.event_list(), Config::parity())?;
        scored = scored.min(started.elapsed().as_secs_f64());
    }
    let mut rarest = f64::INFINITY;
    for batch in &results {
        let likelihoods = batch["rarest_window3_likelihood"].as_primitive::<Float64Type>();
        rarest = likelihoods.iter().flatten().fold(rarest, f64::min);
    }
    let sum = |rows: fn(&RecordBatch) -> usize, of: &[RecordBatch]| of.iter().map(rows).sum::<usize>();
    println!(
        "{}",
        serde_json::json!({
            "events": sum(RecordBatch::num_rows, &batches),
            "sessions": sum(RecordBatch::num_rows, &results),
            "rarest": rarest,
            "sessionize": cut,
            "score": scored,
        })
    );
    Ok(())
}
