//! The autoencoder as a whole.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type};
use arrow_array::{Array, ArrayRef, BooleanArray, Float64Array, RecordBatch, StringArray};
use dfp_core::{CancelToken, ErrorKind, FitContext, Model, SCORE, Trainer};
use proptest::prelude::*;

use super::features::Features;
use super::fit::Training;
use super::network::{Network, SLICE, Shape, TILE};
use super::scaler::ScalerKind;
use super::{Autoencoder, AutoencoderTrainer, Config, Optimizer};

const NAMES: [&str; 4] = ["hour", "known", "app", "place"];

/// Rows of a user with habits: the app decides the place, the hour and whether the device is known.
fn rows(n: usize) -> RecordBatch {
    let apps = ["mail", "files", "chat", "wiki"];
    let places = ["office", "home", "office", "train"];
    let kind = |row: usize| (row * row + row / 3) % 4;
    let hours = (0..n).map(|row| 8.0 + 2.0 * kind(row) as f64 + (row % 7) as f64 / 7.0);
    table(
        hours.map(Some).collect(),
        (0..n).map(|row| Some(kind(row) != 3)).collect(),
        (0..n).map(|row| Some(apps[kind(row)])).collect(),
        (0..n).map(|row| Some(places[kind(row)])).collect(),
    )
}

fn table(
    hours: Vec<Option<f64>>,
    known: Vec<Option<bool>>,
    apps: Vec<Option<&str>>,
    places: Vec<Option<&str>>,
) -> RecordBatch {
    let columns: [ArrayRef; 4] = [
        Arc::new(Float64Array::from(hours)),
        Arc::new(BooleanArray::from(known)),
        Arc::new(StringArray::from(apps)),
        Arc::new(StringArray::from(places)),
    ];
    RecordBatch::try_from_iter_with_nullable(NAMES.into_iter().zip(columns).map(|(n, c)| (n, c, true)))
        .unwrap()
}

fn small() -> Config {
    Config { encoder_layers: vec![12, 8], decoder_layers: vec![12], epochs: 8, ..Config::default() }
}

fn fit(config: Config, data: &RecordBatch, threads: usize) -> Autoencoder {
    let context = FitContext { threads, ..FitContext::default() };
    AutoencoderTrainer::new(config, NAMES).unwrap().fit_with_history(data, &context).unwrap().0
}

fn scores(model: &Autoencoder, batch: &RecordBatch) -> Vec<f64> {
    model.score(batch).unwrap()[SCORE].as_primitive::<Float64Type>().values().to_vec()
}

#[test]
fn the_default_learns_habits_where_the_reference_preset_does_not() {
    let data = rows(300);
    let strange = table(vec![Some(11.5)], vec![Some(true)], vec![Some("wiki")], vec![Some("home")]);
    let margin = |config: Config| {
        let model = fit(config, &data, 1);
        let largest = scores(&model, &data).into_iter().fold(0.0, f64::max);
        scores(&model, &strange)[0] / largest
    };
    assert!(margin(Config::default()) > 3.0);
    assert!(margin(Config { encoder_layers: vec![32], decoder_layers: vec![], ..Config::morpheus() }) < 1.5);
}

#[test]
fn losses_fall() {
    let data = rows(200);
    let trainer = AutoencoderTrainer::new(Config { epochs: 30, ..small() }, NAMES).unwrap();
    let (model, history) = trainer.fit_with_history(&data, &FitContext::default()).unwrap();
    let mean = |epoch: &[f64]| epoch.iter().sum::<f64>() / epoch.len() as f64;
    let losses: Vec<f64> = history.train().map(mean).collect();
    assert_eq!((losses.len(), model.epochs(), model.rows()), (30, 30, 200));
    assert!(losses[29] < 0.5 * losses[0], "{losses:?}");
}

