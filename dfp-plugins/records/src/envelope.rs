//! Finds the records in an input, whatever was put round them, holding no more of it than one record.
//!
//! What the input is, is told by its first bytes: rows of a CSV file if its first line has known headings, else JSON.
//! JSON values may stand one a line, in arrays, in envelopes ([`ENVELOPES`]), and in any mix of these.
//!
//! A record that cannot be used is one reject, and reading goes on behind it: where values stand one a line, at the next
//! line; elsewhere where its brackets close, or, if they do not, where an object begins with the same key as the
//! records before. Looking for that place never costs more than a fixed multiple of the bytes read.

use std::borrow::Cow;

use dfp_plugin::{Reject, Result, reason};
use memchr::memmem;

use crate::csv::{self, Cell};
use crate::log::ENVELOPES;
use crate::packed;
use crate::record::{Decoder, column_names};
use crate::scan::{Cursor, Skim, Stop, is_blank};
use crate::window::{CHUNK, Window};

/// Arrays and envelopes inside each other, at most.
const LAYERS: usize = 8;
/// Bytes that may be scanned again for each byte read, when the end of a bad record has to be found.
const CREDIT_PER_BYTE: usize = 8;

/// What separates the cells of a CSV file, by the exporter's country.
const SEPARATORS: [u8; 3] = [b',', b';', b'\t'];

/// Where the next record of an input is, or why there is none to be had.
pub(crate) enum Found {
    /// The decoder has taken the record apart; its bytes are in [`Reader::record`].
    Record,
    /// A record that cannot be used.
    Reject(Reject),
}

/// What the records of an input are wrapped in, as seen at its first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Unknown,
    /// JSON, one value a line: a newline ends whatever went wrong.
    Lines,
    /// JSON, values over any number of lines.
    Values,
    Csv,
}

/// Where in the nesting of envelopes the reader stands.
enum Layer {
    /// Between the elements of an array.
    Array,
    /// Between the rows of a table.
    Rows(Vec<Option<usize>>),
    /// In an object, after the array of records.
    Envelope,
}

/// One attempt at the record at the start of the window.
enum Attempt {
    /// It ends after so many bytes.
    Whole(usize),
    /// It is none; `at` is where this was seen.
    Bad { reason: &'static str, detail: Cow<'static, str>, at: usize },
    /// So many objects around an array, whose bracket is at the position.
    Envelope { at: usize, objects: usize },
    /// A table; the bracket of its rows is at the position, inside so many objects.
    Rows { at: usize, objects: usize },
}

/// The records of one input.
pub(crate) struct Reader {
    uri: String,
    window: Window,
    record_bytes: usize,
    depth: usize,
    format: Format,
    layers: Vec<Layer>,
    /// The record handed out last, still in the window.
    pending: usize,
    /// First bytes of a good record, up to the end of its first key.
    opener: Vec<u8>,
    credit: usize,
    /// Columns of a CSV file, and what separates its cells.
    headings: Vec<Option<usize>>,
    separator: u8,
    cells: Vec<Cell>,
    reported_end: bool,
    /// The record at the start of the window holds others in a text; this reads them. Not texts in texts.
    inner: Option<Box<Reader>>,
    is_inner: bool,
}

impl Reader {
    /// A reader that refuses records of more than `record_bytes`; `depth` limits how deep envelopes' own members nest.
    pub(crate) fn new(
        uri: &str,
        input: Box<dyn std::io::Read + Send>,
        record_bytes: usize,
        depth: usize,
    ) -> Self {
        Self {
            uri: uri.to_owned(),
            window: Window::new(uri, input),
            record_bytes,
            depth,
            format: Format::Unknown,
            layers: Vec::new(),
            pending: 0,
            opener: Vec::new(),
            credit: CHUNK,
            headings: Vec::new(),
            separator: b',',
            cells: Vec::new(),
            reported_end: false,
            inner: None,
            is_inner: false,
        }
    }

