//! Identities as numbers: the values of the identity columns of a row become one key of bytes, in whose order identities
//! stand.

use std::hash::BuildHasher;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Date64Type, DurationMicrosecondType, DurationMillisecondType, DurationNanosecondType,
    DurationSecondType, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
    UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef, LargeStringArray, StringArray};
use arrow_buffer::NullBuffer;
use arrow_schema::{DataType, TimeUnit};
use foldhash::quality::RandomState;
use hashbrown::HashTable;

use super::options::NullOrder;

/// Numbers for identities. Numbers of forgotten ones are given again.
///
/// Keys come from logs, so whoever writes logs picks them. The hash is seeded at random for each process and neither hashes
/// nor the order of the table can be seen from outside: what is given out is in the order of keys.
#[derive(Default)]
pub(super) struct Identities {
    seed: RandomState,
    numbers: HashTable<u32>,
    /// Hash and key of each number; none for a free one.
    keys: Vec<(u64, Box<[u8]>)>,
    free: Vec<u32>,
}

/// So many keys are written, hashed and looked up together: a table too large for the cache answers several at once.
const ROWS_AT_ONCE: usize = 1024;

impl Identities {
    /// The number of a key; new ones get the lowest free.
    fn number(&mut self, hash: u64, key: &[u8], new: &mut impl FnMut()) -> u32 {
        let same = |number: &u32| *self.keys[*number as usize].1 == *key;
        if let Some(number) = self.numbers.find(hash, same) {
            return *number;
        }
        new();
        let number = self.free.pop().unwrap_or(self.keys.len() as u32);
        let entry = (hash, key.into());
        match self.keys.get_mut(number as usize) {
            Some(place) => *place = entry,
            None => self.keys.push(entry),
        }
        self.numbers.insert_unique(hash, number, |number| self.keys[*number as usize].0);
        number
    }

    /// The number of each row's identity; the rows of those that had none are added to `new`.
    pub(super) fn of_rows(
        &mut self,
        columns: &[ArrayRef],
        nulls: &NullOrder,
        rows: usize,
        new: &mut Vec<u32>,
    ) -> Vec<u32> {
        let columns: Vec<_> = columns.iter().map(Key::of).collect();
        let mut numbers = Vec::with_capacity(rows);
        let (mut keys, mut ends, mut hashes) = (Vec::new(), Vec::new(), Vec::new());
        for start in (0..rows).step_by(ROWS_AT_ONCE) {
            keys.clear();
            ends.clear();
            ends.push(0);
            for row in start..rows.min(start + ROWS_AT_ONCE) {
                for column in &columns {
                    column.write(row, nulls, &mut keys);
                }
                ends.push(keys.len());
            }
            let keys = || ends.windows(2).map(|ends| &keys[ends[0]..ends[1]]);
            hashes.clear();
            hashes.extend(keys().map(|key| self.seed.hash_one(key)));
            let mut before: Option<(&[u8], u32)> = None;
            for (key, hash) in keys().zip(&hashes) {
                let same = before.filter(|(before, _)| *before == key);
                let number = same.map_or_else(
                    || self.number(*hash, key, &mut || new.push(numbers.len() as u32)),
                    |(_, number)| number,
                );
                before = Some((key, number));
                numbers.push(number);
            }
        }
        numbers
    }

    /// The key of a number.
    pub(super) fn key(&self, number: u32) -> &[u8] {
        &self.keys[number as usize].1
    }

    /// How many numbers are or were given.
    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    /// Makes a number free; whether it was not.
    pub(super) fn forget(&mut self, number: u32) -> bool {
        let (hash, key) = &mut self.keys[number as usize];
        let Ok(entry) = self.numbers.find_entry(*hash, |other| *other == number) else { return false };
        entry.remove();
        *key = Box::default();
        self.free.push(number);
        true
    }

    /// All numbers in the order of their keys.
    pub(super) fn sorted(&self) -> Vec<u32> {
        let mut numbers: Vec<u32> = (0..self.keys.len() as u32).collect();
        numbers.sort_unstable_by_key(|&number| self.key(number));
        numbers
    }
}

/// Whether an identity column may have this type, dictionaries aside.
pub(super) fn supported(dtype: &DataType) -> bool {
    use DataType::{Boolean, Date32, Date64, Duration, Float32, Float64, LargeUtf8, Null, Timestamp, Utf8};
    dtype.is_integer()
        || matches!(
            dtype,
            Null | Boolean
                | Float32
                | Float64
                | Utf8
                | LargeUtf8
                | Date32
                | Date64
                | Timestamp(..)
                | Duration(_)
        )
}

