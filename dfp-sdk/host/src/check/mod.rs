//! Whether a plugin keeps the rules of the border: for authors' own tests, and for `dfp plugin check`.
//!
//! A component is made, used and destroyed in all the ways a host may: a thousand times, on changing threads, with empty, odd
//! and large batches, cancelled, and with host tables of other versions. Every check has a name; a plugin that cannot keep
//! one says so in its manifest:
//!
//! ```toml
//! [[gaps]]
//! check = "threads/cancel"
//! reason = "the vendor's library cannot be interrupted"
//! ```
//!
//! ```no_run
//! use dfp_host::check::{CheckOptions, check};
//!
//! let options = CheckOptions::new("/opt/vendor/libvendor_log.so").config(r#"{"inputs": ["/opt/vendor/sample.log"]}"#);
//! let report = check(&options)?;
//! assert!(report.passed(), "{report}");
//! # Ok::<(), dfp_core::Error>(())
//! ```
//!
//! In this process a plugin that crashes takes the check with it. With [`CheckOptions::remote`] it is loaded and runs in
//! one of its own, never in this one; the checks that need its tables do not apply then.

mod elf;
mod lifecycle;
mod load;
mod raw;
mod samples;
mod subject;
mod usage;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use arrow_array::RecordBatch;
use dfp_abi::{Kind, caught};
use dfp_core::{Error, ErrorKind, Result};
use serde::Serialize;

use crate::manifest::Gap;
use crate::remote::RemoteOptions;
use crate::{ComponentDescription, Description, Plugin, Plugins, Secrets};
use load::Opened;
use subject::Subject;

/// What is checked, and how.
#[derive(Debug, Clone)]
pub struct CheckOptions {
    /// The library or its manifest, an absolute path.
    pub library: PathBuf,
    /// Of which kind the component is; may be absent if the library has only one.
    pub kind: Option<Kind>,
    /// Which component; may be absent if the library has only one (of that kind).
    pub id: Option<String>,
    /// Its configuration. For a source one that reads something, and comes to an end.
    pub config: String,
    /// The secrets that the configuration refers to.
    pub secrets: Option<Secrets>,
    /// What stages, sinks and models are given, besides what the kit makes of it. Empty: the kit tries columns of its own,
    /// and columns with the names that the configuration mentions.
    pub input: Vec<RecordBatch>,
    /// Loads the library and runs the component in a process of its own. What it says of library and component is not looked
    /// at.
    pub remote: Option<RemoteOptions>,
    /// How often an instance is made and destroyed.
    pub cycles: usize,
    /// How long one check may take. After one that takes longer no other is made: its call still runs.
    pub limit: Duration,
}

impl CheckOptions {
    /// The only component of a library, with an empty configuration, in this process.
    pub fn new(library: impl Into<PathBuf>) -> Self {
        Self {
            library: library.into(),
            kind: None,
            id: None,
            config: "{}".to_owned(),
            secrets: None,
            input: Vec::new(),
            remote: None,
            cycles: 1000,
            limit: Duration::from_secs(120),
        }
    }

    /// Takes a configuration, a JSON object as text.
    #[must_use]
    pub fn config(mut self, config: impl Into<String>) -> Self {
        self.config = config.into();
        self
    }

    /// Chooses a component.
    #[must_use]
    pub fn component(mut self, kind: Kind, id: impl Into<String>) -> Self {
        (self.kind, self.id) = (Some(kind), Some(id.into()));
        self
    }
}

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The rule is kept.
    Passed,
    /// The rule is broken.
    Failed,
    /// The rule is broken, and the manifest says why.
    Gap,
    /// The rule says nothing about this component, or cannot be looked at this way.
    NotApplicable,
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Level and name, as in `lifecycle/cycles`.
    pub name: &'static str,
    /// How it came out.
    pub outcome: Outcome,
    /// What was seen, or what is wrong.
    pub detail: String,
}

/// All checks of one component.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The library.
    pub library: PathBuf,
    /// The plugin's id and version; empty if it did not load.
    pub plugin: String,
    /// `source`, `stage`, `sink` or `model`; empty if it did not load.
    pub kind: String,
    /// The component's id.
    pub component: String,
    /// Whether it ran in a process of its own.
    pub out_of_process: bool,
    /// The checks, in the order they were made.
    pub checks: Vec<Check>,
}

impl Report {
    /// Whether no check failed.
    pub fn passed(&self) -> bool {
        self.checks.iter().all(|check| check.outcome != Outcome::Failed)
    }

    /// How many checks came out like this.
    pub fn count(&self, outcome: Outcome) -> usize {
        self.checks.iter().filter(|check| check.outcome == outcome).count()
    }

    /// The check of that name.
    pub fn check(&self, name: &str) -> Option<&Check> {
        self.checks.iter().find(|check| check.name == name)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Passed => "passed",
            Self::Failed => "FAILED",
            Self::Gap => "gap",
            Self::NotApplicable => "n/a",
        })
    }
}

impl fmt::Display for Report {
    /// A table, and a line that sums it up.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = if self.out_of_process { ", in its own process" } else { "" };
        writeln!(
            f,
            "{} {} of {} ({}{place})",
            self.kind,
            self.component,
            self.plugin,
            self.library.display()
        )?;
        for check in &self.checks {
            writeln!(f, "  {:<24}{:<8}{}", check.name, check.outcome, check.detail)?;
        }
        write!(
            f,
            "{} passed, {} failed, {} gaps, {} not applicable",
            self.count(Outcome::Passed),
            self.count(Outcome::Failed),
            self.count(Outcome::Gap),
            self.count(Outcome::NotApplicable)
        )
    }
}

/// What a check answers: what was seen, or what is wrong.
type Answer = Result<Finding, String>;

