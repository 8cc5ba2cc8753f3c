//! Cells of any Arrow type as text for people.

use std::fmt::Write;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Date64Type, Decimal32Type, Decimal64Type, Decimal128Type, Decimal256Type,
    DurationMicrosecondType, DurationMillisecondType, DurationNanosecondType, DurationSecondType,
    Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, RunEndIndexType,
    Time32MillisecondType, Time32SecondType, Time64MicrosecondType, Time64NanosecondType,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
    UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef, StructArray};
use arrow_schema::{DataType, TimeUnit};

/// A cell's text ends here, in bytes: a page is for reading.
const LONGEST: usize = 4_000;
/// Values nested deeper are not shown.
const DEEPEST: usize = 8;

/// A cell as text; none where it is null.
pub(super) fn cell_text(array: &dyn Array, row: usize) -> Option<String> {
    let mut text = String::new();
    (!is_null(array, row)).then(|| {
        cell(&mut text, array, row, 0);
        clipped(text)
    })
}

/// The events of a window, each as text; a cell that is no list is one event.
pub(super) fn events(array: &dyn Array, row: usize) -> Vec<String> {
    if is_null(array, row) {
        return Vec::new();
    }
    match elements(array, row) {
        Some(elements) => (0..elements.len()).map(|event| clipped(event_text(&elements, event))).collect(),
        None => cell_text(array, row).into_iter().collect(),
    }
}

/// `name`, or `name(parameter, parameter=value)`.
fn event_text(array: &dyn Array, row: usize) -> String {
    let mut text = String::new();
    match command(array, row) {
        Some((name, params)) => {
            part(&mut text, name, row);
            write_params(&mut text, params, row);
        }
        None => cell(&mut text, array, row, 0),
    }
    if text.is_empty() { "\"\"".into() } else { text }
}

/// The columns of a struct of `name` and `params`.
fn command(array: &dyn Array, row: usize) -> Option<(&ArrayRef, &ArrayRef)> {
    let command = array.as_struct_opt().filter(|_| !is_null(array, row))?;
    Some((command.column_by_name("name")?, command.column_by_name("params")?))
}

fn write_params(text: &mut String, params: &ArrayRef, row: usize) {
    if is_null(params, row) {
        return;
    }
    let Some(elements) = elements(params, row) else { return };
    let map = elements.as_struct_opt().filter(|_| matches!(params.data_type(), DataType::Map(..)));
    for param in 0..elements.len() {
        if text.len() > LONGEST {
            break;
        }
        text.push_str(if param == 0 { "(" } else { ", " });
        match map {
            Some(pairs) => write_pair(text, pairs, param),
            None => part(text, &elements, param),
        }
    }
    if !elements.is_empty() {
        text.push(')');
    }
}

/// `name=value`, or only the name where the value is null or empty.
fn write_pair(text: &mut String, pairs: &StructArray, row: usize) {
    part(text, pairs.column(0), row);
    let value = pairs.column(1);
    if cell_text(value, row).is_some_and(|value| !value.is_empty()) {
        text.push('=');
        part(text, value, row);
    }
}

/// A piece of an event, in quotes where it could be taken for something else.
fn part(text: &mut String, array: &dyn Array, row: usize) {
    let piece = cell_text(array, row).unwrap_or_else(|| "null".into());
    let plain =
        !piece.is_empty() && piece.trim() == piece && !piece.contains(['(', ')', ',', '=', '"', '\n']);
    if plain {
        text.push_str(&piece);
    } else {
        push(text, &format_args!("{piece:?}"));
    }
}

fn cell(text: &mut String, array: &dyn Array, row: usize, depth: usize) {
    if is_null(array, row) {
        return text.push_str("null");
    }
    if depth > DEEPEST {
        return text.push('…');
    }
    if let Some(elements) = elements(array, row) {
        return match array.data_type() {
            DataType::Map(..) => write_fields(text, &elements, depth),
            _ => write_list(text, &elements, depth),
        };
    }
    if let Some((value, at)) = pointed_at(array, row) {
        return cell(text, &value, at, depth + 1);
    }
    if scalar(text, array, row).is_some() {
        return;
    }
    match array.data_type() {
        DataType::Struct(_) => write_struct(text, array.as_struct(), row, depth),
        // Intervals.
        _ => push(text, &format_args!("{:?}", array.slice(row, 1))),
    }
}

