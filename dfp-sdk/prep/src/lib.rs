//! From raw batches to what a model learns from: profiles, column rules, file batching, the split by entity, history
//! windows and derived columns.
//!
//! Nothing here opens a file or knows which model follows. [`Profile`] says what a kind of log means; [`LoadStage`]
//! applies its load columns to raw batches.
#![forbid(unsafe_code)]

pub mod batcher;
mod datetime;
pub mod derive;
mod error;
mod hash;
mod input;
mod load;
mod period;
mod profile;
pub mod split;
#[cfg(test)]
mod testing;
pub mod window;

pub use datetime::parse_time;
pub use error::{Error, Result};
pub use load::{LoadOptions, LoadStage, Selection};
pub use period::{Period, Span};
pub use profile::{
    ColumnType, DeriveColumn, DeriveRule, ENTITY, EntityColumn, Filter, Form, Granularity, History,
    LoadColumn, LoadRule, MISSING_IDENTITY, MaxHistory, Profile, Scalar, TimeColumn, TimeUnit,
};
