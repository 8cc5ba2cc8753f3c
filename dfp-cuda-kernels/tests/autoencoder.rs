//! Every kernel against the CPU's model, over networks and rows of awkward sizes: on the emulated device, or on a CUDA device, see
//! [`support::device`].
mod support;

use std::sync::Arc;

use dfp_core::FitContext;
use dfp_cuda_kernels::device::{self, Device, DeviceInfo, Memory, Queue};
use dfp_cuda_kernels::{Counts, CudaBackend, Evaluation, Precision};
use dfp_models::autoencoder::activation::Activation;
use dfp_models::autoencoder::backend::{Backend, Cpu, Job};
use dfp_models::autoencoder::features::{Encoding, Feature, Prepared};
use dfp_models::autoencoder::fit::{self, Trained};
use dfp_models::autoencoder::network::{Network, Shape};
use dfp_models::autoencoder::rng::{below, philox, unit};
use dfp_models::autoencoder::scaler::{Scaler, ScalerKind};
use dfp_models::autoencoder::{Config, Optimizer};
use support::{Emulated, KERNELS, Order, Program, Settings, Variant, device, emulated};

/// Features and rows of an entity.
#[derive(Debug, Clone)]
struct Entity {
    numeric: usize,
    binary: usize,
    codes: Vec<usize>,
    rows: usize,
}

fn entity(numeric: usize, binary: usize, codes: &[usize], rows: usize) -> Entity {
    Entity { numeric, binary, codes: codes.to_vec(), rows }
}

impl Entity {
    fn features(&self) -> Vec<Feature> {
        let of = |kind: &str, n: usize, encoding: &dyn Fn() -> Encoding| -> Vec<Feature> {
            (0..n).map(|i| Feature { name: format!("{kind}{i}"), encoding: encoding() }).collect()
        };
        let mut features =
            of("n", self.numeric, &|| Encoding::Numeric { fill: 0.0, scaler: Scaler::None {} });
        features.extend(of("b", self.binary, &|| Encoding::Binary {}));
        for (i, codes) in self.codes.iter().enumerate() {
            let categories = (1..*codes).map(|code| code.to_string()).collect();
            features.push(Feature { name: format!("c{i}"), encoding: Encoding::Categorical { categories } });
        }
        features
    }

    fn network(&self, config: &Config) -> Network {
        Network::random(Shape::new(&self.features(), config), config.seed)
    }

    /// Rows drawn by `seed`: numbers around 0, a truth in three, small codes more often than large ones.
    fn rows(&self, seed: u64, rows: usize) -> Prepared {
        let word = |column: usize, row: usize| philox(seed, [row as u32, column as u32, 7, 7])[0];
        let number = |c: usize, row: usize| (unit(word(c, row)) * 4.0 - 2.0) as f32;
        let truth = |c: usize, row: usize| f32::from(unit(word(c, row)) < 0.3);
        let column = |of: &dyn Fn(usize) -> f32| (0..rows).map(of).collect::<Vec<f32>>();
        let mut values: Vec<_> = (0..self.numeric).map(|c| column(&|row| number(c, row))).collect();
        values.extend((0..self.binary).map(|c| column(&|row| truth(100 + c, row))));
        let code = |c: usize, n: usize, row: usize| {
            below(word(200 + c, row), n).min(below(philox(seed, [row as u32, c as u32, 8, 8])[1], n)) as u32
        };
        let codes = self.codes.iter().enumerate();
        let codes = codes.map(|(c, n)| (0..rows).map(|row| code(c, *n, row)).collect()).collect();
        Prepared { rows, values, codes }
    }
}

/// A network small enough to be emulated quickly, with more of everything than fits one tile where it matters.
fn small() -> Config {
    Config {
        encoder_layers: vec![24, 9],
        decoder_layers: vec![17],
        epochs: 2,
        batch_size: 37,
        max_steps: 0,
        learning_rate: 0.01,
        seed: 5,
        ..Config::default()
    }
}

