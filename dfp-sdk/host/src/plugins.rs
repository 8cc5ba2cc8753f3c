//! The plugins a program may use: linked ones, and those in the directories it names.

use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dfp_abi::{Create, LinkedComponent};
use dfp_core::{ErrorKind, Host, Source};
use serde::Serialize;

use crate::config;
use crate::error::{Error, Result, Trace};
use crate::library::{LoadedSource, Plugin};
use crate::manifest::{Manifest, SUFFIX};
use crate::source::SourceHandle;

/// Finds sources by name or path. Linked ones come first, then the directories in their order; nothing else is looked at, not
/// the working directory and no environment variable.
///
/// A name finds, in the first directory that has one of them, `NAME.dfp-plugin.toml`, `libNAME.so` or `libdfp_NAME.so`, with
/// `_` for `-` in the library names. What is found must also load: a bad file is an error, not a reason to look further. An
/// absolute path leads to a library or a manifest; `PATH#ID` chooses one of several sources in it.
#[derive(Debug, Clone, Default)]
pub struct Plugins {
    linked: Vec<LinkedComponent>,
    directories: Vec<PathBuf>,
}

/// A source that was found, linked or loaded.
#[derive(Debug, Clone, Copy)]
pub struct FoundSource(Found);

#[derive(Debug, Clone, Copy)]
enum Found {
    Linked(LinkedComponent),
    Loaded(&'static Plugin, &'static LoadedSource),
}

/// One line of [`Plugins::list`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Listed {
    /// What to ask [`Plugins::find`] for.
    pub name: String,
    /// One line for people; empty if nobody wrote one.
    pub title: String,
    /// The plugin's version; `None` if it has no manifest.
    pub version: Option<String>,
    /// The library; `None` if the source is linked into the program.
    pub library: Option<PathBuf>,
    /// Why it cannot be used.
    pub problem: Option<String>,
}

impl fmt::Display for Listed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name)?;
        if let Some(version) = &self.version {
            write!(f, " {version}")?;
        }
        match &self.library {
            Some(library) => write!(f, " ({})", library.display())?,
            None => f.write_str(" (linked)")?,
        }
        for (mark, text) in [(" - ", Some(&self.title)), (" ! ", self.problem.as_ref())] {
            if let Some(text) = text.filter(|text| !text.is_empty()) {
                write!(f, "{mark}{text}")?;
            }
        }
        Ok(())
    }
}

impl Plugins {
    /// None at all.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a source that is compiled into the program. It is found before any of the same name in a directory.
    #[must_use]
    pub fn link(mut self, source: LinkedComponent) -> Self {
        self.linked.push(source);
        self
    }

    /// Adds a directory to look in, after those already there. It must be an absolute path.
    #[must_use]
    pub fn search(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directories.push(directory.into());
        self
    }

    /// Finds a source by name or absolute path, loading its library.
    ///
    /// # Errors
    /// Every place that was looked at, if none has it; or why what was found cannot be used.
    pub fn find(&self, name_or_path: &str) -> Result<FoundSource> {
        if name_or_path.contains('/') {
            return find_path(name_or_path);
        }
        let named = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if name_or_path.is_empty() || !name_or_path.chars().all(named) {
            return Err(Error::BadName { name: name_or_path.to_owned() });
        }
        if let Some(source) = self.linked.iter().find(|source| source.id == name_or_path) {
            return Ok(FoundSource(Found::Linked(*source)));
        }
        let mut trace = Trace::default();
        for directory in &self.directories {
            for candidate in candidates(directory, name_or_path) {
                match std::fs::symlink_metadata(&candidate) {
                    Ok(_) => return choose(load(&candidate)?, Some(name_or_path)),
                    Err(error) => trace.0.push((candidate, error.to_string())),
                }
            }
        }
        Err(Error::NotFound { name: name_or_path.to_owned(), trace })
    }

    /// Makes an instance of the source that [`find`](Self::find) finds.
    ///
    /// # Errors
    /// As [`find`](Self::find) and [`FoundSource::create`].
    pub fn source(
        &self,
        name_or_path: &str,
        config: &str,
        host: Arc<dyn Host>,
    ) -> dfp_core::Result<Box<dyn Source>> {
        self.find(name_or_path)?.create(config, host)
    }

    /// The profile shipped with a source, TOML.
    ///
    /// # Errors
    /// As [`find`](Self::find), and [`ErrorKind::NotFound`] if it ships none.
    pub fn profile(&self, name_or_path: &str) -> dfp_core::Result<String> {
        let source = self.find(name_or_path)?;
        match source.profile() {
            "" => Err(dfp_core::Error::new(
                ErrorKind::NotFound,
                format!("source {} ships no profile; name a file instead", source.id()),
            )),
            profile => Ok(profile.to_owned()),
        }
    }

    /// What there is: linked sources, manifests, and libraries of first-party plugins (`libdfp_NAME.so`) that have none.
    /// Opens no library.
    pub fn list(&self) -> Vec<Listed> {
        let mut found: Vec<Listed> = self.linked.iter().map(list_linked).collect();
        for directory in &self.directories {
            // A directory that does not exist holds nothing; `find` says so when it matters.
            let Ok(entries) = std::fs::read_dir(directory) else { continue };
            let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
            paths.sort();
            let described: Vec<Listed> =
                paths.iter().filter(|path| is_manifest(path)).flat_map(|path| list_manifest(path)).collect();
            let bare = paths
                .iter()
                .filter(|path| described.iter().all(|listed| listed.library.as_ref() != Some(path)))
                .filter_map(|path| list_bare(path));
            found.extend(bare.chain(described.iter().cloned()));
        }
        found
    }
}

