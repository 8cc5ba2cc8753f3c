//! Writing to a store, all or nothing.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::ops::RangeBounds;
use std::sync::Arc;

use arrow_array::{Array, BooleanArray, RecordBatch, UInt64Array};
use arrow_schema::Schema;
use redb::{Database, ReadableTable, WriteTransaction};
use serde_json::Value;

use crate::blob::{seal, seal_json};
use crate::chunk::{self, Chunk};
use crate::error::{Doing, Error, Result, guarded};
use crate::history::{self, Appended, EntityInfo, Statistics, day_of, times};
use crate::models::{ModelDetails, ModelInfo};
use crate::names::{check_entity, check_model, check_reader, check_source};
use crate::read;
use crate::schema::{self, Schemas};
use crate::tables::{
    self, ENTITIES, FORMAT, HISTORY, LATEST, META, META_FORMAT, MODEL_INFO, MODELS, NEWEST_SCHEMA, PENDING,
    POSITIONS, RUNS, SCHEMAS,
};

/// Largest model, in bytes.
pub const MAX_MODEL_BYTES: u64 = 1 << 30;

/// Changes that become visible and durable together, or not at all: dropping a publication without
/// [`commit`](Self::commit), or the death of the process, leaves the store as it was.
///
/// A publication sees its own changes; nobody else does before the commit. It belongs to one thread at a time. A method
/// that refuses its arguments, or meets damage, has stored none of what it was given, and the publication may go on with
/// other entities; after [`Error::Database`] or [`Error::Io`] it should be dropped.
pub struct Publication {
    transaction: WriteTransaction,
    schemas: HashMap<String, Arc<Schemas>>,
}

impl fmt::Debug for Publication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publication").finish_non_exhaustive()
    }
}

impl Publication {
    pub(crate) fn start(database: &Database) -> Result<Self> {
        const DOING: &str = "starting a publication";
        let mut transaction = database.begin_write().doing(DOING)?;
        // A killed process must not cost the next one a walk over the whole file.
        transaction.set_quick_repair(true);
        let publication = Self { transaction, schemas: HashMap::new() };
        publication.make_tables().doing(DOING)?;
        Ok(publication)
    }

    /// Makes sure that readers find every table.
    fn make_tables(&self) -> Result<(), redb::Error> {
        let transaction = &self.transaction;
        transaction.open_table(META)?.insert(META_FORMAT, FORMAT)?;
        transaction.open_table(SCHEMAS)?;
        transaction.open_table(NEWEST_SCHEMA)?;
        transaction.open_table(HISTORY)?;
        transaction.open_table(ENTITIES)?;
        transaction.open_table(MODELS)?;
        transaction.open_table(MODEL_INFO)?;
        transaction.open_table(LATEST)?;
        transaction.open_table(RUNS)?;
        transaction.open_table(POSITIONS)?;
        transaction.open_table(PENDING)?;
        Ok(())
    }

    /// Adds rows to an entity's history. Each goes to its UTC day, in order of time (rows of one time in order of their
    /// hash), late ones included. A row whose time and hash are there already is a repeat and left out; so are rows of
    /// days before those that [`trim_history`](Self::trim_history) removed.
    ///
    /// `rows` are loaded rows: any plain columns, `_time` (timestamp in nanoseconds, no nulls) among them. `hashes` says,
    /// row by row, what makes a row itself; it has to be computed alike in every run.
    ///
    /// The columns of the source's older rows may differ: new columns are null in older rows, columns that are gone are
    /// no longer handed out.
    ///
    /// Costs memory for the rows at hand, one stored day, and all days touched as they are encoded. Rewrites these days, so
    /// give it an entity's rows at once rather than one by one.
    ///
    /// # Errors
    /// [`Error::Name`], [`Error::Rows`] and [`Error::TypeChanged`] if the rows do not fit, [`Error::Damaged`] if a day
    /// they go to is damaged, [`Error::TooLarge`] if a day would exceed 2 GiB.
    pub fn append_history(
        &mut self,
        source: &str,
        entity: &str,
        rows: &RecordBatch,
        hashes: &UInt64Array,
    ) -> Result<Appended> {
        guarded("adding to a history", || {
            check_source(source)?;
            check_entity(entity)?;
            check_rows(rows, hashes).map_err(|why| Error::Rows {
                source_name: source.to_owned(),
                entity: entity.to_owned(),
                why,
            })?;
            self.append(source, entity, rows, hashes)
        })
    }

