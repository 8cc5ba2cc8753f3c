//! Raw batches to loaded batches: who, when, and the profile's load columns.

mod families;
mod rules;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, VecDeque};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use arrow_array::builder::StringBuilder;
use arrow_array::cast::AsArray;
use arrow_array::{Array, BooleanArray, RecordBatch, StringArray, TimestampNanosecondArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use arrow_select::filter::filter_record_batch;
use dfp_core::{EVENT_TIME, Host, Level, ORIGIN, RECORD_ID, Reject, Stage, reason};

pub(crate) use self::families::fold;
pub(crate) use self::rules::time_type;
use crate::input::{self, Input, Missing};
use crate::profile::{ENTITY, ENTITY_AS_WRITTEN, EntityColumn, LoadColumn, Profile, TimeColumn, Without};
use crate::{Error, Result};

/// Counter: records without user that the profile keeps.
pub const WITHOUT_ENTITY: &str = "without-entity";

/// Which entities take part.
///
/// ```
/// use dfp_prep::Selection;
///
/// assert!(Selection::new(["ann".to_owned()], []).is_ok());
/// assert!(Selection::new(["ann".to_owned()], ["bob".to_owned()]).is_err());
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    skip: BTreeSet<String>,
    only: BTreeSet<String>,
}

impl Selection {
    /// All entities but `skip`, or `only` these.
    ///
    /// # Errors
    /// [`Error::Config`] if both are given (quirk Q41).
    pub fn new(
        skip: impl IntoIterator<Item = String>,
        only: impl IntoIterator<Item = String>,
    ) -> Result<Self> {
        let selection = Self { skip: skip.into_iter().collect(), only: only.into_iter().collect() };
        if !selection.skip.is_empty() && !selection.only.is_empty() {
            return Err(Error::config("skip_users and only_users", "give one of them, not both"));
        }
        Ok(selection)
    }

    /// The same selection by the profile's keys, as rows and histories carry them. Of names as people write them: a key
    /// is not one.
    #[must_use]
    pub fn keys(&self, entity: &EntityColumn) -> Self {
        let keys = |names: &BTreeSet<String>| names.iter().map(|name| entity.key(name)).collect();
        Self { skip: keys(&self.skip), only: keys(&self.only) }
    }

    /// Whether an entity takes part. Compared as it is: ask a selection by [`keys`](Self::keys) about a key.
    pub fn holds(&self, entity: &str) -> bool {
        !self.skip.contains(entity) && (self.only.is_empty() || self.only.contains(entity))
    }
}

/// What a run asks of the load stage beside the profile.
#[derive(Debug, Clone)]
pub struct LoadOptions {
    /// The present: events later than this and the profile's `time.ahead` are not believed.
    pub now: SystemTime,
    /// Which entities take part.
    pub selection: Selection,
}

impl LoadOptions {
    /// All entities and all believable times, as seen at `now`.
    pub fn at(now: SystemTime) -> Self {
        Self { now, selection: Selection::default() }
    }
}

/// Applies a profile's load columns to raw batches.
///
/// Out come the columns `_record_id`, `_origin`, `_time`, [`ENTITY`], [`ENTITY_AS_WRITTEN`] and the load columns, one row
/// for each row that went in, in the same order, less those rejected: without entity ([`reason::NO_ENTITY`], unless the
/// profile keeps them: then they are counted as [`WITHOUT_ENTITY`]), without time
/// ([`reason::NO_TIME`]), at an unbelievable time ([`reason::TIME_OUT_OF_RANGE`]), or not asked for
/// ([`reason::NOT_SELECTED`]). Values that a rule could not read are null and counted as `unreadable:<column>`.
///
/// A real entity that has the fallback's name, with any number of `~` before it, gets one more `~`: it can never pass
/// for the model of all entities.
pub struct LoadStage {
    profile: Profile,
    host: Arc<dyn Host>,
    selection: Selection,
    believable: RangeInclusive<i64>,
    max_text_bytes: usize,
    plan: Option<Plan>,
    ready: VecDeque<RecordBatch>,
}

/// Where the columns are in the raw batches.
struct Plan {
    record_id: usize,
    origin: usize,
    time: usize,
    entity: Vec<Option<usize>>,
    columns: Vec<PlannedColumn>,
    output: SchemaRef,
}