#[test]
fn bytes_are_the_same_for_any_number_of_threads_and_differ_by_seed() {
    // Several tiles a batch, a short last batch, and a layer of more than one block.
    let data = rows(3 * TILE + 70);
    for (batch_size, optimizer) in [(2 * TILE + 9, Optimizer::ADAM), (4000, Optimizer::SGD)] {
        let encoder_layers = vec![SLICE + 5, 8];
        let config =
            Config { encoder_layers, batch_size, optimizer, dropout: 0.1, epochs: 3, ..Config::default() };
        let bytes = |threads| fit(config.clone(), &data, threads).save().unwrap();
        let one = bytes(1);
        for threads in [1, 2, 3, 8] {
            assert!(bytes(threads) == one, "{threads} threads, batch size {batch_size}");
        }
        assert!(fit(Config { seed: 43, ..config }, &data, 1).save().unwrap() != one);
    }
}

#[test]
fn many_models_are_those_fitted_one_by_one() {
    let trainer = AutoencoderTrainer::new(small(), NAMES).unwrap();
    let groups = [rows(50), rows(0), rows(80)];
    let context = FitContext { threads: 2, ..FitContext::default() };
    let models = trainer.fit_many(&groups, &context);
    assert_eq!(models[1].as_ref().err().unwrap().kind(), ErrorKind::BadData);
    for i in [0, 2] {
        let alone = trainer.fit(&groups[i], &FitContext::default()).unwrap();
        assert!(models[i].as_ref().unwrap().save().unwrap() == alone.save().unwrap());
    }
}

#[test]
fn a_loaded_model_scores_the_same() {
    for loss_scaler in [ScalerKind::Standard, ScalerKind::Modified, ScalerKind::GaussRank, ScalerKind::None] {
        let data = rows(90);
        let model = fit(Config { loss_scaler, ..small() }, &data, 1);
        let bytes = model.save().unwrap();
        let loaded = Autoencoder::load(&bytes).unwrap();
        assert_eq!(model.score(&data).unwrap(), loaded.score(&data).unwrap());
        assert_eq!(loaded.save().unwrap(), bytes);
        assert_eq!(crate::load(&bytes).unwrap().schema(), model.schema());
        let scored = loaded.score(&data).unwrap();
        assert_eq!(scored.schema().metadata()["z_loss_scaler_type"], loss_scaler.z_name());
    }
}

#[test]
fn columns_of_results_are_as_agreed() {
    let data = rows(40);
    let scored = fit(small(), &data, 1).score(&data).unwrap();
    let names: Vec<_> = scored.schema().fields().iter().map(|f| f.name().clone()).collect();
    let mut expected = vec![SCORE.to_owned()];
    for name in NAMES {
        expected.extend(["pred", "loss", "z_loss"].map(|part| format!("{name}_{part}")));
    }
    expected.extend(["max_abs_z".to_owned(), "mean_abs_z".to_owned()]);
    assert_eq!(names, expected);
    assert!(scored["known_pred"].as_string::<i32>().iter().all(|t| matches!(t, Some("true" | "false"))));
    assert!(scored["app_pred"].as_string::<i32>().iter().all(|t| t != Some("_other")));
    let (mean, score) = (scored["mean_abs_z"].as_primitive::<Float32Type>(), &scored[SCORE]);
    for row in 0..40 {
        assert_eq!(mean.value(row), score.as_primitive::<Float64Type>().value(row) as f32);
    }
}

#[test]
fn unusable_values_never_make_an_unusable_score() {
    let odd = || {
        table(
            vec![Some(f64::NAN), Some(f64::INFINITY), Some(-1e308), Some(1e308), None, Some(9.0)],
            vec![None, Some(true), Some(true), None, None, Some(true)],
            vec![None, Some("never seen"), Some("mail"), Some("_other"), None, Some("mail")],
            vec![Some(""), None, Some("office"), Some("\0"), None, Some("office")],
        )
    };
    // Learned from, and scored with a model of clean rows.
    for (learned, scored) in [(odd(), odd()), (rows(60), odd())] {
        for loss_scaler in [ScalerKind::Standard, ScalerKind::Modified, ScalerKind::GaussRank] {
            let result = fit(Config { loss_scaler, ..small() }, &learned, 1).score(&scored).unwrap();
            for (field, column) in result.schema().fields().iter().zip(result.columns()) {
                assert_eq!(column.null_count(), 0, "{}", field.name());
                if let Some(numbers) = column.as_primitive_opt::<Float32Type>() {
                    assert!(numbers.values().iter().all(|x| x.is_finite()), "{}: {numbers:?}", field.name());
                }
            }
            assert!(result[SCORE].as_primitive::<Float64Type>().values().iter().all(|x| x.is_finite()));
        }
    }
}

