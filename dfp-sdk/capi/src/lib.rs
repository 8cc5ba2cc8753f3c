//! dfp for programs in C: the functions of `dfp/dfp.h`, which is generated from this crate, comments included; change them
//! together (`DFP_BLESS=1 cargo test -p dfp-tests --test capi`).
//!
//! Every function goes through [`entry`](entry::entry): a panic becomes a code, a failure also a text. Data comes and goes as
//! Arrow C streams, each of which is validated like that of a plugin nobody trusts.
#![allow(non_camel_case_types)]
// The comments become those of the header, where backticks mean nothing, and whose head says what a caller must promise.
#![allow(clippy::doc_markdown, clippy::missing_safety_doc)]

mod entry;
mod model;
mod observer;
mod options;
mod sessions;
mod stream;
#[cfg(test)]
mod tests;

pub use model::{
    dfp_sequence_model, dfp_sequence_model_fit, dfp_sequence_model_free, dfp_sequence_model_load,
    dfp_sequence_model_save, dfp_sequence_model_score, dfp_sequence_model_update,
};
pub use observer::dfp_observer;
pub use sessions::{
    dfp_build_sessions, dfp_score_and_visualise_sessions, dfp_score_sessions, dfp_sessionize,
    dfp_visualise_scored_sessions,
};
pub use stream::{dfp_stream_of_batch, dfp_version};

/// The checked-in header that programs compile.
pub const HEADER: &str = include_str!("../include/dfp/dfp.h");
