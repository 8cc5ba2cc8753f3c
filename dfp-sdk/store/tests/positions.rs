//! How far readers of sources have come.

mod common;

use dfp_core::ErrorKind;
use dfp_store::{MAX_READER, Store};

#[test]
fn positions_are_of_one_reader_and_come_with_their_publication_or_not_at_all() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path()).unwrap();
    let mut publication = store.publication().unwrap();
    assert_eq!(publication.position("s", "train").unwrap(), None);
    publication.set_position("s", "train", b"one").unwrap();
    publication.set_position("s", "infer", b"two").unwrap();
    publication.set_pending("s", "infer", Some(b"lines")).unwrap();
    assert_eq!(publication.position("s", "train").unwrap().unwrap(), b"one");
    let before = store.snapshot().unwrap();
    publication.commit().unwrap();
    assert_eq!((before.position("s", "train").unwrap(), before.pending("s").unwrap()), (None, Vec::new()));

    let mut publication = store.publication().unwrap();
    publication.set_position("s", "train", b"three").unwrap();
    publication.set_pending("s", "infer", None).unwrap();
    drop(publication);
    let snapshot = store.snapshot().unwrap();
    assert_eq!(snapshot.position("s", "train").unwrap().unwrap(), b"one");
    assert_eq!(snapshot.position("s", "infer").unwrap().unwrap(), b"two");
    assert_eq!(snapshot.position("t", "infer").unwrap(), None);
    assert_eq!(snapshot.pending("s").unwrap(), [("infer".to_owned(), b"lines".to_vec())]);
    assert_eq!(snapshot.pending("r").unwrap(), []);

    let mut publication = store.publication().unwrap();
    publication.set_pending("s", "infer", None).unwrap();
    publication.commit().unwrap();
    assert_eq!(store.snapshot().unwrap().pending("s").unwrap(), []);
}

#[test]
fn unusable_readers_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path()).unwrap();
    let mut publication = store.publication().unwrap();
    for (source, reader) in [("s", String::new()), ("s", "x".repeat(MAX_READER + 1)), ("a/b", "r".into())] {
        for error in [
            publication.set_position(source, &reader, b"").unwrap_err(),
            publication.set_pending(source, &reader, Some(b"")).unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        }
    }
}
