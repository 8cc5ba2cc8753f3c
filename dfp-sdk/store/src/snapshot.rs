//! Reading a store as one publication left it.

use std::collections::HashMap;
use std::fmt;
use std::ops::RangeBounds;
use std::sync::{Arc, Mutex, PoisonError};

use arrow_array::RecordBatch;
use redb::{ReadOnlyTable, ReadTransaction, ReadableTable, TableDefinition, TableError};
use serde_json::Value;

use crate::blob::{unseal, unseal_json};
use crate::error::{Doing, Error, Result, guarded};
use crate::history::{self, EntityInfo, Statistics};
use crate::models::ModelInfo;
use crate::read;
use crate::schema::Schemas;
use crate::tables::{
    self, ENTITIES, HISTORY, LATEST, MODEL_INFO, MODELS, NEWEST_SCHEMA, PENDING, POSITIONS, RUNS, SCHEMAS,
};

/// The key of what readers of sources leave: source and reader.
type OfReader = (&'static str, &'static str);

/// The state of a store after one publication. Any number of threads may read it at once.
///
/// Every method fails with [`Error::Damaged`] if the bytes it needs are not those that were written, and with
/// [`Error::Database`] or [`Error::Io`] if they cannot be read.
pub struct Snapshot {
    transaction: ReadTransaction,
    schemas: Mutex<HashMap<String, Option<Arc<Schemas>>>>,
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot").finish_non_exhaustive()
    }
}

impl Snapshot {
    pub(crate) fn new(transaction: ReadTransaction) -> Self {
        Self { transaction, schemas: Mutex::default() }
    }

    /// The newest version of every model, by name.
    ///
    /// # Errors
    /// See [`Snapshot`].
    pub fn models(&self) -> Result<Vec<ModelInfo>> {
        const DOING: &str = "listing models";
        guarded(DOING, || {
            let latest = self.transaction.open_table(LATEST).doing(DOING)?;
            let info = self.transaction.open_table(MODEL_INFO).doing(DOING)?;
            let mut models = Vec::new();
            for entry in latest.iter().doing(DOING)? {
                let (name, sealed) = entry.doing(DOING)?;
                let version = unseal_json(&tables::latest_key(name.value()), sealed.value())?;
                models.push(read_info(&info, name.value(), version)?);
            }
            Ok(models)
        })
    }

    /// Every version of a model, oldest first; none if there is no such model.
    ///
    /// # Errors
    /// See [`Snapshot`].
    pub fn model_versions(&self, name: &str) -> Result<Vec<ModelInfo>> {
        const DOING: &str = "listing the versions of a model";
        guarded(DOING, || {
            let info = self.transaction.open_table(MODEL_INFO).doing(DOING)?;
            let mut versions = Vec::new();
            for entry in info.range((name, 0)..=(name, u32::MAX)).doing(DOING)? {
                let (place, sealed) = entry.doing(DOING)?;
                versions.push(unseal_json(&tables::model_info_key(name, place.value().1), sealed.value())?);
            }
            Ok(versions)
        })
    }

    /// What is known about a version of a model, or about the latest; `None` if it does not exist.
    ///
    /// # Errors
    /// See [`Snapshot`].
    pub fn model_info(&self, name: &str, version: Option<u32>) -> Result<Option<ModelInfo>> {
        const DOING: &str = "looking up a model";
        guarded(DOING, || {
            let Some(version) = self.resolve(name, version)? else { return Ok(None) };
            let info = self.transaction.open_table(MODEL_INFO).doing(DOING)?;
            read_info(&info, name, version).map(Some)
        })
    }

    /// The bytes of a version of a model, or of the latest; `None` if it does not exist.
    ///
    /// # Errors
    /// See [`Snapshot`].
    pub fn model_bytes(&self, name: &str, version: Option<u32>) -> Result<Option<Vec<u8>>> {
        const DOING: &str = "reading a model";
        guarded(DOING, || {
            let Some(version) = self.resolve(name, version)? else { return Ok(None) };
            let models = self.transaction.open_table(MODELS).doing(DOING)?;
            read::model_bytes(&models, name, version).map(Some)
        })
    }

    /// The rows of an entity on `days` (counted from 1970-01-01, UTC; see [`day_of`](crate::day_of)), oldest first, in
    /// the newest schema of the source; `None` if there are none. Columns that a row's chunk lacks are null.
    ///
    /// # Errors
    /// [`Error::TooLarge`] above 2 GiB, else see [`Snapshot`].
    pub fn history(
        &self,
        source: &str,
        entity: &str,
        days: impl RangeBounds<i32>,
    ) -> Result<Option<RecordBatch>> {
        guarded("reading a history", || {
            let Some(schemas) = self.schemas(source)? else { return Ok(None) };
            let table = self.transaction.open_table(HISTORY).doing("reading a history")?;
            history::read(&table, &schemas, (source, entity), &read::inclusive(&days))
        })
    }

