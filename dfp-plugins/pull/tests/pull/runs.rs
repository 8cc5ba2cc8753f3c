//! Training and inference over a pull: whatever ends a run, no record is lost and none is taken twice.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dfp_plugin::arrow_array::RecordBatch;
use dfp_plugin::arrow_schema::SchemaRef;
use dfp_plugin::linked_source;
use dfp_pull::AzureAdGraph;
use dfp_sdk::core::{CancelToken, Error, ErrorKind, Result, Sink};
use dfp_sdk::host::Plugins;
use dfp_sdk::prep::Selection;
use dfp_sdk::store::{FILE, Store};
use dfp_sdk::{Choice, InferReport, PipelineConfig, Run, Silent, TrainReport};
use proptest::collection::vec;
use proptest::prelude::*;
use tempfile::TempDir;

use crate::graph::{SignIns, Tenant, faults, ids, sign_ins};
use crate::harness::{SECRET, now, sorted, time};
use crate::server::{Reply, Server};

/// How a run is made to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cut {
    /// The server refuses the request of that number.
    Refused(u64),
    /// Somebody stops the run while that request is made.
    Stopped(u64),
    /// A sink fails at its call of that number.
    Sink(usize),
    /// The findings cannot be written from that call of a sink on.
    Findings(usize),
}

/// A tenant and a place with a pipeline.
struct Office {
    directory: TempDir,
    records: SignIns,
    tenant: Arc<Mutex<Tenant>>,
    /// What is to happen at requests, counted from when it was set.
    cut: Arc<Mutex<(u64, Option<Cut>, CancelToken)>>,
    server: Server,
    start: i64,
    more: String,
}

/// Sign-ins before what a test adds: enough to learn from.
const LEARNT: i64 = 40;

impl Office {
    fn new() -> Self {
        let start = now() - 6 * 3600;
        let records = sign_ins(&(0..LEARNT).map(|n| start + n * 120).collect::<Vec<_>>());
        let tenant = Arc::new(Mutex::new(Tenant { repeat: 1, ..Tenant::new(&records) }));
        let cut = Arc::new(Mutex::new((0, None, CancelToken::default())));
        let (asked, cuts) = (Arc::clone(&tenant), Arc::clone(&cut));
        let server = Server::start(move |request| {
            let mut cut = cuts.lock().unwrap();
            cut.0 += 1;
            match cut.1 {
                Some(Cut::Refused(at)) if cut.0 == at => return Reply::new(400, "no"),
                Some(Cut::Stopped(at)) if cut.0 == at => {
                    cut.2.cancel();
                    // Whoever waits for this has time to act before the answer comes.
                    std::thread::sleep(Duration::from_millis(20));
                }
                _ => {}
            }
            asked.lock().unwrap().answer(request)
        });
        let office = Self {
            directory: tempfile::tempdir().unwrap(),
            records,
            tenant,
            cut,
            server,
            start,
            more: String::new(),
        };
        fs::create_dir(office.path("secrets")).unwrap();
        fs::write(office.path("secrets/key"), SECRET).unwrap();
        office
    }

