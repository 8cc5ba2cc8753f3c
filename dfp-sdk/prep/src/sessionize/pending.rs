//! Events that are not final yet: an earlier one may still come.

/// An event: when it happened, whose it is, and where it is held.
#[derive(Debug, Clone, Copy)]
pub(super) struct Event {
    pub(super) time: i64,
    pub(super) identity: u32,
    pub(super) row: u32,
}

/// Events ordered by time, equal times by arrival: a few sorted runs, each less than half as long as the one before.
///
/// An event takes part in as many merges as there are runs, the logarithm of how many events wait; where events arrive
/// in order, each merge is one pass.
#[derive(Default)]
pub(super) struct Pending {
    runs: Vec<Run>,
}

struct Run {
    events: Vec<Event>,
    /// Those before are taken.
    start: usize,
}

impl Run {
    fn rest(&self) -> &[Event] {
        &self.events[self.start..]
    }
}

impl Pending {
    /// Adds events in the order of their arrival.
    pub(super) fn add(&mut self, mut events: Vec<Event>) {
        if events.is_empty() {
            return;
        }
        while let Some(before) = self.runs.pop_if(|run| run.rest().len() <= 2 * events.len()) {
            let mut both = before.events;
            both.drain(..before.start);
            both.append(&mut events);
            events = both;
        }
        // Stable, so that equal times stay in order of arrival; and quick where runs are sorted already.
        events.sort_by_key(|event| event.time);
        self.runs.push(Run { events, start: 0 });
    }

    /// Takes out all events before a time, or all there are; in order.
    pub(super) fn take(&mut self, before: Option<i64>) -> Vec<Event> {
        let mut taken = Vec::new();
        for run in &mut self.runs {
            let rest = run.rest();
            let n = before.map_or(rest.len(), |time| rest.partition_point(|event| event.time < time));
            taken.extend_from_slice(&rest[..n]);
            run.start += n;
            if run.start > run.events.len() / 2 {
                run.events.drain(..run.start);
                run.start = 0;
            }
        }
        self.runs.retain(|run| !run.rest().is_empty());
        taken.sort_by_key(|event| event.time);
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn gives_what_a_stable_sort_gives(
            pushes in prop::collection::vec((prop::collection::vec(0_i64..50, 0..20), 0_i64..60), 0..20),
        ) {
            let (mut pending, mut plain) = (Pending::default(), Vec::new());
            let mut row = 0;
            for (times, before) in pushes {
                let events: Vec<_> = times
                    .into_iter()
                    .map(|time| {
                        row += 1;
                        Event { time, identity: 0, row }
                    })
                    .collect();
                plain.extend_from_slice(&events);
                pending.add(events);
                plain.sort_by_key(|event| event.time);
                let n = plain.partition_point(|event| event.time < before);
                let expected: Vec<u32> = plain.drain(..n).map(|event| event.row).collect();
                let taken: Vec<u32> = pending.take(Some(before)).iter().map(|event| event.row).collect();
                prop_assert_eq!(taken, expected);
                prop_assert!(pending.runs.len() <= 10);
            }
            let rest: Vec<u32> = pending.take(None).iter().map(|event| event.row).collect();
            prop_assert_eq!(rest, plain.iter().map(|event| event.row).collect::<Vec<_>>());
            prop_assert!(pending.runs.is_empty());
        }
    }
}
