//! What comes through C is what Rust gives; what is wrong becomes a code, and whatever was handed over is released.

// SAFETY of the calls in here: structs are local ones, filled by the rules a few lines above, or NULL; texts end with NUL.
#![allow(clippy::undocumented_unsafe_blocks)]

use std::ffi::{CString, c_char, c_void};
use std::ptr::{null, null_mut};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow_array::builder::{ListBuilder, StringBuilder};
use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use arrow_array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray, TimestampNanosecondArray,
    types,
};
use arrow_schema::SchemaRef;
use dfp_abi::c::{
    DFP_BAD_DATA, DFP_INTERNAL, DFP_INVALID_ARGUMENT, DFP_INVALID_CONFIG, DFP_INVALID_STATE, DFP_OK,
    DFP_PANIC, DFP_SCHEMA_MISMATCH, dfp_buf, dfp_error, dfp_reject,
};
use dfp_abi::{
    ArrowArray, ArrowArrayStream, ArrowSchema, ImportedStream, export_batch, export_schema, export_stream,
};
use dfp_sdk::core::{BatchStream, FitContext, Host, MemoryStream, Model, Result};
use dfp_sdk::models::sequence::{Config, SessionType, SessionsBuilder};
use dfp_sdk::prep::commands::SessionRules;
use dfp_sdk::prep::sessionize::{SessionOptions, sessionize};
use dfp_sdk::sessions::{fit_sessions, score_and_visualise_sessions, score_sessions, with_scores};
use dfp_sdk::timeline::TimelineOptions;
use proptest::prelude::*;

use crate::entry::entry;
use crate::observer::Observer;
use crate::*;

const OPTIONS: &str = r#"{"identity": ["user"], "time": "time", "event": "command"}"#;

fn options() -> SessionOptions {
    SessionOptions::new(["user"], "time", "command")
}

fn nobody() -> Arc<dyn Host> {
    Arc::new(unsafe { Observer::new(null()) }.unwrap())
}

/// Events of a few users in three batches: mostly the same three commands, rows without a time or a command among them.
fn events() -> Vec<RecordBatch> {
    let rows = 0..300_i64;
    let users = rows.clone().map(|row| Some(["ann", "bob", "cyd"][(row % 3) as usize]));
    let times = rows.clone().map(|row| (row % 50 != 7).then_some(row / 9 * 3_600_000_000_000 + row % 9));
    let commands = rows.map(|row| match row {
        133 => Some("delete"),
        row if row % 60 == 11 => None,
        row => Some(["login", "read", "logout"][(row / 3 % 3) as usize]),
    });
    let times = times.collect::<TimestampNanosecondArray>().with_timezone("UTC");
    let batch = batch([
        ("user", Arc::new(users.collect::<StringArray>())),
        ("time", Arc::new(times)),
        ("command", Arc::new(commands.collect::<StringArray>())),
    ]);
    vec![batch.slice(0, 100), batch.slice(100, 0), batch.slice(100, 200)]
}

fn batch<const N: usize>(columns: [(&str, ArrayRef); N]) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true))).unwrap()
}

/// Sessions with values of parameters.
fn sessions() -> Vec<RecordBatch> {
    let mut lists = SessionsBuilder::new(SessionType::CmdsParamsValues);
    for session in 0..60 {
        let role = if session == 41 { "admin" } else { "reader" };
        lists.event("New-Role", [("Role", Some(role)), ("Force", None)]).event("Set-Role", []).end_session();
    }
    let starts = (0..60).map(|session| session * 3_600_000_000_000);
    let batch = batch([
        ("user", Arc::new((0..60).map(|row| Some(format!("user {}", row % 4))).collect::<StringArray>())),
        (
            "time_min",
            Arc::new(
                starts.collect::<Vec<i64>>().into_iter().map(Some).collect::<TimestampNanosecondArray>(),
            ),
        ),
        ("events", Arc::new(lists.finish())),
    ]);
    vec![batch.slice(0, 25), batch.slice(25, 35)]
}

/// Batches as a stream that notes its release.
struct Watched(MemoryStream, Arc<AtomicUsize>);

impl Drop for Watched {
    fn drop(&mut self) {
        self.1.fetch_add(1, Ordering::SeqCst);
    }
}

impl Iterator for Watched {
    type Item = Result<RecordBatch>;
    fn next(&mut self) -> Option<Self::Item> {
        self.0.next()
    }
}

