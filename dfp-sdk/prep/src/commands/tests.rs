use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::UInt32Type;
use arrow_array::{Array, RecordBatch};
use dfp_core::{EVENT_TIME, ErrorKind, ORIGIN, RECORD_ID, Stage, reason};
use proptest::prelude::*;

use super::*;
use crate::sessionize::{Bounds, sessionize};
use crate::testing::{Rejects, raw, texts};

const OFFICE: &str = include_str!("../../../../examples/sessions/office-activity.toml");
const AWS: &str = include_str!("../../../../examples/sessions/aws-cloudtrail.toml");
const VM: &str = include_str!("../../../../examples/sessions/vm-process.toml");

fn events(rules: &SessionRules, raw: &RecordBatch) -> (RecordBatch, Arc<Rejects>) {
    let host = Arc::new(Rejects::default());
    let mut stage = SessionEvents::new(rules.clone(), host.clone()).unwrap();
    let schema = stage.bind(raw.schema()).unwrap();
    stage.push(raw.clone()).unwrap();
    let events = stage.pull().unwrap().unwrap_or_else(|| RecordBatch::new_empty(schema.clone()));
    assert_eq!(events.schema(), schema);
    (events, host)
}

/// Events of kind `parameters` or `values`, readable.
fn written(events: &RecordBatch) -> Vec<String> {
    let event = events[EVENT].as_struct();
    let names = event.column_by_name("name").unwrap().as_string::<i32>();
    let params = event.column_by_name("params").unwrap();
    let params = |row| match params.as_map_opt() {
        Some(maps) => {
            let map = maps.value(row);
            let value = |value: Option<&str>| value.map_or("null".to_owned(), |value| format!("{value:?}"));
            let pairs = map.column(0).as_string::<i32>().iter().zip(map.column(1).as_string::<i32>());
            pairs.map(|(name, v)| format!("{}={}", name.unwrap(), value(v))).collect::<Vec<_>>().join(" ")
        }
        None => params
            .as_list::<i32>()
            .value(row)
            .as_string::<i32>()
            .iter()
            .flatten()
            .collect::<Vec<_>>()
            .join(","),
    };
    (0..events.num_rows()).map(|row| format!("{}: {}", names.value(row), params(row))).collect()
}

#[test]
fn the_recipes_are_valid_and_name_their_columns() {
    let office = SessionRules::from_toml(OFFICE).unwrap();
    assert_eq!(office.raw_columns(), ["UserId", "ClientIP", "RecordType", "Operation", "Parameters"]);
    assert_eq!(office.options().limits.bounds, Bounds::Inclusive);
    assert_eq!(SessionRules::from_toml(AWS).unwrap().raw_columns().len(), 7);
    let vm = SessionRules::from_toml(VM).unwrap();
    assert_eq!(vm.options().identity, ["UserId", "Computer"]);
    assert_eq!(
        vm.raw_columns()[..5],
        ["TimeGenerated", "UserName", "UserDomain", "Computer", "ExecutableName"].map(str::to_owned)
    );
    for rules in [office, vm] {
        let again = SessionRules::from_toml(&toml::to_string(&rules).unwrap()).unwrap();
        assert_eq!(again, rules);
    }
}

#[test]
fn office_records_become_sessions() {
    let json = r#"[{"Name":"Identity","Value":"ann"},{"Name":"Force","Value":""}]"#;
    let table = raw(
        &[0, 1, 2, 3, 4, 5],
        &[
            (
                "UserId",
                &[Some("ann"), Some("nt authority\\x"), Some("a@Prod.outlook.com"), Some("ann"), None, None],
            ),
            ("ClientIP", &[None; 6]),
            ("RecordType", &[Some("1"), Some("1"), Some("ExchangeAdmin"), Some("2"), Some("1"), Some("1")]),
            ("Operation", &[Some("Set-User"), Some("x"), Some("x"), Some("x"), Some("New-App"), None]),
            ("Parameters", &[Some(json), None, None, None, Some("not a list"), None]),
        ],
    );
    let rules = SessionRules::from_toml(OFFICE).unwrap();
    let (events, host) = events(&rules, &table);
    assert_eq!(written(&events), ["Set-User: Force=\"\" Identity=\"ann\"", "New-App: "]);
    assert_eq!(texts(&events, RECORD_ID), [Some("r0".to_owned()), Some("r4".to_owned())]);
    let rejects = host.rejects.lock().unwrap();
    let found: Vec<_> = rejects.iter().map(|reject| (reject.origin.as_str(), &*reject.reason)).collect();
    let selected = reason::NOT_SELECTED;
    assert_eq!(found, [("f:3", selected), ("f:1", selected), ("f:2", selected), ("f:5", reason::NO_EVENT)]);
    assert_eq!(host.counts.lock().unwrap().get("unreadable:Parameters"), Some(&1));
    let sessions = sessionize(&[events], &rules.options(), host.clone()).unwrap();
    assert_eq!(sessions[0]["number_events"].as_primitive::<UInt32Type>().values(), &[1, 1]);
    assert_eq!(sessions[0]["event_list"].as_list::<i32>().value_type(), EventKind::Values.data_type());
}

