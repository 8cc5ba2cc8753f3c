//! What the benchmarks share: records of imagined users, and the machine's multiply-add rate.
#![forbid(unsafe_code)]

use std::sync::Arc;
use std::time::Instant;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use ndarray::linalg::general_mat_mul;
use ndarray::{Array2, ArrayView2, ArrayViewMut2, Axis};

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

/// The matrix products of an autoencoder and nothing around them: the same sizes in the same order, by the kernel that
/// trains. Their rate is the physical limit of a fit.
pub struct Products {
    /// Layer widths, input first and output last.
    widths: Vec<usize>,
    /// Inputs that no derivative is carried back to.
    values: usize,
    /// Per layer, blocks `[inputs, outputs]`.
    weights: Vec<Vec<Array2<f32>>>,
    gradients: Vec<Vec<Array2<f32>>>,
    /// Records a tile holds.
    tile: usize,
    activations: Vec<Vec<f32>>,
    deltas: Vec<Vec<f32>>,
}

impl Products {
    /// Those of layers of `widths`, cut into blocks of `slice` outputs, over tiles of `tile` records.
    pub fn new(widths: Vec<usize>, values: usize, slice: usize, tile: usize) -> Self {
        let blocks = |pair: &[usize]| {
            let sizes = (0..pair[1]).step_by(slice).map(|start| slice.min(pair[1] - start));
            sizes.map(|outputs| Array2::from_elem((pair[0], outputs), 0.01)).collect()
        };
        let weights: Vec<_> = widths.windows(2).map(blocks).collect();
        let buffers = || widths.iter().map(|width| vec![0.5; width * tile]).collect::<Vec<_>>();
        let (activations, deltas) = (buffers(), buffers());
        Self { gradients: weights.clone(), weights, activations, deltas, widths, values, tile }
    }

    /// Floating-point operations of a record's way forward.
    pub fn forward_operations(&self) -> usize {
        2 * self.widths.windows(2).map(|pair| pair[0] * pair[1]).sum::<usize>()
    }

    /// Floating-point operations of training on a record once.
    pub fn training_operations(&self) -> usize {
        3 * self.forward_operations() - 2 * self.values * self.widths[1]
    }

    /// What training on `rows` records does in an epoch.
    pub fn train(&mut self, rows: usize, batch: usize) {
        for start in (0..rows).step_by(batch) {
            let end = rows.min(start + batch);
            for first in (start..end).step_by(self.tile) {
                let records = self.tile.min(end - first);
                self.forward(records);
                self.backward(records);
                self.gradient(records, if first == start { 0.0 } else { 1.0 });
            }
        }
    }

    /// What scoring `rows` records does.
    pub fn score(&mut self, rows: usize) {
        for start in (0..rows).step_by(self.tile) {
            self.forward(self.tile.min(rows - start));
        }
    }

    fn forward(&mut self, records: usize) {
        for (l, blocks) in self.weights.iter().enumerate() {
            let (before, after) = self.activations.split_at_mut(l + 1);
            let input = matrix(&before[l], self.widths[l], records);
            for (block, output) in blocks.iter().zip(slices(&mut after[0], blocks, records)) {
                let mut output = matrix_mut(output, block.ncols(), records);
                general_mat_mul(1.0, &block.t(), &input, 0.0, &mut output);
            }
        }
    }

    fn backward(&mut self, records: usize) {
        for (l, blocks) in self.weights.iter().enumerate().rev() {
            let (before, after) = self.deltas.split_at_mut(l + 1);
            let skipped = if l == 0 { self.values } else { 0 };
            let mut target = matrix_mut(&mut before[l], self.widths[l] - skipped, records);
            for (nth, (block, delta)) in blocks.iter().zip(slices(&mut after[0], blocks, records)).enumerate()
            {
                let weight = block.slice_axis(Axis(0), (skipped..).into());
                let keep = if nth == 0 { 0.0 } else { 1.0 };
                general_mat_mul(1.0, &weight, &matrix(delta, block.ncols(), records), keep, &mut target);
            }
        }
    }

    fn gradient(&mut self, records: usize, keep: f32) {
        for (l, blocks) in self.gradients.iter_mut().enumerate() {
            let input = matrix(&self.activations[l], self.widths[l], records);
            let mut start = 0;
            for block in blocks {
                let delta = matrix(&self.deltas[l + 1][start * records..], block.ncols(), records);
                start += block.ncols();
                general_mat_mul(1.0, &input, &delta.t(), keep, block);
            }
        }
    }
}

/// The rows of a layer's matrix that belong to each block.
fn slices<'a>(
    layer: &'a mut [f32],
    blocks: &'a [Array2<f32>],
    records: usize,
) -> impl Iterator<Item = &'a mut [f32]> {
    blocks.iter().scan(layer, move |rest, block| {
        let (slice, after) = std::mem::take(rest).split_at_mut(block.ncols() * records);
        *rest = after;
        Some(slice)
    })
}

fn matrix(buffer: &[f32], rows: usize, columns: usize) -> ArrayView2<'_, f32> {
    ArrayView2::from_shape((rows, columns), &buffer[..rows * columns]).expect("room for its size")
}

fn matrix_mut(buffer: &mut [f32], rows: usize, columns: usize) -> ArrayViewMut2<'_, f32> {
    ArrayViewMut2::from_shape((rows, columns), &mut buffer[..rows * columns]).expect("room for its size")
}

/// Seconds that `work` takes.
pub fn seconds(work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_secs_f64()
}

/// Prints how near `work` on `threads` threads comes to what the machine can do. It takes `operations` in matrix products,
/// and `products` runs these alone on one thread. All are timed in turns and the best of each counts, so that a busy
/// machine disturbs their ratios little. Alone, products have the caches for themselves: the time outside them is, if
/// anything, less than printed.
pub fn report(name: &str, operations: f64, threads: usize, work: impl Fn(), mut products: impl FnMut()) {
    let [mut whole, mut alone] = [f64::INFINITY; 2];
    let mut peak = 0.0_f64;
    for _ in 0..5 {
        whole = whole.min(seconds(&work));
        alone = alone.min(seconds(&mut products));
        peak = peak.max(peak_rate());
    }
    let thread_time = whole * threads as f64;
    println!(
        "{name}: {:.1} ms on {threads} thread(s), {:.1} GFLOP/s a thread; its products alone {:.1} GFLOP/s; a large one {:.1}",
        1e3 * whole,
        operations / thread_time / 1e9,
        operations / alone / 1e9,
        peak / 1e9
    );
    println!(
        "    {:.0} % of the rate of its products alone, {:.0} % of the time outside products; {:.0} % of a large product's rate",
        100.0 * alone / thread_time,
        100.0 * (1.0 - alone / thread_time),
        100.0 * operations / thread_time / peak
    );
}
