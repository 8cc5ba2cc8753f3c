//! Text out of raw bytes: JSON escapes, bytes that are not UTF-8, blanks between JSON tokens.
//!
//! Every function appends to `out` and answers with the number of places where something that is no text (invalid
//! UTF-8, half a surrogate pair) was replaced by U+FFFD.

/// Appends bytes that hold no escapes.
#[inline]
pub(crate) fn plain(raw: &[u8], out: &mut String) -> u64 {
    if let Ok(text) = std::str::from_utf8(raw) {
        out.push_str(text);
        return 0;
    }
    let mut replaced = 0;
    for chunk in raw.utf8_chunks() {
        out.push_str(chunk.valid());
        if !chunk.invalid().is_empty() {
            out.push(char::REPLACEMENT_CHARACTER);
            replaced += 1;
        }
    }
    replaced
}

/// Appends the inside of a JSON string whose escapes the scanner has checked.
pub(crate) fn unescape(raw: &[u8], out: &mut String) -> u64 {
    let mut replaced = 0;
    let mut rest = raw;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        replaced += plain(&rest[..at], out);
        let escape = &rest[at + 1..];
        let (character, length) = match escape.first() {
            Some(b'b') => ('\u{8}', 1),
            Some(b'f') => ('\u{c}', 1),
            Some(b'n') => ('\n', 1),
            Some(b'r') => ('\r', 1),
            Some(b't') => ('\t', 1),
            Some(b'u') => unicode(escape),
            Some(&other) => (char::from(other), 1),
            None => (char::REPLACEMENT_CHARACTER, 0),
        };
        replaced += u64::from(character == char::REPLACEMENT_CHARACTER && !is_literal_replacement(escape));
        out.push(character);
        rest = &escape[length..];
    }
    replaced + plain(rest, out)
}

/// `\ufffd` in the source is a character like any other.
fn is_literal_replacement(escape: &[u8]) -> bool {
    code_unit(escape) == Some(0xFFFD)
}

/// The character of `uXXXX`, or of `uXXXX\uXXXX` for a surrogate pair, and the bytes it takes.
fn unicode(escape: &[u8]) -> (char, usize) {
    let Some(first) = code_unit(escape) else { return (char::REPLACEMENT_CHARACTER, 1) };
    if let Some(character) = char::from_u32(first) {
        return (character, 5);
    }
    let second = escape[5..].strip_prefix(b"\\").and_then(code_unit);
    match second {
        Some(low @ 0xDC00..=0xDFFF) if first < 0xDC00 => {
            let code = 0x1_0000 + ((first - 0xD800) << 10) + (low - 0xDC00);
            (char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER), 11)
        }
        _ => (char::REPLACEMENT_CHARACTER, 5),
    }
}

/// The number in `uXXXX`.
fn code_unit(escape: &[u8]) -> Option<u32> {
    let digits = escape.strip_prefix(b"u")?.get(..4)?;
    digits.iter().try_fold(0, |code, &digit| Some(code * 16 + char::from(digit).to_digit(16)?))
}

/// Appends JSON text without the blanks between its tokens, so that one value reads the same out of any envelope.
pub(crate) fn compact(raw: &[u8], out: &mut String) -> u64 {
    let mut replaced = 0;
    let mut rest = raw;
    while !rest.is_empty() {
        let gap = rest.iter().take_while(|&&byte| crate::scan::is_blank(byte)).count();
        rest = &rest[gap..];
        let token = if rest.first() == Some(&b'"') {
            string_length(rest)
        } else {
            rest.iter().take_while(|&&byte| byte != b'"' && !crate::scan::is_blank(byte)).count()
        };
        replaced += plain(&rest[..token], out);
        rest = &rest[token..];
    }
    replaced
}

/// Bytes of the string that `text` begins with, quotes included.
fn string_length(text: &[u8]) -> usize {
    let mut cursor = crate::scan::Cursor::new(text, 0);
    cursor.string().map_or(text.len(), |span| span.end + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(f: fn(&[u8], &mut String) -> u64, raw: &[u8]) -> (String, u64) {
        let mut out = String::new();
        let replaced = f(raw, &mut out);
        (out, replaced)
    }

    #[test]
    fn escapes_become_characters() {
        let raw = br#"a\/b\"\\\n\u00e9\u003c\ud83d\ude00z"#;
        assert_eq!(run(unescape, raw), ("a/b\"\\\né<😀z".to_owned(), 0));
        assert_eq!(run(unescape, br"\ufffd"), ("\u{fffd}".to_owned(), 0));
    }

    #[test]
    fn broken_text_is_replaced_and_counted() {
        assert_eq!(run(plain, b"M\xfcnchen \xff\xfe"), ("M\u{fffd}nchen \u{fffd}\u{fffd}".to_owned(), 3));
        for lone in [&br"\ud83d"[..], br"\ude00", br"\ud83dx", br"\ud83d\n"] {
            let (text, replaced) = run(unescape, lone);
            assert!(text.starts_with('\u{fffd}') && replaced == 1, "{text}");
        }
        assert_eq!(run(unescape, br"\ud83d\ud83d\ude00"), ("\u{fffd}😀".to_owned(), 1));
    }

    #[test]
    fn compact_keeps_blanks_in_strings_only() {
        let raw = b"[ {\"a b\" : \"c \\\" d\" ,\r\n\t\"e\":[ 1 , null ] } ]";
        assert_eq!(run(compact, raw).0, r#"[{"a b":"c \" d","e":[1,null]}]"#);
    }
}
