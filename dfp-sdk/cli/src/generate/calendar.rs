//! Days, weekdays, holidays and the text of a time.

use jiff::civil::{Date, Weekday};

use super::Error;
use super::tables::{HOLIDAYS, HolidayRule};

/// Time in the span: units of 100 ns, Azure's clock, since the first midnight UTC.
pub(super) type Ticks = i64;

pub(super) const SECOND: Ticks = 10_000_000;
pub(super) const MINUTE: Ticks = 60 * SECOND;
pub(super) const HOUR: Ticks = 60 * MINUTE;
pub(super) const DAY: Ticks = 24 * HOUR;

/// Days known before and after the span: local days reach over its borders.
const MARGIN: i32 = 3;

/// The dates of the span, numbered from 0.
pub(super) struct Calendar {
    dates: Vec<Date>,
}

impl Calendar {
    pub(super) fn new(start: Date, days: u32) -> Result<Self, Error> {
        let outside = |source| Error::Dates { start, days, source };
        let last = i32::try_from(days).unwrap_or(i32::MAX).saturating_add(MARGIN);
        let date = |day: i32| start.checked_add(jiff::Span::new().try_days(day)?);
        // Asked first, so that an absurd number of days is refused before it is listed.
        date(last).map_err(outside)?;
        let dates = (-MARGIN..last).map(date).collect::<Result<_, _>>().map_err(outside)?;
        Ok(Self { dates })
    }

    pub(super) fn date(&self, day: i32) -> Date {
        let last = self.dates.len() as i32 - 1;
        self.dates[(day + MARGIN).clamp(0, last) as usize]
    }

    /// Days since 1970-01-01, for everything that follows the real calendar, such as browser releases.
    pub(super) fn epoch_day(&self, day: i32) -> i32 {
        days_since_epoch(self.date(day))
    }

    /// 0 is Monday.
    pub(super) fn weekday(&self, day: i32) -> usize {
        self.date(day).weekday().to_monday_zero_offset() as usize
    }

    pub(super) fn is_holiday(&self, country: &str, day: i32) -> bool {
        let date = self.date(day);
        HOLIDAYS.iter().any(|(place, rule)| *place == country && falls_on(rule, date))
    }

    /// `2022-03-30T14:52:21`, without a zone.
    pub(super) fn seconds(&self, at: Ticks) -> String {
        let mut stamp = self.stamp(at);
        stamp.truncate(19);
        stamp
    }

    /// Seconds since 1970-01-01.
    pub(super) fn epoch(&self, at: Ticks) -> i64 {
        i64::from(self.epoch_day(day_of(at))) * (DAY / SECOND) + at.rem_euclid(DAY) / SECOND
    }

    /// `2022-03-30T14:52:21.7062186`, without a zone.
    pub(super) fn stamp(&self, at: Ticks) -> String {
        let within = at.rem_euclid(DAY);
        let (hour, minute) = (within / HOUR, within / MINUTE % 60);
        let (second, fraction) = (within / SECOND % 60, within % SECOND);
        format!("{}T{hour:02}:{minute:02}:{second:02}.{fraction:07}", self.date(day_of(at)))
    }
}

/// The UTC day that a time falls on.
pub(super) fn day_of(at: Ticks) -> i32 {
    at.div_euclid(DAY) as i32
}

pub(super) fn days_since_epoch(date: Date) -> i32 {
    let since =
        jiff::civil::date(1970, 1, 1).until(date).expect("civil dates are never too far apart for days");
    since.get_days()
}

fn falls_on(rule: &HolidayRule, date: Date) -> bool {
    match *rule {
        HolidayRule::Fixed { month, day } => date.month() == month && date.day() == day,
        HolidayRule::Nth { month, nth, weekday } => {
            date.month() == month && date.weekday() == weekday && (date.day() - 1) / 7 == nth - 1
        }
        HolidayRule::EasterPlus(days) => days_since_epoch(date) == easter(date.year()) + days,
    }
}

/// The day of Easter Sunday since 1970-01-01 (the anonymous Gregorian computation).
fn easter(year: i16) -> i32 {
    let year = i32::from(year);
    let golden = year % 19;
    let century = year / 100;
    let correction = (century - century / 4 - (8 * century + 13) / 25 + 19 * golden + 15) % 30;
    let moon = correction - correction / 28 * (1 - 29 / (correction + 1) * ((21 - golden) / 11));
    let weekday = (year + year / 4 + moon + 2 - century + century / 4) % 7;
    let after = moon - weekday;
    let month = 3 + (after + 40) / 44;
    let day = after + 28 - 31 * (month / 4);
    days_since_epoch(jiff::civil::date(year as i16, month as i8, day as i8))
}

/// Saturdays and Sundays.
pub(super) const fn is_weekend(weekday: usize) -> bool {
    weekday >= Weekday::Saturday.to_monday_zero_offset() as usize
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn easter_is_where_it_was() {
        for day in
            [date(2022, 4, 17), date(2024, 3, 31), date(2025, 4, 20), date(2026, 4, 5), date(2038, 4, 25)]
        {
            assert_eq!(easter(day.year()), days_since_epoch(day), "{day}");
        }
    }

    #[test]
    fn stamps_have_seven_digits() {
        let calendar = Calendar::new(date(2026, 1, 5), 2).unwrap();
        assert_eq!(calendar.stamp(0), "2026-01-05T00:00:00.0000000");
        assert_eq!(calendar.stamp(DAY + 14 * HOUR + 52 * MINUTE + 1), "2026-01-06T14:52:00.0000001");
        assert_eq!(calendar.stamp(-1), "2026-01-04T23:59:59.9999999");
    }

    #[test]
    fn holidays_follow_the_country() {
        let calendar = Calendar::new(date(2026, 1, 5), 100).unwrap();
        let day = |month, of_month| days_since_epoch(date(2026, month, of_month)) - calendar.epoch_day(0);
        assert!(calendar.is_holiday("US", day(1, 19)), "the third Monday of January");
        assert!(!calendar.is_holiday("US", day(1, 26)));
        assert!(calendar.is_holiday("IN", day(1, 26)));
        assert!(calendar.is_holiday("GB", day(4, 3)), "Good Friday");
    }

    #[test]
    fn a_span_outside_of_all_calendars_is_refused() {
        assert!(Calendar::new(date(9999, 12, 30), 10).is_err());
        assert!(Calendar::new(date(2026, 1, 5), u32::MAX).is_err());
    }
}
