//! Plugins in a process of their own, for those that are not trusted to run in this one.
//!
//! The program of [`RemoteOptions`] is started with [`serve`] as its main work (`dfp plugin-host` does that). It loads one
//! component, and the two talk over the child's stdin and stdout. What comes from the child is bounded and checked before it
//! is believed; a child that crashes, hangs, lies or floods is an error here and nothing more. Its stderr goes to the log.
//!
//! The child has no environment, opens no files and no sockets once the library is loaded, starts no programs, and has no
//! more memory than it is given. Inputs are opened and read by the host, here as everywhere.
//!
//! ```no_run
//! use std::sync::Arc;
//!
//! use dfp_core::Source;
//! use dfp_host::LocalHost;
//! use dfp_host::remote::{RemoteOptions, RemoteSource};
//!
//! let options = RemoteOptions::new("/usr/bin/dfp", "/opt/vendor/libvendor_log.so");
//! let host = Arc::new(LocalHost::new());
//! let mut source = RemoteSource::create(&options, r#"{"inputs": ["/var/log/vendor.log"]}"#, host)?;
//! for batch in source.open(None)? {
//!     println!("{} rows", batch?.num_rows());
//! }
//! # Ok::<(), dfp_core::Error>(())
//! ```

mod batch;
mod child;
mod connection;
mod frame;
mod isolated;
mod outbox;
mod parts;
mod process;
mod protocol;
#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod sandbox;
mod serve;
mod services;
#[cfg(test)]
mod tests;
mod wire;

use std::ffi::OsString;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{ChildStdin, ChildStdout};
use std::sync::Arc;
use std::time::Duration;

use dfp_abi::Kind;
use dfp_core::{Error, ErrorKind, Host, Level, Result};

pub(crate) use batch::{decode_batch, encode_batch};
#[cfg(feature = "check")]
pub(crate) use child::loaded;
pub use child::{serve, serve_component};
pub use isolated::IsolatedSource;
pub use parts::{RemoteCanceller, RemoteModel, RemoteSink, RemoteSource, RemoteStage, RemoteTrainer};
pub use serve::Component;

use connection::{Connection, Limits};
use frame::refused;
use isolated::Confined;
use parts::{Link, Made};
use process::Process;
use protocol::{Hello, Wanted};

use crate::{Description, LocalHost, Policy};

/// No plugin has more to say about itself, and no instance either.
const MAX_TOLD: usize = 16 << 20;

/// How long a child may take before it is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// To start, load the library and make the component.
    pub create: Duration,
    /// For one call. A source without news answers with an empty batch once a second.
    pub call: Duration,
    /// For one call that fits models.
    pub fit: Duration,
    /// To return from a call once it is cancelled.
    pub cancel_grace: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            create: Duration::from_secs(30),
            call: Duration::from_secs(60),
            fit: Duration::from_secs(3600),
            cancel_grace: Duration::from_secs(5),
        }
    }
}

/// Where and how a component runs in a process of its own.
#[derive(Debug, Clone)]
pub struct RemoteOptions {
    /// The program whose main work is [`serve`]. An absolute path.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// The plugin's library or manifest, an absolute path; `None` for a component that is linked into the program.
    pub library: Option<PathBuf>,
    /// Which component; may be absent if the library has only one.
    pub id: Option<String>,
    /// What the child must know of the library before it loads it, besides what its own arguments ask for.
    pub policy: Policy,
    /// How long the child may take.
    pub timeouts: Timeouts,
    /// Bytes of address space the child may use, its program and libraries included; `None`: as many as there are.
    pub memory_limit: Option<u64>,
    /// Whether system calls are filtered. Where that is not possible, making a component fails.
    pub sandbox: bool,
    /// Longest message in either direction, so the largest batch: at most 4 GiB.
    pub max_frame: usize,
}

impl RemoteOptions {
    /// `dfp plugin-host` of the program `dfp`, for the only component of a library; sandboxed, with 2 GiB.
    pub fn new(program: impl Into<PathBuf>, library: impl Into<PathBuf>) -> Self {
        Self { library: Some(library.into()), ..Self::of_program(program) }
    }

