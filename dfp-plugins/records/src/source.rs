//! The source: one input after the other, records into batches.

use std::io::Read;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use dfp_plugin::arrow_array::RecordBatch;
use dfp_plugin::arrow_schema::SchemaRef;
use dfp_plugin::serde_json;
use dfp_plugin::{
    BatchStream, Component, Error, ErrorKind, Host, Level, RECORDS_READ, Reject, Result, Source, reason,
};
use serde::{Deserialize, Serialize};

use crate::columns::{self, Columns};
use crate::config::{Config, Unreadable};
use crate::encoding::Utf8;
use crate::envelope::{Found, Reader};
use crate::log::{Described, Log};
use crate::missing::Missing;
use crate::record::{Decoder, Plan, Unusable};
use crate::time::{DateOrder, Moment};

/// Counter of inputs that could not be read and were passed over.
pub const FILES_UNREADABLE: &str = "files_unreadable";
/// Counter of characters replaced because their bytes were no UTF-8, or half a surrogate pair.
pub const INVALID_UTF8: &str = "invalid_utf8";

/// Without rows for so long, a batch without rows says that the source is alive.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// Records between two looks at the clock and at the host's wish to stop.
const LOOK_UP: u32 = 256;

/// Reads the log that `D` describes.
pub struct LogSource<D> {
    config: Arc<Config>,
    host: Arc<dyn Host>,
    schema: SchemaRef,
    opened: bool,
    position: Arc<Mutex<Position>>,
    described: PhantomData<D>,
}

/// Where a source stands: behind so many records, rejected ones included, of one of its inputs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Position {
    /// Index among the inputs; their number at the end.
    input: usize,
    /// The input itself, so that another list of inputs is noticed; empty at the end.
    name: String,
    records: u64,
}

impl Position {
    fn start_of(inputs: &[String], input: usize) -> Self {
        Self { input, name: inputs.get(input).cloned().unwrap_or_default(), records: 0 }
    }
}

impl<D: Described> Component for LogSource<D> {
    const ID: &'static str = D::LOG.id;
    const TITLE: &'static str = D::LOG.title;
    const CONFIG_SCHEMA: &'static str = include_str!("config.schema.json");
    const PROFILE: &'static str = D::LOG.profile;
    type Config = Config;

    fn create(mut config: Config, host: Arc<dyn Host>) -> Result<Self> {
        config.check(D::LOG.id)?;
        let columns = config.columns.get_or_insert_with(|| D::LOG.default_columns());
        columns.retain(|name| !columns::STANDARD.contains(&name.as_str()));
        let schema = columns::schema(&Plan::new(D::LOG, columns));
        let position = Arc::new(Mutex::new(Position::start_of(&config.inputs, 0)));
        Ok(Self { config: Arc::new(config), host, schema, opened: false, position, described: PhantomData })
    }
}

impl<D: Described> Source for LogSource<D> {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn open(&mut self, resume: Option<&[u8]>) -> Result<Box<dyn BatchStream>> {
        let refused = |kind, what: &str| Error::new(kind, format!("opening source {}: {what}", D::LOG.id));
        if self.opened {
            return Err(refused(ErrorKind::InvalidState, "it is already open"));
        }
        let inputs = &self.config.inputs;
        let start = match resume {
            None => Position::start_of(inputs, 0),
            Some(token) => serde_json::from_slice::<Position>(token)
                .ok()
                .filter(|at| at.input <= inputs.len() && at.name == Position::start_of(inputs, at.input).name)
                .ok_or_else(|| {
                    refused(ErrorKind::InvalidArgument, "the position is not one of these inputs")
                })?,
        };
        self.opened = true;
        let columns = self.config.columns.as_deref().unwrap_or_default();
        let missing = Missing::new(&self.config.missing);
        let decoder = Decoder::new(Plan::new(D::LOG, columns), self.config.max_depth, missing);
        Ok(Box::new(Stream {
            log: D::LOG,
            columns: Columns::new(&decoder.plan),
            decoder,
            skip: start.records,
            at: Position { records: 0, ..start },
            position: Arc::clone(&self.position),
            reader: None,
            order: None,
            read: 0,
            schema: Arc::clone(&self.schema),
            config: Arc::clone(&self.config),
            host: Arc::clone(&self.host),
            over: false,
        }))
    }

