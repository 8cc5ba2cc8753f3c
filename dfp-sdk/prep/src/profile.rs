//! What a kind of log means: who, when, what. One TOML file holds it all.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use dfp_core::{EVENT_TIME, ORIGIN, RECORD_ID, SCORE};
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use crate::commands::SessionRules;
use crate::input::Missing;
use crate::load::fold;
use crate::{Error, Period, Result, Span};

/// Column of loaded batches: whose event it is (utf8, never null, folded if the profile says so).
pub const ENTITY: &str = "_entity";
/// Column of loaded batches: the same as the record spells it, for people (utf8; null for a record without user).
pub const ENTITY_AS_WRITTEN: &str = "_entity_as_written";

/// Columns that stand beside a profile's own in scored batches, whatever model it is that scores.
const SCORED: [&str; 4] = [SCORE, "model", "max_abs_z", "mean_abs_z"];
/// Endings of the columns that scored batches have for each feature.
const SCORED_ENDINGS: [&str; 4] = ["_pred", "_loss", "_z_loss", "_surprise"];

/// The five things that make a data source - entity, time, features, load columns, derive columns - and how much
/// history a model learns from.
///
/// ```
/// use dfp_prep::Profile;
///
/// let profile = Profile::from_toml(r#"
///     name = "azure-ad"
///     features = ["app", "browser", "logcount", "locincrement", "failures_1h", "new_browser"]
///
///     [entity]
///     inputs = ["properties.userPrincipalName", "properties.userId"]
///
///     [history]
///     min_history = 300
///     min_increment = 300
///     max_history = "60d"
///
///     [[load]]
///     name = "app"
///     rule = "rename"
///     input = "properties.appDisplayName"
///
///     [[load]]
///     name = "browser"
///     rule = "browser-family"
///     input = "properties.deviceDetail.browser"
///
///     [[load]]
///     name = "location"
///     rule = "string-cat"
///     inputs = ["properties.location.city", "properties.location.countryOrRegion"]
///     sep = ", "
///
///     [[load]]
///     name = "success"
///     rule = "bool"
///     input = "resultType"
///     true_values = ["0"]
///     otherwise = false
///
///     [[derive]]
///     name = "logcount"
///     rule = "increment"
///
///     [[derive]]
///     name = "locincrement"
///     rule = "distinct-increment"
///     input = "location"
///
///     [[derive]]
///     name = "failures_1h"
///     rule = "sliding-count"
///     period = "1h"
///     where = { column = "success", equals = false }
///
///     [[derive]]
///     name = "new_browser"
///     rule = "first-seen"
///     input = "browser"
///     granularity = "day"
/// "#)?;
/// assert_eq!(profile.raw_columns()[0], "properties.userPrincipalName");
///
/// let mine = profile.with_overrides(r#"
///     features = ["app", "logcount"]
///     [[derive]]
///     name = "locincrement"
///     remove = true
/// "#)?;
/// assert_eq!(mine.features, ["app", "logcount"]);
/// assert_eq!(mine.derive.len(), 3);
/// # Ok::<(), dfp_prep::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// The source's short name; models are called `<name>/<entity>`.
    pub name: String,
    /// The columns a model learns from, each one of `load` or `derive`.
    pub features: Vec<String>,
    /// Whose event it is.
    pub entity: EntityColumn,
    /// When it happened.
    #[serde(default)]
    pub time: TimeColumn,
    /// Use only the records that pass this test on a load column; the others are rejected as not selected.
    #[serde(default, rename = "where", skip_serializing_if = "Option::is_none")]
    pub filter: Option<Filter>,
    /// How much of an entity's past a model learns from.
    #[serde(default)]
    pub history: History,
    /// Columns computed from each raw record alone.
    pub load: Vec<LoadColumn>,
    /// Columns computed from an entity's records, oldest first.
    #[serde(default)]
    pub derive: Vec<DeriveColumn>,
    /// How records become sessions, for models of sequences; these read raw columns of their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sessions: Option<SessionRules>,
}

/// Whose event a record is: the first of several raw columns that says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EntityColumn {
    /// Raw columns, best first.
    pub inputs: Vec<String>,
    /// Whether `Ann@X.com` and `ann@x.com ` are one entity: blanks trimmed, lower case. Default true.
    #[serde(default = "yes")]
    pub fold_case: bool,
    /// Words that mean "nobody", compared trimmed and in any case. Default [`MISSING_IDENTITY`].
    #[serde(default = "missing_identity")]
    pub missing: Vec<String>,
    /// What becomes of a record that names nobody. Default: it is rejected.
    #[serde(default)]
    pub without: Without,
    /// The entity that kept records without user belong to, one of the words in `missing`: no user can have that name.
    /// Default `unknown`.
    #[serde(default = "nobody")]
    pub nobody: String,
    /// Name of the model of all entities together; no real entity may have it. Default `generic_user`.
    #[serde(default = "fallback")]
    pub fallback: String,
}

/// Words that stand for a missing identity unless a profile says otherwise.
pub const MISSING_IDENTITY: [&str; 9] =
    ["", "-", "{}", "[]", "unknown", "not available", "not_available", "nan", "none"];

