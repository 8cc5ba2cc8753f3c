//! The trait a source plugin implements.

use std::sync::Arc;

use dfp_abi::{Create, LinkedComponent};
use dfp_core::{Error, ErrorKind, Host, Result, Source};
use serde::de::DeserializeOwned;

/// A [`Source`] that can be made from a configuration, in the program that links it or behind the C border.
///
/// ```
/// use std::sync::Arc;
///
/// use dfp_plugin::arrow_array::{ArrayRef, RecordBatch, StringArray};
/// use dfp_plugin::arrow_schema::SchemaRef;
/// use dfp_plugin::{BatchStream, Host, MemoryStream, Result, Source, SourcePlugin};
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
/// impl SourcePlugin for Greetings {
///     const ID: &'static str = "greetings";
///     const TITLE: &'static str = "One row for each guest";
///     const CONFIG_SCHEMA: &'static str = r#"{
///         "type": "object",
///         "properties": {"guests": {"type": "array", "items": {"type": "string"}}},
///         "required": ["guests"],
///         "additionalProperties": false
///     }"#;
///     const PROFILE: &'static str = "";
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
pub trait SourcePlugin: Source + Sized + 'static {
    /// The name users select it by: lower case, words joined by `-`.
    const ID: &'static str;
    /// One line for people.
    const TITLE: &'static str;
    /// JSON Schema of [`Config`](Self::Config): an object that admits no unknown members.
    const CONFIG_SCHEMA: &'static str;
    /// The profile shipped with the source, TOML; empty if there is none.
    const PROFILE: &'static str;
    /// The configuration. Refuse unknown members here too (`#[serde(deny_unknown_fields)]`).
    type Config: DeserializeOwned;

    /// Makes an instance. Nothing is opened yet; inputs are opened through `host` once the stream is read.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`] if the values make no sense together.
    fn create(config: Self::Config, host: Arc<dyn Host>) -> Result<Self>;
}

/// The facts of `P` for a program that links it.
pub const fn linked<P: SourcePlugin>() -> LinkedComponent {
    LinkedComponent {
        id: P::ID,
        title: P::TITLE,
        config_schema: P::CONFIG_SCHEMA,
        profile: P::PROFILE,
        flags: 0,
        create: Create::Source(|config, host| Ok(Box::new(create::<P>(config, host)?))),
    }
}

/// Makes a `P` from configuration text.
///
/// # Errors
/// [`ErrorKind::InvalidConfig`] if the text is not what `P` takes, and whatever [`SourcePlugin::create`] answers.
pub fn create<P: SourcePlugin>(config: &str, host: Arc<dyn Host>) -> Result<P> {
    let config = serde_json::from_str(config).map_err(|error| {
        Error::caused(
            ErrorKind::InvalidConfig,
            format!("reading the configuration of source {}", P::ID),
            error,
        )
    })?;
    P::create(config, host)
}
