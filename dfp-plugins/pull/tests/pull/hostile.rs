//! Servers that lie, never end, or want the keys.

use std::io::Write as _;
use std::sync::atomic::Ordering;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use dfp_plugin::serde_json::{Value, json};
use dfp_plugin::{ErrorKind, Source};
use dfp_pull::{Activity, CloudTrail, Duo, Graph};
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::graph::{Tenant, config, sign_ins};
use crate::harness::{SECRET, create_error, now, source, time, whole};
use crate::server::{Manner, Reply, Request, Server};

/// A tenant whose tokens are good and whose pages are whatever `page` says.
fn tenant(mut page: impl FnMut(&Request) -> Reply + Send + 'static) -> Server {
    let mut tenant = Tenant::new(&sign_ins(&[]));
    Server::start(
        move |request| {
            if request.path.ends_with("/token") { tenant.answer(request) } else { page(request) }
        },
    )
}

fn page(next: &str) -> Reply {
    Reply::ok(json!({"value": [{"id": "a", "n": "a", "createdDateTime": time(now() - 500)}], "@odata.nextLink": next}).to_string())
}

fn start() -> i64 {
    now() - 2000
}

#[test]
fn the_same_next_link_twice_is_an_error() {
    let server = tenant(|request| page(&format!("http://{}/v1.0/again?x=1", request.header("host"))));
    let run = whole::<Graph>(&config(&server, start()));
    assert_eq!(run.kind(), ErrorKind::BadData);
    assert!(run.error().contains("already read"), "{}", run.error());
    assert_eq!(run.ids, ["a"]);
    assert!(server.count() <= 4);
}

#[test]
fn links_to_other_servers_are_not_followed() {
    let thief = Server::start(|_| Reply::ok("{}"));
    for link in [
        format!("{}/v1.0", thief.url),
        "https://graph.microsoft.com.evil.example/x".to_owned(),
        "file:///etc/passwd".to_owned(),
        "x".to_owned(),
    ] {
        let shown = link.clone();
        let server = tenant(move |_| page(&link));
        let run = whole::<Graph>(&config(&server, start()));
        assert_eq!(run.kind(), ErrorKind::BadData, "{shown}");
        assert!(run.error().contains("leads to"), "{}", run.error());
    }
    assert_eq!(thief.count(), 0);
}

#[test]
fn redirects_are_not_followed() {
    let thief = Server::start(|_| Reply::ok("{}"));
    let to = format!("{}/steal?token=1", thief.url);
    let server = tenant(move |_| Reply::new(302, "").header("Location", to.clone()));
    let run = whole::<Graph>(&config(&server, start()));
    assert_eq!(run.kind(), ErrorKind::InvalidConfig);
    assert!(
        run.error().contains("redirected to http://127.0.0.1") && !run.error().contains("steal"),
        "{}",
        run.error()
    );
    assert_eq!(thief.count(), 0);
}

#[test]
fn answers_have_a_longest_length() {
    let mut bomb = GzEncoder::new(Vec::new(), Compression::best());
    let zeros = vec![b' '; 1 << 20];
    for _ in 0..64 {
        bomb.write_all(&zeros).unwrap();
    }
    let bomb = bomb.finish().unwrap();
    assert!(bomb.len() < 100_000);
    let endless = tenant(|_| Reply::ok("{").manner(Manner::Endless));
    let packed = tenant(move |_| Reply::ok(bomb.clone()).header("Content-Encoding", "gzip"));
    for server in [endless, packed] {
        let mut config = config(&server, start());
        config["http"]["max_response_bytes"] = json!(1 << 20);
        let run = whole::<Graph>(&config);
        assert_eq!(run.kind(), ErrorKind::ResourceExhausted);
        assert!(run.error().contains("max_response_bytes"), "{}", run.error());
        assert_eq!(server.count(), 2);
    }
}

#[test]
fn pages_that_make_no_sense_are_an_error_that_names_them() {
    for body in [
        "",
        "{",
        "[]",
        "{\"value\":7}",
        "<html>sign in</html>",
        "{\"value\":[}",
        "\u{FEFF}{}",
        "{\"value\":[1],\"@odata.nextLink\":5}",
    ] {
        let server = tenant(move |_| Reply::ok(body));
        let run = whole::<Graph>(&config(&server, start()));
        assert_eq!(run.kind(), ErrorKind::BadData, "{body}");
        assert!(
            run.error().contains("/v1.0/auditLogs/signIns?...") && run.error().contains("status 200"),
            "{}",
            run.error()
        );
        assert_eq!(server.count(), 4, "{body}");
    }
}

