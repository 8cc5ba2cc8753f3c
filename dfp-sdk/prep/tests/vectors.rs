//! The reference's own answers, as recorded in `vectors/dfp`, against this crate. Where we mean to answer differently, the
//! case is listed below with the reason, and the test fails if it is not different.
//!
//! Vectors are read from `DFP_VECTORS` (a colon list of folders that hold `dfp/`), else from `tests/vectors` and
//! `../shared/vectors` of the repository; without any, there is nothing to compare with.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type, TimestampNanosecondType};
use arrow_array::{
    Array, ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampNanosecondArray,
};
use arrow_schema::DataType;
use arrow_select::concat::concat_batches;
use dfp_core::{Host, Level, ORIGIN, RECORD_ID, Reject, Stage};
use dfp_prep::batcher::{BatchOptions, DatedFile, batch_files, file_date};
use dfp_prep::derive::Deriver;
use dfp_prep::split::by_entity;
use dfp_prep::window::sort_by_time;
use dfp_prep::{LoadOptions, LoadStage, Profile, Selection, parse_time};
use serde_json::{Map, Value, json};

/// Cases we answer differently, and why (quirks: spec/dfp.md section 25).
const DIFFERENT: [(&str, &str); 11] = [
    ("cast_str_with_nulls", "Q1: one word for all gaps, and booleans print as true"),
    ("missing_bool_column", "Q5: an absent boolean column is null, not true"),
    ("bool_unmapped_becomes_true", "Q6: a value in no list is null, never true"),
    ("datetime_mixed_fraction", "Q7: every value is read on its own"),
    ("join_list_str_dtype_quirk", "Q9: items are joined, not characters"),
    ("cat_nulls", "Q1: one word for all gaps"),
    ("distinct_nulls_and_unsorted", "rows are counted in time order, and a gap is not the word nan (Q1)"),
    ("preserve_regex", "there is nothing to preserve: the reserved columns always come along"),
    ("conflicting_input_types_fail", "Q15: every rule reads the raw value itself, so two types cannot clash"),
    ("json_nested", "Q1: one word for all gaps, and a whole number stays one"),
    ("json_text", "a list as text is JSON, without blanks"),
];
/// Files of this kind in every vector folder.
fn vectors(file: &str) -> Vec<Value> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let folders: Vec<PathBuf> = match std::env::var("DFP_VECTORS") {
        Ok(folders) => std::env::split_paths(&folders).collect(),
        Err(_) => vec![root.join("tests/vectors"), root.join("../shared/vectors")],
    };
    let paths = folders.into_iter().map(|folder| folder.join("dfp").join(file)).filter(|path| path.exists());
    let read = |path: PathBuf| serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let found: Vec<Value> = paths.map(read).collect();
    if found.is_empty() {
        eprintln!("no vectors `{file}` here; see this file's head");
    }
    found
}

fn cases(file: &str) -> Vec<Value> {
    vectors(file).iter().flat_map(|vectors| vectors["cases"].as_array().unwrap().clone()).collect()
}

fn check(name: &str, same: bool, ours: &dyn std::fmt::Debug) {
    match DIFFERENT.iter().find(|(case, _)| *case == name) {
        None => assert!(same, "{name}: we answer {ours:?}"),
        Some((_, why)) => assert!(!same, "{name} is listed as different ({why}) but is the same"),
    }
}

struct Quiet;

impl Host for Quiet {
    fn log_enabled(&self, _level: Level) -> bool {
        false
    }
    fn log(&self, _level: Level, _target: &str, _message: &str) {}
    fn is_cancelled(&self) -> bool {
        false
    }
    fn open(&self, uri: &str) -> dfp_core::Result<Box<dyn std::io::Read + Send>> {
        Err(dfp_core::Error::new(dfp_core::ErrorKind::Unsupported, uri))
    }
    fn reject(&self, _reject: Reject) {}
    fn count(&self, _counter: &str, _n: u64) {}
}

