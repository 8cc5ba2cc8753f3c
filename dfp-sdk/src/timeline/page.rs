//! The page: a template made from `dfp-sdk/timeline`, with the sessions as JSON in it.

use std::io::{self, BufWriter, Write};

use dfp_core::{Error, Result};
use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};

use super::{Timeline, TimelineCounts};

const TEMPLATE: &str = include_str!("page.html");
/// Where the sessions stand in the template.
pub(super) const PLACE: &str = "@SESSIONS@";

/// What the page's script reads. Columns, one entry a session; what repeats is a number of `texts` or `windows`.
#[derive(Serialize)]
struct Data<'a> {
    title: &'a str,
    summary: String,
    counts: TimelineCounts,
    x_label: &'a str,
    time_column: &'a str,
    score_column: &'a str,
    window_column: &'a str,
    source_columns: &'a [String],
    upper_bound: Option<f64>,
    /// In milliseconds since 1970.
    range: Option<(f64, f64)>,
    strip_range: Option<(f64, f64)>,
    texts: Vec<&'a str>,
    windows: Vec<&'a [u32]>,
    /// Whole milliseconds since 1970, and the nanoseconds beyond them, where there are any.
    milliseconds: Vec<i64>,
    nanoseconds: Option<Vec<i64>>,
    scores: &'a [f64],
    window_of: &'a [u32],
    sources: &'a [Vec<Option<u32>>],
}

impl Timeline {
    /// Writes the page, whole: it needs no other file and asks nothing of any network.
    ///
    /// # Errors
    /// If writing fails.
    pub fn write_html(&self, out: impl Write) -> Result<()> {
        self.write(out).map_err(|e| Error::io("writing the timeline's page", e))
    }

    fn write(&self, out: impl Write) -> io::Result<()> {
        let mut out = BufWriter::new(out);
        let (before, after) = TEMPLATE.split_once(PLACE).expect("a test looks for the place");
        out.write_all(before.as_bytes())?;
        self.data().serialize(&mut Serializer::with_formatter(&mut out, InScript))?;
        out.write_all(after.as_bytes())?;
        out.flush()
    }

    fn data(&self) -> Data<'_> {
        let milliseconds = |(from, to): (i64, i64)| (from as f64 / 1e6, to as f64 / 1e6);
        let beyond = |time: &i64| time.rem_euclid(1_000_000);
        let options = &self.options;
        Data {
            title: self.title(),
            summary: self.summary(),
            counts: self.counts,
            x_label: self.x_label(),
            time_column: &options.time_column,
            score_column: &options.score_column,
            window_column: &options.window_column,
            source_columns: &options.source_columns,
            upper_bound: options.upper_bound.filter(|bound| bound.is_finite()),
            range: self.time_range().map(milliseconds),
            strip_range: self.strip_range().map(milliseconds),
            texts: self.texts.things.iter().map(AsRef::as_ref).collect(),
            windows: self.windows.things.iter().map(AsRef::as_ref).collect(),
            milliseconds: self.times.iter().map(|time| time.div_euclid(1_000_000)).collect(),
            nanoseconds: self
                .times
                .iter()
                .any(|time| beyond(time) > 0)
                .then(|| self.times.iter().map(beyond).collect()),
            scores: &self.scores,
            window_of: &self.window_of,
            sources: &self.sources,
        }
    }
}

/// JSON that stays inside the `script` element it is written into, whatever the texts say.
struct InScript;

impl Formatter for InScript {
    fn write_string_fragment<W: ?Sized + Write>(&mut self, out: &mut W, fragment: &str) -> io::Result<()> {
        let special = |c: char| matches!(c, '<' | '>' | '&' | '\u{2028}' | '\u{2029}');
        let mut rest = fragment;
        while let Some(at) = rest.find(special) {
            let (before, after) = rest.split_at(at);
            let c = after.chars().next().unwrap_or_default();
            write!(out, "{before}\\u{:04x}", u32::from(c))?;
            rest = &after[c.len_utf8()..];
        }
        out.write_all(rest.as_bytes())
    }
}
