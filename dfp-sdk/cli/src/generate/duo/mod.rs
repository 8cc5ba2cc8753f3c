//! Duo authentication logs.

mod behaviour;
mod record;
mod scenarios;
mod tables;

use super::output::Files;
use super::plot::Scenario;
use super::run::{Event, Log, World, generate};
use super::{Error, Options, Progress, Summary};
use behaviour::{Profile, person_day, service_day};

/// Writes Duo authentication logs, one file a day, and the list of labelled records.
///
/// The files hold records of the Admin API's second version, one JSON object a line, in the order that a collector gets
/// them. Memory is bounded by the records of a few days.
///
/// # Errors
///
/// Options out of their limits, a span outside the calendar, and whatever the file system says. Days written before the
/// error stay.
pub fn duo(options: &Options, progress: &mut dyn FnMut(Progress)) -> Result<Summary, Error> {
    generate::<Duo>(options, progress)
}

pub(super) struct Duo {
    world: World,
    profiles: Vec<Profile>,
}

impl Log for Duo {
    const SCENARIOS: &'static [Scenario<Self>] = scenarios::SCENARIOS;

    fn new(world: World) -> Self {
        let profiles = world.company.people.iter().map(|person| Profile::new(&world, person)).collect();
        Self { world, profiles }
    }

    fn world(&self) -> &World {
        &self.world
    }

    fn actors(&self) -> usize {
        self.world.company.people.len() + self.world.company.services.len()
    }

    fn live(&self, actor: usize, day: i32, out: &mut Vec<Event>) {
        let company = &self.world.company;
        match company.people.get(actor) {
            Some(person) => person_day(self, person, day, out),
            None => service_day(self, &company.services[actor - company.people.len()], day, out),
        }
    }

    /// The day's file, named as archives of collected logs are: `DUO_2022-08-01T00_00_00.000Z.json`.
    fn write(&self, day: i32, due: &[Event], files: &mut Files) -> Result<(), Error> {
        let name = format!("DUO_{}T00_00_00.000Z.json", self.world.calendar.date(day));
        files.lines(&name, due.iter().map(|event| event.json.as_slice()))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::testing::{Generated, check_members, generated, lines, the_seed_decides_every_byte};
    use super::*;

    fn decode(bytes: &[u8]) -> Vec<Value> {
        lines(bytes).map(|line| serde_json::from_slice(line).unwrap()).collect()
    }

    fn logs(seed: u64) -> Generated {
        generated::<Duo>(seed, (30, 14), decode)
    }

    fn time(record: &Value) -> String {
        record["isotimestamp"].as_str().unwrap().to_owned()
    }

    #[test]
    fn bytes_depend_on_the_seed_alone() {
        the_seed_decides_every_byte::<Duo>();
    }

    #[test]
    fn labels_name_records_of_every_scenario() {
        for seed in 5..9 {
            logs(seed).check_labels("txid", time);
        }
        generated::<Duo>(1, (1, 10), decode).check_labels("txid", time);
    }

    #[test]
    fn records_look_like_duos() {
        let logs = logs(6);
        for record in &logs.records {
            let members = [
                ("access_device", "object"),
                ("alias", "text"),
                ("application", "object"),
                ("auth_device", "object"),
                ("event_type", "text"),
                ("factor", "text"),
                ("isotimestamp", "text"),
                ("result", "text"),
                ("timestamp", "int"),
                ("txid", "text"),
                ("user", "object"),
            ];
            check_members(record, &members);
            let exact: jiff::Timestamp = time(record).parse().unwrap();
            assert_eq!(record["timestamp"].as_i64(), Some(exact.as_second()));
            assert!(["success", "denied", "fraud"].contains(&record["result"].as_str().unwrap()));
            let flag = &record["access_device"]["is_password_set"];
            assert!(flag.is_boolean() || flag == "unknown", "{record}");
            assert!(
                record["user"]["key"].as_str().is_some_and(|key| key.starts_with("DU") && key.len() == 20)
            );
        }
        let reasons = logs.counts("/reason");
        for reason in ["user_approved", "remembered_device", "no_response", "bypass_user"] {
            assert!(reasons.contains_key(reason), "{reason} is not among {reasons:?}");
        }
        assert!(logs.counts("/event_type").contains_key("enrollment"));
        assert!(logs.records.iter().any(|record| record["application"] == serde_json::json!({})));
        let mean = logs.summary.bytes / logs.summary.records;
        assert!((1000..2000).contains(&mean), "{mean} bytes a record");
    }

    #[test]
    fn people_prove_themselves_a_few_times_a_working_day() {
        let logs = logs(7);
        let mut days = std::collections::BTreeMap::<(String, String), usize>::new();
        for record in logs.records.iter().filter(|record| record["reason"] != "bypass_user") {
            let key = record["user"]["key"].as_str().unwrap().to_owned();
            *days.entry((key, time(record)[..10].to_owned())).or_default() += 1;
        }
        let people: std::collections::BTreeSet<&String> = days.keys().map(|(key, _)| key).collect();
        assert!(people.len() > 20, "{}", people.len());
        let mut counts: Vec<usize> = days.values().copied().collect();
        counts.sort_unstable();
        assert!((2..=8).contains(&counts[counts.len() / 2]), "{counts:?}");
        let denied = logs.counts("/result")["denied"];
        assert!(denied * 4 < logs.records.len(), "{denied}");
    }
}
