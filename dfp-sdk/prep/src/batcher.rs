//! Files to batches of files: dating, filtering, sampling and grouping by period (spec/dfp.md section 5). Nothing is
//! opened; a caller brings the modification time of files whose names hold no date.

use std::str::FromStr;

use crate::datetime::days_since_1970;
use crate::period::{DAY, SECOND};
use crate::{Error, Period, Result, Span};

/// The instant a file's path names, in nanoseconds since 1970, UTC; `None` if it names none.
///
/// Read are, first, the folders of cloud storage, `y=2022/m=08/d=01` and perhaps `/h=00/m=05`; then the first
/// `YYYY-M-D` anywhere in the path, perhaps followed by `T`, hour, minute and second with `:`, `_` or `.` between them
/// and a fraction of up to six digits (read as a fraction, quirk Q12); then `YYYYMMDDTHHMMZ` with or without seconds, as
/// in the names of CloudTrail's objects. The time is always UTC (quirk Q13).
///
/// # Errors
/// [`Error::FileDate`] if the digits are there but there is no such date, or it is outside 1677-09-21 to 2262-04-11.
///
/// ```
/// use dfp_prep::batcher::file_date;
///
/// let named = file_date("logs/AZUREAD_2022-08-01T03_02_04.418Z.json")?;
/// assert_eq!(named, Some(1_659_322_924_418_000_000));
/// assert_eq!(file_date("tenantId=1/y=2022/m=08/d=01/h=03/m=00/PT1H.json")?, Some(1_659_322_800_000_000_000));
/// assert_eq!(file_date("1_CloudTrail_us-east-1_20220801T0300Z_7xgocspSowgK0Gto.json.gz")?, Some(1_659_322_800_000_000_000));
/// assert_eq!(file_date("20220801.json")?, None);
/// assert!(file_date("2022-02-30.json").is_err());
/// # Ok::<(), dfp_prep::Error>(())
/// ```
pub fn file_date(path: &str) -> Result<Option<i64>> {
    let bytes = path.as_bytes();
    let starts = || (0..bytes.len()).map(|start| &bytes[start..]);
    let found =
        starts().find_map(folders).or_else(|| starts().find_map(iso_date)).or_else(|| compact_date(bytes));
    found.map(|found| found.instant(path)).transpose()
}

/// Digits found in a path.
struct Found {
    date: [i64; 3],
    time: [i64; 3],
    nanoseconds: i64,
}

impl Found {
    fn instant(&self, path: &str) -> Result<i64> {
        let impossible = |problem: String| Error::FileDate { path: path.to_owned(), problem };
        let [year, month, day] = self.date;
        let days = days_since_1970(year, month, day)
            .ok_or_else(|| impossible(format!("there is no {year:04}-{month:02}-{day:02}")))?;
        let [hour, minute, second] = self.time;
        if hour > 23 || minute > 59 || second > 59 {
            return Err(impossible(format!("there is no {hour:02}:{minute:02}:{second:02}")));
        }
        let seconds = days * 86_400 + hour * 3600 + minute * 60 + second;
        seconds
            .checked_mul(SECOND)
            .and_then(|instant| instant.checked_add(self.nanoseconds))
            .ok_or_else(|| impossible(format!("the year {year:04} is out of range")))
    }
}

/// A number of `least` to `most` digits, as many as there are, and what follows.
fn digits(text: &[u8], least: usize, most: usize) -> Option<(i64, &[u8])> {
    let n = text.iter().take(most).take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, rest) = text.split_at(n);
    (n >= least).then(|| (digits.iter().fold(0, |number, digit| number * 10 + i64::from(digit - b'0')), rest))
}

fn folders(text: &[u8]) -> Option<Found> {
    let (year, rest) = digits(text.strip_prefix(b"y=")?, 4, 4)?;
    let (month, rest) = digits(rest.strip_prefix(b"/m=")?, 1, 2)?;
    let (day, rest) = digits(rest.strip_prefix(b"/d=")?, 1, 2)?;
    let part = |name: &[u8], rest| digits(<[u8]>::strip_prefix(rest, name)?, 1, 2);
    let (hour, rest) = part(b"/h=", rest).unwrap_or((0, rest));
    let minute = part(b"/m=", rest).map_or(0, |(minute, _)| minute);
    Some(Found { date: [year, month, day], time: [hour, minute, 0], nanoseconds: 0 })
}

