//! Models as bytes: safetensors, whose metadata key `dfp` holds JSON that names the model's kind and format.

use std::collections::HashMap;
use std::fmt::Display;

use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize};
use serde::Deserialize;

use crate::{Error, Result};

/// Metadata key of all our models.
const KEY: &str = "dfp";

/// Read first, to tell other kinds and newer formats from damage.
#[derive(Deserialize)]
struct Head {
    kind: String,
    format: u64,
}

/// The kind of a model, read from its metadata.
///
/// # Errors
/// [`Error::Damaged`] if the bytes are no model.
pub(crate) fn kind_of(bytes: &[u8]) -> Result<String> {
    Ok(metadata(bytes)?.1.kind)
}

fn metadata(bytes: &[u8]) -> Result<(String, Head)> {
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(|e| damaged(&e))?;
    let text = header.metadata().as_ref().and_then(|metadata| metadata.get(KEY));
    let text = text.ok_or_else(|| damaged(&"there is no `dfp` metadata: not a model of dfp"))?;
    let head = serde_json::from_str(text).map_err(|e| damaged(&e))?;
    Ok((text.clone(), head))
}

pub(crate) fn damaged(why: &dyn Display) -> Error {
    Error::Damaged(why.to_string())
}

fn unsaved(why: &dyn Display) -> Error {
    Error::Save(why.to_string())
}

/// Packs named tensors, each with its type, its shape and its numbers in little endian, beside metadata that starts with kind
/// and format.
pub(crate) fn pack(
    metadata: String,
    tensors: &[(impl AsRef<str>, Dtype, Vec<usize>, impl AsRef<[u8]>)],
) -> Result<Vec<u8>> {
    let views = tensors.iter().map(|(name, dtype, shape, bytes)| {
        TensorView::new(*dtype, shape.clone(), bytes.as_ref()).map(|view| (name.as_ref(), view))
    });
    let views = views.collect::<Result<Vec<_>, _>>().map_err(|e| unsaved(&e))?;
    serialize(views, Some(HashMap::from([(KEY.to_owned(), metadata)]))).map_err(|e| unsaved(&e))
}

/// One kind of model, in the newest format this version knows.
pub(crate) struct Envelope {
    pub(crate) kind: &'static str,
    pub(crate) format: u64,
}

impl Envelope {
    /// Packs named parts that are not numbers.
    pub(crate) fn pack(&self, parts: &[(&str, &[u8])]) -> Result<Vec<u8>> {
        let metadata = serde_json::json!({ "kind": self.kind, "format": self.format }).to_string();
        let parts = parts.iter().map(|(name, bytes)| (*name, Dtype::U8, vec![bytes.len()], *bytes));
        pack(metadata, &parts.collect::<Vec<_>>())
    }

    /// The tensors and the metadata of a model of this kind, in a format that is known.
    pub(crate) fn open<'a>(&self, bytes: &'a [u8]) -> Result<(SafeTensors<'a>, String)> {
        let tensors = SafeTensors::deserialize(bytes).map_err(|e| damaged(&e))?;
        let (metadata, Head { kind, format }) = metadata(bytes)?;
        if kind != self.kind {
            return Err(damaged(&format!("it is of kind `{kind}`, not `{}`", self.kind)));
        }
        if format > self.format {
            return Err(Error::TooNew { kind, found: format, known: self.format });
        }
        Ok((tensors, metadata))
    }

    /// The parts called `names`, of bytes that [`pack`](Self::pack) made.
    pub(crate) fn unpack<'a>(&self, bytes: &'a [u8], names: &[&str]) -> Result<Vec<&'a [u8]>> {
        let (tensors, _) = self.open(bytes)?;
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
