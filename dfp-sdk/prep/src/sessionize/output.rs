//! The session table.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use arrow_array::{
    Array, ArrayRef, DurationNanosecondArray, ListArray, RecordBatch, TimestampNanosecondArray, UInt32Array,
};
use arrow_buffer::{OffsetBuffer, ScalarBuffer};
use arrow_schema::{ArrowError, DataType, Field, FieldRef, Schema, SchemaRef, TimeUnit};
use arrow_select::interleave::interleave;

use super::columns::{self, Columns};
use super::identity::Identities;
use super::options::{DURATION, NUMBER_DISTINCT, NUMBER_EVENTS, NullOrder, RECORD_IDS, SessionOptions};
use crate::load::time_type;
use crate::{Error, Result};

/// Most sessions in one batch of output.
const MAX_SESSIONS: usize = 8192;
/// Most events in one batch of output, unless one session alone has more.
const MAX_EVENTS: usize = 1 << 14;

/// What sessions look like as batches.
pub(super) struct SessionTable {
    pub(super) schema: SchemaRef,
    identities: usize,
    event: FieldRef,
    record_id: Option<FieldRef>,
    list_limit: usize,
    number_distinct: bool,
}

/// Sessions that will be one batch. Places are pairs of held batch and row, as `interleave` wants them.
#[derive(Default)]
pub(super) struct Sessions {
    first: Vec<i64>,
    last: Vec<i64>,
    events: Vec<u32>,
    /// Where the identity of each session is.
    who: Vec<(usize, usize)>,
    /// The listed rows of all sessions.
    rows: Vec<(usize, usize)>,
    /// Where in `rows` each session ends.
    ends: Vec<usize>,
}

/// Batches of columns that sessions are gathered from: identities; events and their record ids.
#[derive(Clone, Copy)]
pub(super) struct Batches<'a> {
    pub(super) who: &'a [Vec<ArrayRef>],
    pub(super) events: &'a [Vec<ArrayRef>],
}

impl Sessions {
    /// Adds a session of these rows; `events` says how many there were in all.
    pub(super) fn push(
        &mut self,
        who: (usize, usize),
        (first, last): (i64, i64),
        events: u32,
        rows: impl Iterator<Item = (usize, usize)>,
    ) {
        self.rows.extend(rows);
        self.first.push(first);
        self.last.push(last);
        self.events.push(events);
        self.who.push(who);
        self.ends.push(self.rows.len());
    }

    pub(super) fn is_full(&self) -> bool {
        self.first.len() >= MAX_SESSIONS || self.rows.len() >= MAX_EVENTS
    }

    fn clear(&mut self) {
        *self = Self::default();
    }

    fn rows_of(&self, sessions: &Range<usize>) -> Range<usize> {
        let start = sessions.start.checked_sub(1).map_or(0, |before| self.ends[before]);
        start..self.ends[sessions.end - 1]
    }
}

impl SessionTable {
    pub(super) fn new(options: &SessionOptions, columns: &Columns, input: &Schema) -> Self {
        let identities = options.identity.len();
        let mut fields = columns.fields(input);
        let list = |field: Field| Arc::new(Field::new_list_field(field.data_type().clone(), true));
        let lists: Vec<FieldRef> = fields.drain(identities..).map(list).collect();
        fields.extend([
            Field::new(options.time_min(), time_type(), false),
            Field::new(options.time_max(), time_type(), false),
            Field::new(options.event_list(), DataType::List(lists[0].clone()), false),
            Field::new(DURATION, DataType::Duration(TimeUnit::Nanosecond), false),
            Field::new(NUMBER_EVENTS, DataType::UInt32, false),
        ]);
        if options.number_distinct {
            fields.push(Field::new(NUMBER_DISTINCT, DataType::UInt32, false));
        }
        if let Some(record_id) = lists.get(1) {
            fields.push(Field::new(RECORD_IDS, DataType::List(record_id.clone()), false));
        }
        Self {
            schema: Arc::new(Schema::new(fields)),
            identities,
            event: lists[0].clone(),
            record_id: lists.get(1).cloned(),
            list_limit: options.limits.list_limit.map_or(usize::MAX, |limit| limit as usize),
            number_distinct: options.number_distinct,
        }
    }

    /// How many of a session's events are listed.
    pub(super) fn list_limit(&self) -> usize {
        self.list_limit
    }

