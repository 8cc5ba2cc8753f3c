//! A source that never runs in this process, and the little that its host gives it.

use std::collections::HashSet;
use std::io::Read;
use std::sync::Arc;

use dfp_core::{Error, ErrorKind, Host, Level, Reject, Result};
use serde_json::Value;

use super::{RemoteOptions, RemoteSource};
use crate::ComponentDescription;

/// A source that was found, and runs in processes of its own.
#[derive(Debug, Clone)]
pub struct IsolatedSource {
    options: RemoteOptions,
    description: ComponentDescription,
}

impl IsolatedSource {
    pub(crate) fn new(options: RemoteOptions, description: ComponentDescription) -> Self {
        Self { options, description }
    }

    /// What it says about itself.
    pub fn description(&self) -> &ComponentDescription {
        &self.description
    }

    /// Starts a process and makes an instance in it from `config`, a JSON object as text. Of what `host` has, the source gets
    /// the inputs that are texts somewhere in `config`, word for word, and the secrets that `config` refers to.
    ///
    /// # Errors
    /// As [`RemoteSource::create`].
    pub fn create(&self, config: &str, host: Arc<dyn Host>) -> Result<RemoteSource> {
        RemoteSource::create(&self.options, config, Arc::new(Confined::new(config, host)))
    }
}

/// A host that gives a component no more than its configuration names.
pub(super) struct Confined {
    host: Arc<dyn Host>,
    inputs: HashSet<String>,
    secrets: HashSet<String>,
}

impl Confined {
    pub(super) fn new(config: &str, host: Arc<dyn Host>) -> Self {
        let mut confined = Self { host, inputs: HashSet::new(), secrets: HashSet::new() };
        // What is no JSON names nothing, and no component is made from it.
        confined.admit(&serde_json::from_str(config).unwrap_or_default());
        confined
    }

    fn admit(&mut self, config: &Value) {
        match config {
            Value::String(text) => {
                self.inputs.insert(text.clone());
            }
            Value::Array(items) => items.iter().for_each(|item| self.admit(item)),
            Value::Object(members) => {
                for (name, member) in members {
                    match member {
                        Value::String(secret) if name == "$secret" => {
                            self.secrets.insert(secret.clone());
                        }
                        member => self.admit(member),
                    }
                }
            }
            _ => {}
        }
    }
}

fn denied(what: &str, name: &str) -> Error {
    let text = format!("{what} {name:?}: an isolated plugin gets only what its configuration names");
    Error::new(ErrorKind::Permission, text)
}

impl Host for Confined {
    fn log_enabled(&self, level: Level) -> bool {
        self.host.log_enabled(level)
    }

    fn log(&self, level: Level, target: &str, message: &str) {
        self.host.log(level, target, message);
    }

    fn is_cancelled(&self) -> bool {
        self.host.is_cancelled()
    }

    fn open(&self, uri: &str) -> Result<Box<dyn Read + Send>> {
        if self.inputs.contains(uri) { self.host.open(uri) } else { Err(denied("opening", uri)) }
    }

    fn secret(&self, name: &str) -> Result<Vec<u8>> {
        if self.secrets.contains(name) {
            self.host.secret(name)
        } else {
            Err(denied("fetching secret", name))
        }
    }

    fn reject(&self, reject: Reject) {
        self.host.reject(reject);
    }

    fn count(&self, counter: &str, n: u64) {
        self.host.count(counter, n);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{LocalHost, Secrets};

    #[test]
    fn nothing_is_given_but_what_the_configuration_names() {
        let own = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
        let config =
            format!(r#"{{"inputs": [{own:?}], "deep": {{"token": {{"$secret": "mine"}}}}, "n": 1}}"#);
        let host = LocalHost::new().secrets(Secrets::of([("mine", "1"), ("theirs", "2")]));
        let confined = Confined::new(&config, Arc::new(host));
        assert!(confined.open(own).is_ok());
        assert_eq!(confined.secret("mine").unwrap(), b"1");
        let other = concat!(env!("CARGO_MANIFEST_DIR"), "/src/lib.rs");
        for uri in [other, "mine", "inputs", ""] {
            assert_eq!(
                confined.open(uri).err().map(|error| error.kind()),
                Some(ErrorKind::Permission),
                "{uri}"
            );
        }
        assert_eq!(confined.secret("theirs").unwrap_err().kind(), ErrorKind::Permission);
        assert_eq!(confined.secret(own).unwrap_err().kind(), ErrorKind::Permission);
    }
}
