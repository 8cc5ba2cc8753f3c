//! The forms that unified audit records take, and what must come out of them.

use dfp_exchange::Audit;
use dfp_plugin::reason;
use dfp_records_testing::{Run, config, decode, host};

fn run(text: &str) -> Run {
    decode::<Audit>(text.as_bytes())
}

const COLUMNS: [&str; 8] = [
    "Operation",
    "Workload",
    "UserId",
    "ClientIP",
    "ResultStatus",
    "Parameters",
    "Parameters.Name",
    "ExtendedProperties.UserAgent",
];

fn columns(text: &str) -> Run {
    let columns = format!(",\"columns\":{COLUMNS:?}");
    dfp_records_testing::run::<Audit>(host(text.as_bytes(), usize::MAX), config(&columns))
}

const RECORD: &str = r#"{"CreationTime":"2024-05-06T07:08:09","Id":"e-1","Operation":"New-InboxRule","OrganizationId":"o","RecordType":1,"ResultStatus":"True","UserKey":"k","UserType":2,"Version":1,"Workload":"Exchange","ClientIP":"[2001:db8::7]:54088","UserId":"Ann@Example.com","ObjectId":"x\\y","ExternalAccess":false,"Parameters":[{"Name":"Name","Value":"a \"b\""},{"Name":"ForwardTo","Value":"eve@example.org"}],"ExtendedProperties":[]}"#;
const PARAMETERS: &str =
    r#"[{"Name":"Name","Value":"a \"b\""},{"Name":"ForwardTo","Value":"eve@example.org"}]"#;

/// What each form of the record must read as.
fn check(text: &str) {
    let run = columns(text);
    assert_eq!(run.rejects, [], "{text}");
    for (column, value) in [
        ("_record_id", "e-1"),
        ("_time", "1714979289000000000"),
        ("_outcome", "success"),
        ("Operation", "New-InboxRule"),
        ("Workload", "Exchange"),
        ("UserId", "Ann@Example.com"),
        ("ClientIP", "[2001:db8::7]:54088"),
        ("ResultStatus", "True"),
        ("Parameters", PARAMETERS),
        ("Parameters.Name", "a \"b\""),
    ] {
        assert_eq!(run.column(column), [value], "{column} of {text}");
    }
}

/// A cell of a CSV file.
fn cell(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

#[test]
fn one_record_reads_the_same_in_every_form() {
    let audit_data = cell(RECORD);
    let text = serde_json::to_string(RECORD).unwrap();
    let search = format!(
        "#TYPE Selected.System.Management.Automation.PSCustomObject\r\n\
         \"PSComputerName\",\"RunspaceId\",\"PSShowComputerName\",\"RecordType\",\"CreationDate\",\"UserIds\",\"Operations\",\"AuditData\",\
         \"ResultIndex\",\"ResultCount\",\"Identity\",\"IsValid\",\"ObjectState\"\r\n\
         \"outlook.office365.com\",\"r\",\"False\",\"ExchangeAdmin\",\"5/18/2021 9:13:33 PM\",\"other@example.com\",\"Other\",{audit_data},\
         \"1\",\"5000\",\"outer\",\"True\",\"Unchanged\"\r\n"
    );
    let purview = format!(
        "\u{feff}RecordId,CreationDate,RecordType,Operation,UserId,AuditData,AssociatedAdminUnits,AssociatedAdminUnitsNames\n\
         outer,2021-05-18T21:13:33.0000000Z,50,Other,other@example.com,{audit_data},,\n"
    );
    let siem = format!(
        "AuditData,CreationDate,Operations,UserIds,\"_raw\",\"_time\",host\r\n\
         {audit_data},\"5/18/2021 9:13:33 PM\",Other,other@example.com,{},1616672202,Office365\r\n",
        cell(&format!("\"outlook.office365.com\",\"Other\",{audit_data}"))
    );
    let pretty = PARAMETERS.replace(',', ",\n  ").replace('{', "{\n  ");
    let sentinel = format!(
        "\u{feff}TenantId,RecordType,\"TimeGenerated [UTC]\",Operation,OfficeWorkload,ResultStatus,UserId,UserId_,ClientIP,ClientIP_,Parameters,\
         OfficeId,\"Start_Time [UTC]\"\r\n\
         t,ExchangeAdmin,\"5/6/2024, 7:08:09.000 AM\",New-InboxRule,Exchange,True,,Ann@Example.com,,[2001:db8::7]:54088,{},e-1,\"5/6/2024, 7:12:00.000 AM\"\r\n",
        cell(&pretty)
    );
    for form in [
        RECORD.to_owned(),
        format!("[{RECORD}]"),
        search,
        purview,
        siem,
        sentinel,
        format!(
            r#"{{"value":[{{"id":"outer","createdDateTime":"2021-05-18T21:13:33Z","auditLogRecordType":"exchangeAdmin","operation":"Other","userPrincipalName":"other@example.com","auditData":{RECORD}}}]}}"#
        ),
        format!(
            r#"{{"Identity":"outer","CreationDate":"2021-05-18T21:13:33","Operations":"Other","AuditData":{text}}}"#
        ),
        format!(
            r#"{{"tables":[{{"columns":[{{"name":"TimeGenerated"}},{{"name":"Operation"}},{{"name":"OfficeWorkload"}},{{"name":"UserId"}},
            {{"name":"ClientIP"}},{{"name":"ResultStatus"}},{{"name":"OfficeId"}},{{"name":"Parameters"}}],
            "rows":[["2024-05-06T07:08:09Z","New-InboxRule","Exchange","Ann@Example.com","[2001:db8::7]:54088","True","e-1",{}]]}}]}}"#,
            serde_json::to_string(&pretty).unwrap()
        ),
    ] {
        check(&form);
    }
}

