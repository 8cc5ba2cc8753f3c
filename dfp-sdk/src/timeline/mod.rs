//! The timeline: scored sessions as one HTML page that needs nothing but a browser.
//!
//! Time goes along, likelihood up. The page has zoom and pan, a strip of the whole time below, tooltips with the rarest
//! window, an upper bound, a list of what is selected, keyboard use, and a light and a dark look. `docs/timeline.md`
//! describes it for the analyst.
//!
//! ```
//! # use std::sync::Arc;
//! # use arrow_array::builder::{ListBuilder, StringBuilder};
//! # use arrow_array::{ArrayRef, Float64Array, RecordBatch, TimestampSecondArray};
//! use dfp_sdk::timeline::{Timeline, TimelineOptions};
//!
//! # let mut windows = ListBuilder::new(StringBuilder::new());
//! # windows.append_value([Some("New-Mailbox"), Some("Set-Mailbox")]);
//! # let scored = RecordBatch::try_from_iter([
//! #     ("first", Arc::new(TimestampSecondArray::from(vec![1_585_262_430])) as ArrayRef),
//! #     ("rarest_window3_likelihood", Arc::new(Float64Array::from(vec![2.1e-5]))),
//! #     ("rarest_window3", Arc::new(windows.finish())),
//! # ])?;
//! let mut options = TimelineOptions::new("first", "rarest_window3_likelihood", "rarest_window3");
//! options.upper_bound = Some(0.001);
//! let timeline = Timeline::new([&scored], &options)?;
//! assert_eq!(timeline.points().len(), 1);
//!
//! let mut page = Vec::new();
//! timeline.write_html(&mut page)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod choice;
mod page;
mod read;
mod text;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use arrow_array::RecordBatch;
use dfp_core::{Error, ErrorKind, Result};

pub use self::choice::TimelineChoice;

/// What the horizontal axis is called.
const X_LABEL: &str = "Event Time";
/// Empty margin on each side of the points, in hundredths of the time they cover: of the chart and of the strip below it.
const MARGIN: i64 = 10;
const STRIP_MARGIN: i64 = 15;
/// Points closer than this have margins as if they covered `WIDENED_SPAN`, both in nanoseconds.
const NARROW_SPAN: i64 = 10_000_000;
const WIDENED_SPAN: i64 = 600_000_000_000;

/// Which columns a [`Timeline`] shows, and how much of them.
#[derive(Debug, Clone, PartialEq)]
pub struct TimelineOptions {
    /// Column of the time, a timestamp of any unit; one without a zone is UTC.
    pub time_column: String,
    /// Column of the score, float64 or float32; the lower, the more unusual.
    pub score_column: String,
    /// Column of the rarest window: a list of events, each text or a struct of `name` and `params` (a list or a map).
    pub window_column: String,
    /// Sessions with a higher score are left out; one with exactly this score stays.
    pub upper_bound: Option<f64>,
    /// Further columns to show, of any type, in this order.
    pub source_columns: Vec<String>,
    /// What stands above the chart.
    pub title: String,
}

impl TimelineOptions {
    /// These three columns, no bound, no further columns, titled `Timeline`.
    pub fn new(
        time_column: impl Into<String>,
        score_column: impl Into<String>,
        window_column: impl Into<String>,
    ) -> Self {
        Self {
            time_column: time_column.into(),
            score_column: score_column.into(),
            window_column: window_column.into(),
            upper_bound: None,
            source_columns: Vec::new(),
            title: "Timeline".into(),
        }
    }

    fn check(&self) -> Result<()> {
        if self.upper_bound.is_some_and(f64::is_nan) {
            let what = "the upper bound of a timeline is not a number; leave it out to show every score";
            return Err(Error::new(ErrorKind::InvalidArgument, what));
        }
        Ok(())
    }
}

/// What became of the rows given: `rows` is the sum of the others.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct TimelineCounts {
    /// Rows given.
    pub rows: usize,
    /// Rows shown.
    pub shown: usize,
    /// Rows with a score above the bound.
    pub above_bound: usize,
    /// Rows whose score is null or not a finite number.
    pub without_score: usize,
    /// Rows with a score but without a time, or with one before the year 1678 or after 2262.
    pub without_time: usize,
}

/// One session of a timeline.
#[derive(Debug, Clone, PartialEq)]
pub struct Point<'a> {
    /// Nanoseconds since 1970, UTC.
    pub time: i64,
    /// The score.
    pub score: f64,
    /// The rarest window's events as text.
    pub window: Vec<&'a str>,
    /// The source columns' values as text, in the order of [`TimelineOptions::source_columns`].
    pub sources: Vec<Option<&'a str>>,
}

/// Scored sessions on a line of time, ready to be written as a page.
#[derive(Debug)]
pub struct Timeline {
    options: TimelineOptions,
    counts: TimelineCounts,
    /// One entry a session shown, in the order of the rows.
    times: Vec<i64>,
    scores: Vec<f64>,
    /// Which of `windows`.
    window_of: Vec<u32>,
    /// For each source column which of `texts`.
    sources: Vec<Vec<Option<u32>>>,
    texts: Distinct<str>,
    /// Which of `texts`, for each event of each distinct window.
    windows: Distinct<[u32]>,
}

