//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use dfp_sdk::core::Result;
use dfp_sdk::host::Secrets;
use dfp_sdk::prep::sessionize::parse_length;
use dfp_sdk::{DeviceChoice, SecretsConfig};
use jiff::{SignedDuration, Timestamp};

/// Digital fingerprinting: learn what each user normally does, explain what is not normal.
///
/// Results go to stdout or to files; progress, counts and warnings to stderr. Exit status: 0 done, 1 failed, 2 wrong
/// usage or configuration, 3 done with rejected records under --strict.
#[derive(Debug, Parser)]
#[command(name = "dfp", version)]
pub(crate) struct Cli {
    /// No progress on stderr.
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
    /// Results as JSON on stdout.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Another directory to look for plugins in, before the program's own; may be repeated.
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) plugin_dir: Vec<PathBuf>,
    /// Which plugin libraries may be loaded; `signed` if keys are given, else any in those directories. A pipeline file can
    /// ask for more, not for less.
    #[arg(long, global = true, value_name = "POLICY", value_parser = ["explicit-only", "hash", "signed"])]
    pub(crate) plugin_policy: Option<String>,
    /// A public key whose signatures count: its digits, or the file that `dfp plugin keygen` wrote; may be repeated.
    #[arg(long, global = true, value_name = "KEY")]
    pub(crate) plugin_key: Vec<String>,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What the program can do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Generate logs, train, detect, report: the tour in one command.
    Demo(DemoArgs),
    /// Write labelled synthetic logs in true wire formats.
    Generate(GenerateArgs),
    /// Learn a model per entity from logs, and keep histories and models in the store.
    Train(TrainArgs),
    /// Score logs with the stored models; unusual records become findings.
    Infer(InferArgs),
    /// Decode logs to JSON lines, Parquet or Arrow, and count: read, used, rejected by reason.
    Read(ReadArgs),
    /// Look at plugins.
    #[command(subcommand)]
    Plugin(PluginCommand),
    /// Look at stored models.
    #[command(subcommand)]
    Models(ModelsCommand),
    /// Sessions of ordered events, and how unusual their order is.
    #[command(subcommand)]
    Sessions(SessionsCommand),
    /// What there is to compute on: the processor, and CUDA devices in a program built for them.
    Devices,
    /// Run one plugin for another process, which starts this and talks to it over stdin and stdout.
    #[command(hide = true)]
    PluginHost,
}

/// `dfp demo`
#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Where logs, store and findings go; made anew.
    #[arg(long, default_value = "dfp-demo")]
    pub(crate) dir: PathBuf,
    /// Seed of the generated logs.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
}

/// Kinds of log that can be generated.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum LogKind {
    /// Azure AD (Entra ID) sign-ins, diagnostic records, one file a day.
    AzureAd,
    /// AWS `CloudTrail`, gzipped files as a trail delivers them to a bucket.
    Cloudtrail,
    /// Duo authentications, records of the Admin API, one file a day.
    Duo,
    /// Exchange / Microsoft 365 unified audit records, one file a day.
    Exchange,
}

/// `dfp generate`
#[derive(Debug, Args)]
pub(crate) struct GenerateArgs {
    /// Kind of log.
    pub(crate) kind: LogKind,
    /// Number of users; 120, or 60 of the talkative kinds cloudtrail and exchange, if absent.
    #[arg(long)]
    pub(crate) users: Option<usize>,
    /// Number of days; 75, or 45 of the talkative kinds, if absent.
    #[arg(long)]
    pub(crate) days: Option<u32>,
    /// Seed; the same seed gives the same bytes.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Attacks fall into the last so many days.
    #[arg(long, default_value_t = 15)]
    pub(crate) scenario_days: u32,
    /// Incidents of each of the kind's scenarios.
    #[arg(long, default_value_t = 3)]
    pub(crate) incidents: usize,
    /// Directory for the logs and labels.csv.
    #[arg(long)]
    pub(crate) out: PathBuf,
}

