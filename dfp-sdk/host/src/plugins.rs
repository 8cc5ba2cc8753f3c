//! The plugins a program may use: linked ones, and those in the directories it names.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

#[cfg(feature = "remote")]
use dfp_abi::c::DFP_VERSION;
use dfp_abi::{Create, Kind, LinkedComponent};
use dfp_core::{ErrorKind, Host, Sink, Source, Stage, Trainer};
use serde::Serialize;

use crate::config;
#[cfg(feature = "remote")]
use crate::description::{ComponentDescription, Description};
use crate::error::{Error, Result, Trace};
use crate::files::{CheckedFile, Digest, checked_file};
use crate::library::{LoadedComponent, Plugin};
use crate::manifest::{ReadManifest, SUFFIX, is_manifest};
use crate::model::TrainerHandle;
#[cfg(feature = "remote")]
use crate::remote::{IsolatedSource, RemoteOptions};
use crate::sink::SinkHandle;
use crate::source::SourceHandle;
use crate::stage::StageHandle;
use crate::trust::{Audit, Policy};

/// Finds components by kind and name or path. Linked ones come first, then the directories in their order; nothing else is looked at, not
/// the working directory and no environment variable.
///
/// A name finds, in the first directory that has one of them, `NAME.dfp-plugin.toml`, `libNAME.so` or `libdfp_NAME.so`, with
/// `_` for `-` in the library names. What is found must also load: a bad file is an error, not a reason to look further. An
/// absolute path leads to a library or a manifest; `PATH#ID` chooses one of several components of a kind in it.
#[derive(Clone, Default)]
pub struct Plugins {
    linked: Vec<LinkedComponent>,
    directories: Vec<PathBuf>,
    policy: Policy,
    audit: Option<OnAudit>,
    #[cfg(feature = "remote")]
    remote: Option<RemoteOptions>,
}

type OnAudit = Arc<dyn Fn(&Audit) + Send + Sync>;

impl fmt::Debug for Plugins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plugins")
            .field("linked", &self.linked)
            .field("directories", &self.directories)
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}

/// A component that was found, linked or loaded.
#[derive(Debug, Clone, Copy)]
pub struct Found(Origin);

#[derive(Debug, Clone, Copy)]
enum Origin {
    Linked(LinkedComponent),
    Loaded(&'static Plugin, &'static LoadedComponent),
}

