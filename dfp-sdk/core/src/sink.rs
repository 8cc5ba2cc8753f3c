//! Where batches end.

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

use crate::Result;

/// Takes batches out of the run: a file, a queue, a store.
pub trait Sink: Send {
    /// Learns the schema of what will be written.
    ///
    /// # Errors
    /// If a column it needs is missing or of another type.
    fn bind(&mut self, schema: SchemaRef) -> Result<()>;

    /// Accepts one batch; it need not be durable yet.
    ///
    /// # Errors
    /// If the batch was not accepted.
    fn write(&mut self, batch: &RecordBatch) -> Result<()>;

    /// Makes everything written so far durable.
    ///
    /// # Errors
    /// If anything written so far may be lost.
    fn flush(&mut self) -> Result<()>;

    /// Flushes and ends. Nothing may follow.
    ///
    /// # Errors
    /// As [`flush`](Self::flush).
    fn close(&mut self) -> Result<()>;
}
