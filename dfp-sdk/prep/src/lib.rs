//! From raw batches to what a model learns from.
//!
//! 1. A [`Profile`] says what a kind of log means: who, when, which columns. One TOML file, see there for an example.
//! 2. [`batcher`] dates files by their names and groups them by period.
//! 3. [`LoadStage`] turns a source's raw batches into loaded batches: entity, time, load columns. What cannot be used is
//!    rejected with a reason, never lost.
//! 4. [`split`] makes one batch per entity.
//! 5. [`window`] says which rows to learn from and when, and gives rows the hashes that tell repeats.
//! 6. [`derive`](mod@derive) adds what only an entity's past can tell: counters, first times, travel.
//!
//! 7. For models of sequences, [`commands`] makes events of raw batches, and [`sessionize`](mod@sessionize) cuts each
//!    identity's events into sessions.
//!
//! Nothing here opens a file, looks at the clock, or knows which model follows. Where the reference implementation loses
//! or invents data (the quirks of spec/dfp.md section 25), the documents of each item say what happens here instead.
#![forbid(unsafe_code)]

pub mod batcher;
pub mod commands;
mod datetime;
mod deduplicate;
pub mod derive;
mod error;
mod hash;
mod input;
mod load;
mod period;
mod profile;
pub mod sessionize;
pub mod split;
#[cfg(test)]
mod testing;
pub mod window;

pub use datetime::parse_time;
pub use deduplicate::{Deduplicate, Seen};
pub use error::{Error, Result};
pub use load::{LoadOptions, LoadStage, Selection, WITHOUT_ENTITY};
pub use period::{Period, Span};
pub use profile::{
    ColumnType, DeriveColumn, DeriveRule, ENTITY, ENTITY_AS_WRITTEN, EntityColumn, Filter, Form, Granularity,
    History, LoadColumn, LoadRule, MISSING_IDENTITY, MaxHistory, Profile, Scalar, TimeColumn, TimeUnit,
    Without,
};
