//! Probabilities, derived from counts when they are asked for.
//!
//! Add-one smoothing on every pair that can be (msticpy 3.0.2; Jurafsky and Martin, Speech and Language Processing, chapter
//! 3). With N sessions, C commands, K = C + 2, n for counts:
//!
//! * `prior(x) = (n(x) + 2K) / S` of a command, `(N + K) / S` of start and end, `2K / S` of an unknown command, with
//!   `S = T + 2N + 2K^2` and T events in all;
//! * `P(b after a) = (n(a, b) + 1) / (n(a) + K)`, with N in place of n(a) after the start, 0 after an unknown command;
//! * `P(q given c) = (n(c, q) + 1) / (n(c) + D)` of a parameter q, 1 / (n(c) + D) of those that the command never had, with
//!   D = 2, or 2K as msticpy has it;
//! * `P(x given q) = (n(q, x) + 1) / (V + D + 1)` of a value x, V being q's occurrences with a value and D its distinct values.
//!
//! A pair that was never seen has the same probability as one with something unknown, so nothing is stored for either.

use std::collections::{BTreeMap, BTreeSet};

use super::config::{Config, Modellable, ParameterSmoothing};
use super::counts::{BOUNDARY, Counts, Values, number};
use super::product::Product;
use super::vocabulary::UNKNOWN;

/// msticpy's bounds for parameters whose values count.
const MOST_DISTINCT: f64 = 20.0;
const LEAST_APPEARANCES: f64 = 20.0;
const APPEARANCES_PER_VALUE: f64 = 10.0;

/// Counts, and the sums of them that probabilities divide by.
#[derive(Debug, Clone)]
pub(super) struct Probabilities {
    pub(super) counts: Counts,
    /// N.
    pub(super) sessions: f64,
    /// K: commands, end, unknown.
    symbols: f64,
    /// S: the sum of all smoothed counts of commands.
    total: f64,
    smoothing: ParameterSmoothing,
    commands: Vec<Command>,
    parameters: Vec<Parameter>,
    unknown: Command,
}

/// What is known of a command's events.
#[derive(Debug, Clone)]
pub(super) struct Command {
    /// n(c).
    occurrences: f64,
    /// The probability that an event of it has none of its parameters, and none that it never had.
    pub(super) absent: Product,
    /// Number of factors in that: its parameters and one.
    pub(super) factors: usize,
    /// Parameters that most of its events have, the most usual first.
    pub(super) usual: Vec<u32>,
}

#[derive(Debug, Clone, Copy)]
struct Parameter {
    /// V + D + 1.
    values: f64,
    modelled: bool,
}

impl Command {
    fn new(occurrences: f64) -> Self {
        Self { occurrences, absent: Product::ONE, factors: 0, usual: Vec::new() }
    }
}

impl Probabilities {
    pub(super) fn new(counts: &Counts, config: &Config) -> Self {
        let counts = counts.in_order();
        let mut rows = vec![0_u64; counts.commands.len()];
        let mut sessions = 0_u64;
        for (from, _, units) in counts.transitions.units() {
            let row = if from == BOUNDARY { &mut sessions } else { &mut rows[from as usize] };
            *row = row.saturating_add(units);
        }
        let commands: Vec<Command> = rows.into_iter().map(|units| Command::new(number(units))).collect();
        let sessions = number(sessions);
        let symbols = commands.len() as f64 + 2.0;
        let events: f64 = commands.iter().map(|command| command.occurrences).sum();
        let mut all = Self {
            sessions,
            symbols,
            total: events + 2.0 * sessions + 2.0 * symbols * symbols,
            smoothing: config.parameter_smoothing,
            commands,
            parameters: parameters(&counts, &config.modellable),
            unknown: Command::new(0.0),
            counts,
        };
        all.find_absent();
        all
    }

    /// Multiplies what [`Command::absent`] is made of, in the order of the parameters' names.
    fn find_absent(&mut self) {
        let without = |all: &Self, command: &mut Command, parameter, presence: f64| {
            let absence = all.total_of(command) - presence;
            command.absent = command.absent * (absence / all.total_of(command));
            command.factors += 1;
            if presence > absence {
                command.usual.push(parameter);
            }
        };
        let mut unknown = self.unknown.clone();
        without(self, &mut unknown, UNKNOWN, 1.0);
        let mut commands = std::mem::take(&mut self.commands);
        for (command, parameter, units) in self.counts.command_parameters.sorted() {
            let command = &mut commands[command as usize];
            let presence = number(units).min(command.occurrences) + 1.0;
            without(self, command, parameter, presence);
        }
        for (number, command) in commands.iter_mut().enumerate() {
            without(self, command, UNKNOWN, 1.0);
            let seen = |parameter: &u32| self.counts.command_parameters.get(number as u32, *parameter);
            command.usual.sort_by(|a, b| seen(b).partial_cmp(&seen(a)).expect("counts are numbers"));
        }
        (self.commands, self.unknown) = (commands, unknown);
    }

    /// n(c) + D.
    fn total_of(&self, command: &Command) -> f64 {
        command.occurrences
            + match self.smoothing {
                ParameterSmoothing::Calibrated => 2.0,
                ParameterSmoothing::Commands => 2.0 * self.symbols,
            }
    }

    pub(super) fn command(&self, number: u32) -> &Command {
        self.commands.get(number as usize).unwrap_or(&self.unknown)
    }

    /// Of a command; of [`BOUNDARY`], the start or the end.
    pub(super) fn prior(&self, command: u32) -> f64 {
        let smoothed = match command {
            BOUNDARY => self.sessions + self.symbols,
            known_or_not => self.command(known_or_not).occurrences + 2.0 * self.symbols,
        };
        smoothed / self.total
    }