fn iso_date(text: &[u8]) -> Option<Found> {
    let (year, rest) = digits(text, 4, 4)?;
    let (month, rest) = digits(rest.strip_prefix(b"-")?, 1, 2)?;
    let (day, rest) = digits(rest.strip_prefix(b"-")?, 1, 2)?;
    let (time, nanoseconds) = iso_time(rest).unwrap_or(([0; 3], 0));
    Some(Found { date: [year, month, day], time, nanoseconds })
}

/// `YYYYMMDDTHHMMZ`, perhaps with seconds; no digit may stand before it.
fn compact_date(text: &[u8]) -> Option<Found> {
    text.split(|byte| !byte.is_ascii_alphanumeric()).find_map(|word| {
        let pair = |at: usize| digits(word.get(at..at + 2)?, 2, 2).map(|(number, _)| number);
        let year = digits(word.get(..4)?, 4, 4)?.0;
        let date = [year, pair(4)?, pair(6)?];
        let second = match word.get(8..)? {
            [b'T', _, _, _, _, b'Z'] => 0,
            [b'T', _, _, _, _, _, _, b'Z'] => pair(13)?,
            _ => return None,
        };
        Some(Found { date, time: [pair(9)?, pair(11)?, second], nanoseconds: 0 })
    })
}

/// Hour, minute, second and the fraction in nanoseconds: all or nothing.
fn iso_time(text: &[u8]) -> Option<([i64; 3], i64)> {
    let separator = |rest: &[u8]| rest.first().is_some_and(|byte| b":_.".contains(byte));
    let (hour, rest) = digits(text.strip_prefix(b"T")?, 1, 2)?;
    let (minute, rest) = separator(rest).then(|| digits(&rest[1..], 1, 2))??;
    let (second, rest) = separator(rest).then(|| digits(&rest[1..], 1, 2))??;
    let fraction = rest.strip_prefix(b".").unwrap_or_default();
    let (number, after) = digits(fraction, 0, 6)?;
    let places = (fraction.len() - after.len()) as u32;
    Some(([hour, minute, second], number * 10_i64.pow(9 - places)))
}

/// A file and its instant, in nanoseconds since 1970, UTC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatedFile {
    /// The path, as the caller gave it.
    pub path: String,
    /// From [`file_date`], or the modification time.
    pub time: i64,
}

/// Files that are processed together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileBatch {
    /// Paths, oldest first.
    pub files: Vec<String>,
    /// Periods from the first to the last file, empty ones included; without a period the number of files.
    pub n_groups: usize,
}

/// How files are grouped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupBy {
    /// By periods of fixed length, counted from midnight (UTC) of the first file's day.
    Every(Span),
    /// By calendar periods.
    Calendar(Period),
}

impl FromStr for GroupBy {
    type Err = String;

    /// `D`, `W` (Monday to Sunday), `M`, `Q`, `Y`, and seconds, minutes, hours and days with or without a number: `7h`,
    /// `2D`, `30min`.
    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse::<Period>() {
            Ok(period @ (Period::Week | Period::Month | Period::Quarter | Period::Year)) => {
                return Ok(Self::Calendar(period));
            }
            Ok(period) => return format!("1{period}").parse().map(Self::Every),
            Err(_) => {}
        }
        let multiple = text.trim_start_matches(|c: char| c.is_ascii_digit());
        if matches!(multiple, "W" | "w") {
            return Err(format!("`{text}`: several weeks are no period; use days"));
        }
        let unit = match multiple {
            "T" => "min",
            "S" => "s",
            other => other,
        };
        let number = &text[..text.len() - multiple.len()];
        format!("{number}{unit}").parse().map(Self::Every).map_err(|_| {
            format!("`{text}` is no period; use s, min, h or D with or without a number, or W, M, Q, Y")
        })
    }
}