    fn append(
        &mut self,
        source: &str,
        entity: &str,
        rows: &RecordBatch,
        hashes: &UInt64Array,
    ) -> Result<Appended> {
        const DOING: &str = "adding to a history";
        let schemas = self.adopt(source, rows.schema_ref())?;
        let incoming = history::with_hashes(rows, hashes, schemas.current())?;
        let mut statistics = self.read_statistics(source, entity)?.unwrap_or_default();

        let mut by_day = BTreeMap::<i32, Vec<usize>>::new();
        for (row, &time) in times(rows).values().iter().enumerate() {
            let day = day_of(time);
            if statistics.kept_from.is_none_or(|kept| day >= kept) {
                by_day.entry(day).or_default().push(row);
            }
        }

        let mut table = self.transaction.open_table(HISTORY).doing(DOING)?;
        let mut chunks = Vec::new();
        let mut stored = vec![false; rows.num_rows()];
        for (&day, picked) in &by_day {
            let held = history::read_day(&table, &schemas, (source, entity, day))?;
            let Some(merged) = history::merge(held.as_ref(), &incoming, picked)? else { continue };
            let day_times = times(&merged.rows).values();
            let (first, last) = (day_times[0], day_times[day_times.len() - 1]);
            let key = tables::history_key(source, entity, day);
            chunks.push((day, chunk::encode(&key, schemas.current, first, last, &merged.rows)?));
            statistics.first = Some(statistics.first.map_or(first, |known| known.min(first)));
            statistics.last = Some(statistics.last.map_or(last, |known| known.max(last)));
            merged.added.into_iter().for_each(|row| stored[row] = true);
        }

        for (day, chunk) in &chunks {
            table.insert((source, entity, *day), chunk.as_slice()).doing(DOING)?;
        }
        drop(table);
        let stored = BooleanArray::from(stored);
        let added = stored.true_count();
        statistics.rows += added as u64;
        statistics.total += added as u64;
        if added > 0 {
            self.write_statistics(source, entity, &statistics)?;
        }
        Ok(Appended { stored })
    }

    /// The rows of an entity on `days`, as [`Snapshot::history`](crate::Snapshot::history), this publication's own
    /// included.
    ///
    /// # Errors
    /// As [`Snapshot::history`](crate::Snapshot::history).
    pub fn history(
        &mut self,
        source: &str,
        entity: &str,
        days: impl RangeBounds<i32>,
    ) -> Result<Option<RecordBatch>> {
        guarded("reading a history", || {
            let Some(schemas) = self.known_schemas(source)? else { return Ok(None) };
            let table = self.transaction.open_table(HISTORY).doing("reading a history")?;
            history::read(&table, &schemas, (source, entity), &read::inclusive(&days))
        })
    }

    /// The first of the days that hold an entity's newest `rows` rows of `days`: a history read from there has at least
    /// so many. `None` if `days` hold fewer.
    ///
    /// # Errors
    /// [`Error::Damaged`] or [`Error::Database`] if they cannot be read.
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
    /// [`Error::Damaged`] or [`Error::Database`] if they cannot be read.
    pub fn entities(&mut self, source: &str) -> Result<Vec<EntityInfo>> {
        guarded("listing entities", || {
            let table = self.transaction.open_table(ENTITIES).doing("listing entities")?;
            read::entities(&table, source)
        })
    }

