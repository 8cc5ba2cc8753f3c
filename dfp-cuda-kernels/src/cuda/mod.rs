//! CUDA devices, by way of `cust`.
//!
//! Nothing here is linked with the driver: it is looked for by the first call of [`devices`] or [`open`], and a machine
//! without one is told so by [`DeviceError::NoDriver`].

mod failure;
mod handle;
mod queue;
mod shim;
mod staging;

#[cfg(test)]
mod fake;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ffi::{CString, c_int, c_void};
use std::fmt;
use std::ptr;
use std::sync::{Arc, Mutex, PoisonError};

use cust::context::{Context, CurrentContext};
use cust::device::DeviceAttribute;
use cust::error::CudaError;
use cust::sys::{self, CUfunction, CUfunction_attribute, CUjit_option, CUmod_st};
use cust::{CudaApiVersion, CudaFlags};

use crate::device::{Device, DeviceError, DeviceInfo, Launch, Memory, Queue, Result};
use failure::{Answer, about};
use handle::Handle;
use queue::CudaQueue;

/// The kernels, for every device from [`CAPABILITY`] on.
const PTX: &str = concat!(include_str!("../../ptx/autoencoder.sm80.ptx"), "\0");

/// The kernels with instructions that devices of [`HOPPER`] have, and no others.
const HOPPER_PTX: &str = concat!(include_str!("../../ptx/autoencoder.sm90a.ptx"), "\0");

/// Compute capability of the H100 and H200.
const HOPPER: (u32, u32) = (9, 0);

/// Compute capability they are written for; later ones run them too.
const CAPABILITY: (u32, u32) = (8, 0);

/// The first CUDA version whose driver reads their PTX.
const VERSION: (u32, u32) = (13, 0);

/// The same in words.
const NEEDED: &str = "13.0 (NVIDIA driver 580)";

/// Most bytes of a kernel's argument.
const MOST_ARGUMENT: usize = 4096;

/// Most of what the driver says about PTX that it does not like.
const MOST_LOG: usize = 4096;

/// The CUDA devices of this machine, usable or not; none where the driver sees none.
///
/// # Errors
/// [`DeviceError::NoDriver`], [`DeviceError::TooOld`] for the driver, or whatever else the driver says.
pub fn devices() -> Result<Vec<DeviceInfo>> {
    shim::load()?;
    list()
}

/// A device, with the kernels loaded.
///
/// # Errors
/// As [`devices`], and [`DeviceError::NoDevice`], [`DeviceError::TooOld`] for the device, [`DeviceError::OutOfMemory`].
pub fn open(index: usize) -> Result<Arc<dyn Device>> {
    shim::load()?;
    Ok(Arc::new(CudaDevice(Opened::new(index, ptx_for)?)))
}

fn ptx_for(device: &DeviceInfo) -> &'static str {
    if device.capability == HOPPER { HOPPER_PTX } else { PTX }
}

fn list() -> Result<Vec<DeviceInfo>> {
    let driver = CudaApiVersion::get().or_failed()?;
    let driver = (driver.major() as u32, driver.minor() as u32);
    if driver < VERSION {
        return Err(DeviceError::TooOld {
            what: "CUDA driver version".to_owned(),
            found: format!("{}.{}", driver.0, driver.1),
            needed: NEEDED.to_owned(),
        });
    }
    match cust::init(CudaFlags::empty()) {
        Err(CudaError::NoDevice) => return Ok(Vec::new()),
        other => other.or_failed()?,
    }
    let count = cust::device::Device::num_devices().or_failed()?;
    (0..count).map(|index| describe(index, driver)).collect()
}

fn describe(index: u32, driver: (u32, u32)) -> Result<DeviceInfo> {
    let device = cust::device::Device::get_device(index).or_failed()?;
    let attribute = |name| device.get_attribute(name).or_failed().map(|value| value as u32);
    Ok(DeviceInfo {
        index: index as usize,
        name: device.name().or_failed()?,
        capability: (
            attribute(DeviceAttribute::ComputeCapabilityMajor)?,
            attribute(DeviceAttribute::ComputeCapabilityMinor)?,
        ),
        multiprocessors: attribute(DeviceAttribute::MultiprocessorCount)?,
        memory: device.total_memory().or_failed()? as u64,
        driver: Some(driver),
    })
}

/// A device, its context, and the kernels in it.
struct Opened {
    info: DeviceInfo,
    functions: Mutex<HashMap<&'static str, Function>>,
    // Unloaded before the context is given back.
    module: Handle<CUmod_st>,
    context: Context,
}

/// A kernel, found in the module.
struct Function {
    raw: CUfunction,
    /// Bytes of its argument.
    argument: usize,
    /// Most threads of a block.
    threads: u32,
    /// Bytes of dynamic shared memory that it may have.
    shared: u32,
}

// SAFETY: functions of a module may be used from any thread on which the context is current.
unsafe impl Send for Function {}

impl Opened {
    fn new(index: usize, ptx: fn(&DeviceInfo) -> &'static str) -> Result<Arc<Self>> {
        let devices = list()?;
        let found = devices.len();
        let info = devices.into_iter().nth(index).ok_or(DeviceError::NoDevice { wanted: index, found })?;
        if info.capability < CAPABILITY {
            return Err(DeviceError::TooOld {
                what: format!("CUDA device {index} ({}) of compute capability", info.name),
                found: format!("{}.{}", info.capability.0, info.capability.1),
                needed: format!("{}.{}", CAPABILITY.0, CAPABILITY.1),
            });
        }
        let device = cust::device::Device::get_device(index as u32).or_failed()?;
        // The primary context, which all users of the device in one process share.
        let context = Context::new(device).or_failed()?;
        CurrentContext::set_current(&context).or_failed()?;
        let module = load_module(ptx(&info))?;
        Ok(Arc::new(Self { info, functions: Mutex::default(), module, context }))
    }

