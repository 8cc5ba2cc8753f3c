//! The rarity model as a whole. What the detector's tests need of it is shared with them.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type};
use arrow_array::{
    Array, ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampNanosecondArray,
};
use dfp_core::{ErrorKind, FitContext, Model, SCORE, Trainer};
use proptest::prelude::*;
use serde_json::Value;

use super::persist::{FORMAT, KIND, STATE};
use super::{Config, Rarity, RarityTrainer};
use crate::envelope::Envelope;

pub(crate) const NAMES: [&str; 5] = ["hour", "app", "known", "city", "events_1h"];
const ENTITIES: usize = 30;
const DAYS: i64 = 40;
const HOUR: i64 = 3_600_000_000_000;

/// A row of a sign-in log.
#[derive(Clone, Copy)]
pub(crate) struct Row<'a> {
    pub(crate) entity: usize,
    pub(crate) day: i64,
    pub(crate) hour: i64,
    pub(crate) app: Option<&'a str>,
    pub(crate) known: Option<bool>,
    pub(crate) city: Option<&'a str>,
    pub(crate) events: Option<f64>,
}

/// What entity 3 does every morning.
pub(crate) const USUAL: Row<'static> = Row {
    entity: 3,
    day: DAYS + 1,
    hour: 9,
    app: Some("mail"),
    known: Some(true),
    city: Some("city 3"),
    events: Some(3.0),
};

/// Rows of one day, told apart by everything at once.
pub(crate) const NOTHING: Row<'static> = Row { app: None, known: None, city: None, events: None, ..USUAL };

pub(crate) fn batch(rows: &[Row<'_>]) -> RecordBatch {
    let time = |row: &Row<'_>| (row.day * 24 + row.hour) * HOUR;
    let times = TimestampNanosecondArray::from_iter_values(rows.iter().map(time)).with_timezone("UTC");
    let columns: [(&str, ArrayRef); 7] = [
        ("_time", Arc::new(times)),
        ("_entity", Arc::new(rows.iter().map(|row| Some(row.entity.to_string())).collect::<StringArray>())),
        ("hour", Arc::new(rows.iter().map(|row| Some(row.hour)).collect::<Int64Array>())),
        ("app", Arc::new(rows.iter().map(|row| row.app).collect::<StringArray>())),
        ("known", Arc::new(rows.iter().map(|row| row.known).collect::<BooleanArray>())),
        ("city", Arc::new(rows.iter().map(|row| row.city).collect::<StringArray>())),
        ("events_1h", Arc::new(rows.iter().map(|row| row.events).collect::<Float64Array>())),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true))).unwrap()
}

/// A number that looks random.
fn dice(parts: [i64; 4], sides: i64) -> i64 {
    let mix = |sum: u64, part| (sum ^ part as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29);
    (parts.into_iter().fold(1, mix) >> 8) as i64 % sides
}

/// Days of one entity, who is at home in one of five cities, works by day, and mostly uses two apps. Everybody starts
/// on a day of their own, travels now and then, and is seldom on an unknown device. Half of all try the wiki once, never
/// entity 3; every tenth once has something of its own.
pub(crate) fn days_of_entity(entity: usize, days: std::ops::Range<i64>) -> Vec<Row<'static>> {
    const CITIES: [&str; 5] = ["city 0", "city 1", "city 2", "city 3", "city 4"];
    const OWN: [&str; 3] = ["own 0", "own 1", "own 2"];
    let row = |(day, turn): (i64, i64)| {
        let roll = |what, sides| dice([entity as i64, day, what, turn], sides);
        let app = match (entity % 2, entity % 10) {
            (0, _) if day == 22 => "wiki",
            (_, 5) if day == 25 => OWN[entity / 10],
            _ if roll(0, 5) > 0 => "mail",
            _ => "files",
        };
        let away = if dice([entity as i64, day, 1, 0], 15) == 0 { roll(2, 5) as usize } else { 0 };
        let (app, city) = (Some(app), Some(CITIES[(entity + away) % 5]));
        let (hour, known) = (8 + 3 * turn + roll(3, 3), Some(roll(4, 60) > 0));
        Row { entity, day, hour, app, known, city, events: Some((1 + roll(5, 4)) as f64) }
    };
    let start = if entity == 3 { 0 } else { entity as i64 };
    let days = days.filter(|day| *day >= start);
    days.flat_map(|day| [0, 1, 2].map(|turn| (day, turn))).map(row).collect()
}

pub(crate) fn everybody() -> RecordBatch {
    batch(&(0..ENTITIES).flat_map(|entity| days_of_entity(entity, 0..DAYS)).collect::<Vec<_>>())
}

/// Everything odd that a column can hold.
pub(crate) fn odd_rows() -> Vec<Row<'static>> {
    let numbers = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MAX, f64::MIN, 5e-324, -0.0];
    let odd = numbers.map(|number| Row { events: Some(number), ..USUAL });
    let texts =
        [None, Some(""), Some("\0"), Some("_other")].map(|text| Row { app: text, city: text, ..USUAL });
    let days = (0..).step_by(2);
    odd.into_iter().chain(texts).chain([NOTHING]).zip(days).map(|(row, day)| Row { day, ..row }).collect()
}