struct PlannedColumn {
    column: LoadColumn,
    missing: Missing,
    inputs: Vec<Option<usize>>,
}

impl LoadStage {
    /// A stage for one kind of log.
    ///
    /// # Errors
    /// As [`Profile::validate`], and [`Error::Config`] if the present is out of range.
    pub fn new(profile: &Profile, options: &LoadOptions, host: Arc<dyn Host>) -> Result<Self> {
        profile.validate()?;
        let believable = profile.time.believable(options.now)?;
        Ok(Self {
            selection: options.selection.keys(&profile.entity),
            believable,
            profile: profile.clone(),
            host,
            max_text_bytes: MAX_TEXT_BYTES,
            plan: None,
            ready: VecDeque::new(),
        })
    }

    fn plan(&self, input: &Schema) -> Result<Plan> {
        let required = |name: &str, dtype: &DataType| {
            let index = input.index_of(name).map_err(|_| Error::column(name, "missing in the raw batch"))?;
            let found = input.field(index).data_type();
            if found != dtype {
                return Err(Error::column(name, format!("is {found}, but raw batches have {dtype}")));
            }
            Ok(index)
        };
        let find = |name: &str| match input.index_of(name) {
            Err(_) => {
                let message = format!("the source has no column `{name}`: its values are taken as missing");
                self.host.log(Level::Warn, "load", &message);
                Ok(None)
            }
            Ok(index) if input::readable(input.field(index).data_type()) => Ok(Some(index)),
            Ok(index) => {
                let found = input.field(index).data_type();
                Err(Error::column(name, format!("is {found}; rules read text, int64, float64 and boolean")))
            }
        };
        let find_all = |names: &[&str]| names.iter().map(|name| find(name)).collect::<Result<Vec<_>>>();
        let profile = &self.profile;
        let entity_inputs: Vec<_> = profile.entity.inputs.iter().map(String::as_str).collect();
        let entity = find_all(&entity_inputs)?;
        if entity.iter().all(Option::is_none) {
            return Err(Error::column(entity_inputs.join(", "), "the source has none of the entity columns"));
        }
        let own_time = profile.time.column != EVENT_TIME;
        let time =
            if own_time { find(&profile.time.column)? } else { Some(required(EVENT_TIME, &time_type())?) };
        let plan_column = |column: &LoadColumn| {
            Ok(PlannedColumn {
                missing: Missing::new(&column.missing),
                inputs: find_all(&column.rule.inputs(&column.name))?,
                column: column.clone(),
            })
        };
        let mut fields = vec![
            Field::new(RECORD_ID, DataType::Utf8, true),
            Field::new(ORIGIN, DataType::Utf8, false),
            Field::new(EVENT_TIME, time_type(), false),
            Field::new(ENTITY, DataType::Utf8, false),
            Field::new(ENTITY_AS_WRITTEN, DataType::Utf8, true),
        ];
        let load = profile.load.iter();
        fields.extend(load.map(|column| Field::new(&column.name, rules::output_type(&column.rule), true)));
        Ok(Plan {
            record_id: required(RECORD_ID, &DataType::Utf8)?,
            origin: required(ORIGIN, &DataType::Utf8)?,
            time: time
                .ok_or_else(|| Error::column(&profile.time.column, "the source has no such time column"))?,
            entity,
            columns: profile.load.iter().map(plan_column).collect::<Result<_>>()?,
            output: Arc::new(Schema::new(fields)),
        })
    }

