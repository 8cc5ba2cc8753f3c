//! The emulator: its kernels against plain Rust, and bugs that each of its variants must find.

mod support;

use std::sync::Arc;

use dfp_cuda_kernels::device::{Device, DeviceError, Kernel, Launch, Memory, Result};
use support::{Emulated, Order, Program, Settings, Variant};

const ALL: [Variant; 4] = [Variant::Plain, Variant::Portable, Variant::Address, Variant::Thread];

fn start(variant: Variant, settings: &Settings) -> Option<Emulated> {
    Program::new("emulator/tests/kernels.cu", variant).map(|program| Emulated::new(&program, settings))
}

/// Every variant, with blocks and threads in several orders.
fn everywhere(test: impl Fn(&Emulated)) {
    for variant in ALL {
        for order in [Order::Up, Order::Down, Order::Shuffled(7)] {
            if let Some(device) =
                start(variant, &Settings { order, late: variant == Variant::Plain, ..Settings::default() })
            {
                test(&device);
            }
        }
    }
}

fn bytes<T: Copy, const N: usize>(values: &[T], to_bytes: impl Fn(T) -> [u8; N]) -> Vec<u8> {
    values.iter().flat_map(|&value| to_bytes(value)).collect()
}

fn floats(values: &[f32]) -> Vec<u8> {
    bytes(values, f32::to_ne_bytes)
}

fn to_floats(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks().0.iter().map(|&bytes| f32::from_ne_bytes(bytes)).collect()
}

fn to_numbers(bytes: &[u8]) -> Vec<u32> {
    bytes.as_chunks().0.iter().map(|&bytes| u32::from_ne_bytes(bytes)).collect()
}

/// Runs one kernel: inputs, room for the output (zero bytes), further words of the argument. The output comes back.
struct Run<'a> {
    kernel: Kernel,
    blocks: u32,
    inputs: &'a [Vec<u8>],
    output: usize,
    words: &'a [u64],
}

impl Run<'_> {
    fn on(&self, device: &Emulated) -> Result<Vec<u8>> {
        let mut queue = device.queue()?;
        let mut taken = Vec::new();
        for input in self.inputs {
            let memory = device.allocate(input.len())?;
            queue.upload(&memory, 0, input)?;
            taken.push(memory);
        }
        taken.push(device.allocate(self.output)?);
        let output = &taken[taken.len() - 1];
        queue.clear(output, 0, self.output)?;
        let argument: Vec<u64> =
            taken.iter().map(Memory::address).chain(self.words.iter().copied()).collect();
        queue.run(&[Launch { kernel: self.kernel, blocks: self.blocks, argument: argument.into() }], 1)?;
        let mut result = vec![0; self.output];
        queue.download(output, 0, &mut result)?;
        Ok(result)
    }
}

fn pair(low: usize, high: usize) -> u64 {
    low as u64 | (high as u64) << 32
}

/// Numbers that are no round ones.
fn odd(count: usize, seed: u32) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / 16_777_216.0 - 0.5
    };
    (0..count).map(|_| next()).collect()
}

const ROWS: usize = 4;

fn sums(device: &Emulated, name: &'static str, columns: usize, shared: u32) -> Result<Vec<f32>> {
    let x: Vec<f32> = (0..ROWS * columns).map(|i| i as f32).collect();
    let kernel = Kernel { name, threads: 128, shared };
    let words = [columns as u64];
    Run { kernel, blocks: ROWS as u32, inputs: &[floats(&x)], output: 4 * ROWS, words: &words }
        .on(device)
        .map(|out| to_floats(&out))
}

fn expected_sums(columns: usize) -> Vec<f32> {
    (0..ROWS).map(|row| (row * columns..(row + 1) * columns).map(|i| i as f32).sum()).collect()
}

#[test]
fn sums_of_rows() {
    everywhere(|device| {
        for columns in [1, 31, 150] {
            assert_eq!(sums(device, "sums_NONE", columns, 16).unwrap(), expected_sums(columns));
        }
        assert_eq!(device.live_bytes(), 0);
    });
}

type Shape = (usize, usize, usize);

fn product(device: &Emulated, kernel: Kernel, tile: (usize, usize), (m, n, k): Shape) -> Result<Vec<f32>> {
    let inputs = [floats(&odd(m * k, 1)), floats(&odd(k * n, 2))];
    let blocks = (m.div_ceil(tile.0) * n.div_ceil(tile.1)) as u32;
    Run { kernel, blocks, inputs: &inputs, output: 4 * m * n, words: &[pair(m, n), k as u64] }
        .on(device)
        .map(|out| to_floats(&out))
}

