//! The Management Activity API of Microsoft 365: the unified audit log.

use dfp_plugin::Result;
use dfp_plugin::serde_json::value::RawValue;
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::config::{Defaults, Plan, SecretRef};
use crate::graph::login_url;
use crate::http::{Client, Failure, Request};
use crate::oauth::OAuth;
use crate::pages::{Entry, Page, Paged, Span, Walk, second, text};
use crate::recent;
use crate::sign::stamp;
use crate::state::{State, Windows};
use crate::stream::{Asker, GONE, Vendor, addresses, bad_data, same_server};
use crate::url::{self, Url};

/// The Management Activity API.
pub struct Activity {
    base: Url,
    account: ActivityAccount,
    auth: OAuth,
    plan: Plan,
    subscribed: bool,
}

/// Whose audit log, and which parts of it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActivityAccount {
    /// Directory (tenant) id.
    pub tenant: String,
    /// Application (client) id.
    pub client_id: String,
    /// Names the client secret.
    pub client_secret: SecretRef,
    /// Another cloud's address of the API.
    #[serde(default = "manage_url")]
    pub base_url: String,
    /// Another cloud's address for tokens.
    #[serde(default = "login_url")]
    pub login_url: String,
    /// `Audit.Exchange` and others; each is a stream of its own.
    #[serde(default = "content_types")]
    pub content_types: Vec<String>,
    /// Whose quota of requests is used: the vendor's tenant id; the tenant's own if absent.
    #[serde(default)]
    pub publisher: Option<String>,
}

fn manage_url() -> String {
    "https://manage.office.com".to_owned()
}

fn content_types() -> Vec<String> {
    vec!["Audit.Exchange".to_owned()]
}

/// Where records are.
#[derive(Deserialize)]
struct Blob {
    #[serde(rename = "contentId")]
    id: String,
    #[serde(rename = "contentUri")]
    uri: String,
    #[serde(rename = "contentCreated", default)]
    created: Option<String>,
}

impl Vendor for Activity {
    const ID: &'static str = "m365-activity";
    const TITLE: &'static str = "Microsoft 365 audit log, pulled from the Management Activity API";
    const CONFIG_SCHEMA: &'static str = crate::schema!("../schema/m365-activity.json");
    const DEFAULTS: Defaults = Defaults {
        // Of when blobs appear, not of when their events happened: those may be hours older.
        overlap: 1800,
        lag: 0,
        window: 86_400,
        most_window: 86_400,
        // The server decides.
        page_size: 1,
        most_page_size: 1,
        interval_ms: 0,
    };
    type Account = ActivityAccount;
    type State = State<Windows>;

    fn bases(account: &ActivityAccount) -> Result<Vec<Url>, String> {
        if account.content_types.is_empty() {
            return Err("account.content_types is empty".to_owned());
        }
        let (base, login) = (Url::parse(&account.base_url)?, Url::parse(&account.login_url)?);
        Ok(vec![base, login])
    }

    fn scope(account: &ActivityAccount) -> String {
        format!("{} of {}", account.tenant, account.base_url)
    }

    fn new(account: ActivityAccount, plan: Plan, bases: Vec<Url>) -> Self {
        let [base, login] = addresses(bases);
        let auth = OAuth::new(login, &base, &account.tenant, &account.client_id, &account.client_secret);
        Self { base, account, auth, plan, subscribed: false }
    }

    fn pass(&mut self, asker: &mut Asker, state: &mut State<Windows>) -> Result<()> {
        let (plan, types) = (self.plan.clone(), self.account.content_types.clone());
        if !self.subscribed {
            types.iter().try_for_each(|content| self.subscribe(&mut asker.client, content))?;
            self.subscribed = true;
        }
        for stream in &types {
            Walk { paged: self, asker, state, stream, plan: &plan }.pass()?;
        }
        Ok(())
    }
}

impl Activity {
    fn feed(&self, what: &str, query: &[(&str, &str)]) -> Url {
        let tenant = url::encode(&self.account.tenant, "");
        let publisher = self.account.publisher.as_deref().unwrap_or(&self.account.tenant);
        let mut query = query.to_vec();
        query.push(("PublisherIdentifier", publisher));
        self.base.at(&format!("/api/v1.0/{tenant}/activity/feed/{what}"), Some(url::query(&query)))
    }

    /// Starts a subscription; that it is there already is no failure.
    fn subscribe(&mut self, client: &mut Client, content: &str) -> Result<()> {
        let url = self.feed("subscriptions/start", &[("contentType", content)]);
        let request = Request { url, form: Some(String::new()) };
        match client.fetch(&request, &mut self.auth, &mut |_| Ok(())) {
            Err(failure) if failure.status == Some(400) && failure.error.to_string().contains("AF20024") => {
                Ok(())
            }
            other => Ok(other?),
        }
    }
}

impl Paged for Activity {
    const REACH: i64 = 7 * 86_400;
    const LEADS: bool = true;

    fn page(
        &mut self,
        client: &mut Client,
        stream: &str,
        span: Span,
        link: Option<&str>,
    ) -> Result<Page, Failure> {
        let time = |second| stamp(second, "%Y-%m-%dT%H:%M:%S");
        let (from, to) = (time(span.from), time(span.to));
        let first = self.feed(
            "subscriptions/content",
            &[("contentType", stream), ("startTime", &from), ("endTime", &to)],
        );
        let url = link.map_or(Ok(first), |link| same_server(Self::ID, &self.base, link))?;
        client.fetch(&Request::get(url), &mut self.auth, &mut |answer| {
            let blobs: Vec<Box<RawValue>> = serde_json::from_str(&text(answer))
                .map_err(|error| format!("no list of content: {error}"))?;
            let next = answer.headers.get("NextPageUri");
            let next = next
                .map(|uri| uri.to_str().map(str::to_owned).map_err(|_| "NextPageUri is no text".to_owned()));
            let entries = blobs.into_iter().map(|text| entry(text, span)).collect::<Result<_, String>>()?;
            Ok(Page { entries, next: next.transpose()? })
        })
    }

    fn content(&mut self, client: &mut Client, entry: &Entry) -> Result<Option<(String, Vec<u8>)>> {
        let blob = blob(&entry.text).map_err(|what| bad_data(Self::ID, &what))?;
        let url = same_server(Self::ID, &self.base, &blob.uri)?;
        let origin = url.shown();
        let read = client.fetch(&Request::get(url), &mut self.auth, &mut |answer| {
            let whole = serde_json::from_str::<Vec<IgnoredAny>>(&text(answer));
            whole.map_err(|error| format!("no records: {error}"))?;
            Ok(std::mem::take(&mut answer.body))
        });
        match read {
            // The decoder makes rejects of what makes no sense.
            Ok(body) | Err(Failure { malformed: Some(body), .. }) => Ok(Some((origin, body))),
            Err(Failure { status: Some(404 | 410), error, .. }) => {
                client.warn(&format!("content is gone, passed over: {error}"));
                client.host.count(GONE, 1);
                Ok(None)
            }
            Err(failure) => Err(failure.error),
        }
    }
}

fn blob(text: &RawValue) -> Result<Blob, String> {
    serde_json::from_str(text.get()).map_err(|error| format!("an entry without content: {error}"))
}

fn entry(text: Box<RawValue>, span: Span) -> Result<Entry, String> {
    let blob = blob(&text)?;
    let second = blob.created.as_deref().and_then(second).unwrap_or(span.to);
    Ok(Entry { second, key: recent::key(&[blob.id.as_bytes()]), text })
}
