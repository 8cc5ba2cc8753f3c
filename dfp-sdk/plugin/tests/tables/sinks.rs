//! Sinks.

use dfp_abi::FFI_ArrowSchema;
use dfp_abi::c::{
    DFP_BAD_DATA, DFP_INVALID_STATE, DFP_IO, DFP_OK, DFP_PANIC, DFP_POISONED, DFP_SCHEMA_MISMATCH,
    dfp_sink_ops,
};
use dfp_plugin::Kind;
use dfp_plugin::arrow_array::RecordBatch;

use crate::common::{Engine, Made, Parcel, call, lines, numbers, ops};

fn table() -> &'static dfp_sink_ops {
    ops(Kind::Sink)
}

fn made(path: &str, misdeed: &str, engine: &Engine) -> Made {
    let misdeed = if misdeed.is_empty() { String::new() } else { format!(r#", "misdeed": "{misdeed}""#) };
    Made::new(Kind::Sink, &format!(r#"{{"path": "{path}"{misdeed}}}"#), engine)
}

fn bind(sink: &Made, batch: &RecordBatch) -> i32 {
    let input = FFI_ArrowSchema::try_from(batch.schema().as_ref()).unwrap();
    let code =
        call(|error| unsafe { table().bind.unwrap()(sink.instance, (&raw const input).cast(), error) });
    assert!(!input.format().is_empty(), "a schema passed in is borrowed");
    code.0
}

fn write(sink: &Made, batch: &RecordBatch) -> i32 {
    let mut parcel = Parcel::of(batch);
    let (code, _) =
        call(|error| unsafe { table().write.unwrap()(sink.instance, (&raw mut parcel.array).cast(), error) });
    assert!(parcel.is_gone());
    code
}

fn flush(sink: &Made) -> i32 {
    call(|error| unsafe { table().flush.unwrap()(sink.instance, error) }).0
}

fn close(sink: &Made) -> i32 {
    call(|error| unsafe { table().close.unwrap()(sink.instance, error) }).0
}

#[test]
fn lines_are_durable_after_flush_and_close() {
    let engine = Engine::default();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("out");
    let read = || std::fs::read_to_string(&path).unwrap_or_default();
    let sink = made(path.to_str().unwrap(), "", &engine);
    assert_eq!(write(&sink, &lines(&["early"])), DFP_INVALID_STATE);
    assert_eq!(bind(&sink, &lines(&[])), DFP_OK);
    assert_eq!(write(&sink, &lines(&["one", "two"])), DFP_OK);
    assert_eq!(read(), "");
    assert_eq!(flush(&sink), DFP_OK);
    assert_eq!(read(), "one\ntwo\n");
    assert_eq!(write(&sink, &lines(&["three"])), DFP_OK);
    assert_eq!(close(&sink), DFP_OK);
    assert_eq!(read(), "one\ntwo\nthree\n");
    for code in [write(&sink, &lines(&["late"])), flush(&sink), close(&sink), bind(&sink, &lines(&[]))] {
        assert_eq!(code, DFP_INVALID_STATE);
    }
    drop(sink);
    assert_eq!(engine.retained.into_inner(), 0);
}

#[test]
fn what_goes_wrong_is_said() {
    let engine = Engine::default();
    let wrong = made("", "", &engine);
    assert_eq!(bind(&wrong, &numbers(&[])), DFP_SCHEMA_MISMATCH);

    let other = made("", "", &engine);
    assert_eq!(bind(&other, &lines(&[])), DFP_OK);
    assert_eq!(write(&other, &numbers(&[1.0])), DFP_BAD_DATA);

    let full = made("", "fail-in-flush", &engine);
    bind(&full, &lines(&[]));
    assert_eq!((write(&full, &lines(&["a"])), flush(&full)), (DFP_OK, DFP_IO));

    for (misdeed, first) in [("panic-in-bind", 0), ("panic-in-write", 1), ("panic-in-close", 2)] {
        let sink = made("", misdeed, &engine);
        let codes = [bind(&sink, &lines(&[])), write(&sink, &lines(&["a"])), close(&sink)];
        assert_eq!(codes[first], DFP_PANIC, "{misdeed}");
        assert!(codes[first + 1..].iter().all(|code| *code == DFP_POISONED));
    }
}
