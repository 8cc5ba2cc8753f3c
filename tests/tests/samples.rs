//! Decodes every sample file that an `expected.json` lists, through its source plugin, and compares what comes out.
//!
//! Samples lie in folders named by source, each with an `expected.json`: the repository's own in `tests/samples`, and
//! those under `DFP_SAMPLES` (a colon list), else under `../shared/data` beside the repository if it is there.
//! In `expected.json`, keys are file names relative to it (those that begin with `_` are notes); the members compared:
//! `records`, `accepted`, `rejected`, `other_category`, `distinct_ids`, `no_id`, `entities`, `no_entity`,
//! `entities_by`, `first_time`, `last_time`, `alt_time`, `by_category` or its like. A file on which readers may well differ is
//! listed under `DEBATABLE` with what ours does.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, TimestampNanosecondType};
use arrow_array::{ArrayRef, RecordBatch};
use dfp_core::{EVENT_TIME, Host, RECORD_ID, reason};
use dfp_host::{LocalHost, Plugins};
use dfp_plugin::LinkedComponent;
use serde_json::Value;

/// A source whose samples we can decode.
struct Decoder {
    folder: &'static str,
    plugin: LinkedComponent,
    /// Columns that may name the entity, best first.
    entity: &'static [&'static str],
    /// More columns that `entities_by` may name.
    also: &'static [&'static str],
    /// The column named by `alt_time`.
    other_time: &'static str,
    /// The member of `expected.json` that counts records by a column, and the column.
    category: (&'static str, &'static str),
}

impl Decoder {
    /// Columns that may name an entity.
    fn entities(&self) -> impl Iterator<Item = &'static str> {
        self.entity.iter().chain(self.also).copied()
    }
}

static DECODERS: [Decoder; 4] = [AZURE_AD, CLOUDTRAIL, DUO, EXCHANGE];

const AZURE_AD: Decoder = Decoder {
    folder: "azure_ad",
    plugin: dfp_plugin::linked_source::<dfp_azure_ad::AzureAd>(),
    entity: &[
        "properties.userPrincipalName",
        "properties.userId",
        "properties.servicePrincipalName",
        "properties.servicePrincipalId",
        "identity",
    ],
    also: &[],
    other_time: "time",
    category: ("by_category", "category"),
};

const CLOUDTRAIL: Decoder = Decoder {
    folder: "cloudtrail",
    plugin: dfp_plugin::linked_source::<dfp_cloudtrail::CloudTrail>(),
    entity: &[
        "userIdentity.userName",
        "userIdentity.sessionContext.sessionIssuer.userName",
        "userIdentity.arn",
        "userIdentity.principalId",
        "userIdentity.invokedBy",
        "userIdentity.accountId",
    ],
    also: &[],
    other_time: "eventTime",
    category: ("by_event_type", "eventType"),
};

const DUO: Decoder = Decoder {
    folder: "duo",
    plugin: dfp_plugin::linked_source::<dfp_duo::Duo>(),
    entity: &["user.name"],
    also: &["user.key"],
    other_time: "timestamp",
    category: ("by_event_type", "event_type"),
};

const EXCHANGE: Decoder = Decoder {
    folder: "exchange",
    plugin: dfp_plugin::linked_source::<dfp_exchange::Exchange>(),
    entity: &["UserId"],
    also: &[],
    other_time: "Start_Time",
    category: ("by_workload", "Workload"),
};

/// Sample folders that belong to no source plugin.
const NO_SOURCE: [&str; 2] = ["deeplog", "loghub"];

