//! Scalers of numbers and of losses (spec section 12).

use serde::{Deserialize, Serialize};

use super::rng::{SAMPLE, below, philox};

/// Most quantiles of a Gauss-rank scaler.
const QUANTILES: usize = 1000;
/// Most values a Gauss-rank scaler is fitted on; of more, a random sample is taken.
const SAMPLE_SIZE: usize = 10_000;
/// Values this close to an end of the fitted range are at that end.
const END: f64 = 1e-7;
/// The normal quantile of `1 - END`: as far out as a Gauss-rank scaler goes.
const FARTHEST: f64 = 5.199_337_582_605_575;
/// MAD to standard deviation of a normal distribution.
const MAD_FACTOR: f64 = 1.486;
/// Mean absolute deviation to standard deviation of a normal distribution.
const MEAN_AD_FACTOR: f64 = 1.253_314;

/// Which scaler to fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScalerKind {
    /// `(x - mean) / std`.
    Standard,
    /// `(x - median) / (1.486 MAD)`: hardly moved by outliers.
    Modified,
    /// The rank, mapped to a normal distribution.
    GaussRank,
    /// As it is.
    None,
}

impl ScalerKind {
    /// What results of this loss scaler are called: `z`, `modz` or `<name>_scaled`.
    pub fn z_name(self) -> &'static str {
        match self {
            Self::Standard => "z",
            Self::Modified => "modz",
            Self::GaussRank => "gauss_rank_scaled",
            Self::None => "none_scaled",
        }
    }
}

/// A fitted scaler.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Scaler {
    /// See [`ScalerKind::Standard`].
    Standard {
        /// Mean of the fitted values.
        mean: f64,
        /// Population standard deviation, 1 where it is 0.
        std: f64,
    },
    /// See [`ScalerKind::Modified`].
    Modified {
        /// Lower median of the fitted values.
        median: f64,
        /// Lower median of the distances from the median.
        mad: f64,
        /// Mean of the distances from the median, 1 where it is 0; used where `mad` is 0.
        mean_ad: f64,
    },
    /// See [`ScalerKind::GaussRank`].
    GaussRank {
        /// Values at evenly spaced ranks, rising.
        quantiles: Vec<f64>,
    },
    /// See [`ScalerKind::None`].
    None {},
}

impl Scaler {
    /// Fits to finite values; of none, a scaler that changes nothing much. Values so large that their mean overflows
    /// stay as they are. `seed` and `feature` pick the sample of a Gauss-rank scaler of more than 10 000 values.
    pub fn fit(kind: ScalerKind, values: &[f64], seed: u64, feature: u32) -> Self {
        let fitted = match kind {
            ScalerKind::Standard => Self::fit_standard(values),
            ScalerKind::Modified => Self::fit_modified(values),
            ScalerKind::GaussRank => Self::GaussRank { quantiles: quantiles(sample(values, seed, feature)) },
            ScalerKind::None => Self::None {},
        };
        if fitted.is_valid() { fitted } else { Self::None {} }
    }

    fn fit_standard(values: &[f64]) -> Self {
        if values.is_empty() {
            return Self::Standard { mean: 0.0, std: 1.0 };
        }
        let mean = mean(values.iter().copied());
        let std = self::mean(values.iter().map(|x| (x - mean) * (x - mean))).sqrt();
        Self::Standard { mean, std: one_for_zero(std) }
    }

    fn fit_modified(values: &[f64]) -> Self {
        if values.is_empty() {
            return Self::Modified { median: 0.0, mad: 0.0, mean_ad: 1.0 };
        }
        let median = lower_median(values.to_vec());
        let distances: Vec<f64> = values.iter().map(|x| (x - median).abs()).collect();
        let mean_ad = one_for_zero(mean(distances.iter().copied()));
        Self::Modified { median, mad: lower_median(distances), mean_ad }
    }

    /// The scaled value. Finite for every finite `x`.
    pub fn transform(&self, x: f64) -> f64 {
        let y = match self {
            Self::Standard { mean, std } => (x - mean) / std,
            Self::Modified { median, mad, mean_ad } => (x - median) / modified_width(*mad, *mean_ad),
            Self::GaussRank { quantiles } => gauss_rank(quantiles, x),
            Self::None {} => x,
        };
        if y.is_nan() { 0.0 } else { y.clamp(f64::MIN, f64::MAX) }
    }