#[test]
fn records_that_make_no_sense_are_rejects() {
    let body = format!(
        "{{\"value\":[1,{{}},{{\"id\":7,\"n\":\"a\"}},{{\"id\":{{}},\"createdDateTime\":[]}},null,{{\"n\":\"b\",\"id\":\"b\",\"createdDateTime\":\"{}\"}}]}}",
        time(now() - 700)
    );
    let server = tenant(move |_| Reply::ok(body.clone()));
    let run = whole::<Graph>(&config(&server, start()));
    assert_eq!(run.end.map_err(|error| error.to_string()), Ok(()));
    assert_eq!(run.ids, ["a", "b"]);
    assert_eq!(run.host.counted("records_read"), 6);
    assert_eq!(run.host.rejects.lock().unwrap().len(), 4);
}

#[test]
fn text_that_is_no_utf8_does_not_end_the_page() {
    let mut body = format!(
        "{{\"value\":[{{\"id\":\"b\",\"n\":\"b\",\"createdDateTime\":\"{}\",\"x\":\"",
        time(now() - 700)
    )
    .into_bytes();
    body.extend_from_slice(b"\xFF\xFE\"}]}");
    let server = tenant(move |_| Reply::ok(body.clone()));
    assert_eq!(whole::<Graph>(&config(&server, start())).ids, ["b"]);
}

#[test]
fn half_answers_that_never_get_whole_end_in_an_error() {
    for manner in [Manner::Half, Manner::Silent] {
        let server = tenant(move |_| page("").manner(manner));
        let mut config = config(&server, start());
        config["http"]["attempts"] = json!(4);
        let run = whole::<Graph>(&config);
        assert_eq!(run.kind(), ErrorKind::Io, "{manner:?}");
        assert!(run.error().contains("given up after 4 tries"), "{}", run.error());
        assert_eq!(server.count(), 5);
    }
}

/// How long it takes until a run ends that is cancelled while it waits.
fn time_to_cancel(config: &Value) -> Duration {
    let (mut source, host) = source::<Graph>(config);
    let (sender, receiver) = channel();
    let stream = source.open(None).unwrap();
    let reader = std::thread::spawn(move || {
        let last = stream.last();
        sender.send(Instant::now()).unwrap();
        last
    });
    std::thread::sleep(Duration::from_millis(300));
    let asked = Instant::now();
    host.cancelled.store(true, Ordering::SeqCst);
    let ended = receiver.recv_timeout(Duration::from_secs(10)).expect("it ends");
    let last = reader.join().unwrap().expect("an error at the end");
    assert_eq!(last.unwrap_err().kind(), ErrorKind::Cancelled);
    ended - asked
}

