//! Write a dfp plugin: implement [`SourcePlugin`], and export it with [`export_plugin!`].
//!
//! A plugin crate depends on this crate and on nothing else of dfp. The same source can be linked into a program
//! ([`linked`]) and loaded from a shared library; it cannot tell the difference. Panics never leave a plugin: the call
//! fails with [`ErrorKind::Panic`], and that one instance can only be destroyed from then on.
//!
//! The guide is `docs/plugins.md`.

mod export;
mod host;
mod source;

pub use arrow_array;
pub use arrow_schema;
pub use dfp_abi::LinkedComponent;
pub use dfp_core::{
    BatchStream, CancelToken, EVENT_TIME, Error, ErrorKind, Host, Level, MemoryStream, ORIGIN, RECORD_ID,
    RECORDS_READ, Reject, Result, Source, reason,
};
pub use serde_json;
pub use source::{SourcePlugin, create, linked};

/// What [`export_plugin!`] expands to; not for use by name.
#[doc(hidden)]
pub mod __export {
    pub use crate::export::{c_text, source_ops};
    pub use dfp_abi::FINGERPRINT;
    pub use dfp_abi::c::{
        DFP_ABI_MINOR, DFP_KIND_SOURCE, DFP_VERSION, dfp_component, dfp_host, dfp_plugin, dfp_source_ops,
    };
}
