//! The examples of the guide, built as it says: a source in Rust and one in C that read the same binary format, and must
//! therefore agree about every file, whole, damaged or cut short.

mod compile;

use std::path::Path;
use std::sync::{Arc, Mutex};

use arrow_array::cast::AsArray;
use arrow_array::types::TimestampNanosecondType;
use arrow_array::{Array, RecordBatch};
use dfp_core::{Counts, ErrorKind, RECORDS_READ, Reject};
use dfp_example_doorlog as _;
use dfp_host::{LocalHost, Plugins};
use tempfile::TempDir;

/// Both libraries, by their paths.
fn libraries(dir: &TempDir) -> [String; 2] {
    let rust = std::env::current_exe().unwrap().with_file_name("libdfp_example_doorlog.so");
    assert!(rust.is_file(), "{} is missing", rust.display());
    let c = dir.path().join("libdoorlog.so");
    compile::shared_library("examples/plugin-c/doorlog.c", &c, &[]);
    [rust, c].map(|path| path.to_str().unwrap().to_owned())
}

fn record(seconds: i64, granted: u8, badge: &[u8], door: &[u8]) -> Vec<u8> {
    let mut record = seconds.to_le_bytes().to_vec();
    record.push(granted);
    for text in [badge, door] {
        record.push(text.len() as u8);
        record.extend(text);
    }
    record
}

fn log(records: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = b"DOOR\x01\0\0\0".to_vec();
    for record in records {
        bytes.extend((record.len() as u16).to_le_bytes());
        bytes.extend(record);
    }
    bytes
}

/// Two good records around one of each fault.
fn sample() -> Vec<u8> {
    let mut long_badge = record(1, 0, b"b", b"d");
    long_badge[9] = 200;
    let mut long_door = record(1, 0, b"b", b"d");
    *long_door.iter_mut().rev().nth(1).unwrap() = 2;
    log(&[
        record(1_700_000_000, 1, "Zo\u{eb} \u{1F511}".as_bytes(), b"north"),
        vec![],
        vec![0; 10],
        record(i64::MAX, 1, b"b", b"d"),
        record(1, 2, b"b", b"d"),
        long_badge,
        long_door,
        record(1, 0, b"\xC0\xAF", b"d"),
        record(1, 0, b"b", b"\xED\xA0\x80"),
        record(-1, 0, b"nul \0 inside", b""),
    ])
}

/// All that a run brings.
#[derive(Debug, PartialEq)]
struct Run {
    rows: Vec<RecordBatch>,
    error: Option<(ErrorKind, String)>,
    rejects: Vec<Reject>,
    counts: Counts,
}

fn run(library: &str, inputs: &[&Path]) -> Run {
    let rejects = Arc::new(Mutex::new(Vec::new()));
    let seen = rejects.clone();
    let host = Arc::new(LocalHost::new().on_reject(move |reject| seen.lock().unwrap().push(reject.clone())));
    let config = serde_json::json!({ "inputs": inputs }).to_string();
    let mut source = Plugins::new().source(library, &config, host.clone()).unwrap();
    let mut stream = source.open(None).unwrap();
    drop(source);
    let (mut rows, mut error) = (Vec::new(), None);
    for batch in stream.by_ref() {
        match batch {
            Ok(batch) => rows.push(batch),
            Err(failure) => error = Some((failure.kind(), failure.to_string())),
        }
    }
    drop(stream);
    let counts = host.counts(rows.iter().map(RecordBatch::num_rows).sum::<usize>() as u64);
    assert_eq!(Arc::strong_count(&host), 1, "something keeps the host");
    let rejects = rejects.lock().unwrap().clone();
    Run { rows, error, rejects, counts }
}

/// What both libraries make of `bytes`.
fn agreed(libraries: &[String; 2], dir: &TempDir, bytes: &[u8]) -> Run {
    let path = dir.path().join("doors \"\u{e4}\u{1F511}.log");
    std::fs::write(&path, bytes).unwrap();
    let [rust, c] = libraries.each_ref().map(|library| run(library, &[&path]));
    assert_eq!(rust, c);
    assert!(rust.counts.balanced(), "{:?}", rust.counts);
    rust
}