/// Which files to take when not all are wanted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Sampling {
    /// The first file of each span, counted from midnight (UTC) of the first file's day.
    FirstOfEach(Span),
    /// This share of the files at random: 0 to below 1, rounded to a whole number of files.
    Fraction(f64),
    /// This many files at random.
    Count(usize),
}

impl FromStr for Sampling {
    type Err = String;

    /// A span such as `30min`, a number below 1 such as `0.1`, or a whole number.
    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(count) = text.parse() {
            return Ok(Self::Count(count));
        }
        match text.parse::<f64>() {
            Ok(fraction) if (0.0..1.0).contains(&fraction) => Ok(Self::Fraction(fraction)),
            Ok(_) => Err(format!("`{text}`: give a share below 1 or a whole number of files")),
            Err(_) => match text.parse() {
                Ok(GroupBy::Every(span)) => Ok(Self::FirstOfEach(span)),
                _ => Err(format!("`{text}` is neither a number nor a span such as 30min")),
            },
        }
    }
}

/// How to make batches of files.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct BatchOptions {
    /// One batch per period; without it, one batch of all files.
    pub group_by: Option<GroupBy>,
    /// Leave out files before this (nanoseconds since 1970, UTC).
    pub start: Option<i64>,
    /// Leave out files after this.
    pub end: Option<i64>,
    /// Take only some of the remaining files.
    pub sampling: Option<Sampling>,
    /// Makes the same random choice again.
    pub seed: u64,
}

/// Makes batches of files: those between start and end (both inclusive), sampled, oldest first (equal times in the
/// order given), grouped.
///
/// # Errors
/// [`Error::Config`] if more files are to be sampled than there are.
pub fn batch_files(mut files: Vec<DatedFile>, options: &BatchOptions) -> Result<Vec<FileBatch>> {
    let (start, end) = (options.start.unwrap_or(i64::MIN), options.end.unwrap_or(i64::MAX));
    files.retain(|file| (start..=end).contains(&file.time));
    files.sort_by_key(|file| file.time);
    if let Some(sampling) = options.sampling {
        files = sample(files, sampling, options.seed)?;
    }
    let (Some(first), Some(last)) = (files.first(), files.last()) else { return Ok(Vec::new()) };
    let Some(group_by) = options.group_by else {
        let n_groups = files.len();
        return Ok(vec![FileBatch { files: files.into_iter().map(|file| file.path).collect(), n_groups }]);
    };
    let midnight = midnight(first.time);
    let bin = |time: i64| match group_by {
        GroupBy::Every(span) => bin(time, midnight, span),
        GroupBy::Calendar(period) => period.number(time),
    };
    let n_groups = (bin(last.time) - bin(first.time)) as usize + 1;
    let groups = files.chunk_by(|a, b| bin(a.time) == bin(b.time));
    let paths = |group: &[DatedFile]| group.iter().map(|file| file.path.clone()).collect();
    Ok(groups.map(|group| FileBatch { files: paths(group), n_groups }).collect())
}

fn midnight(time: i64) -> i128 {
    i128::from(time.div_euclid(DAY)) * i128::from(DAY)
}

/// The number of a span of fixed length, counted from `origin`.
fn bin(time: i64, origin: i128, span: Span) -> i64 {
    ((i128::from(time) - origin) / i128::from(span.nanoseconds())) as i64
}