fn strings(values: Vec<Option<String>>) -> ArrayRef {
    Arc::new(StringArray::from(values))
}

/// A raw column in the type its values have in common; values of several types are text, lists are JSON text.
fn raw_column(values: &[Value]) -> ArrayRef {
    let all = |holds: fn(&Value) -> bool| values.iter().all(|value| value.is_null() || holds(value));
    if all(Value::is_string) {
        return strings(values.iter().map(|value| value.as_str().map(str::to_owned)).collect());
    }
    if all(Value::is_i64) {
        return Arc::new(values.iter().map(Value::as_i64).collect::<Int64Array>());
    }
    if all(Value::is_number) {
        return Arc::new(values.iter().map(Value::as_f64).collect::<Float64Array>());
    }
    if all(Value::is_boolean) {
        return Arc::new(values.iter().map(Value::as_bool).collect::<BooleanArray>());
    }
    let text = |value: &Value| match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    };
    strings(values.iter().map(text).collect())
}

fn flatten(prefix: &str, value: &Value, out: &mut Map<String, Value>) {
    match value.as_object() {
        Some(object) => {
            object.iter().for_each(|(key, value)| flatten(&format!("{prefix}.{key}"), value, out));
        }
        None => drop(out.insert(prefix.to_owned(), value.clone())),
    }
}

/// A raw batch of JSON records; `json` columns are objects, or objects as text, and become dotted columns.
fn raw_batch(records: &[Value], json: &[&str]) -> RecordBatch {
    let flat = |record: &Value| {
        let mut out = Map::new();
        for (key, value) in record.as_object().unwrap() {
            let parsed = match value {
                Value::String(text) if json.contains(&key.as_str()) => serde_json::from_str(text).unwrap(),
                other => other.clone(),
            };
            flatten(key, &parsed, &mut out);
        }
        out
    };
    let records: Vec<_> = records.iter().map(flat).collect();
    let mut names: Vec<_> = records.iter().flat_map(Map::keys).collect();
    names.sort_unstable();
    names.dedup();
    let numbers = |prefix: &str| strings((0..records.len()).map(|n| Some(format!("{prefix}{n}"))).collect());
    let time = TimestampNanosecondArray::from_value(0, records.len()).with_timezone("UTC");
    let mut columns: Vec<(&str, ArrayRef)> = vec![
        (RECORD_ID, numbers("")),
        (ORIGIN, numbers("f:")),
        ("_time", Arc::new(time)),
        ("_nobody", strings(vec![Some("nobody".to_owned()); records.len()])),
    ];
    let value = |record: &Map<String, Value>, name: &str| record.get(name).cloned().unwrap_or_default();
    for name in names {
        let values: Vec<_> = records.iter().map(|record| value(record, name)).collect();
        columns.push((name, raw_column(&values)));
    }
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true)))
        .unwrap()
}

fn load(profile: &Profile, raw: &RecordBatch) -> RecordBatch {
    load_selected(profile, raw, Selection::default())
}

fn load_selected(profile: &Profile, raw: &RecordBatch, selection: Selection) -> RecordBatch {
    let now = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    let options = LoadOptions { selection, ..LoadOptions::at(now) };
    let mut stage = LoadStage::new(profile, &options, Arc::new(Quiet)).unwrap();
    let schema = stage.bind(raw.schema()).unwrap();
    stage.push(raw.clone()).unwrap();
    stage.pull().unwrap().unwrap_or_else(|| RecordBatch::new_empty(schema))
}

/// Every entity's derived rows, in the order of `loaded`.
fn derive(profile: &Profile, loaded: &RecordBatch) -> RecordBatch {
    let deriver = Deriver::new(profile, &loaded.schema()).unwrap();
    let one = |(_, rows): (String, RecordBatch)| deriver.derive(&sort_by_time(&rows).unwrap()).unwrap();
    let parts: Vec<_> = by_entity(loaded).unwrap().into_iter().map(one).collect();
    concat_batches(&deriver.schema(), &parts).unwrap()
}

