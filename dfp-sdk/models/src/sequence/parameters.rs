//! How likely an event's parameters are, given its command.
//!
//! Parameters are there or not independently of each other. With R the parameters that command c was seen with, and one more
//! entry for all that it was never seen with, an event with the parameters P has
//!
//! `E = (product over q in R: P(q given c) if q in P, else 1 - P(q given c)) * (product of P(value given q))`
//!
//! to the power of 1 / (|R| + m), where the second product is over the m parameters in both P and R whose values count.
//! The product with all of R absent is known for every command, so an event costs its own parameters, not its command's.
//!
//! msticpy never takes the entry of unseen parameters to be present, and lets E be 1 if P is empty; both are settings here.

use std::ops::Range;

use super::config::Config;
use super::counts::distinct_params;
use super::probabilities::Probabilities;
use super::product::Product;
use super::vocabulary::UNKNOWN;
use super::{SessionType, Sessions};

/// A parameter of an event, as the model knows it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Param {
    /// Its number, or [`UNKNOWN`].
    pub(super) number: u32,
    /// Where it stands in the column.
    pub(super) place: usize,
    /// How many events of the command had it, if any had.
    pub(super) seen: Option<f64>,
    /// The probability of its value, if that counts.
    pub(super) value: Option<f64>,
}

/// The events of one session, as the model knows them; room that is used again for the next one.
#[derive(Debug, Default)]
pub(super) struct Observed {
    /// Their commands' numbers.
    pub(super) commands: Vec<u32>,
    params: Vec<Param>,
    /// Where each event's parameters end.
    ends: Vec<usize>,
    found: Vec<(u32, usize)>,
}

impl Observed {
    /// The distinct parameters of an event, by number; unknown ones are one, the last.
    pub(super) fn params(&self, event: usize) -> &[Param] {
        let start = if event == 0 { 0 } else { self.ends[event - 1] };
        &self.params[start..self.ends[event]]
    }

    fn clear(&mut self) {
        self.commands.clear();
        self.params.clear();
        self.ends.clear();
    }
}

/// The factors of an event's parameters.
pub(super) struct Factors {
    pub(super) product: Product,
    number: usize,
}

impl Factors {
    const NONE: Self = Self { product: Product::ONE, number: 1 };

    pub(super) fn geometric_mean(&self) -> f64 {
        self.product.root(self.number)
    }
}

/// Events are looked at with these.
#[derive(Clone, Copy)]
pub(super) struct Parameters<'a> {
    pub(super) probabilities: &'a Probabilities,
    pub(super) config: &'a Config,
}

impl Parameters<'_> {
    /// Looks up all names of the events of a session.
    pub(super) fn observe(self, sessions: &Sessions<'_>, events: Range<usize>, into: &mut Observed) {
        let counts = &self.probabilities.counts;
        into.clear();
        for event in events {
            let command = counts.commands.find(sessions.name(event));
            into.commands.push(command);
            if counts.kind != SessionType::CmdsOnly {
                distinct_params(sessions, event, |name| counts.parameters.find(name), &mut into.found);
                let param = |(number, place): &(u32, usize)| self.param(sessions, command, *number, *place);
                into.params.extend(into.found.iter().map(param));
            }
            into.ends.push(into.params.len());
        }
    }

    fn param(self, sessions: &Sessions<'_>, command: u32, number: u32, place: usize) -> Param {
        let seen = if number == UNKNOWN { None } else { self.probabilities.seen(command, number) };
        let counts = seen.is_some()
            && self.probabilities.counts.kind == SessionType::CmdsParamsValues
            && self.probabilities.is_modelled(number);
        let value = counts.then(|| self.probabilities.value(number, sessions.value(place)));
        Param { number, place, seen, value }
    }

    /// Whether an event's parameters make it more or less likely.
    pub(super) fn count(self, params: &[Param]) -> bool {
        self.probabilities.counts.kind != SessionType::CmdsOnly
            && (self.config.empty_parameters || !params.is_empty())
    }

    /// The factors of the parameters of an event of `command`.
    pub(super) fn factors(self, command: u32, params: &[Param]) -> Factors {
        if !self.count(params) {
            return Factors::NONE;
        }
        let of = self.probabilities.command(command);
        let mut factors = Factors { product: of.absent, number: of.factors };
        let mut unseen = false;
        for param in params {
            let Some(seen) = param.seen else {
                unseen = true;
                continue;
            };
            factors.product = factors.product * self.probabilities.odds(command, seen);
            if let Some(value) = param.value {
                factors.product = factors.product * value;
                factors.number += 1;
            }
        }
        if unseen && self.config.unseen_parameters {
            factors.product = factors.product * self.probabilities.odds(command, 0.0);
        }
        factors
    }
}
