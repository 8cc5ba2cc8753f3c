//! Both ends over pipes inside one process: components of every kind, and children that lie.

use std::io::{PipeReader, PipeWriter, pipe};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, mpsc};
use std::thread;
use std::time::Instant;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use dfp_core::{FitContext, Model, Reject, Sink, Stage, Trainer};

use super::batch::encode_batch;
use super::frame::{Frame, Pack};
use super::protocol::{host_op, tag};
use super::serve::{Offer, Served, serve_with};
use super::*;
use crate::Secrets;

fn options() -> RemoteOptions {
    RemoteOptions { library: None, id: Some("x".to_owned()), sandbox: false, ..RemoteOptions::new("", "") }
}

/// A connection to what `child` does at the other end.
fn connect(
    options: &RemoteOptions,
    kind: Kind,
    host: Arc<dyn Host>,
    child: impl FnOnce(PipeReader, PipeWriter) + Send + 'static,
) -> Result<Made> {
    let (orders, to_child) = pipe().unwrap();
    let (from_child, answers) = pipe().unwrap();
    thread::spawn(move || child(orders, answers));
    let wanted = options.wanted(kind, "{}");
    options.connect(options.name(kind.name()), Some(wanted), host, (from_child, to_child), Process::none())
}

/// A connection to `component`, honestly served.
fn served(
    options: &RemoteOptions,
    kind: Kind,
    component: impl FnOnce(Arc<dyn Host>) -> Component + Send + 'static,
) -> Result<Made> {
    connect(options, kind, Arc::new(LocalHost::new()), |input, output| {
        let make = |_: &Hello, host: Arc<dyn Host>| {
            Ok(Offer::Component(Served { component: component(host), instance: None }))
        };
        serve_with(input, output, make, || ()).unwrap();
    })
}

fn numbers(values: &[i64]) -> RecordBatch {
    let column: ArrayRef = Arc::new(Int64Array::from(values.to_vec()));
    RecordBatch::try_from_iter([("n", column)]).unwrap()
}

/// Gives every batch twice; fails or panics when told to by a number.
struct Twice(Vec<RecordBatch>);

impl Stage for Twice {
    fn bind(&mut self, input: SchemaRef) -> Result<SchemaRef> {
        Ok(input)
    }

    fn push(&mut self, batch: RecordBatch) -> Result<()> {
        match batch.column(0).as_primitive::<Int64Type>().values().first() {
            Some(-1) => return Err(Error::new(ErrorKind::BadData, "minus one")),
            Some(-2) => panic!("minus two"),
            _ => {}
        }
        self.0.extend([batch.clone(), batch]);
        Ok(())
    }

    fn pull(&mut self) -> Result<Option<RecordBatch>> {
        Ok(self.0.pop())
    }

    fn finish(&mut self) -> Result<()> {
        Ok(())
    }
}

#[test]
fn a_stage_works_fails_and_panics_at_the_other_end() {
    let made = served(&options(), Kind::Stage, |_| Component::Stage(Box::new(Twice(Vec::new()))));
    let mut stage = RemoteStage::made(made.unwrap());
    let batch = numbers(&[1, 2, 3]);
    assert_eq!(stage.bind(batch.schema()).unwrap(), batch.schema());
    for batch in [batch.clone(), batch.slice(1, 1), batch.slice(0, 0)] {
        stage.push(batch.clone()).unwrap();
        assert_eq!(stage.pull().unwrap().unwrap(), batch);
        assert_eq!(stage.pull().unwrap().unwrap(), batch);
        assert!(stage.pull().unwrap().is_none());
    }
    let error = stage.push(numbers(&[-1])).unwrap_err();
    assert_eq!(
        (error.kind(), error.to_string().as_str()),
        (ErrorKind::BadData, "stage x in its own process: minus one")
    );
    assert_eq!(stage.push(numbers(&[-2])).unwrap_err().kind(), ErrorKind::Panic);
    stage.finish().unwrap();
}

#[test]
fn a_component_of_another_kind_is_refused() {
    let made = served(&options(), Kind::Sink, |_| Component::Stage(Box::new(Twice(Vec::new()))));
    let error = made.err().expect("a stage is no sink");
    assert!(error.to_string().contains("it is a stage, not a sink"), "{error}");
}