    /// The bytes of the record found last.
    pub(crate) fn record(&self) -> &[u8] {
        match &self.inner {
            Some(inner) => inner.record(),
            None => &self.window.bytes()[..self.pending],
        }
    }

    /// Input, line and byte column, from 1, where the record found last begins, or what holds it in a text.
    pub(crate) fn origin(&self) -> (&str, u64, u64) {
        let (line, column) = self.window.position();
        (&self.uri, line, column)
    }

    /// Finds the next record and has `decoder` take it apart; `None` at the end of the input.
    ///
    /// # Errors
    /// If the input cannot be read on, for another reason than that it breaks off.
    pub(crate) fn next(&mut self, decoder: &mut Decoder) -> Result<Option<Found>> {
        let found = self.find(decoder);
        let at_the_end = match &found {
            Some(Found::Record) => false,
            Some(Found::Reject(reject)) => self.inner.is_none() && reject.reason == reason::TRUNCATED,
            None => true,
        };
        if at_the_end && let Some(fault) = self.window.take_fault() {
            return Err(fault);
        }
        Ok(found)
    }

    fn find(&mut self, decoder: &mut Decoder) -> Option<Found> {
        let unpacked = self.unpacked(decoder);
        if unpacked.is_some() {
            return unpacked;
        }
        let pending = std::mem::take(&mut self.pending);
        self.consume(pending);
        if self.format == Format::Unknown {
            self.sniff(decoder);
        }
        if self.format == Format::Csv {
            return self.next_row(decoder);
        }
        loop {
            let Some(byte) = self.next_solid() else { return self.end() };
            let found = match (self.layers.last(), byte) {
                (_, b'\n') => Some(self.lost_line()),
                (Some(Layer::Envelope), _) => self.envelope_member(byte),
                (Some(_), b']') => {
                    self.consume(1);
                    self.layers.pop();
                    None
                }
                (_, b',') => {
                    self.consume(1);
                    None
                }
                (Some(Layer::Rows(_)), b'[') => self.table_row(decoder),
                (_, b'[') => self.enter(Layer::Array, 1),
                _ => self.value(decoder, byte),
            };
            if found.is_some() {
                return found;
            }
        }
    }

    /// The next record in the text that is being unpacked.
    fn unpacked(&mut self, decoder: &mut Decoder) -> Option<Found> {
        let mut found = self.inner.as_mut()?.find(decoder);
        match &mut found {
            Some(Found::Record) => {}
            Some(Found::Reject(reject)) => {
                let (uri, line, column) = self.origin();
                reject.origin = format!("{uri}:{line}:{column}");
            }
            None => self.inner = None,
        }
        found
    }

    /// Tells from the first bytes what the input is.
    fn sniff(&mut self, decoder: &Decoder) {
        const MARK: &[u8] = b"\xEF\xBB\xBF";
        self.window.fill_to(CHUNK);
        if self.window.bytes().starts_with(MARK) {
            self.window.drop_mark(MARK.len());
        }
        let bytes = self.window.bytes();
        let head = &bytes[..bytes.len().min(CHUNK)];
        let blanks = head.iter().take_while(|&&byte| is_blank(byte)).count();
        let head = &head[blanks..];
        if matches!(head.first(), None | Some(b'{' | b'[')) {
            self.format = if one_value_a_line(head) { Format::Lines } else { Format::Values };
            return;
        }
        self.consume(blanks);
        self.format = if self.find_headings(decoder) { Format::Csv } else { Format::Lines };
    }

