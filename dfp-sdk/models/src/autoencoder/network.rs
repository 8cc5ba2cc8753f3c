//! The network: embeddings, linear layers, heads; forward and backward over tiles of rows (spec section 11).
//!
//! `x = [numeric | binary | embeddings...]`, then linear layers each with its activation, then one linear layer that is
//! all heads side by side: `[numeric | binary logits | logits of each categorical feature...]`.
//!
//! Weights live in blocks: one per embedding, and every linear layer cut into slices of `SLICE` outputs, so that
//! several threads can update one layer. Every sum runs in an order that depends on the sizes alone: results are the
//! same for any number of threads.

use std::ops::Range;
use std::sync::RwLock;

use ndarray::linalg::general_mat_mul;
use ndarray::{Array2, ArrayView2, ArrayViewMut2, Axis};

use super::activation::Activation;
use super::config::Config;
use super::features::{Feature, Prepared, embedding_width};
use super::kernels::{add_bias, add_row_sums, embed, multiply};
use super::rng::{DROPOUT, INITIAL, RUN, philox, philox_run, unit};
use super::scaler::normal_quantile;
use crate::{Error, Result};

/// Rows a tile holds: enough for a matrix product to run at speed, few enough to stay in cache and to share out.
pub const TILE: usize = 128;
/// Outputs of a linear layer that one block holds.
pub const SLICE: usize = 256;

/// Most weights of a network that is fitted: half a gigabyte, and two with what the optimiser keeps.
pub const MAX_PARAMETERS: usize = 1 << 27;

/// Sizes of a network.
#[derive(Debug, Clone, PartialEq)]
pub struct Shape {
    /// Numeric features.
    pub numeric: usize,
    /// Binary features.
    pub binary: usize,
    /// Codes of every categorical feature, `_other` included.
    pub codes: Vec<usize>,
    /// Embedding widths of the categorical features.
    pub widths: Vec<usize>,
    /// Width and activation of every layer before the heads, encoder first.
    pub layers: Vec<(usize, Activation)>,
    /// How many of the layers are the encoder's.
    pub encoder: usize,
    /// Where the blocks of linear layer `l` are; the heads come last.
    slices: Vec<Range<usize>>,
}

impl Shape {
    /// The sizes that a configuration gives for features.
    pub fn new(features: &[Feature], config: &Config) -> Self {
        let codes: Vec<usize> = features.iter().map(Feature::codes).filter(|n| *n > 0).collect();
        let widths: Vec<usize> = codes.iter().map(|n| embedding_width(*n)).collect();
        let is_binary = |f: &&Feature| matches!(f.encoding, super::features::Encoding::Binary {});
        let binary = features.iter().filter(is_binary).count();
        let numeric = features.len() - codes.len() - binary;
        let (layers, encoder) = config.layers(numeric + binary + widths.iter().sum::<usize>());
        let mut shape = Self { numeric, binary, codes, widths, layers, encoder, slices: Vec::new() };
        let mut next = shape.codes.len();
        for l in 0..=shape.layers.len() {
            let blocks = shape.width(l + 1).div_ceil(SLICE);
            shape.slices.push(next..next + blocks);
            next += blocks;
        }
        shape
    }

    /// Features.
    pub fn features(&self) -> usize {
        self.numeric + self.binary + self.codes.len()
    }

    /// Inputs that are values themselves, not embeddings.
    pub fn values(&self) -> usize {
        self.numeric + self.binary
    }

    /// Numbers per row that enter linear layer `l`: 0 is the input, `layers.len()` enters the heads, one more is the
    /// output.
    pub fn width(&self, l: usize) -> usize {
        match l {
            0 => self.values() + self.widths.iter().sum::<usize>(),
            l if l <= self.layers.len() => self.layers[l - 1].0,
            _ => self.values() + self.codes.iter().sum::<usize>(),
        }
    }

    /// Columns of the input that hold the embedding of categorical feature `c`.
    pub fn embedding(&self, c: usize) -> Range<usize> {
        let start = self.values() + self.widths[..c].iter().sum::<usize>();
        start..start + self.widths[c]
    }

    /// Columns of the output that hold the logits of categorical feature `c`.
    pub fn logits(&self, c: usize) -> Range<usize> {
        let start = self.values() + self.codes[..c].iter().sum::<usize>();
        start..start + self.codes[c]
    }

    /// Rows of the output that feature `feature` has, in model order: one number, one logit, or one logit per code.
    pub fn outputs(&self, feature: usize) -> Range<usize> {
        feature.checked_sub(self.values()).map_or(feature..feature + 1, |c| self.logits(c))
    }

