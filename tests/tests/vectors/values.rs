//! Reading vectors: numbers, lists, tables; and comparing.

use std::sync::Arc;

use arrow_array::{ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray};
use serde_json::Value;

/// A number; null is not a number, infinities are text.
pub(crate) fn number(value: &Value) -> f64 {
    match value {
        Value::Null => f64::NAN,
        Value::String(text) => text.parse().unwrap_or_else(|_| panic!("`{text}` is no number")),
        other => other.as_f64().unwrap_or_else(|| panic!("{other} is no number")),
    }
}

/// A list; missing is empty.
pub(crate) fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// All numbers of nested lists, in order.
pub(crate) fn flat(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(items) => items.iter().flat_map(flat).collect(),
        other => vec![number(other)],
    }
}

pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text")).to_owned()
}

pub(crate) fn index(value: &Value) -> usize {
    usize::try_from(value.as_u64().unwrap_or_else(|| panic!("{value} is no count"))).expect("it fits")
}

/// Whether two numbers agree within an absolute plus relative tolerance.
pub(crate) fn close(found: f64, expected: f64, tolerance: f64) -> bool {
    (found - expected).abs() <= tolerance * (1.0 + expected.abs())
}

/// Panics, naming the place, unless all numbers agree.
pub(crate) fn assert_close(what: &str, found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len(), "{what}: number of values");
    for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert!(close(*found, *expected, tolerance), "{what}[{i}] is {found}, expected {expected}");
    }
}

/// A table `{columns, dtypes, rows}` as a batch.
pub(crate) fn table(value: &Value) -> RecordBatch {
    let columns = list(&value["columns"]).iter().enumerate().map(|(i, name)| {
        let name = text(name);
        let cells: Vec<&Value> = list(&value["rows"]).iter().map(|row| &row[i]).collect();
        let column = column(value["dtypes"][&name].as_str().unwrap_or("object"), &cells);
        (name, column, true)
    });
    RecordBatch::try_from_iter_with_nullable(columns).expect("columns have one length")
}

/// A column of a pandas type. Objects are booleans if all cells but nulls are, else texts.
fn column(dtype: &str, cells: &[&Value]) -> ArrayRef {
    let some = |cell: &&&Value| !cell.is_null();
    let mut present = cells.iter().filter(some).peekable();
    let is_boolean = dtype == "bool" || (present.peek().is_some() && present.all(|cell| cell.is_boolean()));
    if is_boolean {
        return Arc::new(cells.iter().map(|cell| cell.as_bool()).collect::<BooleanArray>());
    }
    if dtype.starts_with("float") {
        let number = |cell: &&Value| if cell.is_null() { None } else { Some(number(cell)) };
        return Arc::new(cells.iter().map(number).collect::<Float64Array>());
    }
    if dtype.starts_with("int") {
        return Arc::new(cells.iter().map(|cell| cell.as_i64()).collect::<Int64Array>());
    }
    let text = |cell: &&Value| if cell.is_null() { None } else { Some(text(cell)) };
    Arc::new(cells.iter().map(text).collect::<StringArray>())
}
