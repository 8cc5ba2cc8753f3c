//! Sessions from outside: logs to sessions, models, scores and the page.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::{Value, json};
use tempfile::TempDir;

/// A working directory with Exchange logs of two people who always do the same, and of one who does not.
struct Place(TempDir);

/// One record: the minute counts from the start of 2 March 2026.
fn record(user: &str, minute: u32, second: u32, command: &str, parameters: &[&str]) -> String {
    let parameters: Vec<Value> =
        parameters.iter().map(|name| json!({"Name": name, "Value": "True"})).collect();
    let (day, hour, minute) = (2 + minute / 1440, minute / 60 % 24, minute % 60);
    let record = json!({
        "CreationTime": format!("2026-03-{day:02}T{hour:02}:{minute:02}:{second:02}"),
        "Id": format!("{user}-{day}-{hour}-{minute}-{second}"),
        "RecordType": 1, "Operation": command, "UserId": user, "ClientIP": "198.51.100.7",
        "ResultStatus": "True", "Workload": "Exchange", "Parameters": parameters,
    });
    record.to_string() + "\n"
}

/// Thirty sessions of each of two people, half an hour apart.
fn usual() -> String {
    let session = |n: u32| {
        let at = n * 30;
        ["ann@x.com", "bob@x.com"].map(|user| {
            record(user, at, 0, "Get-Mailbox", &["Identity"])
                + &record(user, at, 20, "Set-Mailbox", &["Identity", "Force"])
                + &record(user, at + 1, 0, "Get-Mailbox", &["Identity"])
        })
    };
    (0..30).flat_map(session).collect()
}

/// A session as the others, and one that hides an inbox rule.
fn odd() -> String {
    [
        record("ann@x.com", 2000, 0, "Get-Mailbox", &["Identity"]),
        record("ann@x.com", 2000, 20, "Set-Mailbox", &["Identity", "Force"]),
        record("ann@x.com", 2001, 0, "Get-Mailbox", &["Identity"]),
        record("eve@x.com", 2100, 0, "Get-Mailbox", &["Identity"]),
        record("eve@x.com", 2100, 30, "New-InboxRule", &["ForwardTo"]),
        record("eve@x.com", 2101, 0, "Set-Mailbox", &["Identity", "ForwardingAddress"]),
    ]
    .concat()
}

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        fs::create_dir(place.path("logs")).unwrap();
        fs::write(place.path("logs/usual.json"), usual()).unwrap();
        fs::write(place.path("odd.json"), odd()).unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn run(&self, args: &str) -> Output {
        let plugins = std::env::current_exe().unwrap().parent().unwrap().to_owned();
        let mut command = Command::new(env!("CARGO_BIN_EXE_dfp-under-test"));
        command.current_dir(self.0.path()).arg("--plugin-dir").arg(plugins).arg("sessions");
        command.args(args.split(' ')).output().unwrap()
    }

    /// What a run that must end well says on stdout and stderr.
    fn ok(&self, args: &str) -> (String, String) {
        let output = self.run(args);
        let (out, errors) = texts(&output);
        assert!(output.status.success(), "{args}: {errors}");
        (out, errors)
    }

    fn json(&self, args: &str) -> Value {
        serde_json::from_str(&self.ok(&format!("--json {args}")).0).unwrap()
    }

    fn lines(&self, args: &str) -> Vec<Value> {
        self.ok(args).0.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn fails(&self, status: i32, args: &str) -> String {
        let output = self.run(args);
        let (_, errors) = texts(&output);
        assert_eq!(output.status.code(), Some(status), "{args}: {errors}");
        assert!(!errors.contains("panicked"), "{args}: {errors}");
        errors
    }
}

fn texts(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (text(&output.stdout), text(&output.stderr))
}

#[test]
fn what_was_never_done_is_found_by_a_model_trained_before() {
    let place = Place::new();
    for kind in ["commands", "parameters", "values"] {
        let name = format!("--name {kind}");
        let (_, errors) = place.ok(&format!("build --plugin exchange --kind {kind} logs -o usual.parquet"));
        assert!(errors.contains("read 180 = used 180 + rejected 0"), "{errors}");
        let report = place.json(&format!("train {name} usual.parquet"));
        assert_eq!(report["sessions"], 60);
        assert_eq!(report["model"], format!("{kind}/shared:1"));

        place.ok(&format!("score {name} --plugin exchange --kind {kind} odd.json -o scored.arrow"));
        let rare = place.json("show scored.arrow --top 1 --html out.html");
        assert_eq!(rare[0]["columns"]["UserId"], "eve@x.com", "{rare}");
        assert_eq!(rare[0]["columns"]["model"], format!("{kind}/shared:1"));
        let window = rare[0]["window"].to_string();
        assert!(window.contains("New-InboxRule"), "{window}");
        let why = rare[0]["columns"]["why"].as_str().unwrap();
        assert!(why.contains("(probability "), "{why}");
        let page = fs::read_to_string(place.path("out.html")).unwrap();
        assert!(page.contains("New-InboxRule") && page.contains("eve@x.com"));
    }
}

#[test]
fn sessions_are_the_same_as_they_close_as_at_the_end() {
    let place = Place::new();
    place.ok("train --plugin exchange logs");
    let score = "score --plugin exchange logs odd.json";
    let mut whole = place.lines(score);
    let mut streamed = place.lines(&format!("{score} --lateness 10min"));
    let by_identity = |session: &Value| (session["UserId"].to_string(), session["_time_min"].to_string());
    whole.sort_by_key(by_identity);
    streamed.sort_by_key(by_identity);
    assert_eq!(whole.len(), 62);
    assert_eq!(whole, streamed);
    assert!(whole.iter().all(|session| session["score"].is_f64() && session["duration"] == 60.0));
}

