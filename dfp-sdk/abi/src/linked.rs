//! A source that is compiled into the program instead of loaded.

use std::sync::Arc;

use dfp_core::{Host, Result, Source};

/// Makes an instance from a JSON object as text.
pub type CreateSource = fn(&str, Arc<dyn Host>) -> Result<Box<dyn Source>>;

/// What a program needs to know about a source it links: the same facts a loaded plugin states in its tables.
///
/// `dfp_plugin::linked` makes one of every plugin source; `dfp_host::Plugins::link` takes it.
#[derive(Debug, Clone, Copy)]
pub struct LinkedSource {
    /// The name users select it by.
    pub id: &'static str,
    /// One line for people.
    pub title: &'static str,
    /// JSON Schema of the configuration object.
    pub config_schema: &'static str,
    /// The shipped profile in TOML; empty if there is none.
    pub profile: &'static str,
    /// Makes an instance from the configuration, a JSON object as text.
    pub create: CreateSource,
}
