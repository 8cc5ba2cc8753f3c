//! Vectors of whole autoencoders: preparation, forward, losses, gradients, optimisers, training loop, results.

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type};
use dfp_core::{CancelToken, FitContext};
use dfp_models::autoencoder::backend::{Backend, Cpu, Job};
use dfp_models::autoencoder::features::{Encoding, Feature, Features, Prepared};
use dfp_models::autoencoder::fit::{self, Trained, Training};
use dfp_models::autoencoder::network::{Network, Shape};
use dfp_models::autoencoder::scaler::Scaler;
use dfp_models::autoencoder::{Autoencoder, Config, score};
use serde_json::{Value, json};

use crate::small::check_scaler;
use crate::values::{assert_close, close, flat, index, list, number, table, text};

/// Forward values, losses, gradients, weights.
const TOLERANCE: f64 = 1e-5;
/// Results of a training run: dozens of steps add up the roundings of sums in another order.
const TRAINED_TOLERANCE: f64 = 1e-4;
/// Binary losses whose probability is this close to 0 or 1 are ill-conditioned in 32 bits ...
const SATURATED: f64 = 1e-4;
/// ... and only agree so far.
const SATURATED_TOLERANCE: f64 = 5e-3;

/// One model of a vector: its features, its untrained network, its training rows.
struct Case<'a> {
    vector: &'a Value,
    config: Config,
    features: Features,
    network: Network,
    train: Prepared,
}

impl<'a> Case<'a> {
    fn new(vector: &'a Value, rows: impl Fn(RecordBatch) -> RecordBatch) -> Self {
        let config = config(&vector["config"]);
        let batch = rows(table(&vector["train_table"]));
        let names: Vec<String> = list(&vector["train_table"]["columns"]).iter().map(text).collect();
        let features = Features::fit(&batch, &names, &config).expect("the features can be learned");
        let features = in_vector_order(&features, &batch, &vector["features"]["categorical"]);
        let shape = Shape::new(features.list(), &config);
        let network = network(&features, shape, &vector["initial_weights"]);
        let train = features.prepare(&batch).expect("the rows can be prepared");
        Self { vector, config, features, network, train }
    }

    /// Of a vector of kind `fit`.
    fn of_fit(vector: &'a Value) -> Self {
        let rows = index(&vector["n_train"]);
        let mut case = Self::new(vector, |batch| batch.slice(0, rows));
        case.config.epochs = index(&vector["epochs_requested"]);
        case
    }

    /// Compares kinds, order, fill values, scalers and categories.
    fn check_features(&self) {
        let expected = &self.vector["features"];
        let binary = list(&expected["binary"]).iter().map(text);
        let named = |part: &str| list(&expected[part]).iter().map(|f| text(&f["name"])).collect::<Vec<_>>();
        let mut order = named("numeric");
        order.extend(binary);
        order.extend(named("categorical"));
        let found: Vec<_> = self.features.list().iter().map(|f| f.name.clone()).collect();
        assert_eq!(found, order, "model order of the features");
        for feature in self.features.list() {
            let of = |part: &str| {
                list(&expected[part]).iter().find(|f| f["name"] == json!(feature.name)).expect("it is there")
            };
            match &feature.encoding {
                Encoding::Numeric { fill, scaler } => {
                    let expected = of("numeric");
                    assert!(close(*fill, number(&expected["fill_mean"]), 1e-9), "{} fill", feature.name);
                    check_scaler(&feature.name, scaler, expected);
                }
                Encoding::Binary {} => {}
                Encoding::Categorical { categories } => {
                    let expected = of("categorical");
                    assert_eq!(json!(categories), expected["cats"], "{} categories", feature.name);
                    assert_eq!(feature.codes(), index(&expected["n_codes"]), "{} codes", feature.name);
                }
            }
        }
    }

    fn check_shape(&self) {
        let (shape, expected) = (self.network.shape(), &self.vector["layer_dims"]);
        assert_eq!(shape.width(0), index(&expected["input"]), "input width");
        let widths: Vec<_> = shape.layers.iter().map(|(width, _)| json!(width)).collect();
        assert_eq!(widths, [list(&expected["encoder"]), list(&expected["decoder"])].concat(), "layers");
    }

