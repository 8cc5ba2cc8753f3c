//! What was seen how often: the whole memory of a model, sparse and additive.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use foldhash::fast::RandomState;

use super::vocabulary::{UNKNOWN, Vocabulary};
use super::{SessionType, Sessions};
use crate::{Error, Result};

/// In place of a command's number: before the first event of a session, and after the last one. What is before is never
/// after, so one number does for both.
pub(super) const BOUNDARY: u32 = u32::MAX - 1;
/// One occurrence. Counts are whole multiples of 2^-20, so that adding them up is exact in any order, after decay too.
const ONE: u64 = 1 << 20;

/// How often commands followed each other, had parameters, and these had values, in the sessions seen.
///
/// Nothing else is kept; all other counts are sums of these, all probabilities follow. Counts of parts of the data, added by
/// [`merge`](Self::merge) in any order, are the counts of the whole. Memory grows with what is distinct: pairs of commands,
/// parameters of each command, values of each parameter (up to a limit).
#[derive(Debug, Clone)]
pub struct Counts {
    pub(super) kind: SessionType,
    /// Parameters with more distinct values lose them.
    pub(super) max_values: usize,
    pub(super) commands: Vocabulary,
    pub(super) parameters: Vocabulary,
    /// Of command and next command, [`BOUNDARY`] for the start and the end.
    pub(super) transitions: Pairs,
    /// Of command and parameter.
    pub(super) command_parameters: Pairs,
    /// By parameter.
    pub(super) values: Vec<Values>,
}

/// Counts of pairs of numbers, in units of 2^-20.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Pairs(HashMap<u64, u64, RandomState>);

impl Pairs {
    pub(super) fn add(&mut self, first: u32, second: u32, units: u64) {
        let count = self.0.entry(key(first, second)).or_default();
        *count = count.saturating_add(units);
    }

    /// The count of a pair, if there is one.
    pub(super) fn get(&self, first: u32, second: u32) -> Option<f64> {
        self.0.get(&key(first, second)).map(|units| number(*units))
    }

    /// Pairs and their counts in units of 2^-20, in no order.
    pub(super) fn units(&self) -> impl Iterator<Item = (u32, u32, u64)> {
        self.0.iter().map(|(key, units)| ((key >> 32) as u32, *key as u32, *units))
    }

    /// The same in order.
    pub(super) fn sorted(&self) -> Vec<(u32, u32, u64)> {
        let mut all: Vec<_> = self.units().collect();
        all.sort_unstable();
        all
    }

    fn renumbered(&self, first: impl Fn(u32) -> u32, second: impl Fn(u32) -> u32) -> Self {
        Self(self.units().map(|(a, b, units)| (key(first(a), second(b)), units)).collect())
    }

    fn decay(&mut self, factor: f64) {
        self.0.retain(|_, units| decayed(units, factor));
    }
}

fn key(first: u32, second: u32) -> u64 {
    u64::from(first) << 32 | u64::from(second)
}

/// Units of 2^-20 as a number.
pub(super) fn number(units: u64) -> f64 {
    units as f64 / ONE as f64
}

/// Scales a count, and says whether anything is left of it.
fn decayed(units: &mut u64, factor: f64) -> bool {
    *units = (*units as f64 * factor) as u64;
    *units > 0
}

/// Counts of a parameter's values, in units of 2^-20.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Values {
    pub(super) counts: HashMap<Box<str>, u64, RandomState>,
    /// There were more than the limit, and so none is kept any longer.
    pub(super) crowded: bool,
}

impl Values {
    fn add(&mut self, value: &str, units: u64, limit: usize) {
        if self.crowded {
            return;
        }
        if let Some(count) = self.counts.get_mut(value) {
            *count = count.saturating_add(units);
            return;
        }
        self.counts.insert(value.into(), units);
        self.limit(limit);
    }

    fn limit(&mut self, limit: usize) {
        if self.counts.len() > limit {
            *self = Self { crowded: true, ..Self::default() };
        }
    }

    /// The number of occurrences with any value.
    pub(super) fn total(&self) -> f64 {
        number(self.counts.values().fold(0, |sum, units| sum.saturating_add(*units)))
    }
}

