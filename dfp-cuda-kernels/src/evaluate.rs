//! Rows evaluated by one network: losses, predictions and z-scores.

use dfp_models::autoencoder::backend::Evaluated;
use dfp_models::autoencoder::features::Prepared;
use dfp_models::autoencoder::network::Network;
use dfp_models::autoencoder::scaler::Scaler;
use dfp_models::autoencoder::score::z_scores;
use ndarray::Array2;

use crate::device::{Device, Launch, Result};
use crate::group::{self, Scale, argument_of};
use crate::layout::{Columns, Networks, pack, tiles_of};
use crate::memory::Arrays;
use crate::precision::Precision;
use crate::train::{blocks_of, scratch_of_block};

/// A network and some rows on a device.
pub struct Evaluation<'d> {
    arrays: Arrays<'d>,
    launch: Launch,
    argument: group::Evaluation,
    /// Rows and features.
    size: (usize, usize),
}

impl std::fmt::Debug for Evaluation<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Evaluation").field("size", &self.size).finish_non_exhaustive()
    }
}

impl<'d> Evaluation<'d> {
    /// Brings a network and rows, at least one, to a device.
    ///
    /// # Errors
    /// If the device has no room or fails.
    pub fn new(
        device: &'d dyn Device,
        precision: Precision,
        network: &Network,
        loss_scalers: &[Scaler],
        rows: &Prepared,
    ) -> Result<Self> {
        let precision = precision.on(device.info());
        let mut arrays = Arrays::new(device)?;
        let (mut networks, mut columns) = (Networks::default(), Columns::default());
        networks.add(network.shape());
        columns.add(rows, rows.rows, 0);
        let (values, codes) = columns.put(&mut arrays, std::iter::once(rows))?;
        let tiles = tiles_of(std::iter::once(rows.rows), precision.tile_rows());
        let blocks = blocks_of(precision, device.info(), tiles.len());
        let scratch_of_block = scratch_of_block(precision, networks.widest);
        let size = (rows.rows, network.shape().features());
        let cells = size.0 * size.1;
        let scales = scales_of(loss_scalers).filter(|scales| scales.len() == size.1);
        let argument = group::Evaluation {
            networks: arrays.put(&networks.list)?,
            layers: arrays.put(&networks.layers)?,
            categories: arrays.put(&networks.categories)?,
            rows: arrays.put(&columns.rows)?,
            tiles: arrays.put(&tiles)?,
            weights: arrays.put_parts(networks.weights, std::iter::once(network), pack)?,
            values,
            target_values: values,
            codes,
            target_codes: codes,
            losses: arrays.room::<f32>(cells)?,
            predicted: arrays.room::<f32>(cells)?,
            z_scores: if scales.is_some() { arrays.room::<f32>(cells)? } else { 0 },
            scales: arrays.put(&scales.unwrap_or_default())?,
            first_scale: arrays.put(&[0_u32])?,
            scratch: arrays.room::<f32>(blocks * scratch_of_block)?,
            scratch_of_block: scratch_of_block as u64,
            progress: 0,
            learning: 0,
            tile_count: tiles.len() as u32,
            entity_count: 1,
        };
        let kernel = precision.evaluate();
        let launch = Launch { kernel, blocks: blocks as u32, argument: argument_of(&argument) };
        Ok(Self { arrays, launch, argument, size })
    }

    /// Evaluates the rows `times` times; answers with the seconds that took on the device.
    ///
    /// # Errors
    /// If the device fails.
    pub fn run(&mut self, times: u32) -> Result<f64> {
        self.arrays.time(std::slice::from_ref(&self.launch), times)
    }

    /// Brings back what came out.
    ///
    /// # Errors
    /// If the device fails.
    pub fn results(&mut self, loss_scalers: &[Scaler]) -> Result<Evaluated> {
        let losses = self.table(self.argument.losses)?;
        let predicted = self.table(self.argument.predicted)?;
        let z = match self.argument.z_scores {
            0 => z_scores(&losses, loss_scalers),
            z => self.table(z)?,
        };
        Ok(Evaluated { losses, predicted, z })
    }

    fn table(&mut self, address: u64) -> Result<Array2<f32>> {
        let values = self.arrays.read(address, 0, self.size.0 * self.size.1)?;
        Ok(Array2::from_shape_vec(self.size, values).expect("as many as there are cells"))
    }
}

/// The scalers as the kernels take them, if all are such.
fn scales_of(scalers: &[Scaler]) -> Option<Vec<Scale>> {
    let scale = |scaler: &Scaler| match *scaler {
        Scaler::Standard { mean, std } => Some(Scale { mean, width: std }),
        _ => None,
    };
    scalers.iter().map(scale).collect()
}