/// Which files and which users a run takes.
#[derive(Debug, Args)]
pub(crate) struct SelectionArgs {
    /// Pipeline file.
    #[arg(long, short, value_name = "FILE")]
    pub(crate) config: PathBuf,
    /// Inputs in place of the pipeline file's: files, directories and all in them, globs; may be repeated.
    #[arg(long = "input", short = 'f', value_name = "INPUT")]
    pub(crate) inputs: Vec<String>,
    /// Leave this user out; may be repeated.
    #[arg(long, value_name = "USER", conflicts_with = "only_user")]
    pub(crate) skip_user: Vec<String>,
    /// Take only this user; may be repeated.
    #[arg(long, value_name = "USER")]
    pub(crate) only_user: Vec<String>,
    /// Take files from this time on: a date, or date and time, with offset or UTC.
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub(crate) start_time: Option<Timestamp>,
    /// Take files of this span: from --start-time on, or back from now. `60d`, `12h`, `90m`.
    #[arg(long, value_name = "SPAN", value_parser = parse_span)]
    pub(crate) duration: Option<SignedDuration>,
    /// Begin at the start of a source that reads no files, wherever an earlier run came to; what the store holds is not taken
    /// again.
    #[arg(long)]
    pub(crate) from_start: bool,
    /// Exit with 3 if any record was rejected.
    #[arg(long)]
    pub(crate) strict: bool,
    /// Run the plugin in a process of its own, sandboxed, as `source.isolate` in the pipeline file does.
    #[arg(long)]
    pub(crate) isolate: bool,
    /// Compute on this: auto, cpu, cuda (every CUDA device) or cuda:0; in place of the pipeline file's choice.
    #[arg(long, value_name = "DEVICE")]
    pub(crate) device: Option<DeviceChoice>,
}

/// Which models to train.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum TrainUsers {
    /// One per user, and the shared one.
    All,
    /// Only the shared one.
    Generic,
    /// Only one per user.
    Individual,
}

/// `dfp train`
#[derive(Debug, Args)]
pub(crate) struct TrainArgs {
    /// What to take.
    #[command(flatten)]
    pub(crate) selection: SelectionArgs,
    /// Which models to train, in place of the pipeline file's choice.
    #[arg(long, value_name = "WHICH")]
    pub(crate) train_users: Option<TrainUsers>,
}

/// `dfp infer`
#[derive(Debug, Args)]
pub(crate) struct InferArgs {
    /// What to take.
    #[command(flatten)]
    pub(crate) selection: SelectionArgs,
    /// Write the score of every record here, JSON lines.
    #[arg(long, value_name = "FILE")]
    pub(crate) scores: Option<PathBuf>,
    /// Findings file, in place of the pipeline file's.
    #[arg(long, value_name = "FILE")]
    pub(crate) findings: Option<PathBuf>,
    /// Records with a higher score become findings, in place of the pipeline file's threshold.
    #[arg(long, value_name = "SCORE")]
    pub(crate) threshold: Option<f64>,
    /// Leave the store as it is: scored records do not join the history.
    #[arg(long)]
    pub(crate) forget: bool,
}

/// Where a configuration's secrets are.
#[derive(Debug, Args)]
pub(crate) struct SecretsArgs {
    /// Where the secrets are that the configuration refers to: a directory with one file for each.
    #[arg(long = "secrets", value_name = "DIR", conflicts_with = "environment")]
    directory: Option<PathBuf>,
    /// The same: how the environment variables begin that hold one each.
    #[arg(long = "secrets-env", value_name = "PREFIX")]
    environment: Option<String>,
}

impl SecretsArgs {
    /// Where to look; `None` if nowhere.
    pub(crate) fn secrets(&self) -> Result<Option<Secrets>> {
        let (directory, environment) = (self.directory.clone(), self.environment.clone());
        SecretsConfig { directory, environment }.secrets()
    }
}

