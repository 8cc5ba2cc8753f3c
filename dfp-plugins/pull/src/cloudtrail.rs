//! AWS: a trail's objects in S3, found by listing.

use dfp_plugin::{RECORDS_READ, Reject, Result, reason};
use serde::{Deserialize, Serialize};

use crate::config::{Defaults, Plan, SecretRef};
use crate::http::{Auth, Client, Failure, Request, local_now};
use crate::pages::{REPEATED, text};
use crate::recent::{self, Recent};
use crate::sign::{self, AwsKeys, stamp};
use crate::state::State;
use crate::stream::{Asker, GONE, Vendor, addresses, bad_data};
use crate::url::{self, Url};

/// A trail's bucket.
pub struct CloudTrail {
    base: Url,
    account: TrailAccount,
    signer: Signer,
    plan: Plan,
}

/// Whose trail, where it is kept, with which keys.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrailAccount {
    /// The trail's bucket.
    pub bucket: String,
    /// Region of the bucket.
    pub region: String,
    /// What stands before `AWSLogs/` in the bucket.
    #[serde(default)]
    pub prefix: String,
    /// Id of the organisation (`o-...`), for an organisation's trail.
    #[serde(default)]
    pub organization: Option<String>,
    /// Accounts whose events are wanted: 12 digits each.
    pub accounts: Vec<String>,
    /// Regions whose events are wanted.
    pub regions: Vec<String>,
    /// Names the access key id.
    pub access_key_id: SecretRef,
    /// Names the secret access key.
    pub secret_access_key: SecretRef,
    /// Names the session token, if the keys are temporary.
    #[serde(default)]
    pub session_token: Option<SecretRef>,
    /// Another address than AWS's own; the bucket is then part of the path.
    #[serde(default)]
    pub endpoint: Option<String>,
}

/// How far one account and region has come.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listing {
    /// A pass begins with the objects of this second.
    settled: i64,
    /// When the pass began, by the slower clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    asked: Option<i64>,
    /// The last object seen in this pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    after: Option<String>,
    /// Objects that a later pass will be shown again.
    recent: Recent,
}

/// One account's objects of one region.
struct Place<'a> {
    stream: String,
    prefix: String,
    account: &'a str,
    region: &'a str,
}

impl Vendor for CloudTrail {
    const ID: &'static str = "cloudtrail-s3";
    const TITLE: &'static str = "AWS CloudTrail events, pulled from their bucket";
    const CONFIG_SCHEMA: &'static str = crate::schema!("../schema/cloudtrail-s3.json");
    const DEFAULTS: Defaults = Defaults {
        // Objects bear the minute of their delivery; some are written late.
        overlap: 3600,
        lag: 0,
        window: 1,
        most_window: 1,
        page_size: 1000,
        most_page_size: 1000,
        interval_ms: 0,
    };
    type Account = TrailAccount;
    type State = State<Listing>;

    fn bases(account: &TrailAccount) -> Result<Vec<Url>, String> {
        for (name, values) in [("accounts", &account.accounts), ("regions", &account.regions)] {
            if values.is_empty() {
                return Err(format!("account.{name} is empty"));
            }
        }
        let parts = account.accounts.iter().chain(&account.regions).chain(&account.organization);
        if let Some(odd) = parts.chain([&account.bucket, &account.region]).find(|part| !is_plain(part)) {
            return Err(format!("{odd:?} is no name of an account, region, organisation or bucket"));
        }
        Ok(vec![Url::parse(&endpoint(account))?])
    }

    fn scope(account: &TrailAccount) -> String {
        format!("{}{}", endpoint(account), account.prefix)
    }

    fn new(account: TrailAccount, plan: Plan, bases: Vec<Url>) -> Self {
        let [base] = addresses(bases);
        let signer = Signer { account: account.clone(), used: None };
        Self { base, account, signer, plan }
    }

    fn pass(&mut self, asker: &mut Asker, state: &mut State<Listing>) -> Result<()> {
        let account = self.account.clone();
        for name in &account.accounts {
            for region in &account.regions {
                self.place(asker, state, &Place::new(&account, name, region))?;
            }
        }
        Ok(())
    }
}

