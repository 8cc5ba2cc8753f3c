// What the kernels need of CUDA. Compiled by nvcc it is CUDA itself; compiled by a C++ compiler it is the emulator, which
// runs a block's threads as fibers. Anything the two spell differently is wrapped here, and nowhere else.
#pragma once

#ifdef __CUDACC__

#include <cuda_runtime.h>

// Dynamic shared memory of the block, as `type name[]`.
#define SHARED(type, name) \
    extern __shared__ __align__(16) unsigned char shared_memory[]; \
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

#else
#include "../emulator/cuda.h"
#endif

// The lower and the higher bf16 of a register as f32.
__device__ __forceinline__ float low_bf16(unsigned packed) { return __uint_as_float(packed << 16); }
__device__ __forceinline__ float high_bf16(unsigned packed) { return __uint_as_float(packed & 0xffff0000u); }
