//! Sessions made, scored and shown.

use std::ffi::c_char;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use dfp_abi::c::{dfp_buf, dfp_error};
use dfp_abi::{ArrowArrayStream, export_stream};
use dfp_sdk::core::{BatchStream, Host, MemoryStream, Result};
use dfp_sdk::prep::commands::SessionEvents;
use dfp_sdk::prep::sessionize::Sessionize;
use dfp_sdk::sessions::{score_sessions, visualise_scored_sessions, with_reasons};
use dfp_sdk::timeline::TimelineChoice;

use crate::entry::{Incoming, Out, entry, required, text};
use crate::observer::{Observer, dfp_observer};
use crate::options;
use crate::stream::Staged;

/// Makes sessions of raw records: which records count, whose they are, what happened and where sessions end is said by rules, a
/// text in TOML or JSON, as in examples/sessions. The columns that come out are those of dfp_sessionize.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dfp_build_sessions(
    records: *mut ArrowArrayStream,
    rules: *const c_char,
    observer: *const dfp_observer,
    out: *mut ArrowArrayStream,
    error: *mut dfp_error,
) -> i32 {
    // SAFETY of the calls in here: the header demands streams and structs that are NULL or filled by their rules, texts that end
    // with NUL, and places that may be written to.
    let build = || {
        // SAFETY: as above.
        let records = unsafe { Incoming::take(records, "records") };
        // SAFETY: as above.
        let out = unsafe { Out::new(out, ArrowArrayStream::default(), "out") }?;
        // SAFETY: as above.
        let (rules, host) = unsafe { (required(rules, "rules")?, Observer::new(observer)?) };
        let rules = options::rules(rules)?;
        let host: Arc<dyn Host> = Arc::new(host);
        let options = rules.options();
        // SAFETY: as above.
        let records = Box::new(unsafe { records.open() }?);
        let events = Staged::new(records, SessionEvents::new(rules, host.clone())?)?;
        let sessions = Staged::new(Box::new(events), Sessionize::new(options, host)?)?;
        out.fill(export_stream(Box::new(sessions)));
        Ok(())
    };
    // SAFETY: the header demands NULL or a dfp_error.
    unsafe { entry(error, build) }
}

/// Makes sessions of events: those of one identity that follow each other closely become one row. options is a JSON object:
/// "identity" (list of columns), "time" (column, default "_time"), "event" (column), "limits" ("max_length" as "20min",
/// "max_separation" as "2min", "bounds" as "exclusive" or "inclusive", "list_limit", "lateness", "max_open_rows"), "nulls",
/// "number_distinct". Out come the identity columns, TIME_min, TIME_max, EVENT_list, duration, number_events, and record_ids if
/// the events have a column _record_id.
///
/// The events are read while the sessions are pulled: without "lateness" all of them before the first session, with it as far
/// as need be, so that sessions come as they close.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dfp_sessionize(
    events: *mut ArrowArrayStream,
    options: *const c_char,
    observer: *const dfp_observer,
    out: *mut ArrowArrayStream,
    error: *mut dfp_error,
) -> i32 {
    // SAFETY of the calls in here: as in `dfp_build_sessions`.
    let sessionize = || {
        // SAFETY: as above.
        let events = unsafe { Incoming::take(events, "events") };
        // SAFETY: as above.
        let out = unsafe { Out::new(out, ArrowArrayStream::default(), "out") }?;
        // SAFETY: as above.
        let (options, host) = unsafe { (text(options, "options")?, Observer::new(observer)?) };
        let stage = Sessionize::new(options::read(options, "options")?, Arc::new(host))?;
        // SAFETY: as above.
        let sessions = Staged::new(Box::new(unsafe { events.open() }?), stage)?;
        out.fill(export_stream(Box::new(sessions)));
        Ok(())
    };
    // SAFETY: the header demands NULL or a dfp_error.
    unsafe { entry(error, sessionize) }
}

/// Learns a model from sessions and scores these same sessions; all of them are held in memory. column holds the events: a list
/// of texts, or of structs of name and params (a list of texts, or a map of text to text). config is a JSON object of the
/// model's settings (docs/sequences.md) and "preset": "default", or "parity" for msticpy's numbers. The sessions come out
/// batch by batch as they came in, with the columns of the scores behind their own.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dfp_score_sessions(
    sessions: *mut ArrowArrayStream,
    column: *const c_char,
    config: *const c_char,
    out: *mut ArrowArrayStream,
    error: *mut dfp_error,
) -> i32 {
    // SAFETY of the calls in here: as in `dfp_build_sessions`.
    let score = || {
        // SAFETY: as above.
        let sessions = unsafe { Incoming::take(sessions, "sessions") };
        // SAFETY: as above.
        let out = unsafe { Out::new(out, ArrowArrayStream::default(), "out") }?;
        // SAFETY: as above.
        let (schema, scored) = unsafe { scored(sessions, column, config) }?;
        out.fill(export_stream(Box::new(MemoryStream::new(schema, scored))));
        Ok(())
    };
    // SAFETY: the header demands NULL or a dfp_error.
    unsafe { entry(error, score) }
}

