//! A batch as the rarity model sees it: days, hours, value codes and counts.

use std::collections::{HashMap, HashSet};

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    TimestampNanosecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, RecordBatch};
use arrow_schema::{DataType, Schema, TimeUnit};
use dfp_core::EVENT_TIME;
use foldhash::fast::FixedState;

use super::config::Config;
use crate::{Error, Result};

/// Column of the entity's key, as the preparation names it.
const ENTITY: &str = "_entity";
const HOUR: i64 = 3_600_000_000_000;
const DAY: i64 = 24 * HOUR;

/// A map whose iteration order nobody relies on and whose hashes are the same in every run.
pub(crate) type Map<K, V> = HashMap<K, V, FixedState>;
/// A set of that sort.
pub(crate) type Set<K> = HashSet<K, FixedState>;

/// What a feature is to this model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A text or a boolean: is this value usual?
    Value,
    /// A number: is it large?
    Count,
    /// The hour of the day.
    Hour,
}

/// A feature by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Feature {
    pub(crate) name: String,
    pub(crate) dtype: DataType,
    pub(crate) kind: Kind,
}

impl Feature {
    /// A column as a feature, if its type can be one.
    pub(crate) fn of(name: &str, dtype: &DataType, config: &Config) -> Result<Self> {
        let kind = match dtype {
            DataType::Utf8 | DataType::Boolean => Kind::Value,
            DataType::Dictionary(key, value) if **key == DataType::Int32 && **value == DataType::Utf8 => {
                Kind::Value
            }
            dtype if dtype.is_integer() || dtype.is_floating() => Kind::Count,
            other => return Err(unusable(name, other, "text, boolean or a number")),
        };
        let kind = if name == config.hour { Kind::Hour } else { kind };
        Ok(Self { name: name.to_owned(), dtype: dtype.clone(), kind })
    }

    /// Whether what is usual of it is told as text.
    pub(crate) fn is_text(&self) -> bool {
        !(self.dtype.is_integer() || self.dtype.is_floating())
    }
}

/// Finds the features called `names`.
pub(crate) fn features(schema: &Schema, names: &[String], config: &Config) -> Result<Vec<Feature>> {
    let feature = |name: &String| {
        let field =
            schema.field_with_name(name).map_err(|_| Error::MissingColumn { column: name.clone() })?;
        Feature::of(name, field.data_type(), config)
    };
    names.iter().map(feature).collect()
}

fn unusable(column: &str, found: &DataType, needed: &'static str) -> Error {
    Error::ColumnType { column: column.to_owned(), found: found.to_string(), needed }
}

/// Texts as numbers, in the order of first appearance; a missing value is the empty text.
#[derive(Debug, Default)]
pub(crate) struct Values {
    pub(crate) codes: Vec<u32>,
    pub(crate) names: Vec<String>,
    /// Per row, on how many earlier days the entity had the value, if the batch says so.
    pub(crate) days_seen: Option<Vec<u32>>,
}

/// One feature's column.
#[derive(Debug)]
pub(crate) enum Column {
    Values(Values),
    /// ln(1 + number); what is missing, negative, infinite or no number is 0.
    Counts(Vec<f64>),
    /// The table's own hours.
    Hours,
}

/// A batch, decoded.
#[derive(Debug)]
pub(crate) struct Table {
    /// Nanoseconds since 1970, UTC.
    pub(crate) times: Vec<i64>,
    /// UTC days since 1970.
    pub(crate) days: Vec<i64>,
    /// 0 to 23 on weekdays, 24 to 47 at weekends, UTC.
    pub(crate) hours: Vec<u8>,
    /// Rows of each entity, oldest first. Entities are in the order of first appearance.
    pub(crate) entities: Vec<Vec<usize>>,
    /// In the order of the features.
    pub(crate) columns: Vec<Column>,
}

impl Table {
    /// Decodes the columns of `features`.
    pub(crate) fn of(batch: &RecordBatch, features: &[Feature], config: &Config) -> Result<Self> {
        let times = times(batch)?;
        let columns = features.iter().map(|feature| column(batch, feature, config));
        Ok(Self {
            days: times.iter().map(|time| time.div_euclid(DAY)).collect(),
            hours: times.iter().map(|time| hour_of_week(*time)).collect(),
            entities: entities(batch, &times),
            columns: columns.collect::<Result<_>>()?,
            times,
        })
    }

    /// The rows' first and last day.
    pub(crate) fn span(&self) -> (i64, i64) {
        let first = self.days.iter().copied().min().unwrap_or_default();
        (first, self.days.iter().copied().max().unwrap_or(first))
    }
}

fn hour_of_week(time: i64) -> u8 {
    // 1970-01-01 was a Thursday.
    let weekend = (time.div_euclid(DAY) + 3).rem_euclid(7) >= 5;
    (time.rem_euclid(DAY) / HOUR) as u8 + if weekend { 24 } else { 0 }
}

/// The UTC days since 1970 of a batch's rows.
pub(crate) fn days_of(batch: &RecordBatch) -> Result<Vec<i64>> {
    Ok(times(batch)?.into_iter().map(|time| time.div_euclid(DAY)).collect())
}

