//! `NAME.dfp-plugin.toml`: what a plugin library is, without opening it.

use std::ffi::OsStr;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use dfp_abi::{FINGERPRINT, Kind};
use serde::{Deserialize, Serialize};

use crate::description::Description;
use crate::error::{Error, Result};
use crate::files::{CheckedFile, Digest, checked_file, hex, unhex};
use crate::library::Plugin;
use crate::trust::{PublicKey, SecretKey};

/// How manifests' names end.
pub(crate) const SUFFIX: &str = ".dfp-plugin.toml";
/// The manifest format this host reads.
const VERSION: u32 = 1;
/// No manifest is longer.
const MAX_BYTES: u64 = 1 << 20;
/// How the one line begins that is not signed, because it holds the signature.
const SIGNATURE_LINE: &str = "signature = \"";

/// A manifest, read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Manifest {
    #[serde(rename = "manifest_version")]
    format: u32,
    pub(crate) id: String,
    pub(crate) version: String,
    /// [`abi`] of the library.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) abi: Option<String>,
    /// The library's file name, in the manifest's own directory.
    file: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    licence: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    signer: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    signature: Option<String>,
    #[serde(default)]
    pub(crate) components: Vec<Component>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) gaps: Vec<Gap>,
}

/// One thing a plugin offers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Component {
    pub(crate) kind: String,
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) title: String,
    /// JSON Schema of its configuration, if the manifest tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    config_schema: Option<String>,
}

/// A check of the conformance kit that the author declares not met.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Gap {
    /// Its name, as the kit prints it.
    pub(crate) check: String,
    /// Why.
    pub(crate) reason: String,
}

impl Component {
    /// What it is; `None` for a kind that this host does not know.
    pub(crate) fn kind(&self) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.name() == self.kind)
    }
}

/// The version of the border and the fingerprint of its header, as manifests state them.
pub(crate) fn abi() -> String {
    format!("v0-{FINGERPRINT:016x}")
}

/// Whether a file is a manifest, by its name.
pub(crate) fn is_manifest(path: &Path) -> bool {
    path.file_name().and_then(OsStr::to_str).is_some_and(|name| name.ends_with(SUFFIX))
}

/// The first manifest, by name, in the library's directory that names the library, whatever else is wrong with it.
pub(crate) fn naming(library: &Path) -> Option<PathBuf> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(library.parent()?)
        .ok()?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| is_manifest(path))
        .collect();
    paths.sort();
    let name = library.file_name()?.to_str()?;
    paths.into_iter().find(|path| read_text(path).is_some_and(|text| names(&text, name)))
}

/// The library that a manifest leads to, if it names one, whatever else is wrong with it.
#[cfg(feature = "check")]
pub(crate) fn library_of(manifest: &Path) -> Option<PathBuf> {
    let file = file_in(&read_text(manifest)?)?;
    is_file_name(&file).then(|| manifest.with_file_name(file))
}

/// A manifest's text, if it can be one. What would block or never end is left alone.
fn read_text(path: &Path) -> Option<String> {
    let mut text = String::new();
    let file = path.metadata().ok()?.is_file().then(|| std::fs::File::open(path).ok())??;
    file.take(MAX_BYTES).read_to_string(&mut text).ok()?;
    Some(text)
}

/// Whether a manifest's text names `file`; if it is no TOML any more, by the line that says so.
fn names(text: &str, file: &str) -> bool {
    let says_so = |line: &str| {
        let value = line.trim_start().strip_prefix("file")?.trim_start().strip_prefix('=')?.trim_start();
        let value = value.strip_prefix(['"', '\''])?.strip_prefix(file)?;
        Some(value.starts_with(['"', '\'']))
    };
    match file_in(text) {
        Some(named) => named == file,
        None => text.lines().any(|line| says_so(line) == Some(true)),
    }
}

/// The file that a text names as TOML.
fn file_in(text: &str) -> Option<String> {
    /// All that is read here.
    #[derive(Deserialize)]
    struct Named {
        file: String,
    }
    toml::from_str(text).ok().map(|Named { file }| file)
}

fn is_file_name(name: &str) -> bool {
    Path::new(name).file_name() == Some(name.as_ref())
}

/// A manifest with the bytes it was read from.
#[derive(Debug)]
pub(crate) struct ReadManifest {
    pub(crate) manifest: Manifest,
    /// Without symbolic links.
    pub(crate) path: PathBuf,
    text: String,
}

