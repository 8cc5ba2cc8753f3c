//! The plugin library `libdfp_exchange.so`.
#![forbid(unsafe_code)]

dfp_plugin::export_plugin! {
    id: "dfp.exchange",
    vendor: "dfp",
    version: env!("CARGO_PKG_VERSION"),
    licence: env!("CARGO_PKG_LICENSE"),
    sources: [source::Exchange],
}