impl Counts {
    /// Counts of no sessions yet. Parameters with more than `max_values` distinct values, 0 for any number, lose their
    /// values.
    pub fn new(kind: SessionType, max_values: usize) -> Self {
        Self {
            kind,
            max_values: if max_values == 0 { usize::MAX } else { max_values },
            commands: Vocabulary::default(),
            parameters: Vocabulary::default(),
            transitions: Pairs::default(),
            command_parameters: Pairs::default(),
            values: Vec::new(),
        }
    }

    /// What is known of the events that were counted.
    pub fn session_type(&self) -> SessionType {
        self.kind
    }

    /// Counts sessions, in addition to those counted before.
    ///
    /// # Errors
    /// [`Error::Mismatch`] if they are of another type.
    pub fn add(&mut self, sessions: &Sessions<'_>) -> Result<()> {
        self.same_kind(sessions.session_type())?;
        self.add_some(sessions, 0..sessions.len());
        Ok(())
    }

    /// Counts some of the sessions, which are of this type.
    pub(super) fn add_some(&mut self, sessions: &Sessions<'_>, range: Range<usize>) {
        let mut params = Vec::new();
        for session in range {
            let mut previous = BOUNDARY;
            for event in sessions.events(session) {
                let command = self.commands.learn(sessions.name(event));
                self.transitions.add(previous, command, ONE);
                self.add_params(sessions, event, command, &mut params);
                previous = command;
            }
            self.transitions.add(previous, BOUNDARY, ONE);
        }
    }

    fn add_params(
        &mut self,
        sessions: &Sessions<'_>,
        event: usize,
        command: u32,
        params: &mut Vec<(u32, usize)>,
    ) {
        distinct_params(sessions, event, |name| self.parameters.learn(name), params);
        self.values.resize_with(self.parameters.len(), Values::default);
        for (parameter, place) in params {
            self.command_parameters.add(command, *parameter, ONE);
            if let Some(value) = sessions.value(*place) {
                self.values[*parameter as usize].add(value, ONE, self.max_values);
            }
        }
    }

    /// Adds what `other` counted: the sum is what one pass over the sessions of both would have counted. Of two limits on
    /// values, the stricter one holds.
    ///
    /// # Errors
    /// [`Error::Mismatch`] if they count events of different types.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        self.same_kind(other.kind)?;
        let commands: Vec<u32> = other.commands.names().map(|name| self.commands.learn(name)).collect();
        let parameters: Vec<u32> = other.parameters.names().map(|name| self.parameters.learn(name)).collect();
        let command = |number: u32| if number == BOUNDARY { number } else { commands[number as usize] };
        for (from, to, units) in other.transitions.units() {
            self.transitions.add(command(from), command(to), units);
        }
        for (of, parameter, units) in other.command_parameters.units() {
            self.command_parameters.add(command(of), parameters[parameter as usize], units);
        }
        if other.max_values < self.max_values {
            self.max_values = other.max_values;
            self.values.iter_mut().for_each(|values| values.limit(other.max_values));
        }
        self.values.resize_with(self.parameters.len(), Values::default);
        for (parameter, theirs) in parameters.iter().zip(&other.values) {
            let values = &mut self.values[*parameter as usize];
            if theirs.crowded {
                *values = theirs.clone();
            }
            for (value, units) in &theirs.counts {
                values.add(value, *units, self.max_values);
            }
        }
        Ok(())
    }

    /// Makes all that was counted count `factor` times as much, from 0 to 1, as if it had been seen less often: to forget
    /// the distant past, decay before counting a new day. For a half-life of `h` days the daily factor is `0.5^(1/h)`.
    /// What falls below a millionth of an occurrence is forgotten.
    ///
    /// # Errors
    /// [`Error::Config`] if the factor is not from 0 to 1.
    pub fn decay(&mut self, factor: f64) -> Result<()> {
        if !(0.0..=1.0).contains(&factor) {
            let (field, value) = ("sequence decay factor", factor.to_string());
            return Err(Error::Config { field, value, accepted: "0 to 1" });
        }
        self.transitions.decay(factor);
        self.command_parameters.decay(factor);
        for values in &mut self.values {
            values.counts.retain(|_, units| decayed(units, factor));
        }
        Ok(())
    }

    fn same_kind(&self, other: SessionType) -> Result<()> {
        if self.kind == other {
            return Ok(());
        }
        Err(Error::Mismatch(format!("one has sessions of {:?}, the other of {other:?}", self.kind)))
    }

    /// The same counts with names in the order of their texts, and without those that were forgotten: what is counted alike
    /// is then alike, whatever the order it came in.
    pub(super) fn in_order(&self) -> Self {
        let mut commands = vec![false; self.commands.len()];
        for number in self.transitions.units().flat_map(|(from, to, _)| [from, to]) {
            if number != BOUNDARY {
                commands[number as usize] = true;
            }
        }
        let mut parameters = vec![false; self.parameters.len()];
        let known = |command: u32| commands[command as usize];
        for (_, parameter, _) in self.command_parameters.units().filter(|(command, ..)| known(*command)) {
            parameters[parameter as usize] = true;
        }
        let (new_commands, command) = self.commands.sorted(known);
        let (new_parameters, parameter) = self.parameters.sorted(|number| parameters[number as usize]);
        let command = |old: u32| if old == BOUNDARY { old } else { command[old as usize] };
        let mut values = vec![Values::default(); new_parameters.len()];
        for (old, counts) in self.values.iter().enumerate() {
            if parameter[old] != UNKNOWN {
                values[parameter[old] as usize] = counts.clone();
            }
        }
        let mut command_parameters =
            self.command_parameters.renumbered(command, |old| parameter[old as usize]);
        command_parameters.0.retain(|key, _| (key >> 32) as u32 != UNKNOWN);
        Self {
            kind: self.kind,
            max_values: self.max_values,
            transitions: self.transitions.renumbered(command, command),
            command_parameters,
            values,
            commands: new_commands,
            parameters: new_parameters,
        }
    }
}