impl ReadManifest {
    /// Reads a manifest that nobody else could have changed.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let CheckedFile { path, file, .. } = checked_file(path)?;
        let wrong = |what: String| Error::Manifest { path: path.clone(), what };
        let mut text = String::new();
        file.take(MAX_BYTES + 1).read_to_string(&mut text).map_err(|error| wrong(error.to_string()))?;
        let manifest = Manifest::parse(&text).map_err(wrong)?;
        Ok(Self { manifest, path, text })
    }

    /// The manifest in the library's directory that names it, if there is one.
    ///
    /// # Errors
    /// If there is one that cannot be used: a library is not to lose its manifest because somebody damaged it.
    pub(crate) fn beside(library: &Path) -> Result<Option<Self>> {
        naming(library).map(|manifest| Self::read(&manifest)).transpose()
    }

    fn wrong(&self, what: impl Into<String>) -> Error {
        Error::Manifest { path: self.path.clone(), what: what.into() }
    }

    /// Where the library lies.
    pub(crate) fn library(&self) -> PathBuf {
        self.path.with_file_name(&self.manifest.file)
    }

    /// The hash the library must have, if the manifest states one.
    pub(crate) fn sha256(&self) -> Option<Digest> {
        self.manifest.sha256.as_deref().and_then(unhex).map(Digest)
    }

    /// Who signed it, if that is one of `keys`.
    pub(crate) fn signed_by(&self, keys: &[PublicKey]) -> Result<PublicKey> {
        let untrusted = |what: String| Error::Untrusted { path: self.path.clone(), what };
        let (Some(signer), Some(signature)) = (&self.manifest.signer, &self.manifest.signature) else {
            return Err(untrusted("it is not signed; `dfp plugin seal --key` signs it".to_owned()));
        };
        let signer: PublicKey = signer.parse().map_err(|_| self.wrong("its signer is no public key"))?;
        if !keys.contains(&signer) {
            return Err(untrusted(format!("it is signed with the key {signer}, which is not one of yours")));
        }
        let signature_bytes = unhex(signature).ok_or_else(|| self.wrong("its signature is none"))?;
        let signed = signed_part(&self.text, signature)
            .ok_or_else(|| self.wrong("its signature is not on one line of its own"))?;
        if !signer.verifies(signed.as_bytes(), signature_bytes) {
            return Err(untrusted("its signature is wrong: it was changed since it was signed".to_owned()));
        }
        Ok(signer)
    }

    /// Refuses a library built with another header, before it is opened.
    pub(crate) fn check_abi(&self) -> Result<()> {
        match &self.manifest.abi {
            Some(theirs) if *theirs != abi() => Err(Error::OtherAbi {
                path: self.path.clone(),
                plugin: theirs.chars().take(64).collect(),
                host: abi(),
            }),
            _ => Ok(()),
        }
    }

    /// Whether `plugin` is what the manifest describes.
    pub(crate) fn check(&self, plugin: &Description) -> Result<()> {
        let Manifest { id, version, components, .. } = &self.manifest;
        if (&plugin.id, &plugin.version) != (id, version) {
            return Err(self.wrong(format!(
                "it describes {id} {version}, but the library is {} {}",
                plugin.id, plugin.version
            )));
        }
        // Kinds that this host does not know are passed over on both sides.
        let declared = || components.iter().filter_map(|component| Some((component.kind()?, component)));
        for (kind, declared) in declared() {
            let id = declared.id.as_str();
            let component = plugin.component(kind, id).ok_or_else(|| {
                self.wrong(format!("it describes {kind} {id:?}, which the library does not have"))
            })?;
            if declared.config_schema.as_ref().is_some_and(|schema| *schema != component.config_schema) {
                return Err(self.wrong(format!("its schema of {kind} {id:?} is not the library's")));
            }
        }
        for component in &plugin.components {
            let (kind, id) = (component.kind, component.id.as_str());
            if !declared().any(|(other, declared)| (other, declared.id.as_str()) == (kind, id)) {
                return Err(self.wrong(format!("it is silent about {kind} {id:?} of the library")));
            }
        }
        Ok(())
    }
}

