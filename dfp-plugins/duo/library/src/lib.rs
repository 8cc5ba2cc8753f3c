//! The plugin library `libdfp_duo.so`.
#![forbid(unsafe_code)]

dfp_plugin::export_plugin! {
    id: "dfp.duo",
    vendor: "dfp",
    version: env!("CARGO_PKG_VERSION"),
    licence: env!("CARGO_PKG_LICENSE"),
    sources: [source::Duo],
}
