//! Microsoft 365's Management Activity API.

use std::collections::BTreeSet;

use dfp_plugin::serde_json::{Value, json};
use dfp_pull::{Activity, GONE};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::graph::{SignIns, Tenant, cuts, faults, ids, sign_ins};
use crate::harness::{Limits, date, http, now, pull, pull_in_pieces, second, sorted, time, whole};
use crate::server::{Fault, Reply, Request, Server, spoil};

/// Each sign-in is a blob with one record here; every third one belongs to another content type.
struct Feed {
    tenant: Tenant,
    subscribed: BTreeSet<String>,
    page: usize,
    valid: String,
}

const TYPES: [&str; 2] = ["Audit.Exchange", "Audit.General"];

impl Feed {
    fn new(records: &SignIns) -> Self {
        Self { tenant: Tenant::new(records), subscribed: BTreeSet::new(), page: 2, valid: String::new() }
    }

    fn answer(&mut self, request: &Request) -> Reply {
        let fault = self.tenant.faults[self.tenant.requests % self.tenant.faults.len()];
        self.tenant.requests += 1;
        let reply = if request.path.ends_with("/token") {
            let reply = self.tenant.issue(request);
            self.valid = format!("Bearer token-{:05}", self.tenant.tokens);
            reply
        } else if request.header("authorization") != self.valid || fault == Fault::Expired {
            self.valid.clear();
            Reply::new(401, "expired")
        } else {
            assert_eq!(request.parameter("PublisherIdentifier").as_deref().unwrap_or("tenant-1"), "tenant-1");
            let path = request.path.strip_prefix("/api/v1.0/tenant-1/activity/feed/").unwrap();
            match path {
                "subscriptions/start" => self.start(request),
                "subscriptions/content" => self.list(request),
                blob => {
                    let id = blob.strip_prefix("audit/").unwrap();
                    Reply::ok(json!([{"n": id, "Id": id, "Operation": "x"}]).to_string())
                }
            }
        };
        spoil(fault, reply).header("Date", date(self.tenant.ahead))
    }

    fn start(&mut self, request: &Request) -> Reply {
        assert_eq!(request.method, "POST");
        let content = request.parameter("contentType").unwrap();
        if self.subscribed.insert(content) {
            return Reply::ok(json!({"status": "enabled"}).to_string());
        }
        Reply::new(
            400,
            json!({"error": {"code": "AF20024", "message": "The subscription is already enabled."}})
                .to_string(),
        )
    }

    fn list(&self, request: &Request) -> Reply {
        let content = request.parameter("contentType").unwrap();
        assert!(self.subscribed.contains(&content));
        let time_of = |name: &str| second(&format!("{}Z", request.parameter(name).unwrap()));
        let (from, to) = (time_of("startTime"), time_of("endTime"));
        assert!(from < to && to - from <= 86_400 && from >= now() - 7 * 86_400, "{request:?}");
        let mut blobs: Vec<(usize, (String, i64))> =
            self.tenant.records.lock().unwrap().iter().cloned().enumerate().collect();
        blobs.retain(|(n, (_, at))| (from..=to).contains(at) && TYPES[usize::from(n % 3 == 2)] == content);
        blobs.sort_by_key(|(_, (id, at))| (*at, id.clone()));
        let offset = request.parameter("nextPage").map_or(0, |page| page.parse::<usize>().unwrap());
        let end = (offset + self.page).min(blobs.len());
        let host = request.header("host");
        let feed = format!("http://{host}/api/v1.0/tenant-1/activity/feed");
        let page: Vec<Value> = blobs[offset..end]
            .iter()
            .map(|(_, (id, at))| {
                json!({"contentType": content, "contentId": id, "contentUri": format!("{feed}/audit/{id}"),
                       "contentCreated": time(*at).replace('Z', ".123Z"), "contentExpiration": time(at + 604_800)})
            })
            .collect();
        let reply = Reply::ok(Value::Array(page).to_string());
        if end == blobs.len() {
            return reply;
        }
        reply.header(
            "NextPageUri",
            format!("{feed}/subscriptions/content?{}&nextPage={end}", without_page(&request.raw_query)),
        )
    }

