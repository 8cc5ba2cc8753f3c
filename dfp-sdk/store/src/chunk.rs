//! One day of one entity, as bytes: a small header, then the rows as one Arrow IPC record batch message, compressed as
//! one LZ4 block. The schema is stored once per source, not here.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_buffer::Buffer;
use arrow_ipc::MetadataVersion;
use arrow_ipc::reader::read_record_batch;
use arrow_ipc::writer::{
    DictionaryTracker, IpcDataGenerator, IpcWriteContext, IpcWriteOptions, write_message,
};
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef};

use crate::blob::{seal, unseal};
use crate::error::{Error, Result};

/// Most uncompressed bytes of a chunk or of a history read at once: what the offsets of a text column can address.
pub(crate) const MAX_RAW: u64 = i32::MAX as u64;

/// LZ4 cannot shrink anything further than this.
const MAX_RATIO: u64 = 255;
const HEADER: usize = 28;
const ALIGNMENT: usize = 8;
const CONTINUATION: [u8; 4] = [0xff; 4];

/// What a chunk says about itself without being decompressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    /// The number of its schema among those of its source.
    pub(crate) schema: u32,
    pub(crate) rows: u32,
    /// Time of its first row, nanoseconds since 1970.
    pub(crate) first: i64,
    /// Time of its last row.
    pub(crate) last: i64,
    /// Uncompressed bytes.
    pub(crate) raw: u32,
}

/// A checked header and what follows it.
pub(crate) struct Chunk<'a> {
    pub(crate) header: Header,
    payload: &'a [u8],
}

/// The schema of a chunk of a source's rows: their hashes first.
pub(crate) fn with_hash(rows: &Schema) -> SchemaRef {
    let hash = Arc::new(Field::new("_hash", DataType::UInt64, false));
    Arc::new(Schema::new(std::iter::once(hash).chain(rows.fields().iter().cloned()).collect::<Vec<_>>()))
}

/// Writes rows, hashes first, in the order given. `first` and `last` are their times.
pub(crate) fn encode(key: &str, schema: u32, first: i64, last: i64, batch: &RecordBatch) -> Result<Vec<u8>> {
    let raw = message(batch).map_err(Error::arrow("writing rows as Arrow IPC"))?;
    if raw.len() as u64 > MAX_RAW {
        return Err(Error::TooLarge {
            what: key.to_owned(),
            bytes: raw.len() as u64,
            limit: MAX_RAW,
            advice: "load fewer columns, or split the entity",
        });
    }
    let mut bytes = Vec::with_capacity(HEADER + raw.len() / 2);
    bytes.extend_from_slice(&schema.to_le_bytes());
    bytes.extend_from_slice(&(batch.num_rows() as u32).to_le_bytes());
    bytes.extend_from_slice(&first.to_le_bytes());
    bytes.extend_from_slice(&last.to_le_bytes());
    bytes.extend_from_slice(&(raw.len() as u32).to_le_bytes());
    bytes.extend_from_slice(&lz4_flex::block::compress(&raw));
    Ok(seal(key, &bytes))
}

fn message(batch: &RecordBatch) -> Result<Vec<u8>, ArrowError> {
    let options = IpcWriteOptions::try_new(ALIGNMENT, false, MetadataVersion::V5)?;
    let (_, encoded) = IpcDataGenerator {}.encode(
        batch,
        &mut DictionaryTracker::new(true),
        &options,
        &mut IpcWriteContext::default(),
    )?;
    let mut raw = Vec::with_capacity(encoded.ipc_message.len() + encoded.arrow_data.len() + 2 * ALIGNMENT);
    write_message(&mut raw, encoded, &options)?;
    Ok(raw)
}

impl<'a> Chunk<'a> {
    /// Checks the bytes found at `key` and reads their header.
    pub(crate) fn open(key: &str, sealed: &'a [u8]) -> Result<Self> {
        let content = unseal(key, sealed)?;
        let (header, payload) =
            content.split_at_checked(HEADER).ok_or_else(|| Error::damaged(key, "its header is cut short"))?;
        let (schema, rest) = take(header);
        let (rows, rest) = take(rest);
        let (first, rest) = take(rest);
        let (last, rest) = take(rest);
        let (raw, _) = take(rest);
        let header = Header {
            schema: u32::from_le_bytes(schema),
            rows: u32::from_le_bytes(rows),
            first: i64::from_le_bytes(first),
            last: i64::from_le_bytes(last),
            raw: u32::from_le_bytes(raw),
        };
        if u64::from(header.raw) > payload.len() as u64 * MAX_RATIO {
            return Err(Error::damaged(key, "it claims an impossible size"));
        }
        Ok(Self { header, payload })
    }

