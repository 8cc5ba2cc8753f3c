//! The functions of a sink.

use std::ffi::c_void;

use arrow_schema::{Schema, SchemaRef};
use dfp_abi::c::{dfp_error, dfp_sink_ops};
use dfp_abi::{ArrowArray, ArrowSchema, take_array};
use dfp_core::Sink;

use super::bound::Bound;
use super::instance::{create, destroy, exclusive, introspect, request_cancel};
use crate::Component;

/// The functions of `T`, for the macro.
pub const fn sink_ops<T: Component + Sink>() -> dfp_sink_ops {
    dfp_sink_ops {
        struct_size: size_of::<dfp_sink_ops>() as u32,
        reserved: 0,
        create: Some(create::<Bound<T>>),
        destroy: Some(destroy::<Bound<T>>),
        request_cancel: Some(request_cancel::<Bound<T>>),
        introspect: Some(introspect::<Bound<T>>),
        bind: Some(bind::<T>),
        write: Some(write::<T>),
        flush: Some(flush::<T>),
        close: Some(close::<T>),
    }
}

unsafe extern "C" fn bind<T: Sink>(
    instance: *mut c_void,
    input: *const ArrowSchema,
    error: *mut dfp_error,
) -> i32 {
    // SAFETY: the border's contract.
    unsafe {
        exclusive::<Bound<T>>(instance, error, |sink| {
            sink.bind(input, |sink, input| {
                sink.bind(input)?;
                Ok(SchemaRef::new(Schema::empty()))
            })?;
            Ok(())
        })
    }
}

unsafe extern "C" fn write<T: Sink>(
    instance: *mut c_void,
    batch: *mut ArrowArray,
    error: *mut dfp_error,
) -> i32 {
    // SAFETY: the border's contract.
    unsafe {
        let batch = take_array(batch);
        exclusive::<Bound<T>>(instance, error, |sink| sink.take(batch, |sink, batch| sink.write(&batch)))
    }
}

unsafe extern "C" fn flush<T: Sink>(instance: *mut c_void, error: *mut dfp_error) -> i32 {
    // SAFETY: the border's contract.
    unsafe { exclusive::<Bound<T>>(instance, error, |sink| sink.open()?.0.flush()) }
}

unsafe extern "C" fn close<T: Sink>(instance: *mut c_void, error: *mut dfp_error) -> i32 {
    // SAFETY: the border's contract.
    unsafe { exclusive::<Bound<T>>(instance, error, |sink| sink.end(T::close)) }
}