    fn serve(mut self) -> Server {
        Server::start(move |request| self.answer(request))
    }
}

fn without_page(query: &str) -> String {
    query.split('&').filter(|pair| !pair.starts_with("nextPage")).collect::<Vec<_>>().join("&")
}

fn config(server: &Server, start: i64) -> Value {
    json!({
        "account": {"tenant": "tenant-1", "client_id": "app-1", "client_secret": {"$secret": "key"},
                    "base_url": server.url, "login_url": server.url, "content_types": TYPES},
        "start": time(start),
        "schedule": {"gather_ms": 0, "window_seconds": 43200},
        "http": http(),
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_goes_wrong_every_record_comes_once(
        ages in vec(0_i64..2 * 86_400, 0..14),
        faults in faults(),
        cuts in cuts(),
    ) {
        let now = now();
        let records = sign_ins(&ages.iter().map(|age| now - age - 1).collect::<Vec<_>>());
        let mut feed = Feed::new(&records);
        feed.tenant.faults = faults;
        let server = feed.serve();
        let delivered = pull_in_pieces::<Activity>(&config(&server, now - 2 * 86_400 - 60), &cuts);
        prop_assert_eq!(sorted(delivered), ids(&records));
    }
}

#[test]
fn cut_at_every_request_it_resumes_without_loss_or_repetition() {
    let now = now();
    let records = sign_ins(&(1..12).map(|n| now - n * 4000).collect::<Vec<_>>());
    let server = Feed::new(&records).serve();
    let config = config(&server, now - 50_000);
    whole::<Activity>(&config);
    for requests in 1..=server.count() as u64 {
        let delivered = pull_in_pieces::<Activity>(&config, &[Limits { requests, batches: None }]);
        assert_eq!(sorted(delivered), ids(&records), "cut after {requests} requests");
    }
}

#[test]
fn late_blobs_are_found_and_others_not_read_again() {
    let records = sign_ins(&[now() - 5000, now() - 100]);
    let server = Feed::new(&records).serve();
    let config = config(&server, now() - 6000);
    let first = whole::<Activity>(&config);
    assert_eq!(sorted(first.ids), ids(&records));
    records.lock().unwrap().extend([("late".to_owned(), now() - 900), ("later".to_owned(), now() - 50)]);
    let before =
        server.requests.lock().unwrap().iter().filter(|request| request.path.contains("/audit/")).count();
    let second = pull::<Activity>(&config, first.position.as_deref(), Limits::default());
    assert_eq!(sorted(second.ids), ["late", "later"]);
    let after =
        server.requests.lock().unwrap().iter().filter(|request| request.path.contains("/audit/")).count();
    assert_eq!(after - before, 2);
}

#[test]
fn only_the_last_seven_days_are_asked_for_in_stretches_of_a_day() {
    let records = sign_ins(&[now() - 6 * 86_400, now() - 3600]);
    let server = Feed::new(&records).serve();
    let mut config = config(&server, now() - 30 * 86_400);
    config["schedule"]["window_seconds"] = json!(86_400);
    let run = whole::<Activity>(&config);
    assert_eq!(sorted(run.ids), ids(&records));
    assert!(run.host.log_text().contains("7 days"));
    assert!(
        crate::harness::create_error::<Activity>(&{
            config["schedule"]["window_seconds"] = json!(86_401);
            config
        })
        .contains("window_seconds")
    );
}

#[test]
fn content_that_expired_or_makes_no_sense_ends_nothing() {
    let records = sign_ins(&[now() - 300, now() - 200, now() - 100]);
    let mut feed = Feed::new(&records);
    let server = Server::start(move |request| match request.path.rsplit('/').next() {
        Some("id-000") => Reply::new(404, "AF20051"),
        Some("id-001") => Reply::ok("<html>"),
        _ => feed.answer(request),
    });
    let run = whole::<Activity>(&config(&server, now() - 1000));
    assert_eq!(run.end.map_err(|error| error.to_string()), Ok(()));
    assert_eq!(run.ids, ["id-002"]);
    assert_eq!(run.host.counted(GONE), 1);
    assert_eq!(run.host.rejects.lock().unwrap().len(), 1);
}
