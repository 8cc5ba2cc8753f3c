//! What is known about the fields of a sign-in: their names in every envelope, and their types.
//!
//! The canonical name is the path in a diagnostic record. A field `properties.a.b` is also found, without being listed,
//! as `a.b` at the top level (Microsoft Graph) and with capitals (`A.b`, `A.B`: Log Analytics, flattened Event Hub
//! records); a text that holds a JSON object counts as that object.

/// The type of a column, and what becomes of other values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Type {
    /// Utf8. Numbers and words become their text, nested values their JSON text.
    Text,
    /// Utf8. As `Text`, but a nested value is some other field of the same name: null.
    Word,
    /// Utf8 holding JSON text without blanks, also where the envelope has it as a string.
    Json,
    /// Int64; also from digits in a string. Anything else is null.
    Int,
    /// Float64; also from a number in a string. Anything else, and what is not finite, is null.
    Float,
    /// Boolean; also from `true` and `false` in a string, in any case. Anything else is null.
    Bool,
}

/// One known field.
#[derive(Debug)]
pub(crate) struct Field {
    /// Path in the diagnostic record; the name of the column.
    pub(crate) path: &'static str,
    pub(crate) kind: Type,
    /// Part of the columns one gets without asking. Long lists are not.
    pub(crate) default: bool,
    /// More paths from the top of the record, most trusted first: Log Analytics, then the headings of the portal's CSV.
    pub(crate) also: &'static [&'static str],
}

const fn field(path: &'static str, kind: Type, also: &'static [&'static str]) -> Field {
    Field { path, kind, default: true, also }
}

const fn bulky(path: &'static str, also: &'static [&'static str]) -> Field {
    Field { path, kind: Type::Json, default: false, also }
}

use Type::{Bool, Float, Int, Json, Text, Word};

/// Every known field, in the order of the default columns.
pub(crate) const FIELDS: &[Field] = &[
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

/// Where the event time stands, most trusted first.
pub(crate) const TIME_FIELDS: [&str; 2] = ["properties.createdDateTime", "time"];
/// The record's own id.
pub(crate) const ID_FIELD: &str = "properties.id";
/// What kind of log a record belongs to.
pub(crate) const CATEGORY_FIELD: &str = "category";

/// The known field of a path.
pub(crate) fn known(path: &str) -> Option<&'static Field> {
    FIELDS.iter().find(|field| field.path == path || (field.path == "Level" && path == "level"))
}

/// Names of the columns one gets without asking.
pub(crate) fn default_columns() -> Vec<String> {
    FIELDS.iter().filter(|field| field.default).map(|field| field.path.to_owned()).collect()
}

/// Whether a category is one of the sign-in logs; `SignIn` is what older dumps have.
pub(crate) fn is_sign_in(category: &[u8]) -> bool {
    const SUFFIX: &[u8] = b"SignInLogs";
    let category = category.trim_ascii();
    let tail = &category[category.len().saturating_sub(SUFFIX.len())..];
    tail.eq_ignore_ascii_case(SUFFIX) || category.eq_ignore_ascii_case(b"SignIn")
}

/// The field name inside a CSV heading: without the time zone (`CreatedDateTime [UTC]`) and without the type suffixes
/// of a column that was split in two.
pub(crate) fn heading(text: &str) -> &str {
    let name = text.trim().trim_start_matches('\u{feff}');
    let name = name.strip_suffix(" [UTC]").unwrap_or(name);
    name.strip_suffix("_dynamic").or_else(|| name.strip_suffix("_string")).unwrap_or(name)
}

/// The same name with its first letter in the other case, if that differs.
pub(crate) fn other_case(name: &str) -> Option<String> {
    let first = name.chars().next().filter(char::is_ascii_alphabetic)?;
    let flipped =
        if first.is_ascii_lowercase() { first.to_ascii_uppercase() } else { first.to_ascii_lowercase() };
    Some(format!("{flipped}{}", &name[1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_unique_and_special_fields_known() {
        for (index, field) in FIELDS.iter().enumerate() {
            assert!(FIELDS[..index].iter().all(|other| other.path != field.path), "{}", field.path);
        }
        for path in TIME_FIELDS.into_iter().chain([ID_FIELD, CATEGORY_FIELD, "level"]) {
            assert!(known(path).is_some(), "{path}");
        }
    }

    #[test]
    fn categories() {
        for name in ["SignInLogs", "NonInteractiveUserSignInLogs", "ADFSSignInLogs", "signin", "SigninLogs"] {
            assert!(is_sign_in(name.as_bytes()), "{name}");
        }
        for name in ["AuditLogs", "", "RiskyUsers", "SignInLogsX", "Logs"] {
            assert!(!is_sign_in(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn headings() {
        assert_eq!(heading("\u{feff}CreatedDateTime [UTC]"), "CreatedDateTime");
        assert_eq!(heading("DeviceDetail_dynamic"), "DeviceDetail");
        assert_eq!(other_case("userAgent").as_deref(), Some("UserAgent"));
    }
}