/// How `dfp read` writes records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReadFormat {
    /// One JSON object a line; what has no value is left out.
    Ndjson,
    /// A Parquet file, compressed with Snappy.
    Parquet,
    /// An Arrow IPC file.
    Arrow,
    /// An Arrow IPC stream.
    ArrowStream,
}

/// `dfp read`
#[derive(Debug, Args)]
#[allow(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub(crate) struct ReadArgs {
    /// Plugin id, or absolute path of a plugin library.
    #[arg(long)]
    pub(crate) plugin: String,
    /// Columns to decode, by dotted name; the plugin's own list if absent; may be repeated.
    #[arg(long, value_name = "NAME")]
    pub(crate) column: Vec<String>,
    /// How to write records; else by --out's ending (.jsonl, .ndjson, .json, .parquet, .arrow, .feather, .arrows), or ndjson.
    #[arg(long)]
    pub(crate) format: Option<ReadFormat>,
    /// Write records to this file, which appears when the run ends well, instead of stdout.
    #[arg(long, short, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Counts, times, ids, entities and columns on stdout; records only if --out says where to.
    #[arg(long)]
    pub(crate) stats: bool,
    /// Leave out records that came before: the same id, and nothing else different, among the last million.
    #[arg(long)]
    pub(crate) dedup: bool,
    /// The plugin's configuration, a file with a JSON object.
    #[arg(long, short, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// One member of the plugin's configuration: VALUE as JSON, or as text if it is none; may be repeated.
    #[arg(long, value_name = "NAME=VALUE", value_parser = parse_option)]
    pub(crate) option: Vec<(String, serde_json::Value)>,
    /// Where the secrets are that the configuration refers to.
    #[command(flatten)]
    pub(crate) secrets: SecretsArgs,
    /// Exit with 3 if any record was rejected.
    #[arg(long)]
    pub(crate) strict: bool,
    /// Run the plugin in a process of its own, sandboxed.
    #[arg(long)]
    pub(crate) isolate: bool,
    /// Files, directories and all in them, globs; none for a plugin whose configuration says what to read.
    #[arg(value_name = "INPUT", required_unless_present_any = ["config", "option"])]
    pub(crate) inputs: Vec<String>,
}

/// `dfp plugin`
#[derive(Debug, Subcommand)]
pub(crate) enum PluginCommand {
    /// Plugins found, where, and what they hold; reads manifests, opens no library.
    List,
    /// Write a library's manifest, with its hash, beside it; loads the library to read its tables.
    Seal(SealArgs),
    /// Make a key that signs manifests: FILE for yourself alone, FILE.pub for whoever trusts you.
    Keygen {
        /// Where the secret key goes; must not be there yet.
        file: PathBuf,
    },
    /// Does to a plugin's component all that a host may do, and says which rules it keeps; exit status 1 if it breaks one.
    Check(CheckArgs),
}

/// `dfp plugin seal`
#[derive(Debug, Args)]
pub(crate) struct SealArgs {
    /// The library.
    pub(crate) library: PathBuf,
    /// Sign with this secret key, a file that `dfp plugin keygen` wrote.
    #[arg(long, value_name = "FILE")]
    pub(crate) key: Option<PathBuf>,
    /// NAME of NAME.dfp-plugin.toml, by which the plugin is found; its only component's id, or from the library's name.
    #[arg(long)]
    pub(crate) name: Option<String>,
}

/// `dfp plugin check`
#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// The plugin's library or manifest.
    pub(crate) library: PathBuf,
    /// The component's configuration, a file with a JSON object; for a source one that reads something.
    #[arg(long, short, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Kind of the component, if there are several.
    #[arg(long)]
    pub(crate) kind: Option<ComponentKind>,
    /// Id of the component, if there are several.
    #[arg(long)]
    pub(crate) id: Option<String>,
    /// Where the secrets are that the configuration refers to.
    #[command(flatten)]
    pub(crate) secrets: SecretsArgs,
    /// Load and run it in a process of its own, sandboxed.
    #[arg(long)]
    pub(crate) out_of_process: bool,
}