/// Files on which readers may well differ, and what ours does.
const DEBATABLE: [(&str, &str); 12] = [
    (
        "azure_ad/diagnostic_ndjson/elastic_test-time-formats-corner-cases.log",
        "stubs of time and category are records without entity; slash dates read month first",
    ),
    (
        "azure_ad/diagnostic_ndjson/elastic_test-signinlogs-raw.log",
        "five records that share an id are five records: the source drops no repeats",
    ),
    (
        "azure_ad/diagnostic_ndjson/sekoia_signin.jsonl",
        "placeholder users are users; event time is createdDateTime",
    ),
    (
        "cloudtrail/single_events/sekoia_test_insight.json",
        "an insight event is a record without entity, so that one policy for those says what becomes of it",
    ),
    (
        "cloudtrail/single_events/sekoia_event_s3.json",
        "it shares its id with another event: the source drops no repeats",
    ),
    (
        "cloudtrail/sentinel_csv/AWSCloudTrail_excerpt.csv",
        "day first, because one row of the file can only be read so",
    ),
    (
        "duo/jsonl/elastic_test-auth.log",
        "an enrolment is a record; a txid repeats, and no repeats are dropped",
    ),
    ("duo/jsonl/sekoia_test_auth_log.jsonl", "an event of another file: the source drops no repeats"),
    (
        "exchange/invictus_ual_splunk_csv/auditrecords_before_cut.csv.gz",
        "the row whose AuditData is lost is rejected: what stands beside AuditData never counts",
    ),
    (
        "exchange/management_api_jsonl/sekoia_o365.jsonl",
        "alerts and investigations are records; an empty UserId is a record without entity",
    ),
    ("exchange/demo_exchange_data.csv", "rows without UserId are records without entity, and none has an id"),
    (
        "exchange/sentinel_officeactivity_csv/office_activity.csv",
        "event time is TimeGenerated, Start_Time only where that is absent",
    ),
];

/// Words that mean "nobody", compared trimmed and in any case.
const NOBODY: [&str; 7] = ["", "-", "unknown", "not available", "not_available", "nan", "none"];

