//! Vectors of sessions: how events are cut, and what events are made of.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arrow_array::cast::AsArray;
use arrow_array::types::{DurationNanosecondType, Int64Type, TimestampNanosecondType, UInt32Type};
use arrow_array::{Array, ArrayRef, Int64Array, RecordBatch, StringArray};
use dfp_core::{Host, Reject, Stage, reason};
use dfp_host::{LocalHost, Plugins};
use dfp_plugin::linked_source;
use dfp_prep::commands::{EVENT, EventKind, SessionEvents, SessionRules};
use dfp_prep::sessionize::{Bounds, NullOrder, SessionOptions, Sessionize, sessionize};
use dfp_prep::{Profile, parse_time};
use serde_json::{Value, json};

use crate::values::{list, number, text};

const OFFICE: &str = include_str!("../../../examples/sessions/office-activity.toml");
const AWS: &str = include_str!("../../../examples/sessions/aws-cloudtrail.toml");
const VM: &str = include_str!("../../../examples/sessions/vm-process.toml");

/// Null identities sort as this text in the reference.
const REFERENCE_NULL: &str = "dummy_str";

/// Keeps what is rejected.
#[derive(Default)]
struct Rejects(Mutex<Vec<Reject>>);

impl Host for Rejects {
    fn log_enabled(&self, _level: dfp_core::Level) -> bool {
        false
    }
    fn log(&self, _level: dfp_core::Level, _target: &str, _message: &str) {}
    fn is_cancelled(&self) -> bool {
        false
    }
    fn open(&self, uri: &str) -> dfp_core::Result<Box<dyn std::io::Read + Send>> {
        Err(dfp_core::Error::new(dfp_core::ErrorKind::Unsupported, uri))
    }
    fn reject(&self, reject: Reject) {
        self.0.lock().unwrap().push(reject);
    }
    fn count(&self, _counter: &str, _n: u64) {}
}

/// `sessionize*.json`: rows `[identity..., time, event]` cut as a whole table, and as a stream in small batches.
///
/// Cases of the reference have strict limits in minutes, those of KQL limits under other names, inclusive, and compare the
/// number of different commands, too. Our own may say `lateness_mins`, and then list the events that come too late, and the
/// sessions in the order of a stream.
pub(crate) fn cut(vector: &Value) -> usize {
    let cases = list(&vector["cases"]);
    for case in cases {
        let what = text(&case["id"]);
        let (options, batch) = (options(case), rows(case));
        let expected: Vec<Value> = list(&case["sessions"]).iter().map(comparable).collect();
        if case.get("lateness_mins").is_some() {
            for size in [1, 3, usize::MAX] {
                let (sessions, rejects) = stream(&options, &batch, size);
                assert_eq!(sessions, expected, "{what}, in batches of {size}");
                let late = rejects.iter().filter(|reject| reject.reason == reason::LATE).count();
                assert_eq!(late, list(&case["late"]).len(), "{what}: late events");
            }
            continue;
        }
        let host = Arc::new(Rejects::default());
        let tables =
            sessionize(std::slice::from_ref(&batch), &options, host.clone()).expect("a table of events");
        let sessions: Vec<Value> = tables.iter().flat_map(|table| written(table, &options)).collect();
        assert_eq!(sessions, expected, "{what}");
        let used: u64 =
            sessions.iter().filter_map(|session| session["events"].as_array()).map(|e| e.len() as u64).sum();
        assert_eq!(used as usize + host.0.lock().unwrap().len(), batch.num_rows(), "{what}: rows");
        let mut patient = options.clone();
        patient.limits.lateness = Some(Duration::MAX);
        let (mut streamed, _) = stream(&patient, &batch, 7);
        let mut sorted = sessions;
        for sessions in [&mut streamed, &mut sorted] {
            sessions.sort_by_key(Value::to_string);
        }
        assert_eq!(streamed, sorted, "{what}: as a stream");
    }
    cases.len()
}

fn options(case: &Value) -> SessionOptions {
    let identity = list(&case["user_columns"]).iter().map(text);
    let mut options = SessionOptions::new(identity, "time", EVENT);
    let minutes = |value: &Value| Duration::from_secs_f64(number(value) * 60.0);
    let limits = &mut options.limits;
    if let Some(length) = case.get("max_distance_from_first_mins") {
        limits.bounds = Bounds::Inclusive;
        limits.max_length = minutes(length);
        limits.max_separation = minutes(&case["max_distance_between_neighbours_mins"]);
        options.number_distinct = true;
    } else {
        limits.max_length = minutes(&case["max_session_time_mins"]);
        limits.max_separation = minutes(&case["max_event_separation_mins"]);
        limits.lateness = case.get("lateness_mins").map(minutes);
        options.nulls = NullOrder::As(REFERENCE_NULL.to_owned());
    }
    options
}

