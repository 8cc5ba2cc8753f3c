//! Rows into Arrow columns.

use std::fmt::Write as _;
use std::sync::Arc;

use dfp_plugin::arrow_array::builder::{BooleanBuilder, Float64Builder, Int64Builder, StringBuilder};
use dfp_plugin::arrow_array::{ArrayRef, RecordBatch, TimestampNanosecondArray};
use dfp_plugin::arrow_schema::{DataType, Field as Column, Schema, SchemaRef, TimeUnit};
use dfp_plugin::{EVENT_TIME, ORIGIN, RECORD_ID, Result};

use crate::log::Type;
use crate::loose;
use crate::record::{Decoder, Plan, Value};
use crate::scan::{Cursor, Kind};
use crate::text;

/// Column of every batch, after the standard ones: `success` or `failure` (utf8); null where the record does not say.
pub const OUTCOME: &str = "_outcome";

/// The columns that come first in every batch.
pub(crate) const STANDARD: [&str; 4] = [RECORD_ID, ORIGIN, EVENT_TIME, OUTCOME];

/// Text in a batch after which it counts as full whatever its rows: 32-bit offsets and memory stay in bounds.
const FULL_BYTES: usize = 64 << 20;

/// The schema of every batch of a plan.
pub(crate) fn schema(plan: &Plan) -> SchemaRef {
    let time = DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into()));
    let mut columns = vec![
        Column::new(RECORD_ID, DataType::Utf8, true),
        Column::new(ORIGIN, DataType::Utf8, false),
        Column::new(EVENT_TIME, time, false),
        Column::new(OUTCOME, DataType::Utf8, true),
    ];
    columns.extend(plan.wanted.iter().map(|wanted| {
        let data_type = match wanted.kind {
            Type::Text | Type::Word | Type::Json | Type::First => DataType::Utf8,
            Type::Int => DataType::Int64,
            Type::Float => DataType::Float64,
            Type::Bool => DataType::Boolean,
        };
        Column::new(&wanted.name, data_type, true)
    }));
    Arc::new(Schema::new(columns))
}

enum Builder {
    Text(StringBuilder),
    Word(StringBuilder),
    Json(StringBuilder),
    First(StringBuilder),
    Int(Int64Builder),
    Float(Float64Builder),
    Bool(BooleanBuilder),
}

/// The rows of one batch in the making.
pub(crate) struct Columns {
    schema: SchemaRef,
    ids: StringBuilder,
    origins: StringBuilder,
    times: Vec<i64>,
    outcomes: StringBuilder,
    wanted: Vec<Builder>,
    bytes: usize,
    scratch: String,
    /// Characters replaced so far, because the bytes were no text.
    pub(crate) replaced: u64,
}

impl Columns {
    pub(crate) fn new(plan: &Plan) -> Self {
        let builder = |kind| match kind {
            Type::Text => Builder::Text(StringBuilder::new()),
            Type::Word => Builder::Word(StringBuilder::new()),
            Type::Json => Builder::Json(StringBuilder::new()),
            Type::First => Builder::First(StringBuilder::new()),
            Type::Int => Builder::Int(Int64Builder::new()),
            Type::Float => Builder::Float(Float64Builder::new()),
            Type::Bool => Builder::Bool(BooleanBuilder::new()),
        };
        Self {
            schema: schema(plan),
            ids: StringBuilder::new(),
            origins: StringBuilder::new(),
            times: Vec::new(),
            outcomes: StringBuilder::new(),
            wanted: plan.wanted.iter().map(|wanted| builder(wanted.kind)).collect(),
            bytes: 0,
            scratch: String::new(),
            replaced: 0,
        }
    }

    pub(crate) fn rows(&self) -> usize {
        self.times.len()
    }

    /// Whether the batch holds so much text that it should end early.
    pub(crate) fn heavy(&self) -> bool {
        self.bytes >= FULL_BYTES
    }

    /// Adds the record that `decoder` took apart.
    pub(crate) fn push(&mut self, decoder: &Decoder, record: &[u8], time: i64, origin: (&str, u64, u64)) {
        let (uri, line, column) = origin;
        self.times.push(time);
        self.scratch.clear();
        write!(self.scratch, "{uri}:{line}:{column}").expect("writing to a string does not fail");
        self.bytes += self.scratch.len();
        self.origins.append_value(&self.scratch);
        let id = decoder.id(record);
        let ids = &mut self.ids;
        append_text(ids, id, &mut self.scratch, &mut self.bytes, &mut self.replaced);
        let outcome = decoder.outcome(record);
        self.outcomes.append_option(outcome.map(|good| if good { "success" } else { "failure" }));
        for (builder, wanted) in self.wanted.iter_mut().zip(&decoder.plan.wanted) {
            let value = decoder.wanted(record, wanted);
            let scratch = &mut self.scratch;
            match builder {
                Builder::Text(builder) => {
                    append_text(builder, value, scratch, &mut self.bytes, &mut self.replaced);
                }
                Builder::Word(builder) => {
                    let word =
                        value.filter(|value| value.kind != Kind::Nested && !value.raw.starts_with(b"{"));
                    append_text(builder, word, scratch, &mut self.bytes, &mut self.replaced);
                }
                Builder::Json(builder) => {
                    append_json(builder, value, scratch, &mut self.bytes, &mut self.replaced);
                }
                Builder::First(builder) => {
                    append_first(builder, value, scratch, &mut self.bytes, &mut self.replaced);
                }
                Builder::Int(builder) => builder.append_option(value.and_then(int)),
                Builder::Float(builder) => builder.append_option(value.and_then(float)),
                Builder::Bool(builder) => builder.append_option(value.and_then(boolean)),
            }
        }
    }

