//! How fast each source turns files into batches, on one core, by envelope.
//!
//! Sign-ins are like the current diagnostic records, about 3 kB with three conditional access policies: one object a line,
//! one array, gzip, CSV. CloudTrail events have 1.4 kB: a trail's file, gzip, JSON in strings, CSV with joined names. Duo
//! authentications have 1.1 kB, Exchange audit records 1.2 kB.
//! `profile` asks for the columns of the shipped profile, `all` for every column there is by default.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use dfp_host::{LocalHost, Plugins};
use dfp_plugin::LinkedComponent;
use dfp_prep::Profile;

const RECORDS: usize = 20_000;

const POLICY: &str = r#"{"id":"3f0c7a52-6d1e-4b7f-9a43-0c2b8e5d7f@@","displayName":"Require multifactor authentication for group @@","enforcedGrantControls":["Mfa"],"enforcedSessionControls":[],"result":"notApplied","conditionsSatisfied":1,"conditionsNotSatisfied":2}"#;

/// One sign-in; `@@` stands for what differs between records.
fn record(n: usize) -> String {
    let policies: Vec<String> =
        (0..3).map(|policy| POLICY.replace("@@", &format!("{:02}", (n + policy) % 90))).collect();
    let time = format!("2024-03-{:02}T{:02}:{:02}:{:02}.4821937", n % 28 + 1, n % 24, n % 60, n / 60 % 60);
    let (user, city, app) = (n % 997, n % 41, n % 23);
    format!(
        r#"{{"time":"{time}Z","resourceId":"/tenants/7b1c2d3e-1111-4222-8333-944455556666/providers/Microsoft.aadiam","operationName":"Sign-in activity","operationVersion":"1.0","category":"NonInteractiveUserSignInLogs","tenantId":"7b1c2d3e-1111-4222-8333-944455556666","resultType":"0","resultSignature":"SUCCESS","durationMs":0,"callerIpAddress":"198.51.100.{ip}","correlationId":"c0ffee00-1234-4321-8765-{n:012}","identity":"Person {user}","Level":4,"location":"AT","properties":{{"id":"d00dad00-aaaa-4bbb-8ccc-{n:012}","createdDateTime":"{time}+00:00","userDisplayName":"Person {user}","userPrincipalName":"person.{user}@example.com","userId":"5e1f0000-0000-4000-9000-{user:012}","appId":"a990000-0000-4000-9000-{app:012}","appDisplayName":"Application number {app}","ipAddress":"198.51.100.{ip}","status":{{"errorCode":0,"additionalDetails":"MFA requirement satisfied by claim in the token"}},"clientAppUsed":"Mobile Apps and Desktop clients","userAgent":"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/122.0.0.0 Safari/537.36 Edg/122.0.2365.66","deviceDetail":{{"deviceId":"de01ce00-0000-4000-9000-{user:012}","displayName":"LAPTOP-{user:05}","operatingSystem":"Windows10","browser":"Edge 122.0.2365","isCompliant":true,"isManaged":true,"trustType":"Azure AD joined"}},"location":{{"city":"City {city}","state":"State {city}","countryOrRegion":"AT","geoCoordinates":{{"latitude":48.{city:02}050003051758,"longitude":16.{city:02}094116210938}}}},"mfaDetail":{{}},"correlationId":"c0ffee00-1234-4321-8765-{n:012}","conditionalAccessStatus":"notApplied","appliedConditionalAccessPolicies":[{policies}],"authenticationContextClassReferences":[],"originalRequestId":"d00dad00-aaaa-4bbb-8ccc-{n:012}","isInteractive":false,"tokenIssuerName":"","tokenIssuerType":"AzureAD","authenticationProcessingDetails":[{{"key":"Legacy TLS (TLS 1.0, 1.1, 3DES)","value":"False"}},{{"key":"Oauth Scope Info","value":"[\"user_impersonation\"]"}},{{"key":"Is CAE Token","value":"False"}}],"networkLocationDetails":[{{"networkType":"trustedNamedLocation","networkNames":["Head office"]}}],"clientCredentialType":"none","processingTimeInMilliseconds":{ms},"riskDetail":"none","riskLevelAggregated":"none","riskLevelDuringSignIn":"none","riskState":"none","riskEventTypes":[],"riskEventTypes_v2":[],"resourceDisplayName":"Microsoft Graph","resourceId":"00000003-0000-0000-c000-000000000000","resourceTenantId":"7b1c2d3e-1111-4222-8333-944455556666","homeTenantId":"7b1c2d3e-1111-4222-8333-944455556666","authenticationDetails":[],"authenticationRequirementPolicies":[],"sessionLifetimePolicies":[],"authenticationRequirement":"singleFactorAuthentication","servicePrincipalId":"","userType":"Member","flaggedForReview":false,"isTenantRestricted":false,"autonomousSystemNumber":64500,"crossTenantAccessType":"none","privateLinkDetails":{{}},"ssoExtensionVersion":"","uniqueTokenIdentifier":"dG9rZW4{n:012}","authenticationStrengths":[],"incomingTokenType":"primaryRefreshToken","authenticationProtocol":"none","appServicePrincipalId":null,"rngcStatus":0}}}}"#,
        ip = n % 251,
        ms = n % 400,
        policies = policies.join(","),
    )
}

