//! Text that is nearly JSON, as cells of tables hold it: what Python prints (`[{'a': 1, 'b': None}]`), and what query
//! engines print (`{type=IAMUser, arn=null, tags=[a, b]}`).

use std::fmt::Write as _;

/// Objects and lists inside each other, at most.
const DEPTH: usize = 32;

/// The JSON that such a text means; `None` if it is none of them. What begins like a JSON object is none.
pub(crate) fn to_json(text: &str) -> Option<String> {
    let start = text.trim_ascii_start();
    let first = start.get(1..)?.trim_ascii_start();
    if start.starts_with('{') && first.starts_with(['"', '}']) {
        return None;
    }
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'$' | b'.');
    let name = first.bytes().take_while(|&byte| is_name(byte)).count();
    let engine = start.starts_with('{') && name > 0 && first[name..].starts_with('=');
    let mut parser = Parser { rest: start, out: String::with_capacity(text.len() + 16) };
    let parsed = if engine { parser.engine(DEPTH, false) } else { parser.python(DEPTH) };
    parsed.filter(|()| parser.rest.trim_ascii().is_empty())?;
    Some(parser.out)
}

struct Parser<'a> {
    rest: &'a str,
    out: String,
}

impl Parser<'_> {
    fn blanks(&mut self) {
        self.rest = self.rest.trim_ascii_start();
    }

    fn eat(&mut self, token: &str) -> Option<()> {
        self.rest = self.rest.strip_prefix(token)?;
        Some(())
    }

    /// A list of elements up to `close`, its opening bracket already passed.
    fn list(
        &mut self,
        open: char,
        close: char,
        mut element: impl FnMut(&mut Self) -> Option<()>,
    ) -> Option<()> {
        self.out.push(open);
        self.blanks();
        if self.rest.starts_with(close) {
            self.rest = &self.rest[1..];
            self.out.push(close);
            return Some(());
        }
        loop {
            self.blanks();
            element(self)?;
            self.blanks();
            let next = self.rest.chars().next()?;
            self.rest = &self.rest[next.len_utf8()..];
            if next == close {
                self.out.push(close);
                return Some(());
            }
            if next != ',' {
                return None;
            }
            self.out.push(',');
        }
    }

    /// A value as Python prints it.
    fn python(&mut self, depth: usize) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        match self.rest.chars().next()? {
            '[' => {
                self.rest = &self.rest[1..];
                self.list('[', ']', |parser| parser.python(depth))
            }
            '{' => {
                self.rest = &self.rest[1..];
                self.list('{', '}', |parser| {
                    parser.quoted()?;
                    parser.blanks();
                    parser.eat(":")?;
                    parser.out.push(':');
                    parser.blanks();
                    parser.python(depth)
                })
            }
            '\'' | '"' => self.quoted(),
            _ => self.word(),
        }
    }

    /// A number or a name of Python's.
    fn word(&mut self) -> Option<()> {
        let end = self.rest.find([',', ']', '}', ' ']).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        match word {
            "None" | "nan" => self.out.push_str("null"),
            "True" => self.out.push_str("true"),
            "False" => self.out.push_str("false"),
            _ => {
                serde_json::from_str::<serde_json::Number>(word).ok()?;
                self.out.push_str(word);
            }
        }
        Some(())
    }

    /// A string in single or double quotes.
    fn quoted(&mut self) -> Option<()> {
        let mut characters = self.rest.chars();
        let quote = characters.next().filter(|&c| c == '\'' || c == '"')?;
        let mut text = String::new();
        loop {
            match characters.next()? {
                '\\' => match characters.next()? {
                    'n' => text.push('\n'),
                    'r' => text.push('\r'),
                    't' => text.push('\t'),
                    mark @ ('x' | 'u' | 'U') => {
                        let digits = match mark {
                            'x' => 2,
                            'u' => 4,
                            _ => 8,
                        };
                        let code = characters.as_str().get(..digits)?;
                        text.push(char::from_u32(u32::from_str_radix(code, 16).ok()?)?);
                        characters = characters.as_str()[digits..].chars();
                    }
                    other => text.push(other),
                },
                end if end == quote => break,
                other => text.push(other),
            }
        }
        self.rest = characters.as_str();
        self.string(&text)
    }

    /// Writes a JSON string.
    fn string(&mut self, text: &str) -> Option<()> {
        write!(self.out, "{}", serde_json::Value::from(text)).ok()
    }

    /// A value as query engines print it: texts bare, so that a text ends where a comma and the next name, or the
    /// closing bracket, follow.
    fn engine(&mut self, depth: usize, in_list: bool) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        match self.rest.chars().next()? {
            '[' => {
                self.rest = &self.rest[1..];
                self.list('[', ']', |parser| parser.engine(depth, true))
            }
            '{' => {
                self.rest = &self.rest[1..];
                self.list('{', '}', |parser| {
                    let (name, rest) = parser.rest.split_once('=')?;
                    parser.rest = rest;
                    parser.string(name)?;
                    parser.out.push(':');
                    parser.engine(depth, false)
                })
            }
            _ => {
                let (text, rest) = self.rest.split_at(bare_end(self.rest, in_list)?);
                self.rest = rest;
                if text == "null" {
                    self.out.push_str("null");
                    return Some(());
                }
                self.string(text)
            }
        }
    }
}

/// Where a bare text ends.
fn bare_end(text: &str, in_list: bool) -> Option<usize> {
    let ends = |(at, byte): (usize, u8)| match byte {
        b'}' | b']' => true,
        b',' if in_list => true,
        b',' => {
            let next = text[at + 1..].trim_ascii_start();
            let name = next.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_').count();
            name > 0 && next[name..].starts_with('=')
        }
        _ => false,
    };
    text.bytes().enumerate().find(|&place| ends(place)).map(|(at, _)| at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn python_and_engines_become_json() {
        for (text, json) in [
            ("[{'a': 'b', 'c': [1, -2.5, True, None]}]", r#"[{"a":"b","c":[1,-2.5,true,null]}]"#),
            (r#"[{"it's": 'a "b" \'c\' \u00e9\xe9'}]"#, r#"[{"it's":"a \"b\" 'c' éé"}]"#),
            ("[]", "[]"),
            (
                "{type=IAMUser, arn=arn:aws:iam::012345678901:user/a, b, invokedby=null, sessioncontext={attributes={mfa=false}, x=}}",
                r#"{"type":"IAMUser","arn":"arn:aws:iam::012345678901:user/a, b","invokedby":null,"sessioncontext":{"attributes":{"mfa":"false"},"x":""}}"#,
            ),
            ("{tags=[a, {k=v}], n=1}", r#"{"tags":["a",{"k":"v"}],"n":"1"}"#),
        ] {
            assert_eq!(to_json(text).as_deref(), Some(json), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        let deep = "[".repeat(10_000);
        for text in [
            "",
            "x",
            "{}",
            "{\"a\":1}",
            "{a}",
            "{'a': b}",
            "[1, 2",
            "{'a': 'b'} c",
            "{a=b",
            "['\\ud800']",
            "['\\x9",
            &deep,
        ] {
            assert_eq!(to_json(text), None, "{text}");
        }
    }
}
