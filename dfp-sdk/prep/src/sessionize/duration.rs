//! Lengths of time in files: `20min`, `0.5min`, `250ms`, `0s`. Unlike a [`Span`](crate::Span) they may be zero and may
//! have fractions: recorded sessions were cut with both.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serializer};

/// Units and their nanoseconds, longest first: the first that divides a length is the one it is written in.
const UNITS: [(&str, u64); 7] = [
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("min", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1000),
    ("ns", 1),
];

/// A length as nanoseconds; 584 years if it is longer.
pub(crate) fn nanoseconds(length: Duration) -> u64 {
    u64::try_from(length.as_nanos()).unwrap_or(u64::MAX)
}

/// A length of time: `20min`, `0.5min`, `90s`, `250ms`, `0s`.
///
/// # Errors
/// A sentence that says what is wrong and what to write.
pub fn parse(text: &str) -> Result<Duration, String> {
    let refuse =
        |why: &str| format!("`{text}` {why}; write a length of time such as 20min, 0.5min, 90s or 250ms");
    let trimmed = text.trim();
    let end = trimmed.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(trimmed.len());
    let (number, unit) = trimmed.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let (_, length) = UNITS
        .into_iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(unit.trim_start()))
        .ok_or_else(|| refuse("has no unit d, h, min, s, ms, us or ns"))?;
    let whole: u64 = whole.parse().map_err(|_| refuse("does not start with a number"))?;
    let digits = fraction.bytes().all(|digit| digit.is_ascii_digit());
    if !digits || fraction.is_empty() {
        return Err(refuse("does not start with a number"));
    }
    // Digits past the nanosecond of the longest unit mean nothing.
    let fraction = &fraction[..fraction.len().min(15)];
    let parts: u64 = fraction.parse().map_err(|_| refuse("does not start with a number"))?;
    let parts = u128::from(parts) * u128::from(length) / 10_u128.pow(fraction.len() as u32);
    let total = u128::from(whole) * u128::from(length) + parts;
    u64::try_from(total).map(Duration::from_nanos).map_err(|_| refuse("is longer than 584 years"))
}

pub(crate) fn write(length: Duration) -> String {
    let length = nanoseconds(length);
    if length == 0 {
        return "0s".to_owned();
    }
    let exact = UNITS.into_iter().find(|(_, unit)| length.is_multiple_of(*unit));
    let (name, unit) = exact.unwrap_or(("ns", 1));
    format!("{}{name}", length / unit)
}

pub(crate) fn serialize<S: Serializer>(length: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&write(*length))
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
}

/// The same for a length that may be absent.
pub(crate) mod option {
    use super::{Deserialize, Deserializer, Duration, Serializer};

    #[expect(clippy::ref_option, reason = "what serde asks for")]
    pub(crate) fn serialize<S: Serializer>(
        length: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match length {
            Some(length) => super::serialize(length, serializer),
            None => serializer.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(|text| super::parse(&text).map_err(serde::de::Error::custom)).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn zero_fractions_and_small_units() {
        for (text, nanoseconds) in [
            ("20min", 1_200_000_000_000),
            ("0.5min", 30_000_000_000),
            ("1.000000001 s", 1_000_000_001),
            ("0s", 0),
            ("250ms", 250_000_000),
            ("1d", 86_400_000_000_000),
            ("0.3333333333333333333333h", 1_199_999_999_999),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_nanos(nanoseconds)), "{text}");
        }
        for text in ["", "5", "min", "-1s", ".5s", "1.s", "1.5.5s", "1e3s", "99999999999d", "1 fortnight"] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert_eq!(nanoseconds(Duration::MAX), u64::MAX);
    }

    proptest! {
        #[test]
        fn what_is_written_reads_the_same(nanoseconds: u64) {
            let length = Duration::from_nanos(nanoseconds);
            prop_assert_eq!(parse(&write(length)), Ok(length));
        }
    }
}
