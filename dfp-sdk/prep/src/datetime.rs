//! ISO 8601 texts to nanoseconds since 1970, UTC. Written for the load path: no allocation, and any bytes are safe.

use crate::period::SECOND;

/// Reads `YYYY-MM-DD`, alone or followed by `T`, `t` or a blank, `HH:MM[:SS[.fraction]]` and a zone: `Z`, `+HH:MM`,
/// `+HHMM`, `+HH` or nothing, which is UTC. Blanks around it are ignored. `None` for anything else, for dates that do
/// not exist and for times outside 1677-09-21 to 2262-04-11. Digits past nanoseconds are cut off.
pub(crate) fn parse(text: &[u8]) -> Option<i64> {
    let mut rest = Cursor(text.trim_ascii());
    let year = rest.digits(4)?;
    rest.skip(b"-")?;
    let month = rest.digits(2)?;
    rest.skip(b"-")?;
    let day = rest.digits(2)?;
    let mut seconds = days_since_1970(year, month, day)? * 86_400;
    if rest.0.is_empty() {
        return nanoseconds(seconds, 0);
    }
    rest.skip(b"Tt ")?;
    let (hour, minute) = (rest.digits(2)?, (rest.skip(b":")?, rest.digits(2)?).1);
    let second = if rest.skip(b":").is_some() { rest.digits(2)? } else { 0 };
    // 60 is a leap second; it becomes the start of the next minute.
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let fraction = if rest.skip(b".,").is_some() { rest.fraction()? } else { 0 };
    seconds += hour * 3600 + minute * 60 + second - rest.zone()?;
    if rest.0.is_empty() { nanoseconds(seconds, fraction) } else { None }
}

fn nanoseconds(seconds: i64, fraction: i64) -> Option<i64> {
    i64::try_from(i128::from(seconds) * i128::from(SECOND) + i128::from(fraction)).ok()
}

/// The instant of an ISO 8601 text, in nanoseconds since 1970, UTC: `2022-08-01`, `2022-08-01T03:02:04.418Z`,
/// `2022-08-01 05:02+02:00`. Without a zone it is UTC. `None` if the text is no such instant, or outside 1677-09-21 to
/// 2262-04-11.
///
/// ```
/// assert_eq!(dfp_prep::parse_time("1970-01-01T01:00:01+01:00"), Some(1_000_000_000));
/// assert_eq!(dfp_prep::parse_time("yesterday"), None);
/// ```
pub fn parse_time(text: &str) -> Option<i64> {
    parse(text.as_bytes())
}

/// Days from 1970-01-01 to a date of the Gregorian calendar; `None` if there is no such date.
pub(crate) fn days_since_1970(year: i64, month: i64, day: i64) -> Option<i64> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        _ => return None,
    };
    if !(1..=length).contains(&day) {
        return None;
    }
    // Years from March, so that the leap day comes last.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    Some(
        year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + day_of_year - 719_468,
    )
}

/// What is left to read.
struct Cursor<'a>(&'a [u8]);

impl Cursor<'_> {
    fn digits(&mut self, n: usize) -> Option<i64> {
        let (digits, rest) = self.0.split_at_checked(n)?;
        let number = digits.iter().try_fold(0, |number, digit| {
            digit.is_ascii_digit().then(|| number * 10 + i64::from(digit - b'0'))
        })?;
        self.0 = rest;
        Some(number)
    }

    fn skip(&mut self, any_of: &[u8]) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        any_of.contains(first).then(|| {
            self.0 = rest;
            *first
        })
    }

    /// The digits after the point, as nanoseconds; at least one.
    fn fraction(&mut self) -> Option<i64> {
        let n = self.0.iter().take_while(|digit| digit.is_ascii_digit()).count();
        let (digits, rest) = self.0.split_at(n);
        self.0 = rest;
        let scale = (0..9).map(|place| SECOND / 10_i64.pow(place + 1));
        (n > 0).then(|| digits.iter().zip(scale).map(|(digit, scale)| i64::from(digit - b'0') * scale).sum())
    }

    /// Seconds east of UTC.
    fn zone(&mut self) -> Option<i64> {
        if self.0.is_empty() || self.skip(b"Zz").is_some() {
            return Some(0);
        }
        let sign = if self.skip(b"+-")? == b'-' { -1 } else { 1 };
        let hours = self.digits(2)?;
        let minutes = if self.0.is_empty() {
            0
        } else {
            let _ = self.skip(b":");
            self.digits(2)?
        };
        (hours <= 23 && minutes <= 59).then_some(sign * (hours * 3600 + minutes * 60))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn iso_forms_and_offsets() {
        let base = 1_659_322_924 * SECOND;
        let cases = [
            ("2022-08-01T03:02:04Z", base),
            (" 2022-08-01 03:02:04 ", base),
            ("2022-08-01t03:02:04.418z", base + 418_000_000),
            ("2022-08-01T03:02:04.1234567Z", base + 123_456_700),
            ("2022-08-01T03:02:04.123456789123+00:00", base + 123_456_789),
            ("2022-08-01T08:32:04+05:30", base),
            ("2022-07-31T22:02:04-0500", base),
            ("2022-08-01T05:02:04+02", base),
            ("2022-08-01T03:02", base - 4 * SECOND),
            ("2022-08-01", base - (3 * 3600 + 2 * 60 + 4) * SECOND),
            ("1969-12-31T23:59:59.5Z", -SECOND / 2),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(text.as_bytes()), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in [
            "",
            "None",
            "nan",
            "1659322924",
            "2022-02-30",
            "2022-13-01",
            "2022-00-10",
            "2022-08-01T",
            "2022-08-01T24:00:00",
            "2022-08-01T03:60",
            "2022-08-01T03:02:04.",
            "2022-08-01T03:02:04+",
            "2022-08-01T03:02:04X",
            "2022-08-01Z",
            "0001-01-01",
            "9999-12-31",
            "2022-8-1",
            "+022-08-01",
        ] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn agrees_with_jiff(nanoseconds in any::<i64>()) {
            let text = jiff::Timestamp::from_nanosecond(i128::from(nanoseconds)).unwrap().to_string();
            prop_assert_eq!(parse(text.as_bytes()), Some(nanoseconds), "{}", text);
        }

        #[test]
        fn any_bytes_are_safe(bytes: Vec<u8>) {
            let _ = parse(&bytes);
        }
    }
}
