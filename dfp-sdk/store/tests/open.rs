//! Opening: what is made, and how every refusal reads.

mod common;

use std::fs;

use dfp_core::ErrorKind;
use dfp_store::{Error, FILE, ModelDetails, Store};

#[test]
fn one_process_cannot_open_it_twice_for_writing() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path()).unwrap();
    assert!(matches!(Store::open(directory.path()), Err(Error::Locked { .. })));
    Store::open_read_only(directory.path()).unwrap();
    drop(store);
    Store::open(directory.path()).unwrap();
}

#[cfg(unix)]
#[test]
fn only_the_owner_can_look_inside() {
    use std::os::unix::fs::PermissionsExt;
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("a/b");
    drop(Store::open(&directory).unwrap());
    let mode = |path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(directory.clone()), mode(directory.join(FILE))), (0o700, 0o600));
}

#[test]
fn reading_needs_a_store() {
    let directory = tempfile::tempdir().unwrap();
    for open in [Store::open_read_only, Store::open_existing] {
        let file = directory.path().join(FILE);
        assert_eq!(open(directory.path()).unwrap_err().kind(), ErrorKind::NotFound);
        assert!(!file.exists());
        // A process that died right after making the file.
        fs::write(&file, b"").unwrap();
        assert!(matches!(open(directory.path()), Err(Error::NoStore { .. })));
        drop(Store::open(directory.path()).unwrap());
        open(directory.path()).unwrap();
        fs::remove_file(&file).unwrap();
    }
}

#[test]
fn other_files_are_refused_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join(FILE);
    for content in [b"hello".to_vec(), vec![0; 100_000], b"redb".repeat(9000)] {
        fs::write(&file, &content).unwrap();
        for opened in [Store::open(directory.path()), Store::open_read_only(directory.path())] {
            let error = opened.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::BadData, "{error}");
        }
        assert_eq!(fs::read(&file).unwrap(), content);
    }
}

#[test]
fn newer_formats_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    drop(Store::open(directory.path()).unwrap());
    let database = redb::Database::open(directory.path().join(FILE)).unwrap();
    let transaction = database.begin_write().unwrap();
    let meta: redb::TableDefinition<'_, &str, u32> = redb::TableDefinition::new("meta");
    transaction.open_table(meta).unwrap().insert("format", 3).unwrap();
    transaction.commit().unwrap();
    drop(database);
    for opened in [Store::open(directory.path()), Store::open_read_only(directory.path())] {
        let error = opened.unwrap_err();
        assert!(matches!(error, Error::NewerFormat { found: 3, known: 2, .. }), "{error}");
        assert_eq!(error.kind(), ErrorKind::Unsupported);
    }
}

/// What format 1 did not have.
const SINCE_FORMAT_2: [&str; 2] = ["positions", "pending"];

#[test]
fn stores_of_format_1_are_read_as_they_are_and_become_format_2_when_written() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path()).unwrap();
    let mut publication = store.publication().unwrap();
    publication.put_model("m", b"bytes", &ModelDetails::default()).unwrap();
    publication.commit().unwrap();
    drop(store);
    let meta: redb::TableDefinition<'_, &str, u32> = redb::TableDefinition::new("meta");
    let database = redb::Database::open(directory.path().join(FILE)).unwrap();
    let transaction = database.begin_write().unwrap();
    transaction.open_table(meta).unwrap().insert("format", 1).unwrap();
    for table in SINCE_FORMAT_2 {
        let table: redb::TableDefinition<'_, (&str, &str), &[u8]> = redb::TableDefinition::new(table);
        assert!(transaction.delete_table(table).unwrap());
    }
    transaction.commit().unwrap();
    drop(database);

    let look = |store: &Store| {
        let snapshot = store.snapshot().unwrap();
        assert_eq!(snapshot.model_bytes("m", None).unwrap().unwrap(), b"bytes");
        (snapshot.position("s", "r").unwrap(), snapshot.pending("s").unwrap())
    };
    assert_eq!(look(&Store::open_read_only(directory.path()).unwrap()), (None, Vec::new()));
    let store = Store::open_existing(directory.path()).unwrap();
    assert_eq!(look(&store), (None, Vec::new()));
    let mut publication = store.publication().unwrap();
    publication.set_position("s", "r", b"here").unwrap();
    publication.commit().unwrap();
    assert_eq!(look(&store), (Some(b"here".to_vec()), Vec::new()));
    drop(store);
    let database = redb::Database::open(directory.path().join(FILE)).unwrap();
    let transaction = redb::ReadableDatabase::begin_read(&database).unwrap();
    assert_eq!(transaction.open_table(meta).unwrap().get("format").unwrap().unwrap().value(), 2);
}

#[test]
fn a_file_in_the_way_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, b"").unwrap();
    let error = Store::open(&file).unwrap_err();
    assert!(matches!(error, Error::Io { .. }), "{error}");
    assert!(error.to_string().contains("file"), "{error}");
}
