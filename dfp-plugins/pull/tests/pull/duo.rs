//! Duo's Admin API.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dfp_plugin::serde_json::{Value, json};
use dfp_pull::Duo;
use proptest::collection::vec;
use proptest::prelude::*;
use ring::hmac;

use crate::graph::{SignIns, cuts, faults, ids, sign_ins};
use crate::harness::{Limits, SECRET, date, http, now, pull, pull_in_pieces, sorted, time, whole};
use crate::server::{Fault, Reply, Request, Server, spoil};

struct Admin {
    records: SignIns,
    faults: Vec<Fault>,
    ahead: i64,
    requests: usize,
}

impl Admin {
    fn new(records: &SignIns) -> Self {
        Self { records: records.clone(), faults: vec![Fault::None], ahead: 0, requests: 0 }
    }

    /// Made from the request as it came, apart from the client's code.
    fn signed(request: &Request) -> bool {
        let parts =
            [request.header("date"), "GET", request.header("host"), &request.path, &request.raw_query];
        let signature =
            hmac::sign(&hmac::Key::new(hmac::HMAC_SHA512, SECRET.as_bytes()), parts.join("\n").as_bytes());
        let digits: String = signature.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        request.header("authorization") == format!("Basic {}", STANDARD.encode(format!("DIKEY:{digits}")))
    }

