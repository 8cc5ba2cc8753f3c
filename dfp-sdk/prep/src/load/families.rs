//! Values without the parts that change every few weeks: a category that is always new teaches nothing.

use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Marks in a browser's user-agent text, most telling first: nearly all claim to be Chrome, Safari and Mozilla too.
const AGENTS: [(&str, &str); 16] = [
    ("EdgA/", "Edge Mobile"),
    ("EdgiOS/", "Edge Mobile"),
    ("Edg/", "Edge"),
    ("Edge/", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Browser"),
    ("YaBrowser/", "Yandex Browser"),
    ("FxiOS/", "Firefox Mobile"),
    ("Firefox/", "Firefox"),
    ("CriOS/", "Chrome Mobile"),
    ("Electron/", "Electron"),
    ("HeadlessChrome/", "Headless Chrome"),
    ("Chrome/", "Chrome"),
    ("Trident/", "IE"),
    ("MSIE ", "IE"),
    ("Safari/", "Safari"),
];

/// A browser or client name without its version.
pub(super) fn browser(text: &str) -> &str {
    let text = text.trim();
    if text.starts_with("Mozilla/") {
        let family =
            AGENTS.into_iter().find(|(mark, _)| text.contains(mark)).map_or("Mozilla", |(_, family)| family);
        return match (family, text.contains("Mobile")) {
            ("Chrome", true) => "Chrome Mobile",
            ("Safari", true) => "Mobile Safari",
            _ => family,
        };
    }
    let bytes = text.as_bytes();
    let version = (1..bytes.len())
        .find(|&at| bytes[at].is_ascii_digit() && matches!(bytes[at - 1], b' ' | b'/' | b'('));
    // The byte before the digit is ASCII, so the cut is between characters.
    version.map_or(text, |at| text[..at - 1].trim_end_matches([' ', '/', '(']))
}

/// Spellings of operating systems, squeezed, and the one form they get.
const SYSTEMS: [(&str, &str); 9] = [
    ("windows", "windows"),
    ("windowsnt", "windows"),
    ("macos", "macos"),
    ("macosx", "macos"),
    ("osx", "macos"),
    ("ios", "ios"),
    ("iphoneos", "ios"),
    ("ipados", "ios"),
    ("chromeos", "chromeos"),
];

/// Writes an operating system's name without its version, in lower case.
pub(super) fn system(text: &str, out: &mut String) {
    let text = text.trim();
    let version = text.find(|c: char| c.is_ascii_digit() || c == '/' || c == '(');
    let name = text[..version.unwrap_or(text.len())].trim_end_matches([' ', '-', '_', '.']);
    fold(if name.is_empty() { text } else { name }, out);
    let squeezed =
        |known: &str| known.bytes().eq(out.bytes().filter(|byte| !matches!(byte, b' ' | b'-' | b'_')));
    if let Some((_, family)) = SYSTEMS.into_iter().find(|(known, _)| squeezed(known)) {
        out.clear();
        out.push_str(family);
    }
}

/// Writes the text without surrounding blanks and in lower case.
pub(crate) fn fold(text: &str, out: &mut String) {
    out.clear();
    let text = text.trim();
    if text.is_ascii() {
        out.push_str(text);
        out.make_ascii_lowercase();
    } else {
        out.extend(text.chars().flat_map(char::to_lowercase));
    }
}

/// What stands between an address and its port (RFC 5952, section 6).
const BEFORE_PORT: [&str; 5] = [":", ".", "#", "p", " port "];

/// The address that a text is, perhaps in brackets or with a port behind it.
fn address(text: &str) -> Option<IpAddr> {
    let plain = |text: &str| {
        let inside = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        inside.unwrap_or(text).parse::<IpAddr>().ok()
    };
    plain(text).or_else(|| {
        let before = text.trim_end_matches(|c: char| c.is_ascii_digit());
        let port = &text[before.len()..];
        port.parse::<u16>().ok()?;
        BEFORE_PORT.into_iter().find_map(|separator| plain(before.strip_suffix(separator)?))
    })
}

/// Writes the network of an address, which may have a port behind it; a text that is no address as it is, trimmed.
pub(super) fn network(text: &str, v4: u8, v6: u8, out: &mut String) {
    out.clear();
    let text = text.trim();
    // Writing to a String cannot fail.
    let _ = match address(text).map(|address| address.to_canonical()) {
        Some(IpAddr::V4(address)) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(v4)).unwrap_or(0);
            write!(out, "{}/{v4}", Ipv4Addr::from(u32::from(address) & mask))
        }
        Some(IpAddr::V6(address)) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(v6)).unwrap_or(0);
            write!(out, "{}/{v6}", Ipv6Addr::from(u128::from(address) & mask))
        }
        None => write!(out, "{text}"),
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(f: impl FnOnce(&mut String)) -> String {
        let mut out = "old".to_owned();
        f(&mut out);
        out
    }

    #[test]
    fn browsers_lose_their_versions() {
        let cases = [
            ("Edge 97.0.1072", "Edge"),
            ("Chrome Mobile 99", "Chrome Mobile"),
            (" Rich Client 4.40.0.0 ", "Rich Client"),
            ("Firefox", "Firefox"),
            ("IE 11.0", "IE"),
            ("360 Browser 12", "360 Browser"),
            ("aws-cli/2.1.0 Python/3.8", "aws-cli"),
            ("Boto3/1.17", "Boto3"),
            ("Exchange (15.1)", "Exchange"),
            ("", ""),
            ("7", "7"),
            ("Müller 3", "Müller"),
            (
                "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/98.0 Safari/537.36 Edg/98.0",
                "Edge",
            ),
            (
                "Mozilla/5.0 (iPhone) AppleWebKit/605 (KHTML, like Gecko) Version/15 Mobile/15E148 Safari/604.1",
                "Mobile Safari",
            ),
            ("Mozilla/5.0 (Linux; Android 11) Chrome/98.0 Mobile Safari/537.36", "Chrome Mobile"),
            ("Mozilla/5.0 (compatible)", "Mozilla"),
        ];
        for (text, family) in cases {
            assert_eq!(browser(text), family, "{text}");
        }
    }

    #[test]
    fn systems_have_one_form() {
        let cases = [
            ("Windows 10", "windows"),
            ("Windows10", "windows"),
            ("Windows NT 10.0", "windows"),
            ("Windows Server 2019", "windows server"),
            ("MacOs", "macos"),
            ("Mac OS X 10_15_7", "macos"),
            ("Ios 15.1", "ios"),
            ("Ios", "ios"),
            ("Android 11", "android"),
            ("3DS", "3ds"),
        ];
        for (text, family) in cases {
            assert_eq!(written(|out| system(text, out)), family, "{text}");
        }
    }

    #[test]
    fn addresses_become_networks() {
        let cases = [
            ("203.0.113.77", "203.0.113.0/24"),
            ("203.0.113.77:51234", "203.0.113.0/24"),
            ("::ffff:203.0.113.77", "203.0.113.0/24"),
            ("2001:db8:1:2:3::4", "2001:db8:1::/48"),
            ("[2001:db8:1:2:3::4]:443", "2001:db8:1::/48"),
            ("[2001:db8:1:2:3::4]", "2001:db8:1::/48"),
            ("[::ffff:203.0.113.77]:443", "203.0.113.0/24"),
            ("2001:db8:1:2:3:4:5:6:443", "2001:db8:1::/48"),
            ("2001:db8:1:2:3:4:5:6.443", "2001:db8:1::/48"),
            ("2001:db8:1:2:3::4#443", "2001:db8:1::/48"),
            ("2001:db8:1:2:3::4p443", "2001:db8:1::/48"),
            ("2001:db8:1:2:3::4 port 443", "2001:db8:1::/48"),
            ("203.0.113.77#443", "203.0.113.0/24"),
            ("203.0.113.277", "203.0.113.277"),
            ("203.0.113.77:99999", "203.0.113.77:99999"),
            ("[203.0.113.77", "[203.0.113.77"),
            (" AWS Internal ", "AWS Internal"),
        ];
        for (text, expected) in cases {
            assert_eq!(written(|out| network(text, 24, 48, out)), expected, "{text}");
        }
        assert_eq!(written(|out| network("1.2.3.4", 32, 128, out)), "1.2.3.4/32");
    }

    proptest! {
        #[test]
        fn any_text_is_safe(text in any::<String>(), v4 in 1_u8..=32, v6 in 1_u8..=128) {
            let family = browser(&text);
            prop_assert_eq!(browser(family), browser(browser(family)));
            let mut out = String::new();
            system(&text, &mut out);
            network(&text, v4, v6, &mut out);
            fold(&text, &mut out);
        }
    }
}
