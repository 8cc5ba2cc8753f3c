//! Random numbers by counter: any draw can be made alone, on any thread or device, in any order.
//!
//! Generator: Philox4x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3", 2011). The key is
//! the seed (low word first). The counter is `[index, stream, block, epoch]`, its meaning fixed per use:
//!
//! | draw | index | stream | block | epoch | words used |
//! |---|---|---|---|---|---|
//! | swap noise, draw k of column c (numeric, binary, categorical order) | k | c | block of rows | epoch | 0: source row, 1: destination row |
//! | order of rows, or of blocks (Fisher-Yates from the end, step i) | i | [`ORDER`] | 0 | epoch | 0: partner in `0..=i` |
//! | dropout mask, units 4q..4q+4 of layer l at batch row r | q | [`DROPOUT`] + l | position of the row in the epoch | epoch | one a unit |
//! | initial value i of tensor t | i | [`INITIAL`] | t | 0 | 0 |
//! | rows a Gauss-rank scaler samples (step i) | i | [`SAMPLE`] | feature | 0 | 0: partner in `i..n` |
//!
//! Epochs count from 0; validation noise of an epoch sets the epoch's highest bit. A word `w` becomes a number below
//! `n` as the high half of `w * n`.

use super::kernels::vectorize;

/// Stream of row and block orders.
pub const ORDER: u32 = 0x8000_0000;
/// First stream of dropout masks.
pub const DROPOUT: u32 = 0x9000_0000;
/// Stream of initial weights.
pub const INITIAL: u32 = 0xA000_0000;
/// Stream of scaler samples.
pub const SAMPLE: u32 = 0xB000_0000;
/// Set in the epoch of validation noise.
pub const VALIDATION: u32 = 0x8000_0000;

/// Counters that [`philox_run`] takes at a time.
pub const RUN: usize = 16;

const MULTIPLIERS: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
const WEYL: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];

/// The four words of one counter value.
///
/// ```
/// use dfp_models::autoencoder::rng::philox;
///
/// // Known answer of the reference implementation.
/// assert_eq!(philox(0, [0; 4]), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
/// ```
pub fn philox(seed: u64, counter: [u32; 4]) -> [u32; 4] {
    let mut key = [seed as u32, (seed >> 32) as u32];
    let mut words = counter;
    for _ in 0..10 {
        words = round(key, words);
        key = next_key(key);
    }
    words
}

#[allow(clippy::inline_always)] // `vectorize!` needs it.
#[inline(always)]
fn round(key: [u32; 2], [a, b, c, d]: [u32; 4]) -> [u32; 4] {
    let ac = u64::from(MULTIPLIERS[0]) * u64::from(a);
    let cc = u64::from(MULTIPLIERS[1]) * u64::from(c);
    [(cc >> 32) as u32 ^ b ^ key[0], cc as u32, (ac >> 32) as u32 ^ d ^ key[1], ac as u32]
}

#[allow(clippy::inline_always)] // `vectorize!` needs it.
#[inline(always)]
fn next_key(key: [u32; 2]) -> [u32; 2] {
    [key[0].wrapping_add(WEYL[0]), key[1].wrapping_add(WEYL[1])]
}

/// The words of [`RUN`] counters that differ in their index, the first as given: `run[w][i]` is word `w` of the `i`th.
pub fn philox_run(seed: u64, counter: [u32; 4]) -> [[u32; RUN]; 4] {
    vectorize!(philox_run_inlined(seed, counter))
}

#[allow(clippy::inline_always)] // `vectorize!` needs it.
#[inline(always)]
fn philox_run_inlined(seed: u64, counter: [u32; 4]) -> [[u32; RUN]; 4] {
    let mut run = counter.map(|word| [word; RUN]);
    for (nth, index) in (0..).zip(&mut run[0]) {
        *index = index.wrapping_add(nth);
    }
    let mut key = [seed as u32, (seed >> 32) as u32];
    for _ in 0..10 {
        let [a, b, c, d] = &mut run;
        for i in 0..RUN {
            let counter = round(key, [a[i], b[i], c[i], d[i]]);
            [a[i], b[i], c[i], d[i]] = counter;
        }
        key = next_key(key);
    }
    run
}

/// A word as a number below `n`.
pub fn below(word: u32, n: usize) -> usize {
    ((u64::from(word) * n as u64) >> 32) as usize
}

/// A word as a number strictly between 0 and 1.
pub fn unit(word: u32) -> f64 {
    (f64::from(word) + 0.5) / 4_294_967_296.0
}

/// Puts `items` into the random order of one epoch.
pub(super) fn shuffle(seed: u64, epoch: u32, items: &mut [u32]) {
    for start in (0..items.len()).step_by(RUN).rev() {
        let words = philox_run(seed, [start as u32, ORDER, 0, epoch])[0];
        for i in (start.max(1)..items.len().min(start + RUN)).rev() {
            items.swap(i, below(words[i - start], i + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn philox_known_answers() {
        let ones = u64::MAX;
        assert_eq!(philox(ones, [u32::MAX; 4]), [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]);
        let key = 0x299f_31d0_a409_3822;
        let counter = [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344];
        assert_eq!(philox(key, counter), [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]);
    }

    #[test]
    fn a_run_is_the_words_of_its_counters() {
        let run = philox_run(77, [5, 6, 7, 8]);
        for i in 0..RUN {
            assert_eq!(run.map(|words| words[i]), philox(77, [5 + i as u32, 6, 7, 8]));
        }
    }

    #[test]
    fn numbers_stay_in_range() {
        assert_eq!((below(0, 7), below(u32::MAX, 7)), (0, 6));
        assert!(unit(0) > 0.0 && unit(u32::MAX) < 1.0);
    }

    #[test]
    fn a_shuffle_is_a_permutation_and_depends_on_the_epoch() {
        let order = |epoch| {
            let mut items: Vec<u32> = (0..100).collect();
            shuffle(5, epoch, &mut items);
            items
        };
        let mut sorted = order(0);
        sorted.sort_unstable();
        assert_eq!(sorted, (0..100).collect::<Vec<_>>());
        assert_eq!(order(3), order(3));
        assert_ne!(order(3), order(4));
    }
}
