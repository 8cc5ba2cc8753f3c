//! Load rules over whole columns.

use std::sync::Arc;

use arrow_array::builder::{
    BooleanBuilder, Float64Builder, Int64Builder, StringBuilder, TimestampNanosecondBuilder,
};
use arrow_array::{Array, ArrayRef, StringArray};
use arrow_schema::{DataType, TimeUnit as ArrowUnit};

use super::families;
use crate::datetime;
use crate::input::{Input, Missing};
use crate::profile::{ColumnType, LoadColumn, LoadRule, TimeUnit};

/// The Arrow type of times.
pub(crate) fn time_type() -> DataType {
    DataType::Timestamp(ArrowUnit::Nanosecond, Some("UTC".into()))
}

/// The Arrow type a rule makes.
pub(super) fn output_type(rule: &LoadRule) -> DataType {
    match rule {
        LoadRule::Column { dtype } | LoadRule::Rename { dtype, .. } => match dtype {
            ColumnType::String => DataType::Utf8,
            ColumnType::Int => DataType::Int64,
            ColumnType::Float => DataType::Float64,
            ColumnType::Bool => DataType::Boolean,
        },
        LoadRule::DateTime { .. } => time_type(),
        LoadRule::Bool { .. } | LoadRule::Present { .. } => DataType::Boolean,
        _ => DataType::Utf8,
    }
}

/// A computed column, and how many values of its input could not be read.
pub(super) struct Loaded {
    pub(super) array: ArrayRef,
    pub(super) unreadable: u64,
}

/// Computes one load column of `rows` rows; `inputs` are the rule's inputs in its own order.
pub(super) fn apply(column: &LoadColumn, missing: &Missing, inputs: &[Input<'_>], rows: usize) -> Loaded {
    let cells = Cells { inputs, missing, rows };
    match &column.rule {
        LoadRule::Column { dtype } | LoadRule::Rename { dtype, .. } => match dtype {
            ColumnType::String => cells.verbatim(column),
            ColumnType::Int => cells.ints(),
            ColumnType::Float => cells.floats(),
            ColumnType::Bool => cells.booleans(parse_bool),
        },
        LoadRule::DateTime { unit, .. } => cells.times(*unit),
        LoadRule::Bool { true_values, false_values, otherwise, .. } => cells.booleans(|text| {
            let listed = |values: &[String]| values.iter().any(|value| value == text);
            if listed(true_values) {
                Some(true)
            } else if listed(false_values) {
                Some(false)
            } else {
                *otherwise
            }
        }),
        LoadRule::Present { .. } => cells.present(),
        LoadRule::StringCat { sep, .. } => cells.joined(column, sep),
        LoadRule::StringJoin { sep, .. } => cells.items(column, sep),
        LoadRule::Coalesce { fold_case: false, .. } => {
            cells.texts(column, |text, out| out.append_value(text))
        }
        LoadRule::Coalesce { fold_case: true, .. } | LoadRule::Lower { .. } => {
            cells.rewritten(column, families::fold)
        }
        LoadRule::Map { values, otherwise, .. } => cells.texts(column, |text, out| {
            out.append_value(values.get(text).or(otherwise.as_ref()).map_or(text, String::as_str));
        }),
        LoadRule::BrowserFamily { .. } => {
            cells.texts(column, |text, out| out.append_value(families::browser(text)))
        }
        LoadRule::OsFamily { .. } => cells.rewritten(column, families::system),
        LoadRule::IpNetwork { v4, v6, .. } => {
            cells.rewritten(column, |text, out| families::network(text, *v4, *v6, out))
        }
    }
}

/// The entity of every row, as written: the first input that names one.
pub(super) fn entities(inputs: &[Input<'_>], missing: &Missing, rows: usize) -> StringArray {
    let cells = Cells { inputs, missing, rows };
    let mut out = cells.text_builder();
    let mut scratch = String::new();
    for row in 0..rows {
        out.append_option(cells.first(row, &mut scratch));
    }
    out.finish()
}

/// Times of a column that is not the source's own.
pub(super) fn times(input: Input<'_>, rows: usize) -> ArrayRef {
    let missing = Missing::new(&[String::new()]);
    Cells { inputs: &[input], missing: &missing, rows }.times(None).array
}

/// The cells a rule reads.
struct Cells<'a> {
    inputs: &'a [Input<'a>],
    missing: &'a Missing,
    rows: usize,
}

