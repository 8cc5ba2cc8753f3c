//! The profiles that source plugins ship: valid, and asking for columns the source has.

use std::sync::Arc;

use arrow_array::Array;
use dfp_core::Source as _;
use dfp_host::LocalHost;
use dfp_prep::Profile;

#[test]
fn azure_profiles_ask_for_fields_the_samples_fill() {
    let plugin = dfp_plugin::linked_source::<dfp_azure_ad::AzureAd>();
    let own = Profile::from_toml(plugin.profile).unwrap();
    let morpheus = Profile::from_toml(dfp_azure_ad::MORPHEUS_PROFILE).unwrap();
    let samples = concat!(env!("CARGO_MANIFEST_DIR"), "/samples/azure_ad");
    for profile in [own, morpheus] {
        profile.validate().unwrap();
        let columns = profile.raw_columns();
        let inputs = [format!("{samples}/diagnostic.jsonl"), format!("{samples}/records.json")];
        let config = serde_json::json!({"inputs": inputs, "columns": columns, "missing": []}).to_string();
        let mut source =
            dfp_plugin::create::<dfp_azure_ad::AzureAd>(&config, Arc::new(LocalHost::new())).unwrap();
        let batch = source.open(None).unwrap().next().unwrap().unwrap();
        for column in columns {
            let array = batch.column_by_name(&column).unwrap_or_else(|| panic!("{column} is missing"));
            assert!(array.null_count() < array.len(), "{column} is null in every sample: misspelt?");
        }
    }
}

#[test]
fn the_reference_profile_has_its_features_in_order() {
    let morpheus = Profile::from_toml(dfp_azure_ad::MORPHEUS_PROFILE).unwrap();
    let reference = [
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
    assert_eq!(morpheus.features, reference);
}
