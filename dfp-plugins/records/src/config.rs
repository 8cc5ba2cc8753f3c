//! The source's configuration.

use dfp_plugin::{Error, ErrorKind, Result};
use serde::Deserialize;

use crate::columns::STANDARD;
use crate::missing::MISSING;

/// How the source reads. JSON Schema: `config.schema.json`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Files or addresses, read in this order.
    pub inputs: Vec<String>,
    /// Columns to emit, named by their dotted paths in the log's own record whatever the envelope; `None` means every
    /// known field but the long lists. Paths nobody knows are text, nested values as JSON. The standard columns may be
    /// named too; they are there anyway.
    pub columns: Option<Vec<String>>,
    /// Texts that mean "no value".
    pub missing: Vec<String>,
    /// Rows in a batch; one that holds much text ends earlier.
    pub batch_rows: usize,
    /// Longer records are rejected as `oversized`.
    pub max_record_bytes: usize,
    /// More deeply nested records are rejected as `too-deep`.
    pub max_depth: usize,
    /// What to do about an input that cannot be read.
    pub unreadable: Unreadable,
}

/// What to do about an input that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unreadable {
    /// End with an error that names it.
    Fail,
    /// Warn, count it as [`FILES_UNREADABLE`](crate::FILES_UNREADABLE) and go on.
    Skip,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            inputs: Vec::new(),
            columns: None,
            missing: MISSING.iter().map(|&text| text.to_owned()).collect(),
            batch_rows: 8192,
            max_record_bytes: 16 << 20,
            max_depth: 128,
            unreadable: Unreadable::Fail,
        }
    }
}

impl Config {
    /// Refuses values that the reader of the log with this id cannot work with.
    pub(crate) fn check(&self, log: &str) -> Result<()> {
        const MOST_COLUMNS: usize = 4096;
        let invalid =
            |what: &str| Error::new(ErrorKind::InvalidConfig, format!("configuring source {log}: {what}"));
        for (name, value, most) in [
            ("batch_rows", self.batch_rows, 1 << 20),
            ("max_record_bytes", self.max_record_bytes, 512 << 20),
            ("max_depth", self.max_depth, 1024),
        ] {
            if value == 0 || value > most {
                return Err(invalid(&format!("{name} is {value}; it may be from 1 to {most}")));
            }
        }
        let mut names: Vec<&str> = self.columns.iter().flatten().map(String::as_str).collect();
        if names.len() > MOST_COLUMNS {
            return Err(invalid(&format!("{} columns; at most {MOST_COLUMNS} are read", names.len())));
        }
        names.sort_unstable();
        if let Some(name) = names.windows(2).find_map(|pair| (pair[0] == pair[1]).then_some(pair[0])) {
            return Err(invalid(&format!("column {name} is asked for twice")));
        }
        if let Some(name) = names.iter().find(|name| name.split('.').any(str::is_empty)) {
            return Err(invalid(&format!("column {name:?} is no dotted path")));
        }
        let is_refused = |name: &&&str| name.starts_with('_') && !STANDARD.contains(name);
        if let Some(name) = names.iter().find(is_refused) {
            return Err(invalid(&format!("column {name}: names that begin with _ are the source's own")));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_and_the_struct_name_the_same_members() {
        let schema: serde_json::Value = serde_json::from_str(include_str!("config.schema.json")).unwrap();
        let members: Vec<&String> = schema["properties"].as_object().unwrap().keys().collect();
        assert_eq!(
            members,
            ["batch_rows", "columns", "inputs", "max_depth", "max_record_bytes", "missing", "unreadable"]
        );
        let defaults = Config::default();
        for (name, value) in [
            ("batch_rows", defaults.batch_rows),
            ("max_record_bytes", defaults.max_record_bytes),
            ("max_depth", defaults.max_depth),
        ] {
            assert_eq!(schema["properties"][name]["default"], value, "{name}");
            let config = format!("{{\"{name}\":{}}}", schema["properties"][name]["maximum"]);
            let most: Config = serde_json::from_str(&config).unwrap();
            assert!(most.check("plain").is_ok(), "{config}");
        }
        assert_eq!(schema["properties"]["missing"]["default"], serde_json::json!(defaults.missing));
        assert!(serde_json::from_str::<Config>(r#"{"input":[]}"#).is_err());
    }

    #[test]
    fn values_that_make_no_sense_are_refused_by_name() {
        for (config, named) in [
            (r#"{"batch_rows":0}"#, "batch_rows"),
            (r#"{"max_record_bytes":600000000}"#, "max_record_bytes"),
            (r#"{"max_depth":1025}"#, "max_depth"),
            (r#"{"columns":["time","time"]}"#, "time"),
            (r#"{"columns":["a..b"]}"#, "a..b"),
            (r#"{"columns":[""]}"#, "dotted"),
            (r#"{"columns":["_time","_outcome","_x"]}"#, "_x"),
        ] {
            let config: Config = serde_json::from_str(config).unwrap();
            let error = config.check("plain").expect_err("refused");
            assert_eq!(error.kind(), ErrorKind::InvalidConfig);
            assert!(error.to_string().contains(named), "{error}");
        }
    }
}
