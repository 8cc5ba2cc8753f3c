//! All of a publication or nothing: for readers in other threads and processes, after a kill, after a drop.

mod common;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use common::{DAY, SOURCE, rows};
use dfp_core::ErrorKind;
use dfp_store::{Error, ModelDetails, Publication, Snapshot, Store, model_name};
use serde_json::json;

const ENTITIES: [&str; 5] = ["ann", "bob", "cyd", "dan", "eve"];
const CHILD: &str = "DFP_STORE_TEST_CHILD";

/// Everything of publication `number`: one row and one model for each entity, one run.
fn publish(mut publication: Publication, number: u64) -> Publication {
    for entity in ENTITIES {
        let (batch, hashes) = rows(&[(number as i64 % 3 * DAY + number as i64, number)]);
        publication.append_history(SOURCE, entity, &batch, &hashes).unwrap();
        let bytes = vec![number as u8; 20_000];
        let version = publication.put_model(&model_name(SOURCE, entity), &bytes, &ModelDetails::default());
        assert_eq!(u64::from(version.unwrap()), number);
    }
    publication.log_run(&json!({ "number": number })).unwrap();
    publication
}

/// How many publications a snapshot holds, having checked that it holds them whole.
fn check(snapshot: &Snapshot) -> u64 {
    let number = snapshot.runs(1).unwrap().first().map_or(0, |run| run.0);
    for entity in ENTITIES {
        let name = model_name(SOURCE, entity);
        let rows = snapshot.history(SOURCE, entity, ..).unwrap().map_or(0, |rows| rows.num_rows() as u64);
        let total = snapshot.statistics(SOURCE, entity).unwrap().map_or(0, |statistics| statistics.total);
        let version = snapshot.model_info(&name, None).unwrap().map_or(0, |info| u64::from(info.version));
        assert_eq!((rows, total, version), (number, number, number), "{entity}");
        let bytes = snapshot.model_bytes(&name, None).unwrap().unwrap_or_default();
        assert!(bytes.iter().all(|&byte| byte == number as u8));
        assert_eq!(snapshot.model_versions(&name).unwrap().len() as u64, number);
    }
    number
}

#[test]
fn a_dropped_publication_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path()).unwrap();
    drop(publish(store.publication().unwrap(), 1));
    assert_eq!(check(&store.snapshot().unwrap()), 0);
    publish(store.publication().unwrap(), 1).commit().unwrap();
    let before = store.snapshot().unwrap();
    drop(publish(store.publication().unwrap(), 2));
    publish(store.publication().unwrap(), 2).commit().unwrap();
    assert_eq!((check(&before), check(&store.snapshot().unwrap())), (1, 2));
    drop(store);
    assert_eq!(check(&Store::open(directory.path()).unwrap().snapshot().unwrap()), 2);
}

#[test]
fn threads_read_whole_publications_while_one_writes() {
    const PUBLICATIONS: u64 = 25;
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path()).unwrap();
    let done = AtomicBool::new(false);
    let seen = std::thread::scope(|scope| {
        let reader = || {
            let mut seen = vec![0];
            while !done.load(Ordering::Acquire) {
                let number = check(&store.snapshot().unwrap());
                assert!(number >= *seen.last().unwrap());
                seen.push(number);
            }
            seen.dedup();
            seen
        };
        let readers: Vec<_> = (0..3).map(|_| scope.spawn(reader)).collect();
        for number in 1..=PUBLICATIONS {
            publish(store.publication().unwrap(), number).commit().unwrap();
        }
        done.store(true, Ordering::Release);
        readers.into_iter().map(|reader| reader.join().unwrap()).collect::<Vec<_>>()
    });
    assert!(seen.iter().any(|seen| seen.len() > 2), "no reader met a writer at work: {seen:?}");
    assert_eq!(check(&store.snapshot().unwrap()), PUBLICATIONS);
}

#[test]
fn publications_of_two_threads_follow_each_other() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path()).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..10 {
                    let publication = store.publication().unwrap();
                    // The writer is alone from here on, so nobody can publish in between.
                    let number =
                        store.snapshot().unwrap().runs(1).unwrap().first().map_or(1, |run| run.0 + 1);
                    publish(publication, number).commit().unwrap();
                }
            });
        }
    });
    assert_eq!(check(&store.snapshot().unwrap()), 20);
}

/// Not a test by itself: the process that the tests below start, watch and kill.
#[test]
fn child() {
    let Some(directory) = std::env::var_os(CHILD) else { return };
    let store = Store::open(directory).unwrap();
    let mut number = check(&store.snapshot().unwrap());
    loop {
        number += 1;
        let publication = publish(store.publication().unwrap(), number);
        println!("committing {number}");
        publication.commit().unwrap();
        println!("committed {number}");
    }
}

struct Writer {
    process: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Writer {
    fn start(directory: &Path) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child", "--nocapture"])
            .env(CHILD, directory)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        Self { process, lines }
    }

    /// Reads what the child says until it has said `what` for the `count`th time; answers the publication's number.
    fn wait(&mut self, what: &str, count: usize) -> u64 {
        let numbers = self.lines.by_ref().map_while(|line| {
            let line = line.ok()?;
            Some(line.strip_prefix(what).map(|number| number.trim().parse().unwrap()))
        });
        numbers.flatten().take(count).last().expect("the child went on")
    }

    /// Kills the child without warning.
    fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

#[test]
fn a_kill_leaves_the_last_good_state() {
    let directory = tempfile::tempdir().unwrap();
    for round in 0..12 {
        let mut writer = Writer::start(directory.path());
        let mut committed = writer.wait("committed", 1 + round % 3);
        if round % 2 == 0 {
            // Somewhere within the next publication.
            std::thread::sleep(Duration::from_micros(500 * round as u64));
        } else {
            // Right in the commit.
            committed = committed.max(writer.wait("committing", 1) - 1);
        }
        writer.kill();
        // A reader comes first, and needs nobody's help.
        let found = check(&Store::open_read_only(directory.path()).unwrap().snapshot().unwrap());
        assert!(found >= committed, "round {round}: {committed} were committed, {found} found");
    }
    let store = Store::open(directory.path()).unwrap();
    let number = check(&store.snapshot().unwrap()) + 1;
    publish(store.publication().unwrap(), number).commit().unwrap();
    assert_eq!(check(&store.snapshot().unwrap()), number);
}

#[test]
fn another_process_may_read_but_not_write() {
    let directory = tempfile::tempdir().unwrap();
    let mut writer = Writer::start(directory.path());
    writer.wait("committed", 1);
    let error = Store::open(directory.path()).unwrap_err();
    assert!(matches!(error, Error::Locked { .. }), "{error}");
    assert_eq!(error.kind(), ErrorKind::InvalidState);

    let store = Store::open_read_only(directory.path()).unwrap();
    let first = check(&store.snapshot().unwrap());
    writer.wait("committed", 3);
    let later = check(&store.snapshot().unwrap());
    assert!(later > first, "{later} after {first}");
    let error = store.publication().unwrap_err();
    assert!(matches!(error, Error::ReadOnly { .. }), "{error}");
    writer.kill();
}
