//! Batches to give to stages, sinks and models: plain ones, and all that often goes wrong.

use std::sync::Arc;

use arrow_array::builder::{Int64Builder, ListBuilder};
use arrow_array::types::Int32Type;
use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, DictionaryArray, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampNanosecondArray, new_null_array,
};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use serde_json::Value;

/// Rows of most samples.
const ROWS: usize = 8;
/// Bytes of a long text.
const LONG: usize = 1 << 20;
/// Names taken from a configuration.
const MAX_NAMES: usize = 32;

/// What the texts of a batch are like.
#[derive(Clone, Copy)]
enum Texts {
    Plain,
    Nul,
    Long,
}

/// A batch and what is odd about it.
pub(super) struct Sample {
    pub(super) name: &'static str,
    pub(super) batch: RecordBatch,
    /// Whether refusing it is no way out: every component takes these.
    pub(super) plain: bool,
}

/// Schemas that a component may like, best first: with one of every type; and with columns of the names that its configuration
/// mentions, of each type in turn.
pub(super) fn schemas(config: &str) -> Vec<SchemaRef> {
    let types = [
        DataType::Utf8,
        DataType::Float64,
        DataType::Int64,
        DataType::Boolean,
        DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into())),
        DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)),
        DataType::Binary,
        DataType::List(Arc::new(Field::new("item", DataType::Int64, true))),
    ];
    let every = |names: &[String]| -> Vec<Field> {
        let named = |(index, data_type): (usize, &DataType)| {
            Field::new(format!("dfp_check_{index}"), data_type.clone(), true)
        };
        let fields = types.iter().enumerate().map(named);
        fields.filter(|field| !names.contains(field.name())).collect()
    };
    let mut names = Vec::new();
    mentioned(&serde_json::from_str(config).unwrap_or_default(), &mut names);
    let mut schemas = vec![Arc::new(Schema::new(every(&names)))];
    if !names.is_empty() {
        schemas.extend(types.iter().map(|data_type| {
            let named = names.iter().map(|name| Field::new(name, data_type.clone(), true));
            Arc::new(Schema::new(named.chain(every(&names)).collect::<Vec<_>>()))
        }));
    }
    schemas
}

/// All texts in a configuration that may be a column's name.
fn mentioned(value: &Value, names: &mut Vec<String>) {
    match value {
        Value::String(text) => {
            let fits = !text.is_empty() && text.len() <= 128 && !text.contains('\0');
            if fits && !names.contains(text) && names.len() < MAX_NAMES {
                names.push(text.clone());
            }
        }
        Value::Array(items) => items.iter().for_each(|item| mentioned(item, names)),
        Value::Object(members) => members.values().for_each(|member| mentioned(member, names)),
        _ => {}
    }
}

/// A batch of `schema`, which is one of [`schemas`].
pub(super) fn plain(schema: &SchemaRef) -> RecordBatch {
    filled(schema, ROWS, Texts::Plain)
}

fn filled(schema: &SchemaRef, rows: usize, texts: Texts) -> RecordBatch {
    let columns = schema.fields().iter().map(|field| column(field.data_type(), rows, texts)).collect();
    RecordBatch::try_new(schema.clone(), columns).expect("columns are made by their fields")
}

/// A column of values, with a null among them.
fn column(data_type: &DataType, rows: usize, texts: Texts) -> ArrayRef {
    let known = |row: usize| row % 5 != 3;
    let text = |row: usize| match texts {
        Texts::Plain => format!("text {}", row % 3),
        Texts::Nul => format!("a\0b{row}"),
        Texts::Long => "x".repeat(LONG),
    };
    let rows = 0..rows;
    match data_type {
        DataType::Utf8 => Arc::new(rows.map(|row| known(row).then(|| text(row))).collect::<StringArray>()),
        DataType::Dictionary(..) => {
            let values: Vec<Option<String>> = rows.map(|row| known(row).then(|| text(row))).collect();
            Arc::new(values.iter().map(Option::as_deref).collect::<DictionaryArray<Int32Type>>())
        }
        DataType::Binary => {
            let values: Vec<Option<String>> = rows.map(|row| known(row).then(|| text(row))).collect();
            Arc::new(BinaryArray::from_iter(values))
        }
        DataType::Float64 => {
            Arc::new(rows.map(|row| known(row).then_some(row as f64 / 2.0)).collect::<Float64Array>())
        }
        DataType::Int64 => Arc::new(rows.map(|row| known(row).then_some(row as i64)).collect::<Int64Array>()),
        DataType::Boolean => {
            Arc::new(rows.map(|row| known(row).then_some(row % 2 == 0)).collect::<BooleanArray>())
        }
        DataType::Timestamp(..) => {
            let times = rows.map(|row| Some(1_700_000_000_000_000_000 + row as i64 * 1_000_000_000));
            Arc::new(times.collect::<TimestampNanosecondArray>().with_timezone("UTC"))
        }
        DataType::List(_) => {
            let mut lists = ListBuilder::new(Int64Builder::new());
            for row in rows {
                lists.values().append_value(row as i64);
                lists.append(known(row));
            }
            Arc::new(lists.finish())
        }
        other => new_null_array(other, rows.len()),
    }
}

/// Odd batches of a schema of [`schemas`].
pub(super) fn odd(schema: &SchemaRef) -> Vec<Sample> {
    let plain = plain(schema);
    let nulls = schema.fields().iter().map(|field| new_null_array(field.data_type(), ROWS)).collect();
    let nulls = RecordBatch::try_new(schema.clone(), nulls).expect("all columns may be null");
    let mut samples = of(&plain);
    for (name, batch) in [
        ("nothing but nulls", nulls),
        ("NULs in texts", filled(schema, ROWS, Texts::Nul)),
        ("texts of 1 MB", filled(schema, 2, Texts::Long)),
    ] {
        samples.push(Sample { name, batch, plain: false });
    }
    samples
}

/// What can be made of any batch.
pub(super) fn of(batch: &RecordBatch) -> Vec<Sample> {
    let rows = batch.num_rows();
    let part = batch.slice(rows / 3, rows - rows / 3);
    let named = [("a plain batch", batch.clone()), ("a slice", part), ("no rows", batch.slice(0, 0))];
    named.into_iter().map(|(name, batch)| Sample { name, batch, plain: true }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_schema_has_its_samples() {
        let schemas = schemas(r#"{"columns": ["time", "user"], "deep": {"x": "time"}}"#);
        assert_eq!(schemas.len(), 9);
        assert_eq!(schemas[2].field(0), &Field::new("time", DataType::Float64, true));
        for schema in schemas {
            assert_eq!(plain(&schema).num_rows(), ROWS);
            let odd = odd(&schema);
            assert_eq!(odd.len(), 6);
            assert!(odd.iter().any(|sample| sample.batch.num_rows() == 0));
        }
    }
}
