use std::sync::Mutex;
use std::time::Duration;

use arrow_array::types::{Float64Type, Int64Type, TimestampNanosecondType};
use arrow_array::{Float64Array, Int64Array};
use arrow_select::concat::concat_batches;
use dfp_core::Error as CoreError;
use proptest::prelude::*;

use super::*;
use crate::testing::{column, raw, texts};

/// Keeps what it is told.
#[derive(Default)]
struct Notes {
    rejects: Mutex<Vec<Reject>>,
    counts: Mutex<Vec<(String, u64)>>,
    warnings: Mutex<Vec<String>>,
}

impl Host for Notes {
    fn log_enabled(&self, _level: Level) -> bool {
        true
    }
    fn log(&self, _level: Level, _target: &str, message: &str) {
        self.warnings.lock().unwrap().push(message.to_owned());
    }
    fn is_cancelled(&self) -> bool {
        false
    }
    fn open(&self, uri: &str) -> dfp_core::Result<Box<dyn std::io::Read + Send>> {
        Err(CoreError::new(dfp_core::ErrorKind::Unsupported, uri))
    }
    fn reject(&self, reject: Reject) {
        self.rejects.lock().unwrap().push(reject);
    }
    fn count(&self, counter: &str, n: u64) {
        self.counts.lock().unwrap().push((counter.to_owned(), n));
    }
}

const NOW: i64 = 1_700_000_000_000_000_000;

fn options() -> LoadOptions {
    LoadOptions::at(UNIX_EPOCH + Duration::from_nanos(NOW as u64))
}

fn profile(columns: &str) -> Profile {
    let head = "name = \"t\"\nfeatures = [\"x\"]\nentity = { inputs = [\"user\", \"id\"] }\n";
    Profile::from_toml(&format!("{head}{columns}")).unwrap()
}

fn run(profile: &Profile, options: &LoadOptions, batch: &RecordBatch) -> (RecordBatch, Arc<Notes>) {
    run_in_parts(profile, options, batch, MAX_TEXT_BYTES)
}

fn run_in_parts(
    profile: &Profile,
    options: &LoadOptions,
    batch: &RecordBatch,
    max_text_bytes: usize,
) -> (RecordBatch, Arc<Notes>) {
    let notes = Arc::new(Notes::default());
    let mut stage = LoadStage::new(profile, options, notes.clone()).unwrap();
    stage.max_text_bytes = max_text_bytes;
    let schema = stage.bind(batch.schema()).unwrap();
    stage.push(batch.clone()).unwrap();
    stage.finish().unwrap();
    let mut out = Vec::new();
    while let Some(batch) = stage.pull().unwrap() {
        out.push(batch);
    }
    (concat_batches(&schema, &out).unwrap(), notes)
}

/// Loads one column `x`; the raw batch has the text columns `a`, `b` and a user.
fn load_x(rule: &str, a: &[Option<&str>], b: &[Option<&str>]) -> RecordBatch {
    let users = vec![Some("u"); a.len()];
    let batch = raw(&vec![NOW; a.len()], &[("user", &users), ("a", a), ("b", b)]);
    run(&profile(&format!("[[load]]\nname = \"x\"\n{rule}")), &options(), &batch).0
}

fn load_texts(rule: &str, a: &[Option<&str>]) -> Vec<Option<String>> {
    let blank = vec![Some("B"); a.len()];
    texts(&load_x(rule, a, &blank), "x")
}

fn some(values: &[&str]) -> Vec<Option<String>> {
    values.iter().map(|value| Some((*value).to_owned())).collect()
}

