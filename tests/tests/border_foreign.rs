//! Components of every kind in Rust, C and C++, loaded from shared libraries: good ones, and one for each way to be bad.

mod compile;
mod cpp;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int32Type};
use arrow_array::{ArrayRef, Float64Array, RecordBatch, StringArray};
use dfp_abi::Kind;
use dfp_core::{CancelToken, ErrorKind, FitContext, Result, SCORE, Stage};
use dfp_host::{LocalHost, Plugin, Plugins};
use dfp_test_plugin::{Append, Means, Rows};
use tempfile::TempDir;

fn tempdir() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// The stage in C; `define` chooses a fault.
fn lengths(dir: &TempDir, define: &str) -> PathBuf {
    let path = dir.path().join(format!("lib{}.so", define.to_lowercase()));
    compile::shared_library(
        "tests/fixtures/plugin-c/lengths.c",
        &path,
        &["-pthread", &format!("-D{define}")],
    );
    path
}

/// The components in C++.
fn cpp_library(dir: &TempDir) -> String {
    let path = dir.path().join("libkinds.so");
    compile::shared_library("tests/fixtures/plugin-cpp/kinds.cpp", &path, &["-fvisibility=hidden"]);
    path.to_str().unwrap().to_owned()
}

fn rust() -> String {
    let path = std::env::current_exe().unwrap().with_file_name("libdfp_test_plugin.so");
    assert!(path.is_file(), "{} is missing", path.display());
    path.to_str().unwrap().to_owned()
}

/// The Rust components, linked and loaded.
fn both_ways() -> [(Plugins, [String; 3]); 2] {
    let linked = Plugins::new()
        .link(dfp_plugin::linked_stage::<Rows>())
        .link(dfp_plugin::linked_sink::<Append>())
        .link(dfp_plugin::linked_model::<Means>());
    [(linked, ["rows", "append", "means"].map(str::to_owned)), (Plugins::new(), [(); 3].map(|()| rust()))]
}

fn numbers(values: &[f64]) -> RecordBatch {
    let column: ArrayRef = Arc::new(Float64Array::from(values.to_vec()));
    RecordBatch::try_from_iter_with_nullable([("n", column, true)]).unwrap()
}

fn texts(values: Vec<Option<&str>>) -> RecordBatch {
    let column: ArrayRef = Arc::new(StringArray::from(values));
    RecordBatch::try_from_iter_with_nullable([("text", column, true)]).unwrap()
}

fn pull_all(stage: &mut dyn Stage) -> Result<Vec<RecordBatch>> {
    std::iter::from_fn(|| stage.pull().transpose()).collect()
}

fn stage(library: &Path, host: &Arc<LocalHost>) -> Result<Box<dyn Stage>> {
    Plugins::new().stage(library.to_str().unwrap(), "{}", host.clone())
}

