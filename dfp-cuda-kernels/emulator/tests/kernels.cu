// Small kernels that show that the emulator computes what a GPU would, and the same with bugs that it must find.
#include "../../kernels/device.cuh"

enum Bug {
    NONE,
    NO_FIRST_BARRIER,
    NO_SECOND_BARRIER,
    DIVERGENT_BARRIER,
    LEFT_EARLY,
    SHORT_SHUFFLE,
    FOREIGN_MASK,
    READS_BEHIND,
    WRITES_BEHIND,
    NO_WARP_BARRIER,
    NOT_ATOMIC,
    NOT_ATOMIC_BETWEEN_BLOCKS,
    LOOPS,
    LOOPS_AT_BARRIER,
    WRITES_NOWHERE,
    MISALIGNED,
    OVERFLOWS,
};

#define WITH_BUG(body, bug, threads, Argument) KERNEL(body##_##bug, threads, 1, Argument) { body<bug>(argument); }

// y[block] = sum over a row of x; shared: a float for each warp.
struct Sums {
    const float *x;
    float *y;
    unsigned columns;
};

template <Bug bug> __device__ void sums(const Sums &argument) {
    SHARED(float, parts);
    unsigned warps = blockDim.x / 32;
    const float *row = argument.x + (size_t)blockIdx.x * argument.columns;
    if (bug == LEFT_EARLY && threadIdx.x >= argument.columns) return;
    float sum = 0;
    for (unsigned i = threadIdx.x; i < argument.columns; i += blockDim.x) {
        sum += row[i];
        if (bug == READS_BEHIND) sum += row[i + 1] - row[i + 1];
    }
    unsigned mask = bug == FOREIGN_MASK ? 0x0000ffffu : 0xffffffffu;
    for (unsigned by = bug == SHORT_SHUFFLE ? 8 : 16; by > 0; by /= 2) sum += __shfl_down_sync(mask, sum, by);
    if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = sum;
    if (bug == DIVERGENT_BARRIER ? threadIdx.x < 48 : bug != NO_FIRST_BARRIER) __syncthreads();
    if (threadIdx.x != 0) return;
    for (unsigned warp = 1; warp < warps; warp++) sum += parts[warp];
    argument.y[blockIdx.x + (bug == WRITES_BEHIND ? 1 : 0)] = sum;
}

WITH_BUG(sums, NONE, 128, Sums)
WITH_BUG(sums, NO_FIRST_BARRIER, 128, Sums)
WITH_BUG(sums, DIVERGENT_BARRIER, 128, Sums)
WITH_BUG(sums, LEFT_EARLY, 128, Sums)
WITH_BUG(sums, SHORT_SHUFFLE, 128, Sums)
WITH_BUG(sums, FOREIGN_MASK, 128, Sums)
WITH_BUG(sums, READS_BEHIND, 128, Sums)
WITH_BUG(sums, WRITES_BEHIND, 128, Sums)

// c = a b, row-major, m by k and k by n: a block for each 16x16 tile of c; shared: two such tiles.
struct Product {
    const float *a, *b;
    float *c;
    unsigned m, n, k;
};

template <Bug bug> __device__ void product(const Product &argument) {
    SHARED(float, tiles);
    float *a = tiles, *b = tiles + 256;
    unsigned x = threadIdx.x % 16, y = threadIdx.x / 16, wide = (argument.n + 15) / 16;
    unsigned row = blockIdx.x / wide * 16 + y, column = blockIdx.x % wide * 16 + x;
    float sum = 0;
    for (unsigned k = 0; k < argument.k; k += 16) {
        a[y * 16 + x] = row < argument.m && k + x < argument.k ? argument.a[row * argument.k + k + x] : 0;
        b[y * 16 + x] = k + y < argument.k && column < argument.n ? argument.b[(k + y) * argument.n + column] : 0;
        if (bug != NO_FIRST_BARRIER) __syncthreads();
#pragma unroll
        for (unsigned i = 0; i < 16; i++) sum = fmaf(a[y * 16 + i], b[i * 16 + x], sum);
        if (bug != NO_SECOND_BARRIER) __syncthreads();
    }
    if (row < argument.m && column < argument.n) argument.c[row * argument.n + column] = sum;
}

WITH_BUG(product, NONE, 256, Product)
WITH_BUG(product, NO_FIRST_BARRIER, 256, Product)
WITH_BUG(product, NO_SECOND_BARRIER, 256, Product)

// The same on bf16 by a warp for each 16x8 tile of c; m, n and k are multiples of 16, 8 and 16.
__device__ inline unsigned two(const float *first, unsigned step) { return pack_bf16(first[0], first[step]); }

