//! One batch to one batch per entity.

use std::collections::HashMap;

use arrow_array::cast::AsArray;
use arrow_array::{BooleanArray, RecordBatch, StringArray, UInt64Array};
use arrow_select::filter::filter_record_batch;
use arrow_select::take::take_record_batch;
use foldhash::fast::RandomState;

use crate::profile::ENTITY;
use crate::{Error, Result, Selection};

/// Which groups a split makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Include {
    /// One group of all rows, under the fallback's name.
    Generic,
    /// One group per entity.
    Individual,
    /// Both.
    #[default]
    All,
}

/// Groups a loaded batch by entity: sorted by name, rows in input order. Rows without entity belong to no group.
///
/// # Errors
/// [`Error::Column`] if the batch has no column [`ENTITY`].
pub fn by_entity(batch: &RecordBatch) -> Result<Vec<(String, RecordBatch)>> {
    let entities = entities(batch)?;
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

/// Splits a loaded batch (spec/dfp.md section 7): the entities of `selection`, one group each, and all their rows
/// together under the name `fallback`, as `include` says; sorted by name, rows in input order. The generic group comes
/// even if it is empty.
///
/// # Errors
/// [`Error::Column`] if the batch has no column [`ENTITY`]; [`Error::Config`] if a real entity is named like the
/// fallback ([`LoadStage`](crate::LoadStage) never makes one).
pub fn split(
    batch: &RecordBatch,
    include: Include,
    selection: &Selection,
    fallback: &str,
) -> Result<Vec<(String, RecordBatch)>> {
    let names = entities(batch)?;
    let holds =
        |name: Option<&str>| Some(name.map_or(selection.holds_unnamed(), |name| selection.holds(name)));
    let keep: BooleanArray = names.iter().map(holds).collect();
    let batch = filter_record_batch(batch, &keep)?;
    if entities(&batch)?.iter().any(|name| name == Some(fallback)) {
        let problem = format!("`{fallback}` is also a real entity of this data; choose another name");
        return Err(Error::config("entity.fallback", problem));
    }
    let mut groups = if include == Include::Generic { Vec::new() } else { by_entity(&batch)? };
    if include != Include::Individual {
        let place = groups.partition_point(|(name, _)| name.as_str() < fallback);
        groups.insert(place, (fallback.to_owned(), batch));
    }
    Ok(groups)
}

fn entities(batch: &RecordBatch) -> Result<&StringArray> {
    let column = batch.column_by_name(ENTITY).ok_or_else(|| Error::column(ENTITY, "missing"))?;
    column.as_string_opt().ok_or_else(|| Error::column(ENTITY, "must be text"))
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

    #[test]
    fn an_entity_named_like_the_fallback_is_an_error() {
        let rows = batch(&[Some("generic_user"), Some("a")]);
        let all = Selection::default();
        let error = split(&rows, Include::All, &all, "generic_user").unwrap_err().to_string();
        assert!(error.starts_with("entity.fallback: `generic_user`"), "{error}");
        let groups = split(&rows, Include::All, &all, "zz").unwrap();
        assert_eq!(
            groups.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(),
            ["a", "generic_user", "zz"]
        );
    }

    #[test]
    fn the_generic_group_comes_even_when_empty() {
        let skip = Selection::new(["a".to_owned()], []).unwrap();
        let groups = split(&batch(&[Some("a")]), Include::Generic, &skip, "generic_user").unwrap();
        assert_eq!((groups.len(), groups[0].1.num_rows()), (1, 0));
    }
}
