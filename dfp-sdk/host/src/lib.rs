//! Find, check and load dfp plugins; open their inputs.

mod inflate;
mod local;

pub use local::LocalHost;
