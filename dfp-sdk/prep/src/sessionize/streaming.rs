//! Input in order but for a stated lateness: sessions are given as soon as nothing can join them.
//!
//! The watermark is the newest time seen less the lateness. Events before it are final: walked in the order of time, each
//! joins its identity's open session or ends it and opens the next. A session whose deadline (the last time at which an
//! event could still join) is before the watermark has ended. Whatever the batches, sessions are given in the order of
//! deadline, identity and start: a session that ends later has its deadline at or after the present watermark.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use arrow_array::RecordBatch;

use super::columns::{Columns, Rows};
use super::held::Held;
use super::options::{NullOrder, Reach};
use super::output::{Batches, SessionTable, Sessions};
use super::pending::{Event, Pending};
use super::who::Who;
use crate::Result;

/// A session that may still grow.
#[derive(Debug, Clone, Copy)]
struct Open {
    first: i64,
    last: i64,
    /// The first and the last listed row.
    head: u32,
    tail: u32,
    events: u32,
    /// The deadline under which it is queued; the true one may be later.
    queued: i64,
}

/// A session that has ended.
struct Ended {
    deadline: i64,
    identity: u32,
    session: Open,
}

/// What is known of one identity.
#[derive(Debug, Clone, Copy, Default)]
struct Present {
    open: Option<Open>,
    /// Events that are not final.
    pending: u32,
}

/// Gives sessions as the watermark passes.
pub(super) struct Streaming {
    reach: Reach,
    list_limit: u32,
    max_rows: usize,
    watermark: Watermark,
    held: Held,
    pending: Pending,
    who: Who,
    present: Vec<Present>,
    /// Open sessions by the deadline under which they are queued.
    deadlines: BinaryHeap<Reverse<(i64, u32)>>,
    ended: Vec<Ended>,
}

/// The newest time seen, less the lateness.
pub(super) struct Watermark {
    lateness: u64,
    newest: Option<i64>,
}

impl Watermark {
    /// Events before this are final, and late if they come now; `None` before the first event.
    fn get(&self) -> Option<i64> {
        self.newest.map(|newest| newest.saturating_sub_unsigned(self.lateness))
    }

    /// Notes an event's time, unless it is late: then answers with the least time that is not.
    pub(super) fn late(&mut self, time: i64) -> Option<i64> {
        let late = self.get().filter(|watermark| time < *watermark);
        if late.is_none() {
            self.newest = self.newest.max(Some(time));
        }
        late
    }
}

impl Streaming {
    pub(super) fn new(
        reach: Reach,
        nulls: NullOrder,
        lateness: u64,
        list_limit: Option<u32>,
        max_rows: Option<u32>,
    ) -> Self {
        Self {
            reach,
            list_limit: list_limit.unwrap_or(u32::MAX),
            max_rows: max_rows.map_or(usize::MAX, |rows| rows as usize),
            watermark: Watermark { lateness, newest: None },
            held: Held::new(),
            pending: Pending::default(),
            who: Who::new(nulls),
            present: Vec::new(),
            deadlines: BinaryHeap::new(),
            ended: Vec::new(),
        }
    }

    /// How many rows are held for sessions that have not ended.
    #[cfg(test)]
    pub(super) fn open_rows(&self) -> usize {
        self.held.len()
    }

    pub(super) fn watermark(&mut self) -> &mut Watermark {
        &mut self.watermark
    }

    /// Takes the rows that count and are not late, and gives the sessions that have ended.
    pub(super) fn push(
        &mut self,
        columns: &Columns,
        batch: &RecordBatch,
        rows: &Rows,
        table: &SessionTable,
        out: &mut VecDeque<RecordBatch>,
    ) -> Result<()> {
        if rows.times.is_empty() {
            return Ok(());
        }
        let (identity, events) = columns.split(batch, rows)?;
        let numbers = self.who.of_rows(&identity, rows.times.len())?;
        self.present.resize(self.who.identities().len(), Present::default());
        let handles = self.held.hold(events, rows.times.len())?;
        let event = |((time, identity), row): ((&i64, &u32), u32)| {
            self.present[*identity as usize].pending += 1;
            Event { time: *time, identity: *identity, row }
        };
        self.pending.add(rows.times.iter().zip(&numbers).zip(handles).map(event).collect());
        self.advance(self.watermark.get());
        self.give(table, out)?;
        self.held.compact()?;
        self.who.compact()?;
        if self.held.len() > self.max_rows { Err(super::too_many_open(self.max_rows)) } else { Ok(()) }
    }