#[test]
fn a_stage_does_the_same_linked_and_loaded() {
    let host = Arc::new(LocalHost::new());
    let outcomes = both_ways().map(|(plugins, [name, ..])| {
        ["keep", "double", "drop"].map(|action| {
            let config = format!(r#"{{"action": "{action}", "hold": {}}}"#, action == "double");
            let mut stage = plugins.stage(&name, &config, host.clone()).unwrap();
            assert_eq!(stage.bind(numbers(&[]).schema()).unwrap(), numbers(&[]).schema());
            let mut seen = Vec::new();
            for batch in [numbers(&[1.0, 2.0, 3.0]), numbers(&[]), numbers(&[4.0, 5.0]).slice(1, 1)] {
                stage.push(batch).unwrap();
                seen.extend(pull_all(&mut *stage).unwrap());
            }
            stage.finish().unwrap();
            seen.extend(pull_all(&mut *stage).unwrap());
            seen
        })
    });
    assert_eq!(outcomes[0], outcomes[1]);
    assert_eq!(outcomes[1].each_ref().map(Vec::len), [3, 6, 3]);
    assert_eq!(Arc::strong_count(&host), 1);
}

#[test]
fn a_sink_does_the_same_linked_and_loaded() {
    let dir = tempdir();
    let host = Arc::new(LocalHost::new());
    let outcomes = both_ways().map(|(plugins, [_, name, _])| {
        let path = dir.path().join("out");
        let config = serde_json::json!({ "path": path }).to_string();
        let mut sink = plugins.sink(&name, &config, host.clone()).unwrap();
        let batch = texts(vec![Some("one"), None, Some("nul \0")]);
        sink.bind(batch.schema()).unwrap();
        sink.write(&batch).unwrap();
        sink.flush().unwrap();
        sink.write(&texts(vec![Some("two")])).unwrap();
        sink.close().unwrap();
        let wrong = plugins.sink(&name, &config, host.clone()).unwrap().bind(numbers(&[]).schema());
        let written = std::fs::read(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        (written, wrong.unwrap_err().kind())
    });
    assert_eq!(outcomes[0], outcomes[1]);
    assert_eq!(outcomes[1], (b"one\nnull\nnul \0\ntwo\n".to_vec(), ErrorKind::SchemaMismatch));
}

#[test]
fn a_model_does_the_same_linked_and_loaded() {
    let host = Arc::new(LocalHost::new());
    let outcomes = both_ways().map(|(plugins, [.., name])| {
        let config = r#"{"column": "n", "min_rows": 2}"#;
        let trainer = plugins.trainer(&name, config, host.clone()).unwrap();
        let whole = trainer.fit(&numbers(&[1.0, 5.0]), &FitContext::default()).unwrap();
        let context = FitContext {
            threads: 2,
            population: Some(whole.save().unwrap().into()),
            ..FitContext::default()
        };
        let groups = [numbers(&[9.0]), numbers(&[666.0, 1.0]), numbers(&[1.0, 2.0])];
        let fits = trainer.fit_many(&groups, &context);
        let outcomes: Vec<_> = fits
            .into_iter()
            .map(|fitted| {
                let model = fitted.map_err(|error| error.kind())?;
                let again = trainer.load(&model.save().unwrap()).unwrap();
                let rows = numbers(&[3.0, 4.0, 5.0]);
                let scored = model.score(&rows).unwrap();
                assert_eq!(again.score(&rows).unwrap(), scored);
                assert_eq!(again.schema(), model.schema());
                Ok(scored)
            })
            .collect();
        assert_eq!(trainer.load(b"none").err().unwrap().kind(), ErrorKind::BadData);
        outcomes
    });
    assert_eq!(outcomes[0], outcomes[1]);
    assert_eq!(outcomes[1][1], Err(ErrorKind::Panic));
    let scores = |outcome: &std::result::Result<RecordBatch, ErrorKind>| {
        outcome.as_ref().unwrap()[SCORE].as_primitive::<Float64Type>().values().to_vec()
    };
    assert_eq!(scores(&outcomes[1][0]), [0.0, 1.0, 2.0]);
    assert_eq!(scores(&outcomes[1][2]), [1.5, 2.5, 3.5]);
    assert_eq!(Arc::strong_count(&host), 1);
}

#[test]
fn misdeeds_of_every_kind_stay_inside() {
    let host = Arc::new(LocalHost::new());
    let library = rust();
    let plugins = Plugins::new();
    for (misdeed, kind) in [
        ("panic-in-bind", ErrorKind::Panic),
        ("panic-in-push", ErrorKind::Panic),
        ("panic-in-pull", ErrorKind::Panic),
        ("panic-in-finish", ErrorKind::Panic),
        ("fail-in-push", ErrorKind::Io),
        ("lie-in-pull", ErrorKind::SchemaMismatch),
        ("nul-in-schema", ErrorKind::SchemaMismatch),
    ] {
        let config = serde_json::json!({ "misdeed": misdeed }).to_string();
        let mut stage = plugins.stage(&library, &config, host.clone()).unwrap();
        let outcome = stage.bind(numbers(&[]).schema()).and_then(|_| {
            stage.push(numbers(&[1.0]))?;
            pull_all(&mut *stage)?;
            stage.finish()
        });
        assert_eq!(outcome.unwrap_err().kind(), kind, "{misdeed}");
    }
    for (misdeed, kind) in [
        ("panic-in-fit", ErrorKind::Panic),
        ("panic-in-load", ErrorKind::Panic),
        ("panic-in-save", ErrorKind::Panic),
        ("panic-in-score", ErrorKind::Panic),
        ("lie-in-score", ErrorKind::SchemaMismatch),
        ("wrong-rows", ErrorKind::BadData),
    ] {
        let config = serde_json::json!({ "column": "n", "misdeed": misdeed }).to_string();
        let trainer = plugins.trainer(&library, &config, host.clone()).unwrap();
        let outcome = trainer.fit(&numbers(&[1.0]), &FitContext::default()).and_then(|model| {
            model.score(&numbers(&[1.0, 2.0]))?;
            trainer.load(&model.save()?)
        });
        assert_eq!(outcome.err().map(|error| error.kind()), Some(kind), "{misdeed}");
    }
    assert_eq!(Arc::strong_count(&host), 1);
}

#[test]
fn a_waiting_fit_ends_within_a_second_of_a_cancel() {
    let host = Arc::new(LocalHost::new());
    let config = r#"{"column": "n", "misdeed": "wait"}"#;
    let trainer = Plugins::new().trainer(&rust(), config, host).unwrap();
    let cancel = CancelToken::default();
    let context = FitContext { cancel: cancel.clone(), ..FitContext::default() };
    std::thread::scope(|scope| {
        let fit = scope.spawn(|| trainer.fit(&numbers(&[1.0]), &context).err().map(|error| error.kind()));
        std::thread::sleep(Duration::from_millis(50));
        assert!(!fit.is_finished());
        let start = Instant::now();
        cancel.cancel();
        assert_eq!(fit.join().unwrap(), Some(ErrorKind::Cancelled));
        assert!(start.elapsed() < Duration::from_secs(1));
    });
}

#[test]
fn a_stage_in_c_works_as_it_is_and_with_the_tables_of_a_newer_version() {
    let dir = tempdir();
    for define in ["GOOD", "NEWER"] {
        let host = Arc::new(LocalHost::new());
        let mut stage = stage(&lengths(&dir, define), &host).unwrap();
        let input = texts(vec![Some("skipped"), Some("a"), None, Some("\u{e4}\0b"), Some("")]);
        let output = stage.bind(input.schema()).unwrap();
        assert_eq!(output.field(0).name(), "length");
        stage.push(input.slice(1, 4)).unwrap();
        let batches = pull_all(&mut *stage).unwrap();
        drop(stage);
        let values: Vec<_> = batches[0].column(0).as_primitive::<Int32Type>().iter().collect();
        assert_eq!(values, [Some(1), None, Some(4), Some(0)], "{define}");
        drop(batches);
        assert_eq!(Arc::strong_count(&host), 1);
    }
}

#[test]
fn every_kind_works_in_cpp() {
    if !cpp::available() {
        return;
    }
    let dir = tempdir();
    let library = cpp_library(&dir);
    let host = Arc::new(LocalHost::new());
    let plugins = Plugins::new();
    let found = plugins.find(Kind::Source, &library).unwrap();
    assert_eq!((found.id(), found.profile()), ("numbers", "name = \"numbers\"\n"));

    let mut source = found.create_source("{}", host.clone()).unwrap();
    assert_eq!(source.position(), Some(vec![1]));
    let stream = source.open(None).unwrap();
    drop(source);
    let batches: Vec<_> = stream.map(Result::unwrap).collect();
    assert_eq!(batches.iter().map(RecordBatch::num_rows).collect::<Vec<_>>(), [3]);

    let mut pass = plugins.find(Kind::Stage, &library).unwrap().load_stage("{}", host.clone()).unwrap();
    assert_eq!(pass.bind(batches[0].schema()).unwrap(), batches[0].schema());
    pass.push(batches[0].clone()).unwrap();
    assert_eq!(pass.introspect().unwrap(), Some(serde_json::json!({"held": 1})));
    assert_eq!(pull_all(&mut pass).unwrap(), batches);

    let mut count = plugins.sink(&library, "{}", host.clone()).unwrap();
    count.bind(batches[0].schema()).unwrap();
    count.write(&batches[0]).unwrap();
    assert_eq!(host.counter("rows_written"), 0);
    count.close().unwrap();
    assert_eq!(host.counter("rows_written"), 3);

    let trainer = plugins.trainer(&library, "{}", host.clone()).unwrap();
    let fitted = trainer.fit(&batches[0], &FitContext::default()).unwrap();
    let model = trainer.load(&fitted.save().unwrap()).unwrap();
    assert_eq!(trainer.load(b"none").err().unwrap().kind(), ErrorKind::BadData);
    drop(trainer);
    let scored = model.score(&batches[0]).unwrap();
    assert_eq!(scored[SCORE].as_primitive::<Float64Type>().values()[..], [1.0, 0.0, 1.0]);
    drop((fitted, model, count, pass));
    assert_eq!(Arc::strong_count(&host), 1);
}

#[test]
fn schemas_copied_in_cpp_lose_nothing() {
    use arrow_schema::{DataType, Field, Schema, TimeUnit};
    if !cpp::available() {
        return;
    }
    let dir = tempdir();
    let metadata = [("key", "value"), ("", "\u{e4}")].map(|(key, value)| (key.to_owned(), value.to_owned()));
    let metadata = HashMap::from(metadata);
    let fields = vec![
        Field::new("a", DataType::Utf8, true).with_metadata(metadata.clone()),
        Field::new("", DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into())), false),
        Field::new_dictionary("d", DataType::Int32, DataType::Utf8, true),
        Field::new_struct(
            "s",
            vec![Field::new_list("l", Field::new_list_field(DataType::Int8, true), true)],
            false,
        ),
    ];
    let schema = Arc::new(Schema::new_with_metadata(fields, metadata));
    let mut pass = Plugins::new().stage(&cpp_library(&dir), "{}", Arc::new(LocalHost::new())).unwrap();
    assert_eq!(pass.bind(schema.clone()).unwrap(), schema);
}

