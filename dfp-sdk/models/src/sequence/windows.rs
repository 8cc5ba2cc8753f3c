//! How likely a session is, and every window of it.

use super::counts::BOUNDARY;
use super::probabilities::Probabilities;
use super::product::Product;

/// One session as factors; room that is used again for the next one.
///
/// A window w1..wL has the likelihood `head(w1) * step(w2) * ... * step(wL)`, where a step is the probability of the event
/// after the one before it times that of its parameters, and the head is the prior probability in place of the former, or the
/// step from the start of the session. The end, if it counts, is one more item.
#[derive(Debug, Default)]
pub(super) struct Chain {
    /// One for each event, and one for the end.
    heads: Vec<f64>,
    /// Likewise; the first is the step from the start.
    steps: Vec<f64>,
    windows: Vec<Product>,
    runs: Vec<Product>,
}

/// The least likely window of a session.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RarestWindow {
    /// Its first event, from 0.
    pub start: usize,
    /// Number of its events: one less than its length if it holds the end of the session.
    pub events: usize,
    /// Its likelihood: the product of its factors.
    pub likelihood: Product,
}

impl Chain {
    /// Takes a session: its commands, at least one, and the factor of each one's parameters.
    pub(super) fn fill(&mut self, probabilities: &Probabilities, events: impl Iterator<Item = (u32, f64)>) {
        self.heads.clear();
        self.steps.clear();
        let mut previous = BOUNDARY;
        for (command, parameters) in events {
            self.heads.push(probabilities.prior(command) * parameters);
            self.steps.push(probabilities.transition(previous, command) * parameters);
            previous = command;
        }
        self.heads.push(probabilities.prior(BOUNDARY));
        self.steps.push(probabilities.transition(previous, BOUNDARY));
    }

    /// Number of events.
    pub(super) fn events(&self) -> usize {
        self.heads.len() - 1
    }

    /// The likelihood of the whole session, with or without its start and its end.
    pub(super) fn whole(&self, start: bool, end: bool) -> Product {
        let first = if start { self.steps[0] } else { self.heads[0] };
        let last = self.events() + usize::from(end);
        self.steps[1..last].iter().fold(Product::from(first), |product, step| product * *step)
    }

    /// The likelihoods of all windows of `length` items, at least one, by their first event. With `tokens`, the first window
    /// starts with the start of the session, and the end is an item.
    ///
    /// Costs items times the logarithm of the length. The order of multiplications depends on the length alone, so windows of
    /// equal events have equal likelihoods, to the last bit.
    pub(super) fn windows(&mut self, length: usize, tokens: bool) -> &[Product] {
        let items = self.events() + usize::from(tokens);
        let number = (items + 1).saturating_sub(length);
        self.windows.clear();
        self.windows.extend(self.heads[..number].iter().map(|head| Product::from(*head)));
        if number == 0 {
            return &self.windows;
        }
        if tokens {
            self.windows[0] = Product::from(self.steps[0]);
        }
        // Products of `width` steps in a row, doubled for every bit of the length.
        self.runs.clear();
        self.runs.extend(self.steps[1..items].iter().map(|step| Product::from(*step)));
        let (mut width, mut done, mut left) = (1, 0, length - 1);
        while left > 0 {
            if left % 2 == 1 {
                for (window, run) in self.windows.iter_mut().zip(&self.runs[done..]) {
                    *window = *window * *run;
                }
                done += width;
            }
            left /= 2;
            if left > 0 {
                let doubled = self.runs.len() - width;
                for at in 0..doubled {
                    self.runs[at] = self.runs[at] * self.runs[at + width];
                }
                self.runs.truncate(doubled);
                width *= 2;
            }
        }
        &self.windows
    }

    /// The least likely window, the first one of equals; none if the session is too short.
    pub(super) fn rarest(&mut self, length: usize, tokens: bool) -> Option<RarestWindow> {
        let events = self.events();
        let windows = self.windows(length, tokens).iter().enumerate();
        let least = windows.reduce(|least, window| if window.1 < least.1 { window } else { least });
        let (start, likelihood) = least?;
        Some(RarestWindow { start, events: length.min(events - start), likelihood: *likelihood })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn windows_are_the_products_of_their_factors(
            factors in proptest::collection::vec((1e-9..=1.0_f64, 1e-9..=1.0_f64), 2..60),
            length in 1..70_usize,
            tokens: bool,
        ) {
            let (heads, steps): (Vec<f64>, Vec<f64>) = factors.into_iter().unzip();
            let items = heads.len() - usize::from(!tokens);
            let mut chain = Chain { heads: heads.clone(), steps: steps.clone(), ..Chain::default() };
            let expected: Vec<f64> = (0..(items + 1).saturating_sub(length)).map(|start| {
                let head = if tokens && start == 0 { steps[0] } else { heads[start] };
                head.ln() + steps[start + 1..start + length].iter().map(|step| step.ln()).sum::<f64>()
            }).collect();
            let found = chain.windows(length, tokens);
            prop_assert_eq!(found.len(), expected.len());
            for (found, expected) in found.iter().zip(&expected) {
                prop_assert!((found.ln() - expected).abs() < 1e-9, "{found:?} {expected}");
            }
            let least = expected.iter().copied().fold(f64::INFINITY, f64::min);
            match chain.rarest(length, tokens) {
                None => prop_assert!(expected.is_empty()),
                Some(rarest) => prop_assert!((rarest.likelihood.ln() - least).abs() < 1e-9),
            }
        }
    }

    #[test]
    fn the_first_of_equal_windows_is_the_rarest_whatever_comes_before() {
        let pattern = [0.3, 0.7, 0.11, 0.9, 0.5];
        let factors: Vec<f64> = pattern.iter().copied().cycle().take(61).collect();
        let mut chain = Chain { heads: factors.clone(), steps: factors, ..Chain::default() };
        for length in 1..=50 {
            let rarest = chain.rarest(length, false).unwrap();
            assert!(rarest.start < pattern.len(), "{length}: {rarest:?}");
        }
    }
}
