//! Takes the wanted fields out of one record, in one pass and without building the rest of it.
//!
//! The wanted paths are compiled into a graph of keys, with every spelling a field has in any envelope. The pass
//! follows it and notes where each wanted value stands; all other values are only scanned.

use crate::csv::{self, Cell};
use crate::fields::{self, FIELDS, Type};
use crate::scan::{Cursor, Kind, Span, Stop};
use crate::text;
use crate::time::{self, DateOrder, Moment};

/// Objects inside strings inside strings: how far this is followed.
const NESTED_TEXTS: usize = 3;

type NodeId = usize;
type SlotId = usize;

/// Where the value of a path stands in the current record.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slot {
    kind: Kind,
    /// 0 is the record itself, `n` the decoder's text `n - 1`.
    buffer: usize,
    start: usize,
    end: usize,
}

/// The text a value stands in.
#[derive(Debug, Clone, Copy)]
struct Inside {
    /// As [`Slot::buffer`].
    buffer: usize,
    /// Strings around it.
    level: usize,
}

const RECORD: Inside = Inside { buffer: 0, level: 0 };

const MISSING: Slot = Slot { kind: Kind::Null, buffer: 0, start: 0, end: 0 };

/// A value as it stands in the source, quotes left out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Value<'a> {
    pub(crate) kind: Kind,
    pub(crate) raw: &'a [u8],
}

impl Value<'_> {
    /// Appends the text: a string's characters, anything else as it is written. Answers with the characters replaced.
    #[inline]
    pub(crate) fn append_to(&self, out: &mut String) -> u64 {
        match self.kind {
            Kind::Text { escaped: true } => text::unescape(self.raw, out),
            Kind::Nested => text::compact(self.raw, out),
            _ => text::plain(self.raw, out),
        }
    }
}

/// What a key of the record's top level says about the record as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    /// Nothing.
    None,
    /// The record is no Graph record.
    NotGraph,
    /// With an array: the object is an envelope.
    Envelope,
    /// With an array: the object is a table.
    Rows,
}

struct Node {
    slot: Option<SlotId>,
    mark: Mark,
    keys: Keys,
}

/// The keys of one object that lead somewhere.
struct Keys {
    /// First entry of each bucket, plus one.
    heads: Box<[u16; Keys::BUCKETS]>,
    entries: Vec<Entry>,
}

struct Entry {
    key: Box<[u8]>,
    node: NodeId,
    next: u16,
}

impl Keys {
    const BUCKETS: usize = 256;

    fn new() -> Self {
        Self { heads: Box::new([0; Self::BUCKETS]), entries: Vec::new() }
    }

    #[inline]
    fn bucket(key: &[u8]) -> usize {
        let first = usize::from(key.first().copied().unwrap_or(0));
        let middle = usize::from(key.get(key.len() / 2).copied().unwrap_or(0));
        let last = usize::from(key.last().copied().unwrap_or(0));
        (key.len() * 29 + first * 3 + middle * 7 + last * 11) % Self::BUCKETS
    }

    #[inline]
    fn find(&self, key: &[u8]) -> Option<NodeId> {
        let mut next = self.heads[Self::bucket(key)];
        while next != 0 {
            let entry = &self.entries[usize::from(next) - 1];
            if &*entry.key == key {
                return Some(entry.node);
            }
            next = entry.next;
        }
        None
    }

    /// Adds a key that is not there yet.
    fn add(&mut self, key: &str, node: NodeId) {
        let head = &mut self.heads[Self::bucket(key.as_bytes())];
        self.entries.push(Entry { key: key.as_bytes().into(), node, next: *head });
        *head = u16::try_from(self.entries.len()).expect("column counts are limited");
    }
}

/// Which records a place counts in. Graph puts what diagnostic records have under `properties` at the top, where some
/// of those names mean something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Any,
    Graph,
    NotGraph,
}

/// The places of a field, most trusted first.
type Places = Vec<(SlotId, Shape)>;