    /// Whether the first line, or the one behind lines that only say how the file was made, has known headings.
    fn find_headings(&mut self, decoder: &Decoder) -> bool {
        self.pass_line(b"#TYPE ");
        let separators = match self.pass_line(b"sep=") {
            Some(said) => vec![said],
            None => SEPARATORS.to_vec(),
        };
        let bytes = self.window.bytes();
        let head = &bytes[..bytes.len().min(CHUNK)];
        let mut cells = Vec::new();
        let mut best: Option<(usize, usize, u8, Vec<Option<usize>>)> = None;
        for separator in separators {
            let Some(length) = csv::split(head, separator, self.window.ended(), &mut cells) else { continue };
            let names: Vec<_> =
                cells.iter().map(|cell| String::from_utf8_lossy(&head[cell.start..cell.end])).collect();
            let headings = decoder.plan.headings(&names);
            let known = headings.iter().flatten().count();
            if best.as_ref().is_none_or(|(most, ..)| known > *most) {
                best = Some((known, length, separator, headings));
            }
        }
        let Some((1.., length, separator, headings)) = best else { return false };
        (self.separator, self.headings) = (separator, headings);
        self.consume(length);
        true
    }

    /// Passes the line if it begins so; answers with the byte after the beginning.
    fn pass_line(&mut self, beginning: &[u8]) -> Option<u8> {
        let bytes = self.window.bytes();
        let after = *bytes.strip_prefix(beginning)?.first()?;
        let line = memchr::memchr(b'\n', &bytes[..bytes.len().min(CHUNK)])?;
        self.consume(line + 1);
        Some(after)
    }

    /// The next byte that is no blank; the newline itself where it ends a line inside an envelope, which is a fault.
    fn next_solid(&mut self) -> Option<u8> {
        let line_matters = self.format == Format::Lines && !self.layers.is_empty();
        loop {
            let bytes = self.window.bytes();
            let is_passed = |byte: u8| is_blank(byte) && !(line_matters && byte == b'\n');
            let blanks = bytes.iter().take_while(|&&byte| is_passed(byte)).count();
            let solid = bytes.get(blanks).copied();
            self.consume(blanks);
            if solid.is_some() || !self.window.more() {
                return solid;
            }
        }
    }

    /// Bytes that may belong to the record at the start of the window and are in memory, and whether more of them may
    /// come.
    fn reach(&mut self) -> (usize, bool) {
        let limit = self.record_bytes + 1;
        if self.format == Format::Lines
            && let Some(newline) = self.window.newline(limit)
        {
            return (newline, false);
        }
        let length = self.window.bytes().len();
        (length.min(limit), length < limit && !self.window.ended())
    }

    /// Runs `scan` on the record at the start of the window, with as many bytes as it needs and the limits allow.
    fn attempt(&mut self, mut scan: impl FnMut(&[u8]) -> (Result<(), Stop>, usize)) -> Attempt {
        loop {
            let (length, more) = self.reach();
            let (result, at) = scan(&self.window.bytes()[..length]);
            // A record that may still become too long while it is read is too long however it arrives.
            let too_long = at > self.record_bytes;
            return match result {
                // A number that ends with the bytes in memory may go on behind them.
                Err(Stop::End) | Ok(()) if more && (result.is_err() || at == length) => {
                    self.window.more();
                    continue;
                }
                Ok(()) if !too_long => Attempt::Whole(at),
                Err(Stop::Envelope { objects }) => Attempt::Envelope { at, objects },
                Err(Stop::Rows { objects }) => Attempt::Rows { at, objects },
                Err(Stop::TooDeep) => {
                    let detail = format!("nested more than {} levels", self.depth);
                    Attempt::Bad { reason: reason::TOO_DEEP, detail: detail.into(), at }
                }
                Err(Stop::Malformed(detail)) => {
                    Attempt::Bad { reason: reason::MALFORMED, detail: detail.into(), at }
                }
                Ok(()) | Err(Stop::End) if too_long || length > self.record_bytes => {
                    let detail = format!("longer than {} bytes", self.record_bytes);
                    Attempt::Bad { reason: reason::OVERSIZED, detail: detail.into(), at: length }
                }
                _ if self.window.ended() && length == self.window.bytes().len() => Attempt::Bad {
                    reason: reason::TRUNCATED,
                    detail: "the input ends inside the record".into(),
                    at: length,
                },
                _ => Attempt::Bad {
                    reason: reason::MALFORMED,
                    detail: "the line ends inside the record".into(),
                    at: length,
                },
            };
        }
    }

