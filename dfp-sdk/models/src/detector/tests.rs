//! The detector as a whole.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type};
use dfp_core::{ErrorKind, FitContext, Model, SCORE, Trainer};
use proptest::prelude::*;

use super::{Config, Detector, DetectorTrainer, Envelope, FORMAT, KIND, MOST_ROWS, PARTS, thinned};
use crate::autoencoder;
use crate::autoencoder::backend::{Backend, Cpu, Evaluated, Job};
use crate::autoencoder::features::Prepared;
use crate::autoencoder::fit::Trained;
use crate::autoencoder::network::Network;
use crate::autoencoder::scaler::Scaler;
use crate::rarity::tests::{
    NAMES, NOTHING, Row, USUAL, assert_harmless, assert_sound, batch, days_of_entity, everybody, flipped,
    odd_rows, scores,
};

fn trainer() -> DetectorTrainer {
    let text = r#"{ "autoencoder": { "encoder_layers": [8, 4], "decoder_layers": [8], "epochs": 2 } }"#;
    let config: Config = serde_json::from_str(text).unwrap();
    DetectorTrainer::new(&config, &NAMES.map(str::to_owned)).unwrap()
}

fn fit(data: &RecordBatch, population: Option<&Detector>) -> Detector {
    trainer().fit_detector(data, population, &FitContext::default()).unwrap()
}

fn of_entity_3() -> Detector {
    fit(&batch(&days_of_entity(3, 0..40)), Some(&fit(&everybody(), None)))
}

#[test]
fn a_loaded_model_scores_the_same() {
    let model = of_entity_3();
    let rows = batch(&[days_of_entity(3, 38..45), odd_rows()].concat());
    let bytes = model.save().unwrap();
    let loaded = trainer().load(&bytes).unwrap();
    assert_eq!(loaded.score(&rows).unwrap(), model.score(&rows).unwrap());
    assert_eq!(loaded.save().unwrap(), bytes);
    assert_eq!(crate::load(&bytes).unwrap().schema(), model.schema());
}

#[test]
fn columns_of_results_are_as_agreed() {
    let model = of_entity_3();
    let mut expected = vec![SCORE.to_owned()];
    for name in NAMES {
        expected.extend(["pred", "loss", "z_loss", "surprise"].map(|part| format!("{name}_{part}")));
    }
    expected.extend(["max_abs_z".to_owned(), "mean_abs_z".to_owned()]);
    for rows in [vec![USUAL, USUAL], vec![]] {
        let scored = model.score(&batch(&rows)).unwrap();
        assert_sound(&scored, rows.len());
        let names: Vec<_> = scored.schema().fields().iter().map(|f| f.name().clone()).collect();
        assert_eq!(names, expected);
    }
    let scored = model.score(&batch(&[USUAL])).unwrap();
    let usual = |name: &str| scored[name].as_string::<i32>().value(0).to_owned();
    assert_eq!((usual("app_pred"), usual("city_pred")), ("mail".to_owned(), "city 3".to_owned()));
    assert!(scored["events_1h_pred"].as_primitive::<Float64Type>().value(0) > 1.0);
}

#[test]
fn what_is_new_or_much_scores_higher_than_what_is_usual() {
    let model = of_entity_3();
    let usual = scores(&model, &[USUAL])[0];
    assert!(usual < 1.0, "{usual}");
    for (feature, odd) in [
        ("app", Row { app: Some("new"), ..USUAL }),
        ("city", Row { city: Some("new"), ..USUAL }),
        ("known", Row { known: Some(false), ..USUAL }),
        ("hour", Row { hour: 3, ..USUAL }),
        ("events_1h", Row { events: Some(200.0), ..USUAL }),
    ] {
        let scored = model.score(&batch(&[odd])).unwrap();
        let score = scored[SCORE].as_primitive::<Float64Type>().value(0);
        assert!(score > usual + 1.0, "{feature}: {score}, not {usual}");
        let share =
            |name: &str| scored[format!("{name}_surprise").as_str()].as_primitive::<Float32Type>().value(0);
        let most = NAMES.into_iter().max_by(|a: &&str, b| share(a).total_cmp(&share(b)));
        assert_eq!(most, Some(feature), "{:?}", NAMES.map(share));
        let sum: f32 = NAMES.into_iter().map(share).sum();
        assert!((f64::from(sum) - score).abs() < 0.01, "{sum} {score}");
    }
}

#[test]
fn more_of_a_burst_scores_higher_and_repeats_lower() {
    let model = of_entity_3();
    let of = |events| Row { events: Some(events), ..USUAL };
    let single: Vec<f64> = [3.0, 20.0, 200.0, 2000.0].map(|events| scores(&model, &[of(events)])[0]).to_vec();
    assert!(single.windows(2).all(|pair| pair[0] < pair[1]), "{single:?}");
    let burst = scores(&model, &[of(20.0), of(20.0), of(2000.0)]);
    assert!(burst[0] == single[1] && burst[1] < burst[0] && burst[2] == single[3], "{burst:?}");
}

