use std::sync::Arc;

use arrow_array::builder::{
    ListBuilder, MapBuilder, MapFieldNames, StringBuilder, StringDictionaryBuilder, StructBuilder,
    UInt32Builder,
};
use arrow_array::types::{Decimal128Type, Int8Type, Int32Type};
use arrow_array::*;
use arrow_schema::{DataType, Field, Fields};
use dfp_core::ErrorKind;

use super::page::PLACE;
use super::text::{cell_text, events};
use super::{Timeline, TimelineOptions, grouped};

const MINUTE: i64 = 60_000_000_000;

fn options() -> TimelineOptions {
    TimelineOptions::new("time", "score", "window")
}

fn windows(rows: usize) -> ArrayRef {
    let mut list = ListBuilder::new(StringBuilder::new());
    for _ in 0..rows {
        list.append_value([Some("New-Mailbox"), Some("Set-Mailbox")]);
    }
    Arc::new(list.finish())
}

fn batch(time: impl Array + 'static, score: impl Array + 'static) -> RecordBatch {
    let window = windows(time.len());
    RecordBatch::try_from_iter([
        ("time", Arc::new(time) as ArrayRef),
        ("score", Arc::new(score)),
        ("window", window),
    ])
    .unwrap()
}

fn nanoseconds(times: &[i64]) -> TimestampNanosecondArray {
    times.to_vec().into()
}

fn html(timeline: &Timeline) -> String {
    let mut page = Vec::new();
    timeline.write_html(&mut page).unwrap();
    String::from_utf8(page).unwrap()
}

/// What the page's script reads.
fn json(timeline: &Timeline) -> serde_json::Value {
    let page = html(timeline);
    let (_, from) = page.split_once(r#"id="sessions">"#).unwrap();
    serde_json::from_str(from.split_once("</script>").unwrap().0).unwrap()
}

#[test]
fn every_row_is_shown_or_counted() {
    let times = TimestampSecondArray::from(vec![Some(1), None, Some(3), Some(4), Some(5), Some(i64::MAX)]);
    let scores = Float64Array::from(vec![Some(0.5), Some(0.1), None, Some(f64::NAN), Some(0.6), Some(0.1)]);
    let mut options = options();
    options.upper_bound = Some(0.5);
    let timeline = Timeline::new([&batch(times, scores)], &options).unwrap();
    let counts = timeline.counts();
    assert_eq!((counts.rows, counts.shown, counts.above_bound), (6, 1, 1));
    assert_eq!((counts.without_score, counts.without_time), (2, 2));
    assert_eq!(timeline.summary(), "1 of 6 sessions, 1 above 0.5, 2 without a score, 2 without a time");
    let point = timeline.points().next().unwrap();
    assert_eq!((point.time, point.score), (1_000_000_000, 0.5));
    assert_eq!(point.window, ["New-Mailbox", "Set-Mailbox"]);
}

#[test]
fn infinite_scores_are_no_scores() {
    let batch = batch(nanoseconds(&[1, 2]), Float64Array::from(vec![f64::INFINITY, f64::NEG_INFINITY]));
    assert_eq!(Timeline::new([&batch], &options()).unwrap().counts().without_score, 2);
}

#[test]
fn times_of_every_unit_and_zone_are_the_same() {
    let scores = || Float64Array::from(vec![0.1]);
    let batches = [
        batch(TimestampSecondArray::from(vec![-7]), scores()),
        batch(TimestampMillisecondArray::from(vec![-7_000]).with_timezone("+02:00"), scores()),
        batch(TimestampMicrosecondArray::from(vec![-7_000_000]), scores()),
        batch(nanoseconds(&[-7_000_000_000]).with_timezone("UTC"), scores()),
    ];
    let timeline = Timeline::new(&batches, &options()).unwrap();
    assert!(timeline.points().all(|point| point.time == -7_000_000_000));
    assert_eq!(json(&timeline)["milliseconds"], serde_json::json!([-7000, -7000, -7000, -7000]));
    assert!(json(&timeline)["nanoseconds"].is_null());
}

#[test]
fn nanoseconds_reach_the_page() {
    let scores = Float64Array::from(vec![0.1, 0.2]);
    let timeline = Timeline::new([&batch(nanoseconds(&[-1, 1_500_001]), scores)], &options()).unwrap();
    assert_eq!(json(&timeline)["milliseconds"], serde_json::json!([-1, 1]));
    assert_eq!(json(&timeline)["nanoseconds"], serde_json::json!([999_999, 500_001]));
}

#[test]
fn a_narrow_score_meets_the_bound_it_is_written_as() {
    let mut options = options();
    options.upper_bound = Some(0.001);
    let scores = Float32Array::from(vec![0.001, 0.001_000_1]);
    let timeline = Timeline::new([&batch(nanoseconds(&[1, 2]), scores)], &options).unwrap();
    let found: Vec<f64> = timeline.points().map(|point| point.score).collect();
    assert_eq!(found, [0.001]);
}

#[test]
fn missing_columns_are_all_named() {
    let batch = batch(nanoseconds(&[1]), Float64Array::from(vec![0.1]));
    let mut options = TimelineOptions::new("when", "score", "why");
    options.source_columns = vec!["user".into(), "when".into(), "window".into()];
    let error = Timeline::new([&batch], &options).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SchemaMismatch);
    let text = error.to_string();
    assert!(text.contains("do not have: when, why, user; they have: time, score, window"), "{text}");
}

