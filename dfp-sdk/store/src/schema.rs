//! The columns of a source's rows over time. Every schema a source ever had is kept, so that older chunks stay
//! readable; rows are always handed out in the newest.

use std::collections::HashSet;
use std::sync::Arc;

use arrow_array::{RecordBatch, RecordBatchOptions, new_null_array};
use arrow_ipc::writer::{DictionaryTracker, IpcDataGenerator, IpcWriteOptions};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use dfp_core::EVENT_TIME;

use crate::error::{Error, Result};

/// The schemas of one source, by number, and which is the newest.
#[derive(Debug, Clone)]
pub(crate) struct Schemas {
    pub(crate) all: Vec<SchemaRef>,
    pub(crate) current: u32,
}

impl Schemas {
    pub(crate) fn current(&self) -> &SchemaRef {
        &self.all[self.current as usize]
    }
}

/// The schema to store rows of schema `new` under, given what the source had before: the columns of `new`, nullable
/// where older rows may lack a value.
pub(crate) fn evolve(source: &str, before: &[SchemaRef], new: &Schema) -> Result<Schema> {
    let evolved = |field: &Arc<Field>| {
        let mut nullable = field.is_nullable();
        for old in before {
            let stored = old.field_with_name(field.name()).ok();
            if let Some(stored) = stored.filter(|stored| stored.data_type() != field.data_type()) {
                return Err(Error::TypeChanged {
                    source_name: source.to_owned(),
                    column: field.name().clone(),
                    stored: stored.data_type().clone(),
                    found: field.data_type().clone(),
                });
            }
            nullable |= stored.is_none_or(Field::is_nullable);
        }
        Ok(Field::new(field.name(), field.data_type().clone(), nullable))
    };
    Ok(Schema::new(new.fields().iter().map(evolved).collect::<Result<Vec<_>>>()?))
}

/// Why rows of this schema cannot be stored, if so.
pub(crate) fn refusal(schema: &Schema) -> Option<String> {
    match schema.field_with_name(EVENT_TIME).map(Field::data_type) {
        Ok(DataType::Timestamp(TimeUnit::Nanosecond, _)) => (),
        Ok(other) => return Some(format!("{EVENT_TIME} is {other}, not a timestamp in nanoseconds")),
        Err(_) => return Some(format!("there is no column {EVENT_TIME}")),
    }
    let mut names = HashSet::new();
    schema.fields().iter().find_map(|field| {
        if !names.insert(field.name()) {
            Some(format!("there are two columns {}", field.name()))
        } else if has_dictionary(field.data_type()) {
            Some(format!("column {} is dictionary encoded: store the plain values", field.name()))
        } else {
            None
        }
    })
}

fn has_dictionary(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(..) => true,
        DataType::List(field)
        | DataType::LargeList(field)
        | DataType::ListView(field)
        | DataType::LargeListView(field)
        | DataType::FixedSizeList(field, _)
        | DataType::Map(field, _)
        | DataType::RunEndEncoded(_, field) => has_dictionary(field.data_type()),
        DataType::Struct(fields) => fields.iter().any(|field| has_dictionary(field.data_type())),
        DataType::Union(fields, _) => fields.iter().any(|(_, field)| has_dictionary(field.data_type())),
        _ => false,
    }
}

/// `batch` with the columns of `target`, matched by name: those it lacks are null, those `target` lacks are left out.
///
/// # Errors
/// [`Error::Arrow`] if a column has another type in `target`, or may not be null there and is.
pub fn project(batch: &RecordBatch, target: &SchemaRef) -> Result<RecordBatch> {
    if batch.schema_ref() == target {
        return Ok(batch.clone());
    }
    let column = |field: &Arc<Field>| {
        let stored = batch.column_by_name(field.name()).cloned();
        stored.unwrap_or_else(|| new_null_array(field.data_type(), batch.num_rows()))
    };
    let columns = target.fields().iter().map(column).collect();
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(target), columns, &options)
        .map_err(Error::arrow("reading older rows in the source's newest schema"))
}

/// A schema as the flatbuffer of an Arrow IPC schema message.
pub(crate) fn encode(schema: &Schema) -> Vec<u8> {
    let mut tracker = DictionaryTracker::new(true);
    let options = IpcWriteOptions::default();
    IpcDataGenerator {}.schema_to_bytes_with_dictionary_tracker(schema, &mut tracker, &options).ipc_message
}

pub(crate) fn decode(key: &str, bytes: &[u8]) -> Result<SchemaRef> {
    let schema = arrow_ipc::convert::try_schema_from_flatbuffer_bytes(bytes)
        .map_err(|error| Error::damaged(key, &error))?;
    Ok(Arc::new(schema))
}
