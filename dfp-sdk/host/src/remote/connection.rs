//! The parent's end: calls one after the other, each with its time, while a thread serves the child's own calls.

use std::io::Read;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use dfp_core::{CancelToken, Error, ErrorKind, Host, Result};

use super::frame::{Frame, Pack, Unpack, refused};
use super::outbox::{Outbox, spawn};
use super::process::Process;
use super::protocol::{op, tag};
use super::services::Services;

/// How often a waiting call looks whether it is to stop.
const TICK: Duration = Duration::from_millis(20);
/// How long a component may take to be destroyed.
const END: Duration = Duration::from_secs(5);
/// How long the serving thread may take to end once the child is gone.
const FAREWELL: Duration = Duration::from_secs(1);

/// One component in another process.
pub(super) struct Connection {
    /// "source x in its own process"
    name: String,
    calls: Mutex<Calls>,
    outbox: Arc<Outbox>,
    expected: Arc<AtomicU64>,
    cancelled: AtomicBool,
    host: Arc<dyn Host>,
    process: Process,
    limits: Limits,
}

/// What a call may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) max_frame: usize,
    pub(super) cancel_grace: Duration,
}

struct Calls {
    answers: Receiver<Result<Vec<u8>>>,
    last: u64,
    /// Why there can be no more.
    over: Option<String>,
}

/// `expected` while no answer is.
const NONE: u64 = u64::MAX;

impl Connection {
    /// Talks to a child over `input` (its answers) and `output` (its orders).
    pub(super) fn new(
        name: String,
        input: impl Read + Send + 'static,
        output: impl std::io::Write + Send + 'static,
        process: Process,
        host: Arc<dyn Host>,
        limits: Limits,
    ) -> Result<Self> {
        let outbox = Outbox::start(output)?;
        let expected = Arc::new(AtomicU64::new(NONE));
        let (sender, answers) = channel();
        let reader = Reader {
            services: Services::new(host.clone()),
            outbox: outbox.clone(),
            expected: expected.clone(),
            answers: sender,
            max_frame: limits.max_frame,
        };
        // Otherwise the writing thread would wait for ever.
        spawn("dfp-remote-read", move || reader.run(input)).inspect_err(|_| outbox.close())?;
        let calls = Mutex::new(Calls { answers, last: 0, over: None });
        let cancelled = AtomicBool::new(false);
        Ok(Self { name, calls, outbox, expected, cancelled, host, process, limits })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The first message; its answer is awaited like that of a call.
    pub(super) fn hello(&self, payload: Vec<u8>, limit: Duration) -> Result<Vec<u8>> {
        self.exchange(tag::HELLO, 0, payload, limit, None)
    }

    /// Has the child do something.
    ///
    /// # Errors
    /// What the component answers. [`ErrorKind::Timeout`] after `limit`, and whatever else ends the child: then every
    /// later call is an [`ErrorKind::InvalidState`].
    pub(super) fn call(
        &self,
        op: u8,
        arguments: &[u8],
        limit: Duration,
        cancel: Option<&CancelToken>,
    ) -> Result<Vec<u8>> {
        self.exchange(tag::CALL, op, arguments.to_vec(), limit, cancel)
    }

    fn exchange(
        &self,
        tag: u8,
        op: u8,
        arguments: Vec<u8>,
        limit: Duration,
        cancel: Option<&CancelToken>,
    ) -> Result<Vec<u8>> {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(why) = &calls.over {
            let text = format!("{}: it is gone and takes no more calls: {why}", self.name);
            return Err(Error::new(ErrorKind::InvalidState, text));
        }
        let payload = if tag == tag::HELLO {
            arguments
        } else {
            calls.last += 1;
            Pack::default().number(calls.last).byte(op).rest(&arguments).done()
        };
        if payload.len() > self.limits.max_frame {
            let text = format!(
                "{}: {} bytes do not fit into a frame of {}; hand over smaller batches",
                self.name,
                payload.len(),
                self.limits.max_frame
            );
            return Err(Error::new(ErrorKind::ResourceExhausted, text));
        }
        self.expected.store(calls.last, Ordering::SeqCst);
        self.outbox.call(Frame::new(tag, payload));
        let answer = self.wait(&calls.answers, limit, cancel).map_err(|failure| {
            calls.over = Some(failure.to_string());
            self.outbox.close();
            self.process.kill();
            failure.context(self.name.clone())
        })?;
        Unpack(&answer).outcome().map(<[u8]>::to_vec).map_err(|(error, _)| error.context(self.name.clone()))
    }

    fn wait(
        &self,
        answers: &Receiver<Result<Vec<u8>>>,
        limit: Duration,
        cancel: Option<&CancelToken>,
    ) -> Result<Vec<u8>> {
        let start = Instant::now();
        let mut cancelled: Option<Instant> = None;
        loop {
            let left = limit.saturating_sub(start.elapsed());
            match answers.recv_timeout(left.min(TICK)) {
                Ok(answer) => return answer,
                Err(RecvTimeoutError::Disconnected) => return Err(self.process.obituary()),
                Err(RecvTimeoutError::Timeout) => {}
            }
            if left.is_zero() {
                let text = format!("it did not answer within {limit:?} and was killed");
                return Err(Error::new(ErrorKind::Timeout, text));
            }
            if cancelled.is_some_and(|since| since.elapsed() > self.limits.cancel_grace) {
                let text = format!("it did not stop within {:?} and was killed", self.limits.cancel_grace);
                return Err(Error::new(ErrorKind::Cancelled, text));
            }
            if cancelled.is_none() && self.is_cancelled(cancel) {
                self.outbox.cancel();
                cancelled = Some(Instant::now());
            }
        }
    }

    fn is_cancelled(&self, cancel: Option<&CancelToken>) -> bool {
        self.cancelled.load(Ordering::Relaxed)
            || cancel.is_some_and(CancelToken::is_cancelled)
            || dfp_abi::caught(|| Ok(self.host.is_cancelled())).unwrap_or(true)
    }

    /// Asks the component to stop, from any thread.
    pub(super) fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // The component is destroyed in order, if there still is one; a failure has nobody to be told to.
        let _ = self.call(op::END, &[], END, None);
        self.outbox.close();
        self.process.end();
        let calls = self.calls.get_mut().unwrap_or_else(PoisonError::into_inner);
        // The host is let go of when this returns; one that blocks holds its thread for longer.
        while calls.answers.recv_timeout(FAREWELL).is_ok() {}
        self.process.hear_out();
    }
}

