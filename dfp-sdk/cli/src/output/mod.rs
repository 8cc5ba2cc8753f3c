//! Where records and sessions go, and in which format.

pub(crate) mod json;

use std::io::{BufWriter, IsTerminal, Stdout, Write};
use std::path::Path;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, UInt64Array};
use arrow_ipc::writer::{FileWriter, StreamWriter};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use arrow_select::take::take;
use dfp_sdk::AtomicFile;
use dfp_sdk::core::{Error, ErrorKind, Result, Sink};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;

use crate::args::ReadFormat;

/// A row group ends when the writer holds this much of it, so that memory stays flat whatever the records.
const ROW_GROUP_BYTES: usize = 32 << 20;
/// JSON lines are handed on when there are this many bytes of them.
const LINES_BYTES: usize = 64 << 10;

/// Writes records; a file appears whole or not at all.
pub(crate) struct Output {
    format: ReadFormat,
    /// What is written, for messages.
    name: String,
    state: State,
}

enum State {
    Unbound(Destination),
    Lines { to: Destination, lines: Vec<u8> },
    Parquet(Box<ArrowWriter<Destination>>),
    File { writer: Box<FileWriter<Destination>>, schema: SchemaRef },
    Stream(Box<StreamWriter<Destination>>),
    Closed,
}

enum Destination {
    Stdout(BufWriter<Stdout>),
    File(AtomicFile),
}

impl Destination {
    fn finish(mut self) -> Result<()> {
        match &mut self {
            Self::Stdout(out) => out.flush().map_err(|e| Error::io("writing to stdout", e)),
            Self::File(file) => file.finish(),
        }
    }
}

impl Write for Destination {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self {
            Self::Stdout(out) => out.write(bytes),
            Self::File(file) => file.write(bytes),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        match self {
            Self::Stdout(out) => out.flush(),
            Self::File(file) => file.flush(),
        }
    }
}

impl Output {
    /// Records to `file`, or to stdout, in the format asked for or the one of the file's ending. `inputs` are not to be
    /// overwritten.
    pub(crate) fn new(format: Option<ReadFormat>, file: Option<&Path>, inputs: &[String]) -> Result<Self> {
        let format = match (format, file) {
            (Some(format), _) => format,
            (None, Some(file)) => by_ending(file)?,
            (None, None) => ReadFormat::Ndjson,
        };
        let to = match file {
            Some(file) => {
                check_place(file, inputs)?;
                Destination::File(AtomicFile::create(file)?)
            }
            None if format != ReadFormat::Ndjson && std::io::stdout().is_terminal() => {
                let what = "this format is not for a terminal: give --out FILE, or redirect stdout";
                return Err(Error::new(ErrorKind::InvalidArgument, what));
            }
            None => Destination::Stdout(BufWriter::new(std::io::stdout())),
        };
        let name = file.map_or_else(|| "stdout".to_owned(), |file| file.display().to_string());
        Ok(Self { format, name, state: State::Unbound(to) })
    }

    fn failed(&self, error: impl std::error::Error + Send + Sync + 'static) -> Error {
        Error::caused(ErrorKind::Io, format!("writing {}", self.name), error)
    }

    fn begin(&self, schema: SchemaRef, to: Destination) -> Result<State> {
        Ok(match self.format {
            ReadFormat::Ndjson => {
                json::check(&schema)?;
                State::Lines { to, lines: Vec::new() }
            }
            ReadFormat::Parquet => {
                let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
                let writer = ArrowWriter::try_new(to, schema, Some(properties));
                State::Parquet(Box::new(writer.map_err(|e| self.failed(e))?))
            }
            ReadFormat::Arrow => {
                let schema = plain_schema(&schema);
                let writer = FileWriter::try_new(to, &schema).map_err(|e| self.failed(e))?;
                State::File { writer: Box::new(writer), schema }
            }
            ReadFormat::ArrowStream => {
                let writer = StreamWriter::try_new(to, &schema).map_err(|e| self.failed(e))?;
                State::Stream(Box::new(writer))
            }
        })
    }
}

