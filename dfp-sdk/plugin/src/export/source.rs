//! The functions of a source.

use std::ffi::c_void;

use dfp_abi::c::{dfp_buf, dfp_error, dfp_source_ops};
use dfp_abi::{ArrowArrayStream, ArrowSchema, bytes, export_schema, export_stream};
use dfp_core::Source;

use super::instance::{create, destroy, exclusive, give, introspect, request_cancel};
use crate::Component;

/// The functions of `T`, for the macro.
pub const fn source_ops<T: Component + Source>() -> dfp_source_ops {
    dfp_source_ops {
        struct_size: size_of::<dfp_source_ops>() as u32,
        reserved: 0,
        create: Some(create::<T>),
        destroy: Some(destroy::<T>),
        request_cancel: Some(request_cancel::<T>),
        introspect: Some(introspect::<T>),
        schema: Some(schema::<T>),
        open: Some(open::<T>),
        position: Some(position::<T>),
    }
}

unsafe extern "C" fn schema<T: Source>(
    instance: *mut c_void,
    out: *mut ArrowSchema,
    error: *mut dfp_error,
) -> i32 {
    // SAFETY: the border's contract.
    unsafe { exclusive::<T>(instance, error, |source| give(out.cast(), export_schema(&source.schema())?)) }
}

unsafe extern "C" fn open<T: Source>(
    instance: *mut c_void,
    resume: *const u8,
    resume_len: usize,
    out: *mut ArrowArrayStream,
    error: *mut dfp_error,
) -> i32 {
    // SAFETY: the border's contract.
    unsafe {
        exclusive::<T>(instance, error, |source| {
            give(out, export_stream(source.open(bytes(resume, resume_len))?))
        })
    }
}

unsafe extern "C" fn position<T: Source>(
    instance: *mut c_void,
    out: *mut dfp_buf,
    error: *mut dfp_error,
) -> i32 {
    // SAFETY: the border's contract.
    unsafe {
        exclusive::<T>(instance, error, |source| {
            give(out, source.position().map_or_else(dfp_buf::default, dfp_buf::from_vec))
        })
    }
}
