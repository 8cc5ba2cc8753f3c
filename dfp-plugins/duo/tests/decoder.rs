//! The forms that Duo's records take, and what must come out of them.

use dfp_duo::Authentications;
use dfp_plugin::reason;
use dfp_records_testing::{Run, decode};

fn run(text: &str) -> Run {
    decode::<Authentications>(text.as_bytes())
}

const RECORD: &str = r#"{"access_device":{"browser":"Chrome","ip":"203.0.113.7","is_encryption_enabled":true,"is_password_set":"unknown","location":{"city":"Leeds","state":null,"country":"United Kingdom"},"os":"Windows","security_agents":"unknown"},"alias":"","application":{"key":"DI1","name":"VPN"},"auth_device":{"ip":null,"location":{},"name":"Zoë's phone (+44 20 7946 0000)"},"email":"ann@example.com","event_type":"authentication","factor":"duo_push","isotimestamp":"2024-05-06T07:08:09.123456+00:00","reason":"user_approved","result":"success","timestamp":1714979289,"txid":"t-1","user":{"groups":["Staff","VPN"],"key":"DU1","name":"ann"}}"#;

/// What each form of the record must read as.
const EXPECTED: [(&str, &str); 13] = [
    ("_record_id", "t-1"),
    ("_time", "1714979289123456000"),
    ("_outcome", "success"),
    ("user.name", "ann"),
    ("application.name", "VPN"),
    ("auth_device.name", "Zoë's phone (+44 20 7946 0000)"),
    ("factor", "duo_push"),
    ("reason", "user_approved"),
    ("access_device.ip", "203.0.113.7"),
    ("access_device.browser", "Chrome"),
    ("access_device.location.city", "Leeds"),
    ("access_device.location.state", "-"),
    ("access_device.location.country", "United Kingdom"),
];

fn check(run: &Run, text: &str) {
    assert_eq!(run.rejects, [], "{text}");
    for (column, value) in EXPECTED {
        assert_eq!(run.column(column), [value], "{column} of {text}");
    }
}

