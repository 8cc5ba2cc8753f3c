//! `dfp sessions train`: sessions into stored models.

use std::process::ExitCode;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use dfp_sdk::core::{FitContext, Result, Sink};
use dfp_sdk::models::sequence::Config;
use dfp_sdk::sessions::SessionTraining;
use dfp_sdk::store::Store;

use super::{config, events_column, input};
use crate::args::{Cli, SessionsTrainArgs};
use crate::commands::{cancel_on_signal, counts_line, print};
use crate::progress::say;

pub(crate) fn run(cli: &Cli, args: &SessionsTrainArgs) -> Result<ExitCode> {
    let cancel = cancel_on_signal();
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let context = FitContext { threads, cancel: cancel.clone(), population: None };
    let mut learning = Learning { args, config: config(&args.model)?, context, training: None };
    // Opened first: a store that cannot be written is better known before an hour of reading.
    let store = Store::open(&args.store)?;
    let counts = input::read(cli, &args.input, &cancel, &mut learning)?;
    let training = learning.training.expect("a pipeline binds its sinks");
    let decay = args.decay.or(args.update.then_some(1.0));
    let report = training.publish(&store, decay)?;
    if let Some(counts) = counts {
        say(&counts_line(&counts));
    }
    print(cli, &report, || {
        let entities = match (&args.by, report.entities, report.abstaining) {
            (None, ..) => String::new(),
            (Some(by), n, 0) => format!(", and {n} by {by}"),
            (Some(by), n, few) => format!(", and {n} by {by}, {few} of which know too few sessions to judge"),
        };
        format!(
            "{} sessions learned: model {}{entities} in {}",
            report.sessions,
            report.model,
            args.store.display()
        )
    })?;
    Ok(ExitCode::SUCCESS)
}

struct Learning<'a> {
    args: &'a SessionsTrainArgs,
    config: Config,
    context: FitContext,
    training: Option<SessionTraining>,
}

impl Sink for Learning<'_> {
    fn bind(&mut self, schema: SchemaRef) -> Result<()> {
        let Self { args, config, context, training } = self;
        let column = events_column(&schema, args.model.events.as_deref())?;
        let new =
            SessionTraining::new(&args.name, &column, config.clone(), args.by.clone(), context.clone())?;
        *training = Some(new);
        Ok(())
    }

    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.training.as_mut().expect("bound before").add(batch)
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }

    fn close(&mut self) -> Result<()> {
        Ok(())
    }
}