/// One wanted column.
pub(crate) struct Wanted {
    pub(crate) name: String,
    pub(crate) kind: Type,
    places: Places,
}

/// What to take out of every record, and where it may stand.
pub(crate) struct Plan {
    nodes: Vec<Node>,
    slots: usize,
    pub(crate) wanted: Vec<Wanted>,
    times: Vec<Places>,
    id: Places,
    category: Places,
    table_columns: SlotId,
}

const ROOT: NodeId = 0;

impl Plan {
    /// A plan for columns named by their paths in a diagnostic record.
    pub(crate) fn new(columns: &[String]) -> Self {
        let mut plan = Self {
            nodes: vec![Node { slot: None, mark: Mark::None, keys: Keys::new() }],
            slots: 0,
            wanted: Vec::new(),
            times: Vec::new(),
            id: Vec::new(),
            category: Vec::new(),
            table_columns: 0,
        };
        plan.times = fields::TIME_FIELDS.iter().map(|path| plan.places(path)).collect();
        plan.id = plan.places(fields::ID_FIELD);
        plan.category = plan.places(fields::CATEGORY_FIELD);
        for name in columns {
            let kind = fields::known(name).map_or(Type::Text, |field| field.kind);
            let places = plan.places(name);
            plan.wanted.push(Wanted { name: name.clone(), kind, places });
        }
        plan.mark_envelopes();
        plan
    }

    fn mark_envelopes(&mut self) {
        for (key, mark) in [
            ("properties", Mark::NotGraph),
            ("time", Mark::NotGraph),
            ("timeGenerated", Mark::NotGraph),
            ("category", Mark::NotGraph),
            ("records", Mark::Envelope),
            ("value", Mark::Envelope),
            ("tables", Mark::Envelope),
            ("rows", Mark::Rows),
        ] {
            let node = self.node(key, true);
            self.nodes[node].mark = mark;
        }
        self.table_columns = self.slot("columns", false);
    }

    /// Every place where the value of a column may stand.
    fn places(&mut self, path: &str) -> Places {
        let field = fields::known(path);
        let path = field.map_or(path, |field| field.path);
        let flat = path.strip_prefix("properties.");
        let twin = match flat {
            Some(flat) => FIELDS.iter().any(|other| other.path == flat && other.kind != Type::Word),
            None => FIELDS.iter().any(|other| other.path.strip_prefix("properties.") == Some(path)),
        };
        let mut places = Places::new();
        let mut add = |plan: &mut Self, path: &str, shape| {
            let slot = plan.slot(path, field.is_some());
            places.push((slot, shape));
        };
        add(self, path, if twin && flat.is_none() { Shape::NotGraph } else { Shape::Any });
        for also in field.map_or(&[][..], |field| field.also) {
            add(self, also, Shape::Any);
        }
        if let Some(flat) = flat {
            add(self, flat, if twin { Shape::Graph } else { Shape::Any });
        }
        places
    }

    fn slot(&mut self, path: &str, either_case: bool) -> SlotId {
        let node = self.node(path, either_case);
        let next = self.slots;
        let slot = *self.nodes[node].slot.get_or_insert(next);
        self.slots += usize::from(slot == next);
        slot
    }

    /// The node of a path, made if need be; `either_case` also accepts each key with its first letter in the other case.
    fn node(&mut self, path: &str, either_case: bool) -> NodeId {
        path.split('.').fold(ROOT, |parent, key| {
            let node = self.nodes[parent].keys.find(key.as_bytes()).unwrap_or_else(|| {
                self.nodes.push(Node { slot: None, mark: Mark::None, keys: Keys::new() });
                let node = self.nodes.len() - 1;
                self.nodes[parent].keys.add(key, node);
                node
            });
            if let Some(other) = fields::other_case(key).filter(|_| either_case)
                && self.nodes[parent].keys.find(other.as_bytes()).is_none()
            {
                self.nodes[parent].keys.add(&other, node);
            }
            node
        })
    }

