//! Sessions: the events of one identity that follow each other closely, as one row each.
//!
//! Events are walked per identity in the order of time, equal times in the order of arrival. An event joins the session
//! unless it comes too long after the session's last event (`max_separation`) or its first (`max_length`); then it starts
//! the next. What this gives, in this order of columns:
//!
//! | column | type |
//! |---|---|
//! | the identity columns | as they came; dictionaries as their values |
//! | `<time>_min`, `<time>_max` | timestamp, nanoseconds, UTC: first and last event |
//! | `<event>_list` | list of the event column's type |
//! | `duration` | duration, nanoseconds |
//! | `number_events` | uint32 |
//! | `number_distinct` | uint32; if asked for |
//! | `record_ids` | list of utf8, the `_record_id` of each listed event; if the input has that column |
//!
//! Rows without a time or an event are rejected, as [`reason::NO_TIME`](dfp_core::reason::NO_TIME) and
//! [`reason::NO_EVENT`](dfp_core::reason::NO_EVENT). Every other row is in exactly one session.
//!
//! **Without lateness** input comes in any order, everything is held until it ends, and sessions come out sorted by
//! identity and time. **With a lateness** sessions come out as soon as nothing can join them, ordered by the last time at
//! which something could have, then identity, then start; what comes later than the lateness allows is rejected as
//! [`reason::LATE`](dfp_core::reason::LATE). An event is late if it is older by more than the lateness than some event before
//! it. How the input is cut into batches never changes what comes out, nor its order.
//!
//! One event far in the future makes all after it late: say which times are believed, with [`Sessionize::believing`].

mod columns;
mod duration;
mod held;
mod identity;
mod options;
mod output;
mod pending;
mod streaming;
#[cfg(test)]
mod tests;
mod who;
mod whole;

use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, UInt32Array};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use arrow_select::filter::filter_record_batch;
use arrow_select::take::take_record_batch;
use dfp_core::{Host, Stage};

use self::columns::Columns;
pub use self::duration::parse as parse_length;
pub use self::options::{
    Bounds, DURATION, NUMBER_DISTINCT, NUMBER_EVENTS, NullOrder, RECORD_IDS, SessionLimits, SessionOptions,
};
use self::output::SessionTable;
use self::streaming::Streaming;
use self::who::Who;
use self::whole::{Arrivals, Whole};
use crate::{Error, Result};

/// Column of [`session_index`]: which session a row is in, from 0.
pub const SESSION_INDEX: &str = "session_ind";

const ALL_TIMES: RangeInclusive<i64> = i64::MIN..=i64::MAX;

/// Turns events into sessions.
///
/// With a lateness, memory is that of the open sessions and of the events within the lateness, at most about twice over;
/// without, that of the whole input's event and id columns and about 30 bytes an event.
pub struct Sessionize {
    options: SessionOptions,
    believable: RangeInclusive<i64>,
    host: Arc<dyn Host>,
    bound: Option<Bound>,
    ready: VecDeque<RecordBatch>,
}

/// What is known once the schema is.
struct Bound {
    columns: Columns,
    table: SessionTable,
    walk: Walk,
}

enum Walk {
    Whole(Whole),
    Streaming(Streaming),
}

impl Sessionize {
    /// A stage that has seen nothing yet; rejected rows go to the host.
    ///
    /// # Errors
    /// As [`SessionOptions::validate`].
    pub fn new(options: SessionOptions, host: Arc<dyn Host>) -> Result<Self> {
        options.validate()?;
        Ok(Self { options, believable: ALL_TIMES, host, bound: None, ready: VecDeque::new() })
    }

    /// Rejects events at other times than these, in nanoseconds since 1970, as
    /// [`reason::TIME_OUT_OF_RANGE`](dfp_core::reason::TIME_OUT_OF_RANGE): one event far in the future makes all after it late. See
    /// [`TimeColumn::believable`](crate::TimeColumn::believable). Every time is believed unless this is said.
    #[must_use]
    pub fn believing(mut self, times: RangeInclusive<i64>) -> Self {
        self.believable = times;
        self
    }

