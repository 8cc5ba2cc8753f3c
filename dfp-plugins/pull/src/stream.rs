//! The source: a thread that asks, and a stream that decodes what it got.

use std::collections::VecDeque;
use std::io::{Cursor, Read};
use std::marker::PhantomData;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use dfp_plugin::arrow_array::RecordBatch;
use dfp_plugin::arrow_schema::SchemaRef;
use dfp_plugin::serde_json::{Value, json};
use dfp_plugin::{BatchStream, Component, Error, ErrorKind, Host, Level, Reject, Result, Source, create};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::config::{Config, Defaults, Plan};
use crate::http::{Client, cancelled};
use crate::state;
use crate::url::Url;

/// Without rows for so long, a batch without rows says that the source is alive.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// Pause between two looks at the wish to stop.
const LOOK_UP: Duration = Duration::from_millis(50);
/// Bytes that are decoded at once without waiting for more.
const CHUNK: usize = 4 << 20;
/// Pages fetched ahead of the one being decoded.
const AHEAD: usize = 1;
/// Rows of a batch, unless configured: a page is one batch, so that every batch has its own position.
const BATCH_ROWS: usize = 1 << 20;

/// Counter of objects that were listed, but gone when they were fetched.
pub const GONE: &str = "pull_gone";

/// A vendor's interface.
pub trait Vendor: Sized + Send + 'static {
    /// Name of the source.
    const ID: &'static str;
    /// One line for people.
    const TITLE: &'static str;
    /// JSON Schema of the configuration.
    const CONFIG_SCHEMA: &'static str;
    #[doc(hidden)]
    const DEFAULTS: Defaults;
    /// What has to be known of the account.
    type Account: DeserializeOwned + Clone + Send + 'static;
    #[doc(hidden)]
    type State: Serialize + DeserializeOwned + Default + Send + 'static;

    /// The servers to speak to, the first one being the vendor's; the text is what is wrong with the account.
    #[doc(hidden)]
    fn bases(account: &Self::Account) -> Result<Vec<Url>, String>;

    /// What a position is about, so that it is not used for anything else.
    #[doc(hidden)]
    fn scope(account: &Self::Account) -> String;

    #[doc(hidden)]
    fn new(account: Self::Account, plan: Plan, bases: Vec<Url>) -> Self;

    /// Asks for everything up to the present.
    #[doc(hidden)]
    fn pass(&mut self, asker: &mut Asker, state: &mut Self::State) -> Result<()>;
}

/// What a pass works with: requests out, pages in.
pub struct Asker {
    pub(crate) client: Client,
    pages: SyncSender<Page>,
    source: &'static str,
    scope: String,
}

impl Asker {
    /// Hands a page on; `state` is what is true once it was delivered.
    pub(crate) fn deliver(&self, origin: String, body: Vec<u8>, state: &impl Serialize) -> Result<()> {
        self.send(Some((origin, body)), state)
    }

    /// Nothing new, but a new state.
    pub(crate) fn advance(&self, state: &impl Serialize) -> Result<()> {
        self.send(None, state)
    }

    fn send(&self, content: Option<(String, Vec<u8>)>, state: &impl Serialize) -> Result<()> {
        let position = state::write(self.source, &self.scope, state);
        self.pages.send(Page { content, position }).map_err(|_| cancelled(self.source))
    }
}

/// As many addresses as a vendor named.
pub(crate) fn addresses<const N: usize>(bases: Vec<Url>) -> [Url; N] {
    bases.try_into().expect("a vendor is given the addresses it named")
}

/// The address a server's answer leads to, if it is on the same server: keys are sent nowhere else.
pub(crate) fn same_server(source: &str, base: &Url, link: &str) -> Result<Url> {
    let bad = |what: &str| bad_data(source, &format!("{}: {what}", base.shown()));
    let url = Url::parse(link).map_err(|what| bad(&format!("an answer leads to {what}")))?;
    if url.origin != base.origin {
        let what = format!("an answer leads to another server, {}; it is not asked", url.origin);
        return Err(bad(&what));
    }
    Ok(url)
}

pub(crate) fn bad_data(source: &str, what: &str) -> Error {
    Error::new(ErrorKind::BadData, format!("{source}: {what}"))
}

/// What was fetched, and where the pull stands behind it.
struct Page {
    content: Option<(String, Vec<u8>)>,
    position: Vec<u8>,
}

/// A source that pulls what `V` serves and decodes it with `D`, the source that reads files of the same kind.
pub struct Pull<V: Vendor, D> {
    config: Config<V::Account>,
    plan: Plan,
    host: Arc<dyn Host>,
    schema: SchemaRef,
    opened: bool,
    position: Arc<Mutex<Option<Vec<u8>>>>,
    decoder: PhantomData<fn() -> D>,
}

