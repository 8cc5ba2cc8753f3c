//! What is known about the fields of a unified audit record: their names in every envelope, and their types.
//!
//! The canonical name is the path in the record that the Management Activity API delivers and that exports hold in
//! `AuditData`. Other names are those of Sentinel's table `OfficeActivity`, twins with `_` behind them among them.

use dfp_records::Type::{Bool, Int, Text};
use dfp_records::{Field, Log, Seen, bulky, field};

/// Every known field, in the order of the default columns.
const FIELDS: &[Field] = &[
    field("CreationTime", Text, &[]),
    field("TimeGenerated", Text, &[]),
    field("Start_Time", Text, &[]),
    field("Id", Text, &["OfficeId", "Identity", "RecordId"]),
    field("Operation", Text, &["Operations"]),
    field("Workload", Text, &["OfficeWorkload"]),
    field("RecordType", Text, &[]),
    field("UserId", Text, &["UserId_", "UserIds"]),
    field("UserKey", Text, &[]),
    field("UserType", Text, &[]),
    field("OrganizationId", Text, &["OrganizationId_"]),
    field("OrganizationName", Text, &[]),
    field("Version", Text, &[]),
    field("ResultStatus", Text, &[]),
    field("ResultReasonType", Text, &[]),
    field("ObjectId", Text, &["OfficeObjectId"]),
    // The client's address, wherever the kind of record has it.
    field("ClientIP", Text, &["ClientIP_", "ClientIPAddress", "Client_IPAddress", "ActorIpAddress"]),
    field("ClientIPAddress", Text, &["Client_IPAddress"]),
    field("ActorIpAddress", Text, &[]),
    field("AppId", Text, &[]),
    field("ClientAppId", Text, &[]),
    field("ApplicationId", Text, &["AzureADAppId"]),
    field("ApplicationDisplayName", Text, &[]),
    field("ExternalAccess", Bool, &[]),
    field("OriginatingServer", Text, &[]),
    // What the client said it is, wherever the kind of record has it.
    field(
        "UserAgent",
        Text,
        &["ExtendedProperties.UserAgent", "ExtendedProperties.additionalDetails.User-Agent"],
    ),
    field("SessionId", Text, &["DeviceProperties.SessionId", "AppAccessContext.AADSessionId"]),
    field("CorrelationId", Text, &["AppAccessContext.CorrelationId"]),
    // Mailboxes.
    field("LogonType", Text, &["Logon_Type"]),
    field("InternalLogonType", Text, &[]),
    field("MailboxOwnerUPN", Text, &[]),
    field("MailboxGuid", Text, &[]),
    field("LogonUserSid", Text, &[]),
    field("LogonUserDisplayName", Text, &[]),
    field("ClientInfoString", Text, &[]),
    field("ClientProcessName", Text, &[]),
    field("ClientVersion", Text, &[]),
    field("CrossMailboxOperation", Bool, &["CrossMailboxOperations"]),
    field("OperationCount", Int, &[]),
    field("OperationProperties.MailAccessType", Text, &[]),
    field("OperationProperties.IsThrottled", Text, &[]),
    field("OperationProperties.RuleName", Text, &[]),
    field("OperationProperties.RuleOperation", Text, &[]),
    field("Folder.Path", Text, &[]),
    field("DestFolder.Path", Text, &[]),
    field("Item.Subject", Text, &[]),
    field("Item.ParentFolder.Path", Text, &[]),
    field("SendAsUserSmtp", Text, &[]),
    field("SendOnBehalfOfUserSmtp", Text, &[]),
    // Sign-ins and the directory.
    field("AzureActiveDirectoryEventType", Text, &["AzureActiveDirectory_EventType"]),
    field("ErrorNumber", Text, &[]),
    field("LogonError", Text, &[]),
    field("ExtendedProperties.UserAgent", Text, &[]),
    field("ExtendedProperties.RequestType", Text, &[]),
    field("ExtendedProperties.ResultStatusDetail", Text, &[]),
    field("ExtendedProperties.UserAuthenticationMethod", Text, &[]),
    field("DeviceProperties.OS", Text, &[]),
    field("DeviceProperties.BrowserType", Text, &[]),
    field("DeviceProperties.DisplayName", Text, &[]),
    field("DeviceProperties.IsCompliantAndManaged", Text, &[]),
    field("DeviceProperties.SessionId", Text, &[]),
    field("DeviceProperties.TrustType", Text, &[]),
    // SharePoint and OneDrive.
    field("ItemType", Text, &[]),
    field("EventSource", Text, &[]),
    field("SiteUrl", Text, &["Site_Url", "Site_Url_"]),
    field("SourceRelativeUrl", Text, &["SourceRelativeUrl_"]),
    field("SourceFileName", Text, &["SourceFileName_"]),
    field("SourceFileExtension", Text, &[]),
    field("DestinationRelativeUrl", Text, &[]),
    field("DestinationFileName", Text, &[]),
    field("TargetUserOrGroupName", Text, &[]),
    field("TargetUserOrGroupType", Text, &[]),
    field("UserSharedWith", Text, &[]),
    field("SharingType", Text, &[]),
    field("IsManagedDevice", Bool, &[]),
    field("Platform", Text, &[]),
    field("EventData", Text, &["Event_Data"]),
    // Teams.
    field("TeamName", Text, &[]),
    field("ChannelName", Text, &[]),
    field("CommunicationType", Text, &[]),
    // Lists.
    bulky("Parameters", &[]),
    bulky("ExtendedProperties", &[]),
    bulky("DeviceProperties", &[]),
    bulky("ModifiedProperties", &[]),
    bulky("OperationProperties", &[]),
    bulky("Actor", &[]),
    bulky("Target", &["AADTarget"]),
    bulky("Item", &[]),
    bulky("Folders", &[]),
    bulky("Folder", &[]),
    bulky("DestFolder", &[]),
    bulky("AffectedItems", &[]),
    bulky("AppAccessContext", &[]),
    bulky("Members", &[]),
];

