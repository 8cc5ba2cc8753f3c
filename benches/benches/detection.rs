//! Does it find incidents? Trains on the first days of labelled logs, scores the last fifteen, and compares the presets
//! with two counting baselines.
//!
//! `cargo bench -p dfp-benches --bench detection -- [--dir DIR]... [--method NAME]... [--json FILE]`. A directory holds
//! log files and a `labels.csv` with the columns `id`, `scenario` and `incident`; without one, three sets are generated.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type, TimestampNanosecondType};
use arrow_array::{BooleanArray, RecordBatch};
use arrow_select::concat::concat_batches;
use arrow_select::filter::filter_record_batch;
use dfp_cli::evaluate::average_precision;
use dfp_core::{EVENT_TIME, FitContext, Model, RECORD_ID, Result, SCORE, Source as _, Stage, parallel_map};
use dfp_host::LocalHost;
use dfp_models::detector::{Config, Preset};
use dfp_prep::derive::Deriver;
use dfp_prep::{LoadOptions, LoadStage, Profile, split, window};

const DAY: i64 = 86_400_000_000_000;
/// Days at the end that are scored; the ones before are trained on.
const SCORED_DAYS: i64 = 15;
/// Fewest rows for a model of one's own.
const LEAST_ROWS: usize = 300;
const BUDGETS: [usize; 3] = [5, 20, 50];
const MORPHEUS_PROFILE: &str = include_str!("../../dfp-plugins/azure-ad/profiles/morpheus.toml");

/// One entity's rows with derived columns, before and in the scored days.
struct Entity {
    past: RecordBatch,
    new: RecordBatch,
}

/// A labelled set under one profile.
struct Data {
    entities: Vec<Entity>,
    features: Vec<String>,
}

/// Record id to scenario and incident.
type Labels = HashMap<String, (String, String)>;

/// A scored record.
struct Scored {
    id: String,
    day: i64,
    score: f64,
}

fn main() {
    if let Err(error) = run() {
        eprintln!("{error}");
        std::process::exit(1);
    }
}

fn run() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let values = |flag: &str| -> Vec<String> {
        arguments.windows(2).filter(|pair| pair[0] == flag).map(|pair| pair[1].clone()).collect()
    };
    let scratch = tempfile::tempdir().expect("there is a temporary directory");
    let mut dirs: Vec<PathBuf> = values("--dir").iter().map(PathBuf::from).collect();
    if dirs.is_empty() {
        dirs = (1..=3).map(|seed| generate(scratch.path(), seed)).collect::<Result<_>>()?;
    }
    let wanted = values("--method");
    let mut report = serde_json::Map::new();
    for dir in &dirs {
        let labels = labels(&dir.join("labels.csv"));
        for (name, profile, method) in METHODS {
            if !wanted.is_empty() && !wanted.iter().any(|wanted| wanted == name) {
                continue;
            }
            let start = Instant::now();
            let data = load(dir, profile)?;
            let (scored, threshold) = method(&data)?;
            let quality = Quality::of(scored, &labels, threshold);
            println!("{:<28} {name:<10} {quality} {:.0} s", dir.display(), start.elapsed().as_secs_f64());
            report
                .entry(name)
                .or_insert_with(|| serde_json::json!([]))
                .as_array_mut()
                .expect("made so")
                .push(quality.json());
        }
    }
    for (name, sets) in &report {
        println!("mean of {:<20} {name:<10} {}", dirs.len(), mean(sets.as_array().expect("made so")));
    }
    for path in values("--json") {
        std::fs::write(&path, serde_json::to_vec_pretty(&report).expect("numbers are JSON"))
            .map_err(|error| dfp_core::Error::io(format!("writing {path}"), error))?;
    }
    Ok(())
}

fn generate(scratch: &Path, seed: u64) -> Result<PathBuf> {
    let out = scratch.join(format!("seed-{seed}"));
    let options = dfp_cli::generate::Options { seed, out: out.clone(), ..Default::default() };
    let failed = |error| dfp_core::Error::caused(dfp_core::ErrorKind::Io, "generating logs", error);
    dfp_cli::generate::azure_ad(&options, &mut |_| {}).map_err(failed)?;
    Ok(out)
}

fn labels(path: &Path) -> Labels {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut lines = text.lines();
    let heading: Vec<&str> = lines.next().unwrap_or_default().split(',').collect();
    let column = |name| heading.iter().position(|heading| *heading == name).expect("a column of labels.csv");
    let (id, scenario, incident) = (column("id"), column("scenario"), column("incident"));
    let label = |line: &str| {
        let cells: Vec<&str> = line.split(',').collect();
        (cells[id].to_owned(), (cells[scenario].to_owned(), cells[incident].to_owned()))
    };
    lines.map(label).collect()
}

