//! The child: makes one component and does with it what the parent asks.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use arrow_schema::SchemaRef;
use dfp_abi::{Kind, caught, dropped};
use dfp_core::{
    BatchStream, Error, ErrorKind, FitContext, Host, Model, Result, Sink, Source, Stage, Trainer,
};

use super::batch::{decode_batch, decode_schema, encode_batch, encode_schema};
use super::frame::{Frame, Pack, Unpack, refused};
use super::outbox::spawn;
use super::protocol::{Hello, VERSION, Wanted, op, tag};
use super::wire::{RemoteHost, Wire};
use crate::{Canceller, Description};

/// Longest payload taken from the parent, which has its own limit.
const MAX_FRAME: usize = u32::MAX as usize;

/// A component of any kind.
pub enum Component {
    /// Reads records.
    Source(Box<dyn Source>),
    /// Turns batches into other batches.
    Stage(Box<dyn Stage>),
    /// Takes batches out of the run.
    Sink(Box<dyn Sink>),
    /// Fits and loads models.
    Model(Box<dyn Trainer>),
}

impl Component {
    fn kind(&self) -> Kind {
        match self {
            Self::Source(_) => Kind::Source,
            Self::Stage(_) => Kind::Stage,
            Self::Sink(_) => Kind::Sink,
            Self::Model(_) => Kind::Model,
        }
    }
}

/// What is to be served.
pub(super) enum Offer {
    /// One component.
    Component(Served),
    /// Only what a plugin says about itself.
    Description(Description),
}

/// A component, and the way to its instance, if it is a loaded one: past what it is doing, and for what the contracts leave out.
pub(super) struct Served {
    pub(super) component: Component,
    pub(super) instance: Option<Canceller>,
}

/// A call, as it came.
struct Call {
    number: u64,
    op: u8,
    arguments: Vec<u8>,
}

/// Serves the component that `make` makes, until the parent ends it or is gone; then `on_hang_up` is called on a thread of
/// its own, while a call may still be running.
///
/// # Errors
/// If the pipes fail or the first message makes no sense. What the component answers goes to the parent.
pub(super) fn serve_with(
    mut input: impl Read + Send + 'static,
    output: impl Write + Send + 'static,
    make: impl FnOnce(&Hello, Arc<dyn Host>) -> Result<Offer>,
    on_hang_up: impl FnOnce() + Send + 'static,
) -> Result<()> {
    let hello = read_hello(&mut input)?;
    let wire = Wire::new(output);
    wire.log_up_to(hello.log_level);
    let (sender, calls) = channel();
    let reader = wire.clone();
    spawn("dfp-remote-read", move || {
        read_all(input, &reader, &sender);
        reader.hang_up();
        drop(sender);
        on_hang_up();
    })?;
    let made = caught(|| make(&hello, Arc::new(RemoteHost(wire.clone()))));
    let served = match made {
        Ok(Offer::Component(served)) => served,
        Ok(Offer::Description(description)) => return tell(&description, &hello, &wire, &calls),
        Err(error) => return answer(&wire, hello.max_frame, 0, Err(error)),
    };
    if let Some(instance) = served.instance.clone() {
        wire.cancelled_by(Some(Arc::new(move || instance.cancel())));
    }
    let mut server = Server::new(served);
    answer(&wire, hello.max_frame, 0, server.facts(&hello))?;
    for call in calls {
        if call.op == op::END {
            wire.cancelled_by(None);
            dropped(server);
            return answer(&wire, hello.max_frame, call.number, Ok(Vec::new()));
        }
        let outcome = caught(|| server.dispatch(call.op, &mut Unpack(&call.arguments), &wire));
        answer(&wire, hello.max_frame, call.number, outcome)?;
    }
    wire.cancelled_by(None);
    dropped(server);
    Ok(())
}

/// Answers with a description, and waits for the parent to have heard it.
fn tell(description: &Description, hello: &Hello, wire: &Wire, calls: &Receiver<Call>) -> Result<()> {
    let text = serde_json::to_vec(description)
        .map_err(|error| Error::caused(ErrorKind::Internal, "describing a plugin", error));
    answer(wire, hello.max_frame, 0, text)?;
    match calls.recv() {
        Ok(call) => answer(wire, hello.max_frame, call.number, Ok(Vec::new())),
        Err(_) => Ok(()),
    }
}

fn other_kind(component: &Component, kind: Kind) -> Error {
    let text = format!("it is a {}, not a {}", component.kind().name(), kind.name());
    Error::new(ErrorKind::InvalidArgument, text)
}

