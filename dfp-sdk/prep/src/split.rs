//! One batch to one batch per entity.

use std::collections::HashMap;

use arrow_array::cast::AsArray;
use arrow_array::{RecordBatch, StringArray, UInt64Array};
use arrow_select::take::take_record_batch;
use foldhash::fast::RandomState;

use crate::profile::ENTITY;
use crate::{Error, Result};

/// Groups a loaded batch by entity: sorted by name, rows in input order. Rows without entity belong to no group.
///
/// # Errors
/// [`Error::Column`] if the batch has no column [`ENTITY`].
pub fn by_entity(batch: &RecordBatch) -> Result<Vec<(String, RecordBatch)>> {
    by_column(batch, ENTITY)
}

/// One batch per value of a text column, as [`by_entity`].
///
/// # Errors
/// If the column is missing or no text.
pub fn by_column(batch: &RecordBatch, name: &str) -> Result<Vec<(String, RecordBatch)>> {
    let entities = text_column(batch, name)?;
    let mut groups: HashMap<&str, Vec<u64>, RandomState> = HashMap::default();
    for (row, entity) in entities.iter().enumerate() {
        if let Some(entity) = entity {
            groups.entry(entity).or_default().push(row as u64);
        }
    }
    let mut groups: Vec<_> = groups.into_iter().collect();
    groups.sort_unstable_by_key(|(entity, _)| *entity);
    let take = |(entity, rows): (&str, Vec<u64>)| {
        let whole = rows.len() == batch.num_rows();
        let rows = if whole { batch.clone() } else { take_record_batch(batch, &UInt64Array::from(rows))? };
        Ok((entity.to_owned(), rows))
    };
    groups.into_iter().map(take).collect()
}

/// A column of text by its name.
///
/// # Errors
/// If it is missing or no text.
pub fn text_column<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a StringArray> {
    let column = batch.column_by_name(name).ok_or_else(|| Error::column(name, "missing"))?;
    column.as_string_opt().ok_or_else(|| Error::column(name, "must be text"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::types::Int64Type;
    use arrow_array::{ArrayRef, Int64Array};
    use std::sync::Arc;

    fn batch(names: &[Option<&str>]) -> RecordBatch {
        let names_column: ArrayRef = Arc::new(StringArray::from(names.to_vec()));
        let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(0..names.len() as i64));
        RecordBatch::try_from_iter([(ENTITY, names_column), ("id", ids)]).unwrap()
    }

    fn ids(batch: &RecordBatch) -> Vec<i64> {
        batch.column(1).as_primitive::<Int64Type>().values().to_vec()
    }

    #[test]
    fn groups_are_sorted_and_keep_row_order() {
        let groups = by_entity(&batch(&[Some("b"), Some("a"), None, Some("b")])).unwrap();
        let found: Vec<_> = groups.iter().map(|(name, rows)| (name.as_str(), ids(rows))).collect();
        assert_eq!(found, [("a", vec![1]), ("b", vec![0, 3])]);
        assert!(by_entity(&batch(&[])).unwrap().is_empty());
    }
}
