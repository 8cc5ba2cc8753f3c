//! What runs the kernels: a CUDA device, or its emulation on the CPU in tests. Everything above sees these types only,
//! so the binding to CUDA is one module.

use std::fmt;
use std::sync::Arc;

/// What a device, or its driver, answers instead of doing what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeviceError {
    /// No CUDA driver is installed.
    #[error("no CUDA driver: {0}")]
    NoDriver(String),
    /// The driver sees no device with this number.
    #[error("no CUDA device {wanted}: the driver sees {found}")]
    NoDevice {
        /// Number asked for.
        wanted: usize,
        /// Devices there are.
        found: usize,
    },
    /// The driver, or the device, is older than the kernels.
    #[error("{what} {found} is too old: {needed} or newer is needed")]
    TooOld {
        /// The driver or the device.
        what: String,
        /// What is there.
        found: String,
        /// What the kernels need.
        needed: String,
    },
    /// The device, or the driver, has not this much free memory in one piece.
    #[error("no memory{} on the device", for_bytes(*bytes))]
    OutOfMemory {
        /// Bytes asked for; 0 where that is the driver's secret.
        bytes: usize,
    },
    /// The device stopped in the middle of the work; nothing of it can be used any more.
    #[error("the device was lost: {0}")]
    Lost(String),
    /// Anything else.
    #[error("{call}: {text}")]
    Failed {
        /// What was being done.
        call: String,
        /// The driver's words.
        text: String,
    },
}

fn for_bytes(bytes: usize) -> String {
    if bytes == 0 { String::new() } else { format!(" for {bytes} bytes") }
}

/// Answers of devices.
pub type Result<T> = std::result::Result<T, DeviceError>;

/// What a device is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceInfo {
    /// Number by which it is chosen.
    pub index: usize,
    /// The maker's name of it.
    pub name: String,
    /// Compute capability, major and minor.
    pub capability: (u32, u32),
    /// Multiprocessors.
    pub multiprocessors: u32,
    /// Memory in bytes.
    pub memory: u64,
    /// Newest CUDA version that the driver knows, major and minor; none where there is no driver.
    pub driver: Option<(u32, u32)>,
}

/// The kernels by name: `extern "C"` functions of `kernels/autoencoder.cu`, each taking one [`Launch::argument`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Kernel {
    /// Symbol.
    pub name: &'static str,
    /// Threads of a block.
    pub threads: u32,
    /// Bytes of dynamic shared memory of a block.
    pub shared: u32,
}

/// A kernel on its way to a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Launch {
    /// What to run.
    pub kernel: Kernel,
    /// In how many blocks, at least one.
    pub blocks: u32,
    /// The kernel's only argument, a struct passed by value: at most 4 KB, aligned to 8.
    pub argument: Arc<[u64]>,
}

/// Memory on a device; free again when dropped.
pub struct Memory {
    address: u64,
    bytes: usize,
    release: Option<Box<dyn FnOnce() + Send + Sync>>,
}

impl Memory {
    /// Memory at an address, with what gives it back.
    pub fn new(address: u64, bytes: usize, release: impl FnOnce() + Send + Sync + 'static) -> Self {
        Self { address, bytes, release: Some(Box::new(release)) }
    }

    /// Where it is, in the device's eyes.
    pub fn address(&self) -> u64 {
        self.address
    }

    /// How much it is.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        if let Some(release) = self.release.take() {
            release();
        }
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory")
            .field("address", &self.address)
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}

/// A device that runs the kernels.
pub trait Device: Send + Sync + fmt::Debug {
    /// What it is.
    fn info(&self) -> &DeviceInfo;

    /// Bytes free now.
    ///
    /// # Errors
    /// [`DeviceError::Lost`].
    fn free_memory(&self) -> Result<u64>;

    /// Takes memory, aligned to 256 bytes, of undefined content.
    ///
    /// # Errors
    /// [`DeviceError::OutOfMemory`], [`DeviceError::Lost`].
    fn allocate(&self, bytes: usize) -> Result<Memory>;

    /// A queue of work that runs in its order, beside other queues.
    ///
    /// # Errors
    /// [`DeviceError::Lost`].
    fn queue(&self) -> Result<Box<dyn Queue>>;
}

/// Work in order. What is queued may run at any time until [`finish`](Self::finish) answers; memory it uses must live
/// until then.
pub trait Queue: Send {
    /// Copies `bytes` to `memory` from `offset` on. The bytes may be reused as soon as this returns.
    ///
    /// # Errors
    /// If the range is outside the memory, or the device fails.
    fn upload(&mut self, memory: &Memory, offset: usize, bytes: &[u8]) -> Result<()>;

    /// Sets a range of `memory` to zero bytes.
    ///
    /// # Errors
    /// As [`upload`](Self::upload).
    fn clear(&mut self, memory: &Memory, offset: usize, bytes: usize) -> Result<()>;

    /// Runs these launches one after another, the whole list `times` times. Launch costs are paid once where the device can
    /// record the list.
    ///
    /// # Errors
    /// If the device fails; which launch failed may only show at [`finish`](Self::finish).
    fn run(&mut self, launches: &[Launch], times: u32) -> Result<()>;

    /// Waits for all work so far, then copies from `memory`.
    ///
    /// # Errors
    /// As [`upload`](Self::upload), and whatever failed before.
    fn download(&mut self, memory: &Memory, offset: usize, bytes: &mut [u8]) -> Result<()>;

    /// Waits for all work so far.
    ///
    /// # Errors
    /// Whatever failed.
    fn finish(&mut self) -> Result<()>;

    /// Puts a mark into the queue.
    ///
    /// # Errors
    /// [`DeviceError::Lost`].
    fn mark(&mut self) -> Result<()>;

    /// Waits for the last two marks and answers with the seconds between them, on the device's clock.
    ///
    /// # Errors
    /// If there are no two marks, or the device fails.
    fn seconds_between_marks(&mut self) -> Result<f64>;
}