/// What was counted, as numbers: fractions only after decay.
impl Counts {
    /// Sessions.
    pub fn sessions(&self) -> f64 {
        let starts = self.transitions.units().filter(|(from, ..)| *from == BOUNDARY);
        number(starts.fold(0, |sum, (.., units)| sum.saturating_add(units)))
    }

    /// Events, by command.
    pub fn commands(&self) -> BTreeMap<&str, f64> {
        let mut all: BTreeMap<&str, f64> = self.commands.names().map(|name| (name, 0.0)).collect();
        for (from, _, units) in self.transitions.units().filter(|(from, ..)| *from != BOUNDARY) {
            *all.get_mut(self.commands.name(from)).expect("all are there") += number(units);
        }
        all
    }

    /// Neighbours: command and next command; none for the start of a session as the former, its end as the latter.
    pub fn transitions(&self) -> BTreeMap<(Option<&str>, Option<&str>), f64> {
        let name = |number| (number != BOUNDARY).then(|| self.commands.name(number));
        self.transitions.units().map(|(from, to, units)| ((name(from), name(to)), number(units))).collect()
    }

    /// Events that had a parameter, by command and parameter.
    pub fn command_parameters(&self) -> BTreeMap<(&str, &str), f64> {
        let all = self.command_parameters.units();
        let named = all.map(|(command, parameter, units)| {
            ((self.commands.name(command), self.parameters.name(parameter)), number(units))
        });
        named.collect()
    }

    /// Parameters with a value, by parameter and value.
    pub fn parameter_values(&self) -> BTreeMap<(&str, &str), f64> {
        let all = self.parameters.names().zip(&self.values);
        let named = all.flat_map(|(parameter, values)| {
            values.counts.iter().map(move |(value, units)| ((parameter, &**value), number(*units)))
        });
        named.collect()
    }
}

/// The distinct parameters of an event: their numbers, ascending, and where the last one of each name stands. Unknown ones
/// are one, the last.
pub(super) fn distinct_params(
    sessions: &Sessions<'_>,
    event: usize,
    mut number: impl FnMut(&str) -> u32,
    into: &mut Vec<(u32, usize)>,
) {
    into.clear();
    into.extend(sessions.params(event).map(|place| (number(sessions.param_name(place)), place)));
    if into.is_sorted_by(|before, after| before.0 < after.0) {
        return;
    }
    into.sort_unstable();
    into.dedup_by(|later, earlier| {
        let same = later.0 == earlier.0;
        earlier.1 = if same { later.1 } else { earlier.1 };
        same
    });
}
