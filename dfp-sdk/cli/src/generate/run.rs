//! What every kind of log has in common: days are lived, records fall due, files and labels are written.

use std::fs;
use std::num::NonZero;
use std::path::PathBuf;
use std::thread;

use super::calendar::{Calendar, DAY, Ticks};
use super::company::Company;
use super::dice::Guid;
use super::output::{Files, Whole};
use super::plot::{Incident, Scenario, Window, stage};
use super::{Error, Options, Progress, ScenarioCount, Summary};

/// The list of labelled records.
pub(super) const LABELS: &str = "labels.csv";

/// Most threads that days are lived on.
const MOST_THREADS: usize = 16;

/// All that behaviour depends on.
pub(super) struct World {
    pub(super) seed: u64,
    pub(super) company: Company,
    pub(super) calendar: Calendar,
    /// How many days the span has.
    pub(super) days: i32,
}

/// A record that waits to be written.
pub(super) struct Event {
    /// When it happened.
    pub(super) at: Ticks,
    /// When the source hands it out; files are written in this order.
    pub(super) delivered: Ticks,
    /// The source's own identifier of it.
    pub(super) id: Guid,
    /// The incident that it belongs to; `None` for ordinary life.
    pub(super) mark: Option<Mark>,
    /// Which of a day's piles of files it goes to, where there are several.
    pub(super) shelf: usize,
    pub(super) json: Vec<u8>,
}

/// What `labels.csv` says of a record.
pub(super) struct Mark {
    pub(super) incident: usize,
    pub(super) user: String,
}

/// A kind of log.
pub(super) trait Log: Sync + Sized + 'static {
    const SCENARIOS: &'static [Scenario<Self>];

    fn new(world: World) -> Self;

    fn world(&self) -> &World;

    /// How many people, services and systems there are; each lives its days alone.
    fn actors(&self) -> usize;

    /// Adds what an actor does on a day.
    fn live(&self, actor: usize, day: i32, out: &mut Vec<Event>);

    /// Writes what is due on a day, in order of delivery.
    fn write(&self, day: i32, due: &[Event], files: &mut Files) -> Result<(), Error>;
}

/// Writes the logs of a span of days and the list of labelled records. Memory is bounded by the records of a few days.
pub(super) fn generate<L: Log>(
    options: &Options,
    progress: &mut dyn FnMut(Progress),
) -> Result<Summary, Error> {
    generate_on::<L>(threads(), options, progress)
}

/// As [`generate`], on so many threads; their number changes no byte.
pub(super) fn generate_on<L: Log>(
    threads: usize,
    options: &Options,
    progress: &mut dyn FnMut(Progress),
) -> Result<Summary, Error> {
    options.check()?;
    let log = L::new(World {
        seed: options.seed,
        company: Company::new(options.seed, options.users, options.days as i32),
        calendar: Calendar::new(options.start, options.days)?,
        days: options.days as i32,
    });
    let window = Window::new(options.days as i32, options.scenario_days as i32);
    let (incidents, staged) = stage(&log, options.incidents_per_scenario, window);
    fs::create_dir_all(&options.out)
        .map_err(|source| Error::Directory { path: options.out.clone(), source })?;
    let mut run = Run::new(&log, options.out.clone(), incidents, staged, threads)?;
    for day in 0..options.days {
        run.day(day as i32)?;
        let Files { records, bytes, .. } = run.files;
        progress(Progress { day: day + 1, days: options.days, records, bytes });
    }
    run.finish()
}

fn threads() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get).min(MOST_THREADS)
}

/// Files being written.
struct Run<'w, L: Log> {
    log: &'w L,
    incidents: Vec<Incident>,
    /// Records of days that are not written yet.
    pending: Vec<Event>,
    files: Files,
    labels: Whole,
    labelled: u64,
    scenarios: Vec<ScenarioCount>,
}

impl<'w, L: Log> Run<'w, L> {
    fn new(
        log: &'w L,
        out: PathBuf,
        incidents: Vec<Incident>,
        staged: Vec<Event>,
        threads: usize,
    ) -> Result<Self, Error> {
        let mut labels = Whole::create(&out, LABELS)?;
        labels.line(b"id,user,time,scenario,incident")?;
        let scenarios = scenario_counts::<L>(&incidents);
        let files = Files::new(out, threads);
        let mut run = Self { log, incidents, pending: staged, files, labels, labelled: 0, scenarios };
        // Local days reach over midnight UTC on both sides.
        run.live(-1);
        run.live(0);
        Ok(run)
    }

    /// Adds what everybody does on a local day.
    fn live(&mut self, day: i32) {
        let (log, actors) = (self.log, self.log.actors());
        let share = actors.div_ceil(self.files.threads).max(1);
        let live = |first: usize| {
            let mut out = Vec::new();
            (first..actors.min(first + share)).for_each(|actor| log.live(actor, day, &mut out));
            out
        };
        if share >= actors {
            return self.pending.append(&mut live(0));
        }
        thread::scope(|scope| {
            let workers: Vec<_> =
                (0..actors).step_by(share).map(|first| scope.spawn(move || live(first))).collect();
            for worker in workers {
                let mut lived = worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
                self.pending.append(&mut lived);
            }
        });
    }

    /// Writes a day.
    fn day(&mut self, day: i32) -> Result<(), Error> {
        self.live(day + 1);
        let due = self.due(Ticks::from(day + 1) * DAY);
        self.log.write(day, &due, &mut self.files)?;
        due.iter().try_for_each(|event| self.label(event))
    }

    /// The records that are delivered before `end`, in that order; none from before the span.
    fn due(&mut self, end: Ticks) -> Vec<Event> {
        let (mut due, later): (Vec<_>, Vec<_>) =
            self.pending.drain(..).filter(|event| event.at >= 0).partition(|event| event.delivered < end);
        self.pending = later;
        due.sort_unstable_by_key(|event| (event.delivered, event.id.0));
        due
    }

    fn label(&mut self, event: &Event) -> Result<(), Error> {
        let Some(mark) = &event.mark else { return Ok(()) };
        let Incident { scenario, name } = &self.incidents[mark.incident];
        let time = self.log.world().calendar.stamp(event.at);
        self.labels.line(format!("{},{},{time}Z,{scenario},{name}", event.id, mark.user).as_bytes())?;
        self.labelled += 1;
        let counts = self.scenarios.iter_mut();
        counts.filter(|count| count.scenario == *scenario).for_each(|count| count.records += 1);
        Ok(())
    }

    fn finish(self) -> Result<Summary, Error> {
        let labels = self.labels.commit()?;
        let Files { count, records, bytes, .. } = self.files;
        Ok(Summary {
            files: count,
            records,
            labelled: self.labelled,
            bytes,
            labels,
            scenarios: self.scenarios,
        })
    }
}

/// The scenarios with their incidents, and no record yet.
fn scenario_counts<L: Log>(incidents: &[Incident]) -> Vec<ScenarioCount> {
    let staged = |name| incidents.iter().filter(|incident| incident.scenario == name).count();
    let count = |name| ScenarioCount { scenario: name, incidents: staged(name), records: 0 };
    L::SCENARIOS.iter().map(|scenario| count(scenario.name)).collect()
}
