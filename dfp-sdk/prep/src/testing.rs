//! Batches for tests.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{ArrayRef, RecordBatch, StringArray, TimestampNanosecondArray};
use arrow_schema::{Field, Schema};
use dfp_core::{EVENT_TIME, ORIGIN, RECORD_ID};

/// A raw batch of text columns; record ids are `r0`, `r1`, ..., origins `f:0`, `f:1`, ...
pub(crate) fn raw(times: &[i64], columns: &[(&str, &[Option<&str>])]) -> RecordBatch {
    let numbered = |prefix: &str| -> ArrayRef {
        Arc::new(StringArray::from_iter_values((0..times.len()).map(|row| format!("{prefix}{row}"))))
    };
    let time: ArrayRef = Arc::new(TimestampNanosecondArray::from(times.to_vec()).with_timezone("UTC"));
    let mut all = vec![(RECORD_ID, numbered("r")), (ORIGIN, numbered("f:")), (EVENT_TIME, time)];
    let text = |texts: &[Option<&str>]| -> ArrayRef { Arc::new(StringArray::from(texts.to_vec())) };
    all.extend(columns.iter().map(|(name, texts)| (*name, text(texts))));
    let fields = all.iter().map(|(name, array)| Field::new(*name, array.data_type().clone(), true));
    let schema = Schema::new(fields.collect::<Vec<_>>());
    RecordBatch::try_new(Arc::new(schema), all.into_iter().map(|(_, array)| array).collect()).unwrap()
}

pub(crate) fn column<'a>(batch: &'a RecordBatch, name: &str) -> &'a ArrayRef {
    batch.column_by_name(name).unwrap()
}

pub(crate) fn texts(batch: &RecordBatch, name: &str) -> Vec<Option<String>> {
    column(batch, name).as_string::<i32>().iter().map(|text| text.map(str::to_owned)).collect()
}
