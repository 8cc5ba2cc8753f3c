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
fn a_device_is_there_or_the_run_does_not_begin() {
    let place = Place::new();
    let devices = place.json(&["devices"]);
    assert!(devices["cpu_threads"].as_u64().unwrap() >= 1);
    assert_eq!(devices["cuda"].as_array().unwrap().is_empty(), devices["no_cuda"].is_string(), "{devices}");
    assert!(place.ok(&["devices"]).starts_with("cpu "));
    place.write("logs/a.json", sign_in("1", "a@b.example", "2026-02-01T00:00:00Z").to_string());
    let train = |device| place.run(&["train", "-c", "pipeline.toml", "--device", device]);
    let refused = train("gpu");
    assert_eq!(refused.status.code(), Some(2));
    assert!(errors(&refused).contains("write auto, cpu, cuda"), "{}", errors(&refused));
    let absent = train("cuda:1000");
    assert!(matches!(absent.status.code(), Some(1 | 2)), "{}", errors(&absent));
    assert!(errors(&absent).contains("device cuda:1000: "), "{}", errors(&absent));
    assert!(!place.path(".dfp").exists(), "nothing was begun");
    for device in ["cpu", "auto"] {
        let output = train(device);
        assert!(output.status.success(), "{}", errors(&output));
    }
}

/// What inference found, and scored, in text.
fn results(place: &Place) -> (String, BTreeMap<String, String>, String) {
    (place.read("findings.jsonl"), place.scores(), place.read("rejects.jsonl"))
}

#[cfg(target_os = "linux")]
#[test]
fn an_isolated_plugin_finds_what_the_same_plugin_finds_in_this_process() {
    let place = Place::with_logs(6, 20);
    place.write("logs/AZUREAD_2026-01-10T12_00_00.000Z.json", "no json\n{}\n");
    place.write("isolated.toml", PIPELINE.replace("plugin =", "isolate = true\nplugin ="));
    let logs = place.logs();
    let (old, new) = logs.split_at(16);
    let untimed = |mut report: Value| {
        report.as_object_mut().unwrap().remove("steps");
        report
    };
    let [old, new] = [old, new].map(inputs);
    let threshold: [&str; 2] = ["--threshold", "1"];
    let here = (untimed(place.train(&old)), untimed(place.infer(&[&new[..], &threshold].concat())));
    let found = results(&place);
    assert!(!found.0.is_empty() && here.0["counts"]["rejected"]["malformed"].as_u64() > Some(0), "{here:?}");
    fs::remove_dir_all(place.path(".dfp")).unwrap();

    let isolated = |command: &[&str], inputs: &[&str]| untimed(place.json(&[command, inputs].concat()));
    let there = (
        isolated(&["train", "-c", "isolated.toml"], &old),
        isolated(
            &["infer", "--isolate", "-c", "pipeline.toml", "--scores", "scores.jsonl", "--threshold", "1"],
            &new,
        ),
    );
    assert_eq!(there, here);
    assert_eq!(results(&place), found);

    let read =
        |more: &[&str]| place.ok(&[&["-q", "read", "--plugin", "azure-ad"], more, &[&logs[0]]].concat());
    assert_eq!(read(&["--isolate"]), read(&[]));
    let no_rate = |stats: String| -> Vec<String> {
        stats.lines().filter(|line| !line.contains("records/s")).map(str::to_owned).collect()
    };
    assert_eq!(no_rate(read(&["--isolate", "--stats"])), no_rate(read(&["--stats"])));
    let strict =
        place.fails(1, &["--plugin-policy", "hash", "read", "--isolate", "--plugin", "azure-ad", &logs[0]]);
    assert!(strict.contains("dfp plugin seal"), "{strict}");
    let absent = place.fails(1, &["read", "--isolate", "--plugin", "azure-ad", "absent.json"]);
    assert!(absent.contains("absent.json"), "{absent}");
}

/// The processes that one has started.
#[cfg(target_os = "linux")]
fn children(of: u32) -> Vec<u32> {
    let threads = fs::read_dir(format!("/proc/{of}/task")).into_iter().flatten().flatten();
    let lists = threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    lists
        .flat_map(|list| list.split_whitespace().filter_map(|id| id.parse().ok()).collect::<Vec<_>>())
        .collect()
}

