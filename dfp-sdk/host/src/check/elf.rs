//! The symbols that a shared library exports, as far as its file says so.

use std::path::Path;

const DYNAMIC_SYMBOLS: u32 = 11;
const SECTION_BYTES: usize = 64;
const SYMBOL_BYTES: usize = 24;

/// The names of all exported symbols; `None` if the file is no 64-bit little-endian ELF.
pub(super) fn exports(library: &Path) -> Option<Vec<String>> {
    let file = std::fs::read(library).ok()?;
    read(&file)
}

fn number<const N: usize>(file: &[u8], at: usize) -> Option<u64> {
    let bytes = file.get(at..at.checked_add(N)?)?;
    Some(bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

/// A part of the file by the section's offset and size.
fn section(file: &[u8], header: usize) -> Option<&[u8]> {
    let start = usize::try_from(number::<8>(file, header + 24)?).ok()?;
    let size = usize::try_from(number::<8>(file, header + 32)?).ok()?;
    file.get(start..start.checked_add(size)?)
}

fn read(file: &[u8]) -> Option<Vec<String>> {
    if !file.starts_with(b"\x7fELF\x02\x01") {
        return None;
    }
    let headers = usize::try_from(number::<8>(file, 40)?).ok()?;
    let count = number::<2>(file, 60)? as usize;
    let header = |index: usize| headers.checked_add(index.checked_mul(SECTION_BYTES)?);
    for index in 0..count {
        let at = header(index)?;
        if number::<4>(file, at + 4)? != u64::from(DYNAMIC_SYMBOLS) {
            continue;
        }
        let names = section(file, header(number::<4>(file, at + 40)? as usize)?)?;
        let symbols = section(file, at)?.chunks_exact(SYMBOL_BYTES);
        return Some(symbols.filter_map(|symbol| exported(symbol, names)).collect());
    }
    None
}

/// The name of a symbol that others can link to.
fn exported(symbol: &[u8], names: &[u8]) -> Option<String> {
    let (binding, visibility) = (symbol[4] >> 4, symbol[5] & 3);
    let defined = number::<2>(symbol, 6)? != 0;
    let global = binding == 1 || binding == 2;
    // Default and protected ones; internal and hidden ones are nobody else's.
    if !defined || !global || !(visibility == 0 || visibility == 3) {
        return None;
    }
    let name = names.get(number::<4>(symbol, 0)? as usize..)?;
    let end = name.iter().position(|byte| *byte == 0)?;
    Some(String::from_utf8_lossy(&name[..end]).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_library_has_no_symbols() {
        assert_eq!(read(b"#!/bin/sh"), None);
        let own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        for length in [0, 6, 50, 64, 1000, own.len() / 2] {
            assert_eq!(read(&own[..length.min(own.len())]), None, "{length}");
        }
    }
}
