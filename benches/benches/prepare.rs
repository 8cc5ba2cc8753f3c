//! Preparing sign-ins: raw batch to loaded batch, loaded rows to derived rows, and both with the split between them.
#![allow(missing_docs)] // criterion's macros

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use arrow_array::{ArrayRef, BooleanArray, Float64Array, RecordBatch, StringArray, TimestampNanosecondArray};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use dfp_core::{Error, ErrorKind, Host, Level, ORIGIN, RECORD_ID, Reject, Stage};
use dfp_prep::derive::Deriver;
use dfp_prep::split::by_entity;
use dfp_prep::window::{row_hashes, sort_by_time};
use dfp_prep::{LoadOptions, LoadStage, Profile};

const PROFILE: &str = include_str!("../../dfp-plugins/azure-ad/profiles/azure-ad.toml");
const ROWS: usize = 20_000;
const USERS: usize = 100;
const START: i64 = 1_659_312_000_000_000_000;
const SECOND: i64 = 1_000_000_000;

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

/// A few repeatable values for each raw column, as sign-in logs hold them.
fn raw_column(name: &str) -> ArrayRef {
    let pick = |row: usize, n: usize| row.wrapping_mul(2_654_435_761) / 7 % n;
    let texts = |f: &dyn Fn(usize) -> Option<String>| -> ArrayRef {
        Arc::new((0..ROWS).map(f).collect::<StringArray>())
    };
    let one_of = |values: &[&str]| texts(&|row| Some(values[pick(row, values.len())].to_owned()));
    match name {
        "properties.userPrincipalName" => {
            texts(&|row| Some(format!("User.{}@Example.com", pick(row, USERS))))
        }
        "properties.ipAddress" => texts(&|row| Some(format!("198.51.{}.{}", pick(row, 5), pick(row, 200)))),
        "properties.deviceDetail.browser" => {
            one_of(&["Edge 97.0.1072", "Chrome Mobile 99", "Rich Client 4.40.0.0", ""])
        }
        "properties.deviceDetail.operatingSystem" => {
            one_of(&["Windows 10", "Windows10", "Ios 15.1", "MacOs"])
        }
        "properties.location.city" => one_of(&["Oslo", "Santa Clara", "Zürich", ""]),
        "properties.location.countryOrRegion" | "location" => one_of(&["NO", "US", "CH"]),
        "properties.status.errorCode" | "resultType" => one_of(&["0", "0", "0", "50126"]),
        name if name.ends_with("itude") => {
            Arc::new((0..ROWS).map(|row| Some(10.0 + pick(row, 3) as f64)).collect::<Float64Array>())
        }
        "properties.isInteractive" => {
            Arc::new((0..ROWS).map(|row| Some(row % 3 > 0)).collect::<BooleanArray>())
        }
        _ => one_of(&["Microsoft Teams", "Office 365 Exchange Online", "Azure Portal"]),
    }
}

fn raw_batch(profile: &Profile) -> RecordBatch {
    let numbered = |prefix: &str| -> ArrayRef {
        Arc::new(StringArray::from_iter_values((0..ROWS).map(|row| format!("{prefix}{row}"))))
    };
    let times = (0..ROWS as i64).map(|row| START + row * 30 * SECOND);
    let times = TimestampNanosecondArray::from_iter_values(times).with_timezone("UTC");
    let mut columns: Vec<(String, ArrayRef)> = vec![
        (RECORD_ID.to_owned(), numbered("7f3a-")),
        (ORIGIN.to_owned(), numbered("AZUREAD_2022-08-01T00_00_00Z.json:")),
        ("_time".to_owned(), Arc::new(times)),
    ];
    columns.extend(profile.raw_columns().into_iter().map(|name| (name.clone(), raw_column(&name))));
    RecordBatch::try_from_iter(columns).expect("columns of one length")
}

fn derive_all(deriver: &Deriver, groups: &[(String, RecordBatch)]) {
    for (_, rows) in groups {
        black_box(deriver.derive(rows).expect("sorted rows of one entity"));
    }
}

fn prepare(criterion: &mut Criterion) {
    let profile = Profile::from_toml(PROFILE).expect("the shipped profile");
    let raw = raw_batch(&profile);
    let now = UNIX_EPOCH + Duration::from_nanos(START as u64 + 60 * 86_400 * SECOND as u64);
    let mut stage =
        LoadStage::new(&profile, &LoadOptions::at(now), Arc::new(Quiet)).expect("a valid profile");
    stage.bind(raw.schema()).expect("a raw batch");
    let mut load = move || {
        stage.push(raw.clone()).expect("a raw batch");
        stage.pull().expect("a loaded batch").expect("rows")
    };
    let loaded = load();
    let deriver = Deriver::new(&profile, &loaded.schema()).expect("the profile's own columns");
    let groups = by_entity(&loaded).expect("a loaded batch");

    let mut group = criterion.benchmark_group("prepare");
    group.throughput(Throughput::Elements(ROWS as u64));
    group.bench_function("load", |bencher| bencher.iter(&mut load));
    group.bench_function("derive", |bencher| bencher.iter(|| derive_all(&deriver, &groups)));
    group.bench_function("row_hashes", |bencher| bencher.iter(|| row_hashes(&loaded)));
    group.bench_function("load_split_sort_derive", |bencher| {
        bencher.iter(|| {
            let mut groups = by_entity(&load()).expect("a loaded batch");
            for (_, rows) in &mut groups {
                *rows = sort_by_time(rows).expect("times");
            }
            derive_all(&deriver, &groups);
        });
    });
    group.finish();
}

criterion_group!(benches, prepare);
criterion_main!(benches);
