//! Rows of an entity: merged into chunks of one UTC day each, and read back as one batch.

use std::ops::RangeInclusive;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::TimestampNanosecondType;
use arrow_array::{Array, BooleanArray, PrimitiveArray, RecordBatch, UInt64Array};
use arrow_schema::SchemaRef;
use arrow_select::concat::concat_batches;
use arrow_select::interleave::interleave_record_batch;
use dfp_core::EVENT_TIME;
use redb::ReadableTable;
use serde::{Deserialize, Serialize};

use crate::chunk::{self, Chunk, MAX_RAW};
use crate::error::{Doing, Error, Result};
use crate::schema::{Schemas, project};
use crate::tables;

const DAY: i64 = 86_400_000_000_000;

/// The UTC day of a time in nanoseconds since 1970, as days since 1970-01-01.
///
/// ```
/// assert_eq!(dfp_store::day_of(0), 0);
/// assert_eq!(dfp_store::day_of(-1), -1);
/// ```
pub fn day_of(time: i64) -> i32 {
    time.div_euclid(DAY) as i32
}

/// What the store knows about an entity without reading its rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntityInfo {
    /// The entity's key, as the rows carry it.
    pub entity: String,
    /// Numbers and times.
    pub statistics: Statistics,
}

/// Counts and times of an entity's rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Statistics {
    /// Rows held now. `min_history` is compared with this.
    pub rows: u64,
    /// Rows ever appended, trimmed ones included.
    pub total: u64,
    /// [`total`](Self::total) when the entity was last trained; 0 if never.
    pub total_at_training: u64,
    /// Time of the oldest row held, nanoseconds since 1970; `None` if none is held.
    pub first: Option<i64>,
    /// Time of the newest row held.
    pub last: Option<i64>,
    /// Days before this one were trimmed; rows from then are no longer taken.
    pub kept_from: Option<i32>,
}

impl Statistics {
    /// Rows appended since the last training. `min_increment` is compared with this.
    pub fn increment(&self) -> u64 {
        self.total.saturating_sub(self.total_at_training)
    }
}

/// What became of rows given to [`append_history`](crate::Publication::append_history).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Appended {
    /// For each row, in the order given: whether it was stored. Never null. Those that were not are repeats (same time and
    /// hash), or of days before [`Statistics::kept_from`].
    pub stored: BooleanArray,
}

impl Appended {
    /// How many rows were stored.
    pub fn new_rows(&self) -> usize {
        self.stored.true_count()
    }
}

/// The times of rows whose schema was checked.
pub(crate) fn times(rows: &RecordBatch) -> &PrimitiveArray<TimestampNanosecondType> {
    rows.column_by_name(EVENT_TIME).expect("the schema was checked").as_primitive()
}

/// A day's chunk with rows added to it.
pub(crate) struct Merged {
    /// The rows of the day, hashes first, ordered by time and hash.
    pub(crate) rows: RecordBatch,
    /// Indices of those incoming rows that were added.
    pub(crate) added: Vec<usize>,
}

/// Where a row stands in the order of a chunk, and which row it is. Of equal rows the stored one comes first, then the
/// one that arrived first.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    time: i64,
    hash: u64,
    incoming: bool,
    row: usize,
}

/// Merges the rows `picked` of `incoming` into a day's `stored` rows. Both have their hashes first, and one schema.
/// `None` if no row is new.
pub(crate) fn merge(
    stored: Option<&RecordBatch>,
    incoming: &RecordBatch,
    picked: &[usize],
) -> Result<Option<Merged>> {
    let held = stored.map_or(0, RecordBatch::num_rows);
    let mut places = Vec::with_capacity(held + picked.len());
    if let Some(stored) = stored {
        places.extend(places_of(stored, false, 0..held));
    }
    places.extend(places_of(incoming, true, picked.iter().copied()));
    places.sort_unstable();
    places.dedup_by_key(|place| (place.time, place.hash));

    let added: Vec<usize> = places.iter().filter(|place| place.incoming).map(|place| place.row).collect();
    if added.is_empty() {
        return Ok(None);
    }
    let batches: Vec<&RecordBatch> = stored.into_iter().chain([incoming]).collect();
    let newest = batches.len() - 1;
    let order: Vec<(usize, usize)> =
        places.iter().map(|place| (if place.incoming { newest } else { 0 }, place.row)).collect();
    let rows = interleave_record_batch(&batches, &order).map_err(Error::arrow("merging rows into a day"))?;
    Ok(Some(Merged { rows, added }))
}

