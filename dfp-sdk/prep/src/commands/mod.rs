//! Events for sessions out of raw columns: the command a record stands for, with its parameters.
//!
//! [`SessionRules`] say which columns mean what; a profile may hold them as its part `[sessions]`, `examples/sessions` has
//! some for the tables of other products. [`SessionEvents`] applies them to raw batches:
//!
//! ```text
//! source -> SessionEvents -> Sessionize -> a model of sequences
//! ```

mod condition;
mod events;
mod json;
mod rules;
mod stage;
#[cfg(test)]
mod tests;

pub use rules::{
    Condition, EVENT, EventKind, EventRules, Identity, Joined, Parameters, SessionRules, Unreadable,
};
pub use stage::SessionEvents;
