//! Columns computed from an entity's records, oldest first.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::hash::Hash;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, TimestampNanosecondType};
use arrow_array::{Array, ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use dfp_core::EVENT_TIME;
use foldhash::fast::RandomState;

use crate::input::{self, Input};
use crate::load::time_type;
use crate::period::{DAY, SECOND};
use crate::profile::{DeriveRule, ENTITY, Filter, Form, Granularity, Profile};
use crate::{Error, Period, Result};

/// Adds a profile's derive columns to loaded rows of one entity.
///
/// A row's values depend on that row and the rows before it only: rows scored one by one behind their history get the
/// same values as in one pass over everything. Takes time in proportion to the rows.
#[derive(Debug, Clone)]
pub struct Deriver {
    columns: Vec<(String, DeriveRule)>,
    input: SchemaRef,
    output: SchemaRef,
}

impl Deriver {
    /// Derives `profile`'s columns from batches of the schema `loaded`.
    ///
    /// # Errors
    /// [`Error::Column`] if a column that a rule reads is missing, of a type it cannot read, or there already.
    pub fn new(profile: &Profile, loaded: &SchemaRef) -> Result<Self> {
        let field = |name: &str| {
            loaded.field_with_name(name).map_err(|_| Error::column(name, "missing in the loaded batch"))
        };
        if field(EVENT_TIME)?.data_type() != &time_type() {
            return Err(Error::column(EVENT_TIME, format!("must be {}", time_type())));
        }
        let mut fields: Vec<_> = loaded.fields().iter().cloned().collect();
        for column in &profile.derive {
            for input in column.rule.inputs() {
                let dtype = field(input)?.data_type();
                let number_wanted = matches!(&column.rule, DeriveRule::TravelSpeed { .. });
                let fits = if number_wanted { *dtype == DataType::Float64 } else { input::readable(dtype) };
                if !fits {
                    let problem = format!("is {dtype}, which the rule of `{}` cannot read", column.name);
                    return Err(Error::column(input, problem));
                }
            }
            if loaded.field_with_name(&column.name).is_ok() {
                return Err(Error::column(&column.name, "is in the loaded batch already"));
            }
            fields.push(Arc::new(Field::new(&column.name, output_type(&column.rule), true)));
        }
        let columns =
            profile.derive.iter().map(|column| (column.name.clone(), column.rule.clone())).collect();
        Ok(Self { columns, input: loaded.clone(), output: Arc::new(Schema::new(fields)) })
    }

    /// The schema of derived batches: the loaded columns, then the derive columns.
    pub fn schema(&self) -> SchemaRef {
        self.output.clone()
    }

    /// Derives the columns of one entity's rows, oldest first.
    ///
    /// # Errors
    /// [`Error::Unsorted`] if a row is older than the one before it, [`Error::Column`] if the rows belong to several
    /// entities, a time is null, or the schema is another than promised.
    pub fn derive(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        if !same_columns(&batch.schema(), &self.input) {
            return Err(Error::column("*", "the batch has other columns than the deriver was made for"));
        }
        let times = times(batch)?;
        if let Some(row) = (1..times.len()).find(|&row| times[row] < times[row - 1]) {
            return Err(Error::Unsorted { row });
        }
        one_entity(batch)?;
        let mut history = Past { batch, times, codes: BTreeMap::new() };
        let mut columns = batch.columns().to_vec();
        for (_, rule) in &self.columns {
            for input in rule.inputs() {
                history.encode(input);
            }
            columns.push(history.apply(rule));
        }
        Ok(RecordBatch::try_new(self.output.clone(), columns)?)
    }
}

/// Whether two schemas have the same names and types in the same order.
fn same_columns(a: &Schema, b: &Schema) -> bool {
    let same = |(a, b): (&Arc<Field>, &Arc<Field>)| a.name() == b.name() && a.data_type() == b.data_type();
    a.fields().len() == b.fields().len() && a.fields().iter().zip(b.fields()).all(same)
}

/// The times of a loaded batch.
pub(crate) fn times(batch: &RecordBatch) -> Result<&[i64]> {
    let column = batch.column_by_name(EVENT_TIME).ok_or_else(|| Error::column(EVENT_TIME, "missing"))?;
    let times = column.as_primitive_opt::<TimestampNanosecondType>();
    let times = times.ok_or_else(|| Error::column(EVENT_TIME, format!("must be {}", time_type())))?;
    if times.null_count() > 0 {
        return Err(Error::column(EVENT_TIME, "has nulls"));
    }
    Ok(times.values())
}

fn one_entity(batch: &RecordBatch) -> Result<()> {
    let Some(entities) = batch.column_by_name(ENTITY).and_then(|column| column.as_string_opt::<i32>()) else {
        return Err(Error::column(ENTITY, "missing"));
    };
    let mut names = entities.iter();
    let first = names.next();
    if names.any(|name| Some(name) != first) {
        return Err(Error::column(ENTITY, "the rows belong to several entities; split them first"));
    }
    Ok(())
}

fn output_type(rule: &DeriveRule) -> DataType {
    match rule {
        DeriveRule::HourOfDay { form: Form::Category } | DeriveRule::DayOfWeek { form: Form::Category } => {
            DataType::Utf8
        }
        DeriveRule::Weekend {} | DeriveRule::FirstSeen { .. } => DataType::Boolean,
        DeriveRule::ShareSeen { .. }
        | DeriveRule::MinutesSinceLast { .. }
        | DeriveRule::TravelSpeed { .. } => DataType::Float64,
        _ => DataType::Int64,
    }
}

/// A column's values as numbers 0.. in the order of first appearance; null is a value like any other.
struct Codes {
    of_row: Vec<usize>,
    distinct: usize,
}

impl Codes {
    fn new(input: Input<'_>, rows: usize) -> Self {
        match input {
            Input::Absent => Self { of_row: vec![0; rows], distinct: 1 },
            Input::Text(array) => Self::number(array.iter()),
            Input::Int(array) => Self::number(array.iter()),
            Input::Float(array) => Self::number(array.iter().map(|value| value.map(f64::to_bits))),
            Input::Bool(array) => Self::number(array.iter()),
            Input::Time(array) => Self::number(array.iter()),
        }
    }

    fn number<T: Hash + Eq>(values: impl Iterator<Item = T>) -> Self {
        let mut known: HashMap<T, usize, RandomState> = HashMap::default();
        let of_row = values.map(|value| {
            let next = known.len();
            *known.entry(value).or_insert(next)
        });
        Self { of_row: of_row.collect(), distinct: known.len() }
    }

    /// One `T` for each distinct value.
    fn each<T: Clone>(&self, start: T) -> Vec<T> {
        vec![start; self.distinct]
    }
}

/// An entity's rows, oldest first, and the codes of the columns that rules read.
struct Past<'a> {
    batch: &'a RecordBatch,
    times: &'a [i64],
    codes: BTreeMap<String, Codes>,
}

