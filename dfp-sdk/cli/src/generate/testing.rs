//! What the tests of every kind of log have in common.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::path::Path;

use serde_json::Value;

use super::run::{LABELS, Log, generate_on};
use super::{Options, Summary};

/// A small company and a short time.
pub(super) fn small(seed: u64, out: &Path) -> Options {
    Options { users: 8, days: 10, seed, out: out.to_path_buf(), ..Options::default() }
}

/// Every file below a directory, by its path there.
pub(super) fn files(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![directory.to_owned()];
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(directory).unwrap().to_string_lossy().into_owned();
                found.insert(name, fs::read(&path).unwrap());
            }
        }
    }
    found
}

pub(super) fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty())
}

fn run<L: Log>(threads: usize, options: &Options) -> (BTreeMap<String, Vec<u8>>, Summary) {
    let summary = generate_on::<L>(threads, options, &mut |_| ()).unwrap();
    (files(&options.out), summary)
}

/// The same seed gives the same bytes, on however many threads; another seed gives others.
pub(super) fn the_seed_decides_every_byte<L: Log>() {
    let [first, second, other] = [(1, 1), (1, 5), (2, 1)].map(|(seed, threads)| {
        let directory = tempfile::tempdir().unwrap();
        run::<L>(threads, &small(seed, directory.path())).0
    });
    assert!(first == second, "threads change nothing");
    assert!(first != other, "another seed gives other bytes");
}

/// Generated logs and what is said of them.
pub(super) struct Generated {
    pub(super) records: Vec<Value>,
    pub(super) summary: Summary,
    pub(super) files: BTreeMap<String, Vec<u8>>,
}

/// Generates and reads back all records; `decode` knows what a file holds.
pub(super) fn generated<L: Log>(
    seed: u64,
    (users, days): (usize, u32),
    decode: impl Fn(&[u8]) -> Vec<Value>,
) -> Generated {
    let directory = tempfile::tempdir().unwrap();
    let options = Options { users, days, ..small(seed, directory.path()) };
    let (files, summary) = run::<L>(2, &options);
    let logs = files.iter().filter(|(name, _)| *name != LABELS);
    let records: Vec<Value> = logs.clone().flat_map(|(_, bytes)| decode(bytes)).collect();
    assert_eq!(summary.files, logs.clone().count());
    assert_eq!(summary.records, records.len() as u64);
    assert_eq!(summary.bytes, logs.map(|(_, bytes)| bytes.len() as u64).sum::<u64>());
    Generated { records, summary, files }
}

impl Generated {
    /// Checks that every label names a record, and that every incident of every scenario has some; `id` and `time` say
    /// where those of a record are. Answers the identifiers of labelled records.
    pub(super) fn check_labels(&self, id: &str, time: impl Fn(&Value) -> String) -> BTreeSet<String> {
        let by_id: HashMap<&str, &Value> =
            self.records.iter().map(|record| (record[id].as_str().unwrap(), record)).collect();
        let mut lines = std::str::from_utf8(&self.files[LABELS]).unwrap().lines();
        assert_eq!(lines.next(), Some("id,user,time,scenario,incident"));
        let mut incidents: BTreeMap<&str, usize> = BTreeMap::new();
        let mut labelled = BTreeSet::new();
        for line in lines {
            let [label, user, at, scenario, incident] = line.split(',').collect::<Vec<_>>()[..] else {
                panic!("{line}");
            };
            assert_eq!(time(by_id[label])[..19], at[..19], "{line}");
            assert!(incident.starts_with(scenario) && !user.is_empty(), "{line}");
            assert!(labelled.insert(label.to_owned()), "labelled twice: {line}");
            *incidents.entry(incident).or_default() += 1;
        }
        let Summary { labelled: count, scenarios, .. } = &self.summary;
        assert_eq!(incidents.len(), 3 * scenarios.len(), "{incidents:?}");
        assert!(incidents.values().all(|count| (2..=400).contains(count)), "{incidents:?}");
        assert!(
            scenarios.iter().all(|scenario| scenario.incidents == 3 && scenario.records >= 6),
            "{scenarios:?}"
        );
        assert_eq!(*count, labelled.len() as u64);
        labelled
    }

    /// How often each text occurs at a place of the records.
    pub(super) fn counts(&self, pointer: &str) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for text in self.records.iter().filter_map(|record| record.pointer(pointer)?.as_str()) {
            *counts.entry(text.to_owned()).or_default() += 1;
        }
        counts
    }
}

/// Checks that members are there and of their type: `text`, `bool`, `int`, `object`, `array`, or `object?` for an object
/// or null.
pub(super) fn check_members(record: &Value, members: &[(&str, &str)]) {
    for (name, kind) in members {
        let value = record.get(name).unwrap_or_else(|| panic!("{name} is not in {record}"));
        let right = match *kind {
            "text" => value.is_string(),
            "bool" => value.is_boolean(),
            "int" => value.is_i64(),
            "array" => value.is_array(),
            "object" => value.is_object(),
            "object?" => value.is_object() || value.is_null(),
            _ => panic!("no such kind: {kind}"),
        };
        assert!(right, "{name} is no {kind} in {record}");
    }
}
