//! The backend: jobs put together to groups that a device has room for, two groups at a time on each device, and the CPU for what
//! no device could do.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use dfp_core::FitContext;
use dfp_models::autoencoder::Config;
use dfp_models::autoencoder::backend::{Backend, Cpu, Evaluated, Job};
use dfp_models::autoencoder::features::Prepared;
use dfp_models::autoencoder::fit::Trained;
use dfp_models::autoencoder::network::Network;
use dfp_models::autoencoder::scaler::Scaler;

use crate::device::{Device, DeviceError};
use crate::evaluate::Evaluation;
use crate::precision::Precision;
use crate::train::{Layout, Stop, train};

/// Share of a device's free memory that is used.
const USED_SHARE: f64 = 0.85;
/// Groups on a device at a time: while one computes, the other comes or goes.
const GROUPS_AT_ONCE: usize = 2;
/// Most entities of a group: beyond, a group only takes longer.
const MOST_ENTITIES: usize = 16_384;
/// Most cells (rows times features) of an entity, which the kernels count in 32 bits.
const MOST_CELLS: usize = 1 << 31;
/// Multiply-adds below which rows are evaluated on the CPU: less than it takes to bring a network over.
const WORTH_A_TRIP: usize = 1 << 31;

type Answer = dfp_core::Result<(Trained, Vec<Scaler>)>;

/// What became of the networks trained so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Trained on a device.
    pub on_device: usize,
    /// Trained on the CPU, since no device could.
    pub on_cpu: usize,
    /// Groups begun again, smaller or on the same device.
    pub retried: usize,
}

/// Trains and evaluates on CUDA devices, and what they cannot do on the CPU. Results do not depend on how many devices there are,
/// what fits them at a time, or what is trained together.
#[derive(Debug)]
pub struct CudaBackend {
    devices: Vec<Slot>,
    precision: Precision,
    on_device: AtomicUsize,
    on_cpu: AtomicUsize,
    retried: AtomicUsize,
    failures: Mutex<Vec<String>>,
}

#[derive(Debug)]
struct Slot {
    device: Arc<dyn Device>,
    /// Nothing more can be done on it.
    lost: AtomicBool,
}

impl CudaBackend {
    /// A backend on these devices.
    pub fn new(devices: Vec<Arc<dyn Device>>, precision: Precision) -> Self {
        let slot = |device| Slot { device, lost: AtomicBool::new(false) };
        Self {
            devices: devices.into_iter().map(slot).collect(),
            precision,
            on_device: AtomicUsize::new(0),
            on_cpu: AtomicUsize::new(0),
            retried: AtomicUsize::new(0),
            failures: Mutex::new(Vec::new()),
        }
    }

    /// What became of the networks trained so far.
    pub fn counts(&self) -> Counts {
        let read = |count: &AtomicUsize| count.load(Ordering::Relaxed);
        Counts { on_device: read(&self.on_device), on_cpu: read(&self.on_cpu), retried: read(&self.retried) }
    }

    fn failed(&self, slot: &Slot, error: &DeviceError) {
        let info = slot.device.info();
        let text = format!("CUDA device {} ({}): {error}", info.index, info.name);
        self.failures.lock().expect(NO_PANIC).push(text);
        if matches!(error, DeviceError::Lost(_)) {
            slot.lost.store(true, Ordering::Relaxed);
        }
    }

    /// Bytes of a group: what every device can hold beside the other group on it.
    fn room(&self) -> u64 {
        let free = |slot: &Slot| slot.device.free_memory().ok();
        let least = self.devices.iter().filter_map(free).min().unwrap_or(0);
        (least as f64 * USED_SHARE) as u64 / GROUPS_AT_ONCE as u64
    }

