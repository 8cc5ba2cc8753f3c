//! Find, check and load dfp plugins; open their inputs.
//!
//! A program names the sources it links and the directories it trusts ([`Plugins`]), and gives them a [`Host`](dfp_core::Host)
//! to work with ([`LocalHost`]). A loaded source is a [`Source`](dfp_core::Source) like any other.
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
//! Loading a plugin runs its code with all rights of the program; nothing here is a sandbox. What is kept out are files that
//! somebody else could have put there: only absolute paths and named directories are looked at, and a file is refused if
//! anybody but its owner, who must be the user or the administrator, could change it or a directory above it. What a plugin
//! answers is checked before it is believed, and libraries stay loaded until the process ends.

mod config;
mod error;
mod inflate;
mod library;
mod local;
mod manifest;
mod plugins;
pub mod remote;
mod source;
mod table;

pub use error::{Error, Result, Trace};
pub use library::Plugin;
pub use local::LocalHost;
pub use plugins::{FoundSource, Listed, Plugins};
pub use source::{Canceller, SourceHandle};
