//! Models of sequences on one core: events a second, counted and scored, of sessions shaped like those of an Exchange audit
//! log: 22 commands with about 6 parameters each, most sessions of one event, a few long.
//!
//! Sizes are 1.3 and 133 thousand events; with `DFP_BENCH_LARGE` set, 13 million as well, which is the latter a hundred times.

use std::sync::Arc;
use std::time::Duration;

use arrow_array::{ArrayRef, RecordBatch};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use dfp_core::{FitContext, Model};
use dfp_models::sequence::{Config, Counts, SequenceTrainer, SessionType, Sessions, SessionsBuilder};

const COLUMN: &str = "events";
const COMMANDS: u64 = 22;
const KINDS: [(&str, SessionType); 3] = [
    ("commands", SessionType::CmdsOnly),
    ("parameters", SessionType::CmdsParamsOnly),
    ("values", SessionType::CmdsParamsValues),
];

/// `SplitMix64`.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % sides
    }
}

/// Sessions with `events` events in all, and how many these are.
fn sessions(kind: SessionType, events: usize) -> RecordBatch {
    let mut dice = Dice(7);
    let mut builder = SessionsBuilder::new(kind);
    let mut left = events;
    while left > 0 {
        let length = if dice.roll(100) < 61 { 1 } else { 2 + dice.roll(6) * dice.roll(3) };
        let length = left.min(length as usize);
        let mut command = dice.roll(COMMANDS);
        for _ in 0..length {
            // The next command is mostly the same or one of two.
            command = match dice.roll(10) {
                0..5 => command,
                5..9 => (command * 7 + dice.roll(2)) % COMMANDS,
                _ => dice.roll(COMMANDS),
            };
            event(&mut builder, &mut dice, command);
        }
        builder.end_session();
        left -= length;
    }
    let column: ArrayRef = Arc::new(builder.finish());
    RecordBatch::try_from_iter([(COLUMN, column)]).expect("one column")
}

fn event(builder: &mut SessionsBuilder, dice: &mut Dice, command: u64) {
    let mut params = Vec::new();
    for nth in 0..7 {
        if dice.roll(7) < 6 {
            // Names of several commands; some with few values, some with very many, some with none.
            let name = format!("ParameterName{}", (command * 3 + nth) % 40);
            let value = match nth % 3 {
                0 => Some(format!("value-{}", dice.roll(4))),
                1 => Some(format!("{:032x}", dice.roll(u64::MAX))),
                _ => None,
            };
            params.push((name, value));
        }
    }
    let params = params.iter().map(|(name, value)| (name.as_str(), value.as_deref()));
    builder.event(&format!("Verb{command}-TheNounOfCommand"), params);
}

/// Events, and how often they are taken for that.
fn sizes() -> Vec<(&'static str, usize, usize)> {
    let mut sizes = vec![("1.3k", 1_334, 1), ("133k", 133_400, 1)];
    if std::env::var_os("DFP_BENCH_LARGE").is_some() {
        sizes.push(("13M", 133_400, 100));
    }
    sizes
}

fn train(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("sequences/train");
    for (name, kind) in KINDS {
        for (size, events, times) in sizes() {
            let batch = sessions(kind, events);
            group.throughput(Throughput::Elements((events * times) as u64));
            group.bench_function(BenchmarkId::new(name, size), |b| {
                let trainer = SequenceTrainer::new(Config::default(), COLUMN).expect("settings that work");
                b.iter(|| {
                    let mut counts = Counts::new(kind, Config::default().max_values);
                    for _ in 0..times {
                        let sessions = Sessions::of_batch(&batch, COLUMN).expect("they are sessions");
                        counts.add(&sessions).expect("they are of this kind");
                    }
                    trainer.model(&counts)
                });
            });
        }
    }
}

fn score(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("sequences/score");
    let plain = Config { windows: vec![3, 2], ..Config::default() };
    for (name, kind) in KINDS {
        for (size, events, times) in sizes() {
            let batch = sessions(kind, events);
            group.throughput(Throughput::Elements((events * times) as u64));
            for (config, reasons) in [("reasons", plain.reasons), ("no reasons", 0)] {
                let config = (config, Config { reasons, ..plain.clone() });
                let trainer = SequenceTrainer::new(config.1, COLUMN).expect("settings that work");
                let model = trainer.fit_sequence(&batch, None, &FitContext::default()).expect("it learns");
                group.bench_function(BenchmarkId::new(format!("{name}, {}", config.0), size), |b| {
                    b.iter(|| (0..times).for_each(|_| drop(model.score(&batch).expect("it scores"))));
                });
            }
        }
    }
}

criterion_group! {
    name = sequences;
    config = Criterion::default().sample_size(10).measurement_time(Duration::from_secs(2)).warm_up_time(Duration::from_millis(200));
    targets = train, score
}
criterion_main!(sequences);
