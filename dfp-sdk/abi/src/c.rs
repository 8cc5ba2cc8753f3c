//! The structs and numbers of the border, exactly as C sees them. `include/dfp/plugin.h` is generated from this file, its
//! comments included; change them together (`DFP_BLESS=1 cargo test -p dfp-tests --test border_header`).
#![allow(non_camel_case_types)]
// The comments become those of the header, where backticks mean nothing and `models[i]` is no link.
#![allow(clippy::doc_markdown, rustdoc::broken_intra_doc_links)]

use std::ffi::{c_char, c_void};

use crate::arrow::{ArrowArray, ArrowArrayStream, ArrowSchema};

/// The version of dfp this header belongs to.
pub const DFP_VERSION: &str = "0.1.0";

/// Which list of slots the tables have; grows when one is added.
pub const DFP_ABI_MINOR: u32 = 0;

/// Success. Every other code is a failure; 1000 and above are a plugin's own.
pub const DFP_OK: i32 = 0;
/// A caller passed something the function does not accept.
pub const DFP_INVALID_ARGUMENT: i32 = 1;
/// A configuration value is missing, unknown or out of range.
pub const DFP_INVALID_CONFIG: i32 = 2;
/// Columns are missing or of another type than declared.
pub const DFP_SCHEMA_MISMATCH: i32 = 3;
/// The operation exists but not here.
pub const DFP_UNSUPPORTED: i32 = 4;
/// A file or entity does not exist.
pub const DFP_NOT_FOUND: i32 = 5;
/// Reading or writing failed.
pub const DFP_IO: i32 = 6;
/// The operating system or a policy refused.
pub const DFP_PERMISSION: i32 = 7;
/// The host asked to stop.
pub const DFP_CANCELLED: i32 = 8;
/// It took longer than allowed.
pub const DFP_TIMEOUT: i32 = 9;
/// Memory, disk or a stated limit ran out.
pub const DFP_RESOURCE_EXHAUSTED: i32 = 10;
/// The data itself is damaged.
pub const DFP_BAD_DATA: i32 = 11;
/// The call came at the wrong moment.
pub const DFP_INVALID_STATE: i32 = 12;
/// An earlier panic made this instance unusable; only destroy is legal.
pub const DFP_POISONED: i32 = 13;
/// The callee panicked.
pub const DFP_PANIC: i32 = 14;
/// A fault of dfp or of the plugin.
pub const DFP_INTERNAL: i32 = 15;
/// An accelerator failed.
pub const DFP_DEVICE: i32 = 16;

/// Added to a code that a stream callback returns. Arrow lets those return errno values, all of them smaller; so a
/// plugin may return either.
pub const DFP_STREAM_CODE_BASE: i32 = 4096;

/// Error flag: the message was longer than the room for it.
pub const DFP_ERROR_TRUNCATED: u32 = 1;
/// Error flag: the input ends before it should, as a half-copied file does.
pub const DFP_ERROR_UNEXPECTED_END: u32 = 2;

/// Component kind: reads records and emits them as batches. Its table is dfp_source_ops.
pub const DFP_KIND_SOURCE: u32 = 1;
/// Component kind: turns batches into other batches. Its table is dfp_stage_ops.
pub const DFP_KIND_STAGE: u32 = 2;
/// Component kind: takes batches out of the run. Its table is dfp_sink_ops.
pub const DFP_KIND_SINK: u32 = 3;
/// Component kind: learns from batches and scores others. Its table is dfp_model_ops.
pub const DFP_KIND_MODEL: u32 = 4;

/// Component flag: calls on one instance, or on one fitted model, may overlap. Without it the host makes one at a time;
/// request_cancel may overlap in any case.
pub const DFP_CONCURRENT: u64 = 1;
/// Component flag: equal configuration and input give equal output, whatever the number of threads.
pub const DFP_DETERMINISTIC: u64 = 2;
/// Component flag: row i of a stage's output belongs to row i of its input. Models always keep rows.
pub const DFP_KEEPS_ROWS: u64 = 4;