impl BatchStream for Watched {
    fn schema(&self) -> SchemaRef {
        self.0.schema()
    }
}

fn watched(batches: &[RecordBatch], released: &Arc<AtomicUsize>) -> ArrowArrayStream {
    let stream = MemoryStream::new(batches[0].schema(), batches.to_vec());
    export_stream(Box::new(Watched(stream, released.clone())))
}

fn stream(batches: &[RecordBatch]) -> ArrowArrayStream {
    watched(batches, &Arc::default())
}

fn c(text: &str) -> CString {
    CString::new(text).unwrap()
}

/// What a function fills, and what it says if it fails.
#[derive(Default)]
struct Call {
    out: ArrowArrayStream,
    html: dfp_buf,
    error: dfp_error,
}

impl Call {
    /// The batches that came out.
    fn batches(self, code: i32) -> Vec<RecordBatch> {
        assert_eq!(code, DFP_OK, "{}", self.error.message());
        unsafe { ImportedStream::any(self.out) }.unwrap().collect::<Result<_>>().unwrap()
    }
}

fn scored_by(model: *const dfp_sequence_model, sessions: &[RecordBatch]) -> Vec<RecordBatch> {
    let (mut call, mut sessions) = (Call::default(), stream(sessions));
    let code =
        unsafe { dfp_sequence_model_score(model, &raw mut sessions, &raw mut call.out, &raw mut call.error) };
    call.batches(code)
}

fn fitted(sessions: &[RecordBatch], config: &str) -> *mut dfp_sequence_model {
    let (mut sessions, config) = (stream(sessions), c(config));
    let (mut model, mut error) = (null_mut(), dfp_error::default());
    let code = unsafe {
        dfp_sequence_model_fit(
            &raw mut sessions,
            c"events".as_ptr(),
            config.as_ptr(),
            &raw mut model,
            &raw mut error,
        )
    };
    assert_eq!(code, DFP_OK, "{}", error.message());
    model
}

#[test]
fn sessions_are_those_of_rust() {
    for (text, changed) in [
        (OPTIONS.to_owned(), options()),
        (OPTIONS.replace('}', r#", "number_distinct": true, "limits": {"max_length": "1s"}}"#), {
            let mut options = options();
            options.number_distinct = true;
            options.limits.max_length = std::time::Duration::from_secs(1);
            options
        }),
    ] {
        let (mut call, mut input, text) = (Call::default(), stream(&events()), c(&text));
        let code = unsafe {
            dfp_sessionize(&raw mut input, text.as_ptr(), null(), &raw mut call.out, &raw mut call.error)
        };
        let ours = call.batches(code);
        assert!(ours[0].num_rows() > 50);
        assert_eq!(ours, sessionize(&events(), &changed, nobody()).unwrap());
    }
}

#[test]
fn rules_in_toml_and_in_json_make_the_sessions_of_their_events() {
    let toml = "time = \"time\"\nidentity = [\"user\"]\n[event]\nname = \"command\"";
    let rules = SessionRules::from_toml(toml).unwrap();
    let expected = RecordBatch::new_empty(sessionize(&events(), &options(), nobody()).unwrap()[0].schema());
    for text in [c(toml), c(&serde_json::to_string(&rules).unwrap())] {
        let (mut call, mut input) = (Call::default(), stream(&events()));
        let code = unsafe {
            dfp_build_sessions(&raw mut input, text.as_ptr(), null(), &raw mut call.out, &raw mut call.error)
        };
        let ours = call.batches(code);
        let names = |batch: &RecordBatch| {
            batch
                .schema()
                .fields()
                .iter()
                .map(|field| field.name().replace("command", "event"))
                .collect::<Vec<_>>()
        };
        assert_eq!(names(&ours[0]), names(&expected));
        let theirs = sessionize(&events(), &options(), nobody()).unwrap();
        assert_eq!(ours[0].num_rows(), theirs[0].num_rows());
        assert_eq!(
            ours[0]["event_list"].as_list::<i32>().values(),
            theirs[0]["command_list"].as_list::<i32>().values()
        );
    }
}

