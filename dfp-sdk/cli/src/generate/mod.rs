//! Labelled synthetic logs in true wire formats.
