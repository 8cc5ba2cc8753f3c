//! Requests: limited in every way, tried again where that may help, never telling a secret.

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use dfp_plugin::{Error, ErrorKind, Host, Level, Result};
use flate2::read::MultiGzDecoder;
use ureq::Agent;
use ureq::http::HeaderMap;
use ureq::tls::{PemItem, RootCerts, TlsConfig};

use crate::config::Http;
use crate::url::Url;

/// Counter of requests sent.
pub const REQUESTS: &str = "pull_requests";
/// Counter of requests that failed and were tried again.
pub const RETRIES: &str = "pull_retries";

/// Pause between two looks at the wish to stop.
const LOOK_UP: Duration = Duration::from_millis(20);
/// Longest wait that a server may ask for.
const LONGEST_ASKED: Duration = Duration::from_secs(3600);
/// Clocks that differ by no more are taken to agree: the header has whole seconds, and answers take time.
const SKEW_IGNORED: i64 = 2;
/// Clocks are not believed to differ by more.
const SKEW_BELIEVED: i64 = 86_400;
/// Tries of an answer that cannot be read.
const MALFORMED_TRIES: u32 = 3;
/// Secrets, tokens included, that are looked for in what is told.
const MOST_SECRETS: usize = 64;
/// How much of an error's own text is shown.
const EXCERPT: usize = 240;

/// One request, as it is sent each time it is tried.
pub(crate) struct Request {
    pub(crate) url: Url,
    /// Sent by POST, as a form; GET without.
    pub(crate) form: Option<String>,
}

impl Request {
    pub(crate) fn get(url: Url) -> Self {
        Self { url, form: None }
    }

    fn shown(&self) -> String {
        format!("{} {}", if self.form.is_some() { "POST" } else { "GET" }, self.url.shown())
    }
}

/// An answer, unpacked.
pub(crate) struct Answer {
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

/// What proves who asks.
pub(crate) trait Auth {
    /// The headers of the next try of a request.
    fn headers(&mut self, client: &mut Client, url: &Url) -> Result<Vec<(String, String)>>;

    /// Whether, after a refusal, another try with new headers may help.
    fn renew(&mut self, client: &mut Client) -> Result<bool>;
}

/// Nothing to prove.
pub(crate) struct Anonymous;

impl Auth for Anonymous {
    fn headers(&mut self, _: &mut Client, _: &Url) -> Result<Vec<(String, String)>> {
        Ok(Vec::new())
    }

    fn renew(&mut self, _: &mut Client) -> Result<bool> {
        Ok(false)
    }
}

/// A request that failed for good.
pub(crate) struct Failure {
    /// What the server answered, if it did.
    pub(crate) status: Option<u16>,
    /// An answer of the right status whose content made no sense, as it came.
    pub(crate) malformed: Option<Vec<u8>>,
    pub(crate) error: Error,
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        failure.error
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { status: None, malformed: None, error }
    }
}

/// One try that failed.
enum Fault {
    /// Others may do better.
    Again {
        what: String,
        kind: ErrorKind,
        status: Option<u16>,
        after: Option<Duration>,
        body: Option<Vec<u8>>,
    },
    /// The credentials were refused.
    Refused {
        what: String,
        status: u16,
    },
    Final(Failure),
}

/// Sends requests, one at a time.
pub(crate) struct Client {
    source: &'static str,
    agent: Agent,
    limits: Http,
    interval: Duration,
    last: Option<Instant>,
    /// How many seconds the server's clock is ahead.
    skew: i64,
    secrets: Vec<String>,
    stop: Arc<AtomicBool>,
    pub(crate) host: Arc<dyn Host>,
}

impl Client {
    /// A client of `bases`, the servers it will speak to.
    pub(crate) fn new(
        source: &'static str,
        limits: &Http,
        interval: Duration,
        bases: &[Url],
        stop: Arc<AtomicBool>,
        host: Arc<dyn Host>,
    ) -> Result<Self> {
        let seconds = |n| Some(Duration::from_secs(n));
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .user_agent(concat!("dfp/", env!("CARGO_PKG_VERSION")))
            .max_response_header_size(64 << 10)
            .timeout_resolve(seconds(limits.connect_seconds))
            .timeout_connect(seconds(limits.connect_seconds))
            .timeout_per_read(seconds(limits.read_seconds))
            .timeout_per_write(seconds(limits.read_seconds))
            .timeout_per_call(seconds(limits.request_seconds))
            .tls_config(tls(limits, host.as_ref())?);
        // No proxy leads back to this machine.
        if bases.iter().any(Url::is_loopback) {
            config = config.proxy(None);
        }
        Ok(Self {
            source,
            agent: config.build().new_agent(),
            limits: limits.clone(),
            interval,
            last: None,
            skew: 0,
            secrets: Vec::new(),
            stop,
            host,
        })
    }

