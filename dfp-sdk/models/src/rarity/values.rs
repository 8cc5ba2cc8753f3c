//! Values: how usual is this one, for this entity?
//!
//! Everything is counted in days, because a value that was there fifty times within an hour is not fifty times as usual.
//! A known value's surprise is the share of the entity's days that hold a value this rare or rarer, so one more odd app
//! is no surprise from somebody who opens many. A new value's surprise is how seldom the entity has new values at all
//! (which depends on how long it is known), times how few of all new values anywhere were as little used by others.

use std::collections::BTreeMap;

use dfp_core::CancelToken;
use serde::{Deserialize, Serialize};

use super::table::{Map, Set, Values};
use crate::{Error, Result};

/// Smallest probability told apart from 0.
const FLOOR: f64 = 1e-9;
/// Ages of an entity, in active days, from which on its rate of new values is taken apart.
const AGES: [u32; 7] = [0, 1, 2, 4, 8, 16, 31];
/// Active days after which an entity's own rate of new values is counted.
const SETTLED: u32 = 10;
/// Weight of the population in an entity's rate of new values, in new values.
const PRIOR: f64 = 1.0;
/// So many new values earlier on a day make another one more surprising, not more: after them, a day is odd anyway.
const MOST_NEW: u32 = 2;
/// Most different values kept per feature, the most used.
pub(super) const MOST_VALUES: usize = 20_000;

/// What a population's new values are like.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Population {
    /// Share of days that bring a new value, by age of the entity.
    new_days: [f64; AGES.len()],
    /// Probability that a day's new value is followed by another one, by age of the entity; 1 if that is not counted.
    more: [f64; AGES.len()],
    /// Share of new values used by as few other entities as the class says, or fewer.
    at_most: [f64; CLASSES],
    entities: u32,
    /// Entities that use a value.
    users: BTreeMap<String, u32>,
}

/// Classes of how many other entities use a value: none, one, below 5 %, below 20 %, more.
const CLASSES: usize = 5;

fn class(users: u32, entities: u32) -> usize {
    let share = f64::from(users) / f64::from(entities.max(1));
    match users {
        0 | 1 => users as usize,
        _ if share < 0.05 => 2,
        _ if share < 0.2 => 3,
        _ => 4,
    }
}

fn age(active_days: u32) -> usize {
    AGES.partition_point(|from| *from <= active_days) - 1
}

/// What an entity's values were.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct History {
    /// Days on which the entity did anything.
    active_days: u32,
    /// Of those after it had settled: all, and those with a new value.
    settled_days: u32,
    new_days: u32,
    /// Days of each value.
    days: BTreeMap<String, u32>,
}

/// Follows one entity's values through its days.
#[derive(Default)]
struct Walk {
    history: Counts,
    seen: Map<u32, Seen>,
    today: Option<i64>,
    new_today: u32,
}

#[derive(Default, Clone, Copy)]
struct Counts {
    /// Active days, of those the settled ones, of those the ones with a new value: as in [`History`].
    active: u32,
    settled: u32,
    new: u32,
}

#[derive(Clone, Copy)]
struct Seen {
    days: u32,
    first: i64,
    last: i64,
}

impl Walk {
    /// Begins the day of the next row, if it is another one. Answers whether it is.
    fn day(&mut self, day: i64) -> bool {
        if self.today == Some(day) {
            return false;
        }
        self.today = Some(day);
        self.new_today = 0;
        self.history.active += 1;
        self.history.settled += u32::from(self.history.active > SETTLED);
        true
    }

    /// Active days before today.
    fn earlier_days(&self) -> u32 {
        self.history.active - 1
    }

    /// Days before today with the value.
    fn days_with(&self, value: u32, today: i64) -> u32 {
        self.seen.get(&value).map_or(0, |seen| seen.days - u32::from(seen.last == today))
    }

    /// Takes note of a value. Answers whether it is new, and whether it is the first new one of the day.
    fn note(&mut self, value: u32, day: i64) -> (bool, bool) {
        let mut new = false;
        let seen = self.seen.entry(value).or_insert_with(|| {
            new = true;
            Seen { days: 0, first: day, last: i64::MIN }
        });
        if seen.last != day {
            (seen.days, seen.last) = (seen.days + 1, day);
        }
        let first_today = new && self.new_today == 0;
        self.new_today += u32::from(new);
        self.history.new += u32::from(first_today && self.history.active > SETTLED);
        (new, first_today)
    }
}

