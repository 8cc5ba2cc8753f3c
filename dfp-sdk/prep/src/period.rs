//! Lengths of time: fixed spans such as `90min`, and calendar periods such as a month.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Nanoseconds in a second.
pub(crate) const SECOND: i64 = 1_000_000_000;
/// Nanoseconds in a day.
pub(crate) const DAY: i64 = 86_400 * SECOND;

/// A fixed length of time, written as a whole number and a unit: `s`, `min`, `h`, `d` or `w`.
///
/// ```
/// use dfp_prep::Span;
///
/// assert_eq!("90min".parse::<Span>()?.nanoseconds(), 5_400_000_000_000);
/// assert_eq!("60d".parse::<Span>()?.to_string(), "60d");
/// assert!("0s".parse::<Span>().is_err());
/// # Ok::<(), String>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Span(i64);

/// The units of [`Span`], longest first.
const UNITS: [(&str, i64); 5] =
    [("w", 7 * DAY), ("d", DAY), ("h", 3600 * SECOND), ("min", 60 * SECOND), ("s", SECOND)];

impl Span {
    /// A span of whole days.
    pub const fn days(days: u16) -> Self {
        Self(days as i64 * DAY)
    }

    /// The length; always above 0.
    pub const fn nanoseconds(self) -> i64 {
        self.0
    }
}

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refuse = |why: &str| format!("`{text}` {why}; write a length of time such as 30min, 1h or 60d");
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let number: i64 = number.parse().map_err(|_| refuse("does not start with a whole number"))?;
        let unit = unit.trim_start();
        let (_, length) = UNITS
            .into_iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(unit))
            .ok_or_else(|| refuse("has no unit w, d, h, min or s"))?;
        match number.checked_mul(length) {
            Some(0) => Err(refuse("is no time at all")),
            Some(nanoseconds) => Ok(Self(nanoseconds)),
            None => Err(refuse("is longer than 292 years")),
        }
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exact =
            UNITS.into_iter().filter(|(name, _)| *name != "w").find(|(_, length)| self.0 % length == 0);
        let (unit, length) = exact.unwrap_or(("s", SECOND));
        write!(f, "{}{unit}", self.0 / length)
    }
}

impl TryFrom<String> for Span {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Span> for String {
    fn from(span: Span) -> Self {
        span.to_string()
    }
}

/// A calendar period of UTC time. A multiple such as `2D` is no period and is refused (quirk Q10).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Period {
    /// `s`: a second.
    Second,
    /// `min`: a minute.
    Minute,
    /// `h`: an hour.
    Hour,
    /// `D`: a day, the default.
    #[default]
    Day,
    /// `W`: Monday to Sunday.
    Week,
    /// `M`: a month.
    Month,
    /// `Q`: a quarter.
    Quarter,
    /// `Y`: a year.
    Year,
}

/// Spellings of the periods; the first of each is the one written.
const PERIODS: [(Period, &[&str]); 8] = [
    (Period::Second, &["s", "S"]),
    (Period::Minute, &["min", "T"]),
    (Period::Hour, &["h", "H"]),
    (Period::Day, &["D", "d"]),
    (Period::Week, &["W", "w"]),
    (Period::Month, &["M", "ME", "MS"]),
    (Period::Quarter, &["Q", "QE", "QS"]),
    (Period::Year, &["Y", "YE", "YS"]),
];

impl Period {
    /// The number of the period that holds this instant (nanoseconds since 1970, UTC). Later periods have higher
    /// numbers, neighbouring ones differ by one.
    pub fn number(self, nanoseconds: i64) -> i64 {
        let days = nanoseconds.div_euclid(DAY);
        match self {
            Self::Second => nanoseconds.div_euclid(SECOND),
            Self::Minute => nanoseconds.div_euclid(60 * SECOND),
            Self::Hour => nanoseconds.div_euclid(3600 * SECOND),
            Self::Day => days,
            // 1970-01-01 was a Thursday, three days after a Monday.
            Self::Week => (days + 3).div_euclid(7),
            Self::Month => months(days),
            Self::Quarter => months(days).div_euclid(3),
            Self::Year => months(days).div_euclid(12),
        }
    }
}

/// Months since January 1970 of a day counted from 1970-01-01, in the Gregorian calendar. Years are taken to start in
/// March, so that the leap day is their last.
fn months(days: i64) -> i64 {
    let from_march_0000 = days + 719_468;
    let era = from_march_0000.div_euclid(146_097);
    let day_of_era = from_march_0000.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    (era * 400 + year_of_era - 1970) * 12 + month_from_march + 2
}

impl FromStr for Period {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = PERIODS.into_iter().find(|(_, names)| names.contains(&text));
        known.map(|(period, _)| period).ok_or_else(|| {
            format!(
                "`{text}` is no calendar period; use s, min, h, D, W, M, Q or Y, without a number before it"
            )
        })
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = PERIODS.into_iter().find(|(period, _)| period == self).map_or("D", |(_, names)| names[0]);
        f.write_str(names)
    }
}

impl TryFrom<String> for Period {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Period> for String {
    fn from(period: Period) -> Self {
        period.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::{Date, date};

    fn at(day: Date) -> i64 {
        day.to_zoned(jiff::tz::TimeZone::UTC).unwrap().timestamp().as_nanosecond() as i64
    }

    #[test]
    fn periods_agree_with_a_calendar() {
        let mut day = date(1969, 1, 1);
        while day < date(2030, 1, 1) {
            let t = at(day);
            let months = (i64::from(day.year()) - 1970) * 12 + i64::from(day.month()) - 1;
            assert_eq!(Period::Month.number(t), months, "{day}");
            assert_eq!(Period::Quarter.number(t), months.div_euclid(3), "{day}");
            assert_eq!(Period::Year.number(t), i64::from(day.year()) - 1970, "{day}");
            assert_eq!(Period::Month.number(t + DAY - 1), months, "{day}");
            let monday = day.weekday().to_monday_zero_offset() == 0;
            assert_eq!(Period::Week.number(t) != Period::Week.number(t - 1), monday, "{day}");
            day = day.tomorrow().unwrap();
        }
    }

    #[test]
    fn extreme_instants_have_a_period() {
        for (period, _) in PERIODS {
            assert!(period.number(i64::MIN) < period.number(0));
            assert!(period.number(i64::MAX) > period.number(0));
        }
    }

    #[test]
    fn spellings_round_trip_and_multiples_are_refused() {
        for (period, names) in PERIODS {
            assert!(names.iter().all(|name| name.parse() == Ok(period)));
            assert_eq!(period.to_string().parse(), Ok(period));
        }
        assert!("2D".parse::<Period>().is_err());
        for text in ["1h", "30min", "15s", "60d"] {
            assert_eq!(text.parse::<Span>().unwrap().to_string(), text);
        }
        assert_eq!("2W".parse::<Span>().unwrap(), Span::days(14));
        for text in ["", "d", "-1d", "1.5h", "1 fortnight", "99999999999999w", "0d"] {
            assert!(text.parse::<Span>().is_err(), "{text}");
        }
    }
}