/// Records of the unified audit log, of every workload.
pub(crate) const AUDIT: &Log = &Log {
    id: "exchange",
    title: "Exchange and Microsoft 365 unified audit logs",
    profile: include_str!("../profiles/exchange.toml"),
    fields: FIELDS,
    times: &["CreationTime", "TimeGenerated", "Start_Time"],
    record_id: "Id",
    exact: &["Parameters", "ModifiedProperties"],
    wrappers: &["AuditData"],
    pairs: &[
        "Parameters",
        "ExtendedProperties",
        "DeviceProperties",
        "ModifiedProperties",
        "OperationProperties",
    ],
    watched: &["Operation", "RecordType", "ResultStatus", "LogonError", "ErrorNumber"],
    belongs,
    other: "not a record of the unified audit log",
    outcome,
    ..Log::PLAIN
};

/// Indices among the watched fields.
const OPERATION: usize = 0;
const RECORD_TYPE: usize = 1;
const RESULT_STATUS: usize = 2;
const LOGON_ERROR: usize = 3;
const ERROR_NUMBER: usize = 4;

fn belongs(seen: &Seen<'_>) -> bool {
    seen.get(OPERATION).is_some() || seen.get(RECORD_TYPE).is_some()
}

/// Failed sign-ins may have the status `Success`: that the request was answered. Their error says more.
fn outcome(seen: &Seen<'_>) -> Option<bool> {
    if seen.get(LOGON_ERROR).is_some() || seen.is(OPERATION, &["UserLoginFailed"]) {
        return Some(false);
    }
    if seen.is(RESULT_STATUS, &["True", "Success", "Succeeded", "Successful"]) {
        return Some(true);
    }
    if seen.is(RESULT_STATUS, &["False", "Failure", "Failed", "Fail", "PartiallySucceeded"]) {
        return Some(false);
    }
    seen.get(ERROR_NUMBER).map(|number| number.trim_ascii() == b"0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_unique_and_special_fields_known() {
        dfp_records_testing::fields_are_known(AUDIT);
        let watched = ["Operation", "RecordType", "ResultStatus", "LogonError", "ErrorNumber"];
        for (index, path) in
            [OPERATION, RECORD_TYPE, RESULT_STATUS, LOGON_ERROR, ERROR_NUMBER].into_iter().zip(watched)
        {
            assert_eq!(AUDIT.watched[index], path);
        }
    }
}
