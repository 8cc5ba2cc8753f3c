//! Plugins in a process of their own, with the real program as that process: the same rows as in this one, and what happens
//! when a plugin crashes, hangs, takes all memory or tries what it must not.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use arrow_array::RecordBatch;
use dfp_core::{CancelToken, Counts, Error, ErrorKind, Level, Reject, Result, Source};
use dfp_core::{FitContext, Stage, Trainer};
use dfp_host::remote::{RemoteOptions, RemoteSource, RemoteStage, RemoteTrainer, Timeouts};
use dfp_host::{LocalHost, Plugins, Policy, SecretKey, seal};
use tempfile::TempDir;

fn options(library: &Path) -> RemoteOptions {
    RemoteOptions::new(env!("CARGO_BIN_EXE_dfp-under-test"), library)
}

/// A library that cargo built beside this test.
fn beside(name: &str) -> PathBuf {
    let path = std::env::current_exe().unwrap().with_file_name(name);
    assert!(path.is_file(), "{} is missing", path.display());
    path
}

/// The plugin that does what it must not.
fn outlaw(dir: &TempDir) -> PathBuf {
    compile_c(dir, "outlaw")
}

fn compile_c(dir: &TempDir, name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let library = dir.path().join(format!("lib{name}.so"));
    let output = Command::new("cc")
        .args(["-std=c11", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared", "-pthread", "-I"])
        .arg(root.join("../dfp-sdk/abi/include"))
        .arg(root.join(format!("fixtures/plugin-c/{name}.c")))
        .arg("-o")
        .arg(&library)
        .output()
        .expect("cc, which the README asks for");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    library
}

/// Opens the outlaw for a deed; it never succeeds.
fn open(options: &RemoteOptions, deed: &str, host: &Arc<LocalHost>) -> (RemoteSource, Error) {
    let config = format!("{{\"deed\":\"{deed}\"}}");
    let mut source = RemoteSource::create(options, &config, host.clone()).unwrap();
    let error = source.open(None).err().expect("an outlaw never opens");
    (source, error)
}

/// Everything a run brings.
#[derive(Debug, PartialEq)]
struct Run {
    batches: Vec<RecordBatch>,
    rejects: Vec<Reject>,
    counts: Counts,
    position: Option<Vec<u8>>,
}

fn run(make: impl FnOnce(Arc<LocalHost>) -> Result<Box<dyn Source>>) -> Result<Run> {
    let rejects = Arc::new(Mutex::new(Vec::new()));
    let seen = rejects.clone();
    let host = Arc::new(LocalHost::new().on_reject(move |reject| seen.lock().unwrap().push(reject.clone())));
    let mut source = make(host.clone())?;
    let schema = source.schema();
    let batches: Vec<RecordBatch> = source.open(None)?.collect::<Result<_>>()?;
    assert!(batches.iter().all(|batch| batch.schema() == schema));
    let position = source.position();
    drop(source);
    assert_eq!(Arc::strong_count(&host), 1, "the host is let go of");
    let counts = host.counts(batches.iter().map(|batch| batch.num_rows() as u64).sum());
    let rejects = rejects.lock().unwrap().clone();
    Ok(Run { batches, rejects, counts, position })
}

#[test]
fn a_source_does_the_same_in_its_own_process() {
    let library = beside("libdfp_azure_ad.so");
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("samples/azure_ad");
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(samples).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.is_file());
    assert!(files.len() >= 3);
    let config = serde_json::json!({ "inputs": files, "batch_rows": 7 }).to_string();
    let here = run(|host| Plugins::new().source(library.to_str().unwrap(), &config, host)).unwrap();
    let there = run(|host| Ok(Box::new(RemoteSource::create(&options(&library), &config, host)?))).unwrap();
    assert!(here.counts.balanced() && here.batches.len() > 1);
    assert_eq!(here, there);
}

/// A copy of a library in a directory of its own, which this process never loads.
fn copied(dir: &TempDir, name: &str) -> PathBuf {
    let copy = dir.path().canonicalize().unwrap().join(name);
    std::fs::copy(beside(name), &copy).unwrap();
    copy
}

fn is_loaded_here(library: &Path) -> bool {
    std::fs::read_to_string("/proc/self/maps").unwrap().contains(library.to_str().unwrap())
}

/// Plugins of a directory, run by the program.
fn isolating(dir: &TempDir) -> Plugins {
    let program = RemoteOptions::of_program(env!("CARGO_BIN_EXE_dfp-under-test"));
    Plugins::new().search(dir.path()).isolated_by(program)
}

#[test]
fn an_isolated_source_says_what_it_is_and_works_without_being_loaded_here() {
    let dir = tempfile::tempdir().unwrap();
    let library = copied(&dir, "libdfp_azure_ad.so");
    let here =
        Plugins::new().find(dfp_host::Kind::Source, beside("libdfp_azure_ad.so").to_str().unwrap()).unwrap();
    let source = isolating(&dir).isolated_source("azure-ad").unwrap();
    let told = source.description();
    assert_eq!((told.id.as_str(), told.title.as_str()), (here.id(), here.title()));
    assert_eq!((told.profile.as_str(), told.config_schema.as_str()), (here.profile(), here.config_schema()));
    assert_eq!(told.flags, here.flags());
    let sample = dir.path().join("one.json");
    std::fs::write(&sample, "{}\n[").unwrap();
    let config = serde_json::json!({ "inputs": [sample] }).to_string();
    let run = run(|host| Ok(Box::new(source.create(&config, host)?))).unwrap();
    assert!(run.counts.balanced() && run.counts.read > 0, "{run:?}");
    assert!(!is_loaded_here(&library));

    // Named by path and id; and what is not there.
    let by_path = format!("{}#azure-ad", library.display());
    assert_eq!(isolating(&dir).isolated_source(&by_path).unwrap().description().id, "azure-ad");
    let error = isolating(&dir).isolated_source(&format!("{}#b", library.display())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("source \"azure-ad\""), "{error}");
    let error = isolating(&dir).isolated_source("azure-ed").unwrap_err();
    assert!(error.to_string().contains("libdfp_azure_ed.so"), "{error}");
    let error = Plugins::new().search(dir.path()).isolated_source("azure-ad").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidState);
}

