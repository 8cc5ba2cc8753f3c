//! Stages.

use dfp_abi::c::{
    DFP_INVALID_ARGUMENT, DFP_INVALID_STATE, DFP_IO, DFP_OK, DFP_PANIC, DFP_POISONED, DFP_SCHEMA_MISMATCH,
    dfp_stage_ops,
};
use dfp_abi::{FFI_ArrowArray, FFI_ArrowSchema};
use dfp_plugin::Kind;
use dfp_plugin::arrow_array::RecordBatch;
use dfp_plugin::arrow_schema::SchemaRef;

use crate::common::{Engine, Made, Parcel, call, imported, numbers, ops, schema_from, works};

fn table() -> &'static dfp_stage_ops {
    ops(Kind::Stage)
}

/// Binds `stage` to the schema of [`numbers`].
fn bind(stage: &Made) -> SchemaRef {
    let input = FFI_ArrowSchema::try_from(numbers(&[]).schema().as_ref()).unwrap();
    schema_from(|out, error| unsafe {
        table().bind.unwrap()(stage.instance, (&raw const input).cast(), out, error)
    })
}

/// Pushes `batch`, which is gone afterwards or held by the stage.
fn push(stage: &Made, batch: &RecordBatch) -> (i32, String, Parcel) {
    let mut parcel = Parcel::of(batch);
    let (code, message) =
        call(|error| unsafe { table().push.unwrap()(stage.instance, (&raw mut parcel.array).cast(), error) });
    assert!(parcel.array.is_released(), "an array passed in is taken, whatever comes of it");
    (code, message, parcel)
}

fn pull(stage: &Made) -> Result<Option<Vec<f64>>, (i32, String)> {
    let mut out = FFI_ArrowArray::empty();
    let (code, message) =
        call(|error| unsafe { table().pull.unwrap()(stage.instance, (&raw mut out).cast(), error) });
    if code != DFP_OK {
        assert!(out.is_released());
        return Err((code, message));
    }
    if out.is_released() {
        return Ok(None);
    }
    let batch = imported(out, &numbers(&[]).schema());
    let values = dfp_plugin::arrow_array::cast::as_primitive_array::<
        dfp_plugin::arrow_array::types::Float64Type,
    >(batch.column(0));
    Ok(Some(values.iter().flatten().collect()))
}

fn finish(stage: &Made) -> (i32, String) {
    call(|error| unsafe { table().finish.unwrap()(stage.instance, error) })
}

