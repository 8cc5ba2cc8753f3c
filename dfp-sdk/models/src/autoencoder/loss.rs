//! Losses of a tile of rows and their derivatives by the output (spec section 11; binary losses from logits, Q26).

use super::features::Prepared;
use super::kernels::{add_logarithms, softmax_shares, softmax_terms, squared_errors};
use super::network::Shape;

/// Largest loss of a binary feature, where the reference's clamped logarithms end too.
const BINARY_MAX: f32 = 100.0;

/// Targets: the clean rows of a tile.
#[derive(Debug, Clone, Copy)]
pub(super) struct Targets<'a> {
    pub(super) data: &'a Prepared,
    /// Row in `data` of every position; without it, positions are rows.
    pub(super) order: Option<&'a [u32]>,
    /// Position of the tile's first row.
    pub(super) first: usize,
}

impl Targets<'_> {
    /// Puts a column's targets of as many records as `picked` holds there.
    fn pick<T: Copy>(&self, column: &[T], picked: &mut [T]) {
        let positions = self.first..self.first + picked.len();
        match self.order {
            None => picked.copy_from_slice(&column[positions]),
            Some(order) => {
                let rows = &order[positions];
                picked.iter_mut().zip(rows).for_each(|(value, row)| *value = column[*row as usize]);
            }
        }
    }
}

/// Room to work in.
#[derive(Debug, Clone, Default)]
pub(super) struct Scratch {
    numbers: Vec<f32>,
    largest: Vec<f32>,
    codes: Vec<u32>,
}

impl Scratch {
    /// Room for tiles of up to `records`.
    pub(super) fn new(records: usize) -> Self {
        Self { numbers: vec![0.0; records], largest: vec![0.0; records], codes: vec![0; records] }
    }
}

/// Loss of every feature of every record: squared error, cross-entropy of a logit, cross-entropy of softmax. `outputs`
/// has a row per output, `losses` one per feature. Writes to `slopes` the derivatives of the losses' sum by the
/// outputs, times `scale`; without a scale something undefined.
pub(super) fn losses(
    shape: &Shape,
    outputs: &[f32],
    targets: Targets<'_>,
    losses: &mut [f32],
    slopes: &mut [f32],
    scale: Option<f32>,
    scratch: &mut Scratch,
) {
    let records = losses.len() / shape.features();
    let Scratch { numbers, largest, codes } = scratch;
    let (numbers, largest, codes) = (&mut numbers[..records], &mut largest[..records], &mut codes[..records]);
    for (feature, losses) in losses.chunks_exact_mut(records).enumerate() {
        let range = shape.outputs(feature);
        let range = range.start * records..range.end * records;
        let (outputs, slopes) = (&outputs[range.clone()], &mut slopes[range]);
        if feature < shape.values() {
            targets.pick(&targets.data.values[feature], numbers);
            if feature < shape.numeric {
                squared_errors(outputs, numbers, scale.unwrap_or(1.0), losses, slopes);
            } else {
                binary_cross_entropies(outputs, numbers, scale.unwrap_or(1.0), losses, slopes);
            }
            continue;
        }
        targets.pick(&targets.data.codes[feature - shape.values()], codes);
        softmax_terms(outputs, largest, slopes, numbers);
        for (record, loss) in losses.iter_mut().enumerate() {
            *loss = largest[record] - outputs[codes[record] as usize * records + record];
        }
        add_logarithms(losses, numbers);
        if let Some(scale) = scale {
            softmax_shares(slopes, numbers, scale);
            for (record, code) in codes.iter().enumerate() {
                slopes[*code as usize * records + record] -= scale;
            }
        }
    }
}

fn binary_cross_entropies(
    logits: &[f32],
    targets: &[f32],
    scale: f32,
    losses: &mut [f32],
    slopes: &mut [f32],
) {
    for ((logit, target), (loss, slope)) in logits.iter().zip(targets).zip(losses.iter_mut().zip(slopes)) {
        (*loss, *slope) = binary_cross_entropy(*logit, *target);
        *slope *= scale;
    }
}

fn binary_cross_entropy(logit: f32, target: f32) -> (f32, f32) {
    let e = (-logit.abs()).exp();
    let probability = if logit >= 0.0 { 1.0 / (1.0 + e) } else { e / (1.0 + e) };
    let loss = logit.max(0.0) - logit * target + e.ln_1p();
    (loss.min(BINARY_MAX), probability - target)
}

#[cfg(test)]
#[allow(clippy::float_cmp)] // Equal means equal here.
mod tests {
    use super::*;

    #[test]
    fn binary_losses_are_smooth_and_bounded() {
        let (loss, slope) = binary_cross_entropy(0.0, 1.0);
        assert!((loss - std::f32::consts::LN_2).abs() < 1e-7 && slope == -0.5);
        assert!((binary_cross_entropy(20.0, 0.0).0 - 20.0).abs() < 1e-5);
        assert_eq!(binary_cross_entropy(1e9, 0.0), (100.0, 1.0));
        assert_eq!(binary_cross_entropy(-1e9, 1.0), (100.0, -1.0));
    }
}
