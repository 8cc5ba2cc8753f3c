//! Stages, sinks and models behind hand-made tables, well-behaved and not.

use std::collections::BTreeMap;
use std::ffi::{c_char, c_void};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};
use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, StringViewArray};
use arrow_schema::SchemaRef;
use dfp_abi::c::{
    DFP_CONCURRENT, dfp_buf, dfp_component, dfp_error, dfp_fit_context, dfp_host, dfp_model_ops,
    dfp_sink_ops, dfp_stage_ops,
};
use dfp_abi::{
    ArrowArray, ArrowArrayStream, ArrowSchema, FFI_ArrowArray, FFI_ArrowSchema, ImportedStream, Kind, answer,
    borrowed_schema, bytes, export_batch, export_schema, import_batch, take_array, take_stream,
};
use dfp_core::{
    CancelToken, Error, ErrorKind, FitContext, Host, Level, Reject, Result, Sink, Stage, Trainer,
};

use crate::library::{LoadedComponent, read_component};
use crate::table::{Context, HOST};
use crate::{LocalHost, PLUGIN_VIOLATIONS, Secrets, SinkHandle, StageHandle, TrainerHandle};

/// What every instance and model of these tests is. The configuration is the name of a misdeed.
struct Thing {
    misdeed: String,
    host: *const dfp_host,
    ctx: *mut c_void,
    schema: Option<SchemaRef>,
    held: Option<RecordBatch>,
    calls: AtomicUsize,
}

unsafe fn thing<'a>(raw: *mut c_void) -> &'a mut Thing {
    unsafe { &mut *raw.cast::<Thing>() }
}

impl Thing {
    fn does(&self, misdeed: &str) -> Result<bool> {
        match self.misdeed.strip_suffix("-fails") {
            Some(failing) if failing == misdeed => Err(Error::new(ErrorKind::BadData, "as told")),
            _ => Ok(self.misdeed == misdeed),
        }
    }

    fn count(&self, counter: &str) {
        let counter = counter.as_bytes();
        unsafe { ((*self.host).count.unwrap())(self.ctx, counter.as_ptr().cast(), counter.len(), 1) };
    }

    fn take(&self, batch: *mut ArrowArray) -> RecordBatch {
        unsafe { import_batch(take_array(batch).unwrap(), self.schema.as_ref().unwrap()) }.unwrap()
    }
}

unsafe extern "C" fn create(
    host: *const dfp_host,
    ctx: *mut c_void,
    config: *const c_char,
    config_len: usize,
    out: *mut *mut c_void,
    error: *mut dfp_error,
) -> i32 {
    let config = unsafe { bytes(config.cast(), config_len) }.unwrap();
    let config: BTreeMap<String, String> = serde_json::from_slice(config).unwrap();
    let misdeed = config.into_values().next().unwrap_or_default();
    let thing = Thing { misdeed, host, ctx, schema: None, held: None, calls: AtomicUsize::new(0) };
    let made = thing.does("create").map(|nothing| {
        thing.count("created");
        let raw = if nothing { std::ptr::null_mut() } else { Box::into_raw(Box::new(thing)).cast() };
        unsafe { out.write(raw) };
    });
    unsafe { answer(made, error) }
}

unsafe extern "C" fn destroy(raw: *mut c_void) {
    if !raw.is_null() {
        unsafe { thing(raw) }.count("destroyed");
        drop(unsafe { Box::from_raw(raw.cast::<Thing>()) });
    }
}

unsafe extern "C" fn introspect(raw: *mut c_void, out: *mut dfp_buf, error: *mut dfp_error) -> i32 {
    let result = unsafe { thing(raw) }.does("introspect").map(|odd| {
        let text: &[u8] = if odd { b"[1]" } else { b"{\"rows\": 7}" };
        unsafe { out.write(dfp_buf::from_vec(text.to_vec())) };
    });
    unsafe { answer(result, error) }
}

unsafe fn give_schema(out: *mut ArrowSchema, schema: &SchemaRef) {
    unsafe { out.cast::<FFI_ArrowSchema>().write(export_schema(schema).unwrap()) };
}

unsafe fn give_batch(out: *mut ArrowArray, batch: RecordBatch) {
    let schema = batch.schema();
    unsafe { out.cast::<FFI_ArrowArray>().write(export_batch(batch, &schema).unwrap()) };
}

