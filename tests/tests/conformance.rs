//! The conformance kit against plugins that keep the rules and plugins that do not.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arrow_array::{ArrayRef, Int64Array, RecordBatch};

use dfp_host::Kind;
use dfp_host::check::{CheckOptions, Outcome, Report, check};
use dfp_host::remote::RemoteOptions;
use tempfile::TempDir;

/// The kit watches the memory of the whole process: one test at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A library that cargo built beside this test.
fn beside(name: &str) -> PathBuf {
    let path = std::env::current_exe().unwrap().with_file_name(name);
    assert!(path.is_file(), "{} is missing", path.display());
    path
}

fn test_plugin() -> PathBuf {
    beside("libdfp_test_plugin.so")
}

fn compile_c(dir: &TempDir, source: &str, variant: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let library = dir.path().join(format!("lib{}_{variant}.so", source.trim_end_matches(".c")));
    let output = Command::new("cc")
        .args(["-std=c11", "-fPIC", "-shared", "-pthread", "-I"])
        .arg(root.join("../dfp-sdk/abi/include"))
        .arg(format!("-DVARIANT={variant}"))
        .arg(root.join("fixtures/plugin-c").join(source))
        .arg("-o")
        .arg(&library)
        .output()
        .expect("cc, which the README asks for");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    library
}

/// The report of a component that keeps every rule.
fn good(options: &CheckOptions) -> Report {
    let report = check(options).unwrap();
    assert!(report.passed(), "{report}");
    report
}

fn outcomes(report: &Report, outcome: Outcome) -> Vec<&str> {
    report.checks.iter().filter(|check| check.outcome == outcome).map(|check| check.name).collect()
}

/// What is wrong, of a check that fails.
fn fault(report: &Report, name: &str) -> String {
    let check = report.check(name).unwrap_or_else(|| panic!("{name} is not there:\n{report}"));
    assert_eq!(check.outcome, Outcome::Failed, "{report}");
    check.detail.clone()
}

fn lines(dir: &TempDir) -> String {
    let file = dir.path().join("lines.txt");
    std::fs::write(&file, "one\nbad\n\nthree \0\n").unwrap();
    serde_json::json!({ "inputs": [file, file] }).to_string()
}

#[test]
fn good_plugins_of_every_kind_keep_every_rule() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let at =
        |kind, id: &str, config: &str| CheckOptions::new(test_plugin()).component(kind, id).config(config);
    let sink = serde_json::json!({ "path": dir.path().join("out.txt") }).to_string();
    for options in [
        at(Kind::Source, "lines", &lines(&dir)),
        at(Kind::Stage, "rows", r#"{"action": "double"}"#),
        at(Kind::Sink, "append", &sink),
        at(Kind::Model, "means", r#"{"column": "duration"}"#),
    ] {
        let report = good(&options);
        for name in [
            "load/symbols",
            "lifecycle/bad-config",
            "lifecycle/cycles",
            "versions/newer-host",
            "threads/cancel",
        ] {
            assert_eq!(report.check(name).map(|check| check.outcome), Some(Outcome::Passed), "{report}");
        }
    }
}

#[test]
fn the_same_rules_hold_in_a_process_of_its_own() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let out = serde_json::json!({ "path": dir.path().join("out.txt") }).to_string();
    for (kind, id, config, sandbox) in [
        (Kind::Source, "lines", lines(&dir), true),
        (Kind::Stage, "rows", "{}".to_owned(), true),
        (Kind::Model, "means", r#"{"column": "duration"}"#.to_owned(), true),
        // It opens a file, which no plugin should, and none can in the sandbox.
        (Kind::Sink, "append", out.clone(), false),
    ] {
        let remote = RemoteOptions::new(env!("CARGO_BIN_EXE_dfp-under-test"), test_plugin());
        let remote = RemoteOptions { sandbox, ..remote };
        let options = CheckOptions::new(test_plugin()).component(kind, id).config(config);
        let report = good(&CheckOptions { remote: Some(remote), ..options });
        assert!(report.out_of_process);
        assert!(outcomes(&report, Outcome::NotApplicable).contains(&"lifecycle/bad-config"));
        assert!(outcomes(&report, Outcome::Passed).contains(&"threads/hop"), "{report}");
    }
    let remote = RemoteOptions::new(env!("CARGO_BIN_EXE_dfp-under-test"), test_plugin());
    let options = CheckOptions::new(test_plugin()).component(Kind::Sink, "append").config(out);
    let report = check(&CheckOptions { remote: Some(remote), ..options }).unwrap();
    assert!(!report.passed(), "{report}");
}

#[test]
fn a_library_that_is_checked_in_a_process_of_its_own_is_not_loaded_here() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let remotely = |library: &Path| {
        let remote = RemoteOptions::new(env!("CARGO_BIN_EXE_dfp-under-test"), library);
        check(&CheckOptions { remote: Some(remote), ..CheckOptions::new(library) }).unwrap()
    };
    let library = compile_c(&dir, "words.c", "GOOD");
    let report = remotely(&library);
    assert_eq!(
        (report.plugin.as_str(), report.component.as_str()),
        ("dfp.test.words 1.0", "words"),
        "{report}"
    );
    for name in ["load/library", "load/symbols", "load/texts", "data/release"] {
        assert_eq!(report.check(name).map(|check| check.outcome), Some(Outcome::Passed), "{report}");
    }
    let report = remotely(&compile_c(&dir, "words.c", "OTHER_FINGERPRINT"));
    assert!(fault(&report, "load/library").contains("build it anew"), "{report}");

    // One that never gets so far as to be asked.
    let source = dir.path().join("bomb.c");
    std::fs::write(
        &source,
        "#include <stdlib.h>\n__attribute__((constructor)) static void go(void) { abort(); }\n",
    )
    .unwrap();
    let bomb = dir.path().join("libbomb.so");
    let cc = Command::new("cc").args(["-fPIC", "-shared", "-o"]).arg(&bomb).arg(source).status().unwrap();
    assert!(cc.success());
    let report = remotely(&bomb);
    assert!(fault(&report, "load/library").contains("signal 6 (SIGABRT)"), "{report}");

    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    assert!(!maps.contains(dir.path().to_str().unwrap()), "nothing of it is in this process");
}

