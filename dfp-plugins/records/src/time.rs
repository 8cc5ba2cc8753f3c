//! Event times: ISO 8601, the dates of exporters' locales and numbers since 1970, as nanoseconds since 1970 UTC.

/// What a text says about time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    /// Nanoseconds since 1970-01-01 UTC.
    At(i64),
    /// A date with slashes: which number is the month has to be known first.
    Slash(SlashDate),
    /// A date that nanoseconds in 64 bits cannot hold (before 1677-09-21 or after 2262-04-11).
    OutOfRange,
}

/// Which number of a slash date comes first. One order holds for a whole file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DateOrder {
    MonthFirst,
    DayFirst,
}

/// A slash date before its order is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SlashDate {
    /// The number before the first slash; above 12 it can only be a day.
    pub(crate) first: u32,
    second: u32,
    year: u32,
    clock: Clock,
}

impl SlashDate {
    /// The moment meant under an order; `None` if there is no such day.
    pub(crate) fn resolve(&self, order: DateOrder) -> Option<Moment> {
        let (month, day) = match order {
            DateOrder::MonthFirst => (self.first, self.second),
            DateOrder::DayFirst => (self.second, self.first),
        };
        moment(self.year, month, day, self.clock)
    }
}

/// A time of day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Clock {
    /// Seconds since midnight, of UTC once the offset is taken off: may be below zero or beyond a day.
    seconds: i64,
    nanos: u32,
}

/// Reads `YYYY-MM-DDTHH:MM[:SS[.digits]]`, `YYYYMMDDTHHMMSS`, `M/D/YYYY[,] H:MM[:SS[.digits]] [AM|PM]` or
/// `D.M.YYYY[,] H:MM[:SS[.digits]]`, each with `Z`, an offset or nothing (UTC) after it; or a number since 1970, of nine
/// digits at least. Digits beyond the nanosecond are cut. `None` if it is no such text.
pub(crate) fn parse(text: &[u8]) -> Option<Moment> {
    let mut text = Digits { rest: text.trim_ascii() };
    if text.rest.get(4) == Some(&b'-') {
        return iso(&mut text);
    }
    if text.rest.get(8) == Some(&b'T') {
        return basic(&mut text);
    }
    if text.rest.len() >= SHORTEST_NUMBER && text.rest[..SHORTEST_NUMBER].iter().all(u8::is_ascii_digit) {
        return since_1970(text.rest);
    }
    let first = text.number(1, 2)?;
    // Countries that write dots put the day first.
    let dots = text.expect(b'.').is_some();
    let separator = if dots { b'.' } else { b'/' };
    dots.then_some(()).or_else(|| text.expect(separator))?;
    let second = text.number(1, 2)?;
    text.expect(separator)?;
    let year = text.number(4, 4)?;
    let _ = text.expect(b',');
    if !text.blanks() {
        return None;
    }
    let clock = clock(&mut text)?;
    if first == 0 || second == 0 || first.max(second) > 31 || first.min(second) > 12 {
        return None;
    }
    let date = SlashDate { first, second, year, clock };
    if dots { date.resolve(DateOrder::DayFirst) } else { Some(Moment::Slash(date)) }
}

/// Digits of the shortest number that is a time: those with fewer are before 1973, and more likely something else.
const SHORTEST_NUMBER: usize = 9;

/// Seconds since 1970, or thousandths, millionths or billionths of them, whichever makes a year from 1973 to 5138.
fn since_1970(text: &[u8]) -> Option<Moment> {
    let whole = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let mut rest = Digits { rest: &text[whole..] };
    let fraction = if rest.expect(b'.').is_some() { rest.fraction()? } else { 0 };
    if whole > 19 || !rest.rest.is_empty() {
        return None;
    }
    let number = text[..whole].iter().fold(0_i128, |number, digit| number * 10 + i128::from(digit - b'0'));
    let unit = match whole {
        ..=11 => 1_000_000_000,
        12..=14 => 1_000_000,
        15..=17 => 1_000,
        _ => 1,
    };
    let nanos = number * unit + i128::from(fraction) * unit / 1_000_000_000;
    Some(i64::try_from(nanos).map_or(Moment::OutOfRange, Moment::At))
}

/// `YYYYMMDDTHHMMSS`.
fn basic(text: &mut Digits<'_>) -> Option<Moment> {
    let (year, month, day) = (text.number(4, 4)?, text.number(2, 2)?, text.number(2, 2)?);
    text.expect(b'T')?;
    let (hour, minute, second) = (text.number(2, 2)?, text.number(2, 2)?, text.number(2, 2)?);
    let clock = text.clock(hour, minute, second)?;
    moment(year, month, day, clock)
}