// A stage that gives back what it gets.

unsafe extern "C" fn stage_bind(
    raw: *mut c_void,
    input: *const ArrowSchema,
    out: *mut ArrowSchema,
    error: *mut dfp_error,
) -> i32 {
    let stage = unsafe { thing(raw) };
    let result = stage.does("bind").map(|_| {
        stage.schema = Some(unsafe { borrowed_schema(input) }.unwrap());
        unsafe { give_schema(out, stage.schema.as_ref().unwrap()) };
    });
    unsafe { answer(result, error) }
}

unsafe extern "C" fn stage_push(raw: *mut c_void, batch: *mut ArrowArray, error: *mut dfp_error) -> i32 {
    let stage = unsafe { thing(raw) };
    let result = stage.does("leave").and_then(|leave| {
        if !leave {
            stage.held = Some(stage.take(batch));
            stage.does("push")?;
        }
        Ok(())
    });
    unsafe { answer(result, error) }
}

unsafe extern "C" fn stage_pull(raw: *mut c_void, out: *mut ArrowArray, error: *mut dfp_error) -> i32 {
    let stage = unsafe { thing(raw) };
    let result = stage.does("pull-other").map(|other| match stage.held.take() {
        Some(_) if other => unsafe { give_batch(out, words()) },
        Some(batch) => unsafe { give_batch(out, batch) },
        None => (),
    });
    unsafe { answer(result, error) }
}

unsafe extern "C" fn finish(raw: *mut c_void, error: *mut dfp_error) -> i32 {
    let thing = unsafe { thing(raw) };
    thing.count("finished");
    unsafe { answer(thing.does("finish").map(drop), error) }
}

const STAGE: dfp_stage_ops = dfp_stage_ops {
    struct_size: size_of::<dfp_stage_ops>() as u32,
    reserved: 0,
    create: Some(create),
    destroy: Some(destroy),
    request_cancel: None,
    introspect: Some(introspect),
    bind: Some(stage_bind),
    push: Some(stage_push),
    pull: Some(stage_pull),
    finish: Some(finish),
};

// A sink that counts.

unsafe extern "C" fn sink_bind(raw: *mut c_void, input: *const ArrowSchema, error: *mut dfp_error) -> i32 {
    let sink = unsafe { thing(raw) };
    sink.schema = Some(unsafe { borrowed_schema(input) }.unwrap());
    unsafe { answer(sink.does("bind").map(drop), error) }
}

unsafe extern "C" fn sink_write(raw: *mut c_void, batch: *mut ArrowArray, error: *mut dfp_error) -> i32 {
    let sink = unsafe { thing(raw) };
    if sink.misdeed != "leave" {
        let rows = sink.take(batch).num_rows();
        (0..rows).for_each(|_| sink.count("rows"));
    }
    unsafe { answer(sink.does("write").map(drop), error) }
}

const SINK: dfp_sink_ops = dfp_sink_ops {
    struct_size: size_of::<dfp_sink_ops>() as u32,
    reserved: 0,
    create: Some(create),
    destroy: Some(destroy),
    request_cancel: None,
    introspect: None,
    bind: Some(sink_bind),
    write: Some(sink_write),
    flush: Some(finish),
    close: Some(finish),
};

// A model whose score is the value less the mean of what it learned from. It is saved as that mean's text.

unsafe fn new_model(trainer: &Thing, mean: f64) -> *mut c_void {
    let model = Thing {
        misdeed: trainer.misdeed.clone(),
        host: trainer.host,
        ctx: trainer.ctx,
        schema: Some(numbers([]).schema()),
        held: Some(
            RecordBatch::try_from_iter([("mean", Arc::new(Float64Array::from(vec![mean])) as ArrayRef)])
                .unwrap(),
        ),
        calls: AtomicUsize::new(0),
    };
    model.count("models");
    Box::into_raw(Box::new(model)).cast()
}

fn mean(batch: &RecordBatch) -> Result<f64> {
    let column = batch.column_by_name("n").ok_or_else(|| Error::new(ErrorKind::SchemaMismatch, "no n"))?;
    let values = column.as_primitive::<Int64Type>().values();
    if values.is_empty() {
        return Err(Error::new(ErrorKind::BadData, "no rows"));
    }
    Ok(values.iter().sum::<i64>() as f64 / values.len() as f64)
}

