//! Batches for tests.

use std::sync::{Arc, Mutex};

use arrow_array::cast::AsArray;
use arrow_array::{ArrayRef, RecordBatch, StringArray, TimestampNanosecondArray};
use arrow_schema::{Field, Schema};
use dfp_core::{EVENT_TIME, Error, ErrorKind, Host, Level, ORIGIN, RECORD_ID, Reject};

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

/// A host that keeps what is rejected and counted.
#[derive(Default)]
pub(crate) struct Rejects {
    pub(crate) rejects: Mutex<Vec<Reject>>,
    pub(crate) counts: Mutex<std::collections::BTreeMap<String, u64>>,
}

impl Host for Rejects {
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
        self.rejects.lock().unwrap().push(reject);
    }
    fn count(&self, counter: &str, n: u64) {
        *self.counts.lock().unwrap().entry(counter.to_owned()).or_default() += n;
    }
}
