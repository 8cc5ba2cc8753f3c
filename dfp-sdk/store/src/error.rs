//! What can go wrong with a store.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

use arrow_schema::{ArrowError, DataType};
use dfp_core::{ErrorKind, panic_text};

/// A failure of the store: what was being done to which thing, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused or failed.
    #[error("{doing}: {source}")]
    Io {
        /// What was being done to which file.
        doing: String,
        /// The system's answer.
        source: io::Error,
    },
    /// There is no store in the directory, or nothing was ever published to it.
    #[error("no store in {}: train first, or check the path", .directory.display())]
    NoStore {
        /// Where it was looked for.
        directory: PathBuf,
    },
    /// Another process has the store open for writing.
    #[error(
        "the store in {} is being written by another process: wait for it to end, or use another directory; \
         opening read-only works meanwhile",
        .directory.display()
    )]
    Locked {
        /// Where the store is.
        directory: PathBuf,
    },
    /// The process that last wrote the store died, and this one may not put it in order.
    #[error(
        "the store in {} was left by a process that died: open it for writing once, as a user who may",
        .directory.display()
    )]
    NeedsRepair {
        /// Where the store is.
        directory: PathBuf,
    },
    /// A newer dfp wrote the store.
    #[error(
        "the store in {} has format {found}, this dfp knows up to {known}: use a dfp at least as new as the one that wrote it",
        .directory.display()
    )]
    NewerFormat {
        /// Where the store is.
        directory: PathBuf,
        /// The format found.
        found: u32,
        /// The newest format this version reads.
        known: u32,
    },
    /// Bytes in the file are not what was written. Nothing was changed.
    #[error("{what} is damaged ({why}): restore the store from a backup, or train a new one")]
    Damaged {
        /// Which part of the store.
        what: String,
        /// How the damage showed.
        why: String,
    },
    /// The database under the store failed.
    #[error("{doing}: {source}")]
    Database {
        /// What was being done.
        doing: String,
        /// The database's answer.
        source: Box<redb::Error>,
    },
    /// A publication was asked of a store opened read-only.
    #[error("the store in {} was opened read-only: open it for writing to publish", .directory.display())]
    ReadOnly {
        /// Where the store is.
        directory: PathBuf,
    },
    /// A name cannot be used.
    #[error("{what} {name:?} cannot be used: {why}")]
    Name {
        /// Which kind of name.
        what: &'static str,
        /// The name, cut to a readable length.
        name: String,
        /// The rule it breaks.
        why: String,
    },
    /// Rows cannot be stored.
    #[error("rows of {source_name}/{entity} cannot be stored: {why}")]
    Rows {
        /// The source they came from.
        source_name: String,
        /// The entity they belong to.
        entity: String,
        /// What is wrong with them.
        why: String,
    },
    /// A column of a source has changed its type since older rows were stored.
    #[error(
        "column {column} of source {source_name} is {found} now but was stored as {stored}: \
         give the changed profile another source name, or start a new store"
    )]
    TypeChanged {
        /// The source.
        source_name: String,
        /// The column.
        column: String,
        /// Its type in the store.
        stored: DataType,
        /// Its type in the rows at hand.
        found: DataType,
    },
    /// Something is larger than the store takes.
    #[error("{what} is {bytes} bytes, more than the {limit} the store takes: {advice}")]
    TooLarge {
        /// What is too large.
        what: String,
        /// Its size.
        bytes: u64,
        /// The limit.
        limit: u64,
        /// What to do.
        advice: &'static str,
    },
    /// Arrow refused an operation that should have worked.
    #[error("{doing}: {source}")]
    Arrow {
        /// What was being done.
        doing: String,
        /// Arrow's answer.
        source: ArrowError,
    },
}

/// The result of a store operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// The number plugins and C see.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Io { source, .. } => ErrorKind::from(source),
            Self::NoStore { .. } => ErrorKind::NotFound,
            Self::Locked { .. } | Self::ReadOnly { .. } | Self::NeedsRepair { .. } => ErrorKind::InvalidState,
            Self::NewerFormat { .. } => ErrorKind::Unsupported,
            Self::Damaged { .. } => ErrorKind::BadData,
            Self::Database { source, .. } => database_kind(source),
            Self::Name { .. } => ErrorKind::InvalidArgument,
            Self::Rows { .. } | Self::TypeChanged { .. } => ErrorKind::SchemaMismatch,
            Self::TooLarge { .. } => ErrorKind::ResourceExhausted,
            Self::Arrow { .. } => ErrorKind::Internal,
        }
    }

    /// Whether it is about what was asked for or given alone: a publication may then go on with other entities.
    pub fn is_local(&self) -> bool {
        matches!(self, Self::Damaged { .. } | Self::TooLarge { .. } | Self::Name { .. } | Self::Rows { .. })
    }

    pub(crate) fn io(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let doing = doing.into();
        move |source| Self::Io { doing, source }
    }

    pub(crate) fn damaged(what: impl Into<String>, why: &(impl ToString + ?Sized)) -> Self {
        Self::Damaged { what: what.into(), why: why.to_string() }
    }

    pub(crate) fn arrow(doing: &str) -> impl FnOnce(ArrowError) -> Self {
        let doing = doing.to_owned();
        move |source| Self::Arrow { doing, source }
    }
}

fn database_kind(error: &redb::Error) -> ErrorKind {
    match error {
        redb::Error::Io(source) => ErrorKind::from(source),
        redb::Error::ValueTooLarge(_) => ErrorKind::ResourceExhausted,
        redb::Error::Corrupted(_)
        | redb::Error::TableTypeMismatch { .. }
        | redb::Error::TypeDefinitionChanged { .. } => ErrorKind::BadData,
        redb::Error::PreviousIo => ErrorKind::Io,
        redb::Error::DatabaseClosed | redb::Error::TransactionPoisoned => ErrorKind::InvalidState,
        redb::Error::UpgradeRequired(_) | redb::Error::LockProtocolMismatch | redb::Error::Unsupported => {
            ErrorKind::Unsupported
        }
        _ => ErrorKind::Internal,
    }
}

impl From<Error> for dfp_core::Error {
    fn from(error: Error) -> Self {
        let kind = error.kind();
        Self::new(kind, error.to_string())
    }
}

/// Adds to a database failure what was being done.
pub(crate) trait Doing<T> {
    fn doing(self, doing: &str) -> Result<T>;
}

impl<T, E: Into<redb::Error>> Doing<T> for Result<T, E> {
    fn doing(self, doing: &str) -> Result<T> {
        self.map_err(|error| match error.into() {
            redb::Error::Corrupted(why) => Error::damaged(format!("the store file ({doing})"), &why),
            source => Error::Database { doing: doing.to_owned(), source: Box::new(source) },
        })
    }
}

/// Runs `f`; the panic that the database answers to some kinds of damage becomes an error.
pub(crate) fn guarded<T>(doing: &str, f: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(f)).unwrap_or_else(|panic| {
        Err(Error::damaged(format!("the store file ({doing})"), &panic_text(&*panic)))
    })
}
