//! Schemas and batches as Arrow IPC streams, and what is checked before one of them is believed.

use std::sync::Arc;

use arrow_array::{Array, RecordBatch};
use arrow_buffer::Buffer;
use arrow_data::ArrayData;
use arrow_ipc::convert::try_fb_to_schema;
use arrow_ipc::reader::StreamDecoder;
use arrow_ipc::writer::StreamWriter;
use arrow_ipc::{Message, MessageHeader, root_as_message};
use arrow_schema::{ArrowError, Schema, SchemaRef};
use dfp_abi::{caught, schema_crosses};
use dfp_core::{Error, ErrorKind, Result};

use super::frame::refused;

/// Precedes the length of a message's head.
const CONTINUATION: [u8; 4] = [0xFF; 4];
/// Rows of one array.
const MAX_ROWS: usize = i32::MAX as usize;
/// Columns of one batch.
const MAX_COLUMNS: usize = 1 << 16;

/// `schema` as bytes.
pub(super) fn encode_schema(schema: &Schema) -> Result<Vec<u8>> {
    encode(schema, None)
}

/// `batch` as bytes, with its schema.
pub(crate) fn encode_batch(batch: &RecordBatch) -> Result<Vec<u8>> {
    encode(&batch.schema(), Some(batch))
}

fn encode(schema: &Schema, batch: Option<&RecordBatch>) -> Result<Vec<u8>> {
    schema_crosses(schema)?;
    let failed = |error: ArrowError| Error::caused(ErrorKind::Internal, "packing a batch", error);
    let mut writer = StreamWriter::try_new(Vec::new(), schema).map_err(failed)?;
    if let Some(batch) = batch {
        writer.write(batch).map_err(failed)?;
    }
    writer.into_inner().map_err(failed)
}

/// The schema in `bytes`.
pub(super) fn decode_schema(bytes: &[u8]) -> Result<SchemaRef> {
    read_schema(first_message(bytes)?)
}

/// The batch in `bytes`, valid in every part; of the schema `declared`, if there is one.
pub(crate) fn decode_batch(bytes: &[u8], declared: Option<&SchemaRef>) -> Result<RecordBatch> {
    let schema = read_schema(first_message(bytes)?)?;
    if let Some(declared) = declared
        && schema != *declared
    {
        return Err(Error::new(
            ErrorKind::SchemaMismatch,
            format!("a batch's schema is not the declared one: {schema:?} instead of {declared:?}"),
        ));
    }
    // Copied once, to memory that is aligned for every type. Copying whatever is not aligned in there could take many times
    // the memory of the frame, so that is refused.
    let mut rest = Buffer::from(bytes);
    let mut decoder = StreamDecoder::new().with_require_alignment(true);
    let batch = caught(|| decoder.decode(&mut rest).map_err(damaged))?;
    let batch = batch.ok_or_else(|| refused("a batch is missing"))?;
    if batch.columns().iter().any(|column| too_long(&column.to_data())) || batch.num_rows() > MAX_ROWS {
        return Err(refused(format!("a batch has more than {MAX_ROWS} rows")));
    }
    Ok(batch)
}

fn damaged(error: ArrowError) -> Error {
    Error::caused(ErrorKind::BadData, "unpacking a batch", error)
}

fn too_long(data: &ArrayData) -> bool {
    data.len() > MAX_ROWS || data.child_data().iter().any(too_long)
}

/// Reads the schema in a stream's first message.
fn read_schema(message: Message<'_>) -> Result<SchemaRef> {
    let schema = message.header_as_schema().ok_or_else(|| refused("a schema is missing"))?;
    let schema = caught(|| try_fb_to_schema(schema).map_err(damaged))?;
    if schema.fields().len() > MAX_COLUMNS {
        return Err(refused(format!("a schema has more than {MAX_COLUMNS} columns")));
    }
    schema_crosses(&schema)?;
    Ok(Arc::new(schema))
}

/// Looks at the messages of a stream before they are decoded: all of it must be there, and no byte of a body may be used
/// twice, so that decoding takes no more memory and time than the frame is long. Answers with the first one.
fn first_message(stream: &[u8]) -> Result<Message<'_>> {
    let mut rest = stream;
    let mut first = None;
    while !rest.is_empty() {
        let cut_short = || refused("an Arrow message is cut short");
        let (mark, after) = rest.split_at_checked(4).ok_or_else(cut_short)?;
        if mark != CONTINUATION {
            return Err(refused("no Arrow message begins like this"));
        }
        let (length, after) = after.split_at_checked(4).ok_or_else(cut_short)?;
        let length = u32::from_le_bytes(length.try_into().expect("four bytes")) as usize;
        if length == 0 {
            return if after.is_empty() {
                first.ok_or_else(|| refused("a stream has no message"))
            } else {
                Err(refused("bytes follow the end of an Arrow stream"))
            };
        }
        let (head, after) = after.split_at_checked(length).ok_or_else(cut_short)?;
        let message = root_as_message(head).map_err(|error| {
            Error::caused(ErrorKind::BadData, "reading an Arrow message", error.to_string())
        })?;
        let body = usize::try_from(message.bodyLength()).map_err(|_| cut_short())?;
        check_buffers(&message, body)?;
        rest = after.get(body..).ok_or_else(cut_short)?;
        first.get_or_insert(message);
    }
    Err(refused("an Arrow stream has no end"))
}