    /// The value whose scaled value is `y`.
    pub fn inverse(&self, y: f64) -> f64 {
        match self {
            Self::Standard { mean, std } => y * std + mean,
            Self::Modified { median, mad, mean_ad } => y * modified_width(*mad, *mean_ad) + median,
            Self::GaussRank { quantiles } => inverse_gauss_rank(quantiles, y),
            Self::None {} => y,
        }
    }

    /// Which kind it is.
    pub fn kind(&self) -> ScalerKind {
        match self {
            Self::Standard { .. } => ScalerKind::Standard,
            Self::Modified { .. } => ScalerKind::Modified,
            Self::GaussRank { .. } => ScalerKind::GaussRank,
            Self::None {} => ScalerKind::None,
        }
    }

    /// Whether a fit could have made it: parameters are finite, widths positive, quantiles rising.
    pub fn is_valid(&self) -> bool {
        match self {
            Self::Standard { mean, std } => mean.is_finite() && std.is_finite() && *std > 0.0,
            Self::Modified { median, mad, mean_ad } => {
                let widths = mad.is_finite() && *mad >= 0.0 && mean_ad.is_finite() && *mean_ad > 0.0;
                median.is_finite() && widths
            }
            Self::GaussRank { quantiles } => {
                let sized = (1..=QUANTILES).contains(&quantiles.len());
                sized && quantiles.iter().all(|q| q.is_finite()) && quantiles.is_sorted()
            }
            Self::None {} => true,
        }
    }
}

fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let n = values.len() as f64;
    values.sum::<f64>() / n
}

fn one_for_zero(width: f64) -> f64 {
    if width > 0.0 && width.is_finite() { width } else { 1.0 }
}

fn modified_width(mad: f64, mean_ad: f64) -> f64 {
    if mad > 0.0 { MAD_FACTOR * mad } else { MEAN_AD_FACTOR * mean_ad }
}

/// The middle value, the lower one of two.
fn lower_median(mut values: Vec<f64>) -> f64 {
    let middle = (values.len() - 1) / 2;
    *values.select_nth_unstable_by(middle, f64::total_cmp).1
}

/// All values, or a random choice of [`SAMPLE_SIZE`] of them.
fn sample(values: &[f64], seed: u64, feature: u32) -> Vec<f64> {
    let mut values = values.to_vec();
    let n = values.len();
    if n > SAMPLE_SIZE {
        for i in 0..SAMPLE_SIZE {
            let word = philox(seed, [i as u32, SAMPLE, feature, 0])[0];
            values.swap(i, i + below(word, n - i));
        }
        values.truncate(SAMPLE_SIZE);
    }
    values
}

/// Values at evenly spaced ranks, linear between neighbours.
fn quantiles(mut values: Vec<f64>) -> Vec<f64> {
    if values.is_empty() {
        return vec![0.0];
    }
    values.sort_unstable_by(f64::total_cmp);
    let (last, count) = (values.len() - 1, values.len().min(QUANTILES));
    let at = |i: usize| {
        let rank = reference(i, count) * last as f64;
        let below = (rank as usize).min(last);
        let (low, high) = (values[below], values[(below + 1).min(last)]);
        (low + (high - low) * (rank - below as f64)).clamp(low, high)
    };
    (0..count).map(at).collect()
}

/// The rank, from 0 to 1, that quantile `i` of `count` stands for.
fn reference(i: usize, count: usize) -> f64 {
    if count > 1 { i as f64 / (count - 1) as f64 } else { 0.0 }
}

fn gauss_rank(quantiles: &[f64], x: f64) -> f64 {
    let (low, high) = (quantiles[0], quantiles[quantiles.len() - 1]);
    // The lower end wins where both apply, as in the reference. Beside huge numbers END is nothing: compare without too.
    let rank = if x - END < low || x <= low {
        0.0
    } else if x + END > high || x >= high {
        1.0
    } else {
        mean_rank(quantiles, x)
    };
    normal_quantile(rank).clamp(-FARTHEST, FARTHEST)
}

