// The functions between layers and their derivatives, as `dfp_models::autoencoder::activation` has them.
#pragma once

#include "device.cuh"

// Numbers as `src/group.rs` gives them.
enum Activation {
    LEAKY_RELU, RELU, SIGMOID, TANH, SELU, HARDTANH, RELU6, ELU, CELU, RRELU, HARDSHRINK, TANHSHRINK, SOFTSIGN, NONE
};

#define RRELU_SLOPE (11.0f / 48.0f)
#define SELU_ALPHA 1.6732632f
#define SELU_SCALE 1.050701f

__device__ inline float activate(unsigned activation, float x) {
    switch (activation) {
    case LEAKY_RELU: return x > 0 ? x : 0.01f * x;
    case RELU: return x > 0 ? x : 0.0f * x;
    case RRELU: return x > 0 ? x : RRELU_SLOPE * x;
    case SIGMOID: return 1.0f / (1.0f + expf(-x));
    case TANH: return tanhf(x);
    case SELU: return SELU_SCALE * (x > 0 ? x : SELU_ALPHA * expm1f(x));
    case ELU: case CELU: return x > 0 ? x : expm1f(x);
    case HARDTANH: return fminf(fmaxf(x, -1.0f), 1.0f);
    case RELU6: return fminf(fmaxf(x, 0.0f), 6.0f);
    case HARDSHRINK: return fabsf(x) > 0.5f ? x : 0.0f;
    case TANHSHRINK: return x - tanhf(x);
    case SOFTSIGN: return x / (1.0f + fabsf(x));
    default: return x;
    }
}


// The derivative at `x`, where the value is `y`. Of all but TANHSHRINK the value alone tells it.
__device__ inline float slope(unsigned activation, float x, float y) {
    switch (activation) {
    case LEAKY_RELU: return y > 0 ? 1.0f : 0.01f;
    case RELU: return y > 0 ? 1.0f : 0.0f;
    case RRELU: return y > 0 ? 1.0f : RRELU_SLOPE;
    case SIGMOID: return y * (1.0f - y);
    case TANH: return 1.0f - y * y;
    case SELU: return y > 0 ? SELU_SCALE : y + SELU_SCALE * SELU_ALPHA;
    case ELU: case CELU: return y > 0 ? 1.0f : y + 1.0f;
    case HARDTANH: return y > -1.0f && y < 1.0f ? 1.0f : 0.0f;
    case RELU6: return y > 0.0f && y < 6.0f ? 1.0f : 0.0f;
    case HARDSHRINK: return y != 0.0f ? 1.0f : 0.0f;
    case SOFTSIGN: { float d = 1.0f - fabsf(y); return d * d; }
    case TANHSHRINK: { float t = x - y; return t * t; }
    default: return 1.0f;
    }
}