    fn answer(&mut self, request: &Request) -> Reply {
        let fault = self.faults[self.requests % self.faults.len()];
        self.requests += 1;
        assert_eq!(
            (request.method.as_str(), request.path.as_str()),
            ("GET", "/admin/v2/logs/authentication")
        );
        let sent = jiff::fmt::rfc2822::parse(request.header("date")).unwrap().timestamp().as_second();
        let clock = now() + self.ahead;
        // An expired signature is what an expired token is elsewhere; here the answer to it is no second try.
        let fault = if fault == Fault::Expired { Fault::None } else { fault };
        let reply = if !Self::signed(request) {
            Reply::new(
                401,
                r#"{"code":40103,"message":"Invalid signature in request credentials","stat":"FAIL"}"#,
            )
        } else if (sent - clock).abs() > 300 {
            Reply::new(401, r#"{"code":40105,"message":"Bad request timestamp","stat":"FAIL"}"#)
        } else {
            Reply::ok(self.page(request, clock))
        };
        spoil(fault, reply).header("Date", date(self.ahead))
    }

    fn page(&self, request: &Request, clock: i64) -> Vec<u8> {
        let (from, to, limit) =
            (request.number("mintime"), request.number("maxtime"), request.number("limit") as usize);
        assert!(from < to && from >= (clock - 180 * 86_400) * 1000, "{request:?}");
        assert_eq!(request.parameter("sort").as_deref(), Some("ts:asc"));
        // The last two minutes are withheld.
        let visible = (clock - 120) * 1000;
        let mut records: Vec<(String, i64)> = self.records.lock().unwrap().clone();
        records.retain(|(_, at)| (from..=to.min(visible)).contains(&(at * 1000)));
        records.sort_by_key(|(id, at)| (*at, id.clone()));
        let offset = request.parameter("next_offset").map_or(0, |offset| {
            let (at, id) = offset.split_once(',').unwrap();
            let at = at.parse::<i64>().unwrap() / 1000;
            records.iter().position(|(other, second)| (*second, other.as_str()) >= (at, id)).unwrap()
        });
        let end = (offset + limit).min(records.len());
        let logs: Vec<Value> = records[offset..end]
            .iter()
            .map(|(id, at)| json!({"n": id, "txid": id, "timestamp": at, "event_type": "authentication", "result": "success"}))
            .collect();
        let next = records.get(end).map(|(id, at)| json!([(at * 1000).to_string(), id]));
        json!({"stat": "OK", "response": {"authlogs": logs, "metadata": {"next_offset": next, "total_objects": records.len()}}})
            .to_string()
            .into_bytes()
    }

    fn serve(mut self) -> Server {
        Server::start(move |request| self.answer(request))
    }
}

fn config(server: &Server, start: i64) -> Value {
    json!({
        "account": {"base_url": server.url, "integration_key": "DIKEY", "secret_key": {"$secret": "key"}},
        "start": time(start),
        "schedule": {"page_size": 3, "window_seconds": 7200, "gather_ms": 0},
        "http": http(),
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_goes_wrong_every_record_comes_once(
        ages in vec(130_i64..5 * 3600, 0..25),
        faults in faults(),
        cuts in cuts(),
    ) {
        let now = now();
        let records = sign_ins(&ages.iter().map(|age| now - age).collect::<Vec<_>>());
        let server = Admin { faults, ..Admin::new(&records) }.serve();
        let delivered = pull_in_pieces::<Duo>(&config(&server, now - 5 * 3600 - 60), &cuts);
        prop_assert_eq!(sorted(delivered), ids(&records));
    }
}

#[test]
fn cut_at_every_request_it_resumes_without_loss_or_repetition() {
    let start = now() - 3 * 3600;
    let records = sign_ins(&(0..20).map(|n| start + n * 500).collect::<Vec<_>>());
    let server = Admin::new(&records).serve();
    let config = config(&server, start);
    whole::<Duo>(&config);
    for requests in 1..=server.count() as u64 {
        let delivered = pull_in_pieces::<Duo>(&config, &[Limits { requests, batches: None }]);
        assert_eq!(sorted(delivered), ids(&records), "cut after {requests} requests");
    }
}

#[test]
fn what_is_withheld_comes_with_a_later_pass() {
    let records = sign_ins(&[now() - 1000, now() - 119]);
    let server = Admin::new(&records).serve();
    let config = config(&server, now() - 2000);
    let first = whole::<Duo>(&config);
    assert_eq!(first.ids, ["id-000"]);
    std::thread::sleep(Duration::from_secs(3));
    let second = pull::<Duo>(&config, first.position.as_deref(), Limits::default());
    assert_eq!(second.ids, ["id-001"]);
}

#[test]
fn a_clock_that_differs_is_corrected_by_the_first_refusal() {
    for ahead in [-4000, 4000] {
        let records = sign_ins(&[now() + ahead - 1000]);
        let server = Admin { ahead, ..Admin::new(&records) }.serve();
        let run = whole::<Duo>(&config(&server, now() - 10_000));
        assert_eq!(run.end.map_err(|error| error.to_string()), Ok(()), "{ahead}");
        assert_eq!(run.ids.len(), 1, "{ahead}");
    }
}

#[test]
fn the_same_transaction_twice_is_two_records_if_they_differ() {
    let server = Server::start(|_| {
        let at = now() - 600;
        let log = |n: &str, result: &str| json!({"n": n, "txid": "t", "timestamp": at, "event_type": "enrollment", "result": result});
        let logs = [log("a", "success"), log("b", "denied"), log("a", "success")];
        Reply::ok(
            json!({"stat": "OK", "response": {"authlogs": logs, "metadata": {"next_offset": null}}})
                .to_string(),
        )
    });
    assert_eq!(whole::<Duo>(&config(&server, now() - 1000)).ids, ["a", "b"]);
}

#[test]
fn calls_keep_their_distance() {
    let records = sign_ins(&[now() - 1000, now() - 999, now() - 998, now() - 997]);
    let server = Admin::new(&records).serve();
    let mut config = config(&server, now() - 2000);
    config["http"]["interval_ms"] = json!(700);
    let begun = Instant::now();
    assert_eq!(whole::<Duo>(&config).ids.len(), 4);
    assert_eq!(server.count(), 2);
    assert!(begun.elapsed() >= Duration::from_millis(700));
}

#[test]
fn a_wrong_key_is_an_error_that_says_so() {
    let server =
        Server::start(|_| Reply::new(401, r#"{"code":40103,"message":"Invalid signature","stat":"FAIL"}"#));
    let run = whole::<Duo>(&config(&server, now() - 1000));
    let error = run.error();
    assert!(error.contains("401") && error.contains("40103") && error.contains("keys"), "{error}");
    assert_eq!(server.count(), 1);
}

#[test]
fn what_is_older_than_half_a_year_is_not_asked_for_and_said() {
    let records = sign_ins(&[now() - 3600]);
    let server = Admin::new(&records).serve();
    let mut config = config(&server, now() - 200 * 86_400);
    config["schedule"]["window_seconds"] = json!(180 * 86_400);
    let run = whole::<Duo>(&config);
    assert_eq!(run.ids.len(), 1);
    assert!(run.host.log_text().contains("180 days"), "{}", run.host.log_text());
}
