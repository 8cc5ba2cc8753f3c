//! Scoring: losses of rows, their z-scores, predictions, and the result columns (spec section 12).

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::{ArrayRef, Float32Array, Float64Array, RecordBatch};
use arrow_schema::{DataType, Field, Schema};
use dfp_core::SCORE;
use ndarray::{Array2, ArrayViewMut2, Axis, ShapeBuilder};

use super::backend::{Backend, Evaluated};
use super::distinct::Distinct;
use super::features::{Features, Prepared};
use super::kernels::largest_rows;
use super::loss::{Scratch, Targets, losses};
use super::network::{Network, Shape, TILE, Tile};
use super::scaler::{Scaler, ScalerKind};
/// Z-scores are cut off here, so that sums stay finite.
const FARTHEST_Z: f64 = 1e30;
/// Metadata key of the result schema: how z-scores were scaled.
pub const Z_SCALER: &str = "z_loss_scaler_type";

/// Losses of rows. Equal rows are computed and kept once: row `i` of the batch is row `index[i]` of the matrices.
/// Losses and z-scores are never NaN or infinite; predictions are not for any weights that a fit can make.
#[derive(Debug, Clone)]
pub struct Scores {
    /// Row of the matrices for every row of the batch.
    pub index: Vec<u32>,
    /// Loss per distinct row and feature.
    pub losses: Array2<f32>,
    /// Signed z-score of the loss per distinct row and feature.
    pub z: Array2<f32>,
    /// Prediction per distinct row and feature: a scaled number, 0 or 1, or a code; see
    /// [`Features::decode`](super::features::Features::decode).
    pub predicted: Array2<f32>,
}

impl Scores {
    /// Mean over the features of the absolute z-scores, per distinct row.
    pub fn mean_abs_z(&self) -> Vec<f64> {
        aggregates(&self.z, true).map(|(_, mean)| mean).collect()
    }
}

/// Computes the losses of prepared rows, equal rows once.
pub fn score(backend: &dyn Backend, network: &Network, loss_scalers: &[Scaler], rows: &Prepared) -> Scores {
    let Distinct { rows, index } = Distinct::of(rows);
    let Evaluated { losses, predicted, z } = backend.evaluate(network, loss_scalers, &rows);
    Scores { index, losses, z, predicted }
}

/// Signed z-scores of losses `[rows, features]`.
pub fn z_scores(losses: &Array2<f32>, loss_scalers: &[Scaler]) -> Array2<f32> {
    let mut z = losses.clone();
    for (mut column, scaler) in z.columns_mut().into_iter().zip(loss_scalers) {
        column.mapv_inplace(|loss| scaler.transform(f64::from(loss)).clamp(-FARTHEST_Z, FARTHEST_Z) as f32);
    }
    z
}

/// Losses and predictions of every row and feature, on up to `threads` threads.
pub fn losses_of(network: &Network, rows: &Prepared, threads: usize) -> (Array2<f32>, Array2<f32>) {
    let features = network.shape().features();
    let (mut losses, mut predicted) =
        (Array2::zeros((rows.rows, features).f()), Array2::zeros((rows.rows, features).f()));
    let share = rows.rows.div_ceil(threads.max(1)).next_multiple_of(TILE).max(TILE);
    let shares =
        losses.axis_chunks_iter_mut(Axis(0), share).zip(predicted.axis_chunks_iter_mut(Axis(0), share));
    std::thread::scope(|scope| {
        let mut first = None;
        for (nth, (losses, predicted)) in shares.enumerate() {
            if nth == 0 {
                first = Some((losses, predicted));
            } else {
                scope.spawn(move || write_losses(network, rows, nth * share, losses, predicted));
            }
        }
        if let Some((losses, predicted)) = first {
            write_losses(network, rows, 0, losses, predicted);
        }
    });
    (losses, predicted)
}

/// Writes losses and predictions of the rows from `first` on, as many as there is room for.
fn write_losses(
    network: &Network,
    rows: &Prepared,
    first: usize,
    mut all: ArrayViewMut2<'_, f32>,
    mut predicted: ArrayViewMut2<'_, f32>,
) {
    let (shape, records) = (network.shape(), all.nrows().min(TILE));
    let features = shape.features();
    let mut tile = Tile::new(shape, records, false);
    let mut scratch = Scratch::new(records);
    let (mut by_feature, mut room) = (vec![0.0; records * features], vec![0.0; records]);
    let tiles = all.axis_chunks_iter_mut(Axis(0), TILE).zip(predicted.axis_chunks_iter_mut(Axis(0), TILE));
    for (nth, (mut all, mut predicted)) in tiles.enumerate() {
        let (start, records) = (first + nth * TILE, all.nrows());
        tile.gather(shape, &network.blocks[..], rows, start..start + records);
        tile.forward(shape, &network.blocks[..], None);
        let targets = Targets { data: rows, order: None, first: start };
        let (output, terms) = tile.output_and_delta(shape);
        let by_feature = &mut by_feature[..records * features];
        losses(shape, output, targets, by_feature, terms, None, &mut scratch);
        // Only weights that a fit cannot make overflow here; such a row is as unusual as can be.
        for loss in &mut *by_feature {
            *loss = if loss.is_finite() { *loss } else { f32::MAX };
        }
        copy_rows(by_feature, &mut all);
        predict(shape, output, by_feature, &mut room[..records]);
        copy_rows(by_feature, &mut predicted);
    }
}

