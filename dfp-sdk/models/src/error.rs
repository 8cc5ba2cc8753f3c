//! What can go wrong while learning, scoring, saving or loading.

use dfp_core::ErrorKind;

/// A failure of a model: what was being done to which thing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A setting cannot work.
    #[error("checking the model configuration: {field} is {value}; accepted: {accepted}")]
    Config {
        /// Dotted name of the setting.
        field: &'static str,
        /// What it was.
        value: String,
        /// What would do.
        accepted: &'static str,
    },
    /// A column is not in the batch.
    #[error("reading the features of a batch: column `{column}` is missing")]
    MissingColumn {
        /// Its name.
        column: String,
    },
    /// A column has a type that cannot be used as asked.
    #[error("reading the features of a batch: column `{column}` is {found}; needed: {needed}")]
    ColumnType {
        /// Its name.
        column: String,
        /// Its Arrow type.
        found: String,
        /// What would do.
        needed: &'static str,
    },
    /// A session cannot be used.
    #[error("reading sessions: the session in row {row} cannot be used: {why}")]
    Session {
        /// Its row in the batch.
        row: usize,
        /// What is wrong with it.
        why: String,
    },
    /// Models or data of different kinds were brought together.
    #[error("bringing together sessions and models: {0}")]
    Mismatch(String),
    /// A batch would hold more than Arrow can.
    #[error("scoring sessions: the batch of scores becomes too large ({0}); score fewer at once")]
    TooLarge(String),
    /// There is nothing to learn from.
    #[error("fitting a model: {0}")]
    NothingToLearn(&'static str),
    /// The weights became infinite or not a number.
    #[error("fitting a model: training diverged in epoch {epoch}; lower learning_rate")]
    Diverged {
        /// Epoch after which it was noticed, from 1.
        epoch: usize,
    },
    /// The caller asked to stop.
    #[error("fitting a model: cancelled on request")]
    Cancelled,
    /// A saved model is damaged or not a model.
    #[error("loading a model: {0}")]
    Damaged(String),
    /// A saved model needs a newer program.
    #[error(
        "loading a model: format {found} of `{kind}` is newer than {known}, the newest this version reads"
    )]
    TooNew {
        /// What kind of model it is.
        kind: String,
        /// Its format.
        found: u64,
        /// The newest format known.
        known: u64,
    },
    /// A model cannot be written.
    #[error("saving a model: {0}")]
    Save(String),
}

/// The result of a model function.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// The number that plugins and C see.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Config { .. } | Self::Diverged { .. } => ErrorKind::InvalidConfig,
            Self::MissingColumn { .. } | Self::ColumnType { .. } | Self::Mismatch(_) => {
                ErrorKind::SchemaMismatch
            }
            Self::NothingToLearn(_) | Self::Damaged(_) | Self::Session { .. } => ErrorKind::BadData,
            Self::TooLarge(_) => ErrorKind::ResourceExhausted,
            Self::Cancelled => ErrorKind::Cancelled,
            Self::TooNew { .. } => ErrorKind::Unsupported,
            Self::Save(_) => ErrorKind::Internal,
        }
    }
}

impl From<Error> for dfp_core::Error {
    fn from(error: Error) -> Self {
        Self::new(error.kind(), error.to_string())
    }
}