    /// Puts jobs that take about as many steps together, as many as there is room for.
    fn groups(&self, config: &Config, jobs: &[Job<'_>]) -> Groups {
        let mut groups = Groups { workers: vec![GROUPS_AT_ONCE; self.devices.len()], ..Groups::default() };
        let Some(first) = self.devices.first() else {
            groups.leftover = (0..jobs.len()).collect();
            return groups;
        };
        let room = self.room();
        let plan = |nth: &usize| {
            let job = &jobs[*nth];
            let layout = Layout::of(
                config,
                self.precision.on(first.device.info()),
                first.device.info(),
                std::slice::from_ref(job),
            );
            (*nth, job.validation.is_some(), layout.steps(), layout.bytes())
        };
        let fits = |nth: &usize| {
            let job = &jobs[*nth];
            let rows = job.rows.rows.max(job.validation.map_or(0, |rows| rows.rows));
            rows > 0 && rows.saturating_mul(job.network.shape().features()) < MOST_CELLS
        };
        let (fitting, others): (Vec<usize>, Vec<usize>) = (0..jobs.len()).partition(fits);
        groups.leftover = others;
        let mut plans: Vec<_> = fitting.iter().map(plan).collect();
        plans.sort_by_key(|(nth, validated, steps, _)| (*validated, std::cmp::Reverse(*steps), *nth));
        let (mut group, mut bytes, mut kind) = (Vec::new(), 0, false);
        for (nth, validated, _, size) in plans {
            if !group.is_empty() && (validated != kind || bytes + size > room || group.len() == MOST_ENTITIES)
            {
                groups.waiting.push_back(std::mem::take(&mut group));
                bytes = 0;
            }
            (kind, bytes) = (validated, bytes + size);
            group.push(nth);
        }
        if !group.is_empty() {
            groups.waiting.push_back(group);
        }
        groups
    }

    /// Works on a device until no group waits or the device is lost.
    fn work(
        &self,
        place: usize,
        config: &Config,
        jobs: &[Job<'_>],
        context: &FitContext,
        groups: &Mutex<Groups>,
        answers: &[Mutex<Option<Answer>>],
    ) {
        let slot = &self.devices[place];
        let mut failures_in_a_row = 0;
        while !slot.lost.load(Ordering::Relaxed) && failures_in_a_row < 2 {
            let group = {
                // Leaving and seeing that nothing waits are one: who gives a group back counts on who is still there.
                let mut groups = groups.lock().expect(NO_PANIC);
                let Some(group) = groups.waiting.pop_front() else {
                    groups.workers[place] -= 1;
                    return;
                };
                group
            };
            let chosen: Vec<Job<'_>> = group.iter().map(|nth| jobs[*nth].clone()).collect();
            let precision = self.precision.on(slot.device.info());
            let layout = Layout::of(config, precision, slot.device.info(), &chosen);
            match train(&*slot.device, precision, config, &chosen, &layout, &context.cancel) {
                Ok(outcomes) => {
                    failures_in_a_row = 0;
                    self.on_device.fetch_add(group.len(), Ordering::Relaxed);
                    for (nth, outcome) in group.iter().zip(outcomes) {
                        *answers[*nth].lock().expect(NO_PANIC) = Some(outcome.map_err(Into::into));
                    }
                }
                Err(Stop::Cancelled) => {
                    for nth in group {
                        let cancelled = dfp_models::Error::Cancelled;
                        *answers[nth].lock().expect(NO_PANIC) = Some(Err(cancelled.into()));
                    }
                }
                Err(Stop::Device(error @ DeviceError::OutOfMemory { .. })) => {
                    let mut groups = groups.lock().expect(NO_PANIC);
                    self.retried.fetch_add(1, Ordering::Relaxed);
                    if group.len() > 1 {
                        let (first, second) = group.split_at(group.len() / 2);
                        groups.waiting.push_front(second.to_vec());
                        groups.waiting.push_front(first.to_vec());
                    } else if groups.workers[place] > 1 {
                        // The group beside it takes the room: whoever works on that goes on alone.
                        groups.waiting.push_front(group);
                        groups.workers[place] -= 1;
                        return;
                    } else {
                        self.failed(slot, &error);
                        groups.leftover.extend(group);
                    }
                }
                Err(Stop::Device(error)) => {
                    let mut groups = groups.lock().expect(NO_PANIC);
                    self.failed(slot, &error);
                    failures_in_a_row += 1;
                    if groups.tried.insert(group[0]) {
                        self.retried.fetch_add(1, Ordering::Relaxed);
                        groups.waiting.push_front(group);
                    } else {
                        groups.leftover.extend(group);
                    }
                }
            }
        }
        groups.lock().expect(NO_PANIC).workers[place] -= 1;
    }
}

const NO_PANIC: &str = "nothing panics while holding it";

/// Groups of jobs, by their numbers.
#[derive(Debug, Default)]
struct Groups {
    waiting: VecDeque<Vec<usize>>,
    /// First jobs of groups that failed once.
    tried: std::collections::HashSet<usize>,
    /// Jobs for the CPU.
    leftover: Vec<usize>,
    /// How many work on each device.
    workers: Vec<usize>,
}

impl Backend for CudaBackend {
    fn wants_many(&self) -> bool {
        true
    }

    fn take_failures(&self) -> Vec<String> {
        std::mem::take(&mut *self.failures.lock().expect(NO_PANIC))
    }

    fn train(&self, config: &Config, jobs: Vec<Job<'_>>, context: &FitContext) -> Vec<Answer> {
        let groups = Mutex::new(self.groups(config, &jobs));
        let answers: Vec<Mutex<Option<Answer>>> = jobs.iter().map(|_| Mutex::new(None)).collect();
        std::thread::scope(|scope| {
            for place in 0..self.devices.len() {
                for _ in 0..GROUPS_AT_ONCE {
                    let (groups, jobs, answers) = (&groups, &jobs, &answers);
                    scope.spawn(move || self.work(place, config, jobs, context, groups, answers));
                }
            }
        });
        let groups = groups.into_inner().expect(NO_PANIC);
        let left: Vec<usize> =
            groups.leftover.into_iter().chain(groups.waiting.into_iter().flatten()).collect();
        let mut answers: Vec<_> =
            answers.into_iter().map(|answer| answer.into_inner().expect(NO_PANIC)).collect();
        self.on_cpu.fetch_add(left.len(), Ordering::Relaxed);
        let chosen = left.iter().map(|nth| jobs[*nth].clone()).collect();
        for (nth, answer) in left.iter().zip(Cpu.train(config, chosen, context)) {
            answers[*nth] = Some(answer);
        }
        answers.into_iter().map(|answer| answer.expect("done on a device or on the CPU")).collect()
    }

    fn evaluate(&self, network: &Network, loss_scalers: &[Scaler], rows: &Prepared) -> Evaluated {
        let work = rows.rows.saturating_mul(network.shape().multiply_adds());
        let cells = rows.rows.saturating_mul(network.shape().features());
        let usable = self.devices.iter().find(|slot| !slot.lost.load(Ordering::Relaxed));
        let Some(slot) = usable.filter(|_| work >= WORTH_A_TRIP && cells < MOST_CELLS) else {
            return Cpu.evaluate(network, loss_scalers, rows);
        };
        let evaluate = || {
            let mut evaluation = Evaluation::new(&*slot.device, self.precision, network, loss_scalers, rows)?;
            evaluation.run(1)?;
            evaluation.results(loss_scalers)
        };
        evaluate().unwrap_or_else(|error| {
            self.failed(slot, &error);
            Cpu.evaluate(network, loss_scalers, rows)
        })
    }
}
