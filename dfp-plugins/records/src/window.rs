//! A stretch of the input in memory: as long as one record needs, whatever the input's length.

use std::io::{ErrorKind as IoKind, Read};

use dfp_plugin::Error;
use memchr::{memchr, memchr_iter, memrchr};

/// Bytes first asked of a reader, and looked at to find out what the input is.
pub(crate) const CHUNK: usize = 256 * 1024;
/// Where the buffer starts: a trail's thousands of small files must not each cost a large one.
const FIRST: usize = 16 * 1024;

/// The unread part of an input, as far as it was needed.
pub(crate) struct Window {
    uri: String,
    reader: Box<dyn Read + Send>,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    ended: bool,
    broken: bool,
    fault: Option<Error>,
    line: u64,
    column: u64,
    /// Bytes after `start` known to hold no newline.
    without_newline: usize,
}

impl Window {
    pub(crate) fn new(uri: &str, reader: Box<dyn Read + Send>) -> Self {
        Self {
            uri: uri.to_owned(),
            reader,
            buffer: vec![0; FIRST],
            start: 0,
            end: 0,
            ended: false,
            broken: false,
            fault: None,
            line: 1,
            column: 1,
            without_newline: 0,
        }
    }

    /// What is in memory and not consumed.
    #[inline]
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// Whether nothing comes after [`bytes`](Self::bytes).
    pub(crate) fn ended(&self) -> bool {
        self.ended
    }

    /// Whether the input ended because its compression or transport broke off.
    pub(crate) fn broken(&self) -> bool {
        self.broken
    }

    /// Why the input could not be read to its end, if it broke off in another way. What came before is good.
    pub(crate) fn take_fault(&mut self) -> Option<Error> {
        self.fault.take()
    }

    /// Line and byte column, from 1, of the first byte.
    pub(crate) fn position(&self) -> (u64, u64) {
        (self.line, self.column)
    }

    /// Position of the first newline among the first `limit` bytes in memory.
    #[inline]
    pub(crate) fn newline(&mut self, limit: usize) -> Option<usize> {
        let bytes = &self.buffer[self.start..self.end];
        let searched = bytes.len().min(limit);
        let from = self.without_newline.min(searched);
        let found = memchr(b'\n', &bytes[from..searched]).map(|at| from + at);
        self.without_newline = found.unwrap_or(searched.max(self.without_newline));
        found
    }

    /// Reads on until `n` bytes are in memory or the input ends.
    pub(crate) fn fill_to(&mut self, n: usize) {
        while self.bytes().len() < n && self.more() {}
    }

    /// Reads on, to at least twice what is in memory, so that scanning again from the start stays cheap. False at the
    /// end of the input.
    pub(crate) fn more(&mut self) -> bool {
        let had = self.end - self.start;
        let full = self.end == self.buffer.len();
        self.buffer.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, had);
        if had * 2 > self.buffer.len() || (full && self.buffer.len() < CHUNK) {
            self.buffer.resize(self.buffer.len() * 2, 0);
        }
        while !self.ended && self.end < (had * 2).max(1) {
            match self.reader.read(&mut self.buffer[self.end..]) {
                Ok(0) => self.ended = true,
                Ok(n) => self.end += n,
                Err(error) => match error.kind() {
                    IoKind::Interrupted => {}
                    IoKind::UnexpectedEof | IoKind::InvalidData | IoKind::InvalidInput => {
                        self.ended = true;
                        self.broken = true;
                    }
                    _ => {
                        self.ended = true;
                        self.fault = Some(Error::io(format!("reading {}", self.uri), error));
                    }
                },
            }
        }
        self.end > had
    }

    /// Gives up the first `n` bytes.
    #[inline]
    pub(crate) fn consume(&mut self, n: usize) {
        let gone = &self.buffer[self.start..self.start + n];
        match memrchr(b'\n', gone) {
            Some(last) => {
                self.line += 1 + memchr_iter(b'\n', &gone[..last]).count() as u64;
                self.column = (n - last) as u64;
            }
            None => self.column += n as u64,
        }
        self.without_newline = self.without_newline.saturating_sub(n);
        self.start += n;
    }

    /// Gives up the first `n` bytes as if they had never been there.
    pub(crate) fn drop_mark(&mut self, n: usize) {
        self.start += n;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives one byte a call.
    struct Single(&'static [u8]);

    impl Read for Single {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let (now, later) = self.0.split_at(self.0.len().min(1));
            buffer[..now.len()].copy_from_slice(now);
            self.0 = later;
            Ok(now.len())
        }
    }

    #[test]
    fn positions_and_newlines_do_not_depend_on_the_reader() {
        let text = b"ab\ncde\n\nf";
        let mut window = Window::new("x", Box::new(Single(text)));
        window.fill_to(100);
        assert_eq!(window.bytes(), text);
        assert_eq!(window.newline(2), None);
        assert_eq!(window.newline(100), Some(2));
        window.consume(4);
        assert_eq!(window.position(), (2, 2));
        assert_eq!(window.newline(100), Some(2));
        window.consume(4);
        assert_eq!((window.position(), window.bytes()), ((4, 1), &b"f"[..]));
        assert_eq!(window.newline(100), None);
        assert!(window.ended() && !window.broken());
    }
}
