//! What is configured: an account, a start, and limits.

use std::time::Duration;

use dfp_plugin::serde_json::{Map, Value};
use dfp_plugin::{Error, ErrorKind, Host, Result};
use jiff::Timestamp;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

/// How a source pulls. `A` is what the vendor needs to know of the account.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config<A> {
    /// Whose records, with which credentials.
    pub account: A,
    /// Records older than this are not asked for: an RFC 3339 time. A resumed pull goes on where it stood instead.
    pub start: String,
    /// Columns to emit; if absent, those of the source that reads files of the same kind.
    #[serde(default)]
    pub columns: Option<Vec<String>>,
    /// How records are decoded: the configuration of the source that reads files of the same kind, without its `inputs` and
    /// `columns`.
    #[serde(default)]
    pub decode: Map<String, Value>,
    /// When to ask for what.
    #[serde(default)]
    pub schedule: Schedule,
    /// Limits of the requests.
    #[serde(default)]
    pub http: Http,
}

/// When to ask for what. What is absent is the vendor's default.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Schedule {
    /// Time between two passes over what is new; 0 ends the stream once it has caught up.
    pub poll_seconds: u64,
    /// How far back each pass looks again, for records that came late or from clocks that differ.
    pub overlap_seconds: Option<u64>,
    /// Records younger than this are left for the next pass.
    pub lag_seconds: Option<u64>,
    /// Longest stretch of time asked for at once.
    pub window_seconds: Option<u64>,
    /// Records or entries in a page.
    pub page_size: Option<u32>,
    /// Most ids remembered to recognise repeated records.
    pub recent_ids: Option<usize>,
    /// Pages that arrive within so long of each other are decoded together.
    pub gather_ms: Option<u64>,
}

/// Limits of the requests.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Http {
    /// To find and reach the server.
    pub connect_seconds: u64,
    /// Longest silence of the server.
    pub read_seconds: u64,
    /// Longest request, answer included.
    pub request_seconds: u64,
    /// Longest answer, packed or unpacked.
    pub max_response_bytes: usize,
    /// Tries of one request before the stream ends with an error.
    pub attempts: u32,
    /// Wait after the first failure; it doubles with each.
    pub first_wait_ms: u64,
    /// Longest wait between two tries, unless the server asks for more.
    pub longest_wait_ms: u64,
    /// Shortest time between two requests; the vendor's default if absent.
    pub interval_ms: Option<u64>,
    /// Certificates (PEM) to trust instead of the built-in ones, an input of the host.
    pub ca_file: Option<String>,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            connect_seconds: 10,
            read_seconds: 60,
            request_seconds: 300,
            max_response_bytes: 64 << 20,
            attempts: 8,
            first_wait_ms: 1000,
            longest_wait_ms: 60_000,
            interval_ms: None,
            ca_file: None,
        }
    }
}

/// A vendor's defaults.
pub struct Defaults {
    pub(crate) overlap: u64,
    pub(crate) lag: u64,
    pub(crate) window: u64,
    pub(crate) most_window: u64,
    pub(crate) page_size: u32,
    pub(crate) most_page_size: u32,
    pub(crate) interval_ms: u64,
}

/// The schedule as it is kept: seconds, all decided.
#[derive(Debug, Clone)]
pub struct Plan {
    pub(crate) start: i64,
    pub(crate) poll: Duration,
    pub(crate) overlap: i64,
    pub(crate) lag: i64,
    pub(crate) window: i64,
    pub(crate) page_size: u32,
    pub(crate) recent_ids: usize,
    pub(crate) interval: Duration,
    pub(crate) gather: Duration,
}

const WEEK: u64 = 7 * 86_400;
const MOST_IDS: usize = 1 << 20;

impl<A> Config<A> {
    /// The configuration of the source that decodes, but for its inputs.
    pub(crate) fn decoding(&self) -> Map<String, Value> {
        let mut decode = self.decode.clone();
        if let Some(columns) = &self.columns {
            decode.insert("columns".to_owned(), columns.clone().into());
        }
        decode
    }

