//! Names of sources, entities and models: what is allowed, and the one place that joins them.

use crate::error::{Error, Result};

/// Longest name of a source, in bytes.
pub const MAX_SOURCE: usize = 256;
/// Longest name of an entity, in bytes.
pub const MAX_ENTITY: usize = 4096;
/// Longest name of a model, in bytes.
pub const MAX_MODEL: usize = MAX_SOURCE + 1 + MAX_ENTITY;

/// Longest name of a reader, in bytes.
pub const MAX_READER: usize = 1024;

/// The name of an entity's model: `source/entity`. Writers and readers both use it, so that what one stores the other
/// finds, whatever characters the entity holds. A source has no `/`, so no two pairs share a name.
///
/// ```
/// assert_eq!(dfp_store::model_name("azure-ad", "a.b/c@example.com"), "azure-ad/a.b/c@example.com");
/// ```
pub fn model_name(source: &str, entity: &str) -> String {
    format!("{source}/{entity}")
}

pub(crate) fn check_source(name: &str) -> Result<()> {
    check_length("source", name, MAX_SOURCE)?;
    if name.contains('/') || name.chars().any(char::is_control) {
        return Err(refuse("source", name, "it holds a slash or a control character".into()));
    }
    Ok(())
}

pub(crate) fn check_entity(name: &str) -> Result<()> {
    check_length("entity", name, MAX_ENTITY)
}

pub(crate) fn check_model(name: &str) -> Result<()> {
    check_length("model name", name, MAX_MODEL)
}

pub(crate) fn check_reader(name: &str) -> Result<()> {
    check_length("reader", name, MAX_READER)
}

fn check_length(what: &'static str, name: &str, limit: usize) -> Result<()> {
    match name.len() {
        0 => Err(refuse(what, name, "it is empty".into())),
        length if length > limit => {
            Err(refuse(what, name, format!("{length} bytes are more than the {limit} allowed")))
        }
        _ => Ok(()),
    }
}

fn refuse(what: &'static str, name: &str, why: String) -> Error {
    Error::Name { what, name: name.chars().take(64).collect(), why }
}