/// Trains entities on the CPU and on an emulated device.
struct Case {
    config: Config,
    entities: Vec<Entity>,
    /// Rows to watch the loss on.
    watched: usize,
}

type Answers = Vec<dfp_core::Result<(Trained, Vec<Scaler>)>>;

impl Case {
    fn new(config: Config, entities: &[Entity]) -> Self {
        Self { config, entities: entities.to_vec(), watched: 0 }
    }

    fn train(&self, backend: &dyn Backend) -> Answers {
        let rows = |(nth, entity): (usize, &Entity)| {
            let watched = (self.watched > 0).then(|| entity.rows(1000 + nth as u64, self.watched));
            (entity.network(&self.config), entity.rows(nth as u64, entity.rows), watched)
        };
        let data: Vec<_> = self.entities.iter().enumerate().map(rows).collect();
        let jobs = data.iter().map(|(network, rows, watched)| Job {
            network: network.clone(),
            rows,
            validation: watched.as_ref(),
        });
        backend.train(&self.config, jobs.collect(), &FitContext { threads: 2, ..FitContext::default() })
    }

    /// Trains on both; the largest distance between weights that `precision` may have is `tolerance`, and so is that of losses.
    fn check(&self, device: &Arc<dyn Device>, precision: Precision, tolerance: f64) {
        let backend = CudaBackend::new(vec![device.clone()], precision);
        let (found, wanted) = (self.train(&backend), self.train(&Cpu));
        assert_eq!(backend.take_failures(), Vec::<String>::new());
        assert_eq!(backend.counts(), Counts { on_device: self.entities.len(), on_cpu: 0, retried: 0 });
        for (entity, (found, wanted)) in self.entities.iter().zip(found.into_iter().zip(wanted)) {
            let ((found, found_scalers), (wanted, wanted_scalers)) = (found.unwrap(), wanted.unwrap());
            let what = |part: &str| format!("{part} of {entity:?}, {precision:?}, {:?}", self.config);
            for ((name, size, found), (_, _, wanted)) in
                found.network.tensors().into_iter().zip(wanted.network.tensors())
            {
                let far = distance(floats(&found), floats(&wanted));
                assert!(far <= tolerance, "{} {size:?}: {far}", what(&name));
            }
            for (nth, pick) in
                [History::train, History::validation_noisy, History::validation].iter().enumerate()
            {
                let (found, wanted) = (pick(&found.history), pick(&wanted.history));
                assert_eq!(found.len(), wanted.len(), "{}", what("history"));
                let far = distance(found.into_iter(), wanted.into_iter());
                assert!(far <= tolerance, "{}: {far}", what(&format!("history {nth}")));
            }
            assert_eq!(found.epochs, wanted.epochs, "{}", what("epochs"));
            assert!((found.learning_rate - wanted.learning_rate).abs() < 1e-12, "{}", what("rate"));
            let far = distance(numbers(&found_scalers), numbers(&wanted_scalers));
            assert!(far <= 3.0 * tolerance, "{}: {far}", what("scalers"));
        }
    }
}

/// All weights, bit by bit.
fn bits(answers: Answers) -> Vec<Vec<u32>> {
    let of = |answer: dfp_core::Result<(Trained, _)>| {
        let tensors = answer.unwrap().0.network.tensors();
        tensors.into_iter().flat_map(|tensor| tensor.2).map(f32::to_bits).collect()
    };
    answers.into_iter().map(of).collect()
}

/// The losses of one kind, one after another.
struct History;

impl History {
    fn train(history: &fit::History) -> Vec<f64> {
        history.train().flatten().copied().collect()
    }

    fn validation_noisy(history: &fit::History) -> Vec<f64> {
        history.validation_noisy().flatten().copied().collect()
    }

    fn validation(history: &fit::History) -> Vec<f64> {
        history.validation().flatten().copied().collect()
    }
}

fn floats(values: &[f32]) -> impl Iterator<Item = f64> {
    values.iter().map(|x| f64::from(*x))
}