impl Past<'_> {
    fn input(&self, name: &str) -> Input<'_> {
        Input::of(self.batch.column_by_name(name).map(AsRef::as_ref))
    }

    fn encode(&mut self, name: &str) {
        if !self.codes.contains_key(name) {
            let codes = Codes::new(self.input(name), self.times.len());
            self.codes.insert(name.to_owned(), codes);
        }
    }

    fn apply(&self, rule: &DeriveRule) -> ArrayRef {
        match rule {
            DeriveRule::Increment { period } => ints(self.increment(*period)),
            DeriveRule::DistinctIncrement { input, period } => ints(self.distinct_increment(input, *period)),
            DeriveRule::HourOfDay { form } => self.calendar(*form, hour, |hour| format!("{hour:02}")),
            DeriveRule::DayOfWeek { form } => {
                self.calendar(*form, weekday, |day| WEEKDAYS[day as usize - 1].to_owned())
            }
            DeriveRule::Weekend {} => booleans(self.times.iter().map(|&time| weekday(time) >= 6)),
            DeriveRule::SlidingCount { period, same, filter } => {
                ints(self.sliding_count(period.nanoseconds(), same, filter.as_ref()))
            }
            DeriveRule::SlidingDistinct { input, period, filter } => {
                ints(self.sliding_distinct(input, period.nanoseconds(), filter.as_ref()))
            }
            DeriveRule::FirstSeen { input, granularity } => booleans(self.first_seen(input, *granularity)),
            DeriveRule::DaysSeen { input, within } => {
                ints(self.days_seen(input, within.map(|span| span.nanoseconds() / DAY)))
            }
            DeriveRule::ShareSeen { input } => floats(self.share_seen(input)),
            DeriveRule::MinutesSinceLast { input, log } => {
                scaled(self.minutes_since_last(input.as_deref()), *log)
            }
            DeriveRule::TravelSpeed { latitude, longitude, log } => {
                scaled(self.travel_speed(latitude, longitude), *log)
            }
        }
    }

    fn increment(&self, period: Period) -> impl Iterator<Item = i64> {
        let (mut current, mut earlier) = (None, 0);
        self.times.iter().map(move |&time| {
            let now = Some(period.number(time));
            earlier = if now == current { earlier + 1 } else { 0 };
            current = now;
            earlier
        })
    }

    fn distinct_increment(&self, input: &str, period: Period) -> impl Iterator<Item = i64> {
        let codes = &self.codes[input];
        let mut last_period = codes.each(None);
        let (mut current, mut distinct) = (None, 0);
        self.times.iter().zip(&codes.of_row).map(move |(&time, &code)| {
            let now = Some(period.number(time));
            if now != current {
                (current, distinct) = (now, 0);
            }
            distinct += i64::from(last_period[code] != now);
            last_period[code] = now;
            distinct
        })
    }

    fn calendar(&self, form: Form, part: fn(i64) -> i64, name: fn(i64) -> String) -> ArrayRef {
        let parts = self.times.iter().map(|&time| part(time));
        match form {
            Form::Number => ints(parts),
            Form::Category => Arc::new(StringArray::from_iter_values(parts.map(name))),
        }
    }

    /// Whether each row passes the filter; without one, all do.
    fn passing(&self, filter: Option<&Filter>) -> Vec<bool> {
        let rows = self.times.len();
        filter.map_or_else(
            || vec![true; rows],
            |filter| input::passing(filter, self.input(&filter.column), rows),
        )
    }

    /// For each row, the first row of the span that ends with it; the older end is exclusive.
    fn span_starts(&self, span: i64) -> impl Iterator<Item = usize> {
        let mut start = 0;
        self.times.iter().map(move |&time| {
            while time.saturating_sub(self.times[start]) >= span {
                start += 1;
            }
            start
        })
    }

    fn sliding_count(
        &self,
        span: i64,
        same: &[String],
        filter: Option<&Filter>,
    ) -> impl Iterator<Item = i64> {
        let passing = self.passing(filter);
        let keys = self.together(same);
        let mut counts = keys.each(0);
        let mut dropped = 0;
        self.span_starts(span).enumerate().map(move |(row, start)| {
            counts[keys.of_row[row]] += i64::from(passing[row]);
            while dropped < start {
                counts[keys.of_row[dropped]] -= i64::from(passing[dropped]);
                dropped += 1;
            }
            counts[keys.of_row[row]]
        })
    }

    /// Codes of the combinations of several columns' values; of no column, all rows are alike.
    fn together(&self, columns: &[String]) -> Codes {
        let columns: Vec<&Codes> = columns.iter().map(|column| &self.codes[column]).collect();
        let rows = 0..self.times.len();
        Codes::number(rows.map(|row| columns.iter().map(|codes| codes.of_row[row]).collect::<Vec<_>>()))
    }

    fn sliding_distinct(&self, input: &str, span: i64, filter: Option<&Filter>) -> impl Iterator<Item = i64> {
        let passing = self.passing(filter);
        let codes = &self.codes[input];
        let mut rows_with = codes.each(0_u32);
        let (mut dropped, mut distinct) = (0, 0);
        self.span_starts(span).enumerate().map(move |(row, start)| {
            if passing[row] {
                let rows = &mut rows_with[codes.of_row[row]];
                distinct += i64::from(*rows == 0);
                *rows += 1;
            }
            while dropped < start {
                if passing[dropped] {
                    let rows = &mut rows_with[codes.of_row[dropped]];
                    *rows -= 1;
                    distinct -= i64::from(*rows == 0);
                }
                dropped += 1;
            }
            distinct
        })
    }

    fn first_seen(&self, input: &str, granularity: Granularity) -> impl Iterator<Item = bool> {
        let codes = &self.codes[input];
        let mut first_day = codes.each(None);
        self.times.iter().zip(&codes.of_row).map(move |(&time, &code)| {
            let today = time.div_euclid(DAY);
            let first = first_day[code];
            first_day[code] = first.or(Some(today));
            match granularity {
                Granularity::Row => first.is_none(),
                Granularity::Day => first.is_none_or(|day| day == today),
            }
        })
    }

    fn days_seen(&self, input: &str, within: Option<i64>) -> impl Iterator<Item = i64> {
        let codes = &self.codes[input];
        let mut days = codes.each(VecDeque::new());
        self.times.iter().zip(&codes.of_row).map(move |(&time, &code)| {
            let today = time.div_euclid(DAY);
            let days = &mut days[code];
            while within.is_some_and(|within| days.front().is_some_and(|&day| today - day > within)) {
                days.pop_front();
            }
            if days.back() != Some(&today) {
                days.push_back(today);
            }
            days.len() as i64 - 1
        })
    }

    fn share_seen(&self, input: &str) -> impl Iterator<Item = Option<f64>> {
        let codes = &self.codes[input];
        let mut times_seen = codes.each(0_u32);
        codes.of_row.iter().enumerate().map(move |(earlier, &code)| {
            let seen = times_seen[code];
            times_seen[code] += 1;
            (earlier > 0).then(|| f64::from(seen) / earlier as f64)
        })
    }

    fn minutes_since_last(&self, input: Option<&str>) -> impl Iterator<Item = Option<f64>> {
        let codes = input.map(|input| &self.codes[input]);
        let mut last = codes.map_or_else(|| vec![None], |codes| codes.each(None));
        self.times.iter().enumerate().map(move |(row, &time)| {
            let code = codes.map_or(0, |codes| codes.of_row[row]);
            let before = last[code].replace(time);
            before.map(|before| minutes(before, time))
        })
    }

    fn travel_speed(&self, latitude: &str, longitude: &str) -> impl Iterator<Item = Option<f64>> {
        let degrees = |name: &str| self.batch.column_by_name(name).map(AsArray::as_primitive::<Float64Type>);
        let (latitudes, longitudes) = (degrees(latitude), degrees(longitude));
        let place = move |row: usize| {
            let value = |array: Option<&Float64Array>| {
                array.filter(|array| array.is_valid(row)).map(|array| array.value(row))
            };
            Place::new(value(latitudes)?, value(longitudes)?)
        };
        let mut last: Option<(Place, i64)> = None;
        self.times.iter().enumerate().map(move |(row, &time)| {
            let here = place(row)?;
            let (before, then) = last.replace((here, time))?;
            let hours = minutes(then, time).max(1.0) / 60.0;
            Some(before.kilometres_to(here) / hours)
        })
    }
}

