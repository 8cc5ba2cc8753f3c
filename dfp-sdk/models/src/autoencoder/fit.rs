//! The training loop (spec section 11): noise, batches, steps, validation, early stopping.
//!
//! Threads work in step on shared pieces: in the first half of a step on tiles of rows (forward, losses, backward), in
//! the second on blocks of weights (gradient over all tiles, optimiser). Who does which piece changes nothing, and one
//! thread runs the very same code. After the buffers are made, the loop itself allocates nothing.

use std::ops::Range;
use std::sync::RwLock;
use std::sync::atomic::{AtomicBool, Ordering};

use dfp_core::CancelToken;
use ndarray::Array2;

use super::config::Config;
use super::distinct::Distinct;
use super::features::Prepared;
use super::kernels::add_row_shares;
use super::loss::{Scratch, Targets, losses};
use super::network::{
    Block, DropoutDraw, Network, Shape, TILE, Tile, add_gradient, assemble, matrix, rows_of_mut,
};
use super::optimizer::State;
use super::rng::{VALIDATION, shuffle};
use super::swap::{draws, swap, swap_rows};
use super::team::{Meeting, Queue, run};
use crate::{Error, Result};

/// Epochs a history has room for before it grows.
const HISTORY_ROOM: usize = 4096;

/// Mean loss of every feature, epoch by epoch. An epoch on which training stops early is not in it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct History {
    features: usize,
    train: Vec<f64>,
    noisy: Vec<f64>,
    clean: Vec<f64>,
}

impl History {
    fn new(features: usize, epochs: usize) -> Self {
        let room = || Vec::with_capacity(features * epochs.min(HISTORY_ROOM));
        Self { features, train: room(), noisy: room(), clean: room() }
    }

    /// Losses computed elsewhere: each list a feature's after the other, epoch by epoch.
    pub fn of(features: usize, train: Vec<f64>, noisy: Vec<f64>, clean: Vec<f64>) -> Self {
        Self { features, train, noisy, clean }
    }

    /// Mean of the batches' losses on noisy input, per epoch and feature.
    pub fn train(&self) -> impl Iterator<Item = &[f64]> {
        self.train.chunks(self.features)
    }

    /// Mean of the validation blocks' losses on noisy input, per epoch and feature; nothing without validation.
    pub fn validation_noisy(&self) -> impl Iterator<Item = &[f64]> {
        self.noisy.chunks(self.features)
    }

    /// As [`validation_noisy`](Self::validation_noisy), on clean input.
    pub fn validation(&self) -> impl Iterator<Item = &[f64]> {
        self.clean.chunks(self.features)
    }
}

/// What training leaves behind.
#[derive(Debug, Clone)]
pub struct Trained {
    /// The weights after the last epoch.
    pub network: Network,
    /// Losses on the way.
    pub history: History,
    /// Epochs trained, one that early stopping ended included.
    pub epochs: usize,
    /// Step size that the next epoch would have used.
    pub learning_rate: f64,
}

/// A block that learns.
struct Learning {
    block: Block,
    weight_gradient: Array2<f32>,
    bias_gradient: Vec<f32>,
    weight_state: State,
    bias_state: State,
}

impl AsRef<Block> for Learning {
    fn as_ref(&self) -> &Block {
        &self.block
    }
}

/// A tile of the batch and its losses.
struct Slot {
    tile: Tile,
    /// Per feature and record.
    losses: Vec<f32>,
    scratch: Scratch,
}

impl Slot {
    fn new(shape: &Shape, rows: usize, training: bool) -> Self {
        let losses = vec![0.0; rows * shape.features()];
        Self { tile: Tile::new(shape, rows, training), losses, scratch: Scratch::new(rows) }
    }
}

/// One training run over some rows.
pub struct Training<'a> {
    config: &'a Config,
    shape: Shape,
    clean: &'a Prepared,
    noisy: Prepared,
    /// Row at every position of the epoch.
    order: Vec<u32>,
    /// Blocks of positions in the order they are visited.
    batches: Vec<u32>,
    batch_size: usize,
    blocks: Vec<RwLock<Learning>>,
    slots: Vec<RwLock<Slot>>,
    steps: u64,
    threads: usize,
    /// Sums over the epoch's batches of each feature's mean loss.
    loss_sums: RwLock<Vec<f64>>,
}

