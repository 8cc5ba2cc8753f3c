//! A host for one process: local files, counters in memory, everything else to the callbacks of the program.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use dfp_core::{CancelToken, Counts, Error, ErrorKind, Host, Level, RECORDS_READ, Reject, Result};

use crate::inflate;
use crate::secrets::Secrets;

type OnLog = Box<dyn Fn(Level, &str, &str) + Send + Sync>;
type OnReject = Box<dyn Fn(&Reject) + Send + Sync>;

/// Reads local files, decompressed by content; counts; hands log lines and rejects to callbacks.
///
/// ```
/// use dfp_core::{Host, Reject, reason};
/// use dfp_host::LocalHost;
///
/// let host = LocalHost::new().on_reject(|reject| eprintln!("{}: {}", reject.origin, reject.reason));
/// host.count(dfp_core::RECORDS_READ, 2);
/// host.reject(Reject::new("day1.json:7", reason::MALFORMED, "no closing brace"));
/// assert!(host.counts(1).balanced());
/// ```
pub struct LocalHost {
    cancel: CancelToken,
    level: Level,
    on_log: Option<OnLog>,
    on_reject: Option<OnReject>,
    secrets: Option<Secrets>,
    counters: Mutex<BTreeMap<String, u64>>,
    rejected: Mutex<BTreeMap<String, u64>>,
}

impl Default for LocalHost {
    fn default() -> Self {
        Self::new()
    }
}

impl LocalHost {
    /// A host that logs nowhere and is never cancelled.
    pub fn new() -> Self {
        Self {
            cancel: CancelToken::default(),
            level: Level::Info,
            on_log: None,
            on_reject: None,
            secrets: None,
            counters: Mutex::default(),
            rejected: Mutex::default(),
        }
    }

    /// Stops components once `token` is cancelled.
    #[must_use]
    pub fn cancelled_by(mut self, token: CancelToken) -> Self {
        self.cancel = token;
        self
    }

    /// Hands log lines up to `level` to `callback`: level, component, message. It may be called from any thread.
    #[must_use]
    pub fn on_log(
        mut self,
        level: Level,
        callback: impl Fn(Level, &str, &str) + Send + Sync + 'static,
    ) -> Self {
        self.level = level;
        self.on_log = Some(Box::new(callback));
        self
    }

    /// Hands every rejected record to `callback`, after it was counted. It may be called from any thread.
    #[must_use]
    pub fn on_reject(mut self, callback: impl Fn(&Reject) + Send + Sync + 'static) -> Self {
        self.on_reject = Some(Box::new(callback));
        self
    }

    /// Gives components the secrets they ask for by name.
    #[must_use]
    pub fn secrets(mut self, secrets: Secrets) -> Self {
        self.secrets = Some(secrets);
        self
    }

    /// What the counter named `counter` stands at.
    pub fn counter(&self, counter: &str) -> u64 {
        lock(&self.counters).get(counter).copied().unwrap_or(0)
    }

    /// All counters but the records read, by name.
    pub fn counters(&self) -> BTreeMap<String, u64> {
        let mut counters = lock(&self.counters).clone();
        counters.remove(RECORDS_READ);
        counters
    }

    /// Records read and rejected so far, next to the records that the caller saw being `used`.
    pub fn counts(&self, used: u64) -> Counts {
        Counts { read: self.counter(RECORDS_READ), used, rejected: lock(&self.rejected).clone() }
    }
}

impl Host for LocalHost {
    fn log_enabled(&self, level: Level) -> bool {
        self.on_log.is_some() && level <= self.level
    }

    fn log(&self, level: Level, target: &str, message: &str) {
        if let Some(on_log) = self.on_log.as_ref().filter(|_| level <= self.level) {
            on_log(level, target, message);
        }
    }

    fn is_cancelled(&self) -> bool {
        self.cancel.is_cancelled()
    }

    fn open(&self, uri: &str) -> Result<Box<dyn Read + Send>> {
        let file = open_regular(Path::new(uri))?;
        inflate::by_content(file).map_err(|error| Error::io(format!("opening {uri}"), error))
    }

