//! Duo's Admin API: authentications.

use dfp_plugin::Result;
use dfp_plugin::serde_json::value::RawValue;
use dfp_plugin::serde_json::{self, Value};
use serde::Deserialize;

use crate::config::{Defaults, Plan, SecretRef};
use crate::http::{Auth, Client, Failure, Request};
use crate::pages::{Entry, Page, Paged, Span, Walk, text};
use crate::recent;
use crate::sign;
use crate::state::{State, Windows};
use crate::stream::{Asker, Vendor, addresses};
use crate::url::{self, Url};

/// Duo's Admin API, `/admin/v2/logs/authentication`.
pub struct Duo {
    base: Url,
    signer: Signer,
    plan: Plan,
}

/// Whose authentications.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DuoAccount {
    /// `https://` and the API host name that the Admin Panel shows.
    pub base_url: String,
    /// Integration key of an Admin API application.
    pub integration_key: String,
    /// Names its secret key.
    pub secret_key: SecretRef,
}

const STREAM: &str = "authentication";
const PATH: &str = "/admin/v2/logs/authentication";

#[derive(Deserialize)]
struct Reply {
    stat: String,
    response: Logs,
}

#[derive(Deserialize)]
struct Logs {
    authlogs: Vec<Box<RawValue>>,
    #[serde(default)]
    metadata: Metadata,
}

#[derive(Default, Deserialize)]
struct Metadata {
    #[serde(default)]
    next_offset: Value,
}

/// What tells an authentication from all others: transactions of enrolments repeat their id.
#[derive(Deserialize)]
struct Authentication<'a> {
    #[serde(borrow, default)]
    txid: Option<&'a RawValue>,
    #[serde(borrow, default)]
    timestamp: Option<&'a RawValue>,
    #[serde(borrow, default)]
    isotimestamp: Option<&'a RawValue>,
    #[serde(borrow, default)]
    event_type: Option<&'a RawValue>,
    #[serde(borrow, default)]
    result: Option<&'a RawValue>,
    #[serde(borrow, default)]
    reason: Option<&'a RawValue>,
    #[serde(borrow, default)]
    factor: Option<&'a RawValue>,
}

impl Vendor for Duo {
    const ID: &'static str = "duo-admin-api";
    const TITLE: &'static str = "Duo authentications, pulled from the Admin API";
    const CONFIG_SCHEMA: &'static str = crate::schema!("../schema/duo-admin-api.json");
    const DEFAULTS: Defaults = Defaults {
        overlap: 300,
        // The last two minutes are withheld.
        lag: 120,
        window: 86_400,
        most_window: 180 * 86_400,
        page_size: 1000,
        most_page_size: 1000,
        // Duo recommends at most one call a minute.
        interval_ms: 60_000,
    };
    type Account = DuoAccount;
    type State = State<Windows>;

    fn bases(account: &DuoAccount) -> Result<Vec<Url>, String> {
        Ok(vec![Url::parse(&account.base_url)?])
    }

    fn scope(account: &DuoAccount) -> String {
        account.base_url.clone()
    }

    fn new(account: DuoAccount, plan: Plan, bases: Vec<Url>) -> Self {
        let [base] = addresses(bases);
        let signer = Signer { key: account.integration_key, secret: account.secret_key, skew: None };
        Self { base, signer, plan }
    }

    fn pass(&mut self, asker: &mut Asker, state: &mut State<Windows>) -> Result<()> {
        let plan = self.plan.clone();
        Walk { paged: self, asker, state, stream: STREAM, plan: &plan }.pass()
    }
}

impl Paged for Duo {
    const REACH: i64 = 180 * 86_400;

    fn page(
        &mut self,
        client: &mut Client,
        _: &str,
        span: Span,
        link: Option<&str>,
    ) -> Result<Page, Failure> {
        let (from, to) = ((span.from * 1000).to_string(), (span.to * 1000 + 999).to_string());
        let limit = self.plan.page_size.to_string();
        let mut query =
            vec![("limit", limit.as_str()), ("maxtime", &to), ("mintime", &from), ("sort", "ts:asc")];
        query.extend(link.map(|offset| ("next_offset", offset)));
        let url = self.base.at(PATH, Some(url::query(&query)));
        client.fetch(&Request::get(url), &mut self.signer, &mut |answer| {
            let reply: Reply =
                serde_json::from_str(&text(answer)).map_err(|error| format!("no page: {error}"))?;
            if reply.stat != "OK" {
                return Err("stat is not OK".to_owned());
            }
            let entries = reply.response.authlogs.into_iter().map(|text| entry(text, span)).collect();
            Ok(Page { entries, next: offset(&reply.response.metadata.next_offset)? })
        })
    }
}

/// The parameter that asks for the next page: time and transaction, with a comma between.
fn offset(value: &Value) -> Result<Option<String>, String> {
    let part = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    match value {
        Value::Null => Ok(None),
        Value::Array(parts) if parts.is_empty() => Ok(None),
        Value::Array(parts) => {
            let parts: Option<Vec<String>> = parts.iter().map(part).collect();
            parts.map(|parts| Some(parts.join(","))).ok_or_else(|| "next_offset has odd parts".to_owned())
        }
        one => part(one).map(Some).ok_or_else(|| "next_offset is odd".to_owned()),
    }
}

fn entry(text: Box<RawValue>, span: Span) -> Entry {
    let parsed: Option<(i64, u64)> =
        serde_json::from_str::<Authentication<'_>>(text.get()).ok().and_then(|it| {
            let members = [
                it.txid?.into(),
                it.timestamp,
                it.isotimestamp,
                it.event_type,
                it.result,
                it.reason,
                it.factor,
            ];
            let parts: Vec<&[u8]> = members
                .iter()
                .map(|member| member.map_or(&b""[..], |value| value.get().as_bytes()))
                .collect();
            let second = it.timestamp?.get().trim_matches('"').parse().ok()?;
            Some((second, recent::key(&parts)))
        });
    let (second, key) = parsed.unwrap_or_else(|| (span.to, recent::key(&[text.get().as_bytes()])));
    Entry { second, key, text }
}

/// Signs requests; each signature is good for its minute only.
struct Signer {
    key: String,
    secret: SecretRef,
    /// The clock's error that the last signature was made with.
    skew: Option<i64>,
}

impl Auth for Signer {
    fn headers(&mut self, client: &mut Client, url: &Url) -> Result<Vec<(String, String)>> {
        let secret = self.secret.fetch(client.host.as_ref())?;
        client.keep_secret(&secret);
        self.skew = Some(client.skew());
        let date = sign::rfc2822(client.server_now());
        let query = url.query.as_deref().unwrap_or("");
        let authorization = sign::duo(&self.key, &secret, &date, "GET", url.authority(), &url.path, query);
        client.keep_secret(&authorization);
        Ok(vec![("date".to_owned(), date), ("authorization".to_owned(), authorization)])
    }

    fn renew(&mut self, client: &mut Client) -> Result<bool> {
        // The refusal said what time it is there.
        Ok(self.skew != Some(client.skew()))
    }
}