/// Whether calls on a thing overlapped.
fn overlapping(thing: &Thing) -> bool {
    let others = thing.calls.fetch_add(1, Ordering::SeqCst);
    std::thread::sleep(Duration::from_millis(20));
    thing.calls.fetch_sub(1, Ordering::SeqCst);
    others > 0
}

unsafe fn batches(stream: *mut ArrowArrayStream) -> Vec<RecordBatch> {
    let stream = unsafe { take_stream(stream) }.unwrap();
    let Ok(stream) = (unsafe { ImportedStream::new(stream, &numbers([]).schema()) }) else { return vec![] };
    stream.map(Result::unwrap).collect()
}

unsafe extern "C" fn fit(
    raw: *mut c_void,
    context: *const dfp_fit_context,
    data: *mut ArrowArrayStream,
    out: *mut *mut c_void,
    error: *mut dfp_error,
) -> i32 {
    let trainer = unsafe { thing(raw) };
    let result = (|| {
        if trainer.does("leave")? {
            unsafe { out.write(new_model(trainer, 0.0)) };
            return Ok(());
        }
        let data = unsafe { batches(data) };
        if trainer.does("wait")? {
            let host = unsafe { &*trainer.host };
            while unsafe { host.is_cancelled.unwrap()(trainer.ctx) } == 0 {
                std::thread::sleep(Duration::from_millis(5));
            }
            return Err(Error::new(ErrorKind::Cancelled, "asked to"));
        }
        if trainer.does("overlap")? && overlapping(trainer) {
            trainer.count("overlapped");
        }
        if trainer.does("fit-nothing")? {
            return Ok(());
        }
        let context = unsafe { &*context };
        let mut mean = mean(&data[0])?;
        if let Some(population) = unsafe { bytes(context.population, context.population_len) } {
            mean += std::str::from_utf8(population).unwrap().parse::<f64>().unwrap();
        }
        unsafe { out.write(new_model(trainer, mean)) };
        Ok(())
    })();
    unsafe { answer(result, error) }
}

unsafe extern "C" fn fit_many(
    raw: *mut c_void,
    _context: *const dfp_fit_context,
    data: *mut ArrowArrayStream,
    count: usize,
    models: *mut *mut c_void,
    errors: *mut dfp_error,
    error: *mut dfp_error,
) -> i32 {
    let trainer = unsafe { thing(raw) };
    trainer.count("many");
    let data = unsafe { batches(data) };
    assert_eq!(data.len(), count);
    for (index, batch) in data.iter().enumerate() {
        match mean(batch) {
            Ok(mean) => unsafe { models.add(index).write(new_model(trainer, mean)) },
            Err(failure) if trainer.misdeed != "silent" => {
                unsafe { answer(Err(failure), errors.add(index)) };
            }
            Err(_) => (),
        }
    }
    unsafe { answer(trainer.does("many").map(drop), error) }
}

unsafe extern "C" fn load(
    raw: *mut c_void,
    data: *const u8,
    len: usize,
    out: *mut *mut c_void,
    error: *mut dfp_error,
) -> i32 {
    let trainer = unsafe { thing(raw) };
    let text = std::str::from_utf8(unsafe { bytes(data, len) }.unwrap()).unwrap();
    let result = text
        .parse()
        .map(|mean| unsafe { out.write(new_model(trainer, mean)) })
        .map_err(|_| Error::new(ErrorKind::BadData, "no number"));
    unsafe { answer(result, error) }
}

unsafe extern "C" fn model_schema(model: *mut c_void, out: *mut ArrowSchema, _: *mut dfp_error) -> i32 {
    unsafe { give_schema(out, thing(model).schema.as_ref().unwrap()) };
    0
}

unsafe extern "C" fn score_schema(model: *mut c_void, out: *mut ArrowSchema, _: *mut dfp_error) -> i32 {
    let other = unsafe { thing(model) }.misdeed == "no-score";
    unsafe { give_schema(out, &if other { words().schema() } else { scores(vec![]).schema() }) };
    0
}

