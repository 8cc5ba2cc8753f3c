//! Gzip, told by its first bytes and never by a file's name.

use std::io::{self, BufReader, Cursor, Read};

use flate2::bufread::GzDecoder;

const MAGIC: [u8; 2] = [0x1F, 0x8B];
/// Read from the input at once: compressed bytes are far fewer than what they become.
const INPUT_BUFFER: usize = 64 << 10;

/// `input` as it is, or decompressed if it begins like gzip.
pub(crate) fn by_content<R: Read + Send + 'static>(mut input: R) -> io::Result<Box<dyn Read + Send>> {
    let mut head = Vec::with_capacity(MAGIC.len());
    input.by_ref().take(MAGIC.len() as u64).read_to_end(&mut head)?;
    let gzip = head == MAGIC;
    let whole = Cursor::new(head).chain(input);
    Ok(if gzip { Box::new(Gzip::new(whole)) } else { Box::new(whole) })
}

/// Any number of gzip members after each other, as `cat a.gz b.gz` makes them.
///
/// A stream that breaks off still yields every byte before the break; then comes [`io::ErrorKind::UnexpectedEof`].
struct Gzip<R: Read> {
    member: Option<GzDecoder<BufReader<R>>>,
}

impl<R: Read> Gzip<R> {
    fn new(input: R) -> Self {
        Self { member: Some(GzDecoder::new(BufReader::with_capacity(INPUT_BUFFER, input))) }
    }
}

impl<R: Read> Read for Gzip<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        use io::BufRead;
        if buffer.is_empty() {
            return Ok(0);
        }
        while let Some(member) = &mut self.member {
            let n = member.read(buffer).map_err(damage)?;
            if n > 0 {
                return Ok(n);
            }
            // The member is whole. What follows is another one, padding, or the end.
            let mut rest = self.member.take().expect("matched above").into_inner();
            if rest.fill_buf()?.first() == Some(&MAGIC[0]) {
                self.member = Some(GzDecoder::new(rest));
            } else {
                skip_padding(&mut rest)?;
            }
        }
        Ok(0)
    }
}

/// The decoder calls a wrong checksum or block an invalid *input*, which elsewhere means a wrong call.
fn damage(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::InvalidInput => io::Error::new(io::ErrorKind::InvalidData, error),
        _ => error,
    }
}

/// Tapes and block stores pad with zeroes; anything else after the last member is damage and must not go unnoticed.
fn skip_padding(rest: &mut impl io::BufRead) -> io::Result<()> {
    loop {
        let bytes = rest.fill_buf()?;
        if bytes.is_empty() {
            return Ok(());
        }
        if bytes.iter().any(|&byte| byte != 0) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "bytes after the end of the gzip data"));
        }
        let n = bytes.len();
        rest.consume(n);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    /// Everything that comes out, and the error that ended it.
    fn read(input: Vec<u8>) -> (Vec<u8>, Option<io::ErrorKind>) {
        let mut out = Vec::new();
        let end = by_content(Cursor::new(input)).and_then(|mut reader| reader.read_to_end(&mut out));
        (out, end.err().map(|error| error.kind()))
    }

    fn text() -> Vec<u8> {
        (0..20_000u32)
            .flat_map(|n| format!("{{\"n\":{}}}\n", n.wrapping_mul(2_654_435_761)).into_bytes())
            .collect()
    }

    #[test]
    fn plain_bytes_pass_unchanged() {
        for input in [&b""[..], b"\x1f", b"{", b"\x1fnot gzip", b"{\"a\":1}\n"] {
            assert_eq!(read(input.to_vec()), (input.to_vec(), None));
        }
    }

    #[test]
    fn members_are_joined_and_padding_is_ignored() {
        let mut input = gzip(b"one ");
        input.extend(gzip(&text()));
        input.extend([0; 600]);
        let mut expected = b"one ".to_vec();
        expected.extend(text());
        assert_eq!(read(input), (expected, None));
    }

    #[test]
    fn a_cut_anywhere_yields_a_prefix_and_says_so() {
        let text = text();
        let whole = gzip(&text);
        for cut in (2..whole.len()).step_by(997).chain([whole.len() - 1, whole.len() - 8, 3, 9, 11]) {
            let (out, end) = read(whole[..cut].to_vec());
            assert_eq!(end, Some(io::ErrorKind::UnexpectedEof), "cut at {cut}");
            assert_eq!(out, text[..out.len()], "cut at {cut}");
            // Deflate holds back no more than the block it is in; all but the last bytes before the cut come out.
            assert!(cut < whole.len() / 2 || out.len() > text.len() / 3, "cut at {cut} gave {}", out.len());
        }
    }

    #[test]
    fn damage_is_an_error_not_an_end() {
        let mut flipped = gzip(&text());
        let at = flipped.len() - 6;
        flipped[at] ^= 1;
        assert_eq!(read(flipped).1, Some(io::ErrorKind::InvalidData), "checksum");

        let mut trailing = gzip(b"x");
        trailing.extend(b"junk");
        assert_eq!(read(trailing), (b"x".to_vec(), Some(io::ErrorKind::InvalidData)));
    }
}