/// The minute a second is in: what the names of objects know of the time.
fn minute(second: i64) -> i64 {
    second.div_euclid(60) * 60
}

fn is_plain(part: &str) -> bool {
    !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte))
}

/// The address of the bucket. A certificate covers one label before `s3`: names with dots go into the path.
fn endpoint(account: &TrailAccount) -> String {
    let (bucket, region) = (&account.bucket, &account.region);
    match &account.endpoint {
        Some(endpoint) => format!("{}/{bucket}", endpoint.trim_end_matches('/')),
        None if bucket.contains('.') => format!("https://s3.{region}.amazonaws.com/{bucket}"),
        None => format!("https://{bucket}.s3.{region}.amazonaws.com"),
    }
}

impl<'a> Place<'a> {
    fn new(trail: &TrailAccount, account: &'a str, region: &'a str) -> Self {
        let parts = [
            Some(trail.prefix.trim_matches('/')),
            Some("AWSLogs"),
            trail.organization.as_deref(),
            Some(account),
        ];
        let mut prefix: String = parts
            .into_iter()
            .flatten()
            .filter(|part| !part.is_empty())
            .fold(String::new(), |path, part| path + part + "/");
        prefix = prefix + "CloudTrail/" + region + "/";
        Self { stream: format!("{account}/{region}"), prefix, account, region }
    }

    /// What the names of all objects of a second and later come after.
    fn before(&self, second: i64) -> String {
        let (day, minute) = (stamp(second, "%Y/%m/%d"), stamp(second, "%Y%m%dT%H%MZ"));
        format!("{}{day}/{}_CloudTrail_{}_{minute}", self.prefix, self.account, self.region)
    }

    /// The second in an object's name; `None` if it is none of the trail's records.
    fn second(&self, key: &str) -> Option<i64> {
        let name = key.strip_prefix(&self.prefix)?.rsplit('/').next()?;
        let rest = name.strip_prefix(self.account)?.strip_prefix("_CloudTrail_")?;
        let rest = rest.strip_prefix(self.region)?.strip_prefix('_')?;
        let (minute, unique) = rest.split_once('_')?;
        let unique = unique.strip_suffix(".gz").unwrap_or(unique);
        unique.strip_suffix(".json")?;
        let time = jiff::civil::DateTime::strptime("%Y%m%dT%H%MZ", minute).ok()?;
        Some(time.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_second())
    }
}

impl CloudTrail {
    /// Everything new of one account and region.
    fn place(&mut self, asker: &mut Asker, state: &mut State<Listing>, place: &Place<'_>) -> Result<()> {
        let plan = self.plan.clone();
        let start = plan.start;
        let fresh = || Listing { settled: start, asked: None, after: None, recent: Recent::default() };
        loop {
            let local = local_now();
            let listing = state.stream(&place.stream, fresh);
            // Of a minute that was forgotten, nothing is listed again.
            let known = listing.recent.known_from().map_or(listing.settled, |known| minute(known + 59));
            let floor = known.max(listing.settled);
            let after = listing.after.clone().unwrap_or_else(|| place.before(floor));
            let page = self.list(&mut asker.client, place, &after)?;
            let now = local + asker.client.skew().min(0);
            let asked = listing.asked.map_or(now, |asked| asked.min(now));
            listing.asked = Some(asked);
            for key in &page.keys {
                self.object(asker, state, place, key, minute(asked - plan.overlap))?;
            }
            let listing = state.stream(&place.stream, fresh);
            listing.after = page.keys.last().cloned().or(Some(after));
            if !page.truncated {
                listing.settled = listing.settled.max(minute(asked - plan.overlap));
                listing.recent.retain_from(listing.settled);
                listing.after = None;
                listing.asked = None;
            }
            asker.advance(state)?;
            if !page.truncated {
                return Ok(());
            }
        }
    }