    /// Ends and gives every session.
    pub(super) fn finish(&mut self, table: &SessionTable, out: &mut VecDeque<RecordBatch>) -> Result<()> {
        self.advance(None);
        self.give(table, out)
    }

    /// Walks the final events, and ends the sessions whose deadline is past; all of them without a watermark.
    fn advance(&mut self, watermark: Option<i64>) {
        for event in self.pending.take(watermark) {
            self.walk(event);
        }
        while let Some(Reverse((queued, identity))) = self.deadlines.peek().copied()
            && watermark.is_none_or(|watermark| queued < watermark)
        {
            self.deadlines.pop();
            let Some(session) = self.present[identity as usize].open else { continue };
            if session.queued != queued {
                // The session queued then has ended since.
                continue;
            }
            let deadline = self.reach.deadline(session.first, session.last);
            if watermark.is_none_or(|watermark| deadline < watermark) {
                self.end(identity, session);
            } else {
                self.queue(identity, Open { queued: deadline, ..session });
            }
        }
    }

    fn walk(&mut self, event: Event) {
        let Event { time, identity, row } = event;
        let present = &mut self.present[identity as usize];
        present.pending -= 1;
        if let Some(session) = &mut present.open
            && self.reach.joins(session.first, session.last, time)
        {
            session.last = time;
            session.events += 1;
            if session.events <= self.list_limit {
                self.held.chain(session.tail, row);
                session.tail = row;
            } else {
                self.held.release(row);
            }
            return;
        }
        if let Some(session) = present.open {
            self.end(identity, session);
        }
        let queued = self.reach.deadline(time, time);
        let session = Open { first: time, last: time, head: row, tail: row, events: 1, queued };
        self.queue(identity, session);
    }

    fn queue(&mut self, identity: u32, session: Open) {
        self.deadlines.push(Reverse((session.queued, identity)));
        self.present[identity as usize].open = Some(session);
    }

    fn end(&mut self, identity: u32, session: Open) {
        let deadline = self.reach.deadline(session.first, session.last);
        self.ended.push(Ended { deadline, identity, session });
        self.present[identity as usize].open = None;
    }

    /// Gives the sessions that have ended, and forgets them and whoever has no other.
    fn give(&mut self, table: &SessionTable, out: &mut VecDeque<RecordBatch>) -> Result<()> {
        let identities = self.who.identities();
        // Stable: of one identity at one instant, the sessions stay in order.
        self.ended.sort_by(|a, b| {
            let keys = || identities.key(a.identity).cmp(identities.key(b.identity));
            a.deadline.cmp(&b.deadline).then_with(keys).then(a.session.first.cmp(&b.session.first))
        });
        let mut sessions = Sessions::default();
        let held = Batches { who: self.who.values(), events: self.held.batches() };
        for Ended { identity, session, .. } in &self.ended {
            let rows = self.held.chained(session.head).map(|row| self.held.place(row));
            sessions.push(self.who.place(*identity), (session.first, session.last), session.events, rows);
            if sessions.is_full() {
                table.give(held, &mut sessions, out)?;
            }
        }
        table.give(held, &mut sessions, out)?;
        for Ended { identity, session, .. } in self.ended.drain(..) {
            self.held.release(session.head);
            let present = self.present[identity as usize];
            if present.open.is_none() && present.pending == 0 {
                self.who.forget(identity);
            }
        }
        Ok(())
    }
}