unsafe extern "C" fn score(
    model: *mut c_void,
    batch: *mut ArrowArray,
    out: *mut ArrowArray,
    error: *mut dfp_error,
) -> i32 {
    let model = unsafe { thing(model) };
    if model.misdeed == "leave" {
        return 0;
    }
    let batch = model.take(batch);
    if model.misdeed == "overlap" && overlapping(model) {
        model.count("overlapped");
    }
    if model.misdeed == "score-panics" {
        return unsafe { answer(Err(Error::new(ErrorKind::Panic, "row 7")), error) };
    }
    let mean = model.held.as_ref().unwrap().column(0).as_primitive::<Float64Type>().value(0);
    let values = batch.column(0).as_primitive::<Int64Type>().values().iter();
    let mut answers: Vec<_> = values.map(|n| Some(*n as f64 - mean)).collect();
    match model.misdeed.as_str() {
        "few-rows" => drop(answers.pop()),
        "null-score" => answers[0] = None,
        _ => (),
    }
    unsafe { give_batch(out, scores(answers)) };
    0
}

unsafe extern "C" fn save(model: *mut c_void, out: *mut dfp_buf, _: *mut dfp_error) -> i32 {
    let model = unsafe { thing(model) };
    if model.misdeed != "save-nothing" {
        let mean = model.held.as_ref().unwrap().column(0).as_primitive::<Float64Type>().value(0);
        unsafe { out.write(dfp_buf::from_vec(mean.to_string().into_bytes())) };
    }
    0
}

unsafe extern "C" fn model_destroy(model: *mut c_void) {
    unsafe { thing(model) }.count("models_destroyed");
    drop(unsafe { Box::from_raw(model.cast::<Thing>()) });
}

const MODEL: dfp_model_ops = dfp_model_ops {
    struct_size: size_of::<dfp_model_ops>() as u32,
    reserved: 0,
    create: Some(create),
    destroy: Some(destroy),
    request_cancel: None,
    introspect: None,
    fit: Some(fit),
    fit_many: Some(fit_many),
    load: Some(load),
    model_schema: Some(model_schema),
    score_schema: Some(score_schema),
    score: Some(score),
    save: Some(save),
    model_destroy: Some(model_destroy),
};

// What the tests are made of.

fn numbers(numbers: impl IntoIterator<Item = i64>) -> RecordBatch {
    let column: ArrayRef = Arc::new(Int64Array::from_iter_values(numbers));
    RecordBatch::try_from_iter([("n", column)]).unwrap()
}

fn words() -> RecordBatch {
    let column: ArrayRef = Arc::new(StringArray::from(vec!["a", "b"]));
    RecordBatch::try_from_iter([("word", column)]).unwrap()
}

fn scores(scores: Vec<Option<f64>>) -> RecordBatch {
    let column: ArrayRef = Arc::new(Float64Array::from(scores));
    RecordBatch::try_from_iter_with_nullable([("score", column, true)]).unwrap()
}

/// A component as the loader reads it.
fn read<T: 'static>(kind: u32, ops: T, flags: u64) -> Result<Option<LoadedComponent>, String> {
    let ops: &'static T = Box::leak(Box::new(ops));
    let component = Box::leak(Box::new(dfp_component {
        struct_size: size_of::<dfp_component>() as u32,
        kind,
        id: c"thing".as_ptr(),
        title: std::ptr::null(),
        config_schema: c"{}".as_ptr(),
        profile: std::ptr::null(),
        flags,
        ops: std::ptr::from_ref(ops).cast(),
    }));
    unsafe { read_component(component) }
}

fn component<T: 'static>(kind: Kind, ops: T, flags: u64) -> &'static LoadedComponent {
    Box::leak(Box::new(read(kind as u32, ops, flags).unwrap().unwrap()))
}

fn config(misdeed: &str) -> String {
    serde_json::json!({ "misdeed": misdeed }).to_string()
}

fn host() -> Arc<LocalHost> {
    Arc::new(LocalHost::new())
}

fn stage(misdeed: &str, host: &Arc<LocalHost>) -> StageHandle {
    StageHandle::create(component(Kind::Stage, STAGE, 0), &config(misdeed), host.clone()).unwrap()
}

fn sink(misdeed: &str, host: &Arc<LocalHost>) -> SinkHandle {
    SinkHandle::create(component(Kind::Sink, SINK, 0), &config(misdeed), host.clone()).unwrap()
}