/// Reads a directory's logs through plugin and profile, as training and inference do.
fn load(dir: &Path, profile: Option<&str>) -> Result<Data> {
    let plugin = dfp_plugin::linked_source::<dfp_azure_ad::AzureAd>();
    let profile = Profile::from_toml(profile.unwrap_or(plugin.profile))?;
    let host = Arc::new(LocalHost::new());
    let mut stage = LoadStage::new(&profile, &LoadOptions::at(SystemTime::now()), host.clone())?;
    let mut files: Vec<PathBuf> = std::fs::read_dir(dir)
        .map_err(|error| dfp_core::Error::io(format!("listing {}", dir.display()), error))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("AZUREAD")))
        .collect();
    files.sort();
    let config = serde_json::json!({ "inputs": files, "columns": profile.raw_columns() });
    let mut source = dfp_plugin::create::<dfp_azure_ad::AzureAd>(&config.to_string(), host)?;
    let schema = stage.bind(source.schema())?;
    let mut loaded = Vec::new();
    for batch in source.open(None)? {
        stage.push(batch?)?;
        while let Some(batch) = stage.pull()? {
            loaded.push(batch);
        }
    }
    stage.finish()?;
    while let Some(batch) = stage.pull()? {
        loaded.push(batch);
    }
    let loaded = concat_batches(&schema, &loaded)?;
    let last = times(&loaded).iter().map(|time| time.div_euclid(DAY)).max().expect("there are records");
    let deriver = Deriver::new(&profile, &schema)?;
    let mut entities = Vec::new();
    for (_, rows) in split::by_entity(&loaded)? {
        let rows = deriver.derive(&window::sort_by_time(&rows)?)?;
        let is_new: BooleanArray =
            times(&rows).iter().map(|time| Some(time.div_euclid(DAY) > last - SCORED_DAYS)).collect();
        let is_past = arrow_select::filter::filter_record_batch(&rows, &not(&is_new))?;
        entities.push(Entity { past: is_past, new: filter_record_batch(&rows, &is_new)? });
    }
    Ok(Data { entities, features: profile.features })
}

fn not(flags: &BooleanArray) -> BooleanArray {
    flags.iter().map(|flag| flag.map(|flag| !flag)).collect()
}

fn times(batch: &RecordBatch) -> &[i64] {
    batch.column_by_name(EVENT_TIME).expect("loaded").as_primitive::<TimestampNanosecondType>().values()
}

fn ids(batch: &RecordBatch) -> impl Iterator<Item = String> + '_ {
    batch
        .column_by_name(RECORD_ID)
        .expect("loaded")
        .as_string::<i32>()
        .iter()
        .map(|id| id.unwrap_or_default().to_owned())
}

/// What a method gives: scores, and the score above which it alerts, if it has one.
type Method = fn(&Data) -> Result<(Vec<Scored>, Option<f64>)>;

const METHODS: [(&str, Option<&str>, Method); 4] = [
    ("default", None, |data| trained(data, Preset::Default)),
    ("morpheus", Some(MORPHEUS_PROFILE), |data| trained(data, Preset::Morpheus)),
    ("counting", Some(MORPHEUS_PROFILE), |data| Ok((counted(data), None))),
    ("weighted", None, |data| Ok((counted_with_weights(data), None))),
];

/// Scores by the product's own trainer: a shared model first, then one per entity with enough rows.
fn trained(data: &Data, preset: Preset) -> Result<(Vec<Scored>, Option<f64>)> {
    let config = Config::preset(preset);
    let trainer = config.trainer(&data.features)?;
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let past: Vec<&RecordBatch> = data.entities.iter().map(|entity| &entity.past).collect();
    let all = concat_batches(&past[0].schema(), past.iter().copied())?;
    let mut context = FitContext { threads, ..FitContext::default() };
    let shared = trainer.fit(&all, &context)?;
    drop(all);
    context.population = Some(shared.save()?.into());
    let ready: Vec<usize> = (0..past.len()).filter(|entity| past[*entity].num_rows() >= LEAST_ROWS).collect();
    let groups: Vec<RecordBatch> = ready.iter().map(|entity| past[*entity].clone()).collect();
    let mut own: HashMap<usize, Arc<dyn Model>> = HashMap::new();
    for (entity, model) in ready.into_iter().zip(trainer.fit_many(&groups, &context)) {
        own.insert(entity, model?);
    }
    let scored = parallel_map(data.entities.len(), threads, |entity| {
        score(own.get(&entity).unwrap_or(&shared).as_ref(), &data.entities[entity].new)
    });
    let scored: Vec<Vec<Scored>> = scored.into_iter().collect::<Result<_>>()?;
    Ok((scored.into_iter().flatten().collect(), Some(config.default_threshold())))
}

