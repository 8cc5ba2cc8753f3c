//! The JSON scanner: walks over bytes without building anything.
//!
//! Everything it passes is held to the JSON grammar: brackets balance, members have quoted keys and colons, numbers and
//! literals are spelled right (so `NaN`, `Infinity` and single quotes are errors wherever they stand), escapes are
//! known. Two things are let through, because real files hold them and nothing is lost: raw control characters inside
//! strings, and bytes that are not UTF-8 (replaced and counted when a value is taken out).

use memchr::memchr2;

/// Why a scan stopped before the end of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The bytes end inside the value.
    End,
    /// Not JSON, and what is wrong.
    Malformed(&'static str),
    /// Nested more deeply than allowed.
    TooDeep,
    /// The object is no record but holds an array of them. The cursor stands on the array's bracket, inside so many
    /// objects.
    Envelope { objects: usize },
    /// The object is a table of records: its rows are arrays. The cursor stands on the bracket of the rows, inside so
    /// many objects.
    Rows { objects: usize },
}

/// What kind of value was passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Null,
    Bool,
    Number,
    /// A string; whether it holds escapes.
    Text {
        escaped: bool,
    },
    /// An object or an array.
    Nested,
}

/// The inside of a string, quotes left out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) escaped: bool,
}

/// A place in some bytes. Every method that fails leaves the cursor near the fault.
pub(crate) struct Cursor<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) at: usize,
}

const LOW: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// A word whose lowest set bit marks the first byte of `word` that equals `byte`; zero if there is none.
const fn marks(word: u64, byte: u8) -> u64 {
    let difference = word ^ (LOW * byte as u64);
    difference.wrapping_sub(LOW) & !difference & HIGH
}

