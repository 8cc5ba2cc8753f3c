//! What the benchmarks share: records of imagined users, and the machine's multiply-add rate.
#![forbid(unsafe_code)]

use std::sync::Arc;
use std::time::Instant;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use ndarray::Array2;
use ndarray::linalg::general_mat_mul;

/// The feature columns of [`sign_ins`].
pub const FEATURES: [&str; 9] = [
    "logcount",
    "locincrement",
    "appincrement",
    "appDisplayName",
    "clientAppUsed",
    "deviceDetailbrowser",
    "deviceDetaildisplayName",
    "deviceDetailoperatingSystem",
    "statusfailureReason",
];

/// Values of the six text features in the records of one user.
pub const ONE_USER: [usize; 6] = [19, 3, 5, 3, 3, 4];

/// Sign-ins of one user, or of a whole company with more `values` per text feature: three counters and six texts, a few
/// values of which are frequent. No row repeats exactly unless `distinct` is smaller than `rows`.
pub fn sign_ins(rows: usize, distinct: usize, values: [usize; 6], seed: u64) -> RecordBatch {
    let roll = |row: usize, column: u64| {
        // SplitMix64 of row and column.
        let mut z = (row % distinct) as u64 ^ (column << 32) ^ (seed << 40);
        z = (z.wrapping_add(0x9E37_79B9_7F4A_7C15)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z >> 11) as f64 / (1_u64 << 53) as f64
    };
    let column = |c: usize| -> ArrayRef {
        if c < 3 {
            // The first counter runs on, so that rows differ.
            let count = |row: usize| {
                if c == 0 { (row % distinct) as i64 } else { (roll(row, c as u64) * 12.0) as i64 }
            };
            return Arc::new((0..rows).map(|row| Some(count(row))).collect::<Int64Array>());
        }
        let value = |row: usize| {
            format!("{}_{}", FEATURES[c], (roll(row, c as u64).powi(3) * values[c - 3] as f64) as usize)
        };
        Arc::new(StringArray::from_iter_values((0..rows).map(value)))
    };
    let columns = (0..9).map(|c| (FEATURES[c], column(c)));
    RecordBatch::try_from_iter(columns).expect("columns have one length")
}

/// Floating-point operations a second of one core on a large matrix product, with the kernel that trains: the best of
/// several tries.
pub fn peak_rate() -> f64 {
    let n = 1024;
    let (a, b) = (Array2::<f32>::from_elem((n, n), 0.5), Array2::<f32>::from_elem((n, n), 0.25));
    let mut c = Array2::<f32>::zeros((n, n));
    let mut best = f64::INFINITY;
    for _ in 0..12 {
        let start = Instant::now();
        general_mat_mul(1.0, &a, &b, 0.0, &mut c);
        best = best.min(start.elapsed().as_secs_f64());
    }
    2.0 * (n * n * n) as f64 / best
}
