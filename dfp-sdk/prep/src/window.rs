//! Which of an entity's rows a model learns from or is scored behind (spec/dfp.md section 8), without that section's
//! losses: rows of equal time are told apart by content (Q18), state changes only when a push succeeds (Q19), new rows
//! are told from repeated history (Q20), and late rows go into their place.

use std::collections::HashMap;
use std::ops::Range;

use arrow_array::{BooleanArray, RecordBatch, UInt64Array};
use arrow_select::concat::concat_batches;
use arrow_select::filter::filter_record_batch;
use arrow_select::take::{take, take_record_batch};
use foldhash::fast::RandomState;

use crate::derive::{same_columns, times};
pub use crate::hash::row_hashes;
use crate::profile::{History, MaxHistory};
use crate::{Error, Result};

/// The rows oldest first; rows of equal time keep their order.
///
/// # Errors
/// [`Error::Column`] if the batch has no column `_time` or it has nulls.
pub fn sort_by_time(batch: &RecordBatch) -> Result<RecordBatch> {
    Ok(match time_order(times(batch)?) {
        Some(order) => take_record_batch(batch, &order)?,
        None => batch.clone(),
    })
}

/// The stable order that sorts the times; `None` if they are sorted.
fn time_order(times: &[i64]) -> Option<UInt64Array> {
    if times.is_sorted() {
        return None;
    }
    let mut order: Vec<u64> = (0..times.len() as u64).collect();
    order.sort_by_key(|&row| times[row as usize]);
    Some(order.into())
}

/// The rows to learn from, out of all rows an entity has; `None` if there are too few, or too few new ones.
///
/// `times` are oldest first, `new` says which rows no model has learned from yet. Rows go back as far as
/// `history.max_history` says, but never leave out a new one: a window of rows reaches back to the first new row, and a
/// span too.
pub fn training_rows(history: &History, times: &[i64], new: &[bool]) -> Option<Range<usize>> {
    let new_rows = new.iter().filter(|new| **new).count() as u64;
    if (times.len() as u64) < history.min_history || new_rows < history.min_increment {
        return None;
    }
    let newest = *times.last()?;
    let start = match history.max_history {
        MaxHistory::All => 0,
        MaxHistory::Rows(rows) => times.len().saturating_sub(usize::try_from(rows).unwrap_or(usize::MAX)),
        MaxHistory::Span(span) => {
            times.partition_point(|&time| newest.saturating_sub(time) > span.nanoseconds())
        }
    };
    let first_new = new.iter().position(|new| *new).unwrap_or(times.len());
    Some(start.min(first_new)..times.len())
}

/// Rows to learn from or to score.
#[derive(Debug, Clone, PartialEq)]
pub struct Window {
    /// History and new rows, oldest first.
    pub rows: RecordBatch,
    /// Which rows came since the last window.
    pub new: BooleanArray,
}

impl Window {
    /// Only the rows that came since the last window: those to report on. Derive columns from [`rows`](Self::rows)
    /// first; their values depend on the history.
    ///
    /// # Errors
    /// If `derived` has another number of rows than the window.
    pub fn new_rows(&self, derived: &RecordBatch) -> Result<RecordBatch> {
        Ok(filter_record_batch(derived, &self.new)?)
    }
}

/// What became of a push.
#[derive(Debug, Clone, PartialEq)]
pub struct Pushed {
    /// Rows held already: same time, same content.
    pub repeats: usize,
    /// Rows older than a history that has been cut, left out.
    pub too_old: usize,
    /// The window, once there is enough.
    pub window: Option<Window>,
}

/// One entity's rolling history in memory. A store that holds the rows uses [`training_rows`] instead.
///
/// A row is a repeat if a row of the same time and [hash](row_hashes) is held that no other row of the same push
/// matched: sending a file twice adds nothing, and two equal rows of one file are two rows.
#[derive(Debug, Clone)]
pub struct RollingWindow {
    history: History,
    held: Option<Held>,
    /// Rows before this were cut off; later arrivals from then are too old.
    cut: i64,
}

/// Rows oldest first, with their hashes, and which came since the last window.
#[derive(Debug, Clone)]
struct Held {
    rows: RecordBatch,
    hashes: UInt64Array,
    new: BooleanArray,
}

impl Held {
    fn filter(&self, keep: &BooleanArray) -> Result<Self> {
        let select = |array| arrow_select::filter::filter(array, keep);
        Ok(Self {
            rows: filter_record_batch(&self.rows, keep)?,
            hashes: select(&self.hashes)?.to_data().into(),
            new: select(&self.new)?.to_data().into(),
        })
    }