/// Asserts that there are as many rows out as in, a `score` in front, no NaN or infinity, and no null but in `_pred`.
pub(crate) fn assert_sound(scored: &RecordBatch, rows: usize) {
    assert_eq!((scored.num_rows(), scored.schema().field(0).name().as_str()), (rows, SCORE));
    for (field, column) in scored.schema().fields().iter().zip(scored.columns()) {
        let (name, float32, float64) = (
            field.name(),
            column.as_primitive_opt::<Float32Type>(),
            column.as_primitive_opt::<Float64Type>(),
        );
        assert!(column.null_count() == 0 || name.ends_with("_pred"), "{name}: {column:?}");
        assert!(float32.is_none_or(|c| c.values().iter().all(|x| x.is_finite())), "{name}: {column:?}");
        assert!(float64.is_none_or(|c| c.values().iter().all(|x| x.is_finite())), "{name}: {column:?}");
    }
}

pub(crate) fn scores(model: &dyn Model, rows: &[Row<'_>]) -> Vec<f64> {
    model.score(&batch(rows)).unwrap()[SCORE].as_primitive::<Float64Type>().values().to_vec()
}

/// Loads damaged bytes, and scores with them if that is possible.
pub(crate) fn assert_harmless<T: Model>(bytes: &[u8], load: impl Fn(&[u8]) -> crate::Result<T>) {
    let mut loaded = None;
    let used = allocation_counter::measure(|| loaded = load(bytes).ok());
    assert!(used.bytes_max < 64 * (bytes.len() as u64 + 1024), "{} bytes", used.bytes_max);
    let rows = [USUAL, Row { app: Some("new"), events: Some(1e6), ..USUAL }, NOTHING];
    if let Some(Ok(scored)) = loaded.map(|model| model.score(&batch(&rows))) {
        assert_sound(&scored, rows.len());
    }
}

/// `bytes`, damaged in one place.
pub(crate) fn flipped(bytes: &[u8], at: prop::sample::Index, in_header: bool, flip: u8) -> Vec<u8> {
    let header = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let mut bytes = bytes.to_vec();
    let at = at.index(if in_header { header } else { bytes.len() });
    bytes[at] ^= flip;
    bytes
}

fn fit(data: &RecordBatch, population: Option<&Rarity>, threads: usize) -> Rarity {
    let trainer = RarityTrainer::new(Config::default(), NAMES).unwrap();
    let context = FitContext { threads, ..FitContext::default() };
    trainer.fit_rarity(data, population, &context).unwrap()
}

/// Of few rows, so that there is little to damage.
fn small() -> Rarity {
    let rows: Vec<Row<'_>> = [2, 3].into_iter().flat_map(|entity| days_of_entity(entity, 20..30)).collect();
    fit(&batch(&days_of_entity(3, 20..24)), Some(&fit(&batch(&rows), None, 1)), 1)
}

#[test]
fn a_loaded_model_scores_the_same() {
    let everybody = fit(&everybody(), None, 1);
    let own = batch(&days_of_entity(3, 0..DAYS));
    for model in [fit(&own, Some(&everybody), 1), everybody] {
        let bytes = model.save().unwrap();
        let loaded = Rarity::load(&bytes).unwrap();
        assert_eq!(loaded.score(&own).unwrap(), model.score(&own).unwrap());
        assert_eq!(loaded.save().unwrap(), bytes);
        assert_eq!(crate::load(&bytes).unwrap().schema(), model.schema());
    }
}

#[test]
fn bytes_are_the_same_for_any_number_of_threads() {
    let data = everybody();
    let bytes = |threads| fit(&data, None, threads).save().unwrap();
    let one = bytes(1);
    assert!(one == bytes(1) && one == bytes(3));
}

#[test]
fn unusable_values_never_make_an_unusable_score() {
    let clean = days_of_entity(3, 0..DAYS);
    let nothing = vec![NOTHING; 20];
    for learned in [&odd_rows(), &nothing, &clean] {
        let model = fit(&batch(learned), None, 1);
        assert_eq!(Rarity::load(&model.save().unwrap()).unwrap().save().unwrap(), model.save().unwrap());
        for rows in [&odd_rows(), &nothing, &clean, &vec![]] {
            assert_sound(&model.score(&batch(rows)).unwrap(), rows.len());
        }
    }
}

#[test]
fn an_infinite_number_counts_as_missing() {
    let model = fit(&batch(&days_of_entity(3, 0..DAYS)), None, 1);
    let score = |events| scores(&model, &[Row { events, ..USUAL }])[0];
    assert_eq!(score(Some(f64::INFINITY)), score(None));
    assert!(score(Some(f64::MAX)) > score(Some(1000.0)));
}

#[test]
fn days_of_use_make_a_value_usual_after_training() {
    let model = fit(&batch(&days_of_entity(3, 0..DAYS)), Some(&fit(&everybody(), None, 1)), 1);
    let score = |seen| {
        let rows = batch(&[Row { app: Some("new"), ..USUAL }]);
        let days: ArrayRef = Arc::new(Int64Array::from(vec![seen]));
        let schema = rows.schema();
        let columns = schema.fields().iter().map(|f| f.name().clone()).zip(rows.columns().to_vec());
        let columns =
            columns.chain([("app_days".to_owned(), days)]).map(|(name, column)| (name, column, true));
        let with_days = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
        model.score(&with_days).unwrap()[SCORE].as_primitive::<Float64Type>().value(0)
    };
    assert!(score(Some(10)) + 0.3 < score(Some(0)));
    assert_eq!(score(None), score(Some(0)));
    assert_eq!(score(Some(-5)), score(Some(0)));
    assert!(score(Some(i64::MAX)).is_finite());
}

#[test]
fn other_data_is_refused() {
    let model = fit(&batch(&days_of_entity(3, 0..DAYS)), None, 1);
    let data = batch(&[USUAL]);
    for missing in ["_time", "app", "events_1h", "hour"] {
        let at: Vec<usize> = (0..7).filter(|at| data.schema().field(*at).name() != missing).collect();
        let error = model.score(&data.project(&at).unwrap()).err().unwrap();
        assert!(error.kind() == ErrorKind::SchemaMismatch && error.to_string().contains(missing), "{error}");
    }
    let kind = |result: dfp_core::Result<Arc<dyn Model>>| result.err().unwrap().kind();
    let trainer = |name: &str| RarityTrainer::new(Config::default(), [name]).unwrap();
    let context = FitContext::default();
    assert_eq!(kind(trainer("nowhere").fit(&data, &context)), ErrorKind::SchemaMismatch);
    assert_eq!(kind(trainer("app").fit(&batch(&[]), &context)), ErrorKind::BadData);
    let other = FitContext { population: Some(model.save().unwrap().into()), ..FitContext::default() };
    assert_eq!(kind(trainer("app").fit(&data, &other)), ErrorKind::BadData);
    context.cancel.cancel();
    assert_eq!(kind(trainer("app").fit(&data, &context)), ErrorKind::Cancelled);
}

fn pack(state: &Value) -> Vec<u8> {
    Envelope { kind: KIND, format: FORMAT }.pack(&[(STATE, state.to_string().as_bytes())]).unwrap()
}

fn state_of(model: &Rarity) -> Value {
    let bytes = model.to_bytes().unwrap();
    let parts = Envelope { kind: KIND, format: FORMAT }.unpack(&bytes, &[STATE]).unwrap();
    serde_json::from_slice(parts[0]).unwrap()
}

/// Pointers to all numbers.
fn numbers(value: &Value, path: &str, found: &mut Vec<String>) {
    match value {
        Value::Number(_) => found.push(path.to_owned()),
        Value::Array(values) => {
            values.iter().enumerate().for_each(|(at, value)| numbers(value, &format!("{path}/{at}"), found));
        }
        Value::Object(fields) => {
            fields.iter().for_each(|(name, value)| numbers(value, &format!("{path}/{name}"), found));
        }
        _ => {}
    }
}

#[test]
fn numbers_that_no_fit_makes_do_no_harm() {
    let state = state_of(&small());
    let mut paths = Vec::new();
    numbers(&state, "", &mut paths);
    assert!(paths.len() > 300, "{}", paths.len());
    for path in paths {
        for extreme in ["-1", "0", "4294967295", "-1e308", "1e308", "5e-324", "99999999999"] {
            let mut changed = state.clone();
            *changed.pointer_mut(&path).unwrap() = serde_json::from_str(extreme).unwrap();
            assert_harmless(&pack(&changed), Rarity::load);
        }
    }
}

#[test]
fn states_that_do_not_fit_are_refused() {
    let state = state_of(&small());
    assert!(Rarity::load(&pack(&state)).is_ok());
    for field in ["features", "entity"] {
        let mut changed = state.clone();
        changed[field].as_array_mut().unwrap().pop();
        assert!(Rarity::load(&pack(&changed)).is_err(), "{field}");
        changed = state.clone();
        changed[field].as_array_mut().unwrap().reverse();
        assert!(Rarity::load(&pack(&changed)).is_err(), "{field}");
    }
    let mut empty = state.clone();
    (empty["features"], empty["entity"]) = (Value::Array(vec![]), Value::Array(vec![]));
    empty["background"]["features"] = Value::Array(vec![]);
    empty["background"]["combination"]["parts"] = Value::Array(vec![]);
    assert!(Rarity::load(&pack(&empty)).is_err());
}

#[test]
fn cut_bytes_are_refused() {
    let bytes = small().save().unwrap();
    for length in 0..bytes.len() {
        assert!(Rarity::load(&bytes[..length]).is_err(), "{length}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn flipped_bytes_do_no_harm(at in any::<prop::sample::Index>(), in_header in any::<bool>(), flip in 1_u8..) {
        thread_local!(static SAVED: Vec<u8> = small().save().unwrap());
        SAVED.with(|bytes| assert_harmless(&flipped(bytes, at, in_header, flip), Rarity::load));
    }
}
