//! What happens to batches on their way.

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

use crate::Result;

/// Turns batches into other batches, any number out for one in.
///
/// Calls come in this order: `bind` once; then `push` and `pull` until `pull` is empty, again and again; then `finish`
/// and `pull` until it is empty. Back-pressure is the caller not pulling: a stage holds at most what it was pushed.
pub trait Stage: Send {
    /// Learns the schema of what will be pushed and says what will be pulled.
    ///
    /// # Errors
    /// If a column it needs is missing or of another type.
    fn bind(&mut self, input: SchemaRef) -> Result<SchemaRef>;

    /// Takes one batch.
    ///
    /// # Errors
    /// If the batch cannot be processed at all; single bad rows are rejected, not errors.
    fn push(&mut self, batch: RecordBatch) -> Result<()>;

    /// The next finished batch, or `None` until more is pushed.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    fn pull(&mut self) -> Result<Option<RecordBatch>>;

    /// No more input comes; what is held back becomes ready to pull.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    fn finish(&mut self) -> Result<()>;
}