#[test]
fn an_event_of_the_far_future_does_not_make_all_others_late() {
    let place = Place::new();
    let future = record("eve@x.com", 0, 0, "Get-Mailbox", &[]).replace("2026-", "2199-");
    fs::write(place.path("future.json"), future + &odd()).unwrap();
    let (out, errors) = place.ok("build --plugin exchange --lateness 10min future.json");
    assert!(errors.contains("read 7 = used 6 + rejected 1 (time-out-of-range 1)"), "{errors}");
    assert_eq!(out.lines().count(), 2);
}

#[test]
fn entities_have_models_of_their_own_that_grow_and_forget() {
    let place = Place::new();
    let train = "train --plugin exchange --by UserId --name of";
    let report = place.json(&format!("{train} logs odd.json"));
    assert_eq!((&report["entities"], &report["abstaining"]), (&json!(3), &json!(1)));
    let scored = place.lines("score --plugin exchange --name of odd.json");
    let models: Vec<&str> = scored.iter().map(|session| session["model"].as_str().unwrap()).collect();
    assert_eq!(models, ["of-by-UserId/ann@x.com:1", "of/shared:1"]);

    let rows = |version: u32| {
        let shown = place.run_models(&format!("of/shared:{version}"));
        shown[0]["rows"].as_u64().unwrap()
    };
    place.ok(&format!("{train} logs --update"));
    place.ok(&format!("{train} logs --decay 0.5"));
    place.ok(&format!("{train} logs"));
    assert_eq!([rows(1), rows(2), rows(3), rows(4)], [62, 122, 121, 60]);
}

impl Place {
    fn run_models(&self, name: &str) -> Value {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dfp-under-test"));
        let output = command.current_dir(self.0.path()).args(["--json", "models", "show", name]).output();
        serde_json::from_slice(&output.unwrap().stdout).unwrap()
    }
}

#[test]
fn a_table_of_sessions_scores_itself_as_msticpy_does() {
    let place = Place::new();
    place.ok("build --plugin exchange logs odd.json -o all.parquet");
    place.ok("score --in-sample --parity --window 3 --window 2 all.parquet -o scored.parquet");
    let rare = place.json("show scored.parquet --top 100");
    // N = 62 sessions, T = 186 events, K = 3 commands and 2, S = T + 2N + 2K². New-InboxRule came once, and Set-Mailbox after
    // it; of 62 Set-Mailbox one ended the session.
    let expected = (11.0 / 360.0) * (2.0 / 6.0) * (2.0 / 67.0);
    let likelihood = rare[0]["likelihood"].as_f64().unwrap();
    assert_eq!(rare[0]["window"], json!(["New-InboxRule", "Set-Mailbox"]));
    assert!((likelihood / expected - 1.0).abs() < 1e-9, "{likelihood} {expected}");
    assert_eq!(rare.as_array().unwrap().len(), 62);
}

#[test]
fn what_cannot_work_is_said() {
    let place = Place::new();
    place.ok("build --plugin exchange logs -o usual.parquet");
    let whole = fs::read(place.path("usual.parquet")).unwrap();
    fs::write(place.path("cut.parquet"), &whole[..whole.len() / 2]).unwrap();
    for (status, args, expected) in [
        (2, "build logs", "--plugin"),
        (2, "build --plugin exchange --max-length soon logs", "20min"),
        (2, "build --plugin duo logs", "--rules"),
        (1, "score usual.parquet", "no store in .dfp"),
        (2, "score --window 2 usual.parquet", "--in-sample"),
        (2, "train usual.parquet --kind values", "--kind"),
        (2, "train usual.parquet --window 0", "1 to 10000"),
        (1, "train odd.json", "neither a Parquet nor an Arrow file"),
        (1, "train cut.parquet", "cut.parquet"),
        (1, "show usual.parquet", "score"),
        (1, "show nothing.parquet", "nothing.parquet"),
    ] {
        let errors = place.fails(status, args);
        assert!(errors.contains(expected), "{args}: {errors}");
    }
    place.ok("train usual.parquet");
    let errors = place.fails(1, "score --name other usual.parquet");
    assert!(errors.contains("other"), "{errors}");
}

#[test]
fn tables_of_events_become_sessions_by_rules() {
    let place = Place::new();
    let plugins = std::env::current_exe().unwrap().parent().unwrap().to_owned();
    let mut read = Command::new(env!("CARGO_BIN_EXE_dfp-under-test"));
    read.current_dir(place.0.path()).arg("--plugin-dir").arg(plugins);
    let read = read.args(["read", "--plugin", "exchange", "logs", "-o", "events.parquet"]).output().unwrap();
    assert!(read.status.success());
    let rules =
        "identity = [\"UserId\"]\n[event]\nname = \"Operation\"\n[limits]\nmax_separation = \"25s\"\n";
    fs::write(place.path("rules.toml"), rules).unwrap();
    let (out, errors) = place.ok("build --rules rules.toml --number-distinct events.parquet");
    assert!(errors.contains("read 180 = used 180 + rejected 0"), "{errors}");
    // Twenty seconds keep two events together, forty do not.
    assert_eq!(out.lines().count(), 120);
    let first: Value = serde_json::from_str(out.lines().next().unwrap()).unwrap();
    assert_eq!(first["event_list"], json!(["Get-Mailbox", "Set-Mailbox"]));
    assert_eq!(first["number_distinct"], 2);
}
