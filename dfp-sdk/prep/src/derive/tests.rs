use std::collections::BTreeSet;

use arrow_array::TimestampNanosecondArray;
use arrow_array::types::Int64Type;
use proptest::prelude::*;

use super::*;
use crate::testing::{column, texts};

const MINUTE: i64 = 60 * SECOND;
/// Saturday 2022-08-06, 23:00 UTC.
const START: i64 = 1_659_826_800 * SECOND;

const PROFILE: &str = r#"
    name = "t"
    features = ["v"]
    entity = { inputs = ["u"] }
    [[load]]
    name = "v"
    rule = "column"
    [[load]]
    name = "ok"
    rule = "column"
    type = "bool"
    [[load]]
    name = "lat"
    rule = "column"
    type = "float"
    [[load]]
    name = "lon"
    rule = "column"
    type = "float"
    [[derive]]
    name = "n"
    rule = "increment"
    [[derive]]
    name = "n_hour"
    rule = "increment"
    period = "h"
    [[derive]]
    name = "distinct"
    rule = "distinct-increment"
    input = "v"
    [[derive]]
    name = "hour"
    rule = "hour-of-day"
    [[derive]]
    name = "weekday"
    rule = "day-of-week"
    as = "category"
    [[derive]]
    name = "weekend"
    rule = "weekend"
    [[derive]]
    name = "n_1h"
    rule = "sliding-count"
    period = "1h"
    [[derive]]
    name = "failures_1h"
    rule = "sliding-count"
    period = "1h"
    where = { column = "ok", equals = false }
    [[derive]]
    name = "same_1h"
    rule = "sliding-count"
    period = "1h"
    same = ["v", "lat"]
    [[derive]]
    name = "named_1h"
    rule = "sliding-distinct"
    input = "v"
    period = "1h"
    where = { column = "v", not_equals = "a" }
    [[derive]]
    name = "values_1h"
    rule = "sliding-distinct"
    input = "v"
    period = "1h"
    [[derive]]
    name = "new"
    rule = "first-seen"
    input = "v"
    [[derive]]
    name = "new_today"
    rule = "first-seen"
    input = "v"
    granularity = "day"
    [[derive]]
    name = "days"
    rule = "days-seen"
    input = "v"
    [[derive]]
    name = "days_2d"
    rule = "days-seen"
    input = "v"
    within = "2d"
    [[derive]]
    name = "share"
    rule = "share-seen"
    input = "v"
    [[derive]]
    name = "gap"
    rule = "minutes-since-last"
    [[derive]]
    name = "gap_same"
    rule = "minutes-since-last"
    input = "v"
    log = true
    [[derive]]
    name = "speed"
    rule = "travel-speed"
    latitude = "lat"
    longitude = "lon"
"#;

