//! Threads that work in step.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Rounds of waiting before a thread gives its core away.
const SPINS: usize = 2000;

/// Where the threads of a team wait for each other. They meet every few hundred microseconds, so they wait awake.
pub(super) struct Meeting {
    members: usize,
    arrived: AtomicUsize,
    round: AtomicUsize,
    broken: AtomicBool,
}

impl Meeting {
    pub(super) fn new(members: usize) -> Self {
        let zero = || AtomicUsize::new(0);
        Self { members, arrived: zero(), round: zero(), broken: AtomicBool::new(false) }
    }

    /// Returns once all members have called it. What each did before is then visible to all.
    pub(super) fn wait(&self) {
        let round = self.round.load(Ordering::Acquire);
        if self.arrived.fetch_add(1, Ordering::AcqRel) + 1 == self.members {
            self.arrived.store(0, Ordering::Relaxed);
            self.round.store(round.wrapping_add(1), Ordering::Release);
            return;
        }
        let mut spins = 0;
        while self.round.load(Ordering::Acquire) == round {
            assert!(!self.broken.load(Ordering::Relaxed), "another thread of the team panicked");
            spins += 1;
            if spins < SPINS { std::hint::spin_loop() } else { std::thread::yield_now() }
        }
    }
}

/// Tells the others when its thread panics, so that they do not wait for ever.
struct Member<'a>(&'a Meeting);

impl Drop for Member<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.broken.store(true, Ordering::Relaxed);
        }
    }
}

/// Runs `work(member)` on `members` threads, this one included, and returns when all are done.
pub(super) fn run(meeting: &Meeting, work: impl Fn(usize) + Sync) {
    if meeting.members == 1 {
        return work(0);
    }
    std::thread::scope(|scope| {
        for member in 1..meeting.members {
            let work = &work;
            scope.spawn(move || {
                let _member = Member(meeting);
                work(member);
            });
        }
        let _member = Member(meeting);
        work(0);
    });
}

/// Work items handed out one by one, to whoever asks.
#[derive(Default)]
pub(super) struct Queue(AtomicUsize);

impl Queue {
    /// The next item of `n`, if any is left.
    pub(super) fn take(&self, n: usize) -> Option<usize> {
        let item = self.0.fetch_add(1, Ordering::Relaxed);
        (item < n).then_some(item)
    }

    /// Starts over; only while nobody takes.
    pub(super) fn reset(&self) {
        self.0.store(0, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_meet_and_share_the_items() {
        let (meeting, queue, sum, wrong) =
            (Meeting::new(3), Queue::default(), AtomicUsize::new(0), AtomicUsize::new(0));
        run(&meeting, |member| {
            for round in 1..=200 {
                while let Some(item) = queue.take(10) {
                    sum.fetch_add(item, Ordering::Relaxed);
                }
                meeting.wait();
                if sum.load(Ordering::Relaxed) != 45 * round {
                    wrong.fetch_add(1, Ordering::Relaxed);
                }
                if member == 0 {
                    queue.reset();
                }
                meeting.wait();
            }
        });
        assert_eq!(wrong.into_inner(), 0);
    }

    #[test]
    fn a_panic_ends_the_team() {
        let meeting = Meeting::new(2);
        let run =
            || run(&meeting, |member| if member == 1 { panic!("for the test") } else { meeting.wait() });
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).is_err());
    }
}
