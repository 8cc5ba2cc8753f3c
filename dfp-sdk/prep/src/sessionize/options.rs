//! What makes a session.

use std::collections::BTreeSet;
use std::time::Duration;

use dfp_core::EVENT_TIME;
use serde::{Deserialize, Serialize};

use super::duration;
use crate::{Error, Result};

/// Which columns say who, when and what, and where sessions end.
///
/// ```
/// use std::time::Duration;
/// use dfp_prep::sessionize::SessionOptions;
///
/// let mut options = SessionOptions::new(["UserId", "ClientIP"], "TimeGenerated", "Operation");
/// options.limits.max_length = Duration::from_secs(20 * 60);
/// options.limits.max_separation = Duration::from_secs_f64(0.5 * 60.0);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionOptions {
    /// Columns that together say whose event it is; none puts all events into one sequence. Texts, numbers, booleans,
    /// times and dictionaries of these. Null is a value of its own, other than the empty text.
    pub identity: Vec<String>,
    /// When the event happened: a timestamp of any unit and zone, an ISO 8601 text (no zone means UTC), or a whole number
    /// of nanoseconds since 1970.
    #[serde(default = "event_time")]
    pub time: String,
    /// What happened, of any type: what of it goes into the list is the column's own value.
    pub event: String,
    /// Where sessions end.
    #[serde(default)]
    pub limits: SessionLimits,
    /// Where null identities stand in the order.
    #[serde(default)]
    pub nulls: NullOrder,
    /// Whether to add a column `number_distinct`: how many different commands are in the list (uint32).
    #[serde(default)]
    pub number_distinct: bool,
}

/// Where sessions end, and how much is held until they do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SessionLimits {
    /// Longest time from the first event to the last. Default 20 minutes.
    #[serde(with = "duration")]
    pub max_length: Duration,
    /// Longest time between two neighbouring events. Default 2 minutes.
    #[serde(with = "duration")]
    pub max_separation: Duration,
    /// Whether an event exactly at a limit still belongs to the session.
    pub bounds: Bounds,
    /// Most events in a session's list; those beyond are counted in `number_events` alone. Default: no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub list_limit: Option<u32>,
    /// How much later than a newer event an event may still come. Sessions are then given as soon as no event can join
    /// them, and events later than this are rejected. Default: input comes in any order, and sessions are given at its
    /// end.
    #[serde(with = "duration::option", skip_serializing_if = "Option::is_none")]
    pub lateness: Option<Duration>,
    /// Most events held at once; more are an error. Default: no limit but the memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_open_rows: Option<u32>,
}

impl Default for SessionLimits {
    fn default() -> Self {
        Self {
            max_length: Duration::from_secs(20 * 60),
            max_separation: Duration::from_secs(2 * 60),
            bounds: Bounds::Exclusive,
            list_limit: None,
            lateness: None,
            max_open_rows: None,
        }
    }
}

/// What happens to an event exactly at a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Bounds {
    /// It stays in the session: only what is longer splits. The default.
    #[default]
    Exclusive,
    /// It starts a new session, as with `row_window_session` of KQL.
    Inclusive,
}

/// Where null identities stand in the order of sessions. What is in a session does not depend on it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NullOrder {
    /// Before all values; the default.
    #[default]
    First,
    /// Where this text stands, and after it; after all values in a column that is not of text. The reference's word is
    /// `dummy_str`.
    As(String),
}

/// Column of the number of a session's events.
pub const NUMBER_EVENTS: &str = "number_events";
/// Column of the number of different commands in a session's list.
pub const NUMBER_DISTINCT: &str = "number_distinct";
/// Column of the time from a session's first event to its last.
pub const DURATION: &str = "duration";
/// Column of the `_record_id` of each listed event.
pub const RECORD_IDS: &str = "record_ids";

impl SessionOptions {
    /// Options with the limits that the published recipes have: 20 minutes, 2 minutes, no streaming.
    pub fn new<S: Into<String>>(
        identity: impl IntoIterator<Item = S>,
        time: impl Into<String>,
        event: impl Into<String>,
    ) -> Self {
        Self {
            identity: identity.into_iter().map(Into::into).collect(),
            time: time.into(),
            event: event.into(),
            limits: SessionLimits::default(),
            nulls: NullOrder::default(),
            number_distinct: false,
        }
    }

    /// Column of a session's first time.
    pub fn time_min(&self) -> String {
        format!("{}_min", self.time)
    }

    /// Column of a session's last time.
    pub fn time_max(&self) -> String {
        format!("{}_max", self.time)
    }

    /// Column of a session's events.
    pub fn event_list(&self) -> String {
        format!("{}_list", self.event)
    }