/// What becomes of records without user: those in which every one of `entity.inputs` is absent or a missing word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Without {
    /// They are rejected as `no-entity`; the default.
    #[default]
    Reject,
    /// They are kept, as the records of one entity, `entity.nobody`, and counted as `without-entity`.
    Keep,
}

/// When a record's event happened, and which times are believed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TimeColumn {
    /// `_time`, the source's own answer, unless the profile wants another of the log's time fields; an ISO 8601 text.
    pub column: String,
    /// Times before this date are rejected. Default 2000-01-01.
    pub earliest: String,
    /// Times more than this after the present are rejected. Default one day.
    pub ahead: Span,
}

impl Default for TimeColumn {
    fn default() -> Self {
        Self { column: EVENT_TIME.to_owned(), earliest: "2000-01-01".to_owned(), ahead: Span::days(1) }
    }
}

/// Which rows a model learns from, and when it is worth learning again (spec/dfp.md section 8).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct History {
    /// Fewest rows to learn from. Default 300.
    pub min_history: u64,
    /// Fewest new rows since the last training. Default 300.
    pub min_increment: u64,
    /// How far back to look: a number of rows, a span such as `"60d"`, or `"all"`. Default 60 days. New rows are no
    /// exception: a number or a span bounds what is kept, whole days of it, and what is read at once; `"all"` does not.
    pub max_history: MaxHistory,
}

impl Default for History {
    fn default() -> Self {
        Self { min_history: 300, min_increment: 300, max_history: MaxHistory::Span(Span::days(60)) }
    }
}

/// How far back a history reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Value", into = "Value")]
pub enum MaxHistory {
    /// Every row.
    All,
    /// The newest rows.
    Rows(u64),
    /// The rows at most this much older than the newest, and the whole of the oldest one's day.
    Span(Span),
}

impl TryFrom<Value> for MaxHistory {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        match value {
            Value::Integer(rows) if rows > 0 => Ok(Self::Rows(rows as u64)),
            Value::String(text) if text == "all" => Ok(Self::All),
            Value::String(text) => text.parse().map(Self::Span),
            other => Err(format!("`{other}` is neither a number of rows above 0, nor a span, nor \"all\"")),
        }
    }
}

impl From<MaxHistory> for Value {
    fn from(max: MaxHistory) -> Self {
        match max {
            MaxHistory::All => Self::from("all"),
            MaxHistory::Rows(rows) => Self::Integer(rows as i64),
            MaxHistory::Span(span) => Self::String(span.to_string()),
        }
    }
}

/// A column computed from each raw record alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LoadColumn {
    /// The column's name; no leading underscore.
    pub name: String,
    /// Input texts that mean "no value", compared trimmed and in any case. Default: only the empty text.
    #[serde(default = "missing_text")]
    pub missing: Vec<String>,
    /// Text to put where there is no value, for parity with tools that turn gaps into words (quirk Q1). Text columns
    /// only; default: the value stays null. A `string-cat` puts it in place of each missing part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing_as: Option<String>,
    /// What to call it in a sentence for a person, such as "sign-ins in the last hour"; the name if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// How it is computed.
    #[serde(flatten)]
    pub rule: LoadRule,
}

/// The type of a column that is taken over as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ColumnType {
    /// Text; numbers and booleans are written out.
    #[default]
    String,
    /// 64-bit whole number; text is parsed.
    Int,
    /// 64-bit number; text is parsed.
    Float,
    /// Boolean; the texts `true` and `false` in any case, the numbers 1 and 0.
    Bool,
}

