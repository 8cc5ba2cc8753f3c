//! From a batch to what sessions are made of: which rows count and when they happened, and the few columns that are held.

use std::ops::RangeInclusive;

use arrow_array::builder::Int64Builder;
use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Date64Type, Int64Type, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType, UInt64Type,
};
use arrow_array::{Array, ArrayRef, BooleanArray, Int64Array, PrimitiveArray, RecordBatch};
use arrow_buffer::NullBuffer;
use arrow_schema::{DataType, Field, Schema, TimeUnit};
use arrow_select::filter::filter;
use arrow_select::take::take;
use dfp_core::{Host, ORIGIN, RECORD_ID, Reject, reason};

use super::identity;
use super::options::SessionOptions;
use crate::load::unbelievable;
use crate::{Error, Result, datetime};

/// Where in a batch the columns are.
pub(super) struct Columns {
    identity: Vec<usize>,
    time: usize,
    event: usize,
    record_id: Option<usize>,
    origin: Option<usize>,
    /// For what is said of rejected rows.
    time_name: String,
    event_name: String,
}

/// The rows of a batch that can be used.
pub(super) struct Rows {
    /// When each happened, nanoseconds since 1970.
    pub(super) times: Vec<i64>,
    /// Which rows of the batch these are; `None` if all.
    pub(super) kept: Option<BooleanArray>,
}

impl Columns {
    pub(super) fn find(options: &SessionOptions, schema: &Schema) -> Result<Self> {
        let find = |name: &str| schema.index_of(name).map_err(|_| Error::column(name, "missing"));
        let columns = Self {
            identity: options.identity.iter().map(|name| find(name)).collect::<Result<_>>()?,
            time: find(&options.time)?,
            event: find(&options.event)?,
            record_id: find(RECORD_ID).ok(),
            origin: find(ORIGIN).ok(),
            time_name: options.time.clone(),
            event_name: options.event.clone(),
        };
        let check = |index: usize, good: fn(&DataType) -> bool, wanted: &str| {
            let field = schema.field(index);
            let problem = || format!("is {}; {wanted}", field.data_type());
            if good(&plain_type(field.data_type())) {
                Ok(())
            } else {
                Err(Error::column(field.name(), problem()))
            }
        };
        for index in &columns.identity {
            check(*index, identity::supported, "an identity is text, a number, a boolean or a time")?;
        }
        check(
            columns.time,
            is_time,
            "a time is a timestamp, a date, ISO 8601 text or nanoseconds since 1970",
        )?;
        check(columns.event, holdable, "its lists, maps and texts must not be views or dictionaries")?;
        let countable = |dtype: &DataType| identity::supported(command_type(dtype));
        if options.number_distinct {
            check(
                columns.event,
                countable,
                "different ones can be counted of texts, or of structs with a `name`",
            )?;
        }
        for index in columns.record_id.iter().chain(&columns.origin) {
            check(*index, |dtype| *dtype == DataType::Utf8, "must be text (utf8)")?;
        }
        Ok(columns)
    }

    /// The fields of the columns that [`split`](Self::split) gives, one after the other.
    pub(super) fn fields(&self, schema: &Schema) -> Vec<Field> {
        let field = |index: usize| {
            let field = schema.field(index);
            field.clone().with_data_type(plain_type(field.data_type())).with_nullable(true)
        };
        self.identity.iter().copied().chain([self.event]).chain(self.record_id).map(field).collect()
    }

    /// Which rows count. The others go to the host: without time, at a time that is not believed, without event, or late.
    /// `late` is told the time of each other row in turn, and answers for a late one with the least time that is not.
    pub(super) fn rows(
        &self,
        batch: &RecordBatch,
        believable: &RangeInclusive<i64>,
        host: &dyn Host,
        mut late: impl FnMut(i64) -> Option<i64>,
    ) -> Result<Rows> {
        let times = nanoseconds(&plain(batch.column(self.time))?);
        let events = present(batch.column(self.event));
        let origins = self.origin.and_then(|origin| batch.column(origin).as_string_opt::<i32>());
        let reject = |row: usize, reason: &'static str, detail: String| {
            let origin =
                origins.filter(|origins| origins.is_valid(row)).map_or("", |origins| origins.value(row));
            host.reject(Reject::new(origin, reason, detail));
        };
        let mut used = Vec::with_capacity(times.len());
        let mut kept = vec![true; times.len()];
        for (row, kept) in kept.iter_mut().enumerate() {
            let time = times.value(row);
            if times.is_null(row) {
                reject(row, reason::NO_TIME, format!("no time within 1677 and 2262 in {}", self.time_name));
            } else if !believable.contains(&time) {
                reject(row, reason::TIME_OUT_OF_RANGE, unbelievable(time, believable));
            } else if events.as_ref().is_some_and(|events| events.is_null(row)) {
                reject(row, reason::NO_EVENT, format!("no event in {}", self.event_name));
            } else if let Some(least) = late(time) {
                let detail = format!(
                    "time {time} (ns since 1970) is before {least}, until which events were waited for"
                );
                reject(row, reason::LATE, detail);
            } else {
                used.push(time);
                continue;
            }
            *kept = false;
        }
        let all = used.len() == times.len();
        Ok(Rows { times: used, kept: (!all).then(|| kept.into()) })
    }

    /// The identity columns of the rows that count, and their event and record id.
    pub(super) fn split(&self, batch: &RecordBatch, rows: &Rows) -> Result<(Vec<ArrayRef>, Vec<ArrayRef>)> {
        let hold = |index: usize| {
            let column = plain(batch.column(index))?;
            Ok(match &rows.kept {
                Some(kept) => filter(&column, kept)?,
                None => column,
            })
        };
        let identity = self.identity.iter().map(|index| hold(*index)).collect::<Result<_>>()?;
        let event = [self.event].into_iter().chain(self.record_id).map(hold).collect::<Result<_>>()?;
        Ok((identity, event))
    }
}

