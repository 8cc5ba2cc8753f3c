//! What can go wrong between a raw batch and a model's input.

use dfp_core::ErrorKind;

/// A failure of this crate; every variant names the thing it is about.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The text is no profile: not TOML, an unknown key, a value of the wrong type.
    #[error("reading profile: {0}")]
    Syntax(String),
    /// A key of a profile or of an option has a value that cannot work.
    #[error("{key}: {problem}")]
    Config {
        /// The key, as written in the file.
        key: String,
        /// What is wrong and what would be right.
        problem: String,
    },
    /// A batch lacks a column, or has it with another type.
    #[error("column `{column}`: {problem}")]
    Column {
        /// The column's name.
        column: String,
        /// What was expected and what was found.
        problem: String,
    },
    /// A file's name holds a date that does not exist, such as February 30.
    #[error("dating file `{path}`: {problem}")]
    FileDate {
        /// The path as given.
        path: String,
        /// The impossible part.
        problem: String,
    },
    /// Rows that must be oldest first are not.
    #[error("row {row} is older than the row before it; sort by time first")]
    Unsorted {
        /// Index of the first row out of place.
        row: usize,
    },
    /// A method was called before [`Stage::bind`](dfp_core::Stage::bind).
    #[error("push before bind")]
    Unbound,
    /// More than a stated limit, or than can be counted.
    #[error("sessionizing: {0}")]
    TooLarge(String),
    /// An Arrow operation failed.
    #[error("preparing a batch: {0}")]
    Arrow(#[from] arrow_schema::ArrowError),
}

/// The result of this crate's functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    pub(crate) fn config(key: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Config { key: key.into(), problem: problem.into() }
    }

    pub(crate) fn column(column: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Column { column: column.into(), problem: problem.into() }
    }

    /// The number that plugins and C see.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Syntax(_) | Self::Config { .. } => ErrorKind::InvalidConfig,
            Self::Column { .. } => ErrorKind::SchemaMismatch,
            Self::FileDate { .. } => ErrorKind::BadData,
            Self::Unsorted { .. } => ErrorKind::InvalidArgument,
            Self::Unbound => ErrorKind::InvalidState,
            Self::TooLarge(_) => ErrorKind::ResourceExhausted,
            Self::Arrow(_) => ErrorKind::Internal,
        }
    }
}

impl From<Error> for dfp_core::Error {
    fn from(error: Error) -> Self {
        Self::new(error.kind(), error.to_string())
    }
}