fn trainer_of(ops: dfp_model_ops, flags: u64, misdeed: &str, host: &Arc<LocalHost>) -> TrainerHandle {
    TrainerHandle::create(component(Kind::Model, ops, flags), &config(misdeed), host.clone()).unwrap()
}

fn trainer(misdeed: &str, host: &Arc<LocalHost>) -> TrainerHandle {
    trainer_of(MODEL, 0, misdeed, host)
}

fn kind<T>(result: Result<T>) -> ErrorKind {
    result.err().expect("it fails").kind()
}

fn text<T>(result: Result<T>) -> String {
    result.err().expect("it fails").to_string()
}

#[test]
fn tables_without_a_needed_function_are_refused_and_unknown_kinds_passed_over() {
    let lacks = |result: Result<Option<LoadedComponent>, String>| {
        assert!(result.unwrap_err().contains("lacks a function"));
    };
    lacks(read(2, dfp_stage_ops { pull: None, ..STAGE }, 0));
    lacks(read(3, dfp_sink_ops { close: None, ..SINK }, 0));
    lacks(read(4, dfp_model_ops { model_destroy: None, ..MODEL }, 0));
    // Shorter than its last function.
    lacks(read(2, dfp_stage_ops { struct_size: 64, ..STAGE }, 0));
    lacks(read(4, dfp_model_ops { struct_size: 0, ..MODEL }, 0));
    assert!(read(99, STAGE, 0).unwrap().is_none());
    assert_eq!(component(Kind::Model, MODEL, DFP_CONCURRENT).flags, DFP_CONCURRENT);
    // Longer than this host knows.
    component(Kind::Sink, dfp_sink_ops { struct_size: 4096, ..SINK }, 0);
}

#[test]
fn a_stage_passes_batches_in_its_order_of_calls() {
    let host = host();
    let mut stage = stage("", &host);
    let batch = numbers([1, 2]);
    assert_eq!(kind(stage.push(batch.clone())), ErrorKind::InvalidState);
    assert_eq!(kind(stage.pull()), ErrorKind::InvalidState);
    assert_eq!(stage.bind(batch.schema()).unwrap(), batch.schema());
    assert_eq!(kind(stage.bind(batch.schema())), ErrorKind::InvalidState);
    for _ in 0..2 {
        stage.push(batch.clone()).unwrap();
        assert_eq!(kind(stage.push(batch.clone())), ErrorKind::InvalidState, "not pulled yet");
        assert_eq!(stage.pull().unwrap(), Some(batch.clone()));
        assert_eq!(stage.pull().unwrap(), None);
    }
    // A fault of the caller does not cost the instance.
    assert_eq!(kind(stage.push(words())), ErrorKind::SchemaMismatch);
    assert_eq!(stage.introspect().unwrap().unwrap()["rows"], 7);
    stage.finish().unwrap();
    assert_eq!(kind(stage.push(batch)), ErrorKind::InvalidState);
    assert_eq!(kind(stage.finish()), ErrorKind::InvalidState);
    assert_eq!(stage.pull().unwrap(), None);
    drop(stage);
    assert_eq!((host.counter("created"), host.counter("destroyed")), (1, 1));
    assert_eq!(host.counter(PLUGIN_VIOLATIONS), 0);
    assert_eq!(Arc::strong_count(&host), 1);
}

#[test]
fn a_stage_that_failed_takes_no_more_calls() {
    let batch = numbers([1]);
    for (misdeed, expected) in [
        ("push-fails", ErrorKind::BadData),
        ("pull-other-fails", ErrorKind::BadData),
        ("pull-other", ErrorKind::BadData),
        ("finish-fails", ErrorKind::BadData),
    ] {
        let host = host();
        let mut stage = stage(misdeed, &host);
        stage.bind(batch.schema()).unwrap();
        let run = |stage: &mut StageHandle| {
            stage.push(batch.clone())?;
            while stage.pull()?.is_some() {}
            stage.finish()
        };
        let error = run(&mut stage).unwrap_err();
        assert_eq!(error.kind(), expected, "{misdeed}: {error}");
        assert!(error.to_string().contains("stage thing"), "{error}");
        assert_eq!(kind(stage.pull()), ErrorKind::Poisoned, "{misdeed}");
        assert_eq!(kind(stage.introspect()), ErrorKind::Poisoned, "{misdeed}");
        drop(stage);
        assert_eq!(host.counter("destroyed"), 1);
    }
    let component = component(Kind::Stage, STAGE, 0);
    let create = |misdeed| StageHandle::create(component, &config(misdeed), host());
    assert_eq!(kind(create("create-fails")), ErrorKind::BadData);
    assert!(text(create("create")).contains("made nothing"));
    assert!(text(stage("introspect", &host()).introspect()).contains("no JSON object"));
    assert_eq!(kind(stage("bind-fails", &host()).bind(batch.schema())), ErrorKind::BadData);
}

