//! Making and destroying: often, wrongly, and under hosts of other versions.

use std::sync::Arc;

use dfp_abi::c::{DFP_INVALID_ARGUMENT, DFP_INVALID_CONFIG};
use dfp_core::Host;

use super::raw::{OtherTable, destroy_null, live_under, try_create};
use super::subject::Subject;
use super::{Answer, Book, CheckOptions, kept, silent};
use crate::{LoadedComponent, LocalHost};

/// Cycles before memory is looked at: caches fill, and the allocator grows.
const WARM_UP: usize = 100;
/// Parts that the cycles are made in. What leaks grows in every one.
const ROUNDS: usize = 3;
/// More parts, as long as none was flat: what else goes on in this process may grow for a while.
const MOST_ROUNDS: usize = 12;
/// Growth in a round that says nothing: pages come and go.
const SLACK_KIB: u64 = 256;
/// Cycles out of process, where each starts one.
const REMOTE_CYCLES: usize = 10;
/// Bytes of a configuration that nobody means.
const HUGE: usize = 1 << 20;

pub(super) fn checks(book: &mut Book, subject: &Subject, options: &CheckOptions) {
    let own = subject.clone();
    let times = options.cycles;
    book.check("lifecycle/cycles", move || cycles(&own, times));
    tables(book, subject, "lifecycle/bad-config", bad_configs);
    tables(book, subject, "lifecycle/null-error", null_errors);
}

/// Hosts of other versions. A source is read under them, so this comes after the checks that say whether it ends.
pub(super) fn versions(book: &mut Book, subject: &Subject) {
    for (name, table) in
        [("versions/older-host", OtherTable::shorter()), ("versions/newer-host", OtherTable::longer())]
    {
        let own = subject.clone();
        tables(book, subject, name, move |component| under(component, &own, table));
    }
}

/// A check that calls the functions of the component's table.
fn tables(
    book: &mut Book,
    subject: &Subject,
    name: &'static str,
    check: impl FnOnce(&'static LoadedComponent) -> Answer + Send + 'static,
) {
    let loaded = subject.loaded;
    book.check(name, move || loaded.map_or_else(|| silent("its tables are in another process"), check));
}

fn host() -> Arc<dyn Host> {
    Arc::new(LocalHost::new())
}

/// Memory of this process that is in use, where the system says so.
fn resident_kib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse().ok()
}

fn cycles(subject: &Subject, times: usize) -> Answer {
    let host = Arc::new(subject.host());
    let cycle = || subject.make(host.clone()).map(drop).map_err(|error| error.to_string());
    let times = if subject.is_remote() { times.min(REMOTE_CYCLES) } else { times };
    let warm_up = WARM_UP.min(times / 2);
    (0..warm_up).try_for_each(|_| cycle())?;
    let round = (times - warm_up) / ROUNDS;
    let mut least = None;
    let mut rounds = 0;
    while rounds < ROUNDS || (rounds < MOST_ROUNDS && least.is_some_and(|grown| grown > SLACK_KIB)) {
        let before = resident_kib();
        (0..round).try_for_each(|_| cycle())?;
        let grown = before.zip(resident_kib()).map(|(before, after)| after.saturating_sub(before));
        least = least.min(grown).or(grown);
        rounds += 1;
    }
    if Arc::strong_count(&host) != 1 {
        return Err("after destroying, the host's context is still retained".to_owned());
    }
    let made = warm_up + rounds * round;
    match least {
        _ if subject.is_remote() => kept(format!("{made} times, a process each")),
        None => kept(format!("{made} times; this system does not say how much memory is in use")),
        Some(grown) if grown > SLACK_KIB => {
            Err(format!("memory grows by {grown} KiB or more in each {round} cycles"))
        }
        Some(grown) => kept(format!("{made} times, memory grew by {grown} KiB in {round}")),
    }
}

/// Configurations that are no JSON object.
fn wrong_configs() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("an empty one", Vec::new()),
        ("one cut short", b"{\"a\": ".to_vec()),
        ("a list", b"[]".to_vec()),
        ("one that is not UTF-8", b"{\"\xFF\": 1}".to_vec()),
        ("one of 1 MB of brackets", vec![b'['; HUGE]),
        ("one of 1 MB of a text without end", [b"{\"".as_slice(), &vec![b'x'; HUGE]].concat()),
    ]
}

fn bad_configs(component: &'static LoadedComponent) -> Answer {
    let wrong = wrong_configs();
    for (name, config) in &wrong {
        let created = try_create(component, config, host(), true);
        if created.code == 0 {
            return Err(format!("it accepts {name}"));
        }
        if created.left_something {
            return Err(format!("it refuses {name}, but leaves an instance behind"));
        }
        if ![DFP_INVALID_CONFIG, DFP_INVALID_ARGUMENT].contains(&created.code) {
            return Err(format!("it answers {} to {name}, not DFP_INVALID_CONFIG", created.code));
        }
        if created.message.is_empty() {
            return Err(format!("it refuses {name} without a message"));
        }
    }
    kept(format!("{} refused, each with a message", wrong.len()))
}

fn null_errors(component: &'static LoadedComponent) -> Answer {
    destroy_null(component);
    for (name, config) in wrong_configs() {
        if try_create(component, &config, host(), false).code == 0 {
            return Err(format!("without a place for an error it accepts {name}"));
        }
    }
    kept("no place for an error, and nothing to destroy")
}

fn under(component: &'static LoadedComponent, subject: &Subject, table: &'static OtherTable) -> Answer {
    let host = Arc::new(subject.host());
    let rows = live_under(component, &subject.config, host.clone(), table)?;
    if Arc::strong_count(&host) != 1 {
        return Err("after destroying, the host's context is still retained".to_owned());
    }
    kept(if rows > 0 { format!("{rows} rows") } else { "made and destroyed".to_owned() })
}