/// Kinds of component.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum ComponentKind {
    /// Reads records.
    Source,
    /// Turns batches into others.
    Stage,
    /// Takes batches out of the run.
    Sink,
    /// Learns and scores.
    Model,
}

/// `dfp models`
#[derive(Debug, Subcommand)]
pub(crate) enum ModelsCommand {
    /// Stored models with their latest versions.
    List(StoreArgs),
    /// One model: its versions, what it learned from, its settings.
    Show {
        /// Name as `dfp models list` prints it, with or without `:version`.
        name: String,
        /// Where it is kept.
        #[command(flatten)]
        store: StoreArgs,
    },
}

/// Which store to look into.
#[derive(Debug, Args)]
pub(crate) struct StoreArgs {
    /// Pipeline file whose store to open.
    #[arg(long, short, value_name = "FILE", conflicts_with = "store")]
    pub(crate) config: Option<PathBuf>,
    /// Directory of the store.
    #[arg(long, value_name = "DIR", default_value = ".dfp")]
    pub(crate) store: PathBuf,
}

/// `dfp sessions`
#[derive(Debug, Subcommand)]
pub(crate) enum SessionsCommand {
    /// Make sessions of records: events of one identity that follow each other closely.
    Build(SessionsBuildArgs),
    /// Learn from sessions, and keep the models in the store.
    Train(SessionsTrainArgs),
    /// Score sessions: how unlikely is the rarest window of each.
    Score(SessionsScoreArgs),
    /// List the rarest of scored sessions, or draw them all on a line of time.
    Show(SessionsShowArgs),
}

/// How much of an event counts.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum EventKind {
    /// The command.
    Commands,
    /// And which parameters it has.
    Parameters,
    /// And their values.
    Values,
}

/// Where sessions come from: logs with --plugin, tables of events with --rules, else tables of sessions, as
/// `dfp sessions build` writes them.
#[derive(Debug, Args)]
pub(crate) struct SessionInputArgs {
    /// Read logs with this plugin: its id, or the absolute path of its library.
    #[arg(long)]
    pub(crate) plugin: Option<String>,
    /// How records become sessions, a TOML file; else the plugin's own rules.
    #[arg(long, value_name = "FILE")]
    pub(crate) rules: Option<PathBuf>,
    /// How much of an event counts, in place of what the rules say.
    #[arg(long)]
    pub(crate) kind: Option<EventKind>,
    /// Longest session, in place of what the rules say: 20min, 90s, 0.5h.
    #[arg(long, value_name = "LENGTH", value_parser = parse_length)]
    pub(crate) max_length: Option<Duration>,
    /// Longest time between two events of a session, in place of what the rules say.
    #[arg(long, value_name = "LENGTH", value_parser = parse_length)]
    pub(crate) max_separation: Option<Duration>,
    /// An event exactly at a limit starts a new session, as in KQL.
    #[arg(long)]
    pub(crate) inclusive: bool,
    /// Give sessions as they close, with events at most so much older than newer ones before them; else at the end.
    #[arg(long, value_name = "LENGTH", value_parser = parse_length)]
    pub(crate) lateness: Option<Duration>,
    /// Add a column with the number of different commands.
    #[arg(long)]
    pub(crate) number_distinct: bool,
    /// One member of the plugin's configuration: VALUE as JSON, or as text if it is none; may be repeated.
    #[arg(long, value_name = "NAME=VALUE", value_parser = parse_option)]
    pub(crate) option: Vec<(String, serde_json::Value)>,
    /// Exit with 3 if any record was rejected.
    #[arg(long)]
    pub(crate) strict: bool,
    /// Files, directories and all in them, globs.
    #[arg(value_name = "INPUT", required = true)]
    pub(crate) inputs: Vec<String>,
}