/// One identity column.
enum Key<'a> {
    Text(&'a StringArray),
    LargeText(&'a LargeStringArray),
    /// Numbers in the order of the values they stand for.
    Number(Vec<u64>, Option<NullBuffer>),
    Null,
}

/// First byte of a null that stands before all values.
const NULL_FIRST: u8 = 0;
/// First byte of a value.
const VALUE: u8 = 1;
/// First byte of a null that stands after all values.
const NULL_LAST: u8 = 2;
/// Ends of a text: `0` tells them from the text's own bytes, since a `0` in a text is followed by 255.
const END_OF_TEXT: [u8; 2] = [0, 1];
const END_OF_NULL: [u8; 2] = [0, 2];
const NUL_INSIDE: [u8; 2] = [0, 255];

impl<'a> Key<'a> {
    fn of(array: &'a ArrayRef) -> Self {
        if let Some(texts) = array.as_string_opt() {
            return Self::Text(texts);
        }
        if let Some(texts) = array.as_string_opt() {
            return Self::LargeText(texts);
        }
        ordered(array).map_or(Self::Null, |numbers| Self::Number(numbers, array.nulls().cloned()))
    }

    fn write(&self, row: usize, order: &NullOrder, out: &mut Vec<u8>) {
        match self {
            Self::Text(texts) if texts.is_valid(row) => write_text(texts.value(row), END_OF_TEXT, out),
            Self::LargeText(texts) if texts.is_valid(row) => write_text(texts.value(row), END_OF_TEXT, out),
            Self::Number(numbers, nulls) if nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row)) => {
                out.push(VALUE);
                out.extend(numbers[row].to_be_bytes());
            }
            Self::Text(_) | Self::LargeText(_) | Self::Number(..) | Self::Null => match (order, self) {
                (NullOrder::First, _) => out.push(NULL_FIRST),
                (NullOrder::As(_), Self::Number(..)) => out.push(NULL_LAST),
                (NullOrder::As(word), _) => write_text(word, END_OF_NULL, out),
            },
        }
    }
}

fn write_text(text: &str, end: [u8; 2], out: &mut Vec<u8>) {
    out.push(VALUE);
    let mut rest = text.as_bytes();
    while rest.contains(&0) {
        let at = rest.iter().position(|byte| *byte == 0).unwrap_or_default();
        out.extend(&rest[..at]);
        out.extend(NUL_INSIDE);
        rest = &rest[at + 1..];
    }
    out.extend(rest);
    out.extend(end);
}

/// The values as numbers of the same order; `None` for a type that has none, which is that of nulls alone.
fn ordered(array: &dyn Array) -> Option<Vec<u64>> {
    macro_rules! values {
        ($kind:ty, $order:expr) => {
            Some(array.as_primitive::<$kind>().values().iter().map($order).collect())
        };
    }
    // Bits of signed numbers and of floats order like unsigned ones once the sign is turned.
    macro_rules! signed {
        ($kind:ty) => {
            values!($kind, |value| (i64::from(*value) as u64) ^ (1 << 63))
        };
    }
    match array.data_type() {
        DataType::Boolean => Some(array.as_boolean().values().iter().map(u64::from).collect()),
        DataType::Int8 => signed!(Int8Type),
        DataType::Int16 => signed!(Int16Type),
        DataType::Int32 => signed!(Int32Type),
        DataType::Int64 => signed!(Int64Type),
        DataType::UInt8 => values!(UInt8Type, |value| u64::from(*value)),
        DataType::UInt16 => values!(UInt16Type, |value| u64::from(*value)),
        DataType::UInt32 => values!(UInt32Type, |value| u64::from(*value)),
        DataType::UInt64 => values!(UInt64Type, |value| *value),
        DataType::Float32 => values!(Float32Type, |value| ordered_float(f64::from(*value))),
        DataType::Float64 => values!(Float64Type, |value| ordered_float(*value)),
        DataType::Date32 => signed!(Date32Type),
        DataType::Date64 => signed!(Date64Type),
        DataType::Timestamp(TimeUnit::Second, _) => signed!(TimestampSecondType),
        DataType::Timestamp(TimeUnit::Millisecond, _) => signed!(TimestampMillisecondType),
        DataType::Timestamp(TimeUnit::Microsecond, _) => signed!(TimestampMicrosecondType),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => signed!(TimestampNanosecondType),
        DataType::Duration(TimeUnit::Second) => signed!(DurationSecondType),
        DataType::Duration(TimeUnit::Millisecond) => signed!(DurationMillisecondType),
        DataType::Duration(TimeUnit::Microsecond) => signed!(DurationMicrosecondType),
        DataType::Duration(TimeUnit::Nanosecond) => signed!(DurationNanosecondType),
        _ => None,
    }
}