/// Rules for load columns. A value that does not fit its rule's type becomes null and is counted; it is never guessed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "rule", rename_all = "kebab-case", deny_unknown_fields)]
pub enum LoadRule {
    /// The raw column of the same name.
    Column {
        /// Its type; default text.
        #[serde(default, rename = "type")]
        dtype: ColumnType,
    },
    /// A raw column under another name.
    Rename {
        /// The raw column.
        input: String,
        /// Its type; default text.
        #[serde(default, rename = "type")]
        dtype: ColumnType,
    },
    /// The first of several raw columns that has a value, as text.
    Coalesce {
        /// The raw columns, best first.
        inputs: Vec<String>,
        /// Whether to trim blanks and fold to lower case. Default false.
        #[serde(default)]
        fold_case: bool,
    },
    /// A point in time, from any ISO 8601 text (each value read on its own, quirk Q7; no zone means UTC).
    DateTime {
        /// The raw column.
        input: String,
        /// What a bare number counts since 1970. Without it, numbers are unreadable (quirk Q8).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        unit: Option<TimeUnit>,
    },
    /// Several raw columns joined to one text. Missing parts are left out; null if all are missing.
    StringCat {
        /// The raw columns.
        inputs: Vec<String>,
        /// What goes between two parts.
        sep: String,
    },
    /// A list of texts (raw: a JSON array as text) joined to one text. An empty list gives an empty text.
    StringJoin {
        /// The raw column.
        input: String,
        /// What goes between two items.
        sep: String,
    },
    /// True for some texts, false for others, and null for the rest (quirk Q6) unless `otherwise` says more.
    Bool {
        /// The raw column.
        input: String,
        /// Texts that mean true, exact.
        #[serde(default)]
        true_values: Vec<String>,
        /// Texts that mean false, exact.
        #[serde(default)]
        false_values: Vec<String>,
        /// The answer for values in neither list; missing values stay null.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        otherwise: Option<bool>,
    },
    /// Whether the raw column has a value at all.
    Present {
        /// The raw column.
        input: String,
    },
    /// Some texts replaced by others, exact.
    Map {
        /// The raw column.
        input: String,
        /// Old text to new text.
        values: BTreeMap<String, String>,
        /// The text for all others; they stay as they are without it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        otherwise: Option<String>,
    },
    /// The text trimmed and in lower case.
    Lower {
        /// The raw column.
        input: String,
    },
    /// A browser or client without its version: `Edge 97.0.1072` and `Edge 98` are `Edge`; whole user-agent texts are
    /// recognised too.
    BrowserFamily {
        /// The raw column.
        input: String,
    },
    /// An operating system without its version, in lower case: `Windows 10` and `Windows10` are `windows`.
    OsFamily {
        /// The raw column.
        input: String,
    },
    /// The network of an IP address, such as `203.0.113.0/24`. Brackets, and a port in any usual spelling, do not count; an
    /// IPv4 address mapped into IPv6 is one of IPv4. A text that is no address stays as it is, trimmed.
    IpNetwork {
        /// The raw column.
        input: String,
        /// Leading bits kept of an IPv4 address. Default 24.
        #[serde(default = "v4_bits")]
        v4: u8,
        /// Leading bits kept of an IPv6 address. Default 48.
        #[serde(default = "v6_bits")]
        v6: u8,
    },
}

/// What a bare number of a time field counts since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum TimeUnit {
    /// Seconds; fractions are fine.
    #[serde(rename = "s")]
    Seconds,
    /// Milliseconds.
    #[serde(rename = "ms")]
    Milliseconds,
    /// Microseconds.
    #[serde(rename = "us")]
    Microseconds,
    /// Nanoseconds.
    #[serde(rename = "ns")]
    Nanoseconds,
}

impl TimeUnit {
    /// Nanoseconds in one.
    pub(crate) const fn nanoseconds(self) -> i64 {
        match self {
            Self::Seconds => 1_000_000_000,
            Self::Milliseconds => 1_000_000,
            Self::Microseconds => 1000,
            Self::Nanoseconds => 1,
        }
    }
}

impl LoadRule {
    /// The raw columns the rule reads; `name` is the column's own name.
    pub fn inputs<'a>(&'a self, name: &'a str) -> Vec<&'a str> {
        match self {
            Self::Column { .. } => vec![name],
            Self::Coalesce { inputs, .. } | Self::StringCat { inputs, .. } => {
                inputs.iter().map(String::as_str).collect()
            }
            Self::Rename { input, .. }
            | Self::DateTime { input, .. }
            | Self::StringJoin { input, .. }
            | Self::Bool { input, .. }
            | Self::Present { input }
            | Self::Map { input, .. }
            | Self::Lower { input }
            | Self::BrowserFamily { input }
            | Self::OsFamily { input }
            | Self::IpNetwork { input, .. } => vec![input],
        }
    }

    /// Whether the rule makes a text column.
    pub(crate) fn is_text(&self) -> bool {
        match self {
            Self::Column { dtype } | Self::Rename { dtype, .. } => *dtype == ColumnType::String,
            Self::DateTime { .. } | Self::Bool { .. } | Self::Present { .. } => false,
            _ => true,
        }
    }

    fn is_float(&self) -> bool {
        matches!(self, Self::Column { dtype } | Self::Rename { dtype, .. } if *dtype == ColumnType::Float)
    }
}

/// A column computed from an entity's records, oldest first. A row's value depends on that row and earlier ones only.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeriveColumn {
    /// The column's name; no leading underscore.
    pub name: String,
    /// What to call it in a sentence for a person, such as "sign-ins in the last hour"; the name if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// How it is computed.
    #[serde(flatten)]
    pub rule: DeriveRule,
}