/// A case's rows as a batch: columns of whole numbers are that, all others text.
fn rows(case: &Value) -> RecordBatch {
    let names = list(&case["user_columns"]).iter().map(text).chain(["time".to_owned(), EVENT.to_owned()]);
    let column = |(index, name)| {
        let cells: Vec<&Value> = list(&case["rows"]).iter().map(|row| &row[index]).collect();
        let mut present = cells.iter().filter(|cell| !cell.is_null()).peekable();
        let whole = present.peek().is_some() && present.all(|cell| cell.is_i64());
        let column: ArrayRef = if whole {
            Arc::new(cells.iter().map(|cell| cell.as_i64()).collect::<Int64Array>())
        } else {
            let text = |cell: &&Value| if cell.is_null() { None } else { Some(text(cell)) };
            Arc::new(cells.iter().map(text).collect::<StringArray>())
        };
        (name, column, true)
    };
    RecordBatch::try_from_iter_with_nullable(names.enumerate().map(column)).expect("columns of one length")
}

/// All sessions of a stream, in the order they come, and what was rejected.
fn stream(options: &SessionOptions, batch: &RecordBatch, size: usize) -> (Vec<Value>, Vec<Reject>) {
    let host = Arc::new(Rejects::default());
    let mut stage = Sessionize::new(options.clone(), host.clone()).expect("options that work");
    stage.bind(batch.schema()).expect("columns that do");
    let mut sessions = Vec::new();
    let mut drain = |stage: &mut Sessionize| {
        while let Some(table) = stage.pull().expect("a table") {
            sessions.extend(written(&table, options));
        }
    };
    let mut start = 0;
    while start < batch.num_rows() {
        let part = batch.slice(start, size.min(batch.num_rows() - start));
        start += part.num_rows();
        stage.push(part).expect("a batch of events");
        drain(&mut stage);
    }
    stage.finish().expect("the rest");
    drain(&mut stage);
    let rejects = std::mem::take(&mut *host.0.lock().unwrap());
    (sessions, rejects)
}

/// Sessions as vectors write them, times as nanoseconds.
fn written(table: &RecordBatch, options: &SessionOptions) -> Vec<Value> {
    let times = |name: String| table[name.as_str()].as_primitive::<TimestampNanosecondType>().clone();
    let (first, last) = (times(options.time_min()), times(options.time_max()));
    let durations = table["duration"].as_primitive::<DurationNanosecondType>();
    let numbers = table["number_events"].as_primitive::<UInt32Type>();
    let distinct = table.column_by_name("number_distinct").map(AsArray::as_primitive::<UInt32Type>);
    let session = |row: usize| {
        let users: Vec<Value> =
            options.identity.iter().map(|name| cell(&table[name.as_str()], row)).collect();
        let lists = table[options.event_list().as_str()].as_list::<i32>().value(row);
        let events: Vec<Value> = (0..lists.len()).map(|event| cell(&lists, event)).collect();
        json!({
            "users": users,
            "first": first.value(row),
            "last": last.value(row),
            "duration": durations.value(row),
            "number": numbers.value(row),
            "distinct": distinct.map(|distinct| distinct.value(row)),
            "events": events,
        })
    };
    (0..table.num_rows()).map(session).collect()
}

fn cell(array: &ArrayRef, row: usize) -> Value {
    match array.as_string_opt::<i32>() {
        _ if array.is_null(row) => Value::Null,
        Some(texts) => texts.value(row).into(),
        None => array.as_primitive::<Int64Type>().value(row).into(),
    }
}

/// An expected session in the same form.
fn comparable(session: &Value) -> Value {
    let time = |names: [&str; 2]| {
        let time = names.iter().find_map(|name| session[name].as_str()).expect("a time");
        parse_time(time).unwrap_or_else(|| panic!("{time} is no time"))
    };
    let (first, last) = (time(["time_min", "begin"]), time(["time_max", "end"]));
    let duration = session.get("duration_ns").and_then(Value::as_i64).unwrap_or(last - first);
    let number = session.get("number_events").unwrap_or(&session["n_cmds"]);
    let (users, distinct, events) = (&session["users"], &session["n_distinct_cmds"], &session["events"]);
    json!({
        "users": users, "first": first, "last": last, "duration": duration, "number": number,
        "distinct": distinct, "events": events,
    })
}