type Seen = Arc<Mutex<Vec<String>>>;

/// Writes down what is asked of it.
struct Diary(Seen);

impl Diary {
    fn note(&self, what: &str) {
        self.0.lock().unwrap().push(what.to_owned());
    }
}

impl Drop for Diary {
    fn drop(&mut self) {
        self.note("drop");
    }
}

impl Sink for Diary {
    fn bind(&mut self, schema: SchemaRef) -> Result<()> {
        self.note(&format!("bind {}", schema.field(0).name()));
        Ok(())
    }

    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.note(&format!("write {}", batch.num_rows()));
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        self.note("flush");
        Ok(())
    }

    fn close(&mut self) -> Result<()> {
        self.note("close");
        Ok(())
    }
}

#[test]
fn a_sink_is_called_in_order_and_dropped_before_its_handle_is_gone() {
    let seen = Seen::default();
    let diary = Diary(seen.clone());
    let made = served(&options(), Kind::Sink, |_| Component::Sink(Box::new(diary))).unwrap();
    let mut sink = RemoteSink::made(made);
    sink.bind(numbers(&[]).schema()).unwrap();
    sink.write(&numbers(&[1, 2])).unwrap();
    sink.flush().unwrap();
    sink.close().unwrap();
    drop(sink);
    assert_eq!(*seen.lock().unwrap(), ["bind n", "write 2", "flush", "close", "drop"]);
}

/// Remembers the first number of what it was fitted on.
struct First;

struct Constant(i64);

impl Trainer for First {
    fn fit(&self, data: &RecordBatch, context: &FitContext) -> Result<Arc<dyn Model>> {
        if context.population.is_some() {
            context.cancel.check("fitting")?;
        }
        let first = data.column(0).as_primitive::<Int64Type>().values().first();
        let first = first.ok_or_else(|| Error::new(ErrorKind::BadData, "no rows"))?;
        Ok(Arc::new(Constant(*first)))
    }

    fn load(&self, bytes: &[u8]) -> Result<Arc<dyn Model>> {
        let bytes = bytes.try_into().map_err(|_| Error::new(ErrorKind::BadData, "no eight bytes"))?;
        Ok(Arc::new(Constant(i64::from_le_bytes(bytes))))
    }
}

impl Model for Constant {
    fn schema(&self) -> SchemaRef {
        numbers(&[]).schema()
    }

    fn score(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        // Told to lie about its rows.
        let rows = if self.0 == 13 { 1 } else { batch.num_rows() };
        let column: ArrayRef = Arc::new(Float64Array::from(vec![self.0 as f64; rows]));
        Ok(RecordBatch::try_from_iter([("score", column)])?)
    }

    fn save(&self) -> Result<Vec<u8>> {
        Ok(self.0.to_le_bytes().to_vec())
    }
}

#[test]
fn models_are_fitted_saved_and_loaded_and_outlive_their_trainer() {
    let made = served(&options(), Kind::Model, |_| Component::Model(Box::new(First))).unwrap();
    let trainer = RemoteTrainer::made(made);
    let context = FitContext { threads: 2, ..FitContext::default() };
    let model = trainer.fit(&numbers(&[7, 8]), &context).unwrap();
    let many = trainer.fit_many(&[numbers(&[1]), numbers(&[]), numbers(&[3])], &context);
    let score = |model: &Arc<dyn Model>| {
        let scores = model.score(&numbers(&[0, 0]))?;
        let column = scores.column(0).as_primitive::<arrow_array::types::Float64Type>();
        Ok::<_, Error>((scores.num_rows(), column.value(0)))
    };
    assert_eq!(many.len(), 3);
    assert_eq!(score(many[0].as_ref().unwrap()).unwrap(), (2, 1.0));
    assert_eq!(many[1].as_ref().err().map(Error::kind), Some(ErrorKind::BadData));
    assert_eq!(score(many[2].as_ref().unwrap()).unwrap(), (2, 3.0));
    assert!(trainer.fit_many(&[], &context).is_empty());

    let loaded = trainer.load(&model.save().unwrap()).unwrap();
    let liar = trainer.load(&13_i64.to_le_bytes()).unwrap();
    assert_eq!(trainer.load(b"x").err().map(|error| error.kind()), Some(ErrorKind::BadData));
    drop(trainer);
    assert_eq!(loaded.schema(), numbers(&[]).schema());
    assert_eq!(score(&loaded).unwrap(), (2, 7.0));
    assert!(score(&liar).unwrap_err().to_string().contains("scored 1 rows of 2"));
}