#[test]
fn who_and_when_come_first_and_everything_lost_is_rejected_with_its_origin() {
    let users = [Some("Ann@X.com "), Some("-"), Some("bob"), None, Some("generic_user"), Some("ann@x.com")];
    let ids = [None, Some("Unknown"), None, Some("svc-1"), None, None];
    let times = [NOW, NOW, NOW + 3 * 86_400_000_000_000, NOW, NOW, 0];
    let batch = raw(&times, &[("user", &users), ("id", &ids), ("x", &[Some("v"); 6])]);
    let (loaded, notes) = run(&profile("[[load]]\nname = \"x\"\nrule = \"column\""), &options(), &batch);
    let names: Vec<_> = loaded.schema().fields().iter().map(|field| field.name().clone()).collect();
    assert_eq!(names, [RECORD_ID, ORIGIN, EVENT_TIME, ENTITY, ENTITY_AS_WRITTEN, "x"]);
    assert_eq!(texts(&loaded, ENTITY), some(&["ann@x.com", "svc-1", "~generic_user"]));
    assert_eq!(texts(&loaded, ENTITY_AS_WRITTEN), some(&["Ann@X.com ", "svc-1", "generic_user"]));
    let rejects = notes.rejects.lock().unwrap();
    let found: Vec<_> = rejects.iter().map(|reject| (reject.origin.as_str(), &*reject.reason)).collect();
    let expected =
        [("f:1", reason::NO_ENTITY), ("f:2", reason::TIME_OUT_OF_RANGE), ("f:5", reason::TIME_OUT_OF_RANGE)];
    assert_eq!(found, expected);
}

#[test]
fn selections_are_folded() {
    let users = [Some("Ann"), Some("bob"), Some("ann"), Some("ann")];
    let batch = raw(&[NOW, NOW, NOW + 5, NOW - 1], &[("user", &users), ("x", &[None; 4])]);
    let mut options = options();
    options.selection = Selection::new([], ["ANN".to_owned()]).unwrap();
    let (loaded, notes) = run(&profile("[[load]]\nname = \"x\"\nrule = \"column\""), &options, &batch);
    assert_eq!(texts(&loaded, RECORD_ID), some(&["r0", "r2", "r3"]));
    let rejects = notes.rejects.lock().unwrap();
    assert_eq!(rejects.iter().filter(|reject| reject.reason == reason::NOT_SELECTED).count(), 1);
}

#[test]
fn every_word_for_nobody_is_nobody_and_the_next_column_is_asked() {
    let words = ["", " ", "-", "{}", "[]", "unknown", "Unknown", "Not Available", "not_available"];
    let more = ["NaN", "nan", "None", "NONE", "none", "\t-\n"];
    let users: Vec<_> = words.iter().chain(&more).map(|word| Some(*word)).chain([None]).collect();
    let rows = users.len();
    let profile = profile("[[load]]\nname = \"x\"\nrule = \"column\"");
    let ids: Vec<_> = (0..rows).map(|row| (row % 2 == 0).then_some("Svc-1")).collect();
    let batch = raw(&vec![NOW; rows], &[("user", &users), ("id", &ids), ("x", &vec![None; rows])]);
    let (loaded, notes) = run(&profile, &options(), &batch);
    assert_eq!(texts(&loaded, ENTITY), some(&vec!["svc-1"; rows / 2]));
    assert_eq!(texts(&loaded, ENTITY_AS_WRITTEN), some(&vec!["Svc-1"; rows / 2]));
    let rejects = notes.rejects.lock().unwrap();
    assert!(rejects.iter().all(|reject| reject.reason == reason::NO_ENTITY));
    assert_eq!(rejects.len(), rows / 2);
}

#[test]
fn records_without_user_are_kept_and_counted_if_the_profile_says_so() {
    let users = [Some("-"), Some("ann"), None, Some("Unknown")];
    let batch = raw(&[NOW, NOW, 0, NOW], &[("user", &users), ("x", &[None; 4])]);
    let keep = profile("[[load]]\nname = \"x\"\nrule = \"column\"")
        .with_overrides("entity = { without = \"keep\", nobody = \"None\" }")
        .unwrap();
    let (loaded, notes) = run(&keep, &options(), &batch);
    assert_eq!(texts(&loaded, ENTITY), some(&["none", "ann", "none"]));
    assert_eq!(texts(&loaded, ENTITY_AS_WRITTEN), [None, Some("ann".to_owned()), None]);
    assert_eq!(*notes.counts.lock().unwrap(), [(WITHOUT_ENTITY.to_owned(), 2)]);
    assert_eq!(notes.rejects.lock().unwrap()[0].reason, reason::TIME_OUT_OF_RANGE);
    let of_raw = keep.entity.of(&batch).unwrap();
    assert_eq!(of_raw.iter().collect::<Vec<_>>(), [Some("none"), Some("ann"), Some("none"), Some("none")]);
    // Nobody's records are selected by nobody's name.
    let mut options = options();
    options.selection = Selection::new([], ["none".to_owned()]).unwrap();
    assert_eq!(run(&keep, &options, &batch).0.num_rows(), 2);
}

