//! Components in another process, as the contracts know them.

use std::fmt;
use std::sync::{Arc, Weak};

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use dfp_abi::Kind;
use dfp_core::{
    BatchStream, Error, ErrorKind, FitContext, Host, Model, Result, Sink, Source, Stage, Trainer,
};
use serde_json::Value;

use super::batch::{decode_batch, decode_schema, encode_batch, encode_schema};
use super::connection::Connection;
use super::frame::{Pack, Unpack, refused};
use super::protocol::op;
use super::{MAX_TOLD, RemoteOptions, Timeouts};

/// Groups are fitted together until they have so many bytes.
const FIT_BYTES: usize = 64 << 20;

/// A component that was made, and what it says about itself.
pub(super) type Made = (Link, Vec<u8>);

/// A connection and the times its calls may take.
#[derive(Clone)]
pub(super) struct Link {
    connection: Arc<Connection>,
    timeouts: Timeouts,
}

impl Link {
    pub(super) fn new(connection: Connection, timeouts: Timeouts) -> Self {
        Self { connection: Arc::new(connection), timeouts }
    }

    fn call(&self, op: u8, arguments: &[u8]) -> Result<Vec<u8>> {
        self.connection.call(op, arguments, self.timeouts.call, None)
    }

    /// What the child's answer should have been, named.
    fn checked<T>(&self, result: Result<T>) -> Result<T> {
        result.map_err(|error| error.context(self.connection.name()))
    }

    fn batch(&self, bytes: &[u8], schema: Option<&SchemaRef>) -> Result<RecordBatch> {
        self.checked(decode_batch(bytes, schema))
    }

    fn model(&self, bytes: &[u8]) -> Result<Arc<dyn Model>> {
        let mut answer = Unpack(bytes);
        let id = self.checked(answer.number())?;
        let schema = self.checked(decode_schema(answer.rest()))?;
        Ok(Arc::new(RemoteModel { link: self.clone(), id, schema }))
    }

    fn canceller(&self) -> RemoteCanceller {
        RemoteCanceller(Arc::downgrade(&self.connection))
    }

    fn introspect(&self) -> Result<Option<Value>> {
        let answer = self.call(op::INTROSPECT, &[])?;
        self.checked(read_introspection(&answer))
    }
}

/// Takes what an instance says about itself, as far as it can be.
fn read_introspection(answer: &[u8]) -> Result<Option<Value>> {
    let Some(text) = Unpack(answer).optional()? else { return Ok(None) };
    if text.len() > MAX_TOLD {
        return Err(refused(format!("it told {} bytes about itself, more than {MAX_TOLD}", text.len())));
    }
    let value: Value = serde_json::from_slice(text)
        .map_err(|error| Error::caused(ErrorKind::BadData, "it told no JSON about itself", error))?;
    if value.is_object() { Ok(Some(value)) } else { Err(refused("it told no JSON object about itself")) }
}

/// Asks a component in another process to stop, from any thread. What does not stop within
/// [`Timeouts::cancel_grace`] is killed.
#[derive(Clone)]
pub struct RemoteCanceller(Weak<Connection>);

impl RemoteCanceller {
    /// Asks it to give up what it is doing. It is not asked to do more after that.
    pub fn cancel(&self) {
        if let Some(connection) = self.0.upgrade() {
            connection.cancel();
        }
    }
}

macro_rules! described {
    ($($type:ty),*) => {$(
        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_tuple(stringify!($type)).field(&self.link.connection.name()).finish()
            }
        }
    )*};
}

described!(RemoteSource, RemoteStage, RemoteSink, RemoteTrainer, RemoteModel);

/// A source in another process.
pub struct RemoteSource {
    link: Link,
    schema: SchemaRef,
}

impl RemoteSource {
    /// Starts the process and makes the source in it.
    ///
    /// # Errors
    /// What the process answers: the program does not start, the library does not load, the configuration is refused.
    pub fn create(options: &RemoteOptions, config: &str, host: Arc<dyn Host>) -> Result<Self> {
        Self::made(options.start(Kind::Source, config, host)?)
    }

    pub(super) fn made((link, facts): Made) -> Result<Self> {
        let schema = link.checked(decode_schema(&facts))?;
        Ok(Self { link, schema })
    }

    /// What stops a call that blocks.
    pub fn canceller(&self) -> RemoteCanceller {
        self.link.canceller()
    }

    /// What it is doing, for people; `None` if it does not say. A component that is linked into the other program never does.
    ///
    /// # Errors
    /// What it answers, and [`ErrorKind::BadData`] if that is no JSON object of 16 MiB or less.
    pub fn introspect(&self) -> Result<Option<Value>> {
        self.link.introspect()
    }
}

impl Source for RemoteSource {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn open(&mut self, resume: Option<&[u8]>) -> Result<Box<dyn BatchStream>> {
        let answer = self.link.call(op::SOURCE_OPEN, &Pack::default().optional(resume).done())?;
        let id = self.link.checked(Unpack(&answer).number())?;
        Ok(Box::new(RemoteStream { link: self.link.clone(), id, schema: self.schema.clone(), over: false }))
    }