/// How many of an entity's values were there on so many days. There are never more entries than the root of twice the
/// rows, since that many different numbers of days take that many rows.
#[derive(Default)]
struct ValuesByDays(BTreeMap<u32, u32>);

impl ValuesByDays {
    /// A value was there on one more day: on `days` by now.
    fn add(&mut self, days: u32) {
        if let Some(values) = self.0.get_mut(&(days - 1)) {
            *values -= 1;
            if *values == 0 {
                self.0.remove(&(days - 1));
            }
        }
        *self.0.entry(days).or_default() += 1;
    }

    /// Sum of the days of all values that were there on at most so many.
    fn sum_up_to(&self, days: u32) -> f64 {
        self.0.range(..=days).map(|(days, values)| f64::from(*days) * f64::from(*values)).sum()
    }
}

/// When entities first used each value: tells how many had used it when a model of that time was trained.
struct FirstUses(Vec<Vec<i64>>);

impl FirstUses {
    fn of(values: &Values, days: &[i64], entities: &[Vec<usize>]) -> Self {
        let mut firsts = vec![Vec::new(); values.names.len()];
        for rows in entities {
            let mut known: Set<u32> = Set::default();
            for row in rows {
                if known.insert(values.codes[*row]) {
                    firsts[values.codes[*row] as usize].push(days[*row]);
                }
            }
        }
        for days in &mut firsts {
            days.sort_unstable();
        }
        Self(firsts)
    }

    fn before(&self, value: u32, day: i64) -> u32 {
        self.0[value as usize].partition_point(|first| *first < day) as u32
    }
}

/// The rows a population is learned from.
#[derive(Clone, Copy)]
pub(super) struct Past<'a> {
    pub(super) days: &'a [i64],
    pub(super) entities: &'a [Vec<usize>],
    /// First day of the rows.
    pub(super) first_day: i64,
    /// Days that every entity needs to get known; what happens in them says nothing about later ones.
    pub(super) warm_up: i64,
    /// Days between two trainings.
    pub(super) stale: i64,
    /// Whether several new values on one day are more surprising than one.
    pub(super) bursts: bool,
}

impl Past<'_> {
    /// The day of the training that a row of `day` would have been scored after.
    fn trained(&self, day: i64) -> i64 {
        day - (day - self.first_day) % self.stale
    }
}

impl Population {
    /// Learns from all entities, and gives the surprise of every row as a model would have had it that was trained on
    /// what was before. Past a model's training, others' first uses are unknown to it.
    ///
    /// # Errors
    /// [`Error::Cancelled`] within an entity of being asked to stop.
    pub(super) fn fit(
        values: &Values,
        past: Past<'_>,
        trust: f64,
        cancel: &CancelToken,
    ) -> Result<(Self, Vec<f64>)> {
        let uses = FirstUses::of(values, past.days, past.entities);
        let mut days_of_age = [0.0; AGES.len()];
        let mut new_of_age = [0.0; AGES.len()];
        let mut further_of_age = [0.0; AGES.len()];
        let mut new_of_class = [0.0; CLASSES];
        let entities = past.entities.len() as u32;
        for rows in past.entities {
            let mut walk = Walk::default();
            for &row in rows {
                let (day, value) = (past.days[row], values.codes[row]);
                if walk.day(day) {
                    days_of_age[age(walk.earlier_days())] += 1.0;
                }
                let (new, first_today) = walk.note(value, day);
                if first_today {
                    new_of_age[age(walk.earlier_days())] += 1.0;
                } else if new {
                    further_of_age[age(walk.earlier_days())] += 1.0;
                }
                if new && day >= past.first_day + past.warm_up {
                    new_of_class[class(uses.before(value, past.trained(day)), entities)] += 1.0;
                }
            }
        }
        let more = |age: usize| (further_of_age[age] + 0.5) / (new_of_age[age] + further_of_age[age] + 1.0);
        let population = Self {
            new_days: std::array::from_fn(|age| (new_of_age[age] + 0.5) / (days_of_age[age] + 1.0)),
            more: std::array::from_fn(|age| if past.bursts { more(age) } else { 1.0 }),
            at_most: cumulated(new_of_class),
            entities,
            users: most_used(&values.names, &uses.0),
        };
        let mut surprises = vec![0.0; values.codes.len()];
        for rows in past.entities {
            if cancel.is_cancelled() {
                return Err(Error::Cancelled);
            }
            population.replay(values, past, &uses, rows, trust, &mut surprises);
        }
        Ok((population, surprises))
    }

