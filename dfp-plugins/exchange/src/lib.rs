//! Source plugin: Exchange and Microsoft 365 unified audit logs, of every workload.
//!
//! Reads every envelope these records are known to travel in, told by content and never by file name: exports of
//! `Search-UnifiedAuditLog` and of Purview, content of the Management Activity API as arrays or lines, Sentinel's table
//! `OfficeActivity`, projections of a few of its columns, exports of a SIEM, answers of Graph's audit log queries. Whatever
//! the envelope, columns bear the names in the record itself, which exports hold in `AuditData`; what stands beside it
//! never counts. How records are found, and what `_origin`, `_time`, `_outcome` and missing values are: see
//! [`dfp_records`].
//!
//! * `_time` is `CreationTime`; in Sentinel's table, which lacks it, `TimeGenerated`, else `Start_Time`. A row whose
//!   `AuditData` is empty is rejected as `no-time`, one whose `AuditData` is cut as `malformed`.
//! * `_record_id` is `Id`, in Sentinel's table `OfficeId`.
//! * `_outcome` comes from the many words of `ResultStatus`; a partial success is a failure. A sign-in with a `LogonError`,
//!   or called `UserLoginFailed`, failed whatever its status says. Without a status the `ErrorNumber` decides.
//! * Lists of names and values are reachable by name: `ExtendedProperties.UserAgent`, `Parameters.Identity`; of
//!   `ModifiedProperties` the new value counts. `Parameters` itself is JSON text, or a plain text in records of the
//!   security centre.
//! * `ClientIP` is the client's address, also where the kind of record has it as `ClientIPAddress` or `ActorIpAddress`;
//!   ports and brackets stay. `UserAgent` likewise is taken from the extended properties of sign-ins.
//! * `RecordType`, `UserType` and `LogonType` are text: numbers in most envelopes, names in Sentinel's table.
#![forbid(unsafe_code)]

mod fields;

use dfp_records::{Described, Log, LogSource};

/// Reads Exchange and Microsoft 365 unified audit logs.
pub type Exchange = LogSource<Audit>;

/// The log that [`Exchange`] reads.
pub enum Audit {}

impl Described for Audit {
    const LOG: &'static Log = fields::AUDIT;
}