    fn position(&self) -> Option<Vec<u8>> {
        // The contract knows no failure here: who cannot say where it stands cannot resume.
        let answer = self.link.call(op::SOURCE_POSITION, &[]).ok()?;
        Unpack(&answer).optional().ok()?.map(<[u8]>::to_vec)
    }
}

/// What a remote source opened. It keeps the process, so it may outlive the source.
struct RemoteStream {
    link: Link,
    id: u64,
    schema: SchemaRef,
    over: bool,
}

impl RemoteStream {
    fn pull(&self) -> Result<Option<RecordBatch>> {
        let answer = self.link.call(op::STREAM_NEXT, &Pack::default().number(self.id).done())?;
        if answer.is_empty() { Ok(None) } else { self.link.batch(&answer, Some(&self.schema)).map(Some) }
    }
}

impl Iterator for RemoteStream {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        let next = self.pull();
        self.over = !matches!(next, Ok(Some(_)));
        next.transpose()
    }
}

impl BatchStream for RemoteStream {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }
}

impl Drop for RemoteStream {
    fn drop(&mut self) {
        // A process that is gone has dropped it already.
        let _ = self.link.call(op::STREAM_DROP, &Pack::default().number(self.id).done());
    }
}

/// A stage in another process.
pub struct RemoteStage {
    link: Link,
    output: Option<SchemaRef>,
}

impl RemoteStage {
    /// Starts the process and makes the stage in it.
    ///
    /// # Errors
    /// As [`RemoteSource::create`].
    pub fn create(options: &RemoteOptions, config: &str, host: Arc<dyn Host>) -> Result<Self> {
        options.start(Kind::Stage, config, host).map(Self::made)
    }

    pub(super) fn made((link, _): Made) -> Self {
        Self { link, output: None }
    }

    /// What stops a call that blocks.
    pub fn canceller(&self) -> RemoteCanceller {
        self.link.canceller()
    }

    /// What it is doing, for people; `None` if it does not say. A component that is linked into the other program never does.
    ///
    /// # Errors
    /// What it answers, and [`ErrorKind::BadData`] if that is no JSON object of 16 MiB or less.
    pub fn introspect(&self) -> Result<Option<Value>> {
        self.link.introspect()
    }
}

impl Stage for RemoteStage {
    fn bind(&mut self, input: SchemaRef) -> Result<SchemaRef> {
        let answer = self.link.call(op::STAGE_BIND, &encode_schema(&input)?)?;
        let schema = self.link.checked(decode_schema(&answer))?;
        self.output = Some(schema.clone());
        Ok(schema)
    }

    fn push(&mut self, batch: RecordBatch) -> Result<()> {
        self.link.call(op::STAGE_PUSH, &encode_batch(&batch)?).map(drop)
    }

    fn pull(&mut self) -> Result<Option<RecordBatch>> {
        let answer = self.link.call(op::STAGE_PULL, &[])?;
        if answer.is_empty() { Ok(None) } else { self.link.batch(&answer, self.output.as_ref()).map(Some) }
    }

    fn finish(&mut self) -> Result<()> {
        self.link.call(op::STAGE_FINISH, &[]).map(drop)
    }
}

/// A sink in another process.
pub struct RemoteSink {
    link: Link,
}

impl RemoteSink {
    /// Starts the process and makes the sink in it. Under the sandbox a sink can write nothing but what the host takes from
    /// it: it needs [`RemoteOptions::sandbox`] off to reach a file or a network.
    ///
    /// # Errors
    /// As [`RemoteSource::create`].
    pub fn create(options: &RemoteOptions, config: &str, host: Arc<dyn Host>) -> Result<Self> {
        options.start(Kind::Sink, config, host).map(Self::made)
    }

    pub(super) fn made((link, _): Made) -> Self {
        Self { link }
    }

    /// What stops a call that blocks.
    pub fn canceller(&self) -> RemoteCanceller {
        self.link.canceller()
    }

    /// What it is doing, for people; `None` if it does not say. A component that is linked into the other program never does.
    ///
    /// # Errors
    /// What it answers, and [`ErrorKind::BadData`] if that is no JSON object of 16 MiB or less.
    pub fn introspect(&self) -> Result<Option<Value>> {
        self.link.introspect()
    }
}

impl Sink for RemoteSink {
    fn bind(&mut self, schema: SchemaRef) -> Result<()> {
        self.link.call(op::SINK_BIND, &encode_schema(&schema)?).map(drop)
    }

    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.link.call(op::SINK_WRITE, &encode_batch(batch)?).map(drop)
    }

    fn flush(&mut self) -> Result<()> {
        self.link.call(op::SINK_FLUSH, &[]).map(drop)
    }

    fn close(&mut self) -> Result<()> {
        self.link.call(op::SINK_CLOSE, &[]).map(drop)
    }
}