#[test]
fn every_listed_sample_decodes_as_expected() {
    let mut files = 0;
    let mut faults = Vec::new();
    for root in roots() {
        for folder in folders(&root) {
            let name = folder.file_name().unwrap().to_str().unwrap().to_owned();
            if let Some(decoder) = DECODERS.iter().find(|decoder| decoder.folder == name) {
                let (seen, found) = check_folder(decoder, &folder);
                println!("{}: {seen} files", folder.display());
                files += seen;
                faults.extend(found);
            } else if !NO_SOURCE.contains(&name.as_str()) {
                faults.push(format!("{}: no source of that name", folder.display()));
            }
        }
    }
    println!("{files} sample files decoded");
    assert!(files > 0, "no samples at all: tests/samples should be in the repository");
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The folders that hold folders of samples.
fn roots() -> Vec<PathBuf> {
    let mut roots = vec![repository().join("tests/samples")];
    match std::env::var("DFP_SAMPLES") {
        Ok(list) => roots.extend(std::env::split_paths(&list)),
        Err(_) => roots.extend(Some(repository().join("../shared/data")).filter(|shared| shared.is_dir())),
    }
    roots
}

/// Folders in `root` with an `expected.json`, sorted.
fn folders(root: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(root).unwrap_or_else(|error| panic!("{}: {error}", root.display()));
    let mut folders: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    folders.retain(|folder| folder.join("expected.json").is_file());
    folders.sort();
    folders
}

/// Checks the files of one source; answers with their number and what was wrong.
fn check_folder(decoder: &'static Decoder, folder: &Path) -> (usize, Vec<String>) {
    let text = std::fs::read_to_string(folder.join("expected.json")).unwrap();
    let expected: BTreeMap<String, Value> = serde_json::from_str(&text).unwrap();
    let mut faults = Vec::new();
    let mut files = 0;
    for (file, expected) in expected.iter().filter(|(file, _)| !file.starts_with('_')) {
        files += 1;
        let full = format!("{}/{file}", decoder.folder);
        if let Some((_, why)) = DEBATABLE.iter().find(|(debatable, _)| *debatable == full) {
            println!("{full}: debatable: {why}");
        }
        let found = decode(decoder, &folder.join(file));
        faults.extend(compare(&found, expected).into_iter().map(|fault| format!("{full}: {fault}")));
    }
    (files, faults)
}

/// What one file decoded to.
struct Decoded {
    accepted: u64,
    rejected: u64,
    other_category: u64,
    batches: Vec<RecordBatch>,
    decoder: &'static Decoder,
}

fn decode(decoder: &'static Decoder, path: &Path) -> Decoded {
    let host = Arc::new(LocalHost::new());
    let columns: Vec<&str> = decoder.entities().chain([decoder.other_time, decoder.category.1]).collect();
    let config = serde_json::json!({"inputs": [path.to_str().unwrap()], "columns": columns}).to_string();
    let plugins = Plugins::new().link(decoder.plugin);
    let mut source = plugins.source(decoder.plugin.id, &config, host.clone() as Arc<dyn Host>).unwrap();
    let batches: Vec<RecordBatch> = source.open(None).unwrap().map(Result::unwrap).collect();
    let accepted = batches.iter().map(|batch| batch.num_rows() as u64).sum();
    let counts = host.counts(accepted);
    assert!(counts.balanced(), "{}: {counts:?}", path.display());
    let other_category = counts.rejected.get(reason::OTHER_CATEGORY).copied().unwrap_or(0);
    Decoded { accepted, rejected: counts.rejected_total() - other_category, other_category, batches, decoder }
}

impl Decoded {
    /// A column over all batches, as texts.
    fn texts(&self, column: &str) -> Vec<Option<String>> {
        let columns = self.batches.iter().map(|batch| batch.column_by_name(column).unwrap().clone());
        let texts = |array: ArrayRef| -> Vec<Option<String>> {
            match array.as_primitive_opt::<Int64Type>() {
                Some(numbers) => numbers.iter().map(|number| number.map(|n| n.to_string())).collect(),
                None => array.as_string::<i32>().iter().map(|text| text.map(str::to_owned)).collect(),
            }
        };
        columns.flat_map(texts).collect()
    }

    /// The entity of each row: the first of `columns` that names somebody.
    fn entities(&self, columns: &[&str]) -> Vec<Option<String>> {
        let mut entities = vec![None; self.accepted as usize];
        for column in columns {
            for (entity, text) in entities.iter_mut().zip(self.texts(column)) {
                let folded = text.map(|text| text.trim().to_lowercase());
                *entity = entity.take().or(folded.filter(|text| !NOBODY.contains(&text.as_str())));
            }
        }
        entities
    }

    fn times(&self) -> Vec<i64> {
        let columns = self.batches.iter().map(|batch| batch.column_by_name(EVENT_TIME).unwrap().clone());
        columns.flat_map(|array| array.as_primitive::<TimestampNanosecondType>().values().to_vec()).collect()
    }
}

/// Everything in which `found` is not as `expected`.
fn compare(found: &Decoded, expected: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    let mut same = |name: &str, is: Value, should: &Value| {
        if !should.is_null() && is != *should {
            faults.push(format!("{name} is {is}, should be {should}"));
        }
    };
    let (ids, no_id) = distinct(&found.texts(RECORD_ID));
    same("records", (found.accepted + found.rejected).into(), &expected["records"]);
    same("accepted", found.accepted.into(), &expected["accepted"]);
    same("rejected", found.rejected.into(), &expected["rejected"]);
    same("other_category", found.other_category.into(), &expected["other_category"]);
    same("distinct_ids", ids.into(), &expected["distinct_ids"]);
    same("no_id", no_id.into(), &expected["no_id"]);

    let (entities, no_entity) = distinct(&found.entities(found.decoder.entity));
    same("entities", entities.into(), &expected["entities"]);
    same("no_entity", no_entity.into(), &expected["no_entity"]);
    // `entities_by` has the counts for one column alone, named by the end of its path.
    for (by, expected) in expected["entities_by"].as_object().into_iter().flatten() {
        let name = by.trim_end_matches(" only");
        let Some(column) = found.decoder.entities().find(|column| column.ends_with(name)) else {
            continue;
        };
        let (entities, no_entity) = distinct(&found.entities(&[column]));
        same(&format!("entities by {name}"), entities.into(), &expected["entities"]);
        same(&format!("no_entity by {name}"), no_entity.into(), &expected["no_entity"]);
    }

    let times = found.times();
    same("first_time", times.iter().min().copied().into(), &nanos(&expected["first_time"]));
    same("last_time", times.iter().max().copied().into(), &nanos(&expected["last_time"]));
    let others = found.texts(found.decoder.other_time).into_iter().flatten();
    let others: Vec<String> = others.map(|text| iso(&text).unwrap_or(text)).collect();
    same("first of alt_time", others.iter().min().cloned().into(), &expected["alt_time"]["first"]);
    same("last of alt_time", others.iter().max().cloned().into(), &expected["alt_time"]["last"]);

    let mut categories = BTreeMap::<String, u64>::new();
    let (by_category, column) = found.decoder.category;
    for category in found.texts(column).into_iter().flatten() {
        *categories.entry(category).or_default() += 1;
    }
    let expected = Some(&expected[by_category]).filter(|by| by.get("no workload column").is_none());
    same(by_category, serde_json::json!(categories), expected.unwrap_or(&Value::Null));
    faults
}

/// How many different values there are, and how many rows without one.
fn distinct(values: &[Option<String>]) -> (usize, usize) {
    let some: BTreeSet<&String> = values.iter().flatten().collect();
    (some.len(), values.iter().filter(|value| value.is_none()).count())
}

/// `YYYY-MM-DDTHH:MM:SSZ` of seconds since 1970, counted month by month, or of `M/D/YYYY, H:MM:SS.000 AM`.
fn iso(text: &str) -> Option<String> {
    let at = |year, month, day, [hour, minute, second]: [i64; 3]| {
        format!("{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    };
    if let Ok(seconds) = text.parse::<i64>() {
        let mut day = seconds / 86_400;
        let all =
            (1970..).flat_map(|year| (1..).zip(months(year)).map(move |(month, days)| (year, month, days)));
        for (year, month, days) in all {
            if day < days {
                let clock = [seconds / 3600 % 24, seconds / 60 % 60, seconds % 60];
                return Some(at(year, month, day + 1, clock));
            }
            day -= days;
        }
    }
    let (date, clock) = text.split_once(", ")?;
    let (clock, half) = clock.split_once(".000 ")?;
    let numbers: Vec<i64> = date.split('/').chain(clock.split(':')).map(|n| n.parse().unwrap()).collect();
    let [month, day, year, hour, minute, second] = numbers[..] else { panic!("{text} is no time") };
    Some(at(year, month, day, [hour % 12 + if half == "PM" { 12 } else { 0 }, minute, second]))
}

/// The days of each month of a year.
fn months(year: i64) -> [i64; 12] {
    let leap = i64::from(year % 4 == 0 && (year % 100 != 0 || year % 400 == 0));
    [31, 28 + leap, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
}

/// Nanoseconds since 1970 of `YYYY-MM-DDTHH:MM:SS[.digits]Z`, counted day by day: slow, and unlike the plugin's way.
fn nanos(time: &Value) -> Value {
    let Some(text) = time.as_str() else { return Value::Null };
    let text = text.strip_suffix('Z').expect("expected times are UTC");
    let (text, fraction) = text.split_once('.').unwrap_or((text, ""));
    let numbers: Vec<i64> = text.split(['-', 'T', ':']).map(|number| number.parse().unwrap()).collect();
    let [year, month, day, hour, minute, second] = numbers[..] else { panic!("{text} is no time") };
    let days = (1970..year).flat_map(months).sum::<i64>()
        + months(year)[..month as usize - 1].iter().sum::<i64>()
        + day
        - 1;
    let seconds = ((days * 24 + hour) * 60 + minute) * 60 + second;
    (seconds * 1_000_000_000 + format!("{fraction:0<9}").parse::<i64>().unwrap()).into()
}
