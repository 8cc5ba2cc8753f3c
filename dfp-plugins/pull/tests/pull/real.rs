//! The sources as they are shipped: what is pulled is decoded as from files.

use std::io::Write as _;
use std::sync::Arc;

use dfp_plugin::arrow_array::{Array, RecordBatch, StringArray};
use dfp_plugin::serde_json::{Value, json};
use dfp_plugin::{Component, Source, create};
use dfp_pull::{AzureAdGraph, CloudTrailS3, DuoAdminApi, M365Activity};
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::harness::{TestHost, now, time};
use crate::server::{Reply, Server};

/// The one batch that a source pulls; whatever was rejected.
fn pulled<S: Component + Source>(config: &Value) -> (RecordBatch, usize) {
    let host = Arc::new(TestHost::default());
    let mut source: S = create(&config.to_string(), Arc::<TestHost>::clone(&host) as _).unwrap();
    let schema = source.schema();
    let batches: Vec<RecordBatch> =
        source.open(None).unwrap().map(Result::unwrap).filter(|batch| batch.num_rows() > 0).collect();
    assert_eq!(batches.len(), 1);
    assert_eq!(batches[0].schema(), schema);
    let rejected = host.rejects.lock().unwrap().len();
    assert_eq!(host.counted("records_read") as usize, batches[0].num_rows() + rejected);
    (batches[0].clone(), rejected)
}

fn text<'a>(batch: &'a RecordBatch, column: &str) -> &'a str {
    let array = batch.column_by_name(column).unwrap_or_else(|| panic!("no {column}"));
    let array = array.as_any().downcast_ref::<StringArray>().unwrap();
    assert!(array.is_valid(0), "{column}");
    array.value(0)
}

fn with(account: &Value, columns: &[&str]) -> Value {
    json!({"account": account, "start": time(now() - 3600), "columns": columns})
}

fn microsoft(server: &Server) -> Value {
    json!({"tenant": "t", "client_id": "c", "client_secret": {"$secret": "key"}, "base_url": server.url, "login_url": server.url})
}