impl Manifest {
    /// What a manifest's text says.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if text.len() as u64 > MAX_BYTES {
            return Err(format!("it has more than {MAX_BYTES} bytes"));
        }
        let manifest: Self = toml::from_str(text).map_err(|error| error.to_string())?;
        if manifest.format != VERSION {
            return Err(format!(
                "its format is version {}, this program reads version {VERSION}",
                manifest.format
            ));
        }
        if !is_file_name(&manifest.file) {
            return Err(format!("{:?} is no file name; the library lies beside its manifest", manifest.file));
        }
        if manifest.sha256.as_deref().is_some_and(|sha256| unhex::<32>(sha256).is_none()) {
            return Err("its sha256 has not 64 lower-case hexadecimal digits".to_owned());
        }
        if manifest.signature.is_some() && (manifest.signer.is_none() || manifest.sha256.is_none()) {
            return Err("it is signed, but does not state both signer and sha256".to_owned());
        }
        Ok(manifest)
    }
}

/// The text without its one line that holds the signature; `None` if there is no such line, or another one like it.
fn signed_part(text: &str, signature: &str) -> Option<String> {
    let line = format!("{SIGNATURE_LINE}{signature}\"\n");
    let mut like_it = text.split_inclusive('\n').filter(|line| line.starts_with(SIGNATURE_LINE));
    if like_it.next() != Some(line.as_str()) || like_it.next().is_some() {
        return None;
    }
    Some(text.split_inclusive('\n').filter(|line| !line.starts_with(SIGNATURE_LINE)).collect())
}

/// Writes a manifest for a library, beside it, and answers with its path. The library is loaded to read its tables: its code
/// runs.
///
/// The manifest states the library's SHA-256 and, with a key, is signed. It is called `NAME.dfp-plugin.toml`; without a name
/// given, `NAME` is the id of the library's components if they have but one, else it comes from the library's file name.
/// Declared gaps of a manifest that is already there are kept.
///
/// # Errors
/// If the library cannot be loaded, the manifest there already makes no sense, or the new one cannot be written.
pub fn seal(library: &Path, name: Option<&str>, key: Option<&SecretKey>) -> Result<PathBuf> {
    let file = checked_file(library)?;
    let (digest, library) = (file.digest()?, file.path.clone());
    let plugin = Plugin::load_file(file, Some(digest))?;
    let name = match name {
        Some(name) => name.to_owned(),
        None => name_for(plugin),
    };
    let path = library.with_file_name(format!("{name}{SUFFIX}"));
    let wrong = |what: String| Error::Manifest { path: path.clone(), what };
    if !is_file_name(&name) {
        return Err(wrong(format!("{name:?} is no file name")));
    }
    let gaps = if path.exists() { ReadManifest::read(&path)?.manifest.gaps } else { Vec::new() };
    let manifest = Manifest {
        format: VERSION,
        id: plugin.id.clone(),
        version: plugin.version.clone(),
        abi: Some(abi()),
        file: library.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        sha256: Some(digest.to_string()),
        licence: Some(plugin.licence.clone()),
        signer: key.map(|key| key.public().to_string()),
        signature: None,
        components: plugin.components().iter().map(described).collect(),
        gaps,
    };
    let text = toml::to_string(&manifest).map_err(|error| wrong(error.to_string()))?;
    let text = match key {
        Some(key) => signed(&text, key),
        None => text,
    };
    // What is written must be what the next reader accepts.
    let read = ReadManifest { manifest: Manifest::parse(&text).map_err(wrong)?, path: path.clone(), text };
    read.check(&plugin.describe())?;
    if let Some(key) = key {
        read.signed_by(&[key.public()])?;
    }
    replace(&path, &read.text).map_err(|source| Error::Inspect { path: path.clone(), source })?;
    Ok(path)
}

fn described(component: &crate::LoadedComponent) -> Component {
    Component {
        kind: component.kind.name().to_owned(),
        id: component.id.clone(),
        title: component.title.clone(),
        config_schema: Some(component.config_schema.clone()),
    }
}

/// What a manifest is called unless somebody says otherwise.
fn name_for(plugin: &Plugin) -> String {
    let mut ids = plugin.components().iter().map(|component| component.id.as_str());
    let only = ids.next().filter(|first| ids.all(|id| id == *first));
    only.filter(|id| is_file_name(id)).map_or_else(|| name_of_library(&plugin.path), str::to_owned)
}

/// The name in `libNAME.so` or `libdfp_NAME.so`, with `-` for `_`.
fn name_of_library(path: &Path) -> String {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let stem = stem.strip_prefix(std::env::consts::DLL_PREFIX).unwrap_or(&stem);
    stem.strip_prefix("dfp_").unwrap_or(stem).replace('_', "-")
}