    /// Makes this thread's calls go to this device.
    fn enter(&self) -> Result<()> {
        CurrentContext::set_current(&self.context).or_failed()
    }

    /// The kernel of a launch, found and allowed the shared memory it wants. Call [`enter`](Self::enter) before.
    fn prepare(&self, launch: &Launch) -> Result<CUfunction> {
        let name = launch.kernel.name;
        let mut functions = self.functions.lock().unwrap_or_else(PoisonError::into_inner);
        let function = match functions.entry(name) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(self.function(name).map_err(about(name))?),
        };
        check(launch, function)?;
        if function.shared < launch.kernel.shared {
            let attribute = CUfunction_attribute::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
            // SAFETY: the function is one of the module, which lives.
            let answer =
                unsafe { sys::cuFuncSetAttribute(function.raw, attribute, launch.kernel.shared as c_int) };
            let what = format!("{name} with {} bytes of shared memory", launch.kernel.shared);
            answer.or_failed().map_err(about(&what))?;
            function.shared = launch.kernel.shared;
        }
        Ok(function.raw)
    }

    fn function(&self, name: &str) -> Result<Function> {
        let text = CString::new(name).expect("a kernel's name has no zero byte");
        let mut raw = ptr::null_mut();
        // SAFETY: the module lives, the name ends with a zero byte.
        unsafe { sys::cuModuleGetFunction(&raw mut raw, self.module.raw(), text.as_ptr()) }.or_failed()?;
        // Asking also has the driver load the kernel, which it must not do while a list of launches is recorded.
        let attribute = CUfunction_attribute::CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK;
        let (mut threads, mut offset, mut argument) = (0, 0, 0);
        // SAFETY: the function was found, and the driver writes one number.
        unsafe { sys::cuFuncGetAttribute(&raw mut threads, attribute, raw) }.or_failed()?;
        // SAFETY: the same, with two numbers.
        unsafe { shim::cuFuncGetParamInfo(raw, 0, &raw mut offset, &raw mut argument) }.or_failed()?;
        Ok(Function { raw, argument, threads: threads as u32, shared: 0 })
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        // What fails now has nobody to be told: the module goes with the context.
        let _ = self.enter();
    }
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CudaDevice").field("info", &self.info).finish_non_exhaustive()
    }
}

/// Whether the kernel can take what a launch gives it.
fn check(launch: &Launch, function: &Function) -> Result<()> {
    let given = size_of_val(&*launch.argument);
    let wrong = if launch.blocks == 0 {
        "no blocks".to_owned()
    } else if given < function.argument || given > MOST_ARGUMENT {
        format!("the kernel's argument is {} bytes, not {given}", function.argument)
    } else if launch.kernel.threads == 0 || launch.kernel.threads > function.threads {
        format!("at most {} threads fit a block, not {}", function.threads, launch.kernel.threads)
    } else {
        return Ok(());
    };
    Err(DeviceError::Failed { call: format!("launching {}", launch.kernel.name), text: wrong })
}

/// Has the driver compile `ptx`, which ends with a zero byte, for the current context.
fn load_module(ptx: &str) -> Result<Handle<CUmod_st>> {
    let mut log = vec![0_u8; MOST_LOG];
    let mut names = [CUjit_option::CU_JIT_ERROR_LOG_BUFFER, CUjit_option::CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES];
    // The driver wants numbers in place of pointers to them.
    let mut values = [log.as_mut_ptr().cast::<c_void>(), ptr::without_provenance_mut(MOST_LOG)];
    let loaded = Handle::new(sys::cuModuleUnload, |module| {
        // SAFETY: the image ends with a zero byte; both options have their values, and the buffer is as large as it says.
        unsafe {
            sys::cuModuleLoadDataEx(
                module,
                ptx.as_ptr().cast(),
                names.len() as u32,
                names.as_mut_ptr(),
                values.as_mut_ptr(),
            )
        }
    });
    let length = log.iter().position(|&byte| byte == 0).unwrap_or(MOST_LOG);
    let log = String::from_utf8_lossy(&log[..length]);
    loaded.map_err(|error| match error {
        DeviceError::Failed { call, text } if !log.trim().is_empty() => {
            DeviceError::Failed { call, text: format!("{text}: {}", log.trim()) }
        }
        other => other,
    })
}

/// An open device, as the trait wants it.
#[derive(Debug)]
struct CudaDevice(Arc<Opened>);

impl Device for CudaDevice {
    fn info(&self) -> &DeviceInfo {
        &self.0.info
    }

    fn free_memory(&self) -> Result<u64> {
        self.0.enter()?;
        let (free, _) = cust::memory::mem_get_info().or_failed()?;
        Ok(free as u64)
    }

    fn allocate(&self, bytes: usize) -> Result<Memory> {
        self.0.enter()?;
        let mut address = 0;
        // SAFETY: the driver writes one address. It gives no memory of no bytes.
        unsafe { sys::cuMemAlloc_v2(&raw mut address, bytes.max(1)) }.or_failed_for(bytes)?;
        let device = self.0.clone();
        Ok(Memory::new(address, bytes, move || {
            if device.enter().is_ok() {
                // SAFETY: the address came from `cuMemAlloc_v2`, and `Memory` calls this once. A failure has nobody to be
                // told: a lost device has no memory to give back.
                let _ = unsafe { sys::cuMemFree_v2(address) };
            }
        }))
    }

    fn queue(&self) -> Result<Box<dyn Queue>> {
        Ok(Box::new(CudaQueue::new(self.0.clone())?))
    }
}
