//! Records that cannot be used: where they came from, why, and how many.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A record that cannot be used. It never vanishes: it goes to the rejects sink and into [`Counts`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reject {
    /// File or topic and position, as in the column `_origin`.
    pub origin: String,
    /// A short, stable word to count by: one of [`reason`]'s or a plugin's own.
    pub reason: Cow<'static, str>,
    /// What exactly was wrong, for a person.
    pub detail: String,
    /// The start of the record's own text, invalid UTF-8 replaced, at most [`Reject::EXCERPT_BYTES`] long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub excerpt: Option<String>,
}

impl Reject {
    /// How much of a rejected record is kept.
    pub const EXCERPT_BYTES: usize = 512;

    /// A reject without an excerpt.
    pub fn new(
        origin: impl Into<String>,
        reason: impl Into<Cow<'static, str>>,
        detail: impl Into<String>,
    ) -> Self {
        Self { origin: origin.into(), reason: reason.into(), detail: detail.into(), excerpt: None }
    }

    /// Keeps the start of the record's text.
    #[must_use]
    pub fn with_excerpt(mut self, record: &[u8]) -> Self {
        let mut text = String::from_utf8_lossy(&record[..record.len().min(Self::EXCERPT_BYTES)]).into_owned();
        // A replacement character is longer than the byte it stands for.
        let mut end = text.len().min(Self::EXCERPT_BYTES);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        self.excerpt = Some(text);
        self
    }
}

/// The words rejects are counted by.
pub mod reason {
    /// Not JSON, CSV or whatever the envelope promised.
    pub const MALFORMED: &str = "malformed";
    /// The file ends inside the record.
    pub const TRUNCATED: &str = "truncated";
    /// Longer than the record limit.
    pub const OVERSIZED: &str = "oversized";
    /// Nested more deeply than the limit.
    pub const TOO_DEEP: &str = "too-deep";
    /// Valid, but no record: a bare number, say.
    pub const NOT_A_RECORD: &str = "not-a-record";
    /// A record of another kind of log.
    pub const OTHER_CATEGORY: &str = "other-category";
    /// No event time, or none that can be read.
    pub const NO_TIME: &str = "no-time";
    /// An event time outside the accepted range.
    pub const TIME_OUT_OF_RANGE: &str = "time-out-of-range";
    /// An event that came after what it belongs to was given out.
    pub const LATE: &str = "late";
    /// Nothing that says what happened.
    pub const NO_EVENT: &str = "no-event";
    /// No entity to learn about.
    pub const NO_ENTITY: &str = "no-entity";
    /// The same record was already used.
    pub const DUPLICATE: &str = "duplicate";
    /// Left out by a skip or only list, or by the profile's filter.
    pub const NOT_SELECTED: &str = "not-selected";
}

/// How many records were read, used and rejected, the last by reason.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Records the source found.
    pub read: u64,
    /// Records that reached the end of the run.
    pub used: u64,
    /// Records that did not, by reason.
    pub rejected: BTreeMap<String, u64>,
}

impl Counts {
    /// All rejected records.
    pub fn rejected_total(&self) -> u64 {
        self.rejected.values().sum()
    }

    /// Whether every record read is accounted for.
    pub fn balanced(&self) -> bool {
        self.read == self.used + self.rejected_total()
    }

    /// Adds the counts of another part of the run.
    pub fn add(&mut self, other: &Self) {
        self.read += other.read;
        self.used += other.used;
        for (reason, n) in &other.rejected {
            *self.rejected.entry(reason.clone()).or_default() += n;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn excerpts_are_short_valid_text_whatever_the_bytes() {
        let hostile = vec![0xFF; 10_000];
        let reject = Reject::new("a.json:1", reason::MALFORMED, "bad").with_excerpt(&hostile);
        assert!(reject.excerpt.unwrap().len() <= Reject::EXCERPT_BYTES);
    }

    #[test]
    fn counts_add_up() {
        let mut all = Counts { read: 3, used: 2, rejected: [("malformed".to_owned(), 1)].into() };
        all.add(&Counts { read: 2, used: 0, rejected: [("malformed".to_owned(), 2)].into() });
        assert_eq!(all.rejected_total(), 3);
        assert!(all.balanced());
    }
}
