//! What the source plugins for audit logs share. One kind of log is a [`Log`]: a table of fields, a few lists of keys and
//! two functions. [`LogSource`] makes a source of it.
//!
//! Records are found in whatever was put round them, told by content and never by file name:
//!
//! * one object a line, arrays, an object laid out over many lines, and any mix of these;
//! * envelopes, objects that hold the records in an array: [`ENVELOPES`], also inside arrays or one a line;
//! * wrappers, members whose value (an object, or a string that holds one) is the record: [`WRAPPERS`] and the log's own;
//! * texts of base64 that hold any of these in gzip, as CloudWatch Logs, Kinesis and Firehose hand them on;
//! * tables: CSV with known headings (commas, semicolons or tabs; `#TYPE` and `sep=` lines), and JSON tables of `columns` and `rows`;
//! * UTF-8 with or without byte-order mark, UTF-16 of either order with or without one.
//!
//! Whatever the envelope, columns bear the log's own dotted paths. Before them stand:
//!
//! * `_record_id`, the record's own id; null if it has none.
//! * `_origin`, `INPUT:LINE:COLUMN`: line and byte column, from 1, of the record's first byte, decompressed and in UTF-8;
//!   of records packed in a text, of the object with the text.
//! * `_time`, the first of the log's time fields that can be read. No zone means UTC; bare numbers are seconds,
//!   milliseconds, microseconds or nanoseconds since 1970, by their size. Slash dates (`4/28/2021, 2:08:45 PM`) have one
//!   order for a whole input: day first if any first number in it exceeds 12, else month first. To find out, an input
//!   with such dates is read twice.
//! * [`OUTCOME`], `success` or `failure`, in one spelling for all logs; null where the record does not say.
//!
//! **Missing values.** An absent field, a null, an empty CSV cell and every text listed as `missing` in the configuration
//! ([`MISSING`] by default) are null. Other placeholders, `unknown` and `none` among them, are values: in some logs they
//! are what was observed.
//!
//! Memory is one record (`max_record_bytes`) and one batch, however long the input. What is checked of a record: see the
//! scanner's notes in `scan.rs`. In short, all of it is held to the JSON grammar, whether wanted or not.
#![forbid(unsafe_code)]

mod columns;
mod config;
mod csv;
mod encoding;
mod envelope;
mod log;
mod loose;
mod missing;
mod packed;
mod record;
mod scan;
mod source;
mod text;
mod time;
mod window;

pub use columns::OUTCOME;
pub use config::{Config, Unreadable};
pub use log::{Described, ENVELOPES, Field, Flat, Log, Type, WRAPPERS, bulky, field};
pub use missing::MISSING;
pub use record::Seen;
pub use source::{FILES_UNREADABLE, INVALID_UTF8, LogSource};