    /// The value at the start of the window, whose first byte is `byte`.
    fn value(&mut self, decoder: &mut Decoder, byte: u8) -> Option<Found> {
        let depth = self.depth;
        let attempt = if byte == b'{' {
            self.attempt(|bytes| decoder.record(bytes))
        } else {
            self.attempt(|bytes| {
                let mut cursor = Cursor::new(bytes, 0);
                let result = cursor.value(depth).map(|_| ());
                (result, cursor.at)
            })
        };
        match attempt {
            Attempt::Whole(length) if byte == b'{' => {
                self.pending = length;
                self.remember_opener();
                let packed = if self.is_inner { None } else { decoder.packed(self.record()) };
                let Some(text) = packed else { return Some(Found::Record) };
                let mut inner = Self::new(&self.uri, packed::open(&text), self.record_bytes, self.depth);
                inner.is_inner = true;
                self.inner = Some(Box::new(inner));
                let found = self.unpacked(decoder);
                if found.is_none() {
                    self.pending = 0;
                    self.consume(length);
                }
                found
            }
            Attempt::Whole(length) => {
                let detail = "a bare value where a record should be".into();
                let reject = self.reject(reason::NOT_A_RECORD, detail, length);
                self.consume(length);
                Some(reject)
            }
            Attempt::Envelope { at, objects } => {
                self.layers.extend((0..objects).map(|_| Layer::Envelope));
                self.enter(Layer::Array, at + 1)
            }
            Attempt::Rows { at, objects } => {
                let names = column_names(decoder.table_columns(self.window.bytes()), self.depth);
                let nodes = decoder.plan.headings(&names.unwrap_or_default());
                self.layers.extend((0..objects).map(|_| Layer::Envelope));
                self.enter(Layer::Rows(nodes), at + 1)
            }
            Attempt::Bad { reason, detail, at } => Some(self.bad(reason, detail, at)),
        }
    }

    fn table_row(&mut self, decoder: &mut Decoder) -> Option<Found> {
        let Some(Layer::Rows(nodes)) = self.layers.last_mut() else { return None };
        let nodes = std::mem::take(nodes);
        let attempt = self.attempt(|bytes| decoder.row(bytes, &nodes));
        if let Some(Layer::Rows(place)) = self.layers.last_mut() {
            *place = nodes;
        }
        match attempt {
            Attempt::Whole(length) => {
                self.pending = length;
                Some(Found::Record)
            }
            Attempt::Bad { reason, detail, at } => Some(self.bad(reason, detail, at)),
            Attempt::Envelope { at, .. } | Attempt::Rows { at, .. } => {
                Some(self.bad(reason::MALFORMED, "an envelope in a table row".into(), at))
            }
        }
    }

    /// Goes `length` bytes on, into a container.
    fn enter(&mut self, layer: Layer, length: usize) -> Option<Found> {
        if self.layers.len() >= LAYERS {
            let detail = format!("more than {LAYERS} arrays and envelopes round the records");
            return Some(self.bad(reason::TOO_DEEP, detail.into(), length));
        }
        self.consume(length);
        self.layers.push(layer);
        None
    }

    /// What follows the array of records in its envelope.
    fn envelope_member(&mut self, byte: u8) -> Option<Found> {
        if byte == b'}' {
            self.consume(1);
            self.layers.pop();
            return None;
        }
        let depth = self.depth;
        let mut array = false;
        let attempt = self.attempt(|bytes| {
            let mut cursor = Cursor::new(bytes, 0);
            let result = next_member(&mut cursor, depth).map(|is_array| array = is_array);
            (result, cursor.at)
        });
        match attempt {
            Attempt::Whole(length) if array => self.enter(Layer::Array, length),
            Attempt::Whole(length) => {
                self.consume(length);
                None
            }
            Attempt::Bad { reason, detail, at } => {
                // The records were before it; what is lost is the envelope's own.
                self.layers.clear();
                Some(self.bad(reason, detail, at))
            }
            Attempt::Envelope { .. } | Attempt::Rows { .. } => None,
        }
    }

