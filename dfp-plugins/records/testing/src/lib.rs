//! Test support for the sources built on `dfp-records`: a host whose inputs are in memory, a source run over them.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::{Arc, Mutex};

use dfp_plugin::arrow_array::cast::AsArray;
use dfp_plugin::arrow_array::types::{Float64Type, Int64Type, TimestampNanosecondType};
use dfp_plugin::arrow_array::{Array, RecordBatch};
use dfp_plugin::arrow_schema::DataType;
use dfp_plugin::{
    Component, EVENT_TIME, Error, ErrorKind, Host, Level, ORIGIN, RECORDS_READ, Reject, Result, Source,
};
use dfp_records::{Config, Described, LogSource};

/// How the bytes of an input come.
pub type Opener = Box<dyn Fn() -> Result<Box<dyn Read + Send>> + Send + Sync>;

/// Inputs by name; what the source reported.
#[derive(Default)]
pub struct MemoryHost {
    /// Opens each input, by its name.
    pub inputs: BTreeMap<String, Opener>,
    /// What was rejected.
    pub rejects: Mutex<Vec<Reject>>,
    /// What was counted.
    pub counters: Mutex<BTreeMap<String, u64>>,
    /// Whether the host wants to stop.
    pub cancelled: std::sync::atomic::AtomicBool,
}

impl Host for MemoryHost {
    fn log_enabled(&self, _level: Level) -> bool {
        false
    }
    fn log(&self, _level: Level, _target: &str, _message: &str) {}
    fn is_cancelled(&self) -> bool {
        self.cancelled.load(std::sync::atomic::Ordering::Relaxed)
    }
    fn open(&self, uri: &str) -> Result<Box<dyn Read + Send>> {
        let missing = || Error::new(ErrorKind::NotFound, format!("opening {uri}"));
        self.inputs.get(uri).ok_or_else(missing)?()
    }
    fn reject(&self, reject: Reject) {
        self.rejects.lock().unwrap().push(reject);
    }
    fn count(&self, counter: &str, n: u64) {
        *self.counters.lock().unwrap().entry(counter.to_owned()).or_default() += n;
    }
}

/// Gives at most `step` bytes a call, then ends or fails.
pub struct Steps {
    /// What there is to read.
    pub bytes: Arc<[u8]>,
    /// How much of it was read.
    pub at: usize,
    /// Most bytes a call.
    pub step: usize,
    /// How reading fails at the end; `None` ends well.
    pub end: Option<std::io::ErrorKind>,
}

impl Read for Steps {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let n = buffer.len().min(self.step).min(self.bytes.len() - self.at);
        buffer[..n].copy_from_slice(&self.bytes[self.at..self.at + n]);
        self.at += n;
        match self.end {
            Some(kind) if n == 0 => Err(kind.into()),
            _ => Ok(n),
        }
    }
}

/// A host with one input, `x`, that comes in steps of `step` bytes.
pub fn host(bytes: &[u8], step: usize) -> MemoryHost {
    let bytes: Arc<[u8]> = bytes.into();
    let mut host = MemoryHost::default();
    let open = move || -> Result<Box<dyn Read + Send>> {
        Ok(Box::new(Steps { bytes: bytes.clone(), at: 0, step, end: None }))
    };
    host.inputs.insert("x".to_owned(), Box::new(open));
    host
}

/// What a run brought: rows as text, rejects, counters, the error that ended it.
pub struct Run {
    /// Columns by name; nulls are left out.
    pub rows: Vec<BTreeMap<String, String>>,
    /// In order.
    pub rejects: Vec<Reject>,
    /// Records counted as read.
    pub read: u64,
    /// All counters.
    pub counters: BTreeMap<String, u64>,
    /// What ended the run early.
    pub error: Option<Error>,
}

impl Run {
    /// Reasons of the rejects, in order.
    pub fn reasons(&self) -> Vec<&str> {
        self.rejects.iter().map(|reject| &*reject.reason).collect()
    }

    /// One column, `-` where it is null.
    pub fn column(&self, name: &str) -> Vec<&str> {
        self.rows.iter().map(|row| row.get(name).map_or("-", String::as_str)).collect()
    }
}

/// A configuration that reads `x`.
pub fn config(more: &str) -> Config {
    serde_json::from_str(&format!("{{\"inputs\":[\"x\"]{more}}}")).unwrap()
}

/// Decodes everything; checks that every record read is a row or a reject.
pub fn run<D: Described>(host: MemoryHost, config: Config) -> Run {
    let host = Arc::new(host);
    let mut source = LogSource::<D>::create(config, host.clone()).unwrap();
    let schema = source.schema();
    let mut rows = Vec::new();
    let mut error = None;
    for batch in source.open(None).unwrap() {
        match batch {
            Ok(batch) => {
                assert_eq!(batch.schema(), schema);
                rows.extend(texts(&batch));
            }
            Err(caught) => error = Some(caught),
        }
    }
    let rejects = std::mem::take(&mut *host.rejects.lock().unwrap());
    let counters = host.counters.lock().unwrap().clone();
    let read = counters.get(RECORDS_READ).copied().unwrap_or(0);
    if error.is_none() {
        assert_eq!(read, (rows.len() + rejects.len()) as u64, "read = rows + rejects");
    }
    Run { rows, rejects, read, counters, error }
}

/// Decodes bytes with the default configuration.
pub fn decode<D: Described>(bytes: &[u8]) -> Run {
    run::<D>(host(bytes, usize::MAX), config(""))
}

/// The rows of a batch as texts; nulls are left out.
fn texts(batch: &RecordBatch) -> Vec<BTreeMap<String, String>> {
    let mut rows = vec![BTreeMap::new(); batch.num_rows()];
    for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
        for (index, row) in rows.iter_mut().enumerate().filter(|(index, _)| column.is_valid(*index)) {
            let text = match column.data_type() {
                DataType::Utf8 => column.as_string::<i32>().value(index).to_owned(),
                DataType::Boolean => column.as_boolean().value(index).to_string(),
                DataType::Float64 => column.as_primitive::<Float64Type>().value(index).to_string(),
                DataType::Int64 => column.as_primitive::<Int64Type>().value(index).to_string(),
                _ => column.as_primitive::<TimestampNanosecondType>().value(index).to_string(),
            };
            row.insert(field.name().clone(), text);
        }
    }
    for row in &rows {
        assert!(row.contains_key(EVENT_TIME) && row.contains_key(ORIGIN));
    }
    rows
}
