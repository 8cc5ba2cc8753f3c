//! The tables of the database, their keys, and how keys are named in messages and checksums.

use redb::TableDefinition;

/// The format this version writes, and the newest it reads. Format 1 had no [`POSITIONS`] and no [`PENDING`].
pub(crate) const FORMAT: u32 = 2;

pub(crate) const META: TableDefinition<'_, &str, u32> = TableDefinition::new("meta");
/// The key of the format's number in [`META`].
pub(crate) const META_FORMAT: &str = "format";
/// (source, number) to a sealed schema.
pub(crate) const SCHEMAS: TableDefinition<'_, (&str, u32), &[u8]> = TableDefinition::new("schemas");
/// Source to the sealed number of its newest schema.
pub(crate) const NEWEST_SCHEMA: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("newest_schema");
/// (source, entity, days since 1970) to a sealed chunk.
pub(crate) const HISTORY: TableDefinition<'_, (&str, &str, i32), &[u8]> = TableDefinition::new("history");
/// (source, entity) to sealed JSON of [`Statistics`](crate::history::Statistics).
pub(crate) const ENTITIES: TableDefinition<'_, (&str, &str), &[u8]> = TableDefinition::new("entities");
/// (name, version) to sealed bytes of a model.
pub(crate) const MODELS: TableDefinition<'_, (&str, u32), &[u8]> = TableDefinition::new("models");
/// (name, version) to sealed JSON of [`ModelInfo`](crate::ModelInfo).
pub(crate) const MODEL_INFO: TableDefinition<'_, (&str, u32), &[u8]> = TableDefinition::new("model_info");
/// Name to the sealed version that readers get.
pub(crate) const LATEST: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("latest");
/// Number of a publication to its sealed JSON record.
pub(crate) const RUNS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("runs");

/// (source, reader) to a sealed token of the source.
pub(crate) const POSITIONS: TableDefinition<'_, (&str, &str), &[u8]> = TableDefinition::new("positions");
/// (source, reader) to sealed bytes of whoever reads.
pub(crate) const PENDING: TableDefinition<'_, (&str, &str), &[u8]> = TableDefinition::new("pending");

pub(crate) fn schema_key(source: &str, number: u32) -> String {
    format!("schema {number} of source {source}")
}

pub(crate) fn newest_schema_key(source: &str) -> String {
    format!("the newest schema of source {source}")
}

pub(crate) fn history_key(source: &str, entity: &str, day: i32) -> String {
    format!("the history of {source}/{entity} on day {day}")
}

pub(crate) fn entity_key(source: &str, entity: &str) -> String {
    format!("the statistics of {source}/{entity}")
}

pub(crate) fn model_key(name: &str, version: u32) -> String {
    format!("model {name}:{version}")
}

pub(crate) fn model_info_key(name: &str, version: u32) -> String {
    format!("the information on model {name}:{version}")
}

pub(crate) fn latest_key(name: &str) -> String {
    format!("the latest version of model {name}")
}

pub(crate) fn run_key(number: u64) -> String {
    format!("run {number}")
}

pub(crate) fn position_key(source: &str, reader: &str) -> String {
    format!("the position of {reader} in {source}")
}

pub(crate) fn pending_key(source: &str, reader: &str) -> String {
    format!("what is pending of {reader} in {source}")
}