    /// Where the cells under a heading go; `None` if nobody wants them.
    pub(crate) fn heading(&self, heading: &str) -> Option<NodeId> {
        let node = self.nodes[ROOT].keys.find(fields::heading(heading).as_bytes())?;
        (!matches!(self.nodes[node].mark, Mark::Envelope | Mark::Rows)).then_some(node)
    }
}

/// Why a record that was understood is no event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unusable {
    OtherCategory,
    NoTime,
    OutOfRange,
    /// The time is a slash date, and the order of the file's dates is not known yet.
    OrderUnknown,
}

/// Takes records apart, one after the other.
pub(crate) struct Decoder {
    pub(crate) plan: Plan,
    depth: usize,
    slots: Vec<Slot>,
    not_graph: bool,
    /// Strings of the current record that were decoded because something inside them is wanted.
    texts: Vec<String>,
    used_texts: usize,
    /// Characters replaced so far, because the bytes were no text.
    pub(crate) replaced: u64,
    scratch: String,
}

impl Decoder {
    /// A decoder that refuses records nested more than `depth` levels.
    pub(crate) fn new(plan: Plan, depth: usize) -> Self {
        let slots = vec![MISSING; plan.slots];
        Self {
            plan,
            depth,
            slots,
            not_graph: false,
            texts: Vec::new(),
            used_texts: 0,
            replaced: 0,
            scratch: String::new(),
        }
    }

    fn begin(&mut self) {
        self.slots.fill(MISSING);
        self.not_graph = false;
        self.used_texts = 0;
    }

    /// Takes the object at the start of `bytes` apart. Answers with the position after it, or where and why it ended.
    pub(crate) fn record(&mut self, bytes: &[u8]) -> (Result<(), Stop>, usize) {
        self.begin();
        let mut cursor = Cursor::new(bytes, 0);
        let result = self.object(&mut cursor, ROOT, self.depth, RECORD);
        (result, cursor.at)
    }

    /// Takes a table row (an array) apart; `nodes` says where each of its values goes.
    pub(crate) fn row(&mut self, bytes: &[u8], nodes: &[Option<NodeId>]) -> (Result<(), Stop>, usize) {
        self.begin();
        self.not_graph = true;
        let mut cursor = Cursor::new(bytes, 0);
        let result = self.elements(&mut cursor, nodes);
        (result, cursor.at)
    }

    fn elements(&mut self, cursor: &mut Cursor<'_>, nodes: &[Option<NodeId>]) -> Result<(), Stop> {
        let inner = self.depth - 1;
        if cursor.open(b']')? {
            return Ok(());
        }
        for node in nodes.iter().copied().chain(std::iter::repeat(None)) {
            cursor.peek_solid()?;
            match node {
                Some(node) => self.value(cursor, node, inner, RECORD)?,
                None => _ = cursor.value(inner)?,
            }
            if !cursor.more(b']')? {
                break;
            }
        }
        Ok(())
    }

    /// Takes a CSV row apart.
    pub(crate) fn cells(
        &mut self,
        bytes: &[u8],
        cells: &[Cell],
        nodes: &[Option<NodeId>],
    ) -> Result<(), Stop> {
        self.begin();
        self.not_graph = true;
        for (cell, node) in cells.iter().zip(nodes) {
            let Some(node) = *node else { continue };
            let raw = &bytes[cell.start..cell.end];
            if raw.is_empty() {
                continue;
            }
            if cell.doubled || (raw[0] == b'{' && !self.plan.nodes[node].keys.entries.is_empty()) {
                let mut decoded = self.take_text();
                self.replaced += csv::append(raw, &mut decoded);
                self.text(decoded, node, RECORD)?;
            } else {
                let slot =
                    Slot { kind: Kind::Text { escaped: false }, buffer: 0, start: cell.start, end: cell.end };
                self.note(node, slot);
            }
        }
        Ok(())
    }

