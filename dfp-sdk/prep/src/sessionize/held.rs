//! Rows of batches that are still wanted, and no others for long.

use arrow_array::{Array, ArrayRef};
use arrow_select::interleave::interleave;

use crate::{Error, Result};

/// Rows of a batch that a compaction makes.
const BATCH_ROWS: usize = 8192;
/// So few rows or batches are not worth a compaction.
const FEW_ROWS: usize = 8 * BATCH_ROWS;
const FEW_BATCHES: usize = 64;
/// A batch costs about as much memory as this many rows.
const ROWS_OF_A_BATCH: usize = 256;

/// Held rows, by handles. Handles of released rows are given again.
pub(super) struct Held {
    batches: Vec<Vec<ArrayRef>>,
    /// Rows in `batches`, released ones included.
    rows: usize,
    places: Vec<Place>,
    /// The first of the places that are free, chained.
    free: u32,
    wanted: usize,
}

/// Where a row is, and the row that its owner put behind it.
#[derive(Clone, Copy)]
struct Place {
    batch: u32,
    row: u32,
    next: u32,
}

/// No row, and no batch.
const NONE: u32 = u32::MAX;

impl Held {
    pub(super) fn new() -> Self {
        Self { batches: Vec::new(), rows: 0, places: Vec::new(), free: NONE, wanted: 0 }
    }

    /// Holds the rows of some columns and tells the handle of each.
    pub(super) fn hold(&mut self, columns: Vec<ArrayRef>, rows: usize) -> Result<Vec<u32>> {
        if self.wanted + rows >= NONE as usize {
            return Err(Error::TooLarge(
                "more than 4 billion events are held; shorten the lateness".to_owned(),
            ));
        }
        let batch = self.batches.len() as u32;
        self.batches.push(columns);
        self.rows += rows;
        self.wanted += rows;
        let mut handle = |row: usize| {
            let place = Place { batch, row: row as u32, next: NONE };
            if self.free == NONE {
                self.places.push(place);
                return self.places.len() as u32 - 1;
            }
            let handle = self.free;
            self.free = std::mem::replace(&mut self.places[handle as usize], place).next;
            handle
        };
        Ok((0..rows).map(&mut handle).collect())
    }

    /// Puts a row behind another.
    pub(super) fn chain(&mut self, before: u32, row: u32) {
        self.places[before as usize].next = row;
    }

    /// A row and those chained behind it.
    pub(super) fn chained(&self, row: u32) -> impl Iterator<Item = u32> {
        let some = |row: u32| (row != NONE).then_some(row);
        std::iter::successors(Some(row), move |row| some(self.places[*row as usize].next))
    }

    /// Batch and row.
    pub(super) fn place(&self, row: u32) -> (usize, usize) {
        let place = self.places[row as usize];
        (place.batch as usize, place.row as usize)
    }

    /// Lets a row go, and those chained behind it.
    pub(super) fn release(&mut self, mut row: u32) {
        while row != NONE {
            let place = &mut self.places[row as usize];
            let next = std::mem::replace(&mut place.next, self.free);
            place.batch = NONE;
            self.free = row;
            self.wanted -= 1;
            row = next;
        }
    }

    pub(super) fn batches(&self) -> &[Vec<ArrayRef>] {
        &self.batches
    }

    /// How many rows are wanted.
    pub(super) fn len(&self) -> usize {
        self.wanted
    }

    /// Copies the wanted rows together if they are fewer than half of those in memory, or lie in many small batches. What
    /// that costs was paid for by as many rows released or batches added since.
    pub(super) fn compact(&mut self) -> Result<()> {
        if self.wanted == 0 {
            *self = Self::new();
            return Ok(());
        }
        let sparse = self.rows > FEW_ROWS && self.wanted < self.rows / 2;
        let small = self.batches.len() > FEW_BATCHES + self.wanted / ROWS_OF_A_BATCH;
        if !sparse && !small {
            return Ok(());
        }
        let wanted: Vec<u32> =
            (0..self.places.len() as u32).filter(|row| self.places[*row as usize].batch != NONE).collect();
        let batches = wanted.chunks(BATCH_ROWS).map(|rows| self.copied(rows)).collect::<Result<Vec<_>>>()?;
        for (index, row) in wanted.iter().enumerate() {
            let place = &mut self.places[*row as usize];
            (place.batch, place.row) = ((index / BATCH_ROWS) as u32, (index % BATCH_ROWS) as u32);
        }
        self.batches = batches;
        self.rows = wanted.len();
        Ok(())
    }

    fn copied(&self, rows: &[u32]) -> Result<Vec<ArrayRef>> {
        let places: Vec<_> = rows.iter().map(|row| self.place(*row)).collect();
        let columns = self.batches.first().map_or(0, Vec::len);
        let column = |index: usize| {
            let arrays: Vec<&dyn Array> =
                self.batches.iter().map(|columns| columns[index].as_ref()).collect();
            Ok(interleave(&arrays, &places)?)
        };
        (0..columns).map(column).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use arrow_array::Int64Array;
    use arrow_array::cast::AsArray;
    use arrow_array::types::Int64Type;

    fn values(held: &Held, row: u32) -> Vec<i64> {
        let value = |row| {
            let (batch, row) = held.place(row);
            held.batches()[batch][0].as_primitive::<Int64Type>().value(row)
        };
        held.chained(row).map(value).collect()
    }

    #[test]
    fn what_is_wanted_survives_compaction_and_the_rest_does_not_stay() {
        let mut held = Held::new();
        let mut kept = Vec::new();
        for batch in 0..1000_i64 {
            let column: ArrayRef = Arc::new(Int64Array::from_iter_values(batch * 1000..(batch + 1) * 1000));
            let rows = held.hold(vec![column], 1000).unwrap();
            held.chain(rows[1], rows[7]);
            kept.push(rows[1]);
            for row in [&rows[..1], &rows[2..7], &rows[8..]].concat() {
                held.release(row);
            }
            held.compact().unwrap();
            assert!(held.rows <= FEW_ROWS + 1000 + 2 * held.len());
            assert!(held.batches().len() <= FEW_BATCHES + 1 + held.len() / ROWS_OF_A_BATCH);
        }
        assert!(held.places.len() < 4000);
        for (batch, row) in kept.iter().enumerate() {
            assert_eq!(values(&held, *row), [batch as i64 * 1000 + 1, batch as i64 * 1000 + 7]);
        }
        for row in kept {
            held.release(row);
        }
        held.compact().unwrap();
        assert_eq!((held.len(), held.batches().len()), (0, 0));
    }
}
