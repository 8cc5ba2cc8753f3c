//! `dfp read`: what a plugin makes of a log.

use std::io::{BufWriter, Stdout, Write};
use std::process::ExitCode;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use dfp_sdk::core::{Counts, Error, Level, Pipeline, Reject, Result, Sink, Source};
use dfp_sdk::host::LocalHost;
use dfp_sdk::{cell, expand};
use serde_json::{Map, Value, json};

use super::{cancel_on_signal, counts_line, plugins, status};
use crate::args::{Cli, ReadArgs};

pub(crate) fn run(cli: &Cli, args: &ReadArgs) -> Result<ExitCode> {
    let files = expand(&args.inputs)?;
    let mut config = Map::new();
    config.insert("inputs".to_owned(), files.clone().into());
    if !args.column.is_empty() {
        config.insert("columns".to_owned(), args.column.clone().into());
    }
    let cancel = cancel_on_signal();
    let quiet = cli.quiet;
    let host = LocalHost::new()
        .cancelled_by(cancel.clone())
        .on_log(Level::Warn, |_, target, text| eprintln!("warning: {target}: {text}"))
        .on_reject(move |reject: &Reject| {
            if !quiet {
                eprintln!("rejected: {}: {}: {}", reject.origin, reject.reason, reject.detail);
            }
        });
    let host = Arc::new(host);
    let plugins = plugins(cli)?;
    let config = Value::Object(config).to_string();
    let mut source: Box<dyn Source> = if args.isolate {
        Box::new(plugins.isolated_source(&args.plugin)?.create(&config, host.clone())?)
    } else {
        plugins.source(&args.plugin, &config, host.clone())?
    };
    let mut lines = JsonLines { out: BufWriter::new(std::io::stdout()), rows: 0, silent: args.stats };
    Pipeline::new(&mut *source).sink(&mut lines).run(&cancel)?;
    let counts = host.counts(lines.rows);
    report(cli, args, &counts, &mut lines.out)?;
    Ok(status(args.strict, &counts))
}

/// Counts on stdout if that is all that was asked for, else on stderr.
fn report(cli: &Cli, args: &ReadArgs, counts: &Counts, out: &mut impl Write) -> Result<()> {
    let line = match (args.stats, cli.json) {
        (false, _) => {
            eprintln!("{}", counts_line(counts));
            String::new()
        }
        (true, false) => counts_line(counts) + "\n",
        (true, true) => format!("{:#}\n", json!(counts)),
    };
    out.write_all(line.as_bytes()).and_then(|()| out.flush()).map_err(|e| Error::io("writing to stdout", e))
}

/// Records as JSON lines on stdout; columns without a value are left out.
struct JsonLines {
    out: BufWriter<Stdout>,
    rows: u64,
    silent: bool,
}

impl Sink for JsonLines {
    fn bind(&mut self, _schema: SchemaRef) -> Result<()> {
        Ok(())
    }

    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.rows += batch.num_rows() as u64;
        if self.silent {
            return Ok(());
        }
        let schema = batch.schema();
        for row in 0..batch.num_rows() {
            let cells = schema.fields().iter().zip(batch.columns()).filter_map(|(field, column)| {
                let value = cell(column.as_ref(), row);
                (!value.is_null()).then(|| (field.name().clone(), value))
            });
            let record: Map<String, Value> = cells.collect();
            serde_json::to_writer(&mut self.out, &record)
                .map_err(std::io::Error::from)
                .and_then(|()| self.out.write_all(b"\n"))
                .map_err(|e| Error::io("writing to stdout", e))?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        self.out.flush().map_err(|e| Error::io("writing to stdout", e))
    }

    fn close(&mut self) -> Result<()> {
        self.flush()
    }
}