    /// Number of weights.
    pub fn parameters(&self) -> usize {
        let embeddings: usize = self.codes.iter().zip(&self.widths).map(|(n, width)| n * width).sum();
        let linear = |l: usize| (self.width(l) + 1) * self.width(l + 1);
        embeddings + (0..=self.layers.len()).map(linear).sum::<usize>()
    }

    /// Refuses a network that would exhaust memory.
    ///
    /// # Errors
    /// [`Error::Config`] above [`MAX_PARAMETERS`] weights.
    pub fn check(&self) -> Result<()> {
        let weights = self.parameters();
        if weights <= MAX_PARAMETERS {
            return Ok(());
        }
        Err(Error::Config {
            field: "encoder_layers, decoder_layers and max_cats",
            value: format!("a network of {weights} weights"),
            accepted: "at most 2^27 weights: fewer or narrower layers, or fewer categories",
        })
    }

    /// Multiply-adds of one row's way forward.
    pub fn multiply_adds(&self) -> usize {
        (0..=self.layers.len()).map(|l| self.width(l) * self.width(l + 1)).sum()
    }

    fn layer_name(&self, l: usize) -> String {
        if l < self.encoder {
            format!("encoder.{l}")
        } else if l < self.layers.len() {
            format!("decoder.{}", l - self.encoder)
        } else {
            "heads".into()
        }
    }

    /// Name and `[rows, columns]` of every tensor, in saving order. A linear layer's weight is `[outputs, inputs]` and
    /// its bias `[1, outputs]`; an embedding is `[codes, width]`.
    pub fn tensors(&self) -> Vec<(String, [usize; 2])> {
        let embeddings = self.codes.iter().zip(&self.widths).enumerate();
        let mut tensors: Vec<_> =
            embeddings.map(|(c, (codes, width))| (format!("embedding.{c}"), [*codes, *width])).collect();
        for l in 0..=self.layers.len() {
            let (name, outputs) = (self.layer_name(l), self.width(l + 1));
            tensors.push((format!("{name}.weight"), [outputs, self.width(l)]));
            tensors.push((format!("{name}.bias"), [1, outputs]));
        }
        tensors
    }
}

/// What a block belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// The embedding of a categorical feature.
    Embedding(usize),
    /// Some outputs of a linear layer.
    Linear { layer: usize, outputs: Range<usize> },
}

/// A piece of the weights that is updated as one.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Block {
    pub(super) place: Place,
    /// `[codes, width]` of an embedding, `[inputs, outputs]` of a linear layer.
    pub(super) weight: Array2<f32>,
    /// One per output; empty for an embedding.
    pub(super) bias: Vec<f32>,
}

/// Weights that can be read, whether they are being trained (behind locks) or not.
pub(super) trait Weights {
    /// Reads block `index`.
    fn read<R>(&self, index: usize, read: impl FnOnce(&Block) -> R) -> R;
}

impl Weights for [Block] {
    fn read<R>(&self, index: usize, read: impl FnOnce(&Block) -> R) -> R {
        read(&self[index])
    }
}

impl<T: AsRef<Block>> Weights for [RwLock<T>] {
    fn read<R>(&self, index: usize, read: impl FnOnce(&Block) -> R) -> R {
        read(self[index].read().expect("no thread panics with a block").as_ref())
    }
}

/// A network and its weights.
#[derive(Debug, Clone, PartialEq)]
pub struct Network {
    shape: Shape,
    pub(super) blocks: Vec<Block>,
}

impl Network {
    /// Random weights: linear ones uniform within one over the root of the inputs, embeddings standard normal.
    pub fn random(shape: Shape, seed: u64) -> Self {
        let mut number = 0;
        let tensors = shape.tensors();
        Self::from_tensors(shape, |name, size| {
            let tensor = number;
            number += 1;
            // A bias has the bounds of the weight before it.
            let weight = tensors[tensor as usize - usize::from(name.contains("bias"))].1;
            let bound = 1.0 / (weight[1] as f64).sqrt();
            let value = |word: u32| {
                let x = if name.starts_with("embedding") {
                    normal_quantile(unit(word))
                } else {
                    bound * (2.0 * unit(word) - 1.0)
                };
                x as f32
            };
            let size = size[0] * size[1];
            let words =
                (0..size).step_by(RUN).flat_map(|i| philox_run(seed, [i as u32, INITIAL, tensor, 0])[0]);
            Ok(words.take(size).map(value).collect())
        })
        .expect("the sizes are right by construction")
    }

