//! Raw batches to batches of events.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, BooleanArray, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use arrow_select::filter::filter_record_batch;
use dfp_core::{Host, Level, ORIGIN, RECORD_ID, Reject, Stage, reason};

use super::condition::pass;
use super::events::texts;
use super::rules::{EVENT, Identity, Joined, SessionRules, Unreadable};
use crate::input::{self, Input};
use crate::load::{pieces, text_bytes};
use crate::{Error, Result};

/// Makes the events of raw batches, ready for [`Sessionize`](crate::sessionize::Sessionize) with
/// [`SessionRules::options`].
///
/// Out come `_record_id` and `_origin`, where the source has them, the identity columns, the time, and [`EVENT`], one row for
/// each record that passes the tests. The others are rejected as [`reason::NOT_SELECTED`], those without a command as
/// [`reason::NO_EVENT`]. Parameters that cannot be read are no parameters, counted as `unreadable:<column>`, unless the rules
/// say that such a record is rejected as [`reason::MALFORMED`].
pub struct SessionEvents {
    rules: SessionRules,
    host: Arc<dyn Host>,
    schema: Option<SchemaRef>,
    ready: VecDeque<RecordBatch>,
}

impl SessionEvents {
    /// A stage for one kind of log.
    ///
    /// # Errors
    /// As [`SessionRules::validate`].
    pub fn new(rules: SessionRules, host: Arc<dyn Host>) -> Result<Self> {
        rules.validate()?;
        Ok(Self { rules, host, schema: None, ready: VecDeque::new() })
    }

    fn schema(&self, raw: &Schema) -> Result<Schema> {
        for name in self.rules.raw_columns() {
            match raw.field_with_name(&name) {
                Ok(field) if input::readable(field.data_type()) => {}
                Ok(field) => {
                    let problem =
                        format!("is {}; events are made of text, numbers and booleans", field.data_type());
                    return Err(Error::column(name, problem));
                }
                Err(_) if name == self.rules.event.name => {
                    return Err(Error::column(name, "the source has none"));
                }
                Err(_) => {
                    let message =
                        format!("the source has no column `{name}`: its values are taken as missing");
                    self.host.log(Level::Warn, "sessions", &message);
                }
            }
        }
        let field = |name: &str| raw.field_with_name(name).cloned();
        let mut fields: Vec<Field> =
            [RECORD_ID, ORIGIN].into_iter().filter_map(|name| field(name).ok()).collect();
        fields.extend(self.rules.identity.iter().map(|identity| {
            let raw = match identity {
                Identity::Column(name) => field(name).ok(),
                Identity::Joined(_) => None,
            };
            raw.unwrap_or_else(|| Field::new(identity.name(), DataType::Utf8, true))
        }));
        let time =
            field(&self.rules.time).map_err(|_| Error::column(&self.rules.time, "the source has none"))?;
        fields.extend([time, Field::new(EVENT, self.rules.event.kind.data_type(), true)]);
        Ok(Schema::new(fields))
    }

    fn events(&self, schema: &SchemaRef, raw: &RecordBatch) -> Result<RecordBatch> {
        let raw = self.selected(raw)?;
        let events = self.rules.event.events(&raw)?;
        let mut kept: Vec<bool> = (0..raw.num_rows()).map(|row| events.array.is_valid(row)).collect();
        for row in (0..kept.len()).filter(|row| !kept[*row]) {
            self.reject(&raw, row, reason::NO_EVENT, format!("no value in {}", self.rules.event.name));
        }
        let parameters = self.rules.event.parameters.as_ref().map_or(&[][..], |rule| rule.inputs().0);
        let column = parameters.first().map_or("", String::as_str);
        let mut empty = 0;
        for (row, why) in events.unreadable.into_iter().filter(|(row, _)| events.array.is_valid(*row)) {
            match self.rules.event.unreadable {
                Unreadable::Empty => empty += 1,
                Unreadable::Reject => {
                    kept[row] = false;
                    self.reject(&raw, row, reason::MALFORMED, format!("parameters in {column}: {why}"));
                }
            }
        }
        if empty > 0 {
            self.host.count(&format!("unreadable:{column}"), empty);
        }
        let columns = schema.fields().iter().map(|field| self.column(&raw, field, &events.array));
        let batch = RecordBatch::try_new(schema.clone(), columns.collect())?;
        Ok(filter_record_batch(&batch, &BooleanArray::from(kept))?)
    }

