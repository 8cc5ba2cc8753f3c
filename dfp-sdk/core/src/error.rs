//! One error type for every contract, carrying the number that plugins and C see.

use std::error::Error as StdError;
use std::fmt;

/// What kind of failure it was. The numbers are shared with the plugin border and the C interface and never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(i32)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A caller passed something the function does not accept.
    InvalidArgument = 1,
    /// A configuration value is missing, unknown or out of range.
    InvalidConfig = 2,
    /// Columns are missing or of another type than declared.
    SchemaMismatch = 3,
    /// The operation exists but not here.
    Unsupported = 4,
    /// A file, model, entity or plugin does not exist.
    NotFound = 5,
    /// Reading or writing failed.
    Io = 6,
    /// The operating system or a policy refused.
    Permission = 7,
    /// The caller asked to stop.
    Cancelled = 8,
    /// It took longer than allowed.
    Timeout = 9,
    /// Memory, disk or a stated limit ran out.
    ResourceExhausted = 10,
    /// The data itself is damaged.
    BadData = 11,
    /// The call came at the wrong moment.
    InvalidState = 12,
    /// An earlier panic made this instance unusable.
    Poisoned = 13,
    /// The callee panicked.
    Panic = 14,
    /// A fault of dfp or of a plugin.
    Internal = 15,
    /// An accelerator failed.
    Device = 16,
}

impl ErrorKind {
    /// Every kind, in the order of its number.
    pub const ALL: [Self; 16] = [
        Self::InvalidArgument,
        Self::InvalidConfig,
        Self::SchemaMismatch,
        Self::Unsupported,
        Self::NotFound,
        Self::Io,
        Self::Permission,
        Self::Cancelled,
        Self::Timeout,
        Self::ResourceExhausted,
        Self::BadData,
        Self::InvalidState,
        Self::Poisoned,
        Self::Panic,
        Self::Internal,
        Self::Device,
    ];

    /// The number plugins and C see; 0 is success and has no kind.
    pub const fn code(self) -> i32 {
        self as i32
    }

    /// The kind of a number; numbers nobody knows are [`ErrorKind::Internal`].
    pub fn from_code(code: i32) -> Self {
        Self::ALL.into_iter().find(|kind| kind.code() == code).unwrap_or(Self::Internal)
    }
}

impl From<&std::io::Error> for ErrorKind {
    fn from(error: &std::io::Error) -> Self {
        use std::io::ErrorKind as Io;
        match error.kind() {
            Io::NotFound => Self::NotFound,
            Io::PermissionDenied => Self::Permission,
            Io::TimedOut => Self::Timeout,
            Io::OutOfMemory | Io::StorageFull | Io::QuotaExceeded | Io::FileTooLarge => {
                Self::ResourceExhausted
            }
            Io::InvalidData | Io::UnexpectedEof => Self::BadData,
            _ => Self::Io,
        }
    }
}

/// A failure: its kind, what was being done to which thing, and the cause.
///
/// ```
/// use dfp_core::{Error, ErrorKind};
///
/// let cause = std::io::Error::from(std::io::ErrorKind::NotFound);
/// let error = Error::io("opening logs/day1.json", cause);
/// assert_eq!(error.kind(), ErrorKind::NotFound);
/// assert_eq!(error.to_string(), "opening logs/day1.json: entity not found");
/// ```
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    doing: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// The result of a dfp contract.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// A failure without a deeper cause; `doing` says what was being done to which thing, and what to do about it.
    pub fn new(kind: ErrorKind, doing: impl Into<String>) -> Self {
        Self { kind, doing: doing.into(), source: None }
    }

    /// A failure caused by `source`.
    pub fn caused(
        kind: ErrorKind,
        doing: impl Into<String>,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        Self { kind, doing: doing.into(), source: Some(source.into()) }
    }

    /// A failed read or write; the kind follows from the operating system's answer.
    pub fn io(doing: impl Into<String>, source: std::io::Error) -> Self {
        Self::caused(ErrorKind::from(&source), doing, source)
    }

    /// Says what a caller was doing when this failure reached it.
    #[must_use]
    pub fn context(self, doing: impl Into<String>) -> Self {
        Self { kind: self.kind, doing: doing.into(), source: Some(Box::new(self)) }
    }

    /// What kind of failure it was.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// What caused it, if anything deeper did.
    pub fn cause(&self) -> Option<&(dyn StdError + 'static)> {
        match &self.source {
            Some(source) => Some(source.as_ref()),
            None => None,
        }
    }
}

impl fmt::Display for Error {
    /// The whole chain in one line: logs and C callers see nothing else.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.doing)?;
        match &self.source {
            Some(source) => write!(f, ": {source}"),
            None => Ok(()),
        }
    }
}

impl StdError for Error {
    /// The cause's own cause: [`Display`](fmt::Display) already prints the cause.
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().and_then(StdError::source)
    }
}

impl From<arrow_schema::ArrowError> for Error {
    fn from(error: arrow_schema::ArrowError) -> Self {
        Self::caused(ErrorKind::Internal, "handling an Arrow batch", error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_dense_and_round_trip() {
        for (index, kind) in ErrorKind::ALL.into_iter().enumerate() {
            assert_eq!(kind.code(), index as i32 + 1);
            assert_eq!(ErrorKind::from_code(kind.code()), kind);
        }
        assert_eq!(ErrorKind::from_code(1234), ErrorKind::Internal);
    }

    #[test]
    fn context_keeps_kind_and_prints_the_chain_once() {
        let error = Error::new(ErrorKind::BadData, "line 3").context("reading a.json");
        assert_eq!(error.kind(), ErrorKind::BadData);
        assert_eq!(error.to_string(), "reading a.json: line 3");
        assert!(StdError::source(&error).is_none());
    }
}
