//! AWS `CloudTrail` logs.

mod behaviour;
mod calls;
mod delivery;
mod estate;
mod record;
mod scenarios;
mod work;

use super::output::Files;
use super::plot::Scenario;
use super::run::{Event, Log, World, generate};
use super::{Error, Options, Progress, Summary};
use behaviour::{account_day, machine_day, machines, person_day};
use estate::Estate;
use work::ACCOUNTS;

/// Writes `CloudTrail` logs as a trail delivers them to a bucket, and the list of labelled records.
///
/// The files are `AWSLogs/<account>/CloudTrail/<region>/YYYY/MM/DD/…json.gz`, each with an object whose `Records` are
/// what was ready at that minute: some out of order, and a few delivered twice. Memory is bounded by the records of a
/// few days.
///
/// # Errors
///
/// Options out of their limits, a span outside the calendar, and whatever the file system says. Days written before the
/// error stay.
pub fn cloudtrail(options: &Options, progress: &mut dyn FnMut(Progress)) -> Result<Summary, Error> {
    generate::<CloudTrail>(options, progress)
}

pub(super) struct CloudTrail {
    world: World,
    estate: Estate,
}

impl Log for CloudTrail {
    const SCENARIOS: &'static [Scenario<Self>] = scenarios::SCENARIOS;

    fn new(world: World) -> Self {
        Self { estate: Estate::new(&world), world }
    }

    fn world(&self) -> &World {
        &self.world
    }

    fn actors(&self) -> usize {
        let people = self.world.company.people.len();
        people + machines(people) + ACCOUNTS.len()
    }

    fn live(&self, actor: usize, day: i32, out: &mut Vec<Event>) {
        let people = &self.world.company.people;
        let machines = machines(people.len());
        match actor.checked_sub(people.len()) {
            None => person_day(self, &people[actor], day, out),
            Some(machine) if machine < machines => machine_day(self, machine, day, out),
            Some(other) => account_day(self, other - machines, day, out),
        }
    }

    fn write(&self, _: i32, due: &[Event], files: &mut Files) -> Result<(), Error> {
        delivery::deliver(self, due, files)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::sync::LazyLock;

    use serde_json::Value;

    use super::super::run::LABELS;
    use super::super::testing::{Generated, check_members, generated, the_seed_decides_every_byte};
    use super::*;

    fn decode(bytes: &[u8]) -> Vec<Value> {
        let mut text = String::new();
        flate2::read::GzDecoder::new(bytes).read_to_string(&mut text).unwrap();
        assert!(!text.contains('\n'), "a file is one line");
        let mut file: Value = serde_json::from_str(&text).unwrap();
        serde_json::from_value(file["Records"].take()).unwrap()
    }

    /// One trail for all tests: it has very many files.
    fn trail() -> &'static Generated {
        static TRAIL: LazyLock<Generated> = LazyLock::new(|| generated::<CloudTrail>(5, (24, 10), decode));
        &TRAIL
    }

    fn check_labels(logs: &Generated) {
        logs.check_labels("eventID", |record| record["eventTime"].as_str().unwrap().to_owned());
    }

    #[test]
    fn bytes_depend_on_the_seed_alone() {
        the_seed_decides_every_byte::<CloudTrail>();
    }

    #[test]
    fn labels_name_records_of_every_scenario() {
        check_labels(trail());
        // Nobody works in the cloud there, but somebody has to be the victim.
        check_labels(&generated::<CloudTrail>(3, (1, 10), decode));
    }

