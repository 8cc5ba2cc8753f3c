//! What goes over the pipes: frames of a bounded length, and the few shapes their payloads are made of.

use std::io::{self, Read, Write};

use dfp_core::{Error, ErrorKind, Result};

/// Bytes before a payload: its length, and the tag.
const HEAD: usize = 5;
/// Room made before any byte of a payload has come: what is claimed may be a lie.
const FIRST_ROOM: usize = 1 << 20;
/// Longest error text taken from the other side.
const MAX_ERROR_TEXT: usize = 16 << 10;

/// One frame.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) tag: u8,
    pub(super) payload: Vec<u8>,
}

impl Frame {
    pub(super) fn new(tag: u8, payload: Vec<u8>) -> Self {
        Self { tag, payload }
    }

    /// Writes all of it.
    pub(super) fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let length = u32::try_from(self.payload.len())
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "a frame of more than 4 GiB"))?;
        let mut head = [self.tag; HEAD];
        head[..4].copy_from_slice(&length.to_le_bytes());
        out.write_all(&head)?;
        out.write_all(&self.payload)?;
        out.flush()
    }

    /// Reads the next one; `None` at the end. A longer payload than `limit` is refused before it is read.
    pub(super) fn read(input: &mut impl Read, limit: usize) -> Result<Option<Self>> {
        let mut head = Vec::with_capacity(HEAD);
        let broken = |error| Error::io("reading a frame", error);
        input.by_ref().take(HEAD as u64).read_to_end(&mut head).map_err(broken)?;
        let Ok([a, b, c, d, tag]) = <[u8; HEAD]>::try_from(head.as_slice()) else {
            return if head.is_empty() { Ok(None) } else { Err(cut_short()) };
        };
        let length = u32::from_le_bytes([a, b, c, d]) as usize;
        if length > limit {
            return Err(refused(format!("it sent a frame of {length} bytes; the limit is {limit}")));
        }
        let mut payload = Vec::with_capacity(length.min(FIRST_ROOM));
        input.by_ref().take(length as u64).read_to_end(&mut payload).map_err(broken)?;
        if payload.len() < length {
            return Err(cut_short());
        }
        Ok(Some(Self { tag, payload }))
    }
}

/// The other side ended while it wrote: that is no lie.
fn cut_short() -> Error {
    Error::new(ErrorKind::Io, "it stopped inside a frame")
}

/// Something the other side must not send.
pub(super) fn refused(what: impl Into<String>) -> Error {
    Error::new(ErrorKind::BadData, what)
}

/// Builds a payload.
#[derive(Debug, Default)]
pub(super) struct Pack(Vec<u8>);

impl Pack {
    pub(super) fn byte(mut self, value: u8) -> Self {
        self.0.push(value);
        self
    }

    pub(super) fn number(mut self, value: u64) -> Self {
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }

    /// Bytes behind their length.
    pub(super) fn bytes(mut self, value: &[u8]) -> Self {
        self = self.number(value.len() as u64);
        self.0.extend_from_slice(value);
        self
    }

    /// Bytes up to the end of the payload.
    pub(super) fn rest(mut self, value: &[u8]) -> Self {
        self.0.extend_from_slice(value);
        self
    }

    pub(super) fn optional(self, value: Option<&[u8]>) -> Self {
        match value {
            None => self.byte(0),
            Some(value) => self.byte(1).bytes(value),
        }
    }

    /// An answer: what was asked for, or why not.
    pub(super) fn outcome(self, result: Result<Vec<u8>>) -> Self {
        match result {
            Ok(value) => self.byte(1).rest(&value),
            Err(error) => self.byte(0).error(&error, false),
        }
    }

    /// A failure's kind, whether an input ended too early, and the text.
    pub(super) fn error(self, error: &Error, unexpected_end: bool) -> Self {
        let text = error.to_string();
        self.number(error.kind().code() as u64)
            .byte(u8::from(unexpected_end))
            .bytes(cut(&text, MAX_ERROR_TEXT).as_bytes())
    }

    pub(super) fn done(self) -> Vec<u8> {
        self.0
    }
}

/// The start of `text`, ending at a character.
pub(super) fn cut(text: &str, most: usize) -> &str {
    let mut end = text.len().min(most);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// Takes a payload apart, believing nothing.
#[derive(Debug)]
pub(super) struct Unpack<'a>(pub(super) &'a [u8]);

