//! Azure AD sign-in logs.

mod behaviour;
mod record;
mod scenarios;
mod sign_in;

use super::calendar::Calendar;
use super::output::Files;
use super::plot::Scenario;
use super::run::{Event, Log, World, generate};
use super::{Error, Options, Progress, Summary};
use behaviour::{person_day, service_day};
use record::event;

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
    generate::<AzureAd>(options, progress)
}

struct AzureAd {
    world: World,
}

impl Log for AzureAd {
    const SCENARIOS: &'static [Scenario<Self>] = scenarios::SCENARIOS;

    fn new(world: World) -> Self {
        Self { world }
    }

    fn world(&self) -> &World {
        &self.world
    }

    fn actors(&self) -> usize {
        self.world.company.people.len() + self.world.company.services.len()
    }

    fn live(&self, actor: usize, day: i32, out: &mut Vec<Event>) {
        let company = &self.world.company;
        let sign_ins = match company.people.get(actor) {
            Some(person) => person_day(&self.world, person, day),
            None => service_day(&self.world, &company.services[actor - company.people.len()], day),
        };
        out.extend(sign_ins.iter().map(|sign_in| event(&self.world, sign_in)));
    }

    fn write(&self, day: i32, due: &[Event], files: &mut Files) -> Result<(), Error> {
        files.lines(&file_name(&self.world.calendar, day), due.iter().map(|event| event.json.as_slice()))
    }
}

/// The day's file, named as downloads of the portal were: `AZUREAD_2022-08-01T00_00_00.000Z.json`.
fn file_name(calendar: &Calendar, day: i32) -> String {
    format!("AZUREAD_{}T00_00_00.000Z.json", calendar.date(day))
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashMap, HashSet};
    use std::fs;

    use serde_json::Value;

    use super::super::run::LABELS;
    use super::super::testing::{files, lines, small};
    use super::*;

    fn generate(options: &Options) -> Summary {
        azure_ad(options, &mut |_| ()).unwrap()
    }

    /// The files of records.
    fn days(files: &BTreeMap<String, Vec<u8>>) -> impl Iterator<Item = (&str, &[u8])> {
        files
            .iter()
            .filter(|(name, _)| *name != LABELS)
            .map(|(name, bytes)| (name.as_str(), bytes.as_slice()))
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
        super::super::testing::the_seed_decides_every_byte::<AzureAd>();
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