    /// A reject for the bytes at the start of the window.
    fn reject(&mut self, reason: &'static str, detail: Cow<'static, str>, length: usize) -> Found {
        let (uri, line, column) = self.origin();
        let bytes = self.window.bytes();
        let excerpt = &bytes[..bytes.len().min(length.max(1)).min(Reject::EXCERPT_BYTES)];
        let reject = Reject::new(format!("{uri}:{line}:{column}"), reason, detail);
        Found::Reject(if excerpt.is_empty() { reject } else { reject.with_excerpt(excerpt) })
    }

    /// Rejects the record at the start of the window and goes to where the next may be. `at` bytes of it were scanned.
    fn bad(&mut self, reason: &'static str, detail: Cow<'static, str>, at: usize) -> Found {
        let (length, _) = self.reach();
        let found = self.reject(reason, detail, length);
        if reason == reason::TRUNCATED {
            self.reported_end = true;
            self.layers.clear();
            self.consume(self.window.bytes().len());
        } else if self.format == Format::Lines && self.layers.is_empty() {
            self.skip_line();
        } else if reason == reason::OVERSIZED {
            self.skip_unseen();
        } else {
            self.resynchronise(at);
        }
        found
    }

    /// A line ends inside an array or an envelope.
    fn lost_line(&mut self) -> Found {
        let found = self.reject(reason::MALFORMED, "the line ends inside its list of records".into(), 0);
        self.skip_line();
        found
    }

    /// Leaves the line, and with it every container that was open in it.
    fn skip_line(&mut self) {
        self.layers.clear();
        loop {
            if let Some(newline) = self.window.newline(usize::MAX) {
                self.consume(newline + 1);
                return;
            }
            self.consume(self.window.bytes().len());
            if !self.window.more() {
                return;
            }
        }
    }

    /// Passes a value too long to hold, by its brackets; where values stand one a line, not beyond the line.
    fn skip_unseen(&mut self) {
        let mut skim = Skim::default();
        loop {
            let newline = if self.format == Format::Lines { self.window.newline(usize::MAX) } else { None };
            let bytes = self.window.bytes();
            let piece = newline.unwrap_or(bytes.len());
            let end = skim.feed(&bytes[..piece]);
            self.consume(end.unwrap_or(piece));
            if end.is_some() {
                return;
            }
            if newline.is_some() {
                return self.skip_line();
            }
            if !self.window.more() {
                return;
            }
        }
    }

    /// Finds the next record behind a bad one, `scanned` bytes of which were looked at.
    fn resynchronise(&mut self, scanned: usize) {
        // What was scanned in vain is paid for, or given up.
        let paid = self.credit >= scanned;
        self.credit = self.credit.saturating_sub(scanned);
        if paid && let Some(end) = self.closing_bracket() {
            self.consume(end);
            return;
        }
        self.consume(if paid { 1 } else { scanned.max(1).min(self.window.bytes().len()) });
        self.skip_to_opener();
    }

    /// Where the brackets of the bad record close, if what follows shows that they are the right ones.
    fn closing_bracket(&mut self) -> Option<usize> {
        let mut skim = Skim::default();
        let mut seen = 0;
        let end = loop {
            let (reach, more) = self.reach();
            let reach = reach.min(self.credit);
            let bytes = self.window.bytes();
            if let Some(end) = skim.feed(&bytes[seen..reach]) {
                break seen + end;
            }
            seen = reach;
            if !more || seen >= self.credit {
                self.credit -= seen;
                return None;
            }
            self.window.more();
        };
        self.credit = self.credit.saturating_sub(end);
        if end == 0 {
            return None;
        }
        self.window.fill_to(end + 64);
        let after = self.window.bytes()[end..].iter().copied().find(|&byte| !is_blank(byte));
        let expected = match after {
            None => true,
            Some(byte) if self.layers.is_empty() => matches!(byte, b'{' | b'[' | b','),
            Some(byte) => matches!(byte, b',' | b']' | b'}'),
        };
        expected.then_some(end)
    }