/// Rules for derive columns. Inputs are load columns; a missing value counts as one ordinary value. Of rows with equal
/// times, the one that comes first in the batch is the earlier.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "rule", rename_all = "kebab-case", deny_unknown_fields)]
pub enum DeriveRule {
    /// Earlier rows in the same calendar period, from 0 (int).
    Increment {
        /// The period; default `D`.
        #[serde(default)]
        period: Period,
    },
    /// Distinct values so far in the same calendar period, this row included: from 1 (int).
    DistinctIncrement {
        /// The load column.
        input: String,
        /// The period; default `D`.
        #[serde(default)]
        period: Period,
    },
    /// Hour of the day in UTC: 0 to 23, or `00` to `23` as a category.
    HourOfDay {
        /// Number or category.
        #[serde(default, rename = "as")]
        form: Form,
    },
    /// Day of the week in UTC: 1 (Monday) to 7, or `mon` to `sun` as a category.
    DayOfWeek {
        /// Number or category.
        #[serde(default, rename = "as")]
        form: Form,
    },
    /// Whether it is Saturday or Sunday in UTC (boolean).
    Weekend {},
    /// Rows in the span that ends with this row and includes it (int). The older end is exclusive.
    SlidingCount {
        /// The span, such as `1h`.
        period: Span,
        /// Count only rows that have this row's values in these load columns.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        same: Vec<String>,
        /// Count only these rows.
        #[serde(default, rename = "where", skip_serializing_if = "Option::is_none")]
        filter: Option<Filter>,
    },
    /// Distinct values in the span that ends with this row and includes it (int). The older end is exclusive.
    SlidingDistinct {
        /// The load column.
        input: String,
        /// The span, such as `1h`.
        period: Span,
        /// Look only at these rows.
        #[serde(default, rename = "where", skip_serializing_if = "Option::is_none")]
        filter: Option<Filter>,
    },
    /// Whether the entity never had this value before (boolean).
    FirstSeen {
        /// The load column.
        input: String,
        /// Before this row, or before this row's day.
        #[serde(default)]
        granularity: Granularity,
    },
    /// On how many earlier UTC days the entity had this value (int).
    DaysSeen {
        /// The load column.
        input: String,
        /// Look back at most this far, in whole days; default: to the start of the history.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        within: Option<Span>,
    },
    /// How often the entity had this value before, as a share of its earlier rows (float; null for its first row).
    ShareSeen {
        /// The load column.
        input: String,
    },
    /// Minutes since the entity's previous row (float; null for its first row).
    MinutesSinceLast {
        /// Since the previous row with the same value of this load column.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        input: Option<String>,
        /// Give the natural logarithm of 1 + minutes, which models of numbers take better. Default false.
        #[serde(default)]
        log: bool,
    },
    /// Speed of travel from the entity's previous place, in km/h over the great circle (float; null where there is no
    /// previous place). Less than a minute counts as one.
    TravelSpeed {
        /// Load column, degrees.
        latitude: String,
        /// Load column, degrees.
        longitude: String,
        /// Give the natural logarithm of 1 + km/h. Default false.
        #[serde(default)]
        log: bool,
    },
}

/// Number or category.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// A whole number; the default.
    #[default]
    Number,
    /// A text.
    Category,
}

/// What "before" means to [`DeriveRule::FirstSeen`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Granularity {
    /// On any earlier row; the default.
    #[default]
    Row,
    /// On an earlier UTC day: all of a new value's first day counts as new.
    Day,
}

/// Picks rows by one load column. Exactly one of the tests is given; a missing value passes neither `equals` nor
/// `not_equals`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    /// The load column.
    pub column: String,
    /// The row has this value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub equals: Option<Scalar>,
    /// The row has another value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_equals: Option<Scalar>,
    /// The row has (true) or lacks (false) a value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub present: Option<bool>,
}

/// A value to compare with; a text column is compared with its text form.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Scalar {
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A text.
    Text(String),
}

impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(value) => value.fmt(f),
            Self::Int(value) => value.fmt(f),
            Self::Text(value) => value.fmt(f),
        }
    }
}

impl Filter {
    fn validate(&self, key: &str) -> Result<()> {
        let tests = [self.equals.is_some(), self.not_equals.is_some(), self.present.is_some()];
        require(tests.into_iter().filter(|given| *given).count() == 1, key, || {
            "needs exactly one of equals, not_equals and present".to_owned()
        })
    }
}

impl DeriveRule {
    /// The load columns the rule reads.
    pub fn inputs(&self) -> Vec<&str> {
        let (inputs, filter) = match self {
            Self::SlidingCount { same, filter, .. } => {
                (same.iter().map(String::as_str).collect(), filter.as_ref())
            }
            Self::SlidingDistinct { input, filter, .. } => (vec![input.as_str()], filter.as_ref()),
            Self::DistinctIncrement { input, .. }
            | Self::FirstSeen { input, .. }
            | Self::DaysSeen { input, .. }
            | Self::ShareSeen { input } => (vec![input.as_str()], None),
            Self::MinutesSinceLast { input, .. } => (input.iter().map(String::as_str).collect(), None),
            Self::TravelSpeed { latitude, longitude, .. } => {
                (vec![latitude.as_str(), longitude.as_str()], None)
            }
            Self::Increment { .. } | Self::HourOfDay { .. } | Self::DayOfWeek { .. } | Self::Weekend {} => {
                (vec![], None)
            }
        };
        inputs.into_iter().chain(filter.map(|filter| filter.column.as_str())).collect()
    }

    fn filter(&self) -> Option<&Filter> {
        match self {
            Self::SlidingCount { filter, .. } | Self::SlidingDistinct { filter, .. } => filter.as_ref(),
            _ => None,
        }
    }
}

impl Profile {
    /// Reads and validates a profile.
    ///
    /// # Errors
    /// [`Error::Syntax`] if the text is no profile, or as [`validate`](Self::validate).
    pub fn from_toml(text: &str) -> Result<Self> {
        let profile: Self = toml::from_str(text).map_err(|error| Error::Syntax(error.to_string()))?;
        profile.validate()?;
        Ok(profile)
    }

