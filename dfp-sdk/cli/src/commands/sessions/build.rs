//! `dfp sessions build`: records into sessions.

use std::process::ExitCode;

use dfp_sdk::core::{Error, ErrorKind, Result};

use super::input;
use crate::args::{Cli, SessionsBuildArgs};
use crate::commands::{cancel_on_signal, counts_line, status};
use crate::output::Output;
use crate::progress::say;

pub(crate) fn run(cli: &Cli, args: &SessionsBuildArgs) -> Result<ExitCode> {
    let cancel = cancel_on_signal();
    if args.input.plugin.is_none() && args.input.rules.is_none() {
        let what = "sessions are built from logs with --plugin, or from tables of events with --rules";
        return Err(Error::new(ErrorKind::InvalidArgument, what));
    }
    let files = dfp_sdk::expand(&args.input.inputs)?;
    let mut output = Output::new(args.format, args.out.as_deref(), &files)?;
    let counts = input::read(cli, &args.input, &cancel, &mut output)?.expect("records were read");
    say(&counts_line(&counts));
    Ok(status(args.input.strict, &counts))
}
