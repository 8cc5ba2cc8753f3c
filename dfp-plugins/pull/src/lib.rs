//! Sources that pull logs from the vendors' own interfaces. Opt-in: nothing else of dfp speaks with networks.
//!
//! | source | pulls |
//! |---|---|
//! | `azure-ad-graph` | Microsoft Graph, `auditLogs/signIns` |
//! | `duo-admin-api` | Duo Admin API, `/admin/v2/logs/authentication` |
//! | `cloudtrail-s3` | a trail's bucket, by listing |
//! | `m365-activity` | Microsoft 365 Management Activity API |
//!
//! A [`Vendor`] asks, in a thread of its own; what it fetches is decoded by the source that reads files of the same kind, so
//! columns, counts and rejects are the same. How to configure each: `docs/pull.md`.
//!
//! **Position.** After each batch the position is a small JSON text: per stream, up to when everything is settled, the page
//! that comes next, and the ids lately delivered. A pull that goes on from it repeats nothing and leaves nothing out,
//! whenever it was interrupted.
//!
//! **Time.** Each pass asks from where the last one was settled up to the present less the lag, in windows. What is younger
//! than the overlap is asked for again by the next pass, and records already delivered are known by their ids. Age is
//! measured by the slower of both clocks, the server's being known from its answers.
#![forbid(unsafe_code)]

/// The JSON Schema of a source: what the account needs, and what is common to all.
macro_rules! schema {
    ($account:literal) => {
        concat!(
            r#"{"type": "object", "required": ["account", "start"], "additionalProperties": false, "properties": {"account": "#,
            include_str!($account),
            r#", "start": {"type": "string", "minLength": 10}, "columns": {"type": "array", "items": {"type": "string"}}, "decode": {"type": "object"}, "schedule": "#,
            include_str!("../schema/schedule.json"),
            r#", "http": "#,
            include_str!("../schema/http.json"),
            "}}"
        )
    };
}
use schema;

mod activity;
mod cloudtrail;
mod config;
mod duo;
mod graph;
mod http;
mod oauth;
mod pages;
mod recent;
mod sign;
mod state;
mod stream;
mod url;

pub use activity::{Activity, ActivityAccount};
pub use cloudtrail::{CloudTrail, TrailAccount};
pub use config::{Config, Http, Schedule, SecretRef};
pub use duo::{Duo, DuoAccount};
pub use graph::{Api, Graph, GraphAccount};
pub use http::{REQUESTS, RETRIES};
pub use pages::REPEATED;
pub use stream::{GONE, Pull, Vendor};

/// Sign-ins of Azure AD (Entra ID) from Microsoft Graph.
pub type AzureAdGraph = Pull<Graph, dfp_azure_ad::AzureAd>;
/// Duo authentications from the Admin API.
pub type DuoAdminApi = Pull<Duo, dfp_duo::Duo>;
/// AWS `CloudTrail` events from their bucket.
pub type CloudTrailS3 = Pull<CloudTrail, dfp_cloudtrail::CloudTrail>;
/// Exchange and the rest of the Microsoft 365 audit log from the Management Activity API.
pub type M365Activity = Pull<Activity, dfp_exchange::Exchange>;
