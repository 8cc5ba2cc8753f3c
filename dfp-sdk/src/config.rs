//! The pipeline file: one TOML document that says what to read, how to prepare it, what to learn and where results go.

use std::path::{Path, PathBuf};

use dfp_core::{Error, ErrorKind, Result};
use dfp_host::{Policy, PublicKey, Secrets};
use serde::{Deserialize, Serialize};

use crate::device::{DeviceChoice, Precision};

/// A pipeline file. Paths in it are relative to the working directory.
///
/// ```
/// let pipeline = dfp_sdk::PipelineConfig::from_toml(r#"
/// [source]
/// plugin = "azure-ad"
/// inputs = ["logs/*.json"]
/// "#)?;
/// assert_eq!(pipeline.store.path.to_str(), Some(".dfp"));
/// # Ok::<(), dfp_sdk::core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PipelineConfig {
    /// What to read.
    pub source: SourceConfig,
    /// Who, when and what.
    #[serde(default)]
    pub profile: ProfileConfig,
    /// What to learn.
    #[serde(default)]
    pub model: dfp_models::detector::Config,
    /// Where histories and models are kept.
    #[serde(default)]
    pub store: StoreConfig,
    /// How training runs.
    #[serde(default)]
    pub train: TrainConfig,
    /// How inference runs.
    #[serde(default)]
    pub infer: InferConfig,
    /// Which plugin libraries may be loaded.
    #[serde(default, skip_serializing_if = "is_default")]
    pub plugins: PluginsConfig,
    /// Where the secrets are that `source.config` refers to.
    #[serde(default, skip_serializing_if = "is_default")]
    pub secrets: SecretsConfig,
    /// File for rejected records, JSON lines; without it they are only counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejects: Option<PathBuf>,
}

/// `[source]`: which plugin reads what.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceConfig {
    /// Id of a plugin, or the absolute path of a plugin library.
    pub plugin: String,
    /// Whether the plugin runs in a process of its own, confined, and is never loaded into this one. The program must know
    /// how: see [`Plugins::isolated_by`](dfp_host::Plugins), and the feature `isolation`.
    #[serde(default)]
    pub isolate: bool,
    /// Files, directories and globs. None for a source that reads no files: `config` says what it reads.
    #[serde(default)]
    pub inputs: Vec<String>,
    /// Files are read in periods: `D`ay, `W`eek, `M`onth or a number of hours such as `6h`. Memory is bounded by one.
    #[serde(default = "default_period")]
    pub period: String,
    /// A source that reads no files is read so many records at a time. Memory is bounded by a few times these, and by 64 MiB
    /// of them as they come.
    #[serde(default = "default_period_records")]
    pub period_records: usize,
    /// What to do with a file that cannot be opened: `fail`, or `skip` and count it.
    #[serde(default)]
    pub unreadable: Unreadable,
    /// Further settings for the plugin, checked by the plugin.
    #[serde(default)]
    pub config: serde_json::Map<String, serde_json::Value>,
}

fn default_period() -> String {
    "D".to_owned()
}

fn default_period_records() -> usize {
    100_000
}

/// What to do with a file that cannot be opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unreadable {
    /// End the run; nothing is published.
    #[default]
    Fail,
    /// Warn, count it, go on.
    Skip,
}

/// `[profile]`: the plugin's own profile or a file, and what to change in it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ProfileConfig {
    /// A TOML file with a whole profile, in place of the one the plugin ships.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
    /// Any part of a profile, laid over the one chosen.
    #[serde(flatten)]
    pub overrides: toml::Table,
}

/// `[plugins]`: which plugin libraries may be loaded. The program's own policy holds too: the stricter of the two counts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PluginsConfig {
    /// `explicit-only`, `hash` or `signed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// Public keys whose signatures count under `signed`, 64 hexadecimal digits each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<String>,
}

impl PluginsConfig {
    /// The policy these settings ask for.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`] for a policy or key that is none, or that do not go together.
    pub fn policy(&self) -> Result<Policy> {
        let keys = self.keys.iter().map(|key| key.parse::<PublicKey>());
        let named = |keys| Policy::named(self.policy.as_deref().unwrap_or("explicit-only"), keys);
        keys.collect::<Result<_>>().and_then(named).map_err(|error| error.context("[plugins]"))
    }
}

/// `[secrets]`: where the secrets are that `source.config` refers to as `{"$secret" = "name"}`. One of the two, or none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SecretsConfig {
    /// A directory with one file for each secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub directory: Option<PathBuf>,
    /// How the environment variables begin that hold one secret each.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
}

impl SecretsConfig {
    /// Where to look; `None` if nowhere.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`] if both are given.
    pub fn secrets(&self) -> Result<Option<Secrets>> {
        match (&self.directory, &self.environment) {
            (Some(_), Some(_)) => {
                let what = "[secrets]: give either `directory` or `environment`";
                Err(Error::new(ErrorKind::InvalidConfig, what))
            }
            (Some(directory), None) => {
                let doing = || format!("[secrets]: finding {}", directory.display());
                let directory = std::path::absolute(directory).map_err(|e| Error::io(doing(), e))?;
                Ok(Some(Secrets::directory(directory)))
            }
            (None, Some(prefix)) => Ok(Some(Secrets::environment(prefix))),
            (None, None) => Ok(None),
        }
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// `[store]`: where histories and models are kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StoreConfig {
    /// Directory of the store.
    pub path: PathBuf,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self { path: PathBuf::from(".dfp") }
    }
}

