//! The emulator itself.
mod support;

use std::sync::Arc;

use dfp_cuda_kernels::device::{Device, Kernel, Launch};
use support::{Emulated, Program, Settings, Variant};

#[test]
fn sums() {
    for variant in [Variant::Plain, Variant::Portable, Variant::Address, Variant::Thread] {
        let Some(program) = Program::new("emulator/tests/simple.cu", variant) else { return };
        let start = std::time::Instant::now();
        let device = Emulated::new(&program, &Settings::default());
        let x = device.allocate(1000 * 40).unwrap();
        let y = device.allocate(40).unwrap();
        let mut queue = device.queue().unwrap();
        let values: Vec<u8> = (0..10000u32).flat_map(|i| (i as f32).to_le_bytes()).collect();
        queue.upload(&x, 0, &values).unwrap();
        let kernel = Kernel { name: "row_sums", threads: 128, shared: 16 };
        let argument = Arc::new([x.address(), y.address(), 1000]);
        queue.mark().unwrap();
        queue.run(&[Launch { kernel, blocks: 10, argument }], 1).unwrap();
        queue.mark().unwrap();
        let mut out = [0; 40];
        queue.download(&y, 0, &mut out).unwrap();
        let sums: Vec<f32> = out.chunks(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
        println!(
            "{variant:?} {sums:?} {} us, all {:?}",
            queue.seconds_between_marks().unwrap() * 1e6,
            start.elapsed()
        );
    }
}