impl Timeline {
    /// Reads the scored sessions of one or more batches. A timeline without a session is no error: see [`Timeline::is_empty`].
    ///
    /// # Errors
    /// If a batch lacks columns (all that are missing are named), if time or score have another type than
    /// [`TimelineOptions`] says, or if the bound is not a number.
    pub fn new<'a>(
        batches: impl IntoIterator<Item = &'a RecordBatch>,
        options: &TimelineOptions,
    ) -> Result<Self> {
        options.check()?;
        let mut timeline = Self {
            options: options.clone(),
            counts: TimelineCounts::default(),
            times: Vec::new(),
            scores: Vec::new(),
            window_of: Vec::new(),
            sources: vec![Vec::new(); options.source_columns.len()],
            texts: Distinct::default(),
            windows: Distinct::default(),
        };
        for batch in batches {
            timeline.read(batch)?;
        }
        Ok(timeline)
    }

    /// What stands above the chart.
    pub fn title(&self) -> &str {
        &self.options.title
    }

    /// What the horizontal axis is called.
    pub fn x_label(&self) -> &str {
        X_LABEL
    }

    /// What the vertical axis is called: the score column.
    pub fn y_label(&self) -> &str {
        &self.options.score_column
    }

    /// Names of what a tooltip shows, each once: time, score, window, source columns.
    pub fn tooltip_fields(&self) -> Vec<&str> {
        let options = &self.options;
        let mut fields: Vec<&str> = vec![&options.time_column, &options.score_column, &options.window_column];
        for column in &options.source_columns {
            if !fields.contains(&column.as_str()) {
                fields.push(column);
            }
        }
        fields
    }

    /// What became of the rows given.
    pub fn counts(&self) -> TimelineCounts {
        self.counts
    }

    /// Whether there is nothing to show; [`Timeline::summary`] says why, and so does the page.
    pub fn is_empty(&self) -> bool {
        self.times.is_empty()
    }

    /// How many sessions are shown, and why others are not, in one line.
    pub fn summary(&self) -> String {
        let TimelineCounts { rows, shown, above_bound, without_score, without_time } = self.counts;
        let mut clauses = vec![match (rows, shown) {
            (0, _) => "No data: there are no sessions".to_owned(),
            (_, 0) => format!("No data: none of {} sessions can be shown", grouped(rows)),
            _ => format!("{} of {} sessions", grouped(shown), grouped(rows)),
        }];
        let mut omitted = |count: usize, why: &str| {
            if count > 0 {
                clauses.push(format!("{} {why}", grouped(count)));
            }
        };
        let bound = self.options.upper_bound.unwrap_or(f64::INFINITY);
        let bound = if bound.abs() < 1e-4 { format!("{bound:e}") } else { bound.to_string() };
        omitted(above_bound, &format!("above {bound}"));
        omitted(without_score, "without a score");
        omitted(without_time, "without a time");
        clauses.join(", ")
    }

    /// The sessions shown, in the order of the rows.
    pub fn points(&self) -> impl ExactSizeIterator<Item = Point<'_>> {
        (0..self.times.len()).map(|row| Point {
            time: self.times[row],
            score: self.scores[row],
            window: self
                .windows
                .get(self.window_of[row])
                .iter()
                .map(|&event| self.texts.get(event))
                .collect(),
            sources: self.sources.iter().map(|of| of[row].map(|text| self.texts.get(text))).collect(),
        })
    }

    /// The time that the chart covers at first, in nanoseconds since 1970: from the first to the last session, and a
    /// margin of a tenth on each side; sessions of one moment have a minute on each side. `None` without sessions.
    pub fn time_range(&self) -> Option<(i64, i64)> {
        self.range(MARGIN)
    }

    /// The time that the strip below the chart covers, as [`Timeline::time_range`] but with wider margins.
    pub fn strip_range(&self) -> Option<(i64, i64)> {
        self.range(STRIP_MARGIN)
    }

    fn range(&self, margin: i64) -> Option<(i64, i64)> {
        let (first, last) = (*self.times.iter().min()?, *self.times.iter().max()?);
        let span = last.saturating_sub(first);
        let span = if span < NARROW_SPAN { WIDENED_SPAN } else { span };
        let margin = (i128::from(span) * i128::from(margin) / 100) as i64;
        Some((first.saturating_sub(margin), last.saturating_add(margin)))
    }
}

/// A number with its thousands apart.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.char_indices() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Things of which each is kept once, numbered in the order of their first appearance.
#[derive(Debug)]
struct Distinct<T: ?Sized> {
    numbers: HashMap<Arc<T>, u32>,
    things: Vec<Arc<T>>,
}

impl<T: ?Sized> Default for Distinct<T> {
    fn default() -> Self {
        Self { numbers: HashMap::new(), things: Vec::new() }
    }
}

impl<T: ?Sized + Eq + Hash> Distinct<T>
where
    for<'a> Arc<T>: From<&'a T>,
{
    fn number(&mut self, thing: &T) -> u32 {
        if let Some(&number) = self.numbers.get(thing) {
            return number;
        }
        let number = self.things.len() as u32;
        let thing: Arc<T> = thing.into();
        self.things.push(Arc::clone(&thing));
        self.numbers.insert(thing, number);
        number
    }

    fn get(&self, number: u32) -> &T {
        &self.things[number as usize]
    }
}
