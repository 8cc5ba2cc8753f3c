//! A trail's bucket.

use std::io::Write as _;
use std::sync::{Arc, Mutex};

use dfp_plugin::serde_json::{Value, json};
use dfp_pull::{CloudTrail, GONE, REPEATED};
use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::collection::vec;
use proptest::prelude::*;
use ring::{digest, hmac};

use crate::graph::{cuts, faults};
use crate::harness::{Limits, SECRET, date, http, now, pull, pull_in_pieces, sorted, time, whole};
use crate::server::{Fault, Reply, Request, Server, spoil};

type Objects = Arc<Mutex<Vec<(String, Vec<u8>)>>>;

struct Bucket {
    objects: Objects,
    faults: Vec<Fault>,
    ahead: i64,
    requests: usize,
    /// How many names an answer has at most.
    page: usize,
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn format(second: i64, format: &str) -> String {
    jiff::Timestamp::from_second(second)
        .unwrap()
        .to_zoned(jiff::tz::TimeZone::UTC)
        .strftime(format)
        .to_string()
}

fn key(account: &str, region: &str, second: i64, unique: &str) -> String {
    let (day, minute) = (format(second, "%Y/%m/%d"), format(second, "%Y%m%dT%H%MZ"));
    format!(
        "logs/AWSLogs/{account}/CloudTrail/{region}/{day}/{account}_CloudTrail_{region}_{minute}_{unique}.json.gz"
    )
}

fn object(account: &str, region: &str, second: i64, unique: &str, ids: &[String]) -> (String, Vec<u8>) {
    let records: Vec<Value> = ids.iter().map(|id| json!({"n": id, "eventID": id})).collect();
    (key(account, region, second, unique), gzip(json!({"Records": records}).to_string().as_bytes()))
}

const ACCOUNT: &str = "012345678901";
const REGION: &str = "eu-west-1";

/// One object for each age, with two records; and their ids.
fn objects(ages: &[i64]) -> (Objects, Vec<String>) {
    let (now, mut all) = (now(), Vec::new());
    let objects = ages.iter().enumerate().map(|(n, age)| {
        let ids = [format!("id-{n:03}a"), format!("id-{n:03}b")];
        all.extend(ids.iter().cloned());
        object(ACCOUNT, REGION, now - age, &format!("{n:03}Unique"), &ids)
    });
    (Arc::new(Mutex::new(objects.collect())), sorted(all))
}

impl Bucket {
    fn new(objects: &Objects) -> Self {
        Self { objects: Arc::clone(objects), faults: vec![Fault::None], ahead: 0, requests: 0, page: 1000 }
    }

    /// Made from the request as it came, apart from the client's code.
    fn signed(request: &Request) -> bool {
        let authorization = request.header("authorization");
        let names = authorization.split("SignedHeaders=").nth(1).unwrap().split(',').next().unwrap();
        let lines: String =
            names.split(';').map(|name| format!("{name}:{}\n", request.header(name))).collect();
        let canonical = format!(
            "GET\n{}\n{}\n{lines}\n{names}\n{}",
            request.path,
            request.raw_query,
            request.header("x-amz-content-sha256")
        );
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let time = request.header("x-amz-date");
        let scope = format!("{}/eu-central-1/s3/aws4_request", &time[..8]);
        let hashed = hex(digest::digest(&digest::SHA256, canonical.as_bytes()).as_ref());
        let text = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{hashed}");
        let sign = |key: &[u8], text: &str| {
            hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec()
        };
        let key = sign(format!("AWS4{SECRET}").as_bytes(), &time[..8]);
        let key = sign(&sign(&sign(&key, "eu-central-1"), "s3"), "aws4_request");
        authorization.ends_with(&format!("Signature={}", hex(&sign(&key, &text))))
    }

