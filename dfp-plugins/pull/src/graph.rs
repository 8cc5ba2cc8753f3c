//! Microsoft Graph: sign-ins of Azure AD (Entra ID).

use dfp_plugin::Result;
use dfp_plugin::serde_json::value::RawValue;
use serde::Deserialize;

use crate::config::{Defaults, Plan, SecretRef};
use crate::http::{Client, Failure, Request};
use crate::oauth::OAuth;
use crate::pages::{Entry, Page, Paged, Span, Walk, second, text};
use crate::recent;
use crate::sign::stamp;
use crate::state::{State, Windows};
use crate::stream::{Asker, Vendor, addresses, same_server};
use crate::url::{self, Url};

/// Microsoft Graph, `auditLogs/signIns`.
pub struct Graph {
    base: Url,
    account: GraphAccount,
    auth: OAuth,
    plan: Plan,
}

/// Whose sign-ins.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GraphAccount {
    /// Directory (tenant) id.
    pub tenant: String,
    /// Application (client) id.
    pub client_id: String,
    /// Names the client secret.
    pub client_secret: SecretRef,
    /// Another cloud's address of Graph.
    #[serde(default = "graph_url")]
    pub base_url: String,
    /// Another cloud's address for tokens.
    #[serde(default = "login_url")]
    pub login_url: String,
    /// `v1.0` has interactive sign-ins, `beta` can be asked for the others.
    #[serde(default)]
    pub api: Api,
    /// Added to the question, an `OData` condition on other fields than the time.
    #[serde(default)]
    pub filter: Option<String>,
}

/// A version of Graph.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
pub enum Api {
    /// `v1.0`
    #[default]
    #[serde(rename = "v1.0")]
    V1,
    /// `beta`
    #[serde(rename = "beta")]
    Beta,
}

fn graph_url() -> String {
    "https://graph.microsoft.com".to_owned()
}

pub(crate) fn login_url() -> String {
    "https://login.microsoftonline.com".to_owned()
}

const STREAM: &str = "signIns";

#[derive(Deserialize)]
struct SignIns {
    value: Vec<Box<RawValue>>,
    #[serde(rename = "@odata.nextLink", default)]
    next: Option<String>,
}

/// What is looked at of a sign-in.
#[derive(Deserialize)]
struct SignIn<'a> {
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(rename = "createdDateTime", default)]
    created: Option<String>,
}

impl Vendor for Graph {
    const ID: &'static str = "azure-ad-graph";
    const TITLE: &'static str = "Azure AD (Entra ID) sign-ins, pulled from Microsoft Graph";
    const CONFIG_SCHEMA: &'static str = crate::schema!("../schema/azure-ad-graph.json");
    const DEFAULTS: Defaults = Defaults {
        // Sign-ins show up within minutes, seldom later.
        overlap: 1800,
        lag: 120,
        window: 3600,
        most_window: 30 * 86_400,
        page_size: 999,
        most_page_size: 1000,
        interval_ms: 0,
    };
    type Account = GraphAccount;
    type State = State<Windows>;

    fn bases(account: &GraphAccount) -> Result<Vec<Url>, String> {
        let (base, login) = (Url::parse(&account.base_url)?, Url::parse(&account.login_url)?);
        Ok(vec![base, login])
    }

    fn scope(account: &GraphAccount) -> String {
        format!("{} of {}", account.tenant, account.base_url)
    }

    fn new(account: GraphAccount, plan: Plan, bases: Vec<Url>) -> Self {
        let [base, login] = addresses(bases);
        let auth = OAuth::new(login, &base, &account.tenant, &account.client_id, &account.client_secret);
        Self { base, account, auth, plan }
    }

    fn pass(&mut self, asker: &mut Asker, state: &mut State<Windows>) -> Result<()> {
        let plan = self.plan.clone();
        Walk { paged: self, asker, state, stream: STREAM, plan: &plan }.pass()
    }
}

impl Graph {
    fn first_page(&self, span: Span) -> Url {
        let time = |second| stamp(second, "%Y-%m-%dT%H:%M:%SZ");
        let mut filter =
            format!("createdDateTime ge {} and createdDateTime le {}", time(span.from), time(span.to));
        if let Some(condition) = &self.account.filter {
            filter = format!("{filter} and ({condition})");
        }
        let size = self.plan.page_size.to_string();
        let query = url::query(&[("$filter", &filter), ("$orderby", "createdDateTime asc"), ("$top", &size)]);
        let path = match self.account.api {
            Api::V1 => "/v1.0/auditLogs/signIns",
            Api::Beta => "/beta/auditLogs/signIns",
        };
        self.base.at(path, Some(query))
    }
}

impl Paged for Graph {
    // Kept for 30 days with a P1 or P2 licence, for 7 without; nothing older is refused, it is just not there.
    const REACH: i64 = 3650 * 86_400;

    fn page(
        &mut self,
        client: &mut Client,
        _: &str,
        span: Span,
        link: Option<&str>,
    ) -> Result<Page, Failure> {
        let first = self.first_page(span);
        let url = link.map_or(Ok(first), |link| same_server(Self::ID, &self.base, link))?;
        client.fetch(&Request::get(url), &mut self.auth, &mut |answer| {
            let page: SignIns =
                serde_json::from_str(&text(answer)).map_err(|error| format!("no page: {error}"))?;
            let entries = page.value.into_iter().map(|text| entry(text, span)).collect();
            Ok(Page { entries, next: page.next })
        })
    }
}

fn entry(text: Box<RawValue>, span: Span) -> Entry {
    let (id, created) = match serde_json::from_str::<SignIn<'_>>(text.get()) {
        Ok(sign_in) => (sign_in.id.map(|id| recent::key(&[id.get().as_bytes()])), sign_in.created),
        Err(_) => (None, None),
    };
    let key = id.unwrap_or_else(|| recent::key(&[text.get().as_bytes()]));
    let second = created.as_deref().and_then(second).unwrap_or(span.to);
    Entry { second, key, text }
}