    /// The profile as TOML, defaults written out.
    ///
    /// # Errors
    /// [`Error::Syntax`] if a number is too large for TOML.
    pub fn to_toml(&self) -> Result<String> {
        toml::to_string(self).map_err(|error| Error::Syntax(error.to_string()))
    }

    /// This profile with the parts that `text`, a partial profile in TOML, gives anew: a column replaces the one of the
    /// same name in its place, or is added at the end, or goes away if it says `remove = true`; tables are merged key
    /// by key, in `sessions` also those within; everything else, lists too, is replaced (quirk Q39).
    ///
    /// # Errors
    /// As [`from_toml`](Self::from_toml), and [`Error::Config`] if a column to remove does not exist.
    pub fn with_overrides(&self, text: &str) -> Result<Self> {
        let syntax = |error: &dyn fmt::Display| Error::Syntax(error.to_string());
        let mut merged = Table::try_from(self).map_err(|error| syntax(&error))?;
        let partial: Table = toml::from_str(text).map_err(|error| syntax(&error))?;
        for (key, value) in partial {
            match (merged.get_mut(&key), value) {
                (Some(Value::Array(old)), Value::Array(new)) if key == "load" || key == "derive" => {
                    merge_columns(&key, old, new)?;
                }
                (None, Value::Array(new)) if key == "load" || key == "derive" => {
                    let mut columns = Vec::new();
                    merge_columns(&key, &mut columns, new)?;
                    merged.insert(key, Value::Array(columns));
                }
                (Some(Value::Table(old)), Value::Table(new)) if key == "sessions" => merge_parts(old, new),
                (Some(Value::Table(old)), Value::Table(new)) => old.extend(new),
                (_, value) => {
                    merged.insert(key, value);
                }
            }
        }
        let profile: Self = merged.try_into().map_err(|error| syntax(&error))?;
        profile.validate()?;
        Ok(profile)
    }

    /// What to call a load or derive column in a sentence for a person.
    pub fn title<'a>(&'a self, column: &'a str) -> &'a str {
        let load = self.load.iter().map(|column| (&column.name, &column.title));
        let mut all = load.chain(self.derive.iter().map(|column| (&column.name, &column.title)));
        all.find(|(name, _)| *name == column).and_then(|(_, title)| title.as_deref()).unwrap_or(column)
    }

    /// The columns to ask of the source, each once, in the order of first use. The reserved columns `_record_id`,
    /// `_origin` and `_time` always come and are not listed. Those of [`sessions`](Self::sessions) have a list of their
    /// own, [`SessionRules::raw_columns`].
    pub fn raw_columns(&self) -> Vec<String> {
        let entity = self.entity.inputs.iter().map(String::as_str);
        let load = self.load.iter().flat_map(|column| column.rule.inputs(&column.name));
        let mut seen = BTreeSet::from([RECORD_ID, ORIGIN, EVENT_TIME]);
        let all = entity.chain([self.time.column.as_str()]).chain(load);
        all.filter(|column| seen.insert(column)).map(str::to_owned).collect()
    }

    /// Checks that the parts fit together.
    ///
    /// # Errors
    /// [`Error::Config`], naming the key at fault.
    pub fn validate(&self) -> Result<()> {
        require(is_plain_name(&self.name), "name", || {
            format!("`{}` must be letters, digits, `-`, `_` and `.` only", self.name)
        })?;
        self.entity.validate()?;
        self.time.earliest_nanoseconds()?;
        self.history.validate()?;
        require(!self.load.is_empty(), "load", || "no columns".to_owned())?;
        self.validate_names()?;
        self.load.iter().try_for_each(LoadColumn::validate)?;
        self.derive.iter().try_for_each(|column| self.validate_derive(column))?;
        self.validate_filter()?;
        self.sessions.iter().try_for_each(SessionRules::validate)?;
        self.validate_features()
    }

    fn validate_filter(&self) -> Result<()> {
        let Some(filter) = &self.filter else { return Ok(()) };
        let known = self.load.iter().any(|load| load.name == filter.column);
        require(known, "where", || format!("`{}` is no load column", filter.column))?;
        filter.validate("where")
    }

    fn validate_names(&self) -> Result<()> {
        let mut seen = BTreeSet::new();
        let load = self.load.iter().map(|column| ("load", &column.name));
        for (table, name) in load.chain(self.derive.iter().map(|column| ("derive", &column.name))) {
            let key = format!("{table} column `{name}`");
            require(!name.trim().is_empty(), &key, || "has no name".to_owned())?;
            require(!name.starts_with('_'), &key, || {
                "names with a leading underscore are reserved".to_owned()
            })?;
            require(!SCORED.contains(&name.as_str()), &key, || "scored batches call theirs so".to_owned())?;
            require(seen.insert(name), &key, || "another column has the same name".to_owned())?;
        }
        Ok(())
    }

