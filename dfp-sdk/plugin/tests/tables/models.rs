//! Trainers, and the models they make.

use std::ffi::c_void;
use std::mem::offset_of;
use std::ptr::{null, null_mut};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use dfp_abi::c::{
    DFP_BAD_DATA, DFP_CANCELLED, DFP_INVALID_ARGUMENT, DFP_OK, DFP_PANIC, DFP_POISONED, DFP_SCHEMA_MISMATCH,
    dfp_buf, dfp_error, dfp_fit_context, dfp_model_ops,
};
use dfp_abi::{ArrowArrayStream, FFI_ArrowArray, export_stream};
use dfp_plugin::arrow_array::RecordBatch;
use dfp_plugin::arrow_array::cast::AsArray;
use dfp_plugin::arrow_array::types::Float64Type;
use dfp_plugin::{Kind, MemoryStream, SCORE};

use crate::common::{Engine, Made, Parcel, call, imported, numbers, ops, schema_from, works};

fn table() -> &'static dfp_model_ops {
    ops(Kind::Model)
}

fn trainer(more: &str, engine: &Engine) -> Made {
    Made::new(Kind::Model, &format!(r#"{{"column": "x"{more}}}"#), engine)
}

fn stream(batches: &[RecordBatch]) -> ArrowArrayStream {
    export_stream(Box::new(MemoryStream::new(numbers(&[]).schema(), batches.to_vec())))
}

fn context(population: &[u8]) -> dfp_fit_context {
    dfp_fit_context {
        struct_size: size_of::<dfp_fit_context>() as u32,
        threads: 2,
        population: population.as_ptr(),
        population_len: population.len(),
    }
}

/// Code and text.
type Failure = (i32, String);

/// A fitted model.
struct Fitted(*mut c_void);

// The border lets any thread use a model, and several at once if the component says so.
unsafe impl Send for Fitted {}
unsafe impl Sync for Fitted {}

impl Drop for Fitted {
    fn drop(&mut self) {
        unsafe { table().model_destroy.unwrap()(self.0) };
    }
}

fn fit(trainer: &Made, batches: &[RecordBatch], population: &[u8]) -> Result<Fitted, Failure> {
    let (mut data, mut out) = (stream(batches), std::ptr::dangling_mut());
    let (code, message) = call(|error| unsafe {
        let context = context(population);
        table().fit.unwrap()(trainer.instance, &raw const context, &raw mut data, &raw mut out, error)
    });
    assert!(is_released(&data));
    assert_eq!(out.is_null(), code != DFP_OK);
    if code == DFP_OK { Ok(Fitted(out)) } else { Err((code, message)) }
}

fn is_released(stream: &ArrowArrayStream) -> bool {
    unsafe { (&raw const *stream).cast::<[*const c_void; 5]>().read()[3].is_null() }
}

fn load(trainer: &Made, bytes: &[u8]) -> Result<Fitted, Failure> {
    let mut out = std::ptr::dangling_mut();
    let (code, message) = call(|error| unsafe {
        table().load.unwrap()(trainer.instance, bytes.as_ptr(), bytes.len(), &raw mut out, error)
    });
    assert_eq!(out.is_null(), code != DFP_OK);
    if code == DFP_OK { Ok(Fitted(out)) } else { Err((code, message)) }
}

fn save(model: &Fitted) -> Vec<u8> {
    let mut out = dfp_buf::default();
    works(|error| unsafe { table().save.unwrap()(model.0, &raw mut out, error) });
    unsafe { out.to_vec() }.unwrap()
}

fn score(model: &Fitted, values: &[f64]) -> Result<Vec<f64>, Failure> {
    let schema = schema_from(|out, error| unsafe { table().score_schema.unwrap()(model.0, out, error) });
    assert_eq!(schema.field(0).name(), SCORE);
    let (mut parcel, mut out) = (Parcel::of(&numbers(values)), FFI_ArrowArray::empty());
    let (code, message) = call(|error| unsafe {
        table().score.unwrap()(model.0, (&raw mut parcel.array).cast(), (&raw mut out).cast(), error)
    });
    assert!(parcel.is_gone());
    if code != DFP_OK {
        assert!(out.is_released());
        return Err((code, message));
    }
    let scored = imported(out, &schema);
    Ok(scored.column(0).as_primitive::<Float64Type>().values().to_vec())
}

#[test]
fn a_model_is_fitted_saved_and_loaded_and_outlives_its_trainer() {
    let engine = Engine::default();
    let means = trainer("", &engine);
    let fitted = fit(&means, &[numbers(&[1.0, 2.0]), numbers(&[]), numbers(&[6.0])], &[]).ok().unwrap();
    let schema = schema_from(|out, error| unsafe { table().model_schema.unwrap()(fitted.0, out, error) });
    assert_eq!(schema, numbers(&[]).schema());
    let loaded = load(&means, &save(&fitted)).ok().unwrap();
    assert_eq!(load(&means, b"no model").err().unwrap().0, DFP_BAD_DATA);
    let mut none = null_mut();
    let nothing =
        call(|error| unsafe { table().load.unwrap()(means.instance, null(), 0, &raw mut none, error) });
    assert_eq!(nothing.0, DFP_BAD_DATA);
    assert_eq!(means.introspect(), r#"{"fits":1}"#);
    drop(means);
    for model in [fitted, loaded] {
        assert_eq!(score(&model, &[3.0, 0.0]), Ok(vec![0.0, 3.0]));
        assert_eq!(score(&model, &[]), Ok(vec![]));
        std::thread::spawn(move || drop(model)).join().unwrap();
    }
    assert_eq!(engine.retained.into_inner(), 0);
}

#[test]
fn fits_that_cannot_be_done_say_why() {
    let engine = Engine::default();
    let means = trainer("", &engine);
    assert_eq!(fit(&means, &[], &[]).err().unwrap(), (DFP_BAD_DATA, "there are no values".to_owned()));
    let (mut data, mut out) = (stream(&[numbers(&[1.0])]), null_mut());
    let without_context = call(|error| unsafe {
        table().fit.unwrap()(means.instance, null(), &raw mut data, &raw mut out, error)
    });
    assert_eq!(without_context.0, DFP_INVALID_ARGUMENT);
    assert!(is_released(&data), "a stream passed in is taken, whatever comes of it");
    let without_data = call(|error| unsafe {
        let context = context(&[]);
        table().fit.unwrap()(means.instance, &raw const context, null_mut(), &raw mut out, error)
    });
    assert_eq!(without_data.0, DFP_INVALID_ARGUMENT);
    let other = Made::new(Kind::Model, r#"{"column": "y"}"#, &engine);
    assert_eq!(fit(&other, &[numbers(&[1.0])], &[]).err().unwrap().0, DFP_SCHEMA_MISMATCH);
}

#[test]
fn a_population_is_read_if_the_struct_has_one() {
    let engine = Engine::default();
    let means = trainer(r#", "min_rows": 2"#, &engine);
    let population = save(&fit(&means, &[numbers(&[10.0, 20.0])], &[]).ok().unwrap());
    let thin = fit(&means, &[numbers(&[1.0])], &population).ok().unwrap();
    assert_eq!(score(&thin, &[15.0]), Ok(vec![0.0]));

    // An older host's struct ends earlier; what lies behind it is not looked at.
    for size in [offset_of!(dfp_fit_context, population), 4] {
        let (mut data, mut out) = (stream(&[numbers(&[1.0])]), null_mut());
        works(|error| unsafe {
            let dangling = std::ptr::without_provenance(1);
            let context = dfp_fit_context {
                struct_size: size as u32,
                threads: 0,
                population: dangling,
                population_len: 7,
            };
            table().fit.unwrap()(means.instance, &raw const context, &raw mut data, &raw mut out, error)
        });
        assert_eq!(score(&Fitted(out), &[15.0]), Ok(vec![14.0]));
    }
}

/// One answer for each group: the model, or the error's code and text.
fn fit_many(
    trainer: &Made,
    groups: &[RecordBatch],
    count: usize,
) -> Result<Vec<Result<Fitted, Failure>>, Failure> {
    let mut data = stream(groups);
    let mut models = vec![std::ptr::dangling_mut(); count];
    let mut errors: Vec<_> = (0..count).map(|_| dfp_error::default()).collect();
    let (code, message) = call(|error| unsafe {
        let context = context(&[]);
        let (models, errors) = (models.as_mut_ptr(), errors.as_mut_ptr());
        let fit_many = table().fit_many.unwrap();
        fit_many(trainer.instance, &raw const context, &raw mut data, count, models, errors, error)
    });
    assert!(is_released(&data));
    if code != DFP_OK {
        assert!(models.iter().all(|model| model.is_null()));
        return Err((code, message));
    }
    let answers = models.into_iter().zip(errors).map(|(model, error)| {
        if model.is_null() { Err((error.code, error.message())) } else { Ok(Fitted(model)) }
    });
    Ok(answers.collect())
}

#[test]
fn one_entity_of_many_fails_alone() {
    let engine = Engine::default();
    let means = trainer("", &engine);
    let groups = [numbers(&[1.0]), numbers(&[666.0]), numbers(&[]), numbers(&[4.0])];
    let answers = fit_many(&means, &groups, 4).unwrap();
    let outcomes: Vec<_> = answers
        .iter()
        .map(|answer| answer.as_ref().map(|model| score(model, &[0.0]).unwrap()).map_err(Clone::clone))
        .collect();
    assert_eq!(
        outcomes,
        [
            Ok(vec![1.0]),
            Err((DFP_PANIC, "panicked: 666 is cursed".to_owned())),
            Err((DFP_BAD_DATA, "there are no values".to_owned())),
            Ok(vec![4.0]),
        ]
    );
    // The panic was the entity's: the trainer goes on.
    assert!(fit(&means, &[numbers(&[1.0])], &[]).is_ok());
    for count in [0, 3, 5] {
        assert_eq!(fit_many(&means, &groups, count).err().unwrap().0, DFP_INVALID_ARGUMENT);
    }
    drop((answers, means));
    assert_eq!(engine.retained.into_inner(), 0);
}

#[test]
fn several_threads_score_at_once() {
    let engine = Engine::default();
    let model = fit(&trainer("", &engine), &[numbers(&[1.0])], &[]).ok().unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let model = &model;
            scope.spawn(move || {
                for value in 0..200 {
                    let value = f64::from(thread * 1000 + value);
                    assert_eq!(score(model, &[value]), Ok(vec![(value - 1.0).abs()]));
                }
            });
        }
    });
}

#[test]
fn a_panic_poisons_one_model_or_one_trainer() {
    let engine = Engine::default();
    let means = trainer(r#", "misdeed": "panic-in-score""#, &engine);
    let [one, other] = [0; 2].map(|_| fit(&means, &[numbers(&[1.0])], &[]).ok().unwrap());
    assert_eq!(score(&one, &[]), Ok(vec![]));
    let mut parcel = Parcel::of(&numbers(&[1.0]));
    let mut out = FFI_ArrowArray::empty();
    let mut raw = |model: &Fitted, parcel: &mut Parcel| unsafe {
        let (batch, out) = ((&raw mut parcel.array).cast(), (&raw mut out).cast());
        table().score.unwrap()(model.0, batch, out, null_mut())
    };
    assert_eq!(raw(&one, &mut parcel), DFP_PANIC);
    let mut parcel = Parcel::of(&numbers(&[1.0]));
    assert_eq!(raw(&one, &mut parcel), DFP_POISONED);
    assert!(parcel.is_gone());
    assert_eq!(score(&other, &[]), Ok(vec![]));
    assert!(fit(&means, &[numbers(&[1.0])], &[]).is_ok());

    let means = trainer(r#", "misdeed": "panic-in-fit""#, &engine);
    assert_eq!(fit(&means, &[numbers(&[1.0])], &[]).err().unwrap().0, DFP_PANIC);
    assert_eq!(fit(&means, &[numbers(&[1.0])], &[]).err().unwrap().0, DFP_POISONED);
}

#[test]
fn scores_of_another_schema_are_caught_and_missing_rows_are_the_hosts_to_see() {
    let engine = Engine::default();
    let liar = fit(&trainer(r#", "misdeed": "lie-in-score""#, &engine), &[numbers(&[1.0])], &[]);
    assert_eq!(score(&liar.ok().unwrap(), &[1.0]).unwrap_err().0, DFP_SCHEMA_MISMATCH);
    let short = fit(&trainer(r#", "misdeed": "wrong-rows""#, &engine), &[numbers(&[1.0])], &[]);
    assert_eq!(score(&short.ok().unwrap(), &[1.0, 2.0]), Ok(vec![0.0]));
}

#[test]
fn a_fit_ends_when_asked_and_when_the_host_says_so() {
    for ask in [
        |trainer: &Made, _: &Engine| trainer.cancel(),
        |_: &Made, engine: &Engine| {
            engine.cancelled.store(true, Ordering::SeqCst);
        },
    ] {
        let engine = Engine::default();
        let means = trainer(r#", "misdeed": "wait""#, &engine);
        std::thread::scope(|scope| {
            let fitting = scope.spawn(|| fit(&means, &[numbers(&[1.0])], &[]).err().unwrap().0);
            std::thread::sleep(Duration::from_millis(50));
            assert!(!fitting.is_finished());
            let start = Instant::now();
            ask(&means, &engine);
            assert_eq!(fitting.join().unwrap(), DFP_CANCELLED);
            assert!(start.elapsed() < Duration::from_secs(1));
        });
    }
}
