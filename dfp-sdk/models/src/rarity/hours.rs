//! Hours of the day: when is this entity active?

use serde::{Deserialize, Serialize};

use super::table::Map;

const HOURS: usize = 24;
/// Weekdays, then the weekend.
const WEEK: usize = 2 * HOURS;
/// How an hour's activity counts for the hours around it.
const KERNEL: [f64; 5] = [0.05, 0.2, 0.5, 0.2, 0.05];
const FLOOR: f64 = 1e-9;

/// What a population's hours are like: the share of active days on which an entity is active in the hour.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Population {
    active: Vec<f64>,
}

/// When an entity was active.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct History {
    /// Days with something in the hour, weekdays then weekend.
    days_in: Vec<u32>,
    /// Active weekdays, active days of weekends.
    days: [u32; 2],
}

impl Default for History {
    fn default() -> Self {
        Self { days_in: vec![0; WEEK], days: [0; 2] }
    }
}

impl History {
    /// Counts an entity's rows, oldest first.
    pub(super) fn of(days: &[i64], hours: &[u8], rows: &[usize]) -> Self {
        let mut history = Self::default();
        let mut last_day = None;
        let mut last_in = [None; WEEK];
        for &row in rows {
            let (day, hour) = (Some(days[row]), hours[row] as usize);
            if last_day != day {
                last_day = day;
                history.days[hour / HOURS] += 1;
            }
            if last_in[hour] != day {
                last_in[hour] = day;
                history.days_in[hour] += 1;
            }
        }
        history
    }

    /// The hour of most days, weekday or weekend as `hour` is.
    pub(super) fn usual(&self, hour: u8) -> Option<usize> {
        let week_part = hour as usize / HOURS * HOURS;
        let part = &self.days_in[week_part..week_part + HOURS];
        let (at, days) = part.iter().enumerate().max_by(|a, b| a.1.cmp(b.1).then(b.0.cmp(&a.0)))?;
        (*days > 0).then_some(at)
    }

    /// Surprises of new rows.
    pub(super) fn surprises(&self, population: &Population, hours: &[u8]) -> Vec<f64> {
        let surprise = population.surprises(self);
        hours.iter().map(|hour| surprise[*hour as usize % WEEK]).collect()
    }

    pub(super) fn is_valid(&self) -> bool {
        self.days_in.len() == WEEK
    }
}

impl Population {
    /// Learns from all entities, and gives the surprise of every row as if its day had not been.
    pub(super) fn fit(days: &[i64], hours: &[u8], entities: &[Vec<usize>]) -> (Self, Vec<f64>) {
        let histories: Vec<History> = entities.iter().map(|rows| History::of(days, hours, rows)).collect();
        let mut total = History::default();
        for history in &histories {
            for (sum, days) in total.days_in.iter_mut().zip(&history.days_in) {
                *sum += days;
            }
            for (sum, days) in total.days.iter_mut().zip(history.days) {
                *sum += days;
            }
        }
        let smooth = smooth(&total.days_in);
        let share = |hour: usize| (smooth[hour] / (f64::from(total.days[hour / HOURS]) + 1.0)).min(1.0);
        let population = Self { active: (0..WEEK).map(share).collect() };
        let mut surprises = vec![0.0; hours.len()];
        for (rows, history) in entities.iter().zip(histories) {
            let mut without: Map<u8, f64> = Map::default();
            for &row in rows {
                let hour = hours[row];
                surprises[row] = *without.entry(hour).or_insert_with(|| {
                    let mut rest = history.clone();
                    rest.days_in[hour as usize] -= 1;
                    rest.days[hour as usize / HOURS] -= 1;
                    population.surprises(&rest)[hour as usize]
                });
            }
        }
        (population, surprises)
    }

    /// Per hour of the week, -ln of the share of days that hold an hour this unusual.
    fn surprises(&self, history: &History) -> Vec<f64> {
        let smooth = smooth(&history.days_in);
        let all_days = f64::from(history.days[0]) + f64::from(history.days[1]) + 1.0;
        let rate = |hour: usize| {
            let days = f64::from(history.days[hour / HOURS]);
            let any_day = (smooth[hour % HOURS] + smooth[hour % HOURS + HOURS]) / all_days;
            (smooth[hour] + 0.5 * self.active[hour] + 0.5 * any_day) / (days + 1.0)
        };
        let rates: Vec<f64> = (0..WEEK).map(rate).collect();
        let surprise = |hour: usize| {
            let part = &rates[hour / HOURS * HOURS..][..HOURS];
            // A hair of room for rounding, so that equal hours count as equal.
            let rarer: f64 = part.iter().filter(|rate| **rate <= rates[hour] * (1.0 + 1e-9)).sum();
            -rarer.clamp(FLOOR, 1.0).ln()
        };
        (0..WEEK).map(surprise).collect()
    }

    pub(super) fn is_valid(&self) -> bool {
        self.active.len() == WEEK && self.active.iter().all(|share| (0.0..=1.0).contains(share))
    }
}

fn smooth(days: &[u32]) -> Vec<f64> {
    let around = |hour: usize| {
        let part = hour / HOURS * HOURS;
        let near = KERNEL.iter().enumerate();
        near.map(|(at, weight)| weight * f64::from(days[part + (hour + HOURS + at - 2) % HOURS])).sum()
    };
    (0..WEEK).map(around).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nights_surprise_from_those_who_work_by_day() {
        let mut days = Vec::new();
        let mut hours = Vec::new();
        let mut entities = Vec::new();
        for entity in 0..10 {
            let start = days.len();
            for day in 0..50_i64 {
                for at in 0..8 {
                    days.push(day);
                    hours.push(if entity == 9 { (22 + at) % 24 } else { 9 + at });
                }
            }
            entities.push((start..days.len()).collect());
        }
        let (population, replayed) = Population::fit(&days, &hours, &entities);
        assert!(population.is_valid());
        let surprise = |entity: usize, hour| {
            History::of(&days, &hours, &entities[entity]).surprises(&population, &[hour])[0]
        };
        assert!(surprise(0, 12) < 0.5 && surprise(0, 3) > 3.0);
        assert!(surprise(9, 23) < 0.5 && surprise(9, 12) > 2.0);
        assert!(surprise(0, 18) < surprise(0, 21), "nearer to the working day");
        assert!(replayed.iter().all(|surprise| *surprise < 3.5));
        assert_eq!(History::of(&days, &hours, &entities[0]).usual(12), Some(9));
        assert_eq!(History::default().usual(30), None);
    }
}
