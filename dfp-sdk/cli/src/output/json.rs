//! Rows as JSON objects.

use std::io::Write;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    DurationNanosecondType, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
    UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, RecordBatch, StructArray};
use arrow_schema::{DataType, Schema, TimeUnit};
use dfp_sdk::core::{Error, ErrorKind, Result};
use jiff::Timestamp;
use serde::Serialize;

/// Refuses columns that JSON lines would not hold.
pub(crate) fn check(schema: &Schema) -> Result<()> {
    let Some(field) = schema.fields().iter().find(|field| !holds(field.data_type())) else { return Ok(()) };
    let what = format!(
        "column {} is {}, which JSON lines do not hold: use --format parquet, or name other columns",
        field.name(),
        field.data_type()
    );
    Err(Error::new(ErrorKind::Unsupported, what))
}

/// Whether [`write_value`] writes values of this type.
pub(crate) fn holds(data_type: &DataType) -> bool {
    use DataType as T;
    match data_type {
        T::Dictionary(_, values) => holds(values),
        T::List(item) | T::LargeList(item) => holds(item.data_type()),
        T::Struct(fields) => fields.iter().all(|field| holds(field.data_type())),
        // Keys and values.
        T::Map(entries, _) => {
            matches!(entries.data_type(), T::Struct(pair) if pair[0].data_type() == &T::Utf8 && holds(pair[1].data_type()))
        }
        T::Duration(unit) => *unit == TimeUnit::Nanosecond,
        T::Null | T::Boolean | T::Utf8 | T::LargeUtf8 | T::Utf8View | T::Timestamp(..) => true,
        other => other.is_integer() || matches!(other, T::Float32 | T::Float64),
    }
}

/// The rows of a batch whose schema was [checked](check).
pub(crate) struct Rows<'a> {
    /// Names as JSON, with the colon.
    columns: Vec<(Vec<u8>, &'a dyn Array)>,
}

impl<'a> Rows<'a> {
    pub(crate) fn new(batch: &'a RecordBatch) -> Self {
        let schema = batch.schema();
        let columns = schema.fields().iter().zip(batch.columns()).map(|(field, column)| {
            let mut name = Vec::new();
            write(field.name(), &mut name);
            name.push(b':');
            (name, column.as_ref())
        });
        Self { columns: columns.collect() }
    }

    /// One row as a line: values that are null or not a number are left out.
    pub(crate) fn write(&self, row: usize, out: &mut Vec<u8>) {
        out.push(b'{');
        let start = out.len();
        for (name, column) in &self.columns {
            let before = out.len();
            if before > start {
                out.push(b',');
            }
            out.extend(name);
            if !write_value(*column, row, out) {
                out.truncate(before);
            }
        }
        out.extend(b"}\n");
    }
}

