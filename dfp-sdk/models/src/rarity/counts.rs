//! Counts: is this number large, for this entity?
//!
//! Numbers are taken as ln(1 + n) and compared with the largest ones of earlier days and of earlier days' same hour.
//! Mean and spread of an entity with few days are drawn towards the population's. How rare a distance from the mean is
//! comes from the population's tail, since no single entity has enough days to tell.

use serde::{Deserialize, Serialize};

use super::tail::Tail;
use super::values::Past;

/// Days that the population's spread weighs in an entity's.
const SPREAD_PRIOR: f64 = 10.0;
/// Weight of the day's mean in an hour's, and of the population's in an entity's, in days.
const HOUR_PRIOR: f64 = 4.0;
const ENTITY_PRIOR: f64 = 3.0;
/// What the neighbouring hours weigh.
const NEIGHBOUR: f64 = 0.5;
/// Least variance, of a day and of an hour: ln(1 + n) moves in steps.
const LEAST_DAY: f64 = 0.01;
const LEAST_HOUR: f64 = 0.02;
const HOURS: usize = 24;

/// Weight, sum and sum of squares of numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Moments(f64, f64, f64);

impl Moments {
    fn add(&mut self, weight: f64, value: f64) {
        self.0 += weight;
        self.1 += weight * value;
        self.2 += weight * value * value;
    }

    fn mean(&self) -> f64 {
        self.1 / self.0.max(1.0)
    }

    /// Sum of squared distances from `center`.
    fn squares(&self, center: f64) -> f64 {
        (self.2 - 2.0 * center * self.1 + self.0 * center * center).max(0.0)
    }

    fn is_valid(&self) -> bool {
        self.0.is_finite() && self.0 >= 0.0 && self.1.is_finite() && self.2.is_finite()
    }
}

/// What a population's counts are like.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Population {
    /// Mean of the entities' means of daily maxima, variance of these means, variance within entities.
    mean: f64,
    between: f64,
    within: f64,
    /// Mean and variance of hourly maxima.
    hour_mean: f64,
    hour_variance: f64,
    /// Tails of the distances from the mean, in standard deviations.
    day_tail: Tail,
    hour_tail: Tail,
}

/// What an entity's counts were.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct History {
    /// Of daily maxima.
    days: Moments,
    /// Of hourly maxima: all together, and by hour with their neighbours.
    hours: Moments,
    by_hour: [Moments; HOURS],
}

impl History {
    /// Takes in a whole day's maxima: of the day and of its hours, where there was anything.
    fn add_day(&mut self, day: &Day) {
        self.days.add(1.0, day.max);
        for (hour, max) in day.hours.iter().enumerate() {
            let Some(max) = *max else { continue };
            self.hours.add(1.0, max);
            self.by_hour[hour].add(1.0, max);
            self.by_hour[(hour + 1) % HOURS].add(NEIGHBOUR, max);
            self.by_hour[(hour + HOURS - 1) % HOURS].add(NEIGHBOUR, max);
        }
    }

    /// Counts an entity's rows, oldest first.
    pub(super) fn of(counts: &[f64], days: &[i64], hours: &[u8], rows: &[usize]) -> Self {
        let mut history = Self::default();
        for day in each_day(counts, days, hours, rows) {
            history.add_day(&day);
        }
        history
    }

    /// The usual largest number of a day.
    pub(super) fn usual(&self) -> Option<f64> {
        (self.days.0 > 0.0).then(|| self.days.mean().exp_m1().min(f64::MAX))
    }

    /// Surprises of new rows.
    pub(super) fn surprises(&self, population: &Population, counts: &[f64], hours: &[u8]) -> Vec<f64> {
        let rows = counts.iter().zip(hours);
        rows.map(|(count, hour)| population.surprise(population.distances(self, *count, *hour))).collect()
    }

    pub(super) fn is_valid(&self) -> bool {
        self.days.is_valid() && self.hours.is_valid() && self.by_hour.iter().all(Moments::is_valid)
    }
}