#[test]
fn the_population_stands_in_for_what_an_entity_lacks() {
    let few = batch(&days_of_entity(3, 38..39));
    let everybody = fit(&everybody(), None);
    let alone = fit(&few, None);
    let backed = fit(&few, Some(&everybody));
    let score = |model: &Detector, app| scores(model, &[Row { app: Some(app), ..USUAL }])[0];
    assert_eq!(score(&alone, "wiki"), score(&alone, "nobody's"));
    for model in [&backed, &of_entity_3()] {
        let (common, unheard) = (score(model, "wiki"), score(model, "nobody's"));
        assert!(common + 0.1 < unheard, "{common} {unheard}");
    }
    // Of somebody hardly known, much is new.
    let pair = (score(&backed, "nobody's"), score(&of_entity_3(), "nobody's"));
    assert!(pair.0 < pair.1, "{pair:?}");
    // As bytes, as the trainer gets it.
    let context = FitContext { population: Some(everybody.save().unwrap().into()), ..FitContext::default() };
    assert!(trainer().fit(&few, &context).unwrap().save().unwrap() == backed.save().unwrap());
}

#[test]
fn bytes_are_the_same_for_any_number_of_threads() {
    let data = everybody();
    let bytes = |threads| {
        let context = FitContext { threads, ..FitContext::default() };
        trainer().fit(&data, &context).unwrap().save().unwrap()
    };
    let one = bytes(1);
    assert!(one == bytes(1) && one == bytes(3));
}

#[test]
fn unusable_values_never_make_an_unusable_score() {
    let clean = days_of_entity(3, 20..40);
    let nothing = vec![NOTHING; 20];
    for learned in [&odd_rows(), &nothing, &clean, &vec![USUAL]] {
        let model = fit(&batch(learned), None);
        assert!(Detector::load(&model.save().unwrap()).is_ok());
        for rows in [&odd_rows(), &nothing, &clean] {
            assert_sound(&model.score(&batch(rows)).unwrap(), rows.len());
        }
    }
}

#[test]
fn other_data_is_refused() {
    let model = fit(&batch(&days_of_entity(3, 20..40)), None);
    let data = batch(&[USUAL]);
    for missing in ["_time", "app", "events_1h", "hour"] {
        let at: Vec<usize> = (0..7).filter(|at| data.schema().field(*at).name() != missing).collect();
        let data = data.project(&at).unwrap();
        for error in [model.score(&data).err(), trainer().fit(&data, &FitContext::default()).err()] {
            let error = error.unwrap();
            assert!(
                error.kind() == ErrorKind::SchemaMismatch && error.to_string().contains(missing),
                "{error}"
            );
        }
    }
    let kind = |data: &RecordBatch, context| trainer().fit(data, &context).err().unwrap().kind();
    assert_eq!(kind(&batch(&[]), FitContext::default()), ErrorKind::BadData);
    let population: Arc<[u8]> = model.rarity().save().unwrap().into();
    assert_eq!(
        kind(&data, FitContext { population: Some(population), ..FitContext::default() }),
        ErrorKind::BadData
    );
    let cancelled = FitContext::default();
    cancelled.cancel.cancel();
    assert_eq!(kind(&data, cancelled), ErrorKind::Cancelled);
}

#[test]
fn thinned_rows_are_evenly_spaced() {
    let marked: Vec<bool> = (0..4 * MOST_ROWS).map(|row| row % 2 == 0).collect();
    let kept: Vec<usize> =
        thinned(&marked).iter().enumerate().filter(|row| *row.1).map(|row| row.0).collect();
    assert_eq!(kept.len(), MOST_ROWS);
    assert!(kept.windows(2).all(|pair| pair[1] - pair[0] == 4) && marked[kept[0]]);
    let few = &marked[..MOST_ROWS];
    assert_eq!(thinned(few), few);
}

fn saved() -> Vec<u8> {
    let everybody = [2, 3].map(|entity| days_of_entity(entity, 20..30)).concat();
    fit(&batch(&days_of_entity(3, 20..24)), Some(&fit(&batch(&everybody), None))).save().unwrap()
}