#[test]
fn our_own_source_keeps_every_rule() {
    let _alone = alone();
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("samples/azure_ad");
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(sample).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.is_file());
    let config = serde_json::json!({ "inputs": files }).to_string();
    good(&CheckOptions::new(beside("libdfp_azure_ad.so")).config(config));
}

#[test]
fn a_c_plugin_that_reads_any_configuration_is_found_out() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let report = check(&CheckOptions::new(compile_c(&dir, "words.c", "GOOD"))).unwrap();
    // It looks at nothing but the length.
    assert!(fault(&report, "lifecycle/bad-config").contains("accepts an empty one"), "{report}");
    assert_eq!(report.check("data/release").map(|check| check.outcome), Some(Outcome::Passed), "{report}");

    let report = check(&CheckOptions::new(compile_c(&dir, "words.c", "FALLING_OFFSETS"))).unwrap();
    assert!(fault(&report, "data/run").contains("offsets"), "{report}");
    let report = check(&CheckOptions::new(compile_c(&dir, "words.c", "OTHER_SCHEMA"))).unwrap();
    assert!(fault(&report, "data/run").contains("not the declared one"), "{report}");
    let report = check(&CheckOptions::new(compile_c(&dir, "words.c", "OTHER_FINGERPRINT"))).unwrap();
    assert!(fault(&report, "load/library").contains("build it anew"), "{report}");
    assert_eq!(report.checks.len(), 1);
}

#[test]
fn a_leak_and_an_accepted_nonsense_are_found_out() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let config = r#"{"deed":"some"}"#;
    let report = check(&CheckOptions::new(compile_c(&dir, "outlaw.c", "LEAKS")).config(config)).unwrap();
    assert!(fault(&report, "lifecycle/cycles").contains("in each 300 cycles"), "{report}");
    let report = check(&CheckOptions::new(compile_c(&dir, "outlaw.c", "PLAIN")).config(config)).unwrap();
    assert_eq!(
        report.check("lifecycle/cycles").map(|check| check.outcome),
        Some(Outcome::Passed),
        "{report}"
    );
    assert!(!report.passed(), "it never opens");
}