/// Log level: something failed.
pub const DFP_LOG_ERROR: u32 = 1;
/// Log level: something is odd and handled.
pub const DFP_LOG_WARN: u32 = 2;
/// Log level: progress worth knowing.
pub const DFP_LOG_INFO: u32 = 3;
/// Log level: detail for whoever debugs the plugin.
pub const DFP_LOG_DEBUG: u32 = 4;
/// Log level: everything.
pub const DFP_LOG_TRACE: u32 = 5;

/// Room for an error's text, the closing NUL included.
pub const DFP_ERROR_MESSAGE_BYTES: usize = 1008;

/// What went wrong. The caller provides it, sets struct_size and zeroes the next 12 bytes; the callee writes to it only
/// if it fails. It owns nothing, so nothing has to be freed. Frozen: it never grows.
#[repr(C)]
pub struct dfp_error {
    /// sizeof(dfp_error), set by the caller.
    pub struct_size: u32,
    /// The code the function returned.
    pub code: i32,
    /// DFP_ERROR_* bits.
    pub flags: u32,
    /// Bytes of message, without the closing NUL.
    pub message_len: u32,
    /// UTF-8 without NUL inside, cut at a character if it was too long, closed by NUL.
    pub message: [c_char; DFP_ERROR_MESSAGE_BYTES],
}

/// Bytes handed over together with the way to free them. Frozen: it never grows.
#[repr(C)]
pub struct dfp_buf {
    /// May be NULL if len is 0.
    pub data: *const u8,
    /// Bytes.
    pub len: usize,
    /// Frees data and sets itself to NULL. Whoever received the struct calls it once. NULL: there is nothing to free.
    pub release: Option<unsafe extern "C" fn(buf: *mut dfp_buf)>,
    /// For release alone.
    pub private_data: *mut c_void,
}

/// A record that cannot be used. Texts are pointer and length, borrowed for the call; a text that is not UTF-8 is taken
/// with the bad bytes replaced. Frozen: it never grows.
#[repr(C)]
pub struct dfp_reject {
    /// File or topic and position, as in the column _origin.
    pub origin: *const c_char,
    /// Bytes of origin.
    pub origin_len: usize,
    /// A short, stable word to count by.
    pub reason: *const c_char,
    /// Bytes of reason.
    pub reason_len: usize,
    /// What exactly was wrong, for a person.
    pub detail: *const c_char,
    /// Bytes of detail.
    pub detail_len: usize,
    /// The start of the record; NULL if it is not given.
    pub excerpt: *const c_char,
    /// Bytes of excerpt.
    pub excerpt_len: usize,
}