    /// Surprises of one entity's rows, each after the days before it.
    fn replay(
        &self,
        values: &Values,
        past: Past<'_>,
        uses: &FirstUses,
        rows: &[usize],
        trust: f64,
        surprises: &mut [f64],
    ) {
        let mut walk = Walk::default();
        let mut today: Map<u32, f64> = Map::default();
        let mut by_days = ValuesByDays::default();
        for &row in rows {
            let (day, value) = (past.days[row], values.codes[row]);
            if walk.day(day) {
                for (value, _) in today.drain() {
                    by_days.add(walk.seen[&value].days);
                }
            }
            surprises[row] = *today.entry(value).or_insert_with(|| {
                let days = walk.days_with(value, day);
                let trained = past.trained(day);
                let case = Case {
                    counts: walk.history,
                    active_days: walk.earlier_days(),
                    days,
                    new_before: walk.new_today,
                    days_of_rarer: by_days.sum_up_to(days),
                    fresh: walk.seen.get(&value).is_some_and(|seen| seen.first >= trained),
                    users: uses.before(value, trained),
                };
                self.surprise(&case, trust)
            });
            walk.note(value, day);
        }
    }

    fn surprise(&self, case: &Case, trust: f64) -> f64 {
        let usual = self.new_days[age(case.active_days)];
        let own = f64::from(case.counts.new) + PRIOR;
        let rate = if usual < 0.9 { own / (f64::from(case.counts.settled) + PRIOR / usual) } else { usual };
        let new = (rate * self.at_most[class(case.users, self.entities)]).min(1.0);
        if case.days == 0 {
            let more = self.more[age(case.active_days)].max(FLOOR);
            return -new.max(FLOOR).ln() - f64::from(case.new_before.min(MOST_NEW)) * more.ln();
        }
        let rarer = case.days_of_rarer / f64::from(case.active_days.max(1));
        let known = (rate + (1.0 - rate) * rarer).min(1.0);
        let distrust = if case.fresh { trust / (f64::from(case.days) + trust) } else { 0.0 };
        -(known.max(FLOOR).ln() * (1.0 - distrust) + new.max(FLOOR).ln() * distrust)
    }

    pub(super) fn is_valid(&self) -> bool {
        let share = |share: &f64| (0.0..=1.0).contains(share);
        self.new_days.iter().chain(&self.more).chain(&self.at_most).all(share)
    }
}

/// Numbers the new values of a day in the order of their appearance.
#[derive(Default)]
struct News {
    day: i64,
    numbers: Map<usize, u32>,
}

impl News {
    /// How many other new values the day had before this one.
    fn before(&mut self, value: usize, day: i64) -> u32 {
        if self.day != day {
            self.day = day;
            self.numbers.clear();
        }
        let next = self.numbers.len() as u32;
        *self.numbers.entry(value).or_insert(next)
    }
}

/// What there is to know about an entity's value.
struct Case {
    counts: Counts,
    /// Of the entity, before today.
    active_days: u32,
    /// With this value, before today.
    days: u32,
    /// If there are none: new values earlier today.
    new_before: u32,
    /// Sum over all values that were there on as many days or fewer.
    days_of_rarer: f64,
    /// Whether the value first appeared after training.
    fresh: bool,
    /// Other entities that use the value.
    users: u32,
}

fn cumulated(counts: [f64; CLASSES]) -> [f64; CLASSES] {
    let total: f64 = counts.iter().sum::<f64>() + 0.5 * CLASSES as f64;
    let mut sum = 0.0;
    counts.map(|count| {
        sum += (count + 0.5) / total;
        f64::min(sum, 1.0)
    })
}

fn most_used(names: &[String], uses: &[Vec<i64>]) -> BTreeMap<String, u32> {
    let mut order: Vec<usize> = (0..names.len()).collect();
    order.sort_by_key(|value| (std::cmp::Reverse(uses[*value].len()), &names[*value]));
    order.truncate(MOST_VALUES);
    order.into_iter().map(|value| (names[value].clone(), uses[value].len() as u32)).collect()
}

impl History {
    /// Counts an entity's rows, oldest first.
    pub(super) fn of(values: &Values, days: &[i64], rows: &[usize]) -> Self {
        let mut walk = Walk::default();
        for &row in rows {
            walk.day(days[row]);
            walk.note(values.codes[row], days[row]);
        }
        let mut days: Vec<(u32, &String)> =
            walk.seen.iter().map(|(value, seen)| (seen.days, &values.names[*value as usize])).collect();
        days.sort_by_key(|(days, name)| (std::cmp::Reverse(*days), *name));
        days.truncate(MOST_VALUES);
        Self {
            active_days: walk.history.active,
            settled_days: walk.history.settled,
            new_days: walk.history.new,
            days: days.into_iter().map(|(days, name)| (name.clone(), days)).collect(),
        }
    }

