use std::collections::BTreeMap;
use std::time::Duration;

use arrow_array::cast::AsArray;
use arrow_array::types::{DurationNanosecondType, Int32Type, TimestampNanosecondType, UInt32Type};
use arrow_array::{Array, DictionaryArray, StringArray, StructArray};
use dfp_core::{EVENT_TIME, ErrorKind, ORIGIN, RECORD_ID, reason};
use proptest::prelude::*;

use super::*;
use crate::testing::{Rejects, raw};

/// One event of a test: who, when, what.
type Row = (Option<&'static str>, i64, Option<String>);

/// What a session is, in the order of the columns.
type Session = (Option<String>, i64, i64, Vec<String>, u32);

fn batch(rows: &[Row]) -> RecordBatch {
    let users: Vec<_> = rows.iter().map(|row| row.0).collect();
    let events: Vec<_> = rows.iter().map(|row| row.2.as_deref()).collect();
    raw(&rows.iter().map(|row| row.1).collect::<Vec<_>>(), &[("user", &users), ("event", &events)])
}

fn options(length: u64, separation: u64, bounds: Bounds, lateness: Option<u64>) -> SessionOptions {
    let mut options = SessionOptions::new(["user"], EVENT_TIME, "event");
    options.limits = SessionLimits {
        max_length: Duration::from_nanos(length),
        max_separation: Duration::from_nanos(separation),
        bounds,
        lateness: lateness.map(Duration::from_nanos),
        ..SessionLimits::default()
    };
    options
}

/// Reads a session table back, checking what its columns say of each other.
fn read(batch: &RecordBatch) -> Vec<Session> {
    let column = |name: &str| batch.column_by_name(name).unwrap();
    let users = column("user").as_string::<i32>();
    let min = column("_time_min").as_primitive::<TimestampNanosecondType>();
    let max = column("_time_max").as_primitive::<TimestampNanosecondType>();
    let lists = column("event_list").as_list::<i32>();
    let durations = column(DURATION).as_primitive::<DurationNanosecondType>();
    let numbers = column(NUMBER_EVENTS).as_primitive::<UInt32Type>();
    let ids = column(RECORD_IDS).as_list::<i32>();
    let session = |row: usize| {
        assert_eq!(durations.value(row), max.value(row).saturating_sub(min.value(row)));
        assert_eq!(ids.value_length(row), lists.value_length(row));
        let events = lists.value(row);
        let events = events.as_string::<i32>().iter().map(|event| event.unwrap().to_owned()).collect();
        let user = users.is_valid(row).then(|| users.value(row).to_owned());
        (user, min.value(row), max.value(row), events, numbers.value(row))
    };
    (0..batch.num_rows()).map(session).collect()
}

/// Everything a stage gives for these batches, and what it rejected.
fn run(options: &SessionOptions, batches: &[RecordBatch]) -> (Vec<Session>, BTreeMap<String, usize>) {
    let host = Arc::new(Rejects::default());
    let mut stage = Sessionize::new(options.clone(), host.clone()).unwrap();
    let schema = stage.bind(batches[0].schema()).unwrap();
    let mut sessions = Vec::new();
    let mut drain = |stage: &mut Sessionize| {
        while let Some(batch) = stage.pull().unwrap() {
            assert_eq!(batch.schema(), schema);
            sessions.extend(read(&batch));
        }
    };
    for batch in batches {
        stage.push(batch.clone()).unwrap();
        drain(&mut stage);
    }
    stage.finish().unwrap();
    drain(&mut stage);
    let mut rejected = BTreeMap::new();
    for reject in host.rejects.lock().unwrap().iter() {
        *rejected.entry(reject.reason.to_string()).or_default() += 1;
    }
    (sessions, rejected)
}

/// The specification, word by word: sort, walk, aggregate.
fn reference(rows: &[Row], options: &SessionOptions) -> Vec<Session> {
    let mut rows: Vec<_> = rows.iter().filter(|row| row.2.is_some()).collect();
    rows.sort_by_key(|row| (row.0, row.1));
    let mut sessions: Vec<Session> = Vec::new();
    let (length, separation) = (options.limits.max_length, options.limits.max_separation);
    let over = |from: i64, to: i64, limit: Duration| {
        let (between, limit) = (i128::from(to) - i128::from(from), limit.as_nanos() as i128);
        if options.limits.bounds == Bounds::Exclusive { between > limit } else { between >= limit }
    };
    for (user, time, event) in rows {
        let event = event.clone().unwrap();
        match sessions.last_mut() {
            Some(session)
                if session.0.as_deref() == *user
                    && !over(session.2, *time, separation)
                    && !over(session.1, *time, length) =>
            {
                session.2 = *time;
                session.3.push(event);
                session.4 += 1;
            }
            _ => sessions.push((user.map(str::to_owned), *time, *time, vec![event], 1)),
        }
    }
    sessions
}

/// The rows that are not late, by the definition of lateness.
fn in_time(rows: &[Row], lateness: i64) -> Vec<Row> {
    let mut newest = i64::MIN;
    let mut kept = Vec::new();
    for row in rows {
        if row.2.is_some() && row.1 >= newest.saturating_sub(lateness) {
            newest = newest.max(row.1);
            kept.push(row.clone());
        }
    }
    kept
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let user = prop::sample::select(vec![None, Some(""), Some("ann"), Some("bob")]);
    let time =
        prop_oneof![40 => 0_i64..60, 1 => Just(i64::MIN), 1 => Just(i64::MAX), 1 => Just(i64::MAX - 1)];
    let event = prop::option::weighted(0.95, Just(()));
    prop::collection::vec((user, time, event), 0..60).prop_map(|rows| {
        let number = |(index, (user, time, event)): (usize, (_, _, Option<()>))| {
            (user, time, event.map(|()| index.to_string()))
        };
        rows.into_iter().enumerate().map(number).collect()
    })
}

/// Rows in batches of the sizes that `cuts` says.
fn cut(rows: &[Row], cuts: &[usize]) -> Vec<RecordBatch> {
    let mut batches = vec![batch(&[])];
    let mut rest = rows;
    for size in cuts.iter().cycle().take_while(|_| !cuts.is_empty()) {
        if rest.is_empty() {
            break;
        }
        let (part, after) = rest.split_at((*size).min(rest.len()));
        batches.push(batch(part));
        rest = after;
    }
    batches.push(batch(rest));
    batches
}

fn bounds() -> impl Strategy<Value = Bounds> {
    prop::sample::select(vec![Bounds::Exclusive, Bounds::Inclusive])
}

proptest! {
    #[test]
    fn a_whole_table_is_cut_as_specified_whatever_its_batches(
        rows in rows(), cuts in prop::collection::vec(1_usize..20, 0..4),
        length in 0_u64..30, separation in 0_u64..10, bounds in bounds(),
    ) {
        let options = options(length, separation, bounds, None);
        let (sessions, rejected) = run(&options, &cut(&rows, &cuts));
        prop_assert_eq!(&sessions, &reference(&rows, &options));
        let used: usize = sessions.iter().map(|session| session.3.len()).sum();
        prop_assert_eq!(rows.len(), used + rejected.values().sum::<usize>());
    }

    #[test]
    fn a_stream_gives_the_sessions_of_what_is_not_late_whatever_its_batches(
        rows in rows(), cuts in prop::collection::vec(1_usize..20, 0..4),
        length in 0_u64..30, separation in 0_u64..10, lateness in 0_u64..30, bounds in bounds(),
    ) {
        let options = options(length, separation, bounds, Some(lateness));
        let (sessions, rejected) = run(&options, &cut(&rows, &cuts));
        let kept = in_time(&rows, lateness as i64);
        // By the last time at which something could have joined, identity, start.
        let reach = options.limits.reach();
        let mut expected = reference(&kept, &options);
        expected.sort_by_key(|session| (reach.deadline(session.1, session.2), session.0.clone(), session.1));
        prop_assert_eq!(&sessions, &expected);
        prop_assert_eq!(rows.len(), kept.len() + rejected.values().sum::<usize>());
    }

    #[test]
    fn nothing_ended_is_held_back(
        rows in rows(), size in 1_usize..20, length in 0_u64..30, separation in 0_u64..10, lateness in 0_u64..30,
    ) {
        let options = options(length, separation, Bounds::Exclusive, Some(lateness));
        let mut stage = Sessionize::new(options.clone(), Arc::new(Rejects::default())).unwrap();
        stage.bind(batch(&[]).schema()).unwrap();
        let (mut given, mut seen) = (0, Vec::new());
        for part in rows.chunks(size) {
            stage.push(batch(part)).unwrap();
            while let Some(batch) = stage.pull().unwrap() {
                given += batch.num_rows();
            }
            seen.extend_from_slice(part);
            let kept = in_time(&seen, lateness as i64);
            let watermark = kept.iter().map(|row| row.1).max().unwrap_or(i64::MIN).saturating_sub(lateness as i64);
            let reach = options.limits.reach();
            let ended = reference(&kept, &options);
            let ended = ended.iter().filter(|session| reach.deadline(session.1, session.2) < watermark).count();
            prop_assert_eq!(given, ended);
        }
    }
}

#[test]
fn memory_follows_what_is_open() {
    let options = options(10, 2, Bounds::Exclusive, Some(5));
    let mut stage = Sessionize::new(options, Arc::new(Rejects::default())).unwrap();
    stage.bind(batch(&[]).schema()).unwrap();
    for start in 0..2000 {
        let rows: Vec<Row> = (0..100).map(|n| (Some("ann"), start * 100 + n, Some("x".to_owned()))).collect();
        stage.push(batch(&rows)).unwrap();
        while stage.pull().unwrap().is_some() {}
    }
    let Some(Bound { walk: Walk::Streaming(streaming), .. }) = &stage.bound else { panic!("it streams") };
    assert!(streaming.open_rows() <= 20, "{}", streaming.open_rows());
}

#[test]
fn a_stated_most_of_open_rows_is_kept() {
    for lateness in [None, Some(100)] {
        let mut options = options(10, 2, Bounds::Exclusive, lateness);
        options.limits.max_open_rows = Some(3);
        let mut stage = Sessionize::new(options, Arc::new(Rejects::default())).unwrap();
        stage.bind(batch(&[]).schema()).unwrap();
        let rows: Vec<Row> = (0..4).map(|n| (None, n, Some(n.to_string()))).collect();
        stage.push(batch(&rows[..3])).unwrap();
        let error = stage.push(batch(&rows[3..])).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ResourceExhausted);
        assert!(error.to_string().contains("max_open_rows"), "{error}");
    }
}