/// One line of [`Plugins::list`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Listed {
    /// What it is: `source`, `stage`, `sink` or `model`; `None` if nothing but its library says so.
    pub kind: Option<String>,
    /// What to ask [`Plugins::find`] for.
    pub name: String,
    /// One line for people; empty if nobody wrote one.
    pub title: String,
    /// The plugin's version; `None` if it has no manifest.
    pub version: Option<String>,
    /// The library; `None` if it is linked into the program.
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
        f.write_str(" (")?;
        if let Some(kind) = &self.kind {
            write!(f, "{kind}, ")?;
        }
        match &self.library {
            Some(library) => write!(f, "{})", library.display())?,
            None => f.write_str("linked)")?,
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

    /// Adds a component that is compiled into the program. It is found before any of the same name in a directory.
    #[must_use]
    pub fn link(mut self, component: LinkedComponent) -> Self {
        self.linked.push(component);
        self
    }

    /// Adds a directory to look in, after those already there. It must be an absolute path.
    #[must_use]
    pub fn search(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directories.push(directory.into());
        self
    }

    /// Says what must be known of a library before it is loaded. Linked components are part of the program: no policy looks
    /// at them.
    #[must_use]
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// Makes the policy at least as strict as `policy`.
    #[must_use]
    pub fn at_least(mut self, policy: Policy) -> Self {
        self.policy = self.policy.stricter(policy);
        self
    }

    /// Tells `callback` of every decision about a library, loaded or refused. It may be called from any thread.
    #[must_use]
    pub fn audit(mut self, callback: impl Fn(&Audit) + Send + Sync + 'static) -> Self {
        self.audit = Some(Arc::new(callback));
        self
    }

    /// Says which program runs components in processes of their own, and within which limits, for
    /// [`isolated_source`](Self::isolated_source). Library, id and policy of `options` are set for each.
    #[cfg(feature = "remote")]
    #[must_use]
    pub fn isolated_by(mut self, options: RemoteOptions) -> Self {
        self.remote = Some(options);
        self
    }

    /// Finds a component by name or absolute path, loading its library.
    ///
    /// # Errors
    /// Every place that was looked at, if none has it; or why what was found cannot be used.
    pub fn find(&self, kind: Kind, name_or_path: &str) -> Result<Found> {
        match self.locate(kind, name_or_path)? {
            Located::Linked(linked) => Ok(Found(Origin::Linked(*linked))),
            Located::File { path, name, id, trace } => {
                let found = self.load(&path).and_then(|plugin| choose(plugin, kind, name, id));
                found.map_err(|error| error.after(trace))
            }
        }
    }

    /// Finds a source by name or absolute path as [`find`](Self::find) does, and has a process of its own load it and say what
    /// it is. In this one its library is looked at, as the policy asks for, and never loaded.
    ///
    /// # Errors
    /// As [`find`](Self::find), what the process answers, and [`ErrorKind::InvalidState`] if
    /// [`isolated_by`](Self::isolated_by) did not say which program to start.
    #[cfg(feature = "remote")]
    pub fn isolated_source(&self, name_or_path: &str) -> dfp_core::Result<IsolatedSource> {
        let options = self.remote.clone().ok_or_else(|| {
            let text =
                format!("isolating source {name_or_path}: this program does not say what to start for it");
            dfp_core::Error::new(ErrorKind::InvalidState, text)
        })?;
        let options = RemoteOptions { policy: self.policy.clone(), ..options };
        match self.locate(Kind::Source, name_or_path)? {
            Located::Linked(linked) => {
                let id = Some(linked.id.to_owned());
                let options = RemoteOptions { library: None, id, ..options };
                Ok(IsolatedSource::new(options, describe_linked(linked)))
            }
            Located::File { path, name, id, trace } => {
                let approved = self.audited(&path, |known| self.approve(&path, known));
                let manifest = approved.map_err(|error| error.after(trace))?.manifest;
                let options = RemoteOptions { library: Some(path), id: None, ..options };
                let description = options.describe()?;
                if let Some(manifest) = manifest {
                    // The process looked as well, but what it says is the plugin's word.
                    manifest.check(&description)?;
                }
                let component = description.choose(Kind::Source, name, id)?.clone();
                Ok(IsolatedSource::new(
                    RemoteOptions { id: Some(component.id.clone()), ..options },
                    component,
                ))
            }
        }
    }

    /// Finds what a name or path stands for, opening nothing.
    fn locate<'a>(&self, kind: Kind, name_or_path: &'a str) -> Result<Located<'_, 'a>> {
        // A `#` in a directory's name chooses nothing.
        let (name, id) = match name_or_path.rsplit_once('#') {
            Some((name, id)) if !id.contains('/') => (name, Some(id)),
            _ => (name_or_path, None),
        };
        if name.contains('/') {
            return Ok(Located::File { path: name.into(), name: None, id, trace: Trace::default() });
        }
        let named = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if name.is_empty() || !name.chars().all(named) {
            return Err(Error::BadName { name: name_or_path.to_owned() });
        }
        // A linked component is a plugin of its own name with nothing else in it.
        let is_meant = |linked: &&LinkedComponent| {
            linked.kind() == kind && linked.id == name && id.is_none_or(|id| id == name)
        };
        if let Some(linked) = self.linked.iter().find(is_meant) {
            return Ok(Located::Linked(linked));
        }
        let mut trace = Trace::default();
        for directory in &self.directories {
            for path in candidates(directory, name) {
                match std::fs::symlink_metadata(&path) {
                    Ok(_) => return Ok(Located::File { path, name: Some(name), id, trace }),
                    Err(error) => trace.0.push((path, error.to_string())),
                }
            }
        }
        Err(Error::NotFound { name: name_or_path.to_owned(), trace })
    }

    /// The component of that kind and id, or the only one of that kind, in a library named itself or by its manifest.
    #[cfg(feature = "remote")]
    pub(crate) fn find_in(&self, library: &Path, kind: Kind, id: Option<&str>) -> Result<Found> {
        choose(self.load(library)?, kind, None, id)
    }

    /// What a library says about itself, or, without one, what is linked.
    #[cfg(feature = "remote")]
    pub(crate) fn describe(&self, library: Option<&Path>) -> Result<Description> {
        match library {
            Some(library) => self.load(library).map(Plugin::describe),
            None => Ok(Description {
                path: PathBuf::new(),
                id: "linked".to_owned(),
                version: DFP_VERSION.to_owned(),
                vendor: String::new(),
                licence: String::new(),
                sdk_version: DFP_VERSION.to_owned(),
                components: self.linked.iter().map(describe_linked).collect(),
            }),
        }
    }

    /// Loads a library, named itself or by its manifest, and tells whoever wants to know.
    pub(crate) fn load(&self, path: &Path) -> Result<&'static Plugin> {
        self.audited(path, |known| {
            let Approved { manifest, file, digest } = self.approve(path, known)?;
            let plugin = Plugin::load_file(file, digest)?;
            if let Some(manifest) = &manifest {
                manifest.check(&plugin.describe())?;
            }
            known.path.clone_from(&plugin.path);
            known.plugin = Some((plugin.id.clone(), plugin.version.clone()));
            Ok(plugin)
        })
    }

    /// Makes a decision about a library, which writes down what becomes known on the way, and tells whoever wants to know.
    fn audited<T>(&self, path: &Path, decide: impl FnOnce(&mut Audit) -> Result<T>) -> Result<T> {
        let mut known = Audit {
            path: path.to_owned(),
            digest: None,
            signer: None,
            plugin: None,
            abi: None,
            policy: self.policy.clone(),
            refused: None,
        };
        let decision = decide(&mut known);
        if let Some(audit) = &self.audit {
            known.refused = decision.as_ref().err().map(ToString::to_string);
            audit(&known);
        }
        decision
    }

    /// Looks at a library, named itself or by its manifest, as the policy asks for.
    fn approve(&self, path: &Path, known: &mut Audit) -> Result<Approved> {
        let strict = self.policy != Policy::ExplicitOnly;
        let (manifest, library) = described(path, strict)?;
        let mut digest = None;
        if let Some(manifest) = &manifest {
            known.path.clone_from(&library);
            known.plugin = Some((manifest.manifest.id.clone(), manifest.manifest.version.clone()));
            known.abi.clone_from(&manifest.manifest.abi);
            if let Policy::Signed { keys } = &self.policy {
                known.signer = Some(manifest.signed_by(keys)?);
            }
            manifest.check_abi()?;
            digest = manifest.sha256();
        }
        let untrusted = |what: String| Error::Untrusted { path: library.clone(), what };
        if strict && digest.is_none() {
            return Err(untrusted(format!(
                "the policy {} wants a manifest beside it that states its sha256; `dfp plugin seal` writes one",
                self.policy
            )));
        }
        let file = checked_file(&library)?;
        if let Some(wanted) = digest {
            let found = file.digest()?;
            known.digest = Some(found.to_string());
            if found != wanted {
                return Err(untrusted(format!(
                    "its sha256 is {found}, its manifest says {wanted}: it is not the library that was sealed"
                )));
            }
        }
        Ok(Approved { manifest, file, digest })
    }

    /// Makes an instance of the source that [`find`](Self::find) finds.
    ///
    /// # Errors
    /// As [`find`](Self::find) and [`Found::create_source`].
    pub fn source(
        &self,
        name_or_path: &str,
        config: &str,
        host: Arc<dyn Host>,
    ) -> dfp_core::Result<Box<dyn Source>> {
        self.find(Kind::Source, name_or_path)?.create_source(config, host)
    }

    /// Makes an instance of the stage that [`find`](Self::find) finds.
    ///
    /// # Errors
    /// As [`find`](Self::find) and [`Found::create_stage`].
    pub fn stage(
        &self,
        name_or_path: &str,
        config: &str,
        host: Arc<dyn Host>,
    ) -> dfp_core::Result<Box<dyn Stage>> {
        self.find(Kind::Stage, name_or_path)?.create_stage(config, host)
    }

    /// Makes an instance of the sink that [`find`](Self::find) finds.
    ///
    /// # Errors
    /// As [`find`](Self::find) and [`Found::create_sink`].
    pub fn sink(
        &self,
        name_or_path: &str,
        config: &str,
        host: Arc<dyn Host>,
    ) -> dfp_core::Result<Box<dyn Sink>> {
        self.find(Kind::Sink, name_or_path)?.create_sink(config, host)
    }

    /// Makes an instance of the model component that [`find`](Self::find) finds.
    ///
    /// # Errors
    /// As [`find`](Self::find) and [`Found::create_trainer`].
    pub fn trainer(
        &self,
        name_or_path: &str,
        config: &str,
        host: Arc<dyn Host>,
    ) -> dfp_core::Result<Box<dyn Trainer>> {
        self.find(Kind::Model, name_or_path)?.create_trainer(config, host)
    }

    /// What there is: linked components, manifests, and libraries of first-party plugins (`libdfp_NAME.so`) that have none.
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