    /// What is known about an entity; `None` if it has no history.
    ///
    /// # Errors
    /// [`Error::Damaged`] or [`Error::Database`] if it cannot be read.
    pub fn statistics(&mut self, source: &str, entity: &str) -> Result<Option<Statistics>> {
        guarded("looking up an entity", || self.read_statistics(source, entity))
    }

    /// Removes an entity's rows of days before `before`, and returns how many. Rows of those days are no longer taken:
    /// else a log that is read again would bring them back as news.
    ///
    /// # Errors
    /// [`Error::Damaged`] or [`Error::Database`] if the rows cannot be read.
    pub fn trim_history(&mut self, source: &str, entity: &str, before: i32) -> Result<u64> {
        guarded("trimming a history", || self.trim(source, entity, before))
    }

    fn trim(&mut self, source: &str, entity: &str, before: i32) -> Result<u64> {
        const DOING: &str = "trimming a history";
        let Some(mut statistics) = self.read_statistics(source, entity)? else { return Ok(0) };
        if statistics.kept_from.is_some_and(|kept| before <= kept) {
            return Ok(0);
        }
        let mut table = self.transaction.open_table(HISTORY).doing(DOING)?;
        let mut removed = 0;
        let mut days = Vec::new();
        statistics.first = None;
        for entry in table.range((source, entity, i32::MIN)..=(source, entity, i32::MAX)).doing(DOING)? {
            let (place, sealed) = entry.doing(DOING)?;
            let (_, _, day) = place.value();
            let header = Chunk::open(&tables::history_key(source, entity, day), sealed.value())?.header;
            if day >= before {
                statistics.first = Some(header.first);
                break;
            }
            removed += u64::from(header.rows);
            days.push(day);
        }
        for day in days {
            table.remove((source, entity, day)).doing(DOING)?;
        }
        drop(table);
        statistics.rows = statistics.rows.saturating_sub(removed);
        statistics.kept_from = Some(before);
        if statistics.first.is_none() {
            statistics.last = None;
        }
        self.write_statistics(source, entity, &statistics)?;
        Ok(removed)
    }

    /// Notes that an entity was trained on what it has now: [`Statistics::increment`] counts from here. An entity without
    /// a history, such as the fallback of all users, has nothing to note.
    ///
    /// # Errors
    /// [`Error::Damaged`] or [`Error::Database`] if its statistics cannot be read or written.
    pub fn set_trained(&mut self, source: &str, entity: &str) -> Result<()> {
        guarded("noting a training", || {
            let Some(mut statistics) = self.read_statistics(source, entity)? else { return Ok(()) };
            statistics.total_at_training = statistics.total;
            self.write_statistics(source, entity, &statistics)
        })
    }

    /// Stores a model as the next version of `name`, and makes it the latest. Versions count from 1; none is used twice.
    ///
    /// # Errors
    /// [`Error::Name`], [`Error::TooLarge`], or [`Error::Database`] if it cannot be written.
    pub fn put_model(&mut self, name: &str, bytes: &[u8], details: &ModelDetails) -> Result<u32> {
        const DOING: &str = "storing a model";
        guarded(DOING, || {
            check_model(name)?;
            let size = bytes.len() as u64;
            if size > MAX_MODEL_BYTES {
                return Err(Error::TooLarge {
                    what: format!("model {name}"),
                    bytes: size,
                    limit: MAX_MODEL_BYTES,
                    advice: "choose a smaller model",
                });
            }
            let mut infos = self.transaction.open_table(MODEL_INFO).doing(DOING)?;
            let newest = infos.range((name, 0)..=(name, u32::MAX)).doing(DOING)?.next_back();
            let newest = newest.transpose().doing(DOING)?.map_or(0, |(place, _)| place.value().1);
            let version = newest + 1;
            let info = ModelInfo { name: name.to_owned(), version, bytes: size, details: details.clone() };
            let sealed_info = seal_json(&tables::model_info_key(name, version), &info)?;
            let sealed = seal(&tables::model_key(name, version), bytes);
            infos.insert((name, version), sealed_info.as_slice()).doing(DOING)?;
            self.transaction
                .open_table(MODELS)
                .doing(DOING)?
                .insert((name, version), sealed.as_slice())
                .doing(DOING)?;
            let latest = seal_json(&tables::latest_key(name), &version)?;
            self.transaction.open_table(LATEST).doing(DOING)?.insert(name, latest.as_slice()).doing(DOING)?;
            Ok(version)
        })
    }