    fn bound(&self, input: &Schema) -> Result<Bound> {
        let columns = Columns::find(&self.options, input)?;
        let limits = &self.options.limits;
        let (reach, nulls) = (limits.reach(), self.options.nulls.clone());
        let walk = match limits.lateness {
            None => Walk::Whole(Whole::new(reach, nulls, limits.max_open_rows)),
            Some(lateness) => {
                let lateness = duration::nanoseconds(lateness);
                let (list, rows) = (limits.list_limit, limits.max_open_rows);
                Walk::Streaming(Streaming::new(reach, nulls, lateness, list, rows))
            }
        };
        Ok(Bound { table: SessionTable::new(&self.options, &columns, input), columns, walk })
    }
}

impl Stage for Sessionize {
    fn bind(&mut self, input: SchemaRef) -> dfp_core::Result<SchemaRef> {
        let bound = self.bound(&input)?;
        Ok(self.bound.insert(bound).table.schema.clone())
    }

    fn push(&mut self, batch: RecordBatch) -> dfp_core::Result<()> {
        let Bound { columns, table, walk } = self.bound.as_mut().ok_or(Error::Unbound)?;
        match walk {
            Walk::Whole(whole) => {
                let rows = columns.rows(&batch, &self.believable, &*self.host, |_| None)?;
                whole.push(columns, &batch, &rows)?;
            }
            Walk::Streaming(streaming) => {
                let rows = columns
                    .rows(&batch, &self.believable, &*self.host, |time| streaming.watermark().late(time))?;
                streaming.push(columns, &batch, &rows, table, &mut self.ready)?;
            }
        }
        Ok(())
    }

    fn pull(&mut self) -> dfp_core::Result<Option<RecordBatch>> {
        if self.ready.is_empty()
            && let Some(Bound { table, walk: Walk::Whole(whole), .. }) = &mut self.bound
        {
            whole.give(table, &mut self.ready)?;
        }
        Ok(self.ready.pop_front())
    }

    fn finish(&mut self) -> dfp_core::Result<()> {
        let Bound { table, walk, .. } = self.bound.as_mut().ok_or(Error::Unbound)?;
        match walk {
            Walk::Whole(whole) => whole.finish(),
            Walk::Streaming(streaming) => streaming.finish(table, &mut self.ready)?,
        }
        Ok(())
    }
}