    /// Compares prepared rows, outputs, losses.
    fn check_forward(&self, rows: &Prepared, expected: &Value) {
        let shape = self.network.shape();
        let rows_expected = |part: &str| list(&expected["prepared"][part]).iter();
        for (row, (numeric, binary)) in rows_expected("numeric").zip(rows_expected("binary")).enumerate() {
            let found: Vec<f64> = rows.values.iter().map(|column| f64::from(column[row])).collect();
            assert_close("prepared values", &found, &[flat(numeric), flat(binary)].concat(), TOLERANCE);
        }
        for (c, feature) in self.features.list()[shape.values()..].iter().enumerate() {
            let codes: Vec<f64> = rows.codes[c].iter().map(|code| f64::from(*code)).collect();
            assert_eq!(
                codes,
                flat(&expected["prepared"]["codes"][&feature.name]),
                "codes of {}",
                feature.name
            );
        }
        let outputs = self.network.forward(rows);
        let (losses, _) = score::losses_of(&self.network, rows, 2);
        for row in 0..rows.rows {
            let found = |columns: std::ops::Range<usize>| -> Vec<f64> {
                columns.map(|j| f64::from(outputs[[row, j]])).collect()
            };
            let what = |part: &str| format!("row {row}: {part}");
            assert_close(
                &what("numeric"),
                &found(0..shape.numeric),
                &flat(&expected["numeric_out"][row]),
                TOLERANCE,
            );
            let probabilities = flat(&expected["binary_prob"][row]);
            let logits = found(shape.numeric..shape.values());
            let shares: Vec<f64> = logits.iter().map(|x| 1.0 / (1.0 + (-x).exp())).collect();
            assert_close(&what("binary"), &shares, &probabilities, TOLERANCE);
            for (c, feature) in self.features.list()[shape.values()..].iter().enumerate() {
                let expected = flat(&expected["category_logits"][&feature.name][row]);
                assert_close(&what(&feature.name), &found(shape.logits(c)), &expected, TOLERANCE);
            }
            let row_losses = &expected["row_losses"];
            let groups = ["numeric", "binary", "categorical"].map(|part| flat(&row_losses[part][row]));
            for (f, expected) in groups.concat().into_iter().enumerate() {
                let probability = f.checked_sub(shape.numeric).and_then(|b| probabilities.get(b));
                let saturated = probability.is_some_and(|p| (p - 0.5).abs() > 0.5 - SATURATED);
                let loss = f64::from(losses[[row, f]]);
                assert!(
                    same_loss(loss, expected, saturated),
                    "row {row}: loss {f} is {loss}, expected {expected}"
                );
            }
        }
    }

    /// Compares the result tables of a model, signed and absolute.
    fn check_results(&self, model: &Autoencoder, expected: &Value, tolerance: f64) {
        for (name, tables) in expected.as_object().expect("tables by name") {
            let batch = table(&self.vector[format!("{name}_table")]);
            for (part, absolute) in [("return_abs_true", true), ("return_abs_false", false)] {
                if tables.get(part).is_some() {
                    let found = model.results(&batch, absolute).expect("the rows can be scored");
                    self.check_table(part, &found, &tables[part], tolerance);
                }
            }
        }
    }

    fn check_table(&self, what: &str, found: &RecordBatch, expected: &Value, tolerance: f64) {
        let columns: Vec<String> = list(&expected["columns"]).iter().map(text).collect();
        for (row, cells) in list(&expected["rows"]).iter().enumerate() {
            // How well the row's maximum and mean agree; nothing can be said where a loss jumped.
            let mut aggregates = Some(tolerance);
            for feature in self.features.list() {
                let cell = |suffix: &str| {
                    let name = format!("{}{suffix}", feature.name);
                    &cells[columns.iter().position(|c| *c == name).expect("the column is there")]
                };
                let value = |suffix: &str| float(found, &format!("{}{suffix}", feature.name), row);
                let place = format!("{what} row {row} {}", feature.name);
                check_prediction(&place, feature, found, row, cell("_pred"), tolerance);
                let (loss, expected) = (value("_loss"), number(cell("_loss")));
                let binary = matches!(feature.encoding, Encoding::Binary {});
                // A probability near 0 or 1 shows in a large or tiny loss.
                let saturated = binary && !(SATURATED..=-SATURATED.ln()).contains(&expected);
                if saturated && has_jumped(loss, expected) {
                    aggregates = None;
                    continue;
                }
                let tolerance = if saturated { SATURATED_TOLERANCE } else { tolerance };
                aggregates = aggregates.map(|known| known.max(tolerance));
                assert!(close(loss, expected, tolerance), "{place}: loss {loss}, expected {expected}");
                let (z, expected) = (value("_z_loss"), number(cell("_z_loss")));
                assert!(close(z, expected, tolerance), "{place}: z {z}, expected {expected}");
            }
            for name in ["max_abs_z", "mean_abs_z"] {
                let expected = number(&cells[columns.iter().position(|c| c == name).expect("it is there")]);
                let value = float(found, name, row);
                let agree = aggregates.is_none_or(|tolerance| close(value, expected, tolerance));
                assert!(agree, "{what} row {row} {name}: {value}, expected {expected}");
            }
            let name = columns.iter().position(|c| c == score::Z_SCALER).map(|i| text(&cells[i]));
            assert_eq!(found.schema().metadata().get(score::Z_SCALER), name.as_ref());
        }
    }

