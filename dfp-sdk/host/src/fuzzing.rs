//! What the fuzz targets reach: readers of foreign text and bytes, without files and processes around them.

use dfp_core::Result;

use crate::manifest::Manifest;

/// Reads a manifest; answers whether it is one.
pub fn manifest(text: &str) -> bool {
    Manifest::parse(text).is_ok()
}

/// Checks a configuration against a schema.
///
/// # Errors
/// If it does not fit.
pub fn config(schema: &str, config: &str) -> Result<()> {
    crate::config::check("fuzzed", schema, config)
}

/// Decodes a batch as it comes from a plugin's process.
///
/// # Errors
/// If it is not valid.
#[cfg(feature = "remote")]
pub fn remote_batch(bytes: &[u8]) -> Result<arrow_array::RecordBatch> {
    crate::remote::decode_batch(bytes, None)
}

/// A batch as a plugin's process sends it.
///
/// # Errors
/// If a column's type does not cross the border.
#[cfg(feature = "remote")]
pub fn encoded_batch(batch: &arrow_array::RecordBatch) -> Result<Vec<u8>> {
    crate::remote::encode_batch(batch)
}