/// `text` with its signature on a line of its own, after the signer's: keys come before tables.
fn signed(text: &str, key: &SecretKey) -> String {
    let line = format!("{SIGNATURE_LINE}{}\"\n", hex(&key.sign(text.as_bytes())));
    let mut with = String::with_capacity(text.len() + line.len());
    for part in text.split_inclusive('\n') {
        with.push_str(part);
        if part.starts_with("signer = ") {
            with.push_str(&line);
        }
    }
    with
}

/// Puts a whole file in the place of `path`, or leaves what is there.
fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = path.with_file_name(format!(".{name}.{}", std::process::id()));
    let write = || {
        let mut file = std::fs::File::create_new(&temporary)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&temporary, path)
    };
    write().inspect_err(|_| drop(std::fs::remove_file(&temporary)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "manifest_version = 1\nid = \"a\"\nversion = \"1\"\nfile = \"a.so\"\n";

    fn read(text: &str) -> ReadManifest {
        let manifest = Manifest::parse(text).unwrap();
        ReadManifest { manifest, path: PathBuf::from("/a.dfp-plugin.toml"), text: text.to_owned() }
    }

    #[test]
    fn every_byte_but_the_signature_is_signed() {
        let key = SecretKey::from_seed([7; 32]).unwrap();
        let sha256 = "0".repeat(64);
        let text = format!("{TEXT}sha256 = \"{sha256}\"\nsigner = \"{}\"\n# end\n", key.public());
        let good = signed(&text, &key);
        assert_eq!(read(&good).signed_by(&[key.public()]).unwrap(), key.public());
        let changed = good.replace("# end", "# End");
        let error = read(&changed).signed_by(&[key.public()]).unwrap_err().to_string();
        assert!(error.contains("changed since it was signed"), "{error}");

        // The line that is not signed must not become a hiding place.
        let line = good.lines().find(|line| line.starts_with(SIGNATURE_LINE)).unwrap();
        let hidden = format!("{good}licence = '''\n{SIGNATURE_LINE}x\n'''\n");
        let twice = format!("{good}licence = '''\n{line}\n'''\n");
        let crlf = good.replace(line, &format!("{line}\r"));
        let spaced = good.replace(line, &format!("{line} # by me"));
        let indented = good.replace(line, &format!(" {line}"));
        for text in [hidden, twice, crlf, spaced, indented] {
            let error = read(&text).signed_by(&[key.public()]).unwrap_err().to_string();
            assert!(error.contains("line of its own"), "{text}\n{error}");
        }
        assert!(Manifest::parse(&text.replace("signer", "signature")).is_err());
        let other = SecretKey::from_seed([8; 32]).unwrap().public();
        assert!(read(&good).signed_by(&[other]).unwrap_err().to_string().contains("not one of yours"));
        assert!(read(TEXT).signed_by(&[other]).unwrap_err().to_string().contains("not signed"));
    }

    #[test]
    fn a_manifest_names_its_library_however_damaged_the_rest_is() {
        for text in [
            TEXT,
            "file = 'a.so'",
            "colour = 1\n  \"file\" = \"a.so\" # mine",
            "file = \"a.so\"\nsha256 = \"00\nversion",
            "= =\n\tfile='a.so'",
        ] {
            assert!(names(text, "a.so"), "{text}");
            assert!(!names(text, "b.so") && !names(text, "a.s") && !names(text, "a.so.1"), "{text}");
        }
        for text in ["", "files = \"a.so\"", "# file = \"a.so\"", "= =\nfile = a.so", "= =\nfile \"a.so\""] {
            assert!(!names(text, "a.so"), "{text}");
        }
    }

    #[test]
    fn damaged_manifests_are_refused() {
        for (damage, expected) in [
            ("sha256 = \"00\"\n", "sha256"),
            ("signature = \"00\"\n", "signer"),
            ("colour = 1\n", "colour"),
            ("[[gaps]]\ncheck = \"load\"\n", "reason"),
            ("[[components]]\nid = \"a\"\n", "kind"),
        ] {
            let error = Manifest::parse(&format!("{TEXT}{damage}")).unwrap_err();
            assert!(error.contains(expected), "{damage}: {error}");
        }
        for name in ["", "..", "../a.so", "/a.so", "a/b.so", "a.so/"] {
            assert!(Manifest::parse(&TEXT.replace("a.so", name)).is_err(), "{name}");
        }
        assert!(Manifest::parse(&" ".repeat(2 << 20)).unwrap_err().contains("bytes"));
        assert!(read(&format!("{TEXT}abi = \"v0-1\"\n")).check_abi().is_err());
        read(&format!("{TEXT}abi = \"{}\"\n", abi())).check_abi().unwrap();
    }
}
