//! Takes the wanted fields out of one record, in one pass and without building the rest of it.
//!
//! The wanted paths are compiled into a graph of keys, with every spelling a field has in any envelope. The pass
//! follows it and notes where each wanted value stands; all other values are only scanned.

use crate::csv::{self, Cell};
use crate::log::{self, ENVELOPES, Log, Type, WRAPPERS};
use crate::loose;
use crate::missing::Missing;
use crate::packed::{BEGINNING, PACKED};
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

/// What a key says beyond its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    /// Nothing.
    None,
    /// The record is not laid out flat.
    NotFlat,
    /// With an array: it holds the records.
    Envelope,
    /// With an array: the object is a table.
    Rows,
    /// With an array: pairs of names and values.
    Pairs,
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
    digest: u64,
    key: Box<[u8]>,
    node: NodeId,
    next: u16,
}

impl Keys {
    const BUCKETS: usize = 256;

    fn new() -> Self {
        Self { heads: Box::new([0; Self::BUCKETS]), entries: Vec::new() }
    }

    /// A number that other keys seldom share, from length, beginning and end.
    #[inline]
    fn digest(key: &[u8]) -> u64 {
        const SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;
        let word =
            |at: usize| key.get(at..at + 8).map(|word| u64::from_le_bytes(word.try_into().expect("eight")));
        let half =
            |at: usize| key.get(at..at + 4).map(|half| u32::from_le_bytes(half.try_into().expect("four")));
        let length = key.len();
        let ends = if let Some(first) = word(0) {
            first ^ word(length - 8).unwrap_or(0).rotate_left(29)
        } else if let Some(first) = half(0) {
            u64::from(first) << 32 | u64::from(half(length - 4).unwrap_or(0))
        } else {
            key.iter().fold(0, |digits, &byte| digits << 8 | u64::from(byte))
        };
        (ends ^ (length as u64) << 56).wrapping_mul(SPREAD)
    }

    /// The highest bits of a product depend on all of its factors' bits.
    #[inline]
    fn bucket(digest: u64) -> usize {
        (digest >> (u64::BITS - Self::BUCKETS.ilog2())) as usize
    }

    #[inline]
    fn find(&self, key: &[u8]) -> Option<NodeId> {
        let digest = Self::digest(key);
        let mut next = self.heads[Self::bucket(digest)];
        while next != 0 {
            let entry = &self.entries[usize::from(next) - 1];
            if entry.digest == digest && &*entry.key == key {
                return Some(entry.node);
            }
            next = entry.next;
        }
        None
    }

    /// Adds a key that is not there yet.
    fn add(&mut self, key: &str, node: NodeId) {
        let digest = Self::digest(key.as_bytes());
        let head = &mut self.heads[Self::bucket(digest)];
        self.entries.push(Entry { digest, key: key.as_bytes().into(), node, next: *head });
        *head = u16::try_from(self.entries.len()).expect("column counts are limited");
    }
}

/// Which records a place counts in. Records laid out flat have at the top what others have in a member, and some of
/// those names mean something else there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Any,
    Flat,
    NotFlat,
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
    pub(crate) log: &'static Log,
    nodes: Vec<Node>,
    slots: usize,
    /// Every path of a slot, and its node.
    paths: Vec<(String, NodeId)>,
    pub(crate) wanted: Vec<Wanted>,
    times: Vec<Places>,
    id: Places,
    watched: Vec<Places>,
    table_columns: SlotId,
    packed: Vec<SlotId>,
}

/// The record itself; as a key's node, the key's value is the record.
const ROOT: NodeId = 0;

impl Plan {
    /// A plan for columns named by their paths in the log's own record.
    pub(crate) fn new(log: &'static Log, columns: &[String]) -> Self {
        let mut plan = Self {
            log,
            nodes: vec![Node { slot: None, mark: Mark::None, keys: Keys::new() }],
            slots: 0,
            paths: Vec::new(),
            wanted: Vec::new(),
            times: Vec::new(),
            id: Vec::new(),
            watched: Vec::new(),
            table_columns: 0,
            packed: Vec::new(),
        };
        plan.times = log.times.iter().map(|path| plan.places(path)).collect();
        plan.id = plan.places(log.record_id);
        plan.watched = log.watched.iter().map(|path| plan.places(path)).collect();
        for name in columns {
            let kind = log.known(name).map_or(Type::Text, |field| field.kind);
            let places = plan.places(name);
            plan.wanted.push(Wanted { name: name.clone(), kind, places });
        }
        plan.mark_keys();
        plan
    }

