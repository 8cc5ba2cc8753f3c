//! Whole-system tests live in `tests/`; this crate only builds the program they run.
#![forbid(unsafe_code)]