impl Sink for Output {
    fn bind(&mut self, schema: SchemaRef) -> Result<()> {
        let State::Unbound(to) = std::mem::replace(&mut self.state, State::Closed) else {
            return Err(Error::new(ErrorKind::InvalidState, "an output is bound once"));
        };
        self.state = self.begin(schema, to)?;
        Ok(())
    }

    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let written: Result<(), Box<dyn std::error::Error + Send + Sync>> = match &mut self.state {
            State::Lines { to, lines } => write_lines(batch, lines, to).map_err(Into::into),
            State::Parquet(writer) => write_group(batch, writer).map_err(Into::into),
            State::File { writer, schema } => {
                plain(batch, schema).and_then(|batch| writer.write(&batch)).map_err(Into::into)
            }
            State::Stream(writer) => writer.write(batch).map_err(Into::into),
            State::Unbound(_) | State::Closed => {
                return Err(Error::new(ErrorKind::InvalidState, "an output is bound before it is written"));
            }
        };
        written.map_err(|error| Error::caused(ErrorKind::Io, format!("writing {}", self.name), error))
    }

    fn flush(&mut self) -> Result<()> {
        // Records are durable when the file has its name.
        Ok(())
    }

    fn close(&mut self) -> Result<()> {
        let to = match std::mem::replace(&mut self.state, State::Closed) {
            State::Unbound(to) | State::Lines { to, .. } => to,
            State::Parquet(writer) => writer.into_inner().map_err(|e| self.failed(e))?,
            State::File { mut writer, .. } => {
                writer.finish().map_err(|e| self.failed(e))?;
                writer.into_inner().map_err(|e| self.failed(e))?
            }
            State::Stream(writer) => writer.into_inner().map_err(|e| self.failed(e))?,
            State::Closed => return Ok(()),
        };
        to.finish()
    }
}

fn by_ending(file: &Path) -> Result<ReadFormat> {
    let ending = file.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    match ending.as_str() {
        "ndjson" | "jsonl" | "json" => Ok(ReadFormat::Ndjson),
        "parquet" => Ok(ReadFormat::Parquet),
        "arrow" | "feather" => Ok(ReadFormat::Arrow),
        "arrows" => Ok(ReadFormat::ArrowStream),
        _ => {
            let what = format!("the name {} does not say which format: give --format", file.display());
            Err(Error::new(ErrorKind::InvalidArgument, what))
        }
    }
}

/// Refuses a file whose replacement would cost more than an earlier result.
fn check_place(file: &Path, inputs: &[String]) -> Result<()> {
    let refused =
        |why: &str| Err(Error::new(ErrorKind::InvalidArgument, format!("--out {}: {why}", file.display())));
    let Ok(there) = std::fs::canonicalize(file) else { return Ok(()) };
    if !there.is_file() {
        return refused("it is no regular file; to write to a pipe or device, redirect stdout");
    }
    if inputs.iter().any(|input| std::fs::canonicalize(input).is_ok_and(|input| input == there)) {
        return refused("it is one of the inputs");
    }
    Ok(())
}

fn write_lines(batch: &RecordBatch, lines: &mut Vec<u8>, to: &mut Destination) -> std::io::Result<()> {
    let writer = json::Rows::new(batch);
    for row in 0..batch.num_rows() {
        writer.write(row, lines);
        if lines.len() >= LINES_BYTES {
            to.write_all(lines)?;
            lines.clear();
        }
    }
    to.write_all(lines)?;
    lines.clear();
    Ok(())
}

fn write_group(batch: &RecordBatch, writer: &mut ArrowWriter<Destination>) -> parquet::errors::Result<()> {
    writer.write(batch)?;
    if writer.memory_size() >= ROW_GROUP_BYTES {
        writer.flush()?;
    }
    Ok(())
}

/// The schema without dictionaries: those of an Arrow file may not change from batch to batch, as a source's do.
fn plain_schema(schema: &SchemaRef) -> SchemaRef {
    let plain = |field: &Arc<Field>| match field.data_type() {
        DataType::Dictionary(_, values) => {
            Arc::new(field.as_ref().clone().with_data_type(values.as_ref().clone()))
        }
        _ => field.clone(),
    };
    let fields: Vec<_> = schema.fields().iter().map(plain).collect();
    Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()))
}

