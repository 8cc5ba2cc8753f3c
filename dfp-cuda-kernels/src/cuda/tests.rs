//! The driver's side of the border, against a driver that records what it is asked.

use std::sync::Arc;
use std::thread;

use super::fake::{self, Launched, THREADS, WORDS, install, install_none, with};
use super::staging::HALF;
use super::{CudaDevice, HOPPER_PTX, NEEDED, Opened, PTX, VERSION, list, shim};
use crate::device::{Device, DeviceError, Kernel, Launch, Memory, Queue};

/// Two kernels, as far as the fake looks.
const TEXT: &str = ".version 9.0 .entry one( .entry two(\0";

const ONE: Kernel = Kernel { name: "one", threads: THREADS, shared: 0 };
const TWO: Kernel = Kernel { name: "two", threads: 64, shared: 100 << 10 };

fn device() -> Arc<dyn Device> {
    Arc::new(CudaDevice(Opened::new(0, |_| TEXT).unwrap()))
}

fn launch(kernel: Kernel, blocks: u32, word: u64) -> Launch {
    Launch { kernel, blocks, argument: Arc::new([word; WORDS]) }
}

fn launched(kernel: Kernel, blocks: u32, word: u64) -> Launched {
    let Kernel { name, threads, shared } = kernel;
    Launched { name: name.to_owned(), blocks, threads, shared, argument: [word; WORDS] }
}

