//! A host that remembers everything, a decoder that takes any record with an `n`, and runs that are cut short.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use dfp_plugin::arrow_array::{ArrayRef, RecordBatch, StringArray};
use dfp_plugin::arrow_schema::SchemaRef;
use dfp_plugin::serde_json::{Value, json};
use dfp_plugin::{
    BatchStream, Component, Error, ErrorKind, Host, Level, MemoryStream, RECORDS_READ, Reject, Result,
    Source, create, reason,
};
use dfp_pull::{Pull, REQUESTS, Vendor};

pub(crate) const SECRET: &str = "s3cr3t/Key+of the=test";

#[derive(Default)]
pub(crate) struct TestHost {
    pub(crate) logs: Mutex<Vec<String>>,
    pub(crate) rejects: Mutex<Vec<Reject>>,
    pub(crate) counts: Mutex<BTreeMap<String, u64>>,
    pub(crate) cancelled: AtomicBool,
    /// Cancelled once so many requests were sent; 0 for never.
    pub(crate) most_requests: AtomicU64,
}

impl TestHost {
    pub(crate) fn counted(&self, name: &str) -> u64 {
        self.counts.lock().unwrap().get(name).copied().unwrap_or(0)
    }

    pub(crate) fn log_text(&self) -> String {
        self.logs.lock().unwrap().join("\n")
    }
}

impl Host for TestHost {
    fn log_enabled(&self, _: Level) -> bool {
        true
    }

    fn log(&self, _: Level, _: &str, message: &str) {
        self.logs.lock().unwrap().push(message.to_owned());
    }

    fn is_cancelled(&self) -> bool {
        let most = self.most_requests.load(Ordering::SeqCst);
        self.cancelled.load(Ordering::SeqCst) || (most > 0 && self.counted(REQUESTS) >= most)
    }

    fn open(&self, uri: &str) -> Result<Box<dyn Read + Send>> {
        Err(Error::new(ErrorKind::NotFound, format!("opening {uri}")))
    }

    fn secret(&self, name: &str) -> Result<Vec<u8>> {
        match name {
            "key" => Ok(SECRET.as_bytes().to_vec()),
            "id" => Ok(b"AKIDEXAMPLE".to_vec()),
            _ => Err(Error::new(ErrorKind::NotFound, format!("no secret {name}"))),
        }
    }

    fn reject(&self, reject: Reject) {
        self.rejects.lock().unwrap().push(reject);
    }

    fn count(&self, counter: &str, n: u64) {
        *self.counts.lock().unwrap().entry(counter.to_owned()).or_default() += n;
    }
}

/// Decodes arrays, and objects with `Records`, of objects with an `n`.
pub(crate) struct Numbers {
    config: NumbersConfig,
    host: Arc<dyn Host>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NumbersConfig {
    inputs: Vec<String>,
    #[allow(dead_code)]
    batch_rows: usize,
}

fn batch(ids: &[String], origins: &[String]) -> Result<RecordBatch> {
    let text = |values: &[String]| -> ArrayRef { Arc::new(StringArray::from(values.to_vec())) };
    Ok(RecordBatch::try_from_iter_with_nullable([
        ("_record_id", text(ids), true),
        ("_origin", text(origins), true),
    ])?)
}

impl Component for Numbers {
    const ID: &'static str = "numbers";
    const TITLE: &'static str = "Records with an n, for tests";
    const CONFIG_SCHEMA: &'static str = "{}";
    type Config = NumbersConfig;

    fn create(config: NumbersConfig, host: Arc<dyn Host>) -> Result<Self> {
        Ok(Self { config, host })
    }
}

impl Source for Numbers {
    fn schema(&self) -> SchemaRef {
        batch(&[], &[]).unwrap().schema()
    }

    fn open(&mut self, _: Option<&[u8]>) -> Result<Box<dyn BatchStream>> {
        let (mut ids, mut origins) = (Vec::new(), Vec::new());
        for input in &self.config.inputs {
            let mut bytes = Vec::new();
            self.host.open(input)?.read_to_end(&mut bytes).map_err(|error| Error::io("reading", error))?;
            let records = match serde_json::from_slice(&bytes) {
                Ok(Value::Array(records)) => records,
                Ok(Value::Object(mut object)) => match object.remove("Records") {
                    Some(Value::Array(records)) => records,
                    _ => vec![Value::Null],
                },
                _ => vec![Value::Null],
            };
            for (record, line) in records.iter().zip(1..) {
                self.host.count(RECORDS_READ, 1);
                match record["n"].as_str() {
                    Some(n) => {
                        ids.push(n.to_owned());
                        origins.push(format!("{input}:{line}:1"));
                    }
                    None => self.host.reject(Reject::new(input.as_str(), reason::MALFORMED, "no n")),
                }
            }
        }
        Ok(Box::new(MemoryStream::new(self.schema(), vec![batch(&ids, &origins)?])))
    }
}

/// What one run delivered.
pub(crate) struct Run {
    pub(crate) ids: Vec<String>,
    pub(crate) origins: Vec<String>,
    pub(crate) heartbeats: usize,
    pub(crate) position: Option<Vec<u8>>,
    pub(crate) end: Result<()>,
    pub(crate) host: Arc<TestHost>,
}

impl Run {
    pub(crate) fn error(&self) -> String {
        self.end.as_ref().expect_err("the run fails").to_string()
    }

