//! Any text as the parameters of a command: it reads as parameters, or as none, or the record is rejected; never a panic, and no
//! record is lost. What is made of a readable one is sorted, without repeats, and the same for both kinds of event.
#![no_main]

use std::sync::{Arc, Mutex};

use dfp_core::{Error, ErrorKind, Host, Level, Reject, Result, Stage};
use dfp_plugin::arrow_array::cast::AsArray;
use dfp_plugin::arrow_array::{Array, ArrayRef, RecordBatch, StringArray};
use dfp_prep::commands::{EVENT, EventKind, SessionEvents, SessionRules, Unreadable};
use libfuzzer_sys::fuzz_target;

#[derive(Default)]
struct Rejects(Mutex<Vec<Reject>>);

impl Host for Rejects {
    fn log_enabled(&self, _level: Level) -> bool {
        false
    }
    fn log(&self, _level: Level, _target: &str, _message: &str) {}
    fn is_cancelled(&self) -> bool {
        false
    }
    fn open(&self, uri: &str) -> Result<Box<dyn std::io::Read + Send>> {
        Err(Error::new(ErrorKind::Unsupported, uri))
    }
    fn reject(&self, reject: Reject) {
        assert!(reject.detail.len() < 1000);
        self.0.lock().unwrap().push(reject);
    }
    fn count(&self, _counter: &str, _n: u64) {}
}

const RULES: [&str; 3] = [
    r#"{ rule = "pairs", input = "p" }"#,
    r#"{ rule = "object", input = "p" }"#,
    r#"{ rule = "set", inputs = ["p"], paths = ["p"] }"#,
];

fuzz_target!(|text: &str| {
    let column = |text: &str| -> ArrayRef { Arc::new(StringArray::from(vec![text])) };
    let raw = RecordBatch::try_from_iter([("_time", column("")), ("name", column("x")), ("p", column(text))]);
    let raw = raw.expect("one row");
    for parameters in RULES {
        let rules = format!("identity = []\n[event]\nname = \"name\"\nkind = \"parameters\"\nparameters = {parameters}");
        let rules = SessionRules::from_toml(&rules).expect("rules that work");
        let names = names(&rules, EventKind::Parameters, &raw);
        assert!(names.iter().flatten().is_sorted_by(|a, b| a < b), "{names:?}");
        if !parameters.contains("set") {
            assert_eq!(names, self::names(&rules, EventKind::Values, &raw));
        }
    }
});

/// The names of the record's parameters; `None` if it is rejected.
fn names(rules: &SessionRules, kind: EventKind, raw: &RecordBatch) -> Option<Vec<String>> {
    let mut rules = rules.clone();
    rules.event.kind = kind;
    rules.event.unreadable = Unreadable::Reject;
    let host = Arc::new(Rejects::default());
    let mut stage = SessionEvents::new(rules, host.clone()).expect("rules that work");
    stage.bind(raw.schema()).expect("columns that do");
    stage.push(raw.clone()).expect("a batch of records");
    let Some(events) = stage.pull().expect("a batch of events") else {
        assert_eq!(host.0.lock().unwrap().len(), 1);
        return None;
    };
    let params = events.column_by_name(EVENT).expect("its column").as_struct().column(1).clone();
    let names = match params.as_map_opt() {
        Some(maps) => maps.value(0).column(0).clone(),
        None => params.as_list::<i32>().value(0),
    };
    assert_eq!(names.null_count(), 0);
    Some(names.as_string::<i32>().iter().flatten().map(str::to_owned).collect())
}
