//! Vectors of history windows: which rows a model learns from after each batch, out of a store, as training goes about it.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampNanosecondArray};
use dfp_core::{EVENT_TIME, RECORD_ID};
use dfp_prep::{History, MaxHistory, parse_time, window};
use dfp_store::{Publication, Store, day_of};
use serde_json::{Value, json};

use crate::values::{list, text};

const SOURCE: &str = "vectors";
const ENTITY: &str = "somebody";

/// Cases we answer differently, and why (quirks: spec/dfp.md section 25). The module form's last step has a row of a time
/// already held; its mode `batch` is not offered.
const DIFFERENT: [(&str, &str); 9] = [
    ("equal_timestamp_across_batches_dropped", "Q18: equal times are told apart by content"),
    ("equal_timestamp_then_emit_fails", "Q18, Q19"),
    ("late_batch_before_history", "late rows go into their place"),
    ("late_batch_inside_history", "late rows go into their place"),
    ("unsorted_batch", "the newest rows are those of the newest times"),
    ("max_history_int", "max_history bounds memory: new rows are no exception"),
    ("max_history_duration_edges", "a span takes whole days, so that their counters are complete"),
    ("window_below_min_history_after_trim", "no model learns from fewer rows than min_history"),
    ("module_aggregate_mode", "Q18"),
];
const NOT_OFFERED: &str = "module_batch_mode";

pub(crate) fn windows(vector: &Value) -> usize {
    let cases: Vec<_> = list(&vector["cases"]).iter().filter(|case| case["name"] != NOT_OFFERED).collect();
    for case in &cases {
        let (name, steps) = (text(&case["name"]), list(&case["steps"]));
        let ours = outcomes(&history(&case["settings"]), steps);
        let expected: Vec<Value> = steps.iter().map(outcome).collect();
        match DIFFERENT.iter().find(|(case, _)| *case == name) {
            None => assert_eq!(ours, expected, "{name}"),
            Some((_, why)) => {
                assert_ne!(ours, expected, "{name} is listed as different ({why}) but is the same");
            }
        }
    }
    cases.len()
}

fn history(settings: &Value) -> History {
    let number = |names: [&str; 2]| names.iter().find_map(|name| settings[name].as_u64()).expect("a number");
    let span = settings.get("max_history").unwrap_or(&settings["aggregation_span"]);
    History {
        min_history: number(["min_history", "trigger_on_min_history"]),
        min_increment: number(["min_increment", "trigger_on_min_increment"]),
        max_history: match span {
            Value::Null => MaxHistory::All,
            Value::Number(rows) => MaxHistory::Rows(rows.as_u64().expect("a count")),
            span => MaxHistory::Span(text(span).parse().expect("a span")),
        },
    }
}

/// What the reference did in a step: the rows it gave, or how many it has taken so far.
fn outcome(step: &Value) -> Value {
    match step["outcome"].as_str() {
        Some("emit") => json!({ "emit": step["emitted_ids"] }),
        Some("none") => json!({ "taken": step["state_after"]["total_count"] }),
        _ => step["outcome"].clone(),
    }
}

/// What we do in each step.
fn outcomes(history: &History, steps: &[Value]) -> Vec<Value> {
    let directory = tempfile::tempdir().expect("a temporary folder");
    let store = Store::open(directory.path()).expect("a new store");
    let mut publication = store.publication().expect("the only one");
    steps.iter().map(|step| advance(history, &mut publication, &rows(list(&step["rows"])))).collect()
}

/// As `Run::train`: remember, trim, and learn if due.
fn advance(history: &History, publication: &mut Publication, rows: &RecordBatch) -> Value {
    let hashes = window::row_hashes(rows).expect("readable columns");
    publication.append_history(SOURCE, ENTITY, rows, &hashes).expect("rows of one schema");
    let known = |publication: &mut Publication| {
        publication.statistics(SOURCE, ENTITY).expect("a sound store").expect("a known entity")
    };
    if let Some(earliest) = known(publication).last.and_then(|last| history.earliest(last)) {
        publication.trim_history(SOURCE, ENTITY, day_of(earliest)).expect("a sound store");
    }
    let statistics = known(publication);
    if !history.is_due(statistics.rows, statistics.increment()) {
        return json!({ "taken": statistics.total });
    }
    let held = publication.history(SOURCE, ENTITY, ..).expect("a sound store").expect("rows");
    publication.set_trained(SOURCE, ENTITY).expect("a sound store");
    json!({ "emit": ids(&history.newest(&held)) })
}

fn ids(rows: &RecordBatch) -> Vec<u64> {
    let ids = rows.column_by_name(RECORD_ID).expect("every batch has ids").as_string::<i32>();
    let mut ids: Vec<_> = ids.iter().flatten().map(|id| id.parse().expect("a number")).collect();
    ids.sort_unstable();
    ids
}

fn rows(rows: &[Value]) -> RecordBatch {
    let ids: ArrayRef = Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row[0].to_string())));
    let times = rows.iter().map(|row| parse_time(&text(&row[1])).expect("a time"));
    let times: ArrayRef = Arc::new(TimestampNanosecondArray::from_iter_values(times).with_timezone("UTC"));
    let values: ArrayRef = Arc::new(rows.iter().map(|row| row[2].as_i64()).collect::<Int64Array>());
    RecordBatch::try_from_iter([(RECORD_ID, ids), (EVENT_TIME, times), ("v", values)]).expect("one length")
}
