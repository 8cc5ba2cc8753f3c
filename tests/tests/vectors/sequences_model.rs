//! Vectors of models of sequences: counts, probabilities, likelihoods, rarest windows; on small data and on a demo file.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, UInt32Type};
use arrow_array::{Array, ArrayRef, Int64Array, ListArray, RecordBatch, StringArray};
use dfp_core::{ErrorKind, FitContext, Model};
use dfp_models::sequence::{
    Config, Modellable, Product, SequenceModel, SequenceTrainer, SessionType, Sessions, SessionsBuilder,
    Token, Tokens,
};
use serde_json::Value;

use crate::exchange_demo;
use crate::values::{index, list, number, text};

const COLUMN: &str = "events";
/// The reference's own runs differ by 3.4e-16.
const TOLERANCE: f64 = 1e-12;
const START: &str = "##START##";
const END: &str = "##END##";
const UNKNOWN: &str = "##UNK##";

/// An event: its command, and its parameters with their values.
type Event = (String, BTreeMap<String, Option<String>>);

pub(crate) fn model(vector: &Value) -> usize {
    let cases = list(&vector["cases"]);
    for case in cases {
        Case::new(case).check();
    }
    cases.len()
}

struct Case<'a> {
    what: String,
    vector: &'a Value,
    kind: SessionType,
    config: Config,
    column: ListArray,
    model: SequenceModel,
}

impl<'a> Case<'a> {
    fn new(case: &'a Value) -> Self {
        let kind = session_type(&case["session_type"]);
        let data: Vec<Vec<Event>> = list(&case["sessions"]).iter().map(events).collect();
        let column = column(kind, &data);
        let modellable = match case["modellable_override"].as_array() {
            None => Modellable::Heuristic,
            Some(names) => Modellable::Named(names.iter().map(text).collect()),
        };
        let config = Config { modellable, ..Config::parity() };
        let model = fit(&config, &column);
        Self { what: text(&case["id"]), vector: case, kind, config, column, model }
    }

