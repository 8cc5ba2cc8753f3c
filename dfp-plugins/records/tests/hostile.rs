//! Damaged, huge and odd inputs: nothing panics, hangs or grows, nothing is lost in silence, and reading goes on behind
//! whatever cannot be used.

use std::io::Read;
use std::sync::Arc;

use dfp_plugin::arrow_array::cast::AsArray;
use dfp_plugin::{Component, ErrorKind, RECORDS_READ, Result, Source, reason, serde_json};
use dfp_records::{Config, Described, Flat, Log, LogSource, Type, field};
use dfp_records_testing::{MemoryHost, Run, Steps, config, host};

/// A small log with something of everything.
enum Events {}

impl Described for Events {
    const LOG: &'static Log = &Log {
        id: "events",
        fields: &[
            field("time", Type::Text, &["TimeGenerated"]),
            field("category", Type::Text, &[]),
            field("properties.id", Type::Text, &[]),
            field("properties.userAgent", Type::Text, &[]),
        ],
        times: &["time"],
        record_id: "properties.id",
        flat: Some(Flat { prefix: "properties.", unless: &["properties", "time"] }),
        watched: &["category"],
        belongs: |seen| !seen.is(0, &["AuditLogs"]),
        ..Log::PLAIN
    };
}

fn run(host: MemoryHost, config: Config) -> Run {
    dfp_records_testing::run::<Events>(host, config)
}

fn decode(bytes: &[u8]) -> Run {
    dfp_records_testing::decode::<Events>(bytes)
}