/// Whether a cell is null, also where the null is that of a value it points to.
fn is_null(array: &dyn Array, row: usize) -> bool {
    let behind = || pointed_at(array, row).is_some_and(|(value, at)| is_null(&value, at));
    array.is_null(row) || *array.data_type() == DataType::Null || behind()
}

/// What a cell of a dictionary, a run or a union points to: an array and a row of it.
fn pointed_at(array: &dyn Array, row: usize) -> Option<(ArrayRef, usize)> {
    fn run<T: RunEndIndexType>(array: &dyn Array, row: usize) -> (ArrayRef, usize) {
        let runs = array.as_run::<T>();
        (Arc::clone(runs.values()), runs.get_physical_index(row))
    }
    match array.data_type() {
        DataType::Dictionary(..) => {
            let cell = array.slice(row, 1);
            let cell = cell.as_any_dictionary();
            Some((Arc::clone(cell.values()), cell.normalized_keys()[0]))
        }
        DataType::RunEndEncoded(ends, _) => Some(match ends.data_type() {
            DataType::Int16 => run::<Int16Type>(array, row),
            DataType::Int32 => run::<Int32Type>(array, row),
            _ => run::<Int64Type>(array, row),
        }),
        DataType::Union(..) => Some((array.as_union().value(row), 0)),
        _ => None,
    }
}

/// The elements of a list cell, the pairs of a map cell.
fn elements(array: &dyn Array, row: usize) -> Option<ArrayRef> {
    match array.data_type() {
        DataType::List(_) => Some(array.as_list::<i32>().value(row)),
        DataType::LargeList(_) => Some(array.as_list::<i64>().value(row)),
        DataType::ListView(_) => Some(array.as_list_view::<i32>().value(row)),
        DataType::LargeListView(_) => Some(array.as_list_view::<i64>().value(row)),
        DataType::FixedSizeList(..) => Some(array.as_fixed_size_list().value(row)),
        DataType::Map(..) => Some(Arc::new(array.as_map().value(row))),
        _ => None,
    }
}

fn write_list(text: &mut String, elements: &ArrayRef, depth: usize) {
    text.push('[');
    for element in 0..elements.len() {
        if element > 0 {
            text.push_str(", ");
        }
        if text.len() > LONGEST {
            break;
        }
        cell(text, elements, element, depth + 1);
    }
    text.push(']');
}

/// The pairs of a map.
fn write_fields(text: &mut String, pairs: &ArrayRef, depth: usize) {
    let pairs = pairs.as_struct();
    text.push('{');
    for pair in 0..pairs.len() {
        if pair > 0 {
            text.push_str(", ");
        }
        if text.len() > LONGEST {
            break;
        }
        cell(text, pairs.column(0), pair, depth + 1);
        text.push('=');
        cell(text, pairs.column(1), pair, depth + 1);
    }
    text.push('}');
}

fn write_struct(text: &mut String, array: &StructArray, row: usize, depth: usize) {
    text.push('{');
    for (index, (field, column)) in array.fields().iter().zip(array.columns()).enumerate() {
        if index > 0 {
            text.push_str(", ");
        }
        push(text, &format_args!("{}=", field.name()));
        cell(text, column, row, depth + 1);
    }
    text.push('}');
}

