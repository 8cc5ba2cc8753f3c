#include "../../kernels/device.cuh"
struct Sum { const float *x; float *y; unsigned n, pad; };
KERNEL(row_sums, 128, 1, Sum) {
    SHARED(float, part);
    float s = 0;
    for (unsigned i = threadIdx.x; i < argument.n; i += blockDim.x) s += argument.x[blockIdx.x * argument.n + i];
    for (unsigned b = 16; b; b /= 2) s += __shfl_down_sync(0xffffffffu, s, b);
    if (threadIdx.x % 32 == 0) part[threadIdx.x / 32] = s;
    __syncthreads();
    if (threadIdx.x == 0) { for (unsigned i = 1; i < blockDim.x / 32; i++) s += part[i]; argument.y[blockIdx.x] = s; }
}