/// A small good record.
fn good(id: &str) -> String {
    format!(r#"{{"time":"2024-03-05T08:00:00Z","category":"SignInLogs","properties":{{"id":"{id}"}}}}"#)
}

fn ids(run: &Run) -> Vec<&str> {
    run.column("_record_id")
}

#[test]
fn each_bad_line_is_one_reject_at_its_place() {
    let cases: [(&str, &str); 14] = [
        ("{time:\"2024-03-05T08:00:00Z\"}", reason::MALFORMED),
        ("{'time':'2024-03-05T08:00:00Z'}", reason::MALFORMED),
        ("{\"time\":\"2024-03-05T08:00:00Z\",\"x\":NaN}", reason::MALFORMED),
        ("{\"time\":\"2024-03-05T08:00:00Z\",\"x\":[-Infinity]}", reason::MALFORMED),
        ("{\"time\":\"2024-03-05T08:0", reason::MALFORMED),
        ("{\"time\":\"2024-03-05T08:00:00Z\",\"x\":{", reason::MALFORMED),
        ("\0\0\0\0", reason::MALFORMED),
        ("so much for JSON", reason::MALFORMED),
        ("17", reason::NOT_A_RECORD),
        ("\"text\"", reason::NOT_A_RECORD),
        ("{}", reason::NO_TIME),
        ("{\"time\":\"0001-01-01T00:00:00Z\"}", reason::TIME_OUT_OF_RANGE),
        ("{\"time\":\"2024-03-05T08:00:00Z\",\"category\":\"AuditLogs\"}", reason::OTHER_CATEGORY),
        ("{\"records\":[{\"time\":1}", reason::NO_TIME),
    ];
    for (bad, expected) in cases {
        let text = format!("{}\n{bad}\n{}\n", good("a"), good("b"));
        let run = decode(text.as_bytes());
        assert_eq!(ids(&run), ["a", "b"], "{bad}");
        assert_eq!(run.reasons()[0], expected, "{bad}");
        assert_eq!(run.rejects[0].origin.split(':').nth(1), Some("2"), "{bad}");
        // An envelope that its line leaves open is a fault of its own.
        assert_eq!(run.rejects.len(), 1 + usize::from(bad.starts_with("{\"records")), "{bad}");
    }
}

#[test]
fn a_bad_first_line_costs_itself_only() {
    for bad in ["{bad}", "{\"time\":\"2024", "nonsense", "{\"a\":\"}"] {
        let text = format!("{bad}\n{}\n{}\n", good("a"), good("b"));
        let run = decode(text.as_bytes());
        assert_eq!(ids(&run), ["a", "b"], "{bad}");
        assert_eq!(run.reasons(), [reason::MALFORMED], "{bad}");
    }
}

#[test]
fn bad_elements_of_an_array_cost_themselves_only() {
    let bad = [
        "{time:1}",
        "{\"time\":NaN,\"deep\":[{},[1,2]]}",
        "{\"time\":\"2024-03-05T08:00:00Z\" \"b\":1}",
        "null",
        "{\"time\":\"lost quote},{\"time\":1}",
        "garbage",
    ];
    for bad in bad {
        for (open, between, close) in [("[", ",", "]"), ("{\"records\":[\n", ",\n", "\n]}\n")] {
            let text = format!("{open}{}{between}{bad}{between}{}{close}", good("a"), good("b"));
            let run = decode(text.as_bytes());
            assert_eq!(ids(&run), ["a", "b"], "{text}");
            assert!(!run.rejects.is_empty(), "{text}");
        }
    }
}

#[test]
fn a_cut_input_yields_what_came_before_and_one_reject() {
    let whole = [
        format!("[{},{}]", good("a"), good("b")),
        format!("{{\"value\":[{}, {}]}}", good("a"), good("b")),
        format!("[{{\"records\":[{}]}},{{\"records\":[{}]}}]", good("a"), good("b")),
    ];
    for text in whole {
        let after_first = text.find(&good("a")).unwrap() + good("a").len();
        let after_second = text.find(&good("b")).unwrap() + good("b").len();
        for cut in 1..text.len() {
            let run = decode(&text.as_bytes()[..cut]);
            let rows = usize::from(cut >= after_first) + usize::from(cut >= after_second);
            assert_eq!(run.rows.len(), rows, "{}", &text[..cut]);
            assert_eq!(run.reasons(), [reason::TRUNCATED], "{}", &text[..cut]);
        }
    }
    let lines = format!("{}\n{}", good("a"), good("b"));
    let run = decode(&lines.as_bytes()[..lines.len() - 1]);
    assert_eq!((ids(&run), run.reasons()), (vec!["a"], vec![reason::TRUNCATED]));
}

#[test]
fn a_broken_transport_is_a_cut_and_a_broken_disk_is_an_error() {
    let text: Arc<[u8]> = format!("{}\n{}\n{}", good("a"), good("b"), &good("c")[..20]).into_bytes().into();
    let failing = |kind| {
        let mut host = host(b"", 1);
        let bytes = text.clone();
        let open = move || -> Result<Box<dyn Read + Send>> {
            Ok(Box::new(Steps { bytes: bytes.clone(), at: 0, step: 7, end: Some(kind) }))
        };
        host.inputs.insert("x".to_owned(), Box::new(open));
        host
    };
    for kind in [std::io::ErrorKind::UnexpectedEof, std::io::ErrorKind::InvalidData] {
        let run = run(failing(kind), config(""));
        assert_eq!((ids(&run), run.reasons()), (vec!["a", "b"], vec![reason::TRUNCATED]));
    }
    let broken = run(failing(std::io::ErrorKind::PermissionDenied), config(""));
    let error = broken.error.expect("the run ends");
    assert_eq!(error.kind(), ErrorKind::Permission);
    assert!(error.to_string().contains("reading x"), "{error}");
    let skipped = run(failing(std::io::ErrorKind::PermissionDenied), config(r#","unreadable":"skip""#));
    assert_eq!(ids(&skipped), ["a", "b"]);
    assert_eq!(skipped.counters["files_unreadable"], 1);
}

#[test]
fn an_input_that_cannot_be_opened_is_named_or_skipped() {
    let two = |more: &str| serde_json::from_str(&format!("{{\"inputs\":[\"gone\",\"x\"]{more}}}")).unwrap();
    let text = good("a");
    let failed = run(host(text.as_bytes(), 64), two(""));
    assert!(failed.error.expect("the run ends").to_string().contains("gone"));
    let skipped = run(host(text.as_bytes(), 64), two(r#","unreadable":"skip""#));
    assert_eq!((ids(&skipped), skipped.counters["files_unreadable"]), (vec!["a"], 1));
}

/// `size` bytes of string, never in memory at once.
struct Endless {
    head: std::io::Cursor<Vec<u8>>,
    left: usize,
    tail: std::io::Cursor<Vec<u8>>,
}

impl Read for Endless {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let n = self.head.read(buffer)?;
        if n > 0 {
            return Ok(n);
        }
        let n = buffer.len().min(self.left);
        buffer[..n].fill(b'x');
        self.left -= n;
        if n > 0 { Ok(n) } else { self.tail.read(buffer) }
    }
}

#[test]
fn a_record_of_a_hundred_megabytes_is_passed_over() {
    const SIZE: usize = 100 << 20;
    let big = "{\"time\":\"2024-03-05T08:00:00Z\",\"text\":\"";
    let envelopes = [
        (format!("{}\n{big}", good("a")), format!("\"}}\n{}\n", good("b"))),
        (format!("[{},{big}", good("a")), format!("\"}},{}]", good("b"))),
        (format!("{{\"records\":[{},{big}", good("a")), format!("\"}},{}]}}\n", good("b"))),
        (
            format!("Id,TimeGenerated,UserAgent\na,2024-03-05T08:00:00Z,x\nn,2024-03-05T08:00:00Z,\"{}", ""),
            "\"\nb,2024-03-05T08:00:00Z,y\n".to_owned(),
        ),
    ];
    for (head, tail) in envelopes {
        let mut host = host(b"", 1);
        let (first, last) = (head.clone(), tail);
        let open = move || -> Result<Box<dyn Read + Send>> {
            let [head, tail] = [&first, &last].map(|text| std::io::Cursor::new(text.clone().into_bytes()));
            Ok(Box::new(Endless { head, left: SIZE, tail }))
        };
        host.inputs.insert("x".to_owned(), Box::new(open));
        let run = run(host, config(r#","max_record_bytes":1000000"#));
        assert_eq!(ids(&run), ["a", "b"], "{head}");
        assert_eq!(run.reasons(), [reason::OVERSIZED], "{head}");
        assert!(run.rejects[0].excerpt.as_ref().unwrap().len() <= 512);
    }
}

#[test]
fn the_record_limit_is_exact_however_the_bytes_come() {
    let text = format!("[{},{}]", good("a"), good("bb"));
    for (limit, expected) in [(good("bb").len(), vec!["a", "bb"]), (good("a").len(), vec!["a"])] {
        for step in [1, 50, 100_000] {
            let run = run(host(text.as_bytes(), step), config(&format!(",\"max_record_bytes\":{limit}")));
            assert_eq!(ids(&run), expected, "{limit} {step}");
        }
    }
}

#[test]
fn depth_is_limited() {
    let deep = |n: usize| {
        let (open, close) = ("[".repeat(n), "]".repeat(n));
        format!("{{\"time\":\"2024-03-05T08:00:00Z\",\"x\":{open}{close}}}")
    };
    for (text, read) in [
        (format!("{}\n{}\n{}\n", deep(7), deep(8), good("a")), 3),
        (format!("[{},{},{}]", deep(7), deep(100_000), good("a")), 3),
    ] {
        let run = run(host(text.as_bytes(), 4096), config(r#","max_depth":8"#));
        assert_eq!((run.read, run.reasons()), (read, vec![reason::TOO_DEEP]));
        assert_eq!(run.rows.len(), 2);
    }
    let run = decode("[".repeat(1_000_000).as_bytes());
    assert_eq!(run.rows.len(), 0);
    assert!(!run.rejects.is_empty());
}

#[test]
fn hostile_repetitions_take_no_longer_than_their_length() {
    let started = std::time::Instant::now();
    for unit in [
        "[{\"time\":\"",
        "{\"time\":[{\"a\":",
        "{\"a\":\"\\",
        "[[[[\n",
        "{\n",
        "{\"records\":[",
        "{\"records\":[{\"a\":1},]",
        "\"\n",
        ",{\"time\":1 2}",
        "}{",
    ] {
        let text = format!("[{{\"time\":1}},{}", unit.repeat((4 << 20) / unit.len()));
        decode(text.as_bytes());
        decode(&text.as_bytes()[14..]);
    }
    for unit in ["a,\"b\n", "\"\n", "\"\"\"\n", ",\n"] {
        let text = format!("Id,TimeGenerated\n{}", unit.repeat((4 << 20) / unit.len()));
        decode(text.as_bytes());
    }
    for unit in ["{\"message\":\"{", "{\"message\":{", "{\\\"message\\\":"] {
        let text = format!("{{\"_raw\":\"{}", unit.repeat((4 << 20) / unit.len()));
        decode(text.as_bytes());
        decode(format!("{text}\"}}").as_bytes());
    }
    assert!(started.elapsed().as_secs() < 120, "{:?}", started.elapsed());
}

#[test]
fn csv_rows_that_do_not_fit_cost_themselves_only() {
    let head = "Id,TimeGenerated [UTC],UserAgent\r\n";
    let row = |id: &str| format!("{id},2024-03-05T08:00:00Z,x\r\n");
    for bad in
        ["too,few\r\n", "one,2024-03-05T08:00:00Z,too,many\r\n", "n,2024-03-05T08:00:00Z,\"lost quote\r\n"]
    {
        let run = decode(format!("\u{feff}{head}{}{bad}{}{}", row("a"), row("b"), row("c")).as_bytes());
        assert_eq!(ids(&run), ["a", "b", "c"], "{bad}");
        assert_eq!(run.reasons(), [reason::MALFORMED], "{bad}");
        assert_eq!(run.rejects[0].origin, "x:3:1");
    }
    let run = decode(format!("{head}{}n,2024-03-05T08:00:00Z,\"cut in\n a cell", row("a")).as_bytes());
    assert_eq!((ids(&run), run.reasons()), (vec!["a"], vec![reason::TRUNCATED]));
}

#[test]
fn bytes_that_are_no_text_are_replaced_and_counted() {
    let mut text = good("caf").into_bytes();
    let at = text.windows(3).position(|window| window == b"caf").unwrap() + 3;
    text.splice(at..at, [0xE9, 0, 0xFF]);
    let run = decode(&text);
    assert_eq!(ids(&run), ["caf\u{fffd}\0\u{fffd}"]);
    // Once as the id, once as the column `properties.id`.
    assert_eq!(run.counters["invalid_utf8"], 4);
}

#[test]
fn date_order_holds_for_a_file_and_for_one_only() {
    let line = |time: &str| format!("{{\"time\":\"{time}\",\"category\":\"SignInLogs\"}}\n");
    let mut both = host(b"", 1);
    for (name, text) in [
        ("day", line("05/04/2025 09:00:00") + &line("21/04/2025 09:00:00")),
        ("month", line("05/04/2025 09:00:00") + &line("5/21/2025 9:00:00 AM")),
    ] {
        let bytes: Arc<[u8]> = text.into_bytes().into();
        let open = move || -> Result<Box<dyn Read + Send>> {
            Ok(Box::new(Steps { bytes: bytes.clone(), at: 0, step: 9, end: None }))
        };
        both.inputs.insert(name.to_owned(), Box::new(open));
    }
    let run = run(both, serde_json::from_str(r#"{"inputs":["day","month"]}"#).unwrap());
    let hour = 3_600_000_000_000_i64;
    let april_5 = 1_743_811_200_000_000_000 + 9 * hour;
    let expected = [0, 16, 29, 46].map(|days| (april_5 + days * 24 * hour).to_string());
    assert_eq!(run.column("_time"), expected);
}

#[test]
fn a_run_resumes_behind_the_batch_delivered_last() {
    let text = [good("a"), "bad".to_owned(), good("b"), good("c"), good("d")].join("\n");
    let mut both = host(text.as_bytes(), 64);
    let other: Arc<[u8]> = good("e").into_bytes().into();
    let open = move || -> Result<Box<dyn Read + Send>> {
        Ok(Box::new(Steps { bytes: other.clone(), at: 0, step: 9, end: None }))
    };
    both.inputs.insert("y".to_owned(), Box::new(open));
    let both = Arc::new(both);
    let source = |inputs: &str| {
        let config = serde_json::from_str(&format!("{{\"inputs\":{inputs},\"batch_rows\":2}}")).unwrap();
        LogSource::<Events>::create(config, both.clone()).unwrap()
    };
    let mut position = source(r#"["x","y"]"#).position();
    for expected in [["a", "b"], ["c", "d"], ["e", ""], ["", ""]] {
        let mut source = source(r#"["x","y"]"#);
        let batch = source.open(position.as_deref()).unwrap().next();
        let found: Vec<String> = batch.map_or_else(Vec::new, |batch| {
            let batch = batch.unwrap();
            let ids = batch.column_by_name("_record_id").unwrap().as_string::<i32>();
            ids.iter().map(|id| id.unwrap().to_owned()).collect()
        });
        assert_eq!(found, expected.into_iter().filter(|id| !id.is_empty()).collect::<Vec<_>>());
        position = source.position();
    }
    assert_eq!(both.rejects.lock().unwrap().len(), 1);
    assert_eq!(both.counters.lock().unwrap()[RECORDS_READ], 6);
    for token in
        [&b"junk"[..], br#"{"input":0,"name":"z","records":1}"#, br#"{"input":9,"name":"","records":1}"#]
    {
        let refused = source(r#"["x","y"]"#).open(Some(token)).err().expect("refused");
        assert_eq!(refused.kind(), ErrorKind::InvalidArgument);
    }
}

#[test]
fn csv_comes_with_any_separator_and_remarks_before_it() {
    let row = |separator: &str| {
        let cells = ["Id", "TimeGenerated [UTC]", "UserAgent"].join(separator);
        format!("{cells}\r\na{separator}9.1.2007 09:41{separator}\"x{separator}y\"\r\n")
    };
    for (text, agent) in [
        (row(","), "x,y"),
        (row(";"), "x;y"),
        (row("\t"), "x\ty"),
        (format!("sep=;\r\n{}", row(";")), "x;y"),
        (format!("\u{feff}#TYPE System.Data.DataRow\r\n{}", row(",")), "x,y"),
    ] {
        let run = decode(text.as_bytes());
        assert_eq!((ids(&run), run.column("properties.userAgent")), (vec!["a"], vec![agent]), "{text}");
    }
}

#[test]
fn cancelling_ends_the_stream_with_an_error() {
    let host = host(good("a").as_bytes(), 64);
    host.cancelled.store(true, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(run(host, config("")).error.expect("cancelled").kind(), ErrorKind::Cancelled);
}
