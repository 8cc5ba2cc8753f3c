//! Parameters out of JSON text that anybody may have written.
//!
//! The reader goes over the text once and keeps names and values in one buffer. Values are texts as they are, and
//! everything else as compact JSON in one spelling: members in their order, no blanks, one way to write a text or a
//! number. A whole number beyond 64 bits loses its last digits.

use std::fmt;
use std::ops::Range;

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Deserializer as Json;

/// Longer texts are not read.
const MAX_BYTES: usize = 1 << 20;
/// More parameters are not kept.
const MAX_PARAMETERS: usize = 10_000;
/// Of what a reader complains is repeated in an error.
const MAX_DETAIL: usize = 200;

/// Names and values of one command's parameters. Used again for the next command.
#[derive(Default)]
pub(super) struct Found {
    text: Vec<u8>,
    items: Vec<Item>,
}

#[derive(Clone)]
struct Item {
    name: Range<usize>,
    value: Option<Range<usize>>,
}

/// What a parameter text should look like.
#[derive(Clone, Copy)]
pub(super) enum Shape<'a> {
    /// An array of objects with these members for name and value.
    Pairs { name: &'a str, value: &'a str },
    /// An object.
    Object,
}

impl Found {
    /// Reads a text in place of what was there.
    ///
    /// # Errors
    /// What is wrong with the text; nothing is found then.
    pub(super) fn read(&mut self, text: &str, shape: Shape<'_>) -> Result<(), String> {
        self.clear();
        if text.trim_ascii().is_empty() {
            return Ok(());
        }
        if text.len() > MAX_BYTES {
            return Err(format!("{} bytes; more than {MAX_BYTES} are not read", text.len()));
        }
        let mut json = Json::from_str(text);
        let result = json.deserialize_any(Whole { found: self, shape }).and_then(|()| json.end());
        result.map_err(|error| {
            self.clear();
            let mut detail = error.to_string();
            let end = (0..=MAX_DETAIL.min(detail.len())).rev().find(|end| detail.is_char_boundary(*end));
            detail.truncate(end.unwrap_or_default());
            detail
        })?;
        self.sort();
        Ok(())
    }

    pub(super) fn clear(&mut self) {
        self.text.clear();
        self.items.clear();
    }

    /// Adds a name without value; call [`sort`](Self::sort) in the end.
    pub(super) fn add(&mut self, name: &str) {
        let start = self.text.len();
        self.text.extend_from_slice(name.as_bytes());
        self.items.push(Item { name: start..self.text.len(), value: None });
    }

    /// Puts names in order; of equal ones the last stays.
    pub(super) fn sort(&mut self) {
        let text = &self.text;
        self.items.sort_by(|a, b| text[a.name.clone()].cmp(&text[b.name.clone()]));
        self.items.dedup_by(|later, kept| {
            let same = text[later.name.clone()] == text[kept.name.clone()];
            if same {
                *kept = later.clone();
            }
            same
        });
    }

    /// Names and values, sorted by name.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        // Written as text, cut between texts.
        let text = |range: &Range<usize>| str::from_utf8(&self.text[range.clone()]).unwrap_or_default();
        self.items.iter().map(move |item| (text(&item.name), item.value.as_ref().map(text)))
    }

    fn push<E: serde::de::Error>(&mut self, item: Item) -> Result<(), E> {
        if self.items.len() == MAX_PARAMETERS {
            return Err(E::custom(format!("more than {MAX_PARAMETERS} parameters")));
        }
        self.items.push(item);
        Ok(())
    }
}

/// The whole text.
struct Whole<'a> {
    found: &'a mut Found,
    shape: Shape<'a>,
}

impl<'de> Visitor<'de> for Whole<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.shape {
            Shape::Pairs { .. } => "an array of names and values",
            Shape::Object => "an object",
        })
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let Shape::Pairs { name, value } = self.shape else {
            return Err(A::Error::invalid_type(serde::de::Unexpected::Seq, &self));
        };
        while let Some(item) = seq.next_element_seed(Pair { out: &mut self.found.text, name, value })? {
            self.found.push(item)?;
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        if !matches!(self.shape, Shape::Object) {
            return Err(A::Error::invalid_type(serde::de::Unexpected::Map, &self));
        }
        while let Some(name) = map.next_key_seed(Plain { out: &mut self.found.text, null: false })? {
            let value = map.next_value_seed(Plain { out: &mut self.found.text, null: true })?;
            self.found.push(Item { name: name.unwrap_or_default(), value })?;
        }
        Ok(())
    }
}