#[test]
fn an_isolated_source_gets_no_input_or_secret_but_its_own() {
    let dir = tempfile::tempdir().unwrap();
    copied(&dir, "libdfp_test_plugin.so");
    let source = isolating(&dir).isolated_source("test_plugin").unwrap();
    let secrets = || dfp_host::Secrets::of([("door", b"open\0sesame".to_vec())]);
    let token = r#"{"inputs": [], "token": {"$secret": "door"}}"#;
    source.create(token, Arc::new(LocalHost::new().secrets(secrets()))).unwrap();
    let other = r#"{"inputs": [], "token": {"$secret": "window"}}"#;
    let error = source.create(other, Arc::new(LocalHost::new().secrets(secrets()))).map(drop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
}

#[test]
fn an_isolated_source_is_held_to_the_policy_and_its_manifest() {
    let dir = tempfile::tempdir().unwrap();
    let library = copied(&dir, "libdfp_azure_ad.so");
    // Sealing loads: another copy, as another program would.
    let elsewhere = tempfile::tempdir().unwrap();
    let key = SecretKey::from_seed([3; 32]).unwrap();
    let sealed = seal(&copied(&elsewhere, "libdfp_azure_ad.so"), None, Some(&key)).unwrap();
    let manifest = dir.path().join(sealed.file_name().unwrap());
    let decisions = Arc::new(Mutex::new(Vec::new()));
    let find = |policy: Policy| {
        let seen = decisions.clone();
        let plugins =
            isolating(&dir).policy(policy).audit(move |audit| seen.lock().unwrap().push(audit.clone()));
        plugins.isolated_source("azure-ad")
    };
    assert!(find(Policy::Hash).unwrap_err().to_string().contains("dfp plugin seal"));
    std::fs::rename(sealed, &manifest).unwrap();
    let signed = Policy::Signed { keys: vec![key.public()] };
    find(signed.clone()).unwrap();
    let other = Policy::Signed { keys: vec![SecretKey::from_seed([4; 32]).unwrap().public()] };
    assert!(find(other).unwrap_err().to_string().contains("not one of yours"));
    let text = std::fs::read_to_string(&manifest).unwrap();
    std::fs::write(&manifest, text.replace("version = \"0.1.0\"", "version = \"0.2.0\"")).unwrap();
    assert!(find(Policy::Hash).unwrap_err().to_string().contains("0.2.0"));
    assert!(find(signed).unwrap_err().to_string().contains("changed since it was signed"));
    let refusals: Vec<bool> = decisions.lock().unwrap().iter().map(|audit| audit.refused.is_some()).collect();
    // What the process found wrong is its own decision.
    assert_eq!(refusals, [true, false, true, false, true]);
    assert!(!is_loaded_here(&library));
}

#[test]
fn what_instances_say_about_themselves_comes_over() {
    let library = beside("libdfp_test_plugin.so");
    let at = |id: &str| RemoteOptions { id: Some(id.to_owned()), ..options(&library) };
    let host = || Arc::new(LocalHost::new());
    let lines = RemoteSource::create(&at("lines"), "{}", host()).unwrap();
    assert_eq!(lines.introspect().unwrap(), Some(serde_json::json!({})));
    let batch = RecordBatch::try_from_iter([(
        "n",
        Arc::new(arrow_array::Float64Array::from(vec![1.0])) as arrow_array::ArrayRef,
    )])
    .unwrap();
    let mut rows = RemoteStage::create(&at("rows"), "{}", host()).unwrap();
    rows.bind(batch.schema()).unwrap();
    rows.push(batch.clone()).unwrap();
    assert_eq!(rows.introspect().unwrap(), Some(serde_json::json!({"ready": 1, "held": 0})));
    let means = RemoteTrainer::create(&at("means"), r#"{"column": "n"}"#, host()).unwrap();
    means.fit(&batch, &FitContext::default()).unwrap();
    assert_eq!(means.introspect().unwrap(), Some(serde_json::json!({"fits": 1})));
}

#[test]
fn everything_is_released_and_destroyed_in_order_at_the_other_end() {
    let dir = tempfile::tempdir().unwrap();
    let library = compile_c(&dir, "words");
    let host = Arc::new(LocalHost::new());
    let mut source = RemoteSource::create(&options(&library), "{}", host.clone()).unwrap();
    assert_eq!(source.position(), Some(vec![7]));
    let mut stream = source.open(None).unwrap();
    let batch = stream.next().unwrap().unwrap();
    assert_eq!(batch.num_rows(), 3);
    assert_eq!(host.counter("batches_released"), 1, "the batch here is a copy");
    assert!(stream.next().is_none());
    // The stream keeps the process alive.
    drop(source);
    assert_eq!(host.counter("streams_released"), 0);
    drop(stream);
    assert_eq!((host.counter("streams_released"), host.counter("destroyed")), (1, 1));
    assert_eq!(Arc::strong_count(&host), 1);
    assert_eq!(batch.num_rows(), 3);
}

#[test]
fn failures_are_those_of_the_same_plugin_in_process() {
    let library = beside("libdfp_azure_ad.so");
    for config in [r#"{"inputs":["/nonexistent/dfp"]}"#, r#"{"inputs":["/"]}"#, r#"{"unknown":1}"#] {
        let here = run(|host| Plugins::new().source(library.to_str().unwrap(), config, host)).unwrap_err();
        let there =
            run(|host| Ok(Box::new(RemoteSource::create(&options(&library), config, host)?))).unwrap_err();
        assert_eq!(there.kind(), here.kind());
        assert!(there.to_string().contains(&here.to_string()), "{there} / {here}");
    }
}

#[test]
fn what_cannot_be_started_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let library = outlaw(&dir);
    let host = Arc::new(LocalHost::new());
    let refused = |options: &RemoteOptions| {
        let error = RemoteSource::create(options, "{}", host.clone()).expect_err("refused");
        (error.kind(), error.to_string())
    };
    let missing = options(&dir.path().join("missing.so"));
    assert_eq!(refused(&missing).0, ErrorKind::NotFound);
    let program = RemoteOptions { program: dir.path().join("program"), ..options(&library) };
    assert_eq!(refused(&program).0, ErrorKind::NotFound);
    let relative = RemoteOptions { program: "dfp".into(), ..options(&library) };
    assert!(refused(&relative).1.contains("not an absolute path"));
    let other = RemoteOptions { id: Some("inlaw".to_owned()), ..options(&library) };
    assert!(refused(&other).1.contains("inlaw"));
    let (kind, text) = refused(&options(&library));
    assert_eq!(kind, ErrorKind::InvalidConfig);
    assert!(text.contains("no deed"), "{text}");
    // A program that is no plugin host at all.
    let wrong = RemoteOptions { arguments: vec!["--version".into()], ..options(&library) };
    assert!(refused(&wrong).1.contains("in its own process"));
    let stranger = RemoteOptions { program: "/bin/true".into(), ..options(&library) };
    assert!(refused(&stranger).1.contains("status 0"), "{}", refused(&stranger).1);
}

#[test]
fn a_crash_is_an_error_and_the_next_instance_works() {
    let dir = tempfile::tempdir().unwrap();
    let library = outlaw(&dir);
    let lines = Arc::new(Mutex::new(Vec::new()));
    let seen = lines.clone();
    let host =
        LocalHost::new().on_log(Level::Warn, move |_, _, text| seen.lock().unwrap().push(text.to_owned()));
    let host = Arc::new(host);
    let (mut source, error) = open(&options(&library), "crash", &host);
    assert_eq!(error.kind(), ErrorKind::Internal);
    assert!(error.to_string().contains("signal 11 (SIGSEGV)"), "{error}");
    let later = source.open(None).err().expect("it is gone");
    assert_eq!(later.kind(), ErrorKind::InvalidState);
    assert!(later.to_string().contains("SIGSEGV"), "{later}");
    assert_eq!(source.position(), None);

    let (_source, error) = open(&options(&library), "exit", &host);
    assert!(error.to_string().contains("status 3; its last words: I had enough"), "{error}");
    assert_eq!(*lines.lock().unwrap(), ["I had enough"]);

    let (mut source, error) = open(&options(&library), "print", &host);
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().ends_with("stdin gave 0"), "printing disturbs nothing: {error}");
    assert_eq!(source.open(None).err().map(|error| error.kind()), Some(ErrorKind::Poisoned));
}