    /// A network of the tensors that `read` gives for the names and sizes of [`Shape::tensors`].
    ///
    /// # Errors
    /// What `read` answers, or [`Error::Damaged`] if a tensor has another number of values or one is not finite.
    pub fn from_tensors(
        shape: Shape,
        mut read: impl FnMut(&str, [usize; 2]) -> Result<Vec<f32>>,
    ) -> Result<Self> {
        let mut read = |name: &str, size: [usize; 2]| {
            let values = read(name, size)?;
            let finite = values.iter().all(|x| x.is_finite());
            let tensor = Array2::from_shape_vec((size[0], size[1]), values).ok().filter(|_| finite);
            tensor.ok_or_else(|| Error::Damaged(format!("tensor `{name}` is not {size:?} finite numbers")))
        };
        let mut blocks = Vec::new();
        for (c, (codes, width)) in shape.codes.iter().zip(&shape.widths).enumerate() {
            let weight = read(&format!("embedding.{c}"), [*codes, *width])?;
            blocks.push(Block { place: Place::Embedding(c), weight, bias: Vec::new() });
        }
        for layer in 0..=shape.layers.len() {
            let (name, outputs) = (shape.layer_name(layer), shape.width(layer + 1));
            let weight = read(&format!("{name}.weight"), [outputs, shape.width(layer)])?;
            let bias = read(&format!("{name}.bias"), [1, outputs])?;
            for start in (0..outputs).step_by(SLICE) {
                let outputs = start..outputs.min(start + SLICE);
                blocks.push(Block {
                    weight: rows_of(&weight, outputs.clone()).t().as_standard_layout().into_owned(),
                    bias: bias.as_slice().expect("made in standard layout")[outputs.clone()].to_vec(),
                    place: Place::Linear { layer, outputs },
                });
            }
        }
        Ok(Self { shape, blocks })
    }

    /// Weights put together again after training.
    pub(super) fn new(shape: Shape, blocks: Vec<Block>) -> Self {
        Self { shape, blocks }
    }

    pub(super) fn is_finite(&self) -> bool {
        let finite = |block: &Block| block.weight.iter().chain(&block.bias).all(|x| x.is_finite());
        self.blocks.iter().all(finite)
    }

    /// Sizes.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Every tensor as [`Shape::tensors`] lists them, row by row.
    pub fn tensors(&self) -> Vec<(String, [usize; 2], Vec<f32>)> {
        let pieces = self.blocks.iter().map(|block| (&block.place, block.weight.view(), &block.bias[..]));
        assemble(&self.shape, pieces)
    }

    /// Outputs of the heads for every row: numbers, then logits, `[rows, Shape::width(layers + 1)]`.
    pub fn forward(&self, rows: &Prepared) -> Array2<f32> {
        let shape = &self.shape;
        let outputs_width = shape.width(shape.layers.len() + 1);
        let mut outputs = Array2::zeros((rows.rows, outputs_width));
        let mut tile = Tile::new(shape, rows.rows.min(TILE), false);
        for start in (0..rows.rows).step_by(TILE) {
            let range = start..rows.rows.min(start + TILE);
            tile.gather(shape, &self.blocks[..], rows, range.clone());
            tile.forward(shape, &self.blocks[..], None);
            let output = tile.output(shape);
            rows_of_mut(&mut outputs, range.clone()).assign(&matrix(output, outputs_width, range.len()).t());
        }
        outputs
    }
}

/// Puts weights, or gradients, of blocks together to whole tensors.
pub(super) fn assemble<'a>(
    shape: &Shape,
    blocks: impl Iterator<Item = (&'a Place, ArrayView2<'a, f32>, &'a [f32])>,
) -> Vec<(String, [usize; 2], Vec<f32>)> {
    let sizes = shape.tensors();
    let mut tensors: Vec<_> =
        sizes.into_iter().map(|(name, size)| (name, size, Vec::with_capacity(size[0] * size[1]))).collect();
    for (place, weight, bias) in blocks {
        match place {
            Place::Embedding(c) => tensors[*c].2.extend(weight.iter()),
            Place::Linear { layer, .. } => {
                let index = shape.codes.len() + 2 * layer;
                tensors[index].2.extend(weight.t().iter());
                tensors[index + 1].2.extend(bias);
            }
        }
    }
    tensors
}

/// Where in the sequence of random draws a tile's dropout is.
#[derive(Debug, Clone, Copy)]
pub(super) struct DropoutDraw {
    pub(super) share: f64,
    pub(super) seed: u64,
    pub(super) epoch: u32,
}

