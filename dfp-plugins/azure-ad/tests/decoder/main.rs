//! The decoder from outside: what it makes of good, damaged and arbitrary bytes.

mod common;
mod hostile;
mod properties;
