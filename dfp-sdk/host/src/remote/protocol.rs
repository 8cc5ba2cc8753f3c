//! The words of the two sides. Both are the same version of dfp, because the program starts itself; a number is compared
//! all the same, for programs that start another one.

use std::path::PathBuf;

use dfp_abi::Kind;
use dfp_core::Result;
use serde::{Deserialize, Serialize};

use super::frame::refused;
use crate::{Policy, PublicKey};

/// Grows with every change of what follows.
pub(super) const VERSION: u32 = 2;

/// What a frame is.
pub(super) mod tag {
    /// To the child, first and once: a [`Hello`](super::Hello). Answered as call 0.
    pub(in crate::remote) const HELLO: u8 = 1;
    /// To the child: number of the call, what to do, arguments.
    pub(in crate::remote) const CALL: u8 = 2;
    /// To the child: number of the host call, outcome.
    pub(in crate::remote) const HOST_ANSWER: u8 = 3;
    /// To the child: stop what you are doing.
    pub(in crate::remote) const CANCEL: u8 = 4;
    /// To the parent: number of the call, outcome.
    pub(in crate::remote) const ANSWER: u8 = 16;
    /// To the parent: number of the host call, what to do, arguments.
    pub(in crate::remote) const HOST_CALL: u8 = 17;
}

/// What the child is asked to do.
pub(super) mod op {
    pub(in crate::remote) const SOURCE_OPEN: u8 = 1;
    pub(in crate::remote) const SOURCE_POSITION: u8 = 2;
    pub(in crate::remote) const STREAM_NEXT: u8 = 3;
    pub(in crate::remote) const STREAM_DROP: u8 = 4;
    pub(in crate::remote) const STAGE_BIND: u8 = 10;
    pub(in crate::remote) const STAGE_PUSH: u8 = 11;
    pub(in crate::remote) const STAGE_PULL: u8 = 12;
    pub(in crate::remote) const STAGE_FINISH: u8 = 13;
    pub(in crate::remote) const SINK_BIND: u8 = 20;
    pub(in crate::remote) const SINK_WRITE: u8 = 21;
    pub(in crate::remote) const SINK_FLUSH: u8 = 22;
    pub(in crate::remote) const SINK_CLOSE: u8 = 23;
    pub(in crate::remote) const TRAINER_FIT: u8 = 30;
    pub(in crate::remote) const TRAINER_LOAD: u8 = 31;
    pub(in crate::remote) const MODEL_SCORE: u8 = 32;
    pub(in crate::remote) const MODEL_SAVE: u8 = 33;
    pub(in crate::remote) const MODEL_DROP: u8 = 34;
    pub(in crate::remote) const INTROSPECT: u8 = 40;
    pub(in crate::remote) const END: u8 = 41;
}

/// What the child asks of the host.
pub(super) mod host_op {
    pub(in crate::remote) const OPEN: u8 = 1;
    pub(in crate::remote) const READ: u8 = 2;
    pub(in crate::remote) const CLOSE: u8 = 3;
    pub(in crate::remote) const LOG: u8 = 4;
    pub(in crate::remote) const REJECT: u8 = 5;
    pub(in crate::remote) const COUNT: u8 = 6;
    pub(in crate::remote) const SECRET: u8 = 7;
}

/// What the child is to load, and to be.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Hello {
    pub(super) protocol: u32,
    /// The library or manifest; absent for what is linked into the child's program.
    pub(super) library: Option<PathBuf>,
    /// The policy's name, and keys.
    pub(super) policy: String,
    pub(super) keys: Vec<String>,
    /// The component to make; if absent, the child only says what there is.
    pub(super) wanted: Option<Wanted>,
    /// The least important level that is logged; 0 if none is.
    pub(super) log_level: u32,
    pub(super) memory_limit: Option<u64>,
    pub(super) sandbox: bool,
    /// Longest payload the parent takes.
    pub(super) max_frame: usize,
}

/// Which component, and how it is configured.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Wanted {
    /// The number of its kind.
    pub(super) kind: u32,
    pub(super) id: Option<String>,
    pub(super) config: String,
}

impl Hello {
    /// What the parent wants to be known of the library.
    pub(super) fn policy(&self) -> Result<Policy> {
        let keys = self.keys.iter().map(|key| key.parse::<PublicKey>()).collect::<Result<_>>()?;
        Policy::named(&self.policy, keys)
    }
}

impl Wanted {
    pub(super) fn kind(&self) -> Result<Kind> {
        Kind::from_code(self.kind).ok_or_else(|| refused(format!("there is no kind {}", self.kind)))
    }
}