/// Some records on their way through the network, in buffers that are used again and again. Every matrix has a row per
/// unit and a column per record, see [`kernels`](super::kernels).
#[derive(Debug, Clone)]
pub(super) struct Tile {
    /// Position of the first record, for random draws.
    first: usize,
    records: usize,
    /// What enters linear layer `l`; last the output.
    activations: Vec<Vec<f32>>,
    /// Derivative of the activation that made `activations[l]`; empty where there is none.
    slopes: Vec<Vec<f32>>,
    /// Derivative of the loss by what linear layer `l - 1` put out; 0 is by the embeddings alone.
    deltas: Vec<Vec<f32>>,
    codes: Vec<Vec<u32>>,
}

impl Tile {
    /// Buffers for up to `records`; for training, those of the way back too.
    pub(super) fn new(shape: &Shape, records: usize, training: bool) -> Self {
        let last = shape.layers.len() + 1;
        let back = if training { records } else { 0 };
        let matrix = |records: usize, l: usize| vec![0.0; records * shape.width(l)];
        let mut deltas: Vec<_> = (0..last).map(|l| matrix(back, l)).collect();
        deltas[0] = vec![0.0; back * (shape.width(0) - shape.values())];
        // Losses work in it even where their derivative is not asked for.
        deltas.push(matrix(records, last));
        Self {
            first: 0,
            records: 0,
            activations: (0..=last).map(|l| matrix(records, l)).collect(),
            slopes: (0..last).map(|l| if l == 0 { Vec::new() } else { matrix(back, l) }).collect(),
            deltas,
            codes: vec![vec![0; records]; shape.codes.len()],
        }
    }

    /// Records taken in.
    pub(super) fn records(&self) -> usize {
        self.records
    }

    /// What the heads put out.
    pub(super) fn output(&self, shape: &Shape) -> &[f32] {
        let last = self.activations.len() - 1;
        &self.activations[last][..shape.width(last) * self.records]
    }

    /// The output, and where its derivative goes.
    pub(super) fn output_and_delta(&mut self, shape: &Shape) -> (&[f32], &mut [f32]) {
        let last = self.activations.len() - 1;
        let used = shape.width(last) * self.records;
        (&self.activations[last][..used], &mut self.deltas[last][..used])
    }

    /// Takes rows in: values, and the embeddings of codes.
    pub(super) fn gather(
        &mut self,
        shape: &Shape,
        weights: &(impl Weights + ?Sized),
        data: &Prepared,
        rows: Range<usize>,
    ) {
        let records = rows.len();
        (self.first, self.records) = (rows.start, records);
        let input = &mut self.activations[0];
        for (x, values) in input.chunks_exact_mut(records).zip(&data.values) {
            x.copy_from_slice(&values[rows.clone()]);
        }
        for (c, codes) in data.codes.iter().enumerate() {
            let codes = &codes[rows.clone()];
            self.codes[c][..records].copy_from_slice(codes);
            let columns = shape.embedding(c);
            let input = &mut input[columns.start * records..columns.end * records];
            weights.read(c, |block| {
                let table = block.weight.as_slice().expect("made in standard layout");
                embed(table, columns.len(), codes, input);
            });
        }
    }

    /// Runs the records through all layers. With `dropout`, or after [`Tile::new`] for training, also keeps the slopes.
    pub(super) fn forward(
        &mut self,
        shape: &Shape,
        weights: &(impl Weights + ?Sized),
        dropout: Option<DropoutDraw>,
    ) {
        let records = self.records;
        for l in 0..=shape.layers.len() {
            let (before, after) = self.activations.split_at_mut(l + 1);
            let input = matrix(&before[l], shape.width(l), records);
            let activation = shape.layers.get(l).map(|layer| layer.1);
            for index in shape.slices[l].clone() {
                weights.read(index, |block| {
                    let Place::Linear { outputs, .. } = &block.place else { return };
                    let range = outputs.start * records..outputs.end * records;
                    let output = &mut after[0][range.clone()];
                    let mut product = matrix_mut(output, outputs.len(), records);
                    general_mat_mul(1.0, &block.weight.t(), &input, 0.0, &mut product);
                    match (activation, self.slopes.get_mut(l + 1).filter(|slopes| !slopes.is_empty())) {
                        (None, _) => add_bias(output, &block.bias),
                        (Some(function), None) => function.apply(output, &block.bias),
                        (Some(function), Some(slopes)) => {
                            function.apply_with_slope(output, &block.bias, &mut slopes[range]);
                        }
                    }
                });
            }
            if activation.is_none() {
                break;
            }
            let used = records * shape.width(l + 1);
            let (values, slopes) = (&mut after[0][..used], &mut self.slopes[l + 1]);
            if let Some(draw) = dropout {
                drop_out(draw, l as u32, self.first as u32, records, values, slopes);
            }
        }
    }