    /// The bytes of a version of a model, or of the latest, this publication's own included; `None` if it does not exist.
    ///
    /// # Errors
    /// [`Error::Damaged`] or [`Error::Database`] if it cannot be read.
    pub fn model_bytes(&mut self, name: &str, version: Option<u32>) -> Result<Option<Vec<u8>>> {
        const DOING: &str = "reading a model";
        guarded(DOING, || {
            let infos = self.transaction.open_table(MODEL_INFO).doing(DOING)?;
            let latest = self.transaction.open_table(LATEST).doing(DOING)?;
            let Some(version) = read::version(&infos, &latest, name, version)? else { return Ok(None) };
            let models = self.transaction.open_table(MODELS).doing(DOING)?;
            read::model_bytes(&models, name, version).map(Some)
        })
    }

    /// Where a reader of a source stands; `None` if it has no position yet.
    ///
    /// # Errors
    /// [`Error::Damaged`] or [`Error::Database`] if it cannot be read.
    pub fn position(&self, source: &str, reader: &str) -> Result<Option<Vec<u8>>> {
        const DOING: &str = "looking up a position";
        guarded(DOING, || {
            let table = self.transaction.open_table(POSITIONS).doing(DOING)?;
            read::position(&table, source, reader)
        })
    }

    /// Notes where a reader of a source stands: the token that the source resumes from. With the rows up to there in the same
    /// publication, none is ever lost or taken twice.
    ///
    /// # Errors
    /// [`Error::Name`], or [`Error::Database`] if it cannot be written.
    pub fn set_position(&mut self, source: &str, reader: &str, token: &[u8]) -> Result<()> {
        const DOING: &str = "noting a position";
        guarded(DOING, || {
            check_source(source)?;
            check_reader(reader)?;
            let sealed = seal(&tables::position_key(source, reader), token);
            let mut table = self.transaction.open_table(POSITIONS).doing(DOING)?;
            table.insert((source, reader), sealed.as_slice()).doing(DOING)?;
            Ok(())
        })
    }

    /// Notes what a reader still has to do elsewhere about what this publication holds, or, with `None`, that it is done.
    ///
    /// # Errors
    /// [`Error::Name`], or [`Error::Database`] if it cannot be written.
    pub fn set_pending(&mut self, source: &str, reader: &str, pending: Option<&[u8]>) -> Result<()> {
        const DOING: &str = "noting what is pending";
        guarded(DOING, || {
            check_source(source)?;
            check_reader(reader)?;
            let mut table = self.transaction.open_table(PENDING).doing(DOING)?;
            match pending {
                Some(pending) => {
                    let sealed = seal(&tables::pending_key(source, reader), pending);
                    table.insert((source, reader), sealed.as_slice()).doing(DOING)?;
                }
                None => drop(table.remove((source, reader)).doing(DOING)?),
            }
            Ok(())
        })
    }

    /// Adds a record to the run log, and returns its number. One for each publication is meant.
    ///
    /// # Errors
    /// [`Error::Database`] if it cannot be written.
    pub fn log_run(&mut self, record: &Value) -> Result<u64> {
        const DOING: &str = "writing the run log";
        guarded(DOING, || {
            let mut table = self.transaction.open_table(RUNS).doing(DOING)?;
            let number = table.last().doing(DOING)?.map_or(1, |(number, _)| number.value() + 1);
            let sealed = seal_json(&tables::run_key(number), record)?;
            table.insert(number, sealed.as_slice()).doing(DOING)?;
            Ok(number)
        })
    }