/// A pattern without a short period.
fn pattern(bytes: usize, seed: u64) -> Vec<u8> {
    (0..bytes as u64).map(|i| ((i + seed).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect()
}

fn downloaded(queue: &mut dyn Queue, memory: &Memory) -> Vec<u8> {
    let mut bytes = vec![0; memory.bytes()];
    queue.download(memory, 0, &mut bytes).unwrap();
    bytes
}

#[test]
fn without_a_driver_every_call_says_so() {
    let _none = install_none();
    assert!(matches!(cust::init(cust::CudaFlags::empty()), Err(cust::error::CudaError::NoDevice)));
    // `cust` panics if the driver has no words.
    assert!(cust::error::CudaError::NoDevice.to_string().contains("no CUDA driver is loaded"));
    assert_eq!(shim::refused(), ("cuInit", shim::NO_DEVICE));
    let error = list().unwrap_err();
    assert_eq!(error.to_string(), "cuDriverGetVersion: no CUDA driver is loaded");
}

#[test]
fn devices_are_described() {
    let _fake = install(|fake| fake.cards.push((c"Fake A100", 8, 0)));
    let devices = list().unwrap();
    assert_eq!(devices.len(), 2);
    let second = &devices[1];
    assert_eq!((second.index, second.name.as_str(), second.capability), (1, "Fake A100", (8, 0)));
    assert_eq!((second.multiprocessors, second.memory, second.driver), (132, 64 << 20, Some((13, 0))));
    let device = device();
    assert_eq!(device.info(), &devices[0]);
    let memory = device.allocate(1 << 20).unwrap();
    assert_eq!(device.free_memory().unwrap(), 63 << 20);
    drop(memory);
    assert_eq!(device.free_memory().unwrap(), 64 << 20);
}

#[test]
fn what_cannot_be_used_is_refused_in_words() {
    type Change = fn(&mut fake::Fake);
    let cases: [(Change, usize, &str); 6] = [
        (|f| f.cards.clear(), 0, "no CUDA device 0: the driver sees 0"),
        (|_| {}, 3, "no CUDA device 3: the driver sees 1"),
        (
            |f| f.version = 12_080,
            0,
            "CUDA driver version 12.8 is too old: 13.0 (NVIDIA driver 580) or newer is needed",
        ),
        (
            |f| f.cards[0] = (c"Fake T4", 7, 5),
            0,
            "CUDA device 0 (Fake T4) of compute capability 7.5 is too old: 8.0 or newer is needed",
        ),
        (|f| f.faults.push(("cuDevicePrimaryCtxRetain", 0, 2)), 0, "no memory on the device"),
        (|f| f.faults.push(("cuInit", 0, 803)), 0, "cuInit: words of the driver"),
    ];
    for (change, index, expected) in cases {
        let _fake = install(change);
        let error = Opened::new(index, |_| TEXT).map(drop).unwrap_err();
        assert_eq!(error.to_string(), expected);
        assert_eq!(with(|fake| fake.alive()), (0, 0), "{expected}");
    }
}

#[test]
fn ptx_that_the_driver_refuses_comes_with_its_log() {
    let _fake = install(|_| {});
    let error = Opened::new(0, |_| "nonsense\0").map(drop).unwrap_err();
    let expected =
        "cuModuleLoadDataEx: a PTX JIT compilation failed: ptxas fatal: nothing that is understood";
    assert_eq!(error.to_string(), expected);
    with(|fake| fake.faults.push(("cuModuleLoadDataEx", 0, 222)));
    let error = Opened::new(0, |_| TEXT).map(drop).unwrap_err();
    assert!(matches!(&error, DeviceError::TooOld { needed, .. } if needed == NEEDED), "{error}");
    assert_eq!(with(|fake| fake.alive()), (0, 0));
}

#[test]
fn the_kernels_are_what_the_version_says() {
    assert!(PTX.contains(".version 9.0\n") && VERSION == (13, 0), "PTX 9.0 is that of CUDA 13.0");
    for (ptx, target) in [(PTX, ".target sm_80\n"), (HOPPER_PTX, ".target sm_90a\n")] {
        assert!(ptx.contains(target) && ptx.contains(".version 9.0\n"));
        assert_eq!(ptx.find('\0'), Some(ptx.len() - 1));
    }
}

#[test]
fn everything_is_given_back() {
    let _fake = install(|_| {});
    let device = device();
    let memory = device.allocate(1000).unwrap();
    let empty = device.allocate(0).unwrap();
    let mut queue = device.queue().unwrap();
    queue.upload(&memory, 0, &[1; 1000]).unwrap();
    queue.run(&[launch(ONE, 1, 1)], 3).unwrap();
    for _ in 0..3 {
        queue.mark().unwrap();
    }
    // Whoever comes last.
    drop(device);
    drop(queue);
    drop(empty);
    assert_ne!(with(|fake| fake.alive()), (0, 0));
    drop(memory);
    assert_eq!(with(|fake| fake.alive()), (0, 0));
}

#[test]
fn bytes_go_there_and_back_in_order() {
    let _fake = install(|_| {});
    let device = device();
    // More than the staging memory holds, in pieces that do not fit its halves; each place reused at once.
    let size = 3 * HALF + 12_345;
    let memory = device.allocate(size).unwrap();
    let mut queue = device.queue().unwrap();
    let mut expected = vec![0; size];
    queue.clear(&memory, 0, size).unwrap();
    let mut buffer = Vec::new();
    for (round, length) in [10, HALF - 3, 0, HALF, 1, 2 * HALF + 7, 999].into_iter().enumerate() {
        let offset = 1000 * round;
        buffer.clear();
        buffer.extend(pattern(length, round as u64));
        queue.upload(&memory, offset, &buffer).unwrap();
        expected[offset..offset + length].copy_from_slice(&buffer);
    }
    queue.clear(&memory, 5, 2).unwrap();
    expected[5..7].fill(0);
    assert!(downloaded(&mut *queue, &memory) == expected);
    let mut part = [0; 10];
    queue.download(&memory, size - 10, &mut part).unwrap();
    assert_eq!(part, expected[size - 10..]);
}

#[test]
fn an_upload_waits_for_nothing_while_there_is_room() {
    let _fake = install(|_| {});
    let device = device();
    let memory = device.allocate(HALF).unwrap();
    let mut queue = device.queue().unwrap();
    queue.upload(&memory, 0, &pattern(100, 1)).unwrap();
    queue.upload(&memory, 100, &pattern(HALF - 100, 2)).unwrap();
    with(|fake| {
        assert!(!fake.calls.iter().any(|call| call.ends_with("Synchronize")), "{:?}", fake.calls);
        assert!(fake.bytes(memory.address()).iter().all(|&byte| byte == 0xcd), "nothing has run yet");
    });
    queue.finish().unwrap();
    assert_eq!(with(|fake| fake.bytes(memory.address())[..100].to_vec()), pattern(100, 1));
}

#[test]
fn ranges_outside_the_memory_are_refused() {
    let _fake = install(|_| {});
    let device = device();
    let memory = device.allocate(100).unwrap();
    let mut queue = device.queue().unwrap();
    for (offset, bytes) in [(0, 101), (100, 1), (101, 0), (usize::MAX, 2)] {
        let mut buffer = vec![0; bytes];
        let errors = [
            queue.upload(&memory, offset, &buffer),
            queue.clear(&memory, offset, bytes),
            queue.download(&memory, offset, &mut buffer),
        ];
        for error in errors {
            let error = error.unwrap_err().to_string();
            assert_eq!(error, format!("{bytes} bytes from {offset} on: the memory has 100 bytes"));
        }
    }
    for offset in [0, 100] {
        queue.upload(&memory, offset, &[]).unwrap();
        queue.clear(&memory, offset, 0).unwrap();
        queue.download(&memory, offset, &mut []).unwrap();
    }
}

#[test]
fn launches_run_in_order_once() {
    let _fake = install(|_| {});
    let mut queue = device().queue().unwrap();
    queue.run(&[launch(ONE, 7, 1), launch(TWO, 1, 2), launch(ONE, 3, 3)], 1).unwrap();
    queue.run(&[], 5).unwrap();
    queue.run(&[launch(ONE, 1, 4)], 0).unwrap();
    queue.finish().unwrap();
    with(|fake| {
        assert_eq!(fake.launched, [launched(ONE, 7, 1), launched(TWO, 1, 2), launched(ONE, 3, 3)]);
        assert_eq!(fake.replayed, 0);
        let asked = fake.calls.iter().filter(|call| **call == "cuModuleGetFunction").count();
        assert_eq!(asked, 2, "each kernel is looked for once");
    });
}

#[test]
fn a_repeated_list_is_recorded_once_and_replayed() {
    let _fake = install(|_| {});
    let mut queue = device().queue().unwrap();
    queue.run(&[launch(ONE, 2, 1), launch(TWO, 4, 2)], 3).unwrap();
    queue.finish().unwrap();
    with(|fake| {
        let list = vec![launched(ONE, 2, 1), launched(TWO, 4, 2)];
        assert_eq!(fake.launched, vec![list; 3].concat());
        assert_eq!(fake.replayed, 6);
        let count = |name| fake.calls.iter().filter(|call| **call == name).count();
        assert_eq!((count("cuLaunchKernel"), count("cuGraphLaunch")), (2, 3));
        // What may make the driver load code comes before the recording.
        let place = |name| fake.calls.iter().rposition(|call| *call == name).unwrap();
        assert!(place("cuFuncSetAttribute") < place("cuStreamBeginCapture_v2"));
        assert!(place("cuFuncGetAttribute") < place("cuStreamBeginCapture_v2"));
    });
}

#[test]
fn launches_that_cannot_be_are_named() {
    let _fake = install(|_| {});
    let mut queue = device().queue().unwrap();
    let kernel = |name, threads, shared| Kernel { name, threads, shared };
    let short = Launch { kernel: ONE, blocks: 1, argument: Arc::new([0; WORDS - 1]) };
    let long = Launch { kernel: ONE, blocks: 1, argument: vec![0; 513].into() };
    for (launch, expected) in [
        (launch(ONE, 0, 0), "launching one: no blocks"),
        (short, "launching one: the kernel's argument is 24 bytes, not 16"),
        (long, "launching one: the kernel's argument is 24 bytes, not 4104"),
        (launch(kernel("one", 257, 0), 1, 0), "launching one: at most 256 threads fit a block, not 257"),
        (launch(kernel("one", 0, 0), 1, 0), "launching one: at most 256 threads fit a block, not 0"),
        (launch(kernel("three", 1, 0), 1, 0), "cuModuleGetFunction of three: words of the driver"),
        (
            launch(kernel("two", 1, 1 << 20), 1, 0),
            "cuFuncSetAttribute of two with 1048576 bytes of shared memory: words of the driver",
        ),
    ] {
        for times in [1, 2] {
            let error = queue.run(std::slice::from_ref(&launch), times).unwrap_err();
            assert_eq!(error.to_string(), expected);
        }
    }
    queue.run(&[launch(TWO, 1, 5)], 1).unwrap();
    queue.finish().unwrap();
    assert_eq!(with(|fake| fake.launched.clone()), [launched(TWO, 1, 5)]);
}

#[test]
fn a_failed_recording_leaves_the_queue_as_it_was() {
    let _fake = install(|_| {});
    let device = device();
    let mut queue = device.queue().unwrap();
    let list = [launch(ONE, 1, 1), launch(TWO, 1, 2)];
    for (call, well) in
        [("cuLaunchKernel", 1), ("cuStreamBeginCapture_v2", 0), ("cuGraphInstantiateWithFlags", 0)]
    {
        let before = with(|fake| {
            fake.faults.push((call, well, 2));
            fake.alive()
        });
        assert_eq!(queue.run(&list, 2).unwrap_err(), DeviceError::OutOfMemory { bytes: 0 }, "{call}");
        assert_eq!(with(|fake| fake.alive()), before, "{call}");
    }
    queue.run(&list, 2).unwrap();
    queue.finish().unwrap();
    assert_eq!(with(|fake| fake.launched.len()), 4);
}

#[test]
fn no_memory_is_an_error_one_can_go_on_from() {
    let _fake = install(|_| {});
    let device = device();
    let error = device.allocate(65 << 20).unwrap_err();
    assert_eq!(error, DeviceError::OutOfMemory { bytes: 65 << 20 });
    assert_eq!(error.to_string(), "no memory for 68157440 bytes on the device");
    let memory = device.allocate(64 << 20).unwrap();
    assert!(device.allocate(1).is_err());
    drop(memory);
    let memory = device.allocate(64 << 20).unwrap();
    // The host's memory that the device reads can be short as well, the second half of it too.
    let mut queue = device.queue().unwrap();
    for well in [0, 1] {
        let before = with(|fake| {
            fake.faults.push(("cuMemHostAlloc", well, 2));
            fake.alive()
        });
        assert_eq!(queue.upload(&memory, 0, &[1]).unwrap_err(), DeviceError::OutOfMemory { bytes: 0 });
        assert_eq!(with(|fake| fake.alive()), before);
    }
    queue.upload(&memory, 0, &[1]).unwrap();
    queue.finish().unwrap();
    assert_eq!(with(|fake| fake.bytes(memory.address())[0]), 1);
}

#[test]
fn a_lost_device_says_so_until_it_is_opened_anew() {
    for code in [46, 214, 700, 702, 714, 719, 805, 999, 1234] {
        let _fake = install(|_| {});
        let device = device();
        let memory = device.allocate(100).unwrap();
        let mut queue = device.queue().unwrap();
        queue.run(&[launch(ONE, 1, 1)], 1).unwrap();
        queue.mark().unwrap();
        queue.mark().unwrap();
        with(|fake| fake.lost = code);
        let errors = [
            queue.finish(),
            queue.upload(&memory, 0, &[1]),
            queue.clear(&memory, 0, 1),
            queue.download(&memory, 0, &mut [0]),
            queue.run(&[launch(ONE, 1, 1)], 1),
            queue.run(&[launch(ONE, 1, 1)], 2),
            queue.mark(),
            queue.seconds_between_marks().map(drop),
            device.free_memory().map(drop),
            device.allocate(1).map(drop),
            device.queue().map(drop),
        ];
        for (i, error) in errors.into_iter().enumerate() {
            let error = error.unwrap_err();
            if code == 1234 {
                assert!(matches!(error, DeviceError::Failed { .. }), "{i}: {error}");
            } else {
                assert!(matches!(error, DeviceError::Lost(_)), "{code}, {i}: {error}");
            }
        }
        drop(queue);
        drop(memory);
        drop(device);
        with(|fake| fake.lost = 0);
        self::device().queue().unwrap().finish().unwrap();
    }
}

#[test]
fn what_is_lost_is_told_with_the_call_and_the_kernel() {
    let _fake = install(|fake| fake.faults.push(("cuLaunchKernel", 0, 700)));
    let error = device().queue().unwrap().run(&[launch(ONE, 1, 1)], 1).unwrap_err();
    let expected = "the device was lost: cuLaunchKernel: an illegal memory access was encountered (one)";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn marks_measure_what_lies_between_them() {
    let _fake = install(|_| {});
    let mut queue = device().queue().unwrap();
    assert!(queue.seconds_between_marks().unwrap_err().to_string().contains("no two marks"));
    queue.mark().unwrap();
    assert!(queue.seconds_between_marks().is_err());
    for launches in [2, 5, 1] {
        queue.run(&[launch(ONE, 1, 1)], launches).unwrap();
        queue.mark().unwrap();
        // The fake's clock runs a millisecond for each launch.
        assert!((queue.seconds_between_marks().unwrap() - f64::from(launches) / 1e3).abs() < 1e-9);
    }
    let made = with(|fake| fake.calls.iter().filter(|call| **call == "cuEventCreate").count());
    assert_eq!(made, 2);
}

#[test]
fn devices_and_queues_are_used_from_any_thread() {
    let _fake = install(|_| {});
    let device = device();
    let memory = device.allocate(8).unwrap();
    let mut queue = device.queue().unwrap();
    let back = thread::scope(|scope| {
        let worker = scope.spawn(|| {
            let mut other = device.queue().unwrap();
            other.upload(&memory, 0, &[1; 8]).unwrap();
            other.finish().unwrap();
            queue.upload(&memory, 4, &[2; 4]).unwrap();
            queue.run(&[launch(ONE, 1, 1)], 2).unwrap();
            queue.mark().unwrap();
            device.allocate(4).unwrap()
        });
        worker.join().unwrap()
    });
    assert_eq!(downloaded(&mut *queue, &memory), [1, 1, 1, 1, 2, 2, 2, 2]);
    // Each on a thread that has never seen the device; the queue with work still to do.
    queue.upload(&memory, 0, &[3; 8]).unwrap();
    thread::spawn(move || drop(queue)).join().unwrap();
    assert_eq!(with(|fake| (fake.torn, fake.alive())), (0, (2, 2)), "the context and the module are left");
    thread::spawn(move || drop((back, memory))).join().unwrap();
    thread::spawn(move || drop(device)).join().unwrap();
    assert_eq!(with(|fake| fake.alive()), (0, 0));
}

#[test]
fn codes_that_cust_does_not_know_stay_known_here() {
    let _fake = install(|fake| fake.faults.push(("cuInit", 0, 1234)));
    assert_eq!(cust::init(cust::CudaFlags::empty()), Err(cust::error::CudaError::UnknownError));
    assert_eq!(shim::refused(), ("cuInit", 1234));
    with(|fake| fake.faults.push(("cuInit", 0, 912)));
    // SAFETY: the fake takes any flags.
    assert_eq!(unsafe { shim::cuInit(0) }, 999);
}