    fn answer(&mut self, request: &Request) -> Reply {
        let fault = self.faults[self.requests % self.faults.len()];
        self.requests += 1;
        let fault = if fault == Fault::Expired { Fault::None } else { fault };
        assert!(Self::signed(request), "{request:?}");
        let asked = format(now() + self.ahead, "%Y%m%dT%H%MZ");
        let reply = if request.header("x-amz-date")[..11] != asked[..11] && self.ahead != 0 {
            Reply::new(403, "<Error><Code>RequestTimeTooSkewed</Code></Error>")
        } else if request.path == "/trail" {
            self.list(request)
        } else {
            let key = request.path.strip_prefix("/trail/").unwrap();
            let objects = self.objects.lock().unwrap();
            match objects.iter().find(|(name, _)| name == key) {
                Some((_, body)) => Reply::ok(body.clone()).header("Content-Encoding", "gzip"),
                None => Reply::new(404, "<Error><Code>NoSuchKey</Code></Error>"),
            }
        };
        spoil(fault, reply).header("Date", date(self.ahead))
    }

    fn list(&self, request: &Request) -> Reply {
        let (prefix, after) =
            (request.parameter("prefix").unwrap(), request.parameter("start-after").unwrap());
        assert_eq!(request.parameter("list-type").as_deref(), Some("2"));
        let mut names: Vec<String> =
            self.objects.lock().unwrap().iter().map(|(name, _)| name.clone()).collect();
        names.retain(|name| name.starts_with(&prefix) && *name > after);
        names.sort();
        let most = self.page.min(request.number("max-keys") as usize);
        let truncated = names.len() > most;
        let contents: String = names
            .iter()
            .take(most)
            .map(|name| format!("<Contents><Key>{name}</Key><Size>1</Size></Contents>"))
            .collect();
        Reply::ok(format!(
            "<?xml version=\"1.0\"?>\n<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
             <IsTruncated>{truncated}</IsTruncated>{contents}</ListBucketResult>"
        ))
    }

