//! Input in any order: everything is held, sorted once and walked.

use std::collections::VecDeque;

use arrow_array::{ArrayRef, RecordBatch};

use super::columns::{Columns, Rows};
use super::identity::Identities;
use super::options::{NullOrder, Reach};
use super::output::{Batches, SessionTable, Sessions};
use super::who::Who;
use crate::{Error, Result};

/// A row that counts: when it happened, and its place among all that count.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stamp {
    pub(super) time: i64,
    pub(super) row: u32,
}

/// Rows in the order of their arrival.
#[derive(Default)]
pub(super) struct Arrivals {
    times: Vec<i64>,
    numbers: Vec<u32>,
}

impl Arrivals {
    /// Adds rows of these identities and times.
    pub(super) fn add(&mut self, numbers: &[u32], times: &[i64]) -> Result<()> {
        if self.times.len() + times.len() > u32::MAX as usize {
            return Err(Error::TooLarge(
                "more than 4 billion events without a lateness; set one, or sessionize in parts".to_owned(),
            ));
        }
        self.numbers.extend_from_slice(numbers);
        self.times.extend_from_slice(times);
        Ok(())
    }

    pub(super) fn len(&self) -> usize {
        self.times.len()
    }

    /// All rows by identity, time and arrival: those of one identity are counted together first, and only they are
    /// sorted.
    pub(super) fn sorted(self, identities: &Identities, reach: Reach) -> Walk {
        let order = identities.sorted();
        let mut counts = vec![0_u32; order.len()];
        for number in &self.numbers {
            counts[*number as usize] += 1;
        }
        let mut next = vec![0; order.len()];
        let mut ends = Vec::with_capacity(order.len());
        let mut end = 0;
        for number in &order {
            let number = *number;
            next[number as usize] = end;
            end += counts[number as usize];
            ends.push(end);
        }
        let mut stamps = vec![Stamp { time: 0, row: 0 }; self.times.len()];
        for (row, (time, number)) in self.times.iter().zip(&self.numbers).enumerate() {
            let place = &mut next[*number as usize];
            stamps[*place as usize] = Stamp { time: *time, row: row as u32 };
            *place += 1;
        }
        let mut start = 0;
        for end in &ends {
            stamps[start..*end as usize].sort_by_key(|stamp| stamp.time);
            start = *end as usize;
        }
        Walk { reach, stamps, order, ends, identity: 0, next: 0 }
    }
}

/// Sessions one after the other.
pub(super) struct Walk {
    reach: Reach,
    stamps: Vec<Stamp>,
    /// The identities in their order.
    order: Vec<u32>,
    /// Where each identity's rows end.
    ends: Vec<u32>,
    identity: usize,
    next: usize,
}

impl Walk {
    /// Whose the next session is, and its rows.
    pub(super) fn session(&mut self) -> Option<(u32, &[Stamp])> {
        let first = self.stamps.get(self.next)?.time;
        while self.ends[self.identity] as usize == self.next {
            self.identity += 1;
        }
        let mut last = first;
        let rest = &self.stamps[self.next..self.ends[self.identity] as usize];
        let more = rest[1..].iter().take_while(|stamp| {
            let joins = self.reach.joins(first, last, stamp.time);
            last = stamp.time;
            joins
        });
        let session = &rest[..=more.count()];
        self.next += session.len();
        Some((self.order[self.identity], session))
    }

    /// The rows in their order.
    pub(super) fn rows(&self) -> impl Iterator<Item = u32> {
        self.stamps.iter().map(|stamp| stamp.row)
    }
}

/// Holds everything, and gives sessions by identity and time at the end.
pub(super) struct Whole {
    reach: Reach,
    max_rows: usize,
    who: Who,
    arrivals: Arrivals,
    held: Vec<Vec<ArrayRef>>,
    /// How many rows were held before each held batch.
    starts: Vec<u32>,
    /// What is left to give, once the input has ended.
    walk: Option<Walk>,
}

impl Whole {
    pub(super) fn new(reach: Reach, nulls: NullOrder, max_rows: Option<u32>) -> Self {
        Self {
            reach,
            max_rows: max_rows.map_or(usize::MAX, |rows| rows as usize),
            who: Who::new(nulls),
            arrivals: Arrivals::default(),
            held: Vec::new(),
            starts: Vec::new(),
            walk: None,
        }
    }

    pub(super) fn push(&mut self, columns: &Columns, batch: &RecordBatch, rows: &Rows) -> Result<()> {
        if rows.times.is_empty() {
            return Ok(());
        }
        let start = self.arrivals.len();
        if start + rows.times.len() > self.max_rows {
            return Err(super::too_many_open(self.max_rows));
        }
        let (identity, events) = columns.split(batch, rows)?;
        let numbers = self.who.of_rows(&identity, rows.times.len())?;
        self.arrivals.add(&numbers, &rows.times)?;
        self.starts.push(start as u32);
        self.held.push(events);
        Ok(())
    }

    pub(super) fn finish(&mut self) {
        self.walk = Some(std::mem::take(&mut self.arrivals).sorted(self.who.identities(), self.reach));
    }

    /// The next batch of sessions, or several of them where one would be too large.
    pub(super) fn give(&mut self, table: &SessionTable, out: &mut VecDeque<RecordBatch>) -> Result<()> {
        let Some(walk) = &mut self.walk else { return Ok(()) };
        let mut sessions = Sessions::default();
        while !sessions.is_full() {
            let Some((who, session)) = walk.session() else { break };
            let listed = &session[..session.len().min(table.list_limit())];
            let place = |stamp: &Stamp| {
                let batch = self.starts.partition_point(|start| *start <= stamp.row) - 1;
                (batch, (stamp.row - self.starts[batch]) as usize)
            };
            let ends = (session[0].time, session[session.len() - 1].time);
            sessions.push(self.who.place(who), ends, session.len() as u32, listed.iter().map(place));
        }
        table.give(Batches { who: self.who.values(), events: &self.held }, &mut sessions, out)
    }
}
