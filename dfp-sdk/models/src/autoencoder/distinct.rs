//! Rows that are equal after preparation, found by hash and comparison: what is computed for one holds for all.

use std::hash::{BuildHasher, Hasher};

use foldhash::quality::RandomState;

use super::features::Prepared;

/// Rows without repetition, and where each original row went.
#[derive(Debug, Clone, Default)]
pub(super) struct Distinct {
    /// Each different row once, in order of first appearance.
    pub(super) rows: Prepared,
    /// For every original row, the row of `rows` that equals it.
    pub(super) index: Vec<u32>,
}

/// No row.
const EMPTY: u32 = u32::MAX;

impl Distinct {
    /// Finds the different rows of `all`.
    pub(super) fn of(all: &Prepared) -> Self {
        let hashes = hashes(all);
        let mask = (all.rows * 2).next_power_of_two().max(2) - 1;
        // Open addressing: each slot holds a distinct row's number.
        let mut slots = vec![EMPTY; mask + 1];
        let mut firsts: Vec<u32> = Vec::new();
        let mut index = Vec::with_capacity(all.rows);
        for (row, hash) in hashes.iter().enumerate() {
            let mut slot = *hash as usize & mask;
            let found = loop {
                match slots[slot] {
                    EMPTY => {
                        slots[slot] = firsts.len() as u32;
                        firsts.push(row as u32);
                        break slots[slot];
                    }
                    known if same(all, &hashes, firsts[known as usize] as usize, row) => break known,
                    _ => slot = (slot + 1) & mask,
                }
            };
            index.push(found);
        }
        Self { rows: all.select(&firsts), index }
    }
}

impl Prepared {
    /// The rows with these numbers.
    #[must_use]
    pub fn select(&self, rows: &[u32]) -> Self {
        Self {
            rows: rows.len(),
            values: self.values.iter().map(|column| pick(column, rows)).collect(),
            codes: self.codes.iter().map(|column| pick(column, rows)).collect(),
        }
    }
}

fn pick<T: Copy>(column: &[T], rows: &[u32]) -> Vec<T> {
    rows.iter().map(|row| column[*row as usize]).collect()
}

fn hashes(all: &Prepared) -> Vec<u64> {
    let mut hashers = vec![RandomState::default().build_hasher(); all.rows];
    for column in &all.values {
        hashers.iter_mut().zip(column).for_each(|(hasher, value)| hasher.write_u32(value.to_bits()));
    }
    for column in &all.codes {
        hashers.iter_mut().zip(column).for_each(|(hasher, code)| hasher.write_u32(*code));
    }
    hashers.iter().map(Hasher::finish).collect()
}

fn same(all: &Prepared, hashes: &[u64], a: usize, b: usize) -> bool {
    hashes[a] == hashes[b]
        && all.values.iter().all(|column| column[a].to_bits() == column[b].to_bits())
        && all.codes.iter().all(|column| column[a] == column[b])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_finds_its_equal() {
        let all = Prepared {
            rows: 6,
            values: vec![vec![1.0, 2.0, 1.0, 0.0, -0.0, 1.0]],
            codes: vec![vec![1, 1, 1, 0, 0, 2]],
        };
        let distinct = Distinct::of(&all);
        assert_eq!(distinct.index, [0, 1, 0, 2, 3, 4]);
        assert_eq!(distinct.rows.select(&distinct.index).codes, all.codes);
        assert_eq!(distinct.rows.select(&distinct.index).values, all.values);
        assert!(Distinct::of(&Prepared::default()).index.is_empty());
    }
}