    fn sessions(&self) -> Sessions<'_> {
        Sessions::of_column(&self.column, COLUMN).expect("they are sessions")
    }

    fn check(&self) {
        let (case, model) = (self.vector, &self.model);
        if let Some(counts) = case.get("raw_counts") {
            self.tables("raw", counts, &raw_counts(model));
            let probabilities = probabilities(model, &case["probs"]);
            self.tables(
                "smoothed",
                &case["smoothed_counts"],
                &smoothed(&probabilities, &case["smoothed_counts"]),
            );
            self.tables("probability", &case["probs"], &probabilities);
        }
        if let Some(names) = case["modellable_params"].as_array() {
            let names: Vec<String> = names.iter().map(text).collect();
            let known = |name: &&str| names.iter().any(|modelled| modelled == name);
            let modelled = model.modelled_parameters();
            assert!(modelled.iter().all(known), "{}: {modelled:?}", self.what);
            let all = model.counts().command_parameters();
            let seen = |name: &&String| all.keys().any(|(_, parameter)| parameter == name);
            assert_eq!(modelled.len(), names.iter().filter(seen).count(), "{}: {modelled:?}", self.what);
        }
        self.likelihoods();
        for windows in list(&case["scores"]["windows"]) {
            self.windows(windows);
        }
        for (name, geometric) in [("geo_mean", true), ("plain", false)] {
            if let Some(sets) = case["setof_params_cond_cmd"].get(name) {
                check_sets(&self.what, model, &self.sessions(), sets, geometric);
            }
        }
        for query in list(&case["unseen_queries"]) {
            self.query(query);
        }
    }

    /// Compares tables of names, some of tables of names.
    fn tables(&self, what: &str, expected: &Value, found: &Tables) {
        for (name, table) in expected.as_object().expect("tables have names") {
            let mut cells = BTreeMap::new();
            flatten(table, &mut Vec::new(), &mut cells);
            let found = found.get(name.as_str()).cloned().unwrap_or_default();
            let keys = |cells: &Cells| cells.keys().cloned().collect::<Vec<_>>();
            assert_eq!(keys(&found), keys(&cells), "{}: cells of {what} {name}", self.what);
            for (key, expected) in &cells {
                assert_near(&format!("{}: {what} {name} {key:?}", self.what), found[key], *expected);
            }
        }
    }

    fn likelihoods(&self) {
        let scores = &self.vector["scores"];
        for (suffix, tokens) in [("tokens", Tokens::BOTH), ("no_tokens", Tokens::NONE)] {
            let found = self.model.likelihoods(&self.sessions(), tokens).expect("they fit");
            let expected = |name: &str| list(&scores[format!("{name}_{suffix}")]);
            let (plain, means) = (expected("likelihood"), expected("geomean"));
            assert_eq!((found.len(), found.len()), (plain.len(), means.len()), "{}", self.what);
            for (session, found) in found.iter().enumerate() {
                let what = format!("{}: session {session} {suffix}", self.what);
                let events = list(&self.vector["sessions"][session]).len();
                check_likelihood(&what, *found, events, number(&plain[session]), number(&means[session]));
                if let Some(log) = scores.get(format!("log_likelihood_{suffix}")) {
                    assert_near(&what, found.ln(), number(&log[session]));
                }
            }
        }
    }

    fn windows(&self, expected: &Value) {
        let (length, tokens) = (index(&expected["window_len"]), expected["tokens"] == true);
        let root = if expected["geo_mean"] == true { length } else { 1 };
        let what = format!("{}: windows of {length}, tokens {tokens}, root {root}", self.what);
        let sessions = self.sessions();
        let rarest = self.model.rarest_windows(&sessions, length, tokens).expect("they fit");
        let all = self.model.windows(&sessions, length, tokens).expect("they fit");
        for (session, rarest) in rarest.iter().enumerate() {
            let what = format!("{what}, session {session}");
            let least = number(&expected["rarest_likelihood"][session]);
            let items = index(&expected["rarest_window_items"][session]);
            let Some(rarest) = rarest else {
                assert!(least.is_nan() && items == 0, "{what}: no window");
                continue;
            };
            assert_near(&what, rarest.likelihood.root(root), least);
            let start = index(&expected["rarest_start"][session]);
            if rarest.start == start {
                assert_eq!(rarest.events, items, "{what}");
            } else {
                // A tie that the reference's last bits decide.
                assert_near(&what, all[session][start].root(root), least);
            }
        }
        let Some(expected) = expected["all_window_likelihoods"].as_array() else { return };
        assert_eq!(all.len(), expected.len(), "{what}");
        for (session, (found, expected)) in all.iter().zip(expected).enumerate() {
            assert_eq!(found.len(), list(expected).len(), "{what}, session {session}");
            for (start, (found, expected)) in found.iter().zip(list(expected)).enumerate() {
                assert_near(&format!("{what}, {session} from {start}"), found.root(root), number(expected));
            }
        }
    }

    /// A window that was not in the data. An empty one is none: it is refused where the reference answers with no number.
    fn query(&self, query: &Value) {
        let window = events(&query["window"]);
        let column = column(self.kind, std::slice::from_ref(&window));
        let what = format!("{}: {query}", self.what);
        let Ok(sessions) = Sessions::of_column(&column, COLUMN) else {
            assert!(window.is_empty() && query["likelihood"].is_null(), "{what}");
            return;
        };
        let tokens = Tokens { start: query["use_start"] == true, end: query["use_end"] == true };
        // A parameter of this name is any unseen one for us; the reference takes it as its token, and so as present.
        let token = window.iter().any(|(_, params)| params.contains_key(UNKNOWN));
        let config = Config { unseen_parameters: token, ..self.config.clone() };
        let model = fit(&config, &self.column);
        let found = model.likelihoods(&sessions, tokens).expect("they fit");
        assert_near(&what, found[0].value(), number(&query["likelihood"]));
    }
}

fn check_likelihood(what: &str, found: Product, events: usize, plain: f64, mean: f64) {
    if plain == 0.0 {
        // Beyond the numbers of the reference, not beyond ours.
        assert!(found.value() < 1e-300 && found.ln().is_finite(), "{what}: {found:?}");
        assert!(mean == 0.0 || (found.root(events) / mean - 1.0).abs() < TOLERANCE, "{what}");
        assert!(found.root(events) > 0.0, "{what}");
        return;
    }
    assert_near(what, found.value(), plain);
    assert_near(what, found.root(events), mean);
}

/// Numbers that agree relatively, as far as the reference's are not cut off.
fn assert_near(what: &str, found: f64, expected: f64) {
    let near = (found - expected).abs() <= TOLERANCE * expected.abs() + f64::MIN_POSITIVE;
    assert!(near, "{what}: {found:e}, expected {expected:e}");
}

