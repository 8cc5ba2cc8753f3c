//! `dfp sessions show`: the rarest of scored sessions, as a list or a page.

use std::io::Write;
use std::process::ExitCode;

use arrow_array::RecordBatch;
use arrow_schema::Schema;
use dfp_sdk::core::{Error, Result};
use dfp_sdk::sessions::{visualise_scored_sessions, with_reasons};
use dfp_sdk::timeline::{Point, Timeline, TimelineChoice, TimelineOptions};
use dfp_sdk::{AtomicFile, iso};
use serde::Serialize;

use super::tables::Tables;
use crate::args::{Cli, SessionsShowArgs};
use crate::commands::print;
use crate::progress::{printable, say};

pub(crate) fn run(cli: &Cli, args: &SessionsShowArgs) -> Result<ExitCode> {
    let tables = Tables::new(dfp_sdk::expand(&args.inputs)?)?;
    let scored = tables.batches().map(|batch| with_reasons(&batch?)).collect::<Result<Vec<_>>>()?;
    let schema = match scored.first() {
        Some(first) => first.schema(),
        None => with_reasons(&RecordBatch::new_empty(dfp_sdk::core::Source::schema(&tables)))?.schema(),
    };
    let options = options(args, &schema)?;
    let timeline = visualise_scored_sessions(&scored, &options)?;
    if let Some(file) = &args.html {
        let mut page = AtomicFile::create(file)?;
        timeline.write_html(&mut page)?;
        page.finish()?;
        say(&format!("{}: {}", file.display(), timeline.summary()));
    } else {
        say(&timeline.summary());
    }
    let rarest = rarest(&timeline, &options, args.top);
    print(cli, &rarest, || printable(&rarest.iter().map(Rare::to_string).collect::<Vec<_>>().join("\n")))?;
    std::io::stdout().flush().map_err(|e| Error::io("writing to stdout", e))?;
    Ok(ExitCode::SUCCESS)
}

/// The columns named, or those that `dfp sessions score` wrote.
fn options(args: &SessionsShowArgs, schema: &Schema) -> Result<TimelineOptions> {
    let choice = TimelineChoice {
        time_column: args.time.clone(),
        score_column: args.score.clone(),
        window_column: args.window_column.clone(),
        upper_bound: args.upper_bound,
        source_columns: (!args.column.is_empty()).then(|| args.column.clone()),
        title: args.title.clone(),
    };
    choice.of(schema).map_err(|e| e.context("--time, --score and --window-column name columns"))
}

/// A session of the list.
#[derive(Serialize)]
struct Rare<'a> {
    likelihood: f64,
    time: String,
    #[serde(serialize_with = "in_order")]
    columns: Vec<(&'a str, &'a str)>,
    window: Vec<&'a str>,
}

/// The sessions of the least likelihood, the earliest first of equals.
fn rarest<'a>(timeline: &'a Timeline, options: &'a TimelineOptions, top: usize) -> Vec<Rare<'a>> {
    let mut points: Vec<Point<'_>> = timeline.points().collect();
    points.sort_by(|a, b| a.score.total_cmp(&b.score).then(a.time.cmp(&b.time)));
    points.truncate(top);
    let rare = |point: Point<'a>| {
        let columns = options.source_columns.iter().zip(point.sources);
        let columns = columns.filter_map(|(name, value)| Some((name.as_str(), value?)));
        Rare {
            likelihood: point.score,
            time: iso(point.time),
            columns: columns.collect(),
            window: point.window,
        }
    };
    points.into_iter().map(rare).collect()
}

fn in_order<S: serde::Serializer>(columns: &[(&str, &str)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(columns.iter().copied())
}

impl std::fmt::Display for Rare<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:<12.4e} {}  [{}]", self.likelihood, self.time, self.window.join(", "))?;
        self.columns.iter().try_for_each(|(name, value)| write!(f, "\n             {name}: {value}"))
    }
}
