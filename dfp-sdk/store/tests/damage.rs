//! Damaged stores: what is damaged is an error, never a panic, and never wrong data.

mod common;

use std::fs;
use std::path::Path;

use common::{DAY, SOURCE, rows};
use dfp_core::ErrorKind;
use dfp_store::{Error, FILE, ModelDetails, Result, Store, model_name};
use redb::{Database, ReadableTable, TableDefinition};
use serde_json::json;

const HISTORY: TableDefinition<'_, (&str, &str, i32), &[u8]> = TableDefinition::new("history");
const ENTITIES: TableDefinition<'_, (&str, &str), &[u8]> = TableDefinition::new("entities");
const RUNS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("runs");

fn versioned(name: &str) -> TableDefinition<'_, (&'static str, u32), &'static [u8]> {
    TableDefinition::new(name)
}

fn of_readers(name: &str) -> TableDefinition<'_, (&'static str, &'static str), &'static [u8]> {
    TableDefinition::new(name)
}

fn numbers(name: &str) -> TableDefinition<'_, &'static str, &'static [u8]> {
    TableDefinition::new(name)
}

fn keys(entity: u64) -> Vec<(i64, u64)> {
    (0..40).map(|row| (row * DAY / 8, entity * 100 + row as u64)).collect()
}

fn model(entity: u64) -> Vec<u8> {
    (0..6000).map(|index| (index * (entity + 1)) as u8).collect()
}

fn fill(directory: &Path) {
    let store = Store::open(directory).unwrap();
    let mut publication = store.publication().unwrap();
    for entity in 0..12 {
        let (batch, hashes) = rows(&keys(entity));
        let name = format!("user{entity}");
        publication.append_history(SOURCE, &name, &batch, &hashes).unwrap();
        publication.put_model(&model_name(SOURCE, &name), &model(entity), &ModelDetails::default()).unwrap();
    }
    publication.log_run(&json!({"read": 480})).unwrap();
    publication.set_position(SOURCE, "train", b"here").unwrap();
    publication.set_pending(SOURCE, "train", Some(b"lines")).unwrap();
    publication.commit().unwrap();
}

/// Changes values of the store behind its back, and returns what reading says then.
fn tampered<T>(
    change: impl FnOnce(&redb::WriteTransaction),
    read: impl FnOnce(&Store) -> Result<T>,
) -> Result<T> {
    let directory = tempfile::tempdir().unwrap();
    fill(directory.path());
    let database = Database::open(directory.path().join(FILE)).unwrap();
    let transaction = database.begin_write().unwrap();
    change(&transaction);
    transaction.commit().unwrap();
    drop(database);
    read(&Store::open(directory.path()).unwrap())
}

macro_rules! flip {
    ($table:expr, $key:expr) => {
        |transaction: &redb::WriteTransaction| {
            let mut table = transaction.open_table($table).unwrap();
            let mut value = table.get($key).unwrap().unwrap().value().to_vec();
            *value.last_mut().unwrap() ^= 0x40;
            table.insert($key, value.as_slice()).unwrap();
        }
    };
}

fn assert_damaged<T: std::fmt::Debug>(outcome: Result<T>, what: &str) {
    let error = outcome.unwrap_err();
    assert!(matches!(error, Error::Damaged { .. }), "{error}");
    assert_eq!(error.kind(), ErrorKind::BadData);
    assert!(error.to_string().contains(what), "{error} should name {what}");
}

#[test]
fn a_changed_value_is_an_error_that_names_it() {
    let name = "azure-ad/user3";
    let history = flip!(HISTORY, (SOURCE, "user3", 2));
    assert_damaged(
        tampered(history, |store| store.snapshot()?.history(SOURCE, "user3", ..)),
        "azure-ad/user3 on day 2",
    );
    let trimmed = tampered(history, |store| store.publication()?.trim_history(SOURCE, "user3", 9));
    assert_damaged(trimmed, "azure-ad/user3 on day 2");
    assert_damaged(
        tampered(flip!(ENTITIES, (SOURCE, "user3")), |store| store.snapshot()?.entities(SOURCE)),
        "user3",
    );
    assert_damaged(
        tampered(flip!(versioned("schemas"), (SOURCE, 0)), |store| {
            store.snapshot()?.history(SOURCE, "user3", ..)
        }),
        "schema 0",
    );
    let bytes =
        tampered(flip!(versioned("models"), (name, 1)), |store| store.snapshot()?.model_bytes(name, None));
    assert_damaged(bytes, "user3:1");
    let latest = flip!(numbers("latest"), name);
    assert_damaged(tampered(latest, |store| store.snapshot()?.model_info(name, None)), "user3");
    let newest = flip!(numbers("newest_schema"), SOURCE);
    assert_damaged(tampered(newest, |store| store.publication()?.history(SOURCE, "user3", ..)), "schema");
    let info = flip!(versioned("model_info"), (name, 1));
    assert_damaged(tampered(info, |store| store.snapshot()?.model_info(name, None)), "user3:1");
    assert_damaged(tampered(info, |store| store.snapshot()?.models()), "user3:1");
    assert_damaged(tampered(flip!(RUNS, 1), |store| store.snapshot()?.runs(1)), "run 1");
    let position = flip!(of_readers("positions"), (SOURCE, "train"));
    assert_damaged(tampered(position, |store| store.snapshot()?.position(SOURCE, "train")), "of train");
    assert_damaged(tampered(position, |store| store.publication()?.position(SOURCE, "train")), "of train");
    let pending = flip!(of_readers("pending"), (SOURCE, "train"));
    assert_damaged(tampered(pending, |store| store.snapshot()?.pending(SOURCE)), "of train");
}