    fn mark_keys(&mut self) {
        let not_flat = self.log.flat.as_ref().map_or(&[][..], |flat| flat.unless);
        let marks = not_flat.iter().map(|key| (*key, Mark::NotFlat));
        let marks = marks.chain(self.log.pairs.iter().map(|path| (*path, Mark::Pairs)));
        let marks = marks.chain(ENVELOPES.iter().map(|path| (*path, Mark::Envelope)));
        for (path, mark) in marks.chain([("rows", Mark::Rows)]) {
            let node = self.node(path, true);
            self.nodes[node].mark = mark;
        }
        self.table_columns = self.slot("columns", false);
        self.packed = PACKED.iter().map(|path| self.slot(path, false)).collect();
        for key in WRAPPERS.iter().chain(self.log.wrappers) {
            for spelling in spellings(key) {
                if self.nodes[ROOT].keys.find(spelling.as_bytes()).is_none() {
                    self.nodes[ROOT].keys.add(&spelling, ROOT);
                }
            }
        }
    }

    /// Every place where the value of a column may stand.
    fn places(&mut self, path: &str) -> Places {
        let fields = self.log.fields;
        let field = self.log.known(path);
        let path = field.map_or(path, |field| field.path);
        let prefix = self.log.flat.as_ref().map(|flat| flat.prefix);
        let without = |path: &'static str| path.strip_prefix(prefix?);
        let flat = prefix.and_then(|prefix| path.strip_prefix(prefix));
        let twin = match flat {
            Some(flat) => fields.iter().any(|other| other.path == flat && other.kind != Type::Word),
            None => fields.iter().any(|other| without(other.path) == Some(path)),
        };
        let mut places = Places::new();
        let mut add = |plan: &mut Self, path: &str, shape| {
            let slot = plan.slot(path, field.is_some());
            places.push((slot, shape));
        };
        add(self, path, if twin && flat.is_none() { Shape::NotFlat } else { Shape::Any });
        for also in field.map_or(&[][..], |field| field.also) {
            add(self, also, Shape::Any);
        }
        if let Some(flat) = flat {
            add(self, flat, if twin { Shape::Flat } else { Shape::Any });
        }
        places
    }

    fn slot(&mut self, path: &str, any_spelling: bool) -> SlotId {
        let node = self.node(path, any_spelling);
        let next = self.slots;
        let slot = *self.nodes[node].slot.get_or_insert(next);
        if slot == next {
            self.slots += 1;
            self.paths.push((path.to_owned(), node));
        }
        slot
    }

    /// The node of a path, made if need be; `any_spelling` also accepts each key in its other spellings, as always the
    /// keys that lead to known fields.
    fn node(&mut self, path: &str, any_spelling: bool) -> NodeId {
        let mut end = 0;
        path.split('.').fold(ROOT, |parent, key| {
            end += key.len();
            let here = &path[..end];
            end += 1;
            let node = self.nodes[parent].keys.find(key.as_bytes()).unwrap_or_else(|| {
                self.nodes.push(Node { slot: None, mark: Mark::None, keys: Keys::new() });
                let node = self.nodes.len() - 1;
                self.nodes[parent].keys.add(key, node);
                node
            });
            if !self.log.is_exact(here) && (any_spelling || self.log.leads_on(here)) {
                for other in spellings(key) {
                    if self.nodes[parent].keys.find(other.as_bytes()).is_none() {
                        self.nodes[parent].keys.add(&other, node);
                    }
                }
            }
            node
        })
    }

    /// Where the cells under each heading of a table go; `None` if nobody wants them. A heading that is no key as it is
    /// may be one in another spelling, or a path, unless another heading is that.
    pub(crate) fn headings<S: AsRef<str>>(&self, headings: &[S]) -> Vec<Option<NodeId>> {
        let names: Vec<&str> = headings.iter().map(|text| log::heading(text.as_ref())).collect();
        let mut nodes: Vec<Option<NodeId>> = names.iter().map(|name| self.key(name)).collect();
        let taken: Vec<NodeId> = nodes.iter().flatten().copied().collect();
        for (node, name) in nodes.iter_mut().zip(names) {
            *node = node.or_else(|| self.path(name).filter(|node| !taken.contains(node)));
        }
        nodes
    }

    fn key(&self, name: &str) -> Option<NodeId> {
        let node = self.nodes[ROOT].keys.find(name.as_bytes())?;
        (!matches!(self.nodes[node].mark, Mark::Envelope | Mark::Rows)).then_some(node)
    }