    /// Never to be shown.
    pub(crate) fn keep_secret(&mut self, secret: &str) {
        self.secrets.retain(|known| known != secret);
        self.secrets.push(secret.to_owned());
        // Tokens come and go; those long gone open nothing.
        if self.secrets.len() > MOST_SECRETS {
            self.secrets.remove(0);
        }
    }

    /// A text without the secrets that were in it.
    fn scrub(&self, text: &str) -> String {
        self.secrets.iter().fold(text.to_owned(), |text, secret| text.replace(secret.as_str(), "***"))
    }

    /// The server's time, in seconds of the epoch.
    pub(crate) fn server_now(&self) -> i64 {
        local_now() + self.skew
    }

    /// The later of the two clocks: nothing can have happened after it.
    pub(crate) fn latest_now(&self) -> i64 {
        local_now() + self.skew.max(0)
    }

    /// The earlier of the two clocks: what is older than it is past by both.
    pub(crate) fn earliest_now(&self) -> i64 {
        local_now() + self.skew.min(0)
    }

    /// How many seconds the server's clock is ahead, as far as is known.
    pub(crate) fn skew(&self) -> i64 {
        self.skew
    }

    /// Whether nobody wants more.
    pub(crate) fn check_stop(&self) -> Result<()> {
        if self.stop.load(Ordering::Relaxed) || self.host.is_cancelled() {
            return Err(cancelled(self.source));
        }
        Ok(())
    }

    /// Waits, unless nobody wants more.
    pub(crate) fn wait(&self, time: Duration) -> Result<()> {
        let end = Instant::now() + time;
        loop {
            self.check_stop()?;
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            std::thread::sleep(left.min(LOOK_UP));
        }
    }

    pub(crate) fn warn(&self, message: &str) {
        self.host.log(Level::Warn, self.source, &self.scrub(message));
    }

    /// Sends a request until there is an answer that `read` can read, or no hope of one. What `read` complains of is taken for
    /// a page that broke off.
    pub(crate) fn fetch<T>(
        &mut self,
        request: &Request,
        auth: &mut dyn Auth,
        read: &mut dyn FnMut(&mut Answer) -> Result<T, String>,
    ) -> Result<T, Failure> {
        let mut renewed = false;
        let mut tries = 1;
        loop {
            match self.attempt(request, auth, read) {
                Ok(value) => return Ok(value),
                Err(Fault::Final(failure)) => return Err(failure),
                Err(Fault::Refused { what, status }) => {
                    if renewed || !auth.renew(self)? {
                        let advice = "check the account's keys and what it is permitted, see docs/pull.md";
                        return Err(self.failure(
                            ErrorKind::Permission,
                            Some(status),
                            request,
                            &format!("{what}: {advice}"),
                        ));
                    }
                    renewed = true;
                }
                Err(Fault::Again { what, kind, status, after, body }) => {
                    // Content that makes no sense seldom gets better.
                    let most = if body.is_some() {
                        self.limits.attempts.min(MALFORMED_TRIES)
                    } else {
                        self.limits.attempts
                    };
                    if tries >= most {
                        let what = format!(
                            "{what}; given up after {tries} tries: run it again later, it resumes, or raise http.attempts"
                        );
                        let mut failure = self.failure(kind, status, request, &what);
                        failure.malformed = body;
                        return Err(failure);
                    }
                    let wait = after.map_or_else(|| self.backoff(tries), |asked| asked.min(LONGEST_ASKED));
                    let (shown, seconds) = (request.shown(), wait.as_secs_f64());
                    self.warn(&format!("{shown}: {what}; try {tries} of {most}, next in {seconds:.1} s"));
                    self.host.count(RETRIES, 1);
                    self.wait(wait)?;
                    tries += 1;
                }
            }
        }
    }

    /// Exponential, limited, and random in its second half so that many clients do not come back at once.
    fn backoff(&self, tries: u32) -> Duration {
        let doubled = self.limits.first_wait_ms.saturating_mul(1 << (tries - 1).min(20));
        let wait = doubled.min(self.limits.longest_wait_ms);
        Duration::from_millis(wait / 2 + random() % (wait / 2 + 1))
    }

    fn failure(&self, kind: ErrorKind, status: Option<u16>, request: &Request, what: &str) -> Failure {
        let text = format!("{}: {}: {what}", self.source, request.shown());
        Failure { status, malformed: None, error: Error::new(kind, self.scrub(&text)) }
    }