/// Settings of the model of sequences.
#[derive(Debug, Args)]
pub(crate) struct SequenceArgs {
    /// The column of sessions; else the only one that holds lists of events.
    #[arg(long, value_name = "COLUMN")]
    pub(crate) events: Option<String>,
    /// Length of the windows whose rarest one is looked for; may be repeated, the first makes the score. Default 3.
    #[arg(long, value_name = "LENGTH")]
    pub(crate) window: Vec<usize>,
    /// The numbers of msticpy, to the last digits.
    #[arg(long)]
    pub(crate) parity: bool,
    /// All settings, a file with a JSON object.
    #[arg(long, value_name = "FILE", conflicts_with = "parity")]
    pub(crate) settings: Option<PathBuf>,
}

/// `dfp sessions build`
#[derive(Debug, Args)]
pub(crate) struct SessionsBuildArgs {
    /// What to read.
    #[command(flatten)]
    pub(crate) input: SessionInputArgs,
    /// How to write sessions; else by --out's ending, or ndjson. The other commands read Parquet and Arrow.
    #[arg(long)]
    pub(crate) format: Option<ReadFormat>,
    /// Write sessions to this file, which appears when the run ends well, instead of stdout.
    #[arg(long, short, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

/// `dfp sessions train`
#[derive(Debug, Args)]
pub(crate) struct SessionsTrainArgs {
    /// What to read.
    #[command(flatten)]
    pub(crate) input: SessionInputArgs,
    /// Settings of the model.
    #[command(flatten)]
    pub(crate) model: SequenceArgs,
    /// Beside the model of all sessions, one for each value of this column.
    #[arg(long, value_name = "COLUMN")]
    pub(crate) by: Option<String>,
    /// Add to what the stored models know, instead of replacing them.
    #[arg(long)]
    pub(crate) update: bool,
    /// The same, with what they know multiplied by this first: 0.5 halves it.
    #[arg(long, value_name = "FACTOR", value_parser = parse_factor)]
    pub(crate) decay: Option<f64>,
    /// Name of the models in the store.
    #[arg(long, default_value = "sessions")]
    pub(crate) name: String,
    /// Directory of the store.
    #[arg(long, value_name = "DIR", default_value = ".dfp")]
    pub(crate) store: PathBuf,
}

/// `dfp sessions score`
#[derive(Debug, Args)]
pub(crate) struct SessionsScoreArgs {
    /// What to read.
    #[command(flatten)]
    pub(crate) input: SessionInputArgs,
    /// Settings of the model, with --in-sample; a stored one has its own.
    #[command(flatten)]
    pub(crate) model: SequenceArgs,
    /// Learn from the very sessions that are scored, as msticpy does, instead of by stored models.
    #[arg(long)]
    pub(crate) in_sample: bool,
    /// Name of the models in the store.
    #[arg(long, default_value = "sessions")]
    pub(crate) name: String,
    /// Directory of the store.
    #[arg(long, value_name = "DIR", default_value = ".dfp")]
    pub(crate) store: PathBuf,
    /// How to write scored sessions; else by --out's ending, or ndjson.
    #[arg(long)]
    pub(crate) format: Option<ReadFormat>,
    /// Write scored sessions to this file, which appears when the run ends well, instead of stdout.
    #[arg(long, short, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

/// `dfp sessions show`
#[derive(Debug, Args)]
pub(crate) struct SessionsShowArgs {
    /// How many sessions to list.
    #[arg(long, default_value_t = 20)]
    pub(crate) top: usize,
    /// Draw them on a page that needs nothing but a browser.
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
    /// Leave out sessions of a greater likelihood.
    #[arg(long, value_name = "LIKELIHOOD")]
    pub(crate) upper_bound: Option<f64>,
    /// Column of the time; else the first one of times that ends in `_min`.
    #[arg(long, value_name = "COLUMN")]
    pub(crate) time: Option<String>,
    /// Column of the likelihood; else the first `rarest_window..._likelihood`.
    #[arg(long, value_name = "COLUMN")]
    pub(crate) score: Option<String>,
    /// Column of the window; else the one that goes with the likelihood.
    #[arg(long, value_name = "COLUMN")]
    pub(crate) window_column: Option<String>,
    /// Column to show with each session; may be repeated; else whose it is, its number of events and the reasons.
    #[arg(long, value_name = "COLUMN")]
    pub(crate) column: Vec<String>,
    /// Title of the page.
    #[arg(long)]
    pub(crate) title: Option<String>,
    /// Scored sessions: Parquet or Arrow files, directories and all in them, globs.
    #[arg(value_name = "INPUT", required = true)]
    pub(crate) inputs: Vec<String>,
}

fn parse_factor(text: &str) -> Result<f64, String> {
    let factor = text.parse().ok().filter(|factor| (0.0..=1.0).contains(factor));
    factor.ok_or_else(|| format!("`{text}` is no number from 0 to 1"))
}

fn parse_time(text: &str) -> Result<Timestamp, String> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(time);
    }
    let civil = text.parse::<jiff::civil::DateTime>().or_else(|_| {
        text.parse::<jiff::civil::Date>().map(|date| date.to_datetime(jiff::civil::Time::midnight()))
    });
    civil
        .and_then(|civil| jiff::tz::Offset::UTC.to_timestamp(civil))
        .map_err(|_| format!("`{text}` is no time; write 2026-03-01 or 2026-03-01T08:30:00Z"))
}

