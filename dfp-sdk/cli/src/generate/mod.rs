//! Labelled synthetic logs in true wire formats.
//!
//! A made-up company lives through a span of days: people with habits, devices and homes, service accounts, and some
//! incidents near the end. The records are what the source would have written; `labels.csv` names those that belong to
//! an incident. The same options give the same bytes on every machine.

mod azure_ad;
mod calendar;
mod cloudtrail;
mod company;
mod day;
mod device;
mod dice;
mod duo;
mod exchange;
mod json;
mod network;
mod output;
mod plot;
mod run;
mod tables;
#[cfg(test)]
mod testing;

use std::io;
use std::path::PathBuf;

use jiff::civil::Date;
use serde::Serialize;

pub use azure_ad::azure_ad;
pub use cloudtrail::cloudtrail;
pub use duo::duo;
pub use exchange::exchange;

/// What to generate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// People; service accounts come on top.
    pub users: usize,
    /// Days, and so files.
    pub days: u32,
    /// Chooses the company and all that happens in it.
    pub seed: u64,
    /// The directory to write to; created when absent. Files of the same names are overwritten.
    pub out: PathBuf,
    /// The first day, UTC.
    pub start: Date,
    /// How often each scenario is staged; the intensity goes from loud over medium to quiet, and round again.
    pub incidents_per_scenario: usize,
    /// Incidents fall in the last so many days, at most in the second half of the span.
    pub scenario_days: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            users: 120,
            days: 75,
            seed: 1,
            out: PathBuf::from("azure-ad"),
            start: jiff::civil::date(2026, 1, 5),
            incidents_per_scenario: 3,
            scenario_days: 15,
        }
    }
}

impl Options {
    fn check(&self) -> Result<(), Error> {
        let limits = [
            ("users", self.users as u64, 1, 1 << 24),
            ("days", u64::from(self.days), 1, 10_000),
            ("scenario days", u64::from(self.scenario_days), 1, 10_000),
            ("incidents per scenario", self.incidents_per_scenario as u64, 0, 10_000),
        ];
        for (name, value, least, most) in limits {
            if !(least..=most).contains(&value) {
                return Err(Error::Option { name, value, least, most });
            }
        }
        Ok(())
    }
}

/// How far the generator is; reported after each day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Days written.
    pub day: u32,
    /// Days in all.
    pub days: u32,
    /// Records written.
    pub records: u64,
    /// Bytes written.
    pub bytes: u64,
}

/// What was generated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Files of records.
    pub files: usize,
    /// Records in them.
    pub records: u64,
    /// Records that belong to an incident.
    pub labelled: u64,
    /// Bytes of records.
    pub bytes: u64,
    /// The list of labelled records.
    pub labels: PathBuf,
    /// The counts by scenario.
    pub scenarios: Vec<ScenarioCount>,
}

/// How much there is of one scenario.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ScenarioCount {
    /// Its name in `labels.csv`.
    pub scenario: &'static str,
    /// Incidents staged.
    pub incidents: usize,
    /// Records of these incidents.
    pub records: u64,
}

/// Why nothing, or not everything, was generated.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An option is out of its limits.
    #[error("generating {value} {name}: it takes {least} to {most}")]
    Option {
        /// The option in words.
        name: &'static str,
        /// What was asked for.
        value: u64,
        /// The least that is possible.
        least: u64,
        /// The most that is possible.
        most: u64,
    },
    /// The span does not fit in the calendar.
    #[error("laying out {days} days from {start}: {source}")]
    Dates {
        /// First day.
        start: Date,
        /// Number of days.
        days: u32,
        /// What the calendar says.
        source: jiff::Error,
    },
    /// The output directory cannot be made.
    #[error("creating the directory {}: {source}", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A file cannot be made.
    #[error("creating {}: {source}", path.display())]
    Create {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A file cannot be written.
    #[error("writing {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A finished file cannot be given its name.
    #[error("moving the finished file to {}: {source}", path.display())]
    Publish {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}
