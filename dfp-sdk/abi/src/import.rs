//! Batch streams coming in through Arrow's C structs.
//!
//! The other side is not believed: whatever arrow-rs would take on trust or panic about is looked at first, and every
//! batch is validated in full.

use std::ffi::{CStr, c_int};
use std::sync::Arc;

use arrow_array::{RecordBatch, RecordBatchOptions};
use arrow_data::ffi::FFI_ArrowArray;
use arrow_schema::ffi::FFI_ArrowSchema;
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use dfp_core::{BatchStream, Error, ErrorKind, Result};

use crate::arrow::{ArrowArray, ArrowArrayStream, ArrowSchema};
use crate::boundary::{caught, foreign_text};
use crate::c::DFP_STREAM_CODE_BASE;
use crate::take::{Source, Values, damaged};

/// Types nested deeper than this are refused: no log needs them, and every reader recurses.
const MAX_DEPTH: usize = 32;
/// Columns of one struct.
const MAX_CHILDREN: i64 = 1 << 16;

pub(crate) fn refused(what: impl Into<String>) -> Error {
    Error::new(ErrorKind::BadData, what)
}

/// Takes a schema that the other side filled in, whether or not it can be used.
///
/// # Errors
/// [`ErrorKind::BadData`] if the struct is damaged, [`ErrorKind::Unsupported`] for a type that does not cross the border.
///
/// # Safety
/// `schema` was empty, or was filled by the rules of the C Data Interface: its pointers are NULL or lead to what the
/// interface says.
#[allow(clippy::needless_pass_by_value, reason = "taking the struct is what releases it")]
pub unsafe fn import_schema(schema: FFI_ArrowSchema) -> Result<SchemaRef> {
    // SAFETY: both types have the layout of the C struct, and its pointers are what the caller promises.
    unsafe { borrowed_schema((&raw const schema).cast()) }
}

/// Reads a schema that the other side lends for a call.
///
/// # Errors
/// As [`import_schema`].
///
/// # Safety
/// `schema` is NULL, or as [`import_schema`] wants it.
pub unsafe fn borrowed_schema(schema: *const ArrowSchema) -> Result<SchemaRef> {
    // SAFETY: the caller's promise.
    let Some(view) = (unsafe { schema.as_ref() }).filter(|schema| schema.release.is_some()) else {
        return Err(refused("the schema is missing"));
    };
    // SAFETY: the caller's promise.
    unsafe { check_schema(view, 0) }?;
    // SAFETY: both types have the layout of the C struct.
    let view = unsafe { &*schema.cast::<FFI_ArrowSchema>() };
    let schema = caught(|| {
        Schema::try_from(view)
            .map_err(|error| Error::caused(ErrorKind::BadData, "reading a schema from the C border", error))
    })?;
    schema_crosses(&schema)?;
    Ok(SchemaRef::new(schema))
}

/// Whether all columns are of types that cross the border.
///
/// # Errors
/// [`ErrorKind::Unsupported`], naming the first column that is not.
pub fn schema_crosses(schema: &Schema) -> Result<()> {
    match schema.fields().iter().find(|field| !crosses(field.data_type())) {
        None => Ok(()),
        Some(field) => Err(not_crossing(&format!("column {:?}", field.name()), field.data_type())),
    }
}

pub(crate) fn not_crossing(what: &str, data_type: &DataType) -> Error {
    let what = format!("{what} is of type {data_type}, which does not cross the border");
    Error::new(ErrorKind::Unsupported, what)
}

/// Looks at all that arrow-rs follows without looking.
///
/// # Safety
/// Pointers are NULL or lead to what the C Data Interface says.
unsafe fn check_schema(schema: &ArrowSchema, depth: usize) -> Result<()> {
    if depth > MAX_DEPTH {
        return Err(refused(format!("the schema is nested deeper than {MAX_DEPTH}")));
    }
    if schema.format.is_null() {
        return Err(refused("a schema has no format"));
    }
    // SAFETY: not NULL, so a NUL-terminated text.
    let format = unsafe { CStr::from_ptr(schema.format) };
    // SAFETY: as above.
    let name = (!schema.name.is_null()).then(|| unsafe { CStr::from_ptr(schema.name) });
    if format.to_str().is_err() || name.is_some_and(|name| name.to_str().is_err()) {
        return Err(refused("a schema's format or name is not UTF-8"));
    }
    let children = match format.to_bytes() {
        b"+s" => 0..=MAX_CHILDREN,
        b"+l" | b"+L" | b"+m" => 1..=1,
        [b'+', ..] => {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!("the format {format:?} does not cross the border"),
            ));
        }
        _ => 0..=0,
    };
    if !children.contains(&schema.n_children) {
        return Err(refused(format!("a schema of format {format:?} has {} children", schema.n_children)));
    }
    if schema.n_children > 0 && schema.children.is_null() {
        return Err(refused("a schema's list of children is missing"));
    }
    for index in 0..schema.n_children as usize {
        // SAFETY: the list is not NULL and has n_children pointers.
        let child = unsafe { schema.children.add(index).read() };
        // SAFETY: NULL or a schema.
        let child = unsafe { child.as_ref() }.filter(|child| child.release.is_some());
        let child = child.ok_or_else(|| refused(format!("child {index} of a schema is missing")))?;
        // SAFETY: the caller's promise covers children.
        unsafe { check_schema(child, depth + 1) }?;
    }
    // SAFETY: NULL or a schema.
    match unsafe { schema.dictionary.as_ref() } {
        // SAFETY: the caller's promise covers dictionaries.
        Some(values) => unsafe { check_schema(values, depth + 1) },
        None => Ok(()),
    }
}