    fn slice(&self, range: &Range<usize>) -> Self {
        let (start, rows) = (range.start, range.len());
        Self {
            rows: self.rows.slice(start, rows),
            hashes: self.hashes.slice(start, rows),
            new: self.new.slice(start, rows),
        }
    }

    /// Both, oldest first; of equal times, `self`'s rows first.
    fn merged(&self, later: &Self) -> Result<Self> {
        if !same_columns(&later.rows.schema(), &self.rows.schema()) {
            return Err(Error::column("*", "the batch has other columns than those held"));
        }
        let rows = concat_batches(&self.rows.schema(), [&self.rows, &later.rows])?;
        let hashes = self.hashes.values().iter().chain(later.hashes.values());
        let merged = Self {
            hashes: UInt64Array::from_iter_values(hashes.copied()),
            new: self.new.iter().chain(&later.new).collect(),
            rows,
        };
        let Some(order) = time_order(times(&merged.rows)?) else { return Ok(merged) };
        Ok(Self {
            rows: take_record_batch(&merged.rows, &order)?,
            hashes: take(&merged.hashes, &order, None)?.to_data().into(),
            new: take(&merged.new, &order, None)?.to_data().into(),
        })
    }
}

impl RollingWindow {
    /// An empty history with these rules.
    pub fn new(history: History) -> Self {
        Self { history, held: None, cut: i64::MIN }
    }

    /// Rows held.
    pub fn len(&self) -> usize {
        self.held.as_ref().map_or(0, |held| held.rows.num_rows())
    }

    /// Whether nothing is held.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes rows of the entity, in any order, and gives the window if that makes enough. A window replaces what is
    /// held, and its rows are new no longer. Nothing new, no window, whatever `min_increment` says.
    ///
    /// # Errors
    /// If the batch has no times or other columns than before; nothing has changed then.
    pub fn push(&mut self, batch: &RecordBatch) -> Result<Pushed> {
        let rows = sort_by_time(batch)?;
        let arrived =
            Held { hashes: row_hashes(&rows)?, new: BooleanArray::from(vec![true; rows.num_rows()]), rows };
        let mut copies = self.copies()?;
        let (mut repeats, mut too_old) = (0, 0);
        let mut is_fresh = |row: usize, time: i64| {
            let old = time < self.cut;
            let copy = copies.get_mut(&(time, arrived.hashes.value(row))).filter(|copies| **copies > 0);
            let repeat = copy.map(|copies| *copies -= 1).is_some();
            repeats += usize::from(repeat);
            too_old += usize::from(old && !repeat);
            Some(!old && !repeat)
        };
        let arrival_times = times(&arrived.rows)?;
        let fresh: BooleanArray =
            arrival_times.iter().enumerate().map(|(row, &time)| is_fresh(row, time)).collect();
        let fresh = arrived.filter(&fresh)?;
        let any_fresh = fresh.rows.num_rows() > 0;
        let held = match &self.held {
            Some(held) => held.merged(&fresh)?,
            None => fresh,
        };
        let new: Vec<bool> = held.new.values().iter().collect();
        let range = training_rows(&self.history, times(&held.rows)?, &new).filter(|_| any_fresh);
        let Some(range) = range else {
            self.held = Some(held);
            return Ok(Pushed { repeats, too_old, window: None });
        };
        let kept = held.slice(&range);
        if range.start > 0 {
            self.cut = times(&kept.rows)?[0];
        }
        let window = Window { rows: kept.rows.clone(), new: kept.new.clone() };
        self.held = Some(Held { new: BooleanArray::from(vec![false; range.len()]), ..kept });
        Ok(Pushed { repeats, too_old, window: Some(window) })
    }

