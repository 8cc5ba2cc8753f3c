//! Streams of batches: of one, and through a stage.

use std::ffi::c_char;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use dfp_abi::c::dfp_error;
use dfp_abi::{
    ArrowArray, ArrowArrayStream, ArrowSchema, FFI_ArrowSchema, export_stream, import_batch, import_schema,
    take_array,
};
use dfp_sdk::core::{BatchStream, MemoryStream, Result, Stage};

use crate::entry::{Out, entry, is_null};

/// DFP_VERSION of the library, which may be newer than the header.
#[unsafe(no_mangle)]
pub extern "C" fn dfp_version() -> *const c_char {
    const { concat!(env!("CARGO_PKG_VERSION"), "\0") }.as_ptr().cast()
}

/// Makes a stream of one batch: a struct of columns with its schema. Looks at every value, and fails with DFP_BAD_DATA if one is
/// not what Arrow demands.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dfp_stream_of_batch(
    schema: *mut ArrowSchema,
    batch: *mut ArrowArray,
    out: *mut ArrowArrayStream,
    error: *mut dfp_error,
) -> i32 {
    let stream = || {
        // SAFETY: the header demands arguments that are NULL or filled by the rules of the C Data Interface. Both types have the
        // layout of the C struct.
        let schema = (!schema.is_null()).then(|| unsafe { FFI_ArrowSchema::from_raw(schema.cast()) });
        // SAFETY: as above.
        let batch = unsafe { take_array(batch) };
        // SAFETY: the header demands a place for a struct.
        let out = unsafe { Out::new(out, ArrowArrayStream::default(), "out") }?;
        let schema = schema.ok_or_else(|| is_null("schema"))?;
        // SAFETY: as above.
        let schema = unsafe { import_schema(schema) }?;
        // SAFETY: as above.
        let batch = unsafe { import_batch(batch.ok_or_else(|| is_null("batch"))?, &schema) }?;
        out.fill(export_stream(Box::new(MemoryStream::new(schema, vec![batch]))));
        Ok(())
    };
    // SAFETY: the header demands NULL or a dfp_error.
    unsafe { entry(error, stream) }
}

/// What a stage makes of a stream, batch by batch.
pub(crate) struct Staged<S> {
    input: Option<Box<dyn BatchStream>>,
    stage: S,
    schema: SchemaRef,
}

impl<S: Stage> Staged<S> {
    pub(crate) fn new(input: Box<dyn BatchStream>, mut stage: S) -> Result<Self> {
        let schema = stage.bind(input.schema())?;
        Ok(Self { input: Some(input), stage, schema })
    }

    fn advance(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            if let Some(batch) = self.stage.pull()? {
                return Ok(Some(batch));
            }
            let Some(input) = &mut self.input else { return Ok(None) };
            match input.next().transpose()? {
                Some(batch) if batch.num_rows() == 0 => {}
                Some(batch) => self.stage.push(batch)?,
                None => {
                    self.input = None;
                    self.stage.finish()?;
                }
            }
        }
    }
}

impl<S: Stage> Iterator for Staged<S> {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        self.advance().transpose()
    }
}

impl<S: Stage> BatchStream for Staged<S> {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }
}