impl<'a> Training<'a> {
    /// Makes every buffer a run over `clean` needs. The result does not depend on `threads`.
    ///
    /// # Errors
    /// If there are no rows.
    pub fn new(network: Network, config: &'a Config, clean: &'a Prepared, threads: usize) -> Result<Self> {
        if clean.rows == 0 {
            return Err(Error::NothingToLearn("there are no rows"));
        }
        let shape = network.shape().clone();
        let batch_size = config.batch_rows(clean.rows);
        let slots = (0..batch_size).step_by(TILE).map(|start| TILE.min(batch_size - start));
        let slots: Vec<_> = slots.map(|rows| RwLock::new(Slot::new(&shape, rows, true))).collect();
        let learning = |block: Block| {
            RwLock::new(Learning {
                weight_gradient: Array2::zeros(block.weight.raw_dim()),
                bias_gradient: vec![0.0; block.bias.len()],
                weight_state: State::new(&config.optimizer, block.weight.len()),
                bias_state: State::new(&config.optimizer, block.bias.len()),
                block,
            })
        };
        Ok(Self {
            config,
            noisy: clean.clone(),
            clean,
            order: (0..clean.rows as u32).collect(),
            batches: (0..clean.rows.div_ceil(batch_size) as u32).collect(),
            batch_size,
            blocks: network.blocks.into_iter().map(learning).collect(),
            // A batch of one tile leaves the others waiting more than working.
            threads: threads.clamp(1, slots.len()),
            slots,
            steps: 0,
            loss_sums: RwLock::new(vec![0.0; shape.features()]),
            shape,
        })
    }

    /// The gradient of the mean loss over the first batch, without noise, as tensors of [`Shape::tensors`]; weights stay.
    pub fn gradients(&mut self) -> Vec<(String, [usize; 2], Vec<f32>)> {
        let rows = 0..self.batch_size;
        for nth in 0..self.slots.len() {
            self.rows_of_tile(nth, &rows, 0);
        }
        for block in &self.blocks {
            let mut block = block.write().expect(NO_PANIC);
            self.gradient_of(&mut block, &rows);
        }
        let blocks: Vec<_> = self.blocks.iter().map(|block| block.read().expect(NO_PANIC)).collect();
        assemble(
            &self.shape,
            blocks.iter().map(|b| (&b.block.place, b.weight_gradient.view(), &b.bias_gradient[..])),
        )
    }

    /// One pass over the rows; epochs count from 0. The mean loss of every feature is then [`losses`](Self::losses).
    ///
    /// # Errors
    /// [`Error::Cancelled`] within a step of being asked to stop.
    pub fn epoch(&mut self, epoch: u32, rate: f64, cancel: &CancelToken) -> Result<()> {
        self.deal(epoch);
        self.loss_sums.get_mut().expect(NO_PANIC).fill(0.0);
        let (meeting, stop) = (Meeting::new(self.threads), AtomicBool::new(false));
        let (tiles, blocks) = (Queue::default(), Queue::default());
        let this = &*self;
        run(&meeting, |member| {
            for (nth, batch) in this.batches.iter().enumerate() {
                let start = *batch as usize * this.batch_size;
                let rows = start..this.clean.rows.min(start + this.batch_size);
                let used = rows.len().div_ceil(TILE);
                while let Some(tile) = tiles.take(used) {
                    this.rows_of_tile(tile, &rows, epoch);
                }
                meeting.wait();
                if member == 0 {
                    tiles.reset();
                    this.add_losses(&rows);
                    stop.store(cancel.is_cancelled(), Ordering::Relaxed);
                }
                while let Some(block) = blocks.take(this.blocks.len()) {
                    this.learn(block, &rows, rate, this.steps + nth as u64 + 1);
                }
                meeting.wait();
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                if member == 0 {
                    blocks.reset();
                }
            }
        });
        self.steps += self.batches.len() as u64;
        if stop.into_inner() { Err(Error::Cancelled) } else { Ok(()) }
    }

