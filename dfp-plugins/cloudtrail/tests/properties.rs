//! What never changes the rows: the envelope, the encoding, line ends, how the bytes come, the batch size. And what never
//! breaks the decoder: any bytes.

use dfp_cloudtrail::Events;
use dfp_records_testing::{lines, rows, ways};
use proptest::prelude::*;
use serde_json::{Value, json};

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        Just("HIDDEN_DUE_TO_SECURITY_REASONS".to_owned()),
        "[a-z]{1,12}",
        "[ -~äöü\\n\\t\"\\\\😀{}\\[\\],:=]{0,40}",
    ]
}

fn identity() -> impl Strategy<Value = Value> {
    (text(), text(), "0[0-9]{11}", 0..4_u8).prop_map(|(name, session, account, kind)| match kind {
        0 => json!({"type": "IAMUser", "userName": name, "accountId": account}),
        1 => json!({"type": "AssumedRole", "arn": session, "accountId": account, "sessionContext":
            {"sessionIssuer": {"userName": name}, "webIdFederationData": {}, "attributes": {"mfaAuthenticated": "true"}}}),
        2 => json!({"type": "AWSService", "invokedBy": name}),
        _ => json!({"accountId": account, "invokedBy": name}),
    })
}

fn parameters() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        Just(json!({"ownersSet": {"items": []}, "maxResults": 5})),
        (text(), any::<bool>()).prop_map(|(owner, protect)| json!({
            "ownersSet": {"items": [{"owner": owner}, {"owner": "b"}]}, "maxResults": "7",
            "disableApiTermination": {"value": protect}, "MaxResults": 3,
        })),
    ]
}

fn record() -> impl Strategy<Value = Value> {
    (text(), text(), identity(), parameters(), 0..86_400_u32).prop_map(
        |(id, error, identity, parameters, second)| {
            json!({
                "eventVersion": "1.08",
                "userIdentity": identity,
                "eventTime": format!("2024-05-06T{:02}:{:02}:{:02}Z", second / 3600, second / 60 % 60, second % 60),
                "eventSource": "ec2.amazonaws.com",
                "eventName": "DescribeImages",
                "requestParameters": parameters,
                "responseElements": null,
                "errorMessage": error,
                "eventID": id,
                "readOnly": true,
            })
        },
    )
}

const COLUMNS: &str = r#","missing":[],"columns":["eventTime","eventID","eventName","errorMessage","readOnly",
    "userIdentity.type","userIdentity.userName","userIdentity.accountId","userIdentity.invokedBy",
    "userIdentity.sessionContext.sessionIssuer.userName","requestParameters.ownersSet.items",
    "requestParameters.maxResults","requestParameters.disableApiTermination","requestParameters"]"#;

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_way_the_records_come_changes_nothing(
        records in prop::collection::vec(record(), 1..6),
        way in ways(),
        wrapper in 0..4_u8,
    ) {
        let plain = rows::<Events>(lines(&records).as_bytes(), usize::MAX, COLUMNS);
        prop_assert_eq!(plain.len(), records.len());
        for (row, record) in plain.iter().zip(&records) {
            prop_assert_eq!(row["eventID"].as_str(), record["eventID"].as_str().unwrap());
            let account = row.get("userIdentity.accountId").map(String::as_str);
            prop_assert_eq!(account, record["userIdentity"]["accountId"].as_str());
            let owner = record["requestParameters"]["ownersSet"]["items"][0]["owner"].as_str();
            prop_assert_eq!(row.get("requestParameters.ownersSet.items").map(String::as_str), owner);
        }
        let records: Vec<Value> = records.iter().map(|record| match wrapper {
            0 => json!({"version": "0", "id": "x", "time": "2001-01-01T00:00:00Z", "detail": record, "account": "1"}),
            1 => json!({"EventId": "x", "EventName": "outer", "EventTime": 5, "CloudTrailEvent": record.to_string()}),
            2 => {
                let mut record = record.clone();
                record["userIdentity"] = record["userIdentity"].to_string().into();
                record
            }
            _ => record.clone(),
        }).collect();
        prop_assert_eq!(way.rows::<Events>(&records, COLUMNS), plain);
    }
}

#[test]
fn damage_keeps_the_balance() {
    dfp_records_testing::damage_keeps_the_balance::<Events>(
        record(),
        "eventtime,useridentity,requestParametersmaxResults\n",
    );
}