/// Minutes since [`START`], value, success.
type Row = (i64, Option<&'static str>, Option<bool>);

fn loaded(rows: &[Row], places: Option<&[(f64, f64)]>) -> RecordBatch {
    let times = TimestampNanosecondArray::from_iter_values(rows.iter().map(|row| START + row.0 * MINUTE));
    let degrees = |f: fn(&(f64, f64)) -> f64| -> ArrayRef {
        let none = vec![None; rows.len()];
        Arc::new(Float64Array::from(places.map_or(none, |places| places.iter().map(f).map(Some).collect())))
    };
    let columns: [(&str, ArrayRef, bool); 6] = [
        (EVENT_TIME, Arc::new(times.with_timezone("UTC")), true),
        (ENTITY, Arc::new(StringArray::from(vec!["u"; rows.len()])), true),
        ("v", Arc::new(rows.iter().map(|row| row.1).collect::<StringArray>()), true),
        ("ok", Arc::new(rows.iter().map(|row| row.2).collect::<BooleanArray>()), true),
        ("lat", degrees(|place| place.0), true),
        ("lon", degrees(|place| place.1), true),
    ];
    RecordBatch::try_from_iter_with_nullable(columns).unwrap()
}

fn deriver(batch: &RecordBatch) -> Deriver {
    Deriver::new(&Profile::from_toml(PROFILE).unwrap(), &batch.schema()).unwrap()
}

fn derived(rows: &[Row]) -> RecordBatch {
    let batch = loaded(rows, None);
    deriver(&batch).derive(&batch).unwrap()
}

fn ints(batch: &RecordBatch, name: &str) -> Vec<i64> {
    column(batch, name).as_primitive::<Int64Type>().values().to_vec()
}

fn floats(batch: &RecordBatch, name: &str) -> Vec<Option<f64>> {
    column(batch, name).as_primitive::<Float64Type>().iter().collect()
}

fn flags(batch: &RecordBatch, name: &str) -> Vec<bool> {
    column(batch, name).as_boolean().iter().map(Option::unwrap).collect()
}

#[test]
fn counters_start_again_with_the_period() {
    // 23:00, 23:30 and 23:59 on Saturday, 00:00 on Sunday, 00:30 on Monday.
    let rows: [Row; 5] = [
        (0, Some("a"), Some(true)),
        (30, None, Some(false)),
        (59, Some("a"), None),
        (60, Some("b"), Some(false)),
        (25 * 60 + 30, Some("a"), Some(true)),
    ];
    let batch = derived(&rows);
    assert_eq!(ints(&batch, "n"), [0, 1, 2, 0, 0]);
    assert_eq!(ints(&batch, "n_hour"), [0, 1, 2, 0, 0]);
    assert_eq!(ints(&batch, "distinct"), [1, 2, 2, 1, 1]);
    assert_eq!(ints(&batch, "hour"), [23, 23, 23, 0, 0]);
    let days = ["sat", "sat", "sat", "sun", "mon"].map(|day| Some(day.to_owned()));
    assert_eq!(texts(&batch, "weekday"), days);
    assert_eq!(flags(&batch, "weekend"), [true, true, true, true, false]);
    // The row of 23:00 has left the hour that ends at 00:00.
    assert_eq!(ints(&batch, "n_1h"), [1, 2, 3, 3, 1]);
    assert_eq!(ints(&batch, "failures_1h"), [0, 1, 1, 2, 0]);
    assert_eq!(ints(&batch, "same_1h"), [1, 1, 2, 1, 1]);
    assert_eq!(ints(&batch, "values_1h"), [1, 2, 2, 3, 1]);
    assert_eq!(ints(&batch, "named_1h"), [0, 0, 0, 1, 0]);
    assert_eq!(flags(&batch, "new"), [true, true, false, true, false]);
    assert_eq!(flags(&batch, "new_today"), [true, true, true, true, false]);
    assert_eq!(ints(&batch, "days"), [0, 0, 0, 0, 1]);
    assert_eq!(floats(&batch, "share"), [None, Some(0.0), Some(0.5), Some(0.0), Some(0.5)]);
    assert_eq!(floats(&batch, "gap"), [None, Some(30.0), Some(29.0), Some(1.0), Some(1470.0)]);
    assert_eq!(floats(&batch, "gap_same")[2], Some(59_f64.ln_1p()));
}

#[test]
fn travel_is_measured_between_known_places() {
    // Berlin, nowhere, Paris an hour later: 877 km.
    let rows: [Row; 4] = [(0, None, None), (30, None, None), (60, None, None), (60, None, None)];
    let places = [(52.52, 13.405), (0.0, 0.0), (48.8566, 2.3522), (48.8566, 2.3522)];
    let batch = loaded(&rows, Some(&places));
    let speeds = floats(&deriver(&batch).derive(&batch).unwrap(), "speed");
    assert_eq!((speeds[0], speeds[1]), (None, None));
    assert!((speeds[2].unwrap() - 877.5).abs() < 1.0, "{speeds:?}");
    assert_eq!(speeds[3], Some(0.0));
}

#[test]
fn wrong_batches_are_refused() {
    let batch = loaded(&[(1, None, None), (0, None, None)], None);
    let deriver = deriver(&batch);
    assert!(matches!(deriver.derive(&batch), Err(Error::Unsorted { row: 1 })));
    assert!(deriver.derive(&batch.project(&[0, 1, 2]).unwrap()).is_err());
    let two: ArrayRef = Arc::new(StringArray::from(vec!["u", "w"]));
    let mut columns = loaded(&[(0, None, None); 2], None).columns().to_vec();
    columns[1] = two;
    let two = RecordBatch::try_new(batch.schema(), columns).unwrap();
    assert!(deriver.derive(&two).unwrap_err().to_string().contains("several entities"));
    let profile = Profile::from_toml(PROFILE).unwrap();
    let narrow = batch.project(&[0, 1, 2]).unwrap();
    assert!(Deriver::new(&profile, &narrow.schema()).is_err());
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let value = prop_oneof![Just(None), Just(Some("a")), Just(Some("b")), Just(Some("c"))];
    let row = (0_i64..40, value, any::<Option<bool>>());
    prop::collection::vec(row, 1..40).prop_map(|mut rows| {
        let mut minutes = 0;
        for row in &mut rows {
            // Mostly minutes apart, sometimes days.
            minutes += if row.0 > 35 { row.0 * 50 } else { row.0 };
            row.0 = minutes;
        }
        rows
    })
}

proptest! {
    #[test]
    fn a_row_depends_on_itself_and_earlier_rows_only(rows in rows(), cut in 0_usize..40) {
        let cut = cut.min(rows.len());
        let whole = derived(&rows);
        let part = derived(&rows[..cut]);
        prop_assert_eq!(part, whole.slice(0, cut));
    }

    #[test]
    fn values_are_what_their_definitions_say(rows in rows()) {
        let batch = derived(&rows);
        for now in 0..rows.len() {
            let day = |row: &Row| (START + row.0 * MINUTE).div_euclid(DAY);
            let here = &rows[now];
            let in_hour: Vec<_> = rows[..=now].iter().filter(|row| here.0 - row.0 < 60).collect();
            let same: Vec<_> = rows[..now].iter().filter(|row| row.1 == here.1).collect();
            let earlier_days: BTreeSet<_> =
                same.iter().map(|row| day(row)).filter(|then| *then < day(here)).collect();
            let today: Vec<_> = rows[..=now].iter().filter(|row| day(row) == day(here)).collect();
            prop_assert_eq!(ints(&batch, "n")[now], today.len() as i64 - 1);
            let values: BTreeSet<_> = today.iter().map(|row| row.1).collect();
            prop_assert_eq!(ints(&batch, "distinct")[now], values.len() as i64);
            prop_assert_eq!(ints(&batch, "n_1h")[now], in_hour.len() as i64);
            let failures = in_hour.iter().filter(|row| row.2 == Some(false)).count();
            prop_assert_eq!(ints(&batch, "failures_1h")[now], failures as i64);
            let values: BTreeSet<_> = in_hour.iter().map(|row| row.1).collect();
            prop_assert_eq!(ints(&batch, "values_1h")[now], values.len() as i64);
            let named: BTreeSet<_> = values.into_iter().flatten().filter(|value| *value != "a").collect();
            prop_assert_eq!(ints(&batch, "named_1h")[now], named.len() as i64);
            prop_assert_eq!(flags(&batch, "new")[now], same.is_empty());
            prop_assert_eq!(flags(&batch, "new_today")[now], earlier_days.is_empty());
            prop_assert_eq!(ints(&batch, "days")[now], earlier_days.len() as i64);
            let recent = earlier_days.iter().filter(|then| day(here) - **then <= 2).count();
            prop_assert_eq!(ints(&batch, "days_2d")[now], recent as i64);
        }
    }
}
