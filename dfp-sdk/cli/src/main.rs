//! The program `dfp`.
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    dfp_cli::main()
}
