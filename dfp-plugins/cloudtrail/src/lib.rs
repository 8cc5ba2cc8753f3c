//! Source plugin: AWS CloudTrail events.
//!
//! Reads every envelope these records are known to travel in, told by content and never by file name: log files of a trail,
//! EventBridge events, CloudWatch Logs subscriptions, answers of `lookup-events`, exports of search engines, Sentinel and
//! Athena tables, tables flattened by Python. Whatever the envelope, columns bear the paths of a CloudTrail record
//! (`userIdentity.sessionContext.sessionIssuer.userName`). How records are found, and what `_origin`, `_time`,
//! `_outcome` and missing values are: see [`dfp_records`].
//!
//! * `_time` is `eventTime`; in exports that lack it, `@timestamp` or `TimeGenerated`. A wrapper's own time never counts.
//! * `_record_id` is `eventID`.
//! * `_outcome` is failure if there is an error code or message, or a console login says so; else success, because
//!   CloudTrail has no word for it. Insight events have none.
//! * Management, data, network and insight events are records, the latter without a user. What has none of `eventID`,
//!   `eventName`, `eventSource` and `eventType` (digest files, control messages, other events of a bus) is rejected as
//!   `other-category`.
//! * Request parameters and response elements are text whatever their type, nested values as JSON: one parameter has
//!   several types in different services. Of the lists that the default columns hold, the first value of the first
//!   object counts. Account ids are text, leading zeros and all.
#![forbid(unsafe_code)]

mod fields;

use dfp_records::{Described, Log, LogSource};

/// Reads AWS CloudTrail events.
pub type CloudTrail = LogSource<Events>;

/// The log that [`CloudTrail`] reads.
pub enum Events {}

impl Described for Events {
    const LOG: &'static Log = fields::EVENTS;
}

/// The profile with the reference's 13 columns, TOML; the plugin's own profile is the better one.
pub const MORPHEUS_PROFILE: &str = include_str!("../profiles/morpheus.toml");
