//! Training and inference from outside, with a linked source: what one store, one user or one profile can do to the others.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::PathBuf;

use dfp_sdk::core::{Result, Sink};
use dfp_sdk::host::Plugins;
use dfp_sdk::prep::Selection;
use dfp_sdk::store::{FILE, ModelDetails, Store};
use dfp_sdk::{
    Choice, InferReport, NOT_SCORED, NOT_STORED, PipelineConfig, Run, ScoresSink, Silent, TrainReport,
};
use redb::{Database, Key, ReadableTable, TableDefinition};
use tempfile::TempDir;

const HEAD: &str = r#"
name = "office"
features = ["app", "city", "city_days", "cities_1d"]
[entity]
inputs = ["properties.userPrincipalName"]
[history]
min_history = 20
min_increment = 1
"#;

const APP: &str = r#"
[[load]]
name = "app"
rule = "rename"
input = "properties.appDisplayName"
"#;

const CITY: &str = r#"
[[load]]
name = "city"
rule = "rename"
input = "properties.location.city"
"#;

const CLIENT: &str = r#"
[[load]]
name = "client"
rule = "rename"
input = "properties.clientAppUsed"
"#;

const DERIVED: &str = r#"
[[derive]]
name = "city_days"
rule = "days-seen"
input = "city"
[[derive]]
name = "cities_1d"
rule = "sliding-distinct"
input = "city"
period = "1d"
"#;

/// The last day of February 2026, as the store counts days.
const MARCH: i32 = 20_512;

/// A directory with logs, a profile and a store.
struct Place {
    directory: TempDir,
    plugins: Plugins,
}

impl Place {
    /// Twelve days of two users, in one file a day, and a profile of three load columns.
    fn new() -> Self {
        let plugins = Plugins::new().link(dfp_plugin::linked_source::<dfp_azure_ad::AzureAd>());
        let place = Self { directory: tempfile::tempdir().unwrap(), plugins };
        place.profile(&[HEAD, APP, CITY, CLIENT, DERIVED]);
        for day in 1..=12 {
            place.log(day, &["ann@x.com", "bob@x.com"]);
        }
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn profile(&self, parts: &[&str]) {
        fs::write(self.path("profile.toml"), parts.concat()).unwrap();
    }

    /// A day's log: five records of each user.
    fn log(&self, day: u32, users: &[&str]) {
        let mut text = String::new();
        for (nth, user) in users.iter().enumerate() {
            for hour in 8..13 {
                let app = ["Mail", "Files", "Portal"][(hour + nth) % 3];
                let city = if hour == 12 && day.is_multiple_of(4) { "Bergen" } else { "Oslo" };
                let time = format!("2026-03-{day:02}T{hour:02}:00:00Z");
                let record = serde_json::json!({
                    "time": time, "category": "SignInLogs",
                    "properties": {
                        "id": format!("{user} {day} {hour}"), "createdDateTime": time,
                        "userPrincipalName": user, "appDisplayName": app, "clientAppUsed": "Browser",
                        "location": {"city": city},
                    },
                });
                writeln!(text, "{record}").unwrap();
            }
        }
        fs::write(self.path(&format!("2026-03-{day:02}.json")), text).unwrap();
    }

    /// A run over the logs of some days. `more` goes to the end of the pipeline file.
    fn run(&self, days: impl IntoIterator<Item = u32>, more: &str) -> Run {
        let inputs: Vec<PathBuf> =
            days.into_iter().map(|day| self.path(&format!("2026-03-{day:02}.json"))).collect();
        let text = format!(
            "[source]\nplugin = \"azure-ad\"\ninputs = {inputs:?}\n[profile]\nfile = '{}'\n\
             [store]\npath = '{}'\n{more}",
            self.path("profile.toml").display(),
            self.path("store").display(),
        );
        Run::new(PipelineConfig::from_toml(&text).unwrap(), &self.plugins).unwrap()
    }

    /// Damages a stored value.
    fn damage<K: Key + 'static>(&self, table: &str, key: &K::SelfType<'_>) {
        let database = Database::open(self.path("store").join(FILE)).unwrap();
        let transaction = database.begin_write().unwrap();
        let definition: TableDefinition<'_, K, &[u8]> = TableDefinition::new(table);
        let mut table = transaction.open_table(definition).unwrap();
        let mut value = table.get(key).unwrap().unwrap().value().to_vec();
        *value.last_mut().unwrap() ^= 0x40;
        table.insert(key, value.as_slice()).unwrap();
        drop(table);
        transaction.commit().unwrap();
    }