fn expected_product((m, n, k): Shape, round: impl Fn(f32) -> f32) -> Vec<f64> {
    let (a, b) = (odd(m * k, 1), odd(k * n, 2));
    let cell = |row: usize, column: usize| -> f64 {
        (0..k).map(|i| f64::from(round(a[row * k + i])) * f64::from(round(b[i * n + column]))).sum()
    };
    (0..m * n).map(|i| cell(i / n, i % n)).collect()
}

fn near(found: &[f32], expected: &[f64]) -> bool {
    found.len() == expected.len() && found.iter().zip(expected).all(|(&f, e)| (f64::from(f) - e).abs() < 2e-6)
}

const PRODUCT: Kernel = Kernel { name: "product_NONE", threads: 256, shared: 2048 };
const SHAPE: Shape = (21, 18, 35);

#[test]
fn product_of_matrices() {
    everywhere(|device| {
        let found = product(device, PRODUCT, (16, 16), SHAPE).unwrap();
        assert!(near(&found, &expected_product(SHAPE, |x| x)), "{found:?}");
    });
}

#[test]
fn product_on_tensor_cores() {
    let bf16 = |x: f32| {
        let bits = x.to_bits();
        f32::from_bits((bits + 0x7fff + (bits >> 16 & 1)) & 0xffff_0000)
    };
    let kernel = Kernel { name: "product_bf16", threads: 32, shared: 0 };
    everywhere(|device| {
        let shape = (32, 24, 48);
        let found = product(device, kernel, (16, 8), shape).unwrap();
        assert!(near(&found, &expected_product(shape, bf16)), "{found:?}");
    });
}

fn expected_talk(thread: u32, threads: u32) -> [u32; 10] {
    let (lane, first) = (thread % 32, thread / 32 * 32);
    let lanes = 32.min(threads - first);
    // What does not exist says nothing defined.
    let of = |other: u32| if other < lanes { first + other } else { u32::MAX };
    let ballot = |named: u32, vote: &dyn Fn(u32) -> bool| -> u32 {
        (0..lanes).filter(|i| named >> i & 1 == 1 && vote(first + i)).map(|i| 1 << i).sum()
    };
    let odds = ballot(0xaaaa_aaaa, &|thread| thread > 9);
    let any = ballot(u32::MAX, &|thread| thread == 40) != 0;
    let before = if lane == 0 { thread } else { thread - 1 };
    [
        ballot(u32::MAX, &|thread| thread % 3 == 0),
        of(5),
        of((lane & !3) + 1),
        of(lane ^ 3),
        of(if lane % 8 + 2 < 8 { lane + 2 } else { lane }),
        before + u32::from(any) * 1000,
        if lane % 2 == 1 { odds.count_ones() + 100 * (odds.trailing_zeros() + 1) } else { 0 },
        if lane % 2 == 1 { 0 } else { of(lane ^ 2) },
        ((u64::from(0x89ab_cdef_u32.wrapping_mul(thread + 1)) * 0xfedc_ba98) >> 32) as u32
            ^ thread.leading_zeros(),
        // Steps of half a bf16: ties go to even. A NaN stays one.
        0x7fff_0000 | (0x3f80 + (thread / 2 + u32::from(thread % 4 == 3))),
    ]
}

#[test]
fn shuffles_and_votes() {
    everywhere(|device| {
        for threads in [64, 44] {
            let kernel = Kernel { name: "talk", threads, shared: 0 };
            let run = Run { kernel, blocks: 1, inputs: &[], output: 40 * threads as usize, words: &[] };
            let found = to_numbers(&run.on(device).unwrap());
            for (thread, found) in found.chunks(10).enumerate() {
                assert_eq!(found, expected_talk(thread as u32, threads), "thread {thread} of {threads}");
            }
        }
    });
}

fn counts(device: &Emulated, name: &'static str) -> Result<Vec<u32>> {
    let x: Vec<u32> = (0..150).map(|i| i * i + i / 3).collect();
    let kernel = Kernel { name, threads: 64, shared: 32 };
    Run { kernel, blocks: 3, inputs: &[bytes(&x, u32::to_ne_bytes)], output: 32, words: &[150] }
        .on(device)
        .map(|out| to_numbers(&out))
}

fn neighbours(device: &Emulated, name: &'static str) -> Result<Vec<u32>> {
    let kernel = Kernel { name, threads: 64, shared: 256 };
    Run { kernel, blocks: 1, inputs: &[], output: 256, words: &[] }.on(device).map(|out| to_numbers(&out))
}

