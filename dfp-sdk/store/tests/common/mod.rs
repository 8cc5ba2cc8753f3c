//! Rows for the tests: their content follows from time and hash.
#![allow(dead_code, unreachable_pub, missing_docs)] // each test program uses its part

use std::sync::Arc;

use arrow_array::{
    Array, ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampNanosecondArray, UInt64Array,
};

pub const DAY: i64 = 86_400_000_000_000;
pub const SOURCE: &str = "azure-ad";

/// Loaded rows as the profiles make them, some values null.
pub fn rows(keys: &[(i64, u64)]) -> (RecordBatch, UInt64Array) {
    let some = |value: u64, modulus: u64| !value.is_multiple_of(modulus);
    let hashes = || keys.iter().map(|&(_, hash)| hash);
    let text = |prefix: &str, modulus| {
        let text = hashes().map(|hash| some(hash, modulus).then(|| format!("{prefix}{hash}é")));
        Arc::new(text.collect::<StringArray>()) as ArrayRef
    };
    let times = TimestampNanosecondArray::from_iter_values(keys.iter().map(|&(time, _)| time));
    let batch = RecordBatch::try_from_iter_with_nullable([
        ("_record_id", text("id-", 3), true),
        ("_time", Arc::new(times.with_timezone("UTC")), false),
        ("_entity", Arc::new(StringArray::from(vec!["ann"; keys.len()])), false),
        ("browser", text("", 2), true),
        (
            "count",
            Arc::new(hashes().map(|hash| some(hash, 5).then_some(-(hash as i64))).collect::<Int64Array>()),
            true,
        ),
        (
            "size",
            Arc::new(
                hashes().map(|hash| some(hash, 7).then_some(hash as f64 / 3.0)).collect::<Float64Array>(),
            ),
            true,
        ),
        (
            "success",
            Arc::new(hashes().map(|hash| some(hash, 4).then_some(hash % 8 < 4)).collect::<BooleanArray>()),
            true,
        ),
    ]);
    (batch.unwrap(), UInt64Array::from_iter_values(hashes()))
}

/// The times of rows read back.
pub fn times(rows: &RecordBatch) -> Vec<i64> {
    let times = rows.column_by_name("_time").unwrap();
    times.as_any().downcast_ref::<TimestampNanosecondArray>().unwrap().values().to_vec()
}