fn numbers(scalers: &[Scaler]) -> impl Iterator<Item = f64> {
    scalers.iter().flat_map(|scaler| match scaler {
        Scaler::Standard { mean, std } => vec![*mean, *std],
        Scaler::Modified { median, mad, mean_ad } => vec![*median, *mad, *mean_ad],
        Scaler::GaussRank { quantiles } => quantiles.clone(),
        Scaler::None {} => vec![],
    })
}

/// Largest distance of two lists' numbers, relative where they are above 1.
fn distance(a: impl Iterator<Item = f64>, b: impl Iterator<Item = f64>) -> f64 {
    // Infinities that are equal have no distance.
    let far =
        |(a, b): (f64, f64)| if a.total_cmp(&b).is_eq() { 0.0 } else { (a - b).abs() / b.abs().max(1.0) };
    let far = a.zip(b).map(far);
    far.fold(0.0, |most, far| if far.is_nan() || most.is_nan() { f64::NAN } else { most.max(far) })
}

/// Entities of all kinds of shapes: one row, one feature, an empty category, more codes and rows than a tile holds.
fn shapes() -> Vec<Entity> {
    vec![
        entity(3, 2, &[5, 40], 75),
        entity(1, 0, &[], 1),
        entity(0, 1, &[], 37),
        entity(0, 0, &[1], 3),
        entity(0, 0, &[2, 150, 1], 74),
        entity(5, 0, &[], 200),
        entity(2, 3, &[9], 38),
    ]
}

#[test]
fn every_shape_trains_as_on_the_cpu() {
    let Some(device) = device() else { return };
    Case::new(small(), &shapes()).check(&device, Precision::Fp32, 2e-4);
}

#[test]
fn tensor_cores_train_as_well_as_their_precision_lets_them() {
    let Some(device) = device() else { return };
    let config = Config { optimizer: Optimizer::SGD, epochs: 1, ..small() };
    Case::new(config.clone(), &shapes()).check(&device, Precision::Bf16x3, 2e-4);
    Case::new(config.clone(), &shapes()).check(&device, Precision::Bf16, 2e-2);
    Case::new(config, &shapes()).check(&device, Precision::Wgmma, 2e-2);
}

#[test]
fn every_activation_and_optimiser() {
    let Some(device) = device() else { return };
    let entities = [entity(2, 1, &[4, 33], 50)];
    for activation in [
        Activation::LeakyRelu,
        Activation::Sigmoid,
        Activation::Tanh,
        Activation::Selu,
        Activation::Hardtanh,
        Activation::Relu6,
        Activation::Elu,
        Activation::Celu,
        Activation::Rrelu,
        Activation::Hardshrink,
        Activation::Tanhshrink,
        Activation::Softsign,
    ] {
        let config = Config { activation, epochs: 1, optimizer: Optimizer::SGD, ..small() };
        Case::new(config, &entities).check(&device, Precision::Fp32, 1e-5);
    }
    let sgd = |momentum, nesterov, dampening, weight_decay| Optimizer::Sgd {
        momentum,
        nesterov,
        dampening,
        weight_decay,
    };
    let adam = |amsgrad, weight_decay| Optimizer::Adam { betas: (0.9, 0.99), amsgrad, weight_decay };
    for optimizer in [
        sgd(0.9, false, 0.0, 0.0),
        sgd(0.5, true, 0.0, 0.01),
        sgd(0.5, false, 0.3, 0.0),
        sgd(0.0, false, 0.0, 0.1),
        adam(false, 0.01),
        adam(true, 0.0),
    ] {
        let config =
            Config { optimizer, activation: Activation::Tanh, learning_rate: 1e-3, epochs: 3, ..small() };
        Case::new(config, &entities).check(&device, Precision::Fp32, 1e-4);
    }
}

