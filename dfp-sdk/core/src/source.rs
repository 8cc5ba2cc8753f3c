//! Where records come from.

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

use crate::{Error, Result};

/// Column of every raw batch: the source's own id of the record (utf8; null if it has none).
pub const RECORD_ID: &str = "_record_id";
/// Column of every raw batch: file or topic, `:`, position (utf8, never null). A finding leads back through it.
pub const ORIGIN: &str = "_origin";
/// Column of every raw batch: when the event happened (timestamp, nanoseconds, UTC; never null).
///
/// The source resolves it, because only the source knows its log's time fields and its exporter's date order; the
/// fields themselves stay in the batch untouched.
pub const EVENT_TIME: &str = "_time";

/// Reads one kind of log and emits raw batches: flat columns with the log's own dotted names, values untouched, plus
/// [`RECORD_ID`], [`ORIGIN`] and [`EVENT_TIME`].
///
/// Records that cannot be used go to [`Host::reject`](crate::Host::reject); one bad record never ends the stream.
pub trait Source: Send {
    /// The schema of every batch. Known before anything is opened, and never changes.
    fn schema(&self) -> SchemaRef;

    /// Starts reading, from the beginning or from where an earlier [`position`](Self::position) stood.
    ///
    /// # Errors
    /// If the source is already open, or the token is not one of its own.
    fn open(&mut self, resume: Option<&[u8]>) -> Result<Box<dyn BatchStream>>;

    /// A token that resumes after the batches delivered so far; `None` if this source cannot resume.
    fn position(&self) -> Option<Vec<u8>> {
        None
    }
}

/// A stream of batches of one schema. A batch without rows is a heartbeat: the source is alive, but has nothing new.
///
/// After an error the stream is over.
pub trait BatchStream: Iterator<Item = Result<RecordBatch, Error>> + Send {
    /// The schema of every batch.
    fn schema(&self) -> SchemaRef;
}

/// Batches that are already in memory, as a stream.
#[derive(Debug)]
pub struct MemoryStream {
    schema: SchemaRef,
    batches: std::vec::IntoIter<RecordBatch>,
}

impl MemoryStream {
    /// A stream over `batches`, all of `schema`.
    pub fn new(schema: SchemaRef, batches: Vec<RecordBatch>) -> Self {
        Self { schema, batches: batches.into_iter() }
    }
}

impl Iterator for MemoryStream {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        self.batches.next().map(Ok)
    }
}

impl BatchStream for MemoryStream {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }
}
