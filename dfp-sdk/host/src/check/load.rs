//! What a library says about itself.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{Answer, Book, elf, kept, silent};
use crate::manifest::{Gap, ReadManifest, is_manifest, library_of, naming};
use crate::{ComponentDescription, Description};

/// The one symbol a plugin exports.
const ENTRY: &str = "dfp_plugin_entry_v0";
/// Keywords of JSON Schema that the host checks.
const CHECKED: [&str; 13] = [
    "type",
    "enum",
    "const",
    "properties",
    "required",
    "additionalProperties",
    "items",
    "minItems",
    "maxItems",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
];
/// Keywords that only say something.
const ANNOTATIONS: [&str; 8] =
    ["$schema", "$id", "$comment", "title", "description", "default", "examples", "deprecated"];
/// What stands in texts for bytes that are not UTF-8.
const REPLACEMENT: char = '\u{FFFD}';

/// The manifest that leads to the library, if there is one.
fn manifest_of(path: &Path) -> Option<PathBuf> {
    if is_manifest(path) { Some(path.to_owned()) } else { naming(path) }
}

/// The gaps that the library's manifest declares, if it can be read.
pub(super) fn gaps(library: &Path) -> Vec<Gap> {
    let manifest = manifest_of(library).and_then(|manifest| ReadManifest::read(&manifest).ok());
    manifest.map(|read| read.manifest.gaps).unwrap_or_default()
}

/// The library that a path leads to; a manifest that names none is its own dead end.
pub(super) fn library(path: &Path) -> PathBuf {
    let named = if is_manifest(path) { library_of(path) } else { None };
    named.unwrap_or_else(|| path.to_owned())
}

/// A library that was loaded, here or in a process of its own.
pub(super) struct Opened<T> {
    pub(super) plugin: T,
    /// Its manifest, if it has one, and why it does not load through that.
    manifest: Option<(PathBuf, Option<String>)>,
}

/// Has `open` load the library as a host does, through its manifest if it has one; where that is wrong, without it, since that
/// is a check of its own.
pub(super) fn load<T, E: ToString>(
    path: &Path,
    open: impl Fn(&Path) -> Result<T, E>,
) -> Result<Opened<T>, String> {
    let mut manifest = None;
    if let Some(beside) = manifest_of(path) {
        match open(&beside) {
            Ok(plugin) => return Ok(Opened { plugin, manifest: Some((beside, None)) }),
            Err(error) => manifest = Some((beside, Some(error.to_string()))),
        }
    }
    let plugin = open(&library(path)).map_err(|error| error.to_string())?;
    Ok(Opened { plugin, manifest })
}

impl<T> Opened<T> {
    /// The same with another view of the plugin.
    pub(super) fn map<U>(self, f: impl FnOnce(T) -> U) -> Opened<U> {
        Opened { plugin: f(self.plugin), manifest: self.manifest }
    }
}

pub(super) fn checks(book: &mut Book, opened: Opened<Description>, component: &ComponentDescription) {
    let Opened { plugin, manifest } = opened;
    let (library, own_schema) = (plugin.path.clone(), component.config_schema.clone());
    book.check("load/symbols", move || symbols(&library));
    book.check("load/texts", move || texts(&plugin));
    book.check("load/schema", move || schema(&own_schema));
    book.check("load/manifest", move || match manifest {
        None => silent("it has no manifest"),
        Some((path, None)) => kept(path.display().to_string()),
        Some((_, Some(why))) => Err(why),
    });
}

fn symbols(library: &Path) -> Answer {
    let Some(exports) = elf::exports(library) else { return silent("the file is no ELF library") };
    let others: Vec<&str> = exports.iter().map(String::as_str).filter(|name| *name != ENTRY).collect();
    if others.is_empty() {
        return kept("one");
    }
    let shown: Vec<&str> = others.iter().copied().take(5).collect();
    Err(format!("it exports {} symbols besides {ENTRY}: {} ..", others.len(), shown.join(", ")))
}

fn texts(plugin: &Description) -> Answer {
    let of_plugin = [
        ("id", &plugin.id),
        ("version", &plugin.version),
        ("vendor", &plugin.vendor),
        ("licence", &plugin.licence),
        ("SDK version", &plugin.sdk_version),
    ];
    let of_components = plugin.components.iter().flat_map(|component| {
        let ComponentDescription { id, title, config_schema, .. } = component;
        [("component id", id), ("title", title), ("configuration schema", config_schema)]
    });
    for (what, text) in of_plugin.into_iter().chain(of_components) {
        if text.is_empty() {
            return Err(format!("the {what} is empty"));
        }
        if text.contains(REPLACEMENT) {
            return Err(format!("the {what} is not UTF-8: {text}"));
        }
    }
    kept("complete, and UTF-8")
}

fn schema(schema: &str) -> Answer {
    let schema: Value = serde_json::from_str(schema)
        .map_err(|error| format!("the configuration schema is not JSON: {error}"))?;
    if schema.get("type") != Some(&Value::from("object")) {
        return Err("the configuration schema does not say that a configuration is an object".to_owned());
    }
    keywords(&schema, "")?;
    if schema.get("additionalProperties") == Some(&Value::Bool(false)) {
        return kept("checked in full by the host");
    }
    kept("unknown members are left to the component: the schema admits them")
}

/// Whether the host checks every keyword that restricts something.
fn keywords(schema: &Value, path: &str) -> Result<(), String> {
    let Value::Object(members) = schema else { return Ok(()) };
    for (keyword, value) in members {
        let here = format!("{path}/{keyword}");
        match keyword.as_str() {
            "properties" => {
                for (name, schema) in value.as_object().into_iter().flatten() {
                    keywords(schema, &format!("{here}/{name}"))?;
                }
            }
            "items" | "additionalProperties" => keywords(value, &here)?,
            known if CHECKED.contains(&known) || ANNOTATIONS.contains(&known) => {}
            _ => return Err(format!("the host does not check {here} of the configuration schema")),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_that_the_host_passes_over_are_found() {
        let schema = serde_json::json!({
            "type": "object",
            "description": "x",
            "properties": {"pattern": {"type": "string", "minLength": 1}},
            "additionalProperties": {"items": {"enum": [1]}}
        });
        assert_eq!(keywords(&schema, ""), Ok(()));
        let schema = serde_json::json!({"properties": {"a": {"items": {"pattern": "x"}}}});
        assert!(keywords(&schema, "").unwrap_err().contains("/properties/a/items/pattern"));
    }
}
