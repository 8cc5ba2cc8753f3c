//! Write a dfp plugin: implement [`Source`], [`Stage`], [`Sink`] or [`Trainer`], make it a [`Component`], and export it with
//! [`export_plugin!`].
//!
//! A plugin crate depends on this crate and on nothing else of dfp. The same component can be linked into a program
//! ([`linked_source`] and its kin) and loaded from a shared library; it cannot tell the difference. Panics never leave a
//! plugin: the call fails with [`ErrorKind::Panic`], and that one instance can only be destroyed from then on.
//!
//! The guide is `docs/plugins.md`.

mod component;
mod export;
mod host;

pub use arrow_array;
pub use arrow_schema;
pub use component::{Component, create, linked_model, linked_sink, linked_source, linked_stage};
pub use dfp_abi::c::{DFP_DETERMINISTIC as DETERMINISTIC, DFP_KEEPS_ROWS as KEEPS_ROWS};
pub use dfp_abi::{Kind, LinkedComponent};
pub use dfp_core::{
    BatchStream, CancelToken, EVENT_TIME, Error, ErrorKind, FitContext, Host, Level, MemoryStream, Model,
    ORIGIN, RECORD_ID, RECORDS_READ, Reject, Result, SCORE, Sink, Source, Stage, Trainer, parallel_map,
    reason,
};
pub use serde_json;

/// What [`export_plugin!`] expands to; not for use by name.
#[doc(hidden)]
pub mod __export {
    pub use crate::component::flags;
    pub use crate::export::{c_text, model_ops, sink_ops, source_ops, stage_ops};
    pub use dfp_abi::FINGERPRINT;
    pub use dfp_abi::c::{
        DFP_ABI_MINOR, DFP_VERSION, dfp_component, dfp_host, dfp_model_ops, dfp_plugin, dfp_sink_ops,
        dfp_source_ops, dfp_stage_ops,
    };
}