#[test]
fn counts_and_neighbours() {
    let mut expected = [0; 8];
    (0..150).for_each(|i: usize| expected[(i * i + i / 3) % 8] += 1);
    everywhere(|device| {
        assert_eq!(counts(device, "counts_NONE").unwrap(), expected);
        let expected: Vec<u32> = (0..64).map(|i| i ^ 1).collect();
        assert_eq!(neighbours(device, "neighbours_NONE").unwrap(), expected);
    });
}

/// The words with which a variant must end a kernel that has a bug.
fn finds<T: std::fmt::Debug>(variant: Variant, words: &[&str], run: impl Fn(&Emulated) -> Result<T>) {
    let Some(device) = start(variant, &Settings { seconds: 1, ..Settings::default() }) else { return };
    match run(&device) {
        Err(DeviceError::Lost(text)) => {
            for word in words {
                assert!(text.contains(word), "no {word:?} in:\n{text}");
            }
        }
        other => panic!("{variant:?} has not found {words:?}: {other:?}"),
    }
    assert!(matches!(device.free_memory(), Err(DeviceError::Lost(_))), "a device that is lost stays so");
}

/// That a bug changes a result in some order.
fn shows<T: PartialEq + std::fmt::Debug>(good: &T, run: impl Fn(&Emulated) -> Result<T>) {
    let shown = [Order::Up, Order::Down, Order::Shuffled(1)].iter().any(|&order| {
        let device = start(Variant::Plain, &Settings { order, ..Settings::default() });
        device.is_none_or(|device| run(&device).unwrap() != *good)
    });
    assert!(shown, "{good:?}");
}

#[test]
fn dropped_barriers_change_results_and_are_races() {
    let good = expected_sums(150);
    shows(&good, |device| sums(device, "sums_NO_FIRST_BARRIER", 150, 16));
    let race = ["data race", "kernels.cu"];
    finds(Variant::Thread, &race, |device| sums(device, "sums_NO_FIRST_BARRIER", 150, 16));
    for name in ["product_NO_FIRST_BARRIER", "product_NO_SECOND_BARRIER"] {
        let kernel = Kernel { name, ..PRODUCT };
        shows(&true, |device| {
            product(device, kernel, (16, 16), SHAPE)
                .map(|found| near(&found, &expected_product(SHAPE, |x| x)))
        });
        finds(Variant::Thread, &race, |device| product(device, kernel, (16, 16), SHAPE));
    }
    finds(Variant::Thread, &race, |device| neighbours(device, "neighbours_NO_WARP_BARRIER"));
    finds(Variant::Thread, &race, |device| counts(device, "counts_NOT_ATOMIC"));
    finds(Variant::Thread, &race, |device| counts(device, "counts_NOT_ATOMIC_BETWEEN_BLOCKS"));
}

#[test]
fn accesses_outside_memory() {
    // The read changes nothing, so only the sanitizer can know.
    let device = start(Variant::Plain, &Settings::default());
    assert!(
        device
            .is_none_or(|device| sums(&device, "sums_READS_BEHIND", 150, 16).unwrap() == expected_sums(150))
    );
    let overflow = ["heap-buffer-overflow", "kernels.cu"];
    finds(Variant::Address, &overflow, |device| sums(device, "sums_READS_BEHIND", 150, 16));
    finds(Variant::Address, &overflow, |device| sums(device, "sums_WRITES_BEHIND", 150, 16));
    finds(Variant::Plain, &["sums_WRITES_BEHIND", "wrote"], |device| {
        sums(device, "sums_WRITES_BEHIND", 150, 16)
    });
    // A row of shared memory too few.
    finds(Variant::Address, &overflow, |device| sums(device, "sums_NONE", 150, 12));
    finds(Variant::Plain, &["sums_NONE, block 0", "shared memory"], |device| {
        sums(device, "sums_NONE", 150, 12)
    });
}

fn wrong(device: &Emulated, name: &'static str) -> Result<Vec<u8>> {
    let kernel = Kernel { name, threads: 64, shared: 0 };
    Run { kernel, blocks: 1, inputs: &[], output: 256, words: &[] }.on(device)
}