/// What the host lends to plugins. The table lives until the process ends; what tells one engine from another is ctx, which
/// create receives and every function here takes. Slots may be called from any thread. ctx is valid until destroy has
/// returned and every stream of the instance is released, and beyond that while it is retained.
#[repr(C)]
pub struct dfp_host {
    /// sizeof(dfp_host) on the host's side: a slot beyond it does not exist (see DFP_HAS).
    pub struct_size: u32,
    /// DFP_ABI_MINOR of the host.
    pub abi_minor: u32,
    /// DFP_ABI_FINGERPRINT of the host.
    pub fingerprint: u64,
    /// Name of the host program or library.
    pub name: *const c_char,
    /// DFP_VERSION of the host.
    pub version: *const c_char,
    /// 1 if a log line of this level would go anywhere, else 0.
    pub log_enabled: Option<unsafe extern "C" fn(ctx: *mut c_void, level: u32) -> i32>,
    /// Writes a log line; target names the component.
    pub log: Option<
        unsafe extern "C" fn(
            ctx: *mut c_void,
            level: u32,
            target: *const c_char,
            target_len: usize,
            message: *const c_char,
            message_len: usize,
        ),
    >,
    /// 1 if the run should stop, else 0. Whoever blocks asks at least once a second and returns DFP_CANCELLED.
    pub is_cancelled: Option<unsafe extern "C" fn(ctx: *mut c_void) -> i32>,
    /// Fetches a secret by the name the configuration refers to. NULL if the host keeps none.
    pub get_secret: Option<
        unsafe extern "C" fn(
            ctx: *mut c_void,
            name: *const c_char,
            name_len: usize,
            out: *mut dfp_buf,
            error: *mut dfp_error,
        ) -> i32,
    >,
    /// Keeps ctx valid until a release more: for whoever stores it beyond its instance.
    pub retain: Option<unsafe extern "C" fn(ctx: *mut c_void)>,
    /// Gives back one retain.
    pub release: Option<unsafe extern "C" fn(ctx: *mut c_void)>,
    /// Opens an input by name or address. Plugins open no files and no sockets themselves.
    pub open_input: Option<
        unsafe extern "C" fn(
            ctx: *mut c_void,
            uri: *const c_char,
            uri_len: usize,
            out: *mut *mut c_void,
            error: *mut dfp_error,
        ) -> i32,
    >,
    /// Reads up to capacity bytes, decompressed; *read is 0 at the end. One thread at a time for one input.
    pub read_input: Option<
        unsafe extern "C" fn(
            ctx: *mut c_void,
            input: *mut c_void,
            buffer: *mut u8,
            capacity: usize,
            read: *mut usize,
            error: *mut dfp_error,
        ) -> i32,
    >,
    /// Closes an input. NULL is fine.
    pub close_input: Option<unsafe extern "C" fn(ctx: *mut c_void, input: *mut c_void)>,
    /// Takes a record that cannot be used.
    pub reject: Option<unsafe extern "C" fn(ctx: *mut c_void, reject: *const dfp_reject)>,
    /// Adds n to a named counter. A source counts every record it finds as "records_read", whatever becomes of it.
    pub count:
        Option<unsafe extern "C" fn(ctx: *mut c_void, counter: *const c_char, counter_len: usize, n: u64)>,
}

/// What a plugin library offers. The table and all it points to live until the process ends; texts are UTF-8, closed by
/// NUL. Everything up to sdk_version keeps its place in all versions, so that any host can name what it refuses.
#[repr(C)]
pub struct dfp_plugin {
    /// sizeof(dfp_plugin) on the plugin's side.
    pub struct_size: u32,
    /// DFP_ABI_MINOR of the plugin.
    pub abi_minor: u32,
    /// DFP_ABI_FINGERPRINT of the plugin.
    pub fingerprint: u64,
    /// Unique name.
    pub id: *const c_char,
    /// The plugin's own version.
    pub version: *const c_char,
    /// Who made it.
    pub vendor: *const c_char,
    /// SPDX expression.
    pub licence: *const c_char,
    /// DFP_VERSION of the plugin.
    pub sdk_version: *const c_char,
    /// No bit is defined yet: 0.
    pub flags: u64,
    /// component_count pointers.
    pub components: *const *const dfp_component,
    /// How many components there are.
    pub component_count: u64,
}

/// One thing a plugin offers.
#[repr(C)]
pub struct dfp_component {
    /// sizeof(dfp_component) on the plugin's side.
    pub struct_size: u32,
    /// DFP_KIND_*.
    pub kind: u32,
    /// The name users select it by, unique within the plugin.
    pub id: *const c_char,
    /// One line for people.
    pub title: *const c_char,
    /// JSON Schema of the configuration object.
    pub config_schema: *const c_char,
    /// The shipped profile, TOML; NULL if there is none, as always for what is no source.
    pub profile: *const c_char,
    /// DFP_CONCURRENT, DFP_DETERMINISTIC, DFP_KEEPS_ROWS.
    pub flags: u64,
    /// The table of its kind.
    pub ops: *const c_void,
}

