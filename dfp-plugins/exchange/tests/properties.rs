//! What never changes the rows: the envelope, the encoding, line ends, how the bytes come, the batch size. And what never
//! breaks the decoder: any bytes.

use dfp_exchange::Audit;
use dfp_records_testing::{lines, rows, ways};
use proptest::prelude::*;
use serde_json::{Value, json};

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        Just("NOT-FOUND".to_owned()),
        Just("{}".to_owned()),
        "[a-z]{1,12}",
        "[ -~äöü\\n\\t\"\\\\😀{}\\[\\],:=]{0,40}",
    ]
}

fn parameters() -> impl Strategy<Value = Value> {
    let pairs = (text(), text()).prop_map(|(name, value)| {
        json!([{"Name": "Identity", "Value": value}, {"Name": name, "Value": "1"}, {"Value": "Other", "Name": "Force"}])
    });
    prop_oneof![Just(json!([])), text().prop_map(|text| Value::from(format!("-{text}"))), pairs]
}

fn record() -> impl Strategy<Value = Value> {
    (text(), text(), text(), parameters(), 0..86_400_u32).prop_map(|(id, user, agent, parameters, second)| {
        json!({
            "CreationTime": format!("2024-05-06T{:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60),
            "Id": id,
            "Operation": "Set-Mailbox",
            "RecordType": 1,
            "ResultStatus": "PartiallySucceeded",
            "UserId": user,
            "ClientIPAddress": "[2001:db8::1]:443",
            "Parameters": parameters,
            "ExtendedProperties": [{"Name": "UserAgent", "Value": agent}],
            "Item": {"Subject": user, "ParentFolder": {"Path": "\\Inbox"}},
        })
    })
}

const COLUMNS: &str = r#","missing":[],"columns":["CreationTime","Id","Operation","RecordType","UserId","ClientIP",
    "Parameters","Parameters.Identity","ExtendedProperties.UserAgent","UserAgent","Item.Subject","Item.ParentFolder.Path"]"#;

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_way_the_records_come_changes_nothing(
        records in prop::collection::vec(record(), 1..6),
        way in ways(),
        wrapper in 0..4_u8,
    ) {
        let plain = rows::<Audit>(lines(&records).as_bytes(), usize::MAX, COLUMNS);
        prop_assert_eq!(plain.len(), records.len());
        for (row, record) in plain.iter().zip(&records) {
            prop_assert_eq!(row["UserId"].as_str(), record["UserId"].as_str().unwrap());
            let agent = record["ExtendedProperties"][0]["Value"].as_str();
            prop_assert_eq!(row.get("ExtendedProperties.UserAgent").map(String::as_str), agent);
            prop_assert_eq!(row["_outcome"].as_str(), "failure");
            if record["Parameters"].is_array() {
                let parameters: Value = serde_json::from_str(&row["Parameters"]).unwrap();
                prop_assert_eq!(&parameters, &record["Parameters"]);
            }
        }
        let records: Vec<Value> = records.iter().map(|record| match wrapper {
            0 => json!({"Identity": "x", "CreationDate": "5/18/2021 9:13:33 PM", "AuditData": record.to_string(), "UserIds": "y"}),
            1 => json!({"id": "x", "createdDateTime": "2021-05-18T21:13:33Z", "auditData": record, "operation": "y"}),
            2 => {
                let mut record = record.clone();
                record["ExtendedProperties"] = record["ExtendedProperties"].to_string().into();
                record
            }
            _ => record.clone(),
        }).collect();
        prop_assert_eq!(way.rows::<Audit>(&records, COLUMNS), plain);
    }
}

#[test]
fn damage_keeps_the_balance() {
    dfp_records_testing::damage_keeps_the_balance::<Audit>(record(), "CreationDate,AuditData,Parameters\n");
}
