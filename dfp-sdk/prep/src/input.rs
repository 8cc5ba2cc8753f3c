//! Raw columns, read as text whatever their type.

use std::fmt::Write;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type, TimestampNanosecondType};
use arrow_array::{Array, BooleanArray, Float64Array, Int64Array, StringArray, TimestampNanosecondArray};
use arrow_schema::{DataType, TimeUnit};

use crate::profile::{Filter, Scalar};

/// Words that mean "no value".
#[derive(Debug, Clone)]
pub(crate) struct Missing(Vec<String>);

impl Missing {
    pub(crate) fn new(words: &[String]) -> Self {
        Self(words.iter().map(|word| word.trim().to_owned()).collect())
    }

    pub(crate) fn holds(&self, text: &str) -> bool {
        let text = text.trim();
        self.0.iter().any(|word| word.eq_ignore_ascii_case(text))
    }
}

/// A raw column; a column the source does not have is null in every row.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Input<'a> {
    Absent,
    Text(&'a StringArray),
    Int(&'a Int64Array),
    Float(&'a Float64Array),
    Bool(&'a BooleanArray),
    Time(&'a TimestampNanosecondArray),
}

/// Which rows pass a filter on their column.
pub(crate) fn passing(filter: &Filter, input: Input<'_>, rows: usize) -> Vec<bool> {
    if let Some(present) = filter.present {
        return (0..rows).map(|row| input.is_null(row) != present).collect();
    }
    let wanted = filter.equals.is_some();
    let value =
        filter.equals.as_ref().or(filter.not_equals.as_ref()).map(Scalar::to_string).unwrap_or_default();
    let mut scratch = String::new();
    (0..rows).map(|row| input.text(row, &mut scratch).is_some_and(|text| (text == value) == wanted)).collect()
}

/// Whether raw columns may have this type.
pub(crate) fn readable(dtype: &DataType) -> bool {
    use DataType::{Boolean, Float64, Int64, Null, Timestamp, Utf8};
    matches!(dtype, Null | Utf8 | Int64 | Float64 | Boolean | Timestamp(TimeUnit::Nanosecond, _))
}

impl<'a> Input<'a> {
    /// Reads a column of a [`readable`] type.
    pub(crate) fn of(array: Option<&'a dyn Array>) -> Self {
        let Some(array) = array else { return Self::Absent };
        match array.data_type() {
            DataType::Utf8 => Self::Text(array.as_string()),
            DataType::Int64 => Self::Int(array.as_primitive::<Int64Type>()),
            DataType::Float64 => Self::Float(array.as_primitive::<Float64Type>()),
            DataType::Boolean => Self::Bool(array.as_boolean()),
            DataType::Timestamp(TimeUnit::Nanosecond, _) => {
                Self::Time(array.as_primitive::<TimestampNanosecondType>())
            }
            _ => Self::Absent,
        }
    }

    pub(crate) fn is_null(&self, row: usize) -> bool {
        match self {
            Self::Absent => true,
            Self::Text(array) => array.is_null(row),
            Self::Int(array) => array.is_null(row),
            Self::Float(array) => array.is_null(row),
            Self::Bool(array) => array.is_null(row),
            Self::Time(array) => array.is_null(row),
        }
    }

    /// The value as text; numbers and booleans are written to `scratch`.
    pub(crate) fn text<'s>(&self, row: usize, scratch: &'s mut String) -> Option<&'s str>
    where
        'a: 's,
    {
        if self.is_null(row) {
            return None;
        }
        scratch.clear();
        // Writing to a String cannot fail.
        let _ = match self {
            Self::Absent => return None,
            Self::Text(array) => return Some(array.value(row)),
            Self::Int(array) => write!(scratch, "{}", array.value(row)),
            Self::Float(array) => write!(scratch, "{}", array.value(row)),
            Self::Bool(array) => write!(scratch, "{}", array.value(row)),
            Self::Time(array) => write!(scratch, "{}", array.value(row)),
        };
        Some(scratch)
    }
}
