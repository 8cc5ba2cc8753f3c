//! UTF-16 into UTF-8, told by content; anything else passes as it is.

use std::io::{self, ErrorKind, Read};

/// Bytes looked at to tell the encoding.
const HEAD: usize = 4;
/// Bytes asked of the input at once.
const CHUNK: usize = 64 << 10;
/// What half a surrogate pair becomes: a byte that is no UTF-8, so that it is replaced and counted where it is used.
const NO_TEXT: u8 = 0xFF;

/// An input whose bytes are UTF-8 where they were UTF-16: little- or big-endian, with a byte-order mark or, without
/// one, if of its first two characters, both ASCII, every other byte is zero.
pub(crate) struct Utf8<R> {
    input: R,
    decoder: State,
    /// What was read to tell the encoding and not yet handed on.
    head: Vec<u8>,
}

enum State {
    Unknown,
    /// The bytes are handed on as they are.
    AsIs,
    Utf16(Utf16),
}

impl<R: Read> Utf8<R> {
    pub(crate) fn new(input: R) -> Self {
        Self { input, decoder: State::Unknown, head: Vec::new() }
    }

    /// Reads the first bytes and decides.
    fn tell(&mut self) -> io::Result<State> {
        while self.head.len() < HEAD {
            let mut rest = [0; HEAD];
            let wanted = HEAD - self.head.len();
            match self.input.read(&mut rest[..wanted]) {
                Ok(0) => break,
                Ok(n) => self.head.extend_from_slice(&rest[..n]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // What came before is handed on first; the input will say so again.
                Err(_) if !self.head.is_empty() => break,
                Err(error) => return Err(error),
            }
        }
        let (mark, big_endian) = match self.head[..] {
            [0xFF, 0xFE, ..] => (2, false),
            [0xFE, 0xFF, ..] => (2, true),
            [1..=0x7F, 0, 1..=0x7F, 0] => (0, false),
            [0, 1..=0x7F, 0, 1..=0x7F] => (0, true),
            _ => return Ok(State::AsIs),
        };
        let raw = self.head.split_off(mark);
        self.head.clear();
        Ok(State::Utf16(Utf16 { big_endian, raw, pair: None, text: Vec::new(), handed: 0 }))
    }
}

impl<R: Read> Read for Utf8<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let State::Unknown = self.decoder {
            self.decoder = self.tell()?;
        }
        match &mut self.decoder {
            State::Utf16(utf16) => utf16.read(&mut self.input, buffer),
            _ if self.head.is_empty() => self.input.read(buffer),
            _ => {
                let n = buffer.len().min(self.head.len());
                buffer[..n].copy_from_slice(&self.head[..n]);
                self.head.drain(..n);
                Ok(n)
            }
        }
    }
}

struct Utf16 {
    big_endian: bool,
    /// Read and not yet decoded: half a unit at most, once decoded.
    raw: Vec<u8>,
    /// The first half of a surrogate pair.
    pair: Option<u16>,
    text: Vec<u8>,
    /// Bytes of `text` that were handed on.
    handed: usize,
}

impl Utf16 {
    fn read(&mut self, input: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
        while self.handed == self.text.len() && !buffer.is_empty() {
            (self.handed, self.text) = (0, std::mem::take(&mut self.text));
            self.text.clear();
            let had = self.raw.len();
            self.raw.resize(had + CHUNK, 0);
            let read = input.read(&mut self.raw[had..]);
            self.raw.truncate(had + *read.as_ref().unwrap_or(&0));
            match read {
                Ok(0) if self.raw.len() < 2 => {
                    if self.pair.take().is_some() || !self.raw.is_empty() {
                        self.raw.clear();
                        self.text.push(NO_TEXT);
                    }
                    break;
                }
                Err(error) if self.raw.len() < 2 => return Err(error),
                _ => self.decode(),
            }
        }
        let n = buffer.len().min(self.text.len() - self.handed);
        buffer[..n].copy_from_slice(&self.text[self.handed..self.handed + n]);
        self.handed += n;
        Ok(n)
    }

    /// Turns the whole units of `raw` into text.
    fn decode(&mut self) {
        let whole = self.raw.len() / 2 * 2;
        for unit in self.raw[..whole].chunks_exact(2) {
            let unit = [unit[0], unit[1]];
            let unit = if self.big_endian { u16::from_be_bytes(unit) } else { u16::from_le_bytes(unit) };
            if let Some(first) = self.pair.take() {
                if let Some(Ok(character)) = char::decode_utf16([first, unit]).next() {
                    push(&mut self.text, character);
                    continue;
                }
                self.text.push(NO_TEXT);
            }
            match unit {
                0xD800..=0xDBFF => self.pair = Some(unit),
                _ => match char::from_u32(u32::from(unit)) {
                    Some(character) => push(&mut self.text, character),
                    None => self.text.push(NO_TEXT),
                },
            }
        }
        self.raw.drain(..whole);
    }
}

fn push(text: &mut Vec<u8>, character: char) {
    text.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives at most so many bytes a call.
    struct Steps<'a>(&'a [u8], usize);

    impl Read for Steps<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let n = self.1.min(buffer.len()).min(self.0.len());
            buffer[..n].copy_from_slice(&self.0[..n]);
            self.0 = &self.0[n..];
            Ok(n)
        }
    }

    fn read(bytes: &[u8], step: usize) -> Vec<u8> {
        let mut text = Vec::new();
        Utf8::new(Steps(bytes, step)).read_to_end(&mut text).unwrap();
        text
    }

    fn utf16(text: &str, big_endian: bool) -> Vec<u8> {
        let bytes = |unit: u16| if big_endian { unit.to_be_bytes() } else { unit.to_le_bytes() };
        text.encode_utf16().flat_map(bytes).collect()
    }

    #[test]
    fn every_encoding_reads_as_the_same_text_in_any_steps() {
        let text = "{\"name\":\"Zoë 😀 東\"}\r\n";
        for step in [1, 2, 3, 7, 1000] {
            assert_eq!(read(text.as_bytes(), step), text.as_bytes());
            for big_endian in [false, true] {
                assert_eq!(read(&utf16(text, big_endian), step), text.as_bytes(), "{big_endian} {step}");
                let marked = utf16(&format!("\u{feff}{text}"), big_endian);
                assert_eq!(read(&marked, step), text.as_bytes(), "mark, {big_endian} {step}");
            }
        }
        for short in [&b""[..], b"{", b"{}", b"a\0b", b"\0\0\0\0", b"\xEF\xBB\xBF{}"] {
            assert_eq!(read(short, 1), short);
        }
    }

    #[test]
    fn half_characters_are_no_text() {
        let mut bytes = utf16("{a", false);
        for unit in [0xD83D_u16, 0x62, 0xDE00, 0xD83D] {
            bytes.extend(unit.to_le_bytes());
        }
        assert_eq!(read(&bytes, 3), b"{a\xFFb\xFF\xFF");
        bytes.push(b'x');
        assert_eq!(read(&bytes, 3), b"{a\xFFb\xFF\xFF");
    }
}
