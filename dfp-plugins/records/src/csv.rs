//! Rows of a CSV file: separated by commas or another byte, cells quoted where they hold separators, quotes or newlines.

use memchr::{memchr, memchr2};

/// One cell of a row, quotes left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cell {
    pub(crate) start: usize,
    pub(crate) end: usize,
    /// Holds doubled quotes.
    pub(crate) doubled: bool,
}

/// Splits the row at the start of `bytes` into `cells`; answers with its length, the line end included. `None` if the
/// row does not end in `bytes`; the end of the input (`ended`) ends a row too, but not inside quotes.
pub(crate) fn split(bytes: &[u8], separator: u8, ended: bool, cells: &mut Vec<Cell>) -> Option<usize> {
    cells.clear();
    let mut at = 0;
    loop {
        let (cell, stop) = if bytes.get(at) == Some(&b'"') {
            quoted(bytes, at, separator)?
        } else {
            unquoted(bytes, at, separator)
        };
        match bytes.get(stop) {
            Some(&byte) if byte == separator => at = stop + 1,
            Some(_) => {
                cells.push(without_carriage_return(bytes, cell, stop));
                return Some(stop + 1);
            }
            None if ended => {
                cells.push(without_carriage_return(bytes, cell, stop));
                return Some(stop);
            }
            None => return None,
        }
        cells.push(cell);
    }
}

/// A cell without quotes and the position of the separator or newline after it.
fn unquoted(bytes: &[u8], start: usize, separator: u8) -> (Cell, usize) {
    let stop = next(bytes, start, separator);
    (Cell { start, end: stop, doubled: false }, stop)
}

/// A cell in quotes and the position of the separator or newline after it. Text between the closing quote and the
/// separator belongs to nothing and is dropped.
fn quoted(bytes: &[u8], quote: usize, separator: u8) -> Option<(Cell, usize)> {
    let start = quote + 1;
    let mut doubled = false;
    let mut at = start;
    loop {
        at += memchr(b'"', &bytes[at..])?;
        if bytes.get(at + 1) != Some(&b'"') {
            return Some((Cell { start, end: at, doubled }, next(bytes, at + 1, separator)));
        }
        doubled = true;
        at += 2;
    }
}

/// The separator or newline at or after `from`. A carriage return alone separates nothing.
fn next(bytes: &[u8], from: usize, separator: u8) -> usize {
    memchr2(separator, b'\n', &bytes[from..]).map_or(bytes.len(), |found| from + found)
}

fn without_carriage_return(bytes: &[u8], cell: Cell, stop: usize) -> Cell {
    let has_one = cell.end == stop && stop > cell.start && bytes[stop - 1] == b'\r';
    Cell { end: cell.end - usize::from(has_one), ..cell }
}

/// Appends the text of a cell, doubled quotes made single; answers with the replaced invalid characters.
pub(crate) fn append(cell: &[u8], out: &mut String) -> u64 {
    let mut replaced = 0;
    let mut rest = cell;
    while let Some(at) = memchr(b'"', rest) {
        replaced += crate::text::plain(&rest[..=at], out);
        rest = rest[at + 1..].strip_prefix(b"\"").unwrap_or(&rest[at + 1..]);
    }
    replaced + crate::text::plain(rest, out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str) -> Vec<Vec<String>> {
        let mut rest = text.as_bytes();
        let (mut cells, mut rows) = (Vec::new(), Vec::new());
        while !rest.is_empty() {
            let length = split(rest, b',', true, &mut cells).expect("rows are whole");
            let texts = cells.iter().map(|cell| {
                let mut out = String::new();
                append(&rest[cell.start..cell.end], &mut out);
                out
            });
            rows.push(texts.collect());
            rest = &rest[length..];
        }
        rows
    }

    #[test]
    fn quotes_commas_and_line_ends() {
        let text = "a,\"b, \"\"c\"\"\r\nd\",\r\n\"x\"\r\n,y\n1,\"\",stray\"quote";
        let expected: Vec<Vec<&str>> =
            vec![vec!["a", "b, \"c\"\r\nd", ""], vec!["x"], vec!["", "y"], vec!["1", "", "stray\"quote"]];
        assert_eq!(rows(text), expected);
    }

    #[test]
    fn an_unfinished_row_asks_for_more() {
        let mut cells = Vec::new();
        assert_eq!(split(b"a,b", b',', false, &mut cells), None);
        assert_eq!(split(b"a,\"b\nc", b',', true, &mut cells), None);
        assert_eq!(split(b"a,b", b',', true, &mut cells), Some(3));
    }
}