    /// Refuses what makes no sense, and fills the gaps.
    pub(crate) fn plan(&self, source: &str, defaults: &Defaults) -> Result<Plan> {
        let invalid =
            |what: String| Error::new(ErrorKind::InvalidConfig, format!("configuring {source}: {what}"));
        let start: Timestamp = self
            .start
            .parse()
            .map_err(|_| invalid(format!("start is {:?}, no RFC 3339 time", self.start)))?;
        let schedule = &self.schedule;
        let http = &self.http;
        let plan = Plan {
            start: start.as_second(),
            poll: Duration::from_secs(schedule.poll_seconds),
            overlap: schedule.overlap_seconds.unwrap_or(defaults.overlap) as i64,
            lag: schedule.lag_seconds.unwrap_or(defaults.lag) as i64,
            window: schedule.window_seconds.unwrap_or(defaults.window) as i64,
            page_size: schedule.page_size.unwrap_or(defaults.page_size),
            recent_ids: schedule.recent_ids.unwrap_or(50_000),
            interval: Duration::from_millis(http.interval_ms.unwrap_or(defaults.interval_ms)),
            // Objects of five records would make poor batches.
            gather: Duration::from_millis(schedule.gather_ms.unwrap_or(200)),
        };
        for (name, value, least, most) in [
            ("schedule.poll_seconds", schedule.poll_seconds, 0, WEEK),
            ("schedule.overlap_seconds", plan.overlap as u64, 0, WEEK),
            ("schedule.lag_seconds", plan.lag as u64, 0, WEEK),
            ("schedule.window_seconds", plan.window as u64, 1, defaults.most_window),
            ("schedule.page_size", u64::from(plan.page_size), 1, u64::from(defaults.most_page_size)),
            ("schedule.recent_ids", plan.recent_ids as u64, 1, MOST_IDS as u64),
            ("schedule.gather_ms", plan.gather.as_millis() as u64, 0, 60_000),
            ("http.connect_seconds", http.connect_seconds, 1, 3600),
            ("http.read_seconds", http.read_seconds, 1, 3600),
            ("http.request_seconds", http.request_seconds, 1, 3600),
            ("http.max_response_bytes", http.max_response_bytes as u64, 1024, 1 << 30),
            ("http.attempts", u64::from(http.attempts), 1, 100),
            ("http.first_wait_ms", http.first_wait_ms, 0, 3_600_000),
            ("http.longest_wait_ms", http.longest_wait_ms, 0, 3_600_000),
            ("http.interval_ms", plan.interval.as_millis() as u64, 0, 3_600_000),
        ] {
            if !(least..=most).contains(&value) {
                return Err(invalid(format!("{name} is {value}; it may be from {least} to {most}")));
            }
        }
        Ok(plan)
    }
}

/// A secret by its name; the configuration never holds the secret itself.
#[derive(Debug, Clone)]
pub struct SecretRef {
    /// What the host knows it by.
    pub name: String,
}

impl<'de> Deserialize<'de> for SecretRef {
    /// Not derived: the error would show what stands in its place, which may be the secret.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::Object(mut members) if members.len() == 1 => match members.remove("$secret") {
                Some(Value::String(name)) => Ok(Self { name }),
                _ => Err(D::Error::custom(NO_SECRET)),
            },
            _ => Err(D::Error::custom(NO_SECRET)),
        }
    }
}

const NO_SECRET: &str =
    "a secret is named, {\"$secret\": \"name\"}, and never written down in a configuration";

impl SecretRef {
    /// Asks the host for it, each time anew: secrets are rotated.
    pub(crate) fn fetch(&self, host: &dyn Host) -> Result<String> {
        let bytes = host.secret(&self.name)?;
        let unusable = |why| {
            let what = format!("secret {:?} {why}; put the key itself there, and nothing else", self.name);
            Error::new(ErrorKind::InvalidConfig, what)
        };
        let text = String::from_utf8(bytes).map_err(|_| unusable("is no text"))?;
        let text = text.trim();
        if text.is_empty() {
            return Err(unusable("is empty"));
        }
        if text.bytes().any(|byte| !(0x20..0x7F).contains(&byte)) {
            return Err(unusable("holds characters that no key has"));
        }
        Ok(text.to_owned())
    }
}
