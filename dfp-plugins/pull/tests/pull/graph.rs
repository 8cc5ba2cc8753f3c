//! Microsoft Graph.

use std::sync::{Arc, Mutex};

use dfp_plugin::ErrorKind;
use dfp_plugin::serde_json::{Value, json};
use dfp_pull::{Graph, REPEATED, RETRIES};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::harness::{Limits, SECRET, date, http, now, pull, pull_in_pieces, second, sorted, time, whole};
use crate::server::{Fault, Reply, Request, Server, spoil};

/// A tenant's sign-ins: id and second.
pub(crate) type SignIns = Arc<Mutex<Vec<(String, i64)>>>;

pub(crate) fn sign_ins(seconds: &[i64]) -> SignIns {
    Arc::new(Mutex::new(
        seconds.iter().enumerate().map(|(n, second)| (format!("id-{n:03}"), *second)).collect(),
    ))
}

pub(crate) fn ids(records: &SignIns) -> Vec<String> {
    records.lock().unwrap().iter().map(|(id, _)| id.clone()).collect()
}

/// Microsoft's token endpoint and Graph's list of sign-ins.
pub(crate) struct Tenant {
    pub(crate) records: SignIns,
    /// Faults by the number of the request, over and over.
    pub(crate) faults: Vec<Fault>,
    /// How many records of a page come again on the next.
    pub(crate) repeat: usize,
    /// Pages are given in a wrong order of time.
    pub(crate) disordered: bool,
    /// Seconds its clock is ahead.
    pub(crate) ahead: i64,
    pub(crate) tokens: usize,
    pub(crate) requests: usize,
}

impl Tenant {
    pub(crate) fn new(records: &SignIns) -> Self {
        Self {
            records: Arc::clone(records),
            faults: vec![Fault::None],
            repeat: 0,
            disordered: false,
            ahead: 0,
            tokens: 0,
            requests: 0,
        }
    }

    fn token(&self) -> String {
        format!("token-{:05}", self.tokens)
    }