fn session_type(name: &Value) -> SessionType {
    serde_json::from_value(name.clone()).unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// `"command"`, `["command", ["parameter", ...]]` or `["command", {"parameter": value, ...}]`.
fn events(session: &Value) -> Vec<Event> {
    let event = |event: &Value| {
        let command = if event.is_array() { text(&event[0]) } else { text(event) };
        let mut params: BTreeMap<_, _> = list(&event[1]).iter().map(|name| (text(name), None)).collect();
        for (name, value) in event[1].as_object().into_iter().flatten() {
            params.insert(name.clone(), value.as_str().map(str::to_owned));
        }
        (command, params)
    };
    list(session).iter().map(event).collect()
}

fn column(kind: SessionType, sessions: &[Vec<Event>]) -> ListArray {
    let mut builder = SessionsBuilder::new(kind);
    for session in sessions {
        for (command, params) in session {
            builder.event(command, params.iter().map(|(name, value)| (name.as_str(), value.as_deref())));
        }
        builder.end_session();
    }
    builder.finish()
}

fn batch(column: &ListArray) -> RecordBatch {
    RecordBatch::try_from_iter([(COLUMN, Arc::new(column.clone()) as ArrayRef)]).expect("one column")
}

fn fit(config: &Config, column: &ListArray) -> SequenceModel {
    let trainer = SequenceTrainer::new(config.clone(), COLUMN).expect("settings that work");
    let context = FitContext { threads: 2, ..FitContext::default() };
    let model = trainer.fit_sequence(&batch(column), None, &context).expect("it learns");
    // What a model answers, it answers after a journey through bytes.
    SequenceModel::load(&model.save().expect("it is saved")).expect("it is loaded")
}

/// Cells of a table, by one or two names.
type Cells = BTreeMap<Vec<String>, f64>;
type Tables = BTreeMap<&'static str, Cells>;

fn flatten(table: &Value, path: &mut Vec<String>, into: &mut Cells) {
    match table.as_object() {
        None if table.is_null() => {}
        None => drop(into.insert(path.clone(), number(table))),
        Some(entries) => {
            for (name, entry) in entries {
                path.push(name.clone());
                flatten(entry, path, into);
                path.pop();
            }
        }
    }
}

fn raw_counts(model: &SequenceModel) -> Tables {
    let counts = model.counts();
    let mut tables = Tables::new();
    let mut add = |table, path: &[&str], count: f64| {
        let path = path.iter().map(|name| (*name).to_owned()).collect();
        *tables.entry(table).or_default().entry(path).or_default() += count;
    };
    for token in [START, END] {
        add("seq1", &[token], counts.sessions());
    }
    for (command, count) in counts.commands() {
        add("seq1", &[command], count);
    }
    for ((from, to), count) in counts.transitions() {
        add("seq2", &[from.unwrap_or(START), to.unwrap_or(END)], count);
    }
    for ((command, parameter), count) in counts.command_parameters() {
        add("cmd_param", &[command, parameter], count);
        add("param", &[parameter], count);
    }
    for ((parameter, value), count) in counts.parameter_values() {
        add("param_value", &[parameter, value], count);
        add("value", &[value], count);
    }
    tables
}

fn token(name: &str) -> Token<'_> {
    match name {
        START => Token::Start,
        END => Token::End,
        UNKNOWN => Token::Unknown,
        name => Token::Command(name),
    }
}

/// The cells that `expected` has: ours are defined everywhere.
fn probabilities(model: &SequenceModel, expected: &Value) -> Tables {
    fn known(name: &str) -> Option<&str> {
        (name != UNKNOWN).then_some(name)
    }
    let (parameters, values) = (model.parameter_shares(), model.value_shares());
    let of = |table: &str, path: &[String]| match table {
        "prior" => model.prior(token(&path[0])),
        "trans" => model.transition(token(&path[0]), token(&path[1])),
        "param" => parameters[&known(&path[0])],
        "param_cond_cmd" => model.parameter(token(&path[0]), known(&path[1])),
        "value" => values[&known(&path[0])],
        "value_cond_param" => model.value(known(&path[0]), known(&path[1])),
        other => panic!("there is no table {other}"),
    };
    let tables = ["prior", "trans", "param", "param_cond_cmd", "value", "value_cond_param"].map(|name| {
        let mut cells = Cells::new();
        flatten(&expected[name], &mut Vec::new(), &mut cells);
        (name, cells.into_keys().map(|path| (path.clone(), of(name, &path))).collect())
    });
    BTreeMap::from(tables)
}

