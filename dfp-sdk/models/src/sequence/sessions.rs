//! Sessions as they lie in Arrow: a list of events per row, of one of three kinds.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ListArray, MapArray, RecordBatch, StringArray, StructArray};
use arrow_schema::{DataType, Field, FieldRef, Fields};
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

const NEEDED: &str = "a list of Utf8, of Struct{name: Utf8, params: List<Utf8>} or of Struct{name: Utf8, params: Map<Utf8, Utf8>}";
/// Fields of events with parameters.
const NAME: &str = "name";
const PARAMS: &str = "params";

/// What is known of an event. Read off the Arrow type of a column, never guessed from the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionType {
    /// Its command: `Utf8`.
    CmdsOnly,
    /// Its command and which parameters it has: `Struct{name: Utf8, params: List<Utf8>}`.
    CmdsParamsOnly,
    /// Its command, which parameters it has, and their values: `Struct{name: Utf8, params: Map<Utf8, Utf8>}`. A null value and
    /// the empty text both mean that there is none.
    CmdsParamsValues,
}

impl SessionType {
    /// The type of a column of sessions.
    ///
    /// ```
    /// use dfp_models::sequence::SessionType;
    ///
    /// let kind = SessionType::CmdsParamsOnly;
    /// assert_eq!(SessionType::of(&kind.data_type()), Some(kind));
    /// ```
    pub fn of(column: &DataType) -> Option<Self> {
        let DataType::List(event) = column else { return None };
        match event.data_type() {
            DataType::Utf8 => Some(Self::CmdsOnly),
            DataType::Struct(fields) => Self::of_struct(fields),
            _ => None,
        }
    }

    fn of_struct(fields: &Fields) -> Option<Self> {
        let type_of = |name| fields.find(name).map(|(_, field)| field.data_type());
        if type_of(NAME)? != &DataType::Utf8 {
            return None;
        }
        match type_of(PARAMS)? {
            DataType::List(item) if item.data_type() == &DataType::Utf8 => Some(Self::CmdsParamsOnly),
            DataType::Map(entries, _) => match entries.data_type() {
                DataType::Struct(entry) if entry.iter().all(|f| f.data_type() == &DataType::Utf8) => {
                    Some(Self::CmdsParamsValues)
                }
                _ => None,
            },
            _ => None,
        }
    }

    /// The type of a column of such sessions.
    pub fn data_type(self) -> DataType {
        DataType::List(Arc::new(Field::new_list_field(self.event_type(), true)))
    }

    fn event_type(self) -> DataType {
        let params = match self {
            Self::CmdsOnly => return DataType::Utf8,
            Self::CmdsParamsOnly => DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true))),
            Self::CmdsParamsValues => {
                let entry = [("key", false), ("value", true)];
                let entry = entry.map(|(name, null)| Field::new(name, DataType::Utf8, null));
                let entries = Field::new("entries", DataType::Struct(entry.to_vec().into()), false);
                DataType::Map(Arc::new(entries), false)
            }
        };
        let fields = vec![Field::new(NAME, DataType::Utf8, false), Field::new(PARAMS, params, false)];
        DataType::Struct(fields.into())
    }
}

/// A column of sessions, checked: every session has an event, every event a command, every parameter a name.
#[derive(Debug, Clone, Copy)]
pub struct Sessions<'a> {
    list: &'a ListArray,
    kind: SessionType,
    names: &'a StringArray,
    params: Params<'a>,
}

#[derive(Debug, Clone, Copy)]
enum Params<'a> {
    None,
    Sets { lists: &'a ListArray, names: &'a StringArray },
    Maps { maps: &'a MapArray, keys: &'a StringArray, values: &'a StringArray },
}

impl<'a> Sessions<'a> {
    /// Sessions of the column `name` of a batch.
    ///
    /// # Errors
    /// [`Error::MissingColumn`]; [`Error::ColumnType`] if it does not hold sessions; [`Error::Session`] if one of them is null
    /// or empty, or has an event without command or a parameter without name.
    pub fn of_batch(batch: &'a RecordBatch, name: &str) -> Result<Self> {
        let column = batch.column_by_name(name);
        let column = column.ok_or_else(|| Error::MissingColumn { column: name.to_owned() })?;
        Self::of_column(column.as_ref(), name)
    }

