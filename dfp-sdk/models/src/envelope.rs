//! Models that are not weights: safetensors whose tensors hold bytes, the metadata key `dfp` naming kind and format.

use std::collections::HashMap;

use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize};
use serde_json::{Map, Value};

use crate::{Error, Result};

/// Metadata key of all our models.
const KEY: &str = "dfp";

/// The kind of a model, read from its metadata.
///
/// # Errors
/// [`Error::Damaged`] if the bytes are no model.
pub(crate) fn kind_of(bytes: &[u8]) -> Result<String> {
    let metadata = metadata(bytes)?;
    let kind = metadata.get("kind").and_then(Value::as_str);
    kind.map(str::to_owned).ok_or_else(|| Error::Damaged("it does not say of what kind it is".to_owned()))
}

fn metadata(bytes: &[u8]) -> Result<Map<String, Value>> {
    let damaged = |error: &dyn std::fmt::Display| Error::Damaged(error.to_string());
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(|e| damaged(&e))?;
    let text = header.metadata().as_ref().and_then(|metadata| metadata.get(KEY));
    let text = text.ok_or_else(|| damaged(&"there is no `dfp` metadata: not a model of dfp"))?;
    serde_json::from_str(text).map_err(|e| damaged(&e))
}

/// One kind of model, in the newest format this version knows.
pub(crate) struct Envelope {
    pub(crate) kind: &'static str,
    pub(crate) format: u64,
}

impl Envelope {
    /// Packs named parts.
    pub(crate) fn pack(&self, parts: &[(&str, &[u8])]) -> Result<Vec<u8>> {
        let save = |error: &dyn std::fmt::Display| Error::Save(error.to_string());
        let metadata = serde_json::json!({ "kind": self.kind, "format": self.format }).to_string();
        let views = parts.iter().map(|(name, bytes)| {
            TensorView::new(Dtype::U8, vec![bytes.len()], bytes).map(|view| (*name, view))
        });
        let views = views.collect::<Result<Vec<_>, _>>().map_err(|e| save(&e))?;
        serialize(views, Some(HashMap::from([(KEY.to_owned(), metadata)]))).map_err(|e| save(&e))
    }

    /// The parts called `names`, of bytes that [`pack`](Self::pack) made.
    pub(crate) fn unpack<'a>(&self, bytes: &'a [u8], names: &[&str]) -> Result<Vec<&'a [u8]>> {
        let damaged = |error: &dyn std::fmt::Display| Error::Damaged(error.to_string());
        let metadata = metadata(bytes)?;
        let kind = metadata.get("kind").and_then(Value::as_str).unwrap_or_default();
        if kind != self.kind {
            return Err(damaged(&format!("it is of kind `{kind}`, not `{}`", self.kind)));
        }
        let format = metadata.get("format").and_then(Value::as_u64).unwrap_or_default();
        if format > self.format {
            return Err(Error::TooNew { kind: kind.to_owned(), found: format, known: self.format });
        }
        let tensors = SafeTensors::deserialize(bytes).map_err(|e| damaged(&e))?;
        let part = |name: &&str| {
            let tensor = tensors.tensor(name).map_err(|e| damaged(&e))?;
            if tensor.dtype() != Dtype::U8 {
                return Err(damaged(&format!("tensor `{name}` is {:?}, not U8", tensor.dtype())));
            }
            Ok(tensor.data())
        };
        names.iter().map(part).collect()
    }
}
