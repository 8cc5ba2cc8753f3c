//! Findings: scored rows above the threshold, explained so that a person can read them.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, TimestampNanosecondType,
};
use arrow_array::{Array, RecordBatch, StringArray};
use arrow_schema::{DataType, SchemaRef};
use dfp_core::{EVENT_TIME, Error, ErrorKind, ORIGIN, RECORD_ID, Result, SCORE, Sink};
use dfp_prep::ENTITY;
use serde::Serialize;
use serde_json::Value;

/// Column of scored batches: name and version of the model that scored the row, `name:version`.
pub const MODEL: &str = "model";

/// How many features a finding names, the most telling first.
const TOP_FEATURES: usize = 5;

/// A record whose score is above the threshold, with the reasons.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finding {
    /// The source's own id of the record.
    pub id: Option<String>,
    /// File and position of the record.
    pub origin: String,
    /// The entity, as grouped by.
    pub user: String,
    /// When it happened, ISO 8601 UTC.
    pub time: String,
    /// How unusual it is.
    pub score: f64,
    /// The score above which records become findings.
    pub threshold: f64,
    /// Name and version of the model, `name:version`.
    pub model: String,
    /// One sentence for an analyst.
    pub summary: String,
    /// The features that made the score, the most telling first.
    pub features: Vec<Reason>,
}

/// What one feature contributed to a finding.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Reason {
    /// Name of the feature column.
    pub feature: String,
    /// The value in this record.
    pub observed: Value,
    /// The value the model expected.
    pub expected: Value,
    /// The feature's weight in the score; reasons are ordered by it.
    pub weight: f64,
    /// The reconstruction loss.
    pub loss: Option<f64>,
    /// The loss in standard deviations of the entity's own losses.
    pub z_loss: Option<f64>,
}

/// Reads findings out of scored batches.
#[derive(Debug, Clone)]
pub struct FindingReader {
    threshold: f64,
    features: Vec<FeatureText>,
}

/// A feature's name and the words a summary uses for it.
#[derive(Debug, Clone)]
pub struct FeatureText {
    /// Name of the feature column.
    pub name: String,
    /// What to call it in a sentence.
    pub title: String,
}

impl FindingReader {
    /// Reads rows with a score strictly above `threshold`; reasons come from `features`.
    pub fn new(threshold: f64, features: Vec<FeatureText>) -> Self {
        Self { threshold, features }
    }

    /// The findings of one scored batch, in row order.
    ///
    /// # Errors
    /// If a standard column is missing.
    pub fn read(&self, batch: &RecordBatch) -> Result<Vec<Finding>> {
        let scores = column(batch, SCORE)?.as_primitive::<Float64Type>();
        let above = (0..batch.num_rows()).filter(|&row| scores.value(row) > self.threshold);
        above.map(|row| self.finding(batch, row, scores.value(row))).collect()
    }

    fn finding(&self, batch: &RecordBatch, row: usize, score: f64) -> Result<Finding> {
        let user = text(batch, ENTITY, row)?.unwrap_or_default();
        let mut features: Vec<Reason> =
            self.features.iter().filter_map(|feature| reason(batch, &feature.name, row)).collect();
        features.retain(|reason| reason.weight > 0.0);
        features.sort_by(|a, b| b.weight.total_cmp(&a.weight));
        features.truncate(TOP_FEATURES);
        Ok(Finding {
            id: text(batch, RECORD_ID, row)?,
            origin: text(batch, ORIGIN, row)?.unwrap_or_default(),
            time: time_text(batch, row)?,
            score,
            threshold: self.threshold,
            model: text(batch, MODEL, row)?.unwrap_or_default(),
            summary: self.summary(&user, &features),
            user,
            features,
        })
    }

    fn summary(&self, user: &str, reasons: &[Reason]) -> String {
        let clauses = reasons.iter().take(3).map(|reason| {
            let title =
                self.features.iter().find(|f| f.name == reason.feature).map_or("", |f| f.title.as_str());
            let (observed, expected) = (words(&reason.observed), words(&reason.expected));
            if observed == expected {
                format!("{title} {observed}, unusual beside the rest of the event")
            } else if reason.observed.is_number() {
                format!("{title} {observed}, usually about {expected}")
            } else {
                format!("{title} {observed}, usually {expected}")
            }
        });
        let clauses: Vec<String> = clauses.collect();
        if clauses.is_empty() {
            return format!("{user}: no single feature stands out");
        }
        format!("{user}: {}", clauses.join("; "))
    }
}

