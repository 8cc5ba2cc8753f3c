// CUDA C++ as far as the kernels use it, for a C++17 compiler: with this header a kernel is an ordinary function that emulator.cpp
// runs once for every thread. One-dimensional grids and blocks, dynamic shared memory through SHARED, nothing static.
#pragma once

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <type_traits>

#define __device__
#define __host__
#define __forceinline__ inline __attribute__((always_inline))
#define __align__(bytes) alignas(bytes)

struct alignas(8) float2 { float x, y; };
struct alignas(16) float4 { float x, y, z, w; };
struct alignas(8) uint2 { unsigned x, y; };
struct alignas(16) uint4 { unsigned x, y, z, w; };
inline float2 make_float2(float x, float y) { return {x, y}; }
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
inline uint2 make_uint2(unsigned x, unsigned y) { return {x, y}; }
inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }

namespace emulator {

// A place in a block or a grid, or their size.
struct Index { unsigned x; };

// What the lanes of a warp, or all threads of a block, do together. `mask` names the lanes; whoever comes last does it for all.
enum class Kind { Syncthreads, Syncwarp, Shuffle, Ballot, Mma };
struct Request {
    Kind kind;
    unsigned mask;
    uint64_t value = 0;  // shuffles and ballots: given, then received
    unsigned source = 0; // shuffles: the lane whose value is wanted
    float *c = nullptr;  // products of matrices
    const unsigned *a = nullptr, *b = nullptr;
};
void together(Request &request);

void *shared_memory();

// A kernel by its name.
struct Registered {
    Registered(const char *name, unsigned threads, size_t argument, void (*run)(const void *argument));
};

} // namespace emulator

extern emulator::Index threadIdx, blockIdx, blockDim, gridDim;

#define SHARED(type, name) type *name = static_cast<type *>(emulator::shared_memory())

#define KERNEL(name, threads, blocks, Argument)                                                     \
    static void name(const Argument &argument);                                                     \
    static const emulator::Registered name##_registered(#name, threads, sizeof(Argument),           \
        [](const void *argument) { name(*static_cast<const Argument *>(argument)); });              \
    static void name(const Argument &argument)

// Barriers, shuffles and votes. Only the two barriers order accesses to memory.

inline void __syncthreads() {
    emulator::Request request{emulator::Kind::Syncthreads, 0xffffffffu};
    emulator::together(request);
}

inline void __syncwarp(unsigned mask = 0xffffffffu) {
    emulator::Request request{emulator::Kind::Syncwarp, mask};
    emulator::together(request);
}

namespace emulator {

inline unsigned lane() { return threadIdx.x % 32; }

template <typename T> T shuffle(unsigned mask, T value, unsigned source) {
    static_assert(std::is_arithmetic<T>::value && sizeof(T) <= 8, "shuffles take numbers");
    Request request{Kind::Shuffle, mask};
    request.source = source;
    memcpy(&request.value, &value, sizeof(T));
    together(request);
    memcpy(&value, &request.value, sizeof(T));
    return value;
}

} // namespace emulator

template <typename T> T __shfl_sync(unsigned mask, T value, unsigned source, unsigned width = 32) {
    return emulator::shuffle(mask, value, (emulator::lane() & ~(width - 1)) | (source & (width - 1)));
}

template <typename T> T __shfl_xor_sync(unsigned mask, T value, unsigned flip, unsigned width = 32) {
    unsigned source = emulator::lane() ^ flip;
    return emulator::shuffle(mask, value, source <= (emulator::lane() | (width - 1)) ? source : emulator::lane());
}

template <typename T> T __shfl_down_sync(unsigned mask, T value, unsigned by, unsigned width = 32) {
    unsigned source = emulator::lane() + by;
    return emulator::shuffle(mask, value, source <= (emulator::lane() | (width - 1)) ? source : emulator::lane());
}

template <typename T> T __shfl_up_sync(unsigned mask, T value, unsigned by, unsigned width = 32) {
    bool inside = (emulator::lane() & (width - 1)) >= by;
    return emulator::shuffle(mask, value, inside ? emulator::lane() - by : emulator::lane());
}

