//! The forms that CloudTrail records take, and what must come out of them.

use dfp_cloudtrail::Events;
use dfp_plugin::reason;
use dfp_records_testing::{Run, decode, packed};

fn run(text: &str) -> Run {
    decode::<Events>(text.as_bytes())
}

const RECORD: &str = r#"{"eventVersion":"1.08","userIdentity":{"type":"AssumedRole","arn":"arn:aws:sts::012345678901:assumed-role/Ops/ann","accountId":"012345678901","sessionContext":{"sessionIssuer":{"userName":"Ops"}}},"eventTime":"2024-05-06T07:08:09Z","eventSource":"ec2.amazonaws.com","eventName":"DescribeImages","awsRegion":"eu-west-1","requestParameters":{"ownersSet":{"items":[{"owner":"self"}]},"maxResults":5},"responseElements":null,"eventID":"e-1","readOnly":true}"#;

/// What each form of the record must read as.
fn check(run: &Run, text: &str) {
    assert_eq!(run.rejects, [], "{text}");
    for (column, value) in [
        ("_record_id", "e-1"),
        ("_time", "1714979289000000000"),
        ("_outcome", "success"),
        ("eventName", "DescribeImages"),
        ("userIdentity.accountId", "012345678901"),
        ("userIdentity.sessionContext.sessionIssuer.userName", "Ops"),
        ("requestParameters.ownersSet.items", "self"),
        ("requestParameters.maxResults", "5"),
        ("readOnly", "true"),
    ] {
        assert_eq!(run.column(column), [value], "{column} of {text}");
    }
}

#[test]
fn one_event_reads_the_same_in_every_form() {
    let search = RECORD.replace("\"eventTime\"", "\"@version\":\"1\",\"@timestamp\"");
    let engine = "eventversion,useridentity,eventtime,eventsource,eventname,requestparameters,eventid,readonly\n\
        1.08,\"{type=AssumedRole, principalid=AROA:ann, arn=arn:aws:sts::012345678901:assumed-role/Ops/ann, accountid=012345678901, invokedby=null, \
        sessioncontext={attributes={mfaauthenticated=false}, sessionissuer={type=Role, username=Ops}}}\",2024-05-06T07:08:09Z,ec2.amazonaws.com,DescribeImages,\
        \"{\"\"ownersSet\"\":{\"\"items\"\":[{\"\"owner\"\":\"\"self\"\"}]},\"\"maxResults\"\":5}\",e-1,true\n";
    let sentinel = "\u{feff}\"TimeGenerated [UTC]\",AwsEventId,EventName,UserIdentityAccountId,SessionIssuerUserName,RequestParameters,ReadOnly,ErrorCode\r\n\
        \"6/5/2024, 7:08:09.000 AM\",e-1,DescribeImages,012345678901,Ops,\"{\"\"ownersSet\"\":{\"\"items\"\":[{\"\"owner\"\":\"\"self\"\"}]},\"\"maxResults\"\":5}\",TRUE,\r\n\
        \"21/5/2024, 7:08:09.000 AM\",e-2,DescribeImages,012345678901,Ops,,TRUE,AccessDenied\r\n";
    let flattened = "eventTime,eventName,eventID,readOnly,userIdentityaccountId,userIdentitysessionContextsessionIssueruserName,\
        requestParametersmaxResults,requestParametersownersSetitems,requestParameters,errorCode\n\
        2024-05-06T07:08:09Z,DescribeImages,e-1,True,012345678901,Ops,5,[{'owner': 'self'}],,\n";
    for text in [RECORD.to_owned(), search, engine.to_owned(), flattened.to_owned()] {
        check(&run(&text), &text);
    }
    let mut days = run(sentinel);
    assert_eq!(days.column("_outcome"), ["success", "failure"]);
    days.rows.pop();
    check(&days, sentinel);
}

