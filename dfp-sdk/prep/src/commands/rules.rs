//! Which columns of a log make events and sessions: data, so that a new log needs no code.

use std::collections::BTreeSet;

use dfp_core::{EVENT_TIME, ORIGIN, RECORD_ID};
use serde::{Deserialize, Serialize};

use crate::sessionize::{SessionLimits, SessionOptions};
use crate::{Error, Result};

/// Column of events that [`SessionEvents`](super::SessionEvents) makes.
pub const EVENT: &str = "event";

/// How a log's records become sessions: which count, whose they are, what happened, and where sessions end.
///
/// ```
/// use dfp_prep::commands::SessionRules;
///
/// let rules = SessionRules::from_toml(r#"
///     identity = ["UserId", "ClientIP"]
///     where = [{ column = "UserId", not = true, starts_with = "NT AUTHORITY" }]
///
///     [event]
///     kind = "values"
///     name = "Operation"
///     parameters = { rule = "pairs", input = "Parameters" }
///
///     [limits]
///     max_length = "20min"
///     max_separation = "2min"
/// "#)?;
/// assert_eq!(rules.raw_columns(), ["UserId", "ClientIP", "Operation", "Parameters"]);
/// # Ok::<(), dfp_prep::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionRules {
    /// When it happened: a raw column. Default `_time`.
    #[serde(default = "event_time")]
    pub time: String,
    /// Whose events they are: records that agree in all of these.
    pub identity: Vec<Identity>,
    /// Which records count: those that pass all of these tests.
    #[serde(default, rename = "where", skip_serializing_if = "Vec::is_empty")]
    pub filters: Vec<Condition>,
    /// What happened.
    pub event: EventRules,
    /// Where sessions end.
    #[serde(default)]
    pub limits: SessionLimits,
}

/// One part of an identity: a raw column, or several joined to a text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Identity {
    /// The raw column of this name, as it is.
    Column(String),
    /// Raw columns joined; a missing one counts as the empty text.
    Joined(Joined),
}

/// Raw columns joined to a text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Joined {
    /// What the text is called, among the identity columns and in tests.
    pub name: String,
    /// The raw columns.
    pub inputs: Vec<String>,
    /// What goes between two of them.
    #[serde(default)]
    pub sep: String,
}

/// A test of one column, with exactly one of `one_of`, `starts_with` and `contains`. A missing value counts as the empty
/// text: "not empty" is `not = true, one_of = [""]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Condition {
    /// A raw column, or a joined identity.
    pub column: String,
    /// Whether records pass that do not match. Default false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub not: bool,
    /// The value is one of these, exactly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub one_of: Option<Vec<String>>,
    /// The value starts with this, in any case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub starts_with: Option<String>,
    /// The value has this somewhere in it, in any case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contains: Option<String>,
}

/// What a record's event is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventRules {
    /// How much of it counts.
    #[serde(default)]
    pub kind: EventKind,
    /// The raw column of the command. A record that lacks it is no event.
    pub name: String,
    /// Where its parameters are; needed for every kind but `commands`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameters: Option<Parameters>,
    /// What becomes of records whose parameters cannot be read. Default: they have none.
    #[serde(default)]
    pub unreadable: Unreadable,
}

/// How much of an event counts. The Arrow type of events says it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EventKind {
    /// The command: utf8. The default.
    #[default]
    Commands,
    /// The command and which parameters it has: struct of `name` (utf8) and `params` (list of utf8, sorted, no repeats).
    Parameters,
    /// The command, its parameters and their values: struct of `name` (utf8) and `params` (map of utf8 to utf8 or null, keys
    /// sorted, of a repeated one the last).
    Values,
}

/// Where the parameters of a command are. Absent, null, a text of blanks and JSON's `null` are no parameters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "rule", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Parameters {
    /// A JSON array of objects, one for each parameter: `[{"Name": "Identity", "Value": "ann"}]`. What else is in the
    /// objects does not count.
    Pairs {
        /// The raw column.
        input: String,
        /// Member with the name. Default `Name`.
        #[serde(default = "name_key")]
        name: String,
        /// Member with the value. Default `Value`.
        #[serde(default = "value_key")]
        value: String,
    },
    /// A JSON object: its keys are the names.
    Object {
        /// The raw column.
        input: String,
    },
    /// The values of several raw columns, as a set of texts: missing ones are the empty text, equal ones count once.
    Set {
        /// Raw columns taken as they are.
        inputs: Vec<String>,
        /// Raw columns of paths, taken in lower case and with `/` for `\`.
        #[serde(default)]
        paths: Vec<String>,
    },
}