    /// Delivers one object, unless an earlier pass did. Those of `again` and later are remembered for the next pass.
    fn object(
        &mut self,
        asker: &mut Asker,
        state: &mut State<Listing>,
        place: &Place<'_>,
        key: &str,
        again: i64,
    ) -> Result<()> {
        let Some(second) = place.second(key) else { return Ok(()) };
        let Some(listing) = state.0.get_mut(&place.stream) else { return Ok(()) };
        let id = recent::key(&[key.as_bytes()]);
        if listing.recent.contains(second, id) {
            asker.client.host.count(REPEATED, 1);
            return Ok(());
        }
        let origin = format!("s3://{}/{key}", self.account.bucket);
        let content = self.fetch(&mut asker.client, key, &origin)?;
        if second >= again {
            listing.recent.insert(second, id, self.plan.recent_ids)?;
        }
        listing.after = Some(key.to_owned());
        match content {
            Some(body) => asker.deliver(origin, body, state),
            None => asker.advance(state),
        }
    }

    /// The content of an object; `None` if there is none to be had.
    fn fetch(&mut self, client: &mut Client, key: &str, origin: &str) -> Result<Option<Vec<u8>>> {
        let url = self.base.at(&format!("/{}", url::encode(key, "/")), None);
        match client
            .fetch(&Request::get(url), &mut self.signer, &mut |answer| Ok(std::mem::take(&mut answer.body)))
        {
            Ok(body) => Ok(Some(body)),
            Err(Failure { malformed: Some(body), error, .. }) => {
                client.host.count(RECORDS_READ, 1);
                client
                    .host
                    .reject(Reject::new(origin, reason::MALFORMED, error.to_string()).with_excerpt(&body));
                Ok(None)
            }
            Err(Failure { status: Some(404 | 410), error, .. }) => {
                client.warn(&format!("an object is gone, passed over: {error}"));
                client.host.count(GONE, 1);
                Ok(None)
            }
            Err(failure) => Err(failure.error),
        }
    }

    /// The names that follow `after`, as far as one answer goes.
    fn list(&mut self, client: &mut Client, place: &Place<'_>, after: &str) -> Result<Names> {
        let most = self.plan.page_size.to_string();
        let query = url::query(&[
            ("encoding-type", "url"),
            ("list-type", "2"),
            ("max-keys", &most),
            ("prefix", &place.prefix),
            ("start-after", after),
        ]);
        let path = if self.base.path == "/" { "/" } else { "" };
        let url = self.base.at(path, Some(query));
        let shown = url.shown();
        let names = client.fetch(&Request::get(url), &mut self.signer, &mut |answer| names(&text(answer)))?;
        let ordered = names.keys.iter().is_sorted_by(|a, b| a < b);
        let onward = names.keys.first().map_or(!names.truncated, |first| first.as_str() > after);
        let inside = names.keys.iter().all(|key| key.starts_with(&place.prefix));
        if ordered && onward && inside {
            return Ok(names);
        }
        let what = format!(
            "GET {shown}: the list is not in order, repeats itself, or has other names than asked for"
        );
        Err(bad_data(Self::ID, &what))
    }
}

/// A part of a listing.
#[derive(Debug)]
struct Names {
    keys: Vec<String>,
    truncated: bool,
}

/// The answer to `ListObjectsV2`. Names are percent-encoded, so that of XML only the plainest is needed.
fn names(xml: &str) -> Result<Names, String> {
    if !xml.contains("<ListBucketResult") || !xml.trim_end().ends_with("</ListBucketResult>") {
        return Err("no whole list of objects".to_owned());
    }
    let mut keys = Vec::new();
    for content in elements(xml, "Contents") {
        let key = elements(content, "Key").next().ok_or("an object without a name")?;
        // Spaces come as +, a plus itself as %2B.
        keys.push(url::decode(&key.replace('+', " ")).ok_or("a name that is not encoded")?);
    }
    let truncated = elements(xml, "IsTruncated").next().is_some_and(|text| text.trim() == "true");
    Ok(Names { keys, truncated })
}

/// The contents of all elements of a name, which do not nest.
fn elements<'a>(xml: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let mut rest = xml;
    std::iter::from_fn(move || {
        let (_, after) = rest.split_once(&open)?;
        let (content, after) = after.split_once(&close)?;
        rest = after;
        Some(content)
    })
}