    fn validate_derive(&self, column: &DeriveColumn) -> Result<()> {
        let key = format!("derive column `{}`", column.name);
        let find = |name: &str| self.load.iter().find(|load| load.name == name);
        for input in column.rule.inputs() {
            require(find(input).is_some(), &key, || format!("`{input}` is no load column"))?;
        }
        if let DeriveRule::TravelSpeed { latitude, longitude, .. } = &column.rule {
            for input in [latitude, longitude] {
                let float = find(input).is_some_and(|load| load.rule.is_float());
                require(float, &key, || format!("`{input}` must be of type float"))?;
            }
        }
        if let DeriveRule::DaysSeen { within: Some(within), .. } = &column.rule {
            let whole_days = within.nanoseconds() % Span::days(1).nanoseconds() == 0;
            require(whole_days, &key, || format!("within = \"{within}\" must be whole days"))?;
        }
        column.rule.filter().map_or(Ok(()), |filter| filter.validate(&format!("{key}, where")))
    }

    fn validate_features(&self) -> Result<()> {
        require(!self.features.is_empty(), "features", || "none given".to_owned())?;
        let mut seen = BTreeSet::new();
        for name in &self.features {
            require(seen.insert(name), "features", || format!("`{name}` is listed twice"))?;
            let load = self.load.iter().find(|column| column.name == *name);
            let known = load.is_some() || self.derive.iter().any(|column| column.name == *name);
            require(known, "features", || format!("`{name}` is neither a load nor a derive column"))?;
            let date = load.is_some_and(|column| matches!(column.rule, LoadRule::DateTime { .. }));
            require(!date, "features", || format!("`{name}` is a date-time; derive a number from it"))?;
        }
        self.validate_scored_names()
    }

    /// In a scored batch every column has a name of its own.
    fn validate_scored_names(&self) -> Result<()> {
        let load = self.load.iter().map(|column| column.name.clone());
        let mut seen: BTreeSet<_> =
            load.chain(self.derive.iter().map(|column| column.name.clone())).collect();
        for feature in &self.features {
            for ending in SCORED_ENDINGS {
                let scored = format!("{feature}{ending}");
                require(seen.insert(scored.clone()), "features", || {
                    format!("what scoring tells about `{feature}` is called `{scored}`, like another column")
                })?;
            }
        }
        Ok(())
    }
}

impl EntityColumn {
    /// The key that an entity of this name has everywhere: folded if the profile says so, and with a `~` before it if it
    /// would otherwise pass for the model of all entities.
    pub fn key(&self, name: &str) -> String {
        let mut key = String::new();
        self.write_key(name, &mut key);
        key
    }

    /// [`key`](Self::key), in place of what `out` holds.
    pub(crate) fn write_key(&self, name: &str, out: &mut String) {
        if self.fold_case {
            fold(name, out);
        } else {
            out.clear();
            out.push_str(name);
        }
        if self.clashes(out) {
            out.insert(0, '~');
        }
    }

    /// Whether an entity's name, but for any `~` before it, is the fallback's.
    fn clashes(&self, key: &str) -> bool {
        key.trim_start_matches('~') == self.fallback
    }

    fn validate(&self) -> Result<()> {
        require(!self.inputs.is_empty(), "entity.inputs", || "no columns".to_owned())?;
        require(self.inputs.iter().all(|input| !input.is_empty()), "entity.inputs", || {
            "a column has no name".to_owned()
        })?;
        require(is_plain_name(&self.fallback), "entity.fallback", || {
            format!("`{}` must be letters, digits, `-`, `_` and `.` only", self.fallback)
        })?;
        let no_user = !self.nobody.trim().is_empty() && Missing::new(&self.missing).holds(&self.nobody);
        require(self.without == Without::Reject || no_user, "entity.nobody", || {
            format!(
                "`{}` must be one of the words in entity.missing, so that no user has that name",
                self.nobody
            )
        })?;
        require(
            self.without == Without::Reject || !self.clashes(&self.key(&self.nobody)),
            "entity.nobody",
            || format!("`{}` is the name of the model of all entities", self.nobody),
        )
    }
}

impl TimeColumn {
    /// [`earliest`](Self::earliest) as nanoseconds since 1970.
    pub(crate) fn earliest_nanoseconds(&self) -> Result<i64> {
        crate::datetime::parse(self.earliest.as_bytes())
            .ok_or_else(|| Error::config("time.earliest", format!("`{}` is no ISO 8601 date", self.earliest)))
    }
}

impl History {
    fn validate(&self) -> Result<()> {
        require(self.min_history > 0, "history.min_history", || "must be at least 1".to_owned())?;
        let enough = !matches!(self.max_history, MaxHistory::Rows(rows) if rows < self.min_history);
        require(enough, "history.max_history", || {
            format!("fewer rows than min_history ({}): no model could ever be trained", self.min_history)
        })
    }
}

