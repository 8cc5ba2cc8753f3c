//! Models, their versions, and the run log.

mod common;

use common::SOURCE;
use dfp_core::ErrorKind;
use dfp_store::{MAX_MODEL, ModelDetails, Store, model_name};
use serde_json::json;

fn details(rows: u64) -> ModelDetails {
    ModelDetails {
        created: 17,
        source: SOURCE.into(),
        entity: "ann".into(),
        kind: "detector".into(),
        rows,
        start: Some(-5),
        end: None,
    }
}

#[test]
fn versions_count_from_one_and_the_last_is_the_latest() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path()).unwrap();
    let name = model_name(SOURCE, "a/b:c");
    let mut publication = store.publication().unwrap();
    assert_eq!(publication.put_model(&name, b"one", &details(1)).unwrap(), 1);
    assert_eq!(publication.put_model(&name, b"", &details(2)).unwrap(), 2);
    assert_eq!(publication.put_model("other", b"x", &details(3)).unwrap(), 1);
    publication.commit().unwrap();
    let mut publication = store.publication().unwrap();
    assert_eq!(publication.put_model(&name, b"three", &details(4)).unwrap(), 3);
    assert_eq!(publication.model_bytes(&name, None).unwrap().unwrap(), b"three");
    assert_eq!(publication.model_bytes(&name, Some(1)).unwrap().unwrap(), b"one");
    assert_eq!(publication.model_bytes("nobody", None).unwrap(), None);
    publication.commit().unwrap();

    let snapshot = store.snapshot().unwrap();
    assert_eq!(snapshot.model_bytes(&name, Some(1)).unwrap().unwrap(), b"one");
    assert_eq!(snapshot.model_bytes(&name, Some(2)).unwrap().unwrap(), b"");
    assert_eq!(snapshot.model_bytes(&name, None).unwrap().unwrap(), b"three");
    assert_eq!(snapshot.model_bytes(&name, Some(4)).unwrap(), None);
    assert_eq!(snapshot.model_bytes("nobody", None).unwrap(), None);
    assert_eq!(snapshot.model_info("nobody", None).unwrap(), None);
    let info = snapshot.model_info(&name, None).unwrap().unwrap();
    assert_eq!((info.version, info.bytes, &info.details), (3, 5, &details(4)));
    assert_eq!(info.cite(), "azure-ad/a/b:c:3");
    let listed: Vec<_> = snapshot.models().unwrap().into_iter().map(|info| info.cite()).collect();
    assert_eq!(listed, ["azure-ad/a/b:c:3", "other:1"]);
    let versions: Vec<_> =
        snapshot.model_versions(&name).unwrap().into_iter().map(|info| info.details.rows).collect();
    assert_eq!(versions, [1, 2, 4]);
    assert!(snapshot.model_versions("azure-ad/a").unwrap().is_empty());
}

#[test]
fn unusable_model_names_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path()).unwrap();
    let mut publication = store.publication().unwrap();
    for name in ["", &"x".repeat(MAX_MODEL + 1)] {
        let error = publication.put_model(name, b"", &details(1)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    }
}

#[test]
fn the_run_log_grows_with_publications() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path()).unwrap();
    for read in 1..=3 {
        let mut publication = store.publication().unwrap();
        assert_eq!(publication.log_run(&json!({ "read": read })).unwrap(), read);
        publication.commit().unwrap();
    }
    let snapshot = store.snapshot().unwrap();
    assert_eq!(snapshot.runs(2).unwrap(), [(3, json!({"read": 3})), (2, json!({"read": 2}))]);
    assert_eq!(snapshot.runs(usize::MAX).unwrap().len(), 3);
}
