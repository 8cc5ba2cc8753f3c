//! A component's functions as C calls them, where the handles of the host would stand between.

use std::ffi::c_void;
use std::mem::offset_of;
use std::sync::Arc;

use dfp_abi::c::{dfp_error, dfp_host, dfp_instance_ops, dfp_source_ops};
use dfp_abi::{ArrowArrayStream, FFI_ArrowSchema, ImportedStream, Kind, import_schema, slot};
use dfp_core::{BatchStream, Host};

use crate::LoadedComponent;
use crate::table::{Context, HOST};

/// Slots of a host that is newer than this one.
const MORE_SLOTS: usize = 16;

/// A host's table of another length.
#[repr(C)]
pub(super) struct OtherTable {
    table: dfp_host,
    more: [usize; MORE_SLOTS],
}

// SAFETY: constant, and what it leads to lives for ever.
unsafe impl Sync for OtherTable {}
// SAFETY: as above.
unsafe impl Send for OtherTable {}

fn copy() -> dfp_host {
    let table: *const dfp_host = &raw const HOST;
    // SAFETY: a table is plain numbers and pointers to what lives for ever.
    unsafe { table.read() }
}

impl OtherTable {
    /// Of a host that does not have the last two slots yet.
    pub(super) fn shorter() -> &'static Self {
        let size = offset_of!(dfp_host, reject) as u32;
        let table = dfp_host { struct_size: size, reject: None, count: None, ..copy() };
        Box::leak(Box::new(Self { table, more: [0; MORE_SLOTS] }))
    }

    /// Of a host that has slots nobody knows yet.
    pub(super) fn longer() -> &'static Self {
        let table =
            dfp_host { struct_size: size_of::<Self>() as u32, abi_minor: HOST.abi_minor + 1, ..copy() };
        Box::leak(Box::new(Self { table, more: [usize::MAX; MORE_SLOTS] }))
    }
}

/// What a call of `create` came to.
pub(super) struct Created {
    pub(super) code: i32,
    pub(super) message: String,
    pub(super) left_something: bool,
}

/// An instance, made without the host's check of the configuration.
struct Instance {
    component: &'static LoadedComponent,
    raw: *mut c_void,
    _context: Arc<Context>,
}

impl Drop for Instance {
    fn drop(&mut self) {
        // SAFETY: the loader checked the table; the instance is alive or NULL, and nobody else has it.
        unsafe {
            if let Some(destroy) = slot!(self.component.ops(), dfp_instance_ops, destroy) {
                destroy(self.raw);
            }
        }
    }
}

fn create(
    component: &'static LoadedComponent,
    config: &[u8],
    host: Arc<dyn Host>,
    table: *const dfp_host,
    error: *mut dfp_error,
) -> (i32, Instance) {
    let context = Arc::new(Context::new(host));
    let mut raw = std::ptr::null_mut();
    // SAFETY: the loader checked the table; the context outlives the instance, the configuration the call; `error` is NULL
    // or a local struct of the caller.
    let code = unsafe {
        let ctx = Arc::as_ptr(&context).cast_mut().cast();
        slot!(component.ops(), dfp_instance_ops, create).map_or(-1, |create| {
            create(table, ctx, config.as_ptr().cast(), config.len(), &raw mut raw, error)
        })
    };
    (code, Instance { component, raw, _context: context })
}

/// Calls `create` with a configuration the host would not let through, and destroys what it makes.
pub(super) fn try_create(
    component: &'static LoadedComponent,
    config: &[u8],
    host: Arc<dyn Host>,
    with_error: bool,
) -> Created {
    let mut error = dfp_error::default();
    let place = if with_error { &raw mut error } else { std::ptr::null_mut() };
    let (code, instance) = create(component, config, host, &raw const HOST, place);
    Created { code, message: error.message(), left_something: !instance.raw.is_null() }
}

/// Destroys nothing, which every component must stand.
pub(super) fn destroy_null(component: &'static LoadedComponent) {
    // SAFETY: the loader checked the table; NULL is allowed.
    unsafe {
        if let Some(destroy) = slot!(component.ops(), dfp_instance_ops, destroy) {
            destroy(std::ptr::null_mut());
        }
    }
}

/// Makes and destroys an instance under a table of another length; a source is read as well. Answers with its rows.
pub(super) fn live_under(
    component: &'static LoadedComponent,
    config: &str,
    host: Arc<dyn Host>,
    table: &'static OtherTable,
) -> Result<u64, String> {
    let mut error = dfp_error::default();
    let (code, instance) = create(component, config.as_bytes(), host, &raw const table.table, &raw mut error);
    error.outcome(code, "creating").map_err(|error| error.to_string())?;
    if component.kind != Kind::Source {
        return Ok(0);
    }
    let mut schema = FFI_ArrowSchema::empty();
    let mut stream = ArrowArrayStream::default();
    let ops: *const dfp_source_ops = component.ops().cast();
    // SAFETY: the loader checked that a source has these; the instance is alive, and called by nobody else.
    let stream = unsafe {
        let get_schema = slot!(ops, dfp_source_ops, schema).ok_or("it has no schema")?;
        let code = get_schema(instance.raw, (&raw mut schema).cast(), &raw mut error);
        error.outcome(code, "asking for the schema").map_err(|error| error.to_string())?;
        let schema = import_schema(schema).map_err(|error| error.to_string())?;
        let open = slot!(ops, dfp_source_ops, open).ok_or("it cannot be opened")?;
        let code = open(instance.raw, std::ptr::null(), 0, &raw mut stream, &raw mut error);
        error.outcome(code, "opening").map_err(|error| error.to_string())?;
        ImportedStream::new(stream, &schema)
    };
    let stream: Box<dyn BatchStream> = Box::new(stream.map_err(|error| error.to_string())?);
    let batches = stream.take(super::subject::MAX_BATCHES);
    batches
        .map(|batch| batch.map(|batch| batch.num_rows() as u64))
        .sum::<dfp_core::Result<u64>>()
        .map_err(|error| error.to_string())
}
