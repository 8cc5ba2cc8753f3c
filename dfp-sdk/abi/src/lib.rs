//! The C border between dfp hosts and plugins.

mod linked;

pub use linked::LinkedSource;
