//! Names as small numbers.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;

/// In place of a name's number: any name that was never seen.
pub(super) const UNKNOWN: u32 = u32::MAX;

/// Numbers of names, in the order they were first seen.
#[derive(Debug, Clone, Default)]
pub(super) struct Vocabulary {
    numbers: HashMap<Arc<str>, u32, RandomState>,
    names: Vec<Arc<str>>,
}

impl Vocabulary {
    pub(super) fn len(&self) -> usize {
        self.names.len()
    }

    pub(super) fn name(&self, number: u32) -> &str {
        &self.names[number as usize]
    }

    pub(super) fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.names.iter().map(|name| &**name)
    }

    /// The number of a name, or [`UNKNOWN`].
    pub(super) fn find(&self, name: &str) -> u32 {
        self.numbers.get(name).copied().unwrap_or(UNKNOWN)
    }

    /// The number of a name, which becomes known.
    pub(super) fn learn(&mut self, name: &str) -> u32 {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        let number = u32::try_from(self.names.len()).expect("four billion names do not fit in memory");
        let name: Arc<str> = name.into();
        self.names.push(Arc::clone(&name));
        self.numbers.insert(name, number);
        number
    }

    /// The names that `kept` says, in the order of their texts, and the new number of every old one.
    pub(super) fn sorted(&self, kept: impl Fn(u32) -> bool) -> (Self, Vec<u32>) {
        let mut order: Vec<u32> = (0..self.names.len() as u32).filter(|number| kept(*number)).collect();
        order.sort_unstable_by(|a, b| self.name(*a).cmp(self.name(*b)));
        let mut renumbered = vec![UNKNOWN; self.names.len()];
        let mut sorted = Self::default();
        for old in order {
            renumbered[old as usize] = sorted.learn(self.name(old));
        }
        (sorted, renumbered)
    }
}