/// Position of the first quote or backslash at or after `at`.
#[inline]
fn quote_or_backslash(bytes: &[u8], mut at: usize) -> Option<usize> {
    // Most strings of a log are short: a few words at a time beat the set-up of a wide search, which takes over after.
    for _ in 0..4 {
        let Some(chunk) = bytes.get(at..at + 8) else { break };
        let word = u64::from_le_bytes(chunk.try_into().expect("eight bytes"));
        let found = marks(word, b'"') | marks(word, b'\\');
        if found != 0 {
            return Some(at + (found.trailing_zeros() / 8) as usize);
        }
        at += 8;
    }
    memchr2(b'"', b'\\', bytes.get(at..)?).map(|found| at + found)
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at }
    }

    /// The byte under the cursor.
    #[inline]
    pub(crate) fn peek(&self) -> Result<u8, Stop> {
        self.bytes.get(self.at).copied().ok_or(Stop::End)
    }

    /// Passes blanks and answers with the byte after them.
    #[inline]
    pub(crate) fn peek_solid(&mut self) -> Result<u8, Stop> {
        loop {
            let byte = self.peek()?;
            if !is_blank(byte) {
                return Ok(byte);
            }
            self.at += 1;
        }
    }

    /// Passes a string; the cursor stands on its opening quote.
    #[inline]
    pub(crate) fn string(&mut self) -> Result<Span, Stop> {
        let start = self.at + 1;
        let mut escaped = false;
        let mut at = start;
        loop {
            at = quote_or_backslash(self.bytes, at).ok_or(Stop::End)?;
            if self.bytes[at] == b'"' {
                self.at = at + 1;
                return Ok(Span { start, end: at, escaped });
            }
            escaped = true;
            at = self.escape(at)?;
        }
    }

    /// Checks the escape at `at`; answers with the position after it.
    fn escape(&mut self, at: usize) -> Result<usize, Stop> {
        match self.bytes.get(at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(at + 2),
            Some(b'u') => {
                let digits = &self.bytes[at + 2..self.bytes.len().min(at + 6)];
                if !digits.iter().all(u8::is_ascii_hexdigit) {
                    self.at = at;
                    return Err(Stop::Malformed("a \\u escape without four hexadecimal digits"));
                }
                if digits.len() < 4 { Err(Stop::End) } else { Ok(at + 6) }
            }
            Some(_) => {
                self.at = at;
                Err(Stop::Malformed("an unknown escape in a string"))
            }
            None => Err(Stop::End),
        }
    }

    /// Passes a key and its colon, and the blanks around them.
    #[inline]
    pub(crate) fn key(&mut self) -> Result<Span, Stop> {
        if self.peek_solid()? != b'"' {
            return Err(Stop::Malformed("expected a quoted key"));
        }
        let key = self.string()?;
        if self.peek_solid()? != b':' {
            return Err(Stop::Malformed("expected a colon after a key"));
        }
        self.at += 1;
        self.peek_solid()?;
        Ok(key)
    }

    /// After a member or an element: whether another follows. `close` is the bracket that ends the container.
    #[inline]
    pub(crate) fn more(&mut self, close: u8) -> Result<bool, Stop> {
        let byte = self.peek_solid()?;
        if byte != b',' && byte != close {
            return Err(Stop::Malformed("expected a comma or the closing bracket"));
        }
        self.at += 1;
        Ok(byte == b',')
    }

    /// Passes the opening bracket; whether the container is empty (then its closing bracket is passed as well).
    #[inline]
    pub(crate) fn open(&mut self, close: u8) -> Result<bool, Stop> {
        self.at += 1;
        let empty = self.peek_solid()? == close;
        self.at += usize::from(empty);
        Ok(empty)
    }

    /// Passes one value of any kind that may nest `depth` levels; the cursor stands on its first byte.
    #[inline]
    pub(crate) fn value(&mut self, depth: usize) -> Result<Kind, Stop> {
        match self.peek()? {
            b'"' => self.string().map(|span| Kind::Text { escaped: span.escaped }),
            b'{' => self.object(depth).map(|()| Kind::Nested),
            b'[' => self.array(depth).map(|()| Kind::Nested),
            b'-' | b'0'..=b'9' => self.number().map(|()| Kind::Number),
            b't' => self.literal(b"true").map(|()| Kind::Bool),
            b'f' => self.literal(b"false").map(|()| Kind::Bool),
            b'n' => self.literal(b"null").map(|()| Kind::Null),
            b'N' | b'I' => Err(Stop::Malformed("NaN and Infinity are not JSON")),
            _ => Err(Stop::Malformed("expected a value")),
        }
    }

    fn object(&mut self, depth: usize) -> Result<(), Stop> {
        let inner = depth.checked_sub(1).ok_or(Stop::TooDeep)?;
        if self.open(b'}')? {
            return Ok(());
        }
        loop {
            self.key()?;
            self.value(inner)?;
            if !self.more(b'}')? {
                return Ok(());
            }
        }
    }

    fn array(&mut self, depth: usize) -> Result<(), Stop> {
        let inner = depth.checked_sub(1).ok_or(Stop::TooDeep)?;
        if self.open(b']')? {
            return Ok(());
        }
        loop {
            self.peek_solid()?;
            self.value(inner)?;
            if !self.more(b']')? {
                return Ok(());
            }
        }
    }

    fn literal(&mut self, word: &'static [u8]) -> Result<(), Stop> {
        let rest = &self.bytes[self.at..];
        let seen = &rest[..rest.len().min(word.len())];
        if !word.starts_with(seen) {
            return Err(Stop::Malformed("an unknown word where a value should be"));
        }
        if seen.len() < word.len() {
            return Err(Stop::End);
        }
        self.at += word.len();
        Ok(())
    }

    fn number(&mut self) -> Result<(), Stop> {
        if self.peek()? == b'-' {
            self.at += 1;
            if self.peek()? == b'I' {
                return Err(Stop::Malformed("NaN and Infinity are not JSON"));
            }
        }
        let start = self.at;
        self.digits()?;
        if self.bytes[start] == b'0' && self.at > start + 1 {
            return Err(Stop::Malformed("a number with a leading zero"));
        }
        if self.peek() == Ok(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Ok(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek()?, b'+' | b'-') {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), Stop> {
        if !self.peek()?.is_ascii_digit() {
            return Err(Stop::Malformed("expected a digit"));
        }
        while self.bytes.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
        Ok(())
    }
}

/// JSON's white space.
#[inline]
pub(crate) fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\n' | b'\r' | b'\t')
}