/// The same sign-in as Log Analytics exports it, with the cells that matter.
fn row(n: usize) -> String {
    let (user, city, app, hour) = (n % 997, n % 41, n % 23, n % 12 + 1);
    let policies = POLICY.replace("@@", &format!("{:02}", n % 90)).replace('"', "\"\"");
    format!(
        "7b1c2d3e-1111-4222-8333-944455556666,Azure AD,Sign-in activity,1,SignInLogs,0,Person {user},AT,Application number {app},\"[\r\n  {{\r\n    \"\"authenticationMethod\"\": \"\"Password\"\",\r\n    \"\"succeeded\"\": true\r\n  }}\r\n]\",singleFactorAuthentication,Browser,\"[{policies},{policies}]\",,notApplied,\"3/{day}/2024, {hour}:08:45.221 PM\",\"{{\"\"operatingSystem\"\":\"\"Windows 10\"\",\"\"browser\"\":\"\"Edge 122.0.2365\"\"}}\",,TRUE,d00dad00-aaaa-4bbb-8ccc-{n:012},198.51.100.{ip},,\"{{\"\"countryOrRegion\"\":\"\"AT\"\",\"\"city\"\":\"\"City {city}\"\"}}\",none,[],[],\"{{\"\"errorCode\"\":0}}\",\"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/122.0.0.0\",Person {user},5e1f0000-0000-4000-9000-{user:012},person.{user}@example.com,7b1c2d3e-1111-4222-8333-944455556666,SigninLogs\r\n",
        day = n % 28 + 1,
        ip = n % 251,
    )
}

const HEADINGS: &str = "TenantId,SourceSystem,OperationName,OperationVersion,Category,ResultType,Identity,Location,AppDisplayName,AuthenticationDetails,AuthenticationRequirement,ClientAppUsed,ConditionalAccessPolicies_dynamic,ConditionalAccessPolicies_string,ConditionalAccessStatus,CreatedDateTime [UTC],DeviceDetail_dynamic,DeviceDetail_string,IsInteractive,Id,IPAddress,LocationDetails_dynamic,LocationDetails_string,RiskDetail,RiskEventTypes,RiskEventTypes_V2,Status_dynamic,UserAgent,UserDisplayName,UserId,UserPrincipalName,AADTenantId,Type\r\n";

