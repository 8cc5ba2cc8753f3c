//! What the program `dfp` is made of.
pub mod generate;