    /// The value of most days.
    pub(super) fn usual(&self) -> Option<&str> {
        // Of equals, the first in alphabetical order.
        let most = self.days.iter().max_by(|a, b| a.1.cmp(b.1).then(b.0.cmp(a.0)));
        most.map(|(name, _)| name.as_str())
    }

    /// Surprises of new rows, oldest first. `today` is the day of each row, and `ages` the active days of the entity that
    /// the batch tells of.
    pub(super) fn surprises(
        &self,
        population: &Population,
        values: &Values,
        today: &[i64],
        ages: &[u32],
        trust: f64,
    ) -> Vec<f64> {
        let days_of: Vec<u32> =
            values.names.iter().map(|name| self.days.get(name).copied().unwrap_or(0)).collect();
        let users: Vec<u32> =
            values.names.iter().map(|name| population.users.get(name).copied().unwrap_or(0)).collect();
        let mut sorted: Vec<u32> = self.days.values().copied().collect();
        sorted.sort_unstable();
        let mut sums = vec![0.0];
        sums.extend(sorted.iter().scan(0.0, |sum, days| {
            *sum += f64::from(*days);
            Some(*sum)
        }));
        let counts = Counts { active: self.active_days, settled: self.settled_days, new: self.new_days };
        let mut news = News::default();
        let surprise = |row: usize| {
            let value = values.codes[row] as usize;
            let known = days_of[value];
            let days = known.max(values.days_seen.as_ref().map_or(0, |days| days[row]));
            let rarer = sums[sorted.partition_point(|other| *other <= days)];
            let fresh = known == 0;
            let case = Case {
                new_before: if days == 0 { news.before(value, today[row]) } else { 0 },
                counts,
                active_days: self.active_days.max(ages[row]),
                days,
                days_of_rarer: rarer + if fresh { f64::from(days) } else { 0.0 },
                fresh,
                users: users[value],
            };
            population.surprise(&case, trust)
        };
        (0..values.codes.len()).map(surprise).collect()
    }
}

#[cfg(test)]
#[allow(clippy::float_cmp)] // Equal means equal here.
mod tests {
    use super::*;

    /// One entity per list; one row a day.
    fn table(entities: &[&[u32]], names: usize) -> (Values, Vec<i64>, Vec<Vec<usize>>) {
        let codes: Vec<u32> = entities.iter().copied().flatten().copied().collect();
        let days = entities.iter().flat_map(|rows| 0..rows.len() as i64).collect();
        let mut start = 0;
        let rows = entities.iter().map(|rows| {
            start += rows.len();
            (start - rows.len()..start).collect()
        });
        let names = (0..names).map(|name| name.to_string()).collect();
        (Values { codes, names, days_seen: None }, days, rows.collect())
    }

    fn past<'a>(days: &'a [i64], entities: &'a [Vec<usize>]) -> Past<'a> {
        Past { days, entities, first_day: 0, warm_up: 10, stale: 15, bursts: true }
    }

    fn fit(values: &Values, past: Past<'_>) -> (Population, Vec<f64>) {
        Population::fit(values, past, 3.0, &CancelToken::default()).unwrap()
    }

    fn one(name: &str, days_seen: Option<u32>) -> Values {
        Values { codes: vec![0], names: vec![name.into()], days_seen: days_seen.map(|days| vec![days]) }
    }

    #[test]
    fn new_values_are_rarer_than_known_ones_and_from_steady_entities_rarer_still() {
        let steady: Vec<u32> = vec![0; 60];
        let restless: Vec<u32> = (0..60).map(|day| if day % 2 == 0 { 0 } else { 1 + day }).collect();
        let lists: Vec<&[u32]> =
            std::iter::repeat_n(steady.as_slice(), 20).chain([restless.as_slice()]).collect();
        let (values, days, entities) = table(&lists, 100);
        let (population, replayed) = fit(&values, past(&days, &entities));
        assert!(population.is_valid());
        let of = |entity: usize, name: &str| {
            let history = History::of(&values, &days, &entities[entity]);
            history.surprises(&population, &one(name, None), &[60], &[0], 3.0)[0]
        };
        assert!(of(0, "0") < 0.1);
        assert!(of(0, "unheard of") > 4.0);
        assert!(of(20, "unheard of") < of(0, "unheard of") - 2.0);
        assert!(replayed[15..60].iter().all(|surprise| *surprise < 1.0));
    }

