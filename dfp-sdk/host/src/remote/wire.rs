//! The child's end of the pipes, and the host that its component sees.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dfp_abi::caught;
use dfp_core::{CancelToken, Error, ErrorKind, Host, Level, Reject, Result};

use super::frame::{Frame, Pack, Unpack, cut};
use super::protocol::{host_op, tag};

/// Bytes asked for at once: components read lines, and each question costs two switches of the process.
const READ: usize = 256 << 10;
/// Longest text of a log line or reject.
const MAX_TEXT: usize = 16 << 10;

/// What stops a component that does not ask.
type Cancel = Arc<dyn Fn() + Send + Sync>;

/// Writes to the parent, and waits for its answers.
pub(super) struct Wire {
    out: Mutex<Box<dyn Write + Send>>,
    next: AtomicU64,
    /// Who waits for which answer; `None` once the parent is gone.
    waiting: Mutex<Option<HashMap<u64, SyncSender<Vec<u8>>>>>,
    pub(super) cancel: CancelToken,
    on_cancel: Mutex<Option<Cancel>>,
    log_level: AtomicU32,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Whoever panicked while holding one has ended its own call; the pipes are as good as before.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Wire {
    pub(super) fn new(out: impl Write + Send + 'static) -> Arc<Self> {
        Arc::new(Self {
            out: Mutex::new(Box::new(out)),
            next: AtomicU64::new(0),
            waiting: Mutex::new(Some(HashMap::new())),
            cancel: CancelToken::default(),
            on_cancel: Mutex::default(),
            log_level: AtomicU32::new(0),
        })
    }

    pub(super) fn log_up_to(&self, level: u32) {
        self.log_level.store(level, Ordering::Relaxed);
    }

    pub(super) fn send(&self, tag: u8, payload: Vec<u8>) -> io::Result<()> {
        Frame::new(tag, payload).write(&mut *lock(&self.out))
    }

    /// Says something that nobody answers. A parent that is gone needs no log.
    fn tell(&self, op: u8, arguments: &[u8]) {
        let _ = self.send(tag::HOST_CALL, Pack::default().number(0).byte(op).rest(arguments).done());
    }

    /// Asks the host something.
    fn ask(&self, op: u8, arguments: &[u8]) -> Result<Vec<u8>> {
        let gone = || Error::new(ErrorKind::Io, "the host's process is gone");
        let id = self.next.fetch_add(1, Ordering::Relaxed) + 1;
        let (sender, answer) = sync_channel(1);
        lock(&self.waiting).as_mut().ok_or_else(gone)?.insert(id, sender);
        let payload = Pack::default().number(id).byte(op).rest(arguments).done();
        self.send(tag::HOST_CALL, payload).map_err(|error| Error::io("asking the host", error))?;
        answer.recv().map_err(|_| gone())
    }

    /// Hands an answer to whoever waits for it.
    pub(super) fn deliver(&self, payload: &[u8]) -> Result<()> {
        let mut answer = Unpack(payload);
        let id = answer.number()?;
        let waiting = lock(&self.waiting).as_mut().and_then(|waiting| waiting.remove(&id));
        if let Some(waiting) = waiting {
            // There is room for the one answer; only a thread that is gone does not take it.
            let _ = waiting.send(answer.rest().to_vec());
        }
        Ok(())
    }

    /// What stops the component, from now on; `None` before it is destroyed, because a canceller keeps it alive.
    pub(super) fn cancelled_by(&self, on_cancel: Option<Cancel>) {
        *lock(&self.on_cancel) = on_cancel;
        if self.cancel.is_cancelled() {
            self.cancel();
        }
    }

    /// Stops the component.
    pub(super) fn cancel(&self) {
        self.cancel.cancel();
        let on_cancel = lock(&self.on_cancel).clone();
        // It may panic, and this may be the thread that must not.
        let _: Result<()> = caught(|| {
            if let Some(on_cancel) = on_cancel {
                on_cancel();
            }
            Ok(())
        });
    }

    /// The parent is gone: nobody is to wait for it.
    pub(super) fn hang_up(&self) {
        lock(&self.waiting).take();
        self.cancel();
    }
}

/// What the component sees.
#[derive(Clone)]
pub(super) struct RemoteHost(pub(super) Arc<Wire>);

impl Host for RemoteHost {
    fn log_enabled(&self, level: Level) -> bool {
        level as u32 <= self.0.log_level.load(Ordering::Relaxed)
    }

