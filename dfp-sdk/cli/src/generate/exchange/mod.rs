//! Exchange / Microsoft 365 unified audit logs.

mod behaviour;
mod record;
mod scenarios;
mod tables;

use super::company::Person;
use super::dice::Dice;
use super::output::Files;
use super::plot::Scenario;
use super::run::{Event, Log, World, generate};
use super::{Error, Options, Progress, Summary};
use behaviour::{Profile, person_day, service_day, upkeep_day};

/// Writes unified audit logs, one file a day, and the list of labelled records.
///
/// The files hold records of the Management Activity API, one JSON object a line, in the order that a collector gets
/// them: some minutes late, a few some hours. Two thirds are the service's own. Memory is bounded by the records of a few
/// days.
///
/// # Errors
///
/// Options out of their limits, a span outside the calendar, and whatever the file system says. Days written before the
/// error stay.
pub fn exchange(options: &Options, progress: &mut dyn FnMut(Progress)) -> Result<Summary, Error> {
    generate::<Exchange>(options, progress)
}

pub(super) struct Exchange {
    world: World,
    profiles: Vec<Profile>,
}

impl Exchange {
    /// Somebody.
    fn colleague(&self, dice: &mut Dice) -> &Person {
        let people = &self.world.company.people;
        &people[dice.below(people.len())]
    }
}

impl Log for Exchange {
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
        let Some(person) = company.people.get(actor) else {
            return service_day(self, &company.services[actor - company.people.len()], day, out);
        };
        person_day(self, person, day, out);
        upkeep_day(self, person, day, out);
    }

    /// The day's file, named after the content type: `Audit_2022-08-01T00_00_00.000Z.json`.
    fn write(&self, day: i32, due: &[Event], files: &mut Files) -> Result<(), Error> {
        let name = format!("Audit_{}T00_00_00.000Z.json", self.world.calendar.date(day));
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
        generated::<Exchange>(seed, (30, 10), decode)
    }

    fn time(record: &Value) -> String {
        record["CreationTime"].as_str().unwrap().to_owned()
    }

    #[test]
    fn bytes_depend_on_the_seed_alone() {
        the_seed_decides_every_byte::<Exchange>();
    }

    #[test]
    fn labels_name_records_of_every_scenario() {
        for seed in 5..8 {
            logs(seed).check_labels("Id", time);
        }
        generated::<Exchange>(1, (1, 10), decode).check_labels("Id", time);
    }

    #[test]
    fn records_look_like_the_audit_logs() {
        let logs = logs(6);
        let kinds: std::collections::BTreeSet<i64> =
            logs.records.iter().map(|record| record["RecordType"].as_i64().unwrap()).collect();
        for kind in [1, 2, 3, 6, 8, 15, 25, 50] {
            assert!(kinds.contains(&kind), "{kind} is not among {kinds:?}");
        }
        for record in &logs.records {
            let members = [
                ("CreationTime", "text"),
                ("Id", "text"),
                ("Operation", "text"),
                ("OrganizationId", "text"),
                ("RecordType", "int"),
                ("UserKey", "text"),
                ("UserType", "int"),
                ("Version", "int"),
                ("Workload", "text"),
                ("UserId", "text"),
            ];
            check_members(record, &members);
            assert_eq!(time(record).len(), 19, "no zone, no fraction");
            assert!(!record.to_string().contains('$'), "a gap is open in {record}");
            match record["RecordType"].as_i64() {
                Some(1) => check_members(record, &[("Parameters", "array"), ("OriginatingServer", "text")]),
                Some(15) => {
                    check_members(record, &[("ExtendedProperties", "array"), ("ErrorNumber", "text")]);
                }
                Some(50) => check_members(record, &[("Folders", "array"), ("OperationCount", "int")]),
                _ => {}
            }
        }
        let mean = logs.summary.bytes / logs.summary.records;
        assert!((900..2000).contains(&mean), "{mean} bytes a record");
    }

    #[test]
    fn the_service_writes_most_and_people_write_by_day() {
        let logs = logs(7);
        let users = logs.counts("/UserId");
        let system: usize =
            users.iter().filter(|(user, _)| user.starts_with("NT AUTHORITY")).map(|(_, n)| n).sum();
        let part = system as f64 / logs.records.len() as f64;
        assert!((0.5..0.8).contains(&part), "{part}");
        assert!(users.len() > 25);
        let mut days = std::collections::BTreeMap::<(String, String), usize>::new();
        for record in logs.records.iter().filter(|record| record["UserType"] == 0) {
            let user = record["UserId"].as_str().unwrap().to_lowercase();
            *days.entry((user, time(record)[..10].to_owned())).or_default() += 1;
        }
        let mut counts: Vec<usize> = days.values().copied().collect();
        counts.sort_unstable();
        assert!((8..=40).contains(&counts[counts.len() / 2]), "{counts:?}");
    }
}