#[test]
fn a_list_limit_cuts_lists_and_not_counts() {
    for lateness in [None, Some(0)] {
        let mut options = options(100, 100, Bounds::Exclusive, lateness);
        options.limits.list_limit = Some(2);
        let rows: Vec<Row> = (0..5).map(|n| (Some("ann"), n, Some(n.to_string()))).collect();
        let (sessions, _) = run(&options, &cut(&rows, &[1]));
        let expected = (Some("ann".to_owned()), 0, 4, vec!["0".to_owned(), "1".to_owned()], 5);
        assert_eq!(sessions, [expected]);
    }
}

#[test]
fn rejects_say_where_and_why() {
    let rows: Vec<Row> =
        vec![(None, 10, Some("a".to_owned())), (None, 4, Some("b".to_owned())), (None, 5, None)];
    let host = Arc::new(Rejects::default());
    let mut stage = Sessionize::new(options(9, 9, Bounds::Exclusive, Some(5)), host.clone()).unwrap();
    stage.bind(batch(&[]).schema()).unwrap();
    stage.push(batch(&rows)).unwrap();
    let rejects = host.rejects.lock().unwrap();
    let found: Vec<_> = rejects.iter().map(|reject| (reject.origin.as_str(), &*reject.reason)).collect();
    assert_eq!(found, [("f:1", reason::LATE), ("f:2", reason::NO_EVENT)]);
    assert!(rejects[0].detail.contains("is before 5"), "{}", rejects[0].detail);
}