fn parse_span(text: &str) -> Result<SignedDuration, String> {
    const UNITS: [(char, i64); 4] = [('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];
    let wrong = || format!("`{text}` is no span; write 60d, 12h, 90m or 30s");
    let (number, seconds) = UNITS
        .iter()
        .find_map(|(unit, seconds)| Some((text.strip_suffix(*unit)?, seconds)))
        .ok_or_else(wrong)?;
    let number: i64 = number.parse().map_err(|_| wrong())?;
    let total = number.checked_mul(*seconds).filter(|total| *total > 0).ok_or_else(wrong)?;
    Ok(SignedDuration::from_secs(total))
}

fn parse_option(text: &str) -> Result<(String, serde_json::Value), String> {
    let (name, value) =
        text.split_once('=').ok_or_else(|| format!("`{text}` has no `=`; write NAME=VALUE"))?;
    let value = serde_json::from_str(value).unwrap_or_else(|_| value.into());
    Ok((name.to_owned(), value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }

    #[test]
    fn times_without_zone_are_utc() {
        assert_eq!(parse_time("2026-03-01").unwrap(), "2026-03-01T00:00:00Z".parse().unwrap());
        assert_eq!(parse_time("2026-03-01T08:30").unwrap(), "2026-03-01T08:30:00Z".parse().unwrap());
        assert_eq!(parse_time("2026-03-01T08:30:00+02:00").unwrap(), "2026-03-01T06:30:00Z".parse().unwrap());
        assert!(parse_time("yesterday").is_err());
    }

    #[test]
    fn spans_have_a_unit_and_are_positive() {
        assert_eq!(parse_span("60d").unwrap().as_secs(), 5_184_000);
        for wrong in ["", "d", "60", "-1h", "0s", "9999999999999999d", "1w"] {
            assert!(parse_span(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn options_are_json_or_text() {
        use serde_json::json;
        let value = |text: &str| parse_option(text).unwrap().1;
        assert_eq!(parse_option("depth=64").unwrap(), ("depth".to_owned(), json!(64)));
        assert_eq!(value("a=skip"), json!("skip"));
        assert_eq!(value("a=007"), json!("007"));
        assert_eq!(value("a=\"64\""), json!("64"));
        assert_eq!(value("a=b=c"), json!("b=c"));
        assert_eq!(value(r#"a={"$secret":"t"}"#), json!({"$secret": "t"}));
        assert!(parse_option("a").is_err());
    }
}