    fn check_statistics(&self, scalers: &[Scaler], expected: &Value, tolerance: f64) {
        for (feature, scaler) in self.features.list().iter().zip(scalers) {
            let expected = &expected[&feature.name];
            let Some(mean) = expected.get("mean") else {
                assert_eq!(expected["scaler"], "NullScaler", "{}", feature.name);
                continue;
            };
            let Scaler::Standard { mean: found, std } = scaler else {
                panic!("{}: {scaler:?}", feature.name)
            };
            assert_close(
                &format!("loss statistics of {}", feature.name),
                &[*found, *std],
                &[number(mean), number(&expected["std"])],
                tolerance,
            );
        }
    }

    fn check_weights(
        &self,
        what: &str,
        found: &[(String, [usize; 2], Vec<f32>)],
        expected: &Value,
        tolerance: f64,
    ) {
        let expected = tensors(&self.features, self.network.shape(), expected);
        assert_eq!(found.len(), expected.len());
        for ((name, _, found), (_, expected)) in found.iter().zip(expected) {
            let found: Vec<f64> = found.iter().map(|x| f64::from(*x)).collect();
            assert_close(&format!("{what} {name}"), &found, &expected, tolerance);
        }
    }

    /// Compares what a vector of kind `fit` says of a training run.
    fn check_trained(&self, trained: &Trained, tolerance: f64) {
        let vector = self.vector;
        assert_eq!(trained.epochs, index(&vector["epochs_run"]), "epochs");
        assert!(close(trained.learning_rate, number(&vector["lr_final"]), 1e-9), "learning rate");
        let history = &trained.history;
        let columns = |epochs: Vec<&[f64]>, f: usize| epochs.iter().map(|e| e[f]).collect::<Vec<_>>();
        for (f, feature) in self.features.list().iter().enumerate() {
            for (part, found) in [
                ("train", history.train().collect()),
                ("validation_swapped", history.validation_noisy().collect()),
                ("validation_identity", history.validation().collect()),
            ] {
                let expected = flat(&vector["history"][part][&feature.name]);
                let what = format!("history {part} of {}", feature.name);
                assert_close(&what, &columns(found, f), &expected, tolerance);
            }
        }
        self.check_weights("final", &trained.network.tensors(), &vector["final_weights"], tolerance);
    }

    /// Rows held out of the training of a vector of kind `fit`.
    fn held_out(&self) -> Option<Prepared> {
        let (rows, count) = (index(&self.vector["n_train"]), index(&self.vector["n_validation"]));
        let all = table(&self.vector["train_table"]);
        assert_eq!(all.num_rows(), rows + count);
        let prepare = || self.features.prepare(&all.slice(rows, count)).expect("the rows can be prepared");
        (count > 0).then(prepare)
    }

    fn model(&self, network: Network) -> Autoencoder {
        Autoencoder::from_network(self.config.clone(), self.features.clone(), network, &self.train)
    }
}

