//! How rare a number is among those of normal days: an empirical tail that goes on as a generalised Pareto distribution.

use serde::{Deserialize, Serialize};

/// Distance of the knots, in nats.
const STEP: f64 = 0.1;
/// From here on, the tail is a formula: for the rarest 2 % of the sample.
const FORMULA_FROM: f64 = 3.9;
/// Shape of the generalised Pareto distribution: a little heavier than exponential, since how far a tail goes on is not known
/// from days that it did not reach.
const SHAPE: f64 = 0.1;
/// A nat is at least this much: what a sample of equal or nearly equal numbers has not seen may still be ordinary.
const LEAST_SCALE: f64 = 0.3;
/// Largest surprise: finite, whatever is asked of whatever was loaded.
const MOST: f64 = 1e12;

/// The tail of a sample: maps a number to -ln of the share of the sample that is at least as large.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tail {
    /// Ascending: the numbers whose surprise is 0, [`STEP`], twice that, and so on. Empty if there was no sample.
    knots: Vec<f64>,
    /// Just beyond the last knot, this much more is one nat more.
    scale: f64,
}

impl Tail {
    /// The tail of a sample; what is not finite in it is left out.
    pub(crate) fn fit(sample: impl IntoIterator<Item = f64>) -> Self {
        let mut sample: Vec<f64> = sample.into_iter().filter(|value| value.is_finite()).collect();
        sample.sort_by(|a, b| b.total_cmp(a));
        let n = sample.len();
        if n == 0 {
            return Self { knots: Vec::new(), scale: 1.0 };
        }
        // A sample says nothing about what is rarer than one in its size.
        let last = FORMULA_FROM.min(((n as f64) / 2.0).ln()).max(0.0);
        let steps = (last / STEP) as usize;
        let at = |nats: f64| sample[((n as f64 * (-nats).exp()) as usize).min(n - 1)];
        let mut knots: Vec<f64> = (0..=steps).map(|step| at(step as f64 * STEP)).collect();
        // The whole sample is above the first knot.
        knots[0] = sample[n - 1];
        for step in 1..=steps {
            knots[step] = knots[step].max(knots[step - 1] + STEP * LEAST_SCALE);
        }
        let start = knots[steps];
        let beyond = sample.iter().take_while(|value| **value > start);
        let (count, excess) =
            beyond.fold((0.0, 0.0), |(count, sum), value| (count + 1.0, sum + value - start));
        let spread = (start - knots[0]).max(0.0);
        let scale = if count > 0.0 { excess / count } else { spread / FORMULA_FROM };
        Self { knots, scale: scale.max(LEAST_SCALE) }
    }

    /// -ln of the share of normal days that hold a number as large as this.
    pub(crate) fn surprise(&self, value: f64) -> f64 {
        let Some(last) = self.knots.last() else { return value.clamp(0.0, MOST) };
        if value > *last {
            let beyond = (SHAPE * (value - last) / self.scale).ln_1p() / SHAPE;
            return ((self.knots.len() - 1) as f64 * STEP + beyond).min(MOST);
        }
        // The last knot at or below the value, so that a value that most days hold is no surprise.
        let above = self.knots.partition_point(|knot| *knot < value);
        if above == 0 {
            return 0.0;
        }
        let (low, high) = (self.knots[above - 1], self.knots[above]);
        let part = if high > low { (value - low) / (high - low) } else { 1.0 };
        ((above - 1) as f64 + part) * STEP
    }

    /// Whether the numbers are such as [`fit`](Self::fit) makes.
    pub(crate) fn is_valid(&self) -> bool {
        self.scale.is_finite()
            && self.scale > 0.0
            && self.knots.iter().all(|knot| knot.is_finite())
            && self.knots.is_sorted()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_of_an_exponential_sample_is_itself_as_far_as_it_was_seen() {
        let sample = (0..10_000).map(|i| -((f64::from(i) + 0.5) / 10_000.0).ln());
        let tail = Tail::fit(sample);
        for nats in [0.5, 1.0, 3.0, 6.0] {
            assert!(
                (tail.surprise(nats) - nats).abs() < 0.1 * nats.max(1.0),
                "{nats}: {}",
                tail.surprise(nats)
            );
        }
        let far = tail.surprise(30.0);
        assert!((12.0..25.0).contains(&far), "{far}");
        assert!(tail.is_valid());
    }

    #[test]
    fn more_is_never_less_surprising() {
        for sample in [vec![0.0; 50], vec![1.0], (0..30).map(f64::from).collect(), vec![]] {
            let tail = Tail::fit(sample);
            let surprises: Vec<f64> = (-10..100).map(|i| tail.surprise(f64::from(i) / 2.0)).collect();
            assert!(surprises.is_sorted(), "{surprises:?}");
            assert!(surprises.iter().all(|s| s.is_finite() && *s >= 0.0));
        }
    }

    #[test]
    fn rounding_beyond_a_sample_without_spread_is_no_surprise() {
        let tail = Tail::fit([2.5; 1000]);
        assert!(tail.surprise(2.5 + 1e-6) < 0.01 && tail.surprise(3.0) < 5.0 && tail.surprise(5.0) > 5.0);
    }

    #[test]
    fn what_most_days_hold_is_no_surprise() {
        let sample = std::iter::repeat_n(0.0, 900).chain((0..100).map(f64::from));
        assert!(Tail::fit(sample).surprise(0.0) < 0.01);
    }
}