fn score(model: &dyn Model, rows: &RecordBatch) -> Result<Vec<Scored>> {
    let scored = model.score(rows)?;
    let scores = scored.column_by_name(SCORE).expect("every model scores").as_primitive::<Float64Type>();
    let days = times(rows).iter().map(|time| time.div_euclid(DAY));
    Ok(ids(rows)
        .zip(days)
        .zip(scores.values())
        .map(|((id, day), score)| Scored { id, day, score: *score })
        .collect())
}

/// A column as texts.
fn texts(batch: &RecordBatch, name: &str) -> Vec<String> {
    let column = batch.column_by_name(name).expect("a column of the profile");
    match column.as_string_opt::<i32>() {
        Some(texts) => texts.iter().map(|text| text.unwrap_or_default().to_owned()).collect(),
        None => numbers(batch, name).into_iter().map(|number| number.to_string()).collect(),
    }
}

fn numbers(batch: &RecordBatch, name: &str) -> Vec<f64> {
    let column = batch.column_by_name(name).expect("a column of the profile");
    column.as_primitive::<Int64Type>().iter().map(|number| number.unwrap_or(0) as f64).collect()
}

/// Starts scores at 0.
fn blank(data: &Data) -> Vec<Vec<f64>> {
    data.entities.iter().map(|entity| vec![0.0; entity.new.num_rows()]).collect()
}

fn named(data: &Data, scores: Vec<Vec<f64>>) -> Vec<Scored> {
    let all = data.entities.iter().zip(scores).flat_map(|(entity, scores)| {
        let days: Vec<i64> = times(&entity.new).iter().map(|time| time.div_euclid(DAY)).collect();
        let rows: Vec<Scored> = ids(&entity.new)
            .zip(days)
            .zip(scores)
            .map(|((id, day), score)| Scored { id, day, score })
            .collect();
        rows
    });
    all.collect()
}

/// How often the entity had a value, and how often all had.
fn add_rarity(data: &Data, feature: &str, weight: f64, back_off: bool, scores: &mut [Vec<f64>]) {
    let past: Vec<Vec<String>> = data.entities.iter().map(|entity| texts(&entity.past, feature)).collect();
    let mut all: HashMap<&str, f64> = HashMap::new();
    for value in past.iter().flatten() {
        *all.entry(value).or_default() += 1.0;
    }
    let total: f64 = all.values().sum();
    for ((entity, past), scores) in data.entities.iter().zip(&past).zip(scores) {
        let mut own: HashMap<&str, f64> = HashMap::new();
        for value in past {
            *own.entry(value).or_default() += 1.0;
        }
        let rows = past.len() as f64;
        for (score, value) in scores.iter_mut().zip(texts(&entity.new, feature)) {
            let count = own.get(value.as_str()).copied().unwrap_or(0.0);
            let everywhere = (all.get(value.as_str()).copied().unwrap_or(0.0) + 0.5) / (total + 1.0);
            let share = if back_off {
                (count + 10.0 * everywhere) / (rows + 10.0)
            } else {
                (count + 1.0) / (rows + 2.0)
            };
            *score -= weight * share.ln();
        }
    }
}

/// Baseline 1: how seldom the entity had each of the reference's features.
fn counted(data: &Data) -> Vec<Scored> {
    let mut scores = blank(data);
    for feature in &data.features {
        add_rarity(data, feature, 1.0, false, &mut scores);
    }
    named(data, scores)
}

/// Baseline 2: versions cut off, place and hour added, others asked about rare values, and bursts, all weighted by hand.
fn counted_with_weights(data: &Data) -> Vec<Scored> {
    let mut scores = blank(data);
    let features = ["app", "client_app", "browser", "os", "city", "result"];
    for (feature, weight) in features.map(|feature| (feature, 1.0)).into_iter().chain([("hour", 0.5)]) {
        add_rarity(data, feature, weight, true, &mut scores);
    }
    for (count, weight) in [("events_1h", 5.0), ("failures_1h", 7.5), ("apps_1h", 5.0)] {
        for (entity, scores) in data.entities.iter().zip(&mut scores) {
            let most = numbers(&entity.past, count).into_iter().fold(2.0, f64::max);
            for (score, number) in scores.iter_mut().zip(numbers(&entity.new, count)) {
                *score += weight * ((number + 1.0) / (most + 1.0)).ln().max(0.0);
            }
        }
    }
    named(data, scores)
}

