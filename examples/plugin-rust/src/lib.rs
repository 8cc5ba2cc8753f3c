//! A source plugin in Rust: the log of an imaginary door controller, a binary format.
//!
//! ```text
//! file     "DOOR", version (1), three zero bytes, records
//! record   length of the rest (2 bytes, little endian), seconds since 1970 (8 bytes, little endian), granted (0 or 1),
//!          length of the badge (1 byte), badge, length of the door (1 byte), door; texts are UTF-8
//! ```
//!
//! docs/plugins.md walks through it. `examples/plugin-c` reads the same format.
#![forbid(unsafe_code)]

use std::io::{BufReader, Read};
use std::sync::Arc;

use dfp_plugin::arrow_array::builder::{BooleanBuilder, StringBuilder, TimestampNanosecondBuilder};
use dfp_plugin::arrow_array::{ArrayRef, RecordBatch};
use dfp_plugin::arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use dfp_plugin::{
    BatchStream, Component, DETERMINISTIC, EVENT_TIME, Error, ErrorKind, Host, ORIGIN, RECORD_ID,
    RECORDS_READ, Reject, Result, Source, reason,
};

dfp_plugin::export_plugin! {
    id: "com.example.doorlog",
    vendor: "Example",
    version: env!("CARGO_PKG_VERSION"),
    licence: "Apache-2.0",
    sources: [DoorLog],
}

/// Rows of a batch.
const BATCH_ROWS: usize = 4096;

/// The source: what to read, and the host to read it through.
pub struct DoorLog {
    config: Config,
    host: Arc<dyn Host>,
}

/// The configuration. The host checks it against `CONFIG_SCHEMA` before it comes here.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    inputs: Vec<String>,
}

impl Component for DoorLog {
    const ID: &'static str = "doorlog";
    const TITLE: &'static str = "Logs of the imaginary door controller";
    const CONFIG_SCHEMA: &'static str = r#"{
        "type": "object",
        "properties": {"inputs": {"type": "array", "items": {"type": "string"}}},
        "required": ["inputs"],
        "additionalProperties": false
    }"#;
    const FLAGS: u64 = DETERMINISTIC;
    type Config = Config;

    fn create(config: Config, host: Arc<dyn Host>) -> Result<Self> {
        Ok(Self { config, host })
    }
}

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new(RECORD_ID, DataType::Utf8, true),
        Field::new(ORIGIN, DataType::Utf8, false),
        Field::new(EVENT_TIME, DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into())), false),
        Field::new("badge", DataType::Utf8, false),
        Field::new("door", DataType::Utf8, false),
        Field::new("granted", DataType::Boolean, false),
    ]))
}

impl Source for DoorLog {
    fn schema(&self) -> SchemaRef {
        schema()
    }

    fn open(&mut self, resume: Option<&[u8]>) -> Result<Box<dyn BatchStream>> {
        if resume.is_some() {
            return Err(Error::new(ErrorKind::InvalidArgument, "this source cannot resume"));
        }
        let inputs = self.config.inputs.clone().into_iter();
        Ok(Box::new(Batches { inputs, host: self.host.clone(), input: None, failure: None }))
    }
}

/// The stream. It may outlive the source, so it has its own share of everything.
struct Batches {
    inputs: std::vec::IntoIter<String>,
    host: Arc<dyn Host>,
    input: Option<Input>,
    /// Comes after the rows that were read before it.
    failure: Option<Error>,
}

impl Batches {
    /// Reads up to a batch of one input.
    fn fill(&mut self, columns: &mut Columns) -> Result<()> {
        while columns.rows < BATCH_ROWS {
            let Some(input) = &mut self.input else {
                if columns.rows > 0 {
                    break; // A batch for each input at least, so that what is there is seen soon.
                }
                let Some(name) = self.inputs.next() else { break };
                self.input = Some(Input::open(name, &*self.host)?);
                continue;
            };
            let Some((start, record)) = input.record()? else {
                self.input = None;
                continue;
            };
            let origin = format!("{}:{start}", input.name);
            self.host.count(RECORDS_READ, 1);
            match Record::parse(&record) {
                Ok(record) => columns.add(&origin, &record),
                // One bad record never ends the stream: the host keeps account of it.
                Err(problem) => self.host.reject(Reject::new(origin, reason::MALFORMED, problem)),
            }
        }
        Ok(())
    }
}

impl Iterator for Batches {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(failure) = self.failure.take() {
            return Some(Err(failure));
        }
        if self.host.is_cancelled() {
            return Some(Err(Error::new(ErrorKind::Cancelled, "cancelled on request")));
        }
        let mut columns = Columns::default();
        let filled = self.fill(&mut columns);
        match filled {
            Err(failure) if columns.rows == 0 => return Some(Err(failure)),
            Err(failure) => self.failure = Some(failure),
            Ok(()) => {}
        }
        (columns.rows > 0).then(|| columns.finish())
    }
}