/// Copies every row of `matrix` to a column.
fn copy_rows(matrix: &[f32], columns: &mut ArrayViewMut2<'_, f32>) {
    let rows = matrix.chunks_exact(columns.nrows());
    for (mut column, row) in columns.columns_mut().into_iter().zip(rows) {
        column.as_slice_mut().expect("columns lie in one piece").copy_from_slice(row);
    }
}

/// Of every feature and record: the network's number, the likelier truth, the likeliest category (not `_other` unless
/// there is nothing else). `room` is to work in.
fn predict(shape: &Shape, output: &[f32], predicted: &mut [f32], room: &mut [f32]) {
    let records = room.len();
    for (feature, predicted) in predicted.chunks_exact_mut(records).enumerate() {
        let range = shape.outputs(feature);
        let output = &output[range.start * records..range.end * records];
        if feature < shape.numeric {
            predicted.copy_from_slice(output);
        } else if feature < shape.values() {
            predicted.iter_mut().zip(output).for_each(|(truth, logit)| *truth = f32::from(*logit > 0.0));
        } else {
            let known = (range.len() - 1).max(1);
            largest_rows(&output[..known * records], room, predicted);
        }
    }
}

/// Maximum and mean over the features.
fn aggregates(z: &Array2<f32>, absolute: bool) -> impl Iterator<Item = (f32, f64)> {
    z.rows().into_iter().map(move |row| {
        let values = row.iter().map(move |z| if absolute { z.abs() } else { *z });
        let sum: f64 = values.clone().map(f64::from).sum();
        (values.fold(f32::NEG_INFINITY, f32::max), sum / row.len() as f64)
    })
}

/// The result table of a batch: score, then prediction, loss and z-score of every feature, then maximum and mean z.
pub fn results(features: &Features, scaler: ScalerKind, scores: &Scores, absolute: bool) -> RecordBatch {
    let mut columns: Vec<(String, ArrayRef)> = Vec::new();
    let (mut largest, mut mean) = (Vec::new(), Vec::new());
    for (max, average) in aggregates(&scores.z, absolute) {
        largest.push(max);
        mean.push(average);
    }
    let index = &scores.index;
    let spread = |of: &dyn Fn(usize) -> f32| -> ArrayRef {
        Arc::new(Float32Array::from_iter_values(index.iter().map(|row| of(*row as usize))))
    };
    let score = Float64Array::from_iter_values(index.iter().map(|row| mean[*row as usize]));
    columns.push((SCORE.into(), Arc::new(score)));
    for (f, feature) in features.list().iter().enumerate() {
        let name = &feature.name;
        let (predicted, losses, z) =
            (scores.predicted.column(f), scores.losses.column(f), scores.z.column(f));
        let sign = |z: f32| if absolute { z.abs() } else { z };
        columns.push((
            format!("{name}_pred"),
            features.decode(f, index.iter().map(|row| predicted[*row as usize])),
        ));
        columns.push((format!("{name}_loss"), spread(&|row| losses[row])));
        columns.push((format!("{name}_z_loss"), spread(&|row| sign(z[row]))));
    }
    columns.push(("max_abs_z".into(), spread(&|row| largest[row])));
    columns.push(("mean_abs_z".into(), spread(&|row| mean[row] as f32)));
    let field = |(name, column): &(String, ArrayRef)| -> Field {
        let data_type: DataType = column.data_type().clone();
        Field::new(name, data_type, false)
    };
    let fields: Vec<Field> = columns.iter().map(field).collect();
    let metadata = HashMap::from([(Z_SCALER.to_owned(), scaler.z_name().to_owned())]);
    let schema = Arc::new(Schema::new_with_metadata(fields, metadata));
    let columns = columns.into_iter().map(|(_, column)| column).collect();
    RecordBatch::try_new(schema, columns).expect("columns have one length and their own types")
}
