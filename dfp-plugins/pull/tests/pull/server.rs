//! A server of this machine that answers as it is told, faults included. It ends when it is dropped.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) raw_query: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }

    /// A parameter of the query or form, decoded.
    pub(crate) fn parameter(&self, name: &str) -> Option<String> {
        let pairs = self.raw_query.split('&').chain(self.body.split('&'));
        let mut pairs = pairs.filter_map(|pair| pair.split_once('='));
        pairs.find(|(key, _)| decode(key) == name).map(|(_, value)| decode(value))
    }

    pub(crate) fn number(&self, name: &str) -> i64 {
        self.parameter(name)
            .and_then(|text| text.parse().ok())
            .unwrap_or_else(|| panic!("no {name} in {self:?}"))
    }
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(if byte == b'%' {
            let digits = [rest.next().unwrap(), rest.next().unwrap()];
            u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap()
        } else {
            byte
        });
    }
    String::from_utf8(bytes).unwrap()
}

/// How an answer goes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    Whole,
    /// Half of the body, then the connection is closed.
    Half,
    /// Half of the body, with that half's length declared.
    Lie,
    /// The body and more without end.
    Endless,
    /// One byte at a time.
    Drip,
    /// Nothing at all.
    Silent,
    /// Nothing, but the connection stays open.
    Stuck,
}

#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) manner: Manner,
}

impl Reply {
    pub(crate) fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: Vec::new(), body: body.into(), manner: Manner::Whole }
    }

    pub(crate) fn ok(body: impl Into<Vec<u8>>) -> Self {
        Self::new(200, body)
    }

    pub(crate) fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    pub(crate) fn manner(mut self, manner: Manner) -> Self {
        self.manner = manner;
        self
    }
}

pub(crate) struct Server {
    pub(crate) url: String,
    pub(crate) requests: Arc<Mutex<Vec<Request>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// No test needs more; one that does is in a loop.
const MOST_REQUESTS: usize = 5000;

impl Server {
    /// Starts a server that gives `answer` the requests one after the other.
    pub(crate) fn start(answer: impl FnMut(&Request) -> Reply + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (stop, requests) = (Arc::new(AtomicBool::new(false)), Arc::default());
        let (stopped, log) = (Arc::clone(&stop), Arc::clone(&requests));
        let thread = std::thread::spawn(move || serve(&listener, &stopped, &log, answer));
        Self { url, requests, stop, thread: Some(thread) }
    }

    pub(crate) fn count(&self) -> usize {
        self.requests.lock().unwrap().len()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let address = self.url.strip_prefix("http://").unwrap();
        let _ = TcpStream::connect(address);
        let ended = self.thread.take().unwrap().join();
        if !std::thread::panicking() {
            ended.expect("the server did not panic");
        }
    }
}

fn serve(
    listener: &TcpListener,
    stop: &AtomicBool,
    log: &Mutex<Vec<Request>>,
    mut answer: impl FnMut(&Request) -> Reply,
) {
    for stream in listener.incoming() {
        if stop.load(Ordering::SeqCst) {
            return;
        }
        let stream = stream.unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let Some(request) = read(&stream) else { continue };
        let mut seen = log.lock().unwrap();
        seen.push(request.clone());
        assert!(seen.len() < MOST_REQUESTS, "too many requests");
        drop(seen);
        let reply = answer(&request);
        // Clients hang up when they have seen enough.
        let _ = write(stream, &reply, stop);
    }
}

fn read(stream: &TcpStream) -> Option<Request> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split_whitespace();
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let mut body = vec![0; length.and_then(|(_, value)| value.parse().ok()).unwrap_or(0)];
    reader.read_exact(&mut body).ok()?;
    let (path, raw_query) = target.split_once('?').unwrap_or((&target, ""));
    Some(Request {
        method,
        path: path.to_owned(),
        raw_query: raw_query.to_owned(),
        headers,
        body: String::from_utf8(body).unwrap(),
    })
}

fn write(mut stream: TcpStream, reply: &Reply, stop: &AtomicBool) -> std::io::Result<()> {
    let half = reply.body.len() / 2;
    let mut head = format!("HTTP/1.1 {} X\r\nConnection: close\r\n", reply.status);
    for (name, value) in &reply.headers {
        write!(head, "{name}: {value}\r\n").unwrap();
    }
    match reply.manner {
        Manner::Silent => return Ok(()),
        Manner::Stuck => {
            while !stop.load(Ordering::SeqCst) {
                std::thread::sleep(Duration::from_millis(20));
            }
            return Ok(());
        }
        Manner::Endless => head.push_str("\r\n"),
        Manner::Lie => write!(head, "Content-Length: {half}\r\n\r\n").unwrap(),
        _ => write!(head, "Content-Length: {}\r\n\r\n", reply.body.len()).unwrap(),
    }
    stream.write_all(head.as_bytes())?;
    match reply.manner {
        Manner::Half | Manner::Lie => stream.write_all(&reply.body[..half])?,
        Manner::Drip => {
            for byte in &reply.body {
                if stop.load(Ordering::SeqCst) {
                    break;
                }
                stream.write_all(&[*byte])?;
                std::thread::sleep(Duration::from_millis(50));
            }
        }
        Manner::Endless => {
            let filler = vec![b' '; 1 << 16];
            stream.write_all(&reply.body)?;
            while !stop.load(Ordering::SeqCst) {
                stream.write_all(&filler)?;
            }
        }
        _ => stream.write_all(&reply.body)?,
    }
    stream.flush()
}

/// What may go wrong with one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    TooMany,
    Unavailable,
    Expired,
    Half,
    Lie,
    Silent,
}

/// Spoils a good answer.
pub(crate) fn spoil(fault: Fault, reply: Reply) -> Reply {
    match fault {
        Fault::None | Fault::Expired => reply,
        Fault::TooMany => Reply::new(429, "slow down").header("Retry-After", "0"),
        Fault::Unavailable => Reply::new(503, "<html>busy</html>"),
        Fault::Half => reply.manner(Manner::Half),
        Fault::Lie => reply.manner(Manner::Lie),
        Fault::Silent => reply.manner(Manner::Silent),
    }
}