impl<V: Vendor, D: Component + Source> Component for Pull<V, D> {
    const ID: &'static str = V::ID;
    const TITLE: &'static str = V::TITLE;
    const CONFIG_SCHEMA: &'static str = V::CONFIG_SCHEMA;
    const PROFILE: &'static str = D::PROFILE;
    type Config = Config<V::Account>;

    fn create(config: Self::Config, host: Arc<dyn Host>) -> Result<Self> {
        let plan = config.plan(V::ID, &V::DEFAULTS)?;
        V::bases(&config.account).map_err(|what| invalid(V::ID, &what))?;
        if config.decode.contains_key("inputs") {
            return Err(invalid(V::ID, "decode.inputs is not for a pull: what is pulled is what is decoded"));
        }
        if config.decode.contains_key("columns") {
            return Err(invalid(V::ID, "decode.columns is not for a pull: `columns` stands beside `decode`"));
        }
        let schema = decoder::<D>(&config.decoding(), &[], Arc::clone(&host))?.schema();
        let position = Arc::default();
        Ok(Self { config, plan, host, schema, opened: false, position, decoder: PhantomData })
    }
}

fn invalid(source: &str, what: &str) -> Error {
    Error::new(ErrorKind::InvalidConfig, format!("configuring {source}: {what}"))
}

impl<V: Vendor, D: Component + Source> Source for Pull<V, D> {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn open(&mut self, resume: Option<&[u8]>) -> Result<Box<dyn BatchStream>> {
        if self.opened {
            return Err(Error::new(
                ErrorKind::InvalidState,
                format!("opening {}: it is already open", V::ID),
            ));
        }
        let scope = V::scope(&self.config.account);
        let state = match resume {
            Some(token) => state::read(V::ID, &scope, token)?,
            None => V::State::default(),
        };
        *self.position.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(state::write(V::ID, &scope, &state));
        let bases = V::bases(&self.config.account).map_err(|what| invalid(V::ID, &what))?;
        let stop = Arc::new(AtomicBool::new(false));
        let (http, interval) = (&self.config.http, self.plan.interval);
        let client = Client::new(V::ID, http, interval, &bases, Arc::clone(&stop), Arc::clone(&self.host))?;
        let (sender, pages) = sync_channel(AHEAD);
        let asker = Asker { client, pages: sender, source: V::ID, scope };
        let vendor = V::new(self.config.account.clone(), self.plan.clone(), bases);
        let poll = self.plan.poll;
        let worker = std::thread::Builder::new()
            .name(V::ID.to_owned())
            .spawn(move || work(vendor, asker, state, poll))
            .map_err(|error| Error::io(format!("opening {}: starting its thread", V::ID), error))?;
        self.opened = true;
        Ok(Box::new(Stream::<D> {
            source: V::ID,
            decode: self.config.decoding(),
            host: Arc::clone(&self.host),
            schema: Arc::clone(&self.schema),
            position: Arc::clone(&self.position),
            pages,
            worker: Some(worker),
            stop,
            gather: self.plan.gather,
            held: None,
            ready: VecDeque::new(),
            reached: None,
            over: false,
            decoder: PhantomData,
        }))
    }