#[test]
fn what_waits_for_ever_is_found_out_and_what_hears_a_cancel_is_not() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let at_once =
        |options: CheckOptions| CheckOptions { limit: Duration::from_secs(4), cycles: 10, ..options };
    let hang = CheckOptions::new(compile_c(&dir, "outlaw.c", "PLAIN")).config(r#"{"deed":"hang"}"#);
    let report = check(&at_once(hang)).unwrap();
    assert!(fault(&report, "threads/cancel").contains("still has not stopped"), "{report}");
    assert!(fault(&report, "data/run").contains("did not end within 4s"), "{report}");
    assert!(report.checks.iter().any(|check| check.detail.contains("still runs")), "{report}");

    let waits =
        CheckOptions::new(test_plugin()).component(Kind::Stage, "rows").config(r#"{"misdeed": "wait"}"#);
    let batch = RecordBatch::try_from_iter([("n", Arc::new(Int64Array::from(vec![1])) as ArrayRef)]).unwrap();
    let report = check(&at_once(CheckOptions { input: vec![batch], ..waits })).unwrap();
    let cancel = report.check("threads/cancel").unwrap();
    assert_eq!(cancel.outcome, Outcome::Passed, "{report}");
    assert!(cancel.detail.starts_with("stopped after"), "{report}");
    assert!(fault(&report, "data/run").contains("did not end within 4s"), "{report}");
}

#[test]
fn misdeeds_are_found_out() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let told = |kind, id: &str, config: serde_json::Value| {
        let options = CheckOptions::new(test_plugin()).component(kind, id).config(config.to_string());
        check(&options).unwrap()
    };
    let input = dir.path().join("a");
    std::fs::write(&input, "one\n").unwrap();
    let report = told(
        Kind::Source,
        "lines",
        serde_json::json!({"inputs": [input, input], "misdeed": "panic-in-next"}),
    );
    assert!(fault(&report, "data/run").contains("told to panic in next"), "{report}");
    let report = told(Kind::Stage, "rows", serde_json::json!({"misdeed": "lie-in-pull"}));
    assert!(!report.passed(), "{report}");
    let report = told(Kind::Model, "means", serde_json::json!({"column": "x", "misdeed": "wrong-rows"}));
    assert!(!report.passed(), "{report}");
}

#[test]
fn gaps_are_declared_in_the_manifest_and_choices_are_asked_for() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let library = compile_c(&dir, "words.c", "GOOD");
    let manifest = dir.path().join("words.dfp-plugin.toml");
    let text = r#"
manifest_version = 1
id = "dfp.test.words"
version = "1.0"
file = "libwords_GOOD.so"

[[gaps]]
check = "lifecycle/bad-config"
reason = "it has no configuration"

[[components]]
kind = "source"
id = "words"
title = "Three words"
"#;
    std::fs::write(manifest, text).unwrap();
    let report = check(&CheckOptions::new(library)).unwrap();
    let gap = report.check("lifecycle/bad-config").unwrap();
    assert_eq!(gap.outcome, Outcome::Gap, "{report}");
    assert!(gap.detail.starts_with("it has no configuration: it accepts"), "{report}");

    let error = check(&CheckOptions::new(test_plugin())).unwrap_err();
    assert!(error.to_string().contains("stage rows"), "{error}");
}

#[test]
fn a_sealed_plugin_is_found_by_its_manifests_name_and_checked_against_its_hash() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let library = compile_c(&dir, "words.c", "GOOD");
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dfp-under-test"));
        let output =
            command.arg("--plugin-dir").arg(dir.path()).arg("plugin").args(arguments).output().unwrap();
        String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap()
    };
    let path = library.to_str().unwrap();
    run(&["seal", path, "--name", "three-words"]);
    assert!(run(&["list"]).contains("three-words 1.0 (source"), "{}", run(&["list"]));
    let report = run(&["check", path]);
    assert!(report.contains("load/manifest           passed"), "{report}");
    let bytes = std::fs::read(&library).unwrap();
    std::fs::write(&library, [&bytes[..], b"more"].concat()).unwrap();
    let report = run(&["check", path]);
    assert!(
        report.contains("load/manifest           FAILED") && report.contains("its sha256 is"),
        "{report}"
    );
}

#[test]
fn the_command_prints_a_table_or_json_and_fails_with_the_plugin() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("config.json");
    std::fs::write(&config, lines(&dir)).unwrap();
    let run = |library: &Path, more: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_dfp-under-test"))
            .args(["plugin", "check"])
            .arg(library)
            .args(more)
            .output()
            .unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let chosen = ["--kind", "source", "--config", config.to_str().unwrap()];
    let (status, table) = run(&test_plugin(), &chosen);
    assert_eq!(status, Some(0), "{table}");
    assert!(table.contains("lifecycle/cycles        passed"), "{table}");

    let (status, json) = run(&test_plugin(), &[&chosen[..], &["--json", "--out-of-process"]].concat());
    assert_eq!(status, Some(0), "{json}");
    let report: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(report["component"], "lines");
    assert_eq!(report["checks"][0]["outcome"], "passed");

    let (status, table) = run(&compile_c(&dir, "words.c", "FALLING_OFFSETS"), &[]);
    assert_eq!(status, Some(1), "{table}");
    assert!(table.contains("FAILED"), "{table}");
    assert_eq!(run(&test_plugin(), &[]).0, Some(2), "which one?");
}