KERNEL(product_bf16, 32, 1, Product) {
    unsigned group = threadIdx.x / 4, pair = threadIdx.x % 4 * 2, wide = argument.n / 8;
    unsigned row = blockIdx.x / wide * 16 + group, column = blockIdx.x % wide * 8;
    float c[4] = {};
    for (unsigned k = 0; k < argument.k; k += 16) {
        const float *a = argument.a + row * argument.k + k + pair, *b = argument.b + (k + pair) * argument.n + column + group;
        unsigned below = 8 * argument.k;
        unsigned left[4] = {two(a, 1), two(a + below, 1), two(a + 8, 1), two(a + below + 8, 1)};
        unsigned right[2] = {two(b, argument.n), two(b + 8 * argument.n, argument.n)};
        mma_bf16(c, left, right);
    }
    float *out = argument.c + row * argument.n + column + pair;
    for (unsigned i = 0; i < 4; i++) out[i / 2 * 8 * argument.n + i % 2] = c[i];
}

// What the lanes of a block say to each other: ten numbers a thread. The last warp may be a part of one.
struct Talk {
    unsigned *out;
};

KERNEL(talk, 64, 1, Talk) {
    unsigned thread = threadIdx.x, lane = thread % 32, all = 0xffffffffu;
    unsigned *out = argument.out + thread * 10;
    out[0] = __ballot_sync(all, thread % 3 == 0);
    out[1] = __shfl_sync(all, thread, 5);
    out[2] = __shfl_sync(all, thread, 1, 4);
    out[3] = __shfl_xor_sync(all, thread, 3);
    out[4] = __shfl_down_sync(all, thread, 2, 8);
    out[5] = (unsigned)-__shfl_up_sync(all, -(double)thread, 1) + __any_sync(all, thread == 40) * 1000;
    out[6] = out[7] = 0;
    if (lane % 2) {
        unsigned odd = 0xaaaaaaaau;
        out[6] = __popc(__ballot_sync(odd, thread > 9)) + 100 * __ffs((int)__ballot_sync(odd, thread > 9));
        __syncwarp(odd);
    } else {
        out[7] = (unsigned)__shfl_xor_sync(0x55555555u, (int)thread, 2);
    }
    out[8] = __umulhi(0x89abcdefu * (thread + 1), 0xfedcba98u) ^ (unsigned)__clz((int)thread);
    out[9] = pack_bf16(1.0f + (float)thread * 0.00390625f, __uint_as_float(0x7f800001u));
}

// counts[x[i] % 8] for all i; shared: 8 unsigned.
struct Counts {
    const unsigned *x;
    unsigned *counts;
    unsigned items;
};

template <Bug bug> __device__ void counts(const Counts &argument) {
    SHARED(unsigned, mine);
    if (threadIdx.x < 8) mine[threadIdx.x] = 0;
    __syncthreads();
    unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < argument.items) {
        if (bug == NOT_ATOMIC) mine[argument.x[i] % 8] += 1;
        else atomicAdd(&mine[argument.x[i] % 8], 1u);
    }
    __syncthreads();
    if (threadIdx.x >= 8) return;
    if (bug == NOT_ATOMIC_BETWEEN_BLOCKS) argument.counts[threadIdx.x] += mine[threadIdx.x];
    else atomicAdd(&argument.counts[threadIdx.x], mine[threadIdx.x]);
}

WITH_BUG(counts, NONE, 64, Counts)
WITH_BUG(counts, NOT_ATOMIC, 64, Counts)
WITH_BUG(counts, NOT_ATOMIC_BETWEEN_BLOCKS, 64, Counts)

// Every lane takes its neighbour's number through shared memory; shared: an unsigned for each thread. Shuffles order nothing.
template <Bug bug> __device__ void neighbours(const Talk &argument) {
    SHARED(unsigned, numbers);
    numbers[threadIdx.x] = threadIdx.x;
    if (bug == NO_WARP_BARRIER) __shfl_sync(0xffffffffu, 0, 0);
    else __syncwarp();
    argument.out[threadIdx.x] = numbers[threadIdx.x ^ 1];
}

WITH_BUG(neighbours, NONE, 64, Talk)
WITH_BUG(neighbours, NO_WARP_BARRIER, 64, Talk)

// What no result comes of.
template <Bug bug> __device__ void wrong(const Talk &argument) {
    if (bug == LOOPS || bug == LOOPS_AT_BARRIER) {
        for (volatile unsigned i = 0;; i = i + 1) {
            if (bug == LOOPS_AT_BARRIER) __syncthreads();
        }
    }
    if (bug == WRITES_NOWHERE && threadIdx.x == 3) argument.out[1ull << 40] = 1;
    if (bug == MISALIGNED) *reinterpret_cast<float4 *>(argument.out + 1) = make_float4(1, 2, 3, 4);
    if (bug == OVERFLOWS) argument.out[0] = (unsigned)(0x7fffffff - (int)threadIdx.x + 5);
}

WITH_BUG(wrong, LOOPS, 64, Talk)
WITH_BUG(wrong, LOOPS_AT_BARRIER, 64, Talk)
WITH_BUG(wrong, WRITES_NOWHERE, 64, Talk)
WITH_BUG(wrong, MISALIGNED, 64, Talk)
WITH_BUG(wrong, OVERFLOWS, 64, Talk)
