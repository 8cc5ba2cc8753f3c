//! The driver's functions, found when a program asks for them instead of when it starts.
//!
//! `cust` links with libcuda, and a program that does cannot start where there is no driver. So the functions it wants are
//! defined here: each calls the one of the same name in `libcuda.so.1` once that has been [loaded](load), and says until then
//! that there is no device.

use std::cell::Cell;
use std::ffi::{CStr, c_char, c_int, c_uchar, c_uint, c_ulonglong, c_void};
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicPtr, Ordering};

use cust::sys::{
    CUcontext, CUdevice, CUdevice_attribute, CUdeviceptr, CUevent, CUfunction, CUfunction_attribute, CUgraph,
    CUgraphExec, CUjit_option, CUmodule, CUstream, CUstreamCaptureMode,
};
use libloading::Library;

use crate::device::{DeviceError, Result};

/// The driver's library.
const LIBRARY: &str = "libcuda.so.1";

/// `CUDA_ERROR_NO_DEVICE`
pub(super) const NO_DEVICE: c_int = 100;

/// `CUDA_ERROR_UNKNOWN`
const UNKNOWN: c_int = 999;

/// The functions in use; none until the library is loaded.
static DRIVER: AtomicPtr<Driver> = AtomicPtr::new(ptr::null_mut());

thread_local! {
    /// The last call on this thread that the driver refused, and its reason.
    static REFUSED: Cell<(&'static str, c_int)> = const { Cell::new(("", 0)) };
}

fn driver() -> Option<&'static Driver> {
    // SAFETY: the pointer is null or one that `install` stored: a reference that lives as long as the program.
    unsafe { DRIVER.load(Ordering::Acquire).as_ref() }
}

/// Has the functions here call those of `driver` from now on.
pub(super) fn install(driver: Option<&'static Driver>) {
    DRIVER
        .store(driver.map_or(ptr::null_mut(), |driver| ptr::from_ref(driver).cast_mut()), Ordering::Release);
}

/// Opens the driver's library, once in the life of a program.
///
/// # Errors
/// [`DeviceError::NoDriver`], also for a library that has not all the functions the kernels need.
pub(super) fn load() -> Result<()> {
    static LOADED: OnceLock<std::result::Result<(), String>> = OnceLock::new();
    let open = || {
        // SAFETY: the driver's initialisers are made to run in any program, on any thread.
        let library = unsafe { Library::new(LIBRARY) }.map_err(|error| reason(&error))?;
        // The library stays open: its functions may be called from now on until the program ends.
        let library = Box::leak(Box::new(library));
        let driver = Driver::of(library).map_err(|error| {
            format!(
                "{LIBRARY} is of an old driver, or none ({}): {} is needed",
                reason(&error),
                super::NEEDED
            )
        })?;
        install(Some(Box::leak(Box::new(driver))));
        Ok(())
    };
    LOADED.get_or_init(open).clone().map_err(DeviceError::NoDriver)
}

/// What went wrong, and why.
fn reason(error: &libloading::Error) -> String {
    match std::error::Error::source(error) {
        Some(cause) => cause.to_string(),
        None => error.to_string(),
    }
}

/// Which call the driver refused last on this thread, and its code.
pub(super) fn refused() -> (&'static str, c_int) {
    REFUSED.get()
}

/// Remembers a refusal, and answers with a code that `cust` knows: its type has no others.
fn answer(call: &'static str, code: c_int) -> c_int {
    if code == 0 {
        return 0;
    }
    REFUSED.set((call, code));
    if KNOWN.iter().any(|known| known.contains(&code)) { code } else { UNKNOWN }
}

/// The codes of `cust::sys::cudaError_enum`.
const KNOWN: &[std::ops::RangeInclusive<c_int>] = &[
    1..=8,
    34..=34,
    100..=102,
    200..=202,
    205..=224,
    300..=304,
    400..=401,
    500..=500,
    600..=600,
    700..=705,
    708..=720,
    800..=809,
    900..=911,
    999..=999,
];