#[test]
fn a_projection_of_few_columns() {
    let text = "TimeGenerated,UserId,ClientIP,Operation,Parameters\n\
        2024-05-06T07:08:09Z,,,New-InboxRule,\"[\n  {\n    \"\"Name\"\": \"\"Name\"\",\n    \"\"Value\"\": \"\"{\\\"\"a\\\"\":1}\"\"\n  }\n]\"\n";
    let run = columns(text);
    assert_eq!(
        (run.rejects.len(), run.column("UserId"), run.column("_record_id")),
        (0, vec!["-"], vec!["-"])
    );
    assert_eq!(run.column("Parameters"), [r#"[{"Name":"Name","Value":"{\"a\":1}"}]"#]);
    assert_eq!(run.column("Parameters.Name"), [r#"{"a":1}"#]);
}

#[test]
fn parameters_may_be_a_plain_text() {
    let record = |parameters: &str| {
        format!(
            r#"{{"CreationTime":"2024-05-06T07:08:09","RecordType":18,"Operation":"Get-Rule","Parameters":{parameters}}}"#
        )
    };
    for (parameters, text) in [(r#""-Identity \"a\"""#, "-Identity \"a\""), (r#""""#, "-"), ("[]", "-")] {
        assert_eq!(columns(&record(parameters)).column("Parameters"), [text], "{parameters}");
    }
}

#[test]
fn rows_without_their_record_are_rejected() {
    let head = "AuditData,CreationDate,Identity,Operations,UserIds,_raw\r\n";
    for (audit_data, expected) in
        [("\"\"", reason::NO_TIME), ("\"{\"\"CreationTime\"\":\"\"2024-05-06T07:0\"", reason::MALFORMED)]
    {
        let row = format!(
            "{audit_data},\"3/25/2021 12:36:42 PM\",,Add service principal.,Certificate,\"\"\"outlook\"\",\"\"x\"\r\n"
        );
        let text = format!("{head}{row}{},,,,,\r\n", cell(RECORD));
        let run = run(&text);
        assert_eq!((run.reasons(), run.column("_record_id")), (vec![expected], vec!["e-1"]), "{audit_data}");
    }
    let run = run(
        r#"{"contentUri":"https://manage.office.com/x","contentId":"c","contentType":"Audit.Exchange","contentCreated":"2024-05-06T07:08:09Z"}"#,
    );
    assert_eq!(run.reasons(), [reason::OTHER_CATEGORY]);
}

#[test]
fn words_of_success_and_failure() {
    let outcome = |members: &str| {
        let text = format!(r#"{{"CreationTime":"2024-05-06T07:08:09","Operation":"UserLoggedIn"{members}}}"#);
        run(&text).column("_outcome")[0].to_owned()
    };
    for (members, expected) in [
        (r#","ResultStatus":"True""#, "success"),
        (r#","ResultStatus":"Succeeded""#, "success"),
        (r#","ResultStatus":"success","ErrorNumber":"50140""#, "success"),
        (r#","ResultStatus":"PartiallySucceeded""#, "failure"),
        (r#","ResultStatus":"Failed""#, "failure"),
        (r#","ResultStatus":"Failure""#, "failure"),
        (r#","ResultStatus":"False""#, "failure"),
        (r#","ResultStatus":"Success","LogonError":"UserNotBoundError""#, "failure"),
        (r#","ErrorNumber":"0""#, "success"),
        (r#","ErrorNumber":50126"#, "failure"),
        (r#","ResultStatus":"New""#, "-"),
        ("", "-"),
    ] {
        assert_eq!(outcome(members), expected, "{members}");
    }
    let failed =
        r#"{"CreationTime":"2024-05-06T07:08:09","Operation":"UserLoginFailed","ResultStatus":"Success"}"#;
    assert_eq!(run(failed).column("_outcome"), ["failure"]);
    let none =
        r#"{"CreationTime":"2024-05-06T07:08:09","Operation":"x","ResultStatus":"Success","LogonError":""}"#;
    let kept =
        dfp_records_testing::run::<Audit>(host(none.as_bytes(), usize::MAX), config(",\"missing\":[]"));
    assert_eq!(kept.column("_outcome"), ["success"], "an empty error is none, even if kept as a value");
}

#[test]
fn addresses_and_agents_are_found_wherever_a_record_has_them() {
    let record =
        |members: &str| format!(r#"{{"CreationTime":"2024-05-06T07:08:09","Operation":"x",{members}}}"#);
    for (members, address, agent) in [
        (r#""ClientIPAddress":"::1","UserAgent":"a/1""#, "::1", "a/1"),
        (
            r#""ClientIP":"","ActorIpAddress":"192.0.2.1:80","ExtendedProperties":[{"Name":"UserAgent","Value":"b"}]"#,
            "192.0.2.1:80",
            "b",
        ),
        (
            r#""ClientIP":"192.0.2.2","ActorIpAddress":"192.0.2.1","ExtendedProperties":[{"Name":"additionalDetails","Value":"{\"User-Agent\":\"c\"}"}]"#,
            "192.0.2.2",
            "c",
        ),
        (r#""ExtendedProperties":[{"Name":"additionalDetails","Value":"{\"User-Agent\":\"cu"}]"#, "-", "-"),
    ] {
        let run = run(&record(members));
        assert_eq!(
            (run.column("ClientIP"), run.column("UserAgent")),
            (vec![address], vec![agent]),
            "{members}"
        );
    }
}