#[test]
fn order_noise_and_dropout_are_the_cpus() {
    let Some(device) = device() else { return };
    let entities = [entity(3, 0, &[6], 90), entity(1, 1, &[3], 20)];
    let sgd = Config { optimizer: Optimizer::SGD, learning_rate: 0.05, ..small() };
    for config in [
        Config { shuffle_rows: false, batch_size: 16, ..sgd.clone() },
        Config { swap_probability: 0.0, ..sgd.clone() },
        Config { swap_probability: 0.9, ..sgd.clone() },
        Config { dropout: 0.3, ..sgd.clone() },
        Config { dropout: 0.5, activation: Activation::Tanh, shuffle_rows: false, ..sgd.clone() },
        Config { encoder_layers: vec![], decoder_layers: vec![], ..sgd.clone() },
        Config { max_steps: 2, ..sgd },
    ] {
        Case::new(config, &entities).check(&device, Precision::Fp32, 2e-5);
    }
}

#[test]
fn validation_and_early_stopping() {
    let Some(device) = device() else { return };
    let entities = [entity(3, 1, &[6, 2], 40), entity(2, 0, &[], 90)];
    let base = Config { optimizer: Optimizer::SGD, validation_size: 0.2, eval_batch_size: 32, ..small() };
    for config in [
        Config { patience: 0, ..base.clone() },
        // Steps so large that the loss rises sooner or later.
        Config { patience: 1, learning_rate: 0.8, epochs: 8, ..base.clone() },
        Config { patience: -1, literal_patience: true, learning_rate: 0.8, epochs: 8, ..base.clone() },
        Config { use_val_for_loss_stats: true, ..base },
    ] {
        let case = Case { watched: 70, ..Case::new(config, &entities) };
        case.check(&device, Precision::Fp32, 5e-4);
    }
}

#[test]
fn every_scaler_of_losses() {
    let Some(device) = device() else { return };
    for loss_scaler in [ScalerKind::Modified, ScalerKind::GaussRank, ScalerKind::None] {
        let config = Config { loss_scaler, optimizer: Optimizer::SGD, epochs: 1, ..small() };
        Case::new(config, &[entity(2, 1, &[4], 50), entity(1, 0, &[3], 20)]).check(
            &device,
            Precision::Fp32,
            1e-5,
        );
    }
}

#[test]
fn what_is_trained_together_and_in_which_order_changes_no_bit() {
    let Some(device) = device() else { return };
    let (all, config) = (shapes(), Config { epochs: 1, ..small() });
    let backend = CudaBackend::new(vec![device], Precision::Fp32);
    let together = bits(Case::new(config.clone(), &all).train(&backend));
    for settings in [
        Settings { order: Order::Down, late: true, ..Settings::default() },
        Settings { order: Order::Shuffled(3), ..Settings::default() },
        // Room for an entity or two at a time.
        Settings { memory: 400_000, ..Settings::default() },
    ] {
        let device = emulated(&settings).unwrap();
        let backend = CudaBackend::new(vec![device.clone(), emulated(&settings).unwrap()], Precision::Fp32);
        let found = bits(Case::new(config.clone(), &all).train(&backend));
        assert!(found == together, "{settings:?}: {:?}", backend.counts());
        assert_eq!(backend.counts().on_device, all.len(), "{settings:?}: {:?}", backend.take_failures());
    }
}

/// As what a fit prepares never does.
#[test]
fn rows_that_hold_no_numbers_diverge() {
    let Some(device) = device() else { return };
    let (entity, config) = (entity(2, 1, &[3], 40), small());
    let network = entity.network(&config);
    for (bad, place) in [(f32::NAN, 0), (f32::INFINITY, 0), (f32::NAN, 2), (f32::NEG_INFINITY, 1)] {
        let mut rows = entity.rows(1, 40);
        rows.values[place][17] = bad;
        let train = |backend: &dyn Backend| {
            let job = Job { network: network.clone(), rows: &rows, validation: None };
            let mut answers = backend.train(&config, vec![job], &FitContext::default());
            answers.remove(0).unwrap_err().to_string()
        };
        // The CPU may see it an epoch later.
        for backend in [&CudaBackend::new(vec![device.clone()], Precision::Fp32) as &dyn Backend, &Cpu] {
            assert!(
                train(backend).contains("training diverged in epoch"),
                "{bad} in {place}: {}",
                train(backend)
            );
        }
    }
}

