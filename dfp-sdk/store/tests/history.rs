//! Histories: whatever the order rows come in, the same rows come out.

mod common;

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow_array::types::Int32Type;
use arrow_array::{
    Array, DictionaryArray, Int64Array, RecordBatch, StringArray, TimestampNanosecondArray, UInt64Array,
};
use common::{DAY, SOURCE, rows, times};
use dfp_core::ErrorKind;
use dfp_store::{Error, MAX_ENTITY, MAX_SOURCE, Publication, Statistics, Store, day_of};
use proptest::prelude::*;

fn append(publication: &mut Publication, entity: &str, keys: &[(i64, u64)]) -> dfp_store::Appended {
    let (batch, hashes) = rows(keys);
    publication.append_history(SOURCE, entity, &batch, &hashes).unwrap()
}

fn new_store() -> (tempfile::TempDir, Store) {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path()).unwrap();
    (directory, store)
}

fn statistics(store: &Store, entity: &str) -> Statistics {
    store.snapshot().unwrap().statistics(SOURCE, entity).unwrap().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Any order, any cut into calls and publications, any repeats: the same history.
    #[test]
    fn order_and_chunking_do_not_matter(
        keys in prop::collection::vec((-2 * DAY..3 * DAY, 0..50_u64), 0..60),
        // Few distinct times, so that ties happen.
        ties in prop::collection::vec((-1..4_i64, 0..9_u64), 0..30),
        shuffle in any::<prop::sample::Index>(),
        cuts in prop::collection::vec(1..9_usize, 1..20),
    ) {
        let mut keys = keys;
        keys.extend(ties.iter().map(|&(day, hash)| (day * DAY - 1, hash)));
        let expected: Vec<(i64, u64)> = keys.iter().copied().collect::<BTreeSet<_>>().into_iter().collect();
        if !keys.is_empty() {
            let rotation = shuffle.index(keys.len());
            keys.rotate_left(rotation);
            keys[rotation..].reverse();
        }

        let (_directory, store) = new_store();
        let (mut rest, mut new) = (&keys[..], 0);
        for (call, cut) in cuts.iter().chain(std::iter::repeat(&7)).enumerate() {
            if rest.is_empty() { break }
            let (now, later) = rest.split_at((*cut).min(rest.len()));
            let mut publication = store.publication().unwrap();
            let appended = append(&mut publication, "ann", now);
            prop_assert_eq!(appended.stored.len(), now.len());
            new += appended.new_rows();
            if call % 2 == 0 {
                append(&mut publication, "bob", &keys);
            }
            publication.commit().unwrap();
            rest = later;
        }

        let snapshot = store.snapshot().unwrap();
        let history = snapshot.history(SOURCE, "ann", ..).unwrap();
        if expected.is_empty() {
            prop_assert!(history.is_none());
        } else {
            prop_assert_eq!(history.unwrap(), rows(&expected).0);
            prop_assert_eq!(snapshot.history(SOURCE, "bob", ..).unwrap().unwrap(), rows(&expected).0);
            let statistics = statistics(&store, "ann");
            prop_assert_eq!(statistics.rows, expected.len() as u64);
            prop_assert_eq!(statistics.first, Some(expected[0].0));
            prop_assert_eq!(statistics.last, expected.last().map(|key| key.0));
        }
        prop_assert_eq!(new, expected.len());
    }

    /// A range of days gives the rows of those days.
    #[test]
    fn days_are_utc_days(keys in prop::collection::btree_set((-3 * DAY..3 * DAY, 0..50_u64), 1..40), start in -4..4, length in 0..5) {
        let keys: Vec<_> = keys.into_iter().collect();
        let (_directory, store) = new_store();
        let mut publication = store.publication().unwrap();
        append(&mut publication, "ann", &keys);
        let wanted: Vec<_> = keys.iter().copied().filter(|key| (start..start + length).contains(&day_of(key.0))).collect();
        let found = publication.history(SOURCE, "ann", start..start + length).unwrap();
        prop_assert_eq!(found, (!wanted.is_empty()).then(|| rows(&wanted).0));
    }
}

#[test]
fn says_which_rows_were_new() {
    let (_directory, store) = new_store();
    let mut publication = store.publication().unwrap();
    append(&mut publication, "ann", &[(5, 1), (9, 2)]);
    let appended = append(&mut publication, "ann", &[(9, 3), (9, 2), (1, 1), (1, 1)]);
    assert_eq!(appended.stored.iter().map(Option::unwrap).collect::<Vec<_>>(), [true, false, true, false]);
    assert_eq!(appended.new_rows(), 2);
}