    /// Mean over the last epoch's batches of every feature's mean loss, on noisy input.
    pub fn losses(&self) -> impl Iterator<Item = f64> {
        let sums = self.loss_sums.read().expect(NO_PANIC);
        let batches = self.batches.len() as f64;
        (0..self.shape.features()).map(move |feature| sums[feature] / batches)
    }

    /// The network as trained so far.
    pub fn into_network(self) -> Network {
        let block = |block: RwLock<Learning>| block.into_inner().expect(NO_PANIC).block;
        Network::new(self.shape, self.blocks.into_iter().map(block).collect())
    }

    /// A copy of the network as trained so far.
    pub fn network(&self) -> Network {
        let block = |block: &RwLock<Learning>| block.read().expect(NO_PANIC).block.clone();
        Network::new(self.shape.clone(), self.blocks.iter().map(block).collect())
    }

    /// Draws the epoch's batches and noise.
    fn deal(&mut self, epoch: u32) {
        let order = if self.config.shuffle_rows { &mut self.order } else { &mut self.batches };
        order.iter_mut().zip(0..).for_each(|(item, nth)| *item = nth);
        shuffle(self.config.seed, epoch, order);
        let noise = Noise { config: self.config, block: self.batch_size, epoch, order: Some(&self.order) };
        noise.draw(self.clean, &mut self.noisy, self.threads);
    }

    fn rows_of_tile(&self, nth: usize, batch: &Range<usize>, epoch: u32) {
        let start = batch.start + nth * TILE;
        let rows = start..batch.end.min(start + TILE);
        let mut slot = self.slots[nth].write().expect(NO_PANIC);
        let Slot { tile, losses: tile_losses, scratch } = &mut *slot;
        tile.gather(&self.shape, &self.blocks[..], &self.noisy, rows.clone());
        let share = self.config.dropout;
        let dropout = (share > 0.0).then_some(DropoutDraw { share, seed: self.config.seed, epoch });
        tile.forward(&self.shape, &self.blocks[..], dropout);
        let targets = Targets { data: self.clean, order: Some(&self.order), first: start };
        let scale = 1.0 / (batch.len() * self.shape.features()) as f32;
        let (output, delta) = tile.output_and_delta(&self.shape);
        let tile_losses = &mut tile_losses[..rows.len() * self.shape.features()];
        losses(&self.shape, output, targets, tile_losses, delta, Some(scale), scratch);
        tile.backward(&self.shape, &self.blocks[..]);
    }

    fn gradient_of(&self, learning: &mut Learning, batch: &Range<usize>) {
        let used = batch.len().div_ceil(TILE);
        for (nth, slot) in self.slots[..used].iter().enumerate() {
            let slot = slot.read().expect(NO_PANIC);
            let (weight, bias) = (&mut learning.weight_gradient, &mut learning.bias_gradient);
            add_gradient(&self.shape, &learning.block.place, &slot.tile, nth == 0, weight, bias);
        }
    }

    fn learn(&self, block: usize, batch: &Range<usize>, rate: f64, step: u64) {
        let mut learning = self.blocks[block].write().expect(NO_PANIC);
        self.gradient_of(&mut learning, batch);
        let Learning { block, weight_gradient, bias_gradient, weight_state, bias_state } = &mut *learning;
        let (optimizer, standard) = (&self.config.optimizer, "made in standard layout");
        let weight = block.weight.as_slice_mut().expect(standard);
        weight_state.step(optimizer, rate, step, weight, weight_gradient.as_slice().expect(standard));
        if !bias_gradient.is_empty() {
            bias_state.step(optimizer, rate, step, &mut block.bias, bias_gradient);
        }
    }

    fn add_losses(&self, batch: &Range<usize>) {
        let mut sums = self.loss_sums.write().expect(NO_PANIC);
        let used = batch.len().div_ceil(TILE);
        for slot in &self.slots[..used] {
            let slot = slot.read().expect(NO_PANIC);
            let losses = &slot.losses[..slot.tile.records() * sums.len()];
            add_row_shares(&mut sums, losses, 1.0 / batch.len() as f64);
        }
    }
}

const NO_PANIC: &str = "no thread panicked holding it";