    fn load(&self, plan: &Plan, raw: &RecordBatch) -> Result<RecordBatch> {
        let missing = Missing::new(&self.profile.entity.missing);
        let written = rules::entities(&gather(raw, &plan.entity), &missing, raw.num_rows());
        let entities = self.profile.entity.keys(&written);
        let times = rules::times(Input::of(Some(raw.column(plan.time))), raw.num_rows());
        let keep = self.keep(plan, raw, &entities, times.as_primitive());
        let who_and_when = RecordBatch::try_from_iter_with_nullable([
            (RECORD_ID, raw.column(plan.record_id).clone(), true),
            (ORIGIN, raw.column(plan.origin).clone(), true),
            (EVENT_TIME, times, true),
            (ENTITY, Arc::new(entities), true),
            (ENTITY_AS_WRITTEN, Arc::new(written), true),
        ])?;
        let all = keep.true_count() == keep.len();
        let select = |batch: &RecordBatch| {
            if all { Ok(batch.clone()) } else { filter_record_batch(batch, &keep) }
        };
        let raw = select(raw)?;
        let mut columns = select(&who_and_when)?.columns().to_vec();
        if let nobody @ 1.. = columns[4].null_count() {
            self.host.count(WITHOUT_ENTITY, nobody as u64);
        }
        for planned in &plan.columns {
            let inputs = gather(&raw, &planned.inputs);
            let loaded = rules::apply(&planned.column, &planned.missing, &inputs, raw.num_rows());
            if loaded.unreadable > 0 {
                self.host.count(&format!("unreadable:{}", planned.column.name), loaded.unreadable);
            }
            columns.push(loaded.array);
        }
        self.filtered(RecordBatch::try_new(plan.output.clone(), columns)?)
    }

    /// The rows that pass the profile's own filter; the others go to the host.
    fn filtered(&self, loaded: RecordBatch) -> Result<RecordBatch> {
        let Some(filter) = &self.profile.filter else { return Ok(loaded) };
        let column = loaded.column_by_name(&filter.column).map(AsRef::as_ref);
        let passing = input::passing(filter, Input::of(column), loaded.num_rows());
        for row in (0..loaded.num_rows()).filter(|&row| !passing[row]) {
            let detail = format!("`{}` does not pass the profile's filter", filter.column);
            self.reject(loaded.column(1).as_string(), row, reason::NOT_SELECTED, detail);
        }
        Ok(filter_record_batch(&loaded, &BooleanArray::from(passing))?)
    }

    fn reject(&self, origins: &StringArray, row: usize, reason: &'static str, detail: String) {
        let origin = if origins.is_valid(row) { origins.value(row) } else { "" };
        self.host.reject(Reject::new(origin, reason, detail));
    }

    /// Which rows stay; the others go to the host with the reason.
    fn keep(
        &self,
        plan: &Plan,
        raw: &RecordBatch,
        entities: &StringArray,
        times: &TimestampNanosecondArray,
    ) -> BooleanArray {
        let keep = |row: usize| {
            let entity = entities.is_valid(row).then(|| entities.value(row));
            let time = times.is_valid(row).then(|| times.value(row));
            let Some((reason, detail)) = self.objection(entity, time) else { return true };
            self.reject(raw.column(plan.origin).as_string(), row, reason, detail);
            false
        };
        (0..raw.num_rows()).map(|row| Some(keep(row))).collect()
    }

    /// Why a row cannot be used.
    fn objection(&self, entity: Option<&str>, time: Option<i64>) -> Option<(&'static str, String)> {
        let Some(entity) = entity else {
            return Some((
                reason::NO_ENTITY,
                format!("no value in {}", self.profile.entity.inputs.join(", ")),
            ));
        };
        if entity.len() > MAX_ENTITY_BYTES {
            let detail = format!("a name of {} bytes; at most {MAX_ENTITY_BYTES} make sense", entity.len());
            return Some((reason::NO_ENTITY, detail));
        }
        let Some(time) = time else {
            return Some((reason::NO_TIME, format!("no time in {}", self.profile.time.column)));
        };
        if !self.believable.contains(&time) {
            return Some((reason::TIME_OUT_OF_RANGE, unbelievable(time, &self.believable)));
        }
        if !self.selection.holds(entity) {
            return Some((reason::NOT_SELECTED, format!("entity `{entity}` was not asked for")));
        }
        None
    }
}

impl TimeColumn {
    /// The times that are believed at `now`, in nanoseconds since 1970.
    ///
    /// # Errors
    /// [`Error::Config`] if `earliest` is no date, or the clock is before 1970 or after 2262.
    pub fn believable(&self, now: SystemTime) -> Result<RangeInclusive<i64>> {
        let now = now.duration_since(UNIX_EPOCH).ok().and_then(|d| i64::try_from(d.as_nanos()).ok());
        let now = now.ok_or_else(|| Error::config("now", "the clock is before 1970 or after 2262"))?;
        Ok(self.earliest_nanoseconds()?..=now.saturating_add(self.ahead.nanoseconds()))
    }
}