    /// How often each time and content is held.
    fn copies(&self) -> Result<HashMap<(i64, u64), usize, RandomState>> {
        let mut copies = HashMap::default();
        if let Some(held) = &self.held {
            for key in times(&held.rows)?.iter().copied().zip(held.hashes.values().iter().copied()) {
                *copies.entry(key).or_default() += 1;
            }
        }
        Ok(copies)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{raw, texts};
    use dfp_core::RECORD_ID;
    use proptest::prelude::*;

    fn history(min_history: u64, min_increment: u64, max_history: MaxHistory) -> History {
        History { min_history, min_increment, max_history }
    }

    /// Rows of one-second times, told apart by their time and value only.
    fn rows(rows: &[(i64, &str)]) -> RecordBatch {
        let times: Vec<_> = rows.iter().map(|row| row.0 * 1_000_000_000).collect();
        let values: Vec<_> = rows.iter().map(|row| Some(row.1)).collect();
        raw(&times, &[("v", &values)]).project(&[1, 2, 3]).unwrap()
    }

    fn values(batch: &RecordBatch) -> String {
        texts(batch, "v").into_iter().flatten().collect()
    }

    #[test]
    fn sorting_is_stable() {
        let batch = raw(&[5, 1, 5, 1], &[]);
        let ids: Vec<_> = texts(&sort_by_time(&batch).unwrap(), RECORD_ID).into_iter().flatten().collect();
        assert_eq!(ids, ["r1", "r3", "r0", "r2"]);
    }

    #[test]
    fn late_rows_go_into_their_place_and_repeats_are_dropped() {
        let mut window = RollingWindow::new(history(1, 1, MaxHistory::All));
        let first = window.push(&rows(&[(10, "c"), (30, "e"), (30, "e")])).unwrap();
        assert_eq!(values(&first.window.unwrap().rows), "cee");
        let second = window.push(&rows(&[(20, "d"), (30, "e"), (5, "b"), (30, "f")])).unwrap();
        assert_eq!((second.repeats, second.too_old), (1, 0));
        let second = second.window.unwrap();
        assert_eq!(values(&second.rows), "bcdeef");
        assert_eq!(values(&second.new_rows(&second.rows).unwrap()), "bdf");
        let again = window.push(&rows(&[(20, "d"), (30, "e"), (5, "b"), (30, "f")])).unwrap();
        assert_eq!((again.repeats, again.window), (4, None));
        assert_eq!(window.len(), 6);
    }

    #[test]
    fn what_was_cut_does_not_come_back() {
        let mut window = RollingWindow::new(history(1, 1, MaxHistory::Rows(2)));
        window.push(&rows(&[(1, "a"), (2, "b")])).unwrap();
        let pushed = window.push(&rows(&[(3, "c"), (4, "d")])).unwrap();
        assert_eq!(values(&pushed.window.unwrap().rows), "cd");
        let pushed = window.push(&rows(&[(1, "a"), (2, "x")])).unwrap();
        assert_eq!((pushed.too_old, pushed.window), (2, None));
    }

    #[test]
    fn a_failed_push_changes_nothing() {
        let mut window = RollingWindow::new(history(1, 1, MaxHistory::All));
        window.push(&rows(&[(1, "a")])).unwrap();
        assert!(window.push(&rows(&[(2, "b")]).project(&[0, 1]).unwrap()).is_err());
        assert!(window.push(&rows(&[(2, "b")]).project(&[0, 2]).unwrap()).is_err());
        let pushed = window.push(&rows(&[(2, "b")])).unwrap();
        assert_eq!(values(&pushed.window.unwrap().rows), "ab");
    }

    proptest! {
        #[test]
        fn no_row_is_lost_or_doubled_however_it_arrives(
            all in prop::collection::vec((0_i64..20, "[a-d]"), 1..30),
            cuts in prop::collection::vec(0_usize..30, 0..4),
        ) {
            let mut window = RollingWindow::new(history(1, 1, MaxHistory::All));
            // Equal rows of different files count once: tell them apart.
            let all: Vec<_> = all.iter().enumerate().map(|(n, (time, v))| (*time, format!("{v}{n} "))).collect();
            let all: Vec<_> = all.iter().map(|(time, v)| (*time, v.as_str())).collect();
            let mut ends: Vec<_> = cuts.into_iter().map(|cut| cut.min(all.len())).chain([all.len()]).collect();
            ends.sort_unstable();
            let (mut start, mut reported) = (0, 0);
            for end in ends {
                let pushed = window.push(&rows(&all[start..end])).unwrap();
                reported += pushed.window.map_or(0, |window| window.new.true_count());
                start = end;
            }
            prop_assert_eq!(reported, all.len());
            let held = &window.held.as_ref().unwrap().rows;
            let sorted = sort_by_time(&rows(&all)).unwrap();
            prop_assert_eq!(held.project(&[1, 2]).unwrap(), sorted.project(&[1, 2]).unwrap());
        }

        #[test]
        fn a_training_window_is_the_newest_rows_and_every_new_one(
            mut times in prop::collection::vec(0_i64..1000, 1..50),
            new_from in 0_usize..50,
            rows in 1_u64..60,
            min_history in 1_u64..60,
        ) {
            times.sort_unstable();
            let new: Vec<_> = (0..times.len()).map(|row| row >= new_from).collect();
            let history = history(min_history, 1, MaxHistory::Rows(rows));
            let window = training_rows(&history, &times, &new);
            let enough = times.len() as u64 >= min_history && new_from < times.len();
            prop_assert_eq!(window.is_some(), enough);
            if let Some(window) = window {
                let expected = (rows as usize).max(times.len() - new_from).min(times.len());
                prop_assert_eq!(window, times.len() - expected..times.len());
            }
        }
    }
}