/// Our probabilities, times what the reference's smoothed counts of a row sum to.
fn smoothed(probabilities: &Tables, expected: &Value) -> Tables {
    let sum = |row: &Value| row.as_object().into_iter().flatten().map(|(_, n)| number(n)).sum::<f64>();
    let all = sum(&expected["seq1"]);
    let row = |table: &str, path: &[String]| match table {
        "seq1" | "param" => all,
        "cmd_param" => number(&expected["seq1"][&path[0]]),
        "value" => sum(&expected["value"]),
        table => sum(&expected[table][&path[0]]),
    };
    let names = [
        ("seq1", "prior"),
        ("seq2", "trans"),
        ("param", "param"),
        ("cmd_param", "param_cond_cmd"),
        ("value", "value"),
        ("param_value", "value_cond_param"),
    ];
    let tables = names.map(|(name, of)| {
        let cells = probabilities[of].iter().map(|(path, p)| (path.clone(), p * row(name, path)));
        (name, cells.collect())
    });
    BTreeMap::from(tables)
}

/// Compares sets of parameters, printed: a value spelled `None` and no value print alike.
fn check_sets(what: &str, model: &SequenceModel, sessions: &Sessions<'_>, expected: &Value, geometric: bool) {
    let sets = model.parameter_sets(sessions, geometric).expect("they have parameters");
    let key = |command: &str, mut printed: Vec<String>| {
        printed.sort();
        (command.to_owned(), printed)
    };
    let found: BTreeMap<_, f64> = sets
        .iter()
        .map(|set| {
            let printed = set.parameters.iter().map(ToString::to_string).collect();
            (key(&set.command, printed), set.probability)
        })
        .collect();
    let expected: BTreeMap<_, f64> = list(expected)
        .iter()
        .map(|set| {
            let printed = list(&set["key"]).iter().map(text).collect();
            (key(&text(&set["cmd"]), printed), number(&set["prob"]))
        })
        .collect();
    assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>(), "{what}");
    for (set, probability) in &expected {
        assert_near(&format!("{what}: {set:?}"), found[set], *probability);
    }
}

/// Vectors of the demo file: its sessions, or what models of them say.
pub(crate) fn exchange(vector: &Value) -> usize {
    let sessions = exchange_demo::sessions(&vector["config"]);
    let sessions =
        sessions.expect("vectors of the exchange demo file need it: name its folder in DFP_SAMPLES");
    for (session, expected) in sessions.iter().zip(list(&vector["sessions"])) {
        assert_eq!(session.len(), index(&expected["number_events"]), "{expected}");
        let users: Vec<Option<String>> =
            list(&expected["users"]).iter().map(|user| user.as_str().map(str::to_owned)).collect();
        assert_eq!(session[0].users, users);
        assert_eq!(Some(session[0].time), dfp_prep::parse_time(&text(&expected["time_min"])), "{expected}");
    }
    let models: Vec<&Value> = match vector["scores"].as_object() {
        Some(scores) => scores.values().collect(),
        None if vector.get("session_type").is_some() => vec![vector],
        None => vec![],
    };
    for model in models {
        check_demo(model, &sessions);
    }
    sessions.len()
}