#[test]
fn an_infinite_number_counts_as_missing() {
    let model = fit(small(), &rows(60), 1);
    let one = |hour| table(vec![hour], vec![Some(true)], vec![Some("mail")], vec![Some("office")]);
    let score = |hour| scores(&model, &one(hour))[0];
    assert_eq!(score(Some(f64::INFINITY)), score(None));
    assert!(score(Some(1e308)) > 1e6);
}

#[test]
fn columns_that_are_all_missing_can_be_learned() {
    let n = 20;
    let data = table(vec![None; n], vec![None; n], vec![None; n], vec![Some("office"); n]);
    assert!(scores(&fit(small(), &data, 1), &data).iter().all(|s| s.is_finite()));
}

#[test]
fn validation_stops_training_and_negative_patience_is_off_unless_literal() {
    let data = rows(200);
    let epochs = |patience, literal_patience| {
        let optimizer = Optimizer::Sgd { momentum: 0.9, nesterov: false, dampening: 0.0, weight_decay: 0.0 };
        // Steps this large make the loss jump about.
        let config = Config {
            validation_size: 0.2,
            learning_rate: 0.3,
            epochs: 40,
            optimizer,
            patience,
            literal_patience,
            ..small()
        };
        let trainer = AutoencoderTrainer::new(config, NAMES).unwrap();
        let (model, history) = trainer.fit_with_history(&data, &FitContext::default()).unwrap();
        let recorded =
            [history.train().count(), history.validation().count(), history.validation_noisy().count()];
        assert!(recorded.iter().all(|n| *n == recorded[0]));
        assert_eq!((model.rows(), recorded[0] + usize::from(model.epochs() < 40)), (160, model.epochs()));
        model.epochs()
    };
    assert_eq!((epochs(0, true), epochs(-1, false)), (40, 40));
    assert!(epochs(-1, true) < 40);
    assert!(epochs(1, false) == epochs(-1, true) && epochs(2, false) > epochs(1, false));
}

#[test]
fn statistics_can_come_from_the_held_out_rows() {
    let data = rows(100);
    let held_out = Config { validation_size: 0.3, ..small() };
    let from_training = fit(held_out.clone(), &data, 1);
    let from_validation = fit(Config { use_val_for_loss_stats: true, ..held_out }, &data, 1);
    assert_ne!(from_training.loss_scalers(), from_validation.loss_scalers());
    assert_eq!(from_training.network(), from_validation.network());
}

#[test]
fn one_row_can_be_learned_and_none_cannot() {
    let config = Config { validation_size: 0.5, ..small() };
    assert_eq!(fit(config.clone(), &rows(1), 1).rows(), 1);
    let trainer = AutoencoderTrainer::new(config, NAMES).unwrap();
    assert_eq!(trainer.fit(&rows(0), &FitContext::default()).err().unwrap().kind(), ErrorKind::BadData);
    assert_eq!(fit(small(), &rows(30), 1).score(&rows(0)).unwrap().num_rows(), 0);
}

#[test]
fn noise_is_on_the_input_of_a_single_feature_and_not_on_its_target() {
    let data = rows(64);
    let config = Config { swap_probability: 1.0, epochs: 120, learning_rate: 0.01, ..small() };
    let trainer = AutoencoderTrainer::new(config, ["app"]).unwrap();
    let (_, history) = trainer.fit_with_history(&data, &FitContext::default()).unwrap();
    // With most inputs another row's, only the frequencies can be learned: the loss cannot get near 0, as it would if
    // targets moved along.
    let last: Vec<f64> = history.train().skip(100).map(|epoch| epoch[0]).collect();
    assert!(last.iter().all(|loss| *loss > 0.5), "{last:?}");
}

#[test]
fn divergence_is_an_error() {
    let config = Config { optimizer: Optimizer::SGD, learning_rate: 1e20, ..small() };
    let trainer = AutoencoderTrainer::new(config, NAMES).unwrap();
    let error = trainer.fit(&rows(50), &FitContext::default()).err().unwrap();
    assert!(error.to_string().contains("diverged"), "{error}");
}