fn plain(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, arrow_schema::ArrowError> {
    if batch.schema_ref() == schema {
        return Ok(batch.clone());
    }
    let column = |column: &ArrayRef| {
        let Some(dictionary) = column.as_any_dictionary_opt() else { return Ok(column.clone()) };
        let keys = dictionary.normalized_keys();
        let keys: UInt64Array =
            (0..column.len()).map(|row| column.is_valid(row).then(|| keys[row] as u64)).collect();
        take(dictionary.values(), &keys, None)
    };
    let columns = batch.columns().iter().map(column).collect::<Result<_, _>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(schema.clone(), columns, &options)
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use arrow_array::types::{Int8Type, Int32Type};
    use arrow_array::{
        BooleanArray, DictionaryArray, Float64Array, Int64Array, ListArray, StringArray, StructArray,
        TimestampNanosecondArray,
    };
    use arrow_ipc::reader::{FileReader, StreamReader};
    use arrow_select::concat::concat_batches;
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
    use serde_json::{Value, json};
    use tempfile::TempDir;

    use super::*;

    /// Three rows of every kind of column: a value, an odd one, none. Dictionaries differ with `word`.
    fn batch(word: &str) -> RecordBatch {
        let words: DictionaryArray<Int8Type> = [Some(word), Some("b"), None].into_iter().collect();
        let lists = [Some(vec![Some(1), None]), Some(vec![]), None];
        let place: ArrayRef = Arc::new(StringArray::from(vec![Some("Oslo"), Some(""), None]));
        let city = vec![Field::new("city", DataType::Utf8, true)].into();
        let places = StructArray::new(city, vec![place], Some(vec![true, true, false].into()));
        let time =
            TimestampNanosecondArray::from(vec![Some(1_659_322_924_418_000_001), Some(i64::MIN), None]);
        let columns: [(&str, ArrayRef); 8] = [
            ("text", Arc::new(StringArray::from(vec![Some("a \"quoted\"\n\0 Île 🦀"), Some(""), None]))),
            ("when", Arc::new(time.with_timezone("UTC"))),
            ("ratio", Arc::new(Float64Array::from(vec![Some(-0.5), Some(f64::NAN), None]))),
            ("count", Arc::new(Int64Array::from(vec![Some(i64::MIN), Some(0), None]))),
            ("flag", Arc::new(BooleanArray::from(vec![Some(true), Some(false), None]))),
            ("word", Arc::new(words)),
            ("list", Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>(lists))),
            ("place", Arc::new(places)),
        ];
        RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true))).unwrap()
    }

    /// Writes the batches to a file of this name in a new directory, and closes it.
    fn written(name: &str, batches: &[RecordBatch]) -> TempDir {
        let dir = tempfile::tempdir().unwrap();
        let mut output = Output::new(None, Some(&dir.path().join(name)), &[]).unwrap();
        output.bind(batch("a").schema()).unwrap();
        for batch in batches {
            output.write(batch).unwrap();
        }
        assert!(!dir.path().join(name).exists());
        output.close().unwrap();
        let files = std::fs::read_dir(dir.path()).unwrap().count();
        assert_eq!(files, 1, "nothing but the file");
        dir
    }

    /// What the file of [`written`] holds: its schema and its rows.
    fn read_back(name: &str, batches: &[RecordBatch]) -> (SchemaRef, RecordBatch) {
        let dir = written(name, batches);
        let file = File::open(dir.path().join(name)).unwrap();
        let (schema, read): (SchemaRef, Vec<RecordBatch>) = if name.ends_with("parquet") {
            let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
            (reader.schema().clone(), reader.build().unwrap().collect::<Result<_, _>>().unwrap())
        } else if name.ends_with("arrows") {
            let reader = StreamReader::try_new(file, None).unwrap();
            (reader.schema(), reader.collect::<Result<_, _>>().unwrap())
        } else {
            let reader = FileReader::try_new(file, None).unwrap();
            (reader.schema(), reader.collect::<Result<_, _>>().unwrap())
        };
        let rows = concat_batches(&schema, &read).unwrap();
        (schema, rows)
    }

    /// Rows as JSON lines: equal values are equal texts, in a dictionary or not.
    fn lines(batch: &RecordBatch) -> String {
        let mut out = Vec::new();
        let rows = json::Rows::new(batch);
        (0..batch.num_rows()).for_each(|row| rows.write(row, &mut out));
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn binary_files_hold_what_went_in() {
        let batches = [batch("a"), batch("c")];
        for name in ["x.parquet", "x.arrow", "x.feather", "x.arrows"] {
            let (schema, rows) = read_back(name, &batches);
            let plain = !name.ends_with("parquet") && !name.ends_with("arrows");
            let expected = if plain { plain_schema(&batches[0].schema()) } else { batches[0].schema() };
            assert_eq!(schema.fields(), expected.fields(), "{name}");
            assert_eq!(lines(&rows), lines(&batches[0]) + &lines(&batches[1]), "{name}");
            for column in 0..rows.num_columns() {
                let nulls: Vec<bool> = (0..6).map(|row| rows.column(column).is_null(row)).collect();
                assert_eq!(nulls, [false, false, true, false, false, true], "{name} {column}");
            }
            let ratio =
                rows.column_by_name("ratio").unwrap().as_primitive::<arrow_array::types::Float64Type>();
            assert!(ratio.value(1).is_nan(), "{name}");
        }
    }

    #[test]
    fn files_without_rows_are_whole_too() {
        for name in ["x.parquet", "x.arrow", "x.arrows"] {
            let (schema, rows) = read_back(name, &[]);
            assert_eq!((schema.fields().len(), rows.num_rows()), (8, 0), "{name}");
        }
        let dir = written("x.jsonl", &[]);
        assert_eq!(std::fs::read_to_string(dir.path().join("x.jsonl")).unwrap(), "");
    }

    #[test]
    fn json_lines_leave_out_what_has_no_value() {
        let dir = written("x.ndjson", &[batch("a")]);
        let text = std::fs::read_to_string(dir.path().join("x.ndjson")).unwrap();
        let values: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let expected = [
            json!({
                "text": "a \"quoted\"\n\0 Île 🦀", "when": "2022-08-01T03:02:04.418000001Z", "ratio": -0.5,
                "count": i64::MIN, "flag": true, "word": "a", "list": [1, null], "place": {"city": "Oslo"},
            }),
            json!({
                "text": "", "when": "1677-09-21T00:12:43.145224192Z", "count": 0, "flag": false, "word": "b",
                "list": [], "place": {"city": ""},
            }),
            json!({}),
        ];
        assert_eq!(values, expected);
    }

    #[test]
    fn row_groups_are_bounded_in_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.parquet");
        let mut output = Output::new(None, Some(&path), &[]).unwrap();
        // Text that does not compress: xorshift.
        let mut random = 1_u64;
        let mut letter = || {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            char::from(b' ' + (random % 90) as u8)
        };
        let texts: StringArray =
            (0..500).map(|_| Some((0..4096).map(|_| letter()).collect::<String>())).collect();
        let batch = RecordBatch::try_from_iter([("x", Arc::new(texts) as ArrayRef)]).unwrap();
        output.bind(batch.schema()).unwrap();
        for _ in 0..30 {
            output.write(&batch).unwrap();
        }
        output.close().unwrap();
        let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap();
        assert!(reader.metadata().num_row_groups() > 1);
        assert_eq!(reader.metadata().file_metadata().num_rows(), 15_000);
    }

    #[test]
    fn what_is_given_up_leaves_nothing_and_keeps_what_was_there() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["x.jsonl", "x.parquet", "x.arrow", "x.arrows"] {
            let path = dir.path().join(name);
            std::fs::write(&path, "before").unwrap();
            let mut output = Output::new(None, Some(&path), &[]).unwrap();
            output.bind(batch("a").schema()).unwrap();
            output.write(&batch("a")).unwrap();
            drop(output);
            assert_eq!(std::fs::read_to_string(&path).unwrap(), "before", "{name}");
        }
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 4);
    }

    #[test]
    fn places_that_are_no_result_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("log.json");
        std::fs::write(&log, "{}").unwrap();
        let refused = |path: &Path, inputs: &[String]| {
            let error = Output::new(None, Some(path), inputs).err().expect("refused");
            assert_eq!(error.kind(), ErrorKind::InvalidArgument);
            error.to_string()
        };
        assert!(refused(&log, &[log.to_str().unwrap().to_owned()]).contains("one of the inputs"));
        assert!(refused(&dir.path().join("x.csv"), &[]).contains("--format"));
        let device = Output::new(Some(ReadFormat::Ndjson), Some(Path::new("/dev/null")), &[]);
        assert!(device.err().expect("refused").to_string().contains("redirect stdout"));
    }

    #[test]
    fn columns_that_json_does_not_hold_are_refused_by_name() {
        let bytes: ArrayRef = Arc::new(arrow_array::BinaryArray::from(vec![b"x".as_slice()]));
        let batch = RecordBatch::try_from_iter([("raw", bytes)]).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let mut output = Output::new(None, Some(&dir.path().join("x.jsonl")), &[]).unwrap();
        let error = output.bind(batch.schema()).unwrap_err();
        assert!(error.to_string().contains("raw") && error.to_string().contains("parquet"), "{error}");
    }
}