#[test]
fn columns_of_other_types_and_a_bound_that_is_none_are_refused() {
    let text = || StringArray::from(vec!["x"]);
    let error = Timeline::new([&batch(text(), Float64Array::from(vec![0.1]))], &options()).unwrap_err();
    assert!(
        error.to_string().contains("column time of a timeline is Utf8, but must be a timestamp"),
        "{error}"
    );
    let error = Timeline::new([&batch(nanoseconds(&[1]), text())], &options()).unwrap_err();
    assert!(error.to_string().contains("must be float64 or float32"), "{error}");
    let bound = TimelineOptions { upper_bound: Some(f64::NAN), ..options() };
    assert_eq!(Timeline::new([], &bound).unwrap_err().kind(), ErrorKind::InvalidArgument);
}

#[test]
fn no_data_is_said_and_still_a_page() {
    let none = Timeline::new([], &options()).unwrap();
    assert!(none.is_empty() && none.time_range().is_none() && none.strip_range().is_none());
    assert_eq!(none.summary(), "No data: there are no sessions");
    let bound = TimelineOptions { upper_bound: Some(1e-9), ..options() };
    let batch = batch(nanoseconds(&[1]), Float64Array::from(vec![0.1]));
    let above = Timeline::new([&batch], &bound).unwrap();
    assert_eq!(above.summary(), "No data: none of 1 sessions can be shown, 1 above 1e-9");
    assert_eq!(json(&above)["summary"], above.summary());
}

#[test]
fn ranges_have_margins_even_around_one_moment() {
    let of = |times: &[i64]| {
        let scores = Float64Array::from(vec![0.1; times.len()]);
        let timeline = Timeline::new([&batch(nanoseconds(times), scores)], &options()).unwrap();
        (timeline.time_range().unwrap(), timeline.strip_range().unwrap())
    };
    assert_eq!(of(&[200 * MINUTE, 100 * MINUTE]), ((90 * MINUTE, 210 * MINUTE), (85 * MINUTE, 215 * MINUTE)));
    assert_eq!(of(&[0, 0]), ((-MINUTE, MINUTE), (-MINUTE * 3 / 2, MINUTE * 3 / 2)));
    assert_eq!(of(&[i64::MIN, i64::MAX]).0, (i64::MIN, i64::MAX));
}

#[test]
fn a_tooltip_names_each_column_once() {
    let mut options = options();
    options.source_columns = vec!["user".into(), "score".into(), "user".into()];
    let timeline = Timeline::new([], &options).unwrap();
    assert_eq!(timeline.tooltip_fields(), ["time", "score", "window", "user"]);
    assert_eq!(
        (timeline.title(), timeline.x_label(), timeline.y_label()),
        ("Timeline", "Event Time", "score")
    );
}

#[test]
fn the_template_has_one_place_and_asks_for_nothing() {
    let template = include_str!("page.html");
    assert_eq!(template.matches(PLACE).count(), 1);
    assert!(template.contains("default-src 'none'"));
    assert!(template.contains("Copyright (c)"), "the library's licence");
    assert!(!template.contains("@import") && !template.contains("<link rel=\"stylesheet"));
}

#[test]
fn no_text_leaves_its_place_in_the_page() {
    let hostile = "</script><script>alert(1)</script><!-- \u{2028}\u{2029}\0\" \\ & \u{202e}@SESSIONS@";
    let users = Arc::new(StringArray::from(vec![hostile])) as ArrayRef;
    let batch = RecordBatch::try_from_iter([
        ("time", Arc::new(nanoseconds(&[1])) as ArrayRef),
        (hostile, Arc::new(Float64Array::from(vec![0.1]))),
        ("window", Arc::clone(&users)),
        ("user", users),
    ])
    .unwrap();
    let mut options = TimelineOptions::new("time", hostile, "window");
    options.source_columns = vec!["user".into()];
    options.title = hostile.into();
    let timeline = Timeline::new([&batch], &options).unwrap();
    let (page, empty) = (html(&timeline), html(&Timeline::new([], &self::options()).unwrap()));
    for ends in ["</script", "<script", "<!--", "\u{2028}", "\u{2029}", "\0"] {
        assert_eq!(page.matches(ends).count(), empty.matches(ends).count(), "{ends:?}");
    }
    let data = json(&timeline);
    assert_eq!(data["title"], hostile);
    assert_eq!(data["score_column"], hostile);
    assert_eq!(data["texts"], serde_json::json!([hostile]));
}

