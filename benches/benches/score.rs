//! Scoring with an autoencoder on one core: rows a second, with and without repeated rows.

use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use dfp_benches::{FEATURES, ONE_USER, Products, report, sign_ins};
use dfp_core::{FitContext, Model};
use dfp_models::autoencoder::network::{SLICE, TILE};
use dfp_models::autoencoder::{AutoencoderTrainer, Config, score};

const ROWS: usize = 50_000;

fn scoring(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("score");
    group.throughput(Throughput::Elements(ROWS as u64));
    for (name, config) in [("default", Config::default()), ("morpheus", Config::morpheus())] {
        let config = Config { epochs: 2, ..config };
        let trainer = AutoencoderTrainer::new(config, FEATURES).expect("settings that work");
        let (model, _) = trainer
            .fit_with_history(&sign_ins(300, 300, ONE_USER, 1), &FitContext::default())
            .expect("it trains");
        for (kind, distinct) in [("all different", ROWS), ("a tenth different", ROWS / 10)] {
            let rows = sign_ins(ROWS, distinct, ONE_USER, 2);
            group.bench_function(format!("{name}/{kind}"), |b| {
                b.iter(|| model.score(&rows).expect("it scores"));
            });
        }
        let rows = model.encoder().prepare(&sign_ins(ROWS, ROWS, ONE_USER, 2)).expect("they can be prepared");
        let shape = model.network().shape();
        let widths = (0..=shape.layers.len() + 1).map(|l| shape.width(l)).collect();
        let mut products = Products::new(widths, shape.values(), SLICE, TILE);
        let operations = (products.forward_operations() * ROWS) as f64;
        let work = || drop(score::losses_of(model.network(), &rows, 1));
        let name = format!("losses of {ROWS} different rows, {name}");
        report(&name, operations, 1, work, || products.score(ROWS));
    }
}

criterion_group! {
    name = score_rows;
    config = Criterion::default().sample_size(10).measurement_time(Duration::from_secs(2)).warm_up_time(Duration::from_millis(200));
    targets = scoring
}
criterion_main!(score_rows);
