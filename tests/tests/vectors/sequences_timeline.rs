//! Vectors of the timeline: what of the reference's figure carries over to the page.
//!
//! Deliberately different: the scale is logarithmic by default, dots are larger, one session or one moment gets time around it,
//! `time_col` (the time as text) is no field of its own, and there is always an answer: the reference returns nothing.

use std::path::Path;
use std::sync::Arc;

use arrow_array::builder::{ListBuilder, StringBuilder};
use arrow_array::{ArrayRef, Float64Array, RecordBatch, StringArray, TimestampNanosecondArray};
use dfp_sdk::timeline::{Timeline, TimelineOptions};
use serde_json::Value;

use crate::values::{index, list, text};

pub(crate) fn visualise(vector: &Value, beside: &Path) -> usize {
    let sessions = scored_sessions(&text(&vector["data"]), beside);
    let cases = list(&vector["cases"]);
    for case in cases {
        check(case, &sessions);
    }
    cases.len()
}

fn check(case: &Value, sessions: &RecordBatch) {
    let what = text(&case["id"]);
    let mut options = options(&case["arguments"]);
    let asked = options.clone();
    let timeline = Timeline::new([sessions], &options).unwrap_or_else(|e| panic!("{what}: {e}"));
    assert_eq!(options, asked, "{what}: what the caller gave has changed");
    let figure = &case["figure"];
    // "Nothing to plot" is a figure of null, or within one.
    if figure["points"].is_null() {
        assert!(timeline.is_empty(), "{what}: nothing to show");
        assert!(timeline.summary().starts_with("No data"), "{what}: {}", timeline.summary());
    } else {
        check_figure(&what, &timeline, figure);
    }
    options.source_columns.push("no such column".into());
    let error = Timeline::new([sessions], &options).expect_err("a column is missing");
    assert!(error.to_string().contains("no such column"), "{what}: {error}");
}

fn check_figure(what: &str, timeline: &Timeline, figure: &Value) {
    assert_eq!(timeline.title(), text(&figure["title"]), "{what}");
    assert_eq!(timeline.x_label(), text(&figure["x_label"]), "{what}");
    assert_eq!(timeline.y_label(), text(&figure["y_label"]), "{what}");
    assert_eq!(timeline.points().len(), index(&figure["points"]), "{what}: points");
    let scores: Vec<_> = timeline.points().map(|point| Some(point.score)).collect();
    let expected: Vec<_> = list(&figure["y_values"]).iter().map(Value::as_f64).collect();
    assert_eq!(scores, expected, "{what}: scores in the order of the rows");
    assert!(timeline.points().all(|point| !point.window.is_empty()), "{what}: windows");

    let fields = list(&figure["tooltip_fields"]).iter().map(|field| text(&field[0]));
    let mut fields: Vec<String> = fields.filter(|field| field != "time_col").collect();
    let mut found = timeline.tooltip_fields();
    fields.sort();
    found.sort_unstable();
    assert_eq!(found, fields, "{what}: fields of the tooltip");

    check_range(what, timeline.time_range(), figure);
    check_range(what, timeline.strip_range(), &figure["range_tool"]);
    let mut page = Vec::new();
    timeline.write_html(&mut page).expect("memory takes it");
    assert!(page.ends_with(b"</html>\n"), "{what}: the page is whole");
}

/// The same range to a microsecond (the reference's arithmetic is in floats); wider where the reference's has no width.
fn check_range(what: &str, found: Option<(i64, i64)>, expected: &Value) {
    let (from, to) = found.expect("there are sessions");
    let (start, end) = (nanoseconds(&expected["x_start"]), nanoseconds(&expected["x_end"]));
    let near = |a: i64, b: i64| (a - b).abs() <= 1_000;
    let fits = if start == end { from < start && end < to } else { near(from, start) && near(to, end) };
    assert!(fits, "{what}: {from} to {to}, expected {start} to {end}");
}

fn options(arguments: &Value) -> TimelineOptions {
    let name = |key: &str| text(&arguments[key]);
    let mut options = TimelineOptions::new(name("time_column"), name("score_column"), name("window_column"));
    options.upper_bound = arguments["score_upper_bound"].as_f64();
    options.source_columns = list(&arguments["source_columns"]).iter().map(text).collect();
    options
}

/// The sessions of the file that `data` names (`FILE scored with window_length L`), with the scores in the file beside it.
fn scored_sessions(data: &str, beside: &Path) -> RecordBatch {
    let read = |name: &str| -> Value {
        let path = beside.join(name);
        let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        serde_json::from_str(&text).expect("it is JSON")
    };
    let (file, length) = (data.split(' ').next(), data.rsplit(' ').next());
    let length =
        length.filter(|l| l.parse::<u32>().is_ok()).unwrap_or_else(|| panic!("{data}: which window?"));
    let table = read(file.unwrap_or_default());
    let scores = read("exchange_scores_cmds_only.json");
    let config = &table["config"];
    let sessions = list(&table["sessions"]);

    let mut columns: Vec<(String, ArrayRef)> = Vec::new();
    for (n, name) in list(&config["user_columns"]).iter().enumerate() {
        let column: StringArray = sessions.iter().map(|session| session["users"][n].as_str()).collect();
        columns.push((text(name), Arc::new(column)));
    }
    let times = sessions.iter().map(|session| nanoseconds(&session["time_min"]));
    columns.push((
        format!("{}_min", text(&config["time_column"])),
        Arc::new(TimestampNanosecondArray::from_iter_values(times)),
    ));
    let name = format!("rarest_window{length}");
    let likelihoods = list(&scores[format!("{name}_likelihood")]);
    columns.push((
        format!("{name}_likelihood"),
        Arc::new(likelihoods.iter().map(Value::as_f64).collect::<Float64Array>()),
    ));
    let mut windows = ListBuilder::new(StringBuilder::new());
    for window in list(&scores[&name]) {
        windows.append_value(list(window).iter().map(|event| Some(text(event))));
    }
    columns.push((name, Arc::new(windows.finish())));
    RecordBatch::try_from_iter(columns).expect("columns have one length")
}

fn nanoseconds(time: &Value) -> i64 {
    let time: jiff::Timestamp = text(time).parse().expect("an ISO 8601 time");
    i64::try_from(time.as_nanosecond()).expect("a time of these centuries")
}