    /// The rows so far as a batch; starts the next one.
    pub(crate) fn finish(&mut self) -> Result<RecordBatch> {
        self.bytes = 0;
        let times = TimestampNanosecondArray::from(std::mem::take(&mut self.times)).with_timezone("UTC");
        let mut columns: Vec<ArrayRef> =
            vec![Arc::new(self.ids.finish()), Arc::new(self.origins.finish()), Arc::new(times)];
        columns.push(Arc::new(self.outcomes.finish()));
        columns.extend(self.wanted.iter_mut().map(|builder| -> ArrayRef {
            match builder {
                Builder::Text(builder)
                | Builder::Word(builder)
                | Builder::Json(builder)
                | Builder::First(builder) => Arc::new(builder.finish()),
                Builder::Int(builder) => Arc::new(builder.finish()),
                Builder::Float(builder) => Arc::new(builder.finish()),
                Builder::Bool(builder) => Arc::new(builder.finish()),
            }
        }));
        Ok(RecordBatch::try_new(Arc::clone(&self.schema), columns)?)
    }
}

#[inline]
fn append_text(
    builder: &mut StringBuilder,
    value: Option<Value<'_>>,
    scratch: &mut String,
    bytes: &mut usize,
    replaced: &mut u64,
) {
    let Some(value) = value else { return builder.append_null() };
    *bytes += value.raw.len();
    let as_it_is = !matches!(value.kind, Kind::Nested | Kind::Text { escaped: true });
    if as_it_is && let Ok(text) = std::str::from_utf8(value.raw) {
        return builder.append_value(text);
    }
    scratch.clear();
    *replaced += value.append_to(scratch);
    builder.append_value(scratch);
}

/// As text; but JSON inside a string loses its blanks as JSON outside does, and Python text becomes JSON.
fn append_json(
    builder: &mut StringBuilder,
    value: Option<Value<'_>>,
    scratch: &mut String,
    bytes: &mut usize,
    replaced: &mut u64,
) {
    let Some(text @ Value { kind: Kind::Text { .. }, .. }) = value else {
        return append_text(builder, value, scratch, bytes, replaced);
    };
    scratch.clear();
    *replaced += text.append_to(scratch);
    *bytes += scratch.len();
    if is_json(scratch.as_bytes()) {
        let mut compact = String::with_capacity(scratch.len());
        text::compact(scratch.as_bytes(), &mut compact);
        builder.append_value(&compact);
    } else {
        let json =
            Some(&*scratch).filter(|text| text.starts_with(['{', '['])).and_then(|text| loose::to_json(text));
        builder.append_value(json.as_ref().unwrap_or(scratch));
    }
}

/// Of a list, in whatever form it is written, the first value of the first object or the first element; else as text.
fn append_first(
    builder: &mut StringBuilder,
    value: Option<Value<'_>>,
    scratch: &mut String,
    bytes: &mut usize,
    replaced: &mut u64,
) {
    let Some(list) = value.filter(|value| value.raw.trim_ascii_start().starts_with(b"[")) else {
        return append_text(builder, value, scratch, bytes, replaced);
    };
    scratch.clear();
    *replaced += list.append_to(scratch);
    if !is_json(scratch.as_bytes())
        && let Some(json) = loose::to_json(scratch)
    {
        *scratch = json;
    }
    let Some(first) = first_of(scratch) else { return builder.append_null() };
    let mut text = String::new();
    first.append_to(&mut text);
    *bytes += text.len();
    builder.append_value(&text);
}

/// The first value inside an array or object, of the first of those if there are several in each other; `None` if there
/// is none, or it is null.
fn first_of(json: &str) -> Option<Value<'_>> {
    let mut cursor = Cursor::new(json.as_bytes(), 0);
    loop {
        let close = match cursor.peek_solid().ok()? {
            b'{' => b'}',
            b'[' => b']',
            _ => break,
        };
        if cursor.open(close).ok()? {
            return None;
        }
        if close == b'}' {
            cursor.key().ok()?;
        }
    }
    let start = cursor.at;
    let kind = cursor.value(0).ok().filter(|kind| *kind != Kind::Null)?;
    let quote = usize::from(matches!(kind, Kind::Text { .. }));
    Some(Value { kind, raw: json.as_bytes().get(start + quote..cursor.at - quote)? })
}