/// Makes an instance. config is a JSON object of config_len bytes, borrowed for the call. On failure *out is NULL and
/// nothing has to be freed.
pub type dfp_create = Option<
    unsafe extern "C" fn(
        host: *const dfp_host,
        ctx: *mut c_void,
        config: *const c_char,
        config_len: usize,
        out: *mut *mut c_void,
        error: *mut dfp_error,
    ) -> i32,
>;

/// Frees an instance; NULL is fine. It joins the instance's own threads.
pub type dfp_destroy = Option<unsafe extern "C" fn(instance: *mut c_void)>;

/// Asks whatever call is blocking to return DFP_CANCELLED. Any thread, any time before destroy.
pub type dfp_request_cancel = Option<unsafe extern "C" fn(instance: *mut c_void)>;

/// Says what the instance is doing, as a JSON object for people.
pub type dfp_introspect =
    Option<unsafe extern "C" fn(instance: *mut c_void, out: *mut dfp_buf, error: *mut dfp_error) -> i32>;

/// How the table of every kind begins. Functions return a code and take the place for an error last; it may be NULL. An
/// instance is called by one thread at a time, not always the same one, unless the component has DFP_CONCURRENT. After a
/// failure other than DFP_INVALID_ARGUMENT, DFP_INVALID_STATE and DFP_CANCELLED only destroy is legal. Whoever passes an
/// ArrowArray or ArrowArrayStream hands it over: the callee releases it, whether or not the call succeeds. An ArrowSchema
/// passed in is borrowed for the call. Batches are structs with offset 0 and no top-level nulls. What a call produced stays
/// valid after destroy, on any thread, in any order of release.
#[repr(C)]
pub struct dfp_instance_ops {
    /// Size of the whole table on the plugin's side.
    pub struct_size: u32,
    /// 0.
    pub reserved: u32,
    /// Required.
    pub create: dfp_create,
    /// Required.
    pub destroy: dfp_destroy,
    /// Optional: whoever asks is_cancelled at least once a second needs none.
    pub request_cancel: dfp_request_cancel,
    /// Optional.
    pub introspect: dfp_introspect,
}

/// What a source does. A stream it opened counts as an object of its own and may be pulled while the instance is called on
/// another thread.
#[repr(C)]
pub struct dfp_source_ops {
    /// sizeof(dfp_source_ops) on the plugin's side.
    pub struct_size: u32,
    /// 0.
    pub reserved: u32,
    /// As in dfp_instance_ops.
    pub create: dfp_create,
    /// As in dfp_instance_ops.
    pub destroy: dfp_destroy,
    /// As in dfp_instance_ops.
    pub request_cancel: dfp_request_cancel,
    /// As in dfp_instance_ops.
    pub introspect: dfp_introspect,
    /// The schema of every batch: known before anything is opened, never changing. The caller receives a new struct.
    pub schema: Option<
        unsafe extern "C" fn(instance: *mut c_void, out: *mut ArrowSchema, error: *mut dfp_error) -> i32,
    >,
    /// Starts reading, from the beginning if resume is NULL, else from a position. The caller receives a new stream. Its
    /// batches are structs with offset 0 and no top-level nulls; one without rows says that the source is alive. Its
    /// callbacks return 0, an errno value, or DFP_STREAM_CODE_BASE plus a code. get_last_error may be NULL.
    pub open: Option<
        unsafe extern "C" fn(
            instance: *mut c_void,
            resume: *const u8,
            resume_len: usize,
            out: *mut ArrowArrayStream,
            error: *mut dfp_error,
        ) -> i32,
    >,
    /// A token that resumes after the batches delivered so far; data NULL if there is none now. Optional: NULL if the source
    /// cannot resume at all.
    pub position:
        Option<unsafe extern "C" fn(instance: *mut c_void, out: *mut dfp_buf, error: *mut dfp_error) -> i32>,
}