/// An object of a name and a value.
struct Pair<'a> {
    out: &'a mut Vec<u8>,
    name: &'a str,
    value: &'a str,
}

impl<'de> DeserializeSeed<'de> for Pair<'_> {
    type Value = Item;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Item, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Pair<'_> {
    type Value = Item;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object with the members `{}` and `{}`", self.name, self.value)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Item, A::Error> {
        let (mut name, mut value) = (None, None);
        while let Some(key) = map.next_key_seed(Which { name: self.name, value: self.value })? {
            match key {
                Member::Name => name = map.next_value_seed(Plain { out: self.out, null: false })?,
                Member::Value => value = map.next_value_seed(Plain { out: self.out, null: true })?,
                Member::Other => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        let name = name.ok_or_else(|| A::Error::custom(format!("a parameter without `{}`", self.name)))?;
        Ok(Item { name, value })
    }
}

/// Which member of a pair a key is.
struct Which<'a> {
    name: &'a str,
    value: &'a str,
}

enum Member {
    Name,
    Value,
    Other,
}

impl<'de> DeserializeSeed<'de> for Which<'_> {
    type Value = Member;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Member, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Which<'_> {
    type Value = Member;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Member, E> {
        Ok(if key == self.name {
            Member::Name
        } else if key == self.value {
            Member::Value
        } else {
            Member::Other
        })
    }
}

/// A value that becomes a text of its own: texts as they are, nothing for null, where that may be, and all else as JSON.
struct Plain<'a> {
    out: &'a mut Vec<u8>,
    null: bool,
}

impl<'de> DeserializeSeed<'de> for Plain<'_> {
    type Value = Option<Range<usize>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Plain<'_> {
    fn written<E>(self, write: impl FnOnce(Compact<'_>) -> Result<(), E>) -> Result<Option<Range<usize>>, E> {
        let start = self.out.len();
        write(Compact(self.out))?;
        Ok(Some(start..self.out.len()))
    }
}

