// Matrix products of one block: `out[m][n] = sum over k of a(m, k) b(n, k)`, tile by tile through shared memory.
//
// While a tile is computed, the next is on its way from memory to registers; two buffers take turns, so that one barrier per tile
// is enough. Every sum runs in the order of k, whatever else is in the launch.
#pragma once

#include "device.cuh"

#define THREADS 256
// Numbers from one row of sums to the next in shared memory: what is read or written at once lies in different banks.
#define SUMS_STRIDE (128 + 8)

// A matrix with rows `m` (or `n`) and columns `k`, one of which lies without gaps and 16-byte aligned where the other steps.
struct Matrix {
    const float *data;
    // Numbers from one row to the next, or with `k_steps` from one column to the next.
    unsigned stride;
    // How many rows and columns there are; beyond, it is zero.
    unsigned rows, columns;
};

// Which of a matrix's directions lies without gaps: rows one after another, or columns.
enum Order { ROW_MAJOR, COLUMN_MAJOR };

// Four numbers at `at`, of which the first `count` exist.
__device__ inline float4 load(const float *at, int count) {
    if (count >= 4) return *reinterpret_cast<const float4 *>(at);
    float4 quad = make_float4(0, 0, 0, 0);
    if (count > 0) quad.x = at[0];
    if (count > 1) quad.y = at[1];
    if (count > 2) quad.z = at[2];
    return quad;
}

// Four numbers of a matrix from (row, column) on, along its dense direction.
template <Order order> __device__ inline float4 quad_of(const Matrix &matrix, unsigned row, unsigned column) {
    if (row >= matrix.rows || column >= matrix.columns) return make_float4(0, 0, 0, 0);
    if (order == ROW_MAJOR) {
        return load(matrix.data + (size_t)row * matrix.stride + column, (int)(matrix.columns - column));
    }
    return load(matrix.data + (size_t)column * matrix.stride + row, (int)(matrix.rows - row));
}

// --- 32-bit floating point ---

// Tiles of 64x128 numbers, 16 deep; a thread has 4x8 of the sums.
struct Fp32 {
    static const int M = 64, N = 128, DEPTH = 16;
    static const int PAD = 4;
    template <int R> struct Tile {
        float at[DEPTH][R + PAD];
    };
    struct Buffer {
        Tile<M> a;
        Tile<N> b;
    };
    // What a thread brings of a tile with `R` rows.
    template <int R> struct Registers {
        static const int QUADS = R * DEPTH / 4 / THREADS;
        float4 quad[QUADS];
    };
    struct Sums {
        float at[4][8];
    };

    template <int R, Order order>
    __device__ static void fetch(Registers<R> &registers, const Matrix &matrix, unsigned row, unsigned column) {
#pragma unroll
        for (int i = 0; i < Registers<R>::QUADS; i++) {
            unsigned nth = threadIdx.x + i * THREADS;
            registers.quad[i] = order == ROW_MAJOR ? quad_of<ROW_MAJOR>(matrix, row + nth / (DEPTH / 4), column + nth % (DEPTH / 4) * 4)
                                           : quad_of<COLUMN_MAJOR>(matrix, row + nth % (R / 4) * 4, column + nth / (R / 4));
        }
    }

    template <int R, Order order> __device__ static void put(Tile<R> &tile, const Registers<R> &registers) {
#pragma unroll
        for (int i = 0; i < Registers<R>::QUADS; i++) {
            unsigned nth = threadIdx.x + i * THREADS;
            float4 quad = registers.quad[i];
            if (order == ROW_MAJOR) {
                unsigned row = nth / (DEPTH / 4), k = nth % (DEPTH / 4) * 4;
                tile.at[k][row] = quad.x;
                tile.at[k + 1][row] = quad.y;
                tile.at[k + 2][row] = quad.z;
                tile.at[k + 3][row] = quad.w;
            } else {
                *reinterpret_cast<float4 *>(&tile.at[nth / (R / 4)][nth % (R / 4) * 4]) = quad;
            }
        }
    }

    __device__ static void add(Sums &sums, const Buffer &buffer, unsigned) {
        unsigned m = threadIdx.x / 16 * 4, n = threadIdx.x % 16 * 4;
#pragma unroll
        for (int k = 0; k < DEPTH; k++) {
            float4 a4 = *reinterpret_cast<const float4 *>(&buffer.a.at[k][m]);
            float4 b4 = *reinterpret_cast<const float4 *>(&buffer.b.at[k][n]);
            float4 b8 = *reinterpret_cast<const float4 *>(&buffer.b.at[k][n + 64]);
            float a[4] = {a4.x, a4.y, a4.z, a4.w};
            float b[8] = {b4.x, b4.y, b4.z, b4.w, b8.x, b8.y, b8.z, b8.w};
#pragma unroll
            for (int i = 0; i < 4; i++) {
#pragma unroll
                for (int j = 0; j < 8; j++) sums.at[i][j] = fmaf(a[i], b[j], sums.at[i][j]);
            }
        }
    }

