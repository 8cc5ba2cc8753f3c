//! What is known about the fields of a sign-in: their names in every envelope, and their types.
//!
//! The canonical name is the path in a diagnostic record. A field `properties.a.b` is also found, without being listed,
//! as `a.b` at the top level (Microsoft Graph) and with capitals (`A.b`, `A.B`: Log Analytics, flattened Event Hub
//! records); a text that holds a JSON object counts as that object.

use dfp_records::Type::{Bool, Float, Int, Json, Text, Word};
use dfp_records::{Field, Flat, Log, Seen, bulky, field};

/// Every known field, in the order of the default columns.
const FIELDS: &[Field] = &[
    field("time", Text, &["TimeGenerated"]),
    field("category", Text, &[]),
    field("operationName", Text, &[]),
    field("operationVersion", Text, &[]),
    field("resourceId", Text, &[]),
    field("tenantId", Text, &["AADTenantId"]),
    field("correlationId", Text, &["Correlation ID"]),
    field("resultType", Text, &["Sign-in error code"]),
    field("resultSignature", Text, &[]),
    field("resultDescription", Text, &[]),
    field("durationMs", Int, &[]),
    field("callerIpAddress", Text, &[]),
    field("identity", Text, &[]),
    field("Level", Text, &[]),
    field("location", Word, &[]),
    field("properties.id", Text, &["Request ID"]),
    field("properties.createdDateTime", Text, &["Date (UTC)"]),
    field("properties.userPrincipalName", Text, &["Username"]),
    field("properties.userDisplayName", Text, &["User"]),
    field("properties.userId", Text, &["User ID"]),
    field("properties.userType", Text, &["User type"]),
    field("properties.servicePrincipalName", Text, &["Service principal name"]),
    field("properties.servicePrincipalId", Text, &["Service principal ID"]),
    field("properties.appDisplayName", Text, &["Application"]),
    field("properties.appId", Text, &["Application ID"]),
    field("properties.resourceDisplayName", Text, &["Resource"]),
    field("properties.resourceId", Text, &["ResourceIdentity", "Resource ID"]),
    field("properties.resourceTenantId", Text, &["Resource tenant ID"]),
    field("properties.homeTenantId", Text, &["Home tenant ID"]),
    field("properties.ipAddress", Text, &["IPAddress", "IP address"]),
    field("properties.autonomousSystemNumber", Int, &["Autonomous system number"]),
    field("properties.userAgent", Text, &["User agent"]),
    field("properties.clientAppUsed", Text, &["Client app"]),
    field("properties.conditionalAccessStatus", Text, &["Conditional Access"]),
    field("properties.isInteractive", Bool, &[]),
    field("properties.status.errorCode", Int, &["Sign-in error code"]),
    field("properties.status.failureReason", Text, &["Failure reason"]),
    field("properties.status.additionalDetails", Text, &[]),
    field("properties.deviceDetail.deviceId", Text, &["Device ID"]),
    field("properties.deviceDetail.displayName", Text, &[]),
    field("properties.deviceDetail.operatingSystem", Text, &["Operating System"]),
    field("properties.deviceDetail.browser", Text, &["Browser"]),
    field("properties.deviceDetail.trustType", Text, &["Join Type"]),
    field("properties.deviceDetail.isCompliant", Bool, &["Compliant"]),
    field("properties.deviceDetail.isManaged", Bool, &["Managed"]),
    field("properties.location.city", Text, &["LocationDetails.city"]),
    field("properties.location.state", Text, &["LocationDetails.state"]),
    field("properties.location.countryOrRegion", Text, &["LocationDetails.countryOrRegion"]),
    field("properties.location.geoCoordinates.latitude", Float, &["LocationDetails.geoCoordinates.latitude"]),
    field(
        "properties.location.geoCoordinates.longitude",
        Float,
        &["LocationDetails.geoCoordinates.longitude"],
    ),
    field("properties.correlationId", Text, &["Correlation ID"]),
    field("properties.originalRequestId", Text, &[]),
    field("properties.processingTimeInMilliseconds", Int, &["Latency"]),
    field("properties.riskDetail", Text, &[]),
    field("properties.riskLevelAggregated", Text, &[]),
    field("properties.riskLevelDuringSignIn", Text, &[]),
    field("properties.riskState", Text, &[]),
    field("properties.riskEventTypes", Json, &[]),
    field("properties.riskEventTypes_v2", Json, &["RiskEventTypes_V2"]),
    field("properties.authenticationRequirement", Text, &["Authentication requirement"]),
    field("properties.authenticationProtocol", Text, &["Authentication Protocol"]),
    field("properties.clientCredentialType", Text, &["Client credential type"]),
    field("properties.incomingTokenType", Text, &["Incoming token type"]),
    field("properties.tokenIssuerType", Text, &["Token issuer type"]),
    field("properties.tokenIssuerName", Text, &["Token issuer name"]),
    field("properties.uniqueTokenIdentifier", Text, &["Unique token identifier"]),
    field("properties.sessionId", Text, &["Session ID"]),
    field("properties.crossTenantAccessType", Text, &["Cross tenant access type"]),
    field("properties.mfaDetail.authMethod", Text, &["Multifactor authentication auth method"]),
    field("properties.alternateSignInName", Text, &[]),
    field("properties.signInIdentifier", Text, &["Sign-in identifier"]),
    field("properties.flaggedForReview", Bool, &["Flagged for review"]),
    field("properties.isTenantRestricted", Bool, &[]),
    bulky("properties.appliedConditionalAccessPolicies", &["ConditionalAccessPolicies"]),
    bulky("properties.authenticationDetails", &[]),
    bulky("properties.authenticationProcessingDetails", &[]),
    bulky("properties.authenticationRequirementPolicies", &[]),
    bulky("properties.networkLocationDetails", &[]),
];