#[test]
fn a_plugin_that_hangs_is_killed_in_time() {
    let dir = tempfile::tempdir().unwrap();
    let library = outlaw(&dir);
    let timeouts = Timeouts { call: Duration::from_millis(300), ..Timeouts::default() };
    let start = Instant::now();
    let host = Arc::new(LocalHost::new());
    let (source, error) = open(&RemoteOptions { timeouts, ..options(&library) }, "hang", &host);
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.to_string().contains("did not answer within 300ms and was killed"), "{error}");
    drop(source);
    assert!(start.elapsed() < Duration::from_secs(5));
    assert_eq!(Arc::strong_count(&host), 1);
}

#[test]
fn a_cancel_ends_what_hears_it_and_what_does_not() {
    let dir = tempfile::tempdir().unwrap();
    let library = outlaw(&dir);
    let token = CancelToken::default();
    let host = Arc::new(LocalHost::new().cancelled_by(token.clone()));
    let timeouts = Timeouts { cancel_grace: Duration::from_millis(200), ..Timeouts::default() };
    let deaf = RemoteOptions { timeouts, ..options(&library) };
    let canceller = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(200));
        token.cancel();
    });
    let (_source, error) = open(&deaf, "hang", &host);
    canceller.join().unwrap();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    assert!(error.to_string().contains("did not stop within 200ms and was killed"), "{error}");

    let host = Arc::new(LocalHost::new());
    let lines = options(&beside("libdfp_test_plugin.so"));
    let lines = RemoteOptions { id: Some("lines".to_owned()), ..lines };
    let mut source = RemoteSource::create(&lines, r#"{"misdeed": "wait"}"#, host).unwrap();
    let canceller = source.canceller();
    let mut stream = source.open(None).unwrap();
    let start = Instant::now();
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(100));
        canceller.cancel();
    });
    assert_eq!(stream.next().unwrap().unwrap_err().kind(), ErrorKind::Cancelled);
    assert!(start.elapsed() < Duration::from_secs(1));
}

