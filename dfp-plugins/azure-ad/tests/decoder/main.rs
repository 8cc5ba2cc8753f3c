//! The decoder from outside: what it makes of good, damaged and arbitrary bytes.

mod hostile;
mod properties;
