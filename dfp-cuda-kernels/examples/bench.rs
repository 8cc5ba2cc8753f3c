//! How many users a second a CUDA device trains, and how many rows it scores: one JSON line per measurement, on stdout.
//!
//!     bench [--device N] [--users 1,100,10000] [--rows 300,2000,10000] [--network default,wide] [--precision fp32,bf16x3,bf16,wgmma]
//!
//! `default` is the reference's network of one user: three numbers and six texts, layers of 512, 500 and 512; `wide` has 800 numbers
//! in and out instead. A user's time is that of everything: bringing the rows over, 30 epochs, the losses' statistics, bringing the
//! weights back. FLOP are those of the products: 6 a weight and row and epoch in training, 2 a weight and row in scoring.

use std::error::Error;
use std::time::Instant;

use dfp_core::FitContext;
use dfp_cuda_kernels::{CudaBackend, Evaluation, Precision, cuda};
use dfp_models::autoencoder::Config;
use dfp_models::autoencoder::backend::{Backend, Job};
use dfp_models::autoencoder::features::{Encoding, Feature, Prepared};
use dfp_models::autoencoder::network::{Network, Shape};
use dfp_models::autoencoder::rng::{below, philox, unit};
use dfp_models::autoencoder::scaler::Scaler;

/// Categories of the reference's texts, as in its measured cost.
const TEXTS: [usize; 6] = [19, 3, 5, 3, 3, 4];
/// Different rows and networks; users take them in turn, so that the host's memory is not what is measured.
const DIFFERENT: usize = 16;
/// Rows of a scoring run, and how often they are scored.
const SCORED: usize = 262_144;
const TIMES: u32 = 20;

struct Options {
    device: usize,
    users: Vec<usize>,
    rows: Vec<usize>,
    networks: Vec<String>,
    precisions: Vec<Precision>,
}

impl Options {
    fn parse() -> Result<Self, Box<dyn Error>> {
        let mut options = Self {
            device: 0,
            users: vec![1, 100, 10_000],
            rows: vec![300, 2000, 10_000],
            networks: vec!["default".into(), "wide".into()],
            precisions: Precision::ALL.to_vec(),
        };
        let mut arguments = std::env::args().skip(1);
        while let Some(name) = arguments.next() {
            let value = arguments.next().ok_or(format!("{name} needs a value"))?;
            let numbers = || value.split(',').map(str::parse).collect::<Result<Vec<usize>, _>>();
            match name.as_str() {
                "--device" => options.device = value.parse()?,
                "--users" => options.users = numbers()?,
                "--rows" => options.rows = numbers()?,
                "--network" => options.networks = value.split(',').map(str::to_owned).collect(),
                "--precision" => {
                    options.precisions = value.split(',').map(precision).collect::<Result<_, _>>()?;
                }
                other => return Err(format!("unknown option {other}").into()),
            }
        }
        Ok(options)
    }
}

fn precision(name: &str) -> Result<Precision, String> {
    match name {
        "fp32" => Ok(Precision::Fp32),
        "bf16x3" => Ok(Precision::Bf16x3),
        "bf16" => Ok(Precision::Bf16),
        "wgmma" => Ok(Precision::Wgmma),
        other => Err(format!("{other} is no precision: fp32, bf16x3, bf16, wgmma")),
    }
}

fn features(network: &str) -> Result<Vec<Feature>, String> {
    let number = |i: usize| Feature {
        name: format!("n{i}"),
        encoding: Encoding::Numeric { fill: 0.0, scaler: Scaler::None {} },
    };
    let text = |(i, categories): (usize, usize)| Feature {
        name: format!("c{i}"),
        encoding: Encoding::Categorical { categories: (0..categories).map(|c| c.to_string()).collect() },
    };
    match network {
        "default" => Ok((0..3).map(number).chain(TEXTS.into_iter().enumerate().map(text)).collect()),
        "wide" => Ok((0..800).map(number).collect()),
        other => Err(format!("{other} is no network: default, wide")),
    }
}

fn rows(shape: &Shape, seed: u64, rows: usize) -> Prepared {
    let word = |column: usize, row: usize| philox(seed, [row as u32, column as u32, 0, 0])[0];
    let values = |c: usize| (0..rows).map(|row| (unit(word(c, row)) * 2.0 - 1.0) as f32).collect();
    let codes =
        |(c, n): (usize, &usize)| (0..rows).map(|row| below(word(1000 + c, row), *n) as u32).collect();
    Prepared {
        rows,
        values: (0..shape.values()).map(values).collect(),
        codes: shape.codes.iter().enumerate().map(codes).collect(),
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse()?;
    let device = cuda::open(options.device)?;
    eprintln!("{:?}", device.info());
    let config = Config::morpheus();
    for name in &options.networks {
        let shape = Shape::new(&features(name)?, &config);
        let weights: usize = shape.multiply_adds();
        for precision in &options.precisions {
            let network = Network::random(shape.clone(), 1);
            let scored = rows(&shape, 99, SCORED);
            let scalers = vec![Scaler::Standard { mean: 0.5, std: 1.0 }; shape.features()];
            let mut evaluation = Evaluation::new(&*device, *precision, &network, &scalers, &scored)?;
            evaluation.run(2)?;
            let seconds = evaluation.run(TIMES)?;
            let rate = SCORED as f64 * f64::from(TIMES) / seconds;
            println!(
                r#"{{"what": "score", "network": "{name}", "precision": "{precision:?}", "rows_per_s": {rate:.0}, "tflops": {:.1}}}"#,
                rate * 2.0 * weights as f64 / 1e12
            );
            drop(evaluation);
            for count in &options.rows {
                let data: Vec<_> = (0..DIFFERENT).map(|seed| rows(&shape, seed as u64, *count)).collect();
                for users in &options.users {
                    let backend = CudaBackend::new(vec![device.clone()], *precision);
                    let job = |user: usize| Job {
                        network: network.clone(),
                        rows: &data[user % DIFFERENT],
                        validation: None,
                    };
                    let jobs: Vec<_> = (0..*users).map(job).collect();
                    let start = Instant::now();
                    let answers = backend.train(&config, jobs, &FitContext::default());
                    let seconds = start.elapsed().as_secs_f64();
                    let counts = backend.counts();
                    if answers.iter().any(Result::is_err) || counts.on_cpu > 0 {
                        return Err(format!("{counts:?}: {:?}", backend.take_failures()).into());
                    }
                    let rate = *users as f64 / seconds;
                    let work = 6.0 * weights as f64 * *count as f64 * config.epochs as f64;
                    println!(
                        r#"{{"what": "train", "network": "{name}", "precision": "{precision:?}", "rows": {count}, "users": {users}, "seconds": {seconds:.3}, "users_per_s": {rate:.2}, "tflops": {:.1}}}"#,
                        rate * work / 1e12
                    );
                }
            }
        }
    }
    Ok(())
}