/// A CloudTrail event.
fn event(n: usize) -> String {
    let (user, role, call) = (n % 97, n % 7, n % 23);
    format!(
        r#"{{"eventVersion":"1.08","userIdentity":{{"type":"AssumedRole","principalId":"AROAEXAMPLE{role:09}:person.{user}@example.com","arn":"arn:aws:sts::012345678901:assumed-role/Role-{role}/person.{user}@example.com","accountId":"012345678901","accessKeyId":"ASIAEXAMPLE{user:09}","sessionContext":{{"sessionIssuer":{{"type":"Role","principalId":"AROAEXAMPLE{role:09}","arn":"arn:aws:iam::012345678901:role/Role-{role}","accountId":"012345678901","userName":"Role-{role}"}},"webIdFederationData":{{}},"attributes":{{"creationDate":"2024-03-05T07:59:00Z","mfaAuthenticated":"true"}}}}}},"eventTime":"2024-03-{day:02}T{hour:02}:{minute:02}:00Z","eventSource":"ec2.amazonaws.com","eventName":"DescribeThings{call}","awsRegion":"eu-west-{region}","sourceIPAddress":"198.51.100.{ip}","userAgent":"aws-cli/2.15.0 Python/3.11.6 Linux/5.10.205 exe/x86_64.amzn.2 prompt/off command/ec2.describe-things","requestParameters":{{"maxResults":100,"instancesSet":{{"items":[{{"instanceId":"i-{n:017}"}}]}},"filterSet":{{"items":[{{"name":"tag:Name","valueSet":{{"items":[{{"value":"thing-{call}"}}]}}}}]}}}},"responseElements":null,"requestID":"d00dad00-aaaa-4bbb-8ccc-{n:012}","eventID":"c0ffee00-1234-4321-8765-{n:012}","readOnly":true,"eventType":"AwsApiCall","managementEvent":true,"recipientAccountId":"012345678901","eventCategory":"Management","tlsDetails":{{"tlsVersion":"TLSv1.3","cipherSuite":"TLS_AES_128_GCM_SHA256","clientProvidedHostHeader":"ec2.eu-west-1.amazonaws.com"}}}}"#,
        day = n % 28 + 1,
        hour = n % 24,
        minute = n % 60,
        region = n % 3,
        ip = n % 251,
    )
}

/// The same event as a flattened table has it.
fn event_row(n: usize) -> String {
    let (user, role, call, day, hour) = (n % 97, n % 7, n % 23, n % 28 + 1, n % 24);
    format!(
        "1.08,2024-03-{day:02}T{hour:02}:00:00Z,ec2.amazonaws.com,DescribeThings{call},eu-west-1,198.51.100.7,aws-cli/2.15.0 Python/3.11.6 Linux/5.10.205 exe/x86_64.amzn.2 prompt/off command/ec2.describe-things,c0ffee00-1234-4321-8765-{n:012},True,AwsApiCall,012345678901,AssumedRole,AROAEXAMPLE{role:09}:person.{user}@example.com,arn:aws:sts::012345678901:assumed-role/Role-{role}/person.{user}@example.com,012345678901,ASIAEXAMPLE{user:09},Role-{role},100,\"[{{'instanceId': 'i-{n:017}'}}]\",,\n"
    )
}

const EVENT_HEADINGS: &str = "eventVersion,eventTime,eventSource,eventName,awsRegion,sourceIPAddress,userAgent,eventID,readOnly,eventType,recipientAccountId,userIdentitytype,userIdentityprincipalId,userIdentityarn,userIdentityaccountId,userIdentityaccessKeyId,userIdentitysessionContextsessionIssueruserName,requestParametersmaxResults,requestParametersinstancesSetitems,errorCode,errorMessage\n";

/// A Duo authentication, as the Admin API answers.
fn authentication(n: usize) -> String {
    let (user, city, app) = (n % 97, n % 41, n % 7);
    format!(
        r#"{{"access_device":{{"browser":"Chrome","browser_version":"124.0.6367.{city}","epkey":"EP{user:018}","flash_version":"uninstalled","hostname":null,"ip":"198.51.100.{ip}","is_encryption_enabled":true,"is_firewall_enabled":true,"is_password_set":true,"java_version":"uninstalled","location":{{"city":"City {city}","country":"Austria","state":"State {city}"}},"os":"Windows","os_version":"10.0.19045","security_agents":[]}},"alias":"","application":{{"key":"DI{app:018}","name":"Application {app}"}},"auth_device":{{"ip":"203.0.113.{ip}","key":"DP{user:018}","location":{{"city":"City {city}","country":"Austria","state":"State {city}"}},"name":"+43 660 55501{user:02}"}},"email":"person.{user}@example.com","event_type":"authentication","factor":"duo_push","isotimestamp":"2024-03-{day:02}T{hour:02}:{minute:02}:21.184191+00:00","ood_software":null,"reason":"user_approved","result":"success","timestamp":{timestamp},"trusted_endpoint_status":"trusted","txid":"d00dad00-aaaa-4bbb-8ccc-{n:012}","user":{{"groups":["Everybody","Office {app}"],"key":"DU{user:018}","name":"person.{user}"}}}}"#,
        ip = n % 251,
        day = n % 28 + 1,
        hour = n % 24,
        minute = n % 60,
        timestamp = 1_709_251_200 + n,
    )
}