    /// `dfp plugin-host` of the program `dfp`, for what is linked into it; sandboxed, with 2 GiB.
    pub fn of_program(program: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            arguments: vec!["plugin-host".into()],
            library: None,
            id: None,
            policy: Policy::default(),
            timeouts: Timeouts::default(),
            memory_limit: Some(2 << 30),
            sandbox: true,
            max_frame: 256 << 20,
        }
    }

    /// Has a child load the library, or look at what is linked into it, and say what there is. Nothing of it runs in this
    /// process.
    ///
    /// # Errors
    /// What the child answers: the program does not start, the library does not load.
    pub fn describe(&self) -> Result<Description> {
        let host: Arc<dyn Host> = Arc::new(Confined::new("", Arc::new(LocalHost::new())));
        let name = self.name("plugin");
        let (process, input, output) = self.spawn(&name, host.clone())?;
        let (_, told) = self.connect(name.clone(), None, host, (input, output), process)?;
        let description = self.described(&told);
        description.map_err(|error| error.context(name))
    }

    /// Takes what a child says of a plugin, as far as it can be.
    fn described(&self, told: &[u8]) -> Result<Description> {
        if told.len() > MAX_TOLD {
            return Err(refused(format!(
                "it describes itself with {} bytes, more than {MAX_TOLD}",
                told.len()
            )));
        }
        let description: Description = serde_json::from_slice(told)
            .map_err(|error| Error::caused(ErrorKind::BadData, "it describes itself wrongly", error))?;
        // Where the library lies is known better here.
        Ok(Description { path: self.library.clone().unwrap_or_default(), ..description })
    }

    /// What errors and log lines call the component.
    fn name(&self, kind: &str) -> String {
        let library = self.library.as_ref().map(|path| path.display().to_string());
        let what = match (&library, &self.id) {
            (Some(library), Some(id)) => format!("{library}#{id}"),
            (Some(name), None) | (None, Some(name)) => name.clone(),
            (None, None) => String::new(),
        };
        format!("{kind} {what} in its own process")
    }

    /// Starts a process and makes the component in it.
    fn start(&self, kind: Kind, config: &str, host: Arc<dyn Host>) -> Result<Made> {
        let name = self.name(kind.name());
        let (process, input, output) = self.spawn(&name, host.clone())?;
        self.connect(name, Some(self.wanted(kind, config)), host, (input, output), process)
    }

    fn wanted(&self, kind: Kind, config: &str) -> Wanted {
        Wanted { kind: kind as u32, id: self.id.clone(), config: config.to_owned() }
    }

    fn spawn(&self, name: &str, host: Arc<dyn Host>) -> Result<(Process, ChildStdout, ChildStdin)> {
        if !self.program.is_absolute() {
            let text = format!("{name}: {} is not an absolute path", self.program.display());
            return Err(Error::new(ErrorKind::InvalidArgument, text));
        }
        Process::start(self, name, host)
    }

    /// Makes the component at the other end of two pipes, or has the plugin described.
    fn connect(
        &self,
        name: String,
        wanted: Option<Wanted>,
        host: Arc<dyn Host>,
        (input, output): (impl Read + Send + 'static, impl Write + Send + 'static),
        process: Process,
    ) -> Result<Made> {
        let hello = self.hello(wanted, &*host)?;
        let connection = Connection::new(name, input, output, process, host, self.limits())?;
        let facts = connection.hello(hello, self.timeouts.create)?;
        Ok((Link::new(connection, self.timeouts), facts))
    }

    fn limits(&self) -> Limits {
        let max_frame = self.max_frame.min(u32::MAX as usize);
        Limits { max_frame, cancel_grace: self.timeouts.cancel_grace }
    }

    /// The first message.
    fn hello(&self, wanted: Option<Wanted>, host: &dyn Host) -> Result<Vec<u8>> {
        let levels = [Level::Trace, Level::Debug, Level::Info, Level::Warn, Level::Error];
        let hello = Hello {
            protocol: protocol::VERSION,
            library: self.library.clone(),
            policy: self.policy.to_string(),
            keys: match &self.policy {
                Policy::Signed { keys } => keys.iter().map(ToString::to_string).collect(),
                _ => Vec::new(),
            },
            wanted,
            log_level: levels
                .into_iter()
                .find(|level| host.log_enabled(*level))
                .map_or(0, |level| level as u32),
            memory_limit: self.memory_limit,
            sandbox: self.sandbox,
            max_frame: self.limits().max_frame,
        };
        serde_json::to_vec(&hello)
            .map_err(|error| Error::caused(ErrorKind::InvalidArgument, "asking for a remote plugin", error))
    }
}