    /// An office with models of its first sign-ins.
    fn trained() -> Self {
        let office = Self::new();
        let report = office.train().unwrap();
        assert_eq!((report.counts.used, report.generic), (LEARNT as u64, true), "{:?}", report.counts);
        office
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The pipeline file. Every scored record becomes a finding; pages, windows and periods are small.
    fn pipeline(&self) -> String {
        let (url, start, directory) = (&self.server.url, time(self.start), self.directory.path().display());
        let more = &self.more;
        format!(
            r#"
            rejects = "{directory}/rejects.jsonl"
            [source]
            plugin = "azure-ad-graph"
            period_records = 4
            [source.config]
            start = "{start}"
            account = {{ tenant = "tenant-1", client_id = "app-1", client_secret = {{ "$secret" = "key" }}, base_url = "{url}", login_url = "{url}" }}
            schedule = {{ page_size = 3, window_seconds = 3600, overlap_seconds = 7200, gather_ms = 0{more} }}
            http = {{ attempts = 12, first_wait_ms = 1, longest_wait_ms = 2 }}
            [secrets]
            directory = "{directory}/secrets"
            [profile.history]
            min_history = 1000
            [store]
            path = "{directory}/store"
            [infer]
            threshold = -1e300
            findings = "{directory}/findings.jsonl"
            threads = 1
            "#
        )
    }

    fn run(&self) -> Run {
        run(&self.pipeline())
    }

    fn train(&self) -> Result<TrainReport> {
        self.run().train(&mut Silent)
    }

    fn infer(&self) -> Result<InferReport> {
        self.run().infer(&mut [], &mut Silent)
    }

    /// An inference that is made to end early.
    fn infer_cut(&self, cut: Cut) -> Result<InferReport> {
        let token = CancelToken::default();
        *self.cut.lock().unwrap() = (0, Some(cut), token.clone());
        let findings = self.path("findings.jsonl");
        let aside = self.path("aside.jsonl");
        let mut sink = match cut {
            Cut::Sink(at) => {
                Fragile { calls: 0, at, act: Box::new(|| Err(Error::new(ErrorKind::Io, "full"))) }
            }
            Cut::Findings(at) => {
                let (findings, aside) = (findings.clone(), aside.clone());
                let act = move || {
                    fs::rename(&findings, &aside).unwrap();
                    fs::create_dir(&findings).unwrap();
                    Ok(())
                };
                Fragile { calls: 0, at, act: Box::new(act) }
            }
            _ => Fragile { calls: 0, at: usize::MAX, act: Box::new(|| Ok(())) },
        };
        let ended = self.run().cancelled_by(token).infer(&mut [&mut sink], &mut Silent);
        if aside.exists() {
            fs::remove_dir(&findings).unwrap();
            fs::rename(&aside, &findings).unwrap();
        }
        self.cut.lock().unwrap().1 = None;
        ended
    }

    /// Ids in a file of JSON lines.
    fn lines(&self, file: &str, member: &str) -> Vec<String> {
        let text = fs::read_to_string(self.path(file)).unwrap_or_default();
        let of = |line: &str| {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            line[member].as_str().unwrap_or_default().to_owned()
        };
        text.lines().map(of).collect()
    }

    fn findings(&self) -> Vec<String> {
        sorted(self.lines("findings.jsonl", "id"))
    }

    /// How many rows the histories hold.
    fn remembered(&self) -> u64 {
        let store = Store::open(self.path("store")).unwrap();
        let entities = store.snapshot().unwrap().entities("azure-ad").unwrap();
        entities.iter().map(|entity| entity.statistics.rows).sum()
    }

    /// More sign-ins, so many seconds old.
    fn add(&self, prefix: &str, ages: &[i64]) {
        let now = now();
        let new = ages.iter().enumerate().map(|(n, age)| (format!("{prefix}-{n:03}"), now - age));
        self.records.lock().unwrap().extend(new);
    }

    /// Ids of the sign-ins that training has not seen.
    fn added(&self) -> Vec<String> {
        sorted(ids(&self.records).split_off(LEARNT as usize))
    }
}

fn run(pipeline: &str) -> Run {
    let plugins = Plugins::new().link(linked_source::<AzureAdGraph>());
    Run::new(PipelineConfig::from_toml(pipeline).unwrap(), &plugins).unwrap()
}

/// Does something at its call of a certain number, and goes on as if nothing had happened if that was well.
struct Fragile {
    calls: usize,
    at: usize,
    act: Box<dyn FnMut() -> Result<()> + Send>,
}

impl Fragile {
    fn call(&mut self) -> Result<()> {
        self.calls += 1;
        if self.calls == self.at { (self.act)() } else { Ok(()) }
    }
}

impl Sink for Fragile {
    fn bind(&mut self, _: SchemaRef) -> Result<()> {
        Ok(())
    }

    fn write(&mut self, _: &RecordBatch) -> Result<()> {
        self.call()
    }

    fn flush(&mut self) -> Result<()> {
        self.call()
    }