#[test]
fn weights_that_diverge_are_an_error_of_their_entity() {
    let Some(device) = device() else { return };
    let config = Config { optimizer: Optimizer::SGD, learning_rate: 1e9, epochs: 6, ..small() };
    let backend = CudaBackend::new(vec![device], Precision::Fp32);
    let case = Case::new(config, &[entity(3, 0, &[], 40)]);
    let error = case.train(&backend).remove(0).unwrap_err().to_string();
    assert_eq!(error, case.train(&Cpu).remove(0).unwrap_err().to_string());
}

#[test]
fn devices_that_fail_are_tried_again_and_then_left() {
    for lost_in in [0, 3, 7] {
        let Some(device) = emulated(&Settings { lost_in: Some(lost_in), ..Settings::default() }) else {
            return;
        };
        let backend = CudaBackend::new(vec![device], Precision::Fp32);
        let case = Case::new(Config { epochs: 1, ..small() }, &shapes());
        let (found, wanted) = (case.train(&backend), case.train(&Cpu));
        assert_eq!(backend.counts().on_cpu, shapes().len());
        let failures = backend.take_failures();
        assert!(!failures.is_empty() && failures.iter().all(|text| text.contains("lost")), "{failures:?}");
        for (found, wanted) in found.into_iter().zip(wanted) {
            assert_eq!(found.unwrap().0.network.tensors(), wanted.unwrap().0.network.tensors());
        }
    }
}

#[test]
fn without_room_the_cpu_does_it() {
    let Some(device) = emulated(&Settings { memory: 10_000, ..Settings::default() }) else { return };
    let backend = CudaBackend::new(vec![device], Precision::Fp32);
    let case = Case::new(Config { epochs: 1, ..small() }, &shapes()[..2]);
    assert!(case.train(&backend).iter().all(Result::is_ok));
    assert!(backend.counts().on_cpu > 0, "{:?}", backend.counts());
}

#[test]
fn rows_evaluate_as_on_the_cpu() {
    let Some(device) = device() else { return };
    for (precision, tolerance) in [
        (Precision::Fp32, 1e-5),
        (Precision::Bf16x3, 2e-4),
        (Precision::Bf16, 5e-2),
        (Precision::Wgmma, 5e-2),
    ] {
        for entity in shapes() {
            let network = entity.network(&small());
            let rows = entity.rows(3, entity.rows * 2 + 1);
            let scalers = vec![Scaler::Standard { mean: 0.3, std: 0.5 }; entity.features().len()];
            let mut evaluation = Evaluation::new(&*device, precision, &network, &scalers, &rows).unwrap();
            evaluation.run(1).unwrap();
            let (found, wanted) =
                (evaluation.results(&scalers).unwrap(), Cpu.evaluate(&network, &scalers, &rows));
            let far = |a: &ndarray::Array2<f32>, b: &ndarray::Array2<f32>| {
                let (a, b) = (a.iter().map(|x| f64::from(*x)), b.iter().map(|x| f64::from(*x)));
                distance(a, b)
            };
            assert!(far(&found.losses, &wanted.losses) <= tolerance, "{precision:?} {entity:?}");
            assert!(far(&found.z, &wanted.z) <= 3.0 * tolerance, "{precision:?} {entity:?}");
            if precision == Precision::Fp32 {
                assert!(far(&found.predicted, &wanted.predicted) <= tolerance, "{entity:?}");
            }
        }
    }
}

