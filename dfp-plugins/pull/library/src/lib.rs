//! The plugin library `libdfp_pull.so`.
#![forbid(unsafe_code)]

dfp_plugin::export_plugin! {
    id: "dfp.pull",
    vendor: "dfp",
    version: env!("CARGO_PKG_VERSION"),
    licence: env!("CARGO_PKG_LICENSE"),
    sources: [sources::AzureAdGraph, sources::DuoAdminApi, sources::CloudTrailS3, sources::M365Activity],
}
