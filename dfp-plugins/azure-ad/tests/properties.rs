//! What never changes the rows: the envelope, the encoding, line ends, how the bytes come, the batch size. And what never
//! breaks the decoder: any bytes.

use dfp_azure_ad::SignIns;
use dfp_records_testing::{lines, rows, ways};
use proptest::prelude::*;
use serde_json::{Value, json};

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        Just("Not Available".to_owned()),
        "[a-z]{1,12}@example\\.com",
        "[ -~äöü\\n\\t\"\\\\😀{}\\[\\],:]{0,40}",
    ]
}

fn record() -> impl Strategy<Value = Value> {
    let location = prop_oneof![
        Just(json!({})),
        Just(Value::Null),
        (text(), any::<f32>()).prop_map(|(city, at)| {
            json!({"city": city, "geoCoordinates": {"latitude": if at.is_finite() { at } else { 0.0 }}})
        }),
    ];
    let fields = (text(), text(), text(), location, any::<bool>(), any::<i32>());
    (fields, 0..86_400_u32).prop_map(|((id, user, browser, location, flag, code), second)| {
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        json!({
            "category": "SignInLogs",
            "resultType": code.to_string(),
            "time": format!("2024-05-06T{hour:02}:{minute:02}:{second:02}.5Z"),
            "properties": {
                "id": id,
                "userPrincipalName": user,
                "deviceDetail": {"browser": browser, "isManaged": flag},
                "location": location,
                "status": {"errorCode": code},
                "riskEventTypes_v2": ["a b", {"c": [1, 2]}],
                "unknown": {"deep": [user.len()]},
            },
        })
    })
}

const COLUMNS: &str = r#","missing":[],"columns":["time","resultType","properties.id","properties.userPrincipalName",
    "properties.deviceDetail.browser","properties.deviceDetail.isManaged","properties.deviceDetail",
    "properties.location.city","properties.location.geoCoordinates.latitude","properties.status.errorCode",
    "properties.riskEventTypes_v2","properties.unknown.deep"]"#;

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_way_the_records_come_changes_nothing(
        records in prop::collection::vec(record(), 1..6),
        way in ways(),
        in_text in any::<bool>(),
    ) {
        let plain = rows::<SignIns>(lines(&records).as_bytes(), usize::MAX, COLUMNS);
        prop_assert_eq!(plain.len(), records.len());
        for (row, record) in plain.iter().zip(&records) {
            let user = record["properties"]["userPrincipalName"].as_str().unwrap();
            prop_assert_eq!(row["properties.userPrincipalName"].as_str(), user);
            prop_assert_eq!(row["properties.riskEventTypes_v2"].as_str(), r#"["a b",{"c":[1,2]}]"#);
        }
        let text = |record: &Value| {
            let mut record = record.clone();
            record["properties"] = record["properties"].to_string().into();
            record
        };
        let records = if in_text { records.iter().map(text).collect() } else { records };
        prop_assert_eq!(way.rows::<SignIns>(&records, COLUMNS), plain);
    }
}

#[test]
fn damage_keeps_the_balance() {
    dfp_records_testing::damage_keeps_the_balance::<SignIns>(record(), "Id,TimeGenerated,DeviceDetail\n");
}