/// Both zeros are one value, and so is everything that is no number.
fn ordered_float(value: f64) -> u64 {
    let bits = if value.is_nan() { f64::NAN.to_bits() } else { (value + 0.0).to_bits() };
    if bits >> 63 == 1 { !bits } else { bits | (1 << 63) }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use arrow_array::{BooleanArray, Float64Array, Int64Array, NullArray};
    use proptest::prelude::*;

    fn keys(array: &ArrayRef, nulls: &NullOrder) -> Vec<Vec<u8>> {
        let column = Key::of(array);
        let key = |row| {
            let mut out = Vec::new();
            column.write(row, nulls, &mut out);
            out
        };
        (0..array.len()).map(key).collect()
    }

    #[test]
    fn null_is_first_or_where_a_word_stands_and_never_the_word_itself() {
        let texts = [None, Some(""), Some("Zed"), Some("dummy_str"), Some("dummy_str\0"), Some("eve")];
        let array: ArrayRef = Arc::new(StringArray::from(texts.to_vec()));
        assert!(keys(&array, &NullOrder::First).is_sorted_by(|a, b| a < b));
        let placed = keys(&array, &NullOrder::As("dummy_str".to_owned()));
        assert!(placed[1..].is_sorted_by(|a, b| a < b));
        assert!(placed[3] < placed[0] && placed[0] < placed[4]);
        let numbers: ArrayRef =
            Arc::new(Int64Array::from(vec![Some(i64::MIN), Some(-1), Some(i64::MAX), None]));
        assert!(keys(&numbers, &NullOrder::As("x".to_owned())).is_sorted_by(|a, b| a < b));
    }

    #[test]
    fn every_type_keeps_its_order() {
        let floats = vec![f64::NEG_INFINITY, -1.5, -0.0, 0.5, f64::INFINITY, f64::NAN];
        let floats: ArrayRef = Arc::new(Float64Array::from(floats));
        assert!(keys(&floats, &NullOrder::First).is_sorted_by(|a, b| a < b));
        let zeros: ArrayRef = Arc::new(Float64Array::from(vec![0.0, -0.0]));
        let zeros = keys(&zeros, &NullOrder::First);
        assert_eq!(zeros[0], zeros[1]);
        let booleans: ArrayRef = Arc::new(BooleanArray::from(vec![None, Some(false), Some(true)]));
        assert!(keys(&booleans, &NullOrder::First).is_sorted_by(|a, b| a < b));
        let nulls: ArrayRef = Arc::new(NullArray::new(2));
        assert_eq!(keys(&nulls, &NullOrder::First), [[NULL_FIRST], [NULL_FIRST]]);
    }

    proptest! {
        /// Of any two pairs of texts, keys compare as the pairs do: a text never runs into the next column.
        #[test]
        fn keys_order_as_rows_do(
            a in ("[a\0\u{1}\u{7f}é]{0,3}", "[a\0\u{1}]{0,2}"),
            b in ("[a\0\u{1}\u{7f}é]{0,3}", "[a\0\u{1}]{0,2}"),
        ) {
            let column = |x: &str, y: &str| -> ArrayRef { Arc::new(StringArray::from(vec![x.to_owned(), y.to_owned()])) };
            let columns = [column(&a.0, &b.0), column(&a.1, &b.1)];
            let mut identities = Identities::default();
            let numbers = identities.of_rows(&columns, &NullOrder::First, 2, &mut Vec::new());
            prop_assert_eq!(identities.key(numbers[0]).cmp(identities.key(numbers[1])), a.cmp(&b));
        }
    }

    #[test]
    fn numbers_of_the_forgotten_are_given_again() {
        let mut identities = Identities::default();
        let of = |identities: &mut Identities, texts: &[&str]| {
            let column: ArrayRef = Arc::new(StringArray::from(texts.to_vec()));
            identities.of_rows(&[column], &NullOrder::First, texts.len(), &mut Vec::new())
        };
        assert_eq!(of(&mut identities, &["a", "b", "b", "a"]), [0, 1, 1, 0]);
        assert!(identities.forget(0));
        assert!(!identities.forget(0));
        assert_eq!(of(&mut identities, &["c", "a"]), [0, 2]);
        assert_eq!(identities.sorted(), [2, 1, 0]);
    }

    #[test]
    fn many_identities_are_told_apart() {
        let column: ArrayRef = Arc::new(Int64Array::from_iter_values((0..10_000).map(|n| n % 5000)));
        let mut new = Vec::new();
        let numbers = Identities::default().of_rows(&[column], &NullOrder::First, 10_000, &mut new);
        assert_eq!(new, (0..5000).collect::<Vec<_>>());
        assert!(numbers.iter().enumerate().all(|(row, number)| *number as usize == row % 5000));
    }
}
