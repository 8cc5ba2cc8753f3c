//! The program `dfp`.
fn main() {}