    /// Of a command, or the end, after another one, or the start.
    pub(super) fn transition(&self, from: u32, to: u32) -> f64 {
        let row = if from == BOUNDARY { self.sessions } else { self.command(from).occurrences };
        let pair = self.counts.transitions.get(from, to).unwrap_or(0.0);
        (pair + 1.0) / (row + self.symbols)
    }

    /// How many events of a command had a parameter, if any did.
    pub(super) fn seen(&self, command: u32, parameter: u32) -> Option<f64> {
        let seen = self.counts.command_parameters.get(command, parameter)?;
        Some(seen.min(self.command(command).occurrences))
    }

    /// That an event of a command has a parameter which `seen` of them had, 0 for one that none had.
    pub(super) fn presence(&self, command: u32, seen: f64) -> f64 {
        (seen + 1.0) / self.total_of(self.command(command))
    }

    /// That it has not.
    pub(super) fn absence(&self, command: u32, seen: f64) -> f64 {
        let total = self.total_of(self.command(command));
        (total - (seen + 1.0)) / total
    }

    /// Presence for absence: what turns a product with the one into the product with the other.
    pub(super) fn odds(&self, command: u32, seen: f64) -> f64 {
        (seen + 1.0) / (self.total_of(self.command(command)) - (seen + 1.0))
    }

    /// That a start or end token has an unknown parameter: msticpy's table has such rows, no score uses them.
    pub(super) fn boundary_presence(&self) -> f64 {
        let smoothing = match self.smoothing {
            ParameterSmoothing::Calibrated => 2.0,
            ParameterSmoothing::Commands => self.symbols,
        };
        1.0 / (self.sessions + smoothing)
    }

    /// Whether the values of a parameter count.
    pub(super) fn is_modelled(&self, parameter: u32) -> bool {
        self.parameters.get(parameter as usize).is_some_and(|parameter| parameter.modelled)
    }

    /// Of a value of a parameter; none and unseen values have the same.
    pub(super) fn value(&self, parameter: u32, value: Option<&str>) -> f64 {
        let Some(known) = self.parameters.get(parameter as usize) else { return 1.0 };
        let counts = &self.counts.values[parameter as usize].counts;
        let seen = value.and_then(|value| counts.get(value)).map_or(0.0, |units| number(*units));
        (seen + 1.0) / known.values
    }

    /// The share of every parameter, `None` for unknown ones, in all smoothed counts:
    /// `(n(q) + commands seen with q) / S`, `(C + 3) / S`. No score uses it.
    pub(super) fn parameter_shares(&self) -> BTreeMap<Option<&str>, f64> {
        let unknown = (self.commands.len() as f64 + 3.0) / self.total;
        let mut shares = BTreeMap::from([(None, unknown)]);
        for ((_, parameter), seen) in self.counts.command_parameters() {
            *shares.entry(Some(parameter)).or_default() += (seen + 1.0) / self.total;
        }
        shares
    }

    /// The share of every value, `None` for unknown ones: `n(x) + parameters seen with x`, and one more than there are
    /// parameters, divided by the sum of these. No score uses it.
    pub(super) fn value_shares(&self) -> BTreeMap<Option<&str>, f64> {
        let mut shares = BTreeMap::from([(None, self.parameters.len() as f64 + 1.0)]);
        for ((_, value), seen) in self.counts.parameter_values() {
            *shares.entry(Some(value)).or_default() += seen + 1.0;
        }
        let total: f64 = shares.values().sum();
        shares.into_iter().map(|(value, share)| (value, share / total)).collect()
    }
}

fn parameters(counts: &Counts, modellable: &Modellable) -> Vec<Parameter> {
    let mut appearances = vec![0_u64; counts.parameters.len()];
    for (_, parameter, units) in counts.command_parameters.units() {
        let sum = &mut appearances[parameter as usize];
        *sum = sum.saturating_add(units);
    }
    let names = counts.parameters.names().zip(&counts.values).zip(appearances);
    let of = |((name, values), appearances): ((&str, &Values), u64)| {
        let distinct = values.counts.len() as f64;
        let modelled = !values.crowded
            && match modellable {
                Modellable::Named(names) => names.contains(name),
                Modellable::Heuristic => is_modellable(distinct, number(appearances)),
            };
        Parameter { values: values.total() + distinct + 1.0, modelled }
    };
    names.map(of).collect()
}

/// msticpy's rule.
fn is_modellable(distinct: f64, appearances: f64) -> bool {
    (1.0..=MOST_DISTINCT).contains(&distinct)
        && appearances >= LEAST_APPEARANCES
        && distinct * APPEARANCES_PER_VALUE <= appearances
}

impl Probabilities {
    /// Names of the parameters whose values count.
    pub(super) fn modelled(&self) -> BTreeSet<&str> {
        let names = self.counts.parameters.names().zip(&self.parameters);
        names.filter(|(_, parameter)| parameter.modelled).map(|(name, _)| name).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_of_the_heuristic_are_inside() {
        for (distinct, appearances, modellable) in [
            (1.0, 20.0, true),
            (1.0, 19.0, false),
            (2.0, 20.0, true),
            (3.0, 29.0, false),
            (20.0, 200.0, true),
            (21.0, 1000.0, false),
            (0.0, 100.0, false),
        ] {
            assert_eq!(is_modellable(distinct, appearances), modellable, "{distinct} {appearances}");
        }
    }
}