#[test]
fn repeated_texts_are_written_once() {
    let rows = 50_000;
    let times: Vec<i64> = (0..rows).collect();
    let batch = batch(nanoseconds(&times), Float64Array::from(vec![0.1; rows as usize]));
    let timeline = Timeline::new([&batch, &batch], &options()).unwrap();
    assert_eq!(timeline.points().len(), 100_000);
    assert_eq!(json(&timeline)["texts"], serde_json::json!(["New-Mailbox", "Set-Mailbox"]));
    assert_eq!(json(&timeline)["windows"], serde_json::json!([[0, 1]]));
    assert!(html(&timeline).len() < 2_500_000);
}

#[test]
fn a_failing_writer_is_an_error() {
    struct Full;
    impl std::io::Write for Full {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let error = Timeline::new([], &options()).unwrap().write_html(Full).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ResourceExhausted);
}

/// Events of one window: (name, parameters) with parameters as names only.
fn commands(commands: &[(Option<&str>, &[&str])]) -> ArrayRef {
    let item = Arc::new(Field::new_list_field(DataType::Utf8, true));
    let fields = Fields::from(vec![
        Field::new("name", DataType::Utf8, true),
        Field::new("params", DataType::List(item), true),
    ]);
    let columns: Vec<Box<dyn arrow_array::builder::ArrayBuilder>> =
        vec![Box::new(StringBuilder::new()), Box::new(ListBuilder::new(StringBuilder::new()))];
    let mut list = ListBuilder::new(StructBuilder::new(fields, columns));
    for (name, params) in commands {
        let command = list.values();
        command.field_builder::<StringBuilder>(0).unwrap().append_option(*name);
        let set = command.field_builder::<ListBuilder<StringBuilder>>(1).unwrap();
        set.append_value(params.iter().map(Some));
        command.append(true);
    }
    list.append(true);
    Arc::new(list.finish())
}

