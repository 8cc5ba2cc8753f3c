//! Training autoencoders: one user, many users, a whole company. Beside each time, the share of the machine's
//! multiply-add rate that the whole fit reaches.

use std::time::{Duration, Instant};

use arrow_array::RecordBatch;
use criterion::{Criterion, criterion_group, criterion_main};
use dfp_benches::{FEATURES, ONE_USER, peak_rate, sign_ins};
use dfp_core::{FitContext, Trainer};
use dfp_models::autoencoder::features::Features;
use dfp_models::autoencoder::network::Shape;
use dfp_models::autoencoder::{AutoencoderTrainer, Config};

fn trainer(config: &Config) -> AutoencoderTrainer {
    AutoencoderTrainer::new(config.clone(), FEATURES).expect("settings that work")
}

fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Floating-point operations of training: 6 per multiply-add, the first layer's way back aside.
fn operations(config: &Config, data: &RecordBatch) -> f64 {
    let features = Features::fit(data, &FEATURES.map(str::to_owned), config).expect("they can be learned");
    let shape = Shape::new(features.list(), config);
    let unneeded = 2 * shape.values() * shape.width(1);
    ((6 * shape.multiply_adds() - unneeded) * data.num_rows() * config.epochs) as f64
}

fn report(name: &str, operations: f64, threads: usize, work: impl Fn()) {
    let mut best = Duration::MAX;
    for _ in 0..3 {
        let start = Instant::now();
        work();
        best = best.min(start.elapsed());
    }
    let (rate, peak) = (operations / best.as_secs_f64(), peak_rate());
    println!(
        "{name}: {best:.2?}, {:.1} GFLOP/s on {threads} thread(s); one core's large product {:.1} GFLOP/s: {:.0} % a thread",
        rate / 1e9,
        peak / 1e9,
        100.0 * rate / peak / threads as f64
    );
}

fn one_user(criterion: &mut Criterion) {
    let data = sign_ins(300, 300, ONE_USER, 1);
    for (name, config) in [("default", Config::default()), ("morpheus", Config::morpheus())] {
        let trainer = trainer(&config);
        let work = || drop(trainer.fit(&data, &FitContext::default()).expect("it trains"));
        report(&format!("one user of 300 rows, {name}"), operations(&config, &data), 1, work);
        criterion.bench_function(&format!("fit/user300/{name}"), |b| b.iter(work));
    }
}

fn many_users(criterion: &mut Criterion) {
    let users: Vec<_> = (0..100).map(|user| sign_ins(500, 500, ONE_USER, user)).collect();
    let config = Config::default();
    let trainer = trainer(&config);
    let context = FitContext { threads: threads(), ..FitContext::default() };
    let work = || assert!(trainer.fit_many(&users, &context).iter().all(Result::is_ok));
    let all = users.iter().map(|data| operations(&config, data)).sum();
    report("100 users of 500 rows, default", all, threads(), work);
    criterion.bench_function("fit/users100x500/default", |b| b.iter(work));
}

fn company(criterion: &mut Criterion) {
    let data = sign_ins(100_000, 100_000, ONE_USER.map(|n| 10 * n), 7);
    let config = Config { epochs: 1, ..Config::default() };
    let trainer = trainer(&config);
    let mut counts = vec![1, threads()];
    counts.dedup();
    for threads in counts {
        let context = FitContext { threads, ..FitContext::default() };
        let work = || drop(trainer.fit(&data, &context).expect("it trains"));
        report("one epoch of 100 000 rows, default", operations(&config, &data), threads, work);
        criterion
            .bench_function(&format!("fit/company100k/default on {threads} thread(s)"), |b| b.iter(work));
    }
}

criterion_group! {
    name = fit;
    config = Criterion::default().sample_size(10).measurement_time(Duration::from_secs(2)).warm_up_time(Duration::from_millis(200));
    targets = one_user, many_users, company
}
criterion_main!(fit);
