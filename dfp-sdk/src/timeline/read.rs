//! From record batches to points.

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowTimestampType, Float32Type, Float64Type, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType,
};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{DataType, TimeUnit};
use dfp_core::{Error, ErrorKind, Result};

use super::text::{cell_text, events};
use super::{Timeline, TimelineOptions};

impl Timeline {
    /// Adds the sessions of a batch that have a time and a score within the bound.
    pub(super) fn read(&mut self, batch: &RecordBatch) -> Result<()> {
        require_columns(batch, &self.options)?;
        let column = |name: &str| &batch[name];
        let times = times(column(&self.options.time_column), &self.options.time_column)?;
        let scores = scores(column(&self.options.score_column), &self.options.score_column)?;
        let windows = column(&self.options.window_column);
        let sources: Vec<_> = self.options.source_columns.iter().map(|name| column(name)).collect();
        let bound = self.options.upper_bound.unwrap_or(f64::INFINITY);

        self.counts.rows += batch.num_rows();
        for (row, (time, score)) in times.into_iter().zip(scores).enumerate() {
            match (score.filter(|score| score.is_finite()), time) {
                (None, _) => self.counts.without_score += 1,
                (_, None) => self.counts.without_time += 1,
                (Some(score), _) if score > bound => self.counts.above_bound += 1,
                (Some(score), Some(time)) => {
                    self.times.push(time);
                    self.scores.push(score);
                    self.add_texts(windows, &sources, row);
                }
            }
        }
        self.counts.shown = self.times.len();
        Ok(())
    }

    fn add_texts(&mut self, windows: &ArrayRef, sources: &[&ArrayRef], row: usize) {
        let window: Vec<u32> = events(windows, row).iter().map(|event| self.texts.number(event)).collect();
        self.window_of.push(self.windows.number(&window));
        for (numbers, source) in self.sources.iter_mut().zip(sources) {
            numbers.push(cell_text(source, row).map(|text| self.texts.number(&text)));
        }
    }
}

fn require_columns(batch: &RecordBatch, options: &TimelineOptions) -> Result<()> {
    let asked = [&options.time_column, &options.score_column, &options.window_column];
    let mut missing: Vec<&str> = Vec::new();
    for name in asked.into_iter().chain(&options.source_columns) {
        if batch.column_by_name(name).is_none() && !missing.contains(&name.as_str()) {
            missing.push(name);
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    let schema = batch.schema();
    let has: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    let what = format!(
        "a timeline needs columns that the sessions do not have: {}; they have: {}",
        missing.join(", "),
        has.join(", ")
    );
    Err(Error::new(ErrorKind::SchemaMismatch, what))
}

/// Nanoseconds since 1970; none where the cell is null or the time does not fit.
fn times(column: &ArrayRef, name: &str) -> Result<Vec<Option<i64>>> {
    match column.data_type() {
        DataType::Timestamp(TimeUnit::Second, _) => {
            Ok(nanoseconds::<TimestampSecondType>(column, 1_000_000_000))
        }
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            Ok(nanoseconds::<TimestampMillisecondType>(column, 1_000_000))
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            Ok(nanoseconds::<TimestampMicrosecondType>(column, 1_000))
        }
        DataType::Timestamp(TimeUnit::Nanosecond, _) => Ok(nanoseconds::<TimestampNanosecondType>(column, 1)),
        other => Err(wrong_type(name, other, "a timestamp")),
    }
}

fn nanoseconds<T: ArrowTimestampType>(column: &ArrayRef, unit: i64) -> Vec<Option<i64>> {
    column.as_primitive::<T>().iter().map(|time| time?.checked_mul(unit)).collect()
}

fn scores(column: &ArrayRef, name: &str) -> Result<Vec<Option<f64>>> {
    match column.data_type() {
        DataType::Float64 => Ok(column.as_primitive::<Float64Type>().iter().collect()),
        DataType::Float32 => {
            Ok(column.as_primitive::<Float32Type>().iter().map(|score| score.map(widened)).collect())
        }
        other => Err(wrong_type(name, other, "float64 or float32")),
    }
}

/// The number as it is written: 0.001 stays 0.001, and meets a bound of 0.001.
fn widened(score: f32) -> f64 {
    score.to_string().parse().unwrap_or(f64::NAN)
}

fn wrong_type(name: &str, found: &DataType, wanted: &str) -> Error {
    let what = format!("column {name} of a timeline is {found}, but must be {wanted}");
    Error::new(ErrorKind::SchemaMismatch, what)
}
