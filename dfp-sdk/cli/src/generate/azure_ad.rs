//! Azure AD sign-in logs.

use std::fs;

use super::behaviour::{World, person_day, service_day};
use super::calendar::{Calendar, DAY, Ticks};
use super::company::Company;
use super::output::Whole;
use super::record::record;
use super::scenarios::{Incident, SCENARIOS, Window, stage};
use super::sign_in::SignIn;
use super::{Error, Options, Progress, ScenarioCount, Summary};

/// The list of labelled records.
const LABELS: &str = "labels.csv";

/// Writes Azure AD sign-in logs, one file a day, and the list of labelled records.
///
/// The files hold diagnostic records, one JSON object a line, in order of delivery (`time`). Memory is bounded by the
/// records of a few days.
///
/// # Errors
///
/// Options out of their limits, a span outside the calendar, and whatever the file system says. Days written before the
/// error stay.
pub fn azure_ad(options: &Options, progress: &mut dyn FnMut(Progress)) -> Result<Summary, Error> {
    options.check()?;
    let world = World {
        seed: options.seed,
        company: Company::new(options.seed, options.users, options.days as i32),
        calendar: Calendar::new(options.start, options.days)?,
    };
    let window = Window::new(options.days as i32, options.scenario_days as i32);
    let (incidents, staged) = stage(&world, options.incidents_per_scenario, window);
    fs::create_dir_all(&options.out)
        .map_err(|source| Error::Directory { path: options.out.clone(), source })?;
    let mut run = Run::new(options, &world, incidents, staged)?;
    for day in 0..options.days {
        run.day(day as i32)?;
        progress(Progress {
            day: day + 1,
            days: options.days,
            records: run.summary.records,
            bytes: run.summary.bytes,
        });
    }
    run.finish()
}

/// Files being written.
struct Run<'w> {
    options: &'w Options,
    world: &'w World,
    incidents: Vec<Incident>,
    /// Sign-ins of days that are not written yet.
    pending: Vec<SignIn<'w>>,
    labels: Whole,
    summary: Summary,
    line: Vec<u8>,
}

impl<'w> Run<'w> {
    fn new(
        options: &'w Options,
        world: &'w World,
        incidents: Vec<Incident>,
        staged: Vec<SignIn<'w>>,
    ) -> Result<Self, Error> {
        let mut labels = Whole::create(&options.out, LABELS)?;
        labels.line(b"id,user,time,scenario,incident")?;
        let mut run = Self {
            options,
            world,
            summary: summary(options, &incidents),
            incidents,
            pending: staged,
            labels,
            line: Vec::new(),
        };
        // Local days reach over midnight UTC on both sides.
        run.live(-1);
        run.live(0);
        Ok(run)
    }

    /// Adds what everybody does on a local day.
    fn live(&mut self, day: i32) {
        for person in &self.world.company.people {
            person_day(self.world, person, day, &mut self.pending);
        }
        for service in &self.world.company.services {
            service_day(self.world, service, day, &mut self.pending);
        }
    }

    /// Writes the file of a day.
    fn day(&mut self, day: i32) -> Result<(), Error> {
        self.live(day + 1);
        let mut file = Whole::create(&self.options.out, &file_name(self.world, day))?;
        for sign_in in self.due(Ticks::from(day + 1) * DAY) {
            self.write(&mut file, &sign_in)?;
        }
        self.summary.bytes += file.commit()?;
        self.summary.files += 1;
        Ok(())
    }

    /// The sign-ins whose records are produced before `end`, in that order; none from before the span.
    fn due(&mut self, end: Ticks) -> Vec<SignIn<'w>> {
        let (mut due, later): (Vec<_>, Vec<_>) = self
            .pending
            .drain(..)
            .filter(|sign_in| sign_in.at >= 0)
            .partition(|sign_in| sign_in.produced() < end);
        self.pending = later;
        due.sort_unstable_by_key(|sign_in| (sign_in.produced(), sign_in.id.0));
        due
    }

    fn write(&mut self, file: &mut Whole, sign_in: &SignIn<'_>) -> Result<(), Error> {
        self.line.clear();
        serde_json::to_writer(&mut self.line, &record(self.world, sign_in))
            .map_err(|source| Error::Write { path: self.options.out.clone(), source: source.into() })?;
        file.line(&self.line)?;
        self.summary.records += 1;
        sign_in.incident.map_or(Ok(()), |incident| self.label(sign_in, incident))
    }

    fn label(&mut self, sign_in: &SignIn<'_>, incident: usize) -> Result<(), Error> {
        let Incident { scenario, name } = &self.incidents[incident];
        let (user, time) = (sign_in.actor.user(), self.world.calendar.stamp(sign_in.at));
        self.labels.line(format!("{},{user},{time}Z,{},{name}", sign_in.id, scenario.name).as_bytes())?;
        self.summary.labelled += 1;
        let counts = self.summary.scenarios.iter_mut();
        counts.filter(|count| count.scenario == scenario.name).for_each(|count| count.records += 1);
        Ok(())
    }

    fn finish(self) -> Result<Summary, Error> {
        self.labels.commit()?;
        Ok(self.summary)
    }
}