    #[test]
    fn a_value_that_others_use_is_less_surprising() {
        let mut lists: Vec<Vec<u32>> = (0..40).map(|_| vec![0; 60]).collect();
        // Half of all try value 1 on some day; a few find one of their own.
        for (entity, list) in lists.iter_mut().enumerate() {
            if entity % 2 == 0 {
                list[20 + entity] = 1;
            }
            if entity % 10 == 1 {
                list[30] = 2 + entity as u32;
            }
        }
        let (values, days, entities) = table(&lists.iter().map(Vec::as_slice).collect::<Vec<_>>(), 60);
        let (population, _) = fit(&values, past(&days, &entities));
        let history = History::of(&values, &days, &entities[3]);
        let surprise = |name| history.surprises(&population, &one(name, None), &[60], &[0], 3.0)[0];
        assert!(surprise("1") + 0.5 < surprise("nobody's"));
    }

    #[test]
    fn several_new_values_on_one_day_are_more_surprising_than_one() {
        // Everybody has a new value every tenth day, never two.
        let lists: Vec<Vec<u32>> =
            (0..20).map(|_| (0..60).map(|day| if day % 10 == 9 { 1 + day } else { 0 }).collect()).collect();
        let (values, days, entities) = table(&lists.iter().map(Vec::as_slice).collect::<Vec<_>>(), 61);
        let news = Values {
            codes: vec![0, 1, 1, 2, 3, 0, 4],
            names: ["a", "b", "c", "d", "e"].map(str::to_owned).to_vec(),
            days_seen: None,
        };
        let surprises = |bursts| {
            let past = Past { bursts, ..past(&days, &entities) };
            let (population, _) = fit(&values, past);
            assert!(population.is_valid());
            let history = History::of(&values, &days, &entities[0]);
            history.surprises(&population, &news, &[60, 60, 60, 60, 60, 60, 61], &[0; 7], 3.0)
        };
        let [first, second, again, third, fourth, back, tomorrow] = surprises(true)[..] else {
            unreachable!()
        };
        assert!(second > first + 2.0 && third > second + 2.0, "{first} {second} {third}");
        assert_eq!((again, fourth, back, tomorrow), (second, third, first, first));
        assert_eq!(surprises(false), [first; 7]);
    }

    #[test]
    fn days_of_use_after_training_build_trust() {
        let lists = vec![vec![0; 60]; 5];
        let (values, days, entities) = table(&lists.iter().map(Vec::as_slice).collect::<Vec<_>>(), 1);
        let (population, _) = fit(&values, past(&days, &entities));
        let history = History::of(&values, &days, &entities[0]);
        let after =
            |seen| history.surprises(&population, &one("new phone", Some(seen)), &[60], &[60 + seen], 3.0)[0];
        assert!(
            (1..10).all(|seen| after(seen) < after(seen - 1)),
            "{:?}",
            (0..10).map(after).collect::<Vec<_>>()
        );
        assert!(after(1) > after(0) / 2.0, "one day is little");
    }

    #[test]
    fn days_of_rarer_values_are_those_of_a_walk_over_all() {
        let mut days: Map<u32, u32> = Map::default();
        let mut by_days = ValuesByDays::default();
        for step in 0..2000_u32 {
            let seen = days.entry((step * step + step / 7) % 97).or_default();
            *seen += 1;
            by_days.add(*seen);
            let most = step % 40;
            let walked: f64 = days.values().filter(|n| **n <= most).copied().map(f64::from).sum();
            assert_eq!(by_days.sum_up_to(most), walked);
        }
        assert!(by_days.0.len() <= 63, "the root of 4000");
    }

    #[test]
    fn a_fit_ends_when_asked_to() {
        let (values, days, entities) = table(&[&[0, 1], &[1, 0]], 2);
        let cancel = CancelToken::default();
        cancel.cancel();
        let fitted = Population::fit(&values, past(&days, &entities), 3.0, &cancel);
        assert!(matches!(fitted, Err(Error::Cancelled)));
    }

    #[test]
    fn an_unknown_entity_surprises_less() {
        let lists = vec![vec![0; 60]; 20];
        let (values, days, entities) = table(&lists.iter().map(Vec::as_slice).collect::<Vec<_>>(), 1);
        let (population, _) = fit(&values, past(&days, &entities));
        let old = History::of(&values, &days, &entities[0]);
        let surprise =
            |history: &History| history.surprises(&population, &one("x", None), &[60], &[0], 3.0)[0];
        assert!(surprise(&History::default()) + 1.0 < surprise(&old));
    }
}
