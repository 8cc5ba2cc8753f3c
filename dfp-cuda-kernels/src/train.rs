//! A group of entities trained together: all their tables and arrays on the device, then step after step of all of them.

use dfp_core::CancelToken;
use dfp_models::autoencoder::activation::Activation;
use dfp_models::autoencoder::backend::Job;
use dfp_models::autoencoder::fit::{History, Trained};
use dfp_models::autoencoder::scaler::{Scaler, ScalerKind};
use dfp_models::autoencoder::{Config, Optimizer};

use crate::device::{Device, DeviceError, DeviceInfo, Launch};
use crate::group::{
    self, DIVERGED, FINISHED, Learning, Piece, Progress, Rows, STOPPED, Scale, Settings, argument_of,
};
use crate::layout::{Columns, Networks, pack, take, tiles_of, unpack};
use crate::memory::Arrays;
use crate::precision::{CODES, DEAL, DEAL_WATCHED, Precision, RECORD, TAKE_STATISTICS, TILE_COLUMNS};

/// Steps between two looks at whether to stop.
const STEPS_AT_ONCE: u32 = 16;

/// Why a group was not trained.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The caller asked.
    Cancelled,
    /// The device could not.
    Device(DeviceError),
}

impl From<DeviceError> for Stop {
    fn from(error: DeviceError) -> Self {
        Self::Device(error)
    }
}

/// An entity's training: what came out, or that its losses left the numbers.
pub(crate) type Outcome = std::result::Result<(Trained, Vec<Scaler>), dfp_models::Error>;

/// The places of a group's entities.
#[derive(Debug, Default)]
pub(crate) struct Layout {
    networks: Networks,
    rows: Columns,
    /// The same rows, with room for the losses of all of them instead of a batch's.
    all_rows: Vec<Rows>,
    watched: Columns,
    learning: Vec<Learning>,
    pieces: Vec<Piece>,
    first_scale: Vec<u32>,
    losses: usize,
    all_losses: usize,
    watched_losses: usize,
    order: usize,
    scratch: usize,
    history: usize,
    sums: usize,
    scales: usize,
    /// Per weight, what the optimiser remembers.
    memories: [usize; 3],
    steps: u64,
    validated: bool,
    evaluation_scratch: usize,
}

