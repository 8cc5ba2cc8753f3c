//! Test support for the sources built on `dfp-records`: a host whose inputs are in memory, a source run over them.
#![forbid(unsafe_code)]

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::sync::{Arc, Mutex};

use dfp_plugin::arrow_array::cast::AsArray;
use dfp_plugin::arrow_array::types::{Float64Type, Int64Type, TimestampNanosecondType};
use dfp_plugin::arrow_array::{Array, RecordBatch};
use dfp_plugin::arrow_schema::DataType;
use dfp_plugin::{
    Component, EVENT_TIME, Error, ErrorKind, Host, Level, ORIGIN, RECORDS_READ, Reject, Result, Source,
};
use dfp_records::{Config, Described, Log, LogSource};
use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

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

/// One way in which the same records may reach a source.
#[derive(Debug, Clone)]
pub struct Way {
    envelope: usize,
    encoding: usize,
    crlf: bool,
    /// Bytes that come at once.
    step: usize,
    batch_rows: usize,
}

/// Any way: every envelope, encoding and line end, in steps and batches of any size.
pub fn ways() -> impl Strategy<Value = Way> {
    let step = prop_oneof![Just(1_usize), 2..64_usize, Just(4096)];
    let batch = prop_oneof![Just(1_usize), 2..5_usize, Just(8192)];
    (0..ENVELOPES, 0..ENCODINGS, any::<bool>(), step, batch).prop_map(
        |(envelope, encoding, crlf, step, batch_rows)| Way { envelope, encoding, crlf, step, batch_rows },
    )
}

impl Way {
    /// The bytes in which the records come.
    pub fn bytes(&self, records: &[Value]) -> Vec<u8> {
        let text = wrap(records, self.envelope);
        encode(&if self.crlf { text.replace('\n', "\r\n") } else { text }, self.encoding)
    }

    /// The rows of the records that come in this way. `more` is JSON members for the configuration, each after a comma.
    pub fn rows<D: Described>(&self, records: &[Value], more: &str) -> Vec<BTreeMap<String, String>> {
        let bytes = self.bytes(records);
        rows::<D>(&bytes, self.step, &format!(",\"batch_rows\":{}{more}", self.batch_rows))
    }
}

/// The rows of some bytes, none of which may be rejected, without their origins.
pub fn rows<D: Described>(bytes: &[u8], step: usize, more: &str) -> Vec<BTreeMap<String, String>> {
    let run = run::<D>(host(bytes, step), config(more));
    assert_eq!(run.rejects, [], "{}", String::from_utf8_lossy(bytes));
    let without_origin = |mut row: BTreeMap<String, String>| {
        row.remove(ORIGIN);
        row
    };
    run.rows.into_iter().map(without_origin).collect()
}

/// One record a line.
pub fn lines(records: &[Value]) -> String {
    let lines: Vec<String> = records.iter().map(Value::to_string).collect();
    lines.join("\n") + "\n"
}

const ENVELOPES: usize = 20;

/// The records in one of the envelopes that any log may come in.
fn wrap(records: &[Value], envelope: usize) -> String {
    let pretty = |value: &Value| serde_json::to_string_pretty(value).unwrap();
    let each = |wrap: &dyn Fn(&Value) -> Value| records.iter().map(wrap).collect::<Vec<Value>>();
    let halves = || {
        let (left, right) = records.split_at(records.len() / 2);
        [json!({"records": left}), json!({"Records": right, "count": 2})]
    };
    let in_text = |record: &Value| json!({"id": "outer", "message": record.to_string(), "time": 5});
    match envelope {
        0 => lines(records).trim_end().to_owned(),
        1 => json!(records).to_string(),
        2 => pretty(&json!(records)),
        3 => pretty(&json!({"@odata.context": "a[b", "value": records, "next": null})),
        4 => json!({"records": records}).to_string(),
        5 => lines(&halves()),
        6 => pretty(&json!(halves())),
        7 => records.iter().map(pretty).collect::<Vec<_>>().join("\n"),
        8 => "\n\n".to_owned() + &lines(records).replace('\n', "\n\n"),
        9 => json!({"stat": "OK", "response": {"metadata": {"next": [1]}, "authlogs": records, "x": {}}})
            .to_string(),
        10 => pretty(&json!({"response": records, "stat": "OK"})),
        11 => json!({"messageType": "DATA_MESSAGE", "logEvents": each(&in_text), "owner": "1"}).to_string(),
        12 => lines(&each(&in_text)),
        13 => lines(&each(&|record| json!({"_raw": record.to_string(), "host": "a", "_time": "b"}))),
        14 => pretty(
            &json!({"hits": {"total": 3, "hits": each(&|record| json!({"_id": "a", "_source": record}))}}),
        ),
        15 => lines(&each(&|record| json!({"message": {"message": record.to_string()}, "eventtype": "x"}))),
        16 => json!({"awslogs": {"data": packed(&wrap(records, 11))}}).to_string(),
        17 => {
            let event = |half: &Value| json!({"kinesis": {"data": packed(&half.to_string()), "partitionKey": "k"}, "eventSource": "aws:kinesis"});
            pretty(&json!({"Records": halves().iter().map(event).collect::<Vec<_>>()}))
        }
        18 => lines(&[
            json!({"invocationId": "i", "records": each(&|record| json!({"recordId": "r", "data": packed(&record.to_string())}))}),
        ]),
        _ => {
            let row = |record: &Value| format!("7,\"{}\",x", record.to_string().replace('"', "\"\""));
            let rows: Vec<String> = records.iter().map(row).collect();
            format!("id,message,host\n{}\n", rows.join("\n"))
        }
    }
}

