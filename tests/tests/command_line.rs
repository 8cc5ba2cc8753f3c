//! The program from outside: the whole way of the data, and everything that can be wrong with its input.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

/// A working directory with its own logs, store and pipeline file.
struct Place(TempDir);

const PIPELINE: &str = r#"
rejects = "rejects.jsonl"

[source]
plugin = "azure-ad"
inputs = ["logs/*.json"]

[profile.history]
min_history = 40
min_increment = 20
"#;

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        fs::create_dir(place.path("logs")).unwrap();
        place.write("pipeline.toml", PIPELINE);
        place
    }

    /// A place with a small company's logs.
    fn with_logs(users: u32, days: u32) -> Self {
        let place = Self::new();
        let (users, days) = (users.to_string(), days.to_string());
        place.ok(&[
            "generate", "azure-ad", "--users", &users, "--days", &days, "--seed", "7", "--out", "logs",
        ]);
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        fs::write(self.path(name), text).unwrap();
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    fn lines(&self, name: &str) -> Vec<Value> {
        self.read(name).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The program, looking for plugins beside this test's executable, where cargo built them.
    fn command(&self, args: &[&str]) -> Command {
        let plugins = std::env::current_exe().unwrap().parent().unwrap().to_owned();
        let mut command = Command::new(env!("CARGO_BIN_EXE_dfp-under-test"));
        command.current_dir(self.0.path()).arg("--plugin-dir").arg(plugins).args(args);
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// Standard output of a run that must end well.
    fn ok(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert!(output.status.success(), "{args:?}: {}", errors(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    fn json(&self, args: &[&str]) -> Value {
        let args: Vec<&str> = ["--json", "-q"].iter().chain(args).copied().collect();
        serde_json::from_str(&self.ok(&args)).unwrap()
    }

    /// What a run that must fail with `status` says.
    fn fails(&self, status: i32, args: &[&str]) -> String {
        let output = self.run(args);
        assert_eq!(output.status.code(), Some(status), "{args:?}: {}", errors(&output));
        errors(&output)
    }

    fn train(&self, more: &[&str]) -> Value {
        self.json(&[&["train", "-c", "pipeline.toml"], more].concat())
    }

    fn infer(&self, more: &[&str]) -> Value {
        self.json(&[&["infer", "-c", "pipeline.toml", "--scores", "scores.jsonl"], more].concat())
    }

    fn models(&self) -> Value {
        self.json(&["models", "list"])
    }

    /// Scores by record id.
    fn scores(&self) -> BTreeMap<String, String> {
        let line = |line: Value| (line["id"].as_str().unwrap().to_owned(), line["score"].to_string());
        self.lines("scores.jsonl").into_iter().map(line).collect()
    }

    /// The generated log files, oldest first.
    fn logs(&self) -> Vec<String> {
        let files =
            fs::read_dir(self.path("logs")).unwrap().map(|f| f.unwrap().file_name().into_string().unwrap());
        let mut files: Vec<String> =
            files.filter(|f| f.starts_with("AZUREAD_")).map(|f| format!("logs/{f}")).collect();
        files.sort();
        files
    }
}

fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// `-f A -f B ...`
fn inputs(files: &[String]) -> Vec<&str> {
    files.iter().flat_map(|file| ["-f", file.as_str()]).collect()
}

/// A diagnostic sign-in record.
fn sign_in(id: &str, user: &str, time: &str) -> Value {
    json!({
        "time": time, "category": "SignInLogs", "resultType": "0",
        "properties": {
            "id": id, "createdDateTime": time, "userPrincipalName": user, "appDisplayName": "Portal",
            "clientAppUsed": "Browser", "status": {"errorCode": 0},
            "deviceDetail": {"operatingSystem": "Windows 10", "browser": "Edge 97.0.1072"},
            "location": {"city": "Oslo", "countryOrRegion": "NO"},
        },
    })
}

#[test]
fn logs_go_in_and_explained_findings_come_out() {
    let place = Place::with_logs(10, 24);
    let logs = place.logs();
    let (old, new) = logs.split_at(20);
    let trained = place.train(&inputs(old));
    assert!(trained["trained"].as_u64().unwrap() >= 5, "{trained}");
    assert_eq!(trained["generic"], true);

    let inferred = place.infer(&[&inputs(new)[..], &["--threshold", "1"]].concat());
    let counts = &inferred["counts"];
    assert_eq!(counts["read"], counts["used"], "{counts}");
    let scores = place.lines("scores.jsonl");
    assert_eq!(scores.len() as u64, counts["used"].as_u64().unwrap());
    let findings = place.lines("findings.jsonl");
    assert_eq!(findings.len() as u64, inferred["findings"].as_u64().unwrap());
    assert!(!findings.is_empty());
    let read: String = new.iter().map(|file| place.read(file)).collect();
    for finding in &findings {
        assert!(finding["score"].as_f64().unwrap() > 1.0);
        assert!(read.contains(finding["id"].as_str().unwrap()), "a finding leads back to its record");
        assert!(finding["origin"].as_str().unwrap().contains("AZUREAD_"));
        let (name, version) = finding["model"].as_str().unwrap().rsplit_once(':').unwrap();
        assert!(name.starts_with("azure-ad/") && version == "1", "{finding}");
        assert!(!finding["features"].as_array().unwrap().is_empty(), "{finding}");
        let user = finding["user"].as_str().unwrap();
        assert!(finding["summary"].as_str().unwrap().starts_with(user), "{finding}");
    }

    let models = place.models();
    assert_eq!(models.as_array().unwrap().len() as u64, trained["trained"].as_u64().unwrap() + 1);
    let shown = place.ok(&["models", "show", "azure-ad/generic_user"]);
    assert!(shown.contains("azure-ad/generic_user:1") && shown.contains("rows"), "{shown}");
    assert!(place.fails(1, &["models", "show", "azure-ad/nobody"]).contains("dfp models list"));
}

#[test]
fn plugins_are_listed_and_read() {
    let place = Place::new();
    assert!(place.ok(&["plugin", "list"]).contains("azure-ad"));
    place.write("one.json", sign_in("a", "Ann@X.com", "2026-03-01T08:00:00Z").to_string());
    let lines = place.ok(&["read", "--plugin", "azure-ad", "one.json"]);
    let record: Value = serde_json::from_str(&lines).unwrap();
    assert_eq!(record["properties.userPrincipalName"], "Ann@X.com");
    assert_eq!(record["_time"], "2026-03-01T08:00:00Z");
    let stats = place.ok(&["read", "--plugin", "azure-ad", "--stats", "one.json"]);
    assert_eq!(stats.trim(), "read 1 = used 1 + rejected 0");
    let message = place.fails(1, &["read", "--plugin", "no-such", "one.json"]);
    assert!(message.contains("no-such") && message.contains("libdfp_no_such.so"), "{message}");
}

#[test]
fn plugins_are_sealed_signed_and_held_to_it() {
    let place = Place::new();
    let built = std::env::current_exe().unwrap().with_file_name("libdfp_azure_ad.so");
    fs::create_dir(place.path("mine")).unwrap();
    let library = place.path("mine").canonicalize().unwrap().join("libdfp_azure_ad.so");
    fs::copy(built, &library).unwrap();
    place.write("one.json", sign_in("a", "Ann@X.com", "2026-03-01T08:00:00Z").to_string());
    let plugin = library.to_str().unwrap();
    let read = |policy: &[&str]| {
        let rest = ["read", "--plugin", plugin, "--stats", "one.json"];
        place.run(&[policy, &rest].concat())
    };
    let refused = |policy: &[&str], why: &str| {
        let output = read(policy);
        assert_eq!(output.status.code(), Some(1));
        assert!(errors(&output).contains(why), "{}", errors(&output));
    };
    refused(&["--plugin-policy", "hash"], "dfp plugin seal");

    place.ok(&["plugin", "keygen", "release.key"]);
    place.ok(&["plugin", "keygen", "other.key"]);
    assert!(place.fails(1, &["plugin", "keygen", "other.key"]).contains("other.key"));
    let key = place.read("release.key.pub");
    let sealed = place.ok(&["plugin", "seal", "mine/libdfp_azure_ad.so", "--key", "release.key"]);
    assert!(sealed.contains("azure-ad.dfp-plugin.toml") && sealed.contains(key.trim()), "{sealed}");

    for policy in [
        &["--plugin-policy", "hash"][..],
        &["--plugin-key", "release.key.pub"],
        &["--plugin-policy", "signed", "--plugin-key", key.trim()],
    ] {
        let output = read(policy);
        assert!(output.status.success(), "{policy:?}: {}", errors(&output));
    }
    refused(&["--plugin-key", "other.key.pub"], "not one of yours");
    for wrong in [
        &["--plugin-policy", "signed", "plugin", "list"][..],
        &["--plugin-policy", "hash", "--plugin-key", key.trim(), "plugin", "list"],
        &["--plugin-policy", "off", "plugin", "list"],
    ] {
        place.fails(2, wrong);
    }
    // Neither key is shown, whatever is done wrong with it.
    let secret = place.read("release.key");
    let message = place.fails(2, &["--plugin-key", "release.key", "plugin", "list"]);
    assert!(!message.contains(&secret[20..60]), "{message}");

    // The pipeline file can ask for more than the command line, not for less.
    let pipeline = |plugins: &str| {
        let source = format!("[source]\nplugin = {plugin:?}\ninputs = [\"one.json\"]\n");
        place.write("trusting.toml", format!("{source}[plugins]\n{plugins}\n"));
    };
    let theirs = place.read("other.key.pub");
    pipeline(&format!("policy = \"signed\"\nkeys = [{:?}]", theirs.trim()));
    assert!(place.fails(1, &["train", "-c", "trusting.toml"]).contains("not one of yours"));
    pipeline("policy = \"explicit-only\"");
    let strict = ["--plugin-key", "other.key.pub", "train", "-c", "trusting.toml"];
    assert!(place.fails(1, &strict).contains("not one of yours"));
    pipeline("policy = \"trusting\"");
    assert!(place.fails(2, &["train", "-c", "trusting.toml"]).contains("[plugins]"));

    let mut bytes = fs::read(&library).unwrap();
    bytes.push(0);
    fs::write(&library, bytes).unwrap();
    refused(&["--plugin-policy", "hash"], "not the library that was sealed");
    // Listing looks at the manifest alone.
    let listed = place.ok(&["--plugin-dir", "mine", "plugin", "list"]);
    assert!(listed.contains("azure-ad 0.1.0 (source, "), "{listed}");
}

#[test]
fn every_kind_of_log_is_generated_with_its_labels() {
    let place = Place::new();
    for kind in ["azure-ad", "cloudtrail", "duo", "exchange"] {
        let generate = ["generate", kind, "--users", "6", "--days", "8", "--incidents", "1", "--out", kind];
        let summary = place.json(&generate);
        let labels = place.read(&format!("{kind}/labels.csv"));
        assert_eq!(summary["labelled"].as_u64(), Some(labels.lines().count() as u64 - 1), "{kind}");
        let scenarios = summary["scenarios"].as_array().unwrap();
        assert!(scenarios.iter().all(|scenario| scenario["records"].as_u64() > Some(0)), "{summary}");
        assert!(summary["records"].as_u64() > Some(100), "{summary}");
    }
    assert!(place.fails(2, &["generate", "syslog", "--out", "x"]).contains("cloudtrail"));
}

#[test]
fn wrong_usage_and_configuration_exit_with_2_and_say_what_to_do() {
    let place = Place::new();
    for args in [&["train"][..], &["frobnicate"], &["train", "-c", "pipeline.toml", "--duration", "60"]] {
        place.fails(2, args);
    }
    let both = ["train", "-c", "pipeline.toml", "--skip-user", "a", "--only-user", "b"];
    place.fails(2, &both);
    for (text, expected) in [
        ("[source]\nplugin = \"azure-ad\"\ninptus = []", "inptus"),
        ("[source]\nplugin = \"azure-ad\"\n[model]\npreset = \"magic\"", "magic"),
        ("[source]\nplugin = \"azure-ad\"\ninputs = [\"x\"]\nperiod = \"fortnight\"", "source.period"),
        ("[source]\nplugin = \"azure-ad\"\ninputs = [\"x\"]\n[profile]\nfeatures = [\"nose\"]", "nose"),
        ("[source]\nplugin = \"azure-ad\"\ninputs = [\"x\"]\n[infer]\nthreshold = nan", "infer.threshold"),
        ("[source]\nplugin = \"azure-ad\"", "inputs"),
        ("[source", "pipeline"),
    ] {
        place.write("wrong.toml", text);
        let message = place.fails(2, &["train", "-c", "wrong.toml"]);
        assert!(message.contains(expected), "{text}\n{message}");
    }
    assert!(place.fails(1, &["train", "-c", "absent.toml"]).contains("absent.toml"));
}

#[test]
fn unusable_inputs_are_named() {
    let place = Place::new();
    assert!(place.fails(1, &["train", "-c", "pipeline.toml"]).contains("logs/*.json"));
    let absent = place.fails(1, &["train", "-c", "pipeline.toml", "-f", "absent.json"]);
    assert!(absent.contains("absent.json"), "{absent}");
    fs::create_dir(place.path("empty")).unwrap();
    assert!(place.fails(1, &["train", "-c", "pipeline.toml", "-f", "empty"]).contains("empty"));
    place.write("logs/2026-02-30.json", "");
    assert!(place.fails(1, &["train", "-c", "pipeline.toml"]).contains("2026-02-30"));
    fs::remove_file(place.path("logs/2026-02-30.json")).unwrap();
    place.write("logs/2026-03-01.json", "");
    let nothing = place.fails(1, &["train", "-c", "pipeline.toml"]);
    assert!(nothing.contains("nothing to learn"), "{nothing}");
    let untrained = place.fails(1, &["infer", "-c", "pipeline.toml"]);
    assert!(untrained.contains("dfp train"), "{untrained}");
}

#[test]
fn hostile_records_are_rejected_by_reason_and_the_books_balance() {
    let place = Place::with_logs(6, 16);
    let before = place.logs();
    let mut text: Vec<u8> = Vec::new();
    let mut line = |bytes: &[u8]| {
        text.extend_from_slice(bytes);
        text.push(b'\n');
    };
    let good = sign_in("good", "ann@x.com", "2026-01-10T08:00:00Z").to_string();
    line(good.as_bytes());
    line(good.as_bytes());
    line(b"{\"time\": \"2026-01-10T08:00:00Z\", ");
    line(b"not json at all");
    line(b"\0\0\0\0");
    line(b"[[[[[");
    line(sign_in("nobody", "", "2026-01-10T09:00:00Z").to_string().as_bytes());
    line(sign_in("timeless", "ann@x.com", "soon").to_string().as_bytes());
    line(sign_in("ancient", "ann@x.com", "1601-01-01T00:00:00Z").to_string().as_bytes());
    line(sign_in("future", "ann@x.com", "2199-01-01T00:00:00Z").to_string().as_bytes());
    line(&[b"{\"time\":".as_slice(), &b"[".repeat(5000), &b"]".repeat(5000), b"}"].concat());
    line(
        sign_in("mail", "ann@x.com", "2026-01-10T07:00:00Z")
            .to_string()
            .replace("Oslo", "Os\u{0}lo")
            .as_bytes(),
    );
    text.extend_from_slice(b"{\"time\": \"2026-01-10T08:00:00Z\", \"prop");
    place.write("logs/AZUREAD_2026-01-10T12_00_00.000Z.json", text);

    let report = place.train(&[]);
    let counts = &report["counts"];
    let rejected = counts["rejected"].as_object().unwrap();
    let total: u64 = rejected.values().map(|n| n.as_u64().unwrap()).sum();
    assert_eq!(counts["read"].as_u64().unwrap(), counts["used"].as_u64().unwrap() + total, "{counts}");
    for reason in
        ["duplicate", "malformed", "no-entity", "no-time", "time-out-of-range", "too-deep", "truncated"]
    {
        assert!(rejected.contains_key(reason), "{reason} is missing in {counts}");
    }
    let lines = place.lines("rejects.jsonl");
    assert_eq!(lines.len() as u64, total);
    assert!(
        lines.iter().all(|line| line["origin"].as_str().unwrap().contains("2026-01-10T12_00_00")),
        "{lines:?}"
    );

    assert_eq!(place.logs().len(), before.len() + 1);
    let strict = place.run(&["-q", "train", "-c", "pipeline.toml", "--strict"]);
    assert_eq!(strict.status.code(), Some(3), "{}", errors(&strict));
}

#[test]
fn a_directory_in_place_of_a_file_fails_or_is_skipped_and_counted() {
    let place = Place::with_logs(6, 16);
    let mut files = place.logs();
    fs::create_dir(place.path("logs/x.json.d")).unwrap();
    files.push("logs/gone-2026-01-09.json".to_owned());
    let message = place.fails(1, &[&["train", "-c", "pipeline.toml"], &inputs(&files)[..]].concat());
    assert!(message.contains("gone-2026-01-09.json"), "{message}");
    assert!(!place.path(".dfp").exists() || place.models() == json!([]), "a failed run publishes nothing");

    place.write("skip.toml", PIPELINE.replace("inputs =", "unreadable = \"skip\"\ninputs ="));
    let output = place.run(&[&["train", "-c", "skip.toml"], &inputs(&files)[..]].concat());
    assert!(output.status.success(), "{}", errors(&output));
    assert!(errors(&output).contains("gone-2026-01-09.json"), "{}", errors(&output));
}

#[test]
fn order_of_records_and_files_changes_nothing() {
    let place = Place::with_logs(6, 20);
    let logs = place.logs();
    let (old, new) = logs.split_at(16);
    place.train(&inputs(old));
    fs::copy(place.path(".dfp/dfp.redb"), place.path("trained")).unwrap();
    place.infer(&inputs(new));
    let straight = place.scores();
    // The same records backwards, in one file, into the same store.
    fs::copy(place.path("trained"), place.path(".dfp/dfp.redb")).unwrap();
    let text: String = new.iter().map(|file| place.read(file)).collect();
    let backwards: Vec<&str> = text.lines().rev().collect();
    place.write("backwards.json", backwards.join("\n"));
    place.infer(&["-f", "backwards.json"]);
    assert_eq!(place.scores(), straight);
}

#[test]
fn scoring_again_gives_the_same_scores_whether_or_not_rows_are_remembered() {
    let place = Place::with_logs(6, 20);
    let logs = place.logs();
    let (old, new) = logs.split_at(16);
    place.train(&inputs(old));
    place.infer(&[&inputs(new)[..], &["--forget"]].concat());
    let forgotten = place.scores();
    place.infer(&inputs(new));
    let remembered = place.scores();
    place.infer(&inputs(new));
    assert_eq!(place.scores(), remembered);
    assert_eq!(forgotten.len(), remembered.len());
    // The first day knows the same history either way.
    let first = place.read(&new[0]);
    for (id, score) in &forgotten {
        if first.contains(id) {
            assert_eq!(remembered[id], *score, "{id}");
        }
    }
}

#[test]
fn training_continues_from_the_stored_history() {
    let place = Place::with_logs(6, 24);
    let logs = place.logs();
    place.train(&inputs(&logs[..20]));
    let again = place.train(&inputs(&logs[10..]));
    let repeated: usize = logs[10..20].iter().map(|file| place.read(file).lines().count()).sum();
    assert_eq!(again["counts"]["rejected"]["duplicate"], repeated);

    // In one go: the same history, so the same models.
    let straight = Place::new();
    for file in &logs {
        straight.write(file, place.read(file));
    }
    straight.train(&[]);
    let rows = |place: &Place| -> BTreeMap<String, Value> {
        let models = place.models();
        let models = models.as_array().unwrap().iter();
        models.map(|m| (m["name"].as_str().unwrap().to_owned(), m["rows"].clone())).collect()
    };
    let (continued, fresh) = (rows(&place), rows(&straight));
    assert_eq!(continued["azure-ad/generic_user"], fresh["azure-ad/generic_user"]);
}

#[test]
fn models_learn_from_the_newest_history_and_never_from_too_little() {
    const DAY: i64 = 86_400_000_000_000;
    let place = Place::with_logs(8, 10);
    let train = |max_history: &str| {
        let limits =
            format!("[profile.history]\nmin_history = 60\nmin_increment = 1\nmax_history = {max_history}\n");
        let head = PIPELINE.split("[profile.history]").next().unwrap();
        let store = format!("[store]\npath = 'store {}'\n", max_history.trim_matches('"'));
        place.write("pipeline.toml", head.to_owned() + &limits + &store);
        let report = place.train(&["--train-users", "individual"]);
        let models = place.json(&["models", "list", "-c", "pipeline.toml"]);
        assert_eq!(report["trained"].as_u64().unwrap(), models.as_array().unwrap().len() as u64);
        let number = |model: &Value, name: &str| model[name].as_i64().unwrap();
        let size = |model: &Value| (number(model, "rows"), number(model, "end") - number(model, "start"));
        models.as_array().unwrap().iter().map(size).collect::<Vec<_>>()
    };
    let (all, span, rows) = (train("\"all\""), train("\"2d\""), train("60"));
    // Two days back, and the whole of that day.
    assert!(span.iter().all(|(rows, long)| *rows >= 60 && *long < 3 * DAY), "{span:?}");
    assert!(
        !span.is_empty() && span.len() < all.len(),
        "{} of {} users are that busy",
        span.len(),
        all.len()
    );
    assert!(all.iter().any(|(_, long)| *long > 7 * DAY), "{all:?}");
    assert!(rows.len() == all.len() && rows.iter().all(|(rows, _)| *rows == 60), "{rows:?}");
}

#[test]
fn models_are_the_same_for_any_number_of_threads() {
    let place = Place::with_logs(6, 20);
    let logs = place.logs();
    let mut all = Vec::new();
    for threads in [1, 3] {
        let text = format!(
            "{PIPELINE}\n[train]\nthreads = {threads}\n[infer]\nthreads = {threads}\n[store]\npath = \"s{threads}\""
        );
        place.write("threads.toml", text);
        place.json(&[&["train", "-c", "threads.toml"], &inputs(&logs[..16])[..]].concat());
        place.json(
            &[&["infer", "-c", "threads.toml", "--scores", "scores.jsonl"], &inputs(&logs[16..])[..]]
                .concat(),
        );
        all.push(place.scores());
    }
    assert_eq!(all[0], all[1]);
    assert!(all[0].len() > 100);
}

#[test]
fn users_are_selected() {
    let place = Place::with_logs(6, 16);
    let report = place.train(&[]);
    let name = place.models()[0]["name"].as_str().unwrap().strip_prefix("azure-ad/").unwrap().to_owned();
    let only = place.infer(&["--only-user", &name.to_uppercase(), "--forget"]);
    let users: Vec<Value> = place.lines("scores.jsonl").iter().map(|line| line["user"].clone()).collect();
    assert!(!users.is_empty() && users.iter().all(|user| *user == name.as_str()), "{users:?}");
    assert!(only["counts"]["rejected"]["not-selected"].as_u64().unwrap() > 0);
    let skip = place.infer(&["--skip-user", &name, "--forget"]);
    assert_eq!(
        skip["counts"]["used"].as_u64().unwrap() + users.len() as u64,
        report["counts"]["used"].as_u64().unwrap()
    );
}

#[test]
fn files_are_selected_by_date() {
    let place = Place::with_logs(4, 16);
    let files = place.logs();
    let lines = |files: &[String]| files.iter().map(|f| place.read(f).lines().count()).sum::<usize>();
    place.train(&[]);
    let some = place.infer(&["--start-time", "2026-01-10", "--duration", "36h", "--forget"]);
    let taken: Vec<String> =
        files.iter().filter(|f| f.contains("-10T") || f.contains("-11T")).cloned().collect();
    assert_eq!(some["counts"]["read"], lines(&taken));
    assert!(
        place
            .fails(1, &["infer", "-c", "pipeline.toml", "--start-time", "2031-01-01"])
            .contains("time range")
    );
}

#[test]
fn a_killed_or_failed_training_leaves_the_last_good_state() {
    let place = Place::with_logs(10, 24);
    let logs = place.logs();
    place.train(&inputs(&logs[..16]));
    let good = place.models();

    let mut finished = false;
    for delay in [10, 30, 120, 300, 600] {
        let args = [&["-q", "train", "-c", "pipeline.toml"], &inputs(&logs[16..])[..]].concat();
        let mut child = place.command(&args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(delay));
        child.kill().unwrap();
        finished = child.wait().unwrap().success();
        if finished {
            break;
        }
        assert_eq!(place.models(), good, "after {delay} ms");
    }
    place.infer(&[&inputs(&logs[16..18])[..], &["--forget"]].concat());

    // A file size limit stands in for a full disk. The signal is ignored so that the write fails instead.
    let program = place.command(&[]).get_program().to_owned();
    let mut full = Command::new("sh");
    full.current_dir(place.0.path())
        .args(["-c", "trap '' XFSZ; ulimit -f 64; exec \"$@\"", "sh"])
        .arg(program)
        .args(place.command(&[]).get_args())
        .args(["-q", "train", "-c", "pipeline.toml"]);
    let before = place.models();
    let output = full.output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", errors(&output));
    assert!(!errors(&output).contains("panicked"), "{}", errors(&output));
    assert_eq!(place.models(), before);
    let report = place.train(&[]);
    assert!(finished || report["trained"].as_u64().unwrap() > 0, "{report}");
}

#[test]
fn the_morpheus_preset_scores_by_the_network_alone() {
    let place = Place::with_logs(4, 16);
    let logs = place.logs();
    let model = "[model]\npreset = \"morpheus\"\n[model.autoencoder]\nencoder_layers = [16]\ndecoder_layers = [16]\nepochs = 2\n";
    place.write("pipeline.toml", format!("{PIPELINE}\n{model}"));
    place.train(&inputs(&logs[..14]));
    let report = place.infer(&inputs(&logs[14..]));
    assert_eq!(report["threshold"], 2.0);
    assert!(place.models().as_array().unwrap().iter().all(|m| m["kind"] == "autoencoder"));
}

#[test]
fn the_demo_tells_what_it_found() {
    let place = Place::new();
    let report = place.json(&["demo", "--dir", "tour"]);
    let incidents = report["evaluation"]["incidents"].as_object().unwrap();
    assert_eq!(incidents.len(), 7);
    let found = incidents.values().filter(|i| i["found"].as_u64().unwrap() > 0).count();
    assert!(found >= 4, "{report:#}");
    assert!(place.path("tour/findings.jsonl").is_file());
    // A second tour replaces the first; a directory that is no demo's is left alone.
    fs::create_dir(place.path("mine")).unwrap();
    assert!(place.fails(2, &["demo", "--dir", "mine"]).contains("--dir"));
    assert!(Path::new(&place.path("mine")).is_dir());
}
