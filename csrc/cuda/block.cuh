// What the kernels share inside a block: its shared memory, and sums in a fixed order.
#pragma once
#include <cstdint>

#include "cuda/element.cuh"

// tests/native/simt.h gives its own definitions: one object of each type per emulated block; a launch that runs on the CPU.
#ifndef KNAS_SHARED
#define KNAS_SHARED(type, name) __shared__ type name
#define KNAS_UNROLL _Pragma("unroll")
#define KNAS_NO_UNROLL _Pragma("unroll 1")

namespace knas::cuda {

template <class... P, class... A>
void launch(void (*kernel)(P...), dim3 grid, unsigned threads, cudaStream_t stream, const A&... arguments) {
  kernel<<<grid, threads, 0, stream>>>(arguments...);
}

}  // namespace knas::cuda
#endif

namespace knas::cuda {

constexpr int kWarp = 32;
constexpr int kMaxThreads = 256;
constexpr int kMaxWarps = kMaxThreads / kWarp;

// Sums `value` over groups of kLanes neighbouring lanes; every lane has its group's sum.
template <int kLanes = kWarp, class A> __device__ inline A warp_sum(A value) {
  KNAS_UNROLL
  for (int mask = kLanes / 2; mask; mask /= 2) value += __shfl_xor_sync(0xffffffffu, value, mask);
  return value;
}

// Sums kValues (a power of 2) values over the 32 lanes of a warp, 8 in 9 shuffles, 4 in 6 (one by one it would take 5 each): at each of
// the first steps a lane keeps half of its values and gives the other half away. Returns the sum of value lane / (32 / kValues).
template <int kValues, class A> __device__ inline A warp_sums(A (&value)[kValues]) {
  constexpr int kLanes = kWarp / kValues;
  KNAS_UNROLL
  for (int half = kValues / 2; half; half /= 2) {
    const bool upper = threadIdx.x & unsigned(kLanes * half);
    KNAS_UNROLL
    for (int j = 0; j < half; ++j) {
      const A keep = upper ? value[j + half] : value[j];
      const A give = upper ? value[j] : value[j + half];
      value[j] = keep + __shfl_xor_sync(0xffffffffu, give, kLanes * half);
    }
  }
  return warp_sum<kLanes>(value[0]);
}

// Sums of kValues values over the warps of a block, in the order of the warps. Two buffers, so that one barrier per sum is enough:
// a buffer is written again only after the barrier of the sum in between, which every reader has reached by then.
template <class A, int kValues> struct WarpSums {
  A part[2][kMaxWarps][kValues];

  // Call after writing part[buffer][warp][...]; the sum of value `index`, 0 where there is none.
  __device__ A sum(int buffer, unsigned index) const {
#ifndef KNAS_PLANT_RACE  // tests/native prove with it that ThreadSanitizer sees a missing barrier
    __syncthreads();
#endif
    A total = 0;
    if (index < kValues) {
      for (unsigned warp = 0; warp < blockDim.x / kWarp; ++warp) total += part[buffer][warp][index];
    }
    return total;
  }

  // The sums of every thread's values over the block, in thread 0. Takes both buffers.
  __device__ void block_sum(const A (&value)[kValues], A (&total)[kValues]) {
    KNAS_UNROLL
    for (int v = 0; v < kValues; ++v) {
      const A mine = warp_sum(value[v]);
      if (threadIdx.x % kWarp == 0) part[0][threadIdx.x / kWarp][v] = mine;
    }
    const A mine = sum(0, threadIdx.x);
    if (threadIdx.x < kValues) part[1][0][threadIdx.x] = mine;
    __syncthreads();
    KNAS_UNROLL
    for (int v = 0; v < kValues; ++v) total[v] = part[1][0][v];
  }
};

// square = sum_e S_e^2 = sum_ij G_ij, trace, split -> statistics [4]: mean, mean_off_diagonal, trace, split.
__device__ inline void write_statistics(double square, double trace, double split, std::int64_t n, double* statistics) {
  const double count = double(n);
  statistics[0] = square / (count * count);
  statistics[1] = n < 2 ? 0 : (square - trace) / (count * (count - 1));
  statistics[2] = trace;
  statistics[3] = split;
}

}  // namespace knas::cuda