    fn attempt<T>(
        &mut self,
        request: &Request,
        auth: &mut dyn Auth,
        read: &mut dyn FnMut(&mut Answer) -> Result<T, String>,
    ) -> Result<T, Fault> {
        let last_chance = |error: Error| Fault::Final(Failure::from(error));
        let headers = auth.headers(self, &request.url).map_err(last_chance)?;
        if let Some(last) = self.last {
            self.wait((last + self.interval).saturating_duration_since(Instant::now()))
                .map_err(last_chance)?;
        }
        self.check_stop().map_err(last_chance)?;
        self.last = Some(Instant::now());
        self.host.count(REQUESTS, 1);
        let response = self.send(request, &headers)?;
        self.learn_clock(response.headers());
        let status = response.status().as_u16();
        let (head, body) = response.into_parts();
        if !(200..300).contains(&status) {
            return Err(self.refusal(request, status, &head.headers, body.into_reader()));
        }
        let packed = self.read_body(request, status, body.into_reader())?;
        let body = self.unpack(request, status, packed)?;
        let mut answer = Answer { headers: head.headers, body };
        read(&mut answer).map_err(|why| Fault::Again {
            what: format!("status {status}, but {why}"),
            kind: ErrorKind::BadData,
            status: Some(status),
            after: None,
            body: Some(answer.body),
        })
    }

    fn send(
        &self,
        request: &Request,
        headers: &[(String, String)],
    ) -> Result<ureq::http::Response<ureq::Body>, Fault> {
        let url = request.url.text();
        let sent = match &request.form {
            None => {
                let headers = headers.iter().filter(|(name, _)| name != "host");
                headers.fold(self.agent.get(url), |sent, (name, value)| sent.header(name, value)).call()
            }
            Some(form) => headers
                .iter()
                .fold(self.agent.post(url), |sent, (name, value)| sent.header(name, value))
                .header("content-type", "application/x-www-form-urlencoded")
                .send(form.as_str()),
        };
        sent.map_err(|error| {
            let what = format!("no answer: {error}");
            match error {
                ureq::Error::BadUri(_) | ureq::Error::Http(_) => {
                    Fault::Final(self.failure(ErrorKind::InvalidConfig, None, request, &what))
                }
                ureq::Error::Timeout(_) => again(what, ErrorKind::Timeout),
                _ => again(what, ErrorKind::Io),
            }
        })
    }

    /// Compares clocks: a server whose clock is believed has the last word about the age of its records.
    fn learn_clock(&mut self, headers: &HeaderMap) {
        let Some(date) = headers.get("date").and_then(|date| date.to_str().ok()).and_then(http_date) else {
            return;
        };
        let skew = date - local_now();
        if skew.abs() <= SKEW_BELIEVED {
            self.skew = if skew.abs() <= SKEW_IGNORED { 0 } else { skew };
        }
    }

    /// The answer's body, as far as it is allowed to go.
    fn read_body(&self, request: &Request, status: u16, mut body: impl Read) -> Result<Vec<u8>, Fault> {
        let most = self.limits.max_response_bytes;
        let mut bytes = Vec::new();
        let mut chunk = vec![0; 64 << 10];
        loop {
            self.check_stop().map_err(|error| Fault::Final(error.into()))?;
            match body.read(&mut chunk) {
                Ok(0) => return Ok(bytes),
                Ok(n) if bytes.len() + n > most => return Err(Fault::Final(self.too_long(request, status))),
                Ok(n) => bytes.extend_from_slice(&chunk[..n]),
                Err(error) => {
                    let what = format!("status {status}, cut off after {} bytes: {error}", bytes.len());
                    return Err(again(what, ErrorKind::Io));
                }
            }
        }
    }

    /// Takes the compression away. An object may be compressed, and compressed once more on its way.
    fn unpack(&self, request: &Request, status: u16, mut body: Vec<u8>) -> Result<Vec<u8>, Fault> {
        let most = self.limits.max_response_bytes as u64;
        for _ in 0..2 {
            if !body.starts_with(&[0x1F, 0x8B]) {
                break;
            }
            let mut plain = Vec::new();
            let unpacked = MultiGzDecoder::new(&body[..]).take(most + 1).read_to_end(&mut plain);
            if plain.len() as u64 > most {
                return Err(Fault::Final(self.too_long(request, status)));
            }
            if let Err(error) = unpacked {
                return Err(Fault::Again {
                    what: format!("status {status}, but its compression is damaged: {error}"),
                    kind: ErrorKind::BadData,
                    status: Some(status),
                    after: None,
                    body: Some(body),
                });
            }
            body = plain;
        }
        Ok(body)
    }

    fn too_long(&self, request: &Request, status: u16) -> Failure {
        let most = self.limits.max_response_bytes;
        let what = format!(
            "the answer is longer than {most} bytes: raise http.max_response_bytes if that is no attack"
        );
        self.failure(ErrorKind::ResourceExhausted, Some(status), request, &what)
    }

