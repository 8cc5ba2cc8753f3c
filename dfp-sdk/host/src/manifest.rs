//! `NAME.dfp-plugin.toml`: what a plugin library is, without opening it.

use std::path::{Path, PathBuf};

use dfp_abi::Kind;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::library::{Plugin, checked_file};

/// How manifests' names end.
pub(crate) const SUFFIX: &str = ".dfp-plugin.toml";
/// The manifest format this host reads.
const VERSION: u32 = 1;
/// No manifest is longer.
const MAX_BYTES: u64 = 1 << 20;

/// A manifest, read.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Manifest {
    #[serde(rename = "manifest_version")]
    format: u32,
    pub(crate) id: String,
    pub(crate) version: String,
    /// The library's file name, in the manifest's own directory.
    file: String,
    /// Belongs to the format, but this host cannot check it.
    sha256: Option<String>,
    #[serde(default)]
    pub(crate) components: Vec<Component>,
}

/// One thing a plugin offers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Component {
    pub(crate) kind: String,
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) title: String,
}

impl Component {
    /// What it is; `None` for a kind that this host does not know.
    pub(crate) fn kind(&self) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.name() == self.kind)
    }
}

impl Manifest {
    /// Reads a manifest that nobody else could have changed.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let (path, metadata) = checked_file(path)?;
        let wrong = |what: String| Error::Manifest { path: path.clone(), what };
        if metadata.len() > MAX_BYTES {
            return Err(wrong(format!(
                "it has {} bytes, and none may have more than {MAX_BYTES}",
                metadata.len()
            )));
        }
        let text = std::fs::read_to_string(&path).map_err(|error| wrong(error.to_string()))?;
        let manifest: Self = toml::from_str(&text).map_err(|error| wrong(error.to_string()))?;
        if manifest.format != VERSION {
            return Err(wrong(format!(
                "its format is version {}, this program reads version {VERSION}",
                manifest.format
            )));
        }
        if Path::new(&manifest.file).file_name() != Some(manifest.file.as_ref()) {
            return Err(wrong(format!(
                "{:?} is no file name; the library lies beside its manifest",
                manifest.file
            )));
        }
        if manifest.sha256.is_some() {
            // Passing over it would promise a check that nobody makes.
            return Err(wrong("it states a sha256, which this version of dfp does not check".to_owned()));
        }
        Ok(manifest)
    }

    /// Where the library of the manifest at `path` lies.
    pub(crate) fn library(&self, path: &Path) -> PathBuf {
        path.with_file_name(&self.file)
    }

    /// Loads the library of the manifest at `path`, if it is the one the manifest describes.
    pub(crate) fn load(&self, path: &Path) -> Result<&'static Plugin> {
        let wrong = |what: String| Error::Manifest { path: path.to_owned(), what };
        let plugin = Plugin::load(&self.library(path))?;
        if (&plugin.id, &plugin.version) != (&self.id, &self.version) {
            return Err(wrong(format!(
                "it describes {} {}, but the library is {} {}",
                self.id, self.version, plugin.id, plugin.version
            )));
        }
        // Kinds that this host does not know are passed over on both sides.
        let declared = || {
            self.components.iter().filter_map(|component| Some((component.kind()?, component.id.as_str())))
        };
        if let Some((kind, id)) = declared().find(|(kind, id)| plugin.component(*kind, id).is_none()) {
            return Err(wrong(format!("it describes {kind} {id:?}, which the library does not have")));
        }
        for component in plugin.components() {
            let (kind, id) = (component.kind, component.id.as_str());
            if !declared().any(|other| other == (kind, id)) {
                return Err(wrong(format!("it is silent about {kind} {id:?} of the library")));
            }
        }
        Ok(plugin)
    }
}