/// Where a component is.
enum Located<'p, 'n> {
    Linked(&'p LinkedComponent),
    /// A library or manifest.
    File {
        path: PathBuf,
        /// The name it was found by.
        name: Option<&'n str>,
        /// Which of its components is meant.
        id: Option<&'n str>,
        /// Where else was looked before.
        trace: Trace,
    },
}

/// A library that may be loaded.
struct Approved {
    manifest: Option<ReadManifest>,
    file: CheckedFile,
    /// What its content was found to be, if that was looked at.
    digest: Option<Digest>,
}

/// The component that [`Description::choose`] chooses.
fn choose(plugin: &'static Plugin, kind: Kind, name: Option<&str>, id: Option<&str>) -> Result<Found> {
    let description = plugin.describe();
    let chosen = description.choose(kind, name, id)?;
    let component = plugin.component(kind, &chosen.id).expect("it describes its own components");
    Ok(Found(Origin::Loaded(plugin, component)))
}

#[cfg(feature = "remote")]
fn describe_linked(component: &LinkedComponent) -> ComponentDescription {
    ComponentDescription {
        kind: component.kind(),
        id: component.id.to_owned(),
        title: component.title.to_owned(),
        config_schema: component.config_schema.to_owned(),
        profile: component.profile.to_owned(),
        flags: component.flags,
    }
}

/// The library that `path` leads to, and the manifest that speaks of it: the one named, or, if one is `needed`, the one beside
/// the library.
fn described(path: &Path, needed: bool) -> Result<(Option<ReadManifest>, PathBuf)> {
    if is_manifest(path) {
        let manifest = ReadManifest::read(path)?;
        let library = manifest.library();
        return Ok((Some(manifest), library));
    }
    if !needed {
        return Ok((None, path.to_owned()));
    }
    // Checked first: a manifest is not looked for in places that are not to be trusted.
    let library = checked_file(path)?.path;
    Ok((ReadManifest::beside(&library)?, library))
}

fn list_linked(component: &LinkedComponent) -> Listed {
    Listed {
        kind: Some(component.kind().name().to_owned()),
        name: component.id.to_owned(),
        title: component.title.to_owned(),
        version: None,
        library: None,
        problem: None,
    }
}

fn list_manifest(path: &Path) -> Vec<Listed> {
    let manifest = match ReadManifest::read(path) {
        Ok(manifest) => manifest,
        Err(error) => {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            return vec![Listed {
                kind: None,
                name: name.strip_suffix(SUFFIX).unwrap_or(&name).to_owned(),
                title: String::new(),
                version: None,
                library: Some(path.to_owned()),
                problem: Some(error.to_string()),
            }];
        }
    };
    let library = manifest.library();
    let manifest = manifest.manifest;
    let problem = (!library.is_file()).then(|| "the library is missing".to_owned());
    let stem = path.file_name().unwrap_or_default().to_string_lossy();
    let stem = stem.strip_suffix(SUFFIX).unwrap_or(&stem);
    let alone = |kind: &String| manifest.components.iter().filter(|other| other.kind == *kind).count() == 1;
    let name = |component: &crate::manifest::Component| {
        if component.id == stem || alone(&component.kind) {
            stem.to_owned()
        } else {
            format!("{stem}#{}", component.id)
        }
    };
    let listed = |component: &crate::manifest::Component| Listed {
        kind: Some(component.kind.clone()),
        name: name(component),
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
        kind: None,
        name: stem.replace('_', "-"),
        title: String::new(),
        version: None,
        library: Some(path.to_owned()),
        problem: None,
    })
}

