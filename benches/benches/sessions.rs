//! Sessions: building events out of raw columns, and cutting them, of 1.3 thousand, 133 thousand and 13 million events. One core.
//!
//! Records are like those of Exchange administration: few users from few addresses, commands in bursts, so that a session has
//! about three events. Values are built from JSON text, measured apart from cutting.
#![allow(missing_docs)] // criterion's macros

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use arrow_array::cast::AsArray;
use arrow_array::types::TimestampNanosecondType;
use arrow_array::{ArrayRef, RecordBatch, StringArray, TimestampNanosecondArray};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use dfp_core::{EVENT_TIME, Error, ErrorKind, Host, Level, Reject, Stage};
use dfp_prep::Profile;
use dfp_prep::commands::{EventKind, SessionEvents, SessionRules};
use dfp_prep::sessionize::{SessionOptions, Sessionize};

const PROFILE: &str = include_str!("../../dfp-plugins/exchange/profiles/exchange.toml");
const SIZES: [usize; 3] = [1_334, 133_400, 13_340_000];
const BATCH: usize = 8192;
const SECOND: i64 = 1_000_000_000;
/// As many open sessions as memory is stated for.
const OPEN: usize = 1_000_000;

struct Quiet;

impl Host for Quiet {
    fn log_enabled(&self, _level: Level) -> bool {
        false
    }
    fn log(&self, _level: Level, _target: &str, _message: &str) {}
    fn is_cancelled(&self) -> bool {
        false
    }
    fn open(&self, uri: &str) -> dfp_core::Result<Box<dyn std::io::Read + Send>> {
        Err(Error::new(ErrorKind::Unsupported, uri))
    }
    fn reject(&self, reject: Reject) {
        panic!("{reject:?}");
    }
    fn count(&self, counter: &str, n: u64) {
        panic!("{counter}: {n}");
    }
}

fn pick(row: usize, salt: usize, n: usize) -> usize {
    let mut z = (row as u64 ^ (salt as u64) << 40).wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    (z >> 33) as usize % n
}

/// Raw records in the order of time, in batches as a source gives them.
fn records(events: usize, parameters: bool) -> Vec<RecordBatch> {
    let users = (events / 250).max(5);
    let batch = |start: usize| {
        let rows = start..(start + BATCH).min(events);
        let text = |f: &dyn Fn(usize) -> Option<String>| -> ArrayRef {
            Arc::new(rows.clone().map(f).collect::<StringArray>())
        };
        // Bursts of a few commands by one user.
        let user = |row: usize| pick(row / 3, 1, users);
        let name = |row: usize| {
            let user = user(row);
            (user % 5 > 0)
                .then(|| format!("NAMPRD06\\Admin{user} (Microsoft.Office.Datacenter.PowerShellWorker)"))
        };
        let time = rows.clone().map(|row| (row as i64) * 30 * SECOND / users as i64 * 10);
        let mut columns: Vec<(&str, ArrayRef)> = vec![
            (EVENT_TIME, Arc::new(TimestampNanosecondArray::from_iter_values(time).with_timezone("UTC"))),
            ("UserId", text(&name)),
            ("ClientIP", text(&|row| Some(format!("[2001:db8::{:x}]:{}", user(row), user(row) % 60_000)))),
            ("Operation", text(&|row| Some(format!("Set-Mailbox{}Policy", pick(row, 2, 22))))),
        ];
        if parameters {
            columns.push(("Parameters", text(&|row| Some(json(row)))));
        }
        RecordBatch::try_from_iter_with_nullable(
            columns.into_iter().map(|(name, column)| (name, column, true)),
        )
        .expect("columns of one length")
    };
    (0..events).step_by(BATCH).map(batch).collect()
}

/// Six parameters, some without value, laid out as exports have them.
fn json(row: usize) -> String {
    let parameter = |n: usize| {
        let value = if n == 4 { String::new() } else { format!("value {}", pick(row, n, 40)) };
        format!(
            "  {{\n    \"Name\": \"Parameter{}\",\n    \"Value\": \"{value}\"\n  }}",
            pick(row, n, 3) * 6 + n
        )
    };
    format!("[\n{}\n]", (0..6).map(parameter).collect::<Vec<_>>().join(",\n"))
}

fn rules(kind: EventKind) -> SessionRules {
    let mut rules = Profile::from_toml(PROFILE).expect("a profile").sessions.expect("rules for sessions");
    rules.event.kind = kind;
    rules
}

fn run(stage: &mut dyn Stage, batches: &[RecordBatch]) -> Vec<RecordBatch> {
    stage.bind(batches[0].schema()).expect("columns that do");
    let mut out = Vec::new();
    let mut drain = |stage: &mut dyn Stage| {
        while let Some(batch) = stage.pull().expect("a batch") {
            out.push(batch);
        }
    };
    for batch in batches {
        stage.push(batch.clone()).expect("a batch that does");
        drain(stage);
    }
    stage.finish().expect("the rest");
    drain(stage);
    out
}