#[test]
fn parts_that_do_not_fit_are_refused() {
    let envelope = Envelope { kind: KIND, format: FORMAT };
    let bytes = saved();
    let parts = envelope.unpack(&bytes, &PARTS).unwrap();
    let load = |replaced: usize, with: &[u8]| {
        let parts = parts.iter().enumerate().map(|(at, part)| if at == replaced { with } else { part });
        let named: Vec<(&str, &[u8])> = PARTS.into_iter().zip(parts).collect();
        Detector::load(&envelope.pack(&named).unwrap())
    };
    assert!(load(0, parts[0]).is_ok());
    assert!(load(0, parts[1]).is_err() && load(1, parts[0]).is_err() && load(2, b"{}").is_err());
    let calibration = |scale: &str, weight: &str| {
        load(2, format!(r#"{{"tail":{{"knots":[0,1],"scale":{scale}}},"weight":{weight}}}"#).as_bytes())
    };
    assert!(calibration("1", "0.1").is_ok());
    for (scale, weight) in [("0", "0.1"), ("-1", "0.1"), ("1", "1e308"), ("1", "-0.1"), ("null", "0.1")] {
        assert!(calibration(scale, weight).is_err(), "{scale} {weight}");
    }
    let hour = "hour".to_owned();
    let other = DetectorTrainer::new(&Config::default(), &[hour]).unwrap();
    let other = other.fit_detector(&batch(&[USUAL]), None, &FitContext::default()).unwrap();
    assert!(load(1, &other.autoencoder().save().unwrap()).is_err());
}

#[test]
fn other_and_newer_models_are_told_apart_from_damage() {
    let bytes = saved();
    let kind = |bytes: &[u8]| dfp_core::Error::from(Detector::load(bytes).unwrap_err()).kind();
    let packed = |kind, format| {
        let parts = Envelope { kind: KIND, format: FORMAT }.unpack(&bytes, &PARTS).unwrap();
        let parts: Vec<(&str, &[u8])> = PARTS.into_iter().zip(parts).collect();
        Envelope { kind, format }.pack(&parts).unwrap()
    };
    assert!(packed(KIND, FORMAT) == bytes);
    assert_eq!(kind(&packed(KIND, FORMAT + 1)), ErrorKind::Unsupported);
    assert_eq!(kind(&packed("selector", FORMAT)), ErrorKind::BadData);
    assert_eq!(crate::load(&packed("selector", FORMAT)).err().unwrap().kind(), ErrorKind::BadData);
}

#[test]
fn cut_bytes_are_refused() {
    let bytes = saved();
    for length in 0..bytes.len() {
        assert!(Detector::load(&bytes[..length]).is_err(), "{length}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn flipped_bytes_do_no_harm(at in any::<prop::sample::Index>(), in_header in any::<bool>(), flip in 1_u8..) {
        thread_local!(static SAVED: Vec<u8> = saved());
        SAVED.with(|bytes| assert_harmless(&flipped(bytes, at, in_header, flip), Detector::load));
    }
}

/// Everybody does the same every day, as service accounts do: tails without any spread.
#[test]
fn among_regular_people_the_usual_is_no_finding_however_short_the_history() {
    let regular = |entity, day| [9, 11, 14].map(|hour| Row { entity, day, hour, events: Some(3.0), ..USUAL });
    let everybody: Vec<Row<'static>> =
        (0..30).flat_map(|entity| (0..40).flat_map(move |day| regular(entity, day))).collect();
    let trainer = trainer();
    let population = trainer.fit_detector(&batch(&everybody), None, &FitContext::default()).unwrap();
    for days in [1, 5, 40] {
        let history: Vec<_> = (40 - days..40).flat_map(|day| regular(50, day)).collect();
        let model =
            trainer.fit_detector(&batch(&history), Some(&population), &FitContext::default()).unwrap();
        let today = Row { entity: 50, day: 40, hour: 9, events: Some(3.0), ..USUAL };
        let rows = [today, Row { hour: 10, ..today }, Row { app: Some("new"), ..today }];
        let scored = rows.map(|row| {
            let scored = model.score(&batch(&[row])).unwrap();
            scored[SCORE].as_primitive::<Float64Type>().value(0)
        });
        assert!(scored[0] < 1.0 && scored[1] < 1.0 && scored[2] > 3.0, "{days} days: {scored:?}");
    }
}

/// The CPU, asked for as many networks at a time as there are.
#[derive(Debug)]
struct AllAtOnce;

impl Backend for AllAtOnce {
    fn wants_many(&self) -> bool {
        true
    }

    fn train(
        &self,
        config: &autoencoder::Config,
        jobs: Vec<Job<'_>>,
        context: &FitContext,
    ) -> Vec<dfp_core::Result<(Trained, Vec<Scaler>)>> {
        assert_eq!(jobs.len(), 2, "the jobs of all entities that have rows");
        Cpu.train(config, jobs, context)
    }

    fn evaluate(&self, network: &Network, loss_scalers: &[Scaler], rows: &Prepared) -> Evaluated {
        Cpu.evaluate(network, loss_scalers, rows)
    }
}

#[test]
fn entities_fitted_all_at_once_are_those_fitted_one_by_one() {
    let of_entity = |entity| batch(&days_of_entity(entity, 0..30));
    let groups = [of_entity(3), batch(&[]), of_entity(5)];
    let population: Arc<[u8]> = fit(&everybody(), None).save().unwrap().into();
    for population in [None, Some(population)] {
        let context = FitContext { threads: 2, population, ..FitContext::default() };
        let together = trainer().on(Arc::new(AllAtOnce)).fit_many(&groups, &context);
        let one_by_one = trainer().fit_many(&groups, &context);
        assert_eq!(together.len(), 3);
        for (a, b) in together.into_iter().zip(one_by_one) {
            match (a, b) {
                (Ok(a), Ok(b)) => assert_eq!(a.save().unwrap(), b.save().unwrap()),
                (Err(a), Err(b)) => assert_eq!(a.to_string(), b.to_string()),
                (a, b) => panic!("{:?}, {:?}", a.err(), b.err()),
            }
        }
    }
}
