//! How fast the Azure AD source turns files into batches, on one core: one object a line, one array, gzip, CSV.
//!
//! Records are like the current diagnostic records, about 3 kB with three conditional access policies. `profile` asks
//! for the columns of the shipped profile, `all` for every column there is by default.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use dfp_core::Source as _;
use dfp_host::LocalHost;
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

/// An input file; `decoded` is its length without compression.
struct Input {
    name: &'static str,
    path: PathBuf,
    decoded: u64,
}

fn inputs(dir: &Path) -> Vec<Input> {
    let records: Vec<String> = (0..RECORDS).map(record).collect();
    let lines = records.join("\n");
    let array = format!("[{}]", records.join(","));
    let csv = format!("\u{feff}{HEADINGS}{}", (0..RECORDS).map(row).collect::<String>());
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(lines.as_bytes()).expect("memory holds it");
    let gzip = gzip.finish().expect("memory holds it");
    let files = [
        ("lines", lines.as_bytes(), lines.len()),
        ("array", array.as_bytes(), array.len()),
        ("gzip", &gzip, lines.len()),
        ("csv", csv.as_bytes(), csv.len()),
    ];
    let inputs = files.map(|(name, bytes, decoded)| {
        let path = dir.join(name);
        std::fs::write(&path, bytes).expect("the temporary directory takes files");
        Input { name, path, decoded: decoded as u64 }
    });
    inputs.into()
}

/// Decodes a file; answers with the rows.
fn decode(path: &Path, columns: Option<&[String]>) -> usize {
    let mut config = serde_json::json!({"inputs": [path]});
    if let Some(columns) = columns {
        config["columns"] = columns.into();
    }
    let host = Arc::new(LocalHost::new());
    let mut source = dfp_plugin::create::<dfp_azure_ad::AzureAd>(&config.to_string(), host)
        .expect("the configuration is right");
    let batches = source.open(None).expect("it opens");
    batches.map(|batch| batch.expect("it decodes").num_rows()).sum()
}

fn benchmarks(criterion: &mut Criterion) {
    let dir = tempfile::tempdir().expect("there is a temporary directory");
    let plugin = dfp_plugin::linked_source::<dfp_azure_ad::AzureAd>();
    let profile = Profile::from_toml(plugin.profile).expect("the shipped profile is right").raw_columns();
    for input in inputs(dir.path()) {
        for (columns, asked) in [("profile", Some(&profile[..])), ("all", None)] {
            assert_eq!(decode(&input.path, asked), RECORDS, "{}", input.name);
            for (unit, throughput) in [
                ("bytes", Throughput::Bytes(input.decoded)),
                ("records", Throughput::Elements(RECORDS as u64)),
            ] {
                let mut group = criterion.benchmark_group(format!("decode/{}/{columns}", input.name));
                group.throughput(throughput).sample_size(10).measurement_time(Duration::from_secs(3));
                group.bench_function(unit, |bencher| bencher.iter(|| decode(&input.path, asked)));
                group.finish();
            }
        }
    }
}

criterion_group!(benches, benchmarks);
criterion_main!(benches);
