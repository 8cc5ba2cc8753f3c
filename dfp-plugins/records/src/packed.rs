//! Records in a text: gzip in base64, as CloudWatch Logs gives them to Lambda, Kinesis and Firehose.

use std::io::{Cursor, Error, ErrorKind, Read};

use flate2::read::MultiGzDecoder;

/// Paths of the text: of a subscription's event, of a record in a stream's event, of a record of Firehose or of a stream.
pub(crate) const PACKED: &[&str] = &["awslogs.data", "kinesis.data", "data", "Data"];
/// How gzip begins in base64.
pub(crate) const BEGINNING: &[u8] = b"H4sI";

/// What is in the text. One that is damaged reads up to there, and then is an error.
pub(crate) fn open(text: &str) -> Box<dyn Read + Send> {
    let digits = text.trim_end_matches('=');
    let mut bytes = Vec::with_capacity(digits.len() / 4 * 3 + 2);
    let (mut bits, mut count) = (0_u32, 0);
    for digit in digits.bytes() {
        let Some(six) = six_bits(digit) else {
            return Box::new(MultiGzDecoder::new(Cursor::new(bytes).chain(Damaged)));
        };
        bits = bits << 6 | six;
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    Box::new(MultiGzDecoder::new(Cursor::new(bytes)))
}

fn six_bits(digit: u8) -> Option<u32> {
    let value = match digit {
        b'A'..=b'Z' => digit - b'A',
        b'a'..=b'z' => digit - b'a' + 26,
        b'0'..=b'9' => digit - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    };
    Some(u32::from(value))
}

/// The end of a text that is no base64.
struct Damaged;

impl Read for Damaged {
    fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
        Err(Error::new(ErrorKind::InvalidData, "no base64"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_packed_is_unpacked_and_damage_is_an_error() {
        // printf '{"a":1}\n' | gzip -n | base64
        let packed = "H4sIAAAAAAAAA6tWSlSyMqzlAgBGo+h0CAAAAA==";
        let read = |text: &str| {
            let mut out = String::new();
            open(text).read_to_string(&mut out).map(|_| out)
        };
        assert_eq!(read(packed).unwrap(), "{\"a\":1}\n");
        for cut in 4..packed.len() - 3 {
            assert!(read(&packed[..cut]).is_err(), "{cut}");
        }
        assert!(read(&packed.replace('M', "!")).is_err());
    }
}
