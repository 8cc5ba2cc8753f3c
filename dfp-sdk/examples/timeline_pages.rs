//! Writes timelines of made-up sessions into a directory, one page a file: what the browser tests open, and a look at what
//! the SDK makes.
//!
//!     cargo run -p dfp-sdk --example timeline_pages -- DIRECTORY

use std::fs::{File, create_dir_all};
use std::path::PathBuf;
use std::sync::Arc;

use arrow_array::builder::{ListBuilder, StringBuilder};
use arrow_array::{ArrayRef, Float64Array, RecordBatch, StringArray, TimestampMillisecondArray, UInt32Array};
use dfp_sdk::timeline::{Timeline, TimelineOptions};

/// Monday, 2 March 2026, 00:00 UTC, and an hour; in milliseconds.
const START: i64 = 1_772_409_600_000;
const HOUR: i64 = 3_600_000;

struct Session {
    time: i64,
    score: Option<f64>,
    window: Vec<String>,
    user: String,
    address: Option<String>,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory = PathBuf::from(std::env::args().nth(1).ok_or("which directory?")?);
    create_dir_all(&directory)?;
    let linear: Vec<_> =
        sessions(60).into_iter().map(|s| Session { score: Some(-s.time as f64 / 1e12), ..s }).collect();
    let pages: [(&str, Vec<Session>, Option<f64>); 9] = [
        ("sessions", sessions(400), None),
        ("bound", sessions(400), Some(0.001)),
        ("many", sessions(75_000), None),
        ("hostile", hostile(), None),
        ("one", vec![session(START + 1, 2.1e-5, &["New-Mailbox", "Set-Mailbox"])], None),
        (
            "moment",
            [1e-4, 1e-4, 1e-4, 2e-4, 5e-4].map(|score| session(START, score, &["New-App"])).into(),
            None,
        ),
        ("zero", [0.0, 1e-9, 0.5].map(|score| session(START, score, &["New-App"])).into(), None),
        ("negative", linear, None),
        ("nothing", sessions(400), Some(1e-30)),
    ];
    for (name, sessions, bound) in pages {
        let mut options = TimelineOptions::new("first", "rarest_window3_likelihood", "rarest_window3");
        options.source_columns = ["user", "address", "number_events"].map(str::to_owned).into();
        options.upper_bound = bound;
        options.title = match name {
            "hostile" => HOSTILE.into(),
            _ => "Exchange sessions".into(),
        };
        let timeline = Timeline::new([&batch(&sessions)?], &options)?;
        timeline.write_html(File::create(directory.join(format!("{name}.html")))?)?;
        println!("{name}: {}", timeline.summary());
    }
    Ok(())
}

fn session(time: i64, score: f64, window: &[&str]) -> Session {
    Session {
        time,
        score: Some(score),
        window: window.iter().map(|&event| event.into()).collect(),
        user: "amara.lind@tarnbridge.example".into(),
        address: Some("198.51.100.17".into()),
    }
}

/// Sessions over some weeks in which most windows are common, some are not, and a third is too short for a score.
fn sessions(count: u64) -> Vec<Session> {
    const COMMON: [&str; 4] =
        ["Set-Mailbox", "Set-ConditionalAccessPolicy", "Add-MailboxPermission", "Get-Mailbox"];
    const RARE: [&str; 5] = [
        "New-InboxRule(ForwardTo=drop@example.net, Name=.)",
        "Set-TransportRule(Enabled=False)",
        "New-App",
        "Remove-MailboxPermission",
        "Set-AdminAuditLogConfig(UnifiedAuditLogIngestionEnabled=False)",
    ];
    let mut random = Random(count);
    let mut times: Vec<i64> = (0..count).map(|_| START + working_hour(&mut random)).collect();
    times.sort_unstable();
    times
        .into_iter()
        .map(|time| {
            let rare = random.below(40) == 0;
            let exponent = if rare { 3.0 + random.part() * 4.0 } else { 0.8 + random.part().powi(3) * 1.9 };
            // Commands are few, and so are the likelihoods of what is common.
            let score =
                if rare { 10f64.powf(-exponent) } else { 10f64.powf(-(exponent * 12.0).round() / 12.0) };
            let mut pick = |from: &[&str]| from[random.below(from.len() as u64) as usize].to_owned();
            let window = vec![pick(&COMMON), pick(if rare { &RARE } else { &COMMON }), pick(&COMMON)];
            let user = random.below(40);
            Session {
                time,
                score: (random.below(3) > 0).then_some(score),
                window,
                user: format!("user{user:02}@tarnbridge.example"),
                address: (random.below(5) > 0).then(|| format!("198.51.100.{}", user + 10)),
            }
        })
        .collect()
}

/// A time in six weeks, most often between 7 and 19 o'clock from Monday to Friday.
fn working_hour(random: &mut Random) -> i64 {
    let (day, often) = (random.below(42) as i64, random.below(12) > 0);
    let day = if often && day % 7 > 4 { day - 2 } else { day };
    let hour = if often { 7.0 + 12.0 * random.part().midpoint(random.part()) } else { 24.0 * random.part() };
    day * 24 * HOUR + (hour * HOUR as f64) as i64
}

const HOSTILE: &str =
    "</title></script><script>document.body.dataset.run=1</script><img src=x onerror=alert(1)>";

fn hostile() -> Vec<Session> {
    let texts = [
        HOSTILE,
        "</script><!--<script>",
        "\u{2028}line\u{2029}line",
        "\u{202e}exe.gpj",
        "{{constructor.constructor('alert(1)')()}}",
        "=cmd|' /C calc'!A0",
        "\u{0}\u{1b}[31m\t\"quoted\"\\",
        "<svg/onload=document.body.dataset.run=1>",
        "<a href=\"https://example.net/leak\">click</a>",
    ];
    let sessions = texts.iter().enumerate().map(|(n, &text)| Session {
        user: text.into(),
        address: Some(text.into()),
        ..session(START + n as i64 * HOUR, 0.1 / (n + 1) as f64, &[text, text])
    });
    sessions.collect()
}

fn batch(sessions: &[Session]) -> Result<RecordBatch, arrow_schema::ArrowError> {
    let mut windows = ListBuilder::new(StringBuilder::new());
    for session in sessions {
        windows.append_value(session.window.iter().map(Some));
    }
    let texts = |of: &dyn Fn(&Session) -> Option<&str>| -> ArrayRef {
        Arc::new(sessions.iter().map(of).collect::<StringArray>())
    };
    let times = sessions.iter().map(|session| session.time);
    let lengths = sessions.iter().map(|session| session.window.len() as u32);
    RecordBatch::try_from_iter([
        ("first", Arc::new(TimestampMillisecondArray::from_iter_values(times)) as ArrayRef),
        ("user", texts(&|session| Some(&session.user))),
        ("address", texts(&|session| session.address.as_deref())),
        ("number_events", Arc::new(UInt32Array::from_iter_values(lengths))),
        (
            "rarest_window3_likelihood",
            Arc::new(sessions.iter().map(|session| session.score).collect::<Float64Array>()),
        ),
        ("rarest_window3", Arc::new(windows.finish())),
    ])
}

/// A small generator of numbers that look random (`SplitMix64`), the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// From 0 up to, but not, 1.
    fn part(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}