/// Writes one value; answers whether there is one. Times are ISO 8601 UTC, durations seconds.
pub(crate) fn write_value(array: &dyn Array, row: usize, out: &mut Vec<u8>) -> bool {
    if array.is_null(row) {
        return false;
    }
    match array.data_type() {
        DataType::Boolean => write(&array.as_boolean().value(row), out),
        DataType::Utf8 => write(array.as_string::<i32>().value(row), out),
        DataType::LargeUtf8 => write(array.as_string::<i64>().value(row), out),
        DataType::Utf8View => write(array.as_string_view().value(row), out),
        DataType::Int8 => write(&array.as_primitive::<Int8Type>().value(row), out),
        DataType::Int16 => write(&array.as_primitive::<Int16Type>().value(row), out),
        DataType::Int32 => write(&array.as_primitive::<Int32Type>().value(row), out),
        DataType::Int64 => write(&array.as_primitive::<Int64Type>().value(row), out),
        DataType::UInt8 => write(&array.as_primitive::<UInt8Type>().value(row), out),
        DataType::UInt16 => write(&array.as_primitive::<UInt16Type>().value(row), out),
        DataType::UInt32 => write(&array.as_primitive::<UInt32Type>().value(row), out),
        DataType::UInt64 => write(&array.as_primitive::<UInt64Type>().value(row), out),
        DataType::Float32 => {
            let number = array.as_primitive::<Float32Type>().value(row);
            number.is_finite() && write(&number, out)
        }
        DataType::Float64 => {
            let number = array.as_primitive::<Float64Type>().value(row);
            number.is_finite() && write(&number, out)
        }
        DataType::Timestamp(unit, _) => time(array, *unit, row).is_some_and(|time| {
            // A time has no character that JSON escapes, and writing to memory cannot fail.
            write!(out, "\"{time}\"").is_ok()
        }),
        DataType::Dictionary(..) => key(array.as_any_dictionary().keys(), row)
            .is_some_and(|key| write_value(array.as_any_dictionary().values().as_ref(), key, out)),
        DataType::List(_) => write_list(array.as_list::<i32>().value(row).as_ref(), out),
        DataType::LargeList(_) => write_list(array.as_list::<i64>().value(row).as_ref(), out),
        DataType::Struct(fields) => {
            out.push(b'{');
            let start = out.len();
            for (field, column) in fields.iter().zip(array.as_struct().columns()) {
                let before = out.len();
                if before > start {
                    out.push(b',');
                }
                write(field.name(), out);
                out.push(b':');
                if !write_value(column.as_ref(), row, out) {
                    out.truncate(before);
                }
            }
            out.push(b'}');
            true
        }
        DataType::Map(..) => write_map(&array.as_map().value(row), out),
        DataType::Duration(_) => {
            let seconds = array.as_primitive::<DurationNanosecondType>().value(row) as f64 / 1e9;
            write(&seconds, out)
        }
        _ => false,
    }
}

/// Entries as one object; a key without value is null.
fn write_map(entries: &StructArray, out: &mut Vec<u8>) -> bool {
    let (keys, values) = (entries.column(0).as_string::<i32>(), entries.column(1));
    out.push(b'{');
    for entry in 0..entries.len() {
        if entry > 0 {
            out.push(b',');
        }
        write(keys.value(entry), out);
        out.push(b':');
        if !write_value(values.as_ref(), entry, out) {
            out.extend(b"null");
        }
    }
    out.push(b'}');
    true
}

fn write_list(items: &dyn Array, out: &mut Vec<u8>) -> bool {
    out.push(b'[');
    for index in 0..items.len() {
        if index > 0 {
            out.push(b',');
        }
        if !write_value(items, index, out) {
            out.extend(b"null");
        }
    }
    out.push(b']');
    true
}

fn write<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) -> bool {
    serde_json::to_writer(out, value).is_ok()
}

fn time(array: &dyn Array, unit: TimeUnit, row: usize) -> Option<Timestamp> {
    let (count, nanoseconds) = match unit {
        TimeUnit::Second => (array.as_primitive::<TimestampSecondType>().value(row), 1_000_000_000),
        TimeUnit::Millisecond => (array.as_primitive::<TimestampMillisecondType>().value(row), 1_000_000),
        TimeUnit::Microsecond => (array.as_primitive::<TimestampMicrosecondType>().value(row), 1000),
        TimeUnit::Nanosecond => (array.as_primitive::<TimestampNanosecondType>().value(row), 1),
    };
    Timestamp::from_nanosecond(i128::from(count) * nanoseconds).ok()
}

/// A dictionary's key.
fn key(keys: &dyn Array, row: usize) -> Option<usize> {
    match keys.data_type() {
        DataType::Int8 => usize::try_from(keys.as_primitive::<Int8Type>().value(row)).ok(),
        DataType::Int16 => usize::try_from(keys.as_primitive::<Int16Type>().value(row)).ok(),
        DataType::Int32 => usize::try_from(keys.as_primitive::<Int32Type>().value(row)).ok(),
        DataType::Int64 => usize::try_from(keys.as_primitive::<Int64Type>().value(row)).ok(),
        DataType::UInt8 => Some(usize::from(keys.as_primitive::<UInt8Type>().value(row))),
        DataType::UInt16 => Some(usize::from(keys.as_primitive::<UInt16Type>().value(row))),
        DataType::UInt32 => usize::try_from(keys.as_primitive::<UInt32Type>().value(row)).ok(),
        DataType::UInt64 => usize::try_from(keys.as_primitive::<UInt64Type>().value(row)).ok(),
        _ => None,
    }
}