/// The rank of `x` strictly inside the range, the middle one where several quantiles equal it.
fn mean_rank(quantiles: &[f64], x: f64) -> f64 {
    let count = quantiles.len();
    let between = |left: usize, right: usize| {
        let share = (x - quantiles[left]) / (quantiles[right] - quantiles[left]);
        reference(left, count) + share * (reference(right, count) - reference(left, count))
    };
    // From below, the last quantile not above x counts; seen from above, the first not below it.
    let after = quantiles.partition_point(|q| *q <= x);
    let upward = between(after - 1, after);
    let before = quantiles.partition_point(|q| *q < x);
    let downward = between(before - 1, before);
    0.5 * (upward + downward)
}

fn inverse_gauss_rank(quantiles: &[f64], y: f64) -> f64 {
    let (rank, last) = (normal_cdf(y), quantiles.len() - 1);
    if rank - END < 0.0 {
        return quantiles[0];
    }
    if rank + END > 1.0 {
        return quantiles[last];
    }
    let position = rank * last as f64;
    let below = (position as usize).min(last);
    let (low, high) = (quantiles[below], quantiles[(below + 1).min(last)]);
    low + (high - low) * (position - below as f64)
}

/// Share of a standard normal distribution below `x`.
fn normal_cdf(x: f64) -> f64 {
    0.5 * libm::erfc(-x * std::f64::consts::FRAC_1_SQRT_2)
}

fn polynomial(coefficients: &[f64], x: f64) -> f64 {
    coefficients.iter().rev().fold(0.0, |sum, c| sum * x + c)
}

/// The value that a share `p` of a standard normal distribution lies below; infinite at 0 and 1. Relative error about
/// 1e-16 (Wichura, algorithm AS 241, PPND16).
pub(super) fn normal_quantile(p: f64) -> f64 {
    let q = p - 0.5;
    if q.abs() <= 0.425 {
        let r = 0.180_625 - q * q;
        return q * polynomial(&CENTRE[0], r) / polynomial(&CENTRE[1], r);
    }
    let tail = if q < 0.0 { p } else { 1.0 - p };
    if tail <= 0.0 {
        return f64::INFINITY.copysign(q);
    }
    let r = (-tail.ln()).sqrt();
    let x = if r <= 5.0 {
        polynomial(&MIDDLE[0], r - 1.6) / polynomial(&MIDDLE[1], r - 1.6)
    } else {
        polynomial(&TAIL[0], r - 5.0) / polynomial(&TAIL[1], r - 5.0)
    };
    x.copysign(q)
}

// Numerator and denominator of AS 241, lowest power first, for the centre and the two parts of the tails.
const CENTRE: [[f64; 8]; 2] = [
    [
        3.387_132_872_796_366_5,
        133.141_667_891_784_38,
        1_971.590_950_306_551_3,
        13_731.693_765_509_46,
        45_921.953_931_549_87,
        67_265.770_927_008_7,
        33_430.575_583_588_13,
        2_509.080_928_730_122_7,
    ],
    [
        1.0,
        42.313_330_701_600_91,
        687.187_007_492_057_9,
        5_394.196_021_424_751,
        21_213.794_301_586_597,
        39_307.895_800_092_71,
        28_729.085_735_721_943,
        5_226.495_278_852_854,
    ],
];
const MIDDLE: [[f64; 8]; 2] = [
    [
        1.423_437_110_749_683_5,
        4.630_337_846_156_546,
        5.769_497_221_460_691,
        3.647_848_324_763_204_5,
        1.270_458_252_452_368_4,
        0.241_780_725_177_450_6,
        0.022_723_844_989_269_184,
        7.745_450_142_783_414e-4,
    ],
    [
        1.0,
        2.053_191_626_637_759,
        1.676_384_830_183_803_8,
        0.689_767_334_985_1,
        0.148_103_976_427_480_08,
        0.015_198_666_563_616_457,
        5.475_938_084_995_345e-4,
        1.050_750_071_644_416_9e-9,
    ],
];
const TAIL: [[f64; 8]; 2] = [
    [
        6.657_904_643_501_103,
        5.463_784_911_164_114,
        1.784_826_539_917_291_3,
        0.296_560_571_828_504_87,
        0.026_532_189_526_576_124,
        0.001_242_660_947_388_078_4,
        2.711_555_568_743_487_6e-5,
        2.010_334_399_292_288_1e-7,
    ],
    [
        1.0,
        0.599_832_206_555_888,
        0.136_929_880_922_735_8,
        0.014_875_361_290_850_615,
        7.868_691_311_456_133e-4,
        1.846_318_317_510_054_7e-5,
        1.421_511_758_316_446e-7,
        2.044_263_103_389_939_8e-15,
    ],
];