#[test]
fn unreadable_parameters_are_rejected_if_the_rules_say_so() {
    let table = raw(&[0, 1], &[("op", &[Some("a"), Some("b")]), ("p", &[Some("[1"), Some("{\"k\":1}")])]);
    let rules = "identity = []\n[event]\nkind = \"parameters\"\nname = \"op\"\nunreadable = \"reject\"\n\
                 parameters = { rule = \"object\", input = \"p\" }";
    let (events, host) = events(&SessionRules::from_toml(rules).unwrap(), &table);
    assert_eq!(written(&events), ["b: k"]);
    let rejects = host.rejects.lock().unwrap();
    assert_eq!((&*rejects[0].reason, rejects[0].origin.as_str()), (reason::MALFORMED, "f:0"));
    assert!(rejects[0].detail.starts_with("parameters in p: "), "{}", rejects[0].detail);
}

#[test]
fn processes_are_sets_of_texts() {
    let mut columns: Vec<(&str, &[Option<&str>])> = vec![
        ("UserName", &[Some("bob"), Some("SYSTEM"), None]),
        ("UserDomain", &[Some("CONTOSO"), Some("NT AUTHORITY"), Some("")]),
        ("Computer", &[Some("pc"), Some("pc"), Some("pc")]),
        ("ExecutableName", &[Some("explorer"), Some("x"), Some("x")]),
        ("DisplayName", &[Some("Explorer"), None, None]),
        ("ProductName", &[Some("Windows"), None, None]),
        ("Group", &[Some("Windows"), None, None]),
        ("ExecutablePath", &[Some("C:\\Windows\\Explorer.EXE"), None, None]),
    ];
    columns.push(("TimeGenerated", &[Some("2024-01-01"); 3]));
    let (events, host) = events(&SessionRules::from_toml(VM).unwrap(), &raw(&[0; 3], &columns));
    // A column that the source lacks is empty.
    assert_eq!(written(&events), ["explorer: ,Explorer,Windows,c:/windows/explorer.exe"]);
    assert_eq!(texts(&events, "UserId"), [Some("bob--CONTOSO".to_owned())]);
    assert_eq!(host.rejects.lock().unwrap().len(), 2);
}

#[test]
fn commands_alone_read_no_parameters() {
    let mut rules = SessionRules::from_toml(OFFICE).unwrap();
    rules.event.kind = EventKind::Commands;
    rules.filters.clear();
    let (events, _) =
        events(&rules, &raw(&[7], &[("UserId", &[None]), ("ClientIP", &[None]), ("Operation", &[Some("")])]));
    assert_eq!(texts(&events, EVENT), [Some(String::new())]);
    let names: Vec<_> = events.schema().fields().iter().map(|field| field.name().clone()).collect();
    assert_eq!(names, [RECORD_ID, ORIGIN, "UserId", "ClientIP", EVENT_TIME, EVENT]);
    let lacking = raw(&[7], &[("UserId", &[None])]);
    let mut stage = SessionEvents::new(rules, Arc::new(Rejects::default())).unwrap();
    let error = stage.bind(lacking.schema()).unwrap_err();
    assert_eq!((error.kind(), error.to_string().contains("`Operation`")), (ErrorKind::SchemaMismatch, true));
}

#[test]
fn mistakes_in_rules_are_named() {
    let rules = SessionRules::from_toml(VM).unwrap();
    let mistake = |change: fn(&mut SessionRules)| {
        let mut wrong = rules.clone();
        change(&mut wrong);
        wrong.validate().unwrap_err().to_string()
    };
    assert!(mistake(|r| r.event.kind = EventKind::Values).contains("event.kind: a set has no values"));
    assert!(mistake(|r| r.event.parameters = None).contains("event.parameters: missing"));
    assert!(mistake(|r| r.filters[0].one_of = None).contains("where: the test of `UserDomain`"));
    assert!(mistake(|r| r.identity.push(Identity::Column(EVENT.into()))).contains("identity: `event`"));
    assert!(mistake(|r| r.identity.push(Identity::Column("UserId".into()))).contains("listed twice"));
    for text in
        ["identity = [1]", "[event]\nname = \"x\"", "identity = []\n[event]\nname = \"x\"\nkind = \"all\""]
    {
        assert!(SessionRules::from_toml(text).is_err(), "{text}");
    }
}

proptest! {
    /// Whatever stands in the columns, every record is an event, rejected, or an event without parameters, and counted.
    #[test]
    fn every_record_is_accounted_for(
        cells in prop::collection::vec((prop::option::of("[ab]?"), prop::option::of(r#"[\[\]{}":,NameValue 1\\]{0,12}"#)), 0..20),
        reject: bool,
    ) {
        let names: Vec<_> = cells.iter().map(|cell| cell.0.as_deref()).collect();
        let params: Vec<_> = cells.iter().map(|cell| cell.1.as_deref()).collect();
        let table = raw(&vec![0; cells.len()], &[("Operation", &names), ("Parameters", &params)]);
        let mut rules = SessionRules::from_toml(OFFICE).unwrap();
        rules.filters.clear();
        rules.event.unreadable = if reject { Unreadable::Reject } else { Unreadable::Empty };
        let (events, host) = events(&rules, &table);
        prop_assert_eq!(cells.len(), events.num_rows() + host.rejects.lock().unwrap().len());
        prop_assert!(events[EVENT].null_count() == 0);
    }
}