/// A cell in the vectors' form, times as nanoseconds.
fn cell(array: &dyn Array, row: usize) -> Value {
    if array.is_null(row) {
        return Value::Null;
    }
    match array.data_type() {
        DataType::Utf8 => json!(array.as_string::<i32>().value(row)),
        DataType::Int64 => json!(array.as_primitive::<Int64Type>().value(row) as f64),
        DataType::Float64 => json!(array.as_primitive::<Float64Type>().value(row)),
        DataType::Boolean => json!(array.as_boolean().value(row)),
        _ => json!(array.as_primitive::<TimestampNanosecondType>().value(row)),
    }
}

fn expected_cell(value: &Value, dtype: &str) -> Value {
    match value.as_str() {
        Some(text) if dtype.starts_with("datetime") => json!(parse_time(text).unwrap()),
        _ => value.as_f64().map_or_else(|| value.clone(), |number| json!(number)),
    }
}

/// Our form of a reference column rule: a TOML table, and whether it is a derive column.
fn column_rule(rule: &Value) -> (String, bool) {
    let text = |key: &str| rule[key].as_str().unwrap_or_default();
    let dtype = match text("dtype") {
        dtype @ ("int" | "float" | "bool") => dtype,
        _ => "string",
    };
    // The words that gaps become where the reference says so (Q1).
    let words = if dtype == "string" { "missing = []\nmissing_as = \"None\"\n" } else { "" };
    let list = |keys: [&str; 2]| {
        let many = rule[keys[0]].as_array().into_iter().flatten();
        let values: Vec<_> = many.chain(rule.get(keys[1])).map(Value::to_string).collect();
        format!("[{}]", values.join(", "))
    };
    let period = rule["period"].as_str().unwrap_or("D");
    let (body, derived) = match text("type") {
        "ColumnInfo" if text("name").starts_with('z') => {
            (format!("rule = \"column\"\ntype = \"{dtype}\""), false)
        }
        "ColumnInfo" => (format!("{words}rule = \"column\"\ntype = \"{dtype}\""), false),
        "Rename" => (
            format!("{words}rule = \"rename\"\ninput = \"{}\"\ntype = \"{dtype}\"", text("input_name")),
            false,
        ),
        "Bool" => {
            let (yes, no) = (list(["true_values", "true_value"]), list(["false_values", "false_value"]));
            let input = text("input_name");
            (format!("rule = \"bool\"\ninput = \"{input}\"\ntrue_values = {yes}\nfalse_values = {no}"), false)
        }
        "DateTime" => {
            (format!("rule = \"date-time\"\ninput = \"{}\"\nunit = \"ns\"", text("input_name")), false)
        }
        "StringJoin" => (
            format!("rule = \"string-join\"\ninput = \"{}\"\nsep = \"{}\"", text("input_name"), text("sep")),
            false,
        ),
        "StringCat" => {
            let inputs = list(["input_columns", ""]);
            (format!("{words}rule = \"string-cat\"\ninputs = {inputs}\nsep = \"{}\"", text("sep")), false)
        }
        "Increment" => (format!("rule = \"increment\"\nperiod = \"{period}\""), true),
        "DistinctIncrement" => {
            let input = text("input_name");
            (format!("rule = \"distinct-increment\"\ninput = \"{input}\"\nperiod = \"{period}\""), true)
        }
        other => panic!("a rule nobody knows: {other}"),
    };
    (format!("name = \"{}\"\n{body}\n", text("name")), derived)
}