#[test]
fn large_output_comes_in_several_batches() {
    let rows: Vec<Row> = (0..20_000).map(|n| (Some("ann"), n * 100, Some("x".to_owned()))).collect();
    let sessions =
        sessionize(&[batch(&rows)], &options(9, 9, Bounds::Exclusive, None), Arc::new(Rejects::default()));
    let sizes: Vec<_> = sessions.unwrap().iter().map(RecordBatch::num_rows).collect();
    assert_eq!(sizes, [8192, 8192, 3616]);
}

#[test]
fn nothing_in_is_a_table_without_rows() {
    let sessions =
        sessionize(&[batch(&[])], &options(9, 9, Bounds::Exclusive, None), Arc::new(Rejects::default()));
    let sessions = sessions.unwrap();
    assert_eq!((sessions.len(), sessions[0].num_rows(), sessions[0].num_columns()), (1, 0, 7));
    let none = sessionize(&[], &options(9, 9, Bounds::Exclusive, None), Arc::new(Rejects::default()));
    assert_eq!(none.unwrap_err().kind(), ErrorKind::InvalidArgument);
}

#[test]
fn columns_that_do_not_do_are_named() {
    let table = batch(&[(None, 0, None)]);
    for (change, expected) in [
        ((|o| o.event = "what".to_owned()) as fn(&mut SessionOptions), "column `what`: missing"),
        (|o| o.identity = vec!["who".to_owned()], "column `who`: missing"),
        (|o| o.time = "when".to_owned(), "column `when`: missing"),
    ] {
        let mut options = options(9, 9, Bounds::Exclusive, None);
        change(&mut options);
        let error = sessionize(std::slice::from_ref(&table), &options, Arc::new(Rejects::default()));
        let error = error.unwrap_err();
        assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::SchemaMismatch, expected));
    }
}