    #[test]
    fn records_look_like_cloudtrails() {
        let logs = trail();
        for record in &logs.records {
            check_members(
                record,
                &[
                    ("eventVersion", "text"),
                    ("userIdentity", "object"),
                    ("eventTime", "text"),
                    ("eventSource", "text"),
                    ("eventName", "text"),
                    ("awsRegion", "text"),
                    ("sourceIPAddress", "text"),
                    ("userAgent", "text"),
                    ("requestParameters", "object?"),
                    ("responseElements", "object?"),
                    ("eventID", "text"),
                    ("eventType", "text"),
                    ("recipientAccountId", "text"),
                    ("readOnly", "bool"),
                    ("managementEvent", "bool"),
                    ("eventCategory", "text"),
                ],
            );
            assert_eq!(record["eventTime"].as_str().unwrap().len(), 20);
            let account = record["recipientAccountId"].as_str().unwrap();
            assert!(account.len() == 12 && account.bytes().all(|digit| digit.is_ascii_digit()), "{account}");
            let gap = record.to_string().replace("$LATEST", "");
            assert!(!gap.contains('$'), "a gap is open in {gap}");
        }
        let accounts = logs.counts("/recipientAccountId");
        assert!(
            accounts.len() == 4 && accounts.keys().any(|account| account.starts_with('0')),
            "{accounts:?}"
        );
        assert!(logs.counts("/awsRegion").len() >= 4);
        let kinds = logs.counts("/userIdentity/type");
        for kind in ["IAMUser", "AssumedRole", "AWSService", "AWSAccount", "SAMLUser", "WebIdentityUser"] {
            assert!(kinds.contains_key(kind), "{kind} is not among {kinds:?}");
        }
        assert!(kinds["AWSService"] * 3 > logs.records.len(), "services are the bulk: {kinds:?}");
        assert!(logs.counts("/errorCode").len() > 4);
        assert!(logs.counts("/eventName").len() > 80);
    }

    #[test]
    fn files_hold_what_was_ready_some_of_it_twice_and_out_of_order() {
        let logs = trail();
        let ids = logs.counts("/eventID");
        assert!(ids.values().all(|times| *times <= 2));
        let twice = ids.values().filter(|times| **times == 2).count();
        assert!((ids.len() / 1000..ids.len() / 100).contains(&twice), "{twice} of {}", ids.len());
        let mut disordered = 0;
        for (name, bytes) in logs.files.iter().filter(|(name, _)| *name != LABELS) {
            let parts: Vec<&str> = name.split('/').collect();
            let ["AWSLogs", account, "CloudTrail", region, year, month, day, file] = parts[..] else {
                panic!("{name}");
            };
            let stamp = &file[account.len() + region.len() + "_CloudTrail__".len()..];
            assert!(stamp.starts_with(&format!("{year}{month}{day}T")) && stamp.len() == 39, "{name}");
            let delivered = format!("{year}-{month}-{day}T{}:{}:00Z", &stamp[9..11], &stamp[11..13]);
            let delivered: jiff::Timestamp = delivered.parse().unwrap();
            let records = decode(bytes);
            let times: Vec<jiff::Timestamp> =
                records.iter().map(|record| record["eventTime"].as_str().unwrap().parse().unwrap()).collect();
            for (record, time) in records.iter().zip(&times) {
                assert_eq!(
                    (&record["recipientAccountId"], &record["awsRegion"]),
                    (&account.into(), &region.into())
                );
                assert!(
                    delivered.duration_since(*time).as_mins() < 24 * 60 && delivered > *time,
                    "{time} in {name}"
                );
            }
            disordered += usize::from(!times.is_sorted());
        }
        assert!(disordered * 10 > logs.summary.files, "{disordered} of {}", logs.summary.files);
    }

    #[test]
    fn people_work_by_day_and_are_many() {
        let logs = trail();
        let mut people = std::collections::BTreeMap::<&str, usize>::new();
        let mut by_night = 0;
        for record in &logs.records {
            let arn = record.pointer("/userIdentity/arn").and_then(Value::as_str).unwrap_or_default();
            if let Some((_, name)) =
                arn.split_once("AWSReservedSSO_").and_then(|(_, rest)| rest.split_once('/'))
            {
                *people.entry(name).or_default() += 1;
                by_night +=
                    usize::from(record["eventTime"].as_str().is_some_and(|time| &time[11..13] < "03"));
            }
        }
        assert!(people.len() >= 4, "{people:?}");
        let calls: usize = people.values().sum();
        assert!(by_night * 6 < calls, "{by_night} of {calls}");
        assert!((20..1200).contains(&(calls / people.len())), "{people:?}");
    }
}
