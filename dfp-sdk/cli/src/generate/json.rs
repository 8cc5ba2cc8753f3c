//! JSON as the sources write it: members in a given order, and texts with gaps that are filled in.

use std::fmt::{Display, Write};

/// A JSON object being written.
pub(super) struct Object {
    text: String,
}

impl Object {
    pub(super) fn new() -> Self {
        Self { text: String::from("{") }
    }

    /// A member whose value is text.
    pub(super) fn text(mut self, key: &str, value: &str) -> Self {
        self.key(key);
        self.text.push_str(&quoted(value));
        self
    }

    /// A member whose value is JSON already: a number, a truth value, an object, a list.
    pub(super) fn json(mut self, key: &str, value: impl Display) -> Self {
        self.key(key);
        let _ = write!(self.text, "{value}");
        self
    }

    /// A member that is there only if it has a value.
    pub(super) fn text_if(self, key: &str, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.text(key, value),
            None => self,
        }
    }

    /// As [`Object::json`], if there is a value.
    pub(super) fn json_if(self, key: &str, value: Option<impl Display>) -> Self {
        match value {
            Some(value) => self.json(key, value),
            None => self,
        }
    }

    fn key(&mut self, key: &str) {
        if self.text.len() > 1 {
            self.text.push(',');
        }
        let _ = write!(self.text, "\"{key}\":");
    }

    pub(super) fn end(mut self) -> String {
        self.text.push('}');
        self.text
    }
}

/// JSON text of a text.
pub(super) fn quoted(value: &str) -> String {
    if value.bytes().any(|byte| matches!(byte, b'"' | b'\\' | 0..b' ')) {
        return serde_json::to_string(value).expect("text is always JSON");
    }
    format!("\"{value}\"")
}

/// Puts values into the gaps of a text: `arn:aws:iam::$account:role/$role`. A gap is a dollar sign and lower-case
/// letters.
pub(super) fn fill(template: &str, value: &mut dyn FnMut(&str) -> String) -> String {
    let mut text = String::with_capacity(template.len() * 2);
    let mut parts = template.split('$');
    text.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let end = part.find(|letter: char| !letter.is_ascii_lowercase()).unwrap_or(part.len());
        text.push_str(&if end == 0 { "$".to_owned() } else { value(&part[..end]) });
        text.push_str(&part[end..]);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_stand_in_order() {
        let object =
            Object::new().text("b", "x\"\r\n").json("a", 1).text_if("c", None).json_if("d", Some("{}"));
        assert_eq!(object.end(), r#"{"b":"x\"\r\n","a":1,"d":{}}"#);
        assert_eq!(Object::new().end(), "{}");
    }

    #[test]
    fn gaps_are_filled() {
        let text = fill("$account:role/$role.json $LATEST", &mut |name| name.to_uppercase());
        assert_eq!(text, "ACCOUNT:role/ROLE.json $LATEST");
    }
}