#[test]
fn packed_events_stand_where_their_text_stands_and_damage_costs_only_what_is_behind_it() {
    let message = serde_json::json!({"messageType": "DATA_MESSAGE", "logEvents": [{"id": "1", "timestamp": 1, "message": RECORD}]});
    let text = packed(&message.to_string());
    let event = |text: &str| format!(r#"{{"awslogs":{{"data":"{text}"}}}}"#);
    let whole = run(&format!("{}\n{RECORD}\n", event(&text)));
    assert_eq!((whole.column("_record_id"), whole.reasons()), (vec!["e-1", "e-1"], Vec::new()));
    assert_eq!(whole.column("_origin"), ["x:1:1", "x:2:1"]);
    check(&run(&event(&text)), &text);

    for damaged in [text[..text.len() / 2].to_owned(), text.replace(&text[40..42], "!!")] {
        let run = run(&format!("{}\n{RECORD}\n", event(&damaged)));
        assert_eq!(run.column("_record_id"), ["e-1"], "{damaged}");
        assert_eq!(run.rejects.len(), 1);
        assert_eq!((run.rejects[0].origin.as_str(), run.reasons()[0]), ("x:1:1", reason::TRUNCATED));
    }
    // Texts in texts are not followed, and what only looks like one is a record as it stands.
    let twice = event(&packed(&event(&text)));
    assert_eq!(run(&twice).reasons(), [reason::OTHER_CATEGORY]);
    assert_eq!(run(&event("H4sn")).reasons(), [reason::OTHER_CATEGORY]);
}

#[test]
fn what_is_no_event_is_told_apart() {
    for text in [
        r#"{"awsAccountId":"1","digestStartTime":"2024-05-06T07:08:09Z","logFiles":[{"s3Bucket":"b"}]}"#,
        r#"{"messageType":"CONTROL_MESSAGE","logEvents":[{"id":"","timestamp":1,"message":"CWL CONTROL MESSAGE: Checking health"}]}"#,
        r#"{"version":"0","detail-type":"EC2 Instance State-change Notification","detail":{"instance-id":"i-1","state":"running"}}"#,
    ] {
        assert_eq!(run(text).reasons(), [reason::OTHER_CATEGORY], "{text}");
    }
    let cut = r#"{"Events":[{"EventId":"a","EventTime":1714979289,"CloudTrailEvent":"{\"eventTime\":\"2024-05-"}]}"#;
    assert_eq!(run(cut).reasons(), [reason::MALFORMED]);
    let empty = run(r#"{"Records":[]}"#);
    assert_eq!((empty.read, empty.rows.len()), (0, 0));
}

#[test]
fn outcomes() {
    let outcome = |members: &str| {
        let record = format!(r#"{{"eventTime":"2024-05-06T07:08:09Z","eventID":"a",{members}}}"#);
        run(&record).column("_outcome")[0].to_owned()
    };
    for (members, expected) in [
        (r#""eventType":"AwsApiCall""#, "success"),
        (r#""errorCode":null,"errorMessage":"""#, "success"),
        (r#""errorCode":"AccessDenied""#, "failure"),
        (
            r#""errorMessage":"Failed authentication","responseElements":{"ConsoleLogin":"Failure"}"#,
            "failure",
        ),
        (r#""responseElements":"{\"ConsoleLogin\":\"Failure\"}""#, "failure"),
        (r#""responseElements":{"ConsoleLogin":"Success"}"#, "success"),
        (r#""eventType":"AwsCloudTrailInsight""#, "-"),
    ] {
        assert_eq!(outcome(members), expected, "{members}");
    }
}

#[test]
fn lists_and_parameters_of_several_types_are_text() {
    let record = |parameters: &str| {
        format!(r#"{{"eventTime":"20240506T070809Z","eventID":"a","requestParameters":{parameters}}}"#)
    };
    for (parameters, first, protect, most) in [
        (r#"{"ownersSet":{"items":[]},"disableApiTermination":true,"MaxResults":1}"#, "-", "true", "-"),
        (
            r#"{"ownersSet":{},"disableApiTermination":{"value":false},"maxResults":"9"}"#,
            "-",
            r#"{"value":false}"#,
            "9",
        ),
        ("null", "-", "-", "-"),
    ] {
        let run = run(&record(parameters));
        assert_eq!(run.column("requestParameters.ownersSet.items"), [first], "{parameters}");
        assert_eq!(run.column("requestParameters.disableApiTermination"), [protect], "{parameters}");
        assert_eq!(run.column("requestParameters.maxResults"), [most], "{parameters}");
    }
}