#[test]
fn a_cancelled_fit_stops() {
    for threads in [1, 3] {
        let context = FitContext { threads, ..FitContext::default() };
        context.cancel.cancel();
        let trainer = AutoencoderTrainer::new(Config { epochs: 1 << 30, ..small() }, NAMES).unwrap();
        assert_eq!(trainer.fit(&rows(500), &context).err().unwrap().kind(), ErrorKind::Cancelled);
    }
}

/// The matrix kernel allocates its packing buffer on every call and frees it; nothing else may.
#[test]
fn an_epoch_allocates_nothing_of_its_own() {
    let small = Config { batch_size: 2 * TILE, ..small() };
    let other = Config { dropout: 0.2, shuffle_rows: false, optimizer: Optimizer::SGD, ..small.clone() };
    for config in [small, other] {
        let data = rows(4 * TILE);
        let names = NAMES.map(str::to_owned);
        let features = Features::fit(&data, &names, &config).unwrap();
        let prepared = features.prepare(&data).unwrap();
        let network = Network::random(Shape::new(features.list(), &config), 1);
        let linear_layers = network.shape().layers.len() + 1;
        let mut training = Training::new(network, &config, &prepared, 1).unwrap();
        let cancel = CancelToken::default();
        training.epoch(0, 0.001, &cancel).unwrap();
        let counted = allocation_counter::measure(|| {
            training.epoch(1, 0.001, &cancel).unwrap();
        });
        // Each tile goes forward, back, and into the gradient once a layer.
        assert_eq!(counted.count_total, (4 * 3 * linear_layers) as u64);
        assert_eq!(counted.count_current, 0);
    }
}

#[test]
fn a_network_that_would_exhaust_memory_is_refused() {
    let trainer = AutoencoderTrainer::new(Config { encoder_layers: vec![1 << 16; 2], ..small() }, NAMES);
    let error = trainer.unwrap().fit_with_history(&rows(30), &FitContext::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidConfig);
    assert!(error.to_string().contains("encoder_layers"), "{error}");
}

fn saved() -> Vec<u8> {
    fit(Config { epochs: 1, loss_scaler: ScalerKind::GaussRank, ..small() }, &rows(30), 1).save().unwrap()
}

#[test]
fn other_and_newer_models_are_told_apart_from_damage() {
    let text = String::from_utf8_lossy(&saved()).into_owned();
    assert!(text.contains(r#"\"kind\":\"autoencoder\",\"format\":1"#));
    let changed = |from: &str, to: &str| {
        let bytes = saved();
        let at = bytes.windows(from.len()).position(|w| w == from.as_bytes()).unwrap();
        let mut changed = bytes.clone();
        changed[at..at + from.len()].copy_from_slice(to.as_bytes());
        dfp_core::Error::from(Autoencoder::load(&changed).unwrap_err())
    };
    assert_eq!(changed(r#"format\":1"#, r#"format\":2"#).kind(), ErrorKind::Unsupported);
    let other = changed(r#"\"autoencoder\""#, r#"\"autoencoded\""#);
    assert!(other.kind() == ErrorKind::BadData && other.to_string().contains("autoencoded"), "{other}");
    assert!(Autoencoder::load(b"").is_err());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// Damaged bytes either fail with an error or give a model that scores finite numbers; memory stays within bounds.
    #[test]
    fn damaged_bytes_do_no_harm(
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        in_header in any::<bool>(),
        cut in any::<Option<prop::sample::Index>>(),
    ) {
        thread_local!(static SAVED: Vec<u8> = saved());
        let mut bytes = SAVED.with(Clone::clone);
        let header = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        let at = at.index(if in_header { header } else { bytes.len() });
        bytes[at] = byte;
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        let mut loaded = None;
        let used = allocation_counter::measure(|| loaded = Autoencoder::load(&bytes).ok());
        prop_assert!(used.bytes_max < 64 * (bytes.len() as u64 + 1024), "{} bytes", used.bytes_max);
        if let Some(model) = loaded {
            let scored = model.scores(&rows(5));
            if let Ok(scores) = scored {
                prop_assert!(scores.z.iter().chain(&scores.losses).all(|x| x.is_finite()));
            }
        }
    }
}
