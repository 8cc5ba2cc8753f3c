//! The trait that makes a source, stage, sink or trainer a component that users select by name.

use std::sync::Arc;

use dfp_abi::c::DFP_CONCURRENT;
use dfp_abi::{Create, Kind, LinkedComponent};
use dfp_core::{Error, ErrorKind, Host, Result, Sink, Source, Stage, Trainer};
use serde::de::DeserializeOwned;

/// A [`Source`], [`Stage`], [`Sink`] or [`Trainer`] that can be made from a configuration, in the program that links it or
/// behind the C border.
///
/// ```
/// use std::sync::Arc;
///
/// use dfp_plugin::arrow_array::{ArrayRef, RecordBatch, StringArray};
/// use dfp_plugin::arrow_schema::SchemaRef;
/// use dfp_plugin::{BatchStream, Component, Host, MemoryStream, Result, Source};
///
/// /// Greets each guest with one row.
/// struct Greetings(RecordBatch);
///
/// #[derive(serde::Deserialize)]
/// #[serde(deny_unknown_fields)]
/// struct Config {
///     guests: Vec<String>,
/// }
///
/// impl Component for Greetings {
///     const ID: &'static str = "greetings";
///     const TITLE: &'static str = "One row for each guest";
///     const CONFIG_SCHEMA: &'static str = r#"{
///         "type": "object",
///         "properties": {"guests": {"type": "array", "items": {"type": "string"}}},
///         "required": ["guests"],
///         "additionalProperties": false
///     }"#;
///     type Config = Config;
///
///     fn create(config: Config, _host: Arc<dyn Host>) -> Result<Self> {
///         let guests: ArrayRef = Arc::new(StringArray::from(config.guests));
///         Ok(Self(RecordBatch::try_from_iter([("guest", guests)])?))
///     }
/// }
///
/// impl Source for Greetings {
///     fn schema(&self) -> SchemaRef {
///         self.0.schema()
///     }
///
///     fn open(&mut self, _resume: Option<&[u8]>) -> Result<Box<dyn BatchStream>> {
///         Ok(Box::new(MemoryStream::new(self.schema(), vec![self.0.clone()])))
///     }
/// }
/// ```
pub trait Component: Sized + 'static {
    /// The name users select it by: lower case, words joined by `-`.
    const ID: &'static str;
    /// One line for people.
    const TITLE: &'static str;
    /// JSON Schema of [`Config`](Self::Config): an object that admits no unknown members.
    const CONFIG_SCHEMA: &'static str;
    /// The profile shipped with a source, TOML; empty if there is none, as always for what is no source.
    const PROFILE: &'static str = "";
    /// [`DETERMINISTIC`](crate::DETERMINISTIC) and [`KEEPS_ROWS`](crate::KEEPS_ROWS), as far as they hold.
    const FLAGS: u64 = 0;
    /// The configuration. Refuse unknown members here too (`#[serde(deny_unknown_fields)]`).
    type Config: DeserializeOwned;

    /// Makes an instance. Nothing is opened yet; inputs are opened through `host` when the work begins.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`] if the values make no sense together.
    fn create(config: Self::Config, host: Arc<dyn Host>) -> Result<Self>;

    /// What the instance is doing, as a JSON object for people.
    fn introspect(&self) -> Option<serde_json::Value> {
        None
    }
}

/// Makes a `T` from configuration text.
///
/// # Errors
/// [`ErrorKind::InvalidConfig`] if the text is not what `T` takes, and whatever [`Component::create`] answers.
pub fn create<T: Component>(config: &str, host: Arc<dyn Host>) -> Result<T> {
    let doing = || format!("reading the configuration of {}", T::ID);
    // Derived types would take a list of their values as well.
    if !config.trim_start().starts_with('{') {
        return Err(Error::caused(ErrorKind::InvalidConfig, doing(), "it is no JSON object"));
    }
    let config = serde_json::from_str(config)
        .map_err(|error| Error::caused(ErrorKind::InvalidConfig, doing(), error))?;
    T::create(config, host)
}

/// The flags of `T` as a component of `kind`. Only trainers can be called by several threads at once, and all can.
#[doc(hidden)]
pub const fn flags<T: Component>(kind: Kind) -> u64 {
    assert!(T::FLAGS & DFP_CONCURRENT == 0, "whether calls may overlap follows from the kind: leave it out");
    match kind {
        Kind::Model => T::FLAGS | DFP_CONCURRENT,
        _ => T::FLAGS,
    }
}

const fn linked<T: Component>(kind: Kind, create: Create) -> LinkedComponent {
    LinkedComponent {
        id: T::ID,
        title: T::TITLE,
        config_schema: T::CONFIG_SCHEMA,
        profile: T::PROFILE,
        flags: flags::<T>(kind),
        create,
    }
}

/// The facts of the source `T` for a program that links it.
pub const fn linked_source<T: Component + Source>() -> LinkedComponent {
    linked::<T>(Kind::Source, Create::Source(|config, host| Ok(Box::new(create::<T>(config, host)?))))
}

/// The facts of the stage `T` for a program that links it.
pub const fn linked_stage<T: Component + Stage>() -> LinkedComponent {
    linked::<T>(Kind::Stage, Create::Stage(|config, host| Ok(Box::new(create::<T>(config, host)?))))
}

/// The facts of the sink `T` for a program that links it.
pub const fn linked_sink<T: Component + Sink>() -> LinkedComponent {
    linked::<T>(Kind::Sink, Create::Sink(|config, host| Ok(Box::new(create::<T>(config, host)?))))
}

/// The facts of the model component whose trainer is `T` for a program that links it.
pub const fn linked_model<T: Component + Trainer>() -> LinkedComponent {
    linked::<T>(Kind::Model, Create::Model(|config, host| Ok(Box::new(create::<T>(config, host)?))))
}
