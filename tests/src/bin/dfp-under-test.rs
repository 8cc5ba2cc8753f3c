//! The program `dfp`, built where whole-system tests find it.
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    dfp_cli::main()
}