fn read_hello(input: &mut impl Read) -> Result<Hello> {
    let frame = Frame::read(input, MAX_FRAME)?.filter(|frame| frame.tag == tag::HELLO);
    let frame = frame.ok_or_else(|| refused("this is started by a host, which says first what it wants"))?;
    let hello: Hello = serde_json::from_slice(&frame.payload)
        .map_err(|error| Error::caused(ErrorKind::BadData, "reading what the host wants", error))?;
    if hello.protocol != VERSION {
        return Err(Error::new(
            ErrorKind::Unsupported,
            format!(
                "the host speaks version {} of the protocol, this program version {VERSION}",
                hello.protocol
            ),
        ));
    }
    Ok(hello)
}

/// Hands on what the parent sends, until it is gone.
fn read_all(mut input: impl Read, wire: &Wire, calls: &Sender<Call>) {
    while let Ok(Some(frame)) = Frame::read(&mut input, MAX_FRAME) {
        let taken = match frame.tag {
            tag::CANCEL => {
                wire.cancel();
                Ok(())
            }
            tag::HOST_ANSWER => wire.deliver(&frame.payload),
            tag::CALL => take_call(&frame.payload).map(|call| {
                // The serving thread ends only when it is asked to.
                let _ = calls.send(call);
            }),
            _ => Err(refused("a frame of an unheard-of sort")),
        };
        if taken.is_err() {
            return;
        }
    }
}

fn take_call(payload: &[u8]) -> Result<Call> {
    let mut payload = Unpack(payload);
    Ok(Call { number: payload.number()?, op: payload.byte()?, arguments: payload.rest().to_vec() })
}

fn answer(wire: &Wire, max_frame: usize, number: u64, outcome: Result<Vec<u8>>) -> Result<()> {
    let mut payload = Pack::default().number(number).outcome(outcome).done();
    if payload.len() > max_frame {
        let text = format!("its answer of {} bytes does not fit into a frame of {max_frame}", payload.len());
        let error = Error::new(ErrorKind::ResourceExhausted, text);
        payload = Pack::default().number(number).outcome(Err(error)).done();
    }
    wire.send(tag::ANSWER, payload).map_err(|error| Error::io("answering the host", error))
}

/// The component, and what it made so far.
struct Server {
    component: Component,
    /// The component's instance, if it is a loaded one.
    instance: Option<Canceller>,
    /// Of what is pushed or written, once bound.
    input: Option<SchemaRef>,
    streams: HashMap<u64, Box<dyn BatchStream>>,
    models: HashMap<u64, Arc<dyn Model>>,
    last: u64,
}

impl Server {
    fn new(Served { component, instance }: Served) -> Self {
        Self { component, instance, input: None, streams: HashMap::new(), models: HashMap::new(), last: 0 }
    }

    /// What the parent has to know from the beginning: a source's schema.
    fn facts(&self, hello: &Hello) -> Result<Vec<u8>> {
        let kind = hello.wanted.as_ref().map_or_else(|| Ok(self.component.kind()), Wanted::kind)?;
        match &self.component {
            component if component.kind() != kind => Err(other_kind(component, kind)),
            Component::Source(source) => caught(|| encode_schema(&source.schema())),
            _ => Ok(Vec::new()),
        }
    }

    fn dispatch(&mut self, op: u8, arguments: &mut Unpack<'_>, wire: &Wire) -> Result<Vec<u8>> {
        match op {
            op::STREAM_NEXT => return self.next(arguments.number()?),
            op::STREAM_DROP => {
                dropped(self.streams.remove(&arguments.number()?));
                return Ok(Vec::new());
            }
            op::MODEL_SCORE => {
                let scored =
                    self.model(arguments.number()?)?.score(&decode_batch(arguments.rest(), None)?)?;
                return encode_batch(&scored);
            }
            op::INTROSPECT => return self.introspect(),
            op::MODEL_SAVE => return self.model(arguments.number()?)?.save(),
            op::MODEL_DROP => {
                dropped(self.models.remove(&arguments.number()?));
                return Ok(Vec::new());
            }
            _ => {}
        }
        let input = &mut self.input;
        match &mut self.component {
            Component::Source(source) => {
                let opened = source_call(&mut **source, op, arguments)?;
                match opened {
                    Opened::Stream(stream) => {
                        self.last += 1;
                        self.streams.insert(self.last, stream);
                        Ok(Pack::default().number(self.last).done())
                    }
                    Opened::Position(position) => Ok(Pack::default().optional(position.as_deref()).done()),
                }
            }
            Component::Stage(stage) => stage_call(&mut **stage, op, arguments.rest(), input),
            Component::Sink(sink) => sink_call(&mut **sink, op, arguments.rest(), input),
            Component::Model(trainer) => match op {
                op::TRAINER_FIT => {
                    let models = fit(&**trainer, arguments, wire)?;
                    let packed = models.into_iter().map(|model| self.keep(model)).collect::<Vec<_>>();
                    let pack = packed.into_iter().fold(Pack::default(), |pack, outcome| {
                        pack.bytes(&Pack::default().outcome(outcome).done())
                    });
                    Ok(pack.done())
                }
                op::TRAINER_LOAD => {
                    let model = trainer.load(arguments.rest());
                    self.keep(model)
                }
                _ => Err(unknown(op)),
            },
        }
    }