/// One layer and the heads, computed by hand: products of operands as `round` leaves them, summed in 64 bits.
fn two_layers(network: &Network, rows: &Prepared, round: impl Fn(f32) -> f64) -> Vec<f64> {
    let tensors = network.tensors();
    let layer = |nth: usize, input: &[f32]| -> Vec<f32> {
        let ([outputs, inputs], weight, bias) =
            (tensors[2 * nth].1, &tensors[2 * nth].2, &tensors[2 * nth + 1].2);
        let output = |o: usize| {
            let products = (0..inputs).map(|i| round(input[i]) * round(weight[o * inputs + i]));
            products.sum::<f64>() as f32 + bias[o]
        };
        (0..outputs).map(output).collect()
    };
    let of_row = |row: usize| {
        let input: Vec<f32> = rows.values.iter().map(|column| column[row]).collect();
        let hidden: Vec<f32> = layer(0, &input).into_iter().map(|x| x.max(0.0)).collect();
        layer(1, &hidden)
    };
    (0..rows.rows).flat_map(of_row).map(f64::from).collect()
}

#[test]
fn tensor_cores_round_operands_and_nothing_else() {
    let Some(device) = device() else { return };
    let entity = entity(70, 0, &[], 150);
    let config = Config { encoder_layers: vec![45], decoder_layers: vec![], ..small() };
    let (network, rows) = (entity.network(&config), entity.rows(11, 150));
    let one = |x: f32| half::bf16::from_f32(x).to_f64();
    let two = |x: f32| one(x) + one(x - half::bf16::from_f32(x).to_f32());
    for (precision, wanted) in [
        (Precision::Fp32, two_layers(&network, &rows, f64::from)),
        (Precision::Bf16x3, two_layers(&network, &rows, two)),
        (Precision::Bf16, two_layers(&network, &rows, one)),
        (Precision::Wgmma, two_layers(&network, &rows, one)),
    ] {
        let mut evaluation = Evaluation::new(&*device, precision, &network, &[], &rows).unwrap();
        evaluation.run(1).unwrap();
        let found = evaluation.results(&[]).unwrap().predicted;
        // A hidden number on the edge between two bf16 may fall on either side.
        let bf16 = matches!(precision, Precision::Bf16 | Precision::Wgmma);
        let tolerance = if bf16 { 2e-3 } else { 2e-5 };
        let far: Vec<f64> = found.iter().zip(&wanted).map(|(a, b)| (f64::from(*a) - b).abs()).collect();
        let mean = far.iter().sum::<f64>() / far.len() as f64;
        assert!(far.iter().all(|far| *far < tolerance) && mean < 2e-6, "{precision:?}: mean {mean}");
    }
}

#[test]
fn an_entity_without_rows_is_its_own_error() {
    let Some(device) = device() else { return };
    let backend = CudaBackend::new(vec![device], Precision::Fp32);
    let case = Case::new(small(), &[entity(1, 0, &[], 10), entity(2, 0, &[], 0)]);
    let mut answers = case.train(&backend);
    assert!(answers.pop().unwrap().unwrap_err().to_string().contains("no rows"));
    assert!(answers.pop().unwrap().is_ok());
}

/// What each sanitizer would end the device for: accesses outside memory, and accesses in no order.
#[test]
fn sanitizers_have_nothing_to_say() {
    let entities = [entity(3, 2, &[5, 40], 45), entity(1, 0, &[], 1), entity(0, 0, &[2, 70, 1], 21)];
    let config = Config {
        encoder_layers: vec![12, 5],
        decoder_layers: vec![9],
        batch_size: 37,
        epochs: 1,
        validation_size: 0.2,
        eval_batch_size: 32,
        dropout: 0.2,
        ..small()
    };
    for variant in [Variant::Address, Variant::Thread] {
        let Some(program) = Program::new(KERNELS, variant) else { return };
        for precision in Precision::ALL {
            let device: Arc<dyn Device> = Arc::new(Emulated::new(&program, &Settings::default()));
            let backend = CudaBackend::new(vec![device.clone()], precision);
            let case = Case { watched: 35, ..Case::new(config.clone(), &entities) };
            assert!(case.train(&backend).iter().all(Result::is_ok));
            assert_eq!(backend.take_failures(), Vec::<String>::new());
            let (network, rows) = (entities[0].network(&config), entities[0].rows(3, 41));
            let scalers = vec![Scaler::Standard { mean: 0.3, std: 0.5 }; entities[0].features().len()];
            let mut evaluation = Evaluation::new(&*device, precision, &network, &scalers, &rows).unwrap();
            evaluation.run(1).unwrap();
            evaluation.results(&scalers).unwrap();
        }
    }
}