/// An Exchange audit record.
fn audit(n: usize) -> String {
    let (user, command) =
        (n % 97, ["Set-Mailbox", "New-InboxRule", "Set-TransportRule", "Add-MailboxPermission"][n % 4]);
    format!(
        r#"{{"CreationTime":"2024-03-{day:02}T{hour:02}:{minute:02}:21","Id":"d00dad00-aaaa-4bbb-8ccc-{n:012}","Operation":"{command}","OrganizationId":"7b1c2d3e-1111-4222-8333-944455556666","RecordType":1,"ResultStatus":"True","UserKey":"1003200{user:09}","UserType":2,"Version":1,"Workload":"Exchange","ClientIP":"198.51.100.{ip}:{port}","ObjectId":"EURPR04A009.PROD.OUTLOOK.COM/Microsoft Exchange Hosted Organizations/example.onmicrosoft.com/person.{user}","UserId":"person.{user}@example.com","AppId":"","ClientAppId":"","ExternalAccess":false,"OrganizationName":"example.onmicrosoft.com","OriginatingServer":"AM1PR07MB4231 (15.20.9106.015)","Parameters":[{{"Name":"Identity","Value":"person.{user}"}},{{"Name":"Force","Value":"True"}},{{"Name":"HiddenFromAddressListsEnabled","Value":"False"}},{{"Name":"UseDatabaseQuotaDefaults","Value":"False"}},{{"Name":"ProhibitSendQuota","Value":"99 GB (106,300,440,576 bytes)"}}],"SessionId":"c0ffee00-1234-4321-8765-{user:012}"}}"#,
        ip = n % 251,
        port = 1024 + n % 60_000,
        day = n % 28 + 1,
        hour = n % 24,
        minute = n % 60,
    )
}

/// The same record as a search exports it.
fn audit_row(n: usize) -> String {
    let data = audit(n).replace('"', "\"\"");
    format!(
        "d00dad00-aaaa-4bbb-8ccc-{n:012},3/{}/2024 1:08:21 PM,ExchangeAdmin,Set-Mailbox,person.{}@example.com,\"{data}\",,\r\n",
        n % 28 + 1,
        n % 97
    )
}

const AUDIT_HEADINGS: &str = "RecordId,CreationDate,RecordType,Operation,UserId,AuditData,AssociatedAdminUnits,AssociatedAdminUnitsNames\r\n";

/// An input file; `decoded` is its length without compression.
struct Input {
    source: LinkedComponent,
    name: &'static str,
    path: PathBuf,
    decoded: u64,
}

fn gzip(text: &str) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(text.as_bytes()).expect("memory holds it");
    gzip.finish().expect("memory holds it")
}