/// The day's file, named as downloads of the portal were: `AZUREAD_2022-08-01T00_00_00.000Z.json`.
fn file_name(world: &World, day: i32) -> String {
    format!("AZUREAD_{}T00_00_00.000Z.json", world.calendar.date(day))
}

/// A summary of nothing yet.
fn summary(options: &Options, incidents: &[Incident]) -> Summary {
    let staged = |name| incidents.iter().filter(|incident| incident.scenario.name == name).count();
    let count = |name| ScenarioCount { scenario: name, incidents: staged(name), records: 0 };
    Summary {
        files: 0,
        records: 0,
        labelled: 0,
        bytes: 0,
        labels: options.out.join(LABELS),
        scenarios: SCENARIOS.iter().map(|scenario| count(scenario.name)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashMap, HashSet};
    use std::path::Path;

    use serde_json::Value;

    use super::*;

    fn small(seed: u64, out: &Path) -> Options {
        Options { users: 8, days: 10, seed, out: out.to_path_buf(), ..Options::default() }
    }

    fn generate(options: &Options) -> Summary {
        azure_ad(options, &mut |_| ()).unwrap()
    }

    /// Every file of a directory by name.
    fn files(directory: &Path) -> BTreeMap<String, Vec<u8>> {
        let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
        entries
            .map(|path| (path.file_name().unwrap().to_string_lossy().into(), fs::read(&path).unwrap()))
            .collect()
    }

    /// The files of records among them.
    fn days(files: &BTreeMap<String, Vec<u8>>) -> impl Iterator<Item = (&str, &[u8])> {
        files
            .iter()
            .filter(|(name, _)| *name != LABELS)
            .map(|(name, bytes)| (name.as_str(), bytes.as_slice()))
    }

    fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
        bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty())
    }

    fn records(files: &BTreeMap<String, Vec<u8>>) -> Vec<Value> {
        let lines = days(files).flat_map(|(_, bytes)| lines(bytes));
        lines.map(|line| serde_json::from_slice(line).unwrap()).collect()
    }

    fn text<'v>(record: &'v Value, pointer: &str) -> &'v str {
        record.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
    }

    #[test]
    fn the_seed_decides_every_byte() {
        let [first, second, other] = [1, 1, 2].map(|seed| {
            let directory = tempfile::tempdir().unwrap();
            generate(&small(seed, directory.path()));
            files(directory.path())
        });
        assert!(first == second, "the same seed gives the same bytes");
        assert!(first != other, "another seed gives other bytes");
    }

    #[test]
    fn counts_agree_with_the_files() {
        let directory = tempfile::tempdir().unwrap();
        let mut seen = Vec::new();
        let summary = azure_ad(&small(3, directory.path()), &mut |progress| seen.push(progress)).unwrap();
        let files = files(directory.path());
        assert_eq!(files.len(), 11);
        assert_eq!(summary.files, 10);
        assert_eq!(summary.records, records(&files).len() as u64);
        let bytes: usize = days(&files).map(|(_, bytes)| bytes.len()).sum();
        assert_eq!(summary.bytes, bytes as u64);
        assert_eq!(seen.len(), 10);
        assert_eq!(seen[9], Progress { day: 10, days: 10, records: summary.records, bytes: summary.bytes });
    }

    #[test]
    fn records_lie_in_their_file_in_order_of_delivery() {
        let directory = tempfile::tempdir().unwrap();
        generate(&small(4, directory.path()));
        for (name, bytes) in days(&files(directory.path())) {
            let date = &name["AZUREAD_".len()..][..10];
            let records: Vec<Value> =
                lines(bytes).map(|line| serde_json::from_slice(line).unwrap()).collect();
            let times: Vec<&str> = records.iter().map(|record| text(record, "/time")).collect();
            assert!(times.is_sorted());
            for record in &records {
                let (produced, created) =
                    (text(record, "/time"), text(record, "/properties/createdDateTime"));
                assert_eq!((&produced[..10], produced.len(), created.len()), (date, 28, 33));
                let delay = produced.parse::<jiff::Timestamp>().unwrap()
                    - created.parse::<jiff::Timestamp>().unwrap();
                assert!((60..=240).contains(&delay.get_seconds()), "{created} {produced}");
                assert!(created >= "2026-01-05T00:00:00", "{created}");
            }
        }
    }

    #[test]
    fn labels_name_records_of_every_scenario() {
        for seed in 5..15 {
            let directory = tempfile::tempdir().unwrap();
            let summary = generate(&small(seed, directory.path()));
            let files = files(directory.path());
            let records = records(&files);
            let by_id: HashMap<&str, &Value> =
                records.iter().map(|record| (text(record, "/properties/id"), record)).collect();
            assert_eq!(by_id.len(), records.len(), "identifiers are unique");
            let labels = std::str::from_utf8(&files[LABELS]).unwrap();
            let mut lines = labels.lines();
            assert_eq!(lines.next(), Some("id,user,time,scenario,incident"));
            let mut incidents: BTreeMap<&str, usize> = BTreeMap::new();
            for line in lines {
                let [id, user, time, scenario, incident] = line.split(',').collect::<Vec<_>>()[..] else {
                    panic!("{line}");
                };
                let record = by_id[id];
                assert_eq!(text(record, "/properties/userPrincipalName").to_lowercase(), user);
                assert_eq!(text(record, "/properties/createdDateTime")[..27], time[..27]);
                assert!(incident.starts_with(scenario));
                assert!(time >= "2026-01-10", "attacks come in the second half: {line}");
                *incidents.entry(incident).or_default() += 1;
            }
            assert_eq!(incidents.len(), 21, "seed {seed}: {incidents:?}");
            assert!(incidents.values().all(|count| (3..=62).contains(count)), "seed {seed}: {incidents:?}");
            assert_eq!(summary.labelled, incidents.values().sum::<usize>() as u64);
            assert!(summary.scenarios.iter().all(|count| count.incidents == 3 && count.records >= 9));
        }
    }

    #[test]
    fn records_look_like_azures() {
        let directory = tempfile::tempdir().unwrap();
        let summary = generate(&small(6, directory.path()));
        let mean = summary.bytes / summary.records;
        assert!((2400..5000).contains(&mean), "{mean} bytes a record");
        let records = records(&files(directory.path()));
        for record in &records {
            let success = text(record, "/resultType") == "0";
            assert_eq!(record.pointer("/properties/status/failureReason").is_none(), success);
            assert_eq!(record.get("resultDescription").is_none(), success);
            let named = record.pointer("/properties/deviceDetail/displayName").is_some();
            assert_eq!(named, !text(record, "/properties/deviceDetail/deviceId").is_empty());
            if text(record, "/category") == "ServicePrincipalSignInLogs" {
                assert_eq!(text(record, "/properties/userPrincipalName"), "");
                assert_ne!(text(record, "/properties/servicePrincipalName"), "");
            }
        }
        let categories: HashSet<&str> = records.iter().map(|record| text(record, "/category")).collect();
        assert_eq!(categories.len(), 3);
    }

    #[test]
    fn options_out_of_their_limits_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        let options = small(1, directory.path());
        for options in [Options { users: 0, ..options.clone() }, Options { days: 0, ..options.clone() }] {
            assert!(matches!(azure_ad(&options, &mut |_| ()), Err(Error::Option { .. })));
        }
        let late = Options { start: jiff::civil::date(9999, 12, 25), ..options.clone() };
        assert!(matches!(azure_ad(&late, &mut |_| ()), Err(Error::Dates { .. })));
        let file = directory.path().join("file");
        fs::write(&file, b"").unwrap();
        let blocked = Options { out: file, ..options };
        assert!(matches!(azure_ad(&blocked, &mut |_| ()), Err(Error::Directory { .. })));
        assert!(files(directory.path()).len() == 1, "nothing was left behind");
    }

    #[test]
    fn the_smallest_run_works() {
        let directory = tempfile::tempdir().unwrap();
        let options = Options { users: 1, days: 1, ..small(1, directory.path()) };
        assert_eq!(generate(&options).files, 1);
    }
}