/// The features with their categories in the vector's order. It must be the same but for categories of equal count: the
/// reference's sort is not stable, ours puts the one that appears first before.
fn in_vector_order(features: &Features, batch: &RecordBatch, expected: &Value) -> Features {
    let mut features = features.list().to_vec();
    for feature in &mut features {
        let Encoding::Categorical { categories } = &mut feature.encoding else { continue };
        let column = batch.column_by_name(&feature.name).expect("it is there").as_string::<i32>();
        let count = |category: &String| column.iter().filter(|cell| *cell == Some(category)).count();
        let of_vector =
            list(expected).iter().find(|f| f["name"] == json!(feature.name)).expect("it is there");
        let of_vector: Vec<String> = list(&of_vector["cats"]).iter().map(text).collect();
        let sorted = |list: &[String]| {
            let mut list = list.to_vec();
            list.sort();
            list
        };
        assert_eq!(sorted(categories), sorted(&of_vector), "categories of {}", feature.name);
        let counts = |list: &[String]| list.iter().map(count).collect::<Vec<_>>();
        assert_eq!(counts(categories), counts(&of_vector), "order of the categories of {}", feature.name);
        *categories = of_vector;
    }
    Features::new(features).expect("the same features")
}

/// A loss within tolerance, or one that jumped.
fn same_loss(found: f64, expected: f64, saturated: bool) -> bool {
    let tolerance = if saturated { SATURATED_TOLERANCE } else { TOLERANCE };
    (saturated && has_jumped(found, expected)) || close(found, expected, tolerance)
}

/// Whether the reference's clamped logarithm jumped to 100 (its probability is exactly 0 or 1) where ours, from the
/// logit, is still on the way (quirk Q26).
fn has_jumped(found: f64, expected: f64) -> bool {
    expected >= 100.0 && (16.0..100.0).contains(&found)
}

fn float(batch: &RecordBatch, column: &str, row: usize) -> f64 {
    let column = batch.column_by_name(column).unwrap_or_else(|| panic!("no column {column}"));
    match column.as_primitive_opt::<Float64Type>() {
        Some(column) => column.value(row),
        None => f64::from(column.as_primitive::<Float32Type>().value(row)),
    }
}

/// Numbers agree, categories are equal, and truths are the opposite of the reference's, whose mapping is inverted.
fn check_prediction(
    place: &str,
    feature: &Feature,
    found: &RecordBatch,
    row: usize,
    expected: &Value,
    tolerance: f64,
) {
    let column = format!("{}_pred", feature.name);
    let word =
        || found.column_by_name(&column).expect("it is there").as_string::<i32>().value(row).to_owned();
    match &feature.encoding {
        Encoding::Numeric { .. } => {
            let value = float(found, &column, row);
            assert!(
                close(value, number(expected), tolerance),
                "{place}: predicted {value}, expected {expected}"
            );
        }
        Encoding::Binary {} => {
            let inverted = !expected.as_bool().expect("a truth");
            assert_eq!(word(), inverted.to_string(), "{place}: predicted");
        }
        Encoding::Categorical { .. } => assert_eq!(word(), text(expected), "{place}: predicted"),
    }
}

/// The configuration in our words; reference arithmetic wherever there is a choice.
fn config(value: &Value) -> Config {
    let mut settings = value.as_object().expect("settings").clone();
    settings.insert("optimizer".into(), optimizer(value));
    settings.retain(|_, value| !value.is_null());
    // Without widths the reference builds its bare network; for us that is an empty list.
    for layers in ["encoder_layers", "decoder_layers"] {
        settings.entry(layers).or_insert(json!([]));
    }
    for (name, value) in
        [("shuffle_rows", json!(false)), ("literal_patience", json!(true)), ("max_steps", json!(0))]
    {
        settings.insert(name.into(), value);
    }
    settings.entry("learning_rate_decay").or_insert(json!(1.0));
    let config: Config = serde_json::from_value(Value::Object(settings)).expect("known settings");
    config.validate().expect("settings that work");
    config
}

/// The optimiser of flat settings.
fn optimizer(settings: &Value) -> Value {
    let mut optimizer = json!({"name": settings["optimizer"]});
    for name in ["momentum", "nesterov", "dampening", "weight_decay", "betas", "amsgrad"] {
        if let Some(value) = settings.get(name) {
            optimizer[name] = value.clone();
        }
    }
    optimizer
}

fn network(features: &Features, shape: Shape, weights: &Value) -> Network {
    let tensors = tensors(features, &shape, weights);
    let read = |name: &str, _| {
        let tensor = tensors.iter().find(|(known, _)| known == name).expect("every tensor is given");
        Ok(tensor.1.iter().map(|x| *x as f32).collect())
    };
    Network::from_tensors(shape, read).expect("weights fit the shape")
}