/// Waits until it is told to stop, or for ever.
struct Patient(Arc<dyn Host>, bool);

impl Stage for Patient {
    fn bind(&mut self, input: SchemaRef) -> Result<SchemaRef> {
        Ok(input)
    }

    fn push(&mut self, _batch: RecordBatch) -> Result<()> {
        while self.1 || !self.0.is_cancelled() {
            thread::sleep(Duration::from_millis(1));
        }
        Err(Error::new(ErrorKind::Cancelled, "cancelled on request"))
    }

    fn pull(&mut self) -> Result<Option<RecordBatch>> {
        Ok(None)
    }

    fn finish(&mut self) -> Result<()> {
        Ok(())
    }
}

#[test]
fn waiting_ends_by_cancel_and_by_time() {
    let quick = Timeouts { cancel_grace: Duration::from_millis(100), ..Timeouts::default() };
    let short = Timeouts { call: Duration::from_millis(100), ..Timeouts::default() };
    for (timeouts, deaf, kind, why) in [
        (Timeouts::default(), false, ErrorKind::Cancelled, "on request"),
        (quick, true, ErrorKind::Cancelled, "did not stop within 100ms"),
        (short, true, ErrorKind::Timeout, "did not answer within 100ms"),
    ] {
        let options = RemoteOptions { timeouts, ..options() };
        let made = served(&options, Kind::Stage, move |host| Component::Stage(Box::new(Patient(host, deaf))));
        let mut stage = RemoteStage::made(made.unwrap());
        stage.bind(numbers(&[]).schema()).unwrap();
        let canceller = stage.canceller();
        let start = Instant::now();
        thread::spawn(move || {
            thread::sleep(Duration::from_millis(30));
            if kind == ErrorKind::Cancelled {
                canceller.cancel();
            }
        });
        let error = stage.push(numbers(&[1])).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(why), "{error}");
        assert!(start.elapsed() < Duration::from_secs(1));
        if deaf {
            let later = stage.push(numbers(&[1])).unwrap_err();
            assert_eq!(later.kind(), ErrorKind::InvalidState);
            assert!(later.to_string().contains(why), "{later}");
        }
    }
}

/// Reads an input and a secret while it is bound, and tells its name and what it read.
struct Asks(Arc<dyn Host>);

impl Sink for Asks {
    fn bind(&mut self, _schema: SchemaRef) -> Result<()> {
        let mut text = String::new();
        let mut input = self.0.open(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))?;
        input.read_to_string(&mut text).map_err(|error| Error::io("reading", error))?;
        self.0.count("bytes", text.len() as u64);
        let secret = String::from_utf8_lossy(&self.0.secret("key")?).into_owned();
        self.0.log(Level::Info, "asks", &secret);
        self.0.reject(Reject::new("a:1", "odd", "x").with_excerpt(b"record"));
        assert!(!self.0.log_enabled(Level::Debug));
        self.0.secret("none").map(drop)
    }

    fn write(&mut self, _batch: &RecordBatch) -> Result<()> {
        self.0.open("/nowhere/at/all").map(drop)
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }

    fn close(&mut self) -> Result<()> {
        Ok(())
    }
}

