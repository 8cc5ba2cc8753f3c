//! Runs every reference vector it finds: JSON files of cases with the answers that an independent implementation gave.
//!
//! Directories: `DFP_VECTORS` (separated by colons), else `tests/vectors` and, when present, `../shared/vectors`, both
//! from the repository's root. Each has folders `dfp`, `sequences`, `deeplog`; what runs a file is in the tables of
//! [`FOLDERS`]. A file that nothing knows is a failure.

#[path = "vectors/autoencoder.rs"]
mod autoencoder;
#[path = "vectors/sequences_sessions.rs"]
mod sequences_sessions;
#[path = "vectors/small.rs"]
mod small;
#[path = "vectors/values.rs"]
mod values;
#[path = "vectors/windows.rs"]
mod windows;

use std::collections::BTreeMap;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use serde_json::Value;

/// What happens to files of one kind.
#[derive(Clone, Copy)]
enum Run {
    /// Checks the file's cases, panicking on a wrong one; answers with their number.
    Now(fn(&Value) -> usize),
    /// The part of dfp it speaks of is not built yet.
    NotYet,
}

/// Files of a folder whose kind has one of these names are run so. The kind is the file's field `kind`; files without
/// one are named by the longest beginning of the file name that is known and ends before a `_`.
const FOLDERS: &[(&str, &[(&str, Run)])] = &[
    (
        "dfp",
        &[
            ("ae", Run::Now(autoencoder::ae)),
            ("fit", Run::Now(autoencoder::fit)),
            ("scalers", Run::Now(small::scalers)),
            ("swap", Run::Now(small::swap)),
            ("embedding", Run::Now(small::embedding)),
            ("cost", Run::Now(autoencoder::cost)),
            ("columns", Run::NotYet),
            ("windows", Run::Now(windows::windows)),
            ("batcher", Run::NotYet),
            ("split", Run::NotYet),
            ("names", Run::NotYet),
            ("filter", Run::NotYet),
            ("viz", Run::NotYet),
            ("filenames", Run::NotYet),
            ("jsonreader", Run::NotYet),
            ("pipeline", Run::NotYet),
        ],
    ),
    (
        "sequences",
        &[
            ("cmd", Run::Now(sequences_sessions::commands)),
            ("errors", Run::NotYet),
            ("exchange", Run::NotYet),
            ("exchange_sessions", Run::Now(sequences_sessions::exchange)),
            ("model", Run::NotYet),
            ("sessionize", Run::Now(sequences_sessions::cut)),
            ("visualise", Run::NotYet),
        ],
    ),
    (
        "deeplog",
        &[
            ("baseline", Run::NotYet),
            ("drain", Run::NotYet),
            ("lstm", Run::NotYet),
            ("pipeline", Run::NotYet),
        ],
    ),
];

fn directories() -> Vec<PathBuf> {
    if let Some(list) = std::env::var_os("DFP_VECTORS") {
        return std::env::split_paths(&list).collect();
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests are inside the repository");
    let shared = root.join("../shared/vectors");
    let own = root.join("tests/vectors");
    if shared.is_dir() { vec![own, shared] } else { vec![own] }
}

/// What became of all files.
#[derive(Default)]
struct Summary {
    /// Files and cases run, by folder and kind.
    run: BTreeMap<String, (usize, usize)>,
    /// Files left for later, by folder and kind.
    later: BTreeMap<String, usize>,
    failures: Vec<String>,
}

impl Summary {
    fn folder(&mut self, folder: &Path) {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let entry = FOLDERS.iter().find(|(known, _)| *known == name);
        let Some((_, kinds)) = entry else {
            self.failures.push(format!("{}: no runner knows this folder", folder.display()));
            return;
        };
        for file in sorted(folder) {
            if file.extension().is_some_and(|e| e == "md") {
                continue;
            }
            if let Err(why) = self.file(&name, kinds, &file) {
                self.failures.push(format!("{}: {why}", file.display()));
            }
        }
    }

    fn file(&mut self, folder: &str, kinds: &[(&str, Run)], file: &Path) -> Result<(), String> {
        let text = std::fs::read_to_string(file).map_err(|e| e.to_string())?;
        let vector: Value = serde_json::from_str(&text).map_err(|e| e.to_string())?;
        let stem = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let mut beginnings = stem.match_indices('_').map(|(end, _)| &stem[..end]).chain([stem.as_str()]);
        let known = beginnings.rfind(|name| kinds.iter().any(|(known, _)| known == name));
        let kind = vector["kind"].as_str().or(known).unwrap_or(&stem);
        let run = kinds.iter().find(|(known, _)| *known == kind).map(|(_, run)| *run);
        let label = format!("{folder}/{kind}");
        match run {
            None => Err(format!("no runner knows kind `{kind}`")),
            Some(Run::NotYet) => {
                *self.later.entry(label).or_default() += 1;
                Ok(())
            }
            Some(Run::Now(run)) => {
                let cases = catch_unwind(AssertUnwindSafe(|| run(&vector)))
                    .map_err(|panic| dfp_core::panic_text(&*panic))?;
                let counts = self.run.entry(label).or_default();
                *counts = (counts.0 + 1, counts.1 + cases);
                if cases == 0 { Err("it holds no case".into()) } else { Ok(()) }
            }
        }
    }

    /// Printed past the test harness, which keeps the output of tests that pass to itself.
    fn print(&self) -> std::io::Result<()> {
        let mut out = std::io::stderr().lock();
        for (kind, (files, cases)) in &self.run {
            writeln!(out, "vectors: {kind}: {cases} cases of {files} files")?;
        }
        for (kind, files) in &self.later {
            writeln!(out, "vectors: {kind}: not yet, {files} files")?;
        }
        let cases: usize = self.run.values().map(|(_, cases)| cases).sum();
        writeln!(out, "vectors: {cases} cases run, {} files failed", self.failures.len())
    }
}

fn sorted(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).unwrap_or_else(|e| panic!("{}: {e}", directory.display()));
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("the entry can be read").path()).collect();
    paths.sort();
    paths
}

#[test]
fn every_vector_holds() {
    for directory in directories() {
        let mut summary = Summary::default();
        for folder in sorted(&directory).iter().filter(|path| path.is_dir()) {
            summary.folder(folder);
        }
        summary.print().expect("stderr can be written");
        assert!(summary.failures.is_empty(), "\n{}", summary.failures.join("\n"));
        let run: usize = summary.run.values().map(|(_, cases)| cases).sum();
        assert!(run > 0, "{} holds nothing that runs", directory.display());
    }
}
