//! Findings: scored rows above the threshold, explained so that a person can read them.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    TimestampNanosecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, Float64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, SchemaRef, TimeUnit};
use dfp_core::{EVENT_TIME, Error, ErrorKind, ORIGIN, RECORD_ID, Result, SCORE, Sink};
use dfp_prep::{ENTITY, ENTITY_AS_WRITTEN};
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
    /// The entity as the record spells it.
    pub user_as_written: String,
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
    /// If a standard column is missing or of another type.
    pub fn read(&self, batch: &RecordBatch) -> Result<Vec<Finding>> {
        let scores = scores(batch)?;
        let above = (0..batch.num_rows()).filter(|&row| scores.value(row) > self.threshold);
        above.map(|row| self.finding(batch, row, scores.value(row))).collect()
    }

    fn finding(&self, batch: &RecordBatch, row: usize, score: f64) -> Result<Finding> {
        let user = text(batch, ENTITY, row)?.unwrap_or_default();
        let written = batch.column_by_name(ENTITY_AS_WRITTEN).map(|column| cell(column.as_ref(), row));
        let user_as_written = written.as_ref().and_then(Value::as_str).unwrap_or(&user).trim().to_owned();
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
            summary: self.summary(&user_as_written, &features),
            user,
            user_as_written,
            features,
        })
    }

    fn summary(&self, user: &str, reasons: &[Reason]) -> String {
        let clauses = reasons.iter().take(3).map(|reason| {
            let title =
                self.features.iter().find(|f| f.name == reason.feature).map_or("", |f| f.title.as_str());
            let observed = words(&reason.observed);
            match &reason.expected {
                Value::Null if reason.observed.is_null() => {
                    format!("no {title}, unusual beside the rest of the event")
                }
                Value::Null => format!("{title} {observed}, usually none"),
                expected if *expected == reason.observed => {
                    format!("{title} {observed}, unusual beside the rest of the event")
                }
                expected if reason.observed.is_null() => format!("no {title}, usually {}", words(expected)),
                expected if expected.is_number() => {
                    format!("{title} {observed}, usually about {}", words(expected))
                }
                expected => format!("{title} {observed}, usually {}", words(expected)),
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

/// One cell as JSON: text, booleans, whole and floating numbers, times in nanoseconds. What JSON cannot hold (NaN, infinities) is null, and
/// so are all other types.
fn cell(array: &dyn Array, row: usize) -> Value {
    if array.is_null(row) {
        return Value::Null;
    }
    match array.data_type() {
        DataType::Utf8 => array.as_string::<i32>().value(row).into(),
        DataType::LargeUtf8 => array.as_string::<i64>().value(row).into(),
        DataType::Utf8View => array.as_string_view().value(row).into(),
        DataType::Boolean => array.as_boolean().value(row).into(),
        DataType::Int8 => array.as_primitive::<Int8Type>().value(row).into(),
        DataType::Int16 => array.as_primitive::<Int16Type>().value(row).into(),
        DataType::Int32 => array.as_primitive::<Int32Type>().value(row).into(),
        DataType::Int64 => array.as_primitive::<Int64Type>().value(row).into(),
        DataType::UInt8 => array.as_primitive::<UInt8Type>().value(row).into(),
        DataType::UInt16 => array.as_primitive::<UInt16Type>().value(row).into(),
        DataType::UInt32 => array.as_primitive::<UInt32Type>().value(row).into(),
        DataType::UInt64 => array.as_primitive::<UInt64Type>().value(row).into(),
        DataType::Float16 => f64::from(array.as_primitive::<Float16Type>().value(row)).into(),
        DataType::Float32 => f64::from(array.as_primitive::<Float32Type>().value(row)).into(),
        DataType::Float64 => array.as_primitive::<Float64Type>().value(row).into(),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            iso(array.as_primitive::<TimestampNanosecondType>().value(row)).into()
        }
        DataType::Dictionary(..) => {
            let dictionary = array.as_any_dictionary();
            let key = dictionary.normalized_keys()[row];
            cell(dictionary.values().as_ref(), key)
        }
        _ => Value::Null,
    }
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

fn scores(batch: &RecordBatch) -> Result<&Float64Array> {
    column(batch, SCORE)?
        .as_primitive_opt()
        .ok_or_else(|| Error::new(ErrorKind::SchemaMismatch, format!("column {SCORE} is not float64")))
}

fn text(batch: &RecordBatch, name: &str, row: usize) -> Result<Option<String>> {
    let strings = strings(batch, name)?;
    Ok(strings.is_valid(row).then(|| strings.value(row).to_owned()))
}

fn time_text(batch: &RecordBatch, row: usize) -> Result<String> {
    Ok(iso(times(batch)?[row]))
}

/// Writes one value as one line of JSON.
pub(crate) fn json_line(out: &mut dyn Write, value: &impl Serialize) -> std::io::Result<()> {
    serde_json::to_writer(&mut *out, value)?;
    out.write_all(b"\n")
}

/// A file that appears whole or not at all: written beside its name, renamed when finished, removed if it never is.
#[derive(Debug)]
pub struct AtomicFile {
    path: PathBuf,
    partial: PathBuf,
    file: BufWriter<File>,
    finished: bool,
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
        Ok(Self { path: path.to_owned(), partial, file: BufWriter::new(file), finished: false })
    }

    /// Writes one value as one line of JSON.
    ///
    /// # Errors
    /// If the disk is full or fails.
    pub fn json_line(&mut self, value: &impl Serialize) -> Result<()> {
        json_line(&mut self.file, value)
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
        })?;
        self.finished = true;
        Ok(())
    }
}

impl Drop for AtomicFile {
    fn drop(&mut self) {
        if !self.finished {
            // Whatever went wrong is being reported; a part that stays behind is no result either way.
            let _ = std::fs::remove_file(&self.partial);
        }
    }
}

impl Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
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
        let scores = scores(batch)?;
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{
        ArrayRef, Float32Array, Int64Array, LargeStringArray, StringViewArray, TimestampNanosecondArray,
        TimestampSecondArray, UInt8Array, UInt64Array,
    };

    use super::*;

    fn scored(scores: &[f64]) -> RecordBatch {
        let rows = scores.len();
        let text = |value: &str| Arc::new(StringArray::from(vec![value; rows])) as ArrayRef;
        let times = TimestampNanosecondArray::from(vec![0; rows]).with_timezone("UTC");
        let columns: Vec<(&str, ArrayRef)> = vec![
            (RECORD_ID, text("r1")),
            (ORIGIN, text("a.json:1:1")),
            (EVENT_TIME, Arc::new(times)),
            (ENTITY, text("ann")),
            (MODEL, text("azure-ad/ann:3")),
            ("browser", text("Firefox")),
            ("events", Arc::new(Int64Array::from(vec![57; rows]))),
            ("city", Arc::new(StringArray::from(vec![None::<&str>; rows]))),
            (SCORE, Arc::new(Float64Array::from(scores.to_vec()))),
            ("browser_pred", text("Edge")),
            ("browser_z_loss", Arc::new(Float32Array::from(vec![-4.0; rows]))),
            ("events_pred", Arc::new(Float64Array::from(vec![2.5; rows]))),
            ("events_z_loss", Arc::new(Float32Array::from(vec![9.0; rows]))),
            ("city_pred", text("Oslo")),
            ("city_z_loss", Arc::new(Float32Array::from(vec![1.0; rows]))),
        ];
        RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, c)| (n, c, true))).unwrap()
    }

    fn reader(threshold: f64) -> FindingReader {
        let features = [("browser", "browser"), ("events", "sign-ins in the hour"), ("city", "city")];
        let text =
            |(name, title): (&str, &str)| FeatureText { name: name.to_owned(), title: title.to_owned() };
        FindingReader::new(threshold, features.map(text).to_vec())
    }

    #[test]
    fn findings_are_strictly_above_the_threshold_and_say_why_in_words() {
        let findings = reader(2.0).read(&scored(&[1.0, 2.0, 2.1, f64::NAN])).unwrap();
        assert_eq!(findings.len(), 1);
        let finding = &findings[0];
        assert_eq!((finding.user.as_str(), finding.model.as_str()), ("ann", "azure-ad/ann:3"));
        assert_eq!(finding.time, "1970-01-01T00:00:00Z");
        let order: Vec<&str> = finding.features.iter().map(|reason| reason.feature.as_str()).collect();
        assert_eq!(order, ["events", "browser", "city"]);
        assert_eq!(
            finding.summary,
            "ann: sign-ins in the hour 57, usually about 2.5; browser \"Firefox\", usually \"Edge\"; no city, usually \"Oslo\""
        );
    }

    #[test]
    fn files_appear_whole_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("new/findings.jsonl");
        let mut sink = FindingsSink::create(&path, reader(0.5)).unwrap();
        sink.write(&scored(&[1.0])).unwrap();
        sink.flush().unwrap();
        assert!(!path.exists());
        assert!(dir.path().join("new/findings.jsonl.partial").exists());
        drop(sink);
        assert_eq!(std::fs::read_dir(dir.path().join("new")).unwrap().count(), 0, "given up");
        let mut sink = FindingsSink::create(&path, reader(0.5)).unwrap();
        sink.write(&scored(&[1.0])).unwrap();
        sink.close().unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 1);
        assert_eq!(sink.findings(), 1);
    }

    #[test]
    fn a_batch_without_the_standard_columns_is_refused() {
        let empty = RecordBatch::new_empty(Arc::new(arrow_schema::Schema::empty()));
        assert_eq!(reader(1.0).read(&empty).unwrap_err().kind(), ErrorKind::SchemaMismatch);
        let text = StringArray::from(vec!["high"]);
        let worded = RecordBatch::try_from_iter([(SCORE, Arc::new(text) as ArrayRef)]).unwrap();
        assert_eq!(reader(1.0).read(&worded).unwrap_err().kind(), ErrorKind::SchemaMismatch);
    }

    #[test]
    fn cells_of_every_plain_type_are_json_and_the_rest_null() {
        let of = |array: ArrayRef| cell(array.as_ref(), 0);
        let (texts, wide) = (StringViewArray::from(vec!["a"]), LargeStringArray::from(vec!["a"]));
        assert_eq!([of(Arc::new(texts)), of(Arc::new(wide))], [Value::from("a"), Value::from("a")]);
        assert_eq!(of(Arc::new(UInt64Array::from(vec![u64::MAX]))), u64::MAX);
        assert_eq!(of(Arc::new(UInt8Array::from(vec![7]))), 7);
        assert_eq!(of(Arc::new(Float64Array::from(vec![f64::NAN]))), Value::Null);
        let time = TimestampNanosecondArray::from(vec![1_000_000_000]);
        assert_eq!(of(Arc::new(time)), "1970-01-01T00:00:01Z");
        assert_eq!(of(Arc::new(TimestampSecondArray::from(vec![1]))), Value::Null);
    }
}
