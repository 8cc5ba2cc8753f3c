//! Training autoencoders: one user, many users, a whole company. Beside each time, the rate of the fit's matrix products
//! alone, and what share of the fit is spent outside them.

use std::time::Duration;

use arrow_array::RecordBatch;
use criterion::{Criterion, criterion_group, criterion_main};
use dfp_benches::{FEATURES, ONE_USER, Products, report, sign_ins};
use dfp_core::{FitContext, Trainer};
use dfp_models::autoencoder::features::Features;
use dfp_models::autoencoder::network::{SLICE, Shape, TILE};
use dfp_models::autoencoder::{AutoencoderTrainer, Config};

fn trainer(config: &Config) -> AutoencoderTrainer {
    AutoencoderTrainer::new(config.clone(), FEATURES).expect("settings that work")
}

fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// The products of a fit over `data`, and how many rows a batch has.
fn products(config: &Config, data: &RecordBatch) -> (Products, usize) {
    let features = Features::fit(data, &FEATURES.map(str::to_owned), config).expect("they can be learned");
    let shape = Shape::new(features.list(), config);
    let widths = (0..=shape.layers.len() + 1).map(|l| shape.width(l)).collect();
    let batch = config.batch_size.max(data.num_rows().div_ceil(config.max_steps.max(1)));
    let batch = if config.max_steps == 0 { config.batch_size } else { batch };
    (Products::new(widths, shape.values(), SLICE, TILE), batch)
}

/// Prints how near fits of all `users` on `threads` threads come to what the machine can do.
fn report_fits(name: &str, config: &Config, users: &[RecordBatch], threads: usize, work: impl Fn()) {
    let (mut products, batch) = products(config, &users[0]);
    let (rows, epochs) = (users[0].num_rows(), config.epochs * users.len());
    let operations = (products.training_operations() * rows * epochs) as f64;
    report(name, operations, threads, work, || (0..epochs).for_each(|_| products.train(rows, batch)));
}

fn one_user(criterion: &mut Criterion) {
    let data = sign_ins(300, 300, ONE_USER, 1);
    for (name, config) in [("default", Config::default()), ("morpheus", Config::morpheus())] {
        let trainer = trainer(&config);
        let work = || drop(trainer.fit(&data, &FitContext::default()).expect("it trains"));
        let users = std::slice::from_ref(&data);
        report_fits(&format!("one user of 300 rows, {name}"), &config, users, 1, work);
        criterion.bench_function(&format!("fit/user300/{name}"), |b| b.iter(work));
    }
}

fn many_users(criterion: &mut Criterion) {
    let users: Vec<_> = (0..100).map(|user| sign_ins(500, 500, ONE_USER, user)).collect();
    let config = Config::default();
    let trainer = trainer(&config);
    let context = FitContext { threads: threads(), ..FitContext::default() };
    let work = || assert!(trainer.fit_many(&users, &context).iter().all(Result::is_ok));
    report_fits("100 users of 500 rows, default", &config, &users, threads(), work);
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
        let users = std::slice::from_ref(&data);
        report_fits("one epoch of 100 000 rows, default", &config, users, threads, work);
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
