#![allow(clippy::float_cmp)] // Equal means equal here.

use std::collections::BTreeMap;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, UInt32Type};
use arrow_array::{Array, ArrayRef, ListArray, StringArray};
use arrow_select::concat::concat_batches;
use dfp_core::ErrorKind;
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::envelope::Envelope;

/// Commands with parameters and their values; each session has events.
type Data = Vec<Vec<(String, BTreeMap<String, Option<String>>)>>;

const COLUMN: &str = "events";
const KINDS: [SessionType; 3] =
    [SessionType::CmdsOnly, SessionType::CmdsParamsOnly, SessionType::CmdsParamsValues];

fn column(kind: SessionType, data: &Data) -> ListArray {
    let mut builder = SessionsBuilder::new(kind);
    for session in data {
        for (command, params) in session {
            builder.event(command, params.iter().map(|(name, value)| (name.as_str(), value.as_deref())));
        }
        builder.end_session();
    }
    builder.finish()
}

fn batch(kind: SessionType, data: &Data) -> RecordBatch {
    RecordBatch::try_from_iter([(COLUMN, Arc::new(column(kind, data)) as ArrayRef)]).unwrap()
}

fn fit(config: &Config, batch: &RecordBatch) -> SequenceModel {
    let trainer = SequenceTrainer::new(config.clone(), COLUMN).unwrap();
    trainer.fit_sequence(batch, None, &FitContext::default()).unwrap()
}

fn commands<'a>(sessions: &[impl AsRef<[&'a str]>]) -> Data {
    let event = |command: &&str| ((*command).to_owned(), BTreeMap::new());
    sessions.iter().map(|session| session.as_ref().iter().map(event).collect()).collect()
}

/// Events with parameters and values, as in `name(parameter=value parameter)`.
fn events(text: &str) -> Data {
    let param = |text: &str| match text.split_once('=') {
        Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
        None => (text.to_owned(), None),
    };
    let event = |text: &str| {
        let (command, params) = text.trim_end_matches(')').split_once('(').unwrap_or((text, ""));
        (command.to_owned(), params.split_whitespace().map(param).collect())
    };
    let session = |text: &str| text.split(", ").map(event).collect();
    text.split("; ").map(session).collect()
}

fn data() -> impl Strategy<Value = Data> {
    // Few names, the empty one and those of msticpy's tokens among them.
    let name = prop_oneof![Just(""), Just("a"), Just("b"), Just("c"), Just("##END##"), Just("é")];
    let value = prop_oneof![Just(None), Just(Some("")), Just(Some("x")), Just(Some("y"))];
    let params = vec((name.clone(), value), 0..4).prop_map(|params| {
        params.into_iter().map(|(name, value)| (name.to_owned(), value.map(str::to_owned))).collect()
    });
    let event = (name, params).prop_map(|(name, params)| (name.to_owned(), params));
    vec(vec(event, 1..7), 1..12)
}

