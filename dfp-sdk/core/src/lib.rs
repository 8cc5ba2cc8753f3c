//! The contracts of dfp. Records come in as Arrow batches through a [`Source`], pass [`Stage`]s, and end in [`Sink`]s; a
//! [`Trainer`] learns a [`Model`] from them, and a model scores them. Every one of these traits can be implemented in
//! the program or by a dynamic library.
//!
//! Nothing here opens a file, starts a runtime or contains `unsafe`.
#![forbid(unsafe_code)]

mod error;
mod host;
mod model;
mod pipeline;
mod reject;
mod sink;
mod source;
mod stage;

pub use error::{Error, ErrorKind, Result};
pub use host::{CancelToken, Host, Level, RECORDS_READ};
pub use model::{FitContext, Model, SCORE, Trainer, fit_each, guarded_map, panic_text, parallel_map};
pub use pipeline::Pipeline;
pub use reject::{Counts, Reject, reason};
pub use sink::Sink;
pub use source::{BatchStream, EVENT_TIME, MemoryStream, ORIGIN, RECORD_ID, Source};
pub use stage::Stage;