/// What becomes of records whose parameters are not what the rule says: no JSON, another shape, nested more than 128
/// deep, longer than 1 MiB, more than 10,000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unreadable {
    /// They count as events without parameters, and as `unreadable:<column>`. The default.
    #[default]
    Empty,
    /// They are rejected as malformed.
    Reject,
}

impl SessionRules {
    /// Reads and validates rules.
    ///
    /// # Errors
    /// [`Error::Syntax`] if the text is no such rules, or as [`validate`](Self::validate).
    pub fn from_toml(text: &str) -> Result<Self> {
        let rules: Self = toml::from_str(text).map_err(|error| Error::Syntax(error.to_string()))?;
        rules.validate()?;
        Ok(rules)
    }

    /// The raw columns these rules read, each once, in the order of first use; `_record_id`, `_origin` and `_time` always
    /// come and are not listed.
    pub fn raw_columns(&self) -> Vec<String> {
        let mut columns: Vec<&str> = vec![&self.time];
        for identity in &self.identity {
            match identity {
                Identity::Column(name) => columns.push(name),
                Identity::Joined(joined) => columns.extend(joined.inputs.iter().map(String::as_str)),
            }
        }
        let raw = |name: &&str| self.joined(name).is_none();
        columns.extend(self.filters.iter().map(|filter| filter.column.as_str()).filter(raw));
        columns.extend(self.event.inputs());
        let mut seen = BTreeSet::from([RECORD_ID, ORIGIN, EVENT_TIME]);
        columns.into_iter().filter(|column| seen.insert(column)).map(str::to_owned).collect()
    }

    /// What to sessionize the events of [`SessionEvents`](super::SessionEvents) by.
    pub fn options(&self) -> SessionOptions {
        let identity = self.identity.iter().map(Identity::name);
        SessionOptions { limits: self.limits.clone(), ..SessionOptions::new(identity, &self.time, EVENT) }
    }

    /// Checks that the parts fit together.
    ///
    /// # Errors
    /// [`Error::Config`], naming the key at fault.
    pub fn validate(&self) -> Result<()> {
        for identity in &self.identity {
            if let Identity::Joined(Joined { name, inputs, .. }) = identity
                && inputs.is_empty()
            {
                return Err(Error::config("identity", format!("`{name}` has no inputs")));
            }
            if [RECORD_ID, ORIGIN, EVENT, &self.time].contains(&identity.name()) {
                return Err(Error::config(
                    "identity",
                    format!("`{}` is another column of events", identity.name()),
                ));
            }
        }
        self.filters.iter().try_for_each(Condition::validate)?;
        self.event.validate()?;
        self.options().validate()
    }

    pub(super) fn joined(&self, name: &str) -> Option<&Joined> {
        self.identity.iter().find_map(|identity| match identity {
            Identity::Joined(joined) if joined.name == name => Some(joined),
            _ => None,
        })
    }
}

impl Identity {
    /// What the column is called.
    pub fn name(&self) -> &str {
        match self {
            Self::Column(name) => name,
            Self::Joined(joined) => &joined.name,
        }
    }
}

impl Condition {
    fn validate(&self) -> Result<()> {
        let tests = [self.one_of.is_some(), self.starts_with.is_some(), self.contains.is_some()];
        if tests.into_iter().filter(|given| *given).count() != 1 {
            let problem = format!(
                "the test of `{}` needs exactly one of one_of, starts_with and contains",
                self.column
            );
            return Err(Error::config("where", problem));
        }
        Ok(())
    }
}

impl EventRules {
    fn validate(&self) -> Result<()> {
        match (self.kind, &self.parameters) {
            (EventKind::Parameters | EventKind::Values, None) => {
                Err(Error::config("event.parameters", "missing; only events of kind `commands` have none"))
            }
            (EventKind::Values, Some(Parameters::Set { .. })) => {
                Err(Error::config("event.kind", "a set has no values; use `parameters`"))
            }
            (_, Some(Parameters::Set { inputs, paths })) if inputs.is_empty() && paths.is_empty() => {
                Err(Error::config("event.parameters", "a set of no columns"))
            }
            _ => Ok(()),
        }
    }

    /// The raw columns read for this kind of event.
    fn inputs(&self) -> Vec<&str> {
        let mut inputs = vec![self.name.as_str()];
        match &self.parameters {
            _ if self.kind == EventKind::Commands => {}
            None => {}
            Some(Parameters::Pairs { input, .. } | Parameters::Object { input }) => inputs.push(input),
            Some(Parameters::Set { inputs: columns, paths }) => {
                inputs.extend(columns.iter().chain(paths).map(String::as_str));
            }
        }
        inputs
    }
}

fn event_time() -> String {
    EVENT_TIME.to_owned()
}

fn name_key() -> String {
    "Name".to_owned()
}

fn value_key() -> String {
    "Value".to_owned()
}
