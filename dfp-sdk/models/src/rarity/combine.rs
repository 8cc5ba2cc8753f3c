//! From the surprises of features to one score.
//!
//! Features that tell of the same thing are added up and judged as one group, against the largest sums of normal days.
//! Then both the weighted sum over the groups and the largest group are judged in the same way, and the rarer of the two
//! is the score: odd in many ways, or very odd in one.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::config::Config;
use super::table::{Feature, Table};
use super::tail::Tail;

/// Surprise of a group that counts as none: any day holds something as odd.
const ORDINARY: f64 = 0.5;
/// How much more surprising than all before a row of a run must be to be no repeat.
const NEWS: f64 = 1.1;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Part {
    /// Indices of features.
    features: Vec<usize>,
    weight: f64,
    tail: Tail,
}

/// How surprises make a score.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Combination {
    parts: Vec<Part>,
    sum: Tail,
    largest: Tail,
}

/// A score of every row, -log10 of the share of normal days that hold a row this odd; and each feature's share in it.
pub(super) struct Combined {
    pub(super) scores: Vec<f64>,
    /// Per feature, per row.
    pub(super) shares: Vec<Vec<f64>>,
}

impl Combination {
    /// Learns what sums are normal from the surprises of a population's rows, `surprises[feature][row]`, on `since` and
    /// later days.
    pub(super) fn fit(
        features: &[Feature],
        config: &Config,
        table: &Table,
        surprises: &[Vec<f64>],
        since: i64,
    ) -> Self {
        let rows = table.times.len();
        let mut parts = Vec::new();
        for (features, weight) in groups(features, config) {
            let sums: Vec<f64> = (0..rows).map(|row| sum_of(surprises, &features, row)).collect();
            parts.push(Part { features, weight, tail: Tail::fit(daily_maxima(table, &sums, since)) });
        }
        let mut combination = Self { parts, sum: Tail::fit([]), largest: Tail::fit([]) };
        let strengths: Vec<[f64; 2]> = (0..rows).map(|row| combination.strength(surprises, row)).collect();
        let column = |at: usize| strengths.iter().map(|strength| strength[at]).collect::<Vec<_>>();
        combination.sum = Tail::fit(daily_maxima(table, &column(0), since));
        combination.largest = Tail::fit(daily_maxima(table, &column(1), since));
        combination
    }

    /// Weighted surprises of the groups, above what is ordinary.
    fn strengths<'a>(&'a self, surprises: &'a [Vec<f64>], row: usize) -> impl Iterator<Item = f64> + 'a {
        self.parts.iter().map(move |part| {
            let surprise = part.tail.surprise(sum_of(surprises, &part.features, row));
            part.weight * (surprise - ORDINARY).max(0.0)
        })
    }

    /// Sum and maximum over the groups.
    fn strength(&self, surprises: &[Vec<f64>], row: usize) -> [f64; 2] {
        self.strengths(surprises, row).fold([0.0; 2], |[sum, max], part| [sum + part, f64::max(max, part)])
    }

    /// Scores rows by the surprises of their features.
    pub(super) fn score(&self, surprises: &[Vec<f64>]) -> Combined {
        let rows = surprises.first().map_or(0, Vec::len);
        let mut scores = Vec::with_capacity(rows);
        let mut shares = vec![vec![0.0; rows]; surprises.len()];
        for row in 0..rows {
            let [sum, largest] = self.strength(surprises, row);
            // The sum also orders rows whose largest group is the same.
            let nats = self.sum.surprise(sum).max(self.largest.surprise(largest)) + 0.01 * sum;
            let score = nats / std::f64::consts::LN_10;
            scores.push(score);
            for (part, strength) in self.parts.iter().zip(self.strengths(surprises, row)) {
                let of_group = sum_of(surprises, &part.features, row);
                if strength > 0.0 && of_group > 0.0 {
                    for &feature in &part.features {
                        shares[feature][row] = score * strength / sum * surprises[feature][row] / of_group;
                    }
                }
            }
        }
        Combined { scores, shares }
    }

    pub(super) fn is_valid(&self, features: usize) -> bool {
        self.sum.is_valid()
            && self.largest.is_valid()
            && self.parts.iter().all(|part| {
                part.tail.is_valid()
                    && (0.0..=100.0).contains(&part.weight)
                    && part.features.iter().all(|feature| *feature < features)
            })
    }
}

/// The configured groups as far as their features are there, and one group for each other feature.
fn groups(features: &[Feature], config: &Config) -> Vec<(Vec<usize>, f64)> {
    let index = |name: &String| features.iter().position(|feature| feature.name == *name);
    let mut groups: Vec<(Vec<usize>, f64)> = config
        .groups
        .iter()
        .map(|group| (group.features.iter().filter_map(index).collect::<Vec<_>>(), group.weight))
        .filter(|(features, _)| !features.is_empty())
        .collect();
    for feature in 0..features.len() {
        if !groups.iter().any(|(group, _)| group.contains(&feature)) {
            groups.push((vec![feature], 1.0));
        }
    }
    groups
}

