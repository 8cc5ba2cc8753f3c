//! Options as text.

use dfp_sdk::core::{Error, ErrorKind, Result};
use dfp_sdk::models::sequence::Config;
use dfp_sdk::prep::commands::SessionRules;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// A JSON object; NULL is the empty one.
pub(crate) fn read<T: DeserializeOwned>(text: Option<&str>, name: &str) -> Result<T> {
    serde_json::from_str(text.unwrap_or("{}")).map_err(|e| wrong(name, e))
}

fn wrong(name: &str, error: serde_json::Error) -> Error {
    Error::caused(ErrorKind::InvalidConfig, format!("reading {name}"), error)
}

/// Settings of a model of sequences: those given, and for the rest those of the `preset`, `default` or `parity`.
pub(crate) fn config(text: Option<&str>) -> Result<Config> {
    let given: Map<String, Value> = read(text, "config")?;
    let preset = match given.get("preset").map_or(Some("default"), Value::as_str) {
        Some("default") => Config::default(),
        Some("parity") => Config::parity(),
        _ => {
            let what = "reading config: `preset` is neither \"default\" nor \"parity\"";
            return Err(Error::new(ErrorKind::InvalidConfig, what));
        }
    };
    let preset = serde_json::to_value(preset).map_err(|e| wrong("config", e))?;
    let mut all: Map<String, Value> = serde_json::from_value(preset).map_err(|e| wrong("config", e))?;
    all.extend(given.into_iter().filter(|(key, _)| key != "preset"));
    serde_json::from_value(Value::Object(all)).map_err(|e| wrong("config", e))
}

/// Rules of sessions: a JSON object, or TOML, in which no text begins with a brace.
pub(crate) fn rules(text: &str) -> Result<SessionRules> {
    if text.trim_start().starts_with('{') {
        return read(Some(text), "rules");
    }
    SessionRules::from_toml(text).map_err(|e| Error::from(e).context("reading rules"))
}