    fn log(&self, level: Level, target: &str, message: &str) {
        if self.log_enabled(level) {
            let line = Pack::default()
                .number(level as u64)
                .bytes(cut(target, MAX_TEXT).as_bytes())
                .bytes(cut(message, MAX_TEXT).as_bytes());
            self.0.tell(host_op::LOG, &line.done());
        }
    }

    fn is_cancelled(&self) -> bool {
        self.0.cancel.is_cancelled()
    }

    fn open(&self, uri: &str) -> Result<Box<dyn Read + Send>> {
        let answer = self.0.ask(host_op::OPEN, &Pack::default().bytes(uri.as_bytes()).done())?;
        let mut answer = Unpack(&answer);
        let id = Unpack(answer.outcome().map_err(|(error, _)| error)?).number()?;
        Ok(Box::new(Input { wire: self.0.clone(), id, buffer: Vec::new(), used: 0 }))
    }

    fn secret(&self, name: &str) -> Result<Vec<u8>> {
        let answer = self.0.ask(host_op::SECRET, &Pack::default().bytes(name.as_bytes()).done())?;
        Unpack(&answer).outcome().map(<[u8]>::to_vec).map_err(|(error, _)| error)
    }

    fn reject(&self, reject: Reject) {
        let payload = Pack::default()
            .bytes(cut(&reject.origin, MAX_TEXT).as_bytes())
            .bytes(cut(&reject.reason, MAX_TEXT).as_bytes())
            .bytes(cut(&reject.detail, MAX_TEXT).as_bytes())
            .optional(reject.excerpt.as_deref().map(str::as_bytes));
        self.0.tell(host_op::REJECT, &payload.done());
    }

    fn count(&self, counter: &str, n: u64) {
        self.0.tell(host_op::COUNT, &Pack::default().bytes(counter.as_bytes()).number(n).done());
    }
}

/// An input that the host has open.
struct Input {
    wire: Arc<Wire>,
    id: u64,
    buffer: Vec<u8>,
    used: usize,
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.used == self.buffer.len() {
            let question = Pack::default().number(self.id).number(READ as u64).done();
            let answer = self.wire.ask(host_op::READ, &question).map_err(io::Error::other)?;
            let mut answer = Unpack(&answer);
            let bytes = answer.outcome().map_err(|(error, end)| {
                let end = end.then_some(io::ErrorKind::UnexpectedEof);
                io::Error::new(end.unwrap_or_else(|| io_kind(error.kind())), error)
            })?;
            self.buffer.clear();
            self.buffer.extend_from_slice(bytes);
            self.used = 0;
        }
        let n = buffer.len().min(self.buffer.len() - self.used);
        buffer[..n].copy_from_slice(&self.buffer[self.used..self.used + n]);
        self.used += n;
        Ok(n)
    }
}

impl Drop for Input {
    fn drop(&mut self) {
        self.wire.tell(host_op::CLOSE, &Pack::default().number(self.id).done());
    }
}

/// The nearest kind std has. Never `Interrupted`, which readers take as an invitation to try again.
fn io_kind(kind: ErrorKind) -> io::ErrorKind {
    match kind {
        ErrorKind::NotFound => io::ErrorKind::NotFound,
        ErrorKind::Permission => io::ErrorKind::PermissionDenied,
        ErrorKind::Timeout => io::ErrorKind::TimedOut,
        ErrorKind::BadData => io::ErrorKind::InvalidData,
        _ => io::ErrorKind::Other,
    }
}