fn sample(mut files: Vec<DatedFile>, sampling: Sampling, seed: u64) -> Result<Vec<DatedFile>> {
    let count = match sampling {
        Sampling::FirstOfEach(span) => {
            let origin = files.first().map_or(0, |first| midnight(first.time));
            files.dedup_by_key(|file| bin(file.time, origin, span));
            return Ok(files);
        }
        Sampling::Fraction(fraction) => (fraction * files.len() as f64).round_ties_even() as usize,
        Sampling::Count(count) => count,
    };
    if count > files.len() {
        let problem = format!("{count} files asked for, but there are only {}", files.len());
        return Err(Error::config("sampling", problem));
    }
    let mut random = SplitMix(seed);
    let mut chosen: Vec<usize> = (0..files.len()).collect();
    for place in 0..count {
        let other = place + random.below((files.len() - place) as u64) as usize;
        chosen.swap(place, other);
    }
    chosen.truncate(count);
    chosen.sort_unstable();
    Ok(chosen.into_iter().map(|index| files[index].clone()).collect())
}

/// The generator `SplitMix64` (Steele, Lea, Flood 2014): small, and the same on every machine.
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number from 0 to `n` - 1. The bias of the multiplication is below `n` / 2^64.
    fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(n)) >> 64) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn files(times: &[i64]) -> Vec<DatedFile> {
        times.iter().map(|&time| DatedFile { path: format!("f{time}"), time: time * SECOND }).collect()
    }

    fn paths(batches: &[FileBatch]) -> Vec<String> {
        batches.iter().flat_map(|batch| batch.files.clone()).collect()
    }

    #[test]
    fn hours_in_sevens_run_on_over_midnight() {
        let day = 86_400;
        let options = BatchOptions { group_by: Some("7h".parse().unwrap()), ..BatchOptions::default() };
        let batches =
            batch_files(files(&[3 * 3600, 21 * 3600, day + 3600, day + 4 * 3600]), &options).unwrap();
        let found: Vec<_> = batches.iter().map(|batch| batch.files.len()).collect();
        assert_eq!(found, [1, 2, 1]);
        assert_eq!(batches[0].n_groups, 5);
    }

    #[test]
    fn sampling_is_repeatable_and_complete() {
        let all = files(&(0..100).collect::<Vec<_>>());
        let run = |sampling: &str, seed| {
            let sampling = Some(sampling.parse().unwrap());
            batch_files(all.clone(), &BatchOptions { sampling, seed, ..BatchOptions::default() })
        };
        let some = paths(&run("0.25", 7).unwrap());
        assert_eq!(some.len(), 25);
        assert_eq!(some, paths(&run("0.25", 7).unwrap()));
        assert_ne!(some, paths(&run("0.25", 8).unwrap()));
        assert_eq!(paths(&run("100", 1).unwrap()).len(), 100);
        assert_eq!(paths(&run("1", 1).unwrap()).len(), 1);
        assert!(run("0", 1).unwrap().is_empty());
        assert!(run("101", 1).is_err());
        assert_eq!(paths(&run("50s", 1).unwrap()), ["f0", "f50"]);
        for text in ["-1", "1.5", "nan", "often", "W"] {
            assert!(text.parse::<Sampling>().is_err(), "{text}");
        }
    }

    #[test]
    fn impossible_dates_are_errors() {
        for path in
            ["2022-02-30.json", "2022-13-01", "a/2022-08-01T24.00.00Z", "9999-12-31", "y=2022/m=00/d=01/x"]
        {
            assert!(file_date(path).is_err(), "{path}");
        }
    }

    proptest! {
        #[test]
        fn any_path_is_safe(path in "[0-9TZ:_./=ymdh-]{0,40}|.{0,40}") {
            let _ = file_date(&path);
        }

        #[test]
        fn every_file_lands_in_one_batch(times in prop::collection::vec(any::<i64>(), 0..30), group in 0..5_usize) {
            let texts = ["7h", "D", "W", "M", "30min"];
            let all: Vec<_> = times.iter().map(|&time| DatedFile { path: time.to_string(), time }).collect();
            let options = BatchOptions { group_by: Some(texts[group].parse().unwrap()), ..BatchOptions::default() };
            let batches = batch_files(all, &options).unwrap();
            let mut sorted = times;
            sorted.sort_unstable();
            prop_assert_eq!(paths(&batches), sorted.iter().map(i64::to_string).collect::<Vec<_>>());
            prop_assert!(batches.iter().all(|batch| batch.n_groups >= batches.len()));
        }
    }
}
