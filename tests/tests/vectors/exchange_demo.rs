//! The demo file of the exchange vectors, as sessions: a few lines that know nothing of how dfp reads files or makes sessions.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use dfp_prep::parse_time;
use serde_json::Value;

use crate::values::{list, number, text};

/// A row of the demo file.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) users: Vec<Option<String>>,
    /// Nanoseconds since 1970.
    pub(crate) time: i64,
    pub(crate) command: String,
    pub(crate) params: BTreeMap<String, Option<String>>,
}

/// The demo file's sessions as a vector's `config` wants them, in the reference's order; none where the file is missing.
pub(crate) fn sessions(config: &Value) -> Option<Vec<Vec<Event>>> {
    let path = file()?;
    let table = csv(&std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display())));
    let column = |name: &str| {
        let found = table[0].iter().position(|header| header == name);
        found.unwrap_or_else(|| panic!("{} has no column {name}", path.display()))
    };
    let users: Vec<usize> = list(&config["user_columns"]).iter().map(|name| column(&text(name))).collect();
    let time = column(&text(&config["time_column"]));
    let (command, params) = (column("Operation"), column("Parameters"));
    let event = |row: &Vec<String>| Event {
        users: users.iter().map(|at| Some(row[*at].clone()).filter(|user| !user.is_empty())).collect(),
        time: parse_time(&row[time]).expect("times are well written"),
        command: row[command].clone(),
        params: parameters(&row[params]),
    };
    let mut events: Vec<Event> = table[1..].iter().map(event).collect();
    // The reference puts nulls where this text is sorted.
    let order = |user: &Option<String>| user.clone().unwrap_or_else(|| "dummy_str".to_owned());
    events.sort_by_cached_key(|event| (event.users.iter().map(order).collect::<Vec<_>>(), event.time));
    let minutes = |name: &str| (number(&config[name]) * 60e9) as i64;
    let (longest, apart) = (minutes("max_session_time_mins"), minutes("max_event_separation_mins"));
    let mut sessions: Vec<Vec<Event>> = Vec::new();
    for event in events {
        let goes_on = |session: &&mut Vec<Event>| {
            let (first, last) = (&session[0], &session[session.len() - 1]);
            last.users == event.users && event.time - last.time <= apart && event.time - first.time <= longest
        };
        match sessions.last_mut().filter(goes_on) {
            Some(session) => session.push(event),
            None => sessions.push(vec![event]),
        }
    }
    Some(sessions)
}

fn file() -> Option<PathBuf> {
    let folders: Vec<PathBuf> = match std::env::var_os("DFP_SAMPLES") {
        Some(list) => std::env::split_paths(&list).collect(),
        None => vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data")],
    };
    folders.iter().map(|folder| folder.join("exchange/demo_exchange_data.csv")).find(|path| path.is_file())
}

/// A list of objects with a name and a value; of repeated names, the last one counts.
fn parameters(json: &str) -> BTreeMap<String, Option<String>> {
    let all: Value = serde_json::from_str(json).expect("parameters are JSON");
    let pair = |param: &Value| (text(&param["Name"]), param["Value"].as_str().map(str::to_owned));
    list(&all).iter().map(pair).collect()
}

/// Rows of fields, some in quotes, within which two stand for one, and lines go on.
fn csv(text: &str) -> Vec<Vec<String>> {
    let (mut rows, mut row, mut field, mut quoted) = (Vec::new(), Vec::new(), String::new(), false);
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '"' if quoted && rest.next_if_eq(&'"').is_some() => field.push('"'),
            '"' => quoted = !quoted,
            ',' if !quoted => row.push(std::mem::take(&mut field)),
            '\r' if !quoted => {}
            '\n' if !quoted => {
                row.push(std::mem::take(&mut field));
                rows.push(std::mem::take(&mut row));
            }
            other => field.push(other),
        }
    }
    if !row.is_empty() || !field.is_empty() {
        row.push(field);
        rows.push(row);
    }
    rows
}