    fn position(&self) -> Option<Vec<u8>> {
        let position = self.position.lock().unwrap_or_else(PoisonError::into_inner);
        serde_json::to_vec(&*position).ok()
    }
}

struct Stream {
    log: &'static Log,
    config: Arc<Config>,
    host: Arc<dyn Host>,
    schema: SchemaRef,
    /// Where the stream stands, and where it stood when the last batch was delivered.
    at: Position,
    position: Arc<Mutex<Position>>,
    /// Records to pass of the first input, because an earlier run delivered them.
    skip: u64,
    reader: Option<Reader>,
    /// Order of the current input's slash dates, once one was met.
    order: Option<DateOrder>,
    decoder: Decoder,
    columns: Columns,
    /// Records found and not yet counted.
    read: u64,
    over: bool,
}

impl Stream {
    /// Decodes until a batch is full; an empty one is a heartbeat, `None` the end.
    fn batch(&mut self) -> Result<Option<RecordBatch>> {
        let started = Instant::now();
        let mut steps = 0_u32;
        while self.columns.rows() < self.config.batch_rows && !self.columns.heavy() {
            if steps.is_multiple_of(LOOK_UP) {
                if self.host.is_cancelled() {
                    return Err(cancelled(self.log));
                }
                if self.columns.rows() == 0 && started.elapsed() >= HEARTBEAT {
                    break;
                }
            }
            steps = steps.wrapping_add(1);
            if !self.step()? {
                if self.columns.rows() == 0 {
                    return Ok(None);
                }
                break;
            }
        }
        self.columns.finish().map(Some)
    }

    /// One record, or the next input; false when there is none.
    fn step(&mut self) -> Result<bool> {
        let Some(reader) = &mut self.reader else {
            let Some(uri) = self.config.inputs.get(self.at.input) else { return Ok(false) };
            self.order = None;
            match open(&self.host, &self.config, uri) {
                Ok(reader) => self.reader = Some(reader),
                Err(error) => self.unreadable(error)?,
            }
            return Ok(true);
        };
        let found = reader.next(&mut self.decoder);
        self.at.records += u64::from(matches!(found, Ok(Some(_))));
        let passed = self.at.records <= self.skip;
        match found {
            Ok(Some(_)) if passed => {}
            Ok(Some(Found::Record)) => {
                self.read += 1;
                self.record()?;
            }
            Ok(Some(Found::Reject(reject))) => {
                self.read += 1;
                self.host.reject(reject);
            }
            Ok(None) => self.next_input(),
            Err(error) => self.unreadable(error)?,
        }
        Ok(true)
    }

    fn next_input(&mut self) {
        self.reader = None;
        self.skip = 0;
        self.at = Position::start_of(&self.config.inputs, self.at.input + 1);
    }

    /// The record that the decoder has just taken apart becomes a row or a reject.
    fn record(&mut self) -> Result<()> {
        let Some(reader) = &self.reader else { return Ok(()) };
        let mut time = self.decoder.event_time(reader.record(), self.order);
        if time == Err(Unusable::OrderUnknown) {
            let order = date_order(self.log, &self.host, &self.config, reader.origin().0)?;
            self.order = Some(order);
            time = self.decoder.event_time(reader.record(), self.order);
        }
        let (reason, detail) = match time {
            Ok(time) => {
                self.columns.push(&self.decoder, reader.record(), time, reader.origin());
                return Ok(());
            }
            Err(Unusable::OtherCategory) => (reason::OTHER_CATEGORY, self.log.other.to_owned()),
            Err(Unusable::OutOfRange) => {
                (reason::TIME_OUT_OF_RANGE, "before 1677-09-21 or after 2262-04-11".to_owned())
            }
            Err(Unusable::NoTime | Unusable::OrderUnknown) => {
                (reason::NO_TIME, format!("no time can be read from {}", self.log.times.join(" or ")))
            }
        };
        let (uri, line, column) = reader.origin();
        let reject = Reject::new(format!("{uri}:{line}:{column}"), reason, detail);
        self.host.reject(reject.with_excerpt(reader.record()));
        Ok(())
    }