impl LoadColumn {
    fn validate(&self) -> Result<()> {
        let key = format!("load column `{}`", self.name);
        let inputs = self.rule.inputs(&self.name);
        require(!inputs.is_empty(), &key, || "inputs is empty".to_owned())?;
        require(inputs.iter().all(|input| !input.is_empty()), &key, || "an input has no name".to_owned())?;
        require(self.missing_as.is_none() || self.rule.is_text(), &key, || {
            "missing_as needs a rule that makes text".to_owned()
        })?;
        match &self.rule {
            LoadRule::Bool { true_values, false_values, otherwise, .. } => {
                let both = true_values.iter().find(|value| false_values.contains(value));
                require(both.is_none(), &key, || {
                    format!("`{}` is in true_values and false_values", both.map_or("", String::as_str))
                })?;
                let given = !true_values.is_empty() || !false_values.is_empty() || otherwise.is_some();
                require(given, &key, || "needs true_values or false_values".to_owned())
            }
            LoadRule::IpNetwork { v4, v6, .. } => {
                require((1..=32).contains(v4), &key, || "v4 must be 1 to 32 bits".to_owned())?;
                require((1..=128).contains(v6), &key, || "v6 must be 1 to 128 bits".to_owned())
            }
            _ => Ok(()),
        }
    }
}

/// Merges tables key by key, and tables within them too.
fn merge_parts(old: &mut Table, new: Table) {
    for (key, value) in new {
        match (old.get_mut(&key), value) {
            (Some(Value::Table(old)), Value::Table(new)) => old.extend(new),
            (_, value) => {
                old.insert(key, value);
            }
        }
    }
}

fn merge_columns(table: &str, old: &mut Vec<Value>, new: Vec<Value>) -> Result<()> {
    let name = |column: &Value| column.get("name").and_then(Value::as_str).map(str::to_owned);
    for column in new {
        let wanted = name(&column).ok_or_else(|| Error::config(table, "a column has no name"))?;
        let place = old.iter().position(|column| name(column).as_ref() == Some(&wanted));
        let remove = column.get("remove").and_then(Value::as_bool) == Some(true);
        match (place, remove) {
            (Some(place), true) => drop(old.remove(place)),
            (Some(place), false) => old[place] = column,
            (None, false) => old.push(column),
            (None, true) => {
                return Err(Error::config(table, format!("there is no column `{wanted}` to remove")));
            }
        }
    }
    Ok(())
}

fn require(holds: bool, key: &str, problem: impl FnOnce() -> String) -> Result<()> {
    if holds { Ok(()) } else { Err(Error::config(key, problem())) }
}

/// Whether a name can stand in model names and file names as it is.
fn is_plain_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
}

fn yes() -> bool {
    true
}

fn missing_identity() -> Vec<String> {
    MISSING_IDENTITY.map(str::to_owned).to_vec()
}

fn nobody() -> String {
    "unknown".to_owned()
}

fn missing_text() -> Vec<String> {
    vec![String::new()]
}

fn fallback() -> String {
    "generic_user".to_owned()
}

fn v4_bits() -> u8 {
    24
}