#[cfg(test)]
#[allow(clippy::float_cmp)] // Equal means equal here.
mod tests {
    use super::*;

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() <= 1e-12 * (1.0 + b.abs())
    }

    #[test]
    fn normal_quantiles_have_known_values_and_invert_the_distribution() {
        assert!(close(normal_quantile(0.975), 1.959_963_984_540_054));
        assert!(close(normal_quantile(1e-10), -6.361_340_902_404_056));
        for p in [1e-7, 0.01, 0.06, 0.3, 0.5, 0.7, 0.93, 0.999] {
            assert!(close(normal_cdf(normal_quantile(p)), p), "{p}");
        }
        assert_eq!((normal_quantile(0.0), normal_quantile(1.0)), (f64::NEG_INFINITY, f64::INFINITY));
    }

    #[test]
    fn standard_uses_the_population_deviation_and_survives_constants() {
        let scaler = Scaler::fit(ScalerKind::Standard, &[1.0, 1.0, 1.0, 9.0], 0, 0);
        assert_eq!(scaler, Scaler::Standard { mean: 3.0, std: 12_f64.sqrt() });
        let constant = Scaler::fit(ScalerKind::Standard, &[7.0; 3], 0, 0);
        assert!(close(constant.transform(9.5), 2.5));
    }

    #[test]
    fn modified_takes_the_lower_median_and_falls_back_twice() {
        let scaler = Scaler::fit(ScalerKind::Modified, &[4.0, 1.0, 2.0, 3.0], 0, 0);
        assert_eq!(scaler, Scaler::Modified { median: 2.0, mad: 1.0, mean_ad: 1.0 });
        assert!(close(scaler.transform(2.0 + 1.486), 1.0));
        let mostly_constant = Scaler::fit(ScalerKind::Modified, &[1.0, 1.0, 1.0, 9.0], 0, 0);
        assert!(close(mostly_constant.transform(1.0 + 2.0 * 1.253_314), 1.0));
        let constant = Scaler::fit(ScalerKind::Modified, &[5.0; 4], 0, 0);
        assert!(close(constant.transform(5.0 + 1.253_314), 1.0));
    }

    #[test]
    fn gauss_rank_maps_ranks_to_a_normal_and_back() {
        let values: Vec<f64> = (0..101).map(f64::from).collect();
        let scaler = Scaler::fit(ScalerKind::GaussRank, &values, 0, 0);
        assert!(close(scaler.transform(50.0), 0.0));
        assert!(close(scaler.transform(97.5), 1.959_963_984_540_054));
        assert!(close(scaler.inverse(scaler.transform(31.25)), 31.25));
        assert_eq!(scaler.transform(1e9), FARTHEST);
        assert_eq!(scaler.transform(-1.0), -FARTHEST);
    }

    #[test]
    fn ties_take_the_middle_rank() {
        let scaler = Scaler::fit(ScalerKind::GaussRank, &[0.0, 1.0, 1.0, 1.0, 2.0], 0, 0);
        assert!(close(scaler.transform(1.0), 0.0));
    }

    #[test]
    fn large_fits_sample_the_same_values_every_time() {
        let values: Vec<f64> = (0..50_000).map(f64::from).collect();
        let fit = |seed| Scaler::fit(ScalerKind::GaussRank, &values, seed, 3);
        assert_eq!(fit(1), fit(1));
        assert_ne!(fit(1), fit(2));
        assert!(fit(1).transform(25_000.0).abs() < 0.05);
    }

    #[test]
    fn nothing_to_fit_gives_a_usable_scaler() {
        for kind in [ScalerKind::Standard, ScalerKind::Modified, ScalerKind::GaussRank, ScalerKind::None] {
            let scaler = Scaler::fit(kind, &[], 0, 0);
            assert!(scaler.is_valid() && scaler.transform(3.0).is_finite(), "{kind:?}");
            assert_eq!(scaler.kind(), kind);
        }
    }
}