    /// Carries the derivative from the output back to every layer and the embeddings.
    pub(super) fn backward(&mut self, shape: &Shape, weights: &(impl Weights + ?Sized)) {
        let records = self.records;
        for l in (0..=shape.layers.len()).rev() {
            let (before, after) = self.deltas.split_at_mut(l + 1);
            // Values have no derivative to carry: only the embeddings' rows of the first layer's weight matter.
            let skipped = if l == 0 { shape.values() } else { 0 };
            let width = shape.width(l) - skipped;
            if width == 0 {
                continue;
            }
            let target = &mut before[l][..records * width];
            for (nth, index) in shape.slices[l].clone().enumerate() {
                let keep = if nth == 0 { 0.0 } else { 1.0 };
                weights.read(index, |block| {
                    let Place::Linear { outputs, .. } = &block.place else { return };
                    let delta = matrix(&after[0][outputs.start * records..], outputs.len(), records);
                    let weight = block.weight.slice_axis(Axis(0), (skipped..).into());
                    general_mat_mul(1.0, &weight, &delta, keep, &mut matrix_mut(target, width, records));
                });
            }
            if l > 0 {
                multiply(target, &self.slopes[l]);
            }
        }
    }
}

/// Dropout of a layer's `values`, of records from position `first` on.
fn drop_out(
    draw: DropoutDraw,
    layer: u32,
    first: u32,
    records: usize,
    values: &mut [f32],
    slopes: &mut [f32],
) {
    let keep = (1.0 / (1.0 - draw.share)) as f32;
    let quads = values.chunks_mut(4 * records).zip(slopes.chunks_mut(4 * records)).enumerate();
    for (quad, (values, slopes)) in quads {
        for record in 0..records {
            let position = first + record as u32;
            let words = philox(draw.seed, [quad as u32, DROPOUT + layer, position, draw.epoch]);
            for (at, word) in (record..values.len()).step_by(records).zip(words) {
                let factor = if unit(word) < draw.share { 0.0 } else { keep };
                values[at] *= factor;
                slopes[at] *= factor;
            }
        }
    }
}

/// Adds a tile's part to the gradient of a block; `first` of the tiles starts it. `weight` is shaped like the block's.
pub(super) fn add_gradient(
    shape: &Shape,
    place: &Place,
    tile: &Tile,
    first: bool,
    weight: &mut Array2<f32>,
    bias: &mut [f32],
) {
    let records = tile.records;
    if first {
        bias.fill(0.0);
    }
    match place {
        Place::Embedding(c) => {
            if first {
                weight.fill(0.0);
            }
            let columns = shape.embedding(*c);
            let width = columns.len();
            let sums = weight.as_slice_mut().expect("made in standard layout");
            let delta = &tile.deltas[0][(columns.start - shape.values()) * records..][..width * records];
            for (record, code) in tile.codes[*c][..records].iter().enumerate() {
                let sums = &mut sums[*code as usize * width..][..width];
                let delta = delta[record..].iter().step_by(records);
                sums.iter_mut().zip(delta).for_each(|(sum, d)| *sum += d);
            }
        }
        Place::Linear { layer, outputs } => {
            let input = matrix(&tile.activations[*layer], shape.width(*layer), records);
            let delta = &tile.deltas[layer + 1][outputs.start * records..outputs.end * records];
            let keep = if first { 0.0 } else { 1.0 };
            general_mat_mul(1.0, &input, &matrix(delta, outputs.len(), records).t(), keep, weight);
            add_row_sums(bias, delta);
        }
    }
}

/// The first numbers of a buffer as a matrix.
pub(super) fn matrix(buffer: &[f32], rows: usize, columns: usize) -> ArrayView2<'_, f32> {
    ArrayView2::from_shape((rows, columns), &buffer[..rows * columns]).expect("as many numbers as its size")
}

/// The first numbers of a buffer as a matrix, to write.
fn matrix_mut(buffer: &mut [f32], rows: usize, columns: usize) -> ArrayViewMut2<'_, f32> {
    ArrayViewMut2::from_shape((rows, columns), &mut buffer[..rows * columns])
        .expect("as many numbers as its size")
}

/// Some rows of a matrix.
pub(super) fn rows_of(matrix: &Array2<f32>, rows: Range<usize>) -> ArrayView2<'_, f32> {
    matrix.slice_axis(Axis(0), rows.into())
}

/// Some rows of a matrix, to write.
pub(super) fn rows_of_mut(matrix: &mut Array2<f32>, rows: Range<usize>) -> ArrayViewMut2<'_, f32> {
    matrix.slice_axis_mut(Axis(0), rows.into())
}