/// Whether a text is a JSON object or array.
fn is_json(text: &[u8]) -> bool {
    const DEPTH: usize = 128;
    let mut cursor = Cursor::new(text, 0);
    matches!(text.first(), Some(b'{' | b'[')) && cursor.value(DEPTH).is_ok() && cursor.at == text.len()
}

/// The characters of a value that may stand for a number or a truth; escapes never do.
fn word(value: Value<'_>) -> Option<&str> {
    match value.kind {
        Kind::Nested | Kind::Text { escaped: true } => None,
        _ => std::str::from_utf8(value.raw.trim_ascii()).ok(),
    }
}

fn int(value: Value<'_>) -> Option<i64> {
    /// Above it not every whole number is a double.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let word = word(value)?;
    word.parse().ok().or_else(|| {
        float(value).filter(|number| number.fract() == 0.0 && number.abs() <= EXACT).map(|n| n as i64)
    })
}

fn float(value: Value<'_>) -> Option<f64> {
    // What begins otherwise is a word, `inf` and `nan` among them.
    let word = word(value).filter(|word| word.starts_with(|c: char| c == '-' || c.is_ascii_digit()))?;
    word.parse().ok().filter(|number: &f64| number.is_finite())
}

fn boolean(value: Value<'_>) -> Option<bool> {
    let word = word(value)?;
    let is = |truth| word.eq_ignore_ascii_case(truth);
    if is("true") { Some(true) } else { is("false").then_some(false) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(kind: Kind, raw: &str) -> Value<'_> {
        Value { kind, raw: raw.as_bytes() }
    }

    const TEXT: Kind = Kind::Text { escaped: false };

    #[test]
    fn numbers_and_truths_are_coerced_or_null() {
        assert_eq!(int(value(Kind::Number, "50126")), Some(50_126));
        assert_eq!(int(value(TEXT, " 0 ")), Some(0));
        assert_eq!(int(value(Kind::Number, "4e2")), Some(400));
        for (kind, raw) in [
            (TEXT, "Success"),
            (Kind::Number, "0.5"),
            (Kind::Number, "1e300"),
            (Kind::Bool, "true"),
            (TEXT, ""),
        ] {
            assert_eq!(int(value(kind, raw)), None, "{raw}");
        }
        assert_eq!(float(value(TEXT, "-0.58")), Some(-0.58));
        for raw in ["nan", "inf", "-inf", "1e999", "-", ""] {
            assert_eq!(float(value(TEXT, raw)), None, "{raw}");
        }
        assert_eq!(boolean(value(TEXT, "TRUE")), Some(true));
        assert_eq!(boolean(value(Kind::Bool, "false")), Some(false));
        assert_eq!(boolean(value(Kind::Number, "1")), None);
        assert_eq!(boolean(value(Kind::Nested, "{}")), None);
    }

    #[test]
    fn json_in_a_string_reads_as_json_outside() {
        let mut builder = StringBuilder::new();
        let (mut scratch, mut bytes, mut replaced) = (String::new(), 0, 0);
        for (kind, raw) in [
            (Kind::Nested, "[ \"a b\" ]"),
            (TEXT, "[ \"a b\" ]"),
            (Kind::Text { escaped: true }, r#"[ \"a b\" ]"#),
            (TEXT, "[ cut"),
            (TEXT, "['a b']"),
        ] {
            let value = Some(value(kind, raw));
            append_json(&mut builder, value, &mut scratch, &mut bytes, &mut replaced);
        }
        let column = builder.finish();
        let texts: Vec<_> = column.iter().flatten().collect();
        assert_eq!(texts, ["[\"a b\"]", "[\"a b\"]", "[\"a b\"]", "[ cut", "[\"a b\"]"]);
    }

    #[test]
    fn the_first_value_of_a_list() {
        let mut builder = StringBuilder::new();
        let (mut scratch, mut bytes, mut replaced) = (String::new(), 0, 0);
        for (kind, raw) in [
            (Kind::Nested, r#"[{"owner":"self","x":1},{"owner":"b"}]"#),
            (TEXT, "[{'owner': 'self'}]"),
            (Kind::Text { escaped: true }, r#"[{\"owner\":\"self\"}]"#),
            (Kind::Nested, "[ 12 ]"),
            (Kind::Nested, "[]"),
            (Kind::Nested, "[{}]"),
            (Kind::Nested, "[null]"),
            (TEXT, "[cut"),
            (TEXT, "plain"),
        ] {
            append_first(&mut builder, Some(value(kind, raw)), &mut scratch, &mut bytes, &mut replaced);
        }
        let column = builder.finish();
        let texts: Vec<_> = column.iter().map(|text| text.unwrap_or("-")).collect();
        assert_eq!(texts, ["self", "self", "self", "12", "-", "-", "-", "-", "plain"]);
    }
}