/// The reference's tensors under our names: its heads are one layer here.
fn tensors(features: &Features, shape: &Shape, weights: &Value) -> Vec<(String, Vec<f64>)> {
    let categorical = || features.list()[shape.values()..].iter().map(|f| f.name.clone());
    let heads: Vec<String> =
        ["numeric".to_owned(), "binary".to_owned()].into_iter().chain(categorical()).collect();
    let one = |name: String| weights.get(&name).map(flat).unwrap_or_default();
    let given = |name: &str| -> Vec<f64> {
        let parts: Vec<&str> = name.split('.').collect();
        match parts[..] {
            ["embedding", c] => {
                let feature = categorical().nth(c.parse().expect("a number")).expect("it is there");
                one(format!("{feature}_embedding.weight"))
            }
            ["heads", part] => heads.iter().flat_map(|head| one(format!("{head}_output.{part}"))).collect(),
            [stack, layer, part] => one(format!("{stack}_{layer}.linear_layer.{part}")),
            _ => panic!("unknown tensor {name}"),
        }
    };
    shape.tensors().into_iter().map(|(name, _)| (name.clone(), given(&name))).collect()
}

/// One model: everything it computes, and some steps of each optimiser.
pub(crate) fn ae(vector: &Value) -> usize {
    let case = Case::new(vector, |batch| batch);
    case.check_features();
    case.check_shape();
    case.check_forward(&case.train, &vector["train_forward"]);
    let eval = case.features.prepare(&table(&vector["eval_table"])).expect("the rows can be prepared");
    case.check_forward(&eval, &vector["eval_forward"]);
    let model = case.model(case.network.clone());
    case.check_statistics(model.loss_scalers(), &vector["loss_stats_initial_weights"], TOLERANCE);
    case.check_results(&model, &vector["results_initial_weights"], TOLERANCE);
    if let Some(expected) = vector.get("gradients_step1") {
        for threads in [1, 3] {
            let network = case.network.clone();
            let mut training =
                Training::new(network, &case.config, &case.train, threads).expect("there are rows");
            case.check_weights("gradient", &training.gradients(), expected, TOLERANCE);
        }
    }
    let optimisers = list(&vector["optim"]);
    for (i, run) in optimisers.iter().enumerate() {
        check_steps(&case, &format!("optimiser {i}"), run);
    }
    train_on(&Cpu, vector, TOLERANCE);
    4 + optimisers.len()
}

fn check_steps(case: &Case<'_>, what: &str, run: &Value) {
    let settings = &run["settings"];
    let optimizer = serde_json::from_value(optimizer(settings)).expect("a known optimiser");
    let config = Config { optimizer, ..case.config.clone() };
    let mut training = Training::new(case.network.clone(), &config, &case.train, 1).expect("there are rows");
    let mut rate = number(&settings["learning_rate"]);
    let decay = settings["learning_rate_decay"].as_f64().unwrap_or(1.0);
    for (step, (loss, used)) in list(&run["net_loss"]).iter().zip(list(&run["lr_used"])).enumerate() {
        assert!(close(rate, number(used), 1e-9), "{what}: learning rate {rate}, expected {used}");
        training.epoch(step as u32, rate, &CancelToken::default()).expect("nobody cancels");
        let found = training.losses().sum::<f64>() / case.features.list().len() as f64;
        assert!(close(found, number(loss), TOLERANCE), "{what} step {step}: loss {found}, expected {loss}");
        if let Some(expected) = run["weights_after"].get((step + 1).to_string()) {
            let place = format!("{what} after {} steps", step + 1);
            case.check_weights(&place, &training.network().tensors(), expected, TOLERANCE);
        }
        rate *= decay;
    }
    let model = case.model(training.into_network());
    case.check_statistics(model.loss_scalers(), &run["loss_stats_final"], TOLERANCE);
    if let Some(expected) = run.get("results_final") {
        case.check_results(&model, expected, TOLERANCE);
    }
}

