//! Source plugin: Duo authentication logs.
//!
//! Reads every envelope these records are known to travel in, told by content and never by file name: answers of the Admin
//! API (both versions, with and without the outer `stat` and `response`), lines of log-sync tools and collectors, records
//! in a vendor agent's `message`, arrays, tables exported by the Admin Panel. Whatever the envelope, columns bear the paths
//! of the API's second version (`access_device.location.city`): the first version's `username` is `user.name`,
//! `integration` is `application.name`, `device` is `auth_device.name`, `ip` and `location` are the access device's. How
//! records are found, and what `_origin`, `_time`, `_outcome` and missing values are: see [`dfp_records`].
//!
//! * `_time` is `isotimestamp`, or, where that is absent or no usable time, `timestamp` (seconds).
//! * `_record_id` is `txid`. It repeats: an enrolment shares it with its authentication.
//! * `_outcome` is success or failure in the words of both versions. A fraud is a failure; what is in neither list is
//!   null.
//! * Authentications and enrolments are records: what has a `result`, one of `event_type`, `factor`, `txid` and an
//!   application, and neither `action` nor `context`. Logs of administrators, activity, telephony and offline enrolment are
//!   rejected as `other-category`.
//! * `is_encryption_enabled` and its like are text: `true`, `false` or `unknown`. `unknown` is what Duo observed, not a
//!   missing value.
#![forbid(unsafe_code)]

mod fields;

use dfp_records::{Described, Log, LogSource};

/// Reads Duo authentication logs.
pub type Duo = LogSource<Authentications>;

/// The log that [`Duo`] reads.
pub enum Authentications {}

impl Described for Authentications {
    const LOG: &'static Log = fields::AUTHENTICATIONS;
}

/// The profile with the reference's columns and rules, TOML; the plugin's own profile is the better one.
pub const MORPHEUS_PROFILE: &str = include_str!("../profiles/morpheus.toml");
