//! The description of one kind of log: data, and two functions.

use crate::record::Seen;

/// The type of a column, and what becomes of other values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// Utf8. Numbers and words become their text, nested values their JSON text.
    Text,
    /// Utf8. As `Text`, but a nested value is some other field of the same name: null.
    Word,
    /// Utf8 holding JSON text without blanks, also where the envelope has it as a string or as Python text.
    Json,
    /// Utf8. Of a list, the first value of the first object (or the first element); null if the list is empty. Anything
    /// else is as `Text`.
    First,
    /// Int64; also from digits in a string. Anything else is null.
    Int,
    /// Float64; also from a number in a string. Anything else, and what is not finite, is null.
    Float,
    /// Boolean; also from `true` and `false` in a string, in any case. Anything else is null.
    Bool,
}

/// One known field.
#[derive(Debug)]
pub struct Field {
    /// Dotted path in the log's own record; the name of the column.
    pub path: &'static str,
    /// The column's type.
    pub kind: Type,
    /// Part of the columns one gets without asking. Long lists are not.
    pub default: bool,
    /// More dotted paths from the top of the record, most trusted first: names in other exports, headings of tables.
    pub also: &'static [&'static str],
}

/// A field that is among the default columns.
pub const fn field(path: &'static str, kind: Type, also: &'static [&'static str]) -> Field {
    Field { path, kind, default: true, also }
}

/// A long list or object, as JSON, for those who ask for it.
pub const fn bulky(path: &'static str, also: &'static [&'static str]) -> Field {
    Field { path, kind: Type::Json, default: false, also }
}

/// Records whose fields lie in a member in most envelopes, and at the top in one.
#[derive(Debug)]
pub struct Flat {
    /// The member, with its dot: `properties.`.
    pub prefix: &'static str,
    /// Keys that only records with that member have at the top.
    pub unless: &'static [&'static str],
}

/// One kind of log. A source of it is [`LogSource`](crate::LogSource).
///
/// Keys of known fields are accepted as written, with their first letter in the other case, and in lower case. Headings of
/// tables may besides be whole paths, with dots, with `_` for dots or without them, in any case.
pub struct Log {
    /// The component's id, as pipelines name it.
    pub id: &'static str,
    /// What it reads, in a few words.
    pub title: &'static str,
    /// The profile that comes with it, TOML.
    pub profile: &'static str,
    /// Every known field, in the order of the default columns.
    pub fields: &'static [Field],
    /// Paths of the fields that hold the event time, most trusted first.
    pub times: &'static [&'static str],
    /// Path of the field that holds the record's own id.
    pub record_id: &'static str,
    /// Where records may also be laid out flat.
    pub flat: Option<Flat>,
    /// Paths below which keys are accepted as written only.
    pub exact: &'static [&'static str],
    /// Keys, besides [`WRAPPERS`], whose value is the record.
    pub wrappers: &'static [&'static str],
    /// Paths of lists of `{"Name": .., "Value": ..}` (or `NewValue`), which count as objects with those names as keys. Of
    /// a name that occurs more than once, the last value counts.
    pub pairs: &'static [&'static str],
    /// Paths of the fields that `belongs` and `outcome` see, by their index here.
    pub watched: &'static [&'static str],
    /// Whether a record is one of this log. Others are rejected as `other-category`.
    pub belongs: fn(&Seen<'_>) -> bool,
    /// What the reject says of a record that does not belong: "not a sign-in log".
    pub other: &'static str,
    /// Whether what the record tells of succeeded; `None` if it does not say.
    pub outcome: fn(&Seen<'_>) -> Option<bool>,
}

/// Says which log a [`LogSource`](crate::LogSource) reads.
pub trait Described: Send + Sync + 'static {
    /// The log.
    const LOG: &'static Log;
}

/// Keys, or dotted paths, of arrays that hold records.
pub const ENVELOPES: &[&str] = &[
    "records",
    "value",
    "logEvents",
    "events",
    "response",
    "response.authlogs",
    "response.items",
    "authlogs",
    "hits.hits",
    "tables",
];

/// Keys whose value, if it is an object or a string that holds one, is the record, whatever stands beside it.
pub const WRAPPERS: &[&str] = &["message", "_raw", "_source"];

impl Log {
    /// A log of which nothing is known: what a description leaves out.
    pub const PLAIN: Self = Self {
        id: "plain",
        title: "records",
        profile: "",
        fields: &[],
        times: &[],
        record_id: "",
        flat: None,
        exact: &[],
        wrappers: &[],
        pairs: &[],
        watched: &[],
        belongs: |_| true,
        other: "a record of another log",
        outcome: |_| None,
    };

    /// The known field of a path, whose first letter may be in the other case.
    pub(crate) fn known(&self, path: &str) -> Option<&'static Field> {
        let find = |path: &str| self.fields.iter().find(|field| field.path == path);
        find(path).or_else(|| find(&other_case(path)?))
    }

    /// Names of the columns one gets without asking.
    pub fn default_columns(&self) -> Vec<String> {
        self.fields.iter().filter(|field| field.default).map(|field| field.path.to_owned()).collect()
    }

    /// Whether a path is, or leads to, a known field.
    pub(crate) fn leads_on(&self, path: &str) -> bool {
        let leads = |field: &Field| {
            field.path.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        self.fields.iter().any(leads)
    }

    /// Whether the keys of a path are accepted as written only.
    pub(crate) fn is_exact(&self, path: &str) -> bool {
        let under = |exact: &&str| path.strip_prefix(*exact).is_some_and(|rest| rest.starts_with('.'));
        self.exact.iter().any(under)
    }
}

/// The name inside a table's heading: without the time zone (`CreatedDateTime [UTC]`) and without the type suffixes of a
/// column that was split in two.
pub(crate) fn heading(text: &str) -> &str {
    let name = text.trim().trim_start_matches('\u{feff}').trim_matches('"');
    let name = name.strip_suffix(" [UTC]").unwrap_or(name);
    name.strip_suffix("_dynamic").or_else(|| name.strip_suffix("_string")).unwrap_or(name)
}

/// The same name with its first letter in the other case, if that differs.
pub(crate) fn other_case(name: &str) -> Option<String> {
    let first = name.chars().next().filter(char::is_ascii_alphabetic)?;
    let flipped =
        if first.is_ascii_lowercase() { first.to_ascii_uppercase() } else { first.to_ascii_lowercase() };
    Some(format!("{flipped}{}", &name[1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headings() {
        assert_eq!(heading("\u{feff}CreatedDateTime [UTC]"), "CreatedDateTime");
        assert_eq!(heading("DeviceDetail_dynamic"), "DeviceDetail");
        assert_eq!(other_case("userAgent").as_deref(), Some("UserAgent"));
        assert_eq!(other_case("_raw"), None);
    }
}