    fn train(&self, days: impl IntoIterator<Item = u32>) -> TrainReport {
        self.run(days, "").train(&mut Silent).unwrap()
    }

    /// The report, and scores by record id. Rows are not remembered.
    fn infer(&self, days: impl IntoIterator<Item = u32>) -> Result<(InferReport, BTreeMap<String, f64>)> {
        let findings = self.path("findings.jsonl");
        let more = format!("[infer]\nremember = false\nthreads = 2\nfindings = '{}'", findings.display());
        let scores = self.path("scores.jsonl");
        let mut sink = ScoresSink::create(&scores)?;
        let report = self.run(days, &more).infer(&mut [&mut sink as &mut dyn Sink], &mut Silent)?;
        let line = |line: &str| {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            (line["id"].as_str().unwrap().to_owned(), line["score"].as_f64().unwrap())
        };
        Ok((report, fs::read_to_string(&scores).unwrap().lines().map(line).collect()))
    }
}

#[test]
fn a_profile_may_gain_lose_and_swap_columns_after_training() {
    let place = Place::new();
    place.train(1..=10);
    let (report, scores) = place.infer(11..=12).unwrap();
    assert_eq!((report.counts.used, scores.len()), (20, 20), "{:?}", report.counts);
    let added = "[[load]]\nname = \"record\"\nrule = \"rename\"\ninput = \"properties.id\"\n";
    for (change, parts) in [
        ("one more", vec![HEAD, APP, CITY, CLIENT, added, DERIVED]),
        ("one more in front", vec![HEAD, added, APP, CITY, CLIENT, DERIVED]),
        ("one fewer", vec![HEAD, APP, CITY, DERIVED]),
        ("swapped", vec![HEAD, CITY, APP, CLIENT, DERIVED]),
    ] {
        place.profile(&parts);
        assert_eq!(place.infer(11..=12).unwrap().1, scores, "{change}");
    }
}

#[test]
fn users_are_chosen_by_name_in_any_case_and_only_they_are_trained_or_wait() {
    let choice = |skip: &[&str], only: &[&str]| {
        let names = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        Choice { users: Selection::new(names(skip), names(only)).unwrap(), ..Choice::default() }
    };
    let place = Place::new();
    place.log(11, &["ann@x.com", "bob@x.com", "eve@x.com"]);
    for (choice, trained, waiting) in [
        (choice(&[], &["ANN@X.com"]), 1, 0),
        (choice(&["ANN@X.com"], &[]), 1, 1),
        (choice(&[], &["Eve@X.com"]), 0, 1),
    ] {
        let _ = fs::remove_dir_all(place.path("store"));
        let more = "[train]\nusers = \"generic\"";
        place.run(1..=10, more).train(&mut Silent).unwrap();
        let report = place.run([11], "").choosing(choice.clone()).train(&mut Silent).unwrap();
        assert_eq!((report.trained, report.waiting), (trained, waiting), "{choice:?}");
    }
}

#[test]
fn a_model_that_cannot_be_read_costs_the_records_it_would_score_and_no_others() {
    let place = Place::new();
    place.train(1..=10);
    let whole = place.infer(11..=12).unwrap().1;
    assert_eq!(whole.len(), 20);

    let publish = |name: &str| {
        let store = Store::open(place.path("store")).unwrap();
        let mut publication = store.publication().unwrap();
        publication.put_model(name, b"no model", &ModelDetails::default()).unwrap();
        publication.commit().unwrap();
    };
    publish("office/generic_user");
    assert_eq!(place.infer(11..=12).unwrap().1, whole, "nobody needs the shared model");
    publish("office/ann@x.com");
    place.log(12, &["ann@x.com", "bob@x.com", "eve@x.com"]);
    let (report, scores) = place.infer(11..=12).unwrap();
    assert_eq!(report.counts.rejected[NOT_SCORED], 15, "{:?}", report.counts);
    assert_eq!((report.own_model, report.shared_model, report.counts.used), (1, 0, 10));
    let of_bob: BTreeMap<_, _> = whole.into_iter().filter(|(id, _)| id.starts_with("bob")).collect();
    assert_eq!(scores, of_bob);

    place.damage::<(&str, u32)>("model_info", &("office/ann@x.com", 2));
    assert_eq!(place.infer(11..=12).unwrap().1, scores);
}