    fn serve(mut self) -> Server {
        Server::start(move |request| self.answer(request))
    }
}

fn config(server: &Server, start: i64) -> Value {
    json!({
        "account": {"bucket": "trail", "region": "eu-central-1", "prefix": "logs", "accounts": [ACCOUNT], "regions": [REGION],
                    "access_key_id": {"$secret": "id"}, "secret_access_key": {"$secret": "key"}, "endpoint": server.url},
        "start": time(start),
        "schedule": {"page_size": 3, "gather_ms": 0},
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
        let (objects, ids) = objects(&ages);
        let server = Bucket { faults, ..Bucket::new(&objects) }.serve();
        let delivered = pull_in_pieces::<CloudTrail>(&config(&server, now() - 3 * 86_400), &cuts);
        prop_assert_eq!(sorted(delivered), ids);
    }
}

#[test]
fn cut_at_every_request_it_resumes_without_loss_or_repetition() {
    let (objects, ids) = objects(&[90_000, 80_000, 70_000, 7000, 3000, 2000, 1000, 30]);
    let server = Bucket::new(&objects).serve();
    let config = config(&server, now() - 100_000);
    whole::<CloudTrail>(&config);
    for requests in 1..=server.count() as u64 {
        let delivered = pull_in_pieces::<CloudTrail>(&config, &[Limits { requests, batches: None }]);
        assert_eq!(sorted(delivered), ids, "cut after {requests} requests");
    }
}

#[test]
fn at_the_edge_of_the_overlap_nothing_comes_twice() {
    let ages: Vec<i64> = (3480..3780).step_by(11).collect();
    let (objects, ids) = objects(&ages);
    let server = Bucket::new(&objects).serve();
    let mut config = config(&server, now() - 10_000);
    // A minute has up to six objects, which are remembered together or not at all.
    for recent_ids in [50_000, 7] {
        config["schedule"]["recent_ids"] = json!(recent_ids);
        let first = whole::<CloudTrail>(&config);
        assert_eq!(sorted(first.ids), ids);
        let second = pull::<CloudTrail>(&config, first.position.as_deref(), Limits::default());
        assert_eq!(second.ids, Vec::<String>::new());
    }
}

#[test]
fn late_objects_are_found_and_others_not_read_again() {
    let (objects, ids) = objects(&[8000, 3000, 100]);
    let server = Bucket::new(&objects).serve();
    let config = config(&server, now() - 10_000);
    let first = whole::<CloudTrail>(&config);
    assert_eq!(sorted(first.ids), ids);
    assert!(first.origins.iter().all(|origin| origin.starts_with("s3://trail/logs/AWSLogs/012345678901/")));
    let late = object(ACCOUNT, REGION, now() - 2000, "late", &["late".to_owned()]);
    let lost = object(ACCOUNT, REGION, now() - 9000, "lost", &["lost".to_owned()]);
    objects.lock().unwrap().extend([late, lost]);
    let before = server.count();
    let second = pull::<CloudTrail>(&config, first.position.as_deref(), Limits::default());
    assert_eq!(second.ids, ["late"]);
    assert_eq!(second.host.counted(REPEATED), 2);
    assert_eq!(server.count() - before, 2);
}

#[test]
fn other_objects_and_other_places_are_left_alone() {
    let (objects, ids) = objects(&[500]);
    let other =
        |from: &str, to: &str| (key(ACCOUNT, REGION, now() - 400, "x").replace(from, to), gzip(b"{}"));
    objects.lock().unwrap().extend([
        other("/CloudTrail/", "/CloudTrail-Digest/"),
        other("_CloudTrail_", "_CloudTrail-Insight_"),
        other(REGION, "us-east-1"),
        other(ACCOUNT, "999999999999"),
        other(".json.gz", ".txt"),
    ]);
    let server = Bucket::new(&objects).serve();
    let run = whole::<CloudTrail>(&config(&server, now() - 1000));
    assert_eq!(sorted(run.ids), ids);
    assert_eq!(server.count(), 2);
}

#[test]
fn several_accounts_and_regions_each_have_their_place() {
    let (objects, mut ids) = objects(&[500]);
    objects.lock().unwrap().push(object(
        "111111111111",
        "us-east-1",
        now() - 300,
        "y",
        &["other".to_owned()],
    ));
    ids.push("other".to_owned());
    let server = Bucket::new(&objects).serve();
    let mut config = config(&server, now() - 1000);
    config["account"]["accounts"] = json!([ACCOUNT, "111111111111"]);
    config["account"]["regions"] = json!([REGION, "us-east-1"]);
    let delivered = pull_in_pieces::<CloudTrail>(&config, &[Limits { requests: 3, batches: None }]);
    assert_eq!(sorted(delivered), ids);
}

#[test]
fn damaged_and_vanished_objects_are_counted_and_passed_over() {
    let (objects, _) = objects(&[500, 400, 300]);
    objects.lock().unwrap()[0].1.truncate(20);
    let listed = objects.lock().unwrap()[1].0.clone();
    let mut bucket = Bucket::new(&objects);
    let server = Server::start(move |request| {
        if request.path.ends_with(&listed) { Reply::new(404, "gone") } else { bucket.answer(request) }
    });
    let run = whole::<CloudTrail>(&config(&server, now() - 1000));
    assert_eq!(sorted(run.ids), ["id-002a", "id-002b"]);
    assert_eq!(run.host.counted(GONE), 1);
    let rejects = run.host.rejects.lock().unwrap();
    assert_eq!(rejects.len(), 1);
    assert!(rejects[0].origin.starts_with("s3://trail/"));
    assert_eq!(run.host.counted("records_read"), 3);
}

#[test]
fn a_clock_that_differs_is_corrected_by_the_first_refusal() {
    let (objects, ids) = objects(&[5000]);
    let server = Bucket { ahead: 7200, ..Bucket::new(&objects) }.serve();
    let run = whole::<CloudTrail>(&config(&server, now() - 10_000));
    assert_eq!(run.end.map_err(|error| error.to_string()), Ok(()));
    assert_eq!(sorted(run.ids), ids);
}

#[test]
fn a_list_that_does_not_go_on_is_an_error() {
    let (objects, _) = objects(&[5000]);
    let name = objects.lock().unwrap()[0].0.clone();
    let mut bucket = Bucket::new(&objects);
    let server = Server::start(move |request| match request.path.as_str() {
        "/trail" => Reply::ok(format!(
            "<ListBucketResult><IsTruncated>true</IsTruncated><Contents><Key>{name}</Key></Contents></ListBucketResult>"
        )),
        _ => bucket.answer(request),
    });
    let error = whole::<CloudTrail>(&config(&server, now() - 10_000)).error();
    assert!(error.contains("repeats itself"), "{error}");
    assert!(server.count() < 5);
}
