//! Settings of the model of sequences.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// Longest window that a column is made of.
const LONGEST_WINDOW: usize = 10_000;
/// Most reasons per session.
const MOST_REASONS: usize = 100;
/// Most windows of different lengths.
const MOST_WINDOWS: usize = 16;

/// Settings of the model of sequences. [`Config::default`] is what we advise; [`Config::parity`] is msticpy.
///
/// A model keeps its settings. Only [`max_values`](Self::max_values) touches what is counted; all others say how counts
/// become scores.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[allow(clippy::struct_excessive_bools)] // Settings that do not depend on each other.
pub struct Config {
    /// Lengths of the windows whose rarest one is looked for in every session, in events, each at least 1. The first one
    /// makes the score.
    pub windows: Vec<usize>,
    /// Whether sessions start and end with a token: how they begin and how they end then counts, and a session may be one
    /// event shorter than the window.
    pub tokens: bool,
    /// Takes windows' likelihoods to the power of 1 / length, so that those of different lengths compare.
    pub geometric_mean: bool,
    /// What takes the place of the 2 in the share of a command's events that have a parameter, `(n + 1) / (N + 2)`.
    pub parameter_smoothing: ParameterSmoothing,
    /// Whether a parameter that its command never had makes an event less likely.
    pub unseen_parameters: bool,
    /// Whether an event without parameters is less likely if its command usually has some.
    pub empty_parameters: bool,
    /// Parameters whose values count.
    pub modellable: Modellable,
    /// Parameters with more distinct values than this lose them all: their values never count, and take no memory. 0 for no
    /// limit.
    pub max_values: usize,
    /// Whether a session that is too short for a window is scored by its own likelihood. If not, it scores 0.
    pub short_sessions: bool,
    /// A model that learned from fewer sessions abstains: its scores are 0.
    pub min_sessions: u64,
    /// Most reasons per session, 0 for none.
    pub reasons: usize,
}

/// How the share of a command's `N` events that have a parameter is estimated from the `n` that had it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ParameterSmoothing {
    /// `(n + 1) / (N + 2)`: a parameter that is always there is likely, however many commands there are.
    Calibrated,
    /// `(n + 1) / (N + 2K)`, K being the number of commands and 2: msticpy's, in which even a parameter that is always there
    /// is unlikely until its command was seen more often than there are commands, twice over.
    Commands,
}

/// Which parameters' values count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Modellable {
    /// Parameters seen at least 20 times that have at most 20 distinct values, and at least 10 appearances for each.
    Heuristic,
    /// These. Names that never occur do no harm; none turns values off.
    Named(BTreeSet<String>),
}

impl Default for Config {
    fn default() -> Self {
        Self {
            windows: vec![3],
            tokens: true,
            geometric_mean: false,
            parameter_smoothing: ParameterSmoothing::Calibrated,
            unseen_parameters: true,
            empty_parameters: true,
            modellable: Modellable::Heuristic,
            max_values: 1000,
            short_sessions: true,
            min_sessions: 10,
            reasons: 3,
        }
    }
}

impl Config {
    /// What msticpy 3.0.2 does: same numbers to the last few bits.
    pub fn parity() -> Self {
        Self {
            parameter_smoothing: ParameterSmoothing::Commands,
            unseen_parameters: false,
            empty_parameters: false,
            max_values: 0,
            short_sessions: false,
            min_sessions: 0,
            ..Self::default()
        }
    }

    /// Refuses values that cannot work.
    ///
    /// # Errors
    /// [`Error::Config`], naming the field, the value and what is accepted.
    pub fn validate(&self) -> Result<()> {
        let windows = &self.windows;
        check(self.reasons <= MOST_REASONS, "sequence.reasons", &self.reasons, "0 to 100")?;
        let field = "sequence.windows";
        let number = (1..=MOST_WINDOWS).contains(&windows.len());
        check(number, field, windows, "1 to 16 lengths")?;
        let lengths = windows.iter().all(|length| (1..=LONGEST_WINDOW).contains(length));
        check(lengths, field, windows, "lengths of 1 to 10000 events")?;
        let distinct: BTreeSet<_> = windows.iter().collect();
        check(distinct.len() == windows.len(), field, windows, "every length once")
    }
}

fn check(
    fine: bool,
    field: &'static str,
    value: &impl std::fmt::Debug,
    accepted: &'static str,
) -> Result<()> {
    if fine { Ok(()) } else { Err(Error::Config { field, value: format!("{value:?}"), accepted }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_settings_are_valid_and_wrong_ones_are_named() {
        Config::default().validate().unwrap();
        Config::parity().validate().unwrap();
        for windows in [vec![], vec![0], vec![3, 3], vec![LONGEST_WINDOW + 1], (1..=17).collect()] {
            let why = Config { windows, ..Config::default() }.validate().unwrap_err().to_string();
            assert!(why.contains("sequence.windows"), "{why}");
        }
    }

    #[test]
    fn settings_are_read_from_part_of_them() {
        let read = |text| serde_json::from_str::<Config>(text);
        assert_eq!(read("{}").unwrap(), Config::default());
        let named = read(r#"{"windows":[2],"modellable":{"named":["Role"]}}"#).unwrap();
        assert_eq!(named.modellable, Modellable::Named(BTreeSet::from(["Role".to_owned()])));
        assert_eq!(named.windows, [2]);
        assert!(read(r#"{"window":2}"#).is_err());
    }
}
