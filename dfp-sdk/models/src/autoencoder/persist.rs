//! Autoencoders as bytes: safetensors of the weights, the metadata key `dfp` holding everything but the weights as JSON.

use std::sync::Arc;

use safetensors::tensor::{Dtype, SafeTensors};
use serde::{Deserialize, Serialize};

use super::Autoencoder;
use super::backend::Cpu;
use super::config::Config;
use super::features::{Feature, Features};
use super::network::{Network, Shape};
use super::scaler::Scaler;
use crate::envelope::{Envelope, damaged, pack};
use crate::{Error, Result};

/// What this model is called in its metadata, and the newest format this version writes and reads.
const ENVELOPE: Envelope = Envelope { kind: "autoencoder", format: 1 };

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
            kind: ENVELOPE.kind.into(),
            format: ENVELOPE.format,
            config: self.config.clone(),
            features: self.features.list().to_vec(),
            loss_scalers: self.loss_scalers.clone(),
            rows: self.rows,
            epochs: self.epochs,
        };
        let metadata = serde_json::to_string(&metadata).map_err(|e| Error::Save(e.to_string()))?;
        let tensors: Vec<_> = self.network.tensors().into_iter().map(bytes_of).collect();
        pack(metadata, &tensors)
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote. Safe on any bytes: every size is checked against what is there
    /// before memory is taken.
    ///
    /// # Errors
    /// [`Error::Damaged`] if the bytes are not such a model, [`Error::TooNew`] if a newer version wrote them.
    pub fn load(bytes: &[u8]) -> Result<Self> {
        let (tensors, metadata) = ENVELOPE.open(bytes)?;
        let metadata: Metadata = serde_json::from_str(&metadata).map_err(|e| damaged(&e))?;
        metadata.config.validate().map_err(|e| damaged(&e))?;
        let features = Features::new(metadata.features)?;
        let scalers = metadata.loss_scalers;
        if scalers.len() != features.list().len() || !scalers.iter().all(Scaler::is_valid) {
            return Err(damaged(&"loss statistics do not fit the features"));
        }
        let shape = Shape::new(features.list(), &metadata.config);
        let network = Network::from_tensors(shape, |name, size| read(&tensors, name, size))?;
        let Metadata { config, rows, epochs, .. } = metadata;
        let backend = Arc::new(Cpu);
        Ok(Self { config, features, network, loss_scalers: scalers, rows, epochs, backend })
    }
}

fn bytes_of((name, shape, values): (String, [usize; 2], Vec<f32>)) -> (String, Dtype, Vec<usize>, Vec<u8>) {
    (name, Dtype::F32, shape.to_vec(), values.into_iter().flat_map(f32::to_le_bytes).collect())
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