impl Layout {
    /// Plans for jobs that either all have validation rows or none.
    pub(crate) fn of(config: &Config, precision: Precision, device: &DeviceInfo, jobs: &[Job<'_>]) -> Self {
        let validated = jobs.iter().any(|job| job.validation.is_some());
        let mut layout = Self { validated, ..Self::default() };
        for job in jobs {
            layout.add(config, job);
        }
        layout.memories =
            memories(&config.optimizer).map(|used| if used { layout.networks.weights } else { 0 });
        let tiles = layout.rows.rows.iter().chain(&layout.watched.rows);
        let tiles: usize = tiles.map(|rows| (rows.rows as usize).div_ceil(precision.tile_rows())).sum();
        layout.evaluation_scratch =
            blocks_of(precision, device, tiles) * scratch_of_block(precision, layout.networks.widest);
        layout.pieces = layout.pieces(precision);
        layout
    }

    fn add(&mut self, config: &Config, job: &Job<'_>) {
        let shape = job.network.shape();
        let (rows, features) = (job.rows.rows, shape.features());
        let batch = config.batch_rows(rows);
        let batches = rows.div_ceil(batch);
        self.networks.add(shape);
        let total_width = self.networks.list.last().expect("just added").total_width as usize;
        let losses = take(&mut self.losses, batch * features);
        self.rows.add(job.rows, batch, losses);
        let losses = take(&mut self.all_losses, rows * features);
        self.all_rows.push(Rows { losses, ..*self.rows.rows.last().expect("just added") });
        if let Some(watched) = job.validation {
            let losses = take(&mut self.watched_losses, watched.rows * features);
            self.watched.add(watched, config.eval_batch_size, losses);
        }
        let kinds = if self.validated { 3 } else { 1 };
        let copies = if keeps_slopes(config) { 3 } else { 2 };
        self.learning.push(Learning {
            batch: batch as u32,
            batches: batches as u32,
            order: take(&mut self.order, if config.shuffle_rows { rows } else { batches }),
            scratch: take(&mut self.scratch, copies * batch * total_width),
            history: take(&mut self.history, config.epochs * features * kinds),
            sums: take(&mut self.sums, features),
        });
        self.first_scale.push(self.scales as u32);
        self.scales += features;
        self.steps = self.steps.max(config.epochs as u64 * batches as u64);
    }

    fn pieces(&self, precision: Precision) -> Vec<Piece> {
        let mut pieces = Vec::new();
        for entity in 0..self.networks.list.len() {
            let layers = self.networks.layers_of(entity);
            for (part, layer) in layers.iter().enumerate() {
                for row in (0..layer.outputs).step_by(precision.tile_rows()) {
                    let columns = (0..layer.inputs.max(1)).step_by(TILE_COLUMNS);
                    pieces.extend(columns.map(|column| Piece {
                        entity: entity as u32,
                        part: part as u32,
                        row,
                        column,
                    }));
                }
            }
            for (c, category) in self.networks.categories_of(entity).iter().enumerate() {
                let part = (layers.len() + c) as u32;
                let rows = (0..category.codes).step_by(CODES);
                pieces.extend(rows.map(|row| Piece { entity: entity as u32, part, row, column: 0 }));
            }
        }
        pieces
    }

    /// Bytes that the group takes on the device, about.
    pub(crate) fn bytes(&self) -> u64 {
        let rows = 2 * (self.rows.values + self.rows.codes + self.watched.values + self.watched.codes);
        let weights = self.networks.weights + self.memories.iter().sum::<usize>();
        let losses = self.losses + self.all_losses + 2 * self.watched_losses;
        let singles = rows + weights + losses + self.order + self.scratch + self.evaluation_scratch;
        let doubles = self.history + self.sums + 2 * self.scales;
        let tables =
            24 * (self.networks.layers.len() + self.networks.categories.len()) + 16 * self.pieces.len();
        (4 * singles + 8 * doubles + tables + 512 * self.learning.len()) as u64
    }

    /// Steps of the entity that takes most.
    pub(crate) fn steps(&self) -> u64 {
        self.steps
    }
}

/// Numbers of a block's room to evaluate a tile: two layers.
pub(crate) fn scratch_of_block(precision: Precision, widest: usize) -> usize {
    2 * precision.tile_rows() * widest
}

/// Blocks that take so many tiles in turn.
pub(crate) fn blocks_of(precision: Precision, device: &DeviceInfo, tiles: usize) -> usize {
    // Some fill a multiprocessor's registers alone.
    let at_once = if matches!(precision, Precision::Bf16x3 | Precision::Wgmma) { 1 } else { 2 };
    tiles.min(device.multiprocessors as usize * at_once)
}

/// Whether the optimiser remembers a first, a second and a largest number per weight.
fn memories(optimizer: &Optimizer) -> [bool; 3] {
    match *optimizer {
        Optimizer::Sgd { momentum, .. } => [momentum > 0.0, false, false],
        Optimizer::Adam { amsgrad, .. } => [true, true, amsgrad],
    }
}

/// Whether slopes cannot be told from activations.
fn keeps_slopes(config: &Config) -> bool {
    let lists = [&config.encoder_activations, &config.decoder_activations];
    let listed = lists.into_iter().flatten().flatten();
    config.dropout > 0.0
        || listed.chain([&config.activation]).any(|activation| *activation == Activation::Tanhshrink)
}

fn settings(config: &Config, validated: bool) -> Settings {
    let optimizer = match config.optimizer {
        Optimizer::Sgd { momentum, nesterov, dampening, weight_decay } => group::Optimizer {
            method: 0,
            variant: nesterov.into(),
            memory: momentum,
            second: dampening,
            weight_decay,
        },
        Optimizer::Adam { betas, amsgrad, weight_decay } => group::Optimizer {
            method: 1,
            variant: amsgrad.into(),
            memory: betas.0,
            second: betas.1,
            weight_decay,
        },
    };
    let patient = config.patience > 0 || (config.patience < 0 && config.literal_patience);
    Settings {
        seed: config.seed,
        dropout: config.dropout,
        swap_probability: config.swap_probability,
        learning_rate_decay: config.learning_rate_decay,
        patience: config.patience,
        optimizer,
        epochs: config.epochs as u32,
        shuffle_rows: config.shuffle_rows.into(),
        patient: patient.into(),
        validated: validated.into(),
        keeps_slopes: keeps_slopes(config).into(),
        reserved: 0,
    }
}

/// A group on the device.
struct Resident<'a> {
    config: &'a Config,
    precision: Precision,
    jobs: &'a [Job<'a>],
    layout: &'a Layout,
    arrays: Arrays<'a>,
    training: group::Training,
    /// Of the validation rows, and of all rows that the entities learn from.
    watched: Evaluated,
    all: Evaluated,
}