/// Which models a run trains: one per entity, the shared one, or both.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TrainUsers {
    /// Both.
    #[default]
    All,
    /// Only the model of all entities together, which scores whoever has none of their own.
    Generic,
    /// Only one model per entity; the shared one, if stored, serves as background.
    Individual,
}

/// `[train]`: how training runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrainConfig {
    /// Which models to train.
    pub users: TrainUsers,
    /// Most rows the shared model learns from. Of more, whole entities are sampled. Bounds the memory of training.
    pub generic_rows: u64,
    /// Threads; 0 means all cores.
    pub threads: usize,
    /// What to train on: `auto`, `cpu`, `cuda`, `cuda:0`.
    pub device: DeviceChoice,
    /// How CUDA devices compute.
    pub precision: Precision,
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            users: TrainUsers::All,
            generic_rows: 250_000,
            threads: 0,
            device: DeviceChoice::Auto,
            precision: Precision::Fp32,
        }
    }
}

/// `[infer]`: how inference runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct InferConfig {
    /// Records with a higher score become findings; the model's own default if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f64>,
    /// File for findings, JSON lines. It holds those of one run over files; runs over a source that reads no files add
    /// theirs.
    pub findings: PathBuf,
    /// Whether the records join the stored history, so that tomorrow's counts and first-seen flags know them.
    pub remember: bool,
    /// What to do with records that the stored history holds already, from training or an earlier inference. If absent,
    /// they are scored if they come from files, and skipped if not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub known: Option<Known>,
    /// Threads; 0 means all cores.
    pub threads: usize,
    /// What to score on: `auto`, `cpu`, `cuda`, `cuda:0`.
    pub device: DeviceChoice,
    /// How CUDA devices compute.
    pub precision: Precision,
}

/// What inference does with records that the stored history holds already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Known {
    /// Score them again: the same files give the same scores, however often, as long as the history still holds what came
    /// before them. A record of a day that the history has let go is scored with what is left, and not remembered.
    Score,
    /// Reject them as duplicates: logs that are pulled with overlaps give each finding once. Nobody can tell whether a record
    /// of a day that the history has let go was there: it is rejected as too old.
    Skip,
}

impl Default for InferConfig {
    fn default() -> Self {
        Self {
            threshold: None,
            findings: PathBuf::from("findings.jsonl"),
            remember: true,
            known: None,
            threads: 0,
            device: DeviceChoice::Auto,
            precision: Precision::Fp32,
        }
    }
}

impl PipelineConfig {
    /// Reads a pipeline file's text.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`], naming the line and key.
    pub fn from_toml(text: &str) -> Result<Self> {
        let config: Self = toml::from_str(text)
            .map_err(|e| Error::new(ErrorKind::InvalidConfig, format!("reading the pipeline file: {e}")))?;
        config.check()?;
        Ok(config)
    }

    /// Reads a pipeline file.
    ///
    /// # Errors
    /// As [`from_toml`](Self::from_toml), or if the file cannot be read.
    pub fn from_file(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path)
            .map_err(|e| Error::io(format!("reading the pipeline file {}", path.display()), e))?;
        Self::from_toml(&text).map_err(|e| e.context(path.display().to_string()))
    }

    fn check(&self) -> Result<()> {
        let invalid = |what: &str| Err(Error::new(ErrorKind::InvalidConfig, what.to_owned()));
        if self.infer.threshold.is_some_and(|t| !t.is_finite()) {
            return invalid("`infer.threshold` must be a finite number");
        }
        if self.source.period_records == 0 {
            return invalid("`source.period_records` must be at least 1");
        }
        if self.train.generic_rows == 0 {
            return invalid("`train.generic_rows` must be at least 1");
        }
        if self.train.threads.max(self.infer.threads) > MAX_THREADS {
            return invalid("`train.threads` and `infer.threads` must be at most 1024");
        }
        self.plugins.policy()?;
        self.secrets.secrets()?;
        Ok(())
    }
}

/// Most threads accepted: far above use, far below what a system gives.
const MAX_THREADS: usize = 1024;

/// A number of threads from a setting: 0 means every core.
pub(crate) fn threads(setting: usize) -> usize {
    match setting {
        0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        n => n,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_example_is_read() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/pipelines");
        let mut read = 0;
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let config = PipelineConfig::from_file(&path).unwrap();
            let plugin = config.source.plugin.rsplit('#').next().unwrap();
            let stem = path.file_stem().unwrap().to_str().unwrap();
            assert!(stem.starts_with(plugin.split('-').next().unwrap()), "{stem}");
            read += 1;
        }
        assert!(read >= 5, "{read}");
    }

    #[test]
    fn settings_that_cannot_work_are_named() {
        for (text, expected) in [
            ("[train]\nthreads = 2305843009213693952", "train.threads"),
            ("[infer]\nthreads = 1025", "infer.threads"),
            ("[train]\ngeneric_rows = 0", "train.generic_rows"),
            ("period_records = 0", "source.period_records"),
            ("[train]\ndevice = \"gpu\"", "write auto, cpu, cuda"),
            ("[infer]\ndevice = 0", "line 4"),
            ("[train]\nprecision = \"fp16\"", "fp32"),
        ] {
            let error = PipelineConfig::from_toml(&format!("[source]\nplugin = \"azure-ad\"\n{text}"));
            let error = error.expect_err(text);
            assert_eq!(error.kind(), ErrorKind::InvalidConfig);
            assert!(error.to_string().contains(expected), "{text}: {error}");
        }
    }
}
