// Random numbers by counter: the same draws as `dfp_models::autoencoder::rng`, where each counter's meaning is written.
#pragma once

#include "device.cuh"

#define STREAM_ORDER 0x80000000u
#define STREAM_DROPOUT 0x90000000u
#define VALIDATION_EPOCH 0x80000000u

struct Words {
    unsigned word[4];
};

// Philox4x32-10 (Salmon, Moraes, Dror, Shaw 2011).
__device__ inline Words philox(unsigned long long seed, unsigned a, unsigned b, unsigned c, unsigned d) {
    unsigned key0 = (unsigned)seed, key1 = (unsigned)(seed >> 32);
    for (int round = 0; round < 10; round++) {
        unsigned high_a = __umulhi(0xD2511F53u, a), low_a = 0xD2511F53u * a;
        unsigned high_c = __umulhi(0xCD9E8D57u, c), low_c = 0xCD9E8D57u * c;
        a = high_c ^ b ^ key0;
        b = low_c;
        c = high_a ^ d ^ key1;
        d = low_a;
        key0 += 0x9E3779B9u;
        key1 += 0xBB67AE85u;
    }
    return Words{{a, b, c, d}};
}

// A word as a number below `n`.
__device__ inline unsigned below(unsigned word, unsigned n) { return __umulhi(word, n); }

// A word as a number strictly between 0 and 1.
__device__ inline double unit(unsigned word) { return ((double)word + 0.5) / 4294967296.0; }

// Puts `items`, which are 0, 1, 2 and so on, into the random order of one epoch: Fisher-Yates from the end. Its first barrier also
// waits for the items. Partners are drawn by
// all threads, a block's worth at a time, to `partners`; the swaps depend on each other and are made by one.
__device__ inline void shuffle(
    unsigned long long seed, unsigned epoch, unsigned *items, unsigned count, unsigned *partners
) {
    for (unsigned left = count; left > 1; left -= min(left, blockDim.x)) {
        unsigned taken = min(left, blockDim.x), last = left - 1;
        if (threadIdx.x < taken) {
            unsigned i = last - threadIdx.x;
            partners[threadIdx.x] = below(philox(seed, i, STREAM_ORDER, 0, epoch).word[0], i + 1);
        }
        __syncthreads();
        if (threadIdx.x == 0) {
            for (unsigned nth = 0; nth < taken && last - nth > 0; nth++) {
                unsigned i = last - nth, j = partners[nth], item = items[i];
                items[i] = items[j];
                items[j] = item;
            }
        }
        __syncthreads();
    }
}