    __device__ static void clear(Sums &sums) {
#pragma unroll
        for (int i = 0; i < 4; i++) {
#pragma unroll
            for (int j = 0; j < 8; j++) sums.at[i][j] = 0;
        }
    }

    __device__ static void put_sums(float *out, const Sums &sums) {
        unsigned m = threadIdx.x / 16 * 4, n = threadIdx.x % 16 * 4;
#pragma unroll
        for (int i = 0; i < 4; i++) {
#pragma unroll
            for (int half = 0; half < 2; half++) {
                const float *from = &sums.at[i][half * 4];
                float4 *to = reinterpret_cast<float4 *>(&out[(m + i) * SUMS_STRIDE + n + half * 64]);
                *to = make_float4(from[0], from[1], from[2], from[3]);
            }
        }
    }
};

// --- Tensor cores: operands as one bf16, or as the sum of two ---

// Tiles of 128x128 numbers, 32 deep; a warp has 64x32 of the sums. PARTS is 1 for bf16, and 2 for bf16x3, where an operand is the
// sum of two bf16 and the product of the two lower ones is left out.
template <int PARTS> struct TensorCores {
    static const int M = 128, N = 128, DEPTH = 32;
    static const int PAD = 8;
    static const int PAIRS = DEPTH / 2;
    // Units of 8 numbers that a thread brings of a tile with 128 rows.
    static const int UNITS = 128 * DEPTH / 8 / THREADS;

    // A register holds two neighbours along k.
    template <int R> struct Tile {
        unsigned at[PARTS][PAIRS][R + PAD];
    };
    struct Buffer {
        Tile<M> a;
        Tile<N> b;
    };
    template <int R> struct Registers {
        float4 quad[UNITS][2];
    };
    struct Sums {
        float at[4][4][4];
    };

    template <int R, Order order>
    __device__ static void fetch(Registers<R> &registers, const Matrix &matrix, unsigned row, unsigned column) {
#pragma unroll
        for (int i = 0; i < UNITS; i++) {
            unsigned nth = threadIdx.x + i * THREADS;
#pragma unroll
            for (int half = 0; half < 2; half++) {
                registers.quad[i][half] =
                    order == ROW_MAJOR ? quad_of<ROW_MAJOR>(matrix, row + nth / (DEPTH / 8), column + nth % (DEPTH / 8) * 8 + half * 4)
                               : quad_of<COLUMN_MAJOR>(matrix, row + nth % (R / 4) * 4, column + nth / (R / 4) * 2 + half);
            }
        }
    }

    template <int R> __device__ static void put_pair(Tile<R> &tile, unsigned pair, unsigned row, float low, float high) {
        unsigned packed = pack_bf16(low, high);
        tile.at[0][pair][row] = packed;
        if (PARTS == 2) tile.at[PARTS - 1][pair][row] = pack_bf16(low - low_bf16(packed), high - high_bf16(packed));
    }

    template <int R, Order order> __device__ static void put(Tile<R> &tile, const Registers<R> &registers) {
#pragma unroll
        for (int i = 0; i < UNITS; i++) {
            unsigned nth = threadIdx.x + i * THREADS;
            float4 first = registers.quad[i][0], second = registers.quad[i][1];
            if (order == ROW_MAJOR) {
                unsigned row = nth / (DEPTH / 8), pair = nth % (DEPTH / 8) * 4;
                put_pair(tile, pair, row, first.x, first.y);
                put_pair(tile, pair + 1, row, first.z, first.w);
                put_pair(tile, pair + 2, row, second.x, second.y);
                put_pair(tile, pair + 3, row, second.z, second.w);
            } else {
                unsigned row = nth % (R / 4) * 4, pair = nth / (R / 4);
                put_pair(tile, pair, row, first.x, second.x);
                put_pair(tile, pair, row + 1, first.y, second.y);
                put_pair(tile, pair, row + 2, first.z, second.z);
                put_pair(tile, pair, row + 3, first.w, second.w);
            }
        }
    }

    // Sums of rows from `rows` on are not wanted: a warp skips what it can of them.
    __device__ static void add(Sums &sums, const Buffer &buffer, unsigned rows) {
        unsigned lane = threadIdx.x % 32, group = lane / 4, member = lane % 4;
        unsigned m = first_row(), n = first_column();
#pragma unroll
        for (int step = 0; step < DEPTH / 16; step++) {
            unsigned pair = step * 8 + member;
            unsigned b[PARTS][4][2];
#pragma unroll
            for (int part = 0; part < PARTS; part++) {
#pragma unroll
                for (int j = 0; j < 4; j++) {
                    b[part][j][0] = buffer.b.at[part][pair][n + j * 8 + group];
                    b[part][j][1] = buffer.b.at[part][pair + 4][n + j * 8 + group];
                }
            }
#pragma unroll
            for (int i = 0; i < 4; i++) {
                unsigned row = m + i * 16 + group;
                if (m + i * 16 >= rows) continue;
                unsigned a[PARTS][4];
#pragma unroll
                for (int part = 0; part < PARTS; part++) {
                    a[part][0] = buffer.a.at[part][pair][row];
                    a[part][1] = buffer.a.at[part][pair][row + 8];
                    a[part][2] = buffer.a.at[part][pair + 4][row];
                    a[part][3] = buffer.a.at[part][pair + 4][row + 8];
                }
#pragma unroll
                for (int j = 0; j < 4; j++) {
                    if (PARTS == 2) {
                        mma_bf16(sums.at[i][j], a[PARTS - 1], b[0][j]);
                        mma_bf16(sums.at[i][j], a[0], b[PARTS - 1][j]);
                    }
                    mma_bf16(sums.at[i][j], a[0], b[0][j]);
                }
            }
        }
    }

    __device__ static void clear(Sums &sums) {
#pragma unroll
        for (int i = 0; i < 4; i++) {
#pragma unroll
            for (int j = 0; j < 4; j++) {
#pragma unroll
                for (int k = 0; k < 4; k++) sums.at[i][j][k] = 0;
            }
        }
    }

    __device__ static void put_sums(float *out, const Sums &sums) {
        unsigned lane = threadIdx.x % 32, m = first_row() + lane / 4, n = first_column() + lane % 4 * 2;
#pragma unroll
        for (int i = 0; i < 4; i++) {
#pragma unroll
            for (int j = 0; j < 4; j++) {
#pragma unroll
                for (int half = 0; half < 2; half++) {
                    float2 *to = reinterpret_cast<float2 *>(&out[(m + i * 16 + half * 8) * SUMS_STRIDE + n + j * 8]);
                    *to = make_float2(sums.at[i][j][half * 2], sums.at[i][j][half * 2 + 1]);
                }
            }
        }
    }

  private:
    __device__ static unsigned first_row() { return threadIdx.x / 32 / 4 * 64; }
    __device__ static unsigned first_column() { return threadIdx.x / 32 % 4 * 32; }
};