/// Refuses a message with a buffer outside its body, which Arrow's decoder does not expect, or with more bytes in its buffers
/// than the body has.
fn check_buffers(message: &Message<'_>, body: usize) -> Result<()> {
    let batch = match message.header_type() {
        MessageHeader::RecordBatch => message.header_as_record_batch(),
        MessageHeader::DictionaryBatch => message.header_as_dictionary_batch().and_then(|batch| batch.data()),
        _ => None,
    };
    let mut left = body as u64;
    for buffer in batch.and_then(|batch| batch.buffers()).into_iter().flatten() {
        let part = u64::try_from(buffer.offset()).ok().zip(u64::try_from(buffer.length()).ok());
        let inside =
            |(offset, length): &(u64, u64)| offset.checked_add(*length).is_some_and(|end| end <= body as u64);
        let (_, length) =
            part.filter(inside).ok_or_else(|| refused("a buffer of an Arrow message lies outside of it"))?;
        left = left
            .checked_sub(length)
            .ok_or_else(|| refused("an Arrow message uses more bytes than it has"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use arrow_array::types::Int32Type;
    use arrow_array::{ArrayRef, Decimal128Array, DictionaryArray, Int64Array, StringArray, StructArray};
    use arrow_schema::{DataType, Field};

    use super::*;

    fn batch() -> RecordBatch {
        let words: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), None, Some("c\0d")]));
        let dictionary: DictionaryArray<Int32Type> = vec![Some("x"), None, Some("y")].into_iter().collect();
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None, Some(i64::MIN)]));
        let nested =
            StructArray::from(vec![(Arc::new(Field::new("n", DataType::Int64, true)), numbers.clone())]);
        let decimals = Decimal128Array::from(vec![1, 2, 3]).with_precision_and_scale(9, 2).unwrap();
        RecordBatch::try_from_iter([
            ("words", words),
            ("dictionary", Arc::new(dictionary) as ArrayRef),
            ("nested", Arc::new(nested)),
            ("decimals", Arc::new(decimals)),
        ])
        .unwrap()
    }

    #[test]
    fn batches_and_schemas_come_back() {
        let batch = batch();
        for batch in [batch.clone(), batch.slice(1, 2), batch.slice(0, 0)] {
            let bytes = encode_batch(&batch).unwrap();
            assert_eq!(decode_batch(&bytes, Some(&batch.schema())).unwrap(), batch);
        }
        assert_eq!(decode_schema(&encode_schema(&batch.schema()).unwrap()).unwrap(), batch.schema());
    }

    #[test]
    fn another_schema_is_refused() {
        let bytes = encode_batch(&batch()).unwrap();
        let other = Arc::new(Schema::new(vec![Field::new("words", DataType::Utf8, true)]));
        let error = decode_batch(&bytes, Some(&other)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::SchemaMismatch);
        assert!(decode_batch(&encode_schema(&other).unwrap(), None).is_err(), "a schema is no batch");
    }

    #[test]
    fn types_that_do_not_cross_are_refused() {
        let schema = Schema::new(vec![Field::new("n", DataType::Null, true)]);
        assert_eq!(encode_schema(&schema).unwrap_err().kind(), ErrorKind::Unsupported);
        let bytes = StreamWriter::try_new(Vec::new(), &schema).unwrap().into_inner().unwrap();
        assert_eq!(decode_schema(&bytes).unwrap_err().kind(), ErrorKind::Unsupported);
    }

    /// Bodies of one buffer: its offset and length are changed where they stand in the message's head.
    #[test]
    fn buffers_outside_their_message_never_reach_the_decoder() {
        let values = Int64Array::from(vec![0x0102_0304_0506_0708; 8]);
        let batch = RecordBatch::try_from_iter([("n", Arc::new(values) as ArrayRef)]).unwrap();
        let good = encode_batch(&batch).unwrap();
        // The second buffer: no nulls, then 64 bytes of values.
        let length = 64_i64.to_le_bytes();
        let places: Vec<usize> = (8..good.len() - 8).filter(|at| good[*at..*at + 8] == length).collect();
        assert!(!places.is_empty());
        let mut outside = 0;
        for at in places {
            for (offset, length) in
                [(1 << 40, 64), (1 << 40, 0), (i64::MAX, 64), (-1, 64), (0, -1), (0, 1 << 40)]
            {
                let mut bad = good.clone();
                bad[at - 8..at].copy_from_slice(&i64::to_le_bytes(offset));
                bad[at..at + 8].copy_from_slice(&i64::to_le_bytes(length));
                let error = decode_batch(&bad, None).expect_err("it lies outside");
                assert_ne!(error.kind(), ErrorKind::Panic, "{error}");
                outside += usize::from(error.to_string().contains("lies outside of it"));
            }
        }
        assert!(outside >= 6, "{outside}");
    }

    #[test]
    fn no_damage_takes_the_reader_down() {
        let good = encode_batch(&batch()).unwrap();
        let schema = batch().schema();
        for length in 0..good.len() {
            assert!(decode_batch(&good[..length], Some(&schema)).is_err(), "{length} bytes");
        }
        let mut refused = 0;
        for at in 0..good.len() {
            for change in [0x01, 0x80, 0xFF] {
                let mut bad = good.clone();
                bad[at] ^= change;
                refused += usize::from(decode_batch(&bad, Some(&schema)).is_err());
            }
        }
        assert!(refused > good.len() / 2, "{refused} of {}", good.len() * 3);
    }
}