fn check_demo(expected: &Value, sessions: &[Vec<exchange_demo::Event>]) {
    let kind = session_type(&expected["session_type"]);
    assert_eq!(sessions.len(), index(&expected["sessions"]));
    let data: Vec<Vec<Event>> = sessions
        .iter()
        .map(|session| session.iter().map(|event| (event.command.clone(), event.params.clone())).collect())
        .collect();
    let column = column(kind, &data);
    for (suffix, tokens) in [("", true), ("_no_tokens", false)] {
        if expected.get(format!("likelihood{suffix}")).is_none() {
            continue;
        }
        let windows: Vec<usize> = (1..20)
            .filter(|l| expected.get(format!("rarest_window{l}_likelihood{suffix}")).is_some())
            .collect();
        let config = Config { tokens, windows, ..Config::parity() };
        let model = fit(&config, &column);
        assert_eq!(model.counts().commands().len(), index(&expected["distinct_commands"]));
        assert!((model.counts().commands().values().sum::<f64>() - number(&expected["events"])).abs() < 0.5);
        if let Some(names) = expected["modellable_params"].as_array() {
            let names: Vec<String> = names.iter().map(text).collect();
            assert_eq!(model.modelled_parameters().into_iter().collect::<Vec<_>>(), names);
        }
        let scored = model.score(&batch(&column)).expect("it scores");
        let view = Sessions::of_column(&column, COLUMN).expect("they are sessions");
        for length in &config.windows {
            let all = model.windows(&view, *length, tokens).expect("they fit");
            check_rarest(*length, &all, &scored, expected, suffix);
        }
        check_wholes(&scored, expected, suffix);
        for (name, geometric) in [("geo_mean", true), ("plain", false)] {
            if let Some(sets) = expected["setof_params_cond_cmd"].get(name) {
                check_sets(&format!("{kind:?}"), &model, &view, sets, geometric);
            }
        }
        if tokens {
            check_top(&scored, expected);
        }
    }
}

fn check_wholes(scored: &RecordBatch, expected: &Value, suffix: &str) {
    for (ours, theirs) in [("likelihood", "likelihood"), ("geomean_likelihood", "geomean")] {
        let numbers = scored[ours].as_primitive::<Float64Type>();
        for (row, expected) in list(&expected[format!("{theirs}{suffix}")]).iter().enumerate() {
            assert_near(&format!("{ours}{suffix} of {row}"), numbers.value(row), number(expected));
        }
    }
}

/// Compares the rarest windows of a length. Windows whose likelihoods `all` has at less than the tolerance from each other are
/// ties that the reference's last bits decide: there its window may be another one, if it is as rare.
fn check_rarest(length: usize, all: &[Vec<Product>], scored: &RecordBatch, expected: &Value, suffix: &str) {
    let name = format!("rarest_window{length}");
    let column = |suffix: &str| &scored[format!("{name}{suffix}").as_str()];
    let likelihoods = column("_likelihood").as_primitive::<Float64Type>();
    let starts = column("_start").as_primitive::<UInt32Type>();
    for (row, all) in all.iter().enumerate() {
        let of = |column: &str| &expected[format!("{name}{column}{suffix}")][row];
        let what = format!("{name}{suffix} of {row}");
        let least = number(of("_likelihood"));
        assert_eq!(likelihoods.is_null(row), least.is_nan(), "{what}");
        if least.is_nan() {
            continue;
        }
        assert_near(&what, likelihoods.value(row), least);
        let start = index(of("_start"));
        if starts.value(row) as usize == start {
            let window: Vec<String> = list(of("")).iter().map(text).collect();
            assert_eq!(commands(&column("").as_list::<i32>().value(row)), window, "{what}");
        } else {
            assert_near(&format!("{what}, from {start}"), all[start].value(), least);
        }
    }
}

fn commands(events: &ArrayRef) -> Vec<String> {
    let names = match events.as_struct_opt() {
        Some(events) => events.column(0).as_string::<i32>().clone(),
        None => events.as_string::<i32>().clone(),
    };
    names.iter().map(|name| name.expect("events have commands").to_owned()).collect()
}

fn check_top(scored: &RecordBatch, expected: &Value) {
    let top = list(&expected["top20_window3"]);
    let likelihoods = scored["rarest_window3_likelihood"].as_primitive::<Float64Type>();
    let mut sorted: Vec<f64> = likelihoods.iter().flatten().collect();
    sorted.sort_by(f64::total_cmp);
    for (expected, least) in top.iter().zip(&sorted) {
        let row = index(&expected["row"]);
        assert_near(&format!("{expected}"), likelihoods.value(row), number(&expected["likelihood"]));
        assert_near(&format!("{expected}"), *least, number(&expected["likelihood"]));
    }
}

/// What we do where the reference raises an exception, or should have.
enum Ours {
    Refused(ErrorKind),
    Accepted,
    /// There is no way to ask for it.
    CannotBeSaid,
}

/// Misuses, by the names that the file gives them: it has nothing else of them.
pub(crate) fn errors(vector: &Value) -> usize {
    let cases = list(&vector["cases"]).iter().filter_map(|case| {
        let id = text(&case["id"]);
        misuse(&id).map(|(ours, found)| (id, ours, found))
    });
    let mut run = 0;
    for (id, ours, found) in cases {
        match ours {
            Ours::Refused(kind) => assert_eq!(found, Err(kind), "{id}"),
            Ours::Accepted | Ours::CannotBeSaid => assert_eq!(found, Ok(()), "{id}"),
        }
        run += 1;
    }
    run
}