/// A value as a person would write it.
fn words(value: &Value) -> String {
    match value {
        Value::Null => "missing".to_owned(),
        Value::String(text) => format!("\"{text}\""),
        Value::Number(number) => match number.as_f64() {
            Some(x) if x.fract() != 0.0 => format!("{x:.1}"),
            Some(x) => format!("{x:.0}"),
            None => number.to_string(),
        },
        other => other.to_string(),
    }
}

fn reason(batch: &RecordBatch, feature: &str, row: usize) -> Option<Reason> {
    let cell_of =
        |suffix: &str| batch.column_by_name(&format!("{feature}{suffix}")).map(|c| cell(c.as_ref(), row));
    let number_of = |suffix: &str| cell_of(suffix).and_then(|value| value.as_f64());
    let z_loss = number_of("_z_loss");
    Some(Reason {
        feature: feature.to_owned(),
        observed: cell_of("")?,
        expected: cell_of("_pred").unwrap_or(Value::Null),
        weight: number_of("_surprise").or(z_loss.map(f64::abs)).unwrap_or(0.0),
        loss: number_of("_loss"),
        z_loss,
    })
}

/// One cell as JSON; what JSON cannot hold (NaN, infinities, nested types) is null.
pub fn cell(array: &dyn Array, row: usize) -> Value {
    if array.is_null(row) {
        return Value::Null;
    }
    match array.data_type() {
        DataType::Utf8 => array.as_string::<i32>().value(row).into(),
        DataType::Boolean => array.as_boolean().value(row).into(),
        DataType::Int8 => array.as_primitive::<Int8Type>().value(row).into(),
        DataType::Int16 => array.as_primitive::<Int16Type>().value(row).into(),
        DataType::Int32 => array.as_primitive::<Int32Type>().value(row).into(),
        DataType::Int64 => array.as_primitive::<Int64Type>().value(row).into(),
        DataType::Float32 => f64::from(array.as_primitive::<Float32Type>().value(row)).into(),
        DataType::Float64 => array.as_primitive::<Float64Type>().value(row).into(),
        DataType::Timestamp(..) => iso(nanoseconds(array, row).unwrap_or_default()).into(),
        DataType::Dictionary(..) => {
            let dictionary = array.as_any_dictionary();
            let key = dictionary.normalized_keys()[row];
            cell(dictionary.values().as_ref(), key)
        }
        _ => Value::Null,
    }
}

fn nanoseconds(array: &dyn Array, row: usize) -> Option<i64> {
    let times = array.as_primitive_opt::<TimestampNanosecondType>()?;
    times.is_valid(row).then(|| times.value(row))
}

/// Nanoseconds since 1970 as ISO 8601 UTC, with as many fraction digits as needed.
pub fn iso(nanoseconds: i64) -> String {
    jiff::Timestamp::from_nanosecond(i128::from(nanoseconds))
        .map_or_else(|_| "?".to_owned(), |t| t.to_string())
}

pub(crate) fn column<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a dyn Array> {
    let found = batch.column_by_name(name).map(AsRef::as_ref);
    found.ok_or_else(|| Error::new(ErrorKind::SchemaMismatch, format!("column {name} is missing")))
}

pub(crate) fn strings<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a StringArray> {
    column(batch, name)?
        .as_string_opt()
        .ok_or_else(|| Error::new(ErrorKind::SchemaMismatch, format!("column {name} is not text")))
}

/// The event times of a batch, nanoseconds since 1970.
pub(crate) fn times(batch: &RecordBatch) -> Result<&[i64]> {
    let times = column(batch, EVENT_TIME)?.as_primitive_opt::<TimestampNanosecondType>();
    let times = times
        .ok_or_else(|| Error::new(ErrorKind::SchemaMismatch, format!("column {EVENT_TIME} is no time")))?;
    Ok(times.values())
}

fn text(batch: &RecordBatch, name: &str, row: usize) -> Result<Option<String>> {
    let strings = strings(batch, name)?;
    Ok(strings.is_valid(row).then(|| strings.value(row).to_owned()))
}

fn time_text(batch: &RecordBatch, row: usize) -> Result<String> {
    Ok(iso(times(batch)?[row]))
}