/// Sign-ins, as diagnostic settings deliver them.
pub(crate) const SIGN_INS: &Log = &Log {
    id: "azure-ad",
    title: "Azure AD (Entra ID) sign-in logs",
    profile: include_str!("../profiles/azure-ad.toml"),
    fields: FIELDS,
    times: &["properties.createdDateTime", "time"],
    record_id: "properties.id",
    flat: Some(Flat { prefix: "properties.", unless: &["properties", "time", "timeGenerated", "category"] }),
    watched: &[
        "category",
        "properties.status.errorCode",
        "resultType",
        "resultSignature",
        "properties.status",
    ],
    belongs,
    other: "not a sign-in log",
    outcome,
    ..Log::PLAIN
};

const CATEGORY: usize = 0;
const ERROR_CODE: usize = 1;
const RESULT_TYPE: usize = 2;
const RESULT_SIGNATURE: usize = 3;
const STATUS: usize = 4;

/// Whether the category is one of the sign-in logs, or there is none; `SignIn` is what older dumps have.
fn belongs(seen: &Seen<'_>) -> bool {
    const SUFFIX: &[u8] = b"SignInLogs";
    let Some(category) = seen.get(CATEGORY).map(<[u8]>::trim_ascii) else { return true };
    let tail = &category[category.len().saturating_sub(SUFFIX.len())..];
    tail.eq_ignore_ascii_case(SUFFIX) || category.eq_ignore_ascii_case(b"SignIn")
}

/// The error code says it best; some exports only have the result, as a code or in words, or the status in words.
fn outcome(seen: &Seen<'_>) -> Option<bool> {
    if let Some(code) = seen.get(ERROR_CODE) {
        return Some(code.trim_ascii() == b"0");
    }
    let mut results = [RESULT_TYPE, RESULT_SIGNATURE, STATUS].into_iter();
    let result = results.find(|&result| seen.get(result).is_some_and(|value| !value.starts_with(b"{")))?;
    Some(seen.is(result, &["0", "Success"]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_unique_and_special_fields_known() {
        dfp_records_testing::fields_are_known(SIGN_INS);
    }
}