fn build(kind: EventKind, records: &[RecordBatch]) -> Vec<RecordBatch> {
    run(&mut SessionEvents::new(rules(kind), Arc::new(Quiet)).expect("rules that work"), records)
}

/// Events again and again, each time later.
fn over_and_over(events: &[RecordBatch], times: usize) -> Vec<RecordBatch> {
    let index = events[0].schema().index_of(EVENT_TIME).expect("events have a time");
    let time = |batch: &RecordBatch| batch.column(index).as_primitive::<TimestampNanosecondType>().clone();
    let last = events.iter().flat_map(|batch| time(batch).values().to_vec()).max().expect("there are events");
    let later = |batch: &RecordBatch, round: usize| {
        let moved = time(batch).unary::<_, TimestampNanosecondType>(|time| time + last * round as i64);
        let mut columns = batch.columns().to_vec();
        columns[index] = Arc::new(moved.with_timezone("UTC"));
        RecordBatch::try_new(batch.schema(), columns).expect("the same columns")
    };
    (0..times).flat_map(|round| events.iter().map(move |batch| later(batch, round))).collect()
}

/// Sessions are dropped as they come, as a sink would.
fn cut(options: &SessionOptions, events: &[RecordBatch]) -> usize {
    let mut stage = Sessionize::new(options.clone(), Arc::new(Quiet)).expect("options that work");
    stage.bind(events[0].schema()).expect("columns that do");
    let mut sessions = 0;
    let mut drain = |stage: &mut Sessionize| {
        while let Some(batch) = stage.pull().expect("a batch") {
            sessions += black_box(batch).num_rows();
        }
    };
    for batch in events {
        stage.push(batch.clone()).expect("a batch of events");
        drain(&mut stage);
    }
    stage.finish().expect("the rest");
    drain(&mut stage);
    sessions
}

fn sessions(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("sessions");
    for size in SIZES {
        group.throughput(Throughput::Elements(size as u64));
        for (kind, name) in [
            (EventKind::Commands, "commands"),
            (EventKind::Parameters, "parameters"),
            (EventKind::Values, "values"),
        ] {
            // Thirteen million records with their JSON would be most of the memory: those are a hundred times fewer, over and
            // over.
            let copied = size > SIZES[1] && kind != EventKind::Commands;
            let records = records(if copied { SIZES[1] } else { size }, kind != EventKind::Commands);
            if !copied {
                group.bench_function(format!("build/{name}/{size}"), |bencher| {
                    bencher.iter(|| build(kind, &records));
                });
            }
            let mut events = build(kind, &records);
            drop(records);
            if copied {
                events = over_and_over(&events, size / SIZES[1]);
            }
            let whole = rules(kind).options();
            let mut stream = whole.clone();
            stream.limits.lateness = Some(Duration::from_secs(60));
            println!("{size} events, {name}: {} sessions", cut(&whole, &events));
            group.bench_function(format!("cut/{name}/{size}"), |bencher| {
                bencher.iter(|| cut(&whole, &events));
            });
            group.bench_function(format!("stream/{name}/{size}"), |bencher| {
                bencher.iter(|| cut(&stream, &events));
            });
        }
    }
    group.finish();
    state_memory();
}

/// What a million open sessions of one event each need: the growth of resident memory, Linux only.
fn state_memory() {
    let resident = || {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<f64>().ok()).unwrap_or_default()
            / 1024.0
    };
    let mut options = SessionOptions::new(["user"], "time", "event");
    options.limits.max_separation = Duration::from_secs(3600);
    options.limits.lateness = Some(Duration::from_secs(60));
    let mut stage = Sessionize::new(options, Arc::new(Quiet)).expect("options that work");
    let mut bound = false;
    let before = resident();
    for start in (0..OPEN).step_by(BATCH) {
        let rows = start..(start + BATCH).min(OPEN);
        let text = |f: &dyn Fn(usize) -> String| -> ArrayRef {
            Arc::new(StringArray::from_iter_values(rows.clone().map(f)))
        };
        let time = rows.clone().map(|row| row as i64 * 1000);
        let columns: [(&str, ArrayRef); 3] = [
            ("user", text(&|row| format!("user-{row:07}@example.com"))),
            ("time", Arc::new(TimestampNanosecondArray::from_iter_values(time))),
            ("event", text(&|row| format!("Set-Mailbox{}Policy", pick(row, 2, 22)))),
        ];
        let batch = RecordBatch::try_from_iter(columns).expect("columns of one length");
        if !std::mem::replace(&mut bound, true) {
            stage.bind(batch.schema()).expect("columns that do");
        }
        stage.push(batch).expect("a batch of events");
    }
    assert!(stage.pull().expect("nothing yet").is_none());
    println!("{OPEN} open sessions: {:.0} MiB", resident() - before);
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10).warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(5));
    targets = sessions
}
criterion_main!(benches);