fn places_of(
    rows: &RecordBatch,
    incoming: bool,
    picked: impl Iterator<Item = usize>,
) -> impl Iterator<Item = Place> {
    let times = times(rows).values().clone();
    let hashes = rows.column(0).as_primitive::<arrow_array::types::UInt64Type>().values().clone();
    picked.map(move |row| Place { time: times[row], hash: hashes[row], incoming, row })
}

/// Rows with their hashes as first column.
pub(crate) fn with_hashes(
    rows: &RecordBatch,
    hashes: &UInt64Array,
    schema: &SchemaRef,
) -> Result<RecordBatch> {
    let hash: Arc<dyn Array> = Arc::new(hashes.clone());
    let columns = std::iter::once(hash).chain(rows.columns().iter().cloned()).collect();
    RecordBatch::try_new(chunk::with_hash(schema), columns).map_err(Error::arrow("adding hashes to rows"))
}

/// The rows of one day, hashes first, in the source's newest schema.
pub(crate) fn read_day(
    table: &impl ReadableTable<(&'static str, &'static str, i32), &'static [u8]>,
    schemas: &Schemas,
    (source, entity, day): (&str, &str, i32),
) -> Result<Option<RecordBatch>> {
    let Some(bytes) = table.get((source, entity, day)).doing("reading a history")? else { return Ok(None) };
    let key = tables::history_key(source, entity, day);
    let chunk = Chunk::open(&key, bytes.value())?;
    decode(&key, &chunk, schemas).map(Some)
}

fn decode(key: &str, chunk: &Chunk<'_>, schemas: &Schemas) -> Result<RecordBatch> {
    let schema = schemas.all.get(chunk.header.schema as usize);
    let schema = schema.ok_or_else(|| Error::damaged(key, "its schema is missing"))?;
    let rows = chunk.decode(key, chunk::with_hash(schema))?;
    project(&rows, &chunk::with_hash(schemas.current()))
}

/// The first of the days that hold the newest `rows` rows of `days`; `None` if all of them are needed.
pub(crate) fn day_of_newest(
    table: &impl ReadableTable<(&'static str, &'static str, i32), &'static [u8]>,
    (source, entity): (&str, &str),
    rows: u64,
    days: &RangeInclusive<i32>,
) -> Result<Option<i32>> {
    if days.is_empty() {
        return Ok(None);
    }
    let range = (source, entity, *days.start())..=(source, entity, *days.end());
    let mut found = 0;
    for entry in table.range(range).doing("looking for the newest rows")?.rev() {
        let (place, sealed) = entry.doing("looking for the newest rows")?;
        let day = place.value().2;
        found +=
            u64::from(Chunk::open(&tables::history_key(source, entity, day), sealed.value())?.header.rows);
        if found >= rows {
            return Ok(Some(day));
        }
    }
    Ok(None)
}

/// The rows of the days, oldest first, in the source's newest schema; `None` if there are none.
pub(crate) fn read(
    table: &impl ReadableTable<(&'static str, &'static str, i32), &'static [u8]>,
    schemas: &Schemas,
    (source, entity): (&str, &str),
    days: &RangeInclusive<i32>,
) -> Result<Option<RecordBatch>> {
    if days.is_empty() {
        return Ok(None);
    }
    let range = (source, entity, *days.start())..=(source, entity, *days.end());
    let mut batches = Vec::new();
    let mut bytes = 0;
    for entry in table.range(range).doing("reading a history")? {
        let (place, sealed) = entry.doing("reading a history")?;
        let key = tables::history_key(source, entity, place.value().2);
        let chunk = Chunk::open(&key, sealed.value())?;
        bytes += u64::from(chunk.header.raw);
        if bytes > MAX_RAW {
            return Err(Error::TooLarge {
                what: format!("the history of {source}/{entity}"),
                bytes,
                limit: MAX_RAW,
                advice: "ask for fewer days",
            });
        }
        let rows = decode(&key, &chunk, schemas)?;
        batches.push(
            rows.project(&(1..rows.num_columns()).collect::<Vec<_>>())
                .map_err(Error::arrow("dropping hashes"))?,
        );
    }
    if batches.is_empty() {
        return Ok(None);
    }
    let rows =
        concat_batches(schemas.current(), &batches).map_err(Error::arrow("joining the days of a history"))?;
    Ok(Some(rows))
}