fn sum_of(surprises: &[Vec<f64>], features: &[usize], row: usize) -> f64 {
    features.iter().map(|feature| surprises[*feature][row]).sum()
}

/// The largest number of each day of each entity, from `since` on.
fn daily_maxima(table: &Table, numbers: &[f64], since: i64) -> Vec<f64> {
    let mut maxima = Vec::new();
    for rows in &table.entities {
        let mut last = None;
        for &row in rows.iter().filter(|row| table.days[**row] >= since) {
            if last != Some(table.days[row]) {
                last = Some(table.days[row]);
                maxima.push(f64::NEG_INFINITY);
            }
            let max = maxima.last_mut().expect("just pushed");
            *max = f64::max(*max, numbers[row]);
        }
    }
    maxima
}

/// Scales down the scores, and the shares in them, of rows that tell nothing new: within `window` nanoseconds before, a
/// row scored about as high. Rows are oldest first.
pub(super) fn damp_repeats(
    scores: &mut [f64],
    shares: &mut [Vec<f64>],
    times: &[i64],
    window: i64,
    damped: impl Fn(f64) -> f64,
) {
    // Rows of the window whose score no later one reaches, so the first is the highest.
    let mut peaks: VecDeque<(i64, f64)> = VecDeque::new();
    for (row, &time) in times.iter().enumerate() {
        let score = scores[row];
        while peaks.front().is_some_and(|(peak, _)| time.saturating_sub(*peak) >= window) {
            peaks.pop_front();
        }
        if peaks.front().is_some_and(|(_, peak)| score < peak * NEWS) {
            scores[row] = damped(score);
            let factor = if score == 0.0 { 1.0 } else { scores[row] / score };
            for share in shares.iter_mut() {
                share[row] *= factor;
            }
        }
        while peaks.back().is_some_and(|(_, peak)| *peak <= score) {
            peaks.pop_back();
        }
        peaks.push_back((time, score));
    }
}

#[cfg(test)]
#[allow(clippy::float_cmp)] // Equal means equal here.
mod tests {
    use super::*;

    fn feature(name: &str) -> Feature {
        Feature::of(name, &arrow_schema::DataType::Utf8, &Config::default()).unwrap()
    }

    #[test]
    fn configured_groups_keep_what_is_there_and_the_rest_stands_alone() {
        let features = ["city", "app", "speed", "country"].map(feature);
        let found = groups(&features, &Config::default());
        assert_eq!(found, [(vec![3, 0], 1.0), (vec![1], 1.0), (vec![2], 1.0)]);
    }

    #[test]
    fn odd_in_two_ways_beats_odd_in_one_and_shares_add_up() {
        let features = ["app", "city"].map(feature);
        let rows = 4000;
        // Both features are odd now and then, never on the same day.
        let odd = |row: usize, at: usize| if row % 200 == at { 4.0 } else { 0.2 * ((row * 7) % 5) as f64 };
        let surprises: Vec<Vec<f64>> =
            [0, 100].iter().map(|at| (0..rows).map(|row| odd(row, *at)).collect()).collect();
        let table = Table {
            times: (0..rows as i64).collect(),
            days: (0..rows as i64).collect(),
            hours: vec![0; rows],
            entities: vec![(0..rows).collect()],
            columns: Vec::new(),
        };
        let combination = Combination::fit(&features, &Config::default(), &table, &surprises, 0);
        assert!(combination.is_valid(2) && !combination.is_valid(1));
        let combined = combination.score(&[vec![0.0, 4.0, 4.0], vec![0.0, 0.0, 4.0]]);
        let scores = &combined.scores;
        assert!(scores[0] < 0.2 && scores[1] > 1.5 && scores[2] > scores[1] + 0.5, "{scores:?}");
        for row in 0..3 {
            let sum: f64 = combined.shares.iter().map(|share| share[row]).sum();
            assert!((sum - scores[row]).abs() < 1e-9 || sum == 0.0);
        }
        assert_eq!(combined.shares[1][1], 0.0);
    }

    #[test]
    fn repeats_are_damped_until_news_or_time() {
        let mut scores = vec![1.0, 4.0, 4.0, 4.3, 5.0, 1.0, 4.0];
        let times = [0, 10, 20, 30, 40, 50, 145];
        let mut shares = vec![vec![1.0; 7]];
        damp_repeats(&mut scores, &mut shares, &times, 100, |score| 0.5 * score);
        assert_eq!(scores, [1.0, 4.0, 2.0, 2.15, 5.0, 0.5, 4.0]);
        assert_eq!(shares[0][2], 0.5);
    }
}