    fn secret(&self, name: &str) -> Result<Vec<u8>> {
        match &self.secrets {
            Some(secrets) => secrets.get(name),
            None => Err(Error::new(
                ErrorKind::NotFound,
                format!("fetching secret {name:?}: this program was given no secrets"),
            )),
        }
    }

    fn reject(&self, reject: Reject) {
        add(&self.rejected, &reject.reason, 1);
        if let Some(on_reject) = &self.on_reject {
            on_reject(&reject);
        }
    }

    fn count(&self, counter: &str, n: u64) {
        add(&self.counters, counter, n);
    }
}

/// Opens a regular file; a pipe would block for ever, and a directory has no bytes.
fn open_regular(path: &Path) -> Result<File> {
    let doing = || format!("opening {}", path.display());
    // Looked at before it is opened, because opening a pipe without a writer already blocks.
    let metadata = std::fs::metadata(path).map_err(|error| Error::io(doing(), error))?;
    if !metadata.is_file() {
        let found = if metadata.is_dir() { "it is a directory" } else { "it is a pipe or device" };
        return Err(Error::new(
            ErrorKind::Unsupported,
            format!("{}: {found}; inputs are regular files", doing()),
        ));
    }
    File::open(path).map_err(|error| Error::io(doing(), error))
}

fn add(counters: &Mutex<BTreeMap<String, u64>>, name: &str, n: u64) {
    let mut counters = lock(counters);
    match counters.get_mut(name) {
        // A plugin may claim anything.
        Some(count) => *count = count.saturating_add(n),
        None => drop(counters.insert(name.to_owned(), n)),
    }
}

/// Counters stay right even if a thread panicked while it held them: every change is one addition.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use dfp_core::reason;

    use super::*;

    #[test]
    fn directories_pipes_and_missing_files_are_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let host = LocalHost::new();
        let open = |path: &Path| host.open(path.to_str().unwrap()).err().expect("refused");

        let error = open(dir.path());
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().contains("directory"), "{error}");

        let missing = open(&dir.path().join("no.json"));
        assert_eq!(missing.kind(), ErrorKind::NotFound);
        assert!(missing.to_string().contains("no.json"), "{missing}");

        let pipe = dir.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        assert!(open(&pipe).to_string().contains("pipe"));
    }

    #[test]
    fn a_counter_stays_at_its_most() {
        let host = LocalHost::new();
        for n in [1, u64::MAX, 1] {
            host.count("records", n);
        }
        assert_eq!(host.counter("records"), u64::MAX);
    }

    #[test]
    fn rejects_are_counted_and_handed_on() {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let sink = seen.clone();
        let host = LocalHost::new().on_reject(move |reject| sink.lock().unwrap().push(reject.clone()));
        host.count(RECORDS_READ, 3);
        host.reject(Reject::new("a:1", reason::MALFORMED, "x"));
        host.reject(Reject::new("a:2", "odd", "y"));
        let counts = host.counts(1);
        assert!(counts.balanced());
        assert_eq!(counts.rejected["odd"], 1);
        host.count("unreadable:x", 2);
        assert_eq!(host.counters(), [("unreadable:x".to_owned(), 2)].into());
        assert_eq!(seen.lock().unwrap().len(), 2);
    }

    #[test]
    fn logs_up_to_the_level_asked_for() {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let sink = lines.clone();
        let host = LocalHost::new().on_log(Level::Warn, move |level, target, message| {
            sink.lock().unwrap().push(format!("{level:?} {target} {message}"));
        });
        host.log(Level::Warn, "t", "odd");
        host.log(Level::Info, "t", "fine");
        assert!(!host.log_enabled(Level::Info));
        assert_eq!(*lines.lock().unwrap(), ["Warn t odd"]);
    }

    #[test]
    fn cancelling_the_token_cancels_the_host() {
        let token = CancelToken::default();
        let host = LocalHost::new().cancelled_by(token.clone());
        assert!(!host.is_cancelled());
        token.cancel();
        assert!(host.is_cancelled());
    }
}