/// The files a name may stand for in a directory, best first.
fn candidates(directory: &Path, name: &str) -> [PathBuf; 3] {
    let stem = name.replace('-', "_");
    let (prefix, suffix) = (std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
    [
        directory.join(format!("{name}{SUFFIX}")),
        directory.join(format!("{prefix}{stem}{suffix}")),
        directory.join(format!("{prefix}dfp_{stem}{suffix}")),
    ]
}

fn find_path(text: &str) -> Result<FoundSource> {
    let (path, id) = match text.rsplit_once('#') {
        Some((path, id)) => (path, Some(id)),
        None => (text, None),
    };
    choose(load(Path::new(path))?, id)
}

fn is_manifest(path: &Path) -> bool {
    path.file_name().and_then(OsStr::to_str).is_some_and(|name| name.ends_with(SUFFIX))
}

fn load(path: &Path) -> Result<&'static Plugin> {
    if is_manifest(path) { Manifest::read(path)?.load(path) } else { Plugin::load(path) }
}

/// The source of that id, or the only one.
fn choose(plugin: &'static Plugin, id: Option<&str>) -> Result<FoundSource> {
    let source = match (id, plugin.sources.as_slice()) {
        (None, [only]) => Some(only),
        (None, _) => None,
        (Some(id), _) => plugin.source(id),
    };
    let source = source.ok_or_else(|| Error::NoSuchSource {
        path: plugin.path.clone(),
        wanted: id.unwrap_or_default().to_owned(),
        found: format!("{:?}", plugin.source_ids().collect::<Vec<_>>()),
    })?;
    Ok(FoundSource(Found::Loaded(plugin, source)))
}

fn list_linked(source: &LinkedComponent) -> Listed {
    Listed {
        name: source.id.to_owned(),
        title: source.title.to_owned(),
        version: None,
        library: None,
        problem: None,
    }
}

fn list_manifest(path: &Path) -> Vec<Listed> {
    let manifest = match Manifest::read(path) {
        Ok(manifest) => manifest,
        Err(error) => {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            return vec![Listed {
                name: name.trim_end_matches(SUFFIX).to_owned(),
                title: String::new(),
                version: None,
                library: Some(path.to_owned()),
                problem: Some(error.to_string()),
            }];
        }
    };
    let library = manifest.library(path);
    let problem = (!library.is_file()).then(|| "the library is missing".to_owned());
    let listed = |component: &crate::manifest::Component| Listed {
        name: component.id.clone(),
        title: component.title.clone(),
        version: Some(manifest.version.clone()),
        library: Some(library.clone()),
        problem: problem.clone(),
    };
    manifest.components.iter().map(listed).collect()
}

fn list_bare(path: &Path) -> Option<Listed> {
    let stem = path
        .file_name()?
        .to_str()?
        .strip_prefix(std::env::consts::DLL_PREFIX)?
        .strip_prefix("dfp_")?
        .strip_suffix(std::env::consts::DLL_SUFFIX)?;
    Some(Listed {
        name: stem.replace('_', "-"),
        title: String::new(),
        version: None,
        library: Some(path.to_owned()),
        problem: None,
    })
}

impl FoundSource {
    /// The name users select it by.
    pub fn id(&self) -> &str {
        match &self.0 {
            Found::Linked(source) => source.id,
            Found::Loaded(_, source) => &source.id,
        }
    }

    /// One line for people.
    pub fn title(&self) -> &str {
        match &self.0 {
            Found::Linked(source) => source.title,
            Found::Loaded(_, source) => &source.title,
        }
    }

    /// JSON Schema of its configuration.
    pub fn config_schema(&self) -> &str {
        match &self.0 {
            Found::Linked(source) => source.config_schema,
            Found::Loaded(_, source) => &source.config_schema,
        }
    }

    /// The shipped profile, TOML; empty if there is none.
    pub fn profile(&self) -> &str {
        match &self.0 {
            Found::Linked(source) => source.profile,
            Found::Loaded(_, source) => &source.profile,
        }
    }

    /// The library it is loaded from; `None` if it is linked.
    pub fn plugin(&self) -> Option<&'static Plugin> {
        match &self.0 {
            Found::Linked(_) => None,
            Found::Loaded(plugin, _) => Some(plugin),
        }
    }

    /// Makes an instance from `config`, a JSON object as text.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`] if `config` does not fit the source's schema, and whatever the source answers.
    pub fn create(&self, config: &str, host: Arc<dyn Host>) -> dfp_core::Result<Box<dyn Source>> {
        config::check(self.id(), self.config_schema(), config)?;
        match &self.0 {
            Found::Linked(source) => match source.create {
                Create::Source(create) => create(config, host),
                _ => Err(dfp_core::Error::new(
                    ErrorKind::InvalidArgument,
                    format!("{} is a {}, not a source", source.id, source.kind()),
                )),
            },
            Found::Loaded(..) => Ok(Box::new(self.load(config, host)?)),
        }
    }

    /// Makes an instance of a loaded source, with what only those have: a way to interrupt its calls.
    ///
    /// # Errors
    /// As [`create`](Self::create), and [`ErrorKind::InvalidState`] if the source is linked.
    pub fn create_loaded(&self, config: &str, host: Arc<dyn Host>) -> dfp_core::Result<SourceHandle> {
        config::check(self.id(), self.config_schema(), config)?;
        self.load(config, host)
    }

    fn load(&self, config: &str, host: Arc<dyn Host>) -> dfp_core::Result<SourceHandle> {
        match &self.0 {
            // SAFETY: the loader checked the table, and plugins are never unloaded.
            Found::Loaded(_, source) => unsafe { SourceHandle::create(source.ops, &source.id, config, host) },
            Found::Linked(source) => Err(dfp_core::Error::new(
                ErrorKind::InvalidState,
                format!("source {} is linked into the program, not loaded", source.id),
            )),
        }
    }
}