/// Finds the end of a value that cannot be scanned properly (it is malformed, or too long to hold) by brackets and
/// quotes alone. Fed in pieces of any size.
#[derive(Debug, Default)]
pub(crate) struct Skim {
    depth: usize,
    in_string: bool,
    after_backslash: bool,
    started: bool,
}

impl Skim {
    /// Position after the value's last byte, if it is in `bytes`. A value that is no container ends before the comma or
    /// bracket that follows it.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut at = 0;
        while at < bytes.len() {
            if self.after_backslash {
                self.after_backslash = false;
                at += 1;
                continue;
            }
            if self.in_string {
                at += memchr2(b'"', b'\\', &bytes[at..])?;
                self.in_string = bytes[at] != b'"';
                self.after_backslash = bytes[at] == b'\\';
                at += 1;
                continue;
            }
            match bytes[at] {
                b'"' => self.in_string = true,
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' if self.depth > 1 => self.depth -= 1,
                b'}' | b']' if self.depth == 1 => return Some(at + 1),
                b'}' | b']' | b',' if self.depth == 0 && self.started => return Some(at),
                _ => {}
            }
            self.started = true;
            at += 1;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(text: &str) -> Result<Kind, Stop> {
        let mut cursor = Cursor::new(text.as_bytes(), 0);
        let kind = cursor.value(8)?;
        assert_eq!(cursor.at, text.len(), "{text}");
        Ok(kind)
    }

    #[test]
    fn valid_values_are_passed_whole() {
        for text in [
            "{}",
            "[]",
            r#"{"a":[1,-2.5e+3,{"b":null}],"c":"x\"y\\","d":true}"#,
            r#""a string of more than thirty-two bytes, with a late \u00e9scape""#,
            "[ 1 , 2 ]",
            "{ \"a\" : { } }",
            "0.5",
        ] {
            scan(text).unwrap();
        }
        assert_eq!(scan("\"a\\n\""), Ok(Kind::Text { escaped: true }));
    }

    #[test]
    fn what_json_forbids_is_malformed() {
        for text in [
            "{a:1}",
            "{'a':1}",
            "[NaN]",
            "[-Infinity]",
            "[1 2]",
            "[1,]",
            "{\"a\" 1}",
            "[01]",
            "[1.]",
            "[tru]",
            "[\"\\x\"]",
            "[\"\\u12g4\"]",
            "{\"a\":}",
            "[}",
            "\0",
        ] {
            assert!(matches!(scan(text), Err(Stop::Malformed(_))), "{text}: {:?}", scan(text));
        }
    }

    #[test]
    fn every_proper_start_of_an_object_asks_for_more() {
        let text = r#"{"a":[1,-2.5e+3,{"b":null}],"c":"x\"y\u00e9","d":true}"#;
        for cut in 0..text.len() {
            assert_eq!(Cursor::new(&text.as_bytes()[..cut], 0).value(8), Err(Stop::End), "{cut}");
        }
    }

    #[test]
    fn depth_is_limited_exactly() {
        let nested = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        assert!(scan(&nested(8)).is_ok());
        assert_eq!(scan(&nested(9)), Err(Stop::TooDeep));
    }

    #[test]
    fn a_skim_finds_the_end_in_pieces() {
        let text = br#"{"a":"}\"]","b":[{},{'x}]},{"c":1}"#;
        // The stray quote is a single one, which a skim does not know; the brackets still balance.
        for size in 1..text.len() {
            let mut skim = Skim::default();
            let mut passed = 0;
            let end = text.chunks(size).find_map(|piece| {
                let end = skim.feed(piece).map(|end| passed + end);
                passed += piece.len();
                end
            });
            assert_eq!(end, Some(26), "{size}");
        }
        assert_eq!(Skim::default().feed(b"garbage, {}"), Some(7));
    }
}