/// Signs requests with keys that may be replaced while it runs.
struct Signer {
    account: TrailAccount,
    /// The keys and the clock's error that the last signature was made with.
    used: Option<(AwsKeys, i64)>,
}

impl Signer {
    fn keys(&self, client: &mut Client) -> Result<AwsKeys> {
        let account = &self.account;
        let host = client.host.as_ref();
        let keys = AwsKeys {
            id: account.access_key_id.fetch(host)?,
            secret: account.secret_access_key.fetch(host)?,
            session: account.session_token.as_ref().map(|token| token.fetch(host)).transpose()?,
        };
        client.keep_secret(&keys.secret);
        keys.session.iter().for_each(|session| client.keep_secret(session));
        Ok(keys)
    }
}

impl Auth for Signer {
    fn headers(&mut self, client: &mut Client, url: &Url) -> Result<Vec<(String, String)>> {
        let keys = match self.used.take() {
            Some((keys, _)) => keys,
            None => self.keys(client)?,
        };
        let query = url.query.as_deref().unwrap_or("");
        let now = client.server_now();
        let headers = sign::s3_get(&keys, &self.account.region, url.authority(), &url.path, query, now);
        self.used = Some((keys, client.skew()));
        Ok(headers)
    }

    fn renew(&mut self, client: &mut Client) -> Result<bool> {
        let new = (self.keys(client)?, client.skew());
        let changed = self.used.as_ref() != Some(&new);
        self.used = Some(new);
        Ok(changed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trail() -> TrailAccount {
        serde_json::from_str(
            r#"{"bucket":"b","region":"eu-west-1","prefix":"/logs/","organization":"o-abc","accounts":["012345678901"],
                "regions":["eu-west-1"],"access_key_id":{"$secret":"a"},"secret_access_key":{"$secret":"b"}}"#,
        )
        .unwrap()
    }

    #[test]
    fn only_record_files_have_a_time() {
        let trail = trail();
        let place = Place::new(&trail, "012345678901", "eu-west-1");
        let key = "logs/AWSLogs/o-abc/012345678901/CloudTrail/eu-west-1/2026/01/02/012345678901_CloudTrail_eu-west-1_20260102T0304Z_AbCdEfGhIjKlMnOp.json.gz";
        let second = place.second(key).unwrap();
        assert_eq!(stamp(second, "%Y-%m-%dT%H:%M"), "2026-01-02T03:04");
        assert!(place.before(second).as_str() < key);
        assert!(place.before(second + 60).as_str() > key);
        for other in [
            key.replace("_CloudTrail_", "_CloudTrail-Digest_"),
            key.replace(".json.gz", ".csv"),
            key.replace("20260102T0304Z", "20261302T0304Z"),
            key.replace("012345678901_", "999999999999_"),
            String::new(),
        ] {
            assert_eq!(place.second(&other), None, "{other}");
        }
    }

    #[test]
    fn addresses_follow_the_name_of_the_bucket() {
        let mut trail = trail();
        assert_eq!(endpoint(&trail), "https://b.s3.eu-west-1.amazonaws.com");
        trail.bucket = "a.b".to_owned();
        assert_eq!(endpoint(&trail), "https://s3.eu-west-1.amazonaws.com/a.b");
        trail.endpoint = Some("https://minio.example/".to_owned());
        assert_eq!(endpoint(&trail), "https://minio.example/a.b");
        trail.bucket = "a/b".to_owned();
        assert!(CloudTrail::bases(&trail).is_err());
    }

    #[test]
    fn half_a_list_is_none() {
        let list = "<?xml version=\"1.0\"?><ListBucketResult xmlns=\"x\"><IsTruncated>true</IsTruncated>\
                    <Contents><Key>a%2Bb+c</Key><Size>1</Size></Contents><Contents><Key>d</Key></Contents></ListBucketResult>\n";
        let read = names(list).unwrap();
        assert_eq!((read.keys, read.truncated), (vec!["a+b c".to_owned(), "d".to_owned()], true));
        for end in 0..list.len() - 1 {
            assert!(names(&list[..end]).is_err(), "{end}");
        }
    }
}
