//! Element-wise loops over a tile's matrices, which hold a row per feature or unit and a column per record: neighbours
//! in memory are neighbouring records, so that every loop runs on as many lanes as the processor has, however few codes a
//! feature or units a layer have.
//!
//! `vectorize!` compiles an expression once for every vector width and picks one at run time. Each lane does the same
//! operations in the same order at any width, and nothing is fused: these loops give the same bytes on any processor.
//! (Matrix products do not: `matrixmultiply` fuses additions where the processor can.)

use std::ops::AddAssign;

/// Runs an expression at the widest vectors the processor has. What it calls must be inlined for that.
macro_rules! vectorize {
    ($work:expr) => {
        fearless_simd::dispatch!(fearless_simd::Level::new(), _ => $work)
    };
}
pub(super) use vectorize;

/// Defines functions whose bodies run [`vectorize!`]d.
macro_rules! vectorized {
    ($($(#[$attribute:meta])* fn $name:ident($($argument:ident: $type:ty),*) $body:block)*) => {$(
        $(#[$attribute])*
        pub(super) fn $name($($argument: $type),*) {
            #[allow(clippy::inline_always)] // Or it would be compiled for the least processor.
            #[inline(always)]
            fn body($($argument: $type),*) $body
            vectorize!(body($($argument),*))
        }
    )*};
}

vectorized! {
    /// Takes a record's row of `table` by its code, the numbers of a row `width`, into its column of `values`.
    fn embed(table: &[f32], width: usize, codes: &[u32], values: &mut [f32]) {
        for (j, row) in values.chunks_exact_mut(codes.len()).enumerate() {
            let table = &table[j..];
            for (x, code) in row.iter_mut().zip(codes) {
                // Codes are in range: the other branch only spares lanes a jump.
                *x = table.get(*code as usize * width).copied().unwrap_or(0.0);
            }
        }
    }

    /// Adds to every row its `bias`.
    fn add_bias(values: &mut [f32], bias: &[f32]) {
        for (row, bias) in values.chunks_exact_mut(values.len() / bias.len()).zip(bias) {
            for x in row {
                *x += bias;
            }
        }
    }

    /// `max(x, 0)`, of every row with its `bias` added.
    fn relu(values: &mut [f32], bias: &[f32]) {
        for (row, bias) in values.chunks_exact_mut(values.len() / bias.len()).zip(bias) {
            for x in row {
                *x = (*x + bias).max(0.0);
            }
        }
    }

    /// As [`relu`], and its derivative.
    fn relu_with_slope(values: &mut [f32], bias: &[f32], slopes: &mut [f32]) {
        let records = values.len() / bias.len();
        let rows = values.chunks_exact_mut(records).zip(slopes.chunks_exact_mut(records));
        for ((row, slopes), bias) in rows.zip(bias) {
            for (x, slope) in row.iter_mut().zip(slopes) {
                let biased = *x + bias;
                *slope = if biased > 0.0 { 1.0 } else { 0.0 };
                *x = biased.max(0.0);
            }
        }
    }

    /// Multiplies element by element.
    fn multiply(values: &mut [f32], factors: &[f32]) {
        values.iter_mut().zip(factors).for_each(|(x, factor)| *x *= factor);
    }

    /// Adds to every sum its row of `values`.
    fn add_row_sums(sums: &mut [f32], values: &[f32]) {
        let records = values.len() / sums.len();
        for (total, row) in sums.iter_mut().zip(values.chunks_exact(records)) {
            *total += sum::<f32>(row);
        }
    }

    /// As [`add_row_sums`], in 64 bits, and of each sum a `share`.
    fn add_row_shares(totals: &mut [f64], values: &[f32], share: f64) {
        let records = values.len() / totals.len();
        for (total, row) in totals.iter_mut().zip(values.chunks_exact(records)) {
            *total += share * sum::<f64>(row);
        }
    }

    /// Squared errors and, times `scale`, their derivatives.
    fn squared_errors(outputs: &[f32], targets: &[f32], scale: f32, losses: &mut [f32], slopes: &mut [f32]) {
        for ((output, target), (loss, slope)) in outputs.iter().zip(targets).zip(losses.iter_mut().zip(slopes)) {
            let error = output - target;
            *loss = error * error;
            *slope = 2.0 * error * scale;
        }
    }

    /// Of one feature: the largest logit of every record, and the sum of `e^(logit - largest)`, whose terms go to
    /// `powers`. `logits` and `powers` have a row per code.
    fn softmax_terms(logits: &[f32], largest: &mut [f32], powers: &mut [f32], sums: &mut [f32]) {
        let records = largest.len();
        largest.fill(f32::NEG_INFINITY);
        for row in logits.chunks_exact(records) {
            largest.iter_mut().zip(row).for_each(|(most, x)| *most = if *x > *most { *x } else { *most });
        }
        sums.fill(0.0);
        for (powers, row) in powers.chunks_exact_mut(records).zip(logits.chunks_exact(records)) {
            for (((power, x), most), sum) in powers.iter_mut().zip(row).zip(&*largest).zip(&mut *sums) {
                *power = exp(x - most);
                *sum += *power;
            }
        }
    }

    /// Adds the logarithms of `sums`, which are at least `e^-87`.
    fn add_logarithms(values: &mut [f32], sums: &[f32]) {
        values.iter_mut().zip(sums).for_each(|(x, sum)| *x += ln(*sum));
    }

    /// Turns the terms of [`softmax_terms`] to shares of their sum, times `scale`.
    fn softmax_shares(powers: &mut [f32], sums: &mut [f32], scale: f32) {
        for sum in &mut *sums {
            *sum = scale / *sum;
        }
        for row in powers.chunks_exact_mut(sums.len()) {
            row.iter_mut().zip(&*sums).for_each(|(power, share)| *power *= share);
        }
    }

    /// The first row in which every record's value is largest, as a number. `largest` is room to work in.
    fn largest_rows(values: &[f32], largest: &mut [f32], rows: &mut [f32]) {
        largest.fill(f32::NEG_INFINITY);
        rows.fill(0.0);
        for (nth, values) in values.chunks_exact(rows.len()).enumerate() {
            for ((x, most), row) in values.iter().zip(&mut *largest).zip(&mut *rows) {
                let more = *x > *most;
                *most = if more { *x } else { *most };
                *row = if more { nth as f32 } else { *row };
            }
        }
    }
}

/// Numbers that a sum takes at a time: a long chain of additions would wait for each.
const LANES: usize = 16;

#[allow(clippy::inline_always)] // As in `vectorized!`.
#[inline(always)]
fn sum<T: Copy + Default + AddAssign + From<f32>>(values: &[f32]) -> T {
    let (groups, rest) = values.as_chunks::<LANES>();
    let mut lanes = [T::default(); LANES];
    for group in groups {
        lanes.iter_mut().zip(group).for_each(|(lane, x)| *lane += T::from(*x));
    }
    let mut half = LANES / 2;
    while half > 0 {
        for lane in 0..half {
            let other = lanes[lane + half];
            lanes[lane] += other;
        }
        half /= 2;
    }
    for x in rest {
        lanes[0] += T::from(*x);
    }
    lanes[0]
}

/// `e^x` for `x <= 0`, within 2e-7 of it relatively. Below -87 it stays at `e^-87`, and so for what is not a number.
#[allow(clippy::inline_always)] // As in `vectorized!`.
#[inline(always)]
fn exp(x: f32) -> f32 {
    /// Adding and taking away this rounds to a whole number.
    const ROUND: f32 = 12_582_912.0;
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    let x = if x > -87.0 { x } else { -87.0 };
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

/// Natural logarithm of a positive, finite and normal number, within 2e-7 relatively or absolutely.
#[allow(clippy::inline_always)] // As in `vectorized!`.
#[inline(always)]
fn ln(x: f32) -> f32 {
    /// Bits of the root of one half: mantissas are taken from there to the root of two.
    const LOWEST: u32 = 0x3F35_04F3;
    let shifted = x.to_bits().wrapping_sub(LOWEST);
    let n = (shifted as i32 >> 23) as f32;
    let m = f32::from_bits((shifted & 0x007F_FFFF) + LOWEST) - 1.0;
    let square = m * m;
    let polynomial = 7.037_683_6e-2;
    let polynomial = polynomial * m - 1.151_461e-1;
    let polynomial = polynomial * m + 1.167_699_9e-1;
    let polynomial = polynomial * m - 1.242_014_1e-1;
    let polynomial = polynomial * m + 1.424_932_3e-1;
    let polynomial = polynomial * m - 1.666_805_8e-1;
    let polynomial = polynomial * m + 2.000_071_5e-1;
    let polynomial = polynomial * m - 2.499_999_4e-1;
    let polynomial = polynomial * m + 3.333_333e-1;
    let low = polynomial * m * square - 2.121_944_4e-4 * n - 0.5 * square;
    m + low + 0.693_359_4 * n
}

#[cfg(test)]
#[allow(clippy::float_cmp)] // Equal means equal here.
mod tests {
    use super::*;

    /// Lengths below, at and above those that vectors hold.
    const LENGTHS: [usize; 9] = [1, 2, 7, 16, 31, 44, 64, 129, 300];

    fn values(n: usize) -> Vec<f32> {
        (0..n).map(|i| ((i * 37 + 11) % 101) as f32 / 10.0 - 5.0).collect()
    }

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
        for far in [-1e9, f32::NEG_INFINITY, f32::NAN] {
            assert!(exp(far) > 0.0 && exp(far) < 1e-37);
        }
    }

    #[test]
    fn ln_is_close() {
        let mut x = exp(-87.0);
        while x < 1e30 {
            let exact = f64::from(x).ln();
            assert!((f64::from(ln(x)) - exact).abs() < 2e-7 * exact.abs().max(1.0), "{x}");
            x *= 1.003;
        }
        assert_eq!(ln(1.0), 0.0);
    }

    #[test]
    fn rows_of_any_length() {
        for n in LENGTHS {
            let data = values(3 * n);
            let mut biased = data.clone();
            add_bias(&mut biased, &[0.0, 1.5, -2.0]);
            let (mut cut, mut slopes) = (data.clone(), vec![9.0; 3 * n]);
            relu_with_slope(&mut cut, &[0.0, 1.5, -2.0], &mut slopes);
            let mut plain = data.clone();
            relu(&mut plain, &[0.0, 1.5, -2.0]);
            let mut product = biased.clone();
            multiply(&mut product, &slopes);
            let (mut sums, mut shares) = ([1.0; 3], [1.0; 3]);
            add_row_sums(&mut sums, &data);
            add_row_shares(&mut shares, &data, 0.5);
            for (row, bias) in [0.0, 1.5, -2.0].into_iter().enumerate() {
                for i in row * n..(row + 1) * n {
                    let x = data[i] + bias;
                    assert_eq!(
                        (biased[i], cut[i], plain[i], product[i]),
                        (x, x.max(0.0), x.max(0.0), x.max(0.0))
                    );
                    assert_eq!(slopes[i], f32::from(x > 0.0));
                }
                let exact: f64 = data[row * n..(row + 1) * n].iter().map(|x| f64::from(*x)).sum();
                assert!((f64::from(sums[row]) - 1.0 - exact).abs() < 1e-4);
                assert!((shares[row] - 1.0 - 0.5 * exact).abs() < 1e-9);
            }
        }
    }

    #[test]
    fn softmax_agrees_with_64_bits() {
        for (codes, n) in LENGTHS.into_iter().flat_map(|n| [1, 2, 5, 40].map(|codes| (codes, n))) {
            let logits: Vec<f32> = values(codes * n).iter().map(|x| 9.0 * x).collect();
            let (mut largest, mut sums, mut shares) = (vec![0.0; n], vec![0.0; n], vec![0.0; codes * n]);
            softmax_terms(&logits, &mut largest, &mut shares, &mut sums);
            let mut logarithms = largest.clone();
            add_logarithms(&mut logarithms, &sums);
            softmax_shares(&mut shares, &mut sums, 0.5);
            let mut best = vec![0.0; n];
            largest_rows(&logits, &mut sums, &mut best);
            for record in 0..n {
                let of = |code: usize| f64::from(logits[code * n + record]);
                let sum: f64 = (0..codes).map(|code| of(code).exp()).sum();
                assert!((f64::from(logarithms[record]) - sum.ln()).abs() < 1e-5);
                for code in 0..codes {
                    let share = f64::from(shares[code * n + record]);
                    assert!((share - 0.5 * of(code).exp() / sum).abs() < 1e-6);
                    assert!(of(code) <= of(best[record] as usize));
                }
            }
        }
    }

    #[test]
    fn numbers_out_of_range_stay_in_their_record() {
        let odd = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, 1.0];
        let logits: Vec<f32> = odd.into_iter().chain([0.0; 5]).collect();
        let (mut largest, mut sums, mut shares) = ([0.0; 5], [0.0; 5], [0.0; 10]);
        softmax_terms(&logits, &mut largest, &mut shares, &mut sums);
        assert_eq!(largest, [0.0, f32::INFINITY, 0.0, f32::MAX, 1.0]);
        assert!(sums.iter().all(|sum| *sum > 0.0 && *sum <= 2.0));
        softmax_shares(&mut shares, &mut sums, 1.0);
        assert!((shares[4] - 0.731_058_6).abs() < 1e-6 && shares[3] == 1.0 && shares[2] < 1e-37);
        let mut best = [0.0; 5];
        largest_rows(&logits, &mut largest, &mut best);
        assert_eq!(best, [1.0, 0.0, 1.0, 0.0, 0.0]);
    }

    #[test]
    fn vectors_change_no_bit() {
        for n in LENGTHS {
            let logits = values(n);
            let (mut largest, mut powers, mut sums) = (vec![0.0; n], vec![0.0; n], vec![0.0; n]);
            softmax_terms(&logits, &mut largest, &mut powers, &mut sums);
            assert_eq!(powers, vec![1.0; n]);
            let (mut most, mut total) = ([0.0], [0.0]);
            softmax_terms(&logits, &mut most, &mut powers, &mut total);
            let mut logarithms = powers.clone();
            add_logarithms(&mut logarithms, &powers);
            // The same functions, compiled for the least processor.
            for i in 0..n {
                let power = exp(logits[i] - most[0]);
                assert_eq!((powers[i], logarithms[i]), (power, power + ln(power)));
            }
            let mut sums = [0.0];
            add_row_sums(&mut sums, &logits);
            assert_eq!(sums[0], sum::<f32>(&logits));
        }
    }

    #[test]
    fn squared_errors_by_hand() {
        let (mut losses, mut slopes) = ([0.0; 3], [0.0; 3]);
        squared_errors(&[1.0, 2.0, 1e9], &[1.0, 4.0, -1e9], 0.5, &mut losses, &mut slopes);
        assert_eq!((losses, slopes), ([0.0, 4.0, 4e18], [0.0, -2.0, 2e9]));
    }
}
