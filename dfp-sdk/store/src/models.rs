//! What is kept about models besides their bytes.

use serde::{Deserialize, Serialize};

/// What whoever made a model says about it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ModelDetails {
    /// When it was made, nanoseconds since 1970.
    pub created: i64,
    /// The source it was trained for.
    pub source: String,
    /// The entity it describes, or the fallback's name.
    pub entity: String,
    /// Its kind, as in the model's own metadata: `autoencoder`, `rarity`, ...
    pub kind: String,
    /// Rows it was trained on.
    pub rows: u64,
    /// Time of the oldest of them, nanoseconds since 1970.
    pub start: Option<i64>,
    /// Time of the newest of them.
    pub end: Option<i64>,
}

/// A version of a model in the store.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ModelInfo {
    /// Its name, see [`model_name`](crate::model_name).
    pub name: String,
    /// Its version; the first is 1.
    pub version: u32,
    /// Its size.
    pub bytes: u64,
    /// What its maker said.
    #[serde(flatten)]
    pub details: ModelDetails,
}

impl ModelInfo {
    /// `name:version`, as findings and scores cite it. The last `:` is the separator: names may hold more.
    pub fn cite(&self) -> String {
        format!("{}:{}", self.name, self.version)
    }
}
