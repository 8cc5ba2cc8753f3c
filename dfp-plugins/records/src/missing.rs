//! The texts that mean "no value".

use crate::record::Value;
use crate::scan::{Kind, is_blank};

/// What counts as no value unless configured otherwise. Compared without blanks around it, in this case only: `None` is
/// what Python writes for nothing, while `none` is a level of risk.
pub const MISSING: &[&str] =
    &["", "-", "Not Available", "not_available", "NaN", "nan", "None", "null", "{}", "[]"];

/// A set of such texts, quick to rule most values out.
#[derive(Debug, Clone)]
pub(crate) struct Missing {
    texts: Vec<String>,
    /// Bit `n`: some text has `n` bytes; the highest stands for all longer ones.
    lengths: u64,
}

const LONGEST_BIT: usize = 63;

impl Missing {
    pub(crate) fn new(texts: &[String]) -> Self {
        let lengths = texts.iter().fold(0, |bits, text| bits | 1 << text.len().min(LONGEST_BIT));
        Self { texts: texts.to_vec(), lengths }
    }

    /// Whether a value is one of the texts.
    #[inline]
    pub(crate) fn is(&self, value: &Value<'_>) -> bool {
        match value.kind {
            Kind::Text { escaped: false } => self.holds(value.raw),
            Kind::Text { escaped: true } => self.holds_escaped(value),
            Kind::Nested => self.holds_empty(value.raw),
            _ => false,
        }
    }

    #[inline]
    fn holds(&self, raw: &[u8]) -> bool {
        let text = raw.trim_ascii();
        self.lengths & (1 << text.len().min(LONGEST_BIT)) != 0
            && self.texts.iter().any(|missing| missing.as_bytes() == text)
    }

    fn holds_escaped(&self, value: &Value<'_>) -> bool {
        /// Of an escape, for one byte of text at least.
        const ESCAPE: usize = 6;
        let longest = self.texts.iter().map(String::len).max().unwrap_or(0);
        if value.raw.trim_ascii().len() > (longest + 2) * ESCAPE {
            return false;
        }
        let mut text = String::new();
        value.append_to(&mut text);
        self.holds(text.as_bytes())
    }

    fn holds_empty(&self, raw: &[u8]) -> bool {
        let [open, inside @ .., close] = raw else { return false };
        inside.first().is_none_or(|&byte| is_blank(byte))
            && inside.iter().all(|&byte| is_blank(byte))
            && self.texts.iter().any(|missing| missing.as_bytes() == [*open, *close])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listed_texts_and_nothing_else() {
        let texts: Vec<String> = MISSING.iter().map(|&text| text.to_owned()).collect();
        let missing = Missing::new(&texts);
        let is = |kind, raw: &str| missing.is(&Value { kind, raw: raw.as_bytes() });
        let text = Kind::Text { escaped: false };
        for raw in ["", " - ", "None", "nan", "Not Available", "{}"] {
            assert!(is(text, raw), "{raw}");
        }
        for raw in ["none", "unknown", "0", "--", "N", "Not available"] {
            assert!(!is(text, raw), "{raw}");
        }
        assert!(
            is(Kind::Text { escaped: true }, r"\u002d") && !is(Kind::Text { escaped: true }, r"\u002d\n-")
        );
        assert!(is(Kind::Nested, "{ \n}") && is(Kind::Nested, "[]"));
        assert!(!is(Kind::Nested, "[0]") && !is(Kind::Number, "0") && !is(Kind::Bool, "false"));
        let none = Missing::new(&[]);
        assert!(
            !none.is(&Value { kind: text, raw: b"" }) && !none.is(&Value { kind: Kind::Nested, raw: b"[]" })
        );
        let long = Missing::new(&["x".repeat(100)]);
        assert!(long.is(&Value { kind: text, raw: "x".repeat(100).as_bytes() }));
    }
}
