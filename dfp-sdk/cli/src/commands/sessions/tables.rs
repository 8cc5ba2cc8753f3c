//! Tables in files: Parquet and Arrow, told by their first bytes.

use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::panic::{AssertUnwindSafe, catch_unwind};

use arrow_array::RecordBatch;
use arrow_ipc::reader::{FileReader, StreamReader};
use arrow_schema::SchemaRef;
use dfp_sdk::core::{BatchStream, Error, ErrorKind, Result, Source, panic_text};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

/// Rows of a batch out of a Parquet file.
const ROWS: usize = 8192;

type Batches = Box<dyn Iterator<Item = Result<RecordBatch>> + Send>;

/// The tables of several files, one after the other; all have the columns of the first.
pub(super) struct Tables {
    schema: SchemaRef,
    files: Vec<String>,
}

impl Tables {
    pub(super) fn new(files: Vec<String>) -> Result<Self> {
        let Some(first) = files.first() else {
            return Err(Error::new(ErrorKind::InvalidArgument, "no input files"));
        };
        Ok(Self { schema: open(first)?.0, files })
    }

    pub(super) fn batches(&self) -> Batches {
        let schema = self.schema.clone();
        let files = self.files.clone().into_iter();
        Box::new(files.flat_map(move |file| batches_of(&file, &schema)))
    }
}

impl Source for Tables {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn open(&mut self, _resume: Option<&[u8]>) -> Result<Box<dyn BatchStream>> {
        Ok(Box::new(Stream::new(self.schema.clone(), self.batches())))
    }
}

/// Batches of one schema.
pub(super) struct Stream {
    schema: SchemaRef,
    batches: Batches,
}

impl Stream {
    pub(super) fn new(schema: SchemaRef, batches: Batches) -> Self {
        Self { schema, batches }
    }
}

impl Iterator for Stream {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        self.batches.next()
    }
}

impl BatchStream for Stream {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }
}

fn batches_of(file: &str, expected: &SchemaRef) -> Batches {
    let opened = open(file).and_then(|(schema, batches)| {
        if schema.fields() == expected.fields() {
            return Ok(batches);
        }
        let what = format!("{file} has other columns than the first file");
        Err(Error::new(ErrorKind::SchemaMismatch, what))
    });
    match opened {
        Ok(batches) => batches,
        Err(error) => Box::new(std::iter::once(Err(error))),
    }
}

fn open(name: &str) -> Result<(SchemaRef, Batches)> {
    guarded(name, || {
        let io = |e| Error::io(format!("opening {name}"), e);
        let mut file = File::open(name).map_err(io)?;
        let mut magic = Vec::with_capacity(6);
        file.by_ref().take(6).read_to_end(&mut magic).map_err(io)?;
        file.rewind().map_err(io)?;
        let damaged = |e: Box<dyn std::error::Error + Send + Sync>| {
            Error::caused(ErrorKind::BadData, format!("reading {name}"), e)
        };
        let (schema, batches): (_, Box<dyn Iterator<Item = _> + Send>) = match &magic[..] {
            [b'P', b'A', b'R', b'1', ..] => {
                let builder =
                    ParquetRecordBatchReaderBuilder::try_new(file).map_err(|e| damaged(e.into()))?;
                let reader = builder.with_batch_size(ROWS).build().map_err(|e| damaged(e.into()))?;
                (arrow_array::RecordBatchReader::schema(&reader), Box::new(reader))
            }
            b"ARROW1" => {
                let reader =
                    FileReader::try_new(BufReader::new(file), None).map_err(|e| damaged(e.into()))?;
                (reader.schema(), Box::new(reader))
            }
            [0xFF, 0xFF, 0xFF, 0xFF, ..] => {
                let reader =
                    StreamReader::try_new(BufReader::new(file), None).map_err(|e| damaged(e.into()))?;
                (reader.schema(), Box::new(reader))
            }
            _ => {
                let what = format!("{name} is neither a Parquet nor an Arrow file; logs need --plugin");
                return Err(Error::new(ErrorKind::BadData, what));
            }
        };
        let name = name.to_owned();
        let mut batches = batches.fuse();
        let mut failed = false;
        let checked = std::iter::from_fn(move || {
            if failed {
                return None;
            }
            let next = guarded(&name, || Ok(batches.next()));
            let next = next.and_then(|batch| {
                batch.transpose().map_err(|e| Error::caused(ErrorKind::BadData, format!("reading {name}"), e))
            });
            failed = next.is_err();
            next.transpose()
        });
        Ok((schema, Box::new(checked) as Batches))
    })
}

/// The readers panic on some damaged files; that is their error.
fn guarded<T>(name: &str, read: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|panic| {
        Err(Error::new(ErrorKind::BadData, format!("reading {name}: damaged: {}", panic_text(&*panic))))
    })
}