/// An evaluation of a group and the tiles it has.
struct Evaluated {
    argument: group::Evaluation,
    blocks: usize,
}

/// Trains the jobs together, as `layout` plans it.
pub(crate) fn train(
    device: &dyn Device,
    precision: Precision,
    config: &Config,
    jobs: &[Job<'_>],
    layout: &Layout,
    cancel: &CancelToken,
) -> Result<Vec<Outcome>, Stop> {
    let mut arrays = Arrays::new(device)?;
    let training = training(&mut arrays, precision, config, jobs, layout)?;
    let (watched, all) = evaluations(&mut arrays, precision, device.info(), layout, &training)?;
    let mut resident = Resident { config, precision, jobs, layout, arrays, training, watched, all };
    resident.train(cancel)?;
    let scalers = resident.scalers()?;
    Ok(resident.outcomes(scalers)?)
}

/// Brings over what training needs.
fn training(
    arrays: &mut Arrays<'_>,
    precision: Precision,
    config: &Config,
    jobs: &[Job<'_>],
    layout: &Layout,
) -> Result<group::Training, DeviceError> {
    let networks = &layout.networks;
    let started = Progress {
        rate: config.learning_rate,
        previous: f64::INFINITY,
        state: if config.epochs == 0 { FINISHED } else { 0 },
        ..Progress::default()
    };
    let (values, codes) = layout.rows.put(arrays, jobs.iter().map(|job| job.rows))?;
    let watched = jobs.iter().filter_map(|job| job.validation);
    let (watched_values, watched_codes) = layout.watched.put(arrays, watched)?;
    let batches = layout.learning.iter().map(|learning| learning.batch as usize);
    Ok(group::Training {
        networks: arrays.put(&networks.list)?,
        layers: arrays.put(&networks.layers)?,
        categories: arrays.put(&networks.categories)?,
        rows: arrays.put(&layout.rows.rows)?,
        learning: arrays.put(&layout.learning)?,
        progress: arrays.put(&vec![started; jobs.len()])?,
        tiles: arrays.put(&tiles_of(batches, precision.tile_rows()))?,
        pieces: arrays.put(&layout.pieces)?,
        weights: arrays.put_parts(networks.weights, jobs.iter(), |job, part| pack(&job.network, part))?,
        first_memory: arrays.zeros::<f32>(layout.memories[0])?,
        second_memory: arrays.zeros::<f32>(layout.memories[1])?,
        largest_memory: arrays.zeros::<f32>(layout.memories[2])?,
        values,
        codes,
        noisy_values: arrays.room::<f32>(layout.rows.values)?,
        noisy_codes: arrays.room::<u32>(layout.rows.codes)?,
        order: arrays.room::<u32>(layout.order)?,
        scratch: arrays.room::<f32>(layout.scratch)?,
        losses: arrays.room::<f32>(layout.losses)?,
        sums: arrays.room::<f64>(layout.sums)?,
        history: arrays.room::<f64>(layout.history)?,
        watched: arrays.put(&layout.watched.rows)?,
        watched_values,
        watched_codes,
        watched_noisy_values: arrays.room::<f32>(layout.watched.values)?,
        watched_noisy_codes: arrays.room::<u32>(layout.watched.codes)?,
        noisy_losses: arrays.room::<f32>(layout.watched_losses)?,
        clean_losses: arrays.room::<f32>(layout.watched_losses)?,
        settings: settings(config, layout.validated),
    })
}

/// Brings over what evaluation needs beside that: of the validation rows, and of all rows.
fn evaluations(
    arrays: &mut Arrays<'_>,
    precision: Precision,
    device: &DeviceInfo,
    layout: &Layout,
    training: &group::Training,
) -> Result<(Evaluated, Evaluated), DeviceError> {
    let scratch_of_block = scratch_of_block(precision, layout.networks.widest);
    let shared = group::Evaluation {
        networks: training.networks,
        layers: training.layers,
        categories: training.categories,
        weights: training.weights,
        scales: arrays.room::<Scale>(layout.scales)?,
        first_scale: arrays.put(&layout.first_scale)?,
        scratch: arrays.room::<f32>(layout.evaluation_scratch)?,
        scratch_of_block: scratch_of_block as u64,
        learning: training.learning,
        entity_count: layout.learning.len() as u32,
        ..group::Evaluation::default()
    };
    let mut of = |argument: group::Evaluation, rows: &[Rows]| {
        let tiles = tiles_of(rows.iter().map(|rows| rows.rows as usize), precision.tile_rows());
        let blocks = blocks_of(precision, device, tiles.len());
        let (rows, tile_count) = (arrays.put(rows)?, tiles.len() as u32);
        let argument = group::Evaluation { rows, tiles: arrays.put(&tiles)?, tile_count, ..argument };
        Ok::<_, DeviceError>(Evaluated { argument, blocks })
    };
    let watched = group::Evaluation {
        values: training.watched_values,
        target_values: training.watched_values,
        codes: training.watched_codes,
        target_codes: training.watched_codes,
        losses: training.clean_losses,
        ..shared
    };
    let watched = of(watched, &layout.watched.rows)?;
    let all = group::Evaluation {
        values: training.values,
        target_values: training.values,
        codes: training.codes,
        target_codes: training.codes,
        ..shared
    };
    let mut all = of(all, &layout.all_rows)?;
    all.argument.losses = arrays.room::<f32>(layout.all_losses)?;
    Ok((watched, all))
}

impl Resident<'_> {
    /// Takes every entity through all its steps.
    fn train(&mut self, cancel: &CancelToken) -> Result<(), Stop> {
        let step = self.step();
        let mut left = self.layout.steps;
        while left > 0 {
            if cancel.is_cancelled() {
                return Err(Stop::Cancelled);
            }
            let now = left.min(STEPS_AT_ONCE.into()) as u32;
            self.arrays.run(&step, now)?;
            left -= u64::from(now);
        }
        Ok(())
    }

    /// The launches of a step.
    fn step(&self) -> Vec<Launch> {
        let training = argument_of(&self.training);
        let launch =
            |kernel, blocks: usize| Launch { kernel, blocks: blocks as u32, argument: training.clone() };
        let entities = self.jobs.len();
        let mut launches = vec![
            launch(DEAL, entities),
            launch(self.precision.pass(), self.tiles()),
            launch(self.precision.learn(), self.layout.pieces.len()),
        ];
        if self.layout.validated {
            let clean = group::Evaluation { progress: self.training.progress, ..self.watched.argument };
            let noisy = group::Evaluation {
                values: self.training.watched_noisy_values,
                codes: self.training.watched_noisy_codes,
                losses: self.training.noisy_losses,
                ..clean
            };
            launches.push(launch(DEAL_WATCHED, entities));
            launches.extend([noisy, clean].map(|argument| self.evaluate(&argument, self.watched.blocks)));
        }
        launches.push(launch(RECORD, entities));
        launches
    }

    /// Tiles of a step.
    fn tiles(&self) -> usize {
        let of = |learning: &Learning| (learning.batch as usize).div_ceil(self.precision.tile_rows());
        self.layout.learning.iter().map(of).sum()
    }

    fn evaluate(&self, argument: &group::Evaluation, blocks: usize) -> Launch {
        Launch { kernel: self.precision.evaluate(), blocks: blocks as u32, argument: argument_of(argument) }
    }

    /// The scaler of every feature's loss, of every entity.
    fn scalers(&mut self) -> Result<Vec<Vec<Scaler>>, DeviceError> {
        let of_validation = self.layout.validated && self.config.use_val_for_loss_stats;
        let chosen = if of_validation { &self.watched } else { &self.all };
        let argument = chosen.argument;
        let evaluate = self.evaluate(&argument, chosen.blocks);
        if self.config.loss_scaler == ScalerKind::Standard {
            let blocks = argument.entity_count;
            let statistics = Launch { kernel: TAKE_STATISTICS, blocks, argument: argument_of(&argument) };
            self.arrays.run(&[evaluate, statistics], 1)?;
            return self.standard_scalers(argument.scales);
        }
        self.arrays.run(&[evaluate], 1)?;
        let (rows, count) = if of_validation {
            (&self.layout.watched.rows, self.layout.watched_losses)
        } else {
            (&self.layout.all_rows, self.layout.all_losses)
        };
        let losses: Vec<f32> = self.arrays.read(argument.losses, 0, count)?;
        let fit = |(rows, features): (&Rows, usize)| {
            let losses = &losses[rows.losses as usize..][..rows.rows as usize * features];
            let scaler = |feature: usize| {
                let losses = losses.iter().skip(feature).step_by(features).map(|loss| f64::from(*loss));
                let losses: Vec<f64> = losses.collect();
                Scaler::fit(self.config.loss_scaler, &losses, self.config.seed, feature as u32)
            };
            (0..features).map(scaler).collect()
        };
        Ok(rows.iter().zip(self.features()).map(fit).collect())
    }

    fn standard_scalers(&mut self, scales: u64) -> Result<Vec<Vec<Scaler>>, DeviceError> {
        let scales: Vec<Scale> = self.arrays.read(scales, 0, self.layout.scales)?;
        let mut scalers = scales.into_iter().map(|Scale { mean, width }| {
            let scaler = Scaler::Standard { mean, std: width };
            if scaler.is_valid() { scaler } else { Scaler::None {} }
        });
        Ok(self.features().map(|features| scalers.by_ref().take(features).collect()).collect())
    }

    /// How many features every entity has.
    fn features(&self) -> impl Iterator<Item = usize> {
        self.jobs.iter().map(|job| job.network.shape().features())
    }

    /// Brings back what was learned.
    fn outcomes(&mut self, scalers: Vec<Vec<Scaler>>) -> Result<Vec<Outcome>, DeviceError> {
        let history: Vec<f64> = self.arrays.read(self.training.history, 0, self.layout.history)?;
        let progress: Vec<Progress> = self.arrays.read(self.training.progress, 0, self.jobs.len())?;
        let mut outcomes = Vec::with_capacity(self.jobs.len());
        for (nth, (progress, scalers)) in progress.iter().zip(scalers).enumerate() {
            let epochs = progress.epoch as usize;
            if ![FINISHED, DIVERGED, STOPPED].contains(&progress.state) {
                let text = format!("entity {nth} of {} is in state {}", self.jobs.len(), progress.state);
                return Err(DeviceError::Failed { call: "training".into(), text });
            }
            let (first, size) = self.layout.networks.weights_of(nth);
            let weights: Vec<f32> = self.arrays.read(self.training.weights, first, size)?;
            let network = unpack(self.jobs[nth].network.shape(), &weights);
            let network = network.filter(|_| progress.state != DIVERGED);
            let kept = if progress.state == STOPPED { epochs - 1 } else { epochs };
            outcomes.push(match network {
                None => Err(dfp_models::Error::Diverged { epoch: epochs }),
                Some(network) => {
                    let history = self.history(nth, kept, &history);
                    let learning_rate = progress.rate;
                    Ok((Trained { network, history, epochs, learning_rate }, scalers))
                }
            });
        }
        Ok(outcomes)
    }

    fn history(&self, nth: usize, epochs: usize, all: &[f64]) -> History {
        let features = self.jobs[nth].network.shape().features();
        let kinds = if self.layout.validated { 3 } else { 1 };
        let first = self.layout.learning[nth].history as usize;
        let mut lists = [Vec::new(), Vec::new(), Vec::new()];
        for losses in all[first..][..epochs * features * kinds].chunks_exact(features * kinds) {
            lists
                .iter_mut()
                .zip(losses.chunks_exact(features))
                .for_each(|(list, losses)| list.extend(losses));
        }
        let [train, noisy, clean] = lists;
        History::of(features, train, noisy, clean)
    }
}