    /// The node of a path written with dots, with `_` for dots, or without them, in any case.
    fn path(&self, name: &str) -> Option<NodeId> {
        let found = self.paths.iter().find(|(path, _)| path == name);
        let found = found.or_else(|| self.paths.iter().find(|(path, _)| is_spelling(name, path)));
        found.map(|(_, node)| *node)
    }
}

/// Whether a heading is a path in any case, with its dots, with `_` for them, or without them.
fn is_spelling(heading: &str, path: &str) -> bool {
    ["_", ""].iter().any(|dot| heading.eq_ignore_ascii_case(&path.replace('.', dot)))
        || heading.eq_ignore_ascii_case(path)
}

/// A key as it is written, with its first letter in the other case, and in lower case.
fn spellings(key: &str) -> Vec<String> {
    let mut spellings = vec![key.to_owned()];
    spellings.extend(log::other_case(key));
    spellings.push(key.to_ascii_lowercase());
    spellings
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
    missing: Missing,
    slots: Vec<Slot>,
    not_flat: bool,
    /// Strings of the current record that were decoded because something inside them is wanted.
    texts: Vec<String>,
    used_texts: usize,
    /// Characters replaced so far, because the bytes were no text.
    pub(crate) replaced: u64,
    scratch: String,
}

impl Decoder {
    /// A decoder that refuses records nested more than `depth` levels.
    pub(crate) fn new(plan: Plan, depth: usize, missing: Missing) -> Self {
        let slots = vec![MISSING; plan.slots];
        Self {
            plan,
            depth,
            missing,
            slots,
            not_flat: false,
            texts: Vec::new(),
            used_texts: 0,
            replaced: 0,
            scratch: String::new(),
        }
    }

    fn begin(&mut self) {
        self.forget();
        self.used_texts = 0;
    }

