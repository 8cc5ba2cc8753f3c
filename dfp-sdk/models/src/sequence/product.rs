//! Products of very many probabilities.

use std::cmp::Ordering;
use std::ops::Mul;

/// Exponent of the power of two that a mantissa is kept above.
const STEP: i32 = 500;

/// A product of probabilities that never underflows: a number in (2^-500, 1] and how often it was divided by 2^-500.
///
/// Multiplying is plain multiplication of the mantissas, so that a product agrees with one of ordinary numbers to the last
/// bit, as long as that one does not underflow; the order of factors matters to the last bits in the same way. Factors
/// themselves must be above 2^-500, at most 1 unless they undo smaller ones before them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Product {
    mantissa: f64,
    steps: u32,
}

impl Product {
    /// The product of nothing.
    pub const ONE: Self = Self { mantissa: 1.0, steps: 0 };

    /// The product as a number; 0 below 5e-324.
    pub fn value(self) -> f64 {
        match self.steps {
            0 => self.mantissa,
            // In two steps: 2^-1000 times a mantissa is still a normal number or rounds once.
            1 | 2 => self.mantissa * exp2(-STEP * self.steps as i32),
            _ => 0.0,
        }
    }

    /// The natural logarithm, which is finite.
    pub fn ln(self) -> f64 {
        self.mantissa.ln() - f64::from(self.steps) * f64::from(STEP) * std::f64::consts::LN_2
    }

    /// The `n`-th root: the geometric mean of `n` factors.
    pub fn root(self, n: usize) -> f64 {
        if n == 1 { self.value() } else { (self.ln() / n as f64).exp() }
    }

    fn normal(self) -> Self {
        if self.mantissa <= exp2(-STEP) {
            Self { mantissa: self.mantissa * exp2(STEP), steps: self.steps + 1 }
        } else if self.mantissa > 1.0 && self.steps > 0 {
            Self { mantissa: self.mantissa * exp2(-STEP), steps: self.steps - 1 }
        } else {
            self
        }
    }
}

/// 2 to the power of a whole number in the range of normal numbers.
const fn exp2(exponent: i32) -> f64 {
    f64::from_bits(((1023 + exponent) as u64) << 52)
}

impl From<f64> for Product {
    fn from(factor: f64) -> Self {
        Self { mantissa: factor, steps: 0 }.normal()
    }
}

impl Mul<f64> for Product {
    type Output = Self;

    fn mul(self, factor: f64) -> Self {
        Self { mantissa: self.mantissa * factor, ..self }.normal()
    }
}

impl Mul for Product {
    type Output = Self;

    fn mul(self, other: Self) -> Self {
        Self { mantissa: self.mantissa * other.mantissa, steps: self.steps + other.steps }.normal()
    }
}

impl PartialOrd for Product {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(other.steps.cmp(&self.steps).then(self.mantissa.total_cmp(&other.mantissa)))
    }
}

#[cfg(test)]
#[allow(clippy::float_cmp)] // Equal means equal here.
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_is_the_plain_product_as_long_as_that_is_a_number(
            factors in proptest::collection::vec(1e-12..=1.0_f64, 0..25)
        ) {
            let plain = factors.iter().fold(1.0, |all, factor| all * factor);
            let product = factors.iter().fold(Product::ONE, |all, factor| all * *factor);
            prop_assert_eq!(product.value(), plain);
            prop_assert!((product.ln() - plain.ln()).abs() <= 1e-12 * plain.ln().abs());
        }

        #[test]
        fn it_orders_as_its_logarithms(a in 0..3000_i32, b in 0..3000_i32) {
            let power = |n: i32| (0..n).fold(Product::ONE, |all, _| all * 0.5);
            prop_assert_eq!(power(a).partial_cmp(&power(b)), b.partial_cmp(&a));
            prop_assert_eq!(power(a) * power(b), power(a + b));
            prop_assert!((power(a).ln() + f64::from(a) * 2.0_f64.ln()).abs() < 1e-9);
        }
    }

    #[test]
    fn it_goes_on_where_numbers_end() {
        let tiny = (0..700).fold(Product::ONE, |all, _| all * 0.001);
        assert_eq!(tiny.value(), 0.0);
        assert!((tiny.ln() - 700.0 * 0.001_f64.ln()).abs() < 1e-9);
        assert!((tiny.root(700) - 0.001).abs() < 1e-15);
        let edge = Product::from(1e-300) * 1e-20;
        assert!((edge.value() / 1e-320 - 1.0).abs() < 1e-3);
    }

    #[test]
    fn factors_above_one_undo_smaller_ones() {
        let down = (0..100).fold(Product::ONE, |all, _| all * 1e-20);
        let up = (0..100).fold(down, |all, _| all * 1e20);
        assert_eq!(up.steps, 0);
        assert!((up.value() - 1.0).abs() < 1e-12);
    }
}
