//! The Azure AD source linked into a program and loaded from its shared library: the same facts, and the same rows,
//! rejects and counts from every sample file.
//!
//! Cargo builds the library together with this test, because the crate is both: it lies beside the test's executable.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use arrow_array::RecordBatch;
use arrow_select::concat::concat_batches;
use dfp_core::{Counts, ErrorKind, Host, Reject};
use dfp_host::{Kind, LocalHost, Plugins};

const SOURCE: &str = "azure-ad";

fn linked() -> Plugins {
    Plugins::new().link(dfp_plugin::linked_source::<dfp_azure_ad::AzureAd>())
}

fn loaded() -> Plugins {
    let executable = std::env::current_exe().unwrap();
    let directory = executable.parent().unwrap();
    assert!(directory.join("libdfp_azure_ad.so").is_file(), "{} lacks the plugin", directory.display());
    Plugins::new().search(directory)
}

/// Everything a run brings.
#[derive(Debug, PartialEq)]
struct Run {
    rows: RecordBatch,
    rejects: Vec<Reject>,
    counts: Counts,
    invalid_utf8: u64,
}

fn run(plugins: &Plugins, config: &str) -> dfp_core::Result<Run> {
    let rejects = Arc::new(Mutex::new(Vec::new()));
    let sink = rejects.clone();
    let host = Arc::new(LocalHost::new().on_reject(move |reject| sink.lock().unwrap().push(reject.clone())));
    let mut source = plugins.source(SOURCE, config, host.clone() as Arc<dyn Host>)?;
    let schema = source.schema();
    let batches: Vec<RecordBatch> = source.open(None)?.collect::<Result<_, _>>()?;
    let rows = concat_batches(&schema, &batches)?;
    let counts = host.counts(rows.num_rows() as u64);
    let rejects = rejects.lock().unwrap().clone();
    Ok(Run { rows, rejects, counts, invalid_utf8: host.counter(dfp_records::INVALID_UTF8) })
}

/// Every file that the sample folders of the source hold.
fn samples() -> Vec<PathBuf> {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut folders = vec![repository.join("tests/samples")];
    match std::env::var("DFP_SAMPLES") {
        Ok(list) => folders.extend(std::env::split_paths(&list)),
        Err(_) => folders.push(repository.join("../shared/data")),
    }
    let mut files = Vec::new();
    let mut folders: Vec<PathBuf> = folders.into_iter().map(|folder| folder.join("azure_ad")).collect();
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        for path in entries.map(|entry| entry.unwrap().path()) {
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files.sort();
    files
}

#[test]
fn linked_and_loaded_agree_on_every_sample() {
    let (linked, loaded) = (linked(), loaded());
    let files = samples();
    let mut rejects = 0;
    for file in &files {
        for more in ["", r#","columns":["time","properties.status","x.y"],"batch_rows":2"#] {
            let config = format!("{{\"inputs\":[{:?}]{more}}}", file.to_str().unwrap());
            let one = run(&linked, &config).unwrap();
            let other = run(&loaded, &config).unwrap();
            assert!(one.counts.balanced(), "{}: {:?}", file.display(), one.counts);
            assert_eq!(one, other, "{}", file.display());
            rejects += one.rejects.len();
        }
    }
    println!("{} files, the same linked and loaded", files.len());
    assert!(files.len() >= 15, "tests/samples/azure_ad should be in the repository");
    assert!(rejects > 0, "the samples should have rejects to compare");
}

#[test]
fn linked_and_loaded_have_the_same_facts() {
    let (linked, loaded) = (linked(), loaded());
    let (linked, loaded) =
        (linked.find(Kind::Source, SOURCE).unwrap(), loaded.find(Kind::Source, SOURCE).unwrap());
    assert!(linked.plugin().is_none() && loaded.plugin().is_some());
    assert_eq!(linked.title(), loaded.title());
    assert_eq!(linked.config_schema(), loaded.config_schema());
    assert_eq!(linked.profile(), loaded.profile());
}

#[test]
fn linked_and_loaded_fail_alike() {
    let failures = [
        (r#"{"inputs":["/nonexistent/dfp"]}"#, ErrorKind::NotFound),
        (r#"{"inputs":["/"]}"#, ErrorKind::Unsupported),
        (r#"{"inputs":[],"columns":["a..b"]}"#, ErrorKind::InvalidConfig),
        (r#"{"unknown":1}"#, ErrorKind::InvalidConfig),
    ];
    for (config, kind) in failures {
        let [one, other] = [linked(), loaded()].map(|plugins| run(&plugins, config).unwrap_err());
        assert_eq!((one.kind(), other.kind()), (kind, kind), "{config}: {one} / {other}");
    }
}