#[test]
fn the_childs_own_policy_holds() {
    let host = Arc::new(LocalHost::new());
    let arguments = ["plugin-host", "--plugin-policy", "hash"].map(Into::into).to_vec();
    let strict = RemoteOptions { arguments, ..options(&beside("libdfp_test_plugin.so")) };
    let error = RemoteSource::create(&strict, "{}", host).map(drop).expect_err("it has no manifest");
    assert!(error.to_string().contains("manifest"), "{error}");
}

#[test]
fn memory_has_a_limit() {
    let dir = tempfile::tempdir().unwrap();
    let library = outlaw(&dir);
    let host = Arc::new(LocalHost::new());
    let limited = RemoteOptions { memory_limit: Some(512 << 20), ..options(&library) };
    let (_source, error) = open(&limited, "exhaust", &host);
    assert_eq!(error.kind(), ErrorKind::ResourceExhausted);
    let text = error.to_string();
    let taken: u64 = text.split(' ').rev().nth(1).and_then(|number| number.parse().ok()).expect(&text);
    assert!((50..512).contains(&taken), "{text}");
}

#[cfg(target_os = "linux")]
#[test]
fn the_sandbox_denies_all_but_computing() {
    let dir = tempfile::tempdir().unwrap();
    let library = outlaw(&dir);
    let host = Arc::new(LocalHost::new());
    let (_source, error) = open(&options(&library), "everything", &host);
    let text = error.to_string();
    for outcome in ["read EACCES", "stat EACCES", "thread DONE", "environment ENOENT"] {
        assert!(text.contains(outcome), "{outcome}: {text}");
    }
    assert_eq!(text.matches("DONE").count(), 1, "{text}");
    for deed in [
        "write", "append", "mkdir", "unlink", "memfd", "inet", "unix", "fork", "exec", "ptrace", "kill",
        "owner", "io_uring", "limit",
    ] {
        let denied = [" EPERM", " EACCES"].iter().any(|outcome| text.contains(&format!("{deed}{outcome}")));
        assert!(denied, "{deed}: {text}");
    }
    // The same without a sandbox: the deeds are real ones.
    let free = RemoteOptions { sandbox: false, ..options(&library) };
    let text = open(&free, "some", &host).1.to_string();
    for deed in ["read", "inet", "fork"] {
        assert!(text.contains(&format!("{deed} DONE")), "{text}");
    }
}
