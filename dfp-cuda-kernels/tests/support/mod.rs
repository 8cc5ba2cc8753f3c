//! A device without a GPU: the kernels compiled as C++ and run by the emulator, for tests.
#![allow(dead_code, unused_imports)] // no test uses all of it

pub(crate) mod emulated;
pub(crate) mod program;

pub(crate) use emulated::{Emulated, Order, Settings};
pub(crate) use program::{Program, Variant};