    pub(crate) fn answer(&mut self, request: &Request) -> Reply {
        let fault = self.faults[self.requests % self.faults.len()];
        self.requests += 1;
        let reply = if request.path.ends_with("/oauth2/v2.0/token") {
            self.issue(request)
        } else if request.header("authorization") != format!("Bearer {}", self.token())
            || fault == Fault::Expired
        {
            self.tokens += 1;
            Reply::new(401, r#"{"error":{"code":"InvalidAuthenticationToken"}}"#)
        } else {
            Reply::ok(self.page(request))
        };
        spoil(fault, reply).header("Date", date(self.ahead))
    }

    pub(crate) fn issue(&mut self, request: &Request) -> Reply {
        assert_eq!(request.method, "POST");
        assert_eq!(request.path, "/tenant-1/oauth2/v2.0/token");
        assert_eq!(request.parameter("grant_type").as_deref(), Some("client_credentials"));
        assert_eq!(request.parameter("client_secret").as_deref(), Some(SECRET));
        assert!(request.parameter("scope").unwrap().ends_with("/.default"));
        self.tokens += 1;
        Reply::ok(
            json!({"token_type": "Bearer", "expires_in": 3599, "access_token": self.token()}).to_string(),
        )
    }

    fn page(&self, request: &Request) -> Vec<u8> {
        let (from, to, offset) = if let Some(token) = request.parameter("$skiptoken") {
            let parts: Vec<i64> = token.split('.').map(|part| part.parse().unwrap()).collect();
            (parts[0], parts[1], parts[2] as usize)
        } else {
            let filter = request.parameter("$filter").unwrap();
            let words: Vec<&str> = filter.split(' ').collect();
            let conditions = [words[0], words[1], words[3], words[4], words[5]];
            assert_eq!(conditions, ["createdDateTime", "ge", "and", "createdDateTime", "le"]);
            assert_eq!(request.parameter("$orderby").as_deref(), Some("createdDateTime asc"));
            (second(words[2]), second(words[6]), 0)
        };
        let size = request.number("$top") as usize;
        let mut records: Vec<(String, i64)> =
            self.records.lock().unwrap().iter().filter(|(_, at)| (from..=to).contains(at)).cloned().collect();
        records.sort_by_key(|(id, at)| if self.disordered { (0, id.clone()) } else { (*at, id.clone()) });
        let end = (offset + size).min(records.len());
        let page: Vec<Value> = records[offset.min(end)..end]
            .iter()
            .map(|(id, at)| {
                let (user, app) = (at % 2, ["Mail", "Files", "Portal"][(at % 3) as usize]);
                json!({"id": id, "n": id, "createdDateTime": time(*at), "status": {"errorCode": 0}, "appDisplayName": app,
                       "userPrincipalName": format!("user{user}@contoso.example")})
            })
            .collect();
        let mut body = json!({"@odata.context": "x", "value": page});
        if end < records.len() {
            let next = (end - self.repeat.min(size - 1)).max(offset + 1);
            let host = request.header("host");
            let link = format!("http://{host}{}?$top={size}&$skiptoken={from}.{to}.{next}", request.path);
            body["@odata.nextLink"] = json!(link);
        }
        body.to_string().into_bytes()
    }

    pub(crate) fn serve(mut self) -> Server {
        Server::start(move |request| self.answer(request))
    }
}

pub(crate) fn config(server: &Server, start: i64) -> Value {
    json!({
        "account": {"tenant": "tenant-1", "client_id": "app-1", "client_secret": {"$secret": "key"},
                    "base_url": server.url, "login_url": server.url},
        "start": time(start),
        "schedule": {"page_size": 3, "window_seconds": 3600, "gather_ms": 0},
        "http": http(),
    })
}

#[test]
fn all_pages_of_all_windows_are_read_once() {
    let start = now() - 10 * 3600;
    let records = sign_ins(&(0..50).map(|n| start + n * 700).collect::<Vec<_>>());
    let server = Tenant { repeat: 1, disordered: true, ..Tenant::new(&records) }.serve();
    let run = whole::<Graph>(&config(&server, start));
    assert_eq!(run.end.map_err(|error| error.to_string()), Ok(()));
    assert_eq!(sorted(run.ids), ids(&records));
    assert!(run.origins.iter().all(|origin| origin.starts_with("signIns:")), "{:?}", run.origins);
    assert_eq!(run.host.counted("records_read"), 50);
    assert!(run.host.counted(REPEATED) > 0);
}

#[test]
fn cut_at_every_request_it_resumes_without_loss_or_repetition() {
    let start = now() - 3 * 3600;
    let records = sign_ins(&(0..20).map(|n| start + n * 500).collect::<Vec<_>>());
    let server = Tenant { repeat: 1, ..Tenant::new(&records) }.serve();
    let config = config(&server, start);
    whole::<Graph>(&config);
    for requests in 1..=server.count() as u64 {
        let delivered = pull_in_pieces::<Graph>(&config, &[Limits { requests, batches: None }]);
        assert_eq!(sorted(delivered), ids(&records), "cut after {requests} requests");
    }
    for batches in 1..8 {
        let delivered =
            pull_in_pieces::<Graph>(&config, &[Limits { requests: 0, batches: Some(batches) }; 3]);
        assert_eq!(sorted(delivered), ids(&records), "cut after {batches} batches");
    }
}

/// Faults with room to recover between them: a token is renewed once, not twice in a row.
pub(crate) fn faults() -> impl Strategy<Value = Vec<Fault>> {
    let one = prop_oneof![
        Just(Fault::None),
        Just(Fault::TooMany),
        Just(Fault::Unavailable),
        Just(Fault::Expired),
        Just(Fault::Half),
        Just(Fault::Lie),
        Just(Fault::Silent),
    ];
    vec(one, 1..6)
        .prop_map(|faults| faults.into_iter().flat_map(|fault| [fault, Fault::None, Fault::None]).collect())
}

/// Where runs are cut.
pub(crate) fn cuts() -> impl Strategy<Value = Vec<Limits>> {
    let one = prop_oneof![
        (1_u64..12).prop_map(|requests| Limits { requests, batches: None }),
        (1_usize..4).prop_map(|batches| Limits { requests: 0, batches: Some(batches) }),
    ];
    vec(one, 0..5)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_goes_wrong_every_record_comes_once(
        ages in vec(300_i64..3 * 3600, 0..25),
        faults in faults(),
        cuts in cuts(),
        repeat in 0_usize..3,
        disordered: bool,
    ) {
        let now = now();
        let records = sign_ins(&ages.iter().map(|age| now - age).collect::<Vec<_>>());
        let server = Tenant { faults, repeat, disordered, ..Tenant::new(&records) }.serve();
        let delivered = pull_in_pieces::<Graph>(&config(&server, now - 3 * 3600 - 60), &cuts);
        prop_assert_eq!(sorted(delivered), ids(&records));
    }
}

#[test]
fn a_record_that_comes_late_is_found_by_the_next_pass() {
    let start = now() - 4000;
    let records = sign_ins(&[start + 10, start + 3000]);
    let server = Tenant::new(&records).serve();
    let config = config(&server, start);
    let first = whole::<Graph>(&config);
    assert_eq!(first.ids.len(), 2);
    // One within the half hour that is looked at again, one that came later than that.
    records.lock().unwrap().extend([("late".to_owned(), now() - 1500), ("lost".to_owned(), now() - 2500)]);
    let second = pull::<Graph>(&config, first.position.as_deref(), Limits::default());
    assert_eq!(second.ids, ["late"]);
    assert_eq!(second.host.counted(REPEATED), 1);
    let third = pull::<Graph>(&config, second.position.as_deref(), Limits::default());
    assert_eq!(third.ids, Vec::<String>::new());
}

#[test]
fn a_server_whose_clock_differs_loses_nothing() {
    for ahead in [-1200, 1200] {
        let server_now = now() + ahead;
        let records = sign_ins(&[server_now - 3000, server_now - 200]);
        let server = Tenant { ahead, ..Tenant::new(&records) }.serve();
        let mut config = config(&server, server_now - 3600);
        config["schedule"]["overlap_seconds"] = json!(300);
        let first = whole::<Graph>(&config);
        assert_eq!(sorted(first.ids), ids(&records), "{ahead}");
        records.lock().unwrap().push(("late".to_owned(), server_now - 150));
        let second = pull::<Graph>(&config, first.position.as_deref(), Limits::default());
        assert_eq!(second.ids, ["late"], "{ahead}");
    }
}

#[test]
fn more_records_than_are_remembered_come_once_all_the_same() {
    let start = now() - 3000;
    let records = sign_ins(&(0..40).map(|n| start + n * 60).collect::<Vec<_>>());
    let server = Tenant::new(&records).serve();
    let mut config = config(&server, start);
    config["schedule"]["recent_ids"] = json!(5);
    let delivered = pull_in_pieces::<Graph>(&config, &[Limits { requests: 4, batches: None }; 6]);
    assert_eq!(sorted(delivered), ids(&records));
}

#[test]
fn a_page_that_is_gone_is_read_again_from_its_window_on() {
    let start = now() - 3000;
    let records = sign_ins(&(0..9).map(|n| start + n * 60).collect::<Vec<_>>());
    let mut tenant = Tenant::new(&records);
    let mut gone = false;
    let server = Server::start(move |request| {
        if request.raw_query.contains("skiptoken") && tenant.requests == 3 && !gone {
            gone = true;
            tenant.tokens += 1;
        }
        if gone && request.raw_query.contains("skiptoken=") && tenant.requests == 4 {
            return Reply::new(410, "expired");
        }
        tenant.answer(request)
    });
    let config = config(&server, start);
    let delivered = pull_in_pieces::<Graph>(&config, &[Limits { requests: 3, batches: None }]);
    assert_eq!(sorted(delivered), ids(&records));
}

#[test]
fn waits_that_are_asked_for_are_kept() {
    let records = sign_ins(&[now() - 1000]);
    let mut tenant = Tenant::new(&records);
    let mut refused = false;
    let server = Server::start(move |request| {
        if !request.path.ends_with("token") && !std::mem::replace(&mut refused, true) {
            return Reply::new(429, "slow").header("Retry-After", "1");
        }
        tenant.answer(request)
    });
    let begun = std::time::Instant::now();
    let run = whole::<Graph>(&config(&server, now() - 2000));
    assert_eq!(run.ids.len(), 1);
    assert!(begun.elapsed().as_secs_f64() >= 1.0);
    assert_eq!(run.host.counted(RETRIES), 1);
    assert!(run.heartbeats >= 1);
}

#[test]
fn a_position_is_of_one_tenant() {
    let records = sign_ins(&[]);
    let server = Tenant::new(&records).serve();
    let mut config = config(&server, now() - 2000);
    let run = whole::<Graph>(&config);
    config["account"]["tenant"] = json!("tenant-2");
    let other = pull::<Graph>(&config, run.position.as_deref(), Limits::default());
    assert_eq!(other.kind(), ErrorKind::InvalidArgument);
    assert_eq!(pull::<Graph>(&config, Some(b"{}"), Limits::default()).kind(), ErrorKind::InvalidArgument);
}