/// A place on the globe, in radians.
#[derive(Clone, Copy)]
struct Place {
    latitude: f64,
    longitude: f64,
}

impl Place {
    /// `None` for degrees off the globe, and for 0, 0, which logs write when they do not know.
    fn new(latitude: f64, longitude: f64) -> Option<Self> {
        let known = latitude != 0.0 || longitude != 0.0;
        let on_globe = latitude.abs() <= 90.0 && longitude.abs() <= 180.0;
        (known && on_globe)
            .then(|| Self { latitude: latitude.to_radians(), longitude: longitude.to_radians() })
    }

    /// Great-circle distance by the haversine formula, on a globe of the Earth's mean radius.
    fn kilometres_to(self, other: Self) -> f64 {
        let half_sine = |angle: f64| (angle / 2.0).sin().powi(2);
        let h = half_sine(other.latitude - self.latitude)
            + self.latitude.cos() * other.latitude.cos() * half_sine(other.longitude - self.longitude);
        2.0 * 6371.0 * h.clamp(0.0, 1.0).sqrt().asin()
    }
}

const WEEKDAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

fn hour(time: i64) -> i64 {
    time.rem_euclid(DAY) / (3600 * SECOND)
}

/// 1 (Monday) to 7. 1970-01-01 was a Thursday.
fn weekday(time: i64) -> i64 {
    (time.div_euclid(DAY) + 3).rem_euclid(7) + 1
}

fn minutes(from: i64, to: i64) -> f64 {
    to.saturating_sub(from) as f64 / (60 * SECOND) as f64
}

fn ints(values: impl Iterator<Item = i64>) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(values))
}

fn floats(values: impl Iterator<Item = Option<f64>>) -> ArrayRef {
    Arc::new(values.collect::<Float64Array>())
}

fn scaled(values: impl Iterator<Item = Option<f64>>, log: bool) -> ArrayRef {
    floats(values.map(|value| if log { value.map(f64::ln_1p) } else { value }))
}

fn booleans(values: impl Iterator<Item = bool>) -> ArrayRef {
    Arc::new(BooleanArray::from(values.collect::<Vec<_>>()))
}