/// What a check saw.
enum Finding {
    Kept(String),
    Silent(String),
}

#[allow(clippy::unnecessary_wraps, reason = "it is how a check ends")]
fn kept(detail: impl Into<String>) -> Answer {
    Ok(Finding::Kept(detail.into()))
}

#[allow(clippy::unnecessary_wraps, reason = "it is how a check ends")]
fn silent(why: impl Into<String>) -> Answer {
    Ok(Finding::Silent(why.into()))
}

/// Collects the checks of one component.
struct Book {
    gaps: Vec<Gap>,
    limit: Duration,
    /// The check that did not end.
    hung: Option<&'static str>,
    checks: Vec<Check>,
}

impl Book {
    /// Makes a check, on a thread of its own, so that one that hangs or panics is a failure like any other.
    fn check(&mut self, name: &'static str, check: impl FnOnce() -> Answer + Send + 'static) {
        if let Some(hung) = self.hung {
            self.note(name, silent(format!("not made: {hung} still runs")));
            return;
        }
        let answer = within(self.limit, check).unwrap_or_else(|| {
            self.hung = Some(name);
            Err(format!("it did not end within {:?}", self.limit))
        });
        self.note(name, answer);
    }

    fn note(&mut self, name: &'static str, answer: Answer) {
        let gap = self.gaps.iter().find(|gap| gap.check == name);
        let (outcome, detail) = match (answer, gap) {
            (Ok(Finding::Kept(detail)), None) => (Outcome::Passed, detail),
            (Ok(Finding::Kept(detail)), Some(_)) => {
                (Outcome::Passed, format!("{detail}; the manifest need not declare a gap"))
            }
            (Ok(Finding::Silent(detail)), _) => (Outcome::NotApplicable, detail),
            (Err(detail), Some(gap)) => (Outcome::Gap, format!("{}: {detail}", gap.reason)),
            (Err(detail), None) => (Outcome::Failed, detail),
        };
        self.checks.push(Check { name, outcome, detail });
    }
}

/// What `f` answers, unless it takes longer: then its thread is left to itself.
fn within<T: Send + 'static>(
    limit: Duration,
    f: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Option<Result<T, String>> {
    let (sender, answer) = channel();
    thread::spawn(move || {
        let made = caught(|| Ok(f())).unwrap_or_else(|panic| Err(panic.to_string()));
        // Nobody listens any more if it took too long.
        let _ = sender.send(made);
    });
    answer.recv_timeout(limit).ok()
}

/// Checks one component of a library.
///
/// # Errors
/// If the options choose no component, or not one alone. A library that does not load is a failed check.
pub fn check(options: &CheckOptions) -> Result<Report> {
    let mut book =
        Book { gaps: load::gaps(&options.library), limit: options.limit, hung: None, checks: Vec::new() };
    let mut report = Report {
        library: options.library.clone(),
        plugin: String::new(),
        kind: String::new(),
        component: String::new(),
        out_of_process: options.remote.is_some(),
        checks: Vec::new(),
    };
    let (library, remote) = (options.library.clone(), options.remote.clone());
    let opened = within(options.limit, move || open(&library, remote.as_ref()));
    match opened.unwrap_or_else(|| Err("loading it does not end".to_owned())) {
        Ok((opened, loaded)) => {
            let plugin = &opened.plugin;
            report.plugin = format!("{} {}", plugin.id, plugin.version);
            let component = choose(plugin, options)?.clone();
            component.kind.name().clone_into(&mut report.kind);
            report.component.clone_from(&component.id);
            book.note(
                "load/library",
                kept(format!("made by {}, with dfp {}", plugin.vendor, plugin.sdk_version)),
            );
            load::checks(&mut book, opened, &component);
            let loaded = loaded.and_then(|plugin| plugin.component(component.kind, &component.id));
            let subject = Subject::new(component, loaded, options);
            lifecycle::checks(&mut book, &subject, options);
            usage::checks(&mut book, &subject, options);
            lifecycle::versions(&mut book, &subject);
        }
        Err(why) => book.note("load/library", Err(why)),
    }
    report.checks = book.checks;
    Ok(report)
}

/// What a library says about itself, and, unless that was in a process of its own, the library.
type Loaded = (Opened<Description>, Option<&'static Plugin>);

fn open(library: &Path, remote: Option<&RemoteOptions>) -> Result<Loaded, String> {
    if let Some(remote) = remote {
        let told = load::load(library, |path| {
            RemoteOptions { library: Some(path.to_owned()), id: None, ..remote.clone() }.describe()
        })?;
        return Ok((told.map(|told| Description { path: load::library(library), ..told }), None));
    }
    let opened = load::load(library, |path| Plugins::new().load(path))?;
    let plugin = opened.plugin;
    Ok((opened.map(Plugin::describe), Some(plugin)))
}

/// The component that the options mean.
fn choose<'a>(plugin: &'a Description, options: &CheckOptions) -> Result<&'a ComponentDescription> {
    let fits = |component: &&ComponentDescription| {
        options.kind.is_none_or(|kind| kind == component.kind)
            && options.id.as_ref().is_none_or(|id| *id == component.id)
    };
    let mut chosen = plugin.components.iter().filter(fits);
    if let (Some(component), None) = (chosen.next(), chosen.next()) {
        return Ok(component);
    }
    let there: Vec<String> = plugin
        .components
        .iter()
        .map(|component| format!("{} {}", component.kind.name(), component.id))
        .collect();
    let text = format!(
        "checking {}: choose one component by its kind and id; there are: {}",
        plugin.path.display(),
        there.join(", ")
    );
    Err(Error::new(ErrorKind::InvalidArgument, text))
}