    /// Checks that every output column has a name of its own.
    ///
    /// # Errors
    /// [`Error::Config`], naming the key at fault.
    pub fn validate(&self) -> Result<()> {
        let mut taken: BTreeSet<String> =
            [DURATION, NUMBER_EVENTS, NUMBER_DISTINCT, RECORD_IDS].map(str::to_owned).into();
        for name in [self.time_min(), self.time_max(), self.event_list()] {
            if !taken.insert(name.clone()) {
                return Err(Error::config("event", format!("sessions would have two columns `{name}`")));
            }
        }
        for name in &self.identity {
            if !taken.insert(name.clone()) {
                return Err(Error::config(
                    "identity",
                    format!("`{name}` is listed twice or is another column of sessions; rename it"),
                ));
            }
        }
        self.limits.validate()
    }
}

impl SessionLimits {
    /// Checks the limits by themselves.
    ///
    /// # Errors
    /// [`Error::Config`], naming the key at fault.
    pub fn validate(&self) -> Result<()> {
        for (key, limit) in [("list_limit", self.list_limit), ("max_open_rows", self.max_open_rows)] {
            if limit == Some(0) {
                return Err(Error::config(key, "must be at least 1"));
            }
        }
        Ok(())
    }

    /// How far a session reaches.
    pub(super) fn reach(&self) -> Reach {
        let most = |limit: Duration| {
            let limit = duration::nanoseconds(limit);
            match self.bounds {
                Bounds::Exclusive => Some(limit),
                Bounds::Inclusive => limit.checked_sub(1),
            }
        };
        Reach(most(self.max_length).zip(most(self.max_separation)))
    }
}

/// How long after its first and after its last event a session takes another, in whole nanoseconds; `None` if it never
/// does.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reach(Option<(u64, u64)>);

impl Reach {
    /// The last time at which an event still joins. Exact at the ends of time, where sums stop.
    pub(super) fn end(self, first: i64, last: i64) -> Option<i64> {
        let (length, separation) = self.0?;
        Some(first.saturating_add_unsigned(length).min(last.saturating_add_unsigned(separation)))
    }

    /// Whether an event joins; `time` is not before `last`.
    pub(super) fn joins(self, first: i64, last: i64, time: i64) -> bool {
        self.end(first, last).is_some_and(|end| time <= end)
    }

    /// The last time at which what happens matters to the session.
    pub(super) fn deadline(self, first: i64, last: i64) -> i64 {
        self.end(first, last).unwrap_or(last)
    }
}

fn event_time() -> String {
    EVENT_TIME.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_hold_to_the_nanosecond_and_to_the_ends_of_time() {
        let limits = |length, separation, bounds| SessionLimits {
            max_length: Duration::from_nanos(length),
            max_separation: Duration::from_nanos(separation),
            bounds,
            ..SessionLimits::default()
        };
        let strict = limits(10, 4, Bounds::Exclusive).reach();
        assert!(strict.joins(0, 6, 10) && !strict.joins(0, 7, 11) && !strict.joins(0, 1, 6));
        let inclusive = limits(10, 4, Bounds::Inclusive).reach();
        assert!(inclusive.joins(0, 6, 9) && !inclusive.joins(0, 6, 10) && !inclusive.joins(0, 1, 5));
        let never = limits(10, 0, Bounds::Inclusive).reach();
        assert!(!never.joins(5, 5, 5));
        assert_eq!(never.deadline(i64::MIN, i64::MIN), i64::MIN);
        let endless = limits(u64::MAX, u64::MAX, Bounds::Exclusive).reach();
        assert!(endless.joins(i64::MIN, i64::MIN, i64::MAX));
        let almost = limits(u64::MAX, u64::MAX, Bounds::Inclusive).reach();
        assert!(
            !almost.joins(i64::MIN, i64::MIN, i64::MAX) && almost.joins(i64::MIN, i64::MIN, i64::MAX - 1)
        );
        assert!(almost.joins(i64::MAX - 1, i64::MAX - 1, i64::MAX));
    }

    #[test]
    fn options_survive_toml_and_mistakes_are_named() {
        let text = "identity = [\"u\"]\nevent = \"e\"\n[limits]\nmax_separation = \"0.5min\"\nlateness = \"0s\"\n\
                    [nulls]\nas = \"dummy_str\"";
        let options: SessionOptions = toml::from_str(text).unwrap();
        assert_eq!(options.limits.max_separation, Duration::from_secs(30));
        assert_eq!((options.limits.lateness, options.time.as_str()), (Some(Duration::ZERO), "_time"));
        let again = toml::from_str(&toml::to_string(&options).unwrap()).unwrap();
        assert_eq!(options, again);
        options.validate().unwrap();
        let mistake = |change: fn(&mut SessionOptions)| {
            let mut wrong = options.clone();
            change(&mut wrong);
            wrong.validate().unwrap_err().to_string()
        };
        assert!(mistake(|o| o.identity = vec!["duration".into()]).contains("identity: `duration`"));
        assert!(mistake(|o| o.identity = vec!["u".into(), "u".into()]).contains("listed twice"));
        assert!(mistake(|o| o.limits.list_limit = Some(0)).contains("list_limit"));
    }
}
