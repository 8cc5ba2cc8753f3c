//! Any bytes as a model of sequences: refused, or a model that scores whatever it is given with finite numbers, and is the same
//! after being saved again.
#![no_main]

use std::sync::Arc;

use dfp_core::{Model, SCORE};
use dfp_models::sequence::{SequenceModel, SessionsBuilder};
use dfp_plugin::arrow_array::cast::AsArray;
use dfp_plugin::arrow_array::types::Float64Type;
use dfp_plugin::arrow_array::{ArrayRef, RecordBatch};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(model) = SequenceModel::load(bytes) else { return };
    let names: Vec<String> = model.counts().commands().into_keys().take(4).map(str::to_owned).collect();
    let params: Vec<String> =
        model.counts().command_parameters().into_keys().take(4).map(|(_, name)| name.to_owned()).collect();
    let mut builder = SessionsBuilder::new(model.counts().session_type());
    for length in 1..5 {
        for name in names.iter().map(String::as_str).chain(["", "new"]).cycle().take(length) {
            let params = params.iter().map(String::as_str).chain(["new"]).take(length);
            builder.event(name, params.map(|name| (name, Some("value"))));
        }
        builder.end_session();
    }
    let sessions: ArrayRef = Arc::new(builder.finish());
    let batch = RecordBatch::try_from_iter([(model.column(), sessions)]).expect("one column");
    let scored = model.score(&batch).expect("they are sessions of its kind");
    let scores = scored[SCORE].as_primitive::<Float64Type>();
    assert!(scores.values().iter().all(|score| score.is_finite() && *score >= 0.0), "{scores:?}");
    let saved = model.save().expect("it is saved");
    let again = SequenceModel::load(&saved).expect("it is a model");
    assert_eq!(again.save().expect("it is saved"), saved);
});