/// Gzip in base64.
pub fn packed(text: &str) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    let mut out = String::new();
    for chunk in encoder.finish().unwrap().chunks(3) {
        let bits =
            chunk.iter().fold(0, |bits, &byte| bits << 8 | usize::from(byte)) << (8 * (3 - chunk.len()));
        for digit in 0..4 {
            let six = bits >> (18 - 6 * digit) & 63;
            out.push(if digit <= chunk.len() { DIGITS[six] as char } else { '=' });
        }
    }
    out
}

const ENCODINGS: usize = 6;

fn encode(text: &str, encoding: usize) -> Vec<u8> {
    let utf16 = |text: &str, bytes: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(bytes).collect();
    let marked = format!("\u{feff}{text}");
    match encoding {
        0 => text.into(),
        1 => marked.into(),
        2 => utf16(&marked, u16::to_le_bytes),
        3 => utf16(&marked, u16::to_be_bytes),
        4 => utf16(text, u16::to_le_bytes),
        _ => utf16(text, u16::to_be_bytes),
    }
}

/// Any bytes through a source, for fuzzing: no panic, no hang, and every record read is a row or a reject.
///
/// The first byte chooses how the rest comes: its low bits the size of the reader's steps, its highest bit whether the
/// input breaks off at the end. Limits are small, so that short inputs reach them.
pub fn fuzz<D: Described>(data: &[u8]) {
    let Some((&control, bytes)) = data.split_first() else { return };
    let bytes: Arc<[u8]> = bytes.into();
    let step = usize::from(control & 0x7F).max(1) * 3;
    let end = (control & 0x80 != 0).then_some(std::io::ErrorKind::UnexpectedEof);
    let mut host = MemoryHost::default();
    let open = move || -> Result<Box<dyn Read + Send>> {
        Ok(Box::new(Steps { bytes: bytes.clone(), at: 0, step, end }))
    };
    host.inputs.insert("x".to_owned(), Box::new(open));
    let run = run::<D>(host, config(",\"batch_rows\":3,\"max_record_bytes\":512,\"max_depth\":8"));
    assert!(run.error.is_none());
}

/// What may happen to bytes.
pub fn changes() -> impl Strategy<Value = Vec<(Index, u8, u8)>> {
    prop::collection::vec((any::<Index>(), any::<u8>(), 0..4_u8), 1..8)
}

/// Changes some bytes, and checks that the source keeps its balance: every record read is a row or a reject, and how the
/// bytes come changes nothing.
pub fn mutate<D: Described>(mut bytes: Vec<u8>, changes: Vec<(Index, u8, u8)>, step: usize) {
    for (index, byte, kind) in changes {
        let at = index.index(bytes.len().max(1)).min(bytes.len().saturating_sub(1));
        match kind {
            _ if bytes.is_empty() => {}
            0 => bytes[at] = byte,
            1 => bytes.insert(at, b"{}[]\",:\n\\"[usize::from(byte) % 9]),
            2 => _ = bytes.remove(at),
            _ => bytes.truncate(at),
        }
    }
    let limits = ",\"max_record_bytes\":600,\"max_depth\":6";
    let whole = run::<D>(host(&bytes, usize::MAX), config(limits));
    let stepped = run::<D>(host(&bytes, step), config(limits));
    assert_eq!(whole.rows, stepped.rows);
    assert_eq!(whole.rejects, stepped.rejects);
}

/// Whatever happens to the bytes of records, and whatever bytes come, alone or under `headings`: every record read is a row or
/// a reject.
pub fn damage_keeps_the_balance<D: Described>(record: impl Strategy<Value = Value>, headings: &str) {
    let settings = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    let step = prop_oneof![Just(1_usize), Just(4096)];
    let damaged = (prop::collection::vec(record, 1..5), ways(), changes(), step);
    TestRunner::new(settings.clone())
        .run(&damaged, |(records, way, changes, step)| {
            mutate::<D>(way.bytes(&records), changes, step);
            Ok(())
        })
        .unwrap();
    let any_bytes = (prop::collection::vec(any::<u8>(), 0..400), any::<bool>());
    TestRunner::new(settings)
        .run(&any_bytes, |(bytes, table)| {
            let head = if table { headings.as_bytes() } else { b"" };
            run::<D>(host(&[head, &bytes].concat(), 16), config(",\"max_record_bytes\":100"));
            Ok(())
        })
        .unwrap();
}

/// Checks that no field of a log is described twice, and that the fields it gives a meaning to, or their parts, are described.
pub fn fields_are_known(log: &Log) {
    let paths: BTreeSet<&str> = log.fields.iter().map(|field| field.path).collect();
    assert_eq!(paths.len(), log.fields.len(), "a field is described twice");
    for special in log.times.iter().chain(log.watched).chain(log.pairs).chain([&log.record_id]) {
        let part = format!("{special}.");
        assert!(paths.iter().any(|path| path == special || path.starts_with(&part)), "{special}");
    }
}