#[test]
fn columns() {
    for case in cases("columns_cases.json") {
        let name = case["name"].as_str().unwrap();
        let rules = case["schema"]["column_info"].as_array().unwrap();
        let (mut tables, mut any_derived) = (String::new(), false);
        for rule in rules {
            let (table, derived) = column_rule(rule);
            any_derived |= derived;
            tables.push_str(if derived { "[[derive]]\n" } else { "[[load]]\n" });
            tables.push_str(&table);
        }
        let (entity, time) = if any_derived { ("username", "timestamp") } else { ("_nobody", "_time") };
        let helpers =
            ["location", "app"].map(|name| format!("[[load]]\nname = \"{name}\"\nrule = \"column\"\n"));
        let text = format!(
            "name = \"v\"\nfeatures = [\"location\"]\nentity = {{ inputs = [\"{entity}\"] }}\n\
             time = {{ column = \"{time}\", earliest = \"1970-01-01\" }}\n{}{}",
            helpers.concat(),
            tables
        );
        let text =
            if tables.contains("name = \"location\"") { text.replacen(&helpers[0], "", 1) } else { text };
        let profile = Profile::from_toml(&text).unwrap_or_else(|error| panic!("{name}: {error}\n{text}"));
        let json: Vec<_> = case["schema"]["json_columns"].as_array().into_iter().flatten().collect();
        let json: Vec<_> = json.into_iter().filter_map(Value::as_str).collect();
        let loaded = load(&profile, &raw_batch(case["input"].as_array().unwrap(), &json));
        let batch = if any_derived { derive(&profile, &loaded) } else { loaded };

        let ours = |row: &Value| -> Vec<Value> {
            let id = row.to_string();
            let ids = batch.column_by_name(RECORD_ID).unwrap().as_string::<i32>();
            let place = ids.iter().position(|found| found == Some(&id));
            let columns =
                rules.iter().map(|rule| batch.column_by_name(rule["name"].as_str().unwrap()).unwrap());
            // A row that was rejected, for want of a user or a time, has no values.
            columns.map(|array| place.map_or(Value::Null, |place| cell(array, place))).collect()
        };
        let expected = &case["result"]["ok"];
        let rows = expected["rows"].as_array().cloned().unwrap_or_default();
        let dtypes: Vec<_> =
            rules.iter().map(|rule| expected["dtypes"][rule["name"].as_str().unwrap()].as_str()).collect();
        let index = expected["index"].as_array().cloned().unwrap_or_default();
        let answers: Vec<_> = index.iter().map(ours).collect();
        let wanted: Vec<Vec<_>> = rows
            .iter()
            .map(|row| {
                let cells = row.as_array().unwrap().iter().enumerate();
                cells
                    .map(|(n, value)| expected_cell(value, dtypes.get(n).copied().flatten().unwrap_or("")))
                    .collect()
            })
            .collect();
        check(name, expected.is_object() && answers == wanted, &answers);
    }
}

#[test]
fn file_names() {
    for case in cases("filenames_dates.json") {
        let file = case["file"].as_str().unwrap();
        let expected = case["ok"]["timestamp"].as_str().map(|text| parse_time(text).unwrap());
        // Q12: the reference reads every fraction as .999999; the second is right.
        let fraction = case["ok"]["groups"]["microsecond"].as_str().unwrap_or("");
        let nanoseconds: i64 = format!("{fraction:0<9}").parse().unwrap();
        let second = expected.map(|time| time.div_euclid(1_000_000_000) * 1_000_000_000);
        assert_eq!(file_date(file).unwrap(), second.map(|time| time + nanoseconds), "{file}");
    }
}

