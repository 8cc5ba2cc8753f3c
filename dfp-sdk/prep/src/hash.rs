//! Row identity that is the same on every machine and in every version.

use arrow_array::{RecordBatch, UInt64Array};
use dfp_core::ORIGIN;

use crate::input::Input;
use crate::profile::{ENTITY, ENTITY_AS_WRITTEN};
use crate::{Error, Result, input};

/// A number for each row's content: SipHash-1-3 (Aumasson and Bernstein 2012) with a key of zeros over all columns but
/// `_origin`, `_entity` and `_entity_as_written`, in the batch's order.
///
/// Each cell is one byte for its type (0 null, 1 text, 2 int64, 3 float64, 4 boolean, 5 time) and its value in little
/// endian; a text has its length in bytes, 64 bits, before it; a float is its bit pattern. Together with the time it
/// tells a repeated record from another one of the same second (quirk Q18).
///
/// # Errors
/// [`Error::Column`] if a column is of a type that loaded batches do not have.
pub fn row_hashes(batch: &RecordBatch) -> Result<UInt64Array> {
    let schema = batch.schema();
    let mut inputs = Vec::new();
    for (field, column) in schema.fields().iter().zip(batch.columns()) {
        if [ORIGIN, ENTITY, ENTITY_AS_WRITTEN].contains(&field.name().as_str()) {
            continue;
        }
        if !input::readable(field.data_type()) {
            return Err(Error::column(
                field.name(),
                format!("is {}, which has no row hash", field.data_type()),
            ));
        }
        inputs.push(Input::of(Some(column.as_ref())));
    }
    let mut bytes = Vec::new();
    let hashes = (0..batch.num_rows()).map(|row| {
        bytes.clear();
        for input in &inputs {
            write_cell(input, row, &mut bytes);
        }
        sip13(&bytes)
    });
    Ok(hashes.collect())
}

fn write_cell(input: &Input<'_>, row: usize, out: &mut Vec<u8>) {
    if input.is_null(row) {
        return out.push(0);
    }
    let mut number = |kind: u8, value: u64| {
        out.push(kind);
        out.extend(value.to_le_bytes());
    };
    match input {
        Input::Absent => number(0, 0),
        Input::Text(array) => {
            let text = array.value(row);
            number(1, text.len() as u64);
            out.extend(text.as_bytes());
        }
        Input::Int(array) => number(2, array.value(row) as u64),
        Input::Float(array) => number(3, array.value(row).to_bits()),
        Input::Bool(array) => number(4, u64::from(array.value(row))),
        Input::Time(array) => number(5, array.value(row) as u64),
    }
}

/// SipHash-1-3 with a key of zeros: one round per 8 bytes, three at the end.
fn sip13(bytes: &[u8]) -> u64 {
    let mut v =
        [0x736f_6d65_7073_6575, 0x646f_7261_6e64_6f6d, 0x6c79_6765_6e65_7261, 0x7465_6462_7974_6573_u64];
    let (words, tail) = bytes.as_chunks::<8>();
    for word in words {
        compress(&mut v, u64::from_le_bytes(*word));
    }
    let mut last = [0; 8];
    last[..tail.len()].copy_from_slice(tail);
    last[7] = bytes.len() as u8;
    compress(&mut v, u64::from_le_bytes(last));
    v[2] ^= 0xFF;
    for _ in 0..3 {
        round(&mut v);
    }
    v[0] ^ v[1] ^ v[2] ^ v[3]
}

fn compress(v: &mut [u64; 4], word: u64) {
    v[3] ^= word;
    round(v);
    v[0] ^= word;
}

fn round(v: &mut [u64; 4]) {
    let [a, b, c, d] = v;
    *a = a.wrapping_add(*b);
    *b = b.rotate_left(13) ^ *a;
    *a = a.rotate_left(32);
    *c = c.wrapping_add(*d);
    *d = d.rotate_left(16) ^ *c;
    *a = a.wrapping_add(*d);
    *d = d.rotate_left(21) ^ *a;
    *c = c.wrapping_add(*b);
    *b = b.rotate_left(17) ^ *c;
    *c = c.rotate_left(32);
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::{ArrayRef, Int64Array, StringArray};
    use proptest::prelude::*;
    use std::hash::Hasher;
    use std::sync::Arc;

    proptest! {
        /// The standard library's hasher is the same function today; should it change, the fixed values below still hold.
        #[test]
        fn is_siphash_1_3(bytes: Vec<u8>) {
            let mut std_hasher = std::hash::DefaultHasher::new();
            std_hasher.write(&bytes);
            prop_assert_eq!(sip13(&bytes), std_hasher.finish());
        }
    }

    fn hashes(texts: [Option<&str>; 2], ns: [Option<i64>; 2]) -> Vec<u64> {
        let text: ArrayRef = Arc::new(StringArray::from(texts.to_vec()));
        let n: ArrayRef = Arc::new(Int64Array::from(ns.to_vec()));
        let origin: ArrayRef = Arc::new(StringArray::from(vec!["a", "b"]));
        let batch = RecordBatch::try_from_iter([("t", text), (ORIGIN, origin), ("n", n)]).unwrap();
        row_hashes(&batch).unwrap().values().to_vec()
    }

    #[test]
    fn equal_rows_and_only_they_hash_alike_whatever_their_origin() {
        let same = hashes([Some("x"), Some("x")], [Some(1), Some(1)]);
        assert_eq!(same[0], same[1]);
        for (texts, ns) in [
            ([Some("x"), Some("y")], [Some(1), Some(1)]),
            ([Some(""), None], [Some(1), Some(1)]),
            ([Some("x"), Some("x")], [None, Some(0)]),
        ] {
            let other = hashes(texts, ns);
            assert_ne!(other[0], other[1]);
        }
    }

    #[test]
    fn hashes_never_change() {
        assert_eq!(
            hashes([Some("x"), None], [Some(1), None]),
            [8_002_435_486_956_555_430, 6_165_216_591_721_696_495]
        );
    }
}