fn token() -> Reply {
    Reply::ok(r#"{"access_token":"12345678","expires_in":"3600"}"#)
}

#[test]
fn graph_pages_become_sign_ins() {
    let record = json!({"id": "s-1", "createdDateTime": time(now() - 900), "userPrincipalName": "Ann@contoso.example",
                        "status": {"errorCode": 50126}, "deviceDetail": {"browser": "Edge 97"}});
    let server = Server::start(move |request| {
        let page = json!({"value": [record, {"no": "sign-in"}]});
        if request.path.ends_with("/token") { token() } else { Reply::ok(page.to_string()) }
    });
    let columns = ["properties.userPrincipalName", "properties.deviceDetail.browser"];
    let (batch, rejected) = pulled::<AzureAdGraph>(&with(&microsoft(&server), &columns));
    assert_eq!((batch.num_rows(), rejected), (1, 1));
    assert_eq!(text(&batch, "_record_id"), "s-1");
    assert_eq!(text(&batch, "_outcome"), "failure");
    assert_eq!(text(&batch, "properties.userPrincipalName"), "Ann@contoso.example");
    assert_eq!(text(&batch, "properties.deviceDetail.browser"), "Edge 97");
    assert!(text(&batch, "_origin").starts_with("signIns:"), "{}", text(&batch, "_origin"));
}

#[test]
fn duo_pages_become_authentications() {
    let at = now() - 900;
    let log = json!({"txid": "t-1", "timestamp": at, "isotimestamp": time(at), "event_type": "authentication", "result": "denied",
                     "reason": "no_response", "factor": "duo_push", "user": {"name": "ann", "key": "U1", "groups": []},
                     "access_device": {"browser": "Chrome", "ip": "198.51.100.7"}});
    let server = Server::start(move |_| {
        Reply::ok(
            json!({"stat": "OK", "response": {"authlogs": [log], "metadata": {"next_offset": null}}})
                .to_string(),
        )
    });
    let account = json!({"base_url": server.url, "integration_key": "DI", "secret_key": {"$secret": "key"}});
    let (batch, rejected) = pulled::<DuoAdminApi>(&with(&account, &["user.name", "access_device.browser"]));
    assert_eq!((batch.num_rows(), rejected), (1, 0));
    assert_eq!(text(&batch, "_record_id"), "t-1");
    assert_eq!(text(&batch, "_outcome"), "failure");
    assert_eq!(text(&batch, "user.name"), "ann");
}

#[test]
fn objects_of_a_bucket_become_events() {
    let at = now() - 900;
    let record = json!({"eventVersion": "1.08", "eventID": "e-1", "eventTime": time(at), "eventName": "AssumeRole",
                        "eventSource": "sts.amazonaws.com", "awsRegion": "eu-west-1", "recipientAccountId": "012345678901",
                        "userIdentity": {"type": "IAMUser", "userName": "ann", "accountId": "012345678901"},
                        "requestParameters": {"roleArn": "arn:aws:iam::012345678901:role/x"}, "responseElements": null});
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(json!({"Records": [record]}).to_string().as_bytes()).unwrap();
    let object = encoder.finish().unwrap();
    let moment = jiff::Timestamp::from_second(at).unwrap().to_zoned(jiff::tz::TimeZone::UTC);
    let place = moment.strftime("AWSLogs/012345678901/CloudTrail/eu-west-1/%Y/%m/%d/").to_string();
    let key =
        place + &moment.strftime("012345678901_CloudTrail_eu-west-1_%Y%m%dT%H%MZ_abc.json.gz").to_string();
    let server = Server::start(move |request| match request.path.as_str() {
        "/trail" => Reply::ok(format!(
            "<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>{key}</Key></Contents></ListBucketResult>"
        )),
        _ => Reply::ok(object.clone()),
    });
    let account = json!({"bucket": "trail", "region": "eu-west-1", "accounts": ["012345678901"], "regions": ["eu-west-1"],
                         "access_key_id": {"$secret": "id"}, "secret_access_key": {"$secret": "key"}, "endpoint": server.url});
    let columns = ["userIdentity.userName", "requestParameters.roleArn"];
    let (batch, rejected) = pulled::<CloudTrailS3>(&with(&account, &columns));
    assert_eq!((batch.num_rows(), rejected), (1, 0));
    assert_eq!(text(&batch, "_record_id"), "e-1");
    assert_eq!(text(&batch, "_outcome"), "success");
    assert_eq!(text(&batch, "userIdentity.userName"), "ann");
    assert!(
        text(&batch, "_origin").starts_with("s3://trail/AWSLogs/012345678901/"),
        "{}",
        text(&batch, "_origin")
    );
}

#[test]
fn content_of_the_activity_feed_becomes_audit_records() {
    let record = json!({"Id": "r-1", "CreationTime": "2026-01-02T03:04:05", "Operation": "New-InboxRule", "RecordType": 1,
                        "UserId": "ann@contoso.example", "UserType": 0, "Workload": "Exchange", "ResultStatus": "True",
                        "OrganizationId": "o", "UserKey": "k", "Version": 1});
    let server = Server::start(move |request| match request.path.rsplit('/').next() {
        Some("token") => token(),
        Some("start") => Reply::ok("{}"),
        Some("content") => {
            let uri = format!("http://{}/api/v1.0/t/activity/feed/audit/b1", request.header("host"));
            Reply::ok(
                json!([{"contentId": "b1", "contentUri": uri, "contentCreated": time(now() - 900)}])
                    .to_string(),
            )
        }
        _ => Reply::ok(json!([record]).to_string()),
    });
    let (batch, rejected) = pulled::<M365Activity>(&with(&microsoft(&server), &["UserId", "Operation"]));
    assert_eq!((batch.num_rows(), rejected), (1, 0));
    assert_eq!(text(&batch, "_record_id"), "r-1");
    assert_eq!(text(&batch, "_outcome"), "success");
    assert_eq!(text(&batch, "Operation"), "New-InboxRule");
    assert!(text(&batch, "_origin").contains("/audit/b1:"), "{}", text(&batch, "_origin"));
}

/// Every member that the schema names, except secrets' own, is one that the configuration takes.
#[test]
fn schemas_and_configurations_have_the_same_members() {
    fn check<S: Component + Source>() {
        let schema: Value = serde_json::from_str(S::CONFIG_SCHEMA).unwrap();
        let sample = |schema: &Value| match (&schema["default"], &schema["enum"][0], schema["type"].as_str())
        {
            (Value::Null, Value::Null, Some("integer")) => schema["minimum"].clone(),
            (Value::Null, Value::Null, Some("array")) => json!(["x"]),
            (Value::Null, Value::Null, _) => json!("https://x.example"),
            (Value::Null, first, _) => first.clone(),
            (default, _, _) => default.clone(),
        };
        let members = |name: &str| -> Value {
            let members = schema["properties"][name]["properties"].as_object().unwrap();
            let secret = |name: &str| {
                ["client_secret", "secret_key", "access_key_id", "secret_access_key", "session_token"]
                    .contains(&name)
            };
            let filled =
                members.iter().filter(|(name, _)| *name != "window_seconds").map(|(name, schema)| {
                    let value = if secret(name) { json!({"$secret": "key"}) } else { sample(schema) };
                    (name.clone(), value)
                });
            Value::Object(filled.collect())
        };
        let mut account = members("account");
        if account.get("organization").is_some() {
            let plain = json!({"organization": "o-1", "bucket": "b", "region": "r"});
            account.as_object_mut().unwrap().extend(plain.as_object().unwrap().clone());
        }
        let config = json!({"account": account, "start": "2026-01-01T00:00:00Z", "columns": [], "decode": {}, "schedule": members("schedule"),
                            "http": members("http")});
        let made: Result<S, _> = create(&config.to_string(), Arc::new(TestHost::default()));
        assert_eq!(made.err().map(|error| error.to_string()), None, "{}", S::ID);
    }
    check::<AzureAdGraph>();
    check::<DuoAdminApi>();
    check::<CloudTrailS3>();
    check::<M365Activity>();
}
