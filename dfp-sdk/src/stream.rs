//! Sources that read no files: what they give is taken in periods, each with the position behind it.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::RecordBatch;
use dfp_core::{BatchStream, Result, Sink, Source, Stage};
use dfp_host::LocalHost;
use dfp_prep::LoadStage;
use serde_json::{Map, Value};

use crate::run::{Collect, Run};
use crate::train::fnv;

/// Bytes of raw records that end a period, beside the configured number of records.
const PERIOD_BYTES: usize = 64 << 20;
/// A source that does not say where it stands after so many periods is not waited for.
const PERIODS_UNSETTLED: usize = 4;

/// Who reads a source. Each has a position of its own, under a name by plugin and account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reader {
    /// Training: what lies behind it is in the history.
    Train,
    /// Inference: what lies behind it is in the history, and was scored unless training had it before.
    Infer,
}

impl Reader {
    /// The name of its position in the store. It is another one for another `account` in the source's configuration, secrets
    /// aside: they are rotated.
    pub(crate) fn name(self, plugin: &str, config: &Map<String, Value>) -> String {
        let who = match self {
            Self::Train => "train",
            Self::Infer => "infer",
        };
        let mut account = String::new();
        write_account(config.get("account").unwrap_or(&Value::Null), &mut account);
        format!("{who} {plugin} {:016x}", fnv(&account))
    }
}

/// JSON less references to secrets, with members by name in whatever order they stood.
fn write_account(value: &Value, out: &mut String) {
    match value {
        Value::Object(members) => {
            let members: BTreeMap<_, _> =
                members.iter().filter(|(_, v)| v.get("$secret").is_none()).collect();
            out.push('{');
            for (name, value) in members {
                out.push_str(name);
                out.push(':');
                write_account(value, out);
                out.push(',');
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for item in items {
                write_account(item, out);
                out.push(',');
            }
            out.push(']');
        }
        other => out.push_str(&other.to_string()),
    }
}

/// An open source, read a period at a time. Not on a thread of its own: the source is asked where it stands between two
/// batches.
pub(crate) struct Feed<'r> {
    run: &'r Run,
    host: Arc<LocalHost>,
    source: Box<dyn Source>,
    stream: Box<dyn BatchStream>,
    position: Option<Vec<u8>>,
    over: bool,
}

/// What came together.
pub(crate) struct Period {
    /// Loaded rows.
    pub(crate) rows: RecordBatch,
    /// How many records they were before some were rejected.
    pub(crate) records: usize,
    /// Where the source stands behind them, if it says so and it is not where it stood before.
    pub(crate) position: Option<Vec<u8>>,
}

impl<'r> Feed<'r> {
    pub(crate) fn open(
        run: &'r Run,
        host: Arc<LocalHost>,
        mut source: Box<dyn Source>,
        resume: Option<Vec<u8>>,
    ) -> Result<Self> {
        let stream = source.open(resume.as_deref())?;
        Ok(Self { run, host, source, stream, position: resume, over: false })
    }

    /// Waits for the next period; `None` at the end of the source. A period ends where the source has nothing more for now,
    /// or when it is full, but there only where the source can resume.
    ///
    /// # Errors
    /// What source or profile say, or a cancel; what came of the period is then lost, and comes again.
    pub(crate) fn next(&mut self) -> Result<Option<Period>> {
        if self.over {
            return Ok(None);
        }
        let mut load = self.run.load_stage(&self.host)?;
        let mut loaded = Collect::default();
        loaded.bind(load.bind(self.source.schema())?)?;
        let (mut records, mut bytes) = (0, 0);
        loop {
            self.run.cancel.check("reading the source")?;
            let Some(batch) = self.stream.next().transpose()? else {
                self.over = true;
                break;
            };
            if batch.num_rows() == 0 {
                if records > 0 || self.settled() {
                    break;
                }
                continue;
            }
            records += batch.num_rows();
            bytes += batch.get_array_memory_size();
            load.push(batch)?;
            drain(&mut load, &mut loaded)?;
            let most = self.run.config.source.period_records;
            let full =
                |periods: usize| records >= most.saturating_mul(periods) || bytes >= PERIOD_BYTES * periods;
            if full(PERIODS_UNSETTLED) || full(1) && self.settled() {
                break;
            }
        }
        load.finish()?;
        drain(&mut load, &mut loaded)?;
        let position = self.source.position().filter(|position| Some(position) != self.position.as_ref());
        if position.is_some() {
            self.position.clone_from(&position);
        }
        Ok(Some(Period { rows: loaded.concat()?, records, position }))
    }

    /// Whether the source can resume behind what it gave, as far as it says where it stands at all.
    fn settled(&self) -> bool {
        self.source.position().is_none_or(|position| Some(position) != self.position)
    }

    /// Where the source stood behind the last period.
    pub(crate) fn position(&self) -> Option<&[u8]> {
        self.position.as_deref()
    }
}

fn drain(load: &mut LoadStage, loaded: &mut Collect) -> Result<()> {
    while let Some(batch) = load.pull()? {
        loaded.write(&batch)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_position_is_of_one_account_whatever_its_secrets_and_the_rest_of_the_configuration() {
        let name = |config: Value| Reader::Infer.name("pull", config.as_object().unwrap());
        let first = name(
            json!({"account": {"tenant": "t", "key": {"$secret": "a"}}, "schedule": {"poll_seconds": 0}}),
        );
        assert_eq!(first, name(json!({"account": {"key": {"$secret": "b"}, "tenant": "t"}})));
        for other in [
            json!({"account": {"tenant": "u"}}),
            json!({"account": {"tenant": "t", "filter": "f"}}),
            json!({}),
        ] {
            assert_ne!(first, name(other));
        }
        assert_ne!(
            first,
            Reader::Train.name("pull", json!({"account": {"tenant": "t"}}).as_object().unwrap())
        );
    }
}