/// Swap noise of one epoch.
struct Noise<'a> {
    config: &'a Config,
    /// Rows that swap among themselves.
    block: usize,
    epoch: u32,
    /// Row at every position; without it, positions are rows.
    order: Option<&'a [u32]>,
}

impl Noise<'_> {
    /// Fills `noisy` with the rows of `clean` in order, with noise; columns in parallel.
    fn draw(&self, clean: &Prepared, noisy: &mut Prepared, threads: usize) {
        let values = clean.values.len();
        if threads == 1 {
            let columns = clean.values.iter().zip(&mut noisy.values).enumerate();
            columns.for_each(|(c, (clean, noisy))| self.column(c, clean, noisy));
            let columns = clean.codes.iter().zip(&mut noisy.codes).enumerate();
            columns.for_each(|(c, (clean, noisy))| self.column(values + c, clean, noisy));
            return;
        }
        let per_thread = |columns: usize| columns.div_ceil(threads).max(1);
        std::thread::scope(|scope| {
            let size = per_thread(values);
            for (nth, (clean, noisy)) in
                clean.values.chunks(size).zip(noisy.values.chunks_mut(size)).enumerate()
            {
                scope.spawn(move || self.columns(nth * size, clean, noisy));
            }
            let size = per_thread(clean.codes.len());
            for (nth, (clean, noisy)) in
                clean.codes.chunks(size).zip(noisy.codes.chunks_mut(size)).enumerate()
            {
                scope.spawn(move || self.columns(values + nth * size, clean, noisy));
            }
        });
    }

    fn columns<T: Copy>(&self, first: usize, clean: &[Vec<T>], noisy: &mut [Vec<T>]) {
        for (c, (clean, noisy)) in clean.iter().zip(noisy).enumerate() {
            self.column(first + c, clean, noisy);
        }
    }

    fn column<T: Copy>(&self, column: usize, clean: &[T], noisy: &mut [T]) {
        let at = |position: usize| clean[self.order.map_or(position, |order| order[position] as usize)];
        noisy.iter_mut().enumerate().for_each(|(position, value)| *value = at(position));
        for (b, noisy) in noisy.chunks_mut(self.block).enumerate() {
            let rows = noisy.len();
            let wanted = swap_rows(rows, self.config.swap_probability);
            let draws = draws(self.config.seed, self.epoch, b as u32, column as u32, wanted, rows);
            swap(|row| at(b * self.block + row), noisy, draws);
        }
    }
}

/// Losses of given rows, evaluated again and again with other weights.
struct Watch {
    distinct: Distinct,
    noisy: Prepared,
    slot: Slot,
    /// Per distinct row and feature.
    losses: Array2<f32>,
}

impl Watch {
    fn new(shape: &Shape, rows: &Prepared) -> Self {
        Self {
            distinct: Distinct::of(rows),
            noisy: rows.clone(),
            slot: Slot::new(shape, rows.rows.min(TILE), false),
            losses: Array2::zeros((rows.rows, shape.features())),
        }
    }

    /// Adds to `history` the mean of the blocks' mean losses per feature, on noisy and on clean rows; answers with the
    /// clean mean over the features.
    fn look(&mut self, training: &Training<'_>, rows: &Prepared, epoch: u32, history: &mut History) -> f64 {
        let (shape, config) = (&training.shape, training.config);
        let noise = Noise { config, block: config.eval_batch_size, epoch: epoch | VALIDATION, order: None };
        noise.draw(rows, &mut self.noisy, training.threads);
        evaluate(shape, &training.blocks[..], &self.noisy, rows, &mut self.slot, &mut self.losses);
        block_means(&self.losses, 0..rows.rows, |row| row, config.eval_batch_size, &mut history.noisy);
        let clean = &self.distinct.rows;
        evaluate(shape, &training.blocks[..], clean, clean, &mut self.slot, &mut self.losses);
        let index = &self.distinct.index;
        block_means(
            &self.losses,
            0..rows.rows,
            |row| index[row] as usize,
            config.eval_batch_size,
            &mut history.clean,
        );
        let last = &history.clean[history.clean.len() - shape.features()..];
        last.iter().sum::<f64>() / shape.features() as f64
    }
}