fn v6_bits() -> u8 {
    48
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str = r#"
        name = "small"
        features = ["app", "n"]
        [entity]
        inputs = ["user"]
        [history]
        min_history = 10
        max_history = "30d"
        [[load]]
        name = "app"
        rule = "rename"
        input = "a.b"
        [[load]]
        name = "lat"
        rule = "column"
        type = "float"
        [[derive]]
        name = "n"
        rule = "increment"
    "#;

    #[test]
    fn a_profile_survives_its_own_toml() {
        let profile = Profile::from_toml(SMALL).unwrap();
        assert_eq!(Profile::from_toml(&profile.to_toml().unwrap()).unwrap(), profile);
        assert_eq!(profile.raw_columns(), ["user", "a.b", "lat"]);
        assert_eq!(profile.history.min_increment, 300);
        let titled = profile
            .with_overrides("[[derive]]\nname = \"n\"\ntitle = \"events today\"\nrule = \"increment\"");
        assert_eq!(titled.unwrap().title("n"), "events today");
        assert_eq!(profile.title("n"), "n");
    }

    #[test]
    fn overrides_replace_add_remove() {
        let profile = Profile::from_toml(SMALL).unwrap();
        let merged = profile
            .with_overrides(
                r#"
                features = ["n"]
                entity = { inputs = ["id"] }
                history = { max_history = 500 }
                [[load]]
                name = "app"
                rule = "lower"
                input = "a.c"
                [[load]]
                name = "lat"
                remove = true
                [[load]]
                name = "x"
                rule = "column"
                "#,
            )
            .unwrap();
        assert_eq!(merged.features, ["n"]);
        assert_eq!(merged.entity.inputs, ["id"]);
        assert!(merged.entity.fold_case);
        assert_eq!(merged.history, History { max_history: MaxHistory::Rows(500), ..profile.history.clone() });
        let names: Vec<_> = merged.load.iter().map(|column| column.name.as_str()).collect();
        assert_eq!(names, ["app", "x"]);
        assert_eq!(merged.load[0].rule, LoadRule::Lower { input: "a.c".to_owned() });
        let error = profile.with_overrides("[[derive]]\nname = \"zz\"\nremove = true").unwrap_err();
        assert_eq!(error.to_string(), "derive: there is no column `zz` to remove");
    }

    #[test]
    fn sessions_are_part_of_a_profile_and_their_parts_can_be_overridden() {
        let profile = Profile::from_toml(SMALL).unwrap();
        let sessions = "[sessions]\nidentity = [\"user\"]\n[sessions.event]\nname = \"op\"\n\
                        parameters = { rule = \"pairs\", input = \"p\" }\n[sessions.limits]\nmax_length = \"1h\"";
        let with = profile.with_overrides(sessions).unwrap();
        assert_eq!(Profile::from_toml(&with.to_toml().unwrap()).unwrap(), with);
        assert_eq!(with.raw_columns(), profile.raw_columns());
        assert_eq!(with.sessions.as_ref().unwrap().raw_columns(), ["user", "op"]);
        let changes = "[sessions.event]\nkind = \"values\"\n[sessions.limits]\nlateness = \"5min\"";
        let changed = with.with_overrides(changes).unwrap().sessions.unwrap();
        assert_eq!(changed.raw_columns(), ["user", "op", "p"]);
        assert_eq!(changed.limits.max_length, std::time::Duration::from_secs(3600));
        let error = with.with_overrides("[sessions.event]\nparameters = { rule = \"set\", inputs = [] }");
        assert!(error.unwrap_err().to_string().contains("event.parameters"));
    }

    #[test]
    fn mistakes_are_named() {
        let profile = Profile::from_toml(SMALL).unwrap();
        let cases = [
            ("features = [\"zz\"]", "features: `zz`"),
            ("features = [\"app\", \"\"]", "features: ``"),
            ("features = [\"app\", \"app\"]", "listed twice"),
            ("entity = { inputs = [] }", "entity.inputs: no columns"),
            ("entity = { fallback = \"a/b\" }", "entity.fallback"),
            ("entity = { without = \"drop\" }", "`drop`"),
            ("entity = { without = \"keep\", nobody = \"ann\" }", "entity.nobody: `ann` must be one of"),
            ("entity = { without = \"keep\", nobody = \" \" }", "entity.nobody"),
            ("entity = { without = \"keep\", fallback = \"unknown\" }", "model of all entities"),
            ("name = \"a:b\"", "name: `a:b`"),
            ("time = { earliest = \"then\" }", "time.earliest: `then`"),
            ("history = { min_history = 0 }", "history.min_history"),
            ("history = { max_history = 5 }", "history.max_history: fewer rows"),
            ("history = { max_history = \"5 moons\" }", "has no unit"),
            ("history = { max_hitsory = 5 }", "max_hitsory"),
            ("[[load]]\nname = \"_x\"\nrule = \"column\"", "reserved"),
            ("[[load]]\nname = \"score\"\nrule = \"column\"", "load column `score`: scored batches"),
            ("[[derive]]\nname = \"model\"\nrule = \"increment\"", "derive column `model`: scored batches"),
            ("[[load]]\nname = \"app_pred\"\nrule = \"column\"", "about `app` is called `app_pred`, like"),
            (
                "features = [\"app\", \"app_z\"]\n[[load]]\nname = \"app_z\"\nrule = \"column\"",
                "about `app_z` is called `app_z_loss`, like",
            ),
            ("[[load]]\nname = \"x\"\nrule = \"column\"\ninptu = \"y\"", "inptu"),
            ("[[load]]\nname = \"x\"\nrule = \"colunm\"", "colunm"),
            ("[[load]]\nname = \"x\"\nrule = \"coalesce\"\ninputs = []", "load column `x`: inputs is empty"),
            ("[[load]]\nname = \"x\"\nrule = \"bool\"\ninput = \"y\"", "needs true_values"),
            ("[[load]]\nname = \"x\"\nrule = \"ip-network\"\ninput = \"y\"\nv4 = 33", "v4 must be"),
            ("[[load]]\nname = \"x\"\nrule = \"present\"\ninput = \"y\"\nmissing_as = \"nan\"", "missing_as"),
            ("[[derive]]\nname = \"x\"\nrule = \"first-seen\"\ninput = \"y\"", "`y` is no load column"),
            ("[[derive]]\nname = \"x\"\nrule = \"increment\"\nperiod = \"2D\"", "no calendar period"),
            (
                "[[derive]]\nname = \"x\"\nrule = \"days-seen\"\ninput = \"app\"\nwithin = \"12h\"",
                "must be whole days",
            ),
            ("where = { column = \"zz\", present = true }", "where: `zz` is no load column"),
            ("where = { column = \"app\" }", "where: needs exactly one"),
            (
                "[[derive]]\nname = \"x\"\nrule = \"travel-speed\"\nlatitude = \"lat\"\nlongitude = \"app\"",
                "must be of type",
            ),
            (
                "[[load]]\nname = \"lat\"\nrule = \"column\"\ntype = \"int\"\n[[derive]]\nname = \"x\"\nrule = \"travel-speed\"\nlatitude = \"lat\"\nlongitude = \"lat\"",
                "must be of type float",
            ),
            (
                "[[derive]]\nname = \"x\"\nrule = \"sliding-count\"\nperiod = \"1h\"\nwhere = { column = \"app\" }",
                "where: needs exactly one",
            ),
        ];
        for (text, expected) in cases {
            let error = profile.with_overrides(text).expect_err(text).to_string();
            assert!(error.contains(expected), "{text}\n-> {error}");
        }
    }
}