/// Identities as dictionaries that differ from batch to batch, events as structs, times as text.
#[test]
fn columns_of_other_types_do() {
    let table = |users: [Option<&str>; 3], names: [Option<&str>; 3]| {
        let users: DictionaryArray<Int32Type> = users.into_iter().collect();
        let names: ArrayRef = Arc::new(StringArray::from(names.to_vec()));
        let name = Arc::new(Field::new("name", DataType::Utf8, true));
        let times = vec!["2024-01-01T00:00:00Z", "2024-01-01T01:00:01+01:00", "2024-01-01T00:00:02.5"];
        let columns: [(&str, ArrayRef); 3] = [
            ("user", Arc::new(users)),
            ("at", Arc::new(StringArray::from(times))),
            ("event", Arc::new(StructArray::from(vec![(name, names)]))),
        ];
        RecordBatch::try_from_iter(columns).unwrap()
    };
    let batches = [
        table([Some("ann"), None, Some("ann")], [Some("x"), Some("y"), Some("x")]),
        table([Some("bob"), Some("ann"), None], [Some("x"), Some("z"), None]),
    ];
    let mut options = SessionOptions::new(["user"], "at", "event");
    options.number_distinct = true;
    let host = Arc::new(Rejects::default());
    let sessions = sessionize(&batches, &options, host.clone()).unwrap();
    assert_eq!(host.rejects.lock().unwrap().len(), 1);
    let sessions = &sessions[0];
    let users: Vec<_> = sessions["user"].as_string::<i32>().iter().collect();
    assert_eq!(users, [None, Some("ann"), Some("bob")]);
    assert_eq!(sessions[NUMBER_EVENTS].as_primitive::<UInt32Type>().values(), &[1, 3, 1]);
    assert_eq!(sessions[NUMBER_DISTINCT].as_primitive::<UInt32Type>().values(), &[1, 2, 1]);
    let ann = sessions["event_list"].as_list::<i32>().value(1);
    let names: Vec<_> = ann.as_struct().column(0).as_string::<i32>().iter().flatten().collect();
    assert_eq!(names, ["x", "z", "x"]);
}

#[test]
fn an_index_numbers_the_sorted_rows_sessions() {
    let event = |n: i64| Some(n.to_string());
    let rows =
        [(Some("bob"), 0, event(0)), (None, 50, event(1)), (Some("bob"), 100, event(2)), (None, 51, None)];
    let host = Rejects::default();
    let indexed = session_index(&batch(&rows), &options(9, 9, Bounds::Exclusive, None), &host).unwrap();
    let ids: Vec<_> = indexed[RECORD_ID].as_string::<i32>().iter().flatten().collect();
    assert_eq!(ids, ["r1", "r0", "r2"]);
    let index: &Int64Array = indexed[SESSION_INDEX].as_primitive();
    assert_eq!(index.values(), &[0, 1, 2]);
    assert_eq!(host.rejects.lock().unwrap()[0].origin, "f:3");
    assert!(indexed.column_by_name(ORIGIN).is_some());
    assert!(session_index(&indexed, &options(9, 9, Bounds::Exclusive, None), &host).is_err());
}