    /// The names of the columns of a table whose rows follow.
    pub(crate) fn table_columns<'a>(&'a self, record: &'a [u8]) -> &'a [u8] {
        self.bytes(record, self.slots[self.plan.table_columns])
    }

    /// An object's members.
    fn object(
        &mut self,
        cursor: &mut Cursor<'_>,
        node: NodeId,
        depth: usize,
        inside: Inside,
    ) -> Result<(), Stop> {
        let inner = depth.checked_sub(1).ok_or(Stop::TooDeep)?;
        if cursor.open(b'}')? {
            return Ok(());
        }
        loop {
            let key = cursor.key()?;
            match self.child(cursor.bytes, node, key) {
                Some(child) => self.value(cursor, child, inner, inside)?,
                None => _ = cursor.value(inner)?,
            }
            if !cursor.more(b'}')? {
                return Ok(());
            }
        }
    }

    #[inline]
    fn child(&mut self, bytes: &[u8], node: NodeId, key: Span) -> Option<NodeId> {
        let raw = &bytes[key.start..key.end];
        let keys = &self.plan.nodes[node].keys;
        if !key.escaped {
            return keys.find(raw);
        }
        self.scratch.clear();
        text::unescape(raw, &mut self.scratch);
        keys.find(self.scratch.as_bytes())
    }

    /// A value somebody wants, or wants something of.
    fn value(
        &mut self,
        cursor: &mut Cursor<'_>,
        node: NodeId,
        depth: usize,
        inside: Inside,
    ) -> Result<(), Stop> {
        let Node { mark, keys, .. } = &self.plan.nodes[node];
        let has_keys = !keys.entries.is_empty();
        let start = cursor.at;
        let first = cursor.peek()?;
        match (*mark, first) {
            (Mark::NotGraph, _) if inside.level == 0 => self.not_graph = true,
            (Mark::Envelope, b'[') => return Err(Stop::Envelope),
            (Mark::Rows, b'[') => return Err(Stop::Rows),
            _ => {}
        }
        let kind = if has_keys && first == b'{' {
            self.object(cursor, node, depth, inside)?;
            Kind::Nested
        } else {
            cursor.value(depth)?
        };
        let quote = usize::from(matches!(kind, Kind::Text { .. }));
        let (start, end) = (start + quote, cursor.at - quote);
        if has_keys && quote == 1 && inside.level < NESTED_TEXTS && cursor.bytes.get(start) == Some(&b'{') {
            let mut decoded = self.take_text();
            self.replaced += text::unescape(&cursor.bytes[start..end], &mut decoded);
            return self.text(decoded, node, inside);
        }
        self.note(node, Slot { kind, buffer: inside.buffer, start, end });
        Ok(())
    }

    #[inline]
    fn note(&mut self, node: NodeId, slot: Slot) {
        if let Some(id) = self.plan.nodes[node].slot
            && slot.kind != Kind::Null
        {
            self.slots[id] = slot;
        }
    }

    fn take_text(&mut self) -> String {
        if self.used_texts == self.texts.len() {
            self.texts.push(String::new());
        }
        let mut text = std::mem::take(&mut self.texts[self.used_texts]);
        self.used_texts += 1;
        text.clear();
        text
    }

    /// A decoded string: noted as it is, and looked into if it is an object of which something is wanted.
    fn text(&mut self, decoded: String, node: NodeId, inside: Inside) -> Result<(), Stop> {
        let buffer = self.used_texts;
        let slot = Slot { kind: Kind::Text { escaped: false }, buffer, start: 0, end: decoded.len() };
        self.note(node, slot);
        let mut result = Ok(());
        if decoded.starts_with('{') && !self.plan.nodes[node].keys.entries.is_empty() {
            let mut cursor = Cursor::new(decoded.as_bytes(), 0);
            let inside = Inside { buffer, level: inside.level + 1 };
            result = self.object(&mut cursor, node, self.depth, inside);
        }
        self.texts[buffer - 1] = decoded;
        result.map_err(|stop| match stop {
            Stop::TooDeep => Stop::TooDeep,
            _ => Stop::Malformed("a string that begins like a JSON object is none"),
        })
    }

