//! The store: what a nightly publication costs, and what reading a window back costs.
#![allow(missing_docs)] // criterion's macros

use std::sync::Arc;

use arrow_array::{
    ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, TimestampNanosecondArray, UInt64Array,
};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use dfp_store::{ModelDetails, Store, model_name};

const SOURCE: &str = "azure-ad";
const DAY: i64 = 86_400_000_000_000;
const ENTITIES: usize = 1000;
const ROWS: usize = 12;

/// Sign-ins of one user on one day: 18 columns as a profile loads them.
fn day(entity: usize, day: i64) -> (RecordBatch, UInt64Array) {
    let text = |values: &[&str], step: usize| {
        let value = move |row| values[(entity + row * step) % values.len()];
        Arc::new((0..ROWS).map(|row| Some(value(row))).collect::<StringArray>()) as ArrayRef
    };
    let unique = |prefix: &str| {
        let value = |row| {
            Some(format!("{prefix}{entity:08x}-{day:04x}-{row:04x}-{:012x}", entity * 7919 + row * 104_729))
        };
        Arc::new((0..ROWS).map(value).collect::<StringArray>()) as ArrayRef
    };
    let times = (0..ROWS as i64).map(|row| day * DAY + row * DAY / 13 + entity as i64);
    let name = format!("user{entity}@example.com");
    let browsers = ["Edge 120.0.2210", "Chrome 119.0.0", "Rich Client 4.55.0.0", "Mobile Safari 17.1"];
    let apps = ["Microsoft Teams", "Office 365 Exchange Online", "Azure Portal", "SharePoint Online"];
    let cities = ["Oslo", "Santa Clara", "Zürich"];
    let columns: Vec<(String, ArrayRef)> = [
        ("_record_id", unique("")),
        ("_origin", unique("AZUREAD_2024-01-01T00_00_00.json:")),
        ("_time", Arc::new(TimestampNanosecondArray::from_iter_values(times).with_timezone("UTC"))),
        ("_entity", text(&[&name], 1)),
        ("appDisplayName", text(&apps, 3)),
        ("category", text(&["NonInteractiveUserSignInLogs", "SignInLogs"], 1)),
        ("clientAppUsed", text(&["Browser", "Mobile Apps and Desktop clients"], 1)),
        ("deviceDetailbrowser", text(&browsers, 1)),
        ("deviceDetaildisplayName", text(&["LAPTOP-1", "PHONE-2"], 1)),
        ("deviceDetailoperatingSystem", text(&["Windows 11", "Ios 17.1", "MacOs"], 1)),
        ("city", text(&cities, 5)),
        ("country", text(&["NO", "US", "CH"], 5)),
        ("state", text(&cities, 5)),
        ("statusfailureReason", text(&["Other.", "Invalid username or password"], 7)),
        ("ipAddress", text(&["192.0.2.1", "198.51.100.77", "203.0.113.9"], 2)),
        ("asn", Arc::new(Int64Array::from_iter_values((0..ROWS as i64).map(|row| 64_500 + row % 2)))),
        ("latitude", Arc::new(Float64Array::from_iter_values((0..ROWS).map(|row| 59.9 + (row % 3) as f64)))),
        ("longitude", Arc::new(Float64Array::from_iter_values((0..ROWS).map(|row| 10.7 + (row % 3) as f64)))),
    ]
    .into_iter()
    .map(|(name, column)| (name.to_owned(), column))
    .collect();
    let hashes = (0..ROWS as u64).map(|row| (row + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ entity as u64);
    (RecordBatch::try_from_iter(columns).unwrap(), UInt64Array::from_iter_values(hashes))
}

fn append_day(store: &Store, number: i64, batches: &[(RecordBatch, UInt64Array)]) {
    let mut publication = store.publication().unwrap();
    for (entity, (rows, hashes)) in batches.iter().enumerate() {
        publication.append_history(SOURCE, &format!("user{entity}@example.com"), rows, hashes).unwrap();
    }
    publication.log_run(&number.into()).unwrap();
    publication.commit().unwrap();
}

fn batches(number: i64) -> Vec<(RecordBatch, UInt64Array)> {
    (0..ENTITIES).map(|entity| day(entity, number)).collect()
}

fn publish(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("store");
    group.sample_size(10);
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path()).unwrap();

    group.throughput(Throughput::Elements((ENTITIES * ROWS) as u64));
    let mut next = 0;
    group.bench_function("append one day of 1000 entities, 12 rows each", |bencher| {
        let fresh = || {
            next += 1;
            (next, batches(next))
        };
        bencher.iter_batched(
            fresh,
            |(number, batches)| append_day(&store, number, &batches),
            BatchSize::PerIteration,
        );
    });
    let again = batches(next);
    group.bench_function("append the same day again: all repeats", |bencher| {
        bencher.iter(|| append_day(&store, next, &again));
    });

    group.throughput(Throughput::Elements(ENTITIES as u64));
    let model: Vec<u8> =
        (0..50_000_u32).map(|index| (index.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    group.bench_function("publish 1000 models of 50 kB", |bencher| {
        bencher.iter(|| {
            let mut publication = store.publication().unwrap();
            for entity in 0..ENTITIES {
                let name = model_name(SOURCE, &format!("user{entity}@example.com"));
                publication.put_model(&name, &model, &ModelDetails::default()).unwrap();
            }
            publication.commit().unwrap();
        });
    });
    group.finish();
}

fn read(criterion: &mut Criterion) {
    const DAYS: i64 = 60;
    let mut group = criterion.benchmark_group("store");
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path()).unwrap();
    for number in 0..DAYS {
        append_day(&store, number, &(0..50).map(|entity| day(entity, number)).collect::<Vec<_>>());
    }
    let snapshot = store.snapshot().unwrap();
    group.throughput(Throughput::Elements(DAYS as u64 * ROWS as u64));
    group.bench_function("read a history of 60 days, 12 rows each", |bencher| {
        bencher.iter(|| snapshot.history(SOURCE, "user7@example.com", ..).unwrap().unwrap());
    });
    group.finish();
}

criterion_group!(benches, publish, read);
criterion_main!(benches);
