//! What plugins and their components say about themselves, without their functions.

use std::path::PathBuf;

use dfp_abi::Kind;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::{Error, Result};
use crate::library::{LoadedComponent, Plugin};

/// What a plugin says about itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Description {
    /// Its library.
    pub path: PathBuf,
    /// Unique name.
    pub id: String,
    /// The plugin's own version.
    pub version: String,
    /// Who made it.
    pub vendor: String,
    /// SPDX expression.
    pub licence: String,
    /// The version of dfp it was built with.
    pub sdk_version: String,
    /// What it offers, but for kinds that this host does not know.
    pub components: Vec<ComponentDescription>,
}

/// What a component says about itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ComponentDescription {
    /// What it is.
    #[serde(serialize_with = "write_kind", deserialize_with = "read_kind")]
    pub kind: Kind,
    /// The name users select it by.
    pub id: String,
    /// One line for people; may be empty.
    pub title: String,
    /// JSON Schema of its configuration.
    pub config_schema: String,
    /// The shipped profile, TOML; empty if there is none.
    pub profile: String,
    /// `DFP_CONCURRENT`, `DFP_DETERMINISTIC`, `DFP_KEEPS_ROWS`.
    pub flags: u64,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde hands it over like this")]
fn write_kind<S: Serializer>(kind: &Kind, out: S) -> Result<S::Ok, S::Error> {
    out.serialize_str(kind.name())
}

fn read_kind<'de, D: Deserializer<'de>>(input: D) -> Result<Kind, D::Error> {
    let name = String::deserialize(input)?;
    let kind = Kind::ALL.into_iter().find(|kind| kind.name() == name);
    kind.ok_or_else(|| serde::de::Error::custom("there is no such kind of component"))
}

impl Description {
    /// The component of that kind and id.
    pub fn component(&self, kind: Kind, id: &str) -> Option<&ComponentDescription> {
        self.components.iter().find(|component| component.kind == kind && component.id == id)
    }

    /// The component of that kind and id; without an id, the one that is called like its plugin, or the only one.
    pub(crate) fn choose(
        &self,
        kind: Kind,
        name: Option<&str>,
        id: Option<&str>,
    ) -> Result<&ComponentDescription> {
        let mut of_kind = self.components.iter().filter(|component| component.kind == kind);
        let named = || name.and_then(|name| self.component(kind, name));
        let chosen = match id {
            Some(id) => self.component(kind, id),
            None => named().or_else(|| of_kind.next().filter(|_| of_kind.next().is_none())),
        };
        chosen.ok_or_else(|| Error::NoSuchComponent {
            path: self.path.clone(),
            kind,
            wanted: id.unwrap_or_default().to_owned(),
            found: self.offer(),
        })
    }

    /// What it has, for messages.
    fn offer(&self) -> String {
        let names = self.components.iter().map(|component| format!("{} {:?}", component.kind, component.id));
        let names: Vec<_> = names.collect();
        if names.is_empty() { "nothing that this program knows".to_owned() } else { names.join(", ") }
    }
}

impl Plugin {
    /// What it says about itself.
    pub fn describe(&self) -> Description {
        Description {
            path: self.path.clone(),
            id: self.id.clone(),
            version: self.version.clone(),
            vendor: self.vendor.clone(),
            licence: self.licence.clone(),
            sdk_version: self.sdk_version.clone(),
            components: self.components().iter().map(LoadedComponent::describe).collect(),
        }
    }
}

impl LoadedComponent {
    /// What it says about itself.
    pub fn describe(&self) -> ComponentDescription {
        let Self { kind, id, title, config_schema, profile, flags, .. } = self;
        ComponentDescription {
            kind: *kind,
            id: id.clone(),
            title: title.clone(),
            config_schema: config_schema.clone(),
            profile: profile.clone(),
            flags: *flags,
        }
    }
}
