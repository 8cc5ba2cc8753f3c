//! The pipeline file: one TOML document that says what to read, how to prepare it, what to learn and where results go.

use std::path::{Path, PathBuf};

use dfp_core::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

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
    /// File for rejected records, JSON lines; without it they are only counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejects: Option<PathBuf>,
}

/// `[source]`: which plugin reads which files.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceConfig {
    /// Id of a plugin, or the absolute path of a plugin library.
    pub plugin: String,
    /// Files, directories and globs.
    #[serde(default)]
    pub inputs: Vec<String>,
    /// Files are read in periods: `D`ay, `W`eek, `M`onth or a number of hours such as `6h`. Memory is bounded by one.
    #[serde(default = "default_period")]
    pub period: String,
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
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self { users: TrainUsers::All, generic_rows: 250_000, threads: 0 }
    }
}

/// `[infer]`: how inference runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct InferConfig {
    /// Records with a higher score become findings; the model's own default if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f64>,
    /// File for findings, JSON lines.
    pub findings: PathBuf,
    /// Whether scored records join the stored history, so that tomorrow's counts and first-seen flags know them.
    pub remember: bool,
    /// Threads; 0 means all cores.
    pub threads: usize,
}

impl Default for InferConfig {
    fn default() -> Self {
        Self { threshold: None, findings: PathBuf::from("findings.jsonl"), remember: true, threads: 0 }
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
        if self.train.generic_rows == 0 {
            return invalid("`train.generic_rows` must be at least 1");
        }
        Ok(())
    }
}

/// A number of threads from a setting: 0 means every core.
pub(crate) fn threads(setting: usize) -> usize {
    match setting {
        0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        n => n,
    }
}