#[test]
fn file_batches() {
    for case in cases("batcher_cases.json") {
        let settings = &case["settings"];
        let text = |key: &str| settings[key].as_str();
        let rate = settings["sampling_rate_s"].as_u64().map(|seconds| format!("{seconds}s"));
        let options = BatchOptions {
            group_by: text("period").map(|period| period.parse().unwrap()),
            start: text("start_time").map(|time| parse_time(time).unwrap()),
            end: text("end_time").map(|time| parse_time(time).unwrap()),
            sampling: text("sampling").or(rate.as_deref()).map(|sampling| sampling.parse().unwrap()),
            seed: 0,
        };
        let dated = |file: &Value| {
            let path = file.as_str().unwrap().to_owned();
            DatedFile { time: file_date(&path).unwrap().unwrap(), path }
        };
        let files = case["files"].as_array().unwrap().iter().map(dated).collect();
        let batches = batch_files(files, &options).unwrap();
        let ours: Vec<_> =
            batches.iter().map(|batch| json!({ "files": batch.files, "n_groups": batch.n_groups })).collect();
        assert_eq!(json!(ours), case["batches"]["ok"], "{settings}");
    }
}

/// The reference's fallback name.
const FALLBACK: &str = "generic_user";

/// The groups of loaded rows, the one of all rows included if asked for.
fn groups(loaded: &RecordBatch, individual: bool, generic: bool) -> Vec<(String, RecordBatch)> {
    let mut groups = if individual { by_entity(loaded).unwrap() } else { Vec::new() };
    groups.extend(generic.then(|| (FALLBACK.to_owned(), loaded.clone())));
    groups.sort_by(|a, b| a.0.cmp(&b.0));
    groups
}

/// Rows of nobody are rejected, so the group of all lacks them here.
#[test]
fn users() {
    let profile = "name = \"v\"\nfeatures = [\"id\"]\nentity = { inputs = [\"username\"], fold_case = false }\n\
                   time = { column = \"timestamp\" }\nload = [{ name = \"id\", rule = \"column\", type = \"int\" }]";
    let profile = Profile::from_toml(profile).unwrap();
    for case in cases("split_users.json") {
        let settings = &case["settings"];
        let list = |key: &str| -> Vec<String> {
            settings[key]
                .as_array()
                .into_iter()
                .flatten()
                .map(|name| name.as_str().unwrap().to_owned())
                .collect()
        };
        let selection = Selection::new(list("skip_users"), list("only_users")).unwrap();
        let (individual, generic) =
            (settings["include_individual"] == true, settings["include_generic"] == true);
        let tables = case["tables"].as_array().unwrap().iter();
        for (table, expected) in tables.zip(case["messages"].as_array().unwrap()) {
            let rows = table.as_array().unwrap();
            let loaded = load_selected(&profile, &raw_batch(rows, &[]), selection.clone());
            let ids = |batch: &RecordBatch| {
                batch.column_by_name("id").unwrap().as_primitive::<Int64Type>().values().to_vec()
            };
            let ours: Vec<_> = groups(&loaded, individual, generic)
                .iter()
                .map(|(name, rows)| (name.clone(), ids(rows)))
                .collect();
            let unnamed: Vec<_> =
                rows.iter().filter(|row| row["username"].is_null()).map(|row| &row["id"]).collect();
            let message = |message: &Value| {
                let ids = message["ids"].as_array().unwrap().iter().filter(|id| !unnamed.contains(id));
                let ids: Vec<_> = ids.filter_map(Value::as_i64).collect();
                (message["user_id"].as_str().unwrap().to_owned(), ids)
            };
            let expected: Vec<_> = expected["ok"].as_array().unwrap().iter().map(message).collect();
            assert_eq!(ours, expected, "{settings}");
        }
    }
}