    fn bytes<'a>(&'a self, record: &'a [u8], slot: Slot) -> &'a [u8] {
        let buffer = match slot.buffer {
            0 => record,
            n => self.texts[n - 1].as_bytes(),
        };
        &buffer[slot.start..slot.end]
    }

    /// The first value there is among the places of a field.
    #[inline]
    fn find<'a>(&'a self, record: &'a [u8], places: &Places) -> Option<Value<'a>> {
        let found = places.iter().find_map(|&(slot, shape)| {
            let counts = match shape {
                Shape::Any => true,
                Shape::Graph => !self.not_graph,
                Shape::NotGraph => self.not_graph,
            };
            Some(self.slots[slot]).filter(|slot| counts && slot.kind != Kind::Null)
        })?;
        Some(Value { kind: found.kind, raw: self.bytes(record, found) })
    }

    /// The value of a wanted column.
    #[inline]
    pub(crate) fn wanted<'a>(&'a self, record: &'a [u8], column: &Wanted) -> Option<Value<'a>> {
        self.find(record, &column.places)
    }

    /// The record's own id.
    pub(crate) fn id<'a>(&'a self, record: &'a [u8]) -> Option<Value<'a>> {
        self.find(record, &self.plan.id).filter(|value| !value.raw.is_empty())
    }

    /// When the event happened, in nanoseconds since 1970 UTC.
    pub(crate) fn event_time(&self, record: &[u8], order: Option<DateOrder>) -> Result<i64, Unusable> {
        if let Some(category) = self.find(record, &self.plan.category)
            && !category.raw.trim_ascii().is_empty()
            && !fields::is_sign_in(category.raw)
        {
            return Err(Unusable::OtherCategory);
        }
        let mut fault = Unusable::NoTime;
        for moment in self.moments(record) {
            let moment = match (moment, order) {
                (Moment::Slash(_), None) => return Err(Unusable::OrderUnknown),
                (Moment::Slash(date), Some(order)) => date.resolve(order),
                (other, _) => Some(other),
            };
            match moment {
                Some(Moment::At(nanos)) => return Ok(nanos),
                Some(Moment::OutOfRange) => fault = Unusable::OutOfRange,
                _ => {}
            }
        }
        Err(fault)
    }

    /// What the record's time fields say, most trusted first.
    pub(crate) fn moments(&self, record: &[u8]) -> impl Iterator<Item = Moment> {
        self.plan.times.iter().filter_map(move |places| {
            let value = self.find(record, places)?;
            match value.kind {
                Kind::Text { escaped: false } => time::parse(value.raw),
                Kind::Text { escaped: true } => {
                    let mut text = String::new();
                    value.append_to(&mut text);
                    time::parse(text.as_bytes())
                }
                _ => None,
            }
        })
    }
}