/// The training loop: history, early stopping, final weights, results.
pub(crate) fn fit(vector: &Value) -> usize {
    let case = Case::of_fit(vector);
    case.check_features();
    let validation = case.held_out();
    let validation = validation.as_ref();
    let cancel = CancelToken::default();
    for threads in [1, 2] {
        let network = case.network.clone();
        let trained = fit::train(network, &case.config, &case.train, validation, threads, &cancel);
        let trained = trained.expect("it trains");
        case.check_trained(&trained, TOLERANCE);
    }
    let context = FitContext::default();
    let (model, _) = Autoencoder::train(
        &case.config,
        case.features.clone(),
        case.network.clone(),
        &case.train,
        validation,
        &context,
    )
    .expect("it trains");
    case.check_statistics(model.loss_scalers(), &vector["loss_stats"], TOLERANCE);
    train_on(&Cpu, vector, TOLERANCE);
    case.check_results(&model, &vector["results"], TRAINED_TOLERANCE);
    let loaded = Autoencoder::load(&model.to_bytes().expect("it saves")).expect("it loads");
    case.check_results(&loaded, &vector["results"], TRAINED_TOLERANCE);
    1
}

/// What a backend makes of the training runs of a vector of kind `ae` or `fit`: within `tolerance` what is written.
pub(crate) fn train_on(backend: &dyn Backend, vector: &Value, tolerance: f64) -> usize {
    let train = |case: &Case<'_>, config: &Config, validation: Option<&Prepared>| {
        let job = Job { network: case.network.clone(), rows: &case.train, validation };
        let mut answers = backend.train(config, vec![job], &FitContext::default());
        answers.pop().expect("an answer for the job").expect("it trains")
    };
    if vector["kind"] == "fit" {
        let case = Case::of_fit(vector);
        let validation = case.held_out();
        let (trained, scalers) = train(&case, &case.config, validation.as_ref());
        case.check_trained(&trained, tolerance);
        case.check_statistics(&scalers, &vector["loss_stats"], tolerance);
        return 1;
    }
    let case = Case::new(vector, |batch| batch);
    for (i, run) in list(&vector["optim"]).iter().enumerate() {
        let settings = &run["settings"];
        let config = Config {
            optimizer: serde_json::from_value(optimizer(settings)).expect("a known optimiser"),
            learning_rate: number(&settings["learning_rate"]),
            learning_rate_decay: settings["learning_rate_decay"].as_f64().unwrap_or(1.0),
            epochs: list(&run["net_loss"]).len(),
            ..case.config.clone()
        };
        let (trained, scalers) = train(&case, &config, None);
        let what = format!("optimiser {i} after {} steps", config.epochs);
        let losses: Vec<f64> =
            trained.history.train().map(|l| l.iter().sum::<f64>() / l.len() as f64).collect();
        assert_close(&what, &losses, &flat(&run["net_loss"]), tolerance);
        if let Some(expected) = run["weights_after"].get(config.epochs.to_string()) {
            case.check_weights(&what, &trained.network.tensors(), expected, tolerance);
        }
        case.check_statistics(&scalers, &run["loss_stats_final"], tolerance);
    }
    list(&vector["optim"]).len()
}

/// Sizes of the default model of one user: three numbers, six texts of 19, 3, 5, 3, 3 and 4 values. Cases of other
/// tables, and the measured times, say nothing that could be checked here.
pub(crate) fn cost(vector: &Value) -> usize {
    let mut features: Vec<_> =
        (0..3).map(|i| json!({"name": format!("n{i}"), "encoding": number_encoding()})).collect();
    for (i, count) in [19, 3, 5, 3, 3, 4].into_iter().enumerate() {
        let categories: Vec<_> = (0..count).map(|c| format!("v{c}")).collect();
        features.push(
            json!({"name": format!("c{i}"), "encoding": {"kind": "categorical", "categories": categories}}),
        );
    }
    let features: Vec<Feature> = serde_json::from_value(json!(features)).expect("features as saved");
    let shape = Shape::new(&features, &Config::morpheus());
    let output = shape.layers.len() + 1;
    let of_this_table = |case: &&Value| index(&case["input_width"]) == shape.width(0);
    let mut checked = 0;
    for case in list(&vector["cases"]).iter().filter(of_this_table) {
        let name = text(&case["name"]);
        assert_eq!(shape.width(output), index(&case["output_width"]), "{name}");
        assert_eq!(shape.parameters(), index(&case["parameters"]), "{name}");
        assert_eq!(shape.multiply_adds(), index(&case["macs_per_row_forward"]), "{name}");
        checked += 1;
    }
    checked
}

fn number_encoding() -> Value {
    json!({"kind": "numeric", "fill": 0.0, "scaler": {"kind": "standard", "mean": 0.0, "std": 1.0}})
}
