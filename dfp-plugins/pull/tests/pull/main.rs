//! Each source against a server of this machine that plays its documented protocol, with its faults.

mod activity;
mod cloudtrail;
mod duo;
mod graph;
mod harness;
mod hostile;
mod server;