#[test]
fn a_damaged_history_costs_its_entity_a_model_and_its_records_and_nobody_else() {
    let place = Place::new();
    place.train(1..=10);
    place.damage::<(&str, &str, i32)>("history", &("office", "ann@x.com", MARCH + 10));

    // Her new days can be stored, but not learned from.
    let report = place.train([11]);
    assert_eq!((report.counts.used, report.trained, report.generic), (10, 1, true));
    assert!(report.failed["ann@x.com"].contains("damaged") && report.failed.len() == 1, "{report:?}");

    // The damaged day cannot take hers, which are no repeats for all one can tell.
    let report = place.train([10, 12]);
    assert_eq!((report.counts.rejected[NOT_STORED], report.counts.rejected["duplicate"]), (5, 5));
    assert_eq!((report.counts.used, report.trained, report.failed.len()), (10, 1, 1));

    let findings = format!("[infer]\nfindings = '{}'", place.path("findings.jsonl").display());
    let report = place.run([10], &findings).infer(&mut [], &mut Silent).unwrap();
    assert_eq!((report.counts.rejected[NOT_SCORED], report.counts.used), (5, 5), "{:?}", report.counts);
}

#[test]
fn a_history_of_so_many_rows_keeps_and_reads_no_more_than_whole_days_of_them() {
    let place = Place::new();
    let head = HEAD.to_owned() + "max_history = 22\n";
    place.profile(&[&head, APP, CITY, CLIENT, DERIVED]);
    assert_eq!(place.train(1..=8).trained, 2);
    let kept = |place: &Place| {
        let store = Store::open(place.path("store")).unwrap();
        let kept = store.snapshot().unwrap().statistics("office", "ann@x.com").unwrap().unwrap();
        (kept.rows, kept.kept_from)
    };
    assert_eq!(kept(&place), (25, Some(MARCH + 4)));

    // What inference adds stays until the next training; only the newest rows are read.
    let findings = format!("[infer]\nfindings = '{}'", place.path("findings.jsonl").display());
    place.run([9, 10, 11], &findings).infer(&mut [], &mut Silent).unwrap();
    assert_eq!(kept(&place), (40, Some(MARCH + 4)));
    place.damage::<(&str, &str, i32)>("history", &("office", "ann@x.com", MARCH + 6));
    let (report, _) = place.infer([12]).unwrap();
    assert_eq!(report.counts.used, 10, "{:?}", report.counts);
}

#[test]
fn a_model_tells_when_its_oldest_and_newest_rows_were_even_if_of_many_users() {
    let place = Place::new();
    place.log(1, &["zoe@x.com"]);
    place.log(12, &["ann@x.com"]);
    place.train(1..=12);
    let store = Store::open(place.path("store")).unwrap();
    let details = store.snapshot().unwrap().model_info("office/generic_user", None).unwrap().unwrap().details;
    let day = |time: Option<i64>| dfp_sdk::store::day_of(time.unwrap()) - MARCH;
    assert_eq!((day(details.start), day(details.end)), (1, 12));
}

#[test]
fn a_record_of_the_first_day_that_there_is_can_be_scored() {
    let place = Place::new();
    let head = HEAD.to_owned() + "[time]\nearliest = \"1677-09-22\"\n";
    place.profile(&[&head, APP, CITY, CLIENT, DERIVED]);
    place.train(1..=11);
    let log = place.path("2026-03-12.json");
    let text = fs::read_to_string(&log).unwrap();
    fs::write(&log, text.replace("2026-03-12T08", "1677-09-22T00")).unwrap();
    let (report, scores) = place.infer([12]).unwrap();
    assert_eq!((report.counts.used, scores.len()), (10, 10), "{:?}", report.counts);
}