    /// The first of the days that hold an entity's newest `rows` rows of `days`: a history read from there has at least
    /// so many. `None` if `days` hold fewer.
    ///
    /// # Errors
    /// See [`Snapshot`].
    pub fn day_of_newest(
        &self,
        source: &str,
        entity: &str,
        rows: u64,
        days: impl RangeBounds<i32>,
    ) -> Result<Option<i32>> {
        const DOING: &str = "looking for the newest rows";
        guarded(DOING, || {
            let table = self.transaction.open_table(HISTORY).doing(DOING)?;
            history::day_of_newest(&table, (source, entity), rows, &read::inclusive(&days))
        })
    }

    /// Every entity of a source, by name.
    ///
    /// # Errors
    /// See [`Snapshot`].
    pub fn entities(&self, source: &str) -> Result<Vec<EntityInfo>> {
        guarded("listing entities", || {
            let table = self.transaction.open_table(ENTITIES).doing("listing entities")?;
            read::entities(&table, source)
        })
    }

    /// What is known about an entity; `None` if it has no history.
    ///
    /// # Errors
    /// See [`Snapshot`].
    pub fn statistics(&self, source: &str, entity: &str) -> Result<Option<Statistics>> {
        guarded("looking up an entity", || {
            let table = self.transaction.open_table(ENTITIES).doing("looking up an entity")?;
            read::statistics(&table, source, entity)
        })
    }

    /// The records of the last `count` publications that left one, newest first, with their numbers.
    ///
    /// # Errors
    /// See [`Snapshot`].
    pub fn runs(&self, count: usize) -> Result<Vec<(u64, Value)>> {
        const DOING: &str = "reading the run log";
        guarded(DOING, || {
            let table = self.transaction.open_table(RUNS).doing(DOING)?;
            let newest = table.iter().doing(DOING)?.rev().take(count);
            let record =
                |entry: Result<(redb::AccessGuard<'_, u64>, redb::AccessGuard<'_, &'static [u8]>), _>| {
                    let (number, sealed) = entry.doing(DOING)?;
                    Ok((number.value(), unseal_json(&tables::run_key(number.value()), sealed.value())?))
                };
            newest.map(record).collect()
        })
    }

    /// Where a reader of a source stands; `None` if it has no position yet.
    ///
    /// # Errors
    /// See [`Snapshot`].
    pub fn position(&self, source: &str, reader: &str) -> Result<Option<Vec<u8>>> {
        const DOING: &str = "looking up a position";
        guarded(DOING, || {
            let Some(table) = self.since_format_2(POSITIONS)? else { return Ok(None) };
            read::position(&table, source, reader)
        })
    }

    /// What readers of a source still have to do about what is published, by reader.
    ///
    /// # Errors
    /// See [`Snapshot`].
    pub fn pending(&self, source: &str) -> Result<Vec<(String, Vec<u8>)>> {
        const DOING: &str = "looking for what is pending";
        guarded(DOING, || {
            let Some(table) = self.since_format_2(PENDING)? else { return Ok(Vec::new()) };
            let mut pending = Vec::new();
            for entry in table.range((source, "")..).doing(DOING)? {
                let (place, sealed) = entry.doing(DOING)?;
                let (found, reader) = place.value();
                if found != source {
                    break;
                }
                let content = unseal(&tables::pending_key(source, reader), sealed.value())?;
                pending.push((reader.to_owned(), content.to_vec()));
            }
            Ok(pending)
        })
    }

    /// A table that stores of format 1 do not have.
    fn since_format_2(
        &self,
        table: TableDefinition<'static, OfReader, &'static [u8]>,
    ) -> Result<Option<ReadOnlyTable<OfReader, &'static [u8]>>> {
        match self.transaction.open_table(table) {
            Err(TableError::TableDoesNotExist(_)) => Ok(None),
            table => table.doing("looking up readers").map(Some),
        }
    }

    /// The version meant, if it exists.
    fn resolve(&self, name: &str, version: Option<u32>) -> Result<Option<u32>> {
        const DOING: &str = "looking up a model";
        let infos = self.transaction.open_table(MODEL_INFO).doing(DOING)?;
        let latest = self.transaction.open_table(LATEST).doing(DOING)?;
        read::version(&infos, &latest, name, version)
    }

    fn schemas(&self, source: &str) -> Result<Option<Arc<Schemas>>> {
        const DOING: &str = "reading the schemas of a source";
        let mut known = self.schemas.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(schemas) = known.get(source) {
            return Ok(schemas.clone());
        }
        let table = self.transaction.open_table(SCHEMAS).doing(DOING)?;
        let newest = self.transaction.open_table(NEWEST_SCHEMA).doing(DOING)?;
        let schemas = read::schemas(&table, &newest, source)?.map(Arc::new);
        known.insert(source.to_owned(), schemas.clone());
        Ok(schemas)
    }
}

fn read_info(
    table: &impl ReadableTable<(&'static str, u32), &'static [u8]>,
    name: &str,
    version: u32,
) -> Result<ModelInfo> {
    let key = tables::model_info_key(name, version);
    let sealed = table.get((name, version)).doing("looking up a model")?;
    unseal_json(&key, sealed.ok_or_else(|| Error::damaged(&key, "it is missing"))?.value())
}