    /// Forgets what was seen of the record so far: it was only wrapped round the record.
    fn forget(&mut self) {
        self.slots.fill(MISSING);
        self.not_flat = false;
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
        self.not_flat = true;
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
        self.not_flat = true;
        for (cell, node) in cells.iter().zip(nodes) {
            let Some(node) = *node else { continue };
            let raw = &bytes[cell.start..cell.end];
            if raw.is_empty() {
                continue;
            }
            let looked_into = raw[0] == b'{' && !self.plan.nodes[node].keys.entries.is_empty();
            if node == ROOT && !looked_into {
                continue;
            }
            if cell.doubled || looked_into || self.is_pairs(node, raw) {
                let mut decoded = self.take_text();
                self.replaced += csv::append(raw, &mut decoded);
                if node == ROOT {
                    self.forget();
                    return self.text(decoded, node, RECORD);
                }
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

    /// The text, if the record has one, in which others are packed.
    pub(crate) fn packed(&self, record: &[u8]) -> Option<String> {
        let slots = self.plan.packed.iter().map(|&slot| self.slots[slot]);
        let mut packed = slots.filter(|slot| {
            matches!(slot.kind, Kind::Text { .. }) && self.bytes(record, *slot).starts_with(BEGINNING)
        });
        let slot = packed.next()?;
        let mut text = String::new();
        Value { kind: slot.kind, raw: self.bytes(record, slot) }.append_to(&mut text);
        Some(text)
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
        let mut wrapper = false;
        loop {
            let key = cursor.key()?;
            match self.child(cursor.bytes, node, key) {
                Some(ROOT) if !wrapper && holds_object(cursor) => {
                    wrapper = true;
                    self.forget();
                    self.value(cursor, ROOT, inner, inside)?;
                }
                Some(child) if !wrapper && child != ROOT => self.value(cursor, child, inner, inside)?,
                _ => _ = cursor.value(inner)?,
            }
            if !cursor.more(b'}')? {
                return Ok(());
            }
        }
    }

    /// An array of `{"Name": .., "Value": ..}`, or with a `NewValue`, each as a member of the node; anything else in it is
    /// passed.
    fn pairs(
        &mut self,
        cursor: &mut Cursor<'_>,
        node: NodeId,
        depth: usize,
        inside: Inside,
    ) -> Result<(), Stop> {
        let inner = depth.checked_sub(1).ok_or(Stop::TooDeep)?;
        if cursor.open(b']')? {
            return Ok(());
        }
        loop {
            if cursor.peek_solid()? == b'{' {
                self.pair(cursor, node, inner, inside)?;
            } else {
                cursor.value(inner)?;
            }
            if !cursor.more(b']')? {
                return Ok(());
            }
        }
    }

    fn pair(
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
        let (mut name, mut value) = (None, None);
        loop {
            let key = cursor.key()?;
            let start = cursor.at;
            let kind = cursor.value(inner)?;
            match &cursor.bytes[key.start..key.end] {
                key if key.eq_ignore_ascii_case(b"name") => {
                    if let Kind::Text { escaped } = kind {
                        name = Some(Span { start: start + 1, end: cursor.at - 1, escaped });
                    }
                }
                key if key.eq_ignore_ascii_case(b"value") || key.eq_ignore_ascii_case(b"newvalue") => {
                    value = Some(start);
                }
                _ => {}
            }
            if !cursor.more(b'}')? {
                break;
            }
        }
        if let (Some(name), Some(value)) = (name, value)
            && let Some(child) = self.child(cursor.bytes, node, name)
        {
            // The value was scanned above. What may fail now is JSON inside a string, often cut: then it is a text.
            let _ = self.value(&mut Cursor::new(cursor.bytes, value), child, inner, inside);
        }
        Ok(())
    }

    /// Whether a text under a node is a list of pairs.
    fn is_pairs(&self, node: NodeId, text: &[u8]) -> bool {
        text.first() == Some(&b'[') && self.plan.nodes[node].mark == Mark::Pairs
    }

    #[inline]
    fn child(&mut self, bytes: &[u8], node: NodeId, key: Span) -> Option<NodeId> {
        let raw = &bytes[key.start..key.end];
        let keys = &self.plan.nodes[node].keys;
        if key.escaped { self.escaped_child(node, raw) } else { keys.find(raw) }
    }

    #[cold]
    fn escaped_child(&mut self, node: NodeId, raw: &[u8]) -> Option<NodeId> {
        self.scratch.clear();
        text::unescape(raw, &mut self.scratch);
        self.plan.nodes[node].keys.find(self.scratch.as_bytes())
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
            (Mark::NotFlat, _) => self.not_flat = true,
            (Mark::Envelope, b'[') if inside.level == 0 => {
                return Err(Stop::Envelope { objects: self.depth - depth });
            }
            (Mark::Rows, b'[') if inside.level == 0 => {
                return Err(Stop::Rows { objects: self.depth - depth });
            }
            _ => {}
        }
        let kind = if has_keys && first == b'{' {
            self.object(cursor, node, depth, inside)?;
            Kind::Nested
        } else if self.is_pairs(node, &[first]) {
            self.pairs(cursor, node, depth, inside)?;
            Kind::Nested
        } else {
            cursor.value(depth)?
        };
        let quote = usize::from(matches!(kind, Kind::Text { .. }));
        let (start, end) = (start + quote, cursor.at - quote);
        let inner = cursor.bytes.get(start..end).unwrap_or_default();
        if has_keys
            && quote == 1
            && inside.level < NESTED_TEXTS
            && (inner.first() == Some(&b'{') || self.is_pairs(node, inner))
        {
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

    /// A decoded string: noted as it is, and looked into if it is an object, or pairs, of which something is wanted.
    fn text(&mut self, mut decoded: String, node: NodeId, inside: Inside) -> Result<(), Stop> {
        let buffer = self.used_texts;
        let looked_into = decoded.starts_with('{') && !self.plan.nodes[node].keys.entries.is_empty();
        if looked_into && let Some(json) = loose::to_json(&decoded) {
            decoded = json;
        }
        let slot = Slot { kind: Kind::Text { escaped: false }, buffer, start: 0, end: decoded.len() };
        self.note(node, slot);
        let mut cursor = Cursor::new(decoded.as_bytes(), 0);
        let inside = Inside { buffer, level: inside.level + 1 };
        let result = if looked_into {
            self.object(&mut cursor, node, self.depth, inside)
        } else if self.is_pairs(node, decoded.as_bytes()) {
            self.pairs(&mut cursor, node, self.depth, inside)
        } else {
            Ok(())
        };
        self.texts[buffer - 1] = decoded;
        result.map_err(|stop| match stop {
            Stop::TooDeep => Stop::TooDeep,
            _ => Stop::Malformed("a string that begins like JSON is none"),
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
        places.iter().find_map(|&(slot, shape)| {
            let counts = match shape {
                Shape::Any => true,
                Shape::Flat => !self.not_flat,
                Shape::NotFlat => self.not_flat,
            };
            let slot = self.slots[slot];
            if !counts || slot.kind == Kind::Null {
                return None;
            }
            Some(Value { kind: slot.kind, raw: self.bytes(record, slot) })
                .filter(|value| !self.missing.is(value))
        })
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
        if !(self.plan.log.belongs)(&self.seen(record)) {
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

    fn seen<'a>(&'a self, record: &'a [u8]) -> Seen<'a> {
        Seen { decoder: self, record }
    }

    /// Whether what the record tells of succeeded.
    pub(crate) fn outcome(&self, record: &[u8]) -> Option<bool> {
        (self.plan.log.outcome)(&self.seen(record))
    }

    /// What the record's time fields say, most trusted first.
    pub(crate) fn moments(&self, record: &[u8]) -> impl Iterator<Item = Moment> {
        self.plan.times.iter().filter_map(move |places| {
            let value = self.find(record, places)?;
            match value.kind {
                Kind::Text { escaped: false } | Kind::Number => time::parse(value.raw),
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

/// Whether the value under the cursor is an object, or a string that begins like one.
fn holds_object(cursor: &Cursor<'_>) -> bool {
    matches!(&cursor.bytes[cursor.at..], [b'{', ..] | [b'"', b'{', ..])
}

/// The fields of a record that a [`Log`]'s functions see.
pub struct Seen<'a> {
    decoder: &'a Decoder,
    record: &'a [u8],
}

impl<'a> Seen<'a> {
    /// The value of the field with this index in [`Log::watched`], as it stands in the source: a string without its
    /// quotes, escapes unresolved; anything else as it is written. `None` if it is missing, or empty.
    pub fn get(&self, index: usize) -> Option<&'a [u8]> {
        let value = self.decoder.find(self.record, &self.decoder.plan.watched[index])?;
        Some(value.raw).filter(|raw| !raw.is_empty())
    }

    /// Whether the field with this index is one of some words, in any case and without the blanks around it.
    pub fn is(&self, index: usize, words: &[&str]) -> bool {
        let value = self.get(index).map(<[u8]>::trim_ascii);
        value.is_some_and(|value| words.iter().any(|word| value.eq_ignore_ascii_case(word.as_bytes())))
    }
}

/// The names in the `columns` of a table: `[{"name": ..., "type": ...}, ...]`.
pub(crate) fn column_names(columns: &[u8], depth: usize) -> Option<Vec<String>> {
    let plan = Plan::new(&Log::PLAIN, &["name".to_owned()]);
    let mut decoder = Decoder::new(plan, depth, Missing::new(&[]));
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

    use crate::log::{Flat, bulky, field};
    use crate::missing::MISSING;

    static LOG: Log = Log {
        fields: &[
            field("time", Type::Text, &["TimeGenerated"]),
            field("resourceId", Type::Text, &[]),
            field("location", Type::Word, &[]),
            field("properties.ipAddress", Type::Text, &["IPAddress"]),
            field("properties.resourceId", Type::Text, &["ResourceIdentity"]),
            field("properties.location.city", Type::Text, &["LocationDetails.city"]),
            field("properties.deviceDetail.browser", Type::Text, &[]),
            field("settings.Mode", Type::Text, &[]),
            bulky("settings", &[]),
            field("arguments.max", Type::Text, &[]),
            bulky("arguments", &[]),
        ],
        flat: Some(Flat { prefix: "properties.", unless: &["properties", "time", "timeGenerated"] }),
        exact: &["arguments"],
        pairs: &["settings"],
        wrappers: &["detail"],
        ..Log::PLAIN
    };

    fn decoder(columns: &[&str]) -> Decoder {
        let columns: Vec<String> = columns.iter().map(|&name| name.to_owned()).collect();
        let missing: Vec<String> = MISSING.iter().map(|&text| text.to_owned()).collect();
        Decoder::new(Plan::new(&LOG, &columns), 16, Missing::new(&missing))
    }

    fn decode(columns: &[&str], record: &str) -> HashMap<String, String> {
        let mut decoder = decoder(columns);
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
        let mut decoder = decoder(&[]);
        assert_eq!(
            decoder.record(br#"{"@odata.context":"x","value":[{}]}"#),
            (Err(Stop::Envelope { objects: 1 }), 30)
        );
        let nested = br#"{"response":{"metadata":{},"authlogs":[{}]}}"#;
        assert_eq!(decoder.record(nested), (Err(Stop::Envelope { objects: 2 }), 38));
        assert_eq!(decoder.record(br#"{"records":{},"value":1}"#).0, Ok(()));
        assert_eq!(decoder.record(br#"{"properties":{"value":[1]}}"#).0, Ok(()));
        let table = br#"{"columns":[{"name":"Time"},{"name":"Id"}],"rows":[["a"]]}"#;
        assert_eq!(decoder.record(table).0, Err(Stop::Rows { objects: 1 }));
        assert_eq!(
            column_names(decoder.table_columns(table), 4),
            Some(vec!["Time".to_owned(), "Id".to_owned()])
        );
    }

    #[test]
    fn what_is_wrapped_counts_alone() {
        let names = ["time", "properties.ipAddress"];
        let inner = r#"{"time":"t","properties":{"ipAddress":"::1"}}"#;
        let text = serde_json::to_string(inner).unwrap();
        let twice = serde_json::to_string(&format!("{{\"message\":{text}}}")).unwrap();
        for record in [
            format!(r#"{{"time":"outer","resourceId":"x","detail":{inner},"ipAddress":"outer"}}"#),
            format!(r#"{{"time":"outer","message":{text},"TimeGenerated":"outer","detail":{{}}}}"#),
            format!(r#"{{"detail":"of no use","_raw":{twice}}}"#),
        ] {
            let seen = decode(&names, &record);
            assert_eq!((&*seen["time"], &*seen["properties.ipAddress"]), ("t", "::1"), "{record}");
        }
        let cut = br#"{"message":"{\"time\":"}"#;
        assert!(matches!(decoder(&[]).record(cut).0, Err(Stop::Malformed(_))));
    }

    #[test]
    fn pairs_are_members() {
        let list =
            r#"[{"Name":"Mode","Value":"old"},7,{"Value":"new","Name":"Mode"},{"Name":"Other","Value":{}}]"#;
        let text = serde_json::to_string(list).unwrap();
        for list in [list, &text] {
            let seen = decode(&["settings.Mode", "settings"], &format!(r#"{{"settings":{list}}}"#));
            assert_eq!(seen["settings.Mode"], "new", "{list}");
            assert!(seen["settings"].starts_with(r#"[{"Name""#));
        }
        assert_eq!(decode(&["settings"], r#"{"settings":"plain"}"#)["settings"], "plain");
        let changed = r#"{"settings":[{"Name":"Mode","NewValue":"new","OldValue":"old"}]}"#;
        assert_eq!(decode(&["settings.Mode"], changed)["settings.Mode"], "new");
        let inside = |text: &str| format!(r#"{{"settings":[{{"Name":"More","Value":"{{\"a\":{text}"}}]}}"#);
        assert_eq!(decode(&["settings.More.a"], &inside("1}"))["settings.More.a"], "1");
        let cut = decode(&["settings.More.a", "settings.More"], &inside("\\\"1"));
        assert_eq!(
            cut.into_iter().collect::<Vec<_>>(),
            [("settings.More".to_owned(), "{\"a\":\"1".to_owned())]
        );
    }

    #[test]
    fn spellings_of_keys_and_headings() {
        let names = ["properties.ipAddress", "arguments.max"];
        let seen =
            decode(&names, r#"{"IPAddress":"-","properties":{"ipaddress":"::1"},"arguments":{"Max":1}}"#);
        assert_eq!(seen.into_iter().collect::<Vec<_>>(), [(names[0].to_owned(), "::1".to_owned())]);
        assert_eq!(decode(&["arguments.New"], r#"{"Arguments":{"New":1}}"#)["arguments.New"], "1");
        let plan = decoder(&names).plan;
        let node = |heading: &str| plan.headings(&[heading])[0];
        let node_of_arguments = node("arguments.max");
        assert!(node_of_arguments.is_some());
        for heading in ["argumentsmax", "ARGUMENTS_MAX", "Arguments.max [UTC]"] {
            assert_eq!(node(heading), node_of_arguments, "{heading}");
        }
        assert_eq!((node("argument"), node("arguments_max_")), (None, None));
        assert_eq!(plan.headings(&["argumentsmax", "arguments.max"])[1], node_of_arguments);
    }

    #[test]
    fn a_broken_object_in_a_string_is_malformed() {
        let mut decoder = decoder(&["properties.id"]);
        let (result, _) = decoder.record(br#"{"properties":"{\"id\":\"a"}"#);
        assert!(matches!(result, Err(Stop::Malformed(_))));
    }
}