impl BatchStream for Batches {
    fn schema(&self) -> SchemaRef {
        schema()
    }
}

/// An open file and where we are in it.
struct Input {
    name: String,
    reader: BufReader<Box<dyn Read + Send>>,
    offset: u64,
}

impl Input {
    /// Opens through the host: it knows compression, limits and object stores.
    fn open(name: String, host: &dyn Host) -> Result<Self> {
        let reader = BufReader::new(host.open(&name)?);
        let mut input = Self { name, reader, offset: 0 };
        let header = input.up_to(8)?;
        if header.len() < 8 || !header.starts_with(b"DOOR") {
            let text = format!("{}: not a door log: it does not begin with DOOR", input.name);
            return Err(Error::new(ErrorKind::BadData, text));
        }
        if header[4..] != [1, 0, 0, 0] {
            let text = format!("{}: version {} of the format; this plugin reads 1", input.name, header[4]);
            return Err(Error::new(ErrorKind::Unsupported, text));
        }
        Ok(input)
    }

    /// The next bytes, fewer only at the end.
    fn up_to(&mut self, wanted: u64) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let read = self.reader.by_ref().take(wanted).read_to_end(&mut bytes);
        self.offset += bytes.len() as u64;
        read.map_err(|error| Error::io(format!("{}: after byte {}", self.name, self.offset), error))?;
        Ok(bytes)
    }

    /// The next record and where its length stands; `None` at the end.
    fn record(&mut self) -> Result<Option<(u64, Vec<u8>)>> {
        let start = self.offset;
        let cut_short = |input: &Self| {
            let (name, end) = (&input.name, input.offset);
            let text =
                format!("{name}: the record at byte {start} is cut short: the file ends at byte {end}");
            Error::new(ErrorKind::BadData, text)
        };
        let length = self.up_to(2)?;
        if length.is_empty() {
            return Ok(None);
        }
        let Ok(length) = <[u8; 2]>::try_from(length) else { return Err(cut_short(self)) };
        let length = u16::from_le_bytes(length);
        let record = self.up_to(length.into())?;
        if record.len() < length.into() { Err(cut_short(self)) } else { Ok(Some((start, record))) }
    }
}

/// One use of a door.
struct Record<'a> {
    nanoseconds: i64,
    granted: bool,
    badge: &'a str,
    door: &'a str,
}

impl<'a> Record<'a> {
    /// Every length is checked before it is believed. The error says why the record cannot be used.
    fn parse(bytes: &'a [u8]) -> Result<Self, &'static str> {
        const SHORT: &str = "it is shorter than a record's fixed part";
        let (seconds, rest) = bytes.split_first_chunk::<8>().ok_or(SHORT)?;
        let [granted, badge_length, rest @ ..] = rest else { return Err(SHORT) };
        if rest.is_empty() {
            return Err(SHORT);
        }
        let seconds = i64::from_le_bytes(*seconds);
        let in_range = (-9_223_372_036..=9_223_372_036).contains(&seconds);
        let nanoseconds = in_range.then(|| seconds * 1_000_000_000).ok_or("its time is out of range")?;
        if *granted > 1 {
            return Err("it is neither granted nor denied");
        }
        let badge_length = usize::from(*badge_length);
        if badge_length >= rest.len() {
            return Err("its badge is longer than the record");
        }
        let (badge, rest) = rest.split_at(badge_length);
        if usize::from(rest[0]) != rest.len() - 1 {
            return Err("its door is not as long as the rest of the record");
        }
        let text = |bytes| std::str::from_utf8(bytes).map_err(|_| "a text is not UTF-8");
        Ok(Self { nanoseconds, granted: *granted == 1, badge: text(badge)?, door: text(&rest[1..])? })
    }
}

/// A batch in the making.
#[derive(Default)]
struct Columns {
    rows: usize,
    record_id: StringBuilder,
    origin: StringBuilder,
    time: TimestampNanosecondBuilder,
    badge: StringBuilder,
    door: StringBuilder,
    granted: BooleanBuilder,
}

impl Columns {
    fn add(&mut self, origin: &str, record: &Record<'_>) {
        self.rows += 1;
        self.record_id.append_null();
        self.origin.append_value(origin);
        self.time.append_value(record.nanoseconds);
        self.badge.append_value(record.badge);
        self.door.append_value(record.door);
        self.granted.append_value(record.granted);
    }

    fn finish(mut self) -> Result<RecordBatch> {
        let columns: Vec<ArrayRef> = vec![
            Arc::new(self.record_id.finish()),
            Arc::new(self.origin.finish()),
            Arc::new(self.time.finish().with_timezone("UTC")),
            Arc::new(self.badge.finish()),
            Arc::new(self.door.finish()),
            Arc::new(self.granted.finish()),
        ];
        Ok(RecordBatch::try_new(schema(), columns)?)
    }
}
