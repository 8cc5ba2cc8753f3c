//! The profiles that source plugins ship: valid, and asking for columns the source has.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow_array::{Array, RecordBatch};
use dfp_host::{LocalHost, Plugins};
use dfp_plugin::{LinkedComponent, linked_source};
use dfp_prep::Profile;
use dfp_prep::commands::EventKind;

/// Every source, its profiles, and files that fill the columns of all of them.
fn sources() -> Vec<(LinkedComponent, Vec<&'static str>, Vec<String>)> {
    let samples = |folder: &str, files: &[&str]| {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/samples");
        files.iter().map(|file| format!("{root}/{folder}/{file}")).collect()
    };
    let (azure_ad, cloudtrail) =
        (linked_source::<dfp_azure_ad::AzureAd>(), linked_source::<dfp_cloudtrail::CloudTrail>());
    let (duo, exchange) = (linked_source::<dfp_duo::Duo>(), linked_source::<dfp_exchange::Exchange>());
    vec![
        (
            azure_ad,
            vec![azure_ad.profile, dfp_azure_ad::MORPHEUS_PROFILE],
            samples("azure_ad", &["diagnostic.jsonl", "records.json", "portal.csv"]),
        ),
        (
            cloudtrail,
            vec![cloudtrail.profile, dfp_cloudtrail::MORPHEUS_PROFILE],
            samples("cloudtrail", &["trail.json"]),
        ),
        (duo, vec![duo.profile, dfp_duo::MORPHEUS_PROFILE], samples("duo", &["collected.jsonl.gz"])),
        (exchange, vec![exchange.profile], samples("exchange", &["content.json"])),
    ]
}

/// The first batch of a source.
fn batch(source: LinkedComponent, inputs: &[String], columns: &[String]) -> RecordBatch {
    let config = serde_json::json!({"inputs": inputs, "columns": columns, "missing": []}).to_string();
    let plugins = Plugins::new().link(source);
    let mut source = plugins.source(source.id, &config, Arc::new(LocalHost::new())).unwrap();
    source.open(None).unwrap().next().unwrap().unwrap()
}

fn check_filled(batch: &RecordBatch, columns: &[String]) {
    for column in columns {
        let array = batch.column_by_name(column).unwrap_or_else(|| panic!("{column} is missing"));
        assert!(array.null_count() < array.len(), "{column} is null in every sample: misspelt?");
    }
}

#[test]
fn profiles_ask_for_fields_the_samples_fill() {
    for (source, profiles, inputs) in sources() {
        for profile in profiles {
            let profile = Profile::from_toml(profile).unwrap();
            profile.validate().unwrap();
            let columns = profile.raw_columns();
            check_filled(&batch(source, &inputs, &columns), &columns);
            for kind in [EventKind::Commands, EventKind::Values] {
                let Some(mut sessions) = profile.sessions.clone() else { continue };
                sessions.event.kind = kind;
                let columns = sessions.raw_columns();
                check_filled(&batch(source, &inputs, &columns), &columns);
            }
        }
    }
}

/// `docs/ocsf.md` has a table for each source, whose last column names the source's columns in back quotes.
#[test]
fn the_ocsf_tables_name_columns_the_samples_fill() {
    let page = include_str!("../../docs/ocsf.md");
    for (source, _, inputs) in sources() {
        let heading = format!("## {}\n", source.id);
        let section = page.split_once(&heading).unwrap_or_else(|| panic!("no {heading}")).1;
        let section = section.split("\n## ").next().unwrap();
        let rows = section.lines().filter(|line| line.starts_with('|')).skip(2);
        let columns = rows.flat_map(|row| {
            let last = row.trim_end_matches(['|', ' ']).rsplit('|').next().unwrap();
            last.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>()
        });
        let columns: BTreeSet<String> = columns.collect();
        assert!(columns.len() > 10, "the table of {} was not read", source.id);
        let columns: Vec<String> = columns.into_iter().collect();
        check_filled(&batch(source, &inputs, &columns), &columns);
    }
}

#[test]
fn the_reference_profiles_have_their_features_in_order() {
    let azure_ad = [
        "appDisplayName",
        "clientAppUsed",
        "deviceDetailbrowser",
        "deviceDetaildisplayName",
        "deviceDetailoperatingSystem",
        "statusfailureReason",
        "appincrement",
        "locincrement",
        "logcount",
    ];
    let duo = [
        "accessdevicebrowser",
        "accessdeviceos",
        "authdevicename",
        "reason",
        "result",
        "locincrement",
        "logcount",
    ];
    for (profile, features) in
        [(dfp_azure_ad::MORPHEUS_PROFILE, &azure_ad[..]), (dfp_duo::MORPHEUS_PROFILE, &duo)]
    {
        assert_eq!(Profile::from_toml(profile).unwrap().features, features);
    }
}