/// Writes a value that is no nest of others; none for types it does not know.
#[rustfmt::skip]
fn scalar(text: &mut String, array: &dyn Array, row: usize) -> Option<()> {
    macro_rules! value { ($type:ty) => { array.as_primitive::<$type>().value(row) }; }
    macro_rules! time { ($type:ty) => { array.as_primitive::<$type>().value_as_datetime(row)? }; }
    macro_rules! clock { ($type:ty) => { array.as_primitive::<$type>().value_as_time(row)? }; }
    macro_rules! decimal { ($type:ty) => { array.as_primitive::<$type>().value_as_string(row) }; }
    match array.data_type() {
        DataType::Utf8 => push(text, &array.as_string::<i32>().value(row)),
        DataType::LargeUtf8 => push(text, &array.as_string::<i64>().value(row)),
        DataType::Utf8View => push(text, &array.as_string_view().value(row)),
        DataType::Binary => hex(text, array.as_binary::<i32>().value(row)),
        DataType::LargeBinary => hex(text, array.as_binary::<i64>().value(row)),
        DataType::BinaryView => hex(text, array.as_binary_view().value(row)),
        DataType::FixedSizeBinary(_) => hex(text, array.as_fixed_size_binary().value(row)),
        DataType::Boolean => push(text, &array.as_boolean().value(row)),
        DataType::Int8 => push(text, &value!(Int8Type)),
        DataType::Int16 => push(text, &value!(Int16Type)),
        DataType::Int32 => push(text, &value!(Int32Type)),
        DataType::Int64 => push(text, &value!(Int64Type)),
        DataType::UInt8 => push(text, &value!(UInt8Type)),
        DataType::UInt16 => push(text, &value!(UInt16Type)),
        DataType::UInt32 => push(text, &value!(UInt32Type)),
        DataType::UInt64 => push(text, &value!(UInt64Type)),
        DataType::Float16 => push(text, &value!(Float16Type)),
        DataType::Float32 => push(text, &value!(Float32Type)),
        DataType::Float64 => push(text, &value!(Float64Type)),
        DataType::Decimal32(..) => push(text, &decimal!(Decimal32Type)),
        DataType::Decimal64(..) => push(text, &decimal!(Decimal64Type)),
        DataType::Decimal128(..) => push(text, &decimal!(Decimal128Type)),
        DataType::Decimal256(..) => push(text, &decimal!(Decimal256Type)),
        DataType::Timestamp(TimeUnit::Second, _) => push(text, &format_args!("{:?}Z", time!(TimestampSecondType))),
        DataType::Timestamp(TimeUnit::Millisecond, _) => push(text, &format_args!("{:?}Z", time!(TimestampMillisecondType))),
        DataType::Timestamp(TimeUnit::Microsecond, _) => push(text, &format_args!("{:?}Z", time!(TimestampMicrosecondType))),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => push(text, &format_args!("{:?}Z", time!(TimestampNanosecondType))),
        DataType::Date32 => push(text, &array.as_primitive::<Date32Type>().value_as_date(row)?),
        DataType::Date64 => push(text, &array.as_primitive::<Date64Type>().value_as_date(row)?),
        DataType::Time32(TimeUnit::Second) => push(text, &clock!(Time32SecondType)),
        DataType::Time32(_) => push(text, &clock!(Time32MillisecondType)),
        DataType::Time64(TimeUnit::Microsecond) => push(text, &clock!(Time64MicrosecondType)),
        DataType::Time64(_) => push(text, &clock!(Time64NanosecondType)),
        DataType::Duration(TimeUnit::Second) => duration(text, value!(DurationSecondType), 1_000_000_000),
        DataType::Duration(TimeUnit::Millisecond) => duration(text, value!(DurationMillisecondType), 1_000_000),
        DataType::Duration(TimeUnit::Microsecond) => duration(text, value!(DurationMicrosecondType), 1_000),
        DataType::Duration(TimeUnit::Nanosecond) => duration(text, value!(DurationNanosecondType), 1),
        _ => return None,
    }
    Some(())
}

fn push(text: &mut String, value: &dyn std::fmt::Display) {
    // A String takes everything.
    let _ = write!(text, "{value}");
}

fn hex(text: &mut String, bytes: &[u8]) {
    text.push_str("0x");
    for byte in bytes.iter().take(LONGEST / 2) {
        push(text, &format_args!("{byte:02x}"));
    }
}

/// `1d 2h 3m 4.5s`, without the parts that are zero.
fn duration(text: &mut String, value: i64, unit: i64) {
    let nanoseconds = i128::from(value) * i128::from(unit);
    if nanoseconds < 0 {
        text.push('-');
    }
    let mut rest = nanoseconds.unsigned_abs();
    let start = text.len();
    for (name, length) in [("d", 86_400_000_000_000), ("h", 3_600_000_000_000), ("m", 60_000_000_000)] {
        if rest >= length {
            push(text, &format_args!("{}{name} ", rest / length));
            rest %= length;
        }
    }
    if rest > 0 || text.len() == start {
        let seconds = format!("{}.{:09}", rest / 1_000_000_000, rest % 1_000_000_000);
        push(text, &format_args!("{}s", seconds.trim_end_matches('0').trim_end_matches('.')));
    } else {
        text.pop();
    }
}

fn clipped(mut text: String) -> String {
    if text.len() > LONGEST {
        let end = (0..=LONGEST).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
    text
}