    /// Sessions of a column that is called `name` in errors.
    ///
    /// # Errors
    /// Those of [`of_batch`](Self::of_batch).
    pub fn of_column(column: &'a dyn Array, name: &str) -> Result<Self> {
        let kind = SessionType::of(column.data_type()).ok_or_else(|| Error::ColumnType {
            column: name.to_owned(),
            found: column.data_type().to_string(),
            needed: NEEDED,
        })?;
        let list = column.as_list::<i32>();
        let events = list.values();
        let (names, params) = match kind {
            SessionType::CmdsOnly => (events.as_string::<i32>(), Params::None),
            _ => Params::of(events.as_struct(), kind),
        };
        let sessions = Self { list, kind, names, params };
        sessions.check()?;
        Ok(sessions)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// What is known of their events.
    pub fn session_type(&self) -> SessionType {
        self.kind
    }

    /// Where the events of a session lie among the column's.
    pub(super) fn events(&self, session: usize) -> Range<usize> {
        let offsets = self.list.value_offsets();
        offsets[session] as usize..offsets[session + 1] as usize
    }

    /// Where the events of several sessions lie.
    pub(super) fn events_of(&self, sessions: Range<usize>) -> Range<usize> {
        let offsets = self.list.value_offsets();
        offsets[sessions.start] as usize..offsets[sessions.end] as usize
    }

    /// The command of an event.
    pub(super) fn name(&self, event: usize) -> &'a str {
        self.names.value(event)
    }

    /// Where the parameters of an event lie among the column's; null is none.
    pub(super) fn params(&self, event: usize) -> Range<usize> {
        let (null, offsets) = match self.params {
            Params::None => return 0..0,
            Params::Sets { lists, .. } => (lists.is_null(event), lists.value_offsets()),
            Params::Maps { maps, .. } => (maps.is_null(event), maps.value_offsets()),
        };
        if null { 0..0 } else { offsets[event] as usize..offsets[event + 1] as usize }
    }

    pub(super) fn param_name(&self, param: usize) -> &'a str {
        self.params.names().expect("events without parameters have no ranges of them").value(param)
    }

    /// The value as it was written: the empty text is not the same as none there.
    pub(super) fn written_value(&self, param: usize) -> Option<&'a str> {
        match self.params {
            Params::Maps { values, .. } if values.is_valid(param) => Some(values.value(param)),
            _ => None,
        }
    }

    /// The value, if there is one.
    pub(super) fn value(&self, param: usize) -> Option<&'a str> {
        self.written_value(param).filter(|value| !value.is_empty())
    }

    /// The events as an array, and the field of a list of them.
    pub(super) fn array(&self) -> (&'a dyn Array, FieldRef) {
        let DataType::List(field) = self.list.data_type() else { unreachable!("it is a list") };
        (self.list.values().as_ref(), Arc::clone(field))
    }

    fn check(&self) -> Result<()> {
        let complete = self.names.null_count() == 0
            && self.list.values().null_count() == 0
            && self.params.names().is_none_or(|names| names.null_count() == 0);
        for session in 0..self.len() {
            let refuse = |why: String| Err(Error::Session { row: session, why });
            if self.list.is_null(session) {
                return refuse("it is null".to_owned());
            }
            let events = self.events(session);
            if events.is_empty() {
                return refuse("it has no events".to_owned());
            }
            let first = events.start;
            let fault = || events.into_iter().find_map(|event| self.fault(event).map(|why| (event, why)));
            if let Some((event, why)) = if complete { None } else { fault() } {
                return refuse(format!("event {} {why}", event - first));
            }
        }
        Ok(())
    }

    /// What is wrong with an event.
    fn fault(&self, event: usize) -> Option<&'static str> {
        if self.list.values().is_null(event) || self.names.is_null(event) {
            return Some("is null or has no command; leave such events out");
        }
        let names = self.params.names()?;
        let nameless = self.params(event).any(|param| names.is_null(param));
        nameless.then_some("has a parameter without name")
    }
}

impl<'a> Params<'a> {
    /// Commands and parameters of events of a kind that has parameters.
    fn of(events: &'a StructArray, kind: SessionType) -> (&'a StringArray, Self) {
        let field = |name| events.column_by_name(name).expect("the type was checked");
        let params = field(PARAMS);
        let params = if kind == SessionType::CmdsParamsOnly {
            let lists = params.as_list::<i32>();
            Self::Sets { lists, names: lists.values().as_string() }
        } else {
            let maps = params.as_map();
            Self::Maps { maps, keys: maps.keys().as_string(), values: maps.values().as_string() }
        };
        (field(NAME).as_string(), params)
    }

    fn names(&self) -> Option<&'a StringArray> {
        match *self {
            Self::None => None,
            Self::Sets { names, .. } => Some(names),
            Self::Maps { keys, .. } => Some(keys),
        }
    }
}