/// The types that cross: those every Arrow library knows.
fn crosses(data_type: &DataType) -> bool {
    match data_type {
        DataType::Boolean
        | DataType::Utf8
        | DataType::LargeUtf8
        | DataType::Binary
        | DataType::LargeBinary
        | DataType::Timestamp(..)
        | DataType::Date32
        | DataType::Date64
        | DataType::Duration(_)
        | DataType::Decimal128(..) => true,
        DataType::List(item) | DataType::LargeList(item) => crosses(item.data_type()),
        DataType::Map(entries, _) => is_pair(entries) && crosses(entries.data_type()),
        DataType::Struct(fields) => fields.iter().all(|field| crosses(field.data_type())),
        other => other.is_integer() || other.is_floating() || is_text_dictionary(other),
    }
}

/// What a map's entries must be: a key and a value, neither of which may be missing as a whole.
fn is_pair(entries: &Field) -> bool {
    !entries.is_nullable() && matches!(entries.data_type(), DataType::Struct(pair) if pair.len() == 2)
}

/// The one kind of dictionary that crosses.
pub(crate) fn is_text_dictionary(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Dictionary(keys, values) if **keys == DataType::Int32 && **values == DataType::Utf8)
}

/// Takes a batch that the other side filled in, whether or not it can be used. Its memory stays where it is, and is
/// released when the last array that uses it is dropped.
///
/// # Errors
/// [`ErrorKind::BadData`] if it is not a valid batch of `schema`.
///
/// # Safety
/// `array` was filled by the rules of the C Data Interface: its pointers are NULL or lead to what the interface says, with
/// buffers as long as lengths and offsets claim.
pub unsafe fn import_batch(array: FFI_ArrowArray, schema: &SchemaRef) -> Result<RecordBatch> {
    // SAFETY: the caller's promise.
    unsafe { taken(array, schema, Values::Foreign) }
}

/// Takes a batch whose values were looked at before: what a host hands to a plugin was made by Rust code, or came in through
/// [`import_batch`]. Numbers and pointers of the structs are checked, the values are not read.
///
/// # Errors
/// As [`import_batch`].
///
/// # Safety
/// As [`import_batch`], and all values are what Arrow demands: offsets do not fall, texts are UTF-8, keys are in their
/// dictionary.
pub unsafe fn import_valid_batch(array: FFI_ArrowArray, schema: &SchemaRef) -> Result<RecordBatch> {
    // SAFETY: the caller's promise.
    unsafe { taken(array, schema, Values::Valid) }
}

/// # Safety
/// As [`import_batch`], and `values` is true.
unsafe fn taken(array: FFI_ArrowArray, schema: &SchemaRef, values: Values) -> Result<RecordBatch> {
    let owner = Arc::new(array);
    // SAFETY: both types have the layout of the C struct.
    let view = unsafe { &*Arc::as_ptr(&owner).cast::<ArrowArray>() };
    if view.offset != 0 {
        return Err(refused("a batch has an offset of its own"));
    }
    let data_type = DataType::Struct(schema.fields().clone());
    caught(|| {
        // SAFETY: the caller's promise; all memory is the owner's.
        let batch = unsafe { Source::new(view, &data_type, &owner, values) }?;
        if batch.nulls()?.is_some() {
            return Err(refused("a batch has rows that are null as a whole"));
        }
        let options = RecordBatchOptions::new().with_row_count(Some(batch.len()));
        let columns = batch.columns(schema.fields())?;
        RecordBatch::try_new_with_options(schema.clone(), columns, &options).map_err(damaged)
    })
}

/// A stream that the other side makes. Ends after its first error; released when dropped.
#[derive(Debug)]
pub struct ImportedStream {
    stream: ArrowArrayStream,
    schema: SchemaRef,
    over: bool,
}