fn times(batch: &RecordBatch) -> Result<Vec<i64>> {
    let missing = || Error::MissingColumn { column: EVENT_TIME.to_owned() };
    let column = batch.column_by_name(EVENT_TIME).ok_or_else(missing)?;
    match column.data_type() {
        DataType::Timestamp(TimeUnit::Nanosecond, _) if column.null_count() == 0 => {
            Ok(column.as_primitive::<TimestampNanosecondType>().values().to_vec())
        }
        other => Err(unusable(EVENT_TIME, other, "a timestamp in nanoseconds without nulls")),
    }
}

/// The rows of each entity by time; all rows together if the batch does not say whose they are.
fn entities(batch: &RecordBatch, times: &[i64]) -> Vec<Vec<usize>> {
    let keys = batch.column_by_name(ENTITY).and_then(|column| column.as_string_opt::<i32>());
    let mut groups: Vec<Vec<usize>> = Vec::new();
    match keys {
        Some(keys) => {
            let mut known: Map<Option<&str>, usize> = Map::default();
            for (row, key) in keys.iter().enumerate() {
                let group = *known.entry(key).or_insert(groups.len());
                if group == groups.len() {
                    groups.push(Vec::new());
                }
                groups[group].push(row);
            }
        }
        None => groups.push((0..batch.num_rows()).collect()),
    }
    for rows in &mut groups {
        rows.sort_by_key(|row| times[*row]);
    }
    groups
}

fn column(batch: &RecordBatch, feature: &Feature, config: &Config) -> Result<Column> {
    let name = &feature.name;
    let array = batch.column_by_name(name).ok_or_else(|| Error::MissingColumn { column: name.clone() })?;
    if *array.data_type() != feature.dtype {
        return Err(unusable(name, array.data_type(), "the type it was learned from"));
    }
    match feature.kind {
        Kind::Hour => Ok(Column::Hours),
        Kind::Count => {
            let counts = numbers(array).ok_or_else(|| unusable(name, array.data_type(), "a number"))?;
            let count = |n: f64| if n > 0.0 && n.is_finite() { n.ln_1p() } else { 0.0 };
            Ok(Column::Counts(counts.into_iter().map(count).collect()))
        }
        Kind::Value => {
            let mut values =
                encode(array).ok_or_else(|| unusable(name, array.data_type(), "text or boolean"))?;
            let days = batch.column_by_name(&format!("{name}{}", config.days_suffix));
            let days = days.and_then(|days| numbers(days));
            values.days_seen = days.map(|days| days.into_iter().map(|day| day as u32).collect());
            Ok(Column::Values(values))
        }
    }
}

fn encode(array: &dyn Array) -> Option<Values> {
    match array.data_type() {
        DataType::Utf8 => Some(number(array.as_string::<i32>().iter())),
        DataType::Boolean => {
            let text = |value| if value { "true" } else { "false" };
            Some(number(array.as_boolean().iter().map(|value| value.map(text))))
        }
        DataType::Dictionary(..) => {
            let dictionary = array.as_any_dictionary_opt()?;
            let keys = array.as_dictionary_opt::<arrow_array::types::Int32Type>()?;
            let texts = dictionary.values().as_string_opt::<i32>()?;
            let text = |key: i32| (!texts.is_null(key as usize)).then(|| texts.value(key as usize));
            Some(number(keys.keys().iter().map(|key| key.and_then(text))))
        }
        _ => None,
    }
}

fn number<'a>(texts: impl Iterator<Item = Option<&'a str>>) -> Values {
    let mut known: Map<&str, u32> = Map::default();
    let mut values = Values::default();
    for text in texts {
        let text = text.unwrap_or_default();
        let code = *known.entry(text).or_insert_with(|| {
            values.names.push(text.to_owned());
            values.names.len() as u32 - 1
        });
        values.codes.push(code);
    }
    values
}

/// A column of numbers; missing ones are 0.
fn numbers(array: &dyn Array) -> Option<Vec<f64>> {
    fn all<T: ArrowPrimitiveType>(array: &dyn Array, number: fn(T::Native) -> f64) -> Vec<f64> {
        array.as_primitive::<T>().iter().map(|value| value.map_or(0.0, number)).collect()
    }
    Some(match array.data_type() {
        DataType::Int8 => all::<Int8Type>(array, f64::from),
        DataType::Int16 => all::<Int16Type>(array, f64::from),
        DataType::Int32 => all::<Int32Type>(array, f64::from),
        DataType::Int64 => all::<Int64Type>(array, |n| n as f64),
        DataType::UInt8 => all::<UInt8Type>(array, f64::from),
        DataType::UInt16 => all::<UInt16Type>(array, f64::from),
        DataType::UInt32 => all::<UInt32Type>(array, f64::from),
        DataType::UInt64 => all::<UInt64Type>(array, |n| n as f64),
        DataType::Float16 => all::<Float16Type>(array, f64::from),
        DataType::Float32 => all::<Float32Type>(array, f64::from),
        DataType::Float64 => all::<Float64Type>(array, |n| n),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_tell_weekends_apart() {
        let monday = 4 * DAY; // 1970-01-05
        assert_eq!(hour_of_week(monday), 0);
        assert_eq!(hour_of_week(monday + 4 * DAY + 23 * HOUR), 23);
        assert_eq!(hour_of_week(monday + 5 * DAY), 24);
        assert_eq!(hour_of_week(monday - 1), 47);
    }

    #[test]
    fn a_missing_text_is_a_value() {
        let values = number([Some("a"), None, Some("a"), Some("")].into_iter());
        assert_eq!(values.codes, [0, 1, 0, 1]);
        assert_eq!(values.names, ["a", ""]);
    }
}
