//! The host's services for a child: it opens nothing itself, and what it asks for is bounded.

use std::collections::{HashMap, HashSet};
use std::io::{self, Read};
use std::sync::Arc;

use dfp_abi::caught;
use dfp_core::{Error, ErrorKind, Host, Level, Reject, Result};

use super::frame::{Pack, Unpack, refused};
use super::protocol::host_op;

/// Inputs that may be open at once: few enough to leave the host's process files of its own.
const MAX_INPUTS: usize = 256;
/// Bytes of one read.
const MAX_READ: u64 = 1 << 20;
/// Names a child may invent for counters, and as many for reasons: a host keeps every one of them.
const MAX_NAMES: usize = 1024;
/// Bytes of a name.
const MAX_NAME: usize = 256;
/// Bytes of any other text.
const MAX_TEXT: usize = 64 << 10;
/// What stands for all further names.
const OTHER: &str = "other";

/// Serves one child.
pub(super) struct Services {
    host: Arc<dyn Host>,
    inputs: HashMap<u64, Box<dyn Read + Send>>,
    next_input: u64,
    counters: HashSet<String>,
    reasons: HashSet<String>,
}

impl Services {
    pub(super) fn new(host: Arc<dyn Host>) -> Self {
        Self {
            host,
            inputs: HashMap::new(),
            next_input: 1,
            counters: HashSet::new(),
            reasons: HashSet::new(),
        }
    }

    /// Does what the payload of a host call asks for. Answers with the payload of the answer, if the child waits for one.
    ///
    /// # Errors
    /// If the call makes no sense: then the child is not to be believed in anything.
    pub(super) fn serve(&mut self, payload: &[u8]) -> Result<Option<Vec<u8>>> {
        let mut call = Unpack(payload);
        let (id, op) = (call.number()?, call.byte()?);
        let head = Pack::default().number(id);
        match op {
            host_op::OPEN => {
                let uri = call.text(MAX_TEXT)?;
                Ok(Some(head.outcome(self.open(&uri)).done()))
            }
            host_op::SECRET => {
                let name = call.text(MAX_NAME)?;
                let secret = caught(|| self.host.secret(&name));
                Ok(Some(head.outcome(secret).done()))
            }
            host_op::READ => {
                let (input, capacity) = (call.number()?, call.number()?.min(MAX_READ));
                Ok(Some(self.read(head, input, capacity as usize)?.done()))
            }
            host_op::CLOSE => {
                let input = self.inputs.remove(&call.number()?);
                dfp_abi::dropped(input);
                Ok(None)
            }
            host_op::LOG => {
                let level = level(call.number()?);
                let (target, text) = (call.text(MAX_NAME)?, call.text(MAX_TEXT)?);
                self.quietly(|host| host.log(level, &target, &text));
                Ok(None)
            }
            host_op::REJECT => {
                let reject = self.take_reject(&mut call)?;
                self.quietly(|host| host.reject(reject));
                Ok(None)
            }
            host_op::COUNT => {
                let (counter, n) = (call.text(MAX_NAME)?, call.number()?);
                let counter = known(&mut self.counters, counter);
                self.quietly(|host| host.count(&counter, n));
                Ok(None)
            }
            _ => Err(refused(format!("it asks the host for something unheard of ({op})"))),
        }
    }

    fn open(&mut self, uri: &str) -> Result<Vec<u8>> {
        if self.inputs.len() >= MAX_INPUTS {
            return Err(Error::new(
                ErrorKind::ResourceExhausted,
                format!("opening {uri}: {MAX_INPUTS} inputs are open already"),
            ));
        }
        let input = caught(|| self.host.open(uri))?;
        let id = self.next_input;
        self.next_input += 1;
        self.inputs.insert(id, input);
        Ok(Pack::default().number(id).done())
    }

    fn read(&mut self, head: Pack, input: u64, capacity: usize) -> Result<Pack> {
        let input =
            self.inputs.get_mut(&input).ok_or_else(|| refused("it reads an input that is not open"))?;
        let mut buffer = vec![0; capacity];
        let mut unexpected_end = false;
        let result = caught(|| {
            loop {
                match input.read(&mut buffer) {
                    Err(failure) if failure.kind() == io::ErrorKind::Interrupted => {}
                    Err(failure) => {
                        unexpected_end = failure.kind() == io::ErrorKind::UnexpectedEof;
                        return Err(Error::io("reading an input", failure));
                    }
                    Ok(n) => return Ok(n.min(capacity)),
                }
            }
        });
        Ok(match result {
            Ok(n) => head.byte(1).rest(&buffer[..n]),
            Err(error) => head.byte(0).error(&error, unexpected_end),
        })
    }

    fn take_reject(&mut self, call: &mut Unpack<'_>) -> Result<Reject> {
        let (origin, reason, detail) = (call.text(MAX_TEXT)?, call.text(MAX_NAME)?, call.text(MAX_TEXT)?);
        let reject = Reject::new(origin, known(&mut self.reasons, reason), detail);
        Ok(match call.optional()? {
            Some(excerpt) => reject.with_excerpt(excerpt),
            None => reject,
        })
    }

    /// The child gets no answer to these: a panic of the host's callback is the host's own affair.
    fn quietly(&self, f: impl FnOnce(&dyn Host)) {
        let _: Result<()> = caught(|| {
            f(&*self.host);
            Ok(())
        });
    }
}

/// `name`, unless there are too many different ones already.
fn known(names: &mut HashSet<String>, name: String) -> String {
    if names.contains(&name) || names.len() < MAX_NAMES {
        names.insert(name.clone());
        return name;
    }
    OTHER.to_owned()
}

/// Unknown levels are the least important one.
pub(super) fn level(number: u64) -> Level {
    [Level::Error, Level::Warn, Level::Info, Level::Debug]
        .into_iter()
        .find(|level| *level as u64 == number)
        .unwrap_or(Level::Trace)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LocalHost;

    fn count(name: &str) -> Vec<u8> {
        Pack::default().number(0).byte(host_op::COUNT).bytes(name.as_bytes()).number(1).done()
    }

    #[test]
    fn names_without_end_become_one() {
        let host = Arc::new(LocalHost::new());
        let mut services = Services::new(host.clone());
        for index in 0..MAX_NAMES + 10 {
            services.serve(&count(&format!("c{index}"))).unwrap();
        }
        services.serve(&count("c0")).unwrap();
        assert_eq!((host.counter("c0"), host.counter(OTHER)), (2, 10));
    }

    #[test]
    fn nonsense_is_refused() {
        let mut services = Services::new(Arc::new(LocalHost::new()));
        let unheard = Pack::default().number(1).byte(99).done();
        let not_open = Pack::default().number(1).byte(host_op::READ).number(7).number(9).done();
        for payload in [&[][..], &unheard, &not_open, &count("c")[..20]] {
            assert_eq!(services.serve(payload).unwrap_err().kind(), ErrorKind::BadData);
        }
    }
}