    /// Gives the sessions out, as one batch unless their texts do not fit, and empties them.
    pub(super) fn give(
        &self,
        held: Batches<'_>,
        sessions: &mut Sessions,
        out: &mut VecDeque<RecordBatch>,
    ) -> Result<()> {
        let mut parts = Vec::from_iter((!sessions.first.is_empty()).then_some(0..sessions.first.len()));
        while let Some(part) = parts.pop() {
            match self.batch(held, sessions, part.clone()) {
                Ok(batch) => out.push_back(batch),
                Err(Error::Arrow(ArrowError::OffsetOverflowError(_))) if part.len() > 1 => {
                    let middle = usize::midpoint(part.start, part.end);
                    parts.extend([middle..part.end, part.start..middle]);
                }
                Err(Error::Arrow(ArrowError::OffsetOverflowError(bytes))) => {
                    let events = sessions.events[part.start];
                    return Err(Error::TooLarge(format!(
                        "a session of {events} events needs {bytes} bytes in one column, more than a list can hold; \
                         set list_limit"
                    )));
                }
                Err(error) => return Err(error),
            }
        }
        sessions.clear();
        Ok(())
    }

    fn batch(&self, held: Batches<'_>, sessions: &Sessions, part: Range<usize>) -> Result<RecordBatch> {
        let rows = sessions.rows_of(&part);
        let mut columns = Vec::with_capacity(self.schema.fields().len());
        for column in 0..self.identities {
            columns.push(gather(held.who, column, &sessions.who[part.clone()])?);
        }
        let (first, last) = (&sessions.first[part.clone()], &sessions.last[part.clone()]);
        let time = |times: &[i64]| TimestampNanosecondArray::from(times.to_vec()).with_timezone("UTC");
        columns.push(Arc::new(time(first)));
        columns.push(Arc::new(time(last)));
        let offsets = offsets(rows.start, &sessions.ends[part.clone()])?;
        let list =
            |field: &FieldRef, values| ListArray::try_new(field.clone(), offsets.clone(), values, None);
        let events = list(&self.event, gather(held.events, 0, &sessions.rows[rows.clone()])?)?;
        let distinct = self.number_distinct.then(|| number_distinct(&events));
        columns.push(Arc::new(events));
        let durations = first.iter().zip(last).map(|(first, last)| last.saturating_sub(*first));
        columns.push(Arc::new(DurationNanosecondArray::from_iter_values(durations)));
        columns.push(Arc::new(UInt32Array::from(sessions.events[part].to_vec())));
        if let Some(distinct) = distinct {
            columns.push(Arc::new(distinct));
        }
        if let Some(field) = &self.record_id {
            columns.push(Arc::new(list(field, gather(held.events, 1, &sessions.rows[rows])?)?));
        }
        Ok(RecordBatch::try_new(self.schema.clone(), columns)?)
    }
}

fn gather(held: &[Vec<ArrayRef>], column: usize, places: &[(usize, usize)]) -> Result<ArrayRef> {
    let arrays: Vec<&dyn Array> = held.iter().map(|columns| columns[column].as_ref()).collect();
    Ok(interleave(&arrays, places)?)
}

fn offsets(start: usize, ends: &[usize]) -> Result<OffsetBuffer<i32>> {
    let offset = |end: usize| {
        i32::try_from(end - start).map_err(|_| Error::Arrow(ArrowError::OffsetOverflowError(end - start)))
    };
    let offsets: Vec<i32> =
        [Ok(0)].into_iter().chain(ends.iter().map(|end| offset(*end))).collect::<Result<_>>()?;
    Ok(OffsetBuffer::new(ScalarBuffer::from(offsets)))
}

/// How many different commands each list has.
fn number_distinct(lists: &ListArray) -> UInt32Array {
    let commands = columns::commands(lists.values());
    let mut seen = Identities::default();
    let numbers =
        seen.of_rows(std::slice::from_ref(commands), &NullOrder::First, commands.len(), &mut Vec::new());
    let mut list = Vec::new();
    let count = |ends: &[i32]| {
        list.clear();
        list.extend_from_slice(&numbers[ends[0] as usize..ends[1] as usize]);
        list.sort_unstable();
        list.dedup();
        list.len() as u32
    };
    UInt32Array::from_iter_values(lists.value_offsets().windows(2).map(count))
}
