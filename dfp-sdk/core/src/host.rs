//! What a host lends to the components it runs: logging, cancellation, input files, rejects and counters.

use std::fmt;
use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::{Error, ErrorKind, Reject, Result};

/// How important a log line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u32)]
pub enum Level {
    /// Something failed.
    Error = 1,
    /// Something is odd and handled.
    Warn = 2,
    /// Progress worth knowing.
    Info = 3,
    /// Detail for whoever debugs the component.
    Debug = 4,
    /// Everything.
    Trace = 5,
}

/// Services a host gives to sources, stages, sinks and models.
///
/// Components never open files or sockets themselves: compression, object stores and limits are then solved once,
/// in the host. Every method may be called from any thread.
pub trait Host: Send + Sync {
    /// Whether a log line of this level would go anywhere; ask before building an expensive message.
    fn log_enabled(&self, level: Level) -> bool;

    /// Writes one log line; `target` names the component.
    fn log(&self, level: Level, target: &str, message: &str);

    /// Whether the run should stop. Blocking calls look at least once a second.
    fn is_cancelled(&self) -> bool;

    /// Opens an input by name or address for reading, decompressed.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`], [`ErrorKind::Permission`] or [`ErrorKind::Io`], naming the input.
    fn open(&self, uri: &str) -> Result<Box<dyn Read + Send>>;

    /// Fetches a secret by the name that the configuration refers to (`{"$secret": "name"}`). Whoever has it must not put it
    /// into errors, log lines or batches.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is none of that name, [`ErrorKind::Unsupported`] from a host that keeps none.
    fn secret(&self, name: &str) -> Result<Vec<u8>> {
        Err(Error::new(
            ErrorKind::Unsupported,
            format!("fetching secret {name:?}: this host keeps no secrets"),
        ))
    }

    /// Takes a record that cannot be used; see [`Reject`].
    fn reject(&self, reject: Reject);

    /// Adds `n` to a named counter. Sources count every record they find as [`RECORDS_READ`], whatever becomes of it.
    fn count(&self, counter: &str, n: u64);
}

/// Counter of records found in the input: equals records used plus records rejected.
pub const RECORDS_READ: &str = "records_read";

/// Asks a run to stop, from any thread or from a signal handler.
///
/// ```
/// let token = dfp_core::CancelToken::default();
/// let seen_by_worker = token.clone();
/// token.cancel();
/// assert!(seen_by_worker.is_cancelled());
/// assert!(seen_by_worker.check("training").is_err());
/// ```
#[derive(Clone, Default)]
pub struct CancelToken {
    asked: Arc<AtomicBool>,
    host: Option<Arc<dyn Host>>,
}

impl CancelToken {
    /// A token that is also cancelled once `host` says that the run should stop.
    pub fn of_host(host: Arc<dyn Host>) -> Self {
        Self { asked: Arc::default(), host: Some(host) }
    }

    /// Asks to stop. Cannot be taken back.
    pub fn cancel(&self) {
        self.asked.store(true, Ordering::Relaxed);
    }

    /// Whether somebody asked to stop.
    pub fn is_cancelled(&self) -> bool {
        self.asked.load(Ordering::Relaxed) || self.host.as_ref().is_some_and(|host| host.is_cancelled())
    }

    /// [`ErrorKind::Cancelled`] once somebody asked to stop; `doing` says what is given up.
    ///
    /// # Errors
    /// When the token is cancelled.
    pub fn check(&self, doing: &str) -> Result<()> {
        if self.is_cancelled() {
            return Err(Error::new(ErrorKind::Cancelled, format!("{doing}: cancelled on request")));
        }
        Ok(())
    }
}

impl fmt::Debug for CancelToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CancelToken").field(&self.is_cancelled()).finish()
    }
}