/// The largest numbers of one day.
struct Day {
    date: i64,
    max: f64,
    hours: [Option<f64>; HOURS],
    /// The day's rows, as a range of the entity's.
    rows: std::ops::Range<usize>,
}

fn each_day(counts: &[f64], days: &[i64], hours: &[u8], rows: &[usize]) -> Vec<Day> {
    let mut all: Vec<Day> = Vec::new();
    for (at, &row) in rows.iter().enumerate() {
        if all.last().is_none_or(|day| day.date != days[row]) {
            all.push(Day { date: days[row], max: 0.0, hours: [None; HOURS], rows: at..at });
        }
        let day = all.last_mut().expect("just made");
        let hour = &mut day.hours[hours[row] as usize % HOURS];
        *hour = Some(hour.unwrap_or(0.0).max(counts[row]));
        day.max = day.max.max(counts[row]);
        day.rows.end = at + 1;
    }
    all
}

impl Population {
    /// Learns from all entities, and gives the surprise of every row after the days before it.
    pub(super) fn fit(counts: &[f64], hours: &[u8], past: Past<'_>) -> (Self, Vec<f64>) {
        let histories: Vec<History> =
            past.entities.iter().map(|rows| History::of(counts, past.days, hours, rows)).collect();
        let mut population = Self::moments(&histories);

        let mut distances = vec![[0.0; 2]; counts.len()];
        let mut day_sample = Vec::new();
        let mut hour_sample = Vec::new();
        for rows in past.entities {
            let mut history = History::default();
            for day in each_day(counts, past.days, hours, rows) {
                let mut largest = [f64::NEG_INFINITY; 2];
                for &row in &rows[day.rows.clone()] {
                    distances[row] = population.distances(&history, counts[row], hours[row]);
                    for (largest, distance) in largest.iter_mut().zip(distances[row]) {
                        *largest = largest.max(distance);
                    }
                }
                if day.date >= past.first_day + past.warm_up {
                    day_sample.push(largest[0]);
                    hour_sample.push(largest[1]);
                }
                history.add_day(&day);
            }
        }
        population.day_tail = Tail::fit(day_sample);
        population.hour_tail = Tail::fit(hour_sample);
        let surprises = distances.into_iter().map(|distance| population.surprise(distance)).collect();
        (population, surprises)
    }

    fn moments(histories: &[History]) -> Self {
        let days: f64 = histories.iter().map(|history| history.days.0).sum();
        let mean = histories.iter().map(|history| history.days.1).sum::<f64>() / days.max(1.0);
        let within: f64 = histories.iter().map(|h| h.days.squares(h.days.mean())).sum();
        let known: Vec<f64> = histories
            .iter()
            .filter(|history| history.days.0 > 5.0)
            .map(|history| history.days.mean())
            .collect();
        let between = known.iter().map(|own| (own - mean).powi(2)).sum::<f64>() / known.len().max(1) as f64;
        let mut hours = Moments::default();
        for history in histories {
            let Moments(weight, sum, squares) = history.hours;
            hours = Moments(hours.0 + weight, hours.1 + sum, hours.2 + squares);
        }
        let hour_mean = hours.mean();
        Self {
            mean,
            between: between.max(1e-4),
            within: (within / days.max(1.0)).max(1e-3),
            hour_mean,
            hour_variance: (hours.squares(hour_mean) / hours.0.max(1.0)).max(0.2),
            day_tail: Tail::fit([]),
            hour_tail: Tail::fit([]),
        }
    }

