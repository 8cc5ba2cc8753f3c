//! What models are trained and scored on: the processor, or CUDA devices in a program built for them.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use dfp_core::{Error, ErrorKind, Result};
use dfp_models::autoencoder::backend::{Backend, Cpu};
use serde::{Deserialize, Serialize};

use crate::Progress;
use crate::config::threads;

/// Counter of runs: how often a device failed, and its work was done again or elsewhere.
pub const DEVICE_FAILURES: &str = "device-failures";

/// What a run computes on; `auto`, `cpu`, `cuda` or `cuda:N` in words.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum DeviceChoice {
    /// Every CUDA device that can be used, or the processor if there is none.
    #[default]
    Auto,
    /// The processor.
    Cpu,
    /// Every CUDA device, or only the one with this number. Without it nothing is done.
    Cuda(Option<usize>),
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(None) => f.write_str("cuda"),
            Self::Cuda(Some(index)) => write!(f, "cuda:{index}"),
        }
    }
}

impl From<DeviceChoice> for String {
    fn from(choice: DeviceChoice) -> Self {
        choice.to_string()
    }
}

impl FromStr for DeviceChoice {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = || {
            let what = format!("`{text}` is no device: write auto, cpu, cuda or, for one of several, cuda:0");
            Error::new(ErrorKind::InvalidConfig, what)
        };
        Ok(match text {
            "auto" => Self::Auto,
            "cpu" => Self::Cpu,
            "cuda" => Self::Cuda(None),
            _ => {
                let digits =
                    text.strip_prefix("cuda:").filter(|n| n.bytes().all(|byte| byte.is_ascii_digit()));
                Self::Cuda(Some(digits.and_then(|n| n.parse().ok()).ok_or_else(wrong)?))
            }
        })
    }
}

impl TryFrom<String> for DeviceChoice {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

/// How CUDA devices compute products; the processor computes all in 32 bits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// In 32 bits.
    #[default]
    Fp32,
    /// On tensor cores, each operand the sum of two bf16: several times faster, errors of about 2^-16 of an operand.
    Bf16x3,
    /// On tensor cores, operands rounded to bf16: fastest, errors of up to 2^-9 of an operand.
    Bf16,
}

impl DeviceChoice {
    /// Makes what was chosen ready. `progress` is told what was found where the choice is open.
    ///
    /// # Errors
    /// Where CUDA is asked for by name: [`ErrorKind::InvalidConfig`] if this program was built without it, and
    /// [`ErrorKind::Device`] if no device, or not the one asked for, can be used.
    pub fn open(self, precision: Precision, progress: &mut dyn Progress) -> Result<Arc<dyn Backend>> {
        match self {
            Self::Cpu => Ok(Arc::new(Cpu)),
            Self::Auto => Ok(cuda::any(precision, progress).unwrap_or_else(|| Arc::new(Cpu))),
            Self::Cuda(index) => {
                cuda::chosen(index, precision).map_err(|e| e.context(format!("device {self}")))
            }
        }
    }
}

/// Says, and counts, what went wrong on devices although the work was done.
pub(crate) fn tell_failures(
    backend: &dyn Backend,
    counters: &mut BTreeMap<String, u64>,
    progress: &mut dyn Progress,
) {
    let failures = backend.take_failures();
    if let Some(first) = failures.first() {
        progress.warn(&format!("{first}; its work was done again or elsewhere"));
        *counters.entry(DEVICE_FAILURES.to_owned()).or_default() += failures.len() as u64;
    }
}

/// What there is to compute on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Devices {
    /// Threads of the processor.
    pub cpu_threads: usize,
    /// CUDA devices, usable or not.
    pub cuda: Vec<CudaDevice>,
    /// Why there are no CUDA devices.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_cuda: Option<String>,
}

