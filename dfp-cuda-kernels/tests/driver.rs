//! A program with the driver's side in it: starts anywhere, and finds what there is.

use std::path::Path;

use dfp_cuda_kernels::cuda;
use dfp_cuda_kernels::device::{DeviceError, Kernel, Launch};

/// The libraries that a 64-bit little-endian ELF file cannot start without.
fn needed(file: &Path) -> Vec<String> {
    const DYNAMIC: u64 = 2;
    const LOAD: u64 = 1;
    const NEEDED: u64 = 1;
    const STRINGS: u64 = 5;
    let bytes = std::fs::read(file).unwrap();
    let number = |at: u64, bytes_long: usize| {
        let mut word = [0; 8];
        word[..bytes_long].copy_from_slice(&bytes[at as usize..][..bytes_long]);
        u64::from_le_bytes(word)
    };
    assert_eq!(bytes[..6], *b"\x7fELF\x02\x01");
    // Segments: kind, place in the file, address, size in the file.
    let (first, size, count) = (number(0x20, 8), number(0x36, 2), number(0x38, 2));
    let segments: Vec<[u64; 4]> = (0..count)
        .map(|i| first + i * size)
        .map(|at| [number(at, 4), number(at + 8, 8), number(at + 16, 8), number(at + 32, 8)])
        .collect();
    let [_, start, _, length] = *segments.iter().find(|segment| segment[0] == DYNAMIC).unwrap();
    let entries: Vec<(u64, u64)> =
        (start..start + length).step_by(16).map(|at| (number(at, 8), number(at + 8, 8))).collect();
    let strings = entries.iter().find(|entry| entry.0 == STRINGS).unwrap().1;
    let holds =
        |[kind, _, address, size]: &&[u64; 4]| *kind == LOAD && (*address..address + size).contains(&strings);
    let [_, place, address, _] = *segments.iter().find(holds).unwrap();
    let text = |offset: u64| {
        let at = (strings - address + place + offset) as usize;
        let length = bytes[at..].iter().position(|&byte| byte == 0).unwrap();
        String::from_utf8(bytes[at..at + length].to_vec()).unwrap()
    };
    entries.iter().filter(|entry| entry.0 == NEEDED).map(|entry| text(entry.1)).collect()
}

#[test]
#[cfg(target_os = "linux")]
fn a_program_with_cuda_starts_without_the_driver_s_library() {
    // Whether there is one or not, asking works.
    let _ = cuda::devices();
    let libraries = needed(&std::env::current_exe().unwrap());
    assert!(libraries.iter().any(|name| name.starts_with("libc.so")), "{libraries:?}");
    assert!(!libraries.iter().any(|name| name.contains("cuda")), "{libraries:?}");
}

#[test]
fn devices_that_are_there_open_and_what_is_not_is_said() {
    let devices = match cuda::devices() {
        Ok(devices) => devices,
        Err(error) => {
            let named = matches!(error, DeviceError::NoDriver(_) | DeviceError::TooOld { .. });
            assert!(named, "{error}");
            assert_eq!(cuda::open(0).unwrap_err(), error);
            println!("no device looked at: {error}");
            return;
        }
    };
    let found = devices.len();
    assert_eq!(cuda::open(found).unwrap_err(), DeviceError::NoDevice { wanted: found, found });
    for described in devices {
        let index = described.index;
        match cuda::open(index) {
            Err(error) => assert!(matches!(error, DeviceError::TooOld { .. }), "{error}"),
            Ok(device) => {
                assert_eq!(device.info(), &described);
                copies_arrive(&*device);
                wrong_launches_are_refused(&*device);
            }
        }
    }
}

/// Bytes go to a device and come back, through more than its staging memory.
fn copies_arrive(device: &dyn dfp_cuda_kernels::device::Device) {
    let size = (33 << 20) + 5;
    let free = device.free_memory().unwrap();
    let memory = device.allocate(size).unwrap();
    assert_eq!(memory.address() % 256, 0);
    let mut bytes: Vec<u8> =
        (0..size as u64).map(|i| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect();
    let mut queue = device.queue().unwrap();
    queue.mark().unwrap();
    queue.upload(&memory, 0, &bytes).unwrap();
    queue.clear(&memory, 100, 1 << 20).unwrap();
    queue.mark().unwrap();
    bytes[100..100 + (1 << 20)].fill(0);
    let mut back = vec![0; size];
    queue.download(&memory, 0, &mut back).unwrap();
    assert!(back == bytes, "what came back is not what was sent");
    assert!(queue.seconds_between_marks().unwrap() > 0.0);
    drop(memory);
    // Others may use the device as well; a leak of all of it would still show.
    assert!(device.free_memory().unwrap() + (1 << 20) >= free.min(1 << 30));
    let all = device.info().memory as usize;
    assert_eq!(device.allocate(2 * all).unwrap_err(), DeviceError::OutOfMemory { bytes: 2 * all });
}

/// A kernel that is not there, and an argument that is too short, are refused before they harm the context.
fn wrong_launches_are_refused(device: &dyn dfp_cuda_kernels::device::Device) {
    let mut queue = device.queue().unwrap();
    for name in ["no_such_kernel", "deal"] {
        let kernel = Kernel { name, threads: 256, shared: 0 };
        let launch = Launch { kernel, blocks: 1, argument: [0_u64].into() };
        for times in [1, 2] {
            let error = queue.run(std::slice::from_ref(&launch), times).unwrap_err();
            assert!(matches!(&error, DeviceError::Failed { call, .. } if call.contains(name)), "{error}");
        }
    }
    queue.finish().unwrap();
}
