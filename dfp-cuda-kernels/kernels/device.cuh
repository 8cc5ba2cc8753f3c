// What the kernels need of CUDA. Compiled by nvcc it is CUDA itself; compiled by a C++ compiler it is the emulator, which
// runs a block's threads as fibers. Anything the two spell differently is wrapped here, and nowhere else.
#pragma once

#ifdef __CUDACC__

#include <cuda_runtime.h>

// Dynamic shared memory of the block, as `type name[]`.
#define SHARED(type, name) \
    extern __shared__ __align__(1024) unsigned char shared_memory[]; \
    type *name = reinterpret_cast<type *>(shared_memory)

// A kernel of `threads` threads a block, `blocks` of which should fit a multiprocessor, that takes one struct by value.
#define KERNEL(name, threads, blocks, Argument) \
    extern "C" __global__ void __launch_bounds__(threads, blocks) name(const __grid_constant__ Argument argument)

// c += a b of one warp: a is 16x16 (row-major), b is 16x8, bf16; c is 16x8, f32. Fragments as `mma.m16n8k16` of the PTX ISA has
// them: a register holds two neighbours along k, the lower in its lower half.
__device__ __forceinline__ void mma_bf16(float (&c)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

// Two f32, rounded to the nearest bf16, in one register.
__device__ __forceinline__ unsigned pack_bf16(float low, float high) {
    unsigned packed;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(packed) : "f"(high), "f"(low));
    return packed;
}

// Compiled for sm_90a, and for no other, with WGMMA defined.
#ifdef WGMMA

// What was written to shared memory may be read by the tensor cores after the next barrier.
__device__ __forceinline__ void publish() { asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); }

// Products of a warpgroup come between these two; after the second its sums can be read, and the operands written.
__device__ __forceinline__ void wgmma_begin() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
__device__ __forceinline__ void wgmma_end() {
    asm volatile("wgmma.commit_group.sync.aligned;\nwgmma.wait_group.sync.aligned 0;" ::: "memory");
}

// Where an operand is: rows of 128 bytes, swizzled in groups of eight, that start at a multiple of 1024; `step` is the 16 columns taken.
__device__ __forceinline__ unsigned long long wgmma_operand(const unsigned char *rows, unsigned step) {
    unsigned long long address = (unsigned)__cvta_generic_to_shared(rows) + step * 32;
    return (address & 0x3ffff) >> 4 | 1ull << 16 | (1024ull >> 4) << 32 | 1ull << 62;
}

#define FOUR(c, i) "+f"(c[i]), "+f"(c[i + 1]), "+f"(c[i + 2]), "+f"(c[i + 3])
#define SIXTEEN(c, i) FOUR(c, i), FOUR(c, i + 4), FOUR(c, i + 8), FOUR(c, i + 12)

// c += a b of one warpgroup, 16 columns deep: a has 64 rows, b has 128, both along k; c is 64x128, f32. A warp has 16 rows of c,
// a thread what it would have of 16 products of `mma.m16n8k16`.
__device__ __forceinline__ void wgmma_bf16(float (&c)[64], const unsigned char *a, const unsigned char *b, unsigned step) {
    asm volatile(
        "wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 "
        "{%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31,"
        "%32,%33,%34,%35,%36,%37,%38,%39,%40,%41,%42,%43,%44,%45,%46,%47,%48,%49,%50,%51,%52,%53,%54,%55,%56,%57,%58,%59,%60,%61,"
        "%62,%63}, %64, %65, 1, 1, 1, 0, 0;"
        : SIXTEEN(c, 0), SIXTEEN(c, 16), SIXTEEN(c, 32), SIXTEEN(c, 48)
        : "l"(wgmma_operand(a, step)), "l"(wgmma_operand(b, step)));
}

#undef FOUR
#undef SIXTEEN

#endif

#else
#define WGMMA
#include "../emulator/cuda.h"
#endif

// The lower and the higher bf16 of a register as f32.
__device__ __forceinline__ float low_bf16(unsigned packed) { return __uint_as_float(packed << 16); }
__device__ __forceinline__ float high_bf16(unsigned packed) { return __uint_as_float(packed & 0xffff0000u); }