fn iso(text: &mut Digits<'_>) -> Option<Moment> {
    let year = text.number(4, 4)?;
    text.expect(b'-')?;
    let month = text.number(2, 2)?;
    text.expect(b'-')?;
    let day = text.number(2, 2)?;
    text.expect(b'T').or_else(|| text.expect(b't')).or_else(|| text.expect(b' '))?;
    let clock = clock(text)?;
    moment(year, month, day, clock)
}

/// The time of day with its half-day mark and offset; nothing may follow.
fn clock(text: &mut Digits<'_>) -> Option<Clock> {
    let hour = text.number(1, 2)?;
    text.expect(b':')?;
    let minute = text.number(2, 2)?;
    let second = if text.expect(b':').is_some() { text.number(2, 2)? } else { 0 };
    text.clock(hour, minute, second)
}

fn moment(year: u32, month: u32, day: u32, clock: Clock) -> Option<Moment> {
    if !(1..=12).contains(&month) || day == 0 || day > days_in_month(year, month) {
        return None;
    }
    let seconds = days_since_1970(year, month, day) * 86_400 + clock.seconds;
    let nanos = i128::from(seconds) * 1_000_000_000 + i128::from(clock.nanos);
    Some(i64::try_from(nanos).map_or(Moment::OutOfRange, Moment::At))
}

fn days_in_month(year: u32, month: u32) -> u32 {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        2 => 28 + u32::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days of the proleptic Gregorian calendar, counted in years that begin in March so that the leap day comes last.
fn days_since_1970(year: u32, month: u32, day: u32) -> i64 {
    const DAYS_TO_1970: i64 = 719_468;
    let year = i64::from(year) - i64::from(month <= 2);
    let month_from_march = i64::from((month + 9) % 12);
    let day_of_year = (153 * month_from_march + 2) / 5 + i64::from(day) - 1;
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    year * 365 + leap_days + day_of_year - DAYS_TO_1970
}

struct Digits<'a> {
    rest: &'a [u8],
}