    pub(crate) fn kind(&self) -> ErrorKind {
        self.end.as_ref().expect_err("the run fails").kind()
    }
}

/// How far a run may go.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Limits {
    /// Batches with rows, then the stream is dropped.
    pub(crate) batches: Option<usize>,
    /// Requests, then the host cancels.
    pub(crate) requests: u64,
}

/// Pulls until the end, or as far as `limits` let it.
pub(crate) fn pull<V: Vendor>(config: &Value, resume: Option<&[u8]>, limits: Limits) -> Run {
    let host = Arc::new(TestHost::default());
    host.most_requests.store(limits.requests, Ordering::SeqCst);
    let shared: Arc<dyn Host> = Arc::<TestHost>::clone(&host);
    let mut source: Pull<V, Numbers> = create(&config.to_string(), shared).unwrap();
    let mut run =
        Run { ids: Vec::new(), origins: Vec::new(), heartbeats: 0, position: None, end: Ok(()), host };
    let stream = match source.open(resume) {
        Ok(stream) => stream,
        Err(error) => return Run { end: Err(error), ..run },
    };
    let mut batches = 0;
    for batch in stream {
        match batch {
            Ok(batch) if batch.num_rows() == 0 => run.heartbeats += 1,
            Ok(batch) => {
                let column =
                    |index: usize| batch.column(index).as_any().downcast_ref::<StringArray>().unwrap();
                run.ids.extend(column(0).iter().flatten().map(str::to_owned));
                run.origins.extend(column(1).iter().flatten().map(str::to_owned));
                batches += 1;
            }
            Err(error) => run.end = Err(error),
        }
        if limits.batches.is_some_and(|most| batches >= most) {
            break;
        }
    }
    run.position = source.position();
    run
}

pub(crate) fn whole<V: Vendor>(config: &Value) -> Run {
    pull::<V>(config, None, Limits::default())
}

/// Pulls in many runs, each cut short as `cuts` says and resumed by the next; the last one ends by itself.
pub(crate) fn pull_in_pieces<V: Vendor>(config: &Value, cuts: &[Limits]) -> Vec<String> {
    let (mut ids, mut position) = (Vec::new(), None);
    for limits in cuts.iter().copied().chain([Limits::default()]) {
        let last = limits.batches.is_none() && limits.requests == 0;
        let run = pull::<V>(config, position.as_deref(), limits);
        match run.end {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::Cancelled && !last => {}
            Err(error) => panic!("{error}\n{}", run.host.log_text()),
        }
        ids.extend(run.ids);
        position = run.position;
        assert!(position.is_some());
    }
    ids
}

pub(crate) fn sorted(mut ids: Vec<String>) -> Vec<String> {
    ids.sort();
    ids
}

pub(crate) fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64
}

pub(crate) fn time(second: i64) -> String {
    jiff::Timestamp::from_second(second).unwrap().to_string()
}

pub(crate) fn second(time: &str) -> i64 {
    time.parse::<jiff::Timestamp>().unwrap_or_else(|error| panic!("{time}: {error}")).as_second()
}

/// A `Date` header of a clock that is `ahead` by some seconds.
pub(crate) fn date(ahead: i64) -> String {
    let time = jiff::Timestamp::from_second(now() + ahead).unwrap().to_zoned(jiff::tz::TimeZone::UTC);
    time.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// Quick and patient requests.
pub(crate) fn http() -> Value {
    json!({"connect_seconds": 5, "read_seconds": 5, "request_seconds": 10, "attempts": 12, "first_wait_ms": 1,
           "longest_wait_ms": 2, "interval_ms": 0})
}

/// Why a configuration is refused.
pub(crate) fn create_error<V: Vendor>(config: &Value) -> String {
    let made: Result<Pull<V, Numbers>> = create(&config.to_string(), Arc::new(TestHost::default()));
    let error = made.err().expect("the configuration is refused");
    assert_eq!(error.kind(), ErrorKind::InvalidConfig);
    error.to_string()
}

/// A source that is ready to be opened, and its host.
pub(crate) fn source<V: Vendor>(config: &Value) -> (Pull<V, Numbers>, Arc<TestHost>) {
    let host = Arc::new(TestHost::default());
    let shared: Arc<dyn Host> = Arc::<TestHost>::clone(&host);
    (create(&config.to_string(), shared).unwrap(), host)
}
