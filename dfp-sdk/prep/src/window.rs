//! Which of an entity's rows a model learns from, and when (spec/dfp.md section 8), without that section's losses: rows of
//! equal time are told apart by content (Q18), and late rows go into their place. Whoever holds the rows drops those that
//! it holds already: same time, same [hash](row_hashes).

use arrow_array::{RecordBatch, UInt64Array};
use arrow_select::take::take_record_batch;

use crate::Result;
use crate::derive::times;
pub use crate::hash::row_hashes;
use crate::profile::{History, MaxHistory};

impl History {
    /// Whether an entity with this many rows, so many of them new since its last training, is due for a new model.
    pub fn is_due(&self, rows: u64, new_rows: u64) -> bool {
        rows >= self.min_history && new_rows >= self.min_increment
    }

    /// How far back the history behind a row of this time reaches; `None` if no time says, but a number of rows or nothing
    /// at all. Take the whole of
    /// the day it falls on, or the counters of that day are cut short.
    pub fn earliest(&self, time: i64) -> Option<i64> {
        match self.max_history {
            MaxHistory::Span(span) => Some(time.saturating_sub(span.nanoseconds())),
            MaxHistory::All | MaxHistory::Rows(_) => None,
        }
    }

    /// The rows to learn from, out of those [far enough back](Self::earliest), oldest first.
    #[must_use]
    pub fn newest(&self, rows: &RecordBatch) -> RecordBatch {
        let surplus = match self.max_history {
            MaxHistory::Rows(most) => {
                rows.num_rows().saturating_sub(usize::try_from(most).unwrap_or(usize::MAX))
            }
            MaxHistory::All | MaxHistory::Span(_) => 0,
        };
        rows.slice(surplus, rows.num_rows() - surplus)
    }
}

/// The rows oldest first; rows of equal time keep their order.
///
/// # Errors
/// [`Error::Column`](crate::Error::Column) if the batch has no column `_time` or it has nulls.
pub fn sort_by_time(batch: &RecordBatch) -> Result<RecordBatch> {
    let times = times(batch)?;
    if times.is_sorted() {
        return Ok(batch.clone());
    }
    let mut order: Vec<u64> = (0..times.len() as u64).collect();
    order.sort_by_key(|&row| times[row as usize]);
    Ok(take_record_batch(batch, &UInt64Array::from(order))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Span;
    use crate::testing::{raw, texts};
    use dfp_core::RECORD_ID;

    fn ids(batch: &RecordBatch) -> Vec<String> {
        texts(batch, RECORD_ID).into_iter().flatten().collect()
    }

    #[test]
    fn sorting_is_stable() {
        let batch = raw(&[5, 1, 5, 1], &[]);
        assert_eq!(ids(&sort_by_time(&batch).unwrap()), ["r1", "r3", "r0", "r2"]);
    }

    #[test]
    fn a_window_is_the_newest_rows_however_few_or_many_there_are() {
        let batch = raw(&[1, 2, 3], &[]);
        for (most, kept) in [(1, vec!["r2"]), (2, vec!["r1", "r2"]), (u64::MAX, vec!["r0", "r1", "r2"])] {
            let history = History { max_history: MaxHistory::Rows(most), ..History::default() };
            assert_eq!(ids(&history.newest(&batch)), kept);
            assert_eq!(history.earliest(0), None);
        }
    }

    #[test]
    fn a_span_reaches_back_from_any_time() {
        let history = History { max_history: MaxHistory::Span(Span::days(1)), ..History::default() };
        assert_eq!(history.earliest(0), Some(-86_400_000_000_000));
        assert_eq!(history.earliest(i64::MIN), Some(i64::MIN));
        assert_eq!(history.newest(&raw(&[1, 2], &[])).num_rows(), 2);
    }
}