impl Cells<'_> {
    /// The text of one cell, unless it is missing.
    fn text<'s>(&'s self, input: &Input<'s>, row: usize, scratch: &'s mut String) -> Option<&'s str> {
        input.text(row, scratch).filter(|text| !self.missing.holds(text))
    }

    /// The first input's text that is not missing.
    fn first<'s>(&'s self, row: usize, scratch: &'s mut String) -> Option<&'s str> {
        let present = |input: &&Input<'_>, scratch: &mut String| {
            input.text(row, scratch).is_some_and(|text| !self.missing.holds(text))
        };
        let input = self.inputs.iter().find(|input| present(input, scratch))?;
        input.text(row, scratch)
    }

    /// A builder for about as much text as the first input holds.
    fn text_builder(&self) -> StringBuilder {
        let bytes = match self.inputs.first() {
            Some(Input::Text(array)) => array.value_offsets().last().zip(array.value_offsets().first()),
            _ => None,
        };
        StringBuilder::with_capacity(self.rows, bytes.map_or(0, |(end, start)| (end - start) as usize))
    }

    fn texts(&self, column: &LoadColumn, mut write: impl FnMut(&str, &mut StringBuilder)) -> Loaded {
        let mut out = self.text_builder();
        let mut scratch = String::new();
        for row in 0..self.rows {
            match self.first(row, &mut scratch) {
                Some(text) => write(text, &mut out),
                None => out.append_option(column.missing_as.as_deref()),
            }
        }
        Loaded { array: Arc::new(out.finish()), unreadable: 0 }
    }

    fn rewritten(&self, column: &LoadColumn, mut rewrite: impl FnMut(&str, &mut String)) -> Loaded {
        let mut rewritten = String::new();
        self.texts(column, |text, out| {
            rewrite(text, &mut rewritten);
            out.append_value(&rewritten);
        })
    }

    /// The text as it is; shares the raw column's memory where no cell changes.
    fn verbatim(&self, column: &LoadColumn) -> Loaded {
        if let [Input::Text(array)] = self.inputs {
            let words_to_drop = array.iter().flatten().any(|text| self.missing.holds(text));
            let words_to_fill = array.null_count() > 0 && column.missing_as.is_some();
            if !words_to_drop && !words_to_fill {
                return Loaded { array: Arc::new((*array).clone()), unreadable: 0 };
            }
        }
        self.texts(column, |text, out| out.append_value(text))
    }

    fn joined(&self, column: &LoadColumn, sep: &str) -> Loaded {
        let mut out = self.text_builder();
        let (mut scratch, mut whole) = (String::new(), String::new());
        for row in 0..self.rows {
            whole.clear();
            let mut parts = 0;
            for input in self.inputs {
                let Some(text) = self.text(input, row, &mut scratch).or(column.missing_as.as_deref()) else {
                    continue;
                };
                if parts > 0 {
                    whole.push_str(sep);
                }
                whole.push_str(text);
                parts += 1;
            }
            out.append_option((parts > 0).then_some(whole.as_str()));
        }
        Loaded { array: Arc::new(out.finish()), unreadable: 0 }
    }

    fn items(&self, column: &LoadColumn, sep: &str) -> Loaded {
        let mut unreadable = 0;
        let mut loaded = self.texts(column, |text, out| {
            let items = serde_json::from_str::<Vec<String>>(text).ok();
            unreadable += u64::from(items.is_none());
            out.append_option(items.map(|items| items.join(sep)).as_deref().or(column.missing_as.as_deref()));
        });
        loaded.unreadable = unreadable;
        loaded
    }

    /// One value per row from its text; the second answer is how many texts gave none.
    fn values<T>(&self, read: impl Fn(&str) -> Option<T>, mut append: impl FnMut(Option<T>)) -> u64 {
        let mut scratch = String::new();
        let mut unreadable = 0;
        for row in 0..self.rows {
            let text = self.first(row, &mut scratch);
            let value = text.and_then(&read);
            unreadable += u64::from(text.is_some() && value.is_none());
            append(value);
        }
        unreadable
    }

    fn ints(&self) -> Loaded {
        if let [Input::Int(array)] = self.inputs {
            return Loaded { array: Arc::new((*array).clone()), unreadable: 0 };
        }
        let mut out = Int64Builder::with_capacity(self.rows);
        let unreadable = self.values(parse_int, |value| out.append_option(value));
        Loaded { array: Arc::new(out.finish()), unreadable }
    }

    fn floats(&self) -> Loaded {
        let mut out = Float64Builder::with_capacity(self.rows);
        let unreadable = if let [Input::Float(array)] = self.inputs {
            array.iter().fold(0, |unreadable, value| {
                let finite = value.filter(|value| value.is_finite());
                out.append_option(finite);
                unreadable + u64::from(value.is_some() && finite.is_none())
            })
        } else {
            self.values(parse_float, |value| out.append_option(value))
        };
        Loaded { array: Arc::new(out.finish()), unreadable }
    }

    fn booleans(&self, read: impl Fn(&str) -> Option<bool>) -> Loaded {
        let mut out = BooleanBuilder::with_capacity(self.rows);
        let unreadable = self.values(read, |value| out.append_option(value));
        Loaded { array: Arc::new(out.finish()), unreadable }
    }

    fn present(&self) -> Loaded {
        let mut out = BooleanBuilder::with_capacity(self.rows);
        let mut scratch = String::new();
        for row in 0..self.rows {
            out.append_value(self.first(row, &mut scratch).is_some());
        }
        Loaded { array: Arc::new(out.finish()), unreadable: 0 }
    }

    fn times(&self, unit: Option<TimeUnit>) -> Loaded {
        if let [Input::Time(array)] = self.inputs {
            return Loaded { array: Arc::new((*array).clone().with_timezone("UTC")), unreadable: 0 };
        }
        let numbers = matches!(self.inputs, [Input::Int(_) | Input::Float(_)]);
        let read = |text: &str| {
            let iso = if numbers { None } else { datetime::parse(text.as_bytes()) };
            iso.or_else(|| since_1970(text, unit?))
        };
        let mut out = TimestampNanosecondBuilder::with_capacity(self.rows).with_timezone("UTC");
        let unreadable = self.values(read, |value| out.append_option(value));
        Loaded { array: Arc::new(out.finish()), unreadable }
    }
}