#[test]
fn scores_and_page_are_those_of_rust() {
    let rust = score_sessions(&sessions(), "events", Config::parity()).unwrap();
    let mut options = TimelineOptions::new("time_min", "rarest_window2_likelihood", "rarest_window2");
    options.title = "T".into();
    options.source_columns = vec!["user".into()];
    let two = Config { windows: vec![2], ..Config::parity() };
    let (rust_two, timeline) = score_and_visualise_sessions(&sessions(), "events", two, &options).unwrap();
    let mut rust_page = Vec::new();
    timeline.write_html(&mut rust_page).unwrap();

    let (mut call, mut input) = (Call::default(), stream(&sessions()));
    let parity = c(r#"{"preset": "parity"}"#);
    let code = unsafe {
        dfp_score_sessions(
            &raw mut input,
            c"events".as_ptr(),
            parity.as_ptr(),
            &raw mut call.out,
            &raw mut call.error,
        )
    };
    assert_eq!(call.batches(code), rust);

    let (mut call, mut input) = (Call::default(), stream(&sessions()));
    let parity = c(r#"{"windows": [2], "preset": "parity"}"#);
    let timeline = c(r#"{"title": "T", "source_columns": ["user"]}"#);
    let code = unsafe {
        dfp_score_and_visualise_sessions(
            &raw mut input,
            c"events".as_ptr(),
            parity.as_ptr(),
            timeline.as_ptr(),
            &raw mut call.out,
            &raw mut call.html,
            &raw mut call.error,
        )
    };
    assert_eq!(unsafe { call.html.to_vec() }.unwrap(), rust_page);
    assert_eq!(call.batches(code), rust_two);

    let (mut call, mut input) = (Call::default(), stream(&rust_two));
    let code = unsafe {
        dfp_visualise_scored_sessions(
            &raw mut input,
            timeline.as_ptr(),
            &raw mut call.html,
            &raw mut call.error,
        )
    };
    assert_eq!((code, unsafe { call.html.to_vec() }.unwrap()), (DFP_OK, rust_page));
}

#[test]
fn a_model_is_learned_kept_and_used_as_in_rust() {
    let (batches, all) = (sessions(), sessions());
    let rust = fit_sessions(&batches[..1], "events", Config::default(), &FitContext::default()).unwrap();
    let rust_all = fit_sessions(&batches, "events", Config::default(), &FitContext::default()).unwrap();
    let model = fitted(&batches[..1], "{}");
    let with = |model| all.iter().map(|batch| with_scores(batch, model).unwrap()).collect::<Vec<_>>();
    assert_eq!(scored_by(model, &all), with(&rust));

    let (mut updated, mut error, mut more) = (null_mut(), dfp_error::default(), stream(&batches[1..]));
    let code = unsafe { dfp_sequence_model_update(model, &raw mut more, &raw mut updated, &raw mut error) };
    assert_eq!(code, DFP_OK, "{}", error.message());
    let (mut saved, mut loaded) = (dfp_buf::default(), null_mut());
    unsafe {
        assert_eq!(dfp_sequence_model_save(updated, &raw mut saved, &raw mut error), DFP_OK);
        assert_eq!(saved.to_vec().unwrap(), rust_all.save().unwrap());
        assert_eq!(dfp_sequence_model_load(saved.data, saved.len, &raw mut loaded, &raw mut error), DFP_OK);
        dfp_sequence_model_free(updated);
        assert_eq!(scored_by(model, &all), with(&rust), "the model stays as it is");
        dfp_sequence_model_free(model);
    }
    assert_eq!(scored_by(loaded, &all), with(&rust_all));
    unsafe { dfp_sequence_model_free(loaded) };
}

#[test]
fn many_threads_score_with_one_model_and_a_stream_outlives_it() {
    let model = fitted(&sessions(), "{}");
    let expected = scored_by(model, &sessions());
    let shared = model as usize;
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..5 {
                    assert_eq!(scored_by(shared as *const dfp_sequence_model, &sessions()), expected);
                }
            });
        }
    });
    let (mut call, mut input) = (Call::default(), stream(&sessions()));
    let code = unsafe { dfp_sequence_model_score(model, &raw mut input, &raw mut call.out, null_mut()) };
    unsafe { dfp_sequence_model_free(model) };
    let elsewhere = std::thread::spawn(move || Call { out: call.out, ..Call::default() }.batches(code));
    assert_eq!(elsewhere.join().unwrap(), expected);
}

