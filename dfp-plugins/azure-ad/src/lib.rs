//! Source plugin: Azure AD (Entra ID) sign-in logs.
//!
//! Reads every envelope these records are known to travel in, told by content and never by file name: storage blobs, Event
//! Hub messages, records flattened with capitals and with JSON in strings, Log Analytics tables as CSV or JSON, Microsoft
//! Graph pages, downloads of the portal. Whatever the envelope, columns bear the names of a diagnostic record
//! (`properties.deviceDetail.browser`). How records are found, and what `_origin`, `_time`, `_outcome` and missing
//! values are: see [`dfp_records`].
//!
//! * `_time` is `createdDateTime`, or, where that is absent or no usable time, `time` / `TimeGenerated`.
//! * `_record_id` is the sign-in's id.
//! * `_outcome` is success if the error code, or without one the result, is `0` or `Success`.
//! * Records of another category (audit logs, risk events) are rejected as `other-category`.
#![forbid(unsafe_code)]

mod fields;

use dfp_records::{Described, Log, LogSource};

/// Reads Azure AD (Entra ID) sign-in logs.
pub type AzureAd = LogSource<SignIns>;

/// The log that [`AzureAd`] reads.
pub enum SignIns {}

impl Described for SignIns {
    const LOG: &'static Log = fields::SIGN_INS;
}

/// The profile with the reference's columns and rules, TOML; the plugin's own profile is the better one.
pub const MORPHEUS_PROFILE: &str = include_str!("../profiles/morpheus.toml");