#[test]
fn the_host_serves_what_the_component_asks_for() {
    let seen = Seen::default();
    let (lines, rejects) = (seen.clone(), seen.clone());
    let secrets = Secrets::of([("key", "open sesame")]);
    let host = LocalHost::new()
        .secrets(secrets)
        .on_log(Level::Info, move |_, target, text| lines.lock().unwrap().push(format!("{target}: {text}")))
        .on_reject(move |reject| rejects.lock().unwrap().push(format!("{reject:?}")));
    let host = Arc::new(host);
    let made = connect(&options(), Kind::Sink, host.clone(), |input, output| {
        let make = |_: &Hello, host: Arc<dyn Host>| {
            Ok(Offer::Component(Served { component: Component::Sink(Box::new(Asks(host))), instance: None }))
        };
        serve_with(input, output, make, || ()).unwrap();
    });
    let mut sink = RemoteSink::made(made.unwrap());
    assert_eq!(sink.bind(numbers(&[]).schema()).unwrap_err().kind(), ErrorKind::NotFound, "no second secret");
    let error = sink.write(&numbers(&[1])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("/nowhere/at/all"), "{error}");
    drop(sink);
    assert_eq!(
        host.counter("bytes"),
        std::fs::metadata(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")).unwrap().len()
    );
    let seen = seen.lock().unwrap();
    assert_eq!(seen[0], "asks: open sesame");
    assert!(seen[1].contains("odd") && seen[1].contains("record"), "{}", seen[1]);
    drop(seen);
    assert_eq!(Arc::strong_count(&host), 1);
}

/// Answers the first message like a stage, then does what `lie` says to the first call.
fn liar(options: &RemoteOptions, lie: impl FnOnce(&mut PipeWriter) + Send + 'static) -> Error {
    let (done, wait) = mpsc::channel::<()>();
    let made = connect(options, Kind::Stage, Arc::new(LocalHost::new()), move |mut input, mut output| {
        let ok = Pack::default().number(0).byte(1).done();
        Frame::read(&mut input, 1 << 20).unwrap();
        Frame::new(tag::ANSWER, ok).write(&mut output).unwrap();
        Frame::read(&mut input, 1 << 20).unwrap();
        lie(&mut output);
        // Not a word more, but the pipe stays open.
        let _ = wait.recv();
    });
    let mut stage = RemoteStage::made(made.unwrap());
    let error = stage.bind(numbers(&[]).schema()).unwrap_err();
    drop(done);
    drop(stage);
    error
}

fn answer(number: u64, payload: &[u8]) -> Frame {
    Frame::new(tag::ANSWER, Pack::default().number(number).byte(1).rest(payload).done())
}

#[test]
fn lies_are_errors() {
    let say = |frame: Frame| liar(&options(), move |output| frame.write(output).unwrap());
    let error = say(answer(1, b"no schema"));
    assert_eq!(error.kind(), ErrorKind::BadData, "{error}");
    assert!(say(answer(2, b"")).to_string().contains("a call that nobody made"));
    assert!(say(answer(u64::MAX, b"")).to_string().contains("a call that nobody made"));
    assert!(say(Frame::new(99, Vec::new())).to_string().contains("unheard-of sort (99)"));
    assert!(say(Frame::new(tag::ANSWER, vec![1])).to_string().contains("too short"));
    let read = Pack::default().number(1).byte(host_op::READ).number(77).number(10).done();
    assert!(say(Frame::new(tag::HOST_CALL, read)).to_string().contains("not open"));
    let long = liar(&options(), |output| {
        output.write_all(&[0xFF, 0xFF, 0xFF, 0xFF, tag::ANSWER]).unwrap();
    });
    assert!(long.to_string().contains("4294967295 bytes; the limit is"), "{long}");
}

#[test]
fn a_child_that_ends_inside_a_frame_is_told_by_its_end() {
    let made = connect(&options(), Kind::Stage, Arc::new(LocalHost::new()), |mut input, mut output| {
        Frame::read(&mut input, 1 << 20).unwrap();
        answer(0, b"").write(&mut output).unwrap();
        Frame::read(&mut input, 1 << 20).unwrap();
        output.write_all(&[100, 0, 0, 0, tag::ANSWER, 1, 2, 3]).unwrap();
    });
    let mut stage = RemoteStage::made(made.unwrap());
    let error = stage.bind(numbers(&[]).schema()).unwrap_err();
    assert!(error.to_string().contains("the process closed its pipe"), "{error}");
}

/// A stage whose instance says `text` about itself.
fn introspected(text: &[u8]) -> Result<Option<serde_json::Value>> {
    let payload = Pack::default().optional(Some(text)).done();
    let made = connect(&options(), Kind::Stage, Arc::new(LocalHost::new()), move |mut input, mut output| {
        for (number, payload) in [(0, &[][..]), (1, &payload), (2, &[])] {
            Frame::read(&mut input, 1 << 20).unwrap();
            // A parent that has had enough does not listen.
            let _ = answer(number, payload).write(&mut output);
        }
    });
    RemoteStage::made(made?).introspect()
}

#[test]
fn what_an_instance_says_about_itself_is_looked_at() {
    assert_eq!(introspected(b"{\"n\": 1}").unwrap(), Some(serde_json::json!({"n": 1})));
    let huge = [b"{\"n\": \"".as_slice(), &vec![b'x'; MAX_TOLD], b"\"}"].concat();
    for text in [&b"[]"[..], b"{", b"", b"\xFF", &vec![b'['; 100_000], &huge] {
        assert_eq!(introspected(text).unwrap_err().kind(), ErrorKind::BadData);
    }
    // Components of the contracts say nothing.
    let made = served(&options(), Kind::Stage, |_| Component::Stage(Box::new(Twice(Vec::new()))));
    assert_eq!(RemoteStage::made(made.unwrap()).introspect().unwrap(), None);
}

#[test]
fn what_a_plugin_says_about_itself_is_looked_at() {
    let description = Description {
        path: "/somewhere/else.so".into(),
        id: "a".to_owned(),
        version: "1".to_owned(),
        vendor: String::new(),
        licence: String::new(),
        sdk_version: String::new(),
        components: Vec::new(),
    };
    let text = serde_json::to_vec(&description).unwrap();
    let options = RemoteOptions { library: Some("/own.so".into()), ..options() };
    assert_eq!(options.described(&text).unwrap().path, std::path::Path::new("/own.so"));
    for wrong in [&b""[..], b"[]", &text[1..], &vec![b' '; MAX_TOLD + 1]] {
        assert_eq!(options.described(wrong).unwrap_err().kind(), ErrorKind::BadData);
    }
}

#[test]
fn a_child_that_floods_and_never_reads_is_ended_by_time() {
    let timeouts = Timeouts { call: Duration::from_millis(300), ..Timeouts::default() };
    let stop = Arc::new(AtomicBool::new(false));
    let seen = stop.clone();
    let options = RemoteOptions { timeouts, ..options() };
    let error = liar(&options, move |output| {
        let open = Pack::default().number(1).byte(host_op::OPEN).bytes(b"/nowhere").done();
        let open = Frame::new(tag::HOST_CALL, open);
        while open.write(output).is_ok() && !seen.load(Ordering::Relaxed) {}
    });
    stop.store(true, Ordering::Relaxed);
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
}

#[test]
fn a_batch_of_another_schema_is_refused() {
    let made = connect(&options(), Kind::Stage, Arc::new(LocalHost::new()), |mut input, mut output| {
        let schema = Schema::new(vec![Field::new("n", DataType::Int64, true)]);
        let schema = super::batch::encode_schema(&schema).unwrap();
        let other = encode_batch(&numbers(&[1])).unwrap();
        for (number, payload) in [(0, &[][..]), (1, &schema), (2, &other)] {
            Frame::read(&mut input, 1 << 20).unwrap();
            answer(number, payload).write(&mut output).unwrap();
        }
    });
    let mut stage = RemoteStage::made(made.unwrap());
    stage.bind(numbers(&[]).schema()).unwrap();
    assert_eq!(stage.pull().unwrap_err().kind(), ErrorKind::SchemaMismatch);
}

#[test]
fn what_does_not_fit_into_a_frame_is_refused_on_both_sides() {
    let options = RemoteOptions { max_frame: 10_000, ..options() };
    let made = served(&options, Kind::Stage, |_| Component::Stage(Box::new(Twice(Vec::new()))));
    let mut stage = RemoteStage::made(made.unwrap());
    stage.bind(numbers(&[]).schema()).unwrap();
    let error = stage.push(numbers(&[0; 2000])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ResourceExhausted);
    // Nothing was sent: the stage is as good as before.
    stage.push(numbers(&[5])).unwrap();
    assert!(stage.pull().unwrap().is_some());
}