fn parse_bool(text: &str) -> Option<bool> {
    match text.trim() {
        "1" => Some(true),
        "0" => Some(false),
        text if text.eq_ignore_ascii_case("true") => Some(true),
        text if text.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

/// A whole number; `3.0` is one too, `true` and `false` are 1 and 0.
fn parse_int(text: &str) -> Option<i64> {
    let text = text.trim();
    let whole = |text: &str| {
        let number = parse_float(text)?;
        (number.fract() == 0.0 && number.abs() < 9.0e18).then_some(number as i64)
    };
    text.parse().ok().or_else(|| parse_bool(text).map(i64::from)).or_else(|| whole(text))
}

/// A finite number; `true` and `false` are 1 and 0.
fn parse_float(text: &str) -> Option<f64> {
    let text = text.trim();
    let number = text.parse().ok().or_else(|| parse_bool(text).map(f64::from));
    number.filter(|number| number.is_finite())
}

fn since_1970(text: &str, unit: TimeUnit) -> Option<i64> {
    let text = text.trim();
    if let Ok(whole) = text.parse::<i64>() {
        return whole.checked_mul(unit.nanoseconds());
    }
    let nanoseconds = parse_float(text)? * unit.nanoseconds() as f64;
    (nanoseconds.abs() < 9.2e18).then_some(nanoseconds as i64)
}