#[test]
fn types_that_do_not_cross_are_refused_before_the_plugin_sees_them() {
    let column: ArrayRef = Arc::new(StringViewArray::from(vec!["a"]));
    let schema = RecordBatch::try_from_iter([("seen", column)]).unwrap().schema();
    let mut stage = stage("", &host());
    let error = stage.bind(schema.clone()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("\"seen\""), "{error}");
    stage.bind(numbers([]).schema()).unwrap();
    assert_eq!(kind(sink("", &host()).bind(schema)), ErrorKind::Unsupported);
}

#[test]
fn what_a_plugin_leaves_unreleased_is_released_counted_and_logged() {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let log = lines.clone();
    let host = LocalHost::new()
        .on_log(Level::Warn, move |_, target, line| log.lock().unwrap().push(format!("{target}: {line}")));
    let host = Arc::new(host);
    let batch = numbers([1, 2, 3]);
    let shared = batch.column(0).clone();

    let mut stage = stage("leave", &host);
    stage.bind(batch.schema()).unwrap();
    stage.push(batch.clone()).unwrap();
    let mut sink = sink("leave", &host);
    sink.bind(batch.schema()).unwrap();
    sink.write(&batch).unwrap();
    let trainer = trainer("leave", &host);
    let model = trainer.fit(&batch, &FitContext::default()).unwrap();
    assert!(text(model.score(&batch)).contains("gave no batch"));

    assert_eq!(host.counter(PLUGIN_VIOLATIONS), 4);
    let lines = lines.lock().unwrap();
    assert!(lines[0].starts_with("stage thing: pushing to stage thing: it did not release"), "{lines:?}");
    // Ours, and the one in `batch`.
    assert_eq!(Arc::strong_count(&shared), 2);
}

#[test]
fn a_sink_binds_writes_flushes_and_closes_once() {
    let host = host();
    let mut sink = sink("", &host);
    let batch = numbers([1, 2, 3]);
    assert_eq!(kind(sink.write(&batch)), ErrorKind::InvalidState);
    assert_eq!(kind(sink.flush()), ErrorKind::InvalidState);
    sink.bind(batch.schema()).unwrap();
    sink.write(&batch).unwrap();
    assert_eq!(kind(sink.write(&words())), ErrorKind::SchemaMismatch);
    sink.write(&batch.slice(1, 2)).unwrap();
    sink.flush().unwrap();
    sink.close().unwrap();
    assert_eq!(kind(sink.close()), ErrorKind::InvalidState);
    assert_eq!(kind(sink.bind(batch.schema())), ErrorKind::InvalidState);
    assert_eq!((host.counter("rows"), host.counter("finished")), (5, 2));
    assert_eq!(sink.introspect().unwrap(), None);

    let mut sink = self::sink("write-fails", &host);
    sink.bind(batch.schema()).unwrap();
    assert_eq!(kind(sink.write(&batch)), ErrorKind::BadData);
    assert_eq!(kind(sink.close()), ErrorKind::Poisoned);
}