inline unsigned __ballot_sync(unsigned mask, int predicate) {
    emulator::Request request{emulator::Kind::Ballot, mask, predicate != 0};
    emulator::together(request);
    return static_cast<unsigned>(request.value);
}
inline int __any_sync(unsigned mask, int predicate) { return __ballot_sync(mask, predicate) != 0; }
inline int __all_sync(unsigned mask, int predicate) { return __ballot_sync(mask, !predicate) == 0; }

template <typename T> T atomicAdd(T *address, std::common_type_t<T> value) {
    static_assert(std::is_integral<T>::value, "sums of floats would depend on the order of threads");
    return __atomic_fetch_add(address, value, __ATOMIC_RELAXED);
}

// Bits.

inline unsigned __umulhi(unsigned a, unsigned b) { return static_cast<unsigned>((static_cast<uint64_t>(a) * b) >> 32); }
inline int __popc(unsigned bits) { return __builtin_popcount(bits); }
inline int __ffs(int bits) { return __builtin_ffs(bits); }
inline int __clz(int bits) { return bits == 0 ? 32 : __builtin_clz(static_cast<unsigned>(bits)); }
inline unsigned __float_as_uint(float value) {
    unsigned bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}
inline float __uint_as_float(unsigned bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

// Numbers: a NaN loses against a number, as in CUDA.

template <typename A, typename B> std::common_type_t<A, B> min(A a, B b) {
    using T = std::common_type_t<A, B>;
    if constexpr (std::is_floating_point<T>::value) return static_cast<T>(fmin(static_cast<T>(a), static_cast<T>(b)));
    else return static_cast<T>(b) < static_cast<T>(a) ? static_cast<T>(b) : static_cast<T>(a);
}
template <typename A, typename B> std::common_type_t<A, B> max(A a, B b) {
    using T = std::common_type_t<A, B>;
    if constexpr (std::is_floating_point<T>::value) return static_cast<T>(fmax(static_cast<T>(a), static_cast<T>(b)));
    else return static_cast<T>(a) < static_cast<T>(b) ? static_cast<T>(b) : static_cast<T>(a);
}

// c += a b of one warp: a is 16x16, b is 16x8, bf16; c is 16x8, f32. Fragments as `mma.m16n8k16` of the PTX ISA has them.
inline void mma_bf16(float (&c)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
    emulator::Request request{emulator::Kind::Mma, 0xffffffffu};
    request.c = c;
    request.a = a;
    request.b = b;
    emulator::together(request);
}

// Hopper's tensor cores, which read operands from shared memory themselves: here each thread computes what it will have of the
// product. Rows have 128 bytes; of every eight, row r has its pieces of 16 bytes in the order of their number xor r.
inline void publish() {}
inline void wgmma_begin() {}
inline void wgmma_end() {}
inline float wgmma_operand(const unsigned char *rows, unsigned row, unsigned column) {
    uint16_t bits;
    memcpy(&bits, rows + row * 128 + ((column / 8) ^ (row % 8)) * 16 + column % 8 * 2, 2);
    return __uint_as_float((unsigned)bits << 16);
}
inline void wgmma_bf16(float (&c)[64], const unsigned char *a, const unsigned char *b, unsigned step) {
    unsigned lane = threadIdx.x % 32, first = threadIdx.x / 32 % 4 * 16 + lane / 4;
    for (unsigned i = 0; i < 64; i++) {
        unsigned row = first + i / 2 % 2 * 8, column = i / 4 * 8 + lane % 4 * 2 + i % 2;
        for (unsigned k = step * 16; k < step * 16 + 16; k++) c[i] += wgmma_operand(a, row, k) * wgmma_operand(b, column, k);
    }
}

// Two f32, rounded to the nearest bf16 (ties to even; every NaN becomes the same one), in one register.
inline unsigned pack_bf16(float low, float high) {
    auto round = [](float value) {
        unsigned bits = __float_as_uint(value);
        return value != value ? 0x7fffu : (bits + 0x7fffu + (bits >> 16 & 1)) >> 16;
    };
    return round(low) | round(high) << 16;
}