/// A CUDA device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CudaDevice {
    /// Its number, as in `cuda:0`.
    pub index: usize,
    /// The maker's name of it.
    pub name: String,
    /// Compute capability, such as `9.0`.
    pub capability: String,
    /// Multiprocessors.
    pub multiprocessors: u32,
    /// Memory in bytes.
    pub memory: u64,
    /// Bytes of it that are free.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub free: Option<u64>,
    /// Newest CUDA version that the driver knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub driver: Option<String>,
    /// Why it cannot be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unusable: Option<String>,
}

/// Looks for what there is to compute on, and tries every CUDA device: the first time a driver sees the kernels, it takes
/// seconds to compile them.
pub fn devices() -> Devices {
    let (cuda, no_cuda) = match cuda::list() {
        Ok(devices) if devices.is_empty() => (devices, Some("the CUDA driver sees no device".to_owned())),
        Ok(devices) => (devices, None),
        Err(error) => (Vec::new(), Some(error.to_string())),
    };
    Devices { cpu_threads: threads(0), cuda, no_cuda }
}

#[cfg(feature = "cuda")]
mod cuda {
    use dfp_cuda_kernels::device::{Device, DeviceError, DeviceInfo};
    use dfp_cuda_kernels::{CudaBackend, cuda};

    use super::{Arc, Backend, CudaDevice, Error, ErrorKind, Precision, Progress, Result};

    fn failed(error: &DeviceError) -> Error {
        Error::new(ErrorKind::Device, error.to_string())
    }

    fn backend(devices: Vec<Arc<dyn Device>>, precision: Precision) -> Arc<dyn Backend> {
        let precision = match precision {
            Precision::Fp32 => dfp_cuda_kernels::Precision::Fp32,
            Precision::Bf16x3 => dfp_cuda_kernels::Precision::Bf16x3,
            Precision::Bf16 => dfp_cuda_kernels::Precision::Bf16,
        };
        Arc::new(CudaBackend::new(devices, precision))
    }

    /// Every device that can be used; the first reason if there is none.
    fn usable() -> Result<Vec<Arc<dyn Device>>> {
        let found = cuda::devices().map_err(|e| failed(&e))?;
        let (mut devices, mut reason) = (Vec::new(), None);
        for DeviceInfo { index, .. } in found {
            match cuda::open(index) {
                Ok(device) => devices.push(device),
                Err(error) => reason = reason.or(Some(error)),
            }
        }
        match reason {
            Some(error) if devices.is_empty() => Err(failed(&error)),
            None if devices.is_empty() => {
                Err(Error::new(ErrorKind::Device, "the CUDA driver sees no device"))
            }
            _ => Ok(devices),
        }
    }

    fn names(devices: &[Arc<dyn Device>]) -> String {
        let name =
            |device: &Arc<dyn Device>| format!("cuda:{} ({})", device.info().index, device.info().name);
        devices.iter().map(name).collect::<Vec<_>>().join(", ")
    }

    pub(super) fn any(precision: Precision, progress: &mut dyn Progress) -> Option<Arc<dyn Backend>> {
        match usable() {
            Ok(devices) => {
                progress.note(&format!("CUDA used: {}", names(&devices)));
                Some(backend(devices, precision))
            }
            Err(error) => {
                progress.note(&format!("CUDA not used: {error}"));
                None
            }
        }
    }

    pub(super) fn chosen(index: Option<usize>, precision: Precision) -> Result<Arc<dyn Backend>> {
        let devices = match index {
            Some(index) => vec![cuda::open(index).map_err(|e| failed(&e))?],
            None => usable()?,
        };
        Ok(backend(devices, precision))
    }

    pub(super) fn list() -> Result<Vec<CudaDevice>> {
        let found = cuda::devices().map_err(|e| failed(&e))?;
        Ok(found.into_iter().map(describe).collect())
    }