    /// Goes to where an object begins as the good ones did, or, if there was none, to an object at the start of a line.
    fn skip_to_opener(&mut self) {
        let top = self.layers.is_empty();
        let opener = if top || self.opener.is_empty() { b"\n{".to_vec() } else { self.opener.clone() };
        let offset = usize::from(opener[0] == b'\n');
        loop {
            let newline = if self.format == Format::Lines { self.window.newline(usize::MAX) } else { None };
            let bytes = self.window.bytes();
            let piece = newline.unwrap_or(bytes.len());
            if let Some(found) = memmem::find(&bytes[..piece], &opener) {
                self.consume(found + offset);
                return;
            }
            if newline.is_some() {
                return self.skip_line();
            }
            // The opener may straddle what is in memory and what is not.
            let passed = piece.saturating_sub(opener.len() - 1);
            self.consume(passed);
            if !self.window.more() {
                self.consume(self.window.bytes().len());
                return;
            }
        }
    }

    /// Keeps the beginning of the first good record of the input.
    fn remember_opener(&mut self) {
        if self.opener.is_empty() && !self.layers.is_empty() {
            let record = self.record();
            let mut cursor = Cursor::new(record, 1);
            if cursor.key().is_ok() {
                let key_end = memchr::memrchr(b':', &record[..cursor.at]).unwrap_or(1);
                self.opener = record[..key_end].to_vec();
            }
        }
    }

    /// What is left to say at the end of the input.
    fn end(&mut self) -> Option<Found> {
        if self.reported_end || (self.layers.is_empty() && !self.window.broken()) {
            return None;
        }
        self.reported_end = true;
        let detail = if self.window.broken() {
            "the compressed or transported data breaks off here"
        } else {
            "the input ends inside its list of records"
        };
        self.layers.clear();
        Some(self.reject(reason::TRUNCATED, detail.into(), 0))
    }

    #[inline]
    fn consume(&mut self, n: usize) {
        self.window.consume(n);
        self.credit = self.credit.saturating_add(n * CREDIT_PER_BYTE).min(self.record_bytes * 4 + CHUNK);
    }

    /// The next row of a CSV file.
    fn next_row(&mut self, decoder: &mut Decoder) -> Option<Found> {
        loop {
            match self.window.bytes().first() {
                Some(b'\n' | b'\r') => self.consume(1),
                Some(_) => break,
                None => {
                    if !self.window.more() {
                        return self.end();
                    }
                }
            }
        }
        let mut cells = std::mem::take(&mut self.cells);
        let attempt = self.attempt_row(&mut cells);
        let found = match attempt {
            Attempt::Whole(length) if cells.len() != self.headings.len() => {
                let detail = format!("{} cells under {} headings", cells.len(), self.headings.len());
                self.bad_row(reason::MALFORMED, detail.into(), length, &mut cells)
            }
            Attempt::Whole(length) => {
                let result = decoder.cells(&self.window.bytes()[..length], &cells, &self.headings);
                match result {
                    Ok(()) => {
                        self.pending = length;
                        Found::Record
                    }
                    Err(stop) => {
                        let (reason, detail) = match stop {
                            Stop::Malformed(detail) => (reason::MALFORMED, detail),
                            _ => (reason::TOO_DEEP, "a cell nested too deeply"),
                        };
                        let found = self.reject(reason, detail.into(), length);
                        self.consume(length);
                        found
                    }
                }
            }
            Attempt::Bad { reason, detail, at } => self.bad_row(reason, detail, at, &mut cells),
            Attempt::Envelope { .. } | Attempt::Rows { .. } => return None,
        };
        self.cells = cells;
        Some(found)
    }