/// A dictionary's values in its place: dictionaries of different batches cannot always be one.
fn plain(column: &ArrayRef) -> Result<ArrayRef> {
    match column.as_any_dictionary_opt() {
        Some(dictionary) => Ok(take(dictionary.values(), dictionary.keys(), None)?),
        None => Ok(column.clone()),
    }
}

fn plain_type(dtype: &DataType) -> DataType {
    match dtype {
        DataType::Dictionary(_, values) => values.as_ref().clone(),
        other => other.clone(),
    }
}

/// Whether a column of this type can be held in part: copying rows of it leaves the rest behind.
fn holdable(dtype: &DataType) -> bool {
    match dtype {
        DataType::Struct(fields) => fields.iter().all(|field| holdable(field.data_type())),
        DataType::List(field) | DataType::LargeList(field) | DataType::Map(field, _) => {
            holdable(field.data_type())
        }
        DataType::Binary | DataType::LargeBinary => true,
        other => identity::supported(other),
    }
}

fn is_time(dtype: &DataType) -> bool {
    use DataType::{Date32, Date64, Int64, LargeUtf8, Null, Timestamp, UInt64, Utf8};
    matches!(dtype, Timestamp(..) | Date32 | Date64 | Int64 | UInt64 | Utf8 | LargeUtf8 | Null)
}

/// The type of the command in an event of this type.
fn command_type(event: &DataType) -> &DataType {
    match event {
        DataType::Struct(fields) => {
            fields.iter().find(|field| field.name() == "name").map_or(event, |field| field.data_type())
        }
        other => other,
    }
}

/// The commands of events: their names, or what they are themselves.
pub(super) fn commands(events: &ArrayRef) -> &ArrayRef {
    events.as_struct_opt().and_then(|event| event.column_by_name("name")).unwrap_or(events)
}

/// Which events are there: a command without name is none.
fn present(events: &ArrayRef) -> Option<NullBuffer> {
    NullBuffer::union(events.logical_nulls().as_ref(), commands(events).logical_nulls().as_ref())
}

/// Times as nanoseconds since 1970; null where there is none, or none that fits.
fn nanoseconds(times: &dyn Array) -> Int64Array {
    match times.data_type() {
        DataType::Timestamp(TimeUnit::Nanosecond, _) => scaled::<TimestampNanosecondType>(times, 1),
        DataType::Timestamp(TimeUnit::Microsecond, _) => scaled::<TimestampMicrosecondType>(times, 1000),
        DataType::Timestamp(TimeUnit::Millisecond, _) => scaled::<TimestampMillisecondType>(times, 1_000_000),
        DataType::Timestamp(TimeUnit::Second, _) => scaled::<TimestampSecondType>(times, 1_000_000_000),
        DataType::Date32 => scaled::<Date32Type>(times, 86_400_000_000_000),
        DataType::Date64 => scaled::<Date64Type>(times, 1_000_000),
        DataType::Int64 => scaled::<Int64Type>(times, 1),
        DataType::UInt64 => times.as_primitive::<UInt64Type>().unary_opt(|time| i64::try_from(time).ok()),
        DataType::Utf8 => parsed(times.as_string::<i32>().iter()),
        DataType::LargeUtf8 => parsed(times.as_string::<i64>().iter()),
        _ => Int64Array::new_null(times.len()),
    }
}

fn scaled<T: arrow_array::ArrowPrimitiveType<Native: Into<i64>>>(times: &dyn Array, unit: i64) -> Int64Array {
    let times: &PrimitiveArray<T> = times.as_primitive();
    if unit == 1 {
        return times.unary(Into::into);
    }
    times.unary_opt(|time| time.into().checked_mul(unit))
}

fn parsed<'a>(texts: impl ExactSizeIterator<Item = Option<&'a str>>) -> Int64Array {
    let mut out = Int64Builder::with_capacity(texts.len());
    for text in texts {
        out.append_option(text.and_then(|text| datetime::parse(text.as_bytes())));
    }
    out.finish()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use arrow_array::{
        StringArray, TimestampMillisecondArray, TimestampNanosecondArray, TimestampSecondArray, UInt64Array,
    };

    #[test]
    fn every_kind_of_time_is_nanoseconds_or_nothing() {
        let second = 1_000_000_000;
        let texts = ["1970-01-01T00:00:01", "1970-01-01T02:00:01.000+02:00", "yesterday", "9999-01-01"];
        let columns: [(ArrayRef, Vec<Option<i64>>); 5] = [
            (Arc::new(StringArray::from(texts.to_vec())), vec![Some(second), Some(second), None, None]),
            (
                Arc::new(TimestampSecondArray::from(vec![Some(1), Some(i64::MAX), None])),
                vec![Some(second), None, None],
            ),
            (
                Arc::new(TimestampMillisecondArray::from(vec![-1]).with_timezone("+05:30")),
                vec![Some(-1_000_000)],
            ),
            (Arc::new(TimestampNanosecondArray::from(vec![i64::MIN])), vec![Some(i64::MIN)]),
            (Arc::new(UInt64Array::from(vec![7, u64::MAX])), vec![Some(7), None]),
        ];
        for (column, expected) in columns {
            assert_eq!(nanoseconds(&column).iter().collect::<Vec<_>>(), expected, "{column:?}");
        }
    }
}
