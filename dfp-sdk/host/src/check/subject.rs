//! The component under check: making it, and using it once from beginning to end.

use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

use arrow_array::RecordBatch;
use dfp_abi::Kind;
use dfp_core::{Error, ErrorKind, FitContext, Host, Model, Result, Sink, Source, Stage, Trainer};

use super::CheckOptions;
use crate::remote::{Component, RemoteOptions, RemoteSink, RemoteSource, RemoteStage, RemoteTrainer, loaded};
use crate::{ComponentDescription, LoadedComponent, LocalHost, Plugins, Secrets};

/// A source that gives more than this is not read to its end.
pub(super) const MAX_BATCHES: usize = 256;

/// The component, and how instances of it are made.
#[derive(Clone)]
pub(super) struct Subject {
    pub(super) component: ComponentDescription,
    /// Its tables, unless they are in another process.
    pub(super) loaded: Option<&'static LoadedComponent>,
    library: PathBuf,
    pub(super) config: String,
    secrets: Option<Secrets>,
    remote: Option<RemoteOptions>,
}

/// An instance, and what stops it.
pub(super) struct Made {
    pub(super) component: Component,
    pub(super) cancel: Arc<dyn Fn() + Send + Sync>,
}

/// Which thread makes the calls.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Calls {
    /// The one that asks.
    Here,
    /// A new one each.
    Hop,
}

impl Calls {
    pub(super) fn make<T: Send>(self, call: impl FnOnce() -> T + Send) -> T {
        match self {
            Self::Here => call(),
            Self::Hop => thread::scope(|scope| {
                scope.spawn(call).join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            }),
        }
    }
}

impl Subject {
    pub(super) fn new(
        component: ComponentDescription,
        loaded: Option<&'static LoadedComponent>,
        options: &CheckOptions,
    ) -> Self {
        let remote = options.remote.clone().map(|remote| RemoteOptions {
            library: Some(options.library.clone()),
            id: Some(component.id.clone()),
            ..remote
        });
        let (library, config, secrets) =
            (options.library.clone(), options.config.clone(), options.secrets.clone());
        Self { component, loaded, library, config, secrets, remote }
    }

    /// A host that gives the component its secrets.
    pub(super) fn host(&self) -> LocalHost {
        let host = LocalHost::new();
        match &self.secrets {
            Some(secrets) => host.secrets(secrets.clone()),
            None => host,
        }
    }

    pub(super) fn is_remote(&self) -> bool {
        self.remote.is_some()
    }

    pub(super) fn make(&self, host: Arc<dyn Host>) -> Result<Made> {
        if let Some(remote) = &self.remote {
            return self.make_remote(remote, host);
        }
        let found = Plugins::new().find_in(&self.library, self.component.kind, Some(&self.component.id))?;
        let (component, canceller) = loaded(&found, &self.config, host)?;
        Ok(Made { component, cancel: Arc::new(move || canceller.cancel()) })
    }

    fn make_remote(&self, remote: &RemoteOptions, host: Arc<dyn Host>) -> Result<Made> {
        let (component, canceller) = match self.component.kind {
            Kind::Source => {
                let source = RemoteSource::create(remote, &self.config, host)?;
                let canceller = source.canceller();
                (Component::Source(Box::new(source)), canceller)
            }
            Kind::Stage => {
                let stage = RemoteStage::create(remote, &self.config, host)?;
                let canceller = stage.canceller();
                (Component::Stage(Box::new(stage)), canceller)
            }
            Kind::Sink => {
                let sink = RemoteSink::create(remote, &self.config, host)?;
                let canceller = sink.canceller();
                (Component::Sink(Box::new(sink)), canceller)
            }
            Kind::Model => {
                let trainer = RemoteTrainer::create(remote, &self.config, host)?;
                let canceller = trainer.canceller();
                (Component::Model(Box::new(trainer)), canceller)
            }
        };
        Ok(Made { component, cancel: Arc::new(move || canceller.cancel()) })
    }

    /// Makes an instance, has it do all of its work once, and destroys it. Answers with what it gave; sinks give nothing.
    pub(super) fn run(
        &self,
        host: Arc<dyn Host>,
        input: &[RecordBatch],
        calls: Calls,
    ) -> Result<Vec<RecordBatch>> {
        let made = calls.make(|| self.make(host))?;
        // Otherwise it would keep the instance alive.
        drop(made.cancel);
        match made.component {
            Component::Source(source) => read(source, calls),
            Component::Stage(stage) => pass(stage, input, calls),
            Component::Sink(sink) => write(sink, input, calls),
            Component::Model(trainer) => learn(&*trainer, input, calls),
        }
    }
}

fn read(mut source: Box<dyn Source>, calls: Calls) -> Result<Vec<RecordBatch>> {
    let schema = source.schema();
    let mut stream = calls.make(|| source.open(None))?;
    let mut batches = Vec::new();
    while batches.len() < MAX_BATCHES {
        let Some(batch) = calls.make(|| stream.next()).transpose()? else { break };
        if batch.schema() != schema || source.schema() != schema {
            return Err(Error::new(ErrorKind::SchemaMismatch, "the schema changed on the way"));
        }
        batches.push(batch);
    }
    calls.make(move || drop(stream));
    calls.make(move || drop(source));
    Ok(batches)
}

fn pass(mut stage: Box<dyn Stage>, input: &[RecordBatch], calls: Calls) -> Result<Vec<RecordBatch>> {
    let Some(first) = input.first() else { return Ok(Vec::new()) };
    calls.make(|| stage.bind(first.schema()))?;
    let mut output = Vec::new();
    for batch in input {
        calls.make(|| stage.push(batch.clone()))?;
        while let Some(batch) = calls.make(|| stage.pull())? {
            output.push(batch);
        }
    }
    calls.make(|| stage.finish())?;
    while let Some(batch) = calls.make(|| stage.pull())? {
        output.push(batch);
    }
    calls.make(move || drop(stage));
    Ok(output)
}

fn write(mut sink: Box<dyn Sink>, input: &[RecordBatch], calls: Calls) -> Result<Vec<RecordBatch>> {
    let Some(first) = input.first() else { return Ok(Vec::new()) };
    calls.make(|| sink.bind(first.schema()))?;
    for batch in input {
        calls.make(|| sink.write(batch))?;
        calls.make(|| sink.flush())?;
    }
    calls.make(|| sink.close())?;
    calls.make(move || drop(sink));
    Ok(Vec::new())
}

/// Fits on the first batch, scores all of them, and again by the model as it was saved and loaded.
fn learn(trainer: &dyn Trainer, input: &[RecordBatch], calls: Calls) -> Result<Vec<RecordBatch>> {
    let Some(first) = input.first() else { return Ok(Vec::new()) };
    let model = calls.make(|| trainer.fit(first, &FitContext::default()))?;
    let saved = calls.make(|| model.save())?;
    let loaded = calls.make(|| trainer.load(&saved))?;
    let score = |model: &Arc<dyn Model>| -> Result<Vec<RecordBatch>> {
        input.iter().map(|batch| calls.make(|| model.score(batch))).collect()
    };
    let scores = score(&model)?;
    if let Some((batch, scores)) =
        input.iter().zip(&scores).find(|(batch, scores)| batch.num_rows() != scores.num_rows())
    {
        let text = format!("it scored {} rows of {}", scores.num_rows(), batch.num_rows());
        return Err(Error::new(ErrorKind::BadData, text));
    }
    if score(&loaded)? != scores {
        return Err(Error::new(ErrorKind::BadData, "once saved and loaded, the model gives other scores"));
    }
    Ok(scores)
}