    fn attempt_row(&mut self, cells: &mut Vec<Cell>) -> Attempt {
        loop {
            let limit = self.record_bytes + 1;
            let bytes = self.window.bytes();
            let length = bytes.len().min(limit);
            let ended = self.window.ended() && length == bytes.len();
            let row = csv::split(&bytes[..length], self.separator, ended, cells);
            return match row {
                Some(end) if end <= self.record_bytes => Attempt::Whole(end),
                None if length < limit && !self.window.ended() => {
                    self.window.more();
                    continue;
                }
                None if ended => Attempt::Bad {
                    reason: reason::TRUNCATED,
                    detail: "the input ends inside a quoted cell".into(),
                    at: length,
                },
                _ => Attempt::Bad {
                    reason: reason::OVERSIZED,
                    detail: format!("longer than {} bytes", self.record_bytes).into(),
                    at: length,
                },
            };
        }
    }

    /// Rejects the row at the start of the window. A stray quote may have glued further rows to it: reading goes on at
    /// the first of its lines, but the first, that is a whole row, or else behind its `length` bytes.
    fn bad_row(
        &mut self,
        reason: &'static str,
        detail: Cow<'static, str>,
        length: usize,
        cells: &mut Vec<Cell>,
    ) -> Found {
        let bytes = &self.window.bytes()[..length];
        let mut credit = self.credit;
        let mut resume = None;
        for newline in memchr::memchr_iter(b'\n', bytes) {
            let rest = &bytes[newline + 1..];
            let reach = rest.len().min(credit);
            let ended = reach == rest.len() && self.window.ended();
            let row = csv::split(&rest[..reach], self.separator, ended, cells);
            if row.is_some() && cells.len() == self.headings.len() {
                resume = Some(newline + 1);
                break;
            }
            credit = credit.saturating_sub(row.unwrap_or(reach));
            if credit == 0 {
                break;
            }
        }
        self.credit = credit;
        let Some(resume) = resume else {
            let found = self.reject(reason, detail, length);
            self.consume(length);
            match reason {
                reason::TRUNCATED => self.reported_end = true,
                reason::OVERSIZED => self.skip_line(),
                _ => {}
            }
            return found;
        };
        let found =
            self.reject(reason::MALFORMED, "a row that does not end where the next begins".into(), resume);
        self.consume(resume);
        found
    }
}

/// Whether JSON values stand one a line, as far as `head`, which begins with a value, shows.
fn one_value_a_line(head: &[u8]) -> bool {
    let Some(newline) = memchr::memchr(b'\n', head) else { return false };
    let (first, rest) = head.split_at(newline);
    // Inside a record laid out over several lines the second line is indented, or begins with a quote or a bracket.
    let second = rest.iter().find(|&&byte| byte != b'\n' && byte != b'\r');
    if head[0] == b'{' && second == Some(&b'{') {
        return true;
    }
    Skim::default().feed(first).is_some()
}

/// Passes a comma, a key and its value; but of the value of a key that holds records only the bracket. Whether it is
/// such a one.
fn next_member(cursor: &mut Cursor<'_>, depth: usize) -> Result<bool, Stop> {
    if cursor.peek_solid()? == b',' {
        cursor.at += 1;
    }
    let key = cursor.key()?;
    let key = &cursor.bytes[key.start..key.end];
    let holds_records = ENVELOPES.iter().any(|path| {
        let last = path.rsplit('.').next().unwrap_or(path);
        key.eq_ignore_ascii_case(last.as_bytes())
    });
    if holds_records && cursor.peek()? == b'[' {
        cursor.at += 1;
        return Ok(true);
    }
    cursor.value(depth)?;
    Ok(false)
}