#[test]
fn events_read_like_commands() {
    let window = commands(&[
        (Some("New-App"), &[]),
        (Some("Set-Mailbox"), &["Force", "Identity"]),
        (Some(""), &["a, b", " c", ""]),
        (Some("f(x)"), &[]),
        (None, &[]),
    ]);
    let expected =
        ["New-App", "Set-Mailbox(Force, Identity)", r#"""("a, b", " c", "")"#, r#""f(x)""#, "null"];
    assert_eq!(events(&window, 0), expected);
    let mut names = ListBuilder::new(StringBuilder::new());
    names.append_value([Some("f(x)"), Some(""), None]);
    names.append_null();
    let names = names.finish();
    assert_eq!(events(&names, 0), ["f(x)", r#""""#, "null"]);
    assert!(events(&names, 1).is_empty());
    assert_eq!(events(&StringArray::from(vec!["one"]), 0), ["one"]);
}

/// One window of one event with values.
fn with_values(pairs: &[(&str, Option<&str>)]) -> ArrayRef {
    let names = MapFieldNames { entry: "entries".into(), key: "key".into(), value: "value".into() };
    let mut params = MapBuilder::new(Some(names), StringBuilder::new(), StringBuilder::new());
    for (key, value) in pairs {
        params.keys().append_value(key);
        params.values().append_option(*value);
    }
    params.append(true).unwrap();
    let params = Arc::new(params.finish()) as ArrayRef;
    let name = Arc::new(StringArray::from(vec!["Set-Mailbox"])) as ArrayRef;
    let event = StructArray::from(vec![
        (Arc::new(Field::new("name", DataType::Utf8, false)), name),
        (Arc::new(Field::new("params", params.data_type().clone(), true)), params),
    ]);
    let item = Arc::new(Field::new_list_field(event.data_type().clone(), true));
    let offsets = arrow_buffer::OffsetBuffer::from_lengths([1]);
    Arc::new(ListArray::new(item, offsets, Arc::new(event), None))
}

#[test]
fn values_follow_their_parameters() {
    let pairs = [("Force", None), ("Identity", Some("amara")), ("Note", Some("a=b")), ("Quiet", Some(""))];
    let expected = r#"Set-Mailbox(Force, Identity=amara, Note="a=b", Quiet)"#;
    assert_eq!(events(&with_values(&pairs), 0), [expected]);
}

#[test]
fn cells_of_every_type_are_readable() {
    let cases: Vec<(ArrayRef, &str)> = vec![
        (Arc::new(StringViewArray::from(vec!["view"])), "view"),
        (Arc::new(LargeStringArray::from(vec!["large"])), "large"),
        (Arc::new(BooleanArray::from(vec![true])), "true"),
        (Arc::new(Int8Array::from(vec![-7])), "-7"),
        (Arc::new(UInt64Array::from(vec![u64::MAX])), "18446744073709551615"),
        (Arc::new(Float32Array::from(vec![0.1])), "0.1"),
        (Arc::new(Float64Array::from(vec![f64::NAN])), "NaN"),
        (Arc::new(BinaryArray::from(vec![b"\x00\xff".as_slice()])), "0x00ff"),
        (Arc::new(Date32Array::from(vec![18_347])), "2020-03-26"),
        (Arc::new(Time32SecondArray::from(vec![81_630])), "22:40:30"),
        (Arc::new(nanoseconds(&[1_585_262_430_000_000_000])), "2020-03-26T22:40:30Z"),
        (Arc::new(TimestampMillisecondArray::from(vec![1_585_262_430_500])), "2020-03-26T22:40:30.500Z"),
        (Arc::new(DurationSecondArray::from(vec![93_785])), "1d 2h 3m 5s"),
        (Arc::new(DurationNanosecondArray::from(vec![0])), "0s"),
        (Arc::new(DurationMillisecondArray::from(vec![-60_000])), "-1m"),
        (Arc::new(DurationMicrosecondArray::from(vec![1_500_000])), "1.5s"),
        (
            Arc::new(
                PrimitiveArray::<Decimal128Type>::from(vec![12_345]).with_precision_and_scale(9, 2).unwrap(),
            ),
            "123.45",
        ),
        (Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>([Some([Some(1), None])])), "[1, null]"),
    ];
    for (array, expected) in cases {
        assert_eq!(cell_text(&array, 0).as_deref(), Some(expected), "{}", array.data_type());
        let nothing = new_null_array(array.data_type(), 1);
        assert_eq!(cell_text(&nothing, 0), None, "{}", array.data_type());
    }
    let nested = with_values(&[("a", Some("b"))]);
    assert_eq!(cell_text(&nested, 0).as_deref(), Some("[{name=Set-Mailbox, params={a=b}}]"));
    assert_eq!(cell_text(&NullArray::new(1), 0), None);
    let interval = IntervalDayTimeArray::from(vec![arrow_buffer::IntervalDayTime::new(1, 2)]);
    assert!(cell_text(&interval, 0).is_some());
}

#[test]
fn cells_that_point_elsewhere_are_followed() {
    let mut words = StringDictionaryBuilder::<Int8Type>::new();
    words.append_value("a");
    words.append_null();
    words.append_value("b");
    let words = words.finish();
    assert_eq!(cell_text(&words, 2).as_deref(), Some("b"));
    assert_eq!(cell_text(&words, 1), None);
    let values = StringArray::from(vec![Some("x"), None]);
    let runs = RunArray::<Int32Type>::try_new(&Int32Array::from(vec![2, 3]), &values).unwrap();
    assert_eq!(cell_text(&runs, 1).as_deref(), Some("x"));
    assert_eq!(cell_text(&runs, 2), None);
}

#[test]
fn long_and_deep_cells_are_cut() {
    let long = StringArray::from(vec!["ä".repeat(1_000_000)]);
    assert!(cell_text(&long, 0).unwrap().len() < 5_000);
    let mut many = ListBuilder::new(UInt32Builder::new());
    many.append_value((0..1_000_000).map(Some));
    assert!(cell_text(&many.finish(), 0).unwrap().len() < 5_000);
    let mut deep: ArrayRef = Arc::new(Int32Array::from(vec![1]));
    for _ in 0..50 {
        let item = Arc::new(Field::new_list_field(deep.data_type().clone(), true));
        let offsets = arrow_buffer::OffsetBuffer::from_lengths([1]);
        deep = Arc::new(ListArray::new(item, offsets, deep, None));
    }
    assert_eq!(cell_text(&deep, 0).unwrap(), "[[[[[[[[[…]]]]]]]]]");
}

#[test]
fn thousands_are_grouped() {
    assert_eq!([0, 999, 1_000, 50_185, 1_234_567].map(grouped), ["0", "999", "1,000", "50,185", "1,234,567"]);
}