/// Entities and a configuration drawn by a seed.
fn drawn(seed: u64) -> Case {
    let draw = |what: u32, n: usize| below(philox(seed, [what, 1, 2, 3])[0], n);
    let widths =
        |what: u32| (0..draw(what, 4)).map(|i| 1 + draw(what + 1 + i as u32, 150)).collect::<Vec<_>>();
    let optimizers = [
        Optimizer::SGD,
        Optimizer::Sgd { momentum: 0.7, nesterov: false, dampening: 0.0, weight_decay: 0.01 },
        Optimizer::ADAM,
    ];
    let encoder = widths(10);
    let config = Config {
        encoder_layers: if encoder.is_empty() { vec![13] } else { encoder },
        decoder_layers: widths(20),
        optimizer: optimizers[draw(1, 3)],
        activation: [Activation::Relu, Activation::Tanh, Activation::Softsign][draw(2, 3)],
        batch_size: 1 + draw(3, 140),
        shuffle_rows: draw(4, 2) == 0,
        dropout: [0.0, 0.0, 0.2][draw(5, 3)],
        validation_size: 0.1,
        eval_batch_size: 1 + draw(6, 90),
        learning_rate: 1e-3,
        epochs: 1 + draw(7, 2),
        seed,
        ..Config::default()
    };
    let entity = |nth: u32| {
        let draw = |what: u32, n: usize| draw(1000 * (nth + 1) + what, n);
        let codes =
            (0..draw(1, 4)).map(|c| 1 + draw(2 + c as u32, [3, 40, 200][draw(9, 3)])).collect::<Vec<_>>();
        // Something to learn there must be.
        entity(draw(20, 6) + usize::from(codes.is_empty()), draw(21, 4), &codes, 1 + draw(22, 300))
    };
    let entities: Vec<_> = (0..=draw(8, 3) as u32).map(entity).collect();
    Case { watched: draw(9, 2) * 77, ..Case::new(config, &entities) }
}

/// `DFP_CUDA_CASES` says how many: a device takes thousands, the emulator some.
#[test]
fn any_shape_trains_as_on_the_cpu() {
    let Some(device) = device() else { return };
    let cases = std::env::var("DFP_CUDA_CASES").map_or(12, |cases| cases.parse().expect("a number"));
    for seed in 0..cases {
        drawn(seed).check(&device, Precision::Fp32, 1e-3);
    }
}

/// A device whose memory comes full of a byte.
#[derive(Debug)]
struct Filled(Arc<dyn Device>, u8);

impl Device for Filled {
    fn info(&self) -> &DeviceInfo {
        self.0.info()
    }

    fn free_memory(&self) -> device::Result<u64> {
        self.0.free_memory()
    }

    fn allocate(&self, bytes: usize) -> device::Result<Memory> {
        let memory = self.0.allocate(bytes)?;
        let mut queue = self.0.queue()?;
        queue.upload(&memory, 0, &vec![self.1; bytes])?;
        queue.finish()?;
        Ok(memory)
    }

    fn queue(&self) -> device::Result<Box<dyn Queue>> {
        self.0.queue()
    }
}

#[test]
fn what_memory_held_before_changes_no_bit() {
    let Some(device) = device() else { return };
    let case = Case { watched: 30, ..Case::new(Config { epochs: 1, dropout: 0.1, ..small() }, &shapes()) };
    for precision in Precision::ALL {
        let train = |byte| {
            let backend = CudaBackend::new(vec![Arc::new(Filled(device.clone(), byte))], precision);
            let answers = case.train(&backend);
            assert_eq!(backend.counts().on_device, case.entities.len(), "{:?}", backend.take_failures());
            bits(answers)
        };
        let first = train(0);
        // Numbers that are none, and large ones.
        assert!(train(0xff) == first && train(0x5a) == first, "{precision:?}");
    }
}