    fn position(&self) -> Option<Vec<u8>> {
        self.position.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Pass after pass, until caught up or nobody wants more.
fn work<V: Vendor>(mut vendor: V, mut asker: Asker, mut state: V::State, poll: Duration) -> Result<()> {
    loop {
        vendor.pass(&mut asker, &mut state)?;
        if poll.is_zero() {
            return Ok(());
        }
        asker.client.wait(poll)?;
    }
}

struct Stream<D> {
    source: &'static str,
    decode: dfp_plugin::serde_json::Map<String, Value>,
    host: Arc<dyn Host>,
    schema: SchemaRef,
    position: Arc<Mutex<Option<Vec<u8>>>>,
    pages: Receiver<Page>,
    worker: Option<JoinHandle<Result<()>>>,
    stop: Arc<AtomicBool>,
    /// Pages that arrive within so long of each other are decoded together.
    gather: Duration,
    /// A page that came too late for the last chunk.
    held: Option<Page>,
    /// Batches decoded and not delivered, and the position behind the last of them.
    ready: VecDeque<RecordBatch>,
    reached: Option<Vec<u8>>,
    over: bool,
    decoder: PhantomData<fn() -> D>,
}

/// Pages that are decoded together.
#[derive(Default)]
struct Chunk {
    pages: Vec<(String, Arc<[u8]>)>,
    bytes: usize,
    position: Option<Vec<u8>>,
}

impl Chunk {
    /// Adds a page, or gives it back if there is one of that name.
    fn add(&mut self, page: Page) -> Option<Page> {
        if let Some((origin, body)) = page.content {
            if self.pages.iter().any(|(name, _)| *name == origin) {
                return Some(Page { content: Some((origin, body)), position: page.position });
            }
            self.bytes += body.len();
            self.pages.push((origin, body.into()));
        }
        self.position = Some(page.position);
        None
    }
}

impl<D: Component + Source> Stream<D> {
    /// The next batch; one without rows is a heartbeat, `None` the end.
    fn batch(&mut self) -> Result<Option<RecordBatch>> {
        let started = Instant::now();
        loop {
            if let Some(batch) = self.ready.pop_front() {
                if self.ready.is_empty() {
                    self.arrive();
                }
                return Ok(Some(batch));
            }
            let Some(chunk) = self.gather(started + HEARTBEAT)? else { return Ok(None) };
            self.reached = chunk.position;
            if !chunk.pages.is_empty() {
                self.ready = self.decode(&chunk.pages)?;
            }
            if self.ready.is_empty() {
                self.arrive();
            }
            if self.ready.is_empty() && started.elapsed() >= HEARTBEAT {
                return Ok(Some(RecordBatch::new_empty(Arc::clone(&self.schema))));
            }
        }
    }

    /// Everything decoded so far is delivered.
    fn arrive(&mut self) {
        if let Some(reached) = self.reached.take() {
            *self.position.lock().unwrap_or_else(PoisonError::into_inner) = Some(reached);
        }
    }

    /// Pages that came close together, none if there were none until `heartbeat`; `None` at the end.
    fn gather(&mut self, heartbeat: Instant) -> Result<Option<Chunk>> {
        let mut chunk = Chunk::default();
        if let Some(page) = self.held.take() {
            self.held = chunk.add(page);
        }
        let mut last = Instant::now();
        while self.held.is_none() && chunk.bytes < CHUNK {
            if self.host.is_cancelled() {
                return Err(cancelled(self.source));
            }
            let now = Instant::now();
            let until = if chunk.pages.is_empty() { heartbeat } else { heartbeat.min(last + self.gather) };
            if now >= until {
                break;
            }
            match self.pages.recv_timeout(LOOK_UP.min(until - now)) {
                Ok(page) => {
                    self.held = chunk.add(page);
                    last = Instant::now();
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) if chunk.position.is_some() => break,
                Err(RecvTimeoutError::Disconnected) => return self.end().map(|()| None),
            }
        }
        Ok(Some(chunk))
    }

    /// What became of the thread.
    fn end(&mut self) -> Result<()> {
        let Some(worker) = self.worker.take() else { return Ok(()) };
        worker.join().unwrap_or_else(|_| {
            Err(Error::new(
                ErrorKind::Internal,
                format!("{}: the thread that asks has panicked", self.source),
            ))
        })
    }

    fn decode(&self, pages: &[(String, Arc<[u8]>)]) -> Result<VecDeque<RecordBatch>> {
        let mut source = decoder::<D>(&self.decode, pages, Arc::clone(&self.host))?;
        let batches = source.open(None)?.filter(|batch| !matches!(batch, Ok(batch) if batch.num_rows() == 0));
        batches.collect()
    }
}

impl<D: Component + Source> Iterator for Stream<D> {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        let batch = self.batch();
        self.over = !matches!(batch, Ok(Some(_)));
        if self.over {
            self.stop.store(true, Ordering::Relaxed);
        }
        batch.transpose()
    }
}

impl<D: Component + Source> BatchStream for Stream<D> {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
}

impl<D> Drop for Stream<D> {
    fn drop(&mut self) {
        // The thread notices at its next look; it may be in the middle of a request, which has its own limits.
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// The source that decodes `pages` as its inputs.
fn decoder<D: Component + Source>(
    decode: &dfp_plugin::serde_json::Map<String, Value>,
    pages: &[(String, Arc<[u8]>)],
    host: Arc<dyn Host>,
) -> Result<D> {
    let mut config = decode.clone();
    let inputs: Vec<&str> = pages.iter().map(|(origin, _)| origin.as_str()).collect();
    config.insert("inputs".to_owned(), json!(inputs));
    config.entry("batch_rows").or_insert(json!(BATCH_ROWS));
    create(&Value::Object(config).to_string(), Arc::new(PageHost { host, pages: pages.to_vec() }))
}

/// The host, but for inputs: these are pages in memory.
struct PageHost {
    host: Arc<dyn Host>,
    pages: Vec<(String, Arc<[u8]>)>,
}

impl Host for PageHost {
    fn log_enabled(&self, level: Level) -> bool {
        self.host.log_enabled(level)
    }

    fn log(&self, level: Level, target: &str, message: &str) {
        self.host.log(level, target, message);
    }

    fn is_cancelled(&self) -> bool {
        self.host.is_cancelled()
    }

    fn open(&self, uri: &str) -> Result<Box<dyn Read + Send>> {
        let page = self.pages.iter().find(|(origin, _)| origin == uri);
        let (_, body) =
            page.ok_or_else(|| Error::new(ErrorKind::NotFound, format!("opening {uri}: no such page")))?;
        Ok(Box::new(Cursor::new(Arc::clone(body))))
    }

    fn reject(&self, reject: Reject) {
        self.host.reject(reject);
    }

    fn count(&self, counter: &str, n: u64) {
        self.host.count(counter, n);
    }
}
