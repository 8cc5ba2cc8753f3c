//! Histories of entities, models with their versions, how far sources were read, and a log of runs, in one crash-safe file.
//!
//! A run that trains opens a [`Publication`], adds the new rows to each entity's history, reads back the window it trains
//! on, stores the models, and commits: everybody else sees all of it or none. A run that scores takes a [`Snapshot`].
//!
//! ```
//! use std::sync::Arc;
//! use arrow_array::{RecordBatch, StringArray, TimestampNanosecondArray, UInt64Array};
//! use dfp_store::{ModelDetails, Store, day_of, model_name};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let directory = tempfile::tempdir()?;
//! # let directory = directory.path();
//! let rows = RecordBatch::try_from_iter([
//!     ("_time", Arc::new(TimestampNanosecondArray::from(vec![7, 3]).with_timezone("UTC")) as _),
//!     ("browser", Arc::new(StringArray::from(vec!["Firefox", "Chrome"])) as _),
//! ])?;
//! let hashes = UInt64Array::from(vec![70, 30]);
//!
//! let store = Store::open(directory)?;
//! let mut publication = store.publication()?;
//! assert_eq!(publication.append_history("azure-ad", "ann@example.com", &rows, &hashes)?.new_rows(), 2);
//! assert_eq!(publication.append_history("azure-ad", "ann@example.com", &rows, &hashes)?.new_rows(), 0);
//! let window = publication.history("azure-ad", "ann@example.com", day_of(0)..)?.expect("two rows");
//! assert_eq!(window.num_rows(), 2); // oldest first
//! let name = model_name("azure-ad", "ann@example.com");
//! let version = publication.put_model(&name, b"what a model saved", &ModelDetails::default())?;
//! publication.set_trained("azure-ad", "ann@example.com")?;
//! publication.commit()?;
//!
//! let snapshot = store.snapshot()?;
//! let info = snapshot.model_info(&name, None)?.expect("just stored");
//! assert_eq!((info.version, info.cite().as_str()), (version, "azure-ad/ann@example.com:1"));
//! assert_eq!(snapshot.model_bytes(&name, None)?.as_deref(), Some(&b"what a model saved"[..]));
//! # Ok(())
//! # }
//! ```
//!
//! # Threads and processes
//!
//! [`Store`] and [`Snapshot`] are `Send + Sync`: share them. A [`Publication`] is `Send`, belongs to one thread at a time,
//! and there is one at a time: [`Store::publication`] waits for the one before it. One process may have a store open for
//! writing while any number read it.
//!
//! # Damage
//!
//! Every stored value has a checksum over its key and its content. A value that is not what was written is an
//! [`Error::Damaged`] for whoever asks for it, and for nobody else. The format is described in `docs/store-format.md`.
#![forbid(unsafe_code)]

mod blob;
mod chunk;
mod error;
mod history;
mod models;
mod names;
mod publication;
mod read;
mod schema;
mod snapshot;
mod store;
mod tables;

pub use error::{Error, Result};
pub use history::{Appended, EntityInfo, Statistics, day_of};
pub use models::{ModelDetails, ModelInfo};
pub use names::{MAX_ENTITY, MAX_MODEL, MAX_READER, MAX_SOURCE, model_name};
pub use publication::{MAX_MODEL_BYTES, Publication};
pub use schema::project;
pub use snapshot::Snapshot;
pub use store::{FILE, Store};

#[cfg(test)]
mod tests {
    use super::{Publication, Snapshot, Store};

    #[test]
    fn threads_may_share_stores_and_snapshots() {
        fn shared<T: Send + Sync>() {}
        fn sent<T: Send>() {}
        shared::<Store>();
        shared::<Snapshot>();
        sent::<Publication>();
    }
}