    /// An input that cannot be read ends the run, or is passed over, as configured.
    fn unreadable(&mut self, error: Error) -> Result<()> {
        if self.host.is_cancelled() {
            return Err(cancelled(self.log));
        }
        if self.config.unreadable == Unreadable::Fail {
            return Err(error);
        }
        self.host.log(Level::Warn, self.log.id, &format!("skipped: {error}"));
        self.host.count(FILES_UNREADABLE, 1);
        self.next_input();
        Ok(())
    }

    /// Reports what was counted since the last time.
    fn count(&mut self) {
        let replaced =
            std::mem::take(&mut self.columns.replaced) + std::mem::take(&mut self.decoder.replaced);
        for (counter, n) in [(RECORDS_READ, std::mem::take(&mut self.read)), (INVALID_UTF8, replaced)] {
            if n > 0 {
                self.host.count(counter, n);
            }
        }
    }
}

impl Iterator for Stream {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        let batch = self.batch();
        self.count();
        if batch.is_ok() {
            let mut position = self.position.lock().unwrap_or_else(PoisonError::into_inner);
            position.clone_from(&self.at);
            position.records = position.records.max(self.skip);
        }
        self.over = !matches!(batch, Ok(Some(_)));
        batch.transpose()
    }
}

impl BatchStream for Stream {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
}

fn cancelled(log: &Log) -> Error {
    Error::new(ErrorKind::Cancelled, format!("reading {}: cancelled on request", log.id))
}

/// An input that ends with an error once the host wants to stop, however long the record being read.
struct Interruptible {
    input: Box<dyn Read + Send>,
    host: Arc<dyn Host>,
}

impl Read for Interruptible {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.host.is_cancelled() {
            return Err(std::io::Error::other("cancelled on request"));
        }
        self.input.read(buffer)
    }
}

fn open(host: &Arc<dyn Host>, config: &Config, uri: &str) -> Result<Reader> {
    let input = Interruptible { input: host.open(uri)?, host: Arc::clone(host) };
    Ok(Reader::new(uri, Box::new(Utf8::new(input)), config.max_record_bytes, config.max_depth))
}

/// Whether an input's slash dates have the day first: they do if any first number exceeds 12.
///
/// Nothing less than the whole input can tell, and it may be too large to hold: it is read once more, for the dates
/// alone, when the first such date is met. One that cannot be opened twice counts as month first, with a warning; so
/// does one that breaks off, unless what was read of it shows otherwise.
fn date_order(log: &'static Log, host: &Arc<dyn Host>, config: &Config, uri: &str) -> Result<DateOrder> {
    let missing = Missing::new(&config.missing);
    let mut decoder = Decoder::new(Plan::new(log, &[]), config.max_depth, missing);
    let mut reader = match open(host, config, uri) {
        Ok(reader) => reader,
        Err(error) => {
            let message = format!("dates are taken as month first, because a second look failed: {error}");
            host.log(Level::Warn, log.id, &message);
            return Ok(DateOrder::MonthFirst);
        }
    };
    loop {
        match reader.next(&mut decoder) {
            Ok(Some(Found::Record)) => {
                let day_first = |moment| matches!(moment, Moment::Slash(date) if date.first > 12);
                if decoder.moments(reader.record()).any(day_first) {
                    return Ok(DateOrder::DayFirst);
                }
            }
            Ok(Some(Found::Reject(_))) => {}
            Err(_) if host.is_cancelled() => return Err(cancelled(log)),
            // The first reading will meet the same fault, and report it.
            Ok(None) | Err(_) => return Ok(DateOrder::MonthFirst),
        }
    }
}