#[test]
fn batches_go_in_and_come_out() {
    let engine = Engine::default();
    for (config, expected) in [
        ("{}", vec![vec![1.0, 2.0, 3.0]]),
        (r#"{"action": "double"}"#, vec![vec![1.0, 2.0, 3.0]; 2]),
        (r#"{"action": "drop"}"#, vec![vec![2.0, 3.0]]),
        (r#"{"action": "double", "hold": true}"#, vec![vec![1.0, 2.0, 3.0]; 2]),
    ] {
        let stage = Made::new(Kind::Stage, config, &engine);
        assert_eq!(bind(&stage), numbers(&[]).schema());
        let (code, _, parcel) = push(&stage, &numbers(&[1.0, 2.0, 3.0]));
        assert_eq!(code, DFP_OK);
        let held = config.contains("hold");
        let mut seen: Vec<_> = std::iter::from_fn(|| pull(&stage).unwrap()).collect();
        assert_eq!(seen.is_empty(), held);
        assert_eq!(parcel.is_gone(), !held);
        assert_eq!(finish(&stage).0, DFP_OK);
        seen.extend(std::iter::from_fn(|| pull(&stage).unwrap()));
        assert_eq!(seen, expected, "{config}");
        drop(stage);
        assert!(parcel.is_gone());
    }
    assert_eq!(engine.retained.into_inner(), 0);
}

#[test]
fn batches_outlive_the_stage() {
    let engine = Engine::default();
    let stage = Made::new(Kind::Stage, "{}", &engine);
    bind(&stage);
    let (_, _, parcel) = push(&stage, &numbers(&[1.0]));
    let mut out = FFI_ArrowArray::empty();
    works(|error| unsafe { table().pull.unwrap()(stage.instance, (&raw mut out).cast(), error) });
    drop(stage);
    assert!(!parcel.is_gone());
    let batch = imported(out, &numbers(&[]).schema());
    std::thread::spawn(move || drop(batch)).join().unwrap();
    assert!(parcel.is_gone());
}

#[test]
fn calls_out_of_order_are_refused_and_their_batches_released() {
    let engine = Engine::default();
    let stage = Made::new(Kind::Stage, "{}", &engine);
    let early = push(&stage, &numbers(&[1.0]));
    assert_eq!(early.0, DFP_INVALID_STATE);
    assert!(early.2.is_gone());
    assert_eq!(pull(&stage).unwrap_err().0, DFP_INVALID_STATE);
    assert_eq!(finish(&stage).0, DFP_INVALID_STATE);
    bind(&stage);
    let input = FFI_ArrowSchema::try_from(numbers(&[]).schema().as_ref()).unwrap();
    let mut out = FFI_ArrowSchema::empty();
    let bind_again = call(|error| unsafe {
        table().bind.unwrap()(stage.instance, (&raw const input).cast(), (&raw mut out).cast(), error)
    });
    assert_eq!(bind_again, (DFP_INVALID_STATE, "bind was called before".to_owned()));
    assert_eq!(finish(&stage).0, DFP_OK);
    let late = push(&stage, &numbers(&[1.0]));
    assert_eq!(late.0, DFP_INVALID_STATE);
    assert!(late.2.is_gone());
}

#[test]
fn null_is_refused_wherever_it_comes() {
    let engine = Engine::default();
    let stage = Made::new(Kind::Stage, "{}", &engine);
    let null_schema = call(|error| unsafe {
        table().bind.unwrap()(stage.instance, std::ptr::null(), std::ptr::null_mut(), error)
    });
    assert_ne!(null_schema.0, DFP_OK);
    bind(&stage);
    let null_batch =
        call(|error| unsafe { table().push.unwrap()(stage.instance, std::ptr::null_mut(), error) });
    assert_eq!(null_batch, (DFP_INVALID_ARGUMENT, "the batch is NULL".to_owned()));
    push(&stage, &numbers(&[1.0]));
    let null_out =
        call(|error| unsafe { table().pull.unwrap()(stage.instance, std::ptr::null_mut(), error) });
    assert_eq!(null_out.0, DFP_INVALID_ARGUMENT);

    let mut parcel = Parcel::of(&numbers(&[1.0]));
    let code = unsafe {
        table().push.unwrap()(std::ptr::null_mut(), (&raw mut parcel.array).cast(), std::ptr::null_mut())
    };
    assert_eq!(code, DFP_INVALID_ARGUMENT);
    assert!(parcel.is_gone());
}

#[test]
fn a_panic_poisons_one_stage_and_its_batches_are_released() {
    let engine = Engine::default();
    let stage = Made::new(Kind::Stage, r#"{"misdeed": "panic-in-push"}"#, &engine);
    let other = Made::new(Kind::Stage, "{}", &engine);
    bind(&stage);
    bind(&other);
    let (code, message, parcel) = push(&stage, &numbers(&[1.0]));
    assert_eq!((code, message.as_str()), (DFP_PANIC, "panicked: told to panic in push"));
    assert!(parcel.is_gone());
    let (code, message, parcel) = push(&stage, &numbers(&[1.0]));
    assert_eq!((code, message.as_str()), (DFP_POISONED, "rows panicked earlier and can only be destroyed"));
    assert!(parcel.is_gone());
    assert_eq!(pull(&stage).unwrap_err().0, DFP_POISONED);
    assert_eq!(push(&other, &numbers(&[1.0])).0, DFP_OK);
    assert_eq!(pull(&other), Ok(Some(vec![1.0])));
}

#[test]
fn failures_keep_their_code_and_lies_are_caught() {
    let engine = Engine::default();
    let stage = Made::new(Kind::Stage, r#"{"misdeed": "fail-in-push"}"#, &engine);
    bind(&stage);
    let (code, message, parcel) = push(&stage, &numbers(&[1.0]));
    assert_eq!((code, message.as_str()), (DFP_IO, "told to fail in push"));
    assert!(parcel.is_gone());

    let stage = Made::new(Kind::Stage, r#"{"misdeed": "lie-in-pull"}"#, &engine);
    bind(&stage);
    push(&stage, &numbers(&[1.0]));
    assert_eq!(pull(&stage).unwrap_err().0, DFP_SCHEMA_MISMATCH);
    assert_eq!(pull(&stage), Ok(None));
}