typedef TensorCores<1> Bf16;
typedef TensorCores<2> Bf16x3;

#ifdef WGMMA

// Hopper's tensor cores: as Bf16, by warpgroups that read operands from shared memory. Tiles of 128x128 numbers, 64 deep; a
// warpgroup has 64x128 of the sums.
struct Wgmma {
    static const int M = 128, N = 128, DEPTH = 64;
    // Units of 8 numbers that a thread brings of a tile.
    static const int UNITS = 128 * DEPTH / 8 / THREADS;

    // Rows of 128 bytes, the 16-byte pieces of row r in the order of their number xor r modulo 8.
    template <int R> struct Tile {
        unsigned char at[R * DEPTH * 2];
    };
    struct Buffer {
        Tile<M> a;
        Tile<N> b;
    };
    template <int R> struct Registers {
        float4 quad[UNITS][2];
    };
    struct Sums {
        float at[64];
    };

    // Of a unit: the first of four rows, and a pair of columns. Neighbouring threads differ in both, for the banks' sake.
    __device__ static unsigned rows_of(unsigned nth) { return (nth % 8 + nth / 32 % 4 * 8) * 4; }
    __device__ static unsigned pair_of(unsigned nth) { return nth / 8 % 4 + nth / 128 * 4; }

    template <int R, Order order>
    __device__ static void fetch(Registers<R> &registers, const Matrix &matrix, unsigned row, unsigned column) {
#pragma unroll
        for (int i = 0; i < UNITS; i++) {
            unsigned nth = threadIdx.x + i * THREADS;
#pragma unroll
            for (int half = 0; half < 2; half++) {
                registers.quad[i][half] =
                    order == ROW_MAJOR
                        ? quad_of<ROW_MAJOR>(matrix, row + nth / 8, column + nth % 8 * 8 + half * 4)
                        : quad_of<COLUMN_MAJOR>(matrix, row + rows_of(nth), column + pair_of(nth) * 2 + half);
            }
        }
    }

    template <int R> __device__ static unsigned char *piece(Tile<R> &tile, unsigned row, unsigned number) {
        return tile.at + row * 128 + (number ^ (row % 8)) * 16;
    }