#[test]
fn whatever_it_waits_for_it_ends_within_a_second() {
    let stuck = tenant(|_| Reply::ok("").manner(Manner::Stuck));
    let drip = tenant(|_| Reply::ok(vec![b' '; 10_000]).manner(Manner::Drip));
    let busy = tenant(|_| Reply::new(503, "").header("Retry-After", "600"));
    let done = tenant(|_| Reply::ok(r#"{"value":[]}"#));
    for server in [stuck, drip, busy, done] {
        let mut config = config(&server, start());
        config["schedule"]["poll_seconds"] = json!(600);
        config["http"]["longest_wait_ms"] = json!(60_000);
        let took = time_to_cancel(&config);
        assert!(took < Duration::from_secs(1), "{took:?}");
    }
}

#[test]
fn while_it_waits_it_says_that_it_is_alive() {
    let server = tenant(|_| Reply::ok(r#"{"value":[]}"#));
    let mut config = config(&server, start());
    config["schedule"]["poll_seconds"] = json!(600);
    let (mut source, _) = source::<Graph>(&config);
    let mut stream = source.open(None).unwrap();
    let begun = Instant::now();
    for _ in 0..2 {
        assert_eq!(stream.next().unwrap().unwrap().num_rows(), 0);
    }
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert!(source.position().is_some());
    assert!(source.open(None).is_err());
}

#[test]
fn it_goes_on_asking_as_long_as_it_is_wanted() {
    let records = sign_ins(&[now() - 900]);
    let server = Tenant::new(&records).serve();
    let mut config = config(&server, start());
    config["schedule"]["poll_seconds"] = json!(1);
    let (mut source, _) = source::<Graph>(&config);
    let stream = source.open(None).unwrap();
    let mut rows = stream.map(|batch| batch.unwrap().num_rows()).filter(|rows| *rows > 0);
    assert_eq!(rows.next(), Some(1));
    records.lock().unwrap().push(("new".to_owned(), now() - 800));
    assert_eq!(rows.next(), Some(1));
}

/// A server that repeats everything it was told in every error.
fn parrot(status: u16) -> Server {
    Server::start(move |request| Reply::new(status, format!("{SECRET} {request:?} {}", request.body)))
}

#[test]
fn secrets_are_in_no_error_and_no_log() {
    let account = |server: &Server| json!({"tenant": "tenant-1", "client_id": "a", "client_secret": {"$secret": "key"}, "base_url": server.url, "login_url": server.url});
    for status in [400, 401, 403, 404, 503] {
        let server = parrot(status);
        let with = |account: Value| {
            let http = json!({"attempts": 2, "first_wait_ms": 1, "longest_wait_ms": 1, "interval_ms": 0});
            json!({"account": account, "start": time(start()), "http": http})
        };
        let bucket = json!({"bucket": "b", "region": "r", "accounts": ["1"], "regions": ["r"], "access_key_id": {"$secret": "id"},
                            "secret_access_key": {"$secret": "key"}, "session_token": {"$secret": "key"}, "endpoint": server.url});
        let duo = json!({"base_url": server.url, "integration_key": "DI", "secret_key": {"$secret": "key"}});
        for run in [
            whole::<Graph>(&with(account(&server))),
            whole::<Activity>(&with(account(&server))),
            whole::<Duo>(&with(duo)),
            whole::<CloudTrail>(&with(bucket)),
        ] {
            let told = format!("{} {}", run.error(), run.host.log_text());
            assert!(told.contains(&status.to_string()), "{told}");
            for secret in [SECRET, "s3cr3t", "s3cr3t%2FKey"] {
                assert!(!told.contains(secret), "{told}");
            }
        }
    }
    // Tokens are secrets too.
    let server = tenant(|request| Reply::new(403, format!("no: {}", request.header("authorization"))));
    let run = whole::<Graph>(&config(&server, start()));
    assert_eq!(run.kind(), ErrorKind::Permission);
    assert!(run.error().contains("no: Bearer ***") && !run.error().contains("token-0"), "{}", run.error());
}

#[test]
fn a_secret_that_is_not_there_is_named() {
    let server = tenant(|_| Reply::ok("{}"));
    let mut config = config(&server, start());
    config["account"]["client_secret"] = json!({"$secret": "absent"});
    let run = whole::<Graph>(&config);
    assert_eq!(run.kind(), ErrorKind::NotFound);
    assert!(run.error().contains("absent"));
}

#[test]
fn configurations_that_make_no_sense_are_refused_by_name() {
    let server = tenant(|_| Reply::ok("{}"));
    let good = config(&server, start());
    for (place, value, named) in [
        ("/start", json!("yesterday"), "start"),
        ("/account/base_url", json!("http://graph.example"), "not encrypted"),
        ("/account/login_url", json!("https://u:hunter2@login.example"), "login.example"),
        ("/account/client_secret", json!("in-the-clear"), "secret"),
        ("/schedule/page_size", json!(1001), "page_size"),
        ("/schedule/window_seconds", json!(0), "window_seconds"),
        ("/http/attempts", json!(0), "attempts"),
        ("/http/max_response_bytes", json!(1_u64 << 40), "max_response_bytes"),
    ] {
        let mut config = good.clone();
        let (group, member) = place.rsplit_once('/').unwrap();
        config.pointer_mut(group).unwrap()[member] = value;
        let error = create_error::<Graph>(&config);
        assert!(
            error.contains(named) && !error.contains("hunter2") && !error.contains("in-the-clear"),
            "{error}"
        );
    }
    let mut config = good.clone();
    config["decode"] = json!({"inputs": ["x"]});
    assert!(create_error::<Graph>(&config).contains("decode.inputs"));
    config["decode"] = json!({"columns": ["x"]});
    assert!(create_error::<Graph>(&config).contains("decode.columns"));
    config["colour"] = json!(1);
    assert!(create_error::<Graph>(&config).contains("colour"));
}
