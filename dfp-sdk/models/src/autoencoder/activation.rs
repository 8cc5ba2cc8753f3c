//! The functions between layers (spec section 11).

use serde::{Deserialize, Serialize};

use super::kernels::{add_bias, relu, relu_with_slope};

/// Slope of `rrelu` for negative values: the middle of its range 1/8..1/3, as in evaluation, in training too.
const RRELU_SLOPE: f32 = 11.0 / 48.0;
const SELU_ALPHA: f32 = 1.673_263_2;
const SELU_SCALE: f32 = 1.050_701;

/// A function applied to every output of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// `x`, and `0.01 x` below 0.
    LeakyRelu,
    /// `max(x, 0)`.
    Relu,
    /// `1 / (1 + e^-x)`.
    Sigmoid,
    /// Hyperbolic tangent.
    Tanh,
    /// Scaled exponential: keeps mean and variance.
    Selu,
    /// `x` between -1 and 1.
    Hardtanh,
    /// `x` between 0 and 6.
    Relu6,
    /// `x`, and `e^x - 1` below 0.
    Elu,
    /// As `elu` (they differ in a parameter that is 1 here).
    Celu,
    /// `x`, and `11/48 x` below 0.
    Rrelu,
    /// `x` outside -0.5..0.5, else 0.
    Hardshrink,
    /// `x - tanh x`.
    Tanhshrink,
    /// `x / (1 + |x|)`.
    Softsign,
}

impl Activation {
    /// Adds its bias to each of `bias.len()` rows of values, then replaces every value by the function of it.
    pub fn apply(self, values: &mut [f32], bias: &[f32]) {
        // The most common case by itself: its loop runs on several lanes at once.
        if self == Self::Relu {
            relu(values, bias);
        } else {
            add_bias(values, bias);
            for x in values {
                *x = self.value_and_slope(*x).0;
            }
        }
    }

    /// As [`apply`](Self::apply), and writes the function's derivative to `slopes`.
    pub fn apply_with_slope(self, values: &mut [f32], bias: &[f32], slopes: &mut [f32]) {
        if self == Self::Relu {
            relu_with_slope(values, bias, slopes);
        } else {
            add_bias(values, bias);
            for (x, slope) in values.iter_mut().zip(slopes) {
                (*x, *slope) = self.value_and_slope(*x);
            }
        }
    }

    /// The function and its derivative at `x`.
    pub fn value_and_slope(self, x: f32) -> (f32, f32) {
        let line_or = |slope: f32| if x > 0.0 { (x, 1.0) } else { (slope * x, slope) };
        match self {
            Self::LeakyRelu => line_or(0.01),
            Self::Relu => line_or(0.0),
            Self::Rrelu => line_or(RRELU_SLOPE),
            Self::Sigmoid => {
                let y = 1.0 / (1.0 + (-x).exp());
                (y, y * (1.0 - y))
            }
            Self::Tanh => {
                let y = x.tanh();
                (y, 1.0 - y * y)
            }
            Self::Selu if x > 0.0 => (SELU_SCALE * x, SELU_SCALE),
            Self::Selu => (SELU_SCALE * SELU_ALPHA * x.exp_m1(), SELU_SCALE * SELU_ALPHA * x.exp()),
            Self::Elu | Self::Celu if x > 0.0 => (x, 1.0),
            Self::Elu | Self::Celu => (x.exp_m1(), x.exp()),
            Self::Hardtanh => (x.clamp(-1.0, 1.0), f32::from(x > -1.0 && x < 1.0)),
            Self::Relu6 => (x.clamp(0.0, 6.0), f32::from(x > 0.0 && x < 6.0)),
            Self::Hardshrink if x.abs() > 0.5 => (x, 1.0),
            Self::Hardshrink => (0.0, 0.0),
            Self::Tanhshrink => {
                let t = x.tanh();
                (x - t, t * t)
            }
            Self::Softsign => {
                let d = 1.0 + x.abs();
                (x / d, 1.0 / (d * d))
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::float_cmp)] // Equal means equal here.
mod tests {
    use super::*;

    pub(crate) const ALL: [Activation; 13] = [
        Activation::LeakyRelu,
        Activation::Relu,
        Activation::Sigmoid,
        Activation::Tanh,
        Activation::Selu,
        Activation::Hardtanh,
        Activation::Relu6,
        Activation::Elu,
        Activation::Celu,
        Activation::Rrelu,
        Activation::Hardshrink,
        Activation::Tanhshrink,
        Activation::Softsign,
    ];

    #[test]
    fn slopes_are_derivatives() {
        for activation in ALL {
            for x in [-7.3_f32, -2.1, -0.7, -0.3, 0.2, 0.45, 0.9, 3.1, 8.0] {
                let h = 1e-3;
                let (up, down) = (activation.value_and_slope(x + h).0, activation.value_and_slope(x - h).0);
                let (_, slope) = activation.value_and_slope(x);
                assert!((slope - (up - down) / (2.0 * h)).abs() < 2e-3, "{activation:?} at {x}: {slope}");
            }
        }
    }

    #[test]
    fn whole_slices_agree_with_single_values() {
        for activation in ALL {
            // Of constants, the compiler would work out other last digits than the program.
            let x = std::hint::black_box([-3.0_f32, -0.2, 0.0, 0.2, 7.0]);
            let (mut a, mut b, mut slopes) = (x, x, [9.0; 5]);
            let bias = [0.0, 0.5, 1.0, -1.0, 3.0];
            activation.apply(&mut a, &bias);
            activation.apply_with_slope(&mut b, &bias, &mut slopes);
            for i in 0..5 {
                assert_eq!((a[i], slopes[i]), activation.value_and_slope(x[i] + bias[i]), "{activation:?}");
                assert_eq!(a[i], b[i]);
            }
        }
    }

    #[test]
    fn unknown_names_fail() {
        assert!(serde_json::from_str::<Activation>("\"swish\"").is_err());
        assert_eq!(serde_json::from_str::<Activation>("\"leaky_relu\"").unwrap(), Activation::LeakyRelu);
    }
}