    template <int R> __device__ static void put_pair(Tile<R> &tile, unsigned row, unsigned pair, float low, float high) {
        *reinterpret_cast<unsigned *>(piece(tile, row, pair / 4) + pair % 4 * 4) = pack_bf16(low, high);
    }

    template <int R, Order order> __device__ static void put(Tile<R> &tile, const Registers<R> &registers) {
#pragma unroll
        for (int i = 0; i < UNITS; i++) {
            unsigned nth = threadIdx.x + i * THREADS;
            float4 first = registers.quad[i][0], second = registers.quad[i][1];
            if (order == ROW_MAJOR) {
                *reinterpret_cast<uint4 *>(piece(tile, nth / 8, nth % 8)) =
                    make_uint4(pack_bf16(first.x, first.y), pack_bf16(first.z, first.w), pack_bf16(second.x, second.y),
                        pack_bf16(second.z, second.w));
            } else {
                unsigned row = rows_of(nth), pair = pair_of(nth);
                put_pair(tile, row, pair, first.x, second.x);
                put_pair(tile, row + 1, pair, first.y, second.y);
                put_pair(tile, row + 2, pair, first.z, second.z);
                put_pair(tile, row + 3, pair, first.w, second.w);
            }
        }
        publish();
    }

    __device__ static void add(Sums &sums, const Buffer &buffer, unsigned rows) {
        unsigned first = threadIdx.x / 128 * 64;
        if (first >= rows) return;
        wgmma_begin();
#pragma unroll
        for (unsigned step = 0; step < DEPTH / 16; step++) wgmma_bf16(sums.at, buffer.a.at + first * 128, buffer.b.at, step);
        wgmma_end();
    }

    __device__ static void clear(Sums &sums) {
#pragma unroll
        for (int i = 0; i < 64; i++) sums.at[i] = 0;
    }

    __device__ static void put_sums(float *out, const Sums &sums) {
        unsigned lane = threadIdx.x % 32, m = threadIdx.x / 32 * 16 + lane / 4, n = lane % 4 * 2;
#pragma unroll
        for (int i = 0; i < 64; i += 2) {
            float2 *to = reinterpret_cast<float2 *>(&out[(m + i / 2 % 2 * 8) * SUMS_STRIDE + n + i / 4 * 8]);
            *to = make_float2(sums.at[i], sums.at[i + 1]);
        }
    }
};

#endif

// Shared memory of a block: two buffers while it multiplies, and the sums when it is done.
template <class Precision> union Room {
    typename Precision::Buffer buffers[2];
    float sums[Precision::M * SUMS_STRIDE];
};

// Computes rows `first_m` to `first_m + Precision::M` and columns `first_n` to `first_n + Precision::N` of the product, and calls
// `take(m, n, sums)` for every four neighbours along n that are not all beyond the matrix; n is a multiple of 4.
template <class Precision, Order a_order, Order b_order, class Take>
__device__ inline void multiply_tile(
    Room<Precision> &room, const Matrix &a, const Matrix &b, unsigned first_m, unsigned first_n, Take take
) {
    typename Precision::template Registers<Precision::M> next_a;
    typename Precision::template Registers<Precision::N> next_b;
    typename Precision::Sums sums;
    Precision::clear(sums);
    Precision::template fetch<Precision::M, a_order>(next_a, a, first_m, 0);
    Precision::template fetch<Precision::N, b_order>(next_b, b, first_n, 0);
    for (unsigned k = 0, turn = 0; k < a.columns; k += Precision::DEPTH, turn ^= 1) {
        typename Precision::Buffer &buffer = room.buffers[turn];
        Precision::template put<Precision::M, a_order>(buffer.a, next_a);
        Precision::template put<Precision::N, b_order>(buffer.b, next_b);
        __syncthreads();
        if (k + Precision::DEPTH < a.columns) {
            Precision::template fetch<Precision::M, a_order>(next_a, a, first_m, k + Precision::DEPTH);
            Precision::template fetch<Precision::N, b_order>(next_b, b, first_n, k + Precision::DEPTH);
        }
        Precision::add(sums, buffer, a.rows - first_m);
    }
    __syncthreads();
    Precision::put_sums(room.sums, sums);
    __syncthreads();
    unsigned rows = min(a.rows - first_m, (unsigned)Precision::M), columns = min(b.rows - first_n, (unsigned)Precision::N);
    unsigned quads = (columns + 3) / 4;
    for (unsigned i = threadIdx.x; i < rows * quads; i += THREADS) {
        unsigned m = i / quads, n = i % quads * 4;
        const float4 *four = reinterpret_cast<const float4 *>(&room.sums[m * SUMS_STRIDE + n]);
        take(first_m + m, first_n + n, *four);
    }
    __syncthreads();
}