/// `cmd*.json`: raw records, and the commands made of them.
pub(crate) fn commands(vector: &Value) -> usize {
    let cases = list(&vector["cases"]);
    // Texts of values in the reference's spelling and in ours: one for one.
    let (mut ours, mut theirs) = (BTreeMap::new(), BTreeMap::new());
    for case in cases {
        let what = text(&case["id"]);
        let (rules, record) = recipe(case);
        let sets = one_event(&rules, EventKind::Parameters, &record);
        assert_eq!(sets, case["cmd_params"], "{what}");
        if let Some(expected) = case.get("cmd_params_values") {
            assert_eq!(&one_event(&rules, EventKind::Values, &record), expected, "{what}");
        }
        if let Some(expected) = case.get("cmd_params_values_python_str") {
            let found = one_event(&rules, EventKind::Values, &record);
            let keys =
                |event: &Value| event[1].as_object().expect("a map").keys().cloned().collect::<Vec<_>>();
            assert_eq!((&found[0], keys(&found)), (&expected[0], keys(expected)), "{what}");
            for (name, value) in found[1].as_object().expect("a map") {
                let (found, expected) = (value.to_string(), expected[1][name].to_string());
                let same = ours.entry(found.clone()).or_insert_with(|| expected.clone());
                assert_eq!(*same, expected, "{what}: {name}");
                let same = theirs.entry(expected).or_insert_with(|| found.clone());
                assert_eq!(*same, found, "{what}: {name}");
            }
        }
        if let Some(kept) = case["kept"].as_bool() {
            assert_eq!(events(&rules, &record).num_rows() == 1, kept, "{what}: kept");
            let all = SessionRules { filters: Vec::new(), ..rules };
            let user = cell(&events(&all, &record)["UserId"], 0);
            assert_eq!(user, case["user_id"], "{what}: user");
        }
    }
    cases.len()
}

/// The rules of a case's kind of log, and its record as these find it.
fn recipe(case: &Value) -> (SessionRules, RecordBatch) {
    let record = |cells: &[(&str, &Value)]| {
        let columns = cells.iter().map(|(name, value)| {
            let column: ArrayRef = Arc::new(StringArray::from(vec![value.as_str()]));
            (*name, column, true)
        });
        RecordBatch::try_from_iter_with_nullable(columns).expect("one row")
    };
    let rules = |text| SessionRules::from_toml(text).expect("rules that work");
    match case["pipeline"].as_str() {
        Some("exchange") => {
            let cells = [("Operation", &case["operation"]), ("Parameters", &case["parameters_json"])];
            (rules(OFFICE), record(&cells))
        }
        Some("aws_cloudtrail") => {
            let cells =
                [("eventName", &case["event_name"]), ("requestParameters", &case["request_parameters"])];
            (rules(AWS), record(&cells))
        }
        Some("vm_process") => {
            let cells = case["record"].as_object().expect("a record");
            (rules(VM), record(&cells.iter().map(|(name, value)| (name.as_str(), value)).collect::<Vec<_>>()))
        }
        other => panic!("no pipeline {other:?}"),
    }
}

/// The events of raw records, which may lack a time.
fn events(rules: &SessionRules, raw: &RecordBatch) -> RecordBatch {
    let mut rules = rules.clone();
    if raw.column_by_name(&rules.time).is_none() {
        rules.time.clone_from(raw.schema().field(0).name());
    }
    let mut stage = SessionEvents::new(rules, Arc::new(Rejects::default())).expect("rules that work");
    let schema = stage.bind(raw.schema()).expect("columns that do");
    stage.push(raw.clone()).expect("a batch of records");
    stage.pull().expect("a batch of events").unwrap_or_else(|| RecordBatch::new_empty(schema))
}

