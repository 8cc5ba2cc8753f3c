//! Every source linked into a program and loaded from its shared library: the same facts, and the same rows, rejects and
//! counts from every sample file, compressed or not.
//!
//! Cargo builds the libraries together with this test, because it depends on them: they lie beside its executable.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use arrow_array::RecordBatch;
use arrow_select::concat::concat_batches;
use dfp_core::{Counts, ErrorKind, Host, Reject};
use dfp_host::{Kind, LocalHost, Plugins};
use dfp_plugin::{LinkedComponent, linked_source};

/// Every source, and the folder of its samples.
const SOURCES: [(LinkedComponent, &str); 4] = [
    (linked_source::<dfp_azure_ad::AzureAd>(), "azure_ad"),
    (linked_source::<dfp_cloudtrail::CloudTrail>(), "cloudtrail"),
    (linked_source::<dfp_duo::Duo>(), "duo"),
    (linked_source::<dfp_exchange::Exchange>(), "exchange"),
];

fn linked() -> Plugins {
    SOURCES.into_iter().fold(Plugins::new(), |plugins, (source, _)| plugins.link(source))
}

fn loaded() -> Plugins {
    let executable = std::env::current_exe().unwrap();
    let directory = executable.parent().unwrap();
    for (_, folder) in SOURCES {
        let library = directory.join(format!("libdfp_{folder}.so"));
        assert!(library.is_file(), "{} is missing", library.display());
    }
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

fn run(plugins: &Plugins, source: &str, config: &str) -> dfp_core::Result<Run> {
    let rejects = Arc::new(Mutex::new(Vec::new()));
    let sink = rejects.clone();
    let host = Arc::new(LocalHost::new().on_reject(move |reject| sink.lock().unwrap().push(reject.clone())));
    let mut source = plugins.source(source, config, host.clone() as Arc<dyn Host>)?;
    let schema = source.schema();
    let batches: Vec<RecordBatch> = source.open(None)?.collect::<Result<_, _>>()?;
    let rows = concat_batches(&schema, &batches)?;
    let counts = host.counts(rows.num_rows() as u64);
    let rejects = rejects.lock().unwrap().clone();
    Ok(Run { rows, rejects, counts, invalid_utf8: host.counter(dfp_records::INVALID_UTF8) })
}

/// Every file that the sample folders of a source hold; of very many, some from every folder.
fn samples(source: &str) -> Vec<PathBuf> {
    const MOST: usize = 100;
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut folders = vec![repository.join("tests/samples")];
    match std::env::var("DFP_SAMPLES") {
        Ok(list) => folders.extend(std::env::split_paths(&list)),
        Err(_) => folders.push(repository.join("../shared/data")),
    }
    let mut files = Vec::new();
    let mut folders: Vec<PathBuf> = folders.into_iter().map(|folder| folder.join(source)).collect();
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        for path in entries.map(|entry| entry.unwrap().path()) {
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files.sort();
    let step = files.len().div_ceil(MOST);
    files.into_iter().step_by(step).collect()
}

#[test]
fn linked_and_loaded_agree_on_every_sample() {
    let (linked, loaded) = (linked(), loaded());
    for (source, folder) in SOURCES {
        let files = samples(folder);
        let mut rejects = 0;
        for file in &files {
            for more in ["", r#","columns":["time","properties.status","x.y"],"batch_rows":2"#] {
                let config = format!("{{\"inputs\":[{:?}]{more}}}", file.to_str().unwrap());
                let one = run(&linked, source.id, &config).unwrap();
                let other = run(&loaded, source.id, &config).unwrap();
                assert!(one.counts.balanced(), "{}: {:?}", file.display(), one.counts);
                assert_eq!(one, other, "{}", file.display());
                rejects += one.rejects.len();
            }
        }
        println!("{folder}: {} files, the same linked and loaded", files.len());
        assert!(files.len() >= 10, "tests/samples/{folder} should be in the repository");
        assert!(rejects > 0, "the samples should have rejects to compare");
    }
}

#[test]
fn compressing_changes_nothing() {
    let plugins = linked();
    let directory = tempfile::tempdir().unwrap();
    let [plain, compressed] = ["plain", "compressed"].map(|name| directory.path().join(name));
    for (source, folder) in SOURCES {
        for file in samples(folder).iter().filter(|file| file.extension() != Some("gz".as_ref())) {
            let bytes = std::fs::read(file).unwrap();
            let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            gzip.write_all(&bytes).unwrap();
            std::fs::write(&plain, bytes).unwrap();
            std::fs::write(&compressed, gzip.finish().unwrap()).unwrap();
            let [one, other] = [&plain, &compressed]
                .map(|input| run(&plugins, source.id, &format!("{{\"inputs\":[{input:?}]}}")).unwrap());
            assert_eq!(
                (&one.counts, one.invalid_utf8),
                (&other.counts, other.invalid_utf8),
                "{}",
                file.display()
            );
            for (column, field) in one.rows.schema().fields().iter().enumerate() {
                let same = one.rows.column(column) == other.rows.column(column);
                assert!(same || field.name() == dfp_core::ORIGIN, "{}: {}", file.display(), field.name());
            }
        }
    }
}

#[test]
fn linked_and_loaded_have_the_same_facts() {
    let (linked, loaded) = (linked(), loaded());
    for (source, _) in SOURCES {
        let [linked, loaded] =
            [&linked, &loaded].map(|plugins| plugins.find(Kind::Source, source.id).unwrap());
        assert!(linked.plugin().is_none() && loaded.plugin().is_some());
        assert_eq!(linked.title(), loaded.title());
        assert_eq!(linked.config_schema(), loaded.config_schema());
        assert_eq!(linked.profile(), loaded.profile());
    }
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
        let [one, other] = [linked(), loaded()].map(|plugins| run(&plugins, "azure-ad", config).unwrap_err());
        assert_eq!((one.kind(), other.kind()), (kind, kind), "{config}: {one} / {other}");
    }
}
