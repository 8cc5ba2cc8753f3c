//! Losses of a tile of rows and their derivatives by the output (spec section 11; binary losses from logits, Q26).

use ndarray::{ArrayView2, ArrayViewMut2};

use super::features::Prepared;
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
    fn row(&self, nth: usize) -> usize {
        let position = self.first + nth;
        self.order.map_or(position, |order| order[position] as usize)
    }
}

/// Loss of every feature of every row: squared error, cross-entropy of a logit, cross-entropy of softmax. With `delta`,
/// also writes the derivative of the losses' sum by the outputs, times `scale`.
pub(super) fn losses(
    shape: &Shape,
    outputs: &ArrayView2<'_, f32>,
    targets: Targets<'_>,
    mut losses: ArrayViewMut2<'_, f32>,
    mut delta: Option<(ArrayViewMut2<'_, f32>, f32)>,
    scratch: &mut Vec<f32>,
) {
    let values = shape.values();
    for (row, output) in outputs.rows().into_iter().enumerate() {
        let output = output.to_slice().expect("rows lie in one piece");
        let at = targets.row(row);
        let mut losses = losses.row_mut(row);
        let losses = losses.as_slice_mut().expect("rows lie in one piece");
        scratch.resize(output.len(), 0.0);
        let slopes = &mut scratch[..];
        for j in 0..values {
            let one = if j < shape.numeric { squared_error } else { binary_cross_entropy };
            (losses[j], slopes[j]) = one(output[j], targets.data.values[j][at]);
        }
        let target = |c: usize| targets.data.codes[c][at] as usize;
        softmax_cross_entropies(shape, output, target, &mut losses[values..], slopes);
        if let Some((delta, scale)) = &mut delta {
            let mut delta = delta.row_mut(row);
            let delta = delta.as_slice_mut().expect("rows lie in one piece");
            delta.iter_mut().zip(slopes).for_each(|(d, slope)| *d = *slope * *scale);
        }
    }
}

fn squared_error(output: f32, target: f32) -> (f32, f32) {
    let d = output - target;
    (d * d, 2.0 * d)
}

fn binary_cross_entropy(logit: f32, target: f32) -> (f32, f32) {
    let e = (-logit.abs()).exp();
    let probability = if logit >= 0.0 { 1.0 / (1.0 + e) } else { e / (1.0 + e) };
    let loss = logit.max(0.0) - logit * target + e.ln_1p();
    (loss.min(BINARY_MAX), probability - target)
}

/// Losses of all categorical features of a row; `slopes` takes their derivatives by the logits.
fn softmax_cross_entropies(
    shape: &Shape,
    output: &[f32],
    target: impl Fn(usize) -> usize,
    losses: &mut [f32],
    slopes: &mut [f32],
) {
    let mut start = shape.values();
    for codes in &shape.codes {
        let range = start..start + codes;
        let logits = &output[range.clone()];
        let largest = largest(logits);
        slopes[range].iter_mut().zip(logits).for_each(|(x, logit)| *x = logit - largest);
        start += codes;
    }
    let mut start = shape.values();
    for (c, codes) in shape.codes.iter().enumerate() {
        let code = target(c);
        losses[c] = -slopes[start + code];
        start += codes;
    }
    // One pass over all features' logits: short rows would not fill the lanes.
    for x in &mut slopes[shape.values()..] {
        *x = exp(*x);
    }
    let mut start = shape.values();
    for (c, codes) in shape.codes.iter().enumerate() {
        let shares = &mut slopes[start..start + codes];
        let sum = sum(shares);
        losses[c] += sum.ln();
        let share = 1.0 / sum;
        for x in &mut *shares {
            *x *= share;
        }
        shares[target(c)] -= 1.0;
        start += codes;
    }
}

/// Numbers that one pass takes at a time: several short chains of sums are faster than a long one.
const LANES: usize = 8;

fn largest(values: &[f32]) -> f32 {
    let (groups, rest) = values.as_chunks::<LANES>();
    let mut lanes = [f32::NEG_INFINITY; LANES];
    for group in groups {
        lanes.iter_mut().zip(group).for_each(|(lane, x)| *lane = if *x > *lane { *x } else { *lane });
    }
    lanes.iter().chain(rest).fold(f32::NEG_INFINITY, |a, b| if *b > a { *b } else { a })
}

fn sum(values: &[f32]) -> f32 {
    let (groups, rest) = values.as_chunks::<LANES>();
    let mut lanes = [0.0; LANES];
    for group in groups {
        lanes.iter_mut().zip(group).for_each(|(lane, x)| *lane += x);
    }
    lanes.iter().chain(rest).sum()
}

/// `e^x` for `x <= 0`, within 2e-7 of it relatively, in steps a compiler can run on several lanes at once. Below -87 it
/// stays at `e^-87`.
fn exp(x: f32) -> f32 {
    /// Adding and taking away this rounds to a whole number.
    const ROUND: f32 = 12_582_912.0;
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    let x = x.max(-87.0);
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = (x - n * LN2_HIGH) - n * LN2_LOW;
    let polynomial = 1.987_569_1e-4;
    let polynomial = polynomial * r + 1.398_2e-3;
    let polynomial = polynomial * r + 8.333_452e-3;
    let polynomial = polynomial * r + 4.166_579_6e-2;
    let polynomial = polynomial * r + 0.166_666_65;
    let polynomial = polynomial * r + 0.5;
    let mantissa = polynomial * r * r + r + 1.0;
    // The low bits of the shifted number are the whole number itself; in the exponent they mean a power of two.
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(0x3F80_0000));
    mantissa * power
}

#[cfg(test)]
#[allow(clippy::float_cmp)] // Equal means equal here.
mod tests {
    use super::*;

    #[test]
    fn exp_is_close() {
        let mut worst = 0.0_f64;
        for i in 0..=87_000 {
            let x = -(i as f32) / 1000.0;
            let exact = f64::from(x).exp();
            worst = worst.max((f64::from(exp(x)) - exact).abs() / exact);
        }
        assert!(worst < 2e-7, "{worst}");
        assert_eq!(exp(0.0), 1.0);
        assert!(exp(-1e9) < 1e-37);
    }

    #[test]
    fn chains_of_any_length() {
        for n in [1, 7, 8, 9, 31] {
            let values: Vec<f32> = (0..n).map(|i| ((i * 5) % n) as f32).collect();
            assert_eq!((largest(&values), sum(&values)), ((n - 1) as f32, (n * (n - 1) / 2) as f32));
        }
    }

    #[test]
    fn binary_losses_are_smooth_and_bounded() {
        let (loss, slope) = binary_cross_entropy(0.0, 1.0);
        assert!((loss - std::f32::consts::LN_2).abs() < 1e-7 && slope == -0.5);
        assert!((binary_cross_entropy(20.0, 0.0).0 - 20.0).abs() < 1e-5);
        assert_eq!(binary_cross_entropy(1e9, 0.0), (100.0, 1.0));
        assert_eq!(binary_cross_entropy(-1e9, 1.0), (100.0, -1.0));
    }
}