/// Reads what the child sends.
struct Reader {
    services: Services,
    outbox: Arc<Outbox>,
    expected: Arc<AtomicU64>,
    answers: Sender<Result<Vec<u8>>>,
    max_frame: usize,
}

impl Reader {
    fn run(mut self, mut input: impl Read) {
        loop {
            match self.step(&mut input) {
                Ok(true) => {}
                Ok(false) => break,
                // The pipe ended: why the process did is asked for next.
                Err(error) if error.kind() == ErrorKind::Io => break,
                Err(error) => {
                    // Nobody listens if the connection is being dropped.
                    let _ = self.answers.send(Err(error.context("it breaks the rules and was killed")));
                    break;
                }
            }
        }
        self.outbox.close();
    }

    /// `false` at the end.
    fn step(&mut self, input: &mut impl Read) -> Result<bool> {
        let Some(frame) = Frame::read(input, self.max_frame)? else { return Ok(false) };
        match frame.tag {
            tag::ANSWER => {
                let mut payload = Unpack(&frame.payload);
                let number = payload.number()?;
                // At most one answer is ever waiting, whatever the child sends.
                if number == NONE || self.expected.swap(NONE, Ordering::SeqCst) != number {
                    return Err(refused("it answers a call that nobody made"));
                }
                Ok(self.answers.send(Ok(payload.rest().to_vec())).is_ok())
            }
            tag::HOST_CALL => match self.services.serve(&frame.payload)? {
                Some(answer) => Ok(self.outbox.answer(Frame::new(tag::HOST_ANSWER, answer))),
                None => Ok(true),
            },
            other => Err(refused(format!("it sends a frame of an unheard-of sort ({other})"))),
        }
    }
}
