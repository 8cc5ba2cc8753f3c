//! Source plugin: Azure AD (Entra ID) sign-in logs.
//!
//! Reads every envelope these records are known to travel in, told by content and never by file name: one object a
//! line, arrays, `{"records": [..]}` and `{"value": [..]}`, arrays or lines of those, a bare record laid out over many
//! lines, records flattened with capitals and with JSON in strings, Log Analytics tables as CSV or JSON, Microsoft Graph
//! pages. Whatever the envelope, columns bear the names of a diagnostic record (`properties.deviceDetail.browser`).
//!
//! * `_origin` is `INPUT:LINE:COLUMN`: line and byte column, from 1, of the record's first byte, decompressed.
//! * `_time` is `createdDateTime`, or, where that is absent or no usable time, `time` / `TimeGenerated`. No zone means
//!   UTC. Slash dates (`4/28/2021, 2:08:45 PM`) have one order for a whole input: day first if any first number in it
//!   exceeds 12, else month first. To find out, an input with such dates is read twice.
//! * `_record_id` is the sign-in's id; null if it has none.
//! * An absent field, a null and an empty CSV cell are null; other placeholders, `""` and `-` among them, stay as
//!   they are.
//! * Memory is one record (`max_record_bytes`) and one batch, however long the input.
//!
//! What is checked of a record: see the scanner's notes in `scan.rs`. In short, all of it is held to the JSON grammar,
//! whether wanted or not.
#![forbid(unsafe_code)]

mod columns;
mod config;
mod csv;
mod envelope;
mod fields;
mod record;
mod scan;
mod source;
mod text;
mod time;
mod window;

pub use config::{Config, Unreadable};
pub use source::{AzureAd, FILES_UNREADABLE, INVALID_UTF8};

/// The profile with the reference's columns and rules, TOML; the plugin's own profile is the better one.
pub const MORPHEUS_PROFILE: &str = include_str!("../profiles/morpheus.toml");

dfp_plugin::export_plugin! {
    id: "dfp.azure-ad",
    vendor: "dfp",
    version: env!("CARGO_PKG_VERSION"),
    licence: env!("CARGO_PKG_LICENSE"),
    sources: [AzureAd],
}