#[cfg(target_os = "linux")]
#[test]
fn a_killed_plugin_ends_the_run_and_leaves_the_store_as_it_was() {
    let place = Place::with_logs(6, 20);
    let logs = place.logs();
    let (old, new) = logs.split_at(16);
    place.train(&inputs(old));
    let models = place.models();
    let (mut program, mut seen) = (None, Vec::new());
    // A period takes a process each: the third one is in the midst of things. It may just have ended, and so may all.
    for _ in 0..10 {
        let args = [&["-q", "train", "--isolate", "-c", "pipeline.toml"], &inputs(new)[..]].concat();
        let mut run = place.command(&args).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        seen.clear();
        while run.try_wait().unwrap().is_none() {
            for child in
                children(run.id()).into_iter().filter(|child| !seen.contains(child)).collect::<Vec<_>>()
            {
                seen.push(child);
                if seen.len() == 3 {
                    Command::new("kill")
                        .args(["-9", &child.to_string()])
                        .stderr(Stdio::null())
                        .status()
                        .unwrap();
                }
            }
        }
        let output = run.wait_with_output().unwrap();
        if !output.status.success() {
            program = Some(output);
            break;
        }
        // It trained: back to where it was.
        fs::remove_dir_all(place.path(".dfp")).unwrap();
        place.train(&inputs(old));
    }
    let output = program.expect("a plugin that was killed at work");
    assert_eq!(output.status.code(), Some(1));
    let message = errors(&output);
    assert!(message.contains("source") && message.contains("signal 9 (SIGKILL)"), "{message}");
    let now = place.models();
    assert_eq!(now.as_array().unwrap().len(), models.as_array().unwrap().len());
    let versions = |models: &Value| -> Vec<Value> {
        models.as_array().unwrap().iter().map(|model| model["version"].clone()).collect()
    };
    assert_eq!(versions(&now), versions(&models));
    // And the next run goes on from there.
    let report = place.json(&[&["train", "--isolate", "-c", "pipeline.toml"], &inputs(new)[..]].concat());
    assert_eq!(report["counts"]["rejected"], json!({}), "nothing of the failed run was kept");
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
    assert_eq!(stats.lines().next(), Some("read 1 = used 1 + rejected 0"));
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
    for reason in ["duplicate", "malformed", "no-time", "time-out-of-range", "too-deep", "truncated"] {
        assert!(rejected.contains_key(reason), "{reason} is missing in {counts}");
    }
    assert_eq!(report["counters"]["without-entity"], 1);
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

/// A day's log: record ids and users `id0 ann`, `id1 bob`, ..., one a minute, and as many lines.
fn day(users: &[&str], date: &str) -> Vec<String> {
    let line = |(n, user): (usize, &&str)| {
        let time = format!("{date}T{:02}:{:02}:00Z", 8 + n / 60, n % 60);
        sign_in(&format!("{date}-id{n}"), user, &time).to_string()
    };
    users.iter().enumerate().map(line).collect()
}

fn names(place: &Place) -> Vec<String> {
    let files = fs::read_dir(place.0.path()).unwrap().map(|f| f.unwrap().file_name().into_string().unwrap());
    let mut files: Vec<String> = files.collect();
    files.sort();
    files
}

#[test]
fn records_are_written_in_every_format_and_summed_up() {
    let place = Place::new();
    let mut lines = day(&["Ann@X.com", "ann@x.com", "bob", "-"], "2026-03-01");
    lines.push("junk".to_owned());
    place.write("one.json", lines.join("\n"));
    place.write("none.json", "");
    let read =
        |more: &[&'static str]| [&["read", "--plugin", "azure-ad", "one.json", "none.json"], more].concat();
    for (name, magic) in [("x.parquet", "PAR1"), ("x.arrow", "ARROW1"), ("x.feather", "ARROW1")] {
        let output = place.run(&read(&["--out", name]));
        assert!(output.status.success() && output.stdout.is_empty(), "{}", errors(&output));
        let bytes = fs::read(place.path(name)).unwrap();
        assert!(bytes.starts_with(magic.as_bytes()) && bytes.ends_with(magic.as_bytes()), "{name}");
        // The same bytes through a pipe.
        let format = if magic == "PAR1" { "parquet" } else { "arrow" };
        assert_eq!(place.run(&read(&["--format", format])).stdout, bytes, "{name}");
    }
    assert!(place.run(&read(&["--format", "arrow-stream"])).stdout.starts_with(&[0xff; 4]));
    let printed = place.ok(&read(&[]));
    assert_eq!(printed.lines().count(), 4);
    place.ok(&read(&["--out", "new/x.jsonl"]));
    assert_eq!(place.read("new/x.jsonl"), printed);

    let stats = place.json(&read(&["--stats", "--out", "again.jsonl"]));
    assert_eq!(place.read("again.jsonl"), printed);
    assert_eq!((&stats["read"], &stats["used"]), (&json!(5), &json!(4)));
    assert_eq!(stats["rejected"], json!({"malformed": 1}));
    assert_eq!(stats["ids"], json!({"distinct": 4, "approximate": false, "without": 0}));
    assert_eq!(stats["entities"], json!({"distinct": 2, "approximate": false, "without": 1}));
    assert_eq!(stats["first_time"], "2026-03-01T08:00:00Z");
    assert_eq!(stats["last_time"], "2026-03-01T08:03:00Z");
    let inputs = json!([{"input": "one.json", "used": 4, "rejected": 1}, {"input": "none.json", "used": 0, "rejected": 0}]);
    assert_eq!(stats["inputs"], inputs);
    let columns = stats["columns"].as_array().unwrap();
    let app = columns.iter().find(|column| column["name"] == "properties.appDisplayName").unwrap();
    assert_eq!((&app["nulls"], &app["distinct"]), (&json!(0), &json!(1)));

    let nothing = place.ok(&["read", "--plugin", "azure-ad", "none.json", "--out", "none.parquet"]);
    assert!(nothing.is_empty() && fs::read(place.path("none.parquet")).unwrap().ends_with(b"PAR1"));
    assert!(place.fails(2, &read(&["--out", "one.json"])).contains("one of the inputs"));
    assert!(place.fails(2, &read(&["--out", "x.csv"])).contains("--format"));
    place.fails(2, &["read", "--plugin", "azure-ad"]);
}

#[test]
fn a_plugin_is_configured_from_the_command_line() {
    let place = Place::new();
    place.write("one.json", sign_in("a", "Ann@X.com", "2026-03-01T08:00:00Z").to_string());
    let read =
        |more: &[&'static str]| [&["read", "--plugin", "azure-ad", "one.json", "absent.json"], more].concat();
    assert!(place.fails(1, &read(&[])).contains("absent.json"));
    assert_eq!(place.ok(&read(&["--option", "unreadable=skip"])).lines().count(), 1);
    place.write("plugin.json", r#"{"unreadable": "skip", "columns": ["identity"], "max_record_bytes": 1}"#);
    let rejected = place.run(&read(&["--config", "plugin.json", "--strict"]));
    assert_eq!(rejected.status.code(), Some(3), "{}", errors(&rejected));
    // Single options come after the file.
    let columns = ["--config", "plugin.json", "--option", "max_record_bytes=1000", "--column", "resultType"];
    let record: Value = serde_json::from_str(&place.ok(&read(&columns))).unwrap();
    assert_eq!(record["resultType"], "0");
    assert!(place.fails(2, &read(&["--option", "no_such=1"])).contains("no_such"));
    place.fails(2, &read(&["--option", "nonsense"]));
    place.write("wrong.json", "[]");
    assert!(place.fails(2, &read(&["--config", "wrong.json"])).contains("wrong.json"));
    place.fails(2, &read(&["--secrets", "dir", "--secrets-env", "X_"]));
}

#[test]
fn a_plugin_gets_the_secrets_its_configuration_names() {
    let place = Place::new();
    let plugin = std::env::current_exe().unwrap().with_file_name("libdfp_test_plugin.so");
    place.write("log", "one\nbad\n");
    let token = r#"token={"$secret": "door"}"#;
    let read = ["read", "--plugin", plugin.to_str().unwrap(), "log", "--option", token];
    let with = |more: &[&'static str]| [&read[..], more].concat();
    assert!(place.fails(1, &read).contains("secret"));
    fs::create_dir(place.path("secrets")).unwrap();
    place.write("secrets/door", "open\0sesame\n");
    // A plugin whose batches have none of the standard columns is read all the same.
    assert_eq!(place.ok(&with(&["--secrets", "secrets"])).trim(), r#"{"line":"one","number":1}"#);
    let stats = place.json(&with(&["--secrets", "secrets", "--stats", "--dedup"]));
    assert_eq!((&stats["read"], &stats["entities"]), (&json!(2), &Value::Null));
    assert_eq!(stats["inputs"], json!([{"input": "log", "used": 0, "rejected": 1}]));
    let wrong = place.command(&with(&["--secrets-env", "MY_"])).env("MY_DOOR", "close").output().unwrap();
    assert!(errors(&wrong).contains("wrong") && !errors(&wrong).contains("close"), "{}", errors(&wrong));
}

/// The lines often enough for about `bytes`, with ids of their own.
fn big_log(place: &Place, name: &str, bytes: usize) {
    let line = sign_in("ID", "ann@x.com", "2026-03-01T08:00:00Z").to_string();
    let mut text = String::with_capacity(bytes + 1000);
    let mut id = 0;
    while text.len() < bytes {
        text.push_str(&line.replace("ID", &format!("{id:032}")));
        text.push('\n');
        id += 1;
    }
    place.write(name, text);
}

/// The most memory a run needed, KiB, as the kernel counts it.
fn peak_memory(place: &Place, args: &[&str]) -> u64 {
    let mut child = place.command(args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    while child.try_wait().unwrap().is_none() {
        let text = fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        peak = line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(peak);
        std::thread::sleep(Duration::from_millis(2));
    }
    assert!(child.wait().unwrap().success(), "{args:?}");
    peak
}

#[test]
#[cfg(target_os = "linux")]
fn memory_is_flat_whatever_the_input_and_format() {
    let place = Place::new();
    big_log(&place, "small.json", 8 << 20);
    big_log(&place, "big.json", 120 << 20);
    for (what, allowance) in [
        (&[][..], 16),
        (&["--out", "x.parquet"], 64),
        (&["--out", "x.arrow"], 16),
        (&["--stats", "--dedup"], 48),
    ] {
        let peak = |log| peak_memory(&place, &[&["-q", "read", "--plugin", "azure-ad", log], what].concat());
        let (small, big) = (peak("small.json"), peak("big.json"));
        println!("{what:?}: {small} KiB, {big} KiB");
        assert!(big < small + (allowance << 10), "{what:?}: {small} KiB, then {big} KiB");
    }
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    use std::io::Read;
    let place = Place::new();
    big_log(&place, "big.json", 16 << 20);
    for format in ["ndjson", "parquet", "arrow", "arrow-stream"] {
        let args = ["-q", "read", "--plugin", "azure-ad", "--format", format, "big.json"];
        let mut child = place.command(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut start = [0; 4];
        child.stdout.take().unwrap().read_exact(&mut start).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{format}: {}", errors(&output));
    }
    // Nor one of stderr, which every rejected record goes to.
    place.write("junk.json", "junk\n".repeat(20_000));
    let args = ["read", "--plugin", "azure-ad", "junk.json", "--out", "none.jsonl"];
    let mut child = place.command(&args).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stderr.take());
    assert!(child.wait().unwrap().success());
}

#[test]
#[cfg(unix)]
fn an_interrupted_read_leaves_no_half_file() {
    let place = Place::new();
    big_log(&place, "big.json", 150 << 20);
    place.write("x.parquet", "before");
    for name in ["x.parquet", "x.jsonl", "x.arrow"] {
        let before = names(&place);
        let args = ["-q", "read", "--plugin", "azure-ad", "big.json", "--out", name];
        let mut child = place.command(&args).stderr(Stdio::piped()).spawn().unwrap();
        let partial = place.path(&format!("{name}.partial"));
        while !partial.exists() {
            assert!(child.try_wait().unwrap().is_none(), "ended before it could be interrupted");
            std::thread::sleep(Duration::from_millis(1));
        }
        assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{}", errors(&output));
        assert!(errors(&output).contains("cancelled"), "{}", errors(&output));
        assert_eq!(names(&place), before);
    }
    assert_eq!(place.read("x.parquet"), "before");
}

#[test]
fn repeats_are_left_out_of_what_is_read_and_reused_ids_are_not() {
    let place = Place::new();
    let mut lines = day(&["ann", "bob"], "2026-03-01");
    lines.extend_from_within(..1);
    lines.push(lines[0].replace("Portal", "Mail"));
    place.write("a.json", lines.join("\n"));
    place.write("b.json", &lines[1]);
    let read = ["read", "--plugin", "azure-ad", "a.json", "b.json", "--stats"];
    assert_eq!(place.json(&read)["rejected"], json!({}));
    let stats = place.json(&[&read[..], &["--dedup"]].concat());
    assert_eq!((&stats["used"], &stats["rejected"]), (&json!(3), &json!({"duplicate": 2})));
    assert_eq!(stats["ids"]["distinct"], 2);
    assert_eq!(stats["inputs"][1], json!({"input": "b.json", "used": 0, "rejected": 1}));
}

/// Forty sign-ins of one user on each of two days, enough for a model.
fn trained_on_two_days(more: &str) -> Place {
    let place = Place::new();
    place.write("pipeline.toml", format!("{PIPELINE}\n{more}"));
    for date in ["2026-03-01", "2026-03-02"] {
        place.write(&format!("logs/{date}.json"), day(&["ann@x.com"; 40], date).join("\n"));
    }
    assert_eq!(place.train(&[])["counts"]["used"], 80);
    place
}

#[test]
fn training_counts_a_record_once_within_files_runs_and_across_runs() {
    let place = trained_on_two_days("");
    let old = day(&["ann@x.com"; 40], "2026-03-02");
    let new = day(&["ann@x.com"; 30], "2026-03-03");
    // Within a file, in another file of the day, in a later period, and from an earlier run; one id has two bodies.
    let reused = new[1].replace("Portal", "Mail");
    let here = [new.join("\n"), new[0].clone(), reused, old[5].clone()].join("\n");
    place.write("2026-03-03a.json", here);
    place.write("2026-03-03b.json", &new[1]);
    place.write("2026-03-04.json", &new[2]);
    let files = ["-f", "2026-03-03a.json", "-f", "2026-03-03b.json", "-f", "2026-03-04.json"];
    let report = place.train(&files);
    assert_eq!(report["counts"]["used"], 31);
    assert_eq!(report["counts"]["rejected"], json!({"duplicate": 4}));
    // Late, but within the history: used. Older than what is kept: neither used nor called a repeat.
    place.write("late.json", sign_in("late", "ann@x.com", "2026-03-01T23:00:00Z").to_string());
    assert_eq!(place.train(&["-f", "late.json"])["counts"]["used"], 1);
    place.write("pipeline.toml", format!("{PIPELINE}max_history = \"1d\"\n"));
    place.write("2026-03-05.json", day(&["ann@x.com"; 40], "2026-03-05").join("\n"));
    place.train(&["-f", "2026-03-05.json"]);
    let older = place.train(&["-f", "late.json"]);
    assert_eq!(older["counts"]["rejected"], json!({"time-out-of-range": 1}));
}

#[test]
fn inference_counts_a_record_once_within_a_run_and_across_runs_if_asked() {
    let place = trained_on_two_days("");
    let new = day(&["ann@x.com"; 30], "2026-03-03");
    let reused = new[1].replace("Portal", "Mail");
    place.write("2026-03-03a.json", [new.join("\n"), new[0].clone(), reused].join("\n"));
    place.write("2026-03-03b.json", &new[1]);
    place.write("2026-03-04.json", &new[2]);
    let files = ["-f", "2026-03-03a.json", "-f", "2026-03-03b.json", "-f", "2026-03-04.json"];
    for more in [&["--forget"][..], &[]] {
        let report = place.infer(&[&files[..], more].concat());
        assert_eq!(report["counts"]["used"], 31);
        assert_eq!(report["counts"]["rejected"], json!({"duplicate": 3}));
    }
    let scores = place.scores();
    // Again: the same scores, or nothing at all.
    place.infer(&files);
    assert_eq!(place.scores(), scores);
    place.write("pipeline.toml", format!("{PIPELINE}\n[infer]\nknown = \"skip\"\n"));
    place.write("next.json", sign_in("next", "ann@x.com", "2026-03-03T23:00:00Z").to_string());
    let again = place.infer(&[&files[..], &["-f", "next.json"]].concat());
    assert_eq!(again["counts"]["rejected"], json!({"duplicate": 34}));
    assert_eq!(place.scores().into_keys().collect::<Vec<_>>(), ["next"]);
    // What is not remembered is not known.
    place.write("more.json", sign_in("more", "ann@x.com", "2026-03-03T23:01:00Z").to_string());
    for _ in 0..2 {
        assert_eq!(place.infer(&["-f", "more.json", "--forget"])["counts"]["used"], 1);
    }
}

#[test]
fn findings_show_users_as_written_and_records_without_user_are_kept_unless_refused() {
    let place = trained_on_two_days("");
    let lines = day(&["Ann@X.COM", "aNN@x.com", "-", "unknown"], "2026-03-03");
    place.write("new.json", lines.join("\n"));
    let report = place.infer(&["-f", "new.json", "--threshold=-1000"]);
    assert_eq!(report["counts"]["used"], 4);
    assert_eq!(report["counters"]["without-entity"], 2);
    let found: Vec<_> = place.lines("findings.jsonl");
    let written = |name: &str| -> Vec<&str> {
        let of = found.iter().filter(|finding| finding["user"] == name);
        of.map(|finding| finding["user_as_written"].as_str().unwrap()).collect()
    };
    assert_eq!(written("ann@x.com"), ["Ann@X.COM", "aNN@x.com"]);
    assert_eq!(written("unknown"), ["unknown"; 2]);
    let summary = found[0]["summary"].as_str().unwrap();
    assert!(summary.starts_with("Ann@X.COM: "), "{summary}");
    // Under the other policy they are rejected.
    place.write("pipeline.toml", format!("{PIPELINE}[profile.entity]\nwithout = \"reject\"\n"));
    let report = place.infer(&["-f", "new.json"]);
    assert_eq!(report["counts"]["rejected"], json!({"no-entity": 2}));
}