#[test]
fn good_records_are_read_and_bad_ones_accounted_for() {
    let dir = tempfile::tempdir().unwrap();
    let run = agreed(&libraries(&dir), &dir, &sample());
    assert_eq!(run.error, None);
    let [batch] = &run.rows[..] else { panic!("{} batches", run.rows.len()) };
    let times = batch.column(2).as_primitive::<TimestampNanosecondType>();
    assert_eq!(times.values()[..], [1_700_000_000_000_000_000, -1_000_000_000]);
    let badges: Vec<_> = batch.column(3).as_string::<i32>().iter().flatten().collect();
    assert_eq!(badges, ["Zo\u{eb} \u{1F511}", "nul \0 inside"]);
    assert!(batch.column(5).as_boolean().value(0) && !batch.column(5).as_boolean().value(1));
    assert_eq!(batch.column(0).null_count(), 2);
    assert!(batch.column(1).as_string::<i32>().value(0).ends_with(".log:8"));

    let problems: Vec<_> = run.rejects.iter().map(|reject| reject.detail.as_str()).collect();
    assert_eq!(
        problems,
        [
            "it is shorter than a record's fixed part",
            "it is shorter than a record's fixed part",
            "its time is out of range",
            "it is neither granted nor denied",
            "its badge is longer than the record",
            "its door is not as long as the rest of the record",
            "a text is not UTF-8",
            "a text is not UTF-8",
        ]
    );
    assert_eq!(run.counts.read, 10);
}

#[test]
fn a_file_cut_anywhere_yields_what_precedes_the_cut_and_says_where_it_ends() {
    let dir = tempfile::tempdir().unwrap();
    let libraries = libraries(&dir);
    let whole = sample();
    for length in 0..whole.len() {
        let run = agreed(&libraries, &dir, &whole[..length]);
        match run.error {
            // Between two records nothing tells that there were more.
            None => assert!(run.counts.read < 10),
            Some((kind, text)) => {
                assert_eq!(kind, ErrorKind::BadData);
                let expected = if length < 8 {
                    "does not begin with DOOR".to_owned()
                } else {
                    format!("is cut short: the file ends at byte {length}")
                };
                assert!(text.ends_with(&expected), "{length}: {text}");
            }
        }
    }
}

#[test]
fn whatever_the_bytes_both_say_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let libraries = libraries(&dir);
    let newer = [b"DOOR\x02".as_slice(), &[0; 40]].concat();
    assert_eq!(agreed(&libraries, &dir, &newer).error.unwrap().0, ErrorKind::Unsupported);
    let mut state = 1_u64;
    let mut random = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize
    };
    for _ in 0..300 {
        let mut bytes = sample();
        for _ in 0..=random() % 8 {
            let at = 8 + random() % (bytes.len() - 8);
            bytes[at] = random() as u8;
        }
        agreed(&libraries, &dir, &bytes);
    }
}

#[test]
fn many_records_come_in_batches_and_every_input_begins_one() {
    let dir = tempfile::tempdir().unwrap();
    let libraries = libraries(&dir);
    let records: Vec<_> = (0..10_000).map(|i| record(i, 1, &[b'x'; 255], &[b'y'; 200])).collect();
    let paths = ["one", "two"].map(|name| dir.path().join(name));
    for path in &paths {
        std::fs::write(path, log(&records)).unwrap();
    }
    let empty = dir.path().join("empty");
    std::fs::write(&empty, log(&[])).unwrap();
    let missing = dir.path().join("missing");
    let runs = libraries.each_ref().map(|library| run(library, &[&paths[0], &empty, &paths[1], &missing]));
    assert!(runs[0].rows == runs[1].rows);
    for run in runs {
        let sizes: Vec<_> = run.rows.iter().map(RecordBatch::num_rows).collect();
        assert_eq!(sizes, [4096, 4096, 1808, 4096, 4096, 1808]);
        let (kind, text) = run.error.unwrap();
        assert_eq!(kind, ErrorKind::NotFound);
        assert!(text.contains(missing.to_str().unwrap()), "{text}");
        assert_eq!(run.counts.read, 20_000);
    }
}

#[test]
fn configurations_that_are_none_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    for library in libraries(&dir) {
        for config in ["", "{}", "[]", r#"{"inputs": [7]}"#, r#"{"inputs": [], "colour": 1}"#] {
            let host = Arc::new(LocalHost::new());
            let error = Plugins::new().source(&library, config, host.clone()).err().expect(config);
            assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{config}: {error}");
            assert_eq!(host.counter(RECORDS_READ), 0);
        }
        let none = run(&library, &[]);
        assert_eq!((none.rows.len(), none.error), (0, None));
    }
}

#[test]
fn the_guide_shows_what_is_in_the_examples() {
    let guide = std::fs::read_to_string(compile::repository("docs/write-a-plugin.md")).unwrap();
    let mut shown = 0;
    for piece in guide.split("<!-- ").skip(1) {
        let (path, rest) = piece.split_once(" -->\n```").expect("a piece of a file follows its name");
        let code = rest.split_once('\n').unwrap().1.split("```").next().unwrap();
        let file = std::fs::read_to_string(compile::repository(path)).expect(path);
        assert!(file.contains(code), "{path} does not contain what the guide shows:\n{code}");
        shown += 1;
    }
    assert!(shown >= 9, "only {shown} pieces");
}
