//! The functions of a stage.

use std::ffi::c_void;

use dfp_abi::c::{dfp_error, dfp_stage_ops};
use dfp_abi::{ArrowArray, ArrowSchema, FFI_ArrowArray, export_batch, export_schema, take_array};
use dfp_core::Stage;

use super::bound::Bound;
use super::instance::{create, destroy, exclusive, give, introspect, request_cancel};
use crate::Component;

/// The functions of `T`, for the macro.
pub const fn stage_ops<T: Component + Stage>() -> dfp_stage_ops {
    dfp_stage_ops {
        struct_size: size_of::<dfp_stage_ops>() as u32,
        reserved: 0,
        create: Some(create::<Bound<T>>),
        destroy: Some(destroy::<Bound<T>>),
        request_cancel: Some(request_cancel::<Bound<T>>),
        introspect: Some(introspect::<Bound<T>>),
        bind: Some(bind::<T>),
        push: Some(push::<T>),
        pull: Some(pull::<T>),
        finish: Some(finish::<T>),
    }
}

unsafe extern "C" fn bind<T: Stage>(
    instance: *mut c_void,
    input: *const ArrowSchema,
    out: *mut ArrowSchema,
    error: *mut dfp_error,
) -> i32 {
    // SAFETY: the border's contract.
    unsafe {
        exclusive::<Bound<T>>(instance, error, |stage| {
            give(out.cast(), export_schema(&stage.bind(input, T::bind)?)?)
        })
    }
}

unsafe extern "C" fn push<T: Stage>(
    instance: *mut c_void,
    batch: *mut ArrowArray,
    error: *mut dfp_error,
) -> i32 {
    // SAFETY: the border's contract.
    unsafe {
        let batch = take_array(batch);
        exclusive::<Bound<T>>(instance, error, |stage| stage.take(batch, T::push))
    }
}

unsafe extern "C" fn pull<T: Stage>(
    instance: *mut c_void,
    out: *mut ArrowArray,
    error: *mut dfp_error,
) -> i32 {
    // SAFETY: the border's contract.
    unsafe {
        exclusive::<Bound<T>>(instance, error, |stage| {
            let (stage, schemas) = stage.bound()?;
            let batch = match stage.pull()? {
                Some(batch) => export_batch(batch, &schemas.output)?,
                None => FFI_ArrowArray::empty(),
            };
            give(out.cast(), batch)
        })
    }
}

unsafe extern "C" fn finish<T: Stage>(instance: *mut c_void, error: *mut dfp_error) -> i32 {
    // SAFETY: the border's contract.
    unsafe { exclusive::<Bound<T>>(instance, error, |stage| stage.end(T::finish)) }
}