#[test]
fn trimmed_days_stay_gone() {
    let (_directory, store) = new_store();
    let mut publication = store.publication().unwrap();
    append(&mut publication, "ann", &[(1, 1), (DAY, 2), (2 * DAY - 1, 3), (2 * DAY, 4)]);
    publication.set_trained(SOURCE, "ann").unwrap();
    assert_eq!(publication.trim_history(SOURCE, "ann", 1).unwrap(), 1);
    assert_eq!(publication.trim_history(SOURCE, "ann", 1).unwrap(), 0);
    assert_eq!(publication.trim_history(SOURCE, "nobody", 1).unwrap(), 0);
    let again = append(&mut publication, "ann", &[(1, 1), (DAY, 2), (DAY, 9)]);
    assert_eq!(again.stored.iter().map(Option::unwrap).collect::<Vec<_>>(), [false, false, true]);
    publication.commit().unwrap();

    let statistics = statistics(&store, "ann");
    assert_eq!((statistics.rows, statistics.total, statistics.increment()), (4, 5, 1));
    assert_eq!(
        (statistics.first, statistics.last, statistics.kept_from),
        (Some(DAY), Some(2 * DAY), Some(1))
    );
    let history = store.snapshot().unwrap().history(SOURCE, "ann", ..).unwrap().unwrap();
    assert_eq!(times(&history), [DAY, DAY, 2 * DAY - 1, 2 * DAY]);

    let mut publication = store.publication().unwrap();
    assert_eq!(publication.trim_history(SOURCE, "ann", 100).unwrap(), 4);
    let emptied = publication.statistics(SOURCE, "ann").unwrap().unwrap();
    assert_eq!((emptied.rows, emptied.first, emptied.last), (0, None, None));
    assert!(publication.history(SOURCE, "ann", ..).unwrap().is_none());
}

#[test]
fn names_are_never_confused() {
    let names = [
        "a",
        "b/c",
        "a/b",
        ":",
        "a:1",
        "\0",
        "a\0b",
        "🦀",
        "..",
        "../x",
        "ann@example.com",
        " ",
        "a\u{10ffff}",
    ];
    let (_directory, store) = new_store();
    let mut publication = store.publication().unwrap();
    for (hash, name) in (1..).zip(names) {
        append(&mut publication, name, &[(7, hash)]);
        let (batch, hashes) = rows(&[(8, hash)]);
        publication.append_history("azure-ad2", name, &batch, &hashes).unwrap();
    }
    publication.commit().unwrap();
    let snapshot = store.snapshot().unwrap();
    for (hash, name) in (1..).zip(names) {
        assert_eq!(snapshot.history(SOURCE, name, ..).unwrap().unwrap(), rows(&[(7, hash)]).0, "{name:?}");
    }
    let mut sorted = names.to_vec();
    sorted.sort_unstable();
    let found = snapshot.entities(SOURCE).unwrap();
    assert_eq!(found.iter().map(|info| info.entity.as_str()).collect::<Vec<_>>(), sorted);
    assert!(snapshot.entities("azure").unwrap().is_empty());
    assert!(snapshot.history("azure", "a", ..).unwrap().is_none());
}

#[test]
fn unusable_names_are_refused() {
    let (_directory, store) = new_store();
    let mut publication = store.publication().unwrap();
    let (batch, hashes) = rows(&[(1, 1)]);
    let long = "x".repeat(MAX_ENTITY + 1);
    for (source, entity) in
        [("", "a"), ("a/b", "a"), ("a\n", "a"), (&long[..=MAX_SOURCE], "a"), ("a", ""), ("a", &long)]
    {
        let error = publication.append_history(source, entity, &batch, &hashes).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
        assert!(error.to_string().len() < 250, "{error}");
    }
    publication.append_history("a", &long[1..], &batch, &hashes).unwrap();
}

fn with_column(keys: &[(i64, u64)], name: &str, column: Arc<dyn Array>) -> (RecordBatch, UInt64Array) {
    let (batch, hashes) = rows(keys);
    let kept = batch
        .schema_ref()
        .fields()
        .iter()
        .map(|field| field.name().clone())
        .zip(batch.columns().iter().cloned());
    let kept = kept.filter(|(column, _)| column != "browser" && column != name);
    (
        RecordBatch::try_from_iter(kept.collect::<Vec<_>>().into_iter().chain([(name.to_owned(), column)]))
            .unwrap(),
        hashes,
    )
}