/// What a stage does: bind once; then push and pull until there is nothing to pull, again and again; then finish, and pull
/// until there is nothing left.
#[repr(C)]
pub struct dfp_stage_ops {
    /// sizeof(dfp_stage_ops) on the plugin's side.
    pub struct_size: u32,
    /// 0.
    pub reserved: u32,
    /// As in dfp_instance_ops.
    pub create: dfp_create,
    /// As in dfp_instance_ops.
    pub destroy: dfp_destroy,
    /// As in dfp_instance_ops.
    pub request_cancel: dfp_request_cancel,
    /// As in dfp_instance_ops.
    pub introspect: dfp_introspect,
    /// Learns the schema of what will be pushed, which it copies if it keeps it, and gives that of what will be pulled.
    pub bind: Option<
        unsafe extern "C" fn(
            instance: *mut c_void,
            input: *const ArrowSchema,
            out: *mut ArrowSchema,
            error: *mut dfp_error,
        ) -> i32,
    >,
    /// Takes a batch. The host pushes again only after pull had nothing more.
    pub push: Option<
        unsafe extern "C" fn(instance: *mut c_void, batch: *mut ArrowArray, error: *mut dfp_error) -> i32,
    >,
    /// Gives the next finished batch; *out is a released struct (release is NULL) if there is none until more is pushed.
    pub pull: Option<
        unsafe extern "C" fn(instance: *mut c_void, out: *mut ArrowArray, error: *mut dfp_error) -> i32,
    >,
    /// Says that no more is pushed: what is held back becomes ready to pull.
    pub finish: Option<unsafe extern "C" fn(instance: *mut c_void, error: *mut dfp_error) -> i32>,
}

/// What a sink does: bind once; then write and flush; close at the end.
#[repr(C)]
pub struct dfp_sink_ops {
    /// sizeof(dfp_sink_ops) on the plugin's side.
    pub struct_size: u32,
    /// 0.
    pub reserved: u32,
    /// As in dfp_instance_ops.
    pub create: dfp_create,
    /// As in dfp_instance_ops.
    pub destroy: dfp_destroy,
    /// As in dfp_instance_ops.
    pub request_cancel: dfp_request_cancel,
    /// As in dfp_instance_ops.
    pub introspect: dfp_introspect,
    /// Learns the schema of what will be written, which it copies if it keeps it.
    pub bind: Option<
        unsafe extern "C" fn(instance: *mut c_void, input: *const ArrowSchema, error: *mut dfp_error) -> i32,
    >,
    /// Accepts a batch; it need not be durable yet.
    pub write: Option<
        unsafe extern "C" fn(instance: *mut c_void, batch: *mut ArrowArray, error: *mut dfp_error) -> i32,
    >,
    /// Makes durable what was written so far.
    pub flush: Option<unsafe extern "C" fn(instance: *mut c_void, error: *mut dfp_error) -> i32>,
    /// Flushes and ends: only destroy may follow.
    pub close: Option<unsafe extern "C" fn(instance: *mut c_void, error: *mut dfp_error) -> i32>,
}

/// What a fit may use besides the data. Grows at the end only: read a field if struct_size covers it (see DFP_HAS).
#[repr(C)]
pub struct dfp_fit_context {
    /// sizeof(dfp_fit_context) on the host's side.
    pub struct_size: u32,
    /// Threads to use, at least 1.
    pub threads: u32,
    /// A saved model of all entities together, borrowed for the call; NULL if there is none.
    pub population: *const u8,
    /// Bytes of population.
    pub population_len: usize,
}