#[test]
fn one_authentication_reads_the_same_in_every_form() {
    let collected = RECORD.replacen('{', r#"{"eventtype":"auth_log","host":"api-1.example.com","#, 1);
    let text = serde_json::to_string(RECORD).unwrap();
    let panel = "\u{feff}Timestamp (UTC),User,Application,Factor,Device,Result,Reason,Access Device IP,Browser,Operating System,City,State,Country,Transaction ID\r\n\
        2024-05-06T07:08:09.123456+00:00,ann,VPN,duo_push,Zoë's phone (+44 20 7946 0000),Granted,user_approved,203.0.113.7,Chrome,Windows,Leeds,,United Kingdom,t-1\r\n";
    let flattened = "isotimestamp,user_name,application_name,factor,auth_device_name,result,reason,access_device_ip,access_device_browser,\
        access_device_location_city,access_device_location_country,txid\n\
        2024-05-06T07:08:09.123456+00:00,ann,VPN,duo_push,Zoë's phone (+44 20 7946 0000),success,user_approved,203.0.113.7,Chrome,Leeds,United Kingdom,t-1\n";
    for form in [
        RECORD.to_owned(),
        format!(
            r#"{{"stat":"OK","response":{{"authlogs":[{RECORD}],"metadata":{{"next_offset":["1532951895000","t-1"],"total_objects":1}}}}}}"#
        ),
        format!(r#"{{"authlogs":[{RECORD}],"metadata":{{"next_offset":null,"total_objects":1}}}}"#),
        format!(r#"{{"stat":"OK","response":[{RECORD}]}}"#),
        collected,
        format!(r#"{{"service":"authentication","message":{RECORD}}}"#),
        format!(r#"{{"service":"authentication","message":{text},"ddsource":"duo"}}"#),
        format!("[{RECORD}]"),
        panel.to_owned(),
        flattened.to_owned(),
    ] {
        check(&run(&form), &form);
    }
}

#[test]
fn the_first_version_has_other_names_and_words() {
    let text = r#"{"stat":"OK","response":[{"timestamp":1714979289,"username":"ann","factor":"Duo Push","result":"FRAUD",
        "reason":"User marked fraud","device":"+44 20 7946 0000","integration":"VPN","ip":"203.0.113.7","new_enrollment":false,
        "location":{"city":"Leeds","state":"England","country":"GB"},"host":"api-1.example.com","eventtype":"authentication",
        "access_device":{"browser":"Chrome","os":"Windows"}}]}"#;
    let run = run(text);
    assert_eq!(run.rejects, []);
    for (column, value) in [
        ("_record_id", "-"),
        ("_time", "1714979289000000000"),
        ("_outcome", "failure"),
        ("timestamp", "1714979289"),
        ("user.name", "ann"),
        ("application.name", "VPN"),
        ("auth_device.name", "+44 20 7946 0000"),
        ("access_device.ip", "203.0.113.7"),
        ("access_device.browser", "Chrome"),
        ("access_device.location.state", "England"),
        ("new_enrollment", "false"),
    ] {
        assert_eq!(run.column(column), [value], "{column}");
    }
}

#[test]
fn an_object_without_a_name_names_nobody() {
    let run = run(
        r#"{"user":{"key":"DU1"},"application":{},"result":"denied","factor":null,"event_type":"authentication","timestamp":1714979289}"#,
    );
    assert_eq!((run.column("user.name"), run.column("user.key")), (vec!["-"], vec!["DU1"]));
    assert_eq!((run.column("application.name"), run.column("factor")), (vec!["-"], vec!["-"]));
}

#[test]
fn flags_are_text_and_lists_are_json() {
    let columns = r#","columns":["access_device.is_encryption_enabled","access_device.is_password_set",
        "access_device.security_agents","user.groups","adaptive_trust_assessments.more_secure_auth.trust_level"]"#;
    let more = RECORD
        .replace(
            r#""security_agents":"unknown""#,
            r#""security_agents":[{"security_agent":"amp", "version":"1"}]"#,
        )
        .replace(
            r#""alias":"""#,
            r#""adaptive_trust_assessments":{"more_secure_auth":{"trust_level":"LOW"}}"#,
        );
    let text = format!("{RECORD}\n{more}\n");
    let host = dfp_records_testing::host(text.as_bytes(), usize::MAX);
    let run = dfp_records_testing::run::<Authentications>(host, dfp_records_testing::config(columns));
    assert_eq!(run.column("access_device.is_encryption_enabled"), ["true", "true"]);
    assert_eq!(run.column("access_device.is_password_set"), ["unknown", "unknown"]);
    let agents = r#"[{"security_agent":"amp","version":"1"}]"#;
    assert_eq!(run.column("access_device.security_agents"), ["unknown", agents]);
    assert_eq!(run.column("user.groups"), [r#"["Staff","VPN"]"#; 2]);
    assert_eq!(run.column("adaptive_trust_assessments.more_secure_auth.trust_level"), ["-", "LOW"]);
}

#[test]
fn words_of_success_and_failure() {
    let outcome = |result: &str| {
        let text = RECORD.replace(r#""result":"success""#, &format!("\"result\":\"{result}\""));
        run(&text).column("_outcome")[0].to_owned()
    };
    for (result, expected) in [
        ("success", "success"),
        ("SUCCESS", "success"),
        ("denied", "failure"),
        ("DENIED", "failure"),
        ("fraud", "failure"),
        ("FAILURE", "failure"),
        ("maybe", "-"),
    ] {
        assert_eq!(outcome(result), expected, "{result}");
    }
}

#[test]
fn other_logs_of_duo_are_told_apart() {
    for text in [
        r#"{"action":"admin_login","description":"{\"ip_address\":\"203.0.113.7\"}","isotimestamp":"2024-05-06T07:08:09+00:00","object":null,"timestamp":1714979289,"username":"Root","eventtype":"administrator","host":"api-1.example.com"}"#,
        r#"{"context":"authentication","credits":1,"phone":"+442079460000","timestamp":1714979289,"type":"sms","txid":"t-1"}"#,
        r#"{"action":"o2fa_user_provisioned","description":"{\"factor\":\"duo_otp\"}","object":"VPN","timestamp":1714979289,"username":"ann"}"#,
        r#"{"action":{"name":"webapi_request"},"activity_id":"a","actor":{"name":"x"},"ts":"2024-05-06T07:08:09+00:00","result":"success","txid":"t"}"#,
        r#"{"stat":"OK","response":{"items":[{"context":"enrollment","telephony_id":"t","ts":"2024-05-06T07:08:09+00:00","txid":"t-1"}],"metadata":{}}}"#,
        r#"{"stat":"FAIL","code":40002,"message":"Invalid request parameters"}"#,
    ] {
        assert_eq!(run(text).reasons(), [reason::OTHER_CATEGORY], "{text}");
    }
    let none =
        run(r#"{"stat":"OK","response":{"authlogs":[],"metadata":{"next_offset":null,"total_objects":0}}}"#);
    assert_eq!((none.read, none.rows.len()), (0, 0));
}

#[test]
fn a_time_in_seconds_is_never_taken_for_milliseconds() {
    let time = |text: &str| {
        let record = RECORD
            .replace(r#""isotimestamp":"2024-05-06T07:08:09.123456+00:00","#, "")
            .replace("1714979289", text);
        run(&record).column("_time")[0].to_owned()
    };
    assert_eq!(time("1714979289"), "1714979289000000000");
    assert_eq!(time("\"1714979289\""), "1714979289000000000");
    assert_eq!(time("1714979289.5"), "1714979289500000000");
    assert_eq!(time("1714979289123"), "1714979289123000000");
}