impl<'de> Visitor<'de> for Plain<'_> {
    type Value = Option<Range<usize>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        let start = self.out.len();
        self.out.extend_from_slice(text.as_bytes());
        Ok(Some(start..self.out.len()))
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<Self::Value, E> {
        if self.null { Ok(None) } else { Err(E::invalid_type(serde::de::Unexpected::Unit, &self)) }
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<Self::Value, E> {
        self.written(|out| out.visit_bool(value))
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Self::Value, E> {
        self.written(|out| out.visit_i64(value))
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Self::Value, E> {
        self.written(|out| out.visit_u64(value))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Self::Value, E> {
        self.written(|out| out.visit_f64(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
        self.written(|out| out.visit_seq(seq))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        self.written(|out| out.visit_map(map))
    }
}

/// A value written as compact JSON.
struct Compact<'a>(&'a mut Vec<u8>);

impl<'de> DeserializeSeed<'de> for Compact<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Compact<'_> {
    fn value<E: serde::de::Error>(self, value: impl serde::Serialize) -> Result<(), E> {
        serde_json::to_writer(self.0, &value).map_err(E::custom)
    }
}

impl<'de> Visitor<'de> for Compact<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        self.value(())
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<(), E> {
        self.value(value)
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<(), E> {
        self.value(value)
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<(), E> {
        self.value(value)
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<(), E> {
        self.value(value)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<(), E> {
        self.value(text)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let mut before = b'[';
        self.0.push(before);
        while seq.next_element_seed(Compact(self.0))?.is_some() {
            before = b',';
            self.0.push(before);
        }
        close(self.0, before, b']');
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut before = b'{';
        self.0.push(before);
        while map.next_key_seed(Compact(self.0))?.is_some() {
            self.0.push(b':');
            map.next_value_seed(Compact(self.0))?;
            before = b',';
            self.0.push(before);
        }
        close(self.0, before, b'}');
        Ok(())
    }
}

/// Ends an array or object, in place of the comma after its last element.
fn close(out: &mut Vec<u8>, last: u8, bracket: u8) {
    if last == b',' {
        out.pop();
    }
    out.push(bracket);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PAIRS: Shape<'_> = Shape::Pairs { name: "Name", value: "Value" };

    fn read(text: &str, shape: Shape<'_>) -> Result<Vec<(String, Option<String>)>, String> {
        let mut found = Found::default();
        found.add("left over");
        found.read(text, shape)?;
        Ok(found.iter().map(|(name, value)| (name.to_owned(), value.map(str::to_owned))).collect())
    }

    fn owned(items: &[(&str, Option<&str>)]) -> Vec<(String, Option<String>)> {
        items.iter().map(|(name, value)| ((*name).to_owned(), value.map(str::to_owned))).collect()
    }

    #[test]
    fn pairs_and_objects_are_read_sorted_and_the_last_of_a_name_counts() {
        let pairs = r#" [ {"Value":"2","Name":"b"}, {"Name":"a","Value":"x\u00e9\\"},
                        {"Name":"b","Value":null,"More":{"a":[1]}}, {"Name":"c","Value":[true, {"k": "v\""}, 1.50]},
                        {"Name":"d"} ] "#;
        let expected =
            [("a", Some("xé\\")), ("b", None), ("c", Some(r#"[true,{"k":"v\""},1.5]"#)), ("d", None)];
        assert_eq!(read(pairs, PAIRS).unwrap(), owned(&expected));
        let object = r#"{"z":{},"y":[],"count":2,"count":3,"dry":true,"tags":{"b":null,"a":-1e3},"name":"w","none":null}"#;
        let expected = [
            ("count", Some("3")),
            ("dry", Some("true")),
            ("name", Some("w")),
            ("none", None),
            ("tags", Some(r#"{"b":null,"a":-1000.0}"#)),
            ("y", Some("[]")),
            ("z", Some("{}")),
        ];
        assert_eq!(read(object, Shape::Object).unwrap(), owned(&expected));
    }

    #[test]
    fn nothing_is_no_parameters() {
        for text in ["", " \n", "null", " null "] {
            assert_eq!(read(text, PAIRS).unwrap(), []);
            assert_eq!(read(text, Shape::Object).unwrap(), []);
        }
        assert_eq!(read("[]", PAIRS).unwrap(), []);
        assert_eq!(read("{}", Shape::Object).unwrap(), []);
    }

    #[test]
    fn hostile_texts_are_refused_in_few_words() {
        let deep = "[".repeat(100_000);
        let deep_value = format!("[{{\"Name\":\"a\",\"Value\":{}{}}}]", "[".repeat(200), "]".repeat(200));
        let huge = format!("[{}]", " ".repeat(MAX_BYTES));
        let many = format!("[{}]", vec![r#"{"Name":"a"}"#; MAX_PARAMETERS + 1].join(","));
        let long = format!("\"{}\"", "é".repeat(5000));
        for text in [
            "{",
            "[1]",
            "[{}]",
            "[[]]",
            "[{\"Name\":null}]",
            "{\"Name\":\"a\"}",
            "[] []",
            "plain words",
            "7",
            "[{\"Name\":\"a\",\"Value\":1e999}]",
            &deep,
            &deep_value,
            &huge,
            &many,
            &long,
        ] {
            let error = read(text, PAIRS).expect_err(&text.chars().take(50).collect::<String>());
            assert!(error.len() <= MAX_DETAIL, "{error}");
        }
        assert!(read("[]", Shape::Object).unwrap_err().contains("expected an object"));
    }

    proptest! {
        #[test]
        fn any_text_is_safe(text: String) {
            let _ = read(&text, PAIRS);
            let _ = read(&text, Shape::Object);
        }

        /// What is written of a value is JSON of the same value.
        #[test]
        fn values_keep_their_meaning(texts in prop::collection::vec(any::<String>(), 0..5), n: i64, x: i32) {
            let value = serde_json::json!({"texts": texts, "n": n, "x": f64::from(x) / 8.0, "o": {"": null, "t": [[], {}, false]}});
            let whole = serde_json::json!({"v": value}).to_string();
            let found = read(&whole, Shape::Object).unwrap();
            let again: serde_json::Value = serde_json::from_str(found[0].1.as_ref().unwrap()).unwrap();
            prop_assert_eq!(again, value);
        }
    }
}
