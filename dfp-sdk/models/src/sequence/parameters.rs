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

use super::config::Config;
use super::counts::distinct_params;
use super::probabilities::Probabilities;
use super::product::Product;
use super::vocabulary::UNKNOWN;
use super::{SessionType, Sessions};

/// The distinct parameters of an event, by number, and where they stand; room that is used again for the next one.
pub(super) type Found = Vec<(u32, usize)>;

/// The factors of an event's parameters.
pub(super) struct Factors {
    pub(super) product: Product,
    pub(super) number: usize,
}

impl Factors {
    const NONE: Self = Self { product: Product::ONE, number: 1 };

    pub(super) fn geometric_mean(&self) -> f64 {
        if self.number == 1 { self.product.value() } else { self.product.root(self.number) }
    }
}

/// Parameters are looked at with these.
#[derive(Clone, Copy)]
pub(super) struct Parameters<'a> {
    pub(super) probabilities: &'a Probabilities,
    pub(super) config: &'a Config,
}

impl Parameters<'_> {
    /// Finds an event's parameters. Answers whether they count.
    pub(super) fn find(self, sessions: &Sessions<'_>, event: usize, found: &mut Found) -> bool {
        if sessions.session_type() == SessionType::CmdsOnly {
            return false;
        }
        let names = &self.probabilities.counts.parameters;
        distinct_params(sessions, event, |name| names.find(name), found);
        self.config.empty_parameters || !found.is_empty()
    }

    /// The factors of an event of `command`.
    pub(super) fn factors(
        self,
        sessions: &Sessions<'_>,
        event: usize,
        command: u32,
        found: &mut Found,
    ) -> Factors {
        if !self.find(sessions, event, found) {
            return Factors::NONE;
        }
        let of = self.probabilities.command(command);
        let mut factors = Factors { product: of.absent, number: of.factors };
        let mut unseen = false;
        for &(parameter, place) in found.iter() {
            let Some(seen) = self.probabilities.seen(command, parameter) else {
                unseen = true;
                continue;
            };
            factors.product = factors.product * self.probabilities.odds(command, seen);
            if let Some(value) = self.value(sessions, parameter, place) {
                factors.product = factors.product * value;
                factors.number += 1;
            }
        }
        if unseen && self.config.unseen_parameters {
            factors.product = factors.product * self.probabilities.odds(command, 0.0);
        }
        factors
    }

    /// The probability of a parameter's value, if it counts.
    pub(super) fn value(self, sessions: &Sessions<'_>, parameter: u32, place: usize) -> Option<f64> {
        let counts = sessions.session_type() == SessionType::CmdsParamsValues
            && parameter != UNKNOWN
            && self.probabilities.is_modelled(parameter);
        counts.then(|| self.probabilities.value(parameter, sessions.value(place)))
    }
}