impl<'a> Unpack<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or_else(|| refused("a frame is too short"))?;
        self.0 = rest;
        Ok(taken)
    }

    pub(super) fn byte(&mut self) -> Result<u8> {
        Ok(self.take(1)?[0])
    }

    pub(super) fn number(&mut self) -> Result<u64> {
        let bytes = self.take(8)?.try_into().expect("eight bytes were taken");
        Ok(u64::from_le_bytes(bytes))
    }

    pub(super) fn bytes(&mut self) -> Result<&'a [u8]> {
        let length = usize::try_from(self.number()?).unwrap_or(usize::MAX);
        self.take(length)
    }

    /// Text; bytes that are not UTF-8 are replaced, and what is longer than `most` is cut.
    pub(super) fn text(&mut self, most: usize) -> Result<String> {
        let bytes = self.bytes()?;
        let text = String::from_utf8_lossy(&bytes[..bytes.len().min(most)]).into_owned();
        Ok(cut(&text, most).to_owned())
    }

    pub(super) fn optional(&mut self) -> Result<Option<&'a [u8]>> {
        if self.byte()? == 0 { Ok(None) } else { self.bytes().map(Some) }
    }

    pub(super) fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }

    /// What [`Pack::outcome`] made: the rest of the payload, or the failure and whether an input ended too early.
    pub(super) fn outcome(&mut self) -> Result<&'a [u8], (Error, bool)> {
        let failed = |error| (error, false);
        if self.byte().map_err(failed)? != 0 {
            return Ok(self.rest());
        }
        let kind = ErrorKind::from_code(i32::try_from(self.number().map_err(failed)?).unwrap_or(i32::MAX));
        let end = self.byte().map_err(failed)? != 0;
        let text = self.text(MAX_ERROR_TEXT).map_err(failed)?;
        Err((Error::new(kind, text), end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(tag: u8, payload: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        Frame::new(tag, payload.to_vec()).write(&mut out).unwrap();
        out
    }

    #[test]
    fn frames_come_back() {
        let mut bytes = written(3, b"abc");
        bytes.extend(written(4, b""));
        let mut input = bytes.as_slice();
        assert_eq!(Frame::read(&mut input, 3).unwrap(), Some(Frame::new(3, b"abc".to_vec())));
        assert_eq!(Frame::read(&mut input, 3).unwrap(), Some(Frame::new(4, Vec::new())));
        assert_eq!(Frame::read(&mut input, 3).unwrap(), None);
    }

    #[test]
    fn long_and_broken_frames_are_refused() {
        let whole = written(3, b"abcd");
        let error = Frame::read(&mut whole.as_slice(), 3).unwrap_err();
        assert!(error.to_string().contains("4 bytes; the limit is 3"), "{error}");
        for length in 1..whole.len() {
            let error = Frame::read(&mut &whole[..length], 9).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Io, "{length}");
        }
        // A length that nobody could hold makes no room for itself.
        let lie = [0xFF, 0xFF, 0xFF, 0xFF, 1];
        assert!(Frame::read(&mut lie.as_slice(), usize::MAX).is_err());
    }

    #[test]
    fn payloads_come_back_and_short_ones_are_refused() {
        let bytes =
            Pack::default().byte(7).number(1 << 40).bytes(b"ab").optional(None).optional(Some(b"c")).done();
        let mut open = Unpack(&bytes);
        assert_eq!((open.byte().unwrap(), open.number().unwrap()), (7, 1 << 40));
        assert_eq!(open.text(9).unwrap(), "ab");
        assert_eq!(open.optional().unwrap(), None);
        assert_eq!(open.optional().unwrap(), Some(b"c".as_slice()));
        assert!(open.byte().is_err());
        let lie = Pack::default().number(u64::MAX).done();
        assert!(Unpack(&lie).bytes().is_err());
        assert_eq!(
            Unpack(&Pack::default().bytes("aä".as_bytes()).done()).text(2).unwrap().chars().next(),
            Some('a')
        );
    }

    #[test]
    fn failures_keep_their_kind_and_text() {
        let failure = Error::new(ErrorKind::NotFound, "no x.json");
        let bytes = Pack::default().outcome(Err(failure)).done();
        let (error, end) = Unpack(&bytes).outcome().unwrap_err();
        assert_eq!(
            (error.kind(), error.to_string(), end),
            (ErrorKind::NotFound, "no x.json".to_owned(), false)
        );
        let bytes = Pack::default().outcome(Ok(vec![1, 2])).done();
        assert_eq!(Unpack(&bytes).outcome().unwrap(), [1, 2]);
    }
}