/// The names in the `columns` of a table: `[{"name": ..., "type": ...}, ...]`.
pub(crate) fn column_names(columns: &[u8], depth: usize) -> Option<Vec<String>> {
    let plan = Plan::new(&["name".to_owned()]);
    let mut decoder = Decoder::new(plan, depth);
    let mut cursor = Cursor::new(columns, 0);
    let mut names = Vec::new();
    if columns.first() != Some(&b'[') || cursor.open(b']').ok()? {
        return None;
    }
    loop {
        cursor.peek_solid().ok()?;
        let element = &columns[cursor.at..];
        let mut name = String::new();
        if element[0] == b'{' {
            let (result, length) = decoder.record(element);
            result.ok()?;
            cursor.at += length;
            if let Some(value) = decoder.wanted(element, &decoder.plan.wanted[0]) {
                value.append_to(&mut name);
            }
        } else {
            cursor.value(depth).ok()?;
        }
        names.push(name);
        if !cursor.more(b']').ok()? {
            return Some(names);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn decode(columns: &[&str], record: &str) -> HashMap<String, String> {
        let columns: Vec<String> = columns.iter().map(|&name| name.to_owned()).collect();
        let mut decoder = Decoder::new(Plan::new(&columns), 16);
        let (result, end) = decoder.record(record.as_bytes());
        assert_eq!((result, end), (Ok(()), record.len()), "{record}");
        let found = decoder.plan.wanted.iter().filter_map(|column| {
            let mut text = String::new();
            decoder.wanted(record.as_bytes(), column)?.append_to(&mut text);
            Some((column.name.clone(), text))
        });
        found.collect()
    }

    const WANTED: [&str; 6] = [
        "resourceId",
        "properties.resourceId",
        "location",
        "properties.location.city",
        "properties.deviceDetail.browser",
        "properties.custom.deep",
    ];

    #[test]
    fn one_sign_in_reads_the_same_in_every_shape() {
        let nested = r#"{"time":"t","resourceId":"/t","location":"FR","properties":{"resourceId":"r",
            "location":{"city":"Lyon"},"deviceDetail":{"browser":"Edge"},"custom":{"deep":[1, 2]}}}"#;
        let text = r#"{"properties":"{\"resourceId\":\"r\",\"location\":{\"city\":\"Lyon\"},\"deviceDetail\":\"{\\\"browser\\\":\\\"Edge\\\"}\",\"custom\":{\"deep\":[1,2]}}","location":"FR","resourceId":"/t"}"#;
        let table = r#"{"TimeGenerated":"t","ResourceId":"/t","ResourceIdentity":"r","Location":"FR",
            "LocationDetails":"{\"city\":\"Lyon\"}","DeviceDetail":{"browser":"Edge"},"Custom":1,"custom":{"deep":[1,2]}}"#;
        let expected: HashMap<String, String> = WANTED
            .iter()
            .zip(["/t", "r", "FR", "Lyon", "Edge", "[1,2]"])
            .map(|(&name, text)| (name.to_owned(), text.to_owned()))
            .collect();
        for record in [nested, text, table] {
            assert_eq!(decode(&WANTED, record), expected, "{record}");
        }
        let graph = r#"{"resourceId":"r","location":{"city":"Lyon"},"deviceDetail":{"browser":"Edge"}}"#;
        let seen = decode(&WANTED, graph);
        assert_eq!(seen.get("resourceId"), None);
        assert_eq!(seen["properties.resourceId"], "r");
        assert_eq!(seen["properties.location.city"], "Lyon");
    }

    #[test]
    fn keys_may_be_escaped_and_null_does_not_hide_another_place() {
        let record = r#"{"\u0070roperties":{"ipAddress":null},"IPAddress":"::1"}"#;
        assert_eq!(decode(&["properties.ipAddress"], record)["properties.ipAddress"], "::1");
    }

    #[test]
    fn envelopes_are_told_from_records() {
        let mut decoder = Decoder::new(Plan::new(&[]), 16);
        assert_eq!(decoder.record(br#"{"@odata.context":"x","value":[{}]}"#), (Err(Stop::Envelope), 30));
        assert_eq!(decoder.record(br#"{"records":{},"value":1}"#).0, Ok(()));
        assert_eq!(decoder.record(br#"{"properties":{"value":[1]}}"#).0, Ok(()));
        let table = br#"{"columns":[{"name":"Time"},{"name":"Id"}],"rows":[["a"]]}"#;
        assert_eq!(decoder.record(table).0, Err(Stop::Rows));
        assert_eq!(
            column_names(decoder.table_columns(table), 4),
            Some(vec!["Time".to_owned(), "Id".to_owned()])
        );
    }

    #[test]
    fn a_broken_object_in_a_string_is_malformed() {
        let mut decoder = Decoder::new(Plan::new(&[]), 16);
        let (result, _) = decoder.record(br#"{"properties":"{\"id\":\"a"}"#);
        assert!(matches!(result, Err(Stop::Malformed(_))));
    }
}
