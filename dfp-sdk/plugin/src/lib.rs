//! Write a dfp plugin: implement [`SourcePlugin`], and you are done for programs that link it.

mod source;

pub use arrow_array;
pub use arrow_schema;
pub use dfp_abi::LinkedSource;
pub use dfp_core::{
    BatchStream, CancelToken, EVENT_TIME, Error, ErrorKind, Host, Level, MemoryStream, ORIGIN, RECORD_ID,
    RECORDS_READ, Reject, Result, Source, reason,
};
pub use serde_json;
pub use source::{SourcePlugin, create, linked};
