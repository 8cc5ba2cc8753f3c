//! How weights follow their gradients (spec section 11).

use super::config::Optimizer;
use super::kernels::vectorize;

/// Keeps Adam's division from blowing up.
const EPSILON: f32 = 1e-8;

/// What an optimiser remembers about some weights.
#[derive(Debug, Clone)]
pub(super) struct State {
    /// Momentum of SGD; mean of the gradient for Adam.
    first: Vec<f32>,
    /// Adam's mean of the squared gradient.
    second: Vec<f32>,
    /// Largest `second` so far, with amsgrad.
    largest: Vec<f32>,
}

impl State {
    pub(super) fn new(optimizer: &Optimizer, weights: usize) -> Self {
        let if_used = |used: bool| vec![0.0; if used { weights } else { 0 }];
        match *optimizer {
            Optimizer::Sgd { momentum, .. } => {
                Self { first: if_used(momentum > 0.0), second: Vec::new(), largest: Vec::new() }
            }
            Optimizer::Adam { amsgrad, .. } => {
                Self { first: if_used(true), second: if_used(true), largest: if_used(amsgrad) }
            }
        }
    }

    /// Moves `weights` by their `gradients`. `step` counts from 1.
    pub(super) fn step(
        &mut self,
        optimizer: &Optimizer,
        rate: f64,
        step: u64,
        weights: &mut [f32],
        gradients: &[f32],
    ) {
        vectorize!(self.step_inlined(optimizer, rate, step, weights, gradients));
    }

    #[allow(clippy::inline_always)] // `vectorize!` needs it.
    #[inline(always)]
    fn step_inlined(
        &mut self,
        optimizer: &Optimizer,
        rate: f64,
        step: u64,
        weights: &mut [f32],
        gradients: &[f32],
    ) {
        match *optimizer {
            Optimizer::Sgd { momentum, nesterov, dampening, weight_decay } => {
                let [rate, momentum, dampening, decay] =
                    [rate, momentum, dampening, weight_decay].map(|x| x as f32);
                if momentum == 0.0 {
                    for (w, g) in weights.iter_mut().zip(gradients) {
                        *w -= rate * (g + decay * *w);
                    }
                    return;
                }
                // The first gradient is the momentum, undamped.
                let (keep, share) = if step == 1 { (0.0, 1.0) } else { (momentum, 1.0 - dampening) };
                for ((w, g), m) in weights.iter_mut().zip(gradients).zip(&mut self.first) {
                    let g = g + decay * *w;
                    *m = keep * *m + share * g;
                    *w -= rate * if nesterov { g + momentum * *m } else { *m };
                }
            }
            Optimizer::Adam { betas, amsgrad, weight_decay } => {
                let power = step.min(i32::MAX as u64) as i32;
                let size = (rate / (1.0 - betas.0.powi(power))) as f32;
                let correction = (1.0 / (1.0 - betas.1.powi(power)).sqrt()) as f32;
                let adam = Adam {
                    b1: betas.0 as f32,
                    b2: betas.1 as f32,
                    size,
                    correction,
                    decay: weight_decay as f32,
                };
                if amsgrad {
                    let largest = self.largest.iter_mut();
                    let memory = self.first.iter_mut().zip(&mut self.second).zip(largest);
                    for ((w, g), ((m, v), largest)) in weights.iter_mut().zip(gradients).zip(memory) {
                        adam.remember(*w, *g, m, v);
                        *largest = largest.max(*v);
                        *w -= adam.move_by(*m, *largest);
                    }
                } else {
                    let memory = self.first.iter_mut().zip(&mut self.second);
                    for ((w, g), (m, v)) in weights.iter_mut().zip(gradients).zip(memory) {
                        adam.remember(*w, *g, m, v);
                        *w -= adam.move_by(*m, *v);
                    }
                }
            }
        }
    }
}

/// Adam's numbers of one step.
struct Adam {
    b1: f32,
    b2: f32,
    size: f32,
    correction: f32,
    decay: f32,
}

impl Adam {
    #[allow(clippy::inline_always)] // `vectorize!` needs it.
    #[inline(always)]
    fn remember(&self, w: f32, g: f32, m: &mut f32, v: &mut f32) {
        let g = g + self.decay * w;
        *m += (1.0 - self.b1) * (g - *m);
        *v = self.b2 * *v + (1.0 - self.b2) * g * g;
    }

    #[allow(clippy::inline_always)] // `vectorize!` needs it.
    #[inline(always)]
    fn move_by(&self, m: f32, v: f32) -> f32 {
        self.size * m / (v.sqrt() * self.correction + EPSILON)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(optimizer: Optimizer, gradients: &[f32]) -> f32 {
        let (mut weight, mut state) = ([1.0_f32], State::new(&optimizer, 1));
        for (nth, gradient) in gradients.iter().enumerate() {
            state.step(&optimizer, 0.1, nth as u64 + 1, &mut weight, &[*gradient]);
        }
        weight[0]
    }

    #[test]
    fn sgd_by_hand() {
        let sgd = |momentum, nesterov, dampening, weight_decay| Optimizer::Sgd {
            momentum,
            nesterov,
            dampening,
            weight_decay,
        };
        // 1 - 0.1 * 2 = 0.8; then 0.8 - 0.1 * 1.
        assert!((steps(Optimizer::SGD, &[2.0, 1.0]) - 0.7).abs() < 1e-6);
        // Momentum 2, then 0.5 * 2 + 1 = 2: 1 - 0.2 - 0.2.
        assert!((steps(sgd(0.5, false, 0.0, 0.0), &[2.0, 1.0]) - 0.6).abs() < 1e-6);
        // Dampening leaves the first gradient alone: 2, then 0.5 * 2 + 0.8 * 1 = 1.8.
        assert!((steps(sgd(0.5, false, 0.2, 0.0), &[2.0, 1.0]) - 0.62).abs() < 1e-6);
        // Nesterov: 2 + 0.5 * 2 = 3, then 1 + 0.5 * 2 = 2.
        assert!((steps(sgd(0.5, true, 0.0, 0.0), &[2.0, 1.0]) - 0.5).abs() < 1e-6);
        // Decay: gradient 2 + 0.1 * 1.
        assert!((steps(sgd(0.0, false, 0.0, 0.1), &[2.0]) - 0.79).abs() < 1e-6);
    }

    #[test]
    fn the_first_adam_step_is_the_learning_rate() {
        assert!((steps(Optimizer::ADAM, &[2.0]) - 0.9).abs() < 1e-6);
        assert!((steps(Optimizer::ADAM, &[-1e-3]) - 1.1).abs() < 1e-5);
    }

    #[test]
    fn amsgrad_does_not_forget_a_large_gradient() {
        let adam = |amsgrad| Optimizer::Adam { betas: (0.5, 0.5), amsgrad, weight_decay: 0.0 };
        let gradients = [10.0, 0.1, 0.1, 0.1, 0.1, 0.1];
        assert!(steps(adam(true), &gradients) > steps(adam(false), &gradients) + 0.01);
    }
}