/// A trainer in another process. Its models live in the same process, for as long as one of them does. That process makes one
/// call at a time, whoever makes them: to score on several cores, make several trainers and spread the models over them with
/// [`save`](Model::save) and [`load`](Trainer::load).
pub struct RemoteTrainer {
    link: Link,
}

impl RemoteTrainer {
    /// Starts the process and makes the trainer in it.
    ///
    /// # Errors
    /// As [`RemoteSource::create`].
    pub fn create(options: &RemoteOptions, config: &str, host: Arc<dyn Host>) -> Result<Self> {
        options.start(Kind::Model, config, host).map(Self::made)
    }

    pub(super) fn made((link, _): Made) -> Self {
        Self { link }
    }

    /// What stops a call that blocks.
    pub fn canceller(&self) -> RemoteCanceller {
        self.link.canceller()
    }

    /// What it is doing, for people; `None` if it does not say. A component that is linked into the other program never does.
    ///
    /// # Errors
    /// What it answers, and [`ErrorKind::BadData`] if that is no JSON object of 16 MiB or less.
    pub fn introspect(&self) -> Result<Option<Value>> {
        self.link.introspect()
    }

    /// Fits what one frame takes.
    fn fit_chunk(&self, groups: &[Vec<u8>], context: &FitContext) -> Result<Vec<Result<Arc<dyn Model>>>> {
        let arguments =
            Pack::default().number(context.threads as u64).optional(context.population.as_deref());
        let arguments = groups.iter().fold(arguments, |pack, group| pack.bytes(group)).done();
        let limit = self.link.timeouts.fit;
        let answer = self.link.connection.call(op::TRAINER_FIT, &arguments, limit, Some(&context.cancel))?;
        let mut answer = Unpack(&answer);
        let models = groups.iter().map(|_| {
            let outcome = self.link.checked(answer.bytes())?;
            let model = Unpack(outcome).outcome().map_err(|(error, _)| error);
            Ok(self.link.checked(model).and_then(|model| self.link.model(model)))
        });
        models.collect()
    }
}

impl Trainer for RemoteTrainer {
    fn fit(&self, data: &RecordBatch, context: &FitContext) -> Result<Arc<dyn Model>> {
        let mut models = self.fit_chunk(&[encode_batch(data)?], context)?;
        models.pop().expect("as many answers as groups")
    }

    fn fit_many(&self, groups: &[RecordBatch], context: &FitContext) -> Vec<Result<Arc<dyn Model>>> {
        let mut answers = Vec::with_capacity(groups.len());
        let mut chunk = Vec::new();
        let mut bytes = 0;
        for (index, group) in groups.iter().enumerate() {
            match encode_batch(group) {
                Ok(group) => {
                    bytes += group.len();
                    chunk.push(group);
                }
                Err(error) => {
                    answers.extend(self.fit_all(&std::mem::take(&mut chunk), context));
                    answers.push(Err(error));
                    bytes = 0;
                }
            }
            if bytes >= FIT_BYTES || index + 1 == groups.len() {
                answers.extend(self.fit_all(&std::mem::take(&mut chunk), context));
                bytes = 0;
            }
        }
        answers
    }

    fn load(&self, bytes: &[u8]) -> Result<Arc<dyn Model>> {
        let answer = self.link.call(op::TRAINER_LOAD, bytes)?;
        self.link.model(&answer)
    }
}

impl RemoteTrainer {
    /// An answer for each group, also where all of them failed together.
    fn fit_all(&self, groups: &[Vec<u8>], context: &FitContext) -> Vec<Result<Arc<dyn Model>>> {
        if groups.is_empty() {
            return Vec::new();
        }
        self.fit_chunk(groups, context).unwrap_or_else(|error| {
            let (kind, text) = (error.kind(), error.to_string());
            groups.iter().map(|_| Err(Error::new(kind, text.clone()))).collect()
        })
    }
}

/// A fitted model in another process.
pub struct RemoteModel {
    link: Link,
    id: u64,
    schema: SchemaRef,
}

impl Model for RemoteModel {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn score(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let arguments = Pack::default().number(self.id).rest(&encode_batch(batch)?).done();
        let scores = self.link.batch(&self.link.call(op::MODEL_SCORE, &arguments)?, None)?;
        if scores.num_rows() != batch.num_rows() {
            let text = format!("it scored {} rows of {}", scores.num_rows(), batch.num_rows());
            return self.link.checked(Err(refused(text)));
        }
        Ok(scores)
    }

    fn save(&self) -> Result<Vec<u8>> {
        self.link.call(op::MODEL_SAVE, &Pack::default().number(self.id).done())
    }
}

impl Drop for RemoteModel {
    fn drop(&mut self) {
        // A process that is gone has dropped it already.
        let _ = self.link.call(op::MODEL_DROP, &Pack::default().number(self.id).done());
    }
}