impl Found {
    /// The name users select it by.
    pub fn id(&self) -> &str {
        match &self.0 {
            Origin::Linked(component) => component.id,
            Origin::Loaded(_, component) => &component.id,
        }
    }

    /// One line for people.
    pub fn title(&self) -> &str {
        match &self.0 {
            Origin::Linked(component) => component.title,
            Origin::Loaded(_, component) => &component.title,
        }
    }

    /// JSON Schema of its configuration.
    pub fn config_schema(&self) -> &str {
        match &self.0 {
            Origin::Linked(component) => component.config_schema,
            Origin::Loaded(_, component) => &component.config_schema,
        }
    }

    /// The shipped profile, TOML; empty if there is none.
    pub fn profile(&self) -> &str {
        match &self.0 {
            Origin::Linked(component) => component.profile,
            Origin::Loaded(_, component) => &component.profile,
        }
    }

    /// The library it is loaded from; `None` if it is linked.
    pub fn plugin(&self) -> Option<&'static Plugin> {
        match &self.0 {
            Origin::Linked(_) => None,
            Origin::Loaded(plugin, _) => Some(plugin),
        }
    }

    /// What it is.
    pub fn kind(&self) -> Kind {
        match &self.0 {
            Origin::Linked(component) => component.kind(),
            Origin::Loaded(_, component) => component.kind,
        }
    }

    /// What it claims: `DFP_CONCURRENT`, `DFP_DETERMINISTIC`, `DFP_KEEPS_ROWS`.
    pub fn flags(&self) -> u64 {
        match &self.0 {
            Origin::Linked(component) => component.flags,
            Origin::Loaded(_, component) => component.flags,
        }
    }

    /// Makes an instance of a source from `config`, a JSON object as text.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`] if `config` does not fit its schema, [`ErrorKind::InvalidState`] if it is no source,
    /// and whatever the source answers.
    pub fn create_source(&self, config: &str, host: Arc<dyn Host>) -> dfp_core::Result<Box<dyn Source>> {
        match self.0 {
            Origin::Linked(LinkedComponent { create: Create::Source(make), .. }) => {
                self.check(config)?;
                make(config, host)
            }
            _ => Ok(Box::new(self.load_source(config, host)?)),
        }
    }

    /// As [`create_source`](Self::create_source), with what only a loaded source has: a way to interrupt its calls.
    ///
    /// # Errors
    /// As [`create_source`](Self::create_source), and [`ErrorKind::InvalidState`] if it is linked.
    pub fn load_source(&self, config: &str, host: Arc<dyn Host>) -> dfp_core::Result<SourceHandle> {
        SourceHandle::create(self.loaded(Kind::Source, config)?, config, host)
    }

    /// Makes an instance of a stage from `config`, a JSON object as text.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`] if `config` does not fit its schema, [`ErrorKind::InvalidState`] if it is no stage,
    /// and whatever the stage answers.
    pub fn create_stage(&self, config: &str, host: Arc<dyn Host>) -> dfp_core::Result<Box<dyn Stage>> {
        match self.0 {
            Origin::Linked(LinkedComponent { create: Create::Stage(make), .. }) => {
                self.check(config)?;
                make(config, host)
            }
            _ => Ok(Box::new(self.load_stage(config, host)?)),
        }
    }

    /// As [`create_stage`](Self::create_stage), with what only a loaded stage has: a way to interrupt its calls.
    ///
    /// # Errors
    /// As [`create_stage`](Self::create_stage), and [`ErrorKind::InvalidState`] if it is linked.
    pub fn load_stage(&self, config: &str, host: Arc<dyn Host>) -> dfp_core::Result<StageHandle> {
        StageHandle::create(self.loaded(Kind::Stage, config)?, config, host)
    }

    /// Makes an instance of a sink from `config`, a JSON object as text.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`] if `config` does not fit its schema, [`ErrorKind::InvalidState`] if it is no sink,
    /// and whatever the sink answers.
    pub fn create_sink(&self, config: &str, host: Arc<dyn Host>) -> dfp_core::Result<Box<dyn Sink>> {
        match self.0 {
            Origin::Linked(LinkedComponent { create: Create::Sink(make), .. }) => {
                self.check(config)?;
                make(config, host)
            }
            _ => Ok(Box::new(self.load_sink(config, host)?)),
        }
    }

    /// As [`create_sink`](Self::create_sink), with what only a loaded sink has: a way to interrupt its calls.
    ///
    /// # Errors
    /// As [`create_sink`](Self::create_sink), and [`ErrorKind::InvalidState`] if it is linked.
    pub fn load_sink(&self, config: &str, host: Arc<dyn Host>) -> dfp_core::Result<SinkHandle> {
        SinkHandle::create(self.loaded(Kind::Sink, config)?, config, host)
    }

    /// Makes an instance of a model component from `config`, a JSON object as text.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`] if `config` does not fit its schema, [`ErrorKind::InvalidState`] if it is no model component,
    /// and whatever the model component answers.
    pub fn create_trainer(&self, config: &str, host: Arc<dyn Host>) -> dfp_core::Result<Box<dyn Trainer>> {
        match self.0 {
            Origin::Linked(LinkedComponent { create: Create::Model(make), .. }) => {
                self.check(config)?;
                make(config, host)
            }
            _ => Ok(Box::new(self.load_trainer(config, host)?)),
        }
    }

    /// As [`create_trainer`](Self::create_trainer), with what only a loaded model component has: a way to interrupt its calls.
    ///
    /// # Errors
    /// As [`create_trainer`](Self::create_trainer), and [`ErrorKind::InvalidState`] if it is linked.
    pub fn load_trainer(&self, config: &str, host: Arc<dyn Host>) -> dfp_core::Result<TrainerHandle> {
        TrainerHandle::create(self.loaded(Kind::Model, config)?, config, host)
    }

    fn check(&self, config: &str) -> dfp_core::Result<()> {
        config::check(&format!("{} {}", self.kind(), self.id()), self.config_schema(), config)
    }

    /// The loaded component behind it, of that kind, if `config` fits.
    fn loaded(&self, kind: Kind, config: &str) -> dfp_core::Result<&'static LoadedComponent> {
        let wrong = |what: &str| {
            let text = format!("{} {} is {what}", self.kind(), self.id());
            dfp_core::Error::new(ErrorKind::InvalidState, text)
        };
        match self.0 {
            _ if self.kind() != kind => Err(wrong(&format!("no {kind}"))),
            Origin::Linked(_) => Err(wrong("linked into the program, not loaded")),
            Origin::Loaded(_, component) => self.check(config).map(|()| component),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn linked(id: &'static str) -> LinkedComponent {
        let create = Create::Source(|_, _| Err(dfp_core::Error::new(ErrorKind::Internal, "never made")));
        LinkedComponent { id, title: "", config_schema: "{}", profile: "", flags: 0, create }
    }

    #[test]
    fn a_linked_component_is_found_by_its_name_and_by_its_name_and_id() {
        let plugins = Plugins::new().link(linked("a")).link(linked("b"));
        for name in ["a", "a#a"] {
            assert_eq!(plugins.find(Kind::Source, name).unwrap().id(), "a", "{name}");
        }
        for name in ["a#b", "b#a", "a#", "c"] {
            assert!(matches!(plugins.find(Kind::Source, name), Err(Error::NotFound { .. })), "{name}");
        }
        assert!(matches!(plugins.find(Kind::Sink, "a"), Err(Error::NotFound { .. })));
        assert!(matches!(plugins.find(Kind::Source, "#a"), Err(Error::BadName { .. })));
    }

    #[test]
    fn what_is_listed_is_called_what_it_is_found_by() {
        let dir = tempfile::tempdir().unwrap();
        let name = "odd.dfp-plugin.toml";
        let text = "manifest_version = 1\nid = \"a\"\nversion = \"1\"\nfile = \"a.so\"\n";
        let component = "[[components]]\nkind = \"sink\"\nid = \"a\"\n";
        for text in ["= =".to_owned(), format!("{text}{component}")] {
            std::fs::write(dir.path().join(format!("{name}{SUFFIX}")), text).unwrap();
            let plugins = Plugins::new().search(dir.path());
            assert_eq!(plugins.list().iter().map(|listed| &listed.name).collect::<Vec<_>>(), [name]);
            let error = plugins.find(Kind::Sink, name).unwrap_err();
            assert!(!matches!(error, Error::NotFound { .. }), "{error}");
        }
    }

    #[test]
    fn a_number_sign_in_a_directory_chooses_nothing() {
        let path = "/no#where/liba.so";
        let error = Plugins::new().find(Kind::Source, path).unwrap_err();
        assert!(error.to_string().contains(path), "{error}");
        let error = Plugins::new().find(Kind::Source, &format!("{path}#x")).unwrap_err();
        assert!(error.to_string().contains(&format!("{path}: ")), "{error}");
    }
}