#[test]
fn a_model_is_fitted_saved_loaded_and_outlives_its_trainer() {
    let host = host();
    let trainer = trainer("", &host);
    let model = trainer.fit(&numbers([2, 4]), &FitContext::default()).unwrap();
    let population = FitContext { population: Some(model.save().unwrap().into()), ..FitContext::default() };
    let backed = trainer.fit(&numbers([2, 4]), &population).unwrap();
    assert_eq!(backed.save().unwrap(), b"6");
    let loaded = trainer.load(&model.save().unwrap()).unwrap();
    drop((trainer, model));
    assert_eq!(host.counter("destroyed"), 1);

    // More columns than needed, in another order.
    let batch = numbers([3, 7]);
    let words: ArrayRef = words().column(0).clone();
    let wide = RecordBatch::try_from_iter([("word", words), ("n", batch.column(0).clone())]).unwrap();
    assert_eq!(loaded.schema(), batch.schema());
    for batch in [&batch, &wide] {
        assert_eq!(loaded.score(batch).unwrap(), scores(vec![Some(0.0), Some(4.0)]));
    }
    assert_eq!(loaded.score(&numbers([])).unwrap().num_rows(), 0);
    assert!(text(loaded.score(&self::words())).contains("column \"n\" is missing"));
    let floats: ArrayRef = Arc::new(Float64Array::from(vec![1.0]));
    let floats = RecordBatch::try_from_iter([("n", floats)]).unwrap();
    assert!(text(loaded.score(&floats)).contains("Float64, not Int64"));
    drop((loaded, backed));
    assert_eq!((host.counter("models"), host.counter("models_destroyed")), (3, 3));
    assert_eq!(Arc::strong_count(&host), 1);
}

#[test]
fn models_that_do_not_keep_their_word_are_told_so() {
    let host = host();
    let fitted = |misdeed: &str| trainer(misdeed, &host).fit(&numbers([2]), &FitContext::default());
    let scored = |misdeed: &str| fitted(misdeed).unwrap().score(&numbers([1, 2]));
    assert!(text(fitted("no-score")).contains("first column is not score"));
    assert!(text(fitted("fit-nothing")).contains("made no model"));
    assert!(text(scored("few-rows")).contains("1 rows for 2"));
    assert!(text(scored("null-score")).contains("null"));
    assert!(text(fitted("save-nothing").unwrap().save()).contains("no bytes"));
    let model = fitted("score-panics").unwrap();
    assert_eq!(kind(model.score(&numbers([1]))), ErrorKind::Panic);
    assert_eq!(kind(model.score(&numbers([1]))), ErrorKind::Poisoned);
    drop(model);
    assert_eq!(host.counter("models"), host.counter("models_destroyed"));
}

#[test]
fn one_failed_fit_is_nobody_elses() {
    let groups = [numbers([1, 3]), numbers([]), numbers([5])];
    let one_by_one = dfp_model_ops { fit_many: None, ..MODEL };
    for (ops, many) in [(MODEL, 1), (one_by_one, 0)] {
        let host = host();
        let trainer = trainer_of(ops, 0, "", &host);
        let models = trainer.fit_many(&groups, &FitContext { threads: 2, ..FitContext::default() });
        assert_eq!(models[0].as_ref().unwrap().save().unwrap(), b"2");
        let error = models[1].as_ref().err().unwrap();
        assert_eq!(error.kind(), ErrorKind::BadData);
        assert!(error.to_string().contains("no rows"), "{error}");
        assert_eq!(models[2].as_ref().unwrap().save().unwrap(), b"5");
        assert_eq!(host.counter("many"), many);
        assert!(trainer.fit_many(&[], &FitContext::default()).is_empty());
        // Nor is it the end of the trainer: a failed instance is replaced.
        assert_eq!(kind(trainer.load(b"?")), ErrorKind::BadData);
        trainer.load(b"1").unwrap();
        let created = host.counter("created");
        drop((trainer, models));
        assert_eq!(host.counter("destroyed"), created);
        assert_eq!(Arc::strong_count(&host), 1);
    }
}

#[test]
fn a_call_for_many_that_fails_or_is_silent_still_answers_for_each() {
    let host = host();
    let groups = vec![numbers([]); 1500];
    let silent = trainer("silent", &host).fit_many(&groups, &FitContext::default());
    assert_eq!(silent.len(), 1500);
    assert!(silent.iter().all(|answer| {
        text(answer.as_ref().map_err(|e| Error::new(e.kind(), e.to_string()))).contains("does not say why")
    }));
    assert_eq!(host.counter("many"), 2, "in chunks");

    let trainer = trainer("many-fails", &host);
    let answers = trainer.fit_many(&[numbers([1]), numbers([])], &FitContext::default());
    assert!(answers[0].is_ok());
    assert!(answers[1].as_ref().err().unwrap().to_string().contains("no rows"));
    // Groups of different schemas do not fit one stream.
    let column: ArrayRef = Arc::new(Int64Array::from(vec![1]));
    let wide = RecordBatch::try_from_iter([("n", column.clone()), ("m", column)]).unwrap();
    let before = host.counter("many");
    let mixed = self::trainer("fit-nothing", &host).fit_many(&[numbers([1]), wide], &FitContext::default());
    assert!(mixed.iter().all(Result::is_err));
    assert_eq!(host.counter("many"), before);
}