/// The driver's words for a code.
pub(super) fn text(code: c_int) -> String {
    let mut text = ptr::null();
    // SAFETY: the function writes one pointer, or nothing.
    unsafe { cuGetErrorString(code, &raw mut text) };
    if text.is_null() {
        return format!("error {code}");
    }
    // SAFETY: the driver's texts are C strings that live as long as it, and it is never unloaded.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}

/// Defines functions of the driver by their C declarations.
macro_rules! functions {
    ($(fn $name:ident($($argument:ident: $type:ty),*) $(, without: $without:expr)?;)*) => {
        /// Where the driver's functions are.
        #[allow(non_snake_case, reason = "the names are the driver's")]
        pub(super) struct Driver {
            $(pub(super) $name: unsafe extern "C" fn($($type),*) -> c_int,)*
        }

        impl Driver {
            fn of(library: &'static Library) -> std::result::Result<Self, libloading::Error> {
                Ok(Self {
                    // SAFETY: the declarations below are those of cuda.h.
                    $($name: *unsafe { library.get(concat!(stringify!($name), "\0"))? },)*
                })
            }
        }

        $(
            #[allow(non_snake_case, reason = "the name is the driver's")]
            #[unsafe(no_mangle)]
            pub(super) unsafe extern "C" fn $name($($argument: $type),*) -> c_int {
                let Some(driver) = driver() else {
                    return answer(stringify!($name), [$($without,)? NO_DEVICE][0]);
                };
                // SAFETY: the caller keeps to the contract of the driver's function of this name.
                answer(stringify!($name), unsafe { (driver.$name)($($argument),*) })
            }
        )*
    };
}

functions! {
    fn cuInit(flags: c_uint);
    fn cuDriverGetVersion(version: *mut c_int);
    fn cuGetErrorString(error: c_int, text: *mut *const c_char), without: {
        // `cust` writes its errors with this function, and panics where it has no answer.
        // SAFETY: the caller gives a place for one pointer.
        unsafe { text.write(c"no CUDA driver is loaded".as_ptr()) };
        0
    };

    fn cuDeviceGetCount(count: *mut c_int);
    fn cuDeviceGet(device: *mut CUdevice, ordinal: c_int);
    fn cuDeviceGetName(name: *mut c_char, length: c_int, device: CUdevice);
    fn cuDeviceGetAttribute(value: *mut c_int, attribute: CUdevice_attribute, device: CUdevice);
    fn cuDeviceTotalMem_v2(bytes: *mut usize, device: CUdevice);
    fn cuDevicePrimaryCtxRetain(context: *mut CUcontext, device: CUdevice);
    fn cuDevicePrimaryCtxRelease_v2(device: CUdevice);
    fn cuCtxSetCurrent(context: CUcontext);

    fn cuModuleLoadDataEx(
        module: *mut CUmodule,
        image: *const c_void,
        options: c_uint,
        names: *mut CUjit_option,
        values: *mut *mut c_void
    );
    fn cuModuleUnload(module: CUmodule);
    fn cuModuleGetFunction(function: *mut CUfunction, module: CUmodule, name: *const c_char);
    fn cuFuncGetAttribute(value: *mut c_int, attribute: CUfunction_attribute, function: CUfunction);
    fn cuFuncSetAttribute(function: CUfunction, attribute: CUfunction_attribute, value: c_int);
    fn cuFuncGetParamInfo(function: CUfunction, index: usize, offset: *mut usize, bytes: *mut usize);

    fn cuMemGetInfo_v2(free: *mut usize, total: *mut usize);
    fn cuMemAlloc_v2(address: *mut CUdeviceptr, bytes: usize);
    fn cuMemFree_v2(address: CUdeviceptr);
    fn cuMemHostAlloc(address: *mut *mut c_void, bytes: usize, flags: c_uint);
    fn cuMemFreeHost(address: *mut c_void);
    fn cuMemcpyHtoDAsync_v2(to: CUdeviceptr, from: *const c_void, bytes: usize, stream: CUstream);
    fn cuMemcpyDtoHAsync_v2(to: *mut c_void, from: CUdeviceptr, bytes: usize, stream: CUstream);
    fn cuMemsetD8Async(to: CUdeviceptr, value: c_uchar, bytes: usize, stream: CUstream);

    fn cuStreamCreate(stream: *mut CUstream, flags: c_uint);
    fn cuStreamDestroy_v2(stream: CUstream);
    fn cuStreamSynchronize(stream: CUstream);
    fn cuStreamBeginCapture_v2(stream: CUstream, mode: CUstreamCaptureMode);
    fn cuStreamEndCapture(stream: CUstream, graph: *mut CUgraph);
    fn cuGraphInstantiateWithFlags(executable: *mut CUgraphExec, graph: CUgraph, flags: c_ulonglong);
    fn cuGraphLaunch(executable: CUgraphExec, stream: CUstream);
    fn cuGraphExecDestroy(executable: CUgraphExec);
    fn cuGraphDestroy(graph: CUgraph);
    fn cuLaunchKernel(
        function: CUfunction,
        grid_x: c_uint,
        grid_y: c_uint,
        grid_z: c_uint,
        block_x: c_uint,
        block_y: c_uint,
        block_z: c_uint,
        shared: c_uint,
        stream: CUstream,
        arguments: *mut *mut c_void,
        extra: *mut *mut c_void
    );

    fn cuEventCreate(event: *mut CUevent, flags: c_uint);
    fn cuEventRecord(event: CUevent, stream: CUstream);
    fn cuEventSynchronize(event: CUevent);
    fn cuEventElapsedTime(milliseconds: *mut f32, from: CUevent, to: CUevent);
    fn cuEventDestroy_v2(event: CUevent);
}