impl Digits<'_> {
    fn expect(&mut self, byte: u8) -> Option<()> {
        self.rest = self.rest.strip_prefix(&[byte])?;
        Some(())
    }

    /// Passes blanks, also the narrow and the no-break kind that locales put before AM and PM; whether there were any.
    fn blanks(&mut self) -> bool {
        let before = self.rest.len();
        while let Some(rest) = [&b" "[..], b"\xE2\x80\xAF", b"\xC2\xA0"]
            .into_iter()
            .find_map(|blank| self.rest.strip_prefix(blank))
        {
            self.rest = rest;
        }
        self.rest.len() < before
    }

    /// The rest of a time of day whose seconds were passed.
    fn clock(&mut self, hour: u32, minute: u32, second: u32) -> Option<Clock> {
        let nanos = if self.expect(b'.').is_some() { self.fraction()? } else { 0 };
        self.blanks();
        let hour = self.half_day(hour)?;
        self.blanks();
        let offset = self.offset()?;
        // Second 60 is a leap second: it is the first of the next minute.
        if hour > 23 || minute > 59 || second > 60 || !self.rest.is_empty() {
            return None;
        }
        Some(Clock { seconds: i64::from(hour * 3600 + minute * 60 + second) - offset, nanos })
    }

    /// A number of `least` to `most` digits.
    #[inline]
    fn number(&mut self, least: usize, most: usize) -> Option<u32> {
        let mut value = 0;
        let mut length = 0;
        while length < most {
            let Some(digit) = self.rest.get(length).filter(|byte| byte.is_ascii_digit()) else { break };
            value = value * 10 + u32::from(digit - b'0');
            length += 1;
        }
        self.rest = &self.rest[length..];
        (length >= least).then_some(value)
    }

    /// Digits after the point, as nanoseconds.
    fn fraction(&mut self) -> Option<u32> {
        let digits = self.rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let kept = digits.min(9);
        let value = self.rest[..kept].iter().fold(0, |value, digit| value * 10 + u32::from(digit - b'0'));
        self.rest = &self.rest[digits..];
        (digits > 0).then(|| value * 10_u32.pow(9 - kept as u32))
    }

    /// The hour of the day, with AM or PM taken in if it stands here.
    fn half_day(&mut self, hour: u32) -> Option<u32> {
        let afternoon = match self.rest {
            [b'a' | b'A', b'm' | b'M', ..] => 0,
            [b'p' | b'P', b'm' | b'M', ..] => 12,
            _ => return Some(hour),
        };
        self.rest = &self.rest[2..];
        (1..=12).contains(&hour).then_some(hour % 12 + afternoon)
    }

    /// Seconds east of UTC.
    fn offset(&mut self) -> Option<i64> {
        let sign = match self.rest {
            [] => return Some(0),
            [b'Z' | b'z', ..] => {
                self.rest = &self.rest[1..];
                return Some(0);
            }
            [b'+', ..] => 1,
            [b'-', ..] => -1,
            _ => return None,
        };
        self.rest = &self.rest[1..];
        let hours = self.number(2, 2)?;
        let minutes =
            if self.expect(b':').is_some() || !self.rest.is_empty() { self.number(2, 2)? } else { 0 };
        (hours < 24 && minutes < 60).then(|| sign * i64::from(hours * 3600 + minutes * 60))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;
    /// 2007-01-09T09:41:00Z.
    const LAUNCH: i64 = 1_168_335_660 * SECOND;

    fn at(text: &str, order: DateOrder) -> Option<Moment> {
        match parse(text.as_bytes())? {
            Moment::Slash(date) => date.resolve(order),
            other => Some(other),
        }
    }

    #[test]
    fn the_forms_of_one_moment() {
        for text in [
            "2007-01-09T09:41:00Z",
            "2007-01-09T09:41:00",
            "2007-01-09 09:41:00+00:00",
            " 2007-01-09t09:41z ",
            "2007-01-09T11:41:00+02:00",
            "2007-01-09T11:41:00+0200",
            "2007-01-08T23:41:00-10",
            "01/09/2007 09:41:00",
            "1/9/2007 9:41:00 AM",
            "1/9/2007, 9:41:00 am",
            "1/9/2007, 9:41:00\u{202f}AM",
            "1/9/2007 10:41:00 AM +01:00",
            "1/9/2007 9:41",
            "09.01.2007 09:41",
            "9.1.2007, 9:41:00",
            "20070109T094100Z",
            "20070109T114100+0200",
            "1168335660",
            "1168335660.0",
            "1168335660000",
            "1168335660000000",
            "1168335660000000000",
        ] {
            assert_eq!(at(text, DateOrder::MonthFirst), Some(Moment::At(LAUNCH)), "{text}");
        }
        assert_eq!(at("9/1/2007 9:41:00 AM", DateOrder::DayFirst), Some(Moment::At(LAUNCH)));
        assert_eq!(
            at("1/9/2007, 9:41:00 PM", DateOrder::MonthFirst),
            Some(Moment::At(LAUNCH + 43_200 * SECOND))
        );
        assert_eq!(
            at("1/9/2007 12:41 AM", DateOrder::MonthFirst),
            Some(Moment::At(LAUNCH - 9 * 3600 * SECOND))
        );
    }

    #[test]
    fn fractions_of_any_length() {
        for (text, nanos) in [
            ("2", 200_000_000),
            ("6816663", 681_666_300),
            ("535404056", 535_404_056),
            ("5354040569999", 535_404_056),
        ] {
            let moment = parse(format!("2007-01-09T09:41:00.{text}Z").as_bytes());
            assert_eq!(moment, Some(Moment::At(LAUNCH + nanos)), "{text}");
        }
    }

    #[test]
    fn what_is_no_time() {
        for text in [
            "",
            "-",
            "nan",
            "2007-01-09",
            "2007-13-09T09:41:00Z",
            "2007-02-29T09:41:00Z",
            "2007-01-09T24:00:00Z",
            "2007-01-09T09:41:00.Z",
            "2007-01-09T09:41:00ZZ",
            "1/9/07 9:41 AM",
            "13/13/2007 9:41",
            "0/9/2007 9:41",
            "1/9/2007 13:41:00 PM",
            "1/9/20079:41",
            "11683356",
            "1168335660x",
            "11683356600000000000",
            "20070109T0941Z",
            "13.13.2007 9:41",
            "2007-01-09T09:41:00+99:00",
        ] {
            assert_eq!(at(text, DateOrder::MonthFirst), None, "{text}");
        }
        assert_eq!(at("31/2/2007 9:41", DateOrder::DayFirst), None);
    }

    #[test]
    fn the_calendar_and_its_ends() {
        assert_eq!(parse(b"1970-01-01T00:00:00Z"), Some(Moment::At(0)));
        assert_eq!(parse(b"2000-02-29T23:59:60Z"), Some(Moment::At(951_868_800 * SECOND)));
        assert_eq!(parse(b"2262-04-11T23:47:16.854775807Z"), Some(Moment::At(i64::MAX)));
        assert_eq!(parse(b"2262-04-11T23:47:16.854775808Z"), Some(Moment::OutOfRange));
        assert_eq!(parse(b"0001-01-01T00:00:00Z"), Some(Moment::OutOfRange));
        assert_eq!(parse(b"1532951895.123456"), Some(Moment::At(1_532_951_895_123_456_000)));
        assert_eq!(parse(b"99999999999"), Some(Moment::OutOfRange));
    }
}
