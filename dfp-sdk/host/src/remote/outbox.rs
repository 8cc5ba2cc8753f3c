//! Frames on their way to the child. Whoever calls must not be held up by a child that does not read, or no time limit could
//! end the wait; so a thread of its own writes them.

use std::collections::VecDeque;
use std::io::Write;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use dfp_core::{Error, Result};

use super::frame::Frame;
use super::protocol::tag;

/// Answers to host calls that may wait; a child that asks for more and does not read waits itself.
const MAX_ANSWERS: usize = 4;

/// What waits to be written.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// One at most: nobody calls before the last call was answered.
    call: Option<Frame>,
    cancel: bool,
    answers: VecDeque<Frame>,
    closed: bool,
}

impl Outbox {
    /// Starts writing to `out`, until [`close`](Self::close) or a failure.
    pub(super) fn start(out: impl Write + Send + 'static) -> Result<Arc<Self>> {
        let outbox = Arc::new(Self::default());
        let own = outbox.clone();
        spawn("dfp-remote-write", move || own.write_all(out))?;
        Ok(outbox)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code that could panic runs under the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_all(&self, mut out: impl Write) {
        block_broken_pipe();
        while let Some(frame) = self.next() {
            // The reading side notices that the child is gone, and says so.
            if frame.write(&mut out).is_err() {
                break;
            }
        }
        self.close();
    }

    fn next(&self) -> Option<Frame> {
        let mut state = self.lock();
        loop {
            let frame = if std::mem::take(&mut state.cancel) {
                Some(Frame::new(tag::CANCEL, Vec::new()))
            } else {
                state.answers.pop_front().or_else(|| state.call.take())
            };
            if frame.is_some() || state.closed {
                self.changed.notify_all();
                return frame;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }

    pub(super) fn call(&self, frame: Frame) {
        self.change(|state| state.call = Some(frame));
    }

    pub(super) fn cancel(&self) {
        self.change(|state| state.cancel = true);
    }

    /// Waits for room; `false` if nothing is written any more.
    pub(super) fn answer(&self, frame: Frame) -> bool {
        let full = |state: &mut State| !state.closed && state.answers.len() >= MAX_ANSWERS;
        let mut state = self.changed.wait_while(self.lock(), full).unwrap_or_else(PoisonError::into_inner);
        if !state.closed {
            state.answers.push_back(frame);
        }
        self.changed.notify_all();
        !state.closed
    }

    /// Writes what is there, then nothing more; the child sees the end of its input.
    pub(super) fn close(&self) {
        self.change(|state| state.closed = true);
    }
}

/// Makes a write to a child that is gone an error on this thread, also in programs where the signal for it would end them.
fn block_broken_pipe() {
    // SAFETY: the set is a local one and made by `sigemptyset`; nobody asks for the former mask.
    unsafe {
        let mut set = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        libc::sigaddset(&raw mut set, libc::SIGPIPE);
        libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut());
    }
}

/// Starts a thread that nobody waits for.
pub(super) fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> Result<()> {
    let started = thread::Builder::new().name(name.to_owned()).spawn(body);
    started.map(drop).map_err(|error| Error::io("starting a thread for a remote plugin", error))
}
