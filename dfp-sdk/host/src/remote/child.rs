//! The child as a program: its pipes, its limits, and the one component it loads.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use dfp_abi::Kind;
use dfp_core::{Error, ErrorKind, Host, Result};
use rustix::process::{Resource, Rlimit, setrlimit};

use super::protocol::Hello;
use super::serve::{Component, Offer, Served, serve_with};
use crate::{Canceller, Found, Plugins};

/// How long a call may go on once the parent is gone.
const ORPHANED: Duration = Duration::from_secs(2);

/// The whole work of a process that hosts one plugin: answers over stdin and stdout until the parent is done. `plugins` are
/// those linked into the program, should the parent ask for one of them; libraries are loaded from the path the parent names.
///
/// What the plugin prints goes to stderr, and stdin is empty for it.
///
/// # Errors
/// If the process was not started by a host, or the pipes fail. What goes wrong with the plugin is told to the parent.
pub fn serve(plugins: &Plugins) -> Result<()> {
    serve_made(|hello, host| make(plugins, hello, host))
}

/// As [`serve`], for a component of the program's own making: `make` gets the configuration and the host. It runs confined
/// already, as the parent asked for.
///
/// # Errors
/// As [`serve`].
pub fn serve_component(make: impl FnOnce(&str, Arc<dyn Host>) -> Result<Component>) -> Result<()> {
    serve_made(|hello, host| {
        limit(hello)?;
        seal(hello)?;
        let wanted = hello.wanted.as_ref().ok_or_else(|| {
            Error::new(ErrorKind::Unsupported, "this program serves one component, and describes none")
        })?;
        Ok(Offer::Component(Served { component: make(&wanted.config, host)?, instance: None }))
    })
}

fn serve_made(make: impl FnOnce(&Hello, Arc<dyn Host>) -> Result<Offer>) -> Result<()> {
    let (input, output) = take_pipes()?;
    serve_with(input, output, make, || {
        // Whoever still runs is not to outlive the one it works for. A normal end comes first.
        std::thread::sleep(ORPHANED);
        std::process::abort();
    })
}

/// Stdin and stdout for ourselves; what the plugin reads is nothing, and what it prints goes to stderr.
fn take_pipes() -> Result<(File, File)> {
    let io = |error: rustix::io::Errno| Error::io("taking over stdin and stdout", error.into());
    let own = |fd: OwnedFd| File::from(fd);
    let input = own(rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3).map_err(io)?);
    let output = own(rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdout(), 3).map_err(io)?);
    let nothing = File::open("/dev/null").map_err(|error| Error::io("opening /dev/null", error))?;
    rustix::stdio::dup2_stdin(&nothing).map_err(io)?;
    rustix::stdio::dup2_stdout(rustix::stdio::stderr()).map_err(io)?;
    Ok((input, output))
}

fn make(plugins: &Plugins, hello: &Hello, host: Arc<dyn Host>) -> Result<Offer> {
    limit(hello)?;
    let plugins = plugins.clone().at_least(hello.policy()?);
    let Some(wanted) = &hello.wanted else {
        let description = plugins.describe(hello.library.as_deref())?;
        seal(hello)?;
        return Ok(Offer::Description(description));
    };
    let kind = wanted.kind()?;
    let found = match (&hello.library, &wanted.id) {
        (Some(library), id) => plugins.find_in(library, kind, id.as_deref())?,
        (None, Some(id)) => plugins.find(kind, id)?,
        (None, None) => {
            return Err(Error::new(ErrorKind::InvalidArgument, "neither a library nor an id is named"));
        }
    };
    seal(hello)?;
    if found.plugin().is_none() {
        return Ok(Offer::Component(Served {
            component: linked(&found, &wanted.config, host)?,
            instance: None,
        }));
    }
    let (component, canceller) = loaded(&found, &wanted.config, host)?;
    Ok(Offer::Component(Served { component, instance: Some(canceller) }))
}

fn linked(found: &Found, config: &str, host: Arc<dyn Host>) -> Result<Component> {
    Ok(match found.kind() {
        Kind::Source => Component::Source(found.create_source(config, host)?),
        Kind::Stage => Component::Stage(found.create_stage(config, host)?),
        Kind::Sink => Component::Sink(found.create_sink(config, host)?),
        Kind::Model => Component::Model(found.create_trainer(config, host)?),
    })
}

/// A loaded component, and what stops it.
pub(crate) fn loaded(found: &Found, config: &str, host: Arc<dyn Host>) -> Result<(Component, Canceller)> {
    Ok(match found.kind() {
        Kind::Source => {
            let source = found.load_source(config, host)?;
            let canceller = source.canceller();
            (Component::Source(Box::new(source)), canceller)
        }
        Kind::Stage => {
            let stage = found.load_stage(config, host)?;
            let canceller = stage.canceller();
            (Component::Stage(Box::new(stage)), canceller)
        }
        Kind::Sink => {
            let sink = found.load_sink(config, host)?;
            let canceller = sink.canceller();
            (Component::Sink(Box::new(sink)), canceller)
        }
        Kind::Model => {
            let trainer = found.load_trainer(config, host)?;
            let canceller = trainer.canceller();
            (Component::Model(Box::new(trainer)), canceller)
        }
    })
}

/// Before any of the plugin's code runs.
fn limit(hello: &Hello) -> Result<()> {
    let set = |resource, bytes| {
        let most = Rlimit { current: Some(bytes), maximum: Some(bytes) };
        setrlimit(resource, most).map_err(|error| Error::io("limiting the plugin's process", error.into()))
    };
    set(Resource::Core, 0)?;
    if let Some(bytes) = hello.memory_limit {
        set(Resource::As, bytes)?;
    }
    if hello.sandbox { confine() } else { Ok(()) }
}

/// Once the library is loaded: nothing more is opened.
fn seal(hello: &Hello) -> Result<()> {
    if hello.sandbox { close() } else { Ok(()) }
}

#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
use super::sandbox::{close, confine};

/// A sandbox was asked for, and there is none.
#[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))))]
fn confine() -> Result<()> {
    let text = "there is a sandbox for plugins on Linux only (x86-64 and ARM64); turn it off to do without";
    Err(Error::new(ErrorKind::Unsupported, text))
}

#[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))))]
fn close() -> Result<()> {
    confine()
}