/// The event of one record, whether it would be kept or not, as `[name, parameters]`.
fn one_event(rules: &SessionRules, kind: EventKind, raw: &RecordBatch) -> Value {
    let mut rules = SessionRules { filters: Vec::new(), ..rules.clone() };
    rules.event.kind = kind;
    let events = events(&rules, raw);
    let event = events[EVENT].as_struct();
    let params = event.column(1);
    let params: Value = if let Some(maps) = params.as_map_opt() {
        let map = maps.value(0);
        (0..map.len())
            .map(|row| (text(&cell(map.column(0), row)), cell(map.column(1), row)))
            .collect::<serde_json::Map<_, _>>()
            .into()
    } else {
        let params = params.as_list::<i32>().value(0);
        (0..params.len()).map(|row| cell(&params, row)).collect::<Vec<_>>().into()
    };
    json!([cell(event.column(0), 0), params])
}

/// `exchange_sessions*.json`: the sessions of the sample of Exchange logs, read by its source and cut by its profile, with the
/// vector's limits.
pub(crate) fn exchange(vector: &Value) -> usize {
    let expected = list(&vector["sessions"]);
    let Some(file) = sample("exchange/demo_exchange_data.csv") else {
        eprintln!(
            "vectors: exchange_sessions: the sample file is not there, only the vector itself is checked"
        );
        for session in expected {
            assert_eq!(session["number_events"], list(&session["events"]).len());
        }
        return expected.len();
    };
    let profile = Profile::from_toml(linked_source::<dfp_exchange::Exchange>().profile).expect("a profile");
    let rules = profile.sessions.expect("rules for sessions");
    let records = records(&file, &rules.raw_columns());
    let read: usize = records.iter().map(RecordBatch::num_rows).sum();
    assert_eq!(vector["rows_in"], read);
    let config = &vector["config"];
    let mut options = rules.options();
    assert_eq!(list(&config["user_columns"]).iter().map(text).collect::<Vec<_>>(), options.identity);
    let minutes = |key: &str| Duration::from_secs_f64(number(&config[key]) * 60.0);
    options.limits.max_length = minutes("max_session_time_mins");
    options.limits.max_separation = minutes("max_event_separation_mins");
    options.nulls = NullOrder::As(REFERENCE_NULL.to_owned());
    let expected: Vec<Value> = expected.iter().map(comparable).collect();
    assert_eq!(sessions(&rules, &options, &records), expected);
    the_published_query(&records);
    expected.len()
}

/// With its filters and its first day, the published query has 241 sessions of this file, whatever happens at limits.
fn the_published_query(records: &[RecordBatch]) {
    let mut rules = SessionRules::from_toml(OFFICE).expect("rules that work");
    // The file has no kinds of record: all are of administrators.
    rules.filters.retain(|filter| filter.column != "RecordType");
    rules.event.kind = EventKind::Commands;
    let start = parse_time("2020-03-31").expect("a date");
    for bounds in [Bounds::Inclusive, Bounds::Exclusive] {
        let mut options = rules.options();
        options.limits.bounds = bounds;
        let sessions = sessions(&rules, &options, records);
        assert!(sessions.len() > 241, "it starts before");
        let later = sessions.iter().filter(|session| session["first"].as_i64() >= Some(start));
        assert_eq!(later.count(), 241, "{bounds:?}");
    }
}

fn sessions(rules: &SessionRules, options: &SessionOptions, records: &[RecordBatch]) -> Vec<Value> {
    let events: Vec<_> = records.iter().map(|batch| events(rules, batch)).collect();
    let tables = sessionize(&events, options, Arc::new(Rejects::default())).expect("events");
    tables.iter().flat_map(|table| written(table, options)).collect()
}

fn records(file: &Path, columns: &[String]) -> Vec<RecordBatch> {
    let mut columns = columns.to_vec();
    columns.push("Parameters".to_owned());
    let config = json!({"inputs": [file], "columns": columns}).to_string();
    let plugins = Plugins::new().link(linked_source::<dfp_exchange::Exchange>());
    let mut source = plugins.source("exchange", &config, Arc::new(LocalHost::new())).expect("the source");
    let batches =
        source.open(None).expect("the file").collect::<dfp_core::Result<Vec<_>>>().expect("its batches");
    batches.into_iter().filter(|batch| batch.num_rows() > 0).collect()
}

fn sample(path: &str) -> Option<PathBuf> {
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let folders =
        std::env::var_os("DFP_SAMPLES").map_or(vec![shared], |list| std::env::split_paths(&list).collect());
    folders.into_iter().map(|folder| folder.join(path)).find(|file| file.is_file())
}