/// The sessions of a whole table, whatever the options' lateness: sorted by identity and time, at least one batch.
///
/// ```
/// # use std::sync::Arc;
/// # use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
/// # use dfp_prep::sessionize::{SessionOptions, sessionize};
/// # fn host() -> Arc<dyn dfp_core::Host> { Arc::new(Quiet) }
/// # struct Quiet;
/// # impl dfp_core::Host for Quiet {
/// #     fn log_enabled(&self, _: dfp_core::Level) -> bool { false }
/// #     fn log(&self, _: dfp_core::Level, _: &str, _: &str) {}
/// #     fn is_cancelled(&self) -> bool { false }
/// #     fn open(&self, _: &str) -> dfp_core::Result<Box<dyn std::io::Read + Send>> { unreachable!() }
/// #     fn reject(&self, _: dfp_core::Reject) {}
/// #     fn count(&self, _: &str, _: u64) {}
/// # }
/// let user: ArrayRef = Arc::new(StringArray::from(vec!["ann", "bob", "ann", "ann"]));
/// let time: ArrayRef = Arc::new(StringArray::from(vec![
///     "2024-01-01T08:00:00Z",
///     "2024-01-01T08:00:30Z",
///     "2024-01-01T08:02:00Z",
///     "2024-01-01T08:02:00+00:01",
/// ]));
/// let event: ArrayRef = Arc::new(StringArray::from(vec!["logon", "logon", "delete", "read"]));
/// let table = RecordBatch::try_from_iter([("user", user), ("time", time), ("event", event)])?;
///
/// let sessions = sessionize(&[table], &SessionOptions::new(["user"], "time", "event"), host())?;
/// assert_eq!(sessions[0].num_rows(), 2);
/// let names: Vec<_> = sessions[0].schema().fields().iter().map(|field| field.name().clone()).collect();
/// assert_eq!(names, ["user", "time_min", "time_max", "event_list", "duration", "number_events"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`ErrorKind::SchemaMismatch`](dfp_core::ErrorKind::SchemaMismatch) if a column is missing or of a type that does not do,
/// [`ErrorKind::InvalidArgument`](dfp_core::ErrorKind::InvalidArgument) without any batch.
pub fn sessionize(
    batches: &[RecordBatch],
    options: &SessionOptions,
    host: Arc<dyn Host>,
) -> dfp_core::Result<Vec<RecordBatch>> {
    let mut options = options.clone();
    options.limits.lateness = None;
    let Some(first) = batches.first() else {
        return Err(dfp_core::Error::new(
            dfp_core::ErrorKind::InvalidArgument,
            "sessionizing a table: it has no batch, not even an empty one to name its columns",
        ));
    };
    let mut stage = Sessionize::new(options, host)?;
    let schema = stage.bind(first.schema())?;
    for batch in batches {
        stage.push(batch.clone())?;
    }
    stage.finish()?;
    let mut sessions = Vec::new();
    while let Some(batch) = stage.pull()? {
        sessions.push(batch);
    }
    if sessions.is_empty() {
        sessions.push(RecordBatch::new_empty(schema));
    }
    Ok(sessions)
}

/// The rows of a table sorted by identity and time, with [`SESSION_INDEX`] (int64) behind its columns: the walk of
/// [`sessionize`] without the aggregation.
///
/// # Errors
/// As [`sessionize`]; [`ErrorKind::InvalidConfig`](dfp_core::ErrorKind::InvalidConfig) if the table has such a column.
pub fn session_index(
    table: &RecordBatch,
    options: &SessionOptions,
    host: &dyn Host,
) -> dfp_core::Result<RecordBatch> {
    options.validate()?;
    let schema = table.schema();
    if schema.index_of(SESSION_INDEX).is_ok() {
        return Err(
            Error::config("session_index", format!("the table has a column `{SESSION_INDEX}`")).into()
        );
    }
    let columns = Columns::find(options, &schema)?;
    let rows = columns.rows(table, &ALL_TIMES, host, |_| None)?;
    let (identity, _) = columns.split(table, &rows)?;
    let mut who = Who::new(options.nulls.clone());
    let mut arrivals = Arrivals::default();
    arrivals.add(&who.of_rows(&identity, rows.times.len())?, &rows.times)?;
    let mut walk = arrivals.sorted(who.identities(), options.limits.reach());
    let order: UInt32Array = walk.rows().collect();
    let mut index = Vec::with_capacity(order.len());
    for session in 0.. {
        let Some((_, rows)) = walk.session() else { break };
        index.resize(index.len() + rows.len(), session);
    }
    let table = match &rows.kept {
        Some(kept) => filter_record_batch(table, kept)?,
        None => table.clone(),
    };
    let sorted = take_record_batch(&table, &order)?;
    let mut columns: Vec<ArrayRef> = sorted.columns().to_vec();
    columns.push(Arc::new(Int64Array::from(index)));
    let mut fields: Vec<_> = schema.fields().iter().cloned().collect();
    fields.push(Arc::new(Field::new(SESSION_INDEX, DataType::Int64, false)));
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?)
}

fn too_many_open(most: usize) -> Error {
    Error::TooLarge(format!(
        "more than {most} events are held for sessions that have not ended; raise max_open_rows, or shorten lateness and \
         max_length"
    ))
}