#[test]
fn a_record_without_time_is_rejected() {
    let batch = raw(&[NOW; 2], &[("user", &[Some("ann"); 2]), ("x", &[None; 2])]);
    let times = TimestampNanosecondArray::from(vec![None, Some(NOW)]).with_timezone("UTC");
    let mut columns = batch.columns().to_vec();
    columns[2] = Arc::new(times);
    let batch = RecordBatch::try_new(batch.schema(), columns).unwrap();
    let (loaded, notes) = run(&profile("[[load]]\nname = \"x\"\nrule = \"column\""), &options(), &batch);
    assert_eq!(texts(&loaded, RECORD_ID), some(&["r1"]));
    assert_eq!(notes.rejects.lock().unwrap()[0].reason, reason::NO_TIME);
}

#[test]
fn a_filter_rejects_what_does_not_pass() {
    let users = [Some("a"), Some("b"), Some("c")];
    let batch = raw(&[NOW; 3], &[("user", &users), ("x", &[Some("v"), None, Some("w")])]);
    let kept = |filter: &str| {
        let columns =
            format!("where = {{ column = \"x\", {filter} }}\n[[load]]\nname = \"x\"\nrule = \"column\"");
        let (loaded, notes) = run(&profile(&columns), &options(), &batch);
        assert_eq!(loaded.num_rows() + notes.rejects.lock().unwrap().len(), 3);
        texts(&loaded, ENTITY)
    };
    assert_eq!(kept("equals = \"v\""), some(&["a"]));
    assert_eq!(kept("not_equals = \"v\""), some(&["c"]));
    assert_eq!(kept("present = false"), some(&["b"]));
}

#[test]
fn names_and_keys_agree() {
    let long = "x".repeat(1025);
    let names = ["ΟΔΥΣΣΕΥΣ ", "Straße", "~Generic_User", "ann", &long];
    let users = names.map(Some);
    let batch = raw(&[NOW; 5], &[("user", &users), ("x", &[None; 5])]);
    let profile = profile("[[load]]\nname = \"x\"\nrule = \"column\"");
    let mut options = options();
    options.selection = Selection::new([], names.map(str::to_owned)).unwrap();
    let (loaded, notes) = run(&profile, &options, &batch);
    let keys: Vec<_> = names[..4].iter().map(|name| Some(profile.entity.key(name))).collect();
    assert_eq!(texts(&loaded, ENTITY), keys);
    assert_eq!(keys[2].as_deref(), Some("~~generic_user"));
    assert_eq!(notes.rejects.lock().unwrap()[0].reason, reason::NO_ENTITY);
}