/// dfp_score_sessions and dfp_visualise_scored_sessions in one: fills both out and html, or neither.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dfp_score_and_visualise_sessions(
    sessions: *mut ArrowArrayStream,
    column: *const c_char,
    config: *const c_char,
    timeline: *const c_char,
    out: *mut ArrowArrayStream,
    html: *mut dfp_buf,
    error: *mut dfp_error,
) -> i32 {
    // SAFETY of the calls in here: as in `dfp_build_sessions`.
    let score = || {
        // SAFETY: as above.
        let sessions = unsafe { Incoming::take(sessions, "sessions") };
        // SAFETY: as above.
        let out = unsafe { Out::new(out, ArrowArrayStream::default(), "out") };
        // SAFETY: as above.
        let html = unsafe { Out::new(html, dfp_buf::default(), "html") };
        let (out, html) = (out?, html?);
        // SAFETY: as above.
        let choice = options::read(unsafe { text(timeline, "timeline") }?, "timeline")?;
        // SAFETY: as above.
        let (schema, scored) = unsafe { scored(sessions, column, config) }?;
        html.fill(dfp_buf::from_vec(page(&schema, &scored, choice)?));
        out.fill(export_stream(Box::new(MemoryStream::new(schema, scored))));
        Ok(())
    };
    // SAFETY: the header demands NULL or a dfp_error.
    unsafe { entry(error, score) }
}

/// Writes scored sessions as one HTML page, UTF-8, that needs nothing but a browser. timeline is a JSON object: "time_column",
/// "score_column", "window_column", "upper_bound" (sessions above it are left out), "source_columns" (a list of further columns
/// to show; "why" is the reasons as sentences), "title". What is left out is found by the names that scored sessions have.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dfp_visualise_scored_sessions(
    scored: *mut ArrowArrayStream,
    timeline: *const c_char,
    html: *mut dfp_buf,
    error: *mut dfp_error,
) -> i32 {
    // SAFETY of the calls in here: as in `dfp_build_sessions`.
    let visualise = || {
        // SAFETY: as above.
        let scored = unsafe { Incoming::take(scored, "scored") };
        // SAFETY: as above.
        let html = unsafe { Out::new(html, dfp_buf::default(), "html") }?;
        // SAFETY: as above.
        let choice = options::read(unsafe { text(timeline, "timeline") }?, "timeline")?;
        // SAFETY: as above.
        let scored = unsafe { scored.open() }?;
        let schema = scored.schema();
        let scored = scored.collect::<Result<Vec<_>>>()?;
        html.fill(dfp_buf::from_vec(page(&schema, &scored, choice)?));
        Ok(())
    };
    // SAFETY: the header demands NULL or a dfp_error.
    unsafe { entry(error, visualise) }
}

/// Sessions with the scores of the model they make.
///
/// # Safety
/// As [`Incoming::open`] and [`text`].
unsafe fn scored(
    sessions: Incoming,
    column: *const c_char,
    config: *const c_char,
) -> Result<(SchemaRef, Vec<RecordBatch>)> {
    // SAFETY: the caller's promise.
    let (column, config) = unsafe { (required(column, "column")?, text(config, "config")?) };
    let config = options::config(config)?;
    // SAFETY: the caller's promise.
    let sessions = unsafe { sessions.open() }?.collect::<Result<Vec<_>>>()?;
    let scored = score_sessions(&sessions, column, config)?;
    Ok((scored[0].schema(), scored))
}

fn page(schema: &SchemaRef, scored: &[RecordBatch], choice: TimelineChoice) -> Result<Vec<u8>> {
    let schema = with_reasons(&RecordBatch::new_empty(schema.clone()))?.schema();
    let scored = scored.iter().map(with_reasons).collect::<Result<Vec<_>>>()?;
    let timeline = visualise_scored_sessions(&scored, &choice.of(&schema)?)?;
    let mut page = Vec::new();
    timeline.write_html(&mut page)?;
    Ok(page)
}