#[test]
fn kernels_that_cannot_end() {
    for variant in ALL {
        let run = |name, columns| move |device: &Emulated| sums(device, name, columns, 16);
        finds(
            variant,
            &["sums_DIVERGENT_BARRIER", "deadlock; threads 48-127 ended; threads 0-47 wait at __syncthreads"],
            run("sums_DIVERGENT_BARRIER", 150),
        );
        finds(
            variant,
            &[
                "deadlock; threads 70-127 ended; threads 0-63 wait at __syncthreads; threads 64-69 wait at a shuffle of",
            ],
            run("sums_LEFT_EARLY", 70),
        );
        finds(variant, &["thread 16 is at a shuffle of lanes 0000ffff"], run("sums_FOREIGN_MASK", 150));
    }
    for name in ["wrong_LOOPS", "wrong_LOOPS_AT_BARRIER"] {
        finds(Variant::Plain, &[name, "still running after 1 s"], |device| wrong(device, name));
        finds(Variant::Thread, &["SIGPROF"], |device| wrong(device, name));
    }
}

#[test]
fn what_else_goes_wrong() {
    shows(&expected_sums(150), |device| sums(device, "sums_SHORT_SHUFFLE", 150, 16));
    finds(Variant::Plain, &["wrong_WRITES_NOWHERE, block 0: thread 3: Segmentation fault"], |device| {
        wrong(device, "wrong_WRITES_NOWHERE")
    });
    finds(Variant::Address, &["misaligned"], |device| wrong(device, "wrong_MISALIGNED"));
    finds(Variant::Address, &["signed integer overflow"], |device| wrong(device, "wrong_OVERFLOWS"));
    finds(Variant::Plain, &["no kernel nothing"], |device| wrong(device, "nothing"));
    finds(Variant::Plain, &["made for 128 threads, launched with 256"], |device| {
        let kernel = Kernel { name: "sums_NONE", threads: 256, shared: 32 };
        Run { kernel, blocks: 1, inputs: &[], output: 8, words: &[] }.on(device)
    });
    finds(Variant::Plain, &["its argument has 24 bytes, launched with 16"], |device| {
        Run {
            kernel: Kernel { name: "sums_NONE", threads: 128, shared: 16 },
            blocks: 1,
            inputs: &[],
            output: 8,
            words: &[1],
        }
        .on(device)
    });
}

#[test]
fn devices_refuse_what_they_cannot_do() {
    let Some(device) =
        start(Variant::Plain, &Settings { memory: 1000, lost_in: Some(2), ..Settings::default() })
    else {
        return;
    };
    let memory = device.allocate(600).unwrap();
    assert_eq!(device.allocate(401).unwrap_err(), DeviceError::OutOfMemory { bytes: 401 });
    assert_eq!(device.free_memory().unwrap(), 400);
    let mut queue = device.queue().unwrap();
    assert!(matches!(queue.upload(&memory, 599, &[1, 2]), Err(DeviceError::Failed { .. })));
    assert!(matches!(queue.clear(&memory, usize::MAX, 2), Err(DeviceError::Failed { .. })));
    assert!(matches!(queue.seconds_between_marks(), Err(DeviceError::Failed { .. })));
    let kernel = Kernel { name: "talk", threads: 2, shared: 0 };
    let launch = |blocks| Launch { kernel, blocks, argument: Arc::new([memory.address()]) };
    assert!(matches!(queue.run(&[launch(0)], 1), Err(DeviceError::Failed { .. })));

    queue.mark().unwrap();
    queue.run(&[launch(1)], 2).unwrap();
    queue.mark().unwrap();
    assert!(queue.seconds_between_marks().unwrap() > 0.0);
    queue.finish().unwrap();
    // What was queued is lost when somebody waits for it, and then all is.
    queue.run(&[launch(1)], 1).unwrap();
    assert_eq!(queue.finish().unwrap_err(), DeviceError::Lost("lost, as the test wants".into()));
    assert!(matches!(device.queue().err(), Some(DeviceError::Lost(_))));
    assert!(matches!(device.allocate(1), Err(DeviceError::Lost(_))));
    drop(memory);
    assert_eq!((device.live_bytes(), device.launches()), (0, 3));
}

#[test]
fn memory_must_live_until_its_work_is_done() {
    let Some(device) = start(Variant::Plain, &Settings { late: true, ..Settings::default() }) else { return };
    let mut queue = device.queue().unwrap();
    let memory = device.allocate(16).unwrap();
    queue.clear(&memory, 0, 16).unwrap();
    drop(memory);
    let Err(DeviceError::Lost(text)) = queue.finish() else {
        panic!("memory that was given back was cleared")
    };
    assert!(text.starts_with("clear: no memory at"), "{text}");
}