#[test]
fn exceptions_end_at_the_border() {
    if !cpp::available() {
        return;
    }
    let dir = tempdir();
    let library = cpp_library(&dir);
    let plugins = Plugins::new();
    let host = Arc::new(LocalHost::new());
    let error = plugins.source(&library, r#"{"do": "throw-in-create"}"#, host.clone()).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Internal);
    assert!(error.to_string().contains("told to throw in create"), "{error}");

    let mut source = plugins.source(&library, r#"{"do": "throw-an-int"}"#, host.clone()).unwrap();
    let error = source.open(None).unwrap().nth(1).unwrap().unwrap_err();
    assert!(error.to_string().contains("an exception that says nothing"), "{error}");

    let mut stage = plugins.stage(&library, r#"{"do": "throw-in-push"}"#, host.clone()).unwrap();
    stage.bind(numbers(&[]).schema()).unwrap();
    let error = stage.push(numbers(&[1.0])).unwrap_err();
    assert_eq!(error.to_string().matches('x').count(), 1007, "the text is cut, and ends the struct: {error}");

    let token = CancelToken::default();
    let cancelled = Arc::new(LocalHost::new().cancelled_by(token.clone()));
    let mut source = plugins.source(&library, r#"{"do": "wait"}"#, cancelled).unwrap();
    let mut stream = source.open(None).unwrap();
    let waiting = std::thread::spawn(move || stream.next().unwrap().unwrap_err().kind());
    std::thread::sleep(Duration::from_millis(50));
    token.cancel();
    assert_eq!(waiting.join().unwrap(), ErrorKind::Cancelled);
}

#[test]
fn tables_of_a_wrong_size_or_without_a_name_are_refused() {
    let dir = tempdir();
    for (define, expected) in [
        ("BAD_PLUGIN_SIZE", "it has no SDK version"),
        ("BAD_COMPONENT_SIZE", "component"),
        ("BAD_OPS_SIZE", "\"lengths\" lacks a function"),
        ("BAD_NULL_ID", "id"),
    ] {
        let text = Plugin::load(&lengths(&dir, define)).expect_err(define).to_string();
        assert!(text.contains(expected), "{define}: {text}");
    }
}

#[test]
fn whatever_a_bad_stage_answers_becomes_an_error_that_names_it() {
    let dir = tempdir();
    for (define, kind, expected) in [
        ("BAD_NULL_INSTANCE", ErrorKind::Internal, ""),
        ("BAD_NO_SCHEMA", ErrorKind::BadData, "schema"),
        ("BAD_EMPTY_MESSAGE", ErrorKind::Io, ""),
        ("BAD_NUL_MESSAGE", ErrorKind::Io, "before"),
        ("BAD_SILENT_CODE", ErrorKind::Internal, "-1"),
        ("BAD_SHORT_COLUMN", ErrorKind::BadData, "length"),
        ("BAD_NULL_COUNT", ErrorKind::BadData, "null count"),
        ("BAD_MISSING_BUFFER", ErrorKind::BadData, "buffers"),
        ("BAD_OFFSET", ErrorKind::BadData, "offset"),
    ] {
        let host = Arc::new(LocalHost::new());
        let error = stage(&lengths(&dir, define), &host)
            .and_then(|mut stage| {
                let input = texts(vec![Some("a"), Some("bc")]);
                stage.bind(input.schema())?;
                stage.push(input)?;
                pull_all(&mut *stage)
            })
            .expect_err(define);
        let text = error.to_string();
        assert_eq!(error.kind(), kind, "{define}: {text}");
        assert!(
            text.contains("lengths") && text.contains(expected) && !text.contains('\0'),
            "{define}: {text}"
        );
        assert_eq!(Arc::strong_count(&host), 1, "{define}");
    }
}

/// A thread that outlives its instance, which destroy should have joined, finds its code still there: libraries are never
/// unloaded.
#[test]
fn a_detached_thread_does_not_run_into_nothing() {
    let dir = tempdir();
    let host = Arc::new(LocalHost::new());
    let library = lengths(&dir, "BAD_DETACHED_THREAD");
    drop(stage(&library, &host).unwrap());
    drop(dir);
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(Arc::strong_count(&host), 1);
}

/// A call that neither returns nor heeds a cancel cannot be ended from inside the process: a thread that is killed takes locks
/// and half-changed memory with it. The caller waits for ever, and everybody else goes on. Plugins that are not trusted to
/// return run out of process, where they are killed.
#[test]
fn a_hanging_call_holds_up_its_caller_and_nobody_else() {
    let dir = tempdir();
    let host = Arc::new(LocalHost::new());
    let library = lengths(&dir, "BAD_HANG");
    let input = texts(vec![Some("a")]);
    let found = Plugins::new().find(Kind::Stage, library.to_str().unwrap()).unwrap();
    let mut hanging = found.load_stage("{}", host.clone()).unwrap();
    let canceller = hanging.canceller();
    hanging.bind(input.schema()).unwrap();
    let schema = input.schema();
    let caller = std::thread::spawn(move || hanging.push(input));
    std::thread::sleep(Duration::from_millis(50));
    canceller.cancel();
    std::thread::sleep(Duration::from_millis(200));
    assert!(!caller.is_finished());
    let mut other = stage(&library, &host).unwrap();
    assert!(other.bind(schema).is_ok());
    // The thread is left behind; it sleeps until the process ends.
}

/// Freeing memory twice damages the heap that host and plugin share, before anybody could look: no host survives that inside its
/// own process. The allocator ends this one, which is why the deed is done in a child.
#[test]
fn a_double_release_ends_its_process() {
    let executable = std::env::current_exe().unwrap();
    let child = Command::new(executable)
        .args(["--exact", "the_double_release_itself", "--ignored", "--nocapture"])
        .output()
        .unwrap();
    assert!(!child.status.success());
    let output =
        String::from_utf8_lossy(&child.stdout).into_owned() + &String::from_utf8_lossy(&child.stderr);
    assert!(output.contains("about to release"), "{output}");
    assert!(!output.contains("survived"), "{output}");
}

#[test]
#[ignore = "ends its process; a_double_release_ends_its_process runs it"]
fn the_double_release_itself() {
    let dir = tempdir();
    let mut stage = stage(&lengths(&dir, "BAD_DOUBLE_RELEASE"), &Arc::new(LocalHost::new())).unwrap();
    let input = texts(vec![Some("a")]);
    stage.bind(input.schema()).unwrap();
    stage.push(input).unwrap();
    let batches = pull_all(&mut *stage).unwrap();
    println!("about to release");
    drop(batches);
    println!("survived");
}