    fn close(&mut self) -> Result<()> {
        Ok(())
    }
}

#[test]
fn what_training_read_is_learned_and_what_inference_reads_is_found_once() {
    let office = Office::trained();
    assert_eq!(office.remembered(), LEARNT as u64);
    office.add("new", &[2000, 1500, 1000]);
    let report = office.infer().unwrap();
    assert_eq!((report.counts.read, report.counts.used, report.findings), (3, 3, 3), "{:?}", report.counts);
    assert_eq!(office.findings(), office.added());
    // What the overlap holds is asked for again, and only what came late is new.
    office.add("late", &[1200]);
    let report = office.infer().unwrap();
    assert_eq!((report.counts.read, report.findings), (1, 1));
    assert_eq!(office.findings(), office.added());
    assert_eq!(office.infer().unwrap().counts.read, 0);
    assert_eq!(office.remembered(), LEARNT as u64 + 4);

    // What comes before the next inference is that one's to find, not for training to swallow.
    office.add("more", &[600]);
    let report = office.train().unwrap();
    assert_eq!((report.counts.read, report.generic), (0, true));
    assert_eq!(office.infer().unwrap().findings, 1);
    assert_eq!(office.findings(), office.added());
}

#[test]
fn training_goes_on_where_the_last_one_ended_and_one_that_fails_publishes_nothing() {
    let office = Office::new();
    *office.cut.lock().unwrap() = (0, Some(Cut::Refused(5)), CancelToken::default());
    assert!(office.train().unwrap_err().to_string().contains("400"));
    assert_eq!(office.remembered(), 0);
    assert_eq!(office.train().unwrap().counts.used, LEARNT as u64);
    office.add("new", &[1000, 900]);
    let report = office.train().unwrap();
    assert_eq!((report.counts.read, report.counts.used), (2, 2));
    assert_eq!(office.remembered(), LEARNT as u64 + 2);

    let again = Choice { from_start: true, ..Choice::default() };
    let report = office.run().choosing(again).train(&mut Silent).unwrap();
    assert_eq!((report.counts.read, report.counts.used), (LEARNT as u64 + 2, 0));
    assert_eq!(report.counts.rejected["duplicate"], LEARNT as u64 + 2);
}

#[test]
fn reading_again_from_the_start_finds_nothing_twice() {
    let office = Office::trained();
    office.add("new", &[2000, 1500]);
    office.infer().unwrap();
    let again = || Choice { from_start: true, ..Choice::default() };
    let report = office.run().choosing(again()).infer(&mut [], &mut Silent).unwrap();
    assert_eq!((report.counts.read, report.counts.used, report.findings), (LEARNT as u64 + 2, 0, 0));
    assert_eq!(office.findings(), office.added());
    // Rejects are added as findings are.
    assert_eq!(office.lines("rejects.jsonl", "reason"), vec!["duplicate"; LEARNT as usize + 2]);
}

fn cut() -> impl Strategy<Value = Cut> {
    prop_oneof![
        (1_u64..14).prop_map(Cut::Refused),
        (1_u64..14).prop_map(Cut::Stopped),
        (1_usize..14).prop_map(Cut::Sink),
        (1_usize..14).prop_map(Cut::Findings),
    ]
}

/// Cases of a property share one trained store: training takes longer than all the rest.
#[test]
fn however_runs_end_every_record_is_found_once_and_remembered() {
    let office = Office::trained();
    let trained = fs::read(office.path("store").join(FILE)).unwrap();
    let mut ends = BTreeMap::<&str, usize>::new();
    let strategy = (vec(300_i64..3600, 0..25), vec(cut(), 1..6), faults());
    let config = ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() };
    let mut runner = proptest::test_runner::TestRunner::new(config);
    let ends_seen = Mutex::new(&mut ends);
    let outcome = runner.run(&strategy, |(ages, cuts, faults)| {
        fs::write(office.path("store").join(FILE), &trained).unwrap();
        let _ = fs::remove_file(office.path("findings.jsonl"));
        office.records.lock().unwrap().truncate(LEARNT as usize);
        office.add("new", &ages);
        office.tenant.lock().unwrap().faults = faults;
        for cut in cuts {
            let end = match office.infer_cut(cut) {
                Ok(report) => {
                    prop_assert!(report.counts.balanced(), "{:?}", report.counts);
                    if matches!(cut, Cut::Stopped(_)) { "stopped" } else { "whole" }
                }
                Err(error) => {
                    prop_assert!(!matches!(cut, Cut::Stopped(_)), "{error}");
                    "failed"
                }
            };
            *ends_seen.lock().unwrap().entry(end).or_default() += 1;
            prop_assert!(office.findings().len() as u64 + LEARNT as u64 <= office.remembered());
        }
        let report = office.infer().map_err(|error| TestCaseError::fail(error.to_string()))?;
        prop_assert!(report.counts.balanced() && report.counts.rejected_total() == 0, "{:?}", report.counts);
        prop_assert_eq!(office.findings(), office.added());
        prop_assert_eq!(office.remembered(), ids(&office.records).len() as u64);
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
    assert!(ends.values().all(|&times| times > 5) && ends.len() == 3, "{ends:?}");
}

const CHILD: &str = "DFP_TEST_PULL_CHILD";

/// Not a test by itself: the process that the next one kills.
#[test]
fn child() {
    let Some(pipeline) = std::env::var_os(CHILD) else { return };
    run(&fs::read_to_string(pipeline).unwrap()).infer(&mut [], &mut Silent).unwrap();
}

fn start(pipeline: &Path) -> std::process::Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "runs::child"])
        .env(CHILD, pipeline)
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
fn a_killed_inference_loses_nothing_and_finds_nothing_twice() {
    let office = Office::trained();
    office.add("new", &(0..90).map(|n| 3500 - n * 30).collect::<Vec<_>>());
    let pipeline = office.path("pipeline.toml");
    fs::write(&pipeline, office.pipeline()).unwrap();
    let (mut killed, mut grew) = (0, 0);
    for round in 0.. {
        let before = office.findings().len();
        // A process asks for a page only when it has worked off the ones before.
        let asked = CancelToken::default();
        *office.cut.lock().unwrap() = (0, Some(Cut::Stopped(8 + round * 7 % 11)), asked.clone());
        let mut child = start(&pipeline);
        let ended = loop {
            let ended = child.try_wait().unwrap();
            if ended.is_some() || asked.is_cancelled() {
                break ended;
            }
            std::thread::sleep(Duration::from_millis(1));
        };
        if let Some(status) = ended {
            assert!(status.success());
            break;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        killed += 1;
        grew += usize::from(office.findings().len() > before);
        assert!(round < 200, "it does not come to an end");
    }
    assert_eq!(office.findings(), office.added());
    assert_eq!(office.remembered(), LEARNT as u64 + 90);
    assert!(killed > 1 && grew > 0, "killed {killed} times, {grew} times in the middle");
}

struct CancelledAtEnd(CancelToken);

impl Drop for CancelledAtEnd {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

#[test]
fn a_run_that_polls_goes_on_until_it_is_stopped() {
    let mut office = Office::trained();
    office.more = ", poll_seconds = 1".to_owned();
    office.add("new", &[2000, 1500]);
    let token = CancelToken::default();
    let run = office.run().cancelled_by(token.clone());
    let report = std::thread::scope(|scope| {
        let running = scope.spawn(|| run.infer(&mut [], &mut Silent));
        // Also when an assertion fails: else the scope waits for ever.
        let stop = CancelledAtEnd(token);
        let until = |count: usize| {
            for _ in 0..400 {
                if office.findings().len() == count {
                    return;
                }
                std::thread::sleep(Duration::from_millis(25));
            }
            panic!("{} findings, not {count}", office.findings().len());
        };
        until(2);
        office.add("next", &[600]);
        until(3);
        drop(stop);
        running.join().unwrap().unwrap()
    });
    assert_eq!((report.counts.read, report.counts.used, report.findings), (3, 3, 3));
    assert_eq!(office.findings(), office.added());
    assert_eq!(office.remembered(), LEARNT as u64 + 3);
    // Training asks once, whatever the pipeline says about polling.
    fs::remove_dir_all(office.path("store")).unwrap();
    assert_eq!(office.train().unwrap().counts.used, LEARNT as u64 + 3);
}

#[test]
fn each_account_has_a_position_of_its_own() {
    let office = Office::trained();
    let other = office.pipeline().replace("client_id = \"app-1\"", "client_id = \"app-2\"");
    let report = run(&other).train(&mut Silent).unwrap();
    assert_eq!((report.counts.read, report.counts.used), (LEARNT as u64, 0));
    let renamed = office.pipeline().replace("page_size = 3", "page_size = 4");
    assert_eq!(run(&renamed).train(&mut Silent).unwrap().counts.read, 0);
}

#[test]
fn what_makes_no_sense_with_a_pull_is_refused() {
    let office = Office::trained();
    let refused = |pipeline: String, choice: Choice, named: &str| {
        let error = run(&pipeline).choosing(choice).infer(&mut [], &mut Silent).unwrap_err();
        assert!([ErrorKind::InvalidConfig, ErrorKind::InvalidArgument].contains(&error.kind()), "{error}");
        assert!(error.to_string().contains(named), "{error}");
    };
    let pipeline = office.pipeline();
    refused(pipeline.clone(), Choice { start: Some(0), ..Choice::default() }, "source.config");
    let users = Selection::new(["user1@contoso.example".to_owned()], []).unwrap();
    refused(pipeline.clone(), Choice { users, ..Choice::default() }, "never be read again");
    let with = |from: &str, to: &str| pipeline.replace(from, to);
    refused(
        with("period_records", "inputs = [\"x.json\"]\nperiod_records"),
        Choice::default(),
        "reads no files",
    );
    refused(with("threads = 1", "remember = false"), Choice::default(), "--forget");
}