    fn next(&mut self, stream: u64) -> Result<Vec<u8>> {
        let stream = self.streams.get_mut(&stream).ok_or_else(|| refused("there is no such stream"))?;
        match stream.next().transpose()? {
            None => Ok(Vec::new()),
            Some(batch) => encode_batch(&batch),
        }
    }

    /// What the instance says about itself, JSON, if it says anything.
    fn introspect(&self) -> Result<Vec<u8>> {
        // Calls come one after the other: none is under way.
        let told = self.instance.as_ref().map_or(Ok(None), Canceller::introspect)?;
        let text = told.map(|value| value.to_string());
        Ok(Pack::default().optional(text.as_deref().map(str::as_bytes)).done())
    }

    fn model(&self, model: u64) -> Result<&dyn Model> {
        self.models.get(&model).map(|model| &**model).ok_or_else(|| refused("there is no such model"))
    }

    /// Keeps a model; answers with its number and schema.
    fn keep(&mut self, model: Result<Arc<dyn Model>>) -> Result<Vec<u8>> {
        let model = model?;
        let schema = encode_schema(&model.schema())?;
        self.last += 1;
        self.models.insert(self.last, model);
        Ok(Pack::default().number(self.last).rest(&schema).done())
    }
}

fn unknown(op: u8) -> Error {
    refused(format!("this kind of component cannot do {op}"))
}

enum Opened {
    Stream(Box<dyn BatchStream>),
    Position(Option<Vec<u8>>),
}

fn source_call(source: &mut dyn Source, op: u8, arguments: &mut Unpack<'_>) -> Result<Opened> {
    match op {
        op::SOURCE_OPEN => source.open(arguments.optional()?).map(Opened::Stream),
        op::SOURCE_POSITION => Ok(Opened::Position(source.position())),
        _ => Err(unknown(op)),
    }
}

fn stage_call(stage: &mut dyn Stage, op: u8, bytes: &[u8], input: &mut Option<SchemaRef>) -> Result<Vec<u8>> {
    match op {
        op::STAGE_BIND => {
            let schema = input.insert(decode_schema(bytes)?);
            encode_schema(&*stage.bind(schema.clone())?)
        }
        op::STAGE_PUSH => stage.push(decode_batch(bytes, input.as_ref())?).map(|()| Vec::new()),
        op::STAGE_PULL => stage.pull()?.as_ref().map_or(Ok(Vec::new()), encode_batch),
        op::STAGE_FINISH => stage.finish().map(|()| Vec::new()),
        _ => Err(unknown(op)),
    }
}

fn sink_call(sink: &mut dyn Sink, op: u8, bytes: &[u8], input: &mut Option<SchemaRef>) -> Result<Vec<u8>> {
    let done = match op {
        op::SINK_BIND => sink.bind(input.insert(decode_schema(bytes)?).clone()),
        op::SINK_WRITE => sink.write(&decode_batch(bytes, input.as_ref())?),
        op::SINK_FLUSH => sink.flush(),
        op::SINK_CLOSE => sink.close(),
        _ => Err(unknown(op)),
    };
    done.map(|()| Vec::new())
}

/// One model from each batch.
fn fit(
    trainer: &dyn Trainer,
    arguments: &mut Unpack<'_>,
    wire: &Wire,
) -> Result<Vec<Result<Arc<dyn Model>>>> {
    let threads = arguments.number()?.clamp(1, 1024) as usize;
    let population = arguments.optional()?.map(Arc::from);
    let context = FitContext { threads, cancel: wire.cancel.clone(), population };
    let mut groups = Vec::new();
    while !arguments.0.is_empty() {
        groups.push(decode_batch(arguments.bytes()?, None)?);
    }
    Ok(match groups.as_slice() {
        [only] => vec![caught(|| trainer.fit(only, &context))],
        groups => trainer.fit_many(groups, &context),
    })
}