    /// Makes everything visible and durable.
    ///
    /// # Errors
    /// [`Error::Database`], of kind `ResourceExhausted` if the disk is full. The store then holds all of the publication
    /// or nothing of it, nearly always nothing, and has to be opened anew before the next publication.
    pub fn commit(self) -> Result<()> {
        guarded("committing a publication", || self.transaction.commit().doing("committing a publication"))
    }

    /// The source's schemas with `new` as the newest, stored if it was not known.
    fn adopt(&mut self, source: &str, new: &Schema) -> Result<Arc<Schemas>> {
        const DOING: &str = "storing a schema";
        let known = self.known_schemas(source)?;
        let before = known.as_ref().map_or(&[][..], |known| &known.all);
        let evolved = schema::evolve(source, before, new)?;
        if let Some(known) = known.as_ref().filter(|known| **known.current() == evolved) {
            return Ok(Arc::clone(known));
        }
        let mut all = before.to_vec();
        let number = all.iter().position(|old| **old == evolved).unwrap_or(all.len()) as u32;
        if number as usize == all.len() {
            let sealed = seal(&tables::schema_key(source, number), &schema::encode(&evolved));
            let mut table = self.transaction.open_table(SCHEMAS).doing(DOING)?;
            table.insert((source, number), sealed.as_slice()).doing(DOING)?;
            all.push(Arc::new(evolved));
        }
        let newest = seal_json(&tables::newest_schema_key(source), &number)?;
        self.transaction
            .open_table(NEWEST_SCHEMA)
            .doing(DOING)?
            .insert(source, newest.as_slice())
            .doing(DOING)?;
        let schemas = Arc::new(Schemas { all, current: number });
        self.schemas.insert(source.to_owned(), Arc::clone(&schemas));
        Ok(schemas)
    }

    fn known_schemas(&mut self, source: &str) -> Result<Option<Arc<Schemas>>> {
        const DOING: &str = "reading the schemas of a source";
        if let Some(schemas) = self.schemas.get(source) {
            return Ok(Some(Arc::clone(schemas)));
        }
        let table = self.transaction.open_table(SCHEMAS).doing(DOING)?;
        let newest = self.transaction.open_table(NEWEST_SCHEMA).doing(DOING)?;
        let schemas = read::schemas(&table, &newest, source)?.map(Arc::new);
        if let Some(schemas) = &schemas {
            self.schemas.insert(source.to_owned(), Arc::clone(schemas));
        }
        Ok(schemas)
    }

    fn read_statistics(&self, source: &str, entity: &str) -> Result<Option<Statistics>> {
        let table = self.transaction.open_table(ENTITIES).doing("looking up an entity")?;
        read::statistics(&table, source, entity)
    }

    fn write_statistics(&self, source: &str, entity: &str, statistics: &Statistics) -> Result<()> {
        const DOING: &str = "writing the statistics of an entity";
        let sealed = seal_json(&tables::entity_key(source, entity), statistics)?;
        let mut table = self.transaction.open_table(ENTITIES).doing(DOING)?;
        table.insert((source, entity), sealed.as_slice()).doing(DOING)?;
        Ok(())
    }
}

fn check_rows(rows: &RecordBatch, hashes: &UInt64Array) -> Result<(), String> {
    if let Some(why) = schema::refusal(rows.schema_ref()) {
        return Err(why);
    }
    if times(rows).null_count() > 0 {
        return Err("a row has no time".into());
    }
    if hashes.len() != rows.num_rows() || hashes.null_count() > 0 {
        return Err(format!(
            "{} rows came with {} hashes, {} of them null",
            rows.num_rows(),
            hashes.len(),
            hashes.null_count()
        ));
    }
    Ok(())
}
