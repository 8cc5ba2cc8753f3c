//! Each record once, though logs are delivered more than once.
//!
//! Two rows are one record if they have the same `_record_id` and everything else that was read of them is the same too,
//! where they were read from apart. The id alone does not do: some sources give one id to different records, and those
//! are all kept. Rows without id are told apart by everything else, their time first.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, BooleanArray, RecordBatch};
use arrow_schema::SchemaRef;
use arrow_select::filter::filter_record_batch;
use dfp_core::{Host, ORIGIN, Reject, Stage, reason};
use foldhash::fast::RandomState;

use crate::hash::row_hashes;
use crate::{Error, Result, input};

/// The numbers seen lately: at least the last `window` different ones.
///
/// ```
/// let mut seen = dfp_prep::Seen::last(1000);
/// assert!(seen.is_new(7));
/// assert!(!seen.is_new(7));
/// ```
#[derive(Debug, Clone)]
pub struct Seen {
    window: usize,
    newest: HashSet<u64, RandomState>,
    before: HashSet<u64, RandomState>,
}

impl Seen {
    /// How many numbers back a run looks for repeats.
    pub const WINDOW: usize = 1_000_000;

    /// Remembers at least the last `window` different numbers.
    pub fn last(window: usize) -> Self {
        Self { window, newest: HashSet::default(), before: HashSet::default() }
    }

    /// Notes a number; whether it was not seen lately.
    pub fn is_new(&mut self, number: u64) -> bool {
        !self.before.contains(&number) && self.newest.insert(number)
    }

    /// Bounds what is remembered. Called after each batch of a stream it keeps fewer than two windows and a batch, at about
    /// 20 bytes a number.
    pub fn forget_oldest(&mut self) {
        if self.newest.len() >= self.window {
            self.before = std::mem::take(&mut self.newest);
        }
    }
}

/// Rejects rows that came before, among at least the last [`Seen::WINDOW`] different ones, as [`reason::DUPLICATE`].
///
/// Memory is about 40 MB at most, however long the input.
pub struct Deduplicate {
    seen: Seen,
    host: Arc<dyn Host>,
    ready: VecDeque<RecordBatch>,
}

impl Deduplicate {
    /// A stage that has seen nothing yet.
    pub fn new(host: Arc<dyn Host>) -> Self {
        Self { seen: Seen::last(Seen::WINDOW), host, ready: VecDeque::new() }
    }

    fn first_times(&mut self, batch: &RecordBatch) -> Result<RecordBatch> {
        let hashes = row_hashes(batch)?;
        let keep: BooleanArray = hashes.values().iter().map(|&hash| Some(self.seen.is_new(hash))).collect();
        self.seen.forget_oldest();
        if keep.true_count() == keep.len() {
            return Ok(batch.clone());
        }
        let origins = batch.column_by_name(ORIGIN).and_then(|column| column.as_string_opt::<i32>());
        for row in (0..keep.len()).filter(|&row| !keep.value(row)) {
            let origin =
                origins.filter(|origins| origins.is_valid(row)).map_or("", |origins| origins.value(row));
            self.host.reject(Reject::new(origin, reason::DUPLICATE, "the same record came before"));
        }
        Ok(filter_record_batch(batch, &keep)?)
    }
}

impl Stage for Deduplicate {
    fn bind(&mut self, input: SchemaRef) -> dfp_core::Result<SchemaRef> {
        // Said before anything is read.
        if let Some(field) = input.fields().iter().find(|field| !input::readable(field.data_type())) {
            let problem = format!("is {}, by which repeated records cannot be told", field.data_type());
            return Err(Error::column(field.name(), problem).into());
        }
        Ok(input)
    }

    fn push(&mut self, batch: RecordBatch) -> dfp_core::Result<()> {
        let kept = self.first_times(&batch)?;
        if kept.num_rows() > 0 {
            self.ready.push_back(kept);
        }
        Ok(())
    }

    fn pull(&mut self) -> dfp_core::Result<Option<RecordBatch>> {
        Ok(self.ready.pop_front())
    }

    fn finish(&mut self) -> dfp_core::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::{ArrayRef, ListArray, StringArray};
    use dfp_core::RECORD_ID;

    use super::*;
    use crate::testing::{Rejects, raw, texts};

    /// The raw batch with these ids in place of its own.
    fn with_ids(batch: &RecordBatch, ids: &[Option<&str>]) -> RecordBatch {
        let mut columns = batch.columns().to_vec();
        columns[batch.schema().index_of(RECORD_ID).unwrap()] = Arc::new(StringArray::from(ids.to_vec()));
        RecordBatch::try_new(batch.schema(), columns).unwrap()
    }

    #[test]
    fn a_repeat_is_rejected_across_batches_and_a_reused_id_is_not() {
        let a = [Some("x"), Some("x"), Some("y"), Some("x"), Some("x"), Some("x")];
        let ids = [Some("1"), Some("1"), Some("1"), Some("2"), None, None];
        // The fifth and the sixth have no id, and times of their own.
        let batch = with_ids(&raw(&[5, 5, 5, 5, 5, 6], &[("a", &a)]), &ids);
        let rejects = Arc::new(Rejects::default());
        let mut stage = Deduplicate::new(rejects.clone());
        assert_eq!(stage.bind(batch.schema()).unwrap(), batch.schema());
        stage.push(batch.clone()).unwrap();
        let first = stage.pull().unwrap().unwrap();
        assert_eq!(texts(&first, ORIGIN), ["f:0", "f:2", "f:3", "f:4", "f:5"].map(|o| Some(o.to_owned())));
        stage.push(batch).unwrap();
        assert!(stage.pull().unwrap().is_none());
        let rejects = rejects.rejects.lock().unwrap();
        assert_eq!(rejects.len(), 7);
        assert!(rejects.iter().all(|reject| reject.reason == reason::DUPLICATE));
        assert_eq!(rejects[0].origin, "f:1");
    }

    #[test]
    fn what_is_remembered_is_bounded_and_reaches_back_at_least_the_window() {
        let mut seen = Seen::last(100);
        for number in 0..10_000_u64 {
            assert!(seen.is_new(number));
            seen.forget_oldest();
            assert!(seen.newest.len() + seen.before.len() <= 200);
            let oldest = number.saturating_sub(99);
            assert!(!seen.is_new(oldest), "{oldest} after {number}");
        }
        assert!(seen.is_new(0), "long ago");
    }

    #[test]
    fn columns_that_cannot_be_compared_are_refused_at_once() {
        let lists: ArrayRef = Arc::new(ListArray::new_null(
            Arc::new(arrow_schema::Field::new("item", arrow_schema::DataType::Utf8, true)),
            1,
        ));
        let batch = RecordBatch::try_from_iter([("tags", lists)]).unwrap();
        let error = Deduplicate::new(Arc::new(Rejects::default())).bind(batch.schema()).unwrap_err();
        assert!(error.to_string().contains("tags"), "{error}");
    }
}