fn inputs(dir: &Path) -> Vec<Input> {
    let records: Vec<String> = (0..RECORDS).map(record).collect();
    let lines = records.join("\n");
    let array = format!("[{}]", records.join(","));
    let csv = format!("\u{feff}{HEADINGS}{}", (0..RECORDS).map(row).collect::<String>());
    let events: Vec<String> = (0..RECORDS).map(event).collect();
    let trail = format!("{{\"Records\":[{}]}}", events.join(","));
    let in_strings: Vec<serde_json::Value> =
        events.iter().map(|event| serde_json::json!({"id": "1", "timestamp": 1, "message": event})).collect();
    let subscription =
        serde_json::json!({"messageType": "DATA_MESSAGE", "logEvents": in_strings}).to_string();
    let flattened = format!("{EVENT_HEADINGS}{}", (0..RECORDS).map(event_row).collect::<String>());
    let azure_ad = dfp_plugin::linked_source::<dfp_azure_ad::AzureAd>();
    let cloudtrail = dfp_plugin::linked_source::<dfp_cloudtrail::CloudTrail>();
    let one_a_line = |record: fn(usize) -> String| (0..RECORDS).map(|n| record(n) + "\n").collect::<String>();
    let listed = |record: fn(usize) -> String| (0..RECORDS).map(record).collect::<Vec<_>>().join(",");
    let (authentications, audits) = (one_a_line(authentication), one_a_line(audit));
    let answer =
        format!(r#"{{"stat":"OK","response":{{"authlogs":[{}],"metadata":{{}}}}}}"#, listed(authentication));
    let content = format!("[{}]", listed(audit));
    let search = format!("{AUDIT_HEADINGS}{}", (0..RECORDS).map(audit_row).collect::<String>());
    let duo = dfp_plugin::linked_source::<dfp_duo::Duo>();
    let exchange = dfp_plugin::linked_source::<dfp_exchange::Exchange>();
    let files = [
        (azure_ad, "lines", lines.as_bytes(), lines.len()),
        (azure_ad, "array", array.as_bytes(), array.len()),
        (azure_ad, "gzip", &gzip(&lines), lines.len()),
        (azure_ad, "csv", csv.as_bytes(), csv.len()),
        (cloudtrail, "trail", trail.as_bytes(), trail.len()),
        (cloudtrail, "trail-gzip", &gzip(&trail), trail.len()),
        (cloudtrail, "subscription", subscription.as_bytes(), subscription.len()),
        (cloudtrail, "flattened-csv", flattened.as_bytes(), flattened.len()),
        (duo, "agent-lines", authentications.as_bytes(), authentications.len()),
        (duo, "api-answer", answer.as_bytes(), answer.len()),
        (exchange, "collected-lines", audits.as_bytes(), audits.len()),
        (exchange, "content-array", content.as_bytes(), content.len()),
        (exchange, "search-csv", search.as_bytes(), search.len()),
    ];
    let inputs = files.map(|(source, name, bytes, decoded)| {
        let path = dir.join(name);
        std::fs::write(&path, bytes).expect("the temporary directory takes files");
        Input { source, name, path, decoded: decoded as u64 }
    });
    inputs.into()
}

/// Decodes a file; answers with the rows.
fn decode(plugins: &Plugins, input: &Input, columns: Option<&[String]>) -> usize {
    let mut config = serde_json::json!({"inputs": [input.path]});
    if let Some(columns) = columns {
        config["columns"] = columns.into();
    }
    let host = Arc::new(LocalHost::new());
    let source = plugins.source(input.source.id, &config.to_string(), host);
    let batches = source.expect("the configuration is right").open(None).expect("it opens");
    batches.map(|batch| batch.expect("it decodes").num_rows()).sum()
}

fn benchmarks(criterion: &mut Criterion) {
    let dir = tempfile::tempdir().expect("there is a temporary directory");
    for input in inputs(dir.path()) {
        let source = input.source;
        let plugins = Plugins::new().link(source);
        let profile = Profile::from_toml(source.profile).expect("the shipped profile is right").raw_columns();
        for (columns, asked) in [("profile", Some(&profile[..])), ("all", None)] {
            assert_eq!(decode(&plugins, &input, asked), RECORDS, "{}", input.name);
            for (unit, throughput) in [
                ("bytes", Throughput::Bytes(input.decoded)),
                ("records", Throughput::Elements(RECORDS as u64)),
            ] {
                let mut group =
                    criterion.benchmark_group(format!("decode/{}/{}/{columns}", source.id, input.name));
                group.throughput(throughput).sample_size(10).measurement_time(Duration::from_secs(3));
                group.bench_function(unit, |bencher| bencher.iter(|| decode(&plugins, &input, asked)));
                group.finish();
            }
        }
    }
}

criterion_group!(benches, benchmarks);
criterion_main!(benches);
