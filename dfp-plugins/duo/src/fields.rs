//! What is known about the fields of an authentication: their names in every envelope, and their types.
//!
//! The canonical name is the path in a record of the Admin API's second version. Other names are those of its first
//! version (`username`, `integration`) and the headings of tables that the Admin Panel exports.

use dfp_records::Type::{Bool, Int, Text, Word};
use dfp_records::{Field, Log, Seen, bulky, field};

/// Every known field, in the order of the default columns. Where a name of the first version, or a heading, is that of an
/// object in the second, the field is a [`Word`].
const FIELDS: &[Field] = &[
    field("isotimestamp", Text, &["Timestamp (UTC)", "Date/Time (UTC)", "Date/Time"]),
    field("timestamp", Int, &[]),
    field("txid", Text, &["Transaction ID"]),
    field("event_type", Text, &["Event Type"]),
    field("result", Text, &[]),
    field("reason", Text, &[]),
    field("factor", Text, &["Authentication Method", "Second Factor"]),
    field("user.name", Word, &["username", "User Name", "user"]),
    field("user.key", Text, &["User Key"]),
    field("alias", Text, &[]),
    field("email", Text, &["Email Address"]),
    field("application.name", Word, &["integration", "Application Name", "application"]),
    field("application.key", Text, &["Application Key", "Integration Key"]),
    field("application.destination_name", Text, &[]),
    field("access_device.ip", Text, &["ip", "IP Address", "Access Device IP", "Access IP"]),
    field("access_device.hostname", Text, &["Hostname"]),
    field("access_device.epkey", Text, &[]),
    field("access_device.browser", Text, &["Browser"]),
    field("access_device.browser_version", Text, &["Browser Version"]),
    field("access_device.os", Text, &["OS", "Operating System"]),
    field("access_device.os_version", Text, &["OS Version", "Operating System Version"]),
    field("access_device.location.city", Text, &["location.city", "City"]),
    field("access_device.location.state", Text, &["location.state", "State"]),
    field("access_device.location.country", Text, &["location.country", "Country"]),
    field("access_device.is_encryption_enabled", Text, &[]),
    field("access_device.is_firewall_enabled", Text, &[]),
    field("access_device.is_password_set", Text, &[]),
    field("access_device.flash_version", Text, &["Flash Version"]),
    field("access_device.java_version", Text, &["Java Version"]),
    field("auth_device.name", Word, &["device", "Authentication Device", "2FA Device", "Phone"]),
    field("auth_device.key", Text, &[]),
    field("auth_device.ip", Text, &["Authentication Device IP"]),
    field("auth_device.location.city", Text, &[]),
    field("auth_device.location.state", Text, &[]),
    field("auth_device.location.country", Text, &[]),
    field("trusted_endpoint_status", Text, &["Trusted Endpoint Status", "Trusted Endpoint"]),
    field("new_enrollment", Bool, &["New Enrollment"]),
    field("adaptive_trust_assessments.more_secure_auth.trust_level", Text, &[]),
    field("adaptive_trust_assessments.more_secure_auth.reason", Text, &[]),
    field("adaptive_trust_assessments.remember_me.trust_level", Text, &[]),
    field("adaptive_trust_assessments.remember_me.reason", Text, &[]),
    field("passport_assessment.is_supported", Bool, &[]),
    field("passport_assessment.reason", Text, &[]),
    field("ood_software", Text, &[]),
    field("host", Text, &[]),
    bulky("user.groups", &["Groups"]),
    bulky("access_device.security_agents", &[]),
    bulky("adaptive_trust_assessments", &[]),
    bulky("rbfs_triggered_attacks", &[]),
    bulky("trusted_session_info", &[]),
    // Only to tell other logs from this one.
    Field { path: "action", kind: Text, default: false, also: &[] },
    Field { path: "context", kind: Text, default: false, also: &[] },
];

/// Authentications, as the Admin API answers with them.
pub(crate) const AUTHENTICATIONS: &Log = &Log {
    id: "duo",
    title: "Duo authentication logs",
    profile: include_str!("../profiles/duo.toml"),
    fields: FIELDS,
    times: &["isotimestamp", "timestamp"],
    record_id: "txid",
    watched: &["result", "action", "context", "event_type", "factor", "txid", "application.name"],
    belongs,
    other: "not an authentication",
    outcome,
    ..Log::PLAIN
};

const RESULT: usize = 0;
/// Watched fields that other logs have: those of administrators, activity, telephony, offline enrolment.
const FOREIGN: std::ops::RangeInclusive<usize> = 1..=2;
/// Watched fields of which an authentication has one at least.
const OWN: std::ops::RangeInclusive<usize> = 3..=6;

fn belongs(seen: &Seen<'_>) -> bool {
    let has = |mut fields: std::ops::RangeInclusive<usize>| fields.any(|field| seen.get(field).is_some());
    seen.get(RESULT).is_some() && !has(FOREIGN) && has(OWN)
}

/// The words of both versions and of the Admin Panel. What the user called a fraud did not succeed.
fn outcome(seen: &Seen<'_>) -> Option<bool> {
    if seen.is(RESULT, &["success", "granted", "allow"]) {
        return Some(true);
    }
    seen.is(RESULT, &["denied", "deny", "fraud", "failure", "error"]).then_some(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_unique_and_special_fields_known() {
        dfp_records_testing::fields_are_known(AUTHENTICATIONS);
        let log = AUTHENTICATIONS;
        assert_eq!(log.watched[RESULT], "result");
        assert_eq!(log.watched[FOREIGN], ["action", "context"]);
        assert_eq!(*OWN.end(), log.watched.len() - 1);
    }
}
