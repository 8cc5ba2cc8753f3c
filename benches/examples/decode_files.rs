//! Decodes files of one source into the columns of its profile, on one core, and says how long it took, as JSON: what
//! `peers/decode.py` sets beside pandas. `decode_files PLUGIN FILE...`

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use dfp_core::{CancelToken, Pipeline, Result, Sink};
use dfp_host::{LocalHost, Plugins};
use dfp_prep::{LoadOptions, LoadStage, Profile};

/// Runs; the best counts.
const RUNS: usize = 5;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let plugin = arguments.next().expect("the first argument names a plugin");
    let files: Vec<String> = arguments.collect();
    let sources = [
        dfp_plugin::linked_source::<dfp_azure_ad::AzureAd>(),
        dfp_plugin::linked_source::<dfp_duo::Duo>(),
        dfp_plugin::linked_source::<dfp_cloudtrail::CloudTrail>(),
        dfp_plugin::linked_source::<dfp_exchange::Exchange>(),
    ];
    let source = sources.into_iter().find(|source| source.id == plugin).expect("one of the four sources");
    let plugins = Plugins::new().link(source);
    let profile = Profile::from_toml(source.profile)?;
    let config = serde_json::json!({"inputs": files, "columns": profile.raw_columns()}).to_string();

    let mut best = f64::INFINITY;
    let mut used = 0;
    for _ in 0..RUNS {
        let started = Instant::now();
        let host = Arc::new(LocalHost::new());
        let mut source = plugins.source(source.id, &config, host.clone())?;
        let mut load = LoadStage::new(&profile, &LoadOptions::at(SystemTime::now()), host.clone())?;
        let mut sink = Nowhere;
        used = Pipeline::new(&mut *source).stage(&mut load).sink(&mut sink).run(&CancelToken::default())?;
        used = host.counts(used).read;
        best = best.min(started.elapsed().as_secs_f64());
    }
    println!("{}", serde_json::json!({"seconds": best, "read": used, "columns": profile.raw_columns()}));
    Ok(())
}

/// Takes batches and lets them go.
struct Nowhere;

impl Sink for Nowhere {
    fn bind(&mut self, _schema: arrow_schema::SchemaRef) -> Result<()> {
        Ok(())
    }

    fn write(&mut self, _batch: &arrow_array::RecordBatch) -> Result<()> {
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }

    fn close(&mut self) -> Result<()> {
        Ok(())
    }
}