    /// The rows, hashes first. `schema` is the one its header names, with the hash.
    pub(crate) fn decode(&self, key: &str, schema: SchemaRef) -> Result<RecordBatch> {
        let raw = lz4_flex::block::decompress(self.payload, self.header.raw as usize)
            .map_err(|error| Error::damaged(key, &error))?;
        let batch = read_message(&Buffer::from(raw), schema).map_err(|error| Error::damaged(key, &error))?;
        if batch.num_rows() == self.header.rows as usize {
            Ok(batch)
        } else {
            Err(Error::damaged(key, "it does not hold as many rows as it says"))
        }
    }
}

fn take<const N: usize>(bytes: &[u8]) -> ([u8; N], &[u8]) {
    let (head, rest) = bytes.split_first_chunk::<N>().expect("the header's length was checked");
    (*head, rest)
}

/// Reads one encapsulated message: continuation mark, length of the metadata, metadata, body.
fn read_message(raw: &Buffer, schema: SchemaRef) -> Result<RecordBatch, ArrowError> {
    let cut = || ArrowError::IpcError("the message is cut short".into());
    let (mark, rest) = raw.split_first_chunk::<4>().ok_or_else(cut)?;
    let (length, rest) = rest.split_first_chunk::<4>().ok_or_else(cut)?;
    let length = u32::from_le_bytes(*length) as usize;
    if *mark != CONTINUATION || length > rest.len() {
        return Err(cut());
    }
    let message = arrow_ipc::root_as_message(&rest[..length])
        .map_err(|error| ArrowError::IpcError(error.to_string()))?;
    let batch = message
        .header_as_record_batch()
        .ok_or_else(|| ArrowError::IpcError("the message is not a record batch".into()))?;
    let body = raw.slice(mark.len() + size_of::<u32>() + length);
    read_record_batch(&body, batch, schema, &HashMap::new(), None, &message.version())
}

#[cfg(test)]
mod tests {
    use arrow_array::{BooleanArray, Int64Array, StringArray, UInt64Array};
    use proptest::prelude::*;

    use super::*;
    use crate::error::guarded;

    const KEY: &str = "key";

    fn rows() -> RecordBatch {
        let texts = StringArray::from(vec![Some("Firefox"), None, Some("Firefox"), Some("é")]);
        RecordBatch::try_from_iter([
            ("_hash", Arc::new(UInt64Array::from(vec![1, 2, 3, 4])) as _),
            ("text", Arc::new(texts) as _),
            ("number", Arc::new(Int64Array::from(vec![Some(1), None, Some(-1), Some(7)])) as _),
            ("flag", Arc::new(BooleanArray::from(vec![Some(true), None, None, Some(false)])) as _),
        ])
        .unwrap()
    }

    fn forged(rows: u32, raw: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; HEADER];
        bytes[4..8].copy_from_slice(&rows.to_le_bytes());
        bytes[24..28].copy_from_slice(&(raw.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&lz4_flex::block::compress(raw));
        seal(KEY, &bytes)
    }

    fn decode(sealed: &[u8]) -> Result<RecordBatch> {
        guarded("decoding", || Chunk::open(KEY, sealed)?.decode(KEY, rows().schema()))
    }

    #[test]
    fn round_trip() {
        let sealed = encode(KEY, 3, -7, 9, &rows()).unwrap();
        let header = Chunk::open(KEY, &sealed).unwrap().header;
        assert_eq!((header.schema, header.rows, header.first, header.last), (3, 4, -7, 9));
        assert_eq!(decode(&sealed).unwrap(), rows());
        let slice = rows().slice(1, 2);
        assert_eq!(decode(&encode(KEY, 0, 0, 0, &slice).unwrap()).unwrap(), slice);
    }

    #[test]
    fn impossible_sizes_are_refused_before_memory_is_taken() {
        let mut bytes = vec![0; HEADER];
        bytes[24..28].copy_from_slice(&u32::MAX.to_le_bytes());
        let error = decode(&seal(KEY, &bytes)).unwrap_err();
        assert!(error.to_string().contains("impossible size"), "{error}");
    }

    proptest! {
        /// Content that nobody wrote, under a right checksum: rows or an error, nothing else.
        #[test]
        fn forged_content_is_survived(
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..5),
            cut in any::<prop::sample::Index>(),
            cuts in any::<bool>(),
            rows_claimed in prop_oneof![Just(4_u32), any::<u32>()],
        ) {
            let mut raw = message(&rows()).unwrap();
            for (place, value) in changes {
                let place = place.index(raw.len());
                raw[place] = value;
            }
            if cuts {
                raw.truncate(cut.index(raw.len()));
            }
            match decode(&forged(rows_claimed, &raw)) {
                Ok(batch) => prop_assert_eq!(batch.num_rows(), rows_claimed as usize),
                Err(error) => prop_assert_eq!(error.kind(), dfp_core::ErrorKind::BadData),
            }
        }

        #[test]
        fn junk_is_survived(content in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(decode(&seal(KEY, &content)).is_err());
            prop_assert!(decode(&forged(4, &content)).is_err());
        }
    }
}
