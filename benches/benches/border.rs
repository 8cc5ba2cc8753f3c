//! What the plugin border costs: a stage that passes batches on, linked and loaded, and the validation of imports alone.
#![allow(missing_docs)] // criterion's macros

use std::hint::black_box;
use std::path::PathBuf;
use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use dfp_abi::{export_batch, import_batch};
use dfp_core::Stage;
use dfp_host::{LocalHost, Plugins};
use dfp_test_plugin::Rows;

/// The library that cargo built beside this bench.
fn library() -> PathBuf {
    let name = format!("{}dfp_test_plugin{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
    let path = std::env::current_exe().expect("programs know where they are").with_file_name(name);
    assert!(path.is_file(), "{} is missing", path.display());
    path
}

/// Half of the columns texts of about 24 bytes, half numbers.
fn batch(rows: usize, columns: usize) -> RecordBatch {
    let column = |c: usize| -> ArrayRef {
        if c.is_multiple_of(2) {
            let text = |row| format!("column {c:02}, value {:08}", row * 31 % 9973);
            Arc::new(StringArray::from_iter_values((0..rows).map(text)))
        } else {
            Arc::new((0..rows as i64).collect::<Int64Array>())
        }
    };
    let columns = (0..columns).map(|c| (format!("c{c}"), column(c)));
    RecordBatch::try_from_iter(columns).expect("columns have one length")
}

fn bytes(batch: &RecordBatch) -> u64 {
    batch.get_array_memory_size() as u64
}

fn border(c: &mut Criterion) {
    let host = Arc::new(LocalHost::new());
    let loaded = library().to_str().expect("the path is text").to_owned();
    let linked = Plugins::new().link(dfp_plugin::linked_stage::<Rows>());
    let mut group = c.benchmark_group("pass one batch through a stage");
    for (rows, columns) in [(0, 1), (0, 24), (1, 24), (8192, 24)] {
        let batch = batch(rows, columns);
        let ways = [
            ("linked", linked.stage("rows", "{}", host.clone())),
            ("loaded", Plugins::new().stage(&format!("{loaded}#rows"), "{}", host.clone())),
        ];
        for (way, stage) in ways {
            let mut stage = stage.expect("the stage is there");
            stage.bind(batch.schema()).expect("any schema will do");
            group.bench_function(BenchmarkId::new(way, format!("{rows} rows x {columns}")), |b| {
                b.iter(|| pass(&mut *stage, &batch));
            });
        }
    }
    group.finish();

    let mut group = c.benchmark_group("one crossing");
    for (rows, columns) in [(0, 24), (1, 24), (8192, 24)] {
        let batch = batch(rows, columns);
        let schema = batch.schema();
        let size = format!("{rows} rows x {columns}");
        group.throughput(Throughput::Bytes(bytes(&batch)));
        let export = || export_batch(batch.clone(), &schema).expect("it is of its own schema");
        group.bench_function(BenchmarkId::new("export", &size), |b| b.iter(|| black_box(export())));
        group.bench_function(BenchmarkId::new("export, import validated in full", &size), |b| {
            // SAFETY: the struct has just been filled.
            b.iter(|| black_box(unsafe { import_batch(export(), &schema) }.expect("it is valid")));
        });
    }
    group.finish();
}

fn pass(stage: &mut dyn Stage, batch: &RecordBatch) {
    stage.push(batch.clone()).expect("it takes everything");
    while let Some(batch) = stage.pull().expect("it gives what it took") {
        black_box(batch);
    }
}

criterion_group!(benches, border);
criterion_main!(benches);
