//! Models as bytes: safetensors, the metadata key `dfp` holding everything but the weights as JSON.

use std::collections::HashMap;

use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize};
use serde::{Deserialize, Serialize};

use super::Autoencoder;
use super::config::Config;
use super::features::{Feature, Features};
use super::network::{Network, Shape};
use super::scaler::Scaler;
use crate::{Error, Result};

/// Metadata key of all our models.
const KEY: &str = "dfp";
/// What this model is called there.
const KIND: &str = "autoencoder";
/// Newest format this version writes and reads.
const FORMAT: u64 = 1;

/// Read first, to tell other kinds and newer formats from damage.
#[derive(Deserialize)]
struct Head {
    kind: String,
    format: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Metadata {
    kind: String,
    format: u64,
    config: Config,
    features: Vec<Feature>,
    loss_scalers: Vec<Scaler>,
    rows: usize,
    epochs: usize,
}

impl Autoencoder {
    /// The model as safetensors: the same model gives the same bytes.
    ///
    /// # Errors
    /// [`Error::Save`] if the metadata is too large for the format (100 MB).
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let metadata = Metadata {
            kind: KIND.into(),
            format: FORMAT,
            config: self.config.clone(),
            features: self.features.list().to_vec(),
            loss_scalers: self.loss_scalers.clone(),
            rows: self.rows,
            epochs: self.epochs,
        };
        let save = |error: &dyn std::fmt::Display| Error::Save(error.to_string());
        let metadata = serde_json::to_string(&metadata).map_err(|e| save(&e))?;
        let tensors: Vec<(String, Vec<usize>, Vec<u8>)> =
            self.network.tensors().into_iter().map(bytes_of).collect();
        let views = tensors.iter().map(|(name, shape, bytes)| {
            TensorView::new(Dtype::F32, shape.clone(), bytes).map(|view| (name.as_str(), view))
        });
        let views = views.collect::<Result<Vec<_>, _>>().map_err(|e| save(&e))?;
        serialize(views, Some(HashMap::from([(KEY.to_owned(), metadata)]))).map_err(|e| save(&e))
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote. Safe on any bytes: every size is checked against what is there
    /// before memory is taken.
    ///
    /// # Errors
    /// [`Error::Damaged`] if the bytes are not such a model, [`Error::TooNew`] if a newer version wrote them.
    pub fn load(bytes: &[u8]) -> Result<Self> {
        let tensors = SafeTensors::deserialize(bytes).map_err(|e| damaged(&e))?;
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(|e| damaged(&e))?;
        let text = header.metadata().as_ref().and_then(|m| m.get(KEY));
        let text = text.ok_or_else(|| damaged(&"there is no `dfp` metadata: not a model of dfp"))?;
        let head: Head = serde_json::from_str(text).map_err(|e| damaged(&e))?;
        if head.kind != KIND {
            return Err(damaged(&format!("it is of kind `{}`, not `{KIND}`", head.kind)));
        }
        if head.format != FORMAT {
            return Err(Error::TooNew { kind: head.kind, found: head.format, known: FORMAT });
        }
        let metadata: Metadata = serde_json::from_str(text).map_err(|e| damaged(&e))?;
        metadata.config.validate().map_err(|e| damaged(&e))?;
        let features = Features::new(metadata.features)?;
        let scalers = metadata.loss_scalers;
        if scalers.len() != features.list().len() || !scalers.iter().all(Scaler::is_valid) {
            return Err(damaged(&"loss statistics do not fit the features"));
        }
        let shape = Shape::new(features.list(), &metadata.config);
        let network = Network::from_tensors(shape, |name, size| read(&tensors, name, size))?;
        let Metadata { config, rows, epochs, .. } = metadata;
        Ok(Self { config, features, network, loss_scalers: scalers, rows, epochs })
    }
}

fn damaged(why: &dyn std::fmt::Display) -> Error {
    Error::Damaged(why.to_string())
}

fn bytes_of((name, shape, values): (String, [usize; 2], Vec<f32>)) -> (String, Vec<usize>, Vec<u8>) {
    (name, shape.to_vec(), values.into_iter().flat_map(f32::to_le_bytes).collect())
}

fn read(tensors: &SafeTensors<'_>, name: &str, size: [usize; 2]) -> Result<Vec<f32>> {
    let tensor = tensors.tensor(name).map_err(|e| damaged(&e))?;
    if tensor.dtype() != Dtype::F32 || tensor.shape() != size {
        let (dtype, shape) = (tensor.dtype(), tensor.shape());
        return Err(damaged(&format!("tensor `{name}` is {dtype:?} {shape:?}, not F32 {size:?}")));
    }
    let number = |bytes: &[u8]| f32::from_le_bytes(bytes.try_into().expect("four bytes each"));
    Ok(tensor.data().chunks_exact(4).map(number).collect())
}