/// What is said of a time that is not believed.
pub(crate) fn unbelievable(time: i64, believable: &RangeInclusive<i64>) -> String {
    format!("time {time} (ns since 1970) is not within {} and {}", believable.start(), believable.end())
}

impl EntityColumn {
    /// The entity of each row of a raw batch, null for a row without user unless such are kept; `None` if the batch has none
    /// of the columns that could name one.
    pub fn of(&self, raw: &RecordBatch) -> Option<StringArray> {
        let columns: Vec<_> = self.inputs.iter().filter_map(|name| raw.column_by_name(name)).collect();
        let inputs: Vec<_> = columns.iter().map(|column| Input::of(Some(column.as_ref()))).collect();
        let written = || rules::entities(&inputs, &Missing::new(&self.missing), raw.num_rows());
        (!inputs.is_empty()).then(|| self.keys(&written()))
    }

    /// The [keys](Self::key) of entities as written; for no entity nobody's, if such records are kept.
    fn keys(&self, written: &StringArray) -> StringArray {
        let nobody = (self.without == Without::Keep).then(|| self.key(&self.nobody));
        let mut out = StringBuilder::with_capacity(written.len(), written.value_data().len());
        let mut key = String::new();
        for name in written {
            let Some(name) = name else {
                out.append_option(nobody.as_deref());
                continue;
            };
            self.write_key(name, &mut key);
            out.append_value(&key);
        }
        out.finish()
    }
}

fn gather<'a>(batch: &'a RecordBatch, indices: &[Option<usize>]) -> Vec<Input<'a>> {
    indices.iter().map(|index| Input::of(index.map(|index| batch.column(index).as_ref()))).collect()
}

/// No directory has longer names; a megabyte of text is none.
const MAX_ENTITY_BYTES: usize = 1024;

/// Batches with more text are loaded in parts: joined or replaced text must stay below what one text array can hold.
const MAX_TEXT_BYTES: usize = 1 << 26;

/// Bytes of all texts of a batch.
pub(crate) fn text_bytes(batch: &RecordBatch) -> usize {
    let texts = batch.columns().iter().filter_map(|column| column.as_string_opt::<i32>());
    texts.map(|text| (text.value_offsets()[text.len()] - text.value_offsets()[0]) as usize).sum()
}

/// A batch in pieces whose text can be rewritten without becoming too much for one text array.
pub(crate) fn pieces(batch: RecordBatch) -> Vec<RecordBatch> {
    pieces_below(batch, MAX_TEXT_BYTES)
}

fn pieces_below(batch: RecordBatch, max_text_bytes: usize) -> Vec<RecordBatch> {
    let (mut left, mut pieces) = (vec![batch], Vec::new());
    while let Some(piece) = left.pop() {
        let rows = piece.num_rows();
        if rows > 1 && text_bytes(&piece) > max_text_bytes {
            left.push(piece.slice(rows / 2, rows - rows / 2));
            left.push(piece.slice(0, rows / 2));
        } else {
            pieces.push(piece);
        }
    }
    pieces
}

impl Stage for LoadStage {
    fn bind(&mut self, input: SchemaRef) -> dfp_core::Result<SchemaRef> {
        let plan = self.plan(&input)?;
        let output = plan.output.clone();
        self.plan = Some(plan);
        Ok(output)
    }

    fn push(&mut self, batch: RecordBatch) -> dfp_core::Result<()> {
        let plan = self.plan.as_ref().ok_or(Error::Unbound)?;
        for part in pieces_below(batch, self.max_text_bytes) {
            let loaded = self.load(plan, &part)?;
            if loaded.num_rows() > 0 {
                self.ready.push_back(loaded);
            }
        }
        Ok(())
    }

    fn pull(&mut self) -> dfp_core::Result<Option<RecordBatch>> {
        Ok(self.ready.pop_front())
    }

    fn finish(&mut self) -> dfp_core::Result<()> {
        Ok(())
    }
}