/// What a model component does. The instance is the trainer; what it fits or loads is a handle of its own that outlives
/// it, never changes, and is freed by model_destroy. Functions that take a model may be called on any thread, by several at
/// once if the component has DFP_CONCURRENT.
#[repr(C)]
pub struct dfp_model_ops {
    /// sizeof(dfp_model_ops) on the plugin's side.
    pub struct_size: u32,
    /// 0.
    pub reserved: u32,
    /// As in dfp_instance_ops.
    pub create: dfp_create,
    /// As in dfp_instance_ops.
    pub destroy: dfp_destroy,
    /// As in dfp_instance_ops.
    pub request_cancel: dfp_request_cancel,
    /// As in dfp_instance_ops.
    pub introspect: dfp_introspect,
    /// Learns from rows of one entity (or of all, for a population model), oldest first. On failure *out is NULL.
    pub fit: Option<
        unsafe extern "C" fn(
            instance: *mut c_void,
            context: *const dfp_fit_context,
            data: *mut ArrowArrayStream,
            out: *mut *mut c_void,
            error: *mut dfp_error,
        ) -> i32,
    >,
    /// Learns one model from each batch of the stream, which has count of them. models and errors have count places: where
    /// models[i] is NULL, errors[i] says why. The answer is 0 if all were tried. Optional: the host calls fit for each.
    pub fit_many: Option<
        unsafe extern "C" fn(
            instance: *mut c_void,
            context: *const dfp_fit_context,
            data: *mut ArrowArrayStream,
            count: usize,
            models: *mut *mut c_void,
            errors: *mut dfp_error,
            error: *mut dfp_error,
        ) -> i32,
    >,
    /// Reads a model that save wrote. On failure *out is NULL.
    pub load: Option<
        unsafe extern "C" fn(
            instance: *mut c_void,
            data: *const u8,
            len: usize,
            out: *mut *mut c_void,
            error: *mut dfp_error,
        ) -> i32,
    >,
    /// The columns that score needs, in the order it wants them.
    pub model_schema:
        Option<unsafe extern "C" fn(model: *mut c_void, out: *mut ArrowSchema, error: *mut dfp_error) -> i32>,
    /// The columns that score gives: score (float64) first.
    pub score_schema:
        Option<unsafe extern "C" fn(model: *mut c_void, out: *mut ArrowSchema, error: *mut dfp_error) -> i32>,
    /// Scores a batch of model_schema: as many rows out as in, in the same order.
    pub score: Option<
        unsafe extern "C" fn(
            model: *mut c_void,
            batch: *mut ArrowArray,
            out: *mut ArrowArray,
            error: *mut dfp_error,
        ) -> i32,
    >,
    /// The model as bytes that load reads. Never an executable format.
    pub save:
        Option<unsafe extern "C" fn(model: *mut c_void, out: *mut dfp_buf, error: *mut dfp_error) -> i32>,
    /// Frees a model; NULL is fine.
    pub model_destroy: Option<unsafe extern "C" fn(model: *mut c_void)>,
}

// SAFETY: the pointers lead to constants that live until the process ends.
unsafe impl Sync for dfp_host {}
// SAFETY: as above.
unsafe impl Sync for dfp_plugin {}
// SAFETY: as above.
unsafe impl Sync for dfp_component {}

/// Holds every field to its place, and lists the places so that a C compiler can be asked about the same numbers.
macro_rules! layout {
    ($($type:ident: $size:literal { $($field:ident: $offset:literal),* $(,)? })*) => {
        $(const _: () = {
            assert!(size_of::<$type>() == $size);
            $(assert!(std::mem::offset_of!($type, $field) == $offset);)*
        };)*
        /// Every struct that crosses: name, size, and the place of every field, in bytes.
        pub const LAYOUT: &[(&str, usize, &[(&str, usize)])] =
            &[$((stringify!($type), $size, &[$((stringify!($field), $offset)),*])),*];
    };
}

