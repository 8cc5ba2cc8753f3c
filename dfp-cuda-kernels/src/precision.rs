//! The kernels, in the precisions there are.

use crate::device::{DeviceInfo, Kernel};

/// Threads of a block; `THREADS` of the kernels.
const THREADS: u32 = 256;

/// How products are computed. Weights, sums and everything else are 32-bit floating point in all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Precision {
    /// In 32 bits: as the CPU does, but for the order of sums.
    #[default]
    Fp32,
    /// On tensor cores, every operand the sum of two bf16: errors of about 2^-16 of an operand.
    Bf16x3,
    /// On tensor cores, operands rounded to bf16: errors of up to 2^-9 of an operand.
    Bf16,
    /// The same with the instructions of compute capability 9.0; on other devices as [`Bf16`](Self::Bf16).
    Wgmma,
}

impl Precision {
    /// All there are.
    pub const ALL: [Self; 4] = [Self::Fp32, Self::Bf16x3, Self::Bf16, Self::Wgmma];

    /// What a device has of it.
    pub(crate) fn on(self, device: &DeviceInfo) -> Self {
        if self == Self::Wgmma && device.capability != (9, 0) { Self::Bf16 } else { self }
    }

    /// Rows of a tile that a block computes.
    pub(crate) fn tile_rows(self) -> usize {
        if self == Self::Fp32 { 64 } else { 128 }
    }

    fn kernel(self, names: [&'static str; 4]) -> Kernel {
        let shared = if self == Self::Fp32 { 34_816 } else { 69_632 };
        Kernel { name: names[self as usize], threads: THREADS, shared }
    }

    pub(crate) fn pass(self) -> Kernel {
        self.kernel(["pass_fp32", "pass_bf16x3", "pass_bf16", "pass_wgmma"])
    }

    pub(crate) fn learn(self) -> Kernel {
        self.kernel(["learn_fp32", "learn_bf16x3", "learn_bf16", "learn_wgmma"])
    }

    pub(crate) fn evaluate(self) -> Kernel {
        self.kernel(["evaluate_fp32", "evaluate_bf16x3", "evaluate_bf16", "evaluate_wgmma"])
    }
}

/// Columns of a tile that a block computes.
pub(crate) const TILE_COLUMNS: usize = 128;
/// Codes of an embedding that a block updates; `CODES` of the kernels.
pub(crate) const CODES: usize = 64;

/// Order and noise; its shared memory holds the partners of a block of swaps, and `SHUFFLED_IN_SHARED` items.
pub(crate) const DEAL: Kernel = Kernel { name: "deal", threads: THREADS, shared: (256 + 10 * 1024) * 4 };
/// Noise of validation rows.
pub(crate) const DEAL_WATCHED: Kernel = Kernel { name: "deal_watched", threads: THREADS, shared: 0 };
/// Losses and progress.
pub(crate) const RECORD: Kernel = Kernel { name: "record", threads: THREADS, shared: 16 };
/// Mean and standard deviation of losses.
pub(crate) const TAKE_STATISTICS: Kernel = Kernel { name: "take_statistics", threads: THREADS, shared: 0 };

/// Every kernel there is.
pub fn kernels() -> Vec<Kernel> {
    let multiplying = Precision::ALL.into_iter().flat_map(|p| [p.pass(), p.learn(), p.evaluate()]);
    multiplying.chain([DEAL, DEAL_WATCHED, RECORD, TAKE_STATISTICS]).collect()
}
