//! What a snapshot and a publication read alike.

use std::ops::{Bound, RangeBounds, RangeInclusive};

use redb::{AccessGuard, ReadableTable};

use crate::blob::{unseal, unseal_json};
use crate::error::{Doing, Error, Result};
use crate::history::{EntityInfo, Statistics};
use crate::schema::{self, Schemas};
use crate::tables;

pub(crate) fn schemas(
    table: &impl ReadableTable<(&'static str, u32), &'static [u8]>,
    newest: &impl ReadableTable<&'static str, &'static [u8]>,
    source: &str,
) -> Result<Option<Schemas>> {
    const DOING: &str = "reading the schemas of a source";
    let Some(sealed) = newest.get(source).doing(DOING)? else { return Ok(None) };
    let current: u32 = unseal_json(&tables::newest_schema_key(source), sealed.value())?;
    let mut all = Vec::new();
    for (expected, entry) in (0..).zip(table.range((source, 0)..=(source, u32::MAX)).doing(DOING)?) {
        let (place, sealed) = entry.doing(DOING)?;
        let key = tables::schema_key(source, expected);
        if place.value().1 != expected {
            return Err(Error::damaged(key, "it is missing"));
        }
        all.push(schema::decode(&key, unseal(&key, sealed.value())?)?);
    }
    if current as usize >= all.len() {
        return Err(Error::damaged(tables::schema_key(source, current), "it is missing"));
    }
    Ok(Some(Schemas { all, current }))
}

pub(crate) fn statistics(
    table: &impl ReadableTable<(&'static str, &'static str), &'static [u8]>,
    source: &str,
    entity: &str,
) -> Result<Option<Statistics>> {
    let sealed = table.get((source, entity)).doing("reading the statistics of an entity")?;
    sealed.map(|sealed| unseal_json(&tables::entity_key(source, entity), sealed.value())).transpose()
}

pub(crate) fn entities(
    table: &impl ReadableTable<(&'static str, &'static str), &'static [u8]>,
    source: &str,
) -> Result<Vec<EntityInfo>> {
    const DOING: &str = "listing the entities of a source";
    let mut entities = Vec::new();
    for entry in table.range((source, "")..).doing(DOING)? {
        let (place, sealed): (AccessGuard<'_, (&str, &str)>, AccessGuard<'_, &[u8]>) = entry.doing(DOING)?;
        let (found, entity) = place.value();
        if found != source {
            break;
        }
        let statistics = unseal_json(&tables::entity_key(source, entity), sealed.value())?;
        entities.push(EntityInfo { entity: entity.to_owned(), statistics });
    }
    Ok(entities)
}

/// The version meant, or the latest, if it exists.
pub(crate) fn version(
    infos: &impl ReadableTable<(&'static str, u32), &'static [u8]>,
    latest: &impl ReadableTable<&'static str, &'static [u8]>,
    name: &str,
    version: Option<u32>,
) -> Result<Option<u32>> {
    const DOING: &str = "looking up a model";
    if let Some(version) = version {
        return Ok(infos.get((name, version)).doing(DOING)?.map(|_| version));
    }
    let sealed = latest.get(name).doing(DOING)?;
    sealed.map(|sealed| unseal_json(&tables::latest_key(name), sealed.value())).transpose()
}

pub(crate) fn model_bytes(
    models: &impl ReadableTable<(&'static str, u32), &'static [u8]>,
    name: &str,
    version: u32,
) -> Result<Vec<u8>> {
    let key = tables::model_key(name, version);
    let sealed = models.get((name, version)).doing("reading a model")?;
    let sealed = sealed.ok_or_else(|| Error::damaged(&key, "it is missing"))?;
    unseal(&key, sealed.value()).map(<[u8]>::to_vec)
}

pub(crate) fn position(
    table: &impl ReadableTable<(&'static str, &'static str), &'static [u8]>,
    source: &str,
    reader: &str,
) -> Result<Option<Vec<u8>>> {
    let sealed = table.get((source, reader)).doing("looking up a position")?;
    let key = tables::position_key(source, reader);
    sealed.map(|sealed| unseal(&key, sealed.value()).map(<[u8]>::to_vec)).transpose()
}

/// Days as an inclusive range; an empty one if nothing is in it.
pub(crate) fn inclusive(days: &impl RangeBounds<i32>) -> RangeInclusive<i32> {
    const EMPTY: RangeInclusive<i32> = RangeInclusive::new(1, 0);
    let start = match days.start_bound() {
        Bound::Included(&day) => Some(day),
        Bound::Excluded(&day) => day.checked_add(1),
        Bound::Unbounded => Some(i32::MIN),
    };
    let end = match days.end_bound() {
        Bound::Included(&day) => Some(day),
        Bound::Excluded(&day) => day.checked_sub(1),
        Bound::Unbounded => Some(i32::MAX),
    };
    start.zip(end).map_or(EMPTY, |(start, end)| start..=end)
}