/// The reference's Azure schema (spec/dfp.md section 24) as a profile: gaps become the words it makes of them (Q1).
const AZURE: &str = r#"
    name = "azure"
    features = ["appDisplayName", "logcount", "locincrement", "appincrement"]
    entity = { inputs = ["properties.userPrincipalName"], fold_case = false }
    time = { column = "time" }
    load = [
        { name = "username", rule = "rename", input = "properties.userPrincipalName", missing = [] },
        { name = "appDisplayName", rule = "rename", input = "properties.appDisplayName", missing = [], missing_as = "nan" },
        { name = "clientAppUsed", rule = "rename", input = "properties.clientAppUsed", missing = [], missing_as = "nan" },
        { name = "deviceDetailbrowser", rule = "rename", input = "properties.deviceDetail.browser", missing = [], missing_as = "nan" },
        { name = "deviceDetaildisplayName", rule = "rename", input = "properties.deviceDetail.displayName", missing = [], missing_as = "nan" },
        { name = "deviceDetailoperatingSystem", rule = "rename", input = "properties.deviceDetail.operatingSystem", missing = [], missing_as = "nan" },
        { name = "location", rule = "string-cat", inputs = ["properties.location.city", "properties.location.countryOrRegion"], sep = ", ", missing = [], missing_as = "None" },
        { name = "statusfailureReason", rule = "rename", input = "properties.status.failureReason", missing = [], missing_as = "nan" },
    ]
    derive = [
        { name = "logcount", rule = "increment" },
        { name = "locincrement", rule = "distinct-increment", input = "location" },
        { name = "appincrement", rule = "distinct-increment", input = "appDisplayName" },
    ]
"#;

/// The reference's Duo schema; results in neither list count as success there (Q6).
const DUO: &str = r#"
    name = "duo"
    features = ["result", "logcount", "locincrement"]
    entity = { inputs = ["user.name"], fold_case = false }
    time = { column = "isotimestamp" }
    load = [
        { name = "username", rule = "rename", input = "user.name", missing = [] },
        { name = "accessdevicebrowser", rule = "rename", input = "access_device.browser", missing = [], missing_as = "nan" },
        { name = "accessdeviceos", rule = "rename", input = "access_device.os", missing = [], missing_as = "nan" },
        { name = "location", rule = "string-cat", inputs = ["access_device.location.city", "access_device.location.state", "access_device.location.country"], sep = ", ", missing = [], missing_as = "None" },
        { name = "authdevicename", rule = "rename", input = "auth_device.name", missing = [], missing_as = "nan" },
        { name = "result", rule = "bool", input = "result", true_values = ["success", "SUCCESS"], false_values = ["denied", "DENIED", "FRAUD"], otherwise = true },
        { name = "reason", rule = "rename", input = "reason", missing = [], missing_as = "None" },
    ]
    derive = [
        { name = "logcount", rule = "increment" },
        { name = "locincrement", rule = "distinct-increment", input = "location" },
    ]
"#;

#[test]
fn azure_pipeline() {
    pipeline("pipeline_azure.json", AZURE);
}

#[test]
fn duo_pipeline() {
    pipeline("pipeline_duo.json", DUO);
}

/// From raw records to every user's derived rows.
fn pipeline(file: &str, profile: &str) {
    let profile = Profile::from_toml(profile).unwrap();
    for vectors in vectors(file) {
        let files = vectors["files"].as_object().unwrap().values();
        let records: Vec<_> = files.flat_map(|file| file.as_array().unwrap().clone()).collect();
        let loaded = load(&profile, &raw_batch(&records, &[]));
        let derived = sort_by_time(&derive(&profile, &loaded)).unwrap();
        let groups = groups(&derived, true, true);
        let names: Vec<_> = groups.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, vectors["users"].as_object().unwrap().keys().collect::<Vec<_>>());
        for (user, rows) in &groups {
            let table = &vectors["users"][user];
            for (n, column) in table["columns"].as_array().unwrap().iter().enumerate() {
                let name = match column.as_str().unwrap() {
                    "timestamp" => "_time",
                    "_batch_id" => continue,
                    other => other,
                };
                let array = rows.column_by_name(name).unwrap();
                let ours: Vec<_> = (0..rows.num_rows()).map(|row| cell(array, row)).collect();
                let dtype = table["dtypes"][column.as_str().unwrap()].as_str().unwrap();
                let expected =
                    table["rows"].as_array().unwrap().iter().map(|row| expected_cell(&row[n], dtype));
                assert_eq!(ours, expected.collect::<Vec<_>>(), "{user}: {name}");
            }
        }
    }
}