#[cfg(target_pointer_width = "64")]
layout! {
    dfp_error: 1024 { struct_size: 0, code: 4, flags: 8, message_len: 12, message: 16 }
    dfp_buf: 32 { data: 0, len: 8, release: 16, private_data: 24 }
    dfp_reject: 64 {
        origin: 0, origin_len: 8, reason: 16, reason_len: 24, detail: 32, detail_len: 40, excerpt: 48, excerpt_len: 56,
    }
    dfp_host: 120 {
        struct_size: 0, abi_minor: 4, fingerprint: 8, name: 16, version: 24, log_enabled: 32, log: 40, is_cancelled: 48,
        get_secret: 56, retain: 64, release: 72, open_input: 80, read_input: 88, close_input: 96, reject: 104, count: 112,
    }
    dfp_plugin: 80 {
        struct_size: 0, abi_minor: 4, fingerprint: 8, id: 16, version: 24, vendor: 32, licence: 40, sdk_version: 48,
        flags: 56, components: 64, component_count: 72,
    }
    dfp_component: 56 {
        struct_size: 0, kind: 4, id: 8, title: 16, config_schema: 24, profile: 32, flags: 40, ops: 48,
    }
    dfp_instance_ops: 40 { struct_size: 0, reserved: 4, create: 8, destroy: 16, request_cancel: 24, introspect: 32 }
    dfp_source_ops: 64 {
        struct_size: 0, reserved: 4, create: 8, destroy: 16, request_cancel: 24, introspect: 32, schema: 40, open: 48,
        position: 56,
    }
    dfp_stage_ops: 72 {
        struct_size: 0, reserved: 4, create: 8, destroy: 16, request_cancel: 24, introspect: 32, bind: 40, push: 48,
        pull: 56, finish: 64,
    }
    dfp_sink_ops: 72 {
        struct_size: 0, reserved: 4, create: 8, destroy: 16, request_cancel: 24, introspect: 32, bind: 40, write: 48,
        flush: 56, close: 64,
    }
    dfp_fit_context: 24 { struct_size: 0, threads: 4, population: 8, population_len: 16 }
    dfp_model_ops: 104 {
        struct_size: 0, reserved: 4, create: 8, destroy: 16, request_cancel: 24, introspect: 32, fit: 40, fit_many: 48,
        load: 56, model_schema: 64, score_schema: 72, score: 80, save: 88, model_destroy: 96,
    }
    ArrowSchema: 72 {
        format: 0, name: 8, metadata: 16, flags: 24, n_children: 32, children: 40, dictionary: 48, release: 56,
        private_data: 64,
    }
    ArrowArray: 80 {
        length: 0, null_count: 8, offset: 16, n_buffers: 24, n_children: 32, buffers: 40, children: 48, dictionary: 56,
        release: 64, private_data: 72,
    }
    ArrowArrayStream: 40 { get_schema: 0, get_next: 8, get_last_error: 16, release: 24, private_data: 32 }
}

#[cfg(test)]
mod tests {
    use dfp_core::{ErrorKind, Level};

    use super::*;

    #[test]
    fn codes_are_the_kinds() {
        let codes = [
            DFP_INVALID_ARGUMENT,
            DFP_INVALID_CONFIG,
            DFP_SCHEMA_MISMATCH,
            DFP_UNSUPPORTED,
            DFP_NOT_FOUND,
            DFP_IO,
            DFP_PERMISSION,
            DFP_CANCELLED,
            DFP_TIMEOUT,
            DFP_RESOURCE_EXHAUSTED,
            DFP_BAD_DATA,
            DFP_INVALID_STATE,
            DFP_POISONED,
            DFP_PANIC,
            DFP_INTERNAL,
            DFP_DEVICE,
        ];
        assert_eq!(codes, ErrorKind::ALL.map(ErrorKind::code));
        let levels = [DFP_LOG_ERROR, DFP_LOG_WARN, DFP_LOG_INFO, DFP_LOG_DEBUG, DFP_LOG_TRACE];
        let ours = [Level::Error, Level::Warn, Level::Info, Level::Debug, Level::Trace];
        assert_eq!(levels, ours.map(|level| level as u32));
    }

    #[test]
    fn the_version_is_the_crates() {
        assert_eq!(DFP_VERSION, env!("CARGO_PKG_VERSION"));
    }
}
