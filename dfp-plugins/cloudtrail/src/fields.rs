//! What is known about the fields of a CloudTrail record: their names in other exports, and their types.

use dfp_records::Type::{Bool, First, Text};
use dfp_records::{Field, Log, Seen, bulky, field};

/// Every known field, in the order of the default columns; other names are those of the Sentinel table.
const FIELDS: &[Field] = &[
    field("eventTime", Text, &["@timestamp", "TimeGenerated"]),
    field("eventID", Text, &["AwsEventId"]),
    field("eventVersion", Text, &[]),
    field("eventSource", Text, &[]),
    field("eventName", Text, &[]),
    field("eventType", Text, &["EventTypeName"]),
    field("eventCategory", Text, &[]),
    field("awsRegion", Text, &["AWSRegion"]),
    field("sourceIPAddress", Text, &["SourceIpAddress"]),
    field("userAgent", Text, &[]),
    field("errorCode", Text, &[]),
    field("errorMessage", Text, &[]),
    field("requestID", Text, &["AwsRequestId_", "AwsRequestId"]),
    field("apiVersion", Text, &["APIVersion"]),
    field("readOnly", Bool, &[]),
    field("managementEvent", Bool, &[]),
    field("recipientAccountId", Text, &[]),
    field("sharedEventID", Text, &["SharedEventId"]),
    field("vpcEndpointId", Text, &[]),
    field("sessionCredentialFromConsole", Text, &[]),
    field("userIdentity.type", Text, &["UserIdentityType"]),
    field("userIdentity.principalId", Text, &["UserIdentityPrincipalid"]),
    field("userIdentity.arn", Text, &["UserIdentityArn"]),
    field("userIdentity.accountId", Text, &["UserIdentityAccountId"]),
    field("userIdentity.accessKeyId", Text, &["UserIdentityAccessKeyId"]),
    field("userIdentity.userName", Text, &["UserIdentityUserName"]),
    field("userIdentity.invokedBy", Text, &["UserIdentityInvokedBy"]),
    field("userIdentity.identityProvider", Text, &[]),
    field("userIdentity.onBehalfOf.userId", Text, &["UserIdentityUserId"]),
    field("userIdentity.onBehalfOf.identityStoreArn", Text, &["UserIdentityStoreArn"]),
    field("userIdentity.sessionContext.attributes.mfaAuthenticated", Text, &["SessionMfaAuthenticated"]),
    field("userIdentity.sessionContext.attributes.creationDate", Text, &["SessionCreationDate"]),
    field("userIdentity.sessionContext.sessionIssuer.type", Text, &["SessionIssuerType"]),
    field("userIdentity.sessionContext.sessionIssuer.principalId", Text, &["SessionIssuerPrincipalId"]),
    field("userIdentity.sessionContext.sessionIssuer.arn", Text, &["SessionIssuerArn"]),
    field("userIdentity.sessionContext.sessionIssuer.accountId", Text, &["SessionIssuerAccountId"]),
    field("userIdentity.sessionContext.sessionIssuer.userName", Text, &["SessionIssuerUserName"]),
    field("userIdentity.sessionContext.webIdFederationData.federatedProvider", Text, &[]),
    field("userIdentity.sessionContext.sourceIdentity", Text, &[]),
    field("tlsDetails.tlsVersion", Text, &["TlsVersion"]),
    field("tlsDetails.clientProvidedHostHeader", Text, &["ClientProvidedHostHeader"]),
    field("additionalEventData.MFAUsed", Text, &[]),
    field("requestParameters.roleArn", Text, &[]),
    field("requestParameters.roleSessionName", Text, &[]),
    field("requestParameters.durationSeconds", Text, &[]),
    field("requestParameters.userName", Text, &[]),
    field("requestParameters.roleName", Text, &[]),
    field("requestParameters.policyArn", Text, &[]),
    field("requestParameters.bucketName", Text, &[]),
    field("requestParameters.maxResults", Text, &[]),
    field("requestParameters.maxItems", Text, &[]),
    field("requestParameters.ownersSet.items", First, &[]),
    field("requestParameters.instancesSet.items", First, &[]),
    field("requestParameters.groupSet.items", First, &[]),
    field("requestParameters.groupName", Text, &[]),
    field("requestParameters.instanceType", Text, &[]),
    field("requestParameters.monitoring.enabled", Text, &[]),
    field("requestParameters.disableApiTermination", Text, &[]),
    field("requestParameters.ebsOptimized", Text, &[]),
    field("responseElements.ConsoleLogin", Text, &[]),
    field("responseElements.SwitchRole", Text, &[]),
    field("responseElements.assumedRoleUser.assumedRoleId", Text, &[]),
    field("responseElements.assumedRoleUser.arn", Text, &[]),
    field("responseElements.requestId", Text, &[]),
    field("responseElements.reservationId", Text, &[]),
    field("responseElements.instancesSet.items", First, &[]),
    bulky("requestParameters", &[]),
    bulky("responseElements", &[]),
    bulky("additionalEventData", &[]),
    bulky("serviceEventDetails", &[]),
    bulky("resources", &[]),
    bulky("insightDetails", &[]),
];

/// Events, as a trail writes them.
pub(crate) const EVENTS: &Log = &Log {
    id: "cloudtrail",
    title: "AWS CloudTrail events",
    profile: include_str!("../profiles/cloudtrail.toml"),
    fields: FIELDS,
    times: &["eventTime"],
    record_id: "eventID",
    exact: &["requestParameters", "responseElements", "additionalEventData", "serviceEventDetails"],
    wrappers: &["CloudTrailEvent", "detail"],
    watched: &[
        "eventID",
        "eventName",
        "eventSource",
        "eventType",
        "errorCode",
        "errorMessage",
        "responseElements.ConsoleLogin",
        "responseElements.SwitchRole",
    ],
    belongs,
    other: "not a CloudTrail event",
    outcome,
    ..Log::PLAIN
};

/// Indices among the watched fields.
const EVENT_ID: usize = 0;
const EVENT_TYPE: usize = 3;
const ERROR_CODE: usize = 4;
const ERROR_MESSAGE: usize = 5;
const SWITCH_ROLE: usize = 7;

fn belongs(seen: &Seen<'_>) -> bool {
    (EVENT_ID..=EVENT_TYPE).any(|field| seen.get(field).is_some())
}

fn outcome(seen: &Seen<'_>) -> Option<bool> {
    if seen.is(EVENT_TYPE, &["AwsCloudTrailInsight"]) {
        return None;
    }
    // Only synthetic records have an error code that means success.
    let error = seen.get(ERROR_CODE).is_some() && !seen.is(ERROR_CODE, &["success"]);
    let denied = (ERROR_MESSAGE + 1..=SWITCH_ROLE).any(|answer| seen.is(answer, &["Failure"]));
    Some(!(error || denied || seen.get(ERROR_MESSAGE).is_some()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_unique_and_special_fields_known() {
        dfp_records_testing::fields_are_known(EVENTS);
        for (index, path) in [(EVENT_ID, "eventID"), (EVENT_TYPE, "eventType"), (ERROR_CODE, "errorCode")] {
            assert_eq!(EVENTS.watched[index], path);
        }
        assert_eq!(EVENTS.watched[ERROR_MESSAGE], "errorMessage");
        assert_eq!(EVENTS.watched.len(), SWITCH_ROLE + 1);
    }
}