/// Sessions close, and are scored, while events still come: a stream behind a stream, without an end.
#[test]
fn sessions_come_as_they_close() {
    struct Endless(i64);
    fn minute(at: i64) -> RecordBatch {
        batch([
            ("user", Arc::new(StringArray::from(vec!["ann"; 3])) as ArrayRef),
            ("time", Arc::new(TimestampNanosecondArray::from(vec![at * 600_000_000_000; 3]))),
            ("command", Arc::new(StringArray::from(vec!["login", "read", "logout"]))),
        ])
    }
    impl Iterator for Endless {
        type Item = Result<RecordBatch>;
        fn next(&mut self) -> Option<Self::Item> {
            self.0 += 1;
            Some(Ok(minute(self.0)))
        }
    }
    impl BatchStream for Endless {
        fn schema(&self) -> SchemaRef {
            minute(0).schema()
        }
    }
    let mut usual = SessionsBuilder::new(SessionType::CmdsOnly);
    for _ in 0..20 {
        usual.event("login", []).event("read", []).event("logout", []).end_session();
    }
    let mut usual = stream(&[batch([("command_list", Arc::new(usual.finish()) as ArrayRef)])]);
    let mut events = export_stream(Box::new(Endless(0)));
    let options = c(&OPTIONS.replace('}', r#", "limits": {"lateness": "1min"}}"#));
    let (mut sessions, mut model) = (ArrowArrayStream::default(), null_mut());
    unsafe {
        let column = c"command_list".as_ptr();
        let code = dfp_sequence_model_fit(&raw mut usual, column, null(), &raw mut model, null_mut());
        assert_eq!(code, DFP_OK);
        let code = dfp_sessionize(&raw mut events, options.as_ptr(), null(), &raw mut sessions, null_mut());
        assert_eq!(code, DFP_OK);
        // One place may be for what goes in and for what comes out.
        let place = &raw mut sessions;
        assert_eq!(dfp_sequence_model_score(model, place, place, null_mut()), DFP_OK);
        dfp_sequence_model_free(model);
        for batch in ImportedStream::any(sessions).unwrap().take(5) {
            assert!(batch.unwrap()["score"].as_primitive::<Float64Type>().value(0) < 3.0);
        }
    }
}

#[derive(Default)]
struct Heard {
    reasons: Vec<String>,
    lines: Vec<String>,
    counted: u64,
}

unsafe extern "C" fn hear_reject(ctx: *mut c_void, reject: *const dfp_reject) {
    let (heard, reject) = unsafe { (&mut *ctx.cast::<Heard>(), &*reject) };
    heard.reasons.push(unsafe { dfp_abi::text_lossy(reject.reason, reject.reason_len) });
    assert!(reject.detail_len > 0);
}

unsafe extern "C" fn hear_count(ctx: *mut c_void, _: *const c_char, _: usize, n: u64) {
    unsafe { &mut *ctx.cast::<Heard>() }.counted += n;
}

unsafe extern "C" fn hear_line(ctx: *mut c_void, _: u32, message: *const c_char, len: usize) {
    unsafe { &mut *ctx.cast::<Heard>() }.lines.push(unsafe { dfp_abi::text_lossy(message, len) });
}

fn observer(heard: &mut Heard) -> dfp_observer {
    dfp_observer {
        struct_size: size_of::<dfp_observer>() as u32,
        reserved: 0,
        ctx: std::ptr::from_mut(heard).cast(),
        reject: Some(hear_reject),
        count: Some(hear_count),
        log: Some(hear_line),
    }
}

#[test]
fn an_observer_hears_of_every_row_that_is_not_used() {
    let mut heard = Heard::default();
    let rules = c(r#"{"time": "time", "identity": ["user", "host"],
        "event": {"name": "command", "kind": "values", "parameters": {"rule": "object", "input": "command"}}}"#);
    let used = |observer: *const dfp_observer, rules: Option<&CString>| {
        let (mut call, mut input, options) = (Call::default(), stream(&events()), c(OPTIONS));
        let (out, error) = (&raw mut call.out, &raw mut call.error);
        let code = unsafe {
            match rules {
                Some(rules) => dfp_build_sessions(&raw mut input, rules.as_ptr(), observer, out, error),
                None => dfp_sessionize(&raw mut input, options.as_ptr(), observer, out, error),
            }
        };
        let numbers = |batch: &RecordBatch| {
            batch["number_events"]
                .as_primitive::<types::UInt32Type>()
                .values()
                .iter()
                .map(|n| *n as usize)
                .sum::<usize>()
        };
        call.batches(code).iter().map(numbers).sum::<usize>()
    };
    let rows = 300;
    let all = observer(&mut heard);
    assert_eq!(used(&raw const all, None) + heard.reasons.len(), rows);
    assert!(heard.reasons.iter().any(|reason| reason == "no-time"));
    assert!(heard.reasons.iter().any(|reason| reason == "no-event"));

    let mut heard = Heard::default();
    let all = observer(&mut heard);
    assert_eq!(used(&raw const all, Some(&rules)) + heard.reasons.len(), rows);
    assert!(heard.counted > 200, "commands are no parameters: {}", heard.counted);
    assert!(heard.lines.iter().any(|line| line.contains("`host`")), "{:?}", heard.lines);
    // Nobody to tell, by an empty slot or by none.
    let silent = dfp_observer { reject: None, count: None, log: None, ..all };
    assert_eq!(used(&raw const silent, Some(&rules)), used(null(), Some(&rules)));
}

/// Calls every function that takes a stream, with the rest missing. Whatever comes of it, the stream is released.
#[test]
fn null_is_an_invalid_argument_and_streams_are_released_all_the_same() {
    let released = Arc::new(AtomicUsize::new(0));
    let mut calls = 0;
    let mut error = dfp_error::default();
    let mut check = |call: &dyn Fn(*mut ArrowArrayStream, *mut dfp_error) -> i32| {
        for error in [&raw mut error, null_mut()] {
            let mut input = watched(&sessions(), &released);
            assert_eq!(call(&raw mut input, error), DFP_INVALID_ARGUMENT);
            calls += 1;
            assert!(input.is_released());
            assert_eq!(released.load(Ordering::SeqCst), calls);
            assert_eq!(call(null_mut(), error), DFP_INVALID_ARGUMENT);
        }
        assert!(error.message().contains("is NULL"), "{}", error.message());
    };
    let (column, model) = (c"events".as_ptr(), fitted(&sessions(), "{}"));
    unsafe {
        check(&|s, e| dfp_build_sessions(s, null(), null(), null_mut(), e));
        check(&|s, e| dfp_sessionize(s, null(), null(), null_mut(), e));
        check(&|s, e| dfp_score_sessions(s, column, null(), null_mut(), e));
        check(&|s, e| dfp_visualise_scored_sessions(s, null(), null_mut(), e));
        check(&|s, e| dfp_sequence_model_fit(s, column, null(), null_mut(), e));
        check(&|s, e| dfp_sequence_model_update(model, s, null_mut(), e));
        check(&|s, e| dfp_sequence_model_score(model, s, null_mut(), e));
        check(&|s, e| {
            let mut out = null_mut();
            let code = dfp_sequence_model_update(null(), s, &raw mut out, e);
            assert!(out.is_null());
            code
        });
        check(&|s, e| {
            let mut out = ArrowArrayStream::default();
            let code = dfp_sequence_model_score(null(), s, &raw mut out, e);
            assert!(out.is_released());
            code
        });
        check(&|s, e| {
            let mut out = ArrowArrayStream::default();
            dfp_score_sessions(s, null(), null(), &raw mut out, e)
        });
        for (with_out, with_html) in [(true, false), (false, true)] {
            check(&|s, e| {
                let mut call = Call::default();
                let out = if with_out { &raw mut call.out } else { null_mut() };
                let html = if with_html { &raw mut call.html } else { null_mut() };
                dfp_score_and_visualise_sessions(s, column, null(), null(), out, html, e)
            });
        }
        let (mut buf, mut out) = (dfp_buf::default(), null_mut());
        assert_eq!(dfp_sequence_model_save(null(), &raw mut buf, null_mut()), DFP_INVALID_ARGUMENT);
        assert_eq!(dfp_sequence_model_save(model, null_mut(), null_mut()), DFP_INVALID_ARGUMENT);
        assert_eq!(dfp_sequence_model_load(null(), 5, &raw mut out, null_mut()), DFP_INVALID_ARGUMENT);
        assert_eq!(dfp_sequence_model_load(b"x".as_ptr(), 1, null_mut(), null_mut()), DFP_INVALID_ARGUMENT);
        assert_eq!(dfp_sequence_model_load(b"x".as_ptr(), 1, &raw mut out, null_mut()), DFP_BAD_DATA);
        dfp_sequence_model_free(null_mut());
        dfp_sequence_model_free(model);
    }
}

#[test]
fn a_released_stream_bad_texts_and_a_short_observer_are_refused() {
    let options = c(OPTIONS);
    let mut short = observer(&mut Heard::default());
    short.struct_size -= 1;
    for (text, observer, input, code) in [
        (options.as_ptr(), null(), ArrowArrayStream::default(), DFP_INVALID_STATE),
        (c"\xFF".as_ptr(), null(), stream(&events()), DFP_INVALID_ARGUMENT),
        (options.as_ptr(), &raw const short, stream(&events()), DFP_INVALID_ARGUMENT),
        (null(), null(), stream(&events()), DFP_INVALID_CONFIG),
        (c"{\"identity\": [], \"event\": \"none\"}".as_ptr(), null(), stream(&events()), DFP_SCHEMA_MISMATCH),
    ] {
        let (mut call, mut input) = (Call::default(), input);
        // What lies in the place of a result is not looked at.
        call.out = stream(&events());
        let before = std::mem::ManuallyDrop::new(unsafe { std::ptr::read(&raw const call.out) });
        let answer =
            unsafe { dfp_sessionize(&raw mut input, text, observer, &raw mut call.out, &raw mut call.error) };
        assert_eq!((answer, call.error.code), (code, code), "{}", call.error.message());
        assert!(call.out.is_released() && input.is_released());
        drop(std::mem::ManuallyDrop::into_inner(before));
    }
}

#[test]
fn wrong_settings_are_named() {
    for (config, named) in [
        (r#"{"preset": "best"}"#, "preset"),
        (r#"{"preset": 3}"#, "preset"),
        (r#"{"window": [2]}"#, "window"),
        (r#"{"windows": []}"#, "windows"),
        ("[]", "map"),
        ("{", "line 1"),
    ] {
        let (mut call, mut input, text) = (Call::default(), stream(&sessions()), c(config));
        let code = unsafe {
            dfp_score_sessions(
                &raw mut input,
                c"events".as_ptr(),
                text.as_ptr(),
                &raw mut call.out,
                &raw mut call.error,
            )
        };
        assert_eq!(code, DFP_INVALID_CONFIG, "{config}");
        assert!(call.error.message().contains(named), "{config}: {}", call.error.message());
    }
}

#[test]
fn panics_end_at_the_border() {
    let mut error = dfp_error::default();
    assert_eq!(unsafe { entry(&raw mut error, || panic!("row {}", 7)) }, DFP_PANIC);
    assert!(error.message().contains("row 7"));
}

#[test]
fn the_version_is_the_headers() {
    let version = unsafe { std::ffi::CStr::from_ptr(dfp_version()) };
    assert_eq!(version.to_str().unwrap(), dfp_abi::c::DFP_VERSION);
}

fn stream_of(batch: &RecordBatch, damage: impl FnOnce(&mut [i64; 4])) -> (i32, Call) {
    let mut call = Call::default();
    let mut schema = export_schema(batch.schema_ref()).unwrap();
    let mut array = export_batch(batch.clone(), batch.schema_ref()).unwrap();
    // The first four numbers of the struct: length, null_count, offset, n_buffers.
    damage(unsafe { &mut *(&raw mut array).cast::<[i64; 4]>() });
    let (schema_at, array_at) =
        ((&raw mut schema).cast::<ArrowSchema>(), (&raw mut array).cast::<ArrowArray>());
    let code = unsafe { dfp_stream_of_batch(schema_at, array_at, &raw mut call.out, &raw mut call.error) };
    assert!(array.is_released());
    assert!(unsafe { dfp_abi::borrowed_schema(schema_at) }.is_err(), "the schema has moved, too");
    (code, call)
}

#[test]
fn a_stream_of_a_batch_gives_the_batch_or_refuses_it() {
    for batch in events().iter().chain(&sessions()) {
        let (code, call) = stream_of(batch, |_| ());
        assert_eq!(call.batches(code), std::slice::from_ref(batch));
    }
    for damage in
        [|n: &mut [i64; 4]| n[0] = -1, |n: &mut [i64; 4]| n[0] = 1 << 20, |n: &mut [i64; 4]| n[3] = 9]
    {
        let (code, call) = stream_of(&sessions()[0], damage);
        assert_eq!(code, DFP_BAD_DATA);
        assert!(call.out.is_released() && call.error.message_len > 0);
    }
    let mut call = Call::default();
    let code = unsafe { dfp_stream_of_batch(null_mut(), null_mut(), &raw mut call.out, &raw mut call.error) };
    assert_eq!(code, DFP_INVALID_ARGUMENT);
}

/// A column of a type that may or may not do, with nulls, of `rows` rows.
fn column(kind: usize, rows: usize) -> ArrayRef {
    let some = |row: &usize| row % 5 != 3;
    let rows = 0..rows;
    let text = |row: usize| ["", "a", "login\0", "2024-01-01T00:00:00Z", "{\"a\": [1]}"][row % 5].to_owned();
    match kind {
        0 => Arc::new(rows.map(|row| some(&row).then(|| text(row))).collect::<StringArray>()),
        1 => Arc::new(rows.map(|row| some(&row).then_some(i64::MAX - row as i64)).collect::<Int64Array>()),
        2 => Arc::new(
            rows.map(|row| some(&row).then_some(row as i64 * 1_000_000_000))
                .collect::<TimestampNanosecondArray>(),
        ),
        3 => Arc::new(
            rows.map(|row| some(&row).then_some([0.5, f64::NAN, -1e300][row % 3])).collect::<Float64Array>(),
        ),
        4 => Arc::new(rows.map(|row| Some(row % 2 == 0)).collect::<BooleanArray>()),
        5 | 6 => {
            let mut lists = ListBuilder::new(StringBuilder::new());
            for row in rows {
                for event in 0..(row % 4).max(kind - 5) {
                    lists.values().append_value(text(row + event));
                }
                lists.append(kind == 6 || some(&row));
            }
            Arc::new(lists.finish())
        }
        7 => {
            let mut lists = SessionsBuilder::new(SessionType::CmdsParamsOnly);
            for row in rows {
                lists.event(&text(row), [("b", None), ("a", None)]).event("x", []).end_session();
            }
            Arc::new(lists.finish())
        }
        _ => {
            let mut lists = SessionsBuilder::new(SessionType::CmdsParamsValues);
            for row in rows {
                lists.event(&text(row), [("a", Some("v")), ("", None)]).end_session();
            }
            Arc::new(lists.finish())
        }
    }
}

/// Names of columns, and the type that serves best.
const COLUMNS: [(&str, usize); 5] = [("user", 0), ("time", 2), ("command", 0), ("events", 6), ("chance", 3)];

fn any_batch() -> impl Strategy<Value = RecordBatch> {
    let kinds = COLUMNS.map(|(_, best)| prop_oneof![4 => Just(best), 1 => 0usize..9]);
    (kinds, 0usize..40).prop_map(|(kinds, rows)| {
        let columns = COLUMNS.iter().zip(kinds).map(|((name, _), kind)| (*name, column(kind, rows), true));
        RecordBatch::try_from_iter_with_nullable(columns).unwrap()
    })
}

const RULES: &str = r#"{"time": "time", "identity": ["user"], "event": {"name": "command"}}"#;
const TIMELINE: &str = r#"{"time_column": "time", "score_column": "chance", "window_column": "events"}"#;

/// Texts that are nearly options, and texts that are not.
fn any_options() -> impl Strategy<Value = String> {
    let key = prop::sample::select(vec![
        "identity",
        "time",
        "event",
        "limits",
        "nulls",
        "number_distinct",
        "windows",
        "tokens",
        "reasons",
        "preset",
        "min_sessions",
        "modellable",
        "max_values",
        "time_column",
        "score_column",
        "window_column",
        "upper_bound",
        "title",
        "source_columns",
    ]);
    let value = prop::sample::select(vec![
        "[\"user\"]",
        "\"time\"",
        "\"command\"",
        "{}",
        "{\"lateness\": \"1s\"}",
        "{\"list_limit\": 0}",
        "true",
        "[2, 1]",
        "0",
        "1e400",
        "-1",
        "null",
        "\"parity\"",
        "{\"named\": [\"a\"]}",
        "[[[]]]",
        "\"score\"",
        "\"user\"",
    ]);
    let pairs = prop::collection::vec((key, value), 0..6).prop_map(|pairs| {
        let pairs: Vec<_> = pairs.iter().map(|(key, value)| format!("\"{key}\": {value}")).collect();
        format!("{{{}}}", pairs.join(", "))
    });
    prop_oneof![3 => pairs, 1 => "[^\0]{0,40}"]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn anything_gives_a_result_or_a_code_and_never_a_panic(
        batches in prop::collection::vec(any_batch(), 1..3),
        same in any::<bool>(),
        options in prop::option::of(any_options()),
        (column, _) in prop_oneof![2 => Just(COLUMNS[3]), 1 => prop::sample::select(COLUMNS.to_vec())],
    ) {
        // Streams are of one schema, unless they are broken.
        let batches = if same { vec![batches[0].clone(); batches.len()] } else { batches };
        let released = Arc::new(AtomicUsize::new(0));
        let texts = [RULES, OPTIONS, TIMELINE, "{}"].map(|good| c(options.as_deref().unwrap_or(good)));
        let [rules, limits, timeline, config] = texts.each_ref().map(|text| text.as_ptr());
        let column = c(column);
        let column = column.as_ptr();
        let mut made = 0;
        let mut check = |call: &dyn Fn(*mut ArrowArrayStream, &mut Call) -> i32| {
            let (mut input, mut answer) = (watched(&batches, &released), Call::default());
            made += 1;
            let code = call(&raw mut input, &mut answer);
            assert!((DFP_OK..DFP_PANIC).contains(&code) && code != DFP_INTERNAL, "{code}: {}", answer.error.message());
            assert_eq!((answer.error.code, answer.error.message_len > 0), (code, code != DFP_OK));
            assert!(input.is_released());
            let Call { out, html, .. } = answer;
            assert!(code == DFP_OK || (out.is_released() && html.release.is_none()));
            if !out.is_released() {
                for batch in unsafe { ImportedStream::any(out) }.unwrap() {
                    let Err(error) = batch else { continue };
                    assert!((1..DFP_PANIC).contains(&error.kind().code()), "{error}");
                }
            }
            assert_eq!(released.load(Ordering::SeqCst), made);
        };
        unsafe {
            check(&|s, call| dfp_build_sessions(s, rules, null(), &raw mut call.out, &raw mut call.error));
            check(&|s, call| dfp_sessionize(s, limits, null(), &raw mut call.out, &raw mut call.error));
            check(&|s, call| dfp_score_sessions(s, column, config, &raw mut call.out, &raw mut call.error));
            check(&|s, call| dfp_visualise_scored_sessions(s, timeline, &raw mut call.html, &raw mut call.error));
            check(&|s, call| {
                dfp_score_and_visualise_sessions(
                    s, column, null(), timeline, &raw mut call.out, &raw mut call.html, &raw mut call.error,
                )
            });
            check(&|s, call| {
                let mut model = null_mut();
                let code = dfp_sequence_model_fit(s, column, config, &raw mut model, &raw mut call.error);
                if code == DFP_OK {
                    let mut more = stream(&batches);
                    let scored = dfp_sequence_model_score(model, &raw mut more, &raw mut call.out, &raw mut call.error);
                    assert_eq!(scored, DFP_OK, "{}", call.error.message());
                    dfp_sequence_model_free(model);
                }
                code
            });
        }
    }

    #[test]
    fn any_bytes_are_a_model_or_damaged(
        cut in 0usize..4000,
        changes in prop::collection::vec((0usize..4000, any::<u8>()), 0..4),
    ) {
        let model = fitted(&sessions()[..1], "{}");
        let (mut saved, mut error) = (dfp_buf::default(), dfp_error::default());
        assert_eq!(unsafe { dfp_sequence_model_save(model, &raw mut saved, &raw mut error) }, DFP_OK);
        unsafe { dfp_sequence_model_free(model) };
        let mut bytes = unsafe { saved.to_vec() }.unwrap();
        bytes.truncate(cut);
        for (at, byte) in changes {
            if let Some(place) = bytes.get_mut(at) {
                *place = byte;
            }
        }
        let mut loaded = null_mut();
        let code = unsafe { dfp_sequence_model_load(bytes.as_ptr(), bytes.len(), &raw mut loaded, &raw mut error) };
        assert_eq!(code == DFP_OK, !loaded.is_null());
        assert!((DFP_OK..DFP_PANIC).contains(&code));
        unsafe { dfp_sequence_model_free(loaded) };
    }
}
