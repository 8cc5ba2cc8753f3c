//! Who the identities are: their numbers, and one row of the identity columns for each.

use arrow_array::{ArrayRef, UInt32Array};
use arrow_select::take::take;

use super::held::Held;
use super::identity::Identities;
use super::options::NullOrder;
use crate::Result;

/// Identities by number, with their values.
pub(super) struct Who {
    nulls: NullOrder,
    identities: Identities,
    values: Held,
    /// The held row of each number.
    rows: Vec<u32>,
}

impl Who {
    pub(super) fn new(nulls: NullOrder) -> Self {
        Self { nulls, identities: Identities::default(), values: Held::new(), rows: Vec::new() }
    }

    /// The number of each row's identity.
    pub(super) fn of_rows(&mut self, columns: &[ArrayRef], rows: usize) -> Result<Vec<u32>> {
        let mut new = Vec::new();
        let numbers = self.identities.of_rows(columns, &self.nulls, rows, &mut new);
        if !new.is_empty() {
            self.rows.resize(self.identities.len(), 0);
            let first = UInt32Array::from(new);
            let values = columns.iter().map(|column| take(column, &first, None)).collect::<Result<_, _>>()?;
            let held = self.values.hold(values, first.len())?;
            for (row, held) in first.values().iter().zip(held) {
                self.rows[numbers[*row as usize] as usize] = held;
            }
        }
        Ok(numbers)
    }

    pub(super) fn identities(&self) -> &Identities {
        &self.identities
    }

    /// Columns of values.
    pub(super) fn values(&self) -> &[Vec<ArrayRef>] {
        self.values.batches()
    }

    /// Where in the values those of a number are.
    pub(super) fn place(&self, number: u32) -> (usize, usize) {
        self.values.place(self.rows[number as usize])
    }

    /// Makes a number free, unless it is.
    pub(super) fn forget(&mut self, number: u32) {
        if self.identities.forget(number) {
            self.values.release(self.rows[number as usize]);
        }
    }

    pub(super) fn compact(&mut self) -> Result<()> {
        self.values.compact()
    }
}