    fn describe(info: DeviceInfo) -> CudaDevice {
        let version = |(major, minor): (u32, u32)| format!("{major}.{minor}");
        let free = cuda::open(info.index).and_then(|device| device.free_memory());
        CudaDevice {
            index: info.index,
            name: info.name,
            capability: version(info.capability),
            multiprocessors: info.multiprocessors,
            memory: info.memory,
            free: free.as_ref().ok().copied(),
            driver: info.driver.map(version),
            unusable: free.err().map(|error| error.to_string()),
        }
    }
}

/// A program without it.
#[cfg(not(feature = "cuda"))]
mod cuda {
    use super::{Arc, Backend, CudaDevice, Error, ErrorKind, Precision, Progress, Result};

    fn absent<T>() -> Result<T> {
        let what = "this program was built without CUDA; docs/cuda.md says how to build it with";
        Err(Error::new(ErrorKind::InvalidConfig, what))
    }

    pub(super) fn any(_precision: Precision, _progress: &mut dyn Progress) -> Option<Arc<dyn Backend>> {
        None
    }

    pub(super) fn chosen(_index: Option<usize>, _precision: Precision) -> Result<Arc<dyn Backend>> {
        absent()
    }

    pub(super) fn list() -> Result<Vec<CudaDevice>> {
        absent()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What was said.
    #[derive(Default)]
    struct Notes(Vec<String>);

    impl Progress for Notes {
        fn begin(&mut self, _step: &str, _total: Option<u64>, _unit: &str) {}
        fn advance(&mut self, _n: u64) {}
        fn end(&mut self) {}
        fn warn(&mut self, text: &str) {
            panic!("{text}");
        }
        fn note(&mut self, text: &str) {
            self.0.push(text.to_owned());
        }
    }

    #[test]
    fn choices_are_read_as_they_are_written() {
        for text in ["auto", "cpu", "cuda", "cuda:0", "cuda:15"] {
            assert_eq!(text.parse::<DeviceChoice>().unwrap().to_string(), text);
        }
        let wrong = [
            "",
            "gpu",
            "CUDA",
            "cuda:",
            "cuda:x",
            "cuda:-1",
            "cuda:+1",
            "cuda:99999999999999999999",
            "cpu:0",
        ];
        for text in wrong {
            let error = text.parse::<DeviceChoice>().expect_err(text);
            assert_eq!(error.kind(), ErrorKind::InvalidConfig);
            assert!(error.to_string().contains("write auto, cpu, cuda"), "{error}");
        }
    }

    #[test]
    fn what_was_asked_for_is_there_or_an_error_and_auto_always_works() {
        let devices = devices();
        assert!(devices.cpu_threads >= 1);
        assert_eq!(devices.cuda.is_empty(), devices.no_cuda.is_some());
        let usable = devices.cuda.iter().any(|device| device.unusable.is_none());
        let mut notes = Notes::default();
        assert!(!DeviceChoice::Cpu.open(Precision::Fp32, &mut notes).unwrap().wants_many());
        assert_eq!(DeviceChoice::Auto.open(Precision::Fp32, &mut notes).unwrap().wants_many(), usable);
        // One line, and none from a program that could not use CUDA anyway.
        let expected: &[&str] = match (cfg!(feature = "cuda"), usable) {
            (false, _) => &[],
            (true, false) => &["CUDA not used: "],
            (true, true) => &["CUDA used: cuda:"],
        };
        assert_eq!(notes.0.len(), expected.len(), "{:?}", notes.0);
        assert!(notes.0.iter().zip(expected).all(|(note, start)| note.starts_with(start)), "{:?}", notes.0);
        let error = DeviceChoice::Cuda(Some(1000)).open(Precision::Fp32, &mut notes).unwrap_err();
        let kind = if cfg!(feature = "cuda") { ErrorKind::Device } else { ErrorKind::InvalidConfig };
        assert_eq!(error.kind(), kind);
        assert!(error.to_string().starts_with("device cuda:1000: "), "{error}");
        assert_eq!(DeviceChoice::Cuda(None).open(Precision::Fp32, &mut notes).is_ok(), usable);
    }
}
