//! Addresses: which may be asked, what they look like in an error, how their parts are written.

use std::fmt::Write as _;

/// An `http` or `https` address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url {
    /// `https://host[:port]`, in lower case.
    pub(crate) origin: String,
    /// Path, with its slash.
    pub(crate) path: String,
    /// What follows the question mark.
    pub(crate) query: Option<String>,
}

impl Url {
    /// Reads an address; the text is why it is none that may be asked.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let bad = |why: &str| Err(format!("{:?} {why}", shown(text)));
        if text.bytes().any(|byte| byte <= b' ' || byte >= 0x7F) || text.len() > 16 << 10 {
            return bad("is no address");
        }
        let Some((scheme, rest)) = text.split_once("://") else { return bad("is no address") };
        let scheme = scheme.to_ascii_lowercase();
        let split = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let authority = rest[..split].to_ascii_lowercase();
        if authority.is_empty() || authority.contains('@') || rest.contains('#') {
            return bad("has no host, a user name or a fragment");
        }
        let default_port = match scheme.as_str() {
            "https" => ":443",
            "http" if is_loopback(&authority) => ":80",
            "http" => return bad("is not encrypted: only https is asked, or this machine itself"),
            _ => return bad("is no https address"),
        };
        let authority = authority.strip_suffix(default_port).unwrap_or(&authority);
        let (path, query) = match rest[split..].split_once('?') {
            Some((path, query)) => (path, Some(query.to_owned())),
            None => (&rest[split..], None),
        };
        let path = if path.is_empty() { "/" } else { path };
        Ok(Self { origin: format!("{scheme}://{authority}"), path: path.to_owned(), query })
    }

    /// The same server, another path (`/a/b`) and query.
    pub(crate) fn at(&self, path: &str, query: Option<String>) -> Self {
        let path = format!("{}{path}", self.path.trim_end_matches('/'));
        Self { origin: self.origin.clone(), path, query }
    }

    /// Host, and port where it is none of the usual ones.
    pub(crate) fn authority(&self) -> &str {
        self.origin.split_once("://").map_or("", |(_, authority)| authority)
    }

    /// The whole address.
    pub(crate) fn text(&self) -> String {
        match &self.query {
            Some(query) => format!("{}{}?{query}", self.origin, self.path),
            None => format!("{}{}", self.origin, self.path),
        }
    }

    /// The address without what its query says.
    pub(crate) fn shown(&self) -> String {
        shown(&self.text())
    }

    /// Whether it is this machine.
    pub(crate) fn is_loopback(&self) -> bool {
        is_loopback(self.authority())
    }
}

/// An address as errors may show it.
fn shown(text: &str) -> String {
    let (place, query) = text.split_once('?').map_or((text, ""), |(place, _)| (place, "?..."));
    // What stands before an @ may be a password.
    let place = match (place.find("://"), place.rfind('@')) {
        (Some(scheme), Some(at)) if at > scheme => format!("{}...{}", &place[..scheme + 3], &place[at..]),
        _ => place.to_owned(),
    };
    let mut place: String = place.chars().take(300).collect();
    place.push_str(query);
    place
}

fn is_loopback(authority: &str) -> bool {
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(""),
        None => authority.split(':').next().unwrap_or(""),
    };
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Percent-encodes all but letters, digits and `-._~`: what signatures are made over. `keep` stays too.
pub(crate) fn encode(text: &str, keep: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        let c = char::from(byte);
        if c.is_ascii_alphanumeric() || "-._~".contains(c) || (c.is_ascii() && keep.contains(c)) {
            encoded.push(c);
        } else {
            write!(encoded, "%{byte:02X}").expect("writing to a string does not fail");
        }
    }
    encoded
}

/// Undoes percent-encoding; `+` stays. `None` where it is not what encoding gives, or no text.
pub(crate) fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte == b'%' {
            let digits =
                std::str::from_utf8(rest.get(..2)?).ok().filter(|digits| !digits.starts_with('+'))?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &rest[2..];
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

/// `name=value` pairs, sorted and encoded: a query, and its canonical form at once.
pub(crate) fn query(pairs: &[(&str, &str)]) -> String {
    let mut encoded: Vec<String> =
        pairs.iter().map(|(name, value)| format!("{}={}", encode(name, ""), encode(value, ""))).collect();
    encoded.sort_unstable();
    encoded.join("&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_encrypted_addresses_or_this_machine_may_be_asked() {
        for good in [
            "https://graph.microsoft.com",
            "HTTPS://a.b:8443/x?y=z",
            "http://127.0.0.1:80/",
            "http://[::1]:9/",
            "http://localhost",
        ] {
            assert!(Url::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "x",
            "ftp://a",
            "http://a.b",
            "http://127.0.0.1.evil.example",
            "https://",
            "https://u:secret@a",
            "https://a b",
            "https://a/#x",
            "https://ä",
            "http://2130706433x",
            "https://a\r\nHost:b",
        ] {
            let error = Url::parse(bad).expect_err(bad);
            assert!(!error.contains("secret"), "{error}");
        }
        let url = Url::parse("https://Graph.Microsoft.com:443/v1?$skiptoken=abc").unwrap();
        assert_eq!(url.origin, "https://graph.microsoft.com");
        assert_eq!(url.shown(), "https://graph.microsoft.com/v1?...");
        assert_eq!(url.text(), "https://graph.microsoft.com/v1?$skiptoken=abc");
    }

    #[test]
    fn encoding_is_undone() {
        let text = "a b/ü?&=~+%41";
        assert_eq!(encode(text, ""), "a%20b%2F%C3%BC%3F%26%3D~%2B%2541");
        assert_eq!(decode(&encode(text, "/")).as_deref(), Some(text));
        for bad in ["%", "%4", "%zz", "%+1", "%FF"] {
            assert_eq!(decode(bad), None, "{bad}");
        }
        assert_eq!(query(&[("b", "2"), ("a", "x,y"), ("a", "1")]), "a=1&a=x%2Cy&b=2");
    }
}
