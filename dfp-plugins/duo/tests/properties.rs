//! What never changes the rows: the envelope, the encoding, line ends, how the bytes come, the batch size. And what never
//! breaks the decoder: any bytes.

use dfp_duo::Authentications;
use dfp_records_testing::{lines, rows, ways};
use proptest::prelude::*;
use serde_json::{Value, json};

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        Just("unknown".to_owned()),
        "[a-z]{1,12}",
        "[ -~äöü\\n\\t\"\\\\😀{}\\[\\],:=]{0,40}",
    ]
}

/// As [`text`], but nothing that looks like an object.
fn name() -> impl Strategy<Value = String> {
    text().prop_map(|text| text.replace('{', ""))
}

fn flag() -> impl Strategy<Value = Value> {
    prop_oneof![any::<bool>().prop_map(Value::from), Just(json!("unknown")), Just(Value::Null)]
}

fn agents() -> impl Strategy<Value = Value> {
    let agent = text().prop_map(|name| json!([{"security_agent": name, "version": "1"}]));
    prop_oneof![Just(json!([])), Just(Value::Null), Just(json!("unknown")), agent]
}

fn record() -> impl Strategy<Value = Value> {
    let device = (text(), flag(), agents(), any::<bool>()).prop_map(|(browser, flag, agents, placed)| {
        json!({
            "browser": browser, "ip": "2001:db8::1", "is_password_set": flag, "security_agents": agents,
            "location": if placed { json!({"city": browser, "state": null}) } else { json!({}) },
        })
    });
    (text(), name(), name(), device, 0..86_400_u32).prop_map(|(id, user, phone, device, second)| {
        json!({
            "access_device": device,
            "application": {"name": "VPN"},
            "auth_device": {"name": phone},
            "event_type": "authentication",
            "isotimestamp": format!("2024-05-06T{:02}:{:02}:{:02}.5+00:00", second / 3600, second / 60 % 60, second % 60),
            "timestamp": 1_714_953_600 + second,
            "result": "denied",
            "txid": id,
            "user": {"name": user, "groups": ["a b", user]},
        })
    })
}

const COLUMNS: &str = r#","missing":[],"columns":["isotimestamp","timestamp","result","reason","user.name","user.groups",
    "auth_device.name","application.name","access_device.ip","access_device.browser","access_device.location.city",
    "access_device.is_password_set","access_device.security_agents"]"#;

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_way_the_records_come_changes_nothing(
        records in prop::collection::vec(record(), 1..6),
        way in ways(),
        wrapper in 0..4_u8,
    ) {
        let plain = rows::<Authentications>(lines(&records).as_bytes(), usize::MAX, COLUMNS);
        prop_assert_eq!(plain.len(), records.len());
        for (row, record) in plain.iter().zip(&records) {
            prop_assert_eq!(row["user.name"].as_str(), record["user"]["name"].as_str().unwrap());
            prop_assert_eq!(row["timestamp"].clone(), record["timestamp"].to_string());
            prop_assert_eq!(row["_outcome"].as_str(), "failure");
        }
        let records: Vec<Value> = records.iter().map(|record| match wrapper {
            0 => json!({"service": "authentication", "message": record}),
            1 => json!({"txid": "outer", "message": record.to_string(), "timestamp": 5}),
            2 => {
                let mut record = record.clone();
                record["eventtype"] = "auth_log".into();
                record["user"] = record["user"].to_string().into();
                record
            }
            _ => record.clone(),
        }).collect();
        prop_assert_eq!(way.rows::<Authentications>(&records, COLUMNS), plain);
    }
}

#[test]
fn damage_keeps_the_balance() {
    dfp_records_testing::damage_keeps_the_balance::<Authentications>(
        record(),
        "Timestamp (UTC),User,access_device.location\n",
    );
}
