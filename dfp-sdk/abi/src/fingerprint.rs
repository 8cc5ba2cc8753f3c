//! Which header a host or plugin was built with.

/// The checked-in header that C plugins compile.
pub const HEADER: &str = include_str!("../include/dfp/plugin.h");

/// How the line begins that states the fingerprint, and is therefore no part of it.
pub const FINGERPRINT_LINE: &str = "#define DFP_ABI_FINGERPRINT ";

/// The fingerprint of [`HEADER`]. Until the border is frozen, host and plugin must agree on it exactly.
pub const FINGERPRINT: u64 = fingerprint(HEADER.as_bytes());

/// FNV-1a over the header's text without its [`FINGERPRINT_LINE`] and without carriage returns, which some checkouts add.
pub const fn fingerprint(header: &[u8]) -> u64 {
    const OFFSET_BASIS: u64 = 0xCBF2_9CE4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01B3;
    let mut hash = OFFSET_BASIS;
    let mut at = 0;
    while at < header.len() {
        let skipped = begins_with(header, at, FINGERPRINT_LINE.as_bytes());
        loop {
            let byte = header[at];
            if !skipped && byte != b'\r' {
                hash = (hash ^ byte as u64).wrapping_mul(PRIME);
            }
            at += 1;
            if byte == b'\n' || at == header.len() {
                break;
            }
        }
    }
    hash
}

const fn begins_with(text: &[u8], at: usize, prefix: &[u8]) -> bool {
    let mut i = 0;
    while i < prefix.len() {
        if at + i >= text.len() || text[at + i] != prefix[i] {
            return false;
        }
        i += 1;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_its_own_line_and_line_ends_are_left_out() {
        let one = fingerprint(b"a\n#define DFP_ABI_FINGERPRINT 1\nb\n");
        assert_eq!(one, fingerprint(b"a\r\n#define DFP_ABI_FINGERPRINT 22\r\nb\r\n"));
        assert_eq!(one, fingerprint(b"a\nb\n"));
        assert_ne!(one, fingerprint(b"a\nc\n"));
        // The published FNV-1a test vector.
        assert_eq!(fingerprint(b"foobar"), 0x8594_4171_F739_67E8);
    }
}
