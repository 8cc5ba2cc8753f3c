//! `dfp devices`

use std::process::ExitCode;

use dfp_sdk::core::Result;
use dfp_sdk::{CudaDevice, Devices, devices};

use super::print;
use crate::args::Cli;

pub(crate) fn run(cli: &Cli) -> Result<ExitCode> {
    let devices = devices();
    print(cli, &devices, || table(&devices))?;
    Ok(ExitCode::SUCCESS)
}

fn table(devices: &Devices) -> String {
    let mut lines = vec![format!("cpu     {} threads", devices.cpu_threads)];
    lines.extend(devices.cuda.iter().map(line));
    lines.extend(devices.no_cuda.iter().map(|reason| format!("cuda    none: {reason}")));
    lines.join("\n")
}

fn line(device: &CudaDevice) -> String {
    let gib = |bytes: u64| bytes as f64 / f64::from(1 << 30);
    let memory = match device.free {
        Some(free) => format!("{:.1} of {:.1} GiB free", gib(free), gib(device.memory)),
        None => format!("{:.1} GiB", gib(device.memory)),
    };
    let driver = device.driver.iter().map(|version| format!(", driver of CUDA {version}"));
    let unusable = device.unusable.iter().map(|reason| format!("; cannot be used: {reason}"));
    format!(
        "{:<6}  {}, compute capability {}, {} multiprocessors, {memory}{}",
        format!("cuda:{}", device.index),
        device.name,
        device.capability,
        device.multiprocessors,
        driver.chain(unusable).collect::<String>()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_lines() {
        let device = CudaDevice {
            index: 0,
            name: "NVIDIA H200".to_owned(),
            capability: "9.0".to_owned(),
            multiprocessors: 132,
            memory: 150_000_000_000,
            free: Some(75_000_000_000),
            driver: Some("13.0".to_owned()),
            unusable: None,
        };
        let old = CudaDevice {
            index: 1,
            name: "Tesla T4".to_owned(),
            capability: "7.5".to_owned(),
            multiprocessors: 40,
            memory: 16 << 30,
            free: None,
            driver: None,
            unusable: Some("too old".to_owned()),
        };
        let some = Devices { cpu_threads: 2, cuda: vec![device, old], no_cuda: None };
        assert_eq!(
            table(&some),
            "cpu     2 threads\n\
             cuda:0  NVIDIA H200, compute capability 9.0, 132 multiprocessors, 69.8 of 139.7 GiB free, driver of CUDA 13.0\n\
             cuda:1  Tesla T4, compute capability 7.5, 40 multiprocessors, 16.0 GiB; cannot be used: too old"
        );
        let none = Devices { cpu_threads: 4, cuda: Vec::new(), no_cuda: Some("no CUDA driver".to_owned()) };
        assert_eq!(table(&none), "cpu     4 threads\ncuda    none: no CUDA driver");
    }
}
