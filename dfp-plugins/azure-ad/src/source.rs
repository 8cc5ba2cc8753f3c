//! The source: one input after the other, records into batches.

use std::io::Read;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dfp_plugin::arrow_array::RecordBatch;
use dfp_plugin::arrow_schema::SchemaRef;
use dfp_plugin::{
    BatchStream, Component, Error, ErrorKind, Host, Level, RECORDS_READ, Reject, Result, Source, reason,
};

use crate::columns::{self, Columns};
use crate::config::{Config, Unreadable};
use crate::envelope::{Found, Reader};
use crate::record::{Decoder, Plan, Unusable};
use crate::time::{DateOrder, Moment};

/// Counter of inputs that could not be read and were passed over.
pub const FILES_UNREADABLE: &str = "files_unreadable";
/// Counter of characters replaced because their bytes were no UTF-8, or half a surrogate pair.
pub const INVALID_UTF8: &str = "invalid_utf8";

const TARGET: &str = "azure-ad";
/// Without rows for so long, a batch without rows says that the source is alive.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// Records between two looks at the clock and at the host's wish to stop.
const LOOK_UP: u32 = 256;

/// Reads Azure AD (Entra ID) sign-in logs.
pub struct AzureAd {
    config: Arc<Config>,
    host: Arc<dyn Host>,
    schema: SchemaRef,
    opened: bool,
}

impl Component for AzureAd {
    const ID: &'static str = "azure-ad";
    const TITLE: &'static str = "Azure AD (Entra ID) sign-in logs";
    const CONFIG_SCHEMA: &'static str = include_str!("config.schema.json");
    const PROFILE: &'static str = include_str!("../profiles/azure-ad.toml");
    type Config = Config;

    fn create(config: Config, host: Arc<dyn Host>) -> Result<Self> {
        config.check()?;
        let schema = columns::schema(&Plan::new(&config.columns));
        Ok(Self { config: Arc::new(config), host, schema, opened: false })
    }
}

impl Source for AzureAd {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn open(&mut self, resume: Option<&[u8]>) -> Result<Box<dyn BatchStream>> {
        if resume.is_some() {
            return Err(Error::new(ErrorKind::Unsupported, "opening source azure-ad: it cannot resume"));
        }
        if std::mem::replace(&mut self.opened, true) {
            return Err(Error::new(ErrorKind::InvalidState, "opening source azure-ad: it is already open"));
        }
        let decoder = Decoder::new(Plan::new(&self.config.columns), self.config.max_depth);
        Ok(Box::new(Stream {
            columns: Columns::new(&decoder.plan),
            decoder,
            inputs: self.config.inputs.clone().into_iter(),
            reader: None,
            order: None,
            read: 0,
            schema: Arc::clone(&self.schema),
            config: Arc::clone(&self.config),
            host: Arc::clone(&self.host),
            over: false,
        }))
    }
}

struct Stream {
    config: Arc<Config>,
    host: Arc<dyn Host>,
    schema: SchemaRef,
    inputs: std::vec::IntoIter<String>,
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
                    return Err(Error::new(
                        ErrorKind::Cancelled,
                        "reading sign-in logs: cancelled on request",
                    ));
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
            let Some(uri) = self.inputs.next() else { return Ok(false) };
            self.order = None;
            match open(&self.host, &self.config, &uri) {
                Ok(reader) => self.reader = Some(reader),
                Err(error) => self.unreadable(error)?,
            }
            return Ok(true);
        };
        match reader.next(&mut self.decoder) {
            Ok(Some(Found::Record)) => {
                self.read += 1;
                self.record()?;
            }
            Ok(Some(Found::Reject(reject))) => {
                self.read += 1;
                self.host.reject(reject);
            }
            Ok(None) => self.reader = None,
            Err(error) => {
                self.reader = None;
                self.unreadable(error)?;
            }
        }
        Ok(true)
    }

    /// The record that the decoder has just taken apart becomes a row or a reject.
    fn record(&mut self) -> Result<()> {
        let Some(reader) = &self.reader else { return Ok(()) };
        let mut time = self.decoder.event_time(reader.record(), self.order);
        if time == Err(Unusable::OrderUnknown) {
            let order = date_order(&self.host, &self.config, reader.origin().0)?;
            self.order = Some(order);
            time = self.decoder.event_time(reader.record(), self.order);
        }
        let (reason, detail) = match time {
            Ok(time) => {
                self.columns.push(&self.decoder, reader.record(), time, reader.origin());
                return Ok(());
            }
            Err(Unusable::OtherCategory) => (reason::OTHER_CATEGORY, "not a sign-in log"),
            Err(Unusable::OutOfRange) => (reason::TIME_OUT_OF_RANGE, "before 1677-09-21 or after 2262-04-11"),
            Err(Unusable::NoTime | Unusable::OrderUnknown) => {
                (reason::NO_TIME, "neither createdDateTime nor time can be read as a time")
            }
        };
        let (uri, line, column) = reader.origin();
        let reject = Reject::new(format!("{uri}:{line}:{column}"), reason, detail);
        self.host.reject(reject.with_excerpt(reader.record()));
        Ok(())
    }

    /// An input that cannot be read ends the run, or is passed over, as configured.
    fn unreadable(&self, error: Error) -> Result<()> {
        if self.host.is_cancelled() {
            return Err(cancelled());
        }
        if self.config.unreadable == Unreadable::Fail {
            return Err(error);
        }
        self.host.log(Level::Warn, TARGET, &format!("skipped: {error}"));
        self.host.count(FILES_UNREADABLE, 1);
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
        self.over = !matches!(batch, Ok(Some(_)));
        batch.transpose()
    }
}

impl BatchStream for Stream {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
}

fn cancelled() -> Error {
    Error::new(ErrorKind::Cancelled, "reading sign-in logs: cancelled on request")
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
    Ok(Reader::new(uri, Box::new(input), config.max_record_bytes, config.max_depth))
}

/// Whether an input's slash dates have the day first: they do if any first number exceeds 12.
///
/// Nothing less than the whole input can tell, and it may be too large to hold: it is read once more, for the dates
/// alone, when the first such date is met. One that cannot be opened twice counts as month first, with a warning; so
/// does one that breaks off, unless what was read of it shows otherwise.
fn date_order(host: &Arc<dyn Host>, config: &Config, uri: &str) -> Result<DateOrder> {
    let mut decoder = Decoder::new(Plan::new(&[]), config.max_depth);
    let mut reader = match open(host, config, uri) {
        Ok(reader) => reader,
        Err(error) => {
            let message = format!("dates are taken as month first, because a second look failed: {error}");
            host.log(Level::Warn, TARGET, &message);
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
            Err(_) if host.is_cancelled() => return Err(cancelled()),
            // The first reading will meet the same fault, and report it.
            Ok(None) | Err(_) => return Ok(DateOrder::MonthFirst),
        }
    }
}
