//! Sessions made in memory, for programs whose events are not in Arrow yet.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::builder::StringBuilder;
use arrow_array::{ArrayRef, ListArray, MapArray, StringArray, StructArray};
use arrow_buffer::OffsetBuffer;
use arrow_schema::{DataType, FieldRef, Fields};

use super::SessionType;

/// Builds a column of sessions, event by event.
///
/// ```
/// use dfp_models::sequence::{SessionType, Sessions, SessionsBuilder};
///
/// let mut builder = SessionsBuilder::new(SessionType::CmdsParamsValues);
/// builder.event("Set-User", [("Identity", Some("ann")), ("Force", None)]);
/// builder.event("Set-Mailbox", [("Identity", Some("ann"))]);
/// builder.end_session();
/// let column = builder.finish();
/// assert_eq!(Sessions::of_column(&column, "events").unwrap().len(), 1);
/// ```
#[derive(Debug)]
pub struct SessionsBuilder {
    kind: SessionType,
    /// Ends of sessions, in events.
    sessions: Vec<i32>,
    names: StringBuilder,
    /// Ends of events, in parameters.
    events: Vec<i32>,
    params: StringBuilder,
    values: StringBuilder,
}

impl SessionsBuilder {
    /// A builder of sessions of one type.
    pub fn new(kind: SessionType) -> Self {
        Self {
            kind,
            sessions: vec![0],
            names: StringBuilder::new(),
            events: vec![0],
            params: StringBuilder::new(),
            values: StringBuilder::new(),
        }
    }

    /// Adds an event to the session under way. Of parameters with one name, the last one counts; what the type has no room
    /// for is left out.
    ///
    /// # Panics
    /// If the column outgrows what Arrow's 32-bit offsets reach: build several then.
    pub fn event<'a>(
        &mut self,
        command: &str,
        params: impl IntoIterator<Item = (&'a str, Option<&'a str>)>,
    ) -> &mut Self {
        self.names.append_value(command);
        if self.kind != SessionType::CmdsOnly {
            let params: BTreeMap<&str, Option<&str>> = params.into_iter().collect();
            for (name, value) in params {
                self.params.append_value(name);
                self.values.append_option(value);
            }
        }
        self.events.push(offset(self.params.offsets_slice().len() - 1));
        self
    }

    /// Ends the session under way. The next event begins another one.
    pub fn end_session(&mut self) -> &mut Self {
        self.sessions.push(offset(self.events.len() - 1));
        self
    }

    /// The column. A session that was not ended is left out.
    pub fn finish(mut self) -> ListArray {
        let DataType::List(event) = self.kind.data_type() else { unreachable!("sessions are lists") };
        let names = self.names.finish();
        let events: ArrayRef = match event.data_type() {
            DataType::Struct(fields) => {
                let params = params(fields, self.events, self.params.finish(), self.values.finish());
                Arc::new(StructArray::new(fields.clone(), vec![Arc::new(names), params], None))
            }
            _ => Arc::new(names),
        };
        ListArray::new(event, OffsetBuffer::new(self.sessions.into()), events, None)
    }
}

fn offset(length: usize) -> i32 {
    i32::try_from(length).expect("a column of sessions holds fewer than 2^31 events and parameters")
}

/// The parameters of events, as the last field of their type wants them.
fn params(events: &Fields, ends: Vec<i32>, names: StringArray, values: StringArray) -> ArrayRef {
    let offsets = OffsetBuffer::new(ends.into());
    let map = |entries: &FieldRef| {
        let DataType::Struct(entry) = entries.data_type() else { unreachable!("entries are structs") };
        let both = vec![Arc::new(names.clone()) as ArrayRef, Arc::new(values)];
        StructArray::new(entry.clone(), both, None)
    };
    match events.last().expect("events have fields").data_type() {
        DataType::Map(entries, ordered) => {
            Arc::new(MapArray::new(Arc::clone(entries), offsets, map(entries), None, *ordered))
        }
        DataType::List(item) => Arc::new(ListArray::new(Arc::clone(item), offsets, Arc::new(names), None)),
        _ => unreachable!("parameters are lists or maps"),
    }
}
