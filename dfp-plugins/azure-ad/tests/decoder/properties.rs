//! What never changes the rows: the envelope, line ends, how the bytes come, the batch size. And what never breaks the
//! decoder: any bytes.

use std::collections::BTreeMap;

use dfp_azure_ad::SignIns;
use dfp_records_testing::{config, host};
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

/// The records in one of the envelopes.
fn wrap(records: &[Value], envelope: usize, crlf: bool) -> String {
    let lines = |values: &[Value]| {
        let lines: Vec<String> = values.iter().map(Value::to_string).collect();
        lines.join("\n") + "\n"
    };
    let halves = || {
        let (left, right) = records.split_at(records.len() / 2);
        vec![json!({"records": left}), json!({"records": right, "count": 2})]
    };
    let whole = match envelope {
        0 => lines(records),
        1 => json!(records).to_string(),
        2 => serde_json::to_string_pretty(&json!(records)).unwrap(),
        3 => serde_json::to_string_pretty(&json!({"@odata.context": "a[b", "value": records, "next": null}))
            .unwrap(),
        4 => json!({"records": records}).to_string(),
        5 => lines(&halves()),
        6 => serde_json::to_string_pretty(&halves()).unwrap(),
        7 => records.iter().map(|value| serde_json::to_string_pretty(value).unwrap() + "\n").collect(),
        8 => "\u{feff}\n\n".to_owned() + &lines(records).replace('\n', "\n\n"),
        9 => lines(records).trim_end().to_owned(),
        _ => {
            let text = |value: &Value| {
                let mut value = value.clone();
                value["properties"] = value["properties"].to_string().into();
                value
            };
            lines(&records.iter().map(text).collect::<Vec<_>>())
        }
    };
    if crlf { whole.replace('\n', "\r\n") } else { whole }
}

const ENVELOPES: usize = 11;
const COLUMNS: &str = r#","missing":[],"columns":["time","resultType","properties.id","properties.userPrincipalName",
    "properties.deviceDetail.browser","properties.deviceDetail.isManaged","properties.deviceDetail",
    "properties.location.city","properties.location.geoCoordinates.latitude","properties.status.errorCode",
    "properties.riskEventTypes_v2","properties.unknown.deep"]"#;

/// Rows without their origins, which differ by nature.
fn rows(text: &str, step: usize, more: &str) -> Vec<BTreeMap<String, String>> {
    let run =
        dfp_records_testing::run::<SignIns>(host(text.as_bytes(), step), config(&format!("{COLUMNS}{more}")));
    assert_eq!(run.rejects, [], "{text}");
    run.rows
        .into_iter()
        .map(|mut row| {
            row.remove("_origin");
            row
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_envelope_the_reader_and_the_batch_size_change_nothing(
        records in prop::collection::vec(record(), 1..6),
        envelope in 1..ENVELOPES,
        crlf in any::<bool>(),
        step in prop_oneof![Just(1_usize), 2..64_usize, Just(4096)],
        batch in prop_oneof![Just(1_usize), 2..5_usize, Just(8192)],
    ) {
        let plain = rows(&wrap(&records, 0, false), usize::MAX, "");
        prop_assert_eq!(plain.len(), records.len());
        for (row, record) in plain.iter().zip(&records) {
            let user = record["properties"]["userPrincipalName"].as_str().unwrap();
            prop_assert_eq!(row["properties.userPrincipalName"].as_str(), user);
            prop_assert_eq!(row["properties.riskEventTypes_v2"].as_str(), r#"["a b",{"c":[1,2]}]"#);
        }
        let wrapped = rows(&wrap(&records, envelope, crlf), step, &format!(",\"batch_rows\":{batch}"));
        prop_assert_eq!(wrapped, plain);
    }

    #[test]
    fn mutated_bytes_never_break_the_balance(
        records in prop::collection::vec(record(), 1..5),
        envelope in 0..ENVELOPES,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..4_u8), 1..8),
        step in prop_oneof![Just(1_usize), Just(4096)],
    ) {
        let mut bytes = wrap(&records, envelope, false).into_bytes();
        for (index, byte, kind) in changes {
            let at = index.index(bytes.len().max(1)).min(bytes.len().saturating_sub(1));
            match kind {
                _ if bytes.is_empty() => {}
                0 => bytes[at] = byte,
                1 => bytes.insert(at, b"{}[]\",:\n\\"[usize::from(byte) % 9]),
                2 => { bytes.remove(at); }
                _ => bytes.truncate(at),
            }
        }
        // `run` checks the balance; how the bytes come must not change what is found.
        let limits = ",\"max_record_bytes\":600,\"max_depth\":6";
        let whole = dfp_records_testing::run::<SignIns>(host(&bytes, usize::MAX), config(limits));
        let stepped = dfp_records_testing::run::<SignIns>(host(&bytes, step), config(limits));
        prop_assert_eq!(whole.rows, stepped.rows);
        prop_assert_eq!(whole.rejects, stepped.rejects);
    }

    #[test]
    fn any_bytes_at_all(bytes in prop::collection::vec(any::<u8>(), 0..400), csv in any::<bool>()) {
        let head = if csv { &b"Id,TimeGenerated,DeviceDetail\n"[..] } else { b"" };
        dfp_records_testing::run::<SignIns>(host(&[head, &bytes].concat(), 16), config(",\"max_record_bytes\":100"));
    }
}
