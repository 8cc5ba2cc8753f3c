//! Why a plugin was not loaded.

use std::fmt;
use std::path::PathBuf;

use dfp_abi::Kind;
use dfp_core::ErrorKind;

/// Why a plugin was not found or not loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The path depends on the working directory.
    #[error("loading plugin {path}: the path is not absolute", path = .path.display())]
    Relative {
        /// As given.
        path: PathBuf,
    },
    /// The file cannot be looked at.
    #[error("loading plugin {path}: {source}", path = .path.display())]
    Inspect {
        /// As given.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A directory, pipe or device.
    #[error("loading plugin {path}: it is not a regular file", path = .path.display())]
    NotAFile {
        /// Without symbolic links.
        path: PathBuf,
    },
    /// Somebody else could change the file.
    #[error("loading plugin {path}: others could change {part}: {why}", path = .path.display(), part = .part.display())]
    Exposed {
        /// Without symbolic links.
        path: PathBuf,
        /// The file itself, or a directory above it.
        part: PathBuf,
        /// What is wrong with it, and what to do.
        why: String,
    },
    /// Another file took its place while it was looked at.
    #[error("loading plugin {path}: it was replaced while it was looked at; try again", path = .path.display())]
    Replaced {
        /// Without symbolic links.
        path: PathBuf,
    },
    /// The policy in force does not allow it.
    #[error("trusting plugin {path}: {what}", path = .path.display())]
    Untrusted {
        /// The library or its manifest.
        path: PathBuf,
        /// What is wrong, and what to do.
        what: String,
    },
    /// The manifest says that the library is built with another header.
    #[error("reading plugin manifest {path}: the library is built for the plugin border {plugin}, this program for {host}; build it anew", path = .path.display())]
    OtherAbi {
        /// The manifest.
        path: PathBuf,
        /// The border on the library's side.
        plugin: String,
        /// The border on ours.
        host: String,
    },
    /// What was found under a name cannot be used, after other places were looked at.
    #[error("{error}; before it, looked at {trace}")]
    AfterOthers {
        /// Why it cannot be used.
        error: Box<Error>,
        /// Every place looked at before.
        trace: Trace,
    },
    /// The system's loader refused it: another architecture, a missing library, no library at all.
    #[error("loading plugin {path}: {what}", path = .path.display())]
    Open {
        /// Without symbolic links.
        path: PathBuf,
        /// What the system says.
        what: String,
    },
    /// A library, but no plugin.
    #[error("loading plugin {path}: it is not a dfp plugin: it does not export dfp_plugin_entry_v0", path = .path.display())]
    NoEntry {
        /// Without symbolic links.
        path: PathBuf,
    },
    /// A plugin for another version of the border.
    #[error("loading plugin {path}: it is made for version {version} of the plugin border, this program for version 0", path = .path.display())]
    OtherVersion {
        /// Without symbolic links.
        path: PathBuf,
        /// The version it exports.
        version: &'static str,
    },
    /// A plugin for another state of the border, which is not frozen yet.
    #[error("loading plugin {path}: it is built with dfp {plugin}, this program with dfp {host}, and their plugin headers differ; build it anew", path = .path.display())]
    Fingerprint {
        /// Without symbolic links.
        path: PathBuf,
        /// dfp's version on the plugin's side.
        plugin: String,
        /// dfp's version on ours.
        host: &'static str,
    },
    /// The plugin does not want this host.
    #[error("loading plugin {path}: it refuses this program", path = .path.display())]
    Refused {
        /// Without symbolic links.
        path: PathBuf,
    },
    /// Its tables make no sense.
    #[error("loading plugin {path}: {what}", path = .path.display())]
    Damaged {
        /// Without symbolic links.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// The manifest is wrong, or the library is not what it says.
    #[error("reading plugin manifest {path}: {what}", path = .path.display())]
    Manifest {
        /// The manifest.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// The plugin is fine but does not have what was asked for.
    #[error("plugin {path} has no {kind} {wanted:?}, but {found}", path = .path.display())]
    NoSuchComponent {
        /// Without symbolic links.
        path: PathBuf,
        /// The kind asked for.
        kind: Kind,
        /// The id asked for; empty if none was and there are several.
        wanted: String,
        /// What it has.
        found: String,
    },
    /// A name that is no name.
    #[error(
        "looking for plugin {name:?}: a name has only letters, digits, '-', '_' and '.', and a path is absolute"
    )]
    BadName {
        /// As given.
        name: String,
    },
    /// Nowhere to be found.
    #[error("looking for plugin {name:?}: it is not linked; {}", if .trace.0.is_empty() { "no directory is configured to look in".to_owned() } else { format!("looked at {trace}") })]
    NotFound {
        /// As given.
        name: String,
        /// Every place looked at.
        trace: Trace,
    },
}

/// The result of finding or loading a plugin.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// What kind of failure it was.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Inspect { source, .. } => ErrorKind::from(source),
            Self::Exposed { .. } | Self::Untrusted { .. } => ErrorKind::Permission,
            Self::Replaced { .. } => ErrorKind::InvalidState,
            Self::AfterOthers { error, .. } => error.kind(),
            Self::NotFound { .. } | Self::NoSuchComponent { .. } => ErrorKind::NotFound,
            Self::Relative { .. } | Self::NotAFile { .. } | Self::BadName { .. } => {
                ErrorKind::InvalidArgument
            }
            Self::Manifest { .. } => ErrorKind::InvalidConfig,
            Self::OtherVersion { .. }
            | Self::OtherAbi { .. }
            | Self::Fingerprint { .. }
            | Self::Refused { .. } => ErrorKind::Unsupported,
            Self::Open { .. } | Self::NoEntry { .. } | Self::Damaged { .. } => ErrorKind::BadData,
        }
    }
}

impl Error {
    /// With the places looked at before.
    pub(crate) fn after(self, trace: Trace) -> Self {
        if trace.0.is_empty() { self } else { Self::AfterOthers { error: Box::new(self), trace } }
    }
}

impl From<Error> for dfp_core::Error {
    fn from(error: Error) -> Self {
        let text = error.to_string();
        Self::new(error.kind(), text)
    }
}

/// Every place that was looked at, and what was there.
#[derive(Debug, Default)]
pub struct Trace(pub(crate) Vec<(PathBuf, String)>);

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (path, what)) in self.0.iter().enumerate() {
            write!(f, "{}{} ({what})", if index == 0 { "" } else { ", " }, path.display())?;
        }
        Ok(())
    }
}
