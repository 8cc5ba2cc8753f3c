//! `dfp sessions score`: how unusual sessions are, by stored models or by themselves.

use std::process::ExitCode;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use dfp_sdk::core::{Error, ErrorKind, Result, Sink};
use dfp_sdk::sessions::{SessionModels, score_sessions};
use dfp_sdk::store::Store;

use super::{config, events_column, input};
use crate::args::{Cli, SessionsScoreArgs};
use crate::commands::{cancel_on_signal, counts_line};
use crate::output::Output;
use crate::progress::say;

pub(crate) fn run(cli: &Cli, args: &SessionsScoreArgs) -> Result<ExitCode> {
    let cancel = cancel_on_signal();
    let files = dfp_sdk::expand(&args.input.inputs)?;
    let output = Output::new(args.format, args.out.as_deref(), &files)?;
    let settings = &args.model;
    if !args.in_sample && (settings.parity || settings.settings.is_some() || !settings.window.is_empty()) {
        let what =
            "a stored model has its own settings: --window, --parity and --settings go with --in-sample";
        return Err(Error::new(ErrorKind::InvalidArgument, what));
    }
    let counts = if args.in_sample {
        let mut sink = InSample { args, output, sessions: Vec::new(), schema: None };
        input::read(cli, &args.input, &cancel, &mut sink)?
    } else {
        let models = SessionModels::open(Store::open_read_only(&args.store)?.snapshot()?, &args.name)?;
        input::read(cli, &args.input, &cancel, &mut ByModels { models, output })?
    };
    if let Some(counts) = counts {
        say(&counts_line(&counts));
    }
    Ok(ExitCode::SUCCESS)
}

/// Scores sessions as they come.
struct ByModels {
    models: SessionModels,
    output: Output,
}

impl Sink for ByModels {
    fn bind(&mut self, schema: SchemaRef) -> Result<()> {
        self.output.bind(self.models.score(&RecordBatch::new_empty(schema))?.schema())
    }

    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.output.write(&self.models.score(batch)?)
    }

    fn flush(&mut self) -> Result<()> {
        self.output.flush()
    }

    fn close(&mut self) -> Result<()> {
        self.output.close()
    }
}

/// Learns from all sessions before it scores them.
struct InSample<'a> {
    args: &'a SessionsScoreArgs,
    output: Output,
    sessions: Vec<RecordBatch>,
    schema: Option<SchemaRef>,
}

impl Sink for InSample<'_> {
    fn bind(&mut self, schema: SchemaRef) -> Result<()> {
        self.schema = Some(schema);
        Ok(())
    }

    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.sessions.push(batch.clone());
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }

    fn close(&mut self) -> Result<()> {
        let schema = self.schema.take().expect("bound before");
        let column = events_column(&schema, self.args.model.events.as_deref())?;
        let scored = score_sessions(&self.sessions, &column, config(&self.args.model)?)?;
        if let Some(first) = scored.first() {
            self.output.bind(first.schema())?;
        }
        scored.iter().try_for_each(|batch| self.output.write(batch))?;
        self.output.close()
    }
}
