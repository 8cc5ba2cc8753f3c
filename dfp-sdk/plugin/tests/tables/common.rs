//! A host as small as can be, and calls of tables the way C makes them.

use std::ffi::{CStr, c_char, c_void};
use std::ptr::null_mut;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicIsize, Ordering};

use dfp_abi::c::{
    self, DFP_ABI_MINOR, DFP_OK, dfp_buf, dfp_component, dfp_error, dfp_host, dfp_instance_ops,
};
use dfp_abi::{ArrowSchema, FFI_ArrowArray, FFI_ArrowSchema, FINGERPRINT, import_batch, import_schema};
use dfp_plugin::Kind;
use dfp_plugin::arrow_array::{Array, ArrayRef, Float64Array, RecordBatch, StringArray, StructArray};
use dfp_plugin::arrow_schema::SchemaRef;
use dfp_test_plugin as _;

unsafe extern "C" {
    fn dfp_plugin_entry_v0(host: *const dfp_host) -> *const c::dfp_plugin;
}

/// What the tables' contexts lead to.
#[derive(Default)]
pub(crate) struct Engine {
    pub(crate) retained: AtomicIsize,
    pub(crate) cancelled: AtomicBool,
}

impl Engine {
    fn of<'a>(ctx: *mut c_void) -> &'a Self {
        unsafe { &*ctx.cast() }
    }

    pub(crate) fn ctx(&self) -> *mut c_void {
        (&raw const *self).cast_mut().cast()
    }
}

unsafe extern "C" fn retain(ctx: *mut c_void) {
    Engine::of(ctx).retained.fetch_add(1, Ordering::SeqCst);
}

unsafe extern "C" fn release(ctx: *mut c_void) {
    Engine::of(ctx).retained.fetch_sub(1, Ordering::SeqCst);
}

unsafe extern "C" fn is_cancelled(ctx: *mut c_void) -> i32 {
    Engine::of(ctx).cancelled.load(Ordering::SeqCst).into()
}

pub(crate) static HOST: dfp_host = dfp_host {
    struct_size: size_of::<dfp_host>() as u32,
    abi_minor: DFP_ABI_MINOR,
    fingerprint: FINGERPRINT,
    name: c"test".as_ptr(),
    version: c"0".as_ptr(),
    log_enabled: None,
    log: None,
    is_cancelled: Some(is_cancelled),
    get_secret: None,
    retain: Some(retain),
    release: Some(release),
    open_input: None,
    read_input: None,
    close_input: None,
    reject: None,
    count: None,
};

pub(crate) fn text(pointer: *const c_char) -> &'static str {
    unsafe { CStr::from_ptr(pointer) }.to_str().unwrap()
}

pub(crate) fn plugin() -> &'static c::dfp_plugin {
    unsafe { &*dfp_plugin_entry_v0(&raw const HOST) }
}

pub(crate) fn components() -> Vec<&'static dfp_component> {
    let plugin = plugin();
    (0..plugin.component_count as usize).map(|index| unsafe { &**plugin.components.add(index) }).collect()
}

/// The table of the test plugin's component of `kind`.
pub(crate) fn ops<T>(kind: Kind) -> &'static T {
    let component = components().into_iter().find(|component| component.kind == kind as u32).unwrap();
    unsafe { &*component.ops.cast::<T>() }
}

/// An instance and the place for its errors.
pub(crate) struct Made {
    ops: &'static dfp_instance_ops,
    pub(crate) instance: *mut c_void,
}

// The border lets any thread use an instance.
unsafe impl Send for Made {}
unsafe impl Sync for Made {}

impl Made {
    pub(crate) fn new(kind: Kind, config: &str, engine: &Engine) -> Self {
        let ops: &dfp_instance_ops = ops(kind);
        let mut instance = null_mut();
        let create = ops.create.unwrap();
        let code = unsafe {
            create(
                &raw const HOST,
                engine.ctx(),
                config.as_ptr().cast(),
                config.len(),
                &raw mut instance,
                null_mut(),
            )
        };
        assert_eq!(code, DFP_OK, "{config}");
        Self { ops, instance }
    }

    pub(crate) fn cancel(&self) {
        unsafe { self.ops.request_cancel.unwrap()(self.instance) };
    }

    pub(crate) fn introspect(&self) -> String {
        let mut out = dfp_buf::default();
        let introspect = self.ops.introspect.unwrap();
        assert_eq!(unsafe { introspect(self.instance, &raw mut out, null_mut()) }, DFP_OK);
        String::from_utf8(unsafe { out.to_vec() }.unwrap()).unwrap()
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        unsafe { self.ops.destroy.unwrap()(self.instance) };
    }
}

/// What a call answers: its code, and the text of its error.
pub(crate) fn call(f: impl FnOnce(*mut dfp_error) -> i32) -> (i32, String) {
    let mut error = dfp_error::default();
    let code = f(&raw mut error);
    assert_eq!(error.code, code, "the struct and the answer agree");
    (code, error.message())
}

pub(crate) fn works(f: impl FnOnce(*mut dfp_error) -> i32) {
    assert_eq!(call(f), (DFP_OK, String::new()));
}

/// Has `f` fill a struct in, and takes it over.
pub(crate) fn schema_from(f: impl FnOnce(*mut ArrowSchema, *mut dfp_error) -> i32) -> SchemaRef {
    let mut schema = FFI_ArrowSchema::empty();
    works(|error| f((&raw mut schema).cast(), error));
    unsafe { import_schema(schema) }.unwrap()
}

/// A batch on its way across.
pub(crate) struct Parcel {
    pub(crate) array: FFI_ArrowArray,
    batch: RecordBatch,
}

impl Parcel {
    pub(crate) fn of(batch: &RecordBatch) -> Self {
        let array = FFI_ArrowArray::new(&StructArray::from(batch.clone()).to_data());
        Self { array, batch: batch.clone() }
    }

    /// Whether the other side took the struct and has let go of the data since.
    pub(crate) fn is_gone(&self) -> bool {
        let data = self.batch.column(0).to_data();
        // One reference is the batch's own, one is `data`'s.
        self.array.is_released() && data.buffers()[0].strong_count() == 2
    }
}

pub(crate) fn imported(array: FFI_ArrowArray, schema: &SchemaRef) -> RecordBatch {
    unsafe { import_batch(array, schema) }.unwrap()
}

/// One column `x`. Built anew each time, so that nobody else holds its memory.
pub(crate) fn numbers(values: &[f64]) -> RecordBatch {
    let column: ArrayRef = Arc::new(Float64Array::from(values.to_vec()));
    RecordBatch::try_from_iter_with_nullable([("x", column, true)]).unwrap()
}

pub(crate) fn lines(values: &[&str]) -> RecordBatch {
    let column: ArrayRef = Arc::new(StringArray::from(values.to_vec()));
    RecordBatch::try_from_iter([("line", column)]).unwrap()
}