#[test]
fn a_value_under_another_key_is_an_error() {
    let swapped = tampered(
        |transaction| {
            let mut table = transaction.open_table(HISTORY).unwrap();
            let other = table.get((SOURCE, "user4", 2)).unwrap().unwrap().value().to_vec();
            table.insert((SOURCE, "user3", 2), other.as_slice()).unwrap();
        },
        |store| store.snapshot()?.history(SOURCE, "user3", ..),
    );
    assert_damaged(swapped, "user3 on day 2");
}

#[test]
fn one_damaged_entity_does_not_stop_the_others() {
    let outcome = tampered(flip!(HISTORY, (SOURCE, "user3", 2)), |store| {
        let mut publication = store.publication()?;
        let (batch, hashes) = rows(&[(2 * DAY, 9999), (9 * DAY, 9999)]);
        let error = publication.append_history(SOURCE, "user3", &batch, &hashes).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BadData);
        assert_eq!(publication.append_history(SOURCE, "user4", &batch, &hashes)?.new_rows(), 2);
        publication.commit()?;
        let snapshot = store.snapshot()?;
        // Nothing of the refused rows was kept, the day that is whole included.
        assert_eq!(snapshot.statistics(SOURCE, "user3")?.unwrap().rows, 40);
        assert!(snapshot.history(SOURCE, "user3", 9..)?.is_none());
        Ok(snapshot.history(SOURCE, "user4", ..)?.unwrap().num_rows())
    });
    assert_eq!(outcome.unwrap(), 42);
}

/// Reads everything; what is read is what was written.
fn read_all(store: &Store) -> Result<()> {
    let snapshot = store.snapshot()?;
    let _ = snapshot.models();
    let _ = snapshot.entities(SOURCE);
    let _ = snapshot.runs(10);
    for entity in 0..12 {
        let name = format!("user{entity}");
        if let Ok(Some(history)) = snapshot.history(SOURCE, &name, ..) {
            let written = rows(&keys(entity)).0;
            // A page that lost its way may hide a day, but not change one.
            assert!(history.num_rows() <= written.num_rows());
            if history.num_rows() == written.num_rows() {
                assert_eq!(history, written);
            }
        }
        if let Ok(Some(bytes)) = snapshot.model_bytes(&model_name(SOURCE, &name), None) {
            assert_eq!(bytes, model(entity));
        }
        let _ = snapshot.model_versions(&name);
    }
    let mut publication = store.publication()?;
    let (batch, hashes) = rows(&[(1, 1)]);
    for entity in 0..12 {
        let _ = publication.append_history(SOURCE, &format!("user{entity}"), &batch, &hashes);
    }
    publication.commit()
}

/// Flips bits all over the file: every answer is right or an error, and nothing panics or hangs.
#[test]
fn flipped_bits_anywhere_are_survived() {
    let directory = tempfile::tempdir().unwrap();
    fill(directory.path());
    let file = directory.path().join(FILE);
    let whole = fs::read(&file).unwrap();
    let mut refused = 0;
    // A fixed walk over the file: a step that is prime to everything in it.
    for step in 0..150_usize {
        let mut damaged = whole.clone();
        let place = (step * 7919 + step * step) % damaged.len();
        damaged[place] ^= 1 << (step % 8);
        fs::write(&file, damaged).unwrap();
        refused += usize::from(Store::open(directory.path()).and_then(|store| read_all(&store)).is_err());
        fs::write(&file, &whole).unwrap();
    }
    assert!(refused > 0, "no damage was met");

    for length in (0..whole.len()).step_by(whole.len() / 20).skip(1) {
        fs::write(&file, &whole[..length]).unwrap();
        let _ = Store::open(directory.path()).and_then(|store| read_all(&store));
        let _ = Store::open_read_only(directory.path()).and_then(|store| read_all(&store));
    }
    fs::write(&file, &whole).unwrap();
    read_all(&Store::open(directory.path()).unwrap()).unwrap();
}