fn misuse(id: &str) -> Option<(Ours, Result<(), ErrorKind>)> {
    use ErrorKind::{BadData, InvalidConfig, SchemaMismatch};
    let train = |events: ArrayRef| {
        let batch = RecordBatch::try_from_iter_with_nullable([(COLUMN, events, true)]).expect("one column");
        let trainer = SequenceTrainer::new(Config::parity(), COLUMN).expect("settings that work");
        trainer.fit_sequence(&batch, None, &FitContext::default()).map(drop).map_err(|e| e.kind())
    };
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["a"]));
    let numbers: ArrayRef = Arc::new(ListArray::from_iter_primitive::<arrow_array::types::Int64Type, _, _>(
        [Some(vec![Some(1)])],
    ));
    let sessions = |kind, json: &str| -> ArrayRef {
        let sessions: Value = serde_json::from_str(json).expect("it is JSON");
        Arc::new(column(kind, &list(&sessions).iter().map(events).collect::<Vec<_>>()))
    };
    let only = SessionType::CmdsOnly;
    let nulls = || -> ArrayRef {
        let mut list = arrow_array::builder::ListBuilder::new(arrow_array::builder::StringBuilder::new());
        list.append_value([Some("a"), None, Some("b")]);
        Arc::new(list.finish())
    };
    let window = |length| {
        let column = sessions(only, r#"[["a"]]"#);
        let model = fit(&Config::parity(), column.as_list());
        let sessions = Sessions::of_column(column.as_ref(), COLUMN).expect("they are sessions");
        model.rarest_windows(&sessions, length, true).map(drop).map_err(|e| e.kind())
    };
    Some(match id {
        // A column of another type: Python's dynamic types become one check.
        "not_a_list" | "session_not_list" | "session_tuple" => (Ours::Refused(SchemaMismatch), train(texts)),
        "bad_item" | "params_list" | "list_value" => (Ours::Refused(SchemaMismatch), train(numbers)),
        "empty" => (Ours::Refused(BadData), train(sessions(only, "[]"))),
        "empty_session" => (Ours::Refused(BadData), train(sessions(only, r#"[["a"],[]]"#))),
        "score_null_event" | "score_null_first" => (Ours::Refused(BadData), train(nulls())),
        "dict_then_set" => {
            let mixed = sessions(SessionType::CmdsParamsValues, r#"[[["a",{"p":"1"}],["b",["p"]]]]"#);
            (Ours::Accepted, train(mixed))
        }
        "set_then_dict" => {
            let mixed = sessions(SessionType::CmdsParamsOnly, r#"[[["a",["p"]],["b",{"p":"1"}]]]"#);
            (Ours::Accepted, train(mixed))
        }
        "set_on_strings" => {
            let column = sessions(only, r#"[["a"]]"#);
            let model = fit(&Config::parity(), column.as_list());
            let view = Sessions::of_column(column.as_ref(), COLUMN).expect("they are sessions");
            let sets = model.parameter_sets(&view, true).map(drop).map_err(|e| e.kind());
            (Ours::Refused(SchemaMismatch), sets)
        }
        "window_zero" | "window_zero_geo" => (Ours::Refused(InvalidConfig), window(0)),
        "score_no_column" => {
            let model = fit(&Config::parity(), sessions(only, r#"[["a"]]"#).as_list());
            let other: ArrayRef = Arc::new(Int64Array::from(vec![1]));
            let batch = RecordBatch::try_from_iter([("other", other)]).expect("one column");
            (Ours::Refused(SchemaMismatch), model.score(&batch).map(drop).map_err(|e| e.kind()))
        }
        // A model is what training gives, arguments are checked by the compiler, lengths have no sign, a batch is a batch,
        // events of one column are of one kind.
        "untrained_scores" | "untrained_lik" | "untrained_win" | "untrained_geo" | "untrained_set"
        | "scores_no_arg" | "window_negative" | "score_not_df" | "mixed_str_then_cmd"
        | "mixed_cmd_then_str" => (Ours::CannotBeSaid, Ok(())),
        _ => return None,
    })
}