impl ImportedStream {
    /// Takes a stream that the other side filled in, whether or not it can be used.
    ///
    /// # Errors
    /// [`ErrorKind::SchemaMismatch`] if it is not a stream of `declared`, and what [`any`](Self::any) answers.
    ///
    /// # Safety
    /// As [`any`](Self::any).
    pub unsafe fn new(stream: ArrowArrayStream, declared: &SchemaRef) -> Result<Self> {
        // SAFETY: the caller's promise.
        let imported = unsafe { Self::any(stream) }?;
        if imported.schema != *declared {
            return Err(Error::new(
                ErrorKind::SchemaMismatch,
                format!(
                    "the stream's schema is not the declared one: {:?} instead of {declared:?}",
                    imported.schema
                ),
            ));
        }
        Ok(imported)
    }

    /// Takes a stream of whatever schema it says.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidState`] if the struct was released, the stream's own error, and what [`import_schema`] refuses.
    ///
    /// # Safety
    /// `stream` was empty, or was filled by the rules of the C Stream Interface, and keeps to them.
    pub unsafe fn any(mut stream: ArrowArrayStream) -> Result<Self> {
        let (Some(_), Some(get_schema), Some(_)) = (stream.release, stream.get_schema, stream.get_next)
        else {
            return Err(Error::new(ErrorKind::InvalidState, "the stream is missing or already released"));
        };
        let mut schema = FFI_ArrowSchema::empty();
        // SAFETY: the stream is alive, and the caller promises that it keeps to the interface.
        let code = unsafe { get_schema(&raw mut stream, (&raw mut schema).cast()) };
        if code != 0 {
            return Err(last_error(&mut stream, code).context("asking a stream for its schema"));
        }
        // SAFETY: the stream has just filled it.
        let schema = unsafe { import_schema(schema) }?;
        Ok(Self { stream, schema, over: false })
    }

    fn pull(&mut self) -> Result<Option<RecordBatch>> {
        let get_next =
            self.stream.get_next.expect("looked at by `new`, and only the stream itself could change it");
        let mut array = FFI_ArrowArray::empty();
        // SAFETY: the stream is alive, and `new` was promised that it keeps to the interface.
        let code = unsafe { get_next(&raw mut self.stream, (&raw mut array).cast()) };
        if code != 0 {
            return Err(last_error(&mut self.stream, code));
        }
        if array.is_released() {
            return Ok(None);
        }
        // SAFETY: the stream has just filled it.
        unsafe { import_batch(array, &self.schema) }.map(Some)
    }
}

impl Iterator for ImportedStream {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        let next = self.pull();
        self.over = !matches!(next, Ok(Some(_)));
        next.transpose()
    }
}

impl BatchStream for ImportedStream {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }
}

/// What a stream says about a failure whose code it has just returned.
fn last_error(stream: &mut ArrowArrayStream, code: c_int) -> Error {
    let text = stream.get_last_error.and_then(|get_last_error| {
        // SAFETY: the stream is alive and has just failed: then this may be called. The text is copied at once.
        unsafe { foreign_text(get_last_error(stream)) }
    });
    let kind = stream_kind(code);
    let text = text
        .filter(|text| !text.is_empty())
        .unwrap_or_else(|| "the stream failed and does not say why".to_owned());
    if DFP_STREAM_CODE_BASE + kind.code() == code {
        Error::new(kind, text)
    } else {
        Error::new(kind, format!("{text} (code {code})"))
    }
}

/// The kind behind a stream callback's code: one of ours, or one of the errno values that Arrow asks for.
fn stream_kind(code: c_int) -> ErrorKind {
    const ERRNO: [(c_int, ErrorKind); 9] = [
        (1, ErrorKind::Permission),
        (2, ErrorKind::NotFound),
        (5, ErrorKind::Io),
        (12, ErrorKind::ResourceExhausted),
        (13, ErrorKind::Permission),
        (22, ErrorKind::BadData),
        (28, ErrorKind::ResourceExhausted),
        (110, ErrorKind::Timeout),
        (125, ErrorKind::Cancelled),
    ];
    if code > DFP_STREAM_CODE_BASE {
        return ErrorKind::from_code(code - DFP_STREAM_CODE_BASE);
    }
    ERRNO.iter().find(|(errno, _)| *errno == code).map_or(ErrorKind::Internal, |(_, kind)| *kind)
}

#[cfg(test)]
// SAFETY of the calls in there: structs are local ones, filled, or damaged in a way that is promised to be noticed, a few lines
// above.
#[allow(clippy::undocumented_unsafe_blocks)]
#[path = "import_tests.rs"]
mod tests;
