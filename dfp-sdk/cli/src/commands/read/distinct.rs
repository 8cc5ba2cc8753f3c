//! How many different values there are, in bounded memory.

use std::collections::HashSet;
use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use foldhash::quality::FixedState;
use serde::Serialize;

/// As many different values are counted exactly.
const EXACT: usize = 10_000;
/// Bits of a hash that choose the register: 16,384 registers, a standard error of 0.8 %.
const BITS: u32 = 14;

/// A number of different values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct Count {
    pub(super) distinct: u64,
    /// Whether it is an estimate, with a standard error of 0.8 %.
    pub(super) approximate: bool,
}

/// Counts different values: exactly up to [`EXACT`], beyond by `HyperLogLog` (Flajolet et al. 2007) with the estimator of
/// Ertl (2017, algorithm 6), which needs no correction for small or large numbers.
#[derive(Debug, Clone)]
pub(super) enum Distinct {
    Exact(HashSet<u64, RandomState>),
    Registers(Vec<u8>),
}

impl Default for Distinct {
    fn default() -> Self {
        Self::Exact(HashSet::default())
    }
}

impl Distinct {
    pub(super) fn add(&mut self, value: &[u8]) {
        let hash = FixedState::default().hash_one(value);
        match self {
            Self::Exact(hashes) => {
                hashes.insert(hash);
                if hashes.len() > EXACT {
                    let mut registers = vec![0; 1 << BITS];
                    for &hash in hashes.iter() {
                        note(&mut registers, hash);
                    }
                    *self = Self::Registers(registers);
                }
            }
            Self::Registers(registers) => note(registers, hash),
        }
    }

    pub(super) fn count(&self) -> Count {
        match self {
            Self::Exact(hashes) => Count { distinct: hashes.len() as u64, approximate: false },
            Self::Registers(registers) => Count { distinct: estimate(registers), approximate: true },
        }
    }
}

fn note(registers: &mut [u8], hash: u64) {
    let register = &mut registers[(hash >> (64 - BITS)) as usize];
    let rank = ((hash << BITS).leading_zeros().min(64 - BITS) + 1) as u8;
    *register = rank.max(*register);
}

fn estimate(registers: &[u8]) -> u64 {
    const Q: usize = (64 - BITS) as usize;
    let m = registers.len() as f64;
    let mut counts = [0_u32; Q + 2];
    for &rank in registers {
        counts[usize::from(rank)] += 1;
    }
    let mut z = m * tau(1.0 - f64::from(counts[Q + 1]) / m);
    for &count in counts[1..=Q].iter().rev() {
        z = 0.5 * (z + f64::from(count));
    }
    z += m * sigma(f64::from(counts[0]) / m);
    (m * m / (2.0 * std::f64::consts::LN_2 * z)).round() as u64
}

fn sigma(mut x: f64) -> f64 {
    let (mut y, mut z) = (1.0, x);
    loop {
        x *= x;
        let before = z;
        z += x * y;
        y += y;
        // At 1, when no register is set, the sum has no limit; the set is exact then.
        if z <= before || !z.is_finite() {
            return z;
        }
    }
}

fn tau(mut x: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return 0.0;
    }
    let (mut y, mut z) = (1.0, 1.0 - x);
    loop {
        x = x.sqrt();
        let before = z;
        y *= 0.5;
        z -= (1.0 - x).powi(2) * y;
        if z >= before {
            return z / 3.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_values_are_counted_and_many_estimated_within_bounds() {
        let mut distinct = Distinct::default();
        let mut value = 0_u64;
        for goal in [0, 1, 100, 10_000, 10_001, 30_000, 60_000, 200_000, 1_000_000] {
            while value < goal {
                distinct.add(&value.to_le_bytes());
                distinct.add(&value.to_le_bytes());
                value += 1;
            }
            let Count { distinct, approximate } = distinct.count();
            assert_eq!(approximate, goal > EXACT as u64);
            let error = distinct.abs_diff(goal) as f64;
            assert!(
                if approximate { error <= 0.03 * goal as f64 } else { error == 0.0 },
                "{distinct} of {goal}"
            );
        }
    }

    #[test]
    fn estimates_are_without_bias_and_as_exact_as_promised() {
        const SETS: u32 = 40;
        const VALUES: u32 = 50_000;
        let errors = (0..SETS).map(|set| {
            let mut distinct = Distinct::default();
            (0..VALUES).for_each(|value| distinct.add(format!("{set:02}-{value:032}").as_bytes()));
            distinct.count().distinct as f64 / f64::from(VALUES) - 1.0
        });
        let errors: Vec<f64> = errors.collect();
        let mean = errors.iter().sum::<f64>() / f64::from(SETS);
        let deviation = (errors.iter().map(|error| error * error).sum::<f64>() / f64::from(SETS)).sqrt();
        println!("mean {mean:.5}, deviation {deviation:.5}");
        assert!(mean.abs() < 0.004 && deviation < 0.011, "mean {mean}, deviation {deviation}");
    }
}
