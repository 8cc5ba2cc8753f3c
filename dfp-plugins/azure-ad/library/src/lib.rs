//! The plugin library `libdfp_azure_ad.so`.
#![forbid(unsafe_code)]

dfp_plugin::export_plugin! {
    id: "dfp.azure-ad",
    vendor: "dfp",
    version: env!("CARGO_PKG_VERSION"),
    licence: env!("CARGO_PKG_LICENSE"),
    sources: [source::AzureAd],
}