fn config() -> impl Strategy<Value = Config> {
    (any::<bool>(), any::<bool>(), 0..4_usize, 1..5_usize).prop_map(|(parity, named, max_values, window)| {
        let base = if parity { Config::parity() } else { Config { min_sessions: 0, ..Config::default() } };
        let names = ["", "a", "nobody"].map(str::to_owned);
        let modellable = if named { Modellable::Named(names.into()) } else { Modellable::Heuristic };
        Config { modellable, max_values, windows: vec![window, window + 2], ..base }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn parts_add_up_to_the_whole(data in data(), config in config(), kind in 0..3_usize, cut in 0..12_usize) {
        let whole = batch(KINDS[kind], &data);
        let trainer = SequenceTrainer::new(config.clone(), COLUMN).unwrap();
        let bytes = fit(&config, &whole).to_bytes().unwrap();
        let cut = cut.min(whole.num_rows());
        let (first, second) = (whole.slice(0, cut), whole.slice(cut, whole.num_rows() - cut));
        let context = FitContext::default();
        let count = |part| trainer.count(part, &context).unwrap();
        let (first_counts, second_counts) = (count(&first), count(&second));
        for (mut counts, other) in [(first_counts.clone(), &second_counts), (second_counts.clone(), &first_counts)] {
            counts.merge(other).unwrap();
            prop_assert_eq!(&trainer.model(&counts).to_bytes().unwrap(), &bytes);
        }
        let updated = trainer.model(&first_counts).updated(&second, &context).unwrap();
        prop_assert_eq!(&updated.to_bytes().unwrap(), &bytes);
        let mut one_by_one = Counts::new(KINDS[kind], config.max_values);
        for row in (0..whole.num_rows()).rev() {
            one_by_one.add(&Sessions::of_batch(&whole.slice(row, 1), COLUMN).unwrap()).unwrap();
        }
        prop_assert_eq!(&trainer.model(&one_by_one).to_bytes().unwrap(), &bytes);
    }

    #[test]
    fn chunks_of_a_batch_score_alike_and_a_saved_model_too(data in data(), config in config(), kind in 0..3_usize) {
        let whole = batch(KINDS[kind], &data);
        let model = fit(&config, &whole);
        let bytes = model.to_bytes().unwrap();
        let loaded = SequenceModel::load(&bytes).unwrap();
        prop_assert_eq!(loaded.to_bytes().unwrap(), bytes);
        let scored = model.score(&whole).unwrap();
        prop_assert_eq!(&loaded.score(&whole).unwrap(), &scored);
        let rows: Vec<RecordBatch> =
            (0..whole.num_rows()).map(|row| model.score(&whole.slice(row, 1)).unwrap()).collect();
        prop_assert_eq!(concat_batches(&scored.schema(), &rows).unwrap(), scored);
    }

    #[test]
    fn probabilities_sum_to_one(data in data(), config in config(), factor in 0.0..=1.0_f64) {
        let whole = batch(SessionType::CmdsParamsValues, &data);
        let trainer = SequenceTrainer::new(config, COLUMN).unwrap();
        let mut counts = trainer.count(&whole, &FitContext::default()).unwrap();
        counts.decay(factor).unwrap();
        let model = trainer.model(&counts);
        let one = |parts: Vec<f64>| (parts.iter().sum::<f64>() - 1.0).abs() < 1e-12;
        let names: Vec<&str> = model.counts().commands().into_keys().collect();
        let known = || names.iter().map(|name| Token::Command(name));
        let nexts = || known().chain([Token::End, Token::Unknown]);
        prop_assert!(one(nexts().chain([Token::Start]).map(|token| model.prior(token)).collect()));
        for from in known().chain([Token::Start, Token::Unknown, Token::Command("never seen")]) {
            prop_assert!(one(nexts().map(|to| model.transition(from, to)).collect()), "{from:?}");
        }
        let mut values: BTreeMap<&str, Vec<Option<&str>>> = BTreeMap::new();
        for (parameter, value) in model.counts().parameter_values().into_keys() {
            values.entry(parameter).or_default().push(Some(value));
        }
        for (parameter, mut values) in values {
            values.push(None);
            let parts = values.iter().map(|value| model.value(Some(parameter), *value)).collect();
            prop_assert!(one(parts), "{parameter}");
        }
        prop_assert!(one(model.value_shares().into_values().collect()));
        for (command, parameter) in model.counts().command_parameters().into_keys() {
            let presence = model.parameter(Token::Command(command), Some(parameter));
            prop_assert!(presence > 0.0 && presence < 1.0, "{presence}");
        }
    }

    #[test]
    fn scores_are_what_they_are_said_to_be(data in data(), config in config(), kind in 0..3_usize) {
        let whole = batch(KINDS[kind], &data);
        let model = fit(&config, &whole);
        let scored = model.score(&whole).unwrap();
        let sessions = Sessions::of_batch(&whole, COLUMN).unwrap();
        let length = config.windows[0];
        let number = |name: &str, row| {
            let column = scored[name].as_primitive::<Float64Type>();
            column.is_valid(row).then(|| column.value(row))
        };
        let windows = model.windows(&sessions, length, true).unwrap();
        let shown = scored[format!("rarest_window{length}").as_str()].as_list::<i32>();
        let starts = scored[format!("rarest_window{length}_start").as_str()].as_primitive::<UInt32Type>();
        for (row, windows) in windows.iter().enumerate() {
            let least = windows.iter().map(|window| window.value()).reduce(f64::min);
            prop_assert_eq!(number(&format!("rarest_window{length}_likelihood"), row), least);
            let whole = number("likelihood", row).unwrap();
            prop_assert!((number("log_likelihood", row).unwrap() - whole.ln()).abs() < 1e-9);
            let scored = least.or(config.short_sessions.then_some(whole));
            let score = number("score", row).unwrap();
            prop_assert!((score - scored.map_or(0.0, |likelihood| -likelihood.ln())).abs() < 1e-9);
            if let Some(least) = least {
                let start = starts.value(row) as usize;
                prop_assert_eq!(windows[start].value(), least);
                prop_assert!(windows[..start].iter().all(|window| window.value() > least));
                let whole = sessions.events(row);
                let end = whole.len().min(start + length);
                prop_assert_eq!(shown.value_length(row) as usize, end - start);
                let (events, _) = sessions.array();
                prop_assert_eq!(&shown.value(row), &events.slice(whole.start + start, end - start));
            }
        }
    }

    /// Fast products against the formula, factor by factor.
    #[test]
    fn parameters_have_the_likelihood_of_the_formula(data in data(), seen in data(), config in config()) {
        let model = fit(&config, &batch(SessionType::CmdsParamsValues, &seen));
        let column = column(SessionType::CmdsParamsValues, &data);
        let sessions = Sessions::of_column(&column, COLUMN).unwrap();
        for geometric in [false, true] {
            let sets = model.parameter_sets(&sessions, geometric).unwrap();
            prop_assert!(!sets.is_empty());
            for set in sets {
                let expected = formula(&model, &set, geometric);
                prop_assert!((set.probability / expected - 1.0).abs() < 1e-12, "{set:?} {expected}");
            }
        }
    }

    #[test]
    fn changed_bytes_do_no_harm(data in data(), kind in 0..3_usize, at: prop::sample::Index, byte: u8) {
        let whole = batch(KINDS[kind], &data);
        let mut bytes = fit(&Config::default(), &whole).to_bytes().unwrap();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(model) = SequenceModel::load(&bytes) {
            let kind = model.counts().session_type();
            let column: ArrayRef = Arc::new(column(kind, &data));
            let batch = RecordBatch::try_from_iter([(model.column(), column)]).unwrap();
            let scored = model.score(&batch).unwrap();
            let scores = scored["score"].as_primitive::<Float64Type>();
            prop_assert!(scores.values().iter().all(|score| score.is_finite() && *score >= 0.0));
            prop_assert!(SequenceModel::load(&model.to_bytes().unwrap()).is_ok());
        }
    }
}

fn formula(model: &SequenceModel, set: &ParameterSet, geometric: bool) -> f64 {
    let config = model.config();
    if set.parameters.is_empty() && !config.empty_parameters {
        return 1.0;
    }
    let command = Token::Command(&set.command);
    let table: Vec<&str> = model
        .counts()
        .command_parameters()
        .into_keys()
        .filter(|(of, _)| *of == set.command)
        .map(|(_, parameter)| parameter)
        .collect();
    let name = |parameter: &SetParameter| match parameter {
        SetParameter::Name(name) | SetParameter::Value(name, _) => name.clone(),
    };
    let present: Vec<String> = set.parameters.iter().map(name).collect();
    let (mut product, mut factors) = (1.0, table.len() + 1);
    for parameter in &table {
        let p = model.parameter(command, Some(parameter));
        product *= if present.iter().any(|name| name == parameter) { p } else { 1.0 - p };
    }
    let unseen = present.iter().any(|name| !table.contains(&name.as_str()));
    let p = model.parameter(command, None);
    product *= if unseen && config.unseen_parameters { p } else { 1.0 - p };
    for parameter in &set.parameters {
        match parameter {
            SetParameter::Value(name, value) if table.contains(&name.as_str()) => {
                product *= model.value(Some(name), value.as_deref());
                factors += 1;
            }
            _ => {}
        }
    }
    if geometric { product.powf(1.0 / factors as f64) } else { product }
}

#[test]
fn the_tables_of_three_sessions_by_hand() {
    let model =
        fit(&Config::parity(), &batch(SessionType::CmdsOnly, &commands(&[&["a", "b"][..], &["a"], &["b"]])));
    // C = 2, K = 4, N = 3, T = 4, S = 4 + 6 + 32 = 42.
    let [a, b] = ["a", "b"].map(Token::Command);
    for (found, expected) in [
        (model.prior(a), 10.0 / 42.0),
        (model.prior(Token::Start), 7.0 / 42.0),
        (model.prior(Token::Command("c")), 8.0 / 42.0),
        (model.transition(Token::Start, a), 3.0 / 7.0),
        (model.transition(a, b), 2.0 / 6.0),
        (model.transition(a, a), 1.0 / 6.0),
        (model.transition(b, Token::End), 3.0 / 6.0),
        (model.transition(Token::Unknown, a), 1.0 / 4.0),
        (model.transition(Token::End, a), 1.0 / 4.0),
        (model.transition(a, Token::Start), 1.0 / 6.0),
    ] {
        assert!((found - expected).abs() < 1e-15, "{found} {expected}");
    }
    assert!((model.counts().sessions() - 3.0).abs() < 1e-15);
}

#[test]
fn any_number_of_threads_gives_the_same_bytes() {
    let sessions: Vec<Vec<String>> =
        (0..40_000).map(|s| (0..=s % 9).map(|e| format!("c{}", (s * 7 + e * e) % 23)).collect()).collect();
    let sessions: Vec<Vec<&str>> = sessions.iter().map(|s| s.iter().map(String::as_str).collect()).collect();
    let batch = batch(SessionType::CmdsOnly, &commands(&sessions));
    let trainer = SequenceTrainer::new(Config::default(), COLUMN).unwrap();
    let [one, two, five] = [1, 2, 5].map(|threads| {
        let context = FitContext { threads, ..FitContext::default() };
        trainer.fit(&batch, &context).unwrap().save().unwrap()
    });
    assert!(one == two && one == five);
    let context = FitContext::default();
    context.cancel.cancel();
    assert_eq!(trainer.fit(&batch, &context).err().unwrap().kind(), ErrorKind::Cancelled);
}

#[test]
fn long_sessions_do_not_underflow() {
    let events: Vec<String> = (0..3000).map(|event| format!("c{}", event % 40)).collect();
    let events: Vec<&str> = events.iter().map(String::as_str).collect();
    let batch = batch(SessionType::CmdsOnly, &commands(&[events]));
    let model = fit(&Config { min_sessions: 0, ..Config::default() }, &batch);
    let scored = model.score(&batch).unwrap();
    let number = |name: &str| scored[name].as_primitive::<Float64Type>().value(0);
    assert!(number("log_likelihood") < -1000.0);
    assert!(number("likelihood") == 0.0 || number("log_likelihood") > -745.0);
    let mean = number("geomean_likelihood");
    assert!((mean - (number("log_likelihood") / 3000.0).exp()).abs() < 1e-12 && mean > 0.1);
}

#[test]
fn reasons_name_what_is_rare() {
    let usual = "Set(Identity=x Force), Get(Identity=x); ".repeat(60);
    let usual = events(usual.trim_end_matches("; "));
    let model = fit(&Config::default(), &batch(SessionType::CmdsParamsValues, &usual));
    assert_eq!(model.modelled_parameters().into_iter().collect::<Vec<_>>(), ["Identity"]);
    let reasons = |text: &str, items: Range<usize>| {
        let column = column(SessionType::CmdsParamsValues, &events(text));
        let sessions = Sessions::of_column(&column, COLUMN).unwrap();
        let reasons = model.reasons(&sessions, 0, items, true).unwrap();
        reasons.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let first = |text, items| reasons(text, items)[0].clone();
    assert!(first("Drop, Get(Identity=x)", 0..2).starts_with("the session starts with Drop (probability"));
    assert!(first("Set(Identity=x Force), Set(Identity=x Force)", 0..2).starts_with("Set follows Set"));
    assert!(first("Set(Identity=x Force)", 0..2).starts_with("the session ends after Set"));
    let missing = reasons("Set(Identity=x), Get(Identity=x)", 0..3);
    assert!(missing[0].starts_with("Set lacks the parameter Force"), "{missing:?}");
    let value = reasons("Set(Identity=evil Force), Get(Identity=x)", 0..3);
    assert!(value[0].starts_with("the parameter Identity of Set is evil"), "{value:?}");
    let new = reasons("Set(Identity=x Force Bypass), Get(Identity=x)", 0..3);
    assert!(new[0].starts_with("Set has the parameter Bypass"), "{new:?}");
    assert_eq!(new.len(), Config::default().reasons);
    assert!(reasons("Get(Identity=x), Get(Identity=x)", 1..2)[0].starts_with("Get is used"));
}

#[test]
fn novelty_counts_by_default_and_not_in_parity() {
    let usual = events("Set(a b), Get(a); ".repeat(50).trim_end_matches("; "));
    let probes = events("Set(a b), Get(a); Set(a b new), Get(a); Set, Get(a)");
    let scores = |config: Config| {
        let model = fit(&config, &batch(SessionType::CmdsParamsOnly, &usual));
        let scored = model.score(&batch(SessionType::CmdsParamsOnly, &probes)).unwrap();
        scored["score"].as_primitive::<Float64Type>().values().to_vec()
    };
    let ours = scores(Config::default());
    assert!(ours[1] > ours[0] + 1.0 && ours[2] > ours[0] + 1.0, "{ours:?}");
    let theirs = scores(Config { windows: vec![3], ..Config::parity() });
    assert!((theirs[1] - theirs[0]).abs() < 1e-12 && theirs[2] <= theirs[0], "{theirs:?}");
}

#[test]
fn short_sessions_score_as_a_whole_unless_told_not_to() {
    let data = commands(&[["a"]; 20]);
    let batch = batch(SessionType::CmdsOnly, &data);
    for (short_sessions, abstained) in [(true, false), (false, true)] {
        let scored = fit(&Config { short_sessions, ..Config::default() }, &batch).score(&batch).unwrap();
        let score = scored["score"].as_primitive::<Float64Type>().value(0);
        let log = scored["log_likelihood"].as_primitive::<Float64Type>().value(0);
        assert_eq!(score, if short_sessions { -log } else { 0.0 });
        assert_eq!(scored["abstained"].as_boolean().value(0), abstained);
        assert!(scored["rarest_window3_likelihood"].is_null(0) && scored["rarest_window3_start"].is_null(0));
        assert_eq!(scored["rarest_window3"].as_list::<i32>().value_length(0), 0);
    }
}

#[test]
fn who_is_hardly_known_abstains_or_leans_on_all() {
    let known = batch(SessionType::CmdsOnly, &commands(&[["a", "b"]; 30]));
    let new = batch(SessionType::CmdsOnly, &commands(&[["a", "c"]; 2]));
    let trainer = SequenceTrainer::new(Config::default(), COLUMN).unwrap();
    let alone = trainer.fit_sequence(&new, None, &FitContext::default()).unwrap();
    assert!(alone.abstains());
    let scored = alone.score(&known).unwrap();
    assert!(scored["abstained"].as_boolean().value(0));
    assert_eq!(scored["score"].as_primitive::<Float64Type>().value(0), 0.0);
    assert_eq!(scored["reasons"].as_list::<i32>().value_length(0), 0);
    let population = trainer.fit(&known, &FitContext::default()).unwrap().save().unwrap();
    let context = FitContext { population: Some(population.into()), threads: 2, ..FitContext::default() };
    let models = trainer.fit_many(&[new.clone(), known.clone(), new.slice(0, 0)], &context);
    let load = |model: &dfp_core::Result<Arc<dyn Model>>| {
        SequenceModel::load(&model.as_ref().ok().unwrap().save().unwrap()).unwrap()
    };
    assert_eq!(load(&models[0]).counts().sessions(), 32.0);
    assert_eq!(load(&models[1]).counts().sessions(), 30.0);
    assert_eq!(models[2].as_ref().err().unwrap().kind(), ErrorKind::BadData);
    let context = FitContext { population: Some(Arc::from(&b"damaged"[..])), ..context };
    let models = trainer.fit_many(&[new, known], &context);
    assert!(models.iter().all(|model| model.as_ref().err().unwrap().to_string().contains("loading a model")));
}

#[test]
fn the_past_fades() {
    let trainer = SequenceTrainer::new(Config { min_sessions: 0, ..Config::default() }, COLUMN).unwrap();
    let old = batch(SessionType::CmdsOnly, &commands(&[["old", "b"]; 8]));
    let mut counts = trainer.count(&old, &FitContext::default()).unwrap();
    counts.decay(0.25).unwrap();
    assert_eq!(counts.commands(), BTreeMap::from([("b", 2.0), ("old", 2.0)]));
    for _ in 0..30 {
        counts.decay(0.5).unwrap();
    }
    let new = batch(SessionType::CmdsOnly, &commands(&[["b"]]));
    counts.add(&Sessions::of_batch(&new, COLUMN).unwrap()).unwrap();
    let model = trainer.model(&counts);
    assert_eq!(model.to_bytes().unwrap(), fit(model.config(), &new).to_bytes().unwrap());
    for factor in [-0.1, 1.1, f64::NAN] {
        assert!(counts.decay(factor).is_err());
    }
}

#[test]
fn parameters_with_too_many_values_lose_them() {
    let text = (0..40).map(|n| format!("Set(id={n} role=user)")).collect::<Vec<_>>().join(", ");
    let batch = batch(SessionType::CmdsParamsValues, &events(&text));
    let model = fit(&Config { max_values: 20, ..Config::default() }, &batch);
    assert_eq!(model.counts().parameter_values(), BTreeMap::from([(("role", "user"), 40.0)]));
    let all = fit(&Config { max_values: 0, ..Config::default() }, &batch);
    assert_eq!(all.counts().parameter_values().len(), 41);
    assert_eq!(model.modelled_parameters(), all.modelled_parameters());
    assert_eq!(model.score(&batch).unwrap(), all.score(&batch).unwrap());
}

#[test]
fn what_is_no_session_is_refused() {
    let model = fit(&Config::parity(), &batch(SessionType::CmdsOnly, &commands(&[["a"]])));
    let refused = |column: ArrayRef| {
        let batch = RecordBatch::try_from_iter_with_nullable([(COLUMN, column, true)]).unwrap();
        let error = model.score(&batch).err().unwrap();
        (error.kind(), error.to_string())
    };
    let field = Arc::new(Field::new_list_field(arrow_schema::DataType::Utf8, true));
    let list = |ends: Vec<i32>, texts: Vec<Option<&str>>| -> ArrayRef {
        let offsets = arrow_buffer::OffsetBuffer::new(ends.into());
        Arc::new(ListArray::new(Arc::clone(&field), offsets, Arc::new(StringArray::from(texts)), None))
    };
    for (column, kind, why) in [
        (list(vec![0, 1, 1], vec![Some("a")]), ErrorKind::BadData, "row 1 cannot be used: it has no events"),
        (list(vec![0, 2], vec![Some("a"), None]), ErrorKind::BadData, "event 1 is null"),
        (Arc::new(ListArray::new_null(Arc::clone(&field), 1)) as ArrayRef, ErrorKind::BadData, "it is null"),
        (Arc::new(StringArray::from(vec!["a"])), ErrorKind::SchemaMismatch, "a list of Utf8"),
        (
            Arc::new(column(SessionType::CmdsParamsOnly, &commands(&[["a"]]))),
            ErrorKind::SchemaMismatch,
            "CmdsParamsOnly",
        ),
    ] {
        let found = refused(column);
        assert!(found.0 == kind && found.1.contains(why), "{found:?} {why}");
    }
    // What lies outside of the sessions is nobody's business.
    let column = list(vec![1, 2], vec![None, Some("a")]);
    assert!(model.score(&RecordBatch::try_from_iter([(COLUMN, column)]).unwrap()).is_ok());
}

#[test]
fn unsorted_and_repeated_parameters_are_what_they_mean() {
    use arrow_array::builder::{ListBuilder, MapBuilder, StringBuilder, StructBuilder};
    let maps = MapBuilder::new(None, StringBuilder::new(), StringBuilder::new());
    let fields = match SessionType::CmdsParamsValues.data_type() {
        arrow_schema::DataType::List(event) => match event.data_type() {
            arrow_schema::DataType::Struct(fields) => fields.clone(),
            _ => unreachable!(),
        },
        _ => unreachable!(),
    };
    // Field names and nullability of maps differ between writers.
    let params = Field::new(
        "params",
        arrow_array::builder::ArrayBuilder::finish_cloned(&maps).data_type().clone(),
        true,
    );
    let fields = vec![fields[0].clone(), Arc::new(params)];
    let mut events = StructBuilder::new(fields, vec![Box::new(StringBuilder::new()), Box::new(maps)]);
    for params in [[("b", "1"), ("a", "2"), ("b", "3")], [("a", "2"), ("b", "1"), ("b", "3")]] {
        events.field_builder::<StringBuilder>(0).unwrap().append_value("Set");
        let maps = events.field_builder::<MapBuilder<StringBuilder, StringBuilder>>(1).unwrap();
        for (name, value) in params {
            maps.keys().append_value(name);
            maps.values().append_value(value);
        }
        maps.append(true).unwrap();
        events.append(true);
    }
    let mut list = ListBuilder::new(events);
    list.append(true);
    let column: ArrayRef = Arc::new(list.finish());
    let odd = RecordBatch::try_from_iter([(COLUMN, column)]).unwrap();
    let plain = batch(SessionType::CmdsParamsValues, &self::events("Set(a=2 b=3), Set(a=2 b=3)"));
    let model = fit(&Config::parity(), &odd);
    assert_eq!(model.to_bytes().unwrap(), fit(&Config::parity(), &plain).to_bytes().unwrap());
    assert_eq!(&model.score(&odd).unwrap()["score"], &model.score(&plain).unwrap()["score"]);
}

#[test]
fn models_of_every_kind_are_found_by_their_bytes_and_newer_ones_refused() {
    for kind in KINDS {
        let model = fit(&Config::default(), &batch(kind, &events("Set(a=1 b), Get(a=2)")));
        let bytes = model.save().unwrap();
        let loaded = crate::load(&bytes).unwrap();
        assert_eq!(loaded.schema(), model.schema());
        assert_eq!(SessionType::of(model.schema().field(0).data_type()), Some(kind));
        assert_eq!(loaded.save().unwrap(), bytes);
        for end in 0..bytes.len() {
            assert!(SequenceModel::load(&bytes[..end]).is_err());
        }
    }
    let newer = Envelope { kind: "sequence", format: 2 }.pack(&[]).unwrap();
    assert_eq!(SequenceModel::load(&newer).unwrap_err().kind(), ErrorKind::Unsupported);
    let other = Envelope { kind: "rarity", format: 1 }.pack(&[]).unwrap();
    assert_eq!(SequenceModel::load(&other).unwrap_err().kind(), ErrorKind::BadData);
}