#[test]
fn calls_overlap_only_if_the_component_says_so() {
    for (flags, overlaps) in [(0, false), (DFP_CONCURRENT, true)] {
        let host = host();
        let trainer = trainer_of(dfp_model_ops { fit_many: None, ..MODEL }, flags, "overlap", &host);
        let groups = vec![numbers([1]); 4];
        let models = trainer.fit_many(&groups, &FitContext { threads: 4, ..FitContext::default() });
        assert_eq!(host.counter("overlapped") > 0, overlaps);
        let before = host.counter("overlapped");
        let model = models.into_iter().next().unwrap().unwrap();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| model.score(&numbers([1])).unwrap());
            }
        });
        assert_eq!(host.counter("overlapped") > before, overlaps);
    }
}

#[test]
fn a_fit_is_cancelled_by_the_token_of_its_context() {
    let host = host();
    let trainer = trainer("wait", &host);
    let cancel = CancelToken::default();
    let context = FitContext { cancel: cancel.clone(), ..FitContext::default() };
    let start = Instant::now();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| kind(trainer.fit(&numbers([1]), &context)));
        std::thread::sleep(Duration::from_millis(30));
        assert!(!waiting.is_finished());
        cancel.cancel();
        assert_eq!(waiting.join().unwrap(), ErrorKind::Cancelled);
    });
    assert!(start.elapsed() < Duration::from_secs(1));
    // The cancelled token is gone with its fit, and the instance lives on.
    assert_eq!(host.counter("created"), 1);
    trainer.load(b"1").unwrap();
}

/// A host that is nobody.
struct Nobody;

impl Host for Nobody {
    fn log_enabled(&self, _: Level) -> bool {
        false
    }
    fn log(&self, _: Level, _: &str, _: &str) {}
    fn is_cancelled(&self) -> bool {
        false
    }
    fn open(&self, uri: &str) -> Result<Box<dyn std::io::Read + Send>> {
        Err(Error::new(ErrorKind::Unsupported, uri))
    }
    fn reject(&self, _: Reject) {}
    fn count(&self, _: &str, _: u64) {}
}

#[test]
fn any_host_serves() {
    let mut stage = StageHandle::create(component(Kind::Stage, STAGE, 0), "{}", Arc::new(Nobody)).unwrap();
    stage.bind(numbers([]).schema()).unwrap();
    stage.push(numbers([1])).unwrap();
    assert_eq!(stage.pull().unwrap(), Some(numbers([1])));
}

#[test]
fn secrets_cross_the_border_by_name_and_stay_out_of_messages() {
    let secrets = Secrets::of([("token", "s3cr3t")]);
    let host = Arc::new(LocalHost::new().secrets(secrets));
    let fetch = |host: Arc<dyn Host>, name: &str| {
        let context = Context::new(host);
        let (mut secret, mut error) = (dfp_buf::default(), dfp_error::default());
        let ctx = (&raw const context).cast_mut().cast();
        let get = HOST.get_secret.unwrap();
        let code = unsafe { get(ctx, name.as_ptr().cast(), name.len(), &raw mut secret, &raw mut error) };
        error.outcome(code, "fetching").map(|()| unsafe { secret.to_vec() })
    };
    assert_eq!(fetch(host.clone(), "token").unwrap().unwrap(), b"s3cr3t");
    for (name, expected) in [("tokens", ErrorKind::NotFound), ("../x", ErrorKind::InvalidArgument)] {
        let error = fetch(host.clone(), name).unwrap_err();
        assert_eq!(error.kind(), expected);
        assert!(error.to_string().contains(name) && !error.to_string().contains("s3cr3t"), "{error}");
    }
    assert_eq!(kind(fetch(self::host(), "token")), ErrorKind::NotFound);
    assert_eq!(kind(fetch(Arc::new(Nobody), "token")), ErrorKind::Unsupported);
}
