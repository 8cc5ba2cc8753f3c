//! Find, check and load dfp plugins; open their inputs.
//!
//! A program names the components it links and the directories it trusts ([`Plugins`]), and gives them a
//! [`Host`](dfp_core::Host) to work with ([`LocalHost`]). A loaded component is a [`Source`](dfp_core::Source),
//! [`Stage`](dfp_core::Stage), [`Sink`](dfp_core::Sink) or [`Trainer`](dfp_core::Trainer) like any other.
//!
//! ```no_run
//! use std::sync::Arc;
//!
//! use dfp_host::{LocalHost, Plugins};
//!
//! let plugins = Plugins::new().search("/usr/lib/dfp");
//! let host = Arc::new(LocalHost::new());
//! let config = r#"{"inputs": ["/var/log/azure/day1.json"]}"#;
//! let mut source = plugins.source("azure-ad", config, host.clone())?;
//! let mut rows = 0;
//! for batch in source.open(None)? {
//!     rows += batch?.num_rows() as u64;
//! }
//! assert!(host.counts(rows).balanced());
//! # Ok::<(), dfp_core::Error>(())
//! ```
//!
//! Two features are off unless asked for: `remote` (plugins in a process of their own) and `check` (the conformance kit).
//!
//! Loading a plugin runs its code with all rights of the program; nothing here is a sandbox. What is kept out are files that
//! somebody else could have put there: only absolute paths and named directories are looked at, and a file is refused if
//! anybody but its owner, who must be the user or the administrator, could change it or a directory above it. What a plugin
//! answers is checked before it is believed, and libraries stay loaded until the process ends.

#[cfg(feature = "check")]
pub mod check;
mod config;
mod description;
mod error;
mod files;
#[doc(hidden)]
pub mod fuzzing;
mod inflate;
mod instance;
mod library;
mod local;
mod manifest;
mod model;
mod plugins;
#[cfg(feature = "remote")]
pub mod remote;
mod secrets;
mod sink;
mod source;
mod stage;
mod table;
mod trust;

pub use description::{ComponentDescription, Description};
pub use dfp_abi::{Create, Kind, LinkedComponent};
pub use error::{Error, Result, Trace};
pub use instance::{Canceller, PLUGIN_VIOLATIONS};
pub use library::{LoadedComponent, Plugin};
pub use local::LocalHost;
pub use manifest::seal;
pub use model::TrainerHandle;
pub use plugins::{Found, Listed, Plugins};
pub use secrets::Secrets;
pub use sink::SinkHandle;
pub use source::SourceHandle;
pub use stage::StageHandle;
pub use trust::{Audit, Policy, PublicKey, SecretKey};

#[cfg(test)]
// SAFETY of the calls in there: the tables are made by hand next to the tests, and keep the border's rules but for what is
// promised to be noticed.
#[allow(clippy::undocumented_unsafe_blocks)]
mod kinds_tests;

#[cfg(all(test, target_os = "linux"))]
mod trust_tests;