    /// What to make of an answer that says no.
    fn refusal(&self, request: &Request, status: u16, headers: &HeaderMap, body: impl Read) -> Fault {
        let mut text = Vec::new();
        // The start is enough, and where it breaks off does not matter.
        let _ = body.take(4 << 10).read_to_end(&mut text);
        let header = |name| headers.get(name).and_then(|value: &ureq::http::HeaderValue| value.to_str().ok());
        let what = format!("status {status} {}", excerpt(&self.scrub(&String::from_utf8_lossy(&text))));
        let after = header("retry-after").and_then(|text| retry_after(text, self.server_now()));
        match status {
            300..=399 => {
                let place = header("location").map_or("elsewhere".to_owned(), |to| {
                    Url::parse(to).map_or_else(|_| "another path".to_owned(), |to| to.origin)
                });
                let what = format!(
                    "status {status}, redirected to {place}; redirects are not followed: correct the base URL"
                );
                Fault::Final(self.failure(ErrorKind::InvalidConfig, Some(status), request, &what))
            }
            401 | 403 => Fault::Refused { what, status },
            408 | 425 | 429 | 500..=599 => {
                Fault::Again { what, kind: ErrorKind::Io, status: Some(status), after, body: None }
            }
            404 | 410 => {
                let what = format!("{what}: check the base URL and the names in the account");
                Fault::Final(self.failure(ErrorKind::NotFound, Some(status), request, &what))
            }
            _ => {
                let what = format!("{what}: the request was not accepted; check the account's values");
                Fault::Final(self.failure(ErrorKind::InvalidConfig, Some(status), request, &what))
            }
        }
    }
}

fn again(what: String, kind: ErrorKind) -> Fault {
    Fault::Again { what, kind, status: None, after: None, body: None }
}

pub(crate) fn cancelled(source: &str) -> Error {
    Error::new(ErrorKind::Cancelled, format!("{source}: pulling: cancelled on request"))
}

fn tls(limits: &Http, host: &dyn Host) -> Result<TlsConfig> {
    const MOST: u64 = 16 << 20;
    let Some(file) = &limits.ca_file else { return Ok(TlsConfig::default()) };
    let doing = || format!("reading http.ca_file {file}");
    let mut pem = Vec::new();
    host.open(file)?.take(MOST).read_to_end(&mut pem).map_err(|error| Error::io(doing(), error))?;
    let certificates: Vec<_> = ureq::tls::parse_pem(&pem)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(Ok(certificate)),
            Ok(_) => None,
            Err(error) => Some(Err(Error::caused(ErrorKind::InvalidConfig, doing(), error))),
        })
        .collect::<Result<_>>()?;
    if certificates.is_empty() {
        return Err(Error::new(ErrorKind::InvalidConfig, format!("{}: it holds no certificate", doing())));
    }
    Ok(TlsConfig::builder().root_certs(RootCerts::Specific(Arc::new(certificates))).build())
}

/// This machine's time, in seconds of the epoch.
pub(crate) fn local_now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs() as i64)
}

/// The time of a `Date` or `Retry-After` header.
fn http_date(text: &str) -> Option<i64> {
    Some(jiff::fmt::rfc2822::parse(text).ok()?.timestamp().as_second())
}

/// How long a server asks to wait: seconds, or until a date.
fn retry_after(text: &str, now: i64) -> Option<Duration> {
    let text = text.trim();
    let seconds = text.parse::<u64>().ok().or_else(|| http_date(text).map(|date| (date - now).max(0) as u64));
    seconds.map(Duration::from_secs)
}

/// The start of an error's text, on one line.
fn excerpt(text: &str) -> String {
    let plain: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let plain = plain.split_whitespace().collect::<Vec<_>>().join(" ");
    let cut: String = plain.chars().take(EXCERPT).collect();
    format!("({cut})")
}

/// Good enough to spread clients, and nothing else.
fn random() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    std::collections::hash_map::RandomState::new().build_hasher().finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_ask_for_waits_in_two_ways() {
        let now = http_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        assert_eq!(now, 784_111_777);
        assert_eq!(retry_after(" 120 ", now), Some(Duration::from_secs(120)));
        assert_eq!(retry_after("Sun, 06 Nov 1994 08:50:37 GMT", now), Some(Duration::from_secs(60)));
        assert_eq!(retry_after("Sun, 06 Nov 1994 08:00:00 GMT", now), Some(Duration::ZERO));
        assert_eq!(retry_after("soon", now), None);
    }

    #[test]
    fn error_texts_are_short_and_on_one_line() {
        assert_eq!(excerpt("{\r\n  \"a\":\t1}\0"), "({ \"a\": 1})");
        assert_eq!(excerpt(&"é".repeat(1000)).chars().count(), EXCERPT + 2);
    }
}