/// Writes the losses of `inputs`, judged by `targets`, to the first rows of `row_losses`.
fn evaluate(
    shape: &Shape,
    weights: &(impl super::network::Weights + ?Sized),
    inputs: &Prepared,
    targets: &Prepared,
    slot: &mut Slot,
    row_losses: &mut Array2<f32>,
) {
    for start in (0..inputs.rows).step_by(TILE) {
        let rows = start..inputs.rows.min(start + TILE);
        let Slot { tile, losses: tile_losses, scratch } = &mut *slot;
        tile.gather(shape, weights, inputs, rows.clone());
        tile.forward(shape, weights, None);
        let targets = Targets { data: targets, order: None, first: start };
        let (output, room) = tile.output_and_delta(shape);
        let tile_losses = &mut tile_losses[..rows.len() * shape.features()];
        losses(shape, output, targets, tile_losses, room, None, scratch);
        let by_feature = matrix(tile_losses, shape.features(), rows.len());
        rows_of_mut(row_losses, rows).assign(&by_feature.t());
    }
}

/// Appends, per feature, the unweighted mean over blocks of `size` rows of the blocks' mean losses.
fn block_means(
    losses: &Array2<f32>,
    rows: Range<usize>,
    at: impl Fn(usize) -> usize,
    size: usize,
    means: &mut Vec<f64>,
) {
    let first = means.len();
    means.resize(first + losses.ncols(), 0.0);
    let means = &mut means[first..];
    let blocks = rows.len().div_ceil(size) as f64;
    for start in rows.clone().step_by(size) {
        let block = start..rows.end.min(start.saturating_add(size));
        let weight = 1.0 / (block.len() as f64 * blocks);
        for row in block {
            let losses = losses.row(at(row));
            means.iter_mut().zip(losses).for_each(|(mean, loss)| *mean += f64::from(*loss) * weight);
        }
    }
}

/// When to stop early: the reference's rule, with patience of 0 or less as off unless taken literally.
struct Patience {
    limit: i64,
    on: bool,
    previous: f64,
    rises: i64,
}

impl Patience {
    fn new(config: &Config) -> Self {
        let patience = config.patience;
        let on = patience > 0 || (patience < 0 && config.literal_patience);
        Self { limit: patience, on, previous: f64::INFINITY, rises: 0 }
    }

    /// Takes an epoch's loss; whether training should stop now.
    fn is_over(&mut self, loss: f64) -> bool {
        let rose = loss > self.previous;
        self.previous = loss;
        self.rises = if rose { self.rises + 1 } else { 0 };
        self.on && rose && self.rises >= self.limit
    }
}

/// Trains on `rows`, watching the loss on `validation` if given.
///
/// # Errors
/// If there are no rows, weights become infinite, or the caller asks to stop.
pub fn train(
    network: Network,
    config: &Config,
    rows: &Prepared,
    validation: Option<&Prepared>,
    threads: usize,
    cancel: &CancelToken,
) -> Result<Trained> {
    let mut training = Training::new(network, config, rows, threads)?;
    let mut watch = validation.map(|rows| (Watch::new(&training.shape, rows), rows));
    let mut history = History::new(training.shape.features(), config.epochs);
    let mut patience = Patience::new(config);
    let (mut rate, mut epochs) = (config.learning_rate, 0);
    for epoch in 0..config.epochs {
        training.epoch(epoch as u32, rate, cancel)?;
        rate *= config.learning_rate_decay;
        epochs = epoch + 1;
        let train = history.train.len();
        history.train.extend(training.losses());
        if !history.train[train..].iter().all(|loss| loss.is_finite()) {
            return Err(Error::Diverged { epoch: epochs });
        }
        if let Some((watch, rows)) = &mut watch {
            let loss = watch.look(&training, rows, epoch as u32, &mut history);
            if patience.is_over(loss) {
                let kept = history.train.len() - history.features;
                history.train.truncate(kept);
                history.noisy.truncate(kept);
                history.clean.truncate(kept);
                break;
            }
        }
    }
    let network = training.into_network();
    if network.is_finite() {
        Ok(Trained { network, history, epochs, learning_rate: rate })
    } else {
        Err(Error::Diverged { epoch: epochs })
    }
}