#[test]
fn columns_may_come_and_go_but_not_change_type() {
    let (_directory, store) = new_store();
    let mut publication = store.publication().unwrap();
    append(&mut publication, "ann", &[(1, 1), (DAY, 2)]);
    publication.commit().unwrap();

    // `browser` goes, `city` (declared without nulls) comes; day 1 is merged, day 0 is only read.
    let mut publication = store.publication().unwrap();
    let (batch, hashes) = with_column(&[(DAY + 1, 3)], "city", Arc::new(StringArray::from(vec!["Oslo"])));
    publication.append_history(SOURCE, "ann", &batch, &hashes).unwrap();
    publication.commit().unwrap();
    let read = || store.snapshot().unwrap().history(SOURCE, "ann", ..).unwrap().unwrap();
    let history = read();
    assert_eq!(times(&history), [1, DAY, DAY + 1]);
    assert!(history.column_by_name("browser").is_none());
    let city = history.column_by_name("city").unwrap().clone();
    assert_eq!((city.null_count(), city.is_valid(2)), (2, true));

    // The old columns again: day 0 still has its browsers; day 1 lost them when it was merged.
    let mut publication = store.publication().unwrap();
    append(&mut publication, "ann", &[(2 * DAY, 4)]);
    publication.commit().unwrap();
    let history = read();
    assert!(history.column_by_name("city").is_none());
    assert_eq!(history.column_by_name("browser").unwrap().null_count(), 3);

    let mut publication = store.publication().unwrap();
    for column in ["city", "count", "browser"] {
        let (batch, hashes) =
            with_column(&[(3 * DAY, 5)], column, Arc::new(TimestampNanosecondArray::from(vec![1])));
        let error = publication.append_history(SOURCE, "bob", &batch, &hashes).unwrap_err();
        assert!(matches!(&error, Error::TypeChanged { column: named, .. } if named == column), "{error}");
        assert_eq!(error.kind(), ErrorKind::SchemaMismatch);
    }
    publication.commit().unwrap();
    assert_eq!(times(&read()).len(), 4);
}

#[test]
fn rows_without_time_or_hash_are_refused() {
    let (_directory, store) = new_store();
    let mut publication = store.publication().unwrap();
    let one = || UInt64Array::from(vec![1]);
    let time = |time: Option<i64>| Arc::new(TimestampNanosecondArray::from(vec![time])) as Arc<dyn Array>;
    let text = || Arc::new(StringArray::from(vec!["a"])) as Arc<dyn Array>;
    let coded: DictionaryArray<Int32Type> = ["a"].into_iter().collect();
    let cases = [
        (vec![("a", text())], one(), "no column _time"),
        (vec![("_time", Arc::new(Int64Array::from(vec![1])))], one(), "not a timestamp"),
        (vec![("_time", time(None))], one(), "no time"),
        (vec![("_time", time(Some(1)))], UInt64Array::from(vec![1, 2]), "2 hashes"),
        (vec![("_time", time(Some(1)))], UInt64Array::from(vec![None]), "1 of them null"),
        (vec![("_time", time(Some(1))), ("a", Arc::new(coded))], one(), "dictionary"),
    ];
    for (columns, hashes, why) in cases {
        let error = publication
            .append_history(SOURCE, "ann", &RecordBatch::try_from_iter(columns).unwrap(), &hashes)
            .unwrap_err();
        assert!(error.to_string().contains(why), "{error} should say {why}");
        assert_eq!(error.kind(), ErrorKind::SchemaMismatch);
    }
    assert!(publication.entities(SOURCE).unwrap().is_empty());
}

/// A chunk costs little more than its values: 20 columns of 1 row are under a kilobyte.
#[test]
fn chunks_are_small() {
    let column = |index: usize| {
        (format!("properties.column{index}"), Arc::new(StringArray::from(vec!["v"])) as Arc<dyn Array>)
    };
    let time: Arc<dyn Array> = Arc::new(TimestampNanosecondArray::from(vec![1]));
    let columns = (0..20).map(column).chain([("_time".to_owned(), time)]);
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let (directory, store) = new_store();
    let mut publication = store.publication().unwrap();
    publication.append_history(SOURCE, "ann", &batch, &UInt64Array::from(vec![1])).unwrap();
    publication.commit().unwrap();
    drop(store);

    let database = redb::Database::open(directory.path().join(dfp_store::FILE)).unwrap();
    let table: redb::TableDefinition<'_, (&str, &str, i32), &[u8]> = redb::TableDefinition::new("history");
    let table = redb::ReadableDatabase::begin_read(&database).unwrap().open_table(table).unwrap();
    let size = table.get((SOURCE, "ann", 0)).unwrap().unwrap().value().len();
    assert!(size < 1024, "{size} bytes");
}

#[test]
fn the_newest_rows_are_found_from_the_newest_day_backwards() {
    let (_directory, store) = new_store();
    let mut publication = store.publication().unwrap();
    // Three rows on day 1, two on day 3, one on day 4; the neighbours have others.
    append(
        &mut publication,
        "ann",
        &[1, 1, 1, 3, 3, 4].map(|day| day * DAY).into_iter().zip(0..).collect::<Vec<_>>(),
    );
    append(&mut publication, "anna", &[(5 * DAY, 9)]);
    for (rows, day) in [(1, Some(4)), (2, Some(3)), (3, Some(3)), (4, Some(1)), (6, Some(1)), (7, None)] {
        assert_eq!(publication.day_of_newest(SOURCE, "ann", rows, ..).unwrap(), day, "{rows}");
    }
    publication.commit().unwrap();
    let snapshot = store.snapshot().unwrap();
    assert_eq!(snapshot.day_of_newest(SOURCE, "ann", 1, ..4).unwrap(), Some(3));
    assert_eq!(snapshot.day_of_newest(SOURCE, "ann", 1, ..1).unwrap(), None);
    assert_eq!(snapshot.day_of_newest(SOURCE, "nobody", 1, ..).unwrap(), None);
}
