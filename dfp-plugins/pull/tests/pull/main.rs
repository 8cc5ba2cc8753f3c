//! Each source against a server of this machine that plays its documented protocol, with its faults.
// Servers in tests put texts together as it comes.
#![allow(clippy::format_collect)]

mod activity;
mod cloudtrail;
mod duo;
mod graph;
mod harness;
mod hostile;
mod real;
mod runs;
mod server;