/// How good scores are.
struct Quality {
    pr_auc: f64,
    by_scenario: BTreeMap<String, f64>,
    incidents: usize,
    /// Per budget: incidents among the highest scores of all days together, and of each day.
    found: Vec<(usize, usize)>,
    /// At the method's own threshold: records a day, and incidents.
    alerts: Option<(f64, usize)>,
}

impl Quality {
    fn of(mut scored: Vec<Scored>, labels: &Labels, threshold: Option<f64>) -> Self {
        scored.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.id.cmp(&b.id)));
        let label = |row: &Scored| labels.get(&row.id);
        let incidents: BTreeSet<&str> = labels.values().map(|(_, incident)| incident.as_str()).collect();
        let scenarios: BTreeSet<&str> = labels.values().map(|(scenario, _)| scenario.as_str()).collect();
        let of_scenario = |scenario: &str| {
            let is = |row: &Scored| label(row).is_some_and(|(of, _)| of == scenario);
            let rows = scored.iter().filter(|row| label(row).is_none() || is(row)).map(is);
            average_precision(rows, labels.values().filter(|(of, _)| of == scenario).count())
        };
        let caught = |rows: &mut dyn Iterator<Item = &Scored>| {
            rows.filter_map(|row| label(row).map(|(_, incident)| incident.as_str()))
                .collect::<HashSet<_>>()
                .len()
        };
        let found = BUDGETS.map(|budget| {
            let overall = caught(&mut scored.iter().take(budget * SCORED_DAYS as usize));
            let mut alerts: HashMap<i64, usize> = HashMap::new();
            let daily = caught(&mut scored.iter().filter(|row| {
                let today = alerts.entry(row.day).or_default();
                *today += 1;
                *today <= budget
            }));
            (overall, daily)
        });
        let alerts = threshold.map(|threshold| {
            let above = || scored.iter().take_while(|row| row.score > threshold);
            (above().count() as f64 / SCORED_DAYS as f64, caught(&mut above()))
        });
        Self {
            pr_auc: average_precision(scored.iter().map(|row| label(row).is_some()), labels.len()),
            by_scenario: scenarios.into_iter().map(|name| (name.to_owned(), of_scenario(name))).collect(),
            incidents: incidents.len(),
            found: found.to_vec(),
            alerts,
        }
    }

    fn mean_scenario(&self) -> f64 {
        self.by_scenario.values().sum::<f64>() / self.by_scenario.len().max(1) as f64
    }

    fn json(&self) -> serde_json::Value {
        let mut json = serde_json::json!({
            "pr_auc": self.pr_auc,
            "mean_scenario_pr_auc": self.mean_scenario(),
            "incidents": self.incidents,
        });
        for (name, value) in &self.by_scenario {
            json[format!("pr_auc {name}")] = (*value).into();
        }
        for (budget, (overall, daily)) in BUDGETS.iter().zip(&self.found) {
            json[format!("found at {budget} a day")] = (*overall).into();
            json[format!("found at {budget} each day")] = (*daily).into();
        }
        if let Some((per_day, found)) = self.alerts {
            json["alerts a day"] = per_day.into();
            json["found by alerts"] = found.into();
        }
        json
    }
}

impl std::fmt::Display for Quality {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PR-AUC {:.3}, of scenarios {:.3}; incidents", self.pr_auc, self.mean_scenario())?;
        for (budget, (overall, daily)) in BUDGETS.iter().zip(&self.found) {
            write!(f, " {overall}|{daily} at {budget}")?;
        }
        if let Some((per_day, found)) = self.alerts {
            write!(f, "; {per_day:.1} alerts a day with {found}")?;
        }
        write!(f, " [")?;
        for (name, value) in &self.by_scenario {
            write!(f, " {name} {value:.2}")?;
        }
        write!(f, " ]")
    }
}

/// Every number averaged over the sets.
fn mean(sets: &[serde_json::Value]) -> String {
    let Some(first) = sets.first().and_then(serde_json::Value::as_object) else { return String::new() };
    let mean =
        |name: &String| sets.iter().filter_map(|set| set[name].as_f64()).sum::<f64>() / sets.len() as f64;
    first.keys().map(|name| format!("{name} {:.3}", mean(name))).collect::<Vec<_>>().join(", ")
}