    /// How far a number is above what an entity's day, and this hour of it, usually holds at most.
    fn distances(&self, history: &History, count: f64, hour: u8) -> [f64; 2] {
        let n = history.days.0;
        let own = history.days.mean();
        let trust = n / (n + self.within / self.between);
        let mean = trust * own + (1.0 - trust) * self.mean;
        let spread = (history.days.squares(own) + SPREAD_PRIOR * self.within) / (n + SPREAD_PRIOR);
        let variance = spread + (1.0 - trust) * self.between + LEAST_DAY;

        let all = history.hours;
        let all_mean = (all.1 + ENTITY_PRIOR * self.hour_mean) / (all.0 + ENTITY_PRIOR);
        let all_variance =
            (all.squares(all_mean) + SPREAD_PRIOR * self.hour_variance) / (all.0 + SPREAD_PRIOR);
        let this = history.by_hour[hour as usize % HOURS];
        let hour_mean = (this.1 + HOUR_PRIOR * all_mean) / (this.0 + HOUR_PRIOR);
        let hour_variance =
            (this.squares(hour_mean) + SPREAD_PRIOR * all_variance) / (this.0 + SPREAD_PRIOR) + LEAST_HOUR;
        [(count - mean) / variance.sqrt(), (count - hour_mean) / hour_variance.sqrt()]
    }

    fn surprise(&self, [day, hour]: [f64; 2]) -> f64 {
        self.day_tail.surprise(day) + self.hour_tail.surprise(hour)
    }

    pub(super) fn is_valid(&self) -> bool {
        let positive = [self.between, self.within, self.hour_variance];
        positive.iter().all(|value| value.is_finite() && *value > 0.0)
            && self.mean.is_finite()
            && self.hour_mean.is_finite()
            && self.day_tail.is_valid()
            && self.hour_tail.is_valid()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `entities` entities of 60 days; every day three rows, at 9, 10 and 20 o'clock.
    fn table(
        entities: usize,
        count: impl Fn(usize, i64, u8) -> f64,
    ) -> (Vec<f64>, Vec<i64>, Vec<u8>, Vec<Vec<usize>>) {
        let (mut counts, mut days, mut hours, mut rows) = (vec![], vec![], vec![], vec![]);
        for entity in 0..entities {
            let start = counts.len();
            for day in 0..60 {
                for hour in [9, 10, 20] {
                    counts.push(count(entity, day, hour).ln_1p());
                    days.push(day);
                    hours.push(hour);
                }
            }
            rows.push((start..counts.len()).collect());
        }
        (counts, days, hours, rows)
    }

    fn busy(entity: usize, day: i64, hour: u8) -> f64 {
        let noise = (entity as i64 * 31 + day * 17) % 7;
        let base = if entity < 5 { 100 } else { 5 };
        (base + noise) as f64 / if hour == 20 { 5.0 } else { 1.0 }
    }

    #[test]
    fn large_is_what_is_large_for_the_entity_and_the_hour() {
        let (counts, days, hours, entities) = table(20, busy);
        let past =
            Past { days: &days, entities: &entities, first_day: 0, warm_up: 10, stale: 15, bursts: false };
        let (population, replayed) = Population::fit(&counts, &hours, past);
        assert!(population.is_valid());
        let surprise = |entity: usize, count: f64, hour: u8| {
            let history = History::of(&counts, &days, &hours, &entities[entity]);
            history.surprises(&population, &[count.ln_1p()], &[hour])[0]
        };
        let of = |entity, hour| [8.0, 100.0, 200.0].map(|count| surprise(entity, count, hour));
        let ([_, busy_100, _], [at_9, quiet_100, quiet_200], [at_20, ..]) = (of(0, 9), of(10, 9), of(10, 20));
        assert!(busy_100 < 3.0 && quiet_100 > 8.0, "{busy_100} {quiet_100}");
        assert!(at_20 > at_9 + 1.0, "{at_20} {at_9}");
        assert!(quiet_200 > quiet_100);
        let unusual = replayed.iter().filter(|surprise| **surprise > 8.0).count();
        assert!(unusual < replayed.len() / 50, "{unusual}");
    }

    #[test]
    fn the_usual_number_is_the_days_largest() {
        let (counts, days, hours, entities) = table(1, |_, _, hour| if hour == 9 { 8.0 } else { 1.0 });
        let usual = History::of(&counts, &days, &hours, &entities[0]).usual().unwrap();
        assert!((usual - 8.0).abs() < 1e-9);
        assert_eq!(History::default().usual(), None);
    }
}