    fn column(&self, raw: &RecordBatch, field: &Field, events: &ArrayRef) -> ArrayRef {
        let name = field.name();
        if name == EVENT {
            return events.clone();
        }
        if let Some(joined) = self.rules.joined(name) {
            return Arc::new(join(joined, raw));
        }
        let missing = || Arc::new(StringArray::new_null(raw.num_rows())) as ArrayRef;
        raw.column_by_name(name).cloned().unwrap_or_else(missing)
    }

    /// The rows that pass the tests; the others go to the host.
    fn selected(&self, raw: &RecordBatch) -> Result<RecordBatch> {
        let mut passing = vec![true; raw.num_rows()];
        for condition in &self.rules.filters {
            let before = passing.clone();
            if let Some(joined) = self.rules.joined(&condition.column) {
                pass(condition, Input::Text(&join(joined, raw)), &mut passing);
            } else {
                let column = raw.column_by_name(&condition.column).map(AsRef::as_ref);
                pass(condition, Input::of(column), &mut passing);
            }
            for row in (0..before.len()).filter(|row| before[*row] != passing[*row]) {
                let detail = format!("`{}` does not pass the rules' test", condition.column);
                self.reject(raw, row, reason::NOT_SELECTED, detail);
            }
        }
        Ok(filter_record_batch(raw, &BooleanArray::from(passing))?)
    }

    fn reject(&self, raw: &RecordBatch, row: usize, reason: &'static str, detail: String) {
        let origins = raw.column_by_name(ORIGIN).and_then(|column| column.as_string_opt::<i32>());
        let origin = origins.filter(|origins| origins.is_valid(row)).map_or("", |origins| origins.value(row));
        self.host.reject(Reject::new(origin, reason, detail));
    }
}

/// The texts of several columns joined.
fn join(joined: &Joined, raw: &RecordBatch) -> StringArray {
    let input = |name: &String| Input::of(raw.column_by_name(name).map(AsRef::as_ref));
    let columns: Vec<_> = joined.inputs.iter().map(|name| texts(input(name), raw.num_rows())).collect();
    let mut text = String::new();
    let row = |row: usize| {
        text.clear();
        for (index, column) in columns.iter().enumerate() {
            if index > 0 {
                text.push_str(&joined.sep);
            }
            text.push_str(if column.is_valid(row) { column.value(row) } else { "" });
        }
        Some(text.clone())
    };
    (0..raw.num_rows()).map(row).collect()
}

/// Compact JSON may be several times as long as JSON in short words: `1e15` is `1000000000000000.0`.
const MAX_RECORD_BYTES: usize = 1 << 28;

impl Stage for SessionEvents {
    fn bind(&mut self, input: SchemaRef) -> dfp_core::Result<SchemaRef> {
        let schema = Arc::new(self.schema(&input)?);
        self.schema = Some(schema.clone());
        Ok(schema)
    }

    fn push(&mut self, batch: RecordBatch) -> dfp_core::Result<()> {
        let schema = self.schema.as_ref().ok_or(Error::Unbound)?;
        for piece in pieces(batch) {
            // A single record: what is made of it must fit into one text array, too.
            if text_bytes(&piece) > MAX_RECORD_BYTES {
                return Err(Error::TooLarge(format!("a record of more than {MAX_RECORD_BYTES} bytes")).into());
            }
            let events = self.events(schema, &piece)?;
            if events.num_rows() > 0 {
                self.ready.push_back(events);
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