#[test]
fn texts_are_taken_replaced_and_folded() {
    let a = [Some("Edge 97.0"), Some(" "), None, Some("n/a")];
    assert_eq!(
        load_texts("rule = \"rename\"\ninput = \"a\"", &a),
        [Some("Edge 97.0".to_owned()), None, None, Some("n/a".to_owned())]
    );
    let words = "rule = \"rename\"\ninput = \"a\"\nmissing = [\"\", \"N/A\"]\nmissing_as = \"nan\"";
    assert_eq!(load_texts(words, &a), some(&["Edge 97.0", "nan", "nan", "nan"]));
    let first = "rule = \"coalesce\"\ninputs = [\"a\", \"b\"]\nfold_case = true";
    assert_eq!(load_texts(first, &a), some(&["edge 97.0", "b", "b", "n/a"]));
    let joined = "rule = \"string-cat\"\ninputs = [\"a\", \"b\"]\nsep = \", \"";
    assert_eq!(load_texts(joined, &a), some(&["Edge 97.0, B", "B", "B", "n/a, B"]));
    let family = "rule = \"browser-family\"\ninput = \"a\"";
    assert_eq!(load_texts(family, &a)[0].as_deref(), Some("Edge"));
    let mapped = "rule = \"map\"\ninput = \"a\"\nvalues = { \"n/a\" = \"none\" }\notherwise = \"other\"";
    assert_eq!(load_texts(mapped, &a), [some(&["other"])[0].clone(), None, None, some(&["none"])[0].clone()]);
    let list = [Some(r#"["x","y"]"#), Some("[]"), Some("[1]"), Some("junk")];
    let items = load_texts("rule = \"string-join\"\ninput = \"a\"\nsep = \"|\"", &list);
    assert_eq!(items, [Some("x|y".to_owned()), Some(String::new()), None, None]);
}

#[test]
fn numbers_and_times_are_parsed_or_null_and_counted() {
    let a = [Some("7"), Some(" -3.0 "), Some("NaN"), Some("x"), None, Some("1e400")];
    let users = [Some("u"); 6];
    let batch = raw(&[NOW; 6], &[("user", &users), ("a", &a)]);
    let rule =
        |rule: &str| profile(&format!("[[load]]\nname = \"x\"\nrule = \"rename\"\ninput = \"a\"\n{rule}"));
    let (loaded, notes) = run(&rule("type = \"int\""), &options(), &batch);
    let ints = column(&loaded, "x").as_primitive::<Int64Type>();
    assert_eq!(ints, &Int64Array::from(vec![Some(7), Some(-3), None, None, None, None]));
    assert_eq!(*notes.counts.lock().unwrap(), [("unreadable:x".to_owned(), 3)]);
    let (loaded, _) = run(&rule("type = \"float\""), &options(), &batch);
    let floats = column(&loaded, "x").as_primitive::<Float64Type>();
    assert_eq!(floats, &Float64Array::from(vec![Some(7.0), Some(-3.0), None, None, None, None]));

    let a =
        [Some("2022-08-01T03:02:04Z"), Some("2022-08-01T03:02:04.418Z"), Some("None"), Some("1659322924")];
    let time = |rule: &str| {
        let columns =
            format!("rule = \"rename\"\ninput = \"b\"\n[[load]]\nname = \"t\"\ninput = \"a\"\n{rule}");
        let loaded = load_x(&columns, &a, &[None; 4]);
        column(&loaded, "t").as_primitive::<TimestampNanosecondType>().iter().collect::<Vec<_>>()
    };
    let base = 1_659_322_924_000_000_000;
    assert_eq!(time("rule = \"date-time\""), [Some(base), Some(base + 418_000_000), None, None]);
    assert_eq!(time("rule = \"date-time\"\nunit = \"s\"")[3], Some(base));
}

#[test]
fn booleans_never_guess_true() {
    let a = [Some("success"), Some("Success"), Some("FRAUD"), None];
    let rule = "rule = \"bool\"\ninput = \"a\"\ntrue_values = [\"success\"]\nfalse_values = [\"FRAUD\"]";
    let value = |rule: &str| {
        let loaded = load_x(rule, &a, &[None; 4]);
        column(&loaded, "x").as_boolean().iter().collect::<Vec<_>>()
    };
    assert_eq!(value(rule), [Some(true), None, Some(false), None]);
    assert_eq!(value(&format!("{rule}\notherwise = false")), [Some(true), Some(false), Some(false), None]);
    assert_eq!(value("rule = \"present\"\ninput = \"a\"")[3], Some(false));
}

#[test]
fn a_column_the_source_lacks_is_null_with_a_warning_but_not_the_entity() {
    let batch = raw(&[NOW], &[("user", &[Some("u")])]);
    let profile = profile("[[load]]\nname = \"x\"\nrule = \"column\"");
    let (loaded, notes) = run(&profile, &options(), &batch);
    assert_eq!(texts(&loaded, "x"), [None]);
    assert!(notes.warnings.lock().unwrap().iter().any(|warning| warning.contains("`x`")));
    let mut stage = LoadStage::new(&profile, &options(), Arc::new(Notes::default())).unwrap();
    assert!(stage.bind(raw(&[NOW], &[("x", &[None])]).schema()).is_err());
    assert!(stage.push(batch).is_err(), "push before a successful bind");
}

#[test]
fn the_profile_may_name_its_own_time() {
    let when = [Some("2022-08-01T03:02:04Z"), Some("junk")];
    let batch = raw(&[NOW, NOW], &[("user", &[Some("u"); 2]), ("when", &when), ("x", &[None; 2])]);
    let profile = profile("time = { column = \"when\" }\n[[load]]\nname = \"x\"\nrule = \"column\"");
    let (loaded, notes) = run(&profile, &options(), &batch);
    let times = column(&loaded, EVENT_TIME).as_primitive::<TimestampNanosecondType>();
    assert_eq!(times.values(), &[1_659_322_924_000_000_000]);
    assert_eq!(notes.rejects.lock().unwrap()[0].reason, reason::NO_TIME);
}

/// Every rule at once.
const EVERY_RULE: &str = r#"
    [[load]]
    name = "x"
    rule = "rename"
    input = "a"
    [[load]]
    name = "int"
    rule = "rename"
    input = "a"
    type = "int"
    [[load]]
    name = "float"
    rule = "rename"
    input = "a"
    type = "float"
    [[load]]
    name = "flag"
    rule = "rename"
    input = "a"
    type = "bool"
    [[load]]
    name = "when"
    rule = "date-time"
    input = "a"
    unit = "ms"
    [[load]]
    name = "cat"
    rule = "string-cat"
    inputs = ["a", "b"]
    sep = "|"
    missing_as = "nan"
    [[load]]
    name = "join"
    rule = "string-join"
    input = "a"
    sep = "|"
    [[load]]
    name = "browser"
    rule = "browser-family"
    input = "a"
    [[load]]
    name = "os"
    rule = "os-family"
    input = "a"
    [[load]]
    name = "net"
    rule = "ip-network"
    input = "b"
    [[load]]
    name = "low"
    rule = "lower"
    input = "b"
"#;

fn cell() -> impl Strategy<Value = Option<String>> {
    let cells = "|[a-cA-C]{1,2}|[0-9]{1,3}(\\.[0-9]{1,3}){3}|-?[0-9]{1,22}|[\\[\\]\",x0-9]{0,9}|.{0,12}";
    prop::option::weighted(0.9, cells)
}

proptest! {
    #[test]
    fn any_text_loads_alike_whole_and_in_pieces(
        rows in prop::collection::vec((cell(), cell(), cell()), 1..20),
        cut in 0_usize..20,
    ) {
        let user: Vec<_> = rows.iter().map(|row| row.0.as_deref()).collect();
        let a: Vec<_> = rows.iter().map(|row| row.1.as_deref()).collect();
        let b: Vec<_> = rows.iter().map(|row| row.2.as_deref()).collect();
        let batch = raw(&vec![NOW; rows.len()], &[("user", &user), ("a", &a), ("b", &b)]);
        let profile = profile(EVERY_RULE);
        let (whole, notes) = run(&profile, &options(), &batch);
        prop_assert_eq!(whole.num_rows() + notes.rejects.lock().unwrap().len(), rows.len());

        let (parts, _) = run_in_parts(&profile, &options(), &batch, 64);
        prop_assert_eq!(&parts, &whole);
        let cut = cut.min(rows.len());
        let (first, _) = run(&profile, &options(), &batch.slice(0, cut));
        let (second, _) = run(&profile, &options(), &batch.slice(cut, rows.len() - cut));
        prop_assert_eq!(concat_batches(&whole.schema(), [&first, &second]).unwrap(), whole);
    }
}