/// A file that appears whole or not at all: written beside its name, renamed when finished.
#[derive(Debug)]
pub struct AtomicFile {
    path: PathBuf,
    partial: PathBuf,
    file: BufWriter<File>,
}

impl AtomicFile {
    /// Starts a file; missing parent directories are made.
    ///
    /// # Errors
    /// If the directory or the file cannot be made.
    pub fn create(path: &Path) -> Result<Self> {
        let mut partial = path.as_os_str().to_owned();
        partial.push(".partial");
        let partial = PathBuf::from(partial);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)
                .map_err(|e| Error::io(format!("creating {}", parent.display()), e))?;
        }
        let file =
            File::create(&partial).map_err(|e| Error::io(format!("creating {}", partial.display()), e))?;
        Ok(Self { path: path.to_owned(), partial, file: BufWriter::new(file) })
    }

    /// Writes one value as one line of JSON.
    ///
    /// # Errors
    /// If the disk is full or fails.
    pub fn json_line(&mut self, value: &impl Serialize) -> Result<()> {
        serde_json::to_writer(&mut self.file, value)
            .map_err(std::io::Error::from)
            .and_then(|()| self.file.write_all(b"\n"))
            .map_err(|e| Error::io(format!("writing {}", self.partial.display()), e))
    }

    /// Makes the lines so far durable under the temporary name.
    ///
    /// # Errors
    /// If the disk is full or fails.
    pub fn sync(&mut self) -> Result<()> {
        self.file
            .flush()
            .and_then(|()| self.file.get_ref().sync_data())
            .map_err(|e| Error::io(format!("writing {}", self.partial.display()), e))
    }

    /// Makes the file durable and gives it its name.
    ///
    /// # Errors
    /// If the disk is full or fails; the name then still shows what it showed before.
    pub fn finish(&mut self) -> Result<()> {
        self.sync()?;
        std::fs::rename(&self.partial, &self.path).map_err(|e| {
            Error::io(format!("renaming {} to {}", self.partial.display(), self.path.display()), e)
        })
    }
}

/// Writes findings as JSON lines.
#[derive(Debug)]
pub struct FindingsSink {
    reader: FindingReader,
    file: AtomicFile,
    findings: u64,
}

impl FindingsSink {
    /// Findings into a file that appears when the run ends well.
    ///
    /// # Errors
    /// If the file cannot be made.
    pub fn create(path: &Path, reader: FindingReader) -> Result<Self> {
        Ok(Self { reader, file: AtomicFile::create(path)?, findings: 0 })
    }

    /// Findings written so far.
    pub fn findings(&self) -> u64 {
        self.findings
    }
}

impl Sink for FindingsSink {
    fn bind(&mut self, _schema: SchemaRef) -> Result<()> {
        Ok(())
    }

    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        for finding in self.reader.read(batch)? {
            self.file.json_line(&finding)?;
            self.findings += 1;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        self.file.sync()
    }

    fn close(&mut self) -> Result<()> {
        self.file.finish()
    }
}

/// Writes the score of every row as JSON lines: `id`, `user`, `time`, `score`, `model`.
#[derive(Debug)]
pub struct ScoresSink {
    file: AtomicFile,
}

#[derive(Serialize)]
struct ScoreLine<'a> {
    id: Option<String>,
    user: &'a str,
    time: String,
    score: f64,
    model: &'a str,
}

impl ScoresSink {
    /// Scores into a file that appears when the run ends well.
    ///
    /// # Errors
    /// If the file cannot be made.
    pub fn create(path: &Path) -> Result<Self> {
        Ok(Self { file: AtomicFile::create(path)? })
    }
}

impl Sink for ScoresSink {
    fn bind(&mut self, _schema: SchemaRef) -> Result<()> {
        Ok(())
    }

    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let (users, models) = (strings(batch, ENTITY)?, strings(batch, MODEL)?);
        let scores = column(batch, SCORE)?.as_primitive::<Float64Type>();
        for row in 0..batch.num_rows() {
            self.file.json_line(&ScoreLine {
                id: text(batch, RECORD_ID, row)?,
                user: users.value(row),
                time: time_text(batch, row)?,
                score: scores.value(row),
                model: models.value(row),
            })?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        self.file.sync()
    }

    fn close(&mut self) -> Result<()> {
        self.file.finish()
    }
}
