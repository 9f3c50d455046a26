// Sampled per-sample gradients of a normalization's weight and bias, y = weight (x - mean) rstd + bias:
//   g[i, weight c] = rstd sum_t d[i, c, t] (x[i, c, t] - mean),   g[i, bias c] = sum_t d[i, c, t].
// mean and rstd belong to a channel (BatchNorm in evaluation mode) or to a sample and channel (Instance- and GroupNorm); they come in
// float (double for double): 16 bits would cost the difference x - mean its digits.
//
// Layout. A block owns 8 neighbouring entries and one sample after another; each of its 8 warps takes one entry (with fewer warps, several in
// turn) and strides over the positions with four sums per lane, so loads coalesce and no sum crosses warps.
//
// Count, n = 64, x and d [64, 64, 32, 32], 50 weights, float32: 64 x 50 x 2 planes of 4 KiB = 26 MB, 7.8 us at 3.35 TB/s: every entry has planes
// of its own, bytes are the limit. 7 x 64 blocks, all resident at once; 8 loads in flight per lane are 64 KiB per SM, twice what hides the latency
// of memory (3.35 TB/s x 0.8 us / 132 = 20 KiB).
// Dropped: all 8 entries in every thread, as in conv.cuh: nothing is shared between entries, and 16 addresses took 140 registers.
#pragma once
#include <cstdint>

#include "core/geometry.h"
#include "cuda/sampled.cuh"

namespace knas::cuda {

template <class T> struct AffineTask {
  const T* input;               // [n, channels, positions]
  const T* grad_output;         // [n, channels, positions]
  const accumulate_t<T>* mean;    // [statistics, channels]
  const accumulate_t<T>* rstd;    // [statistics, channels]
  const std::int64_t* entries;  // [s]
  std::int64_t s, n, channels, positions, statistics;
};

template <class T> struct AffineRun {
  using Task = AffineTask<T>;
  using Acc = accumulate_t<T>;
  static constexpr int kEntries = 8, kBlocksPerSm = 4, kSums = 4;

  struct Shared { Acc value[2][kEntries]; };  // two buffers: WarpSums in block.cuh says why

  const Task& task;
  Shared& shared;
  std::int64_t first;
  int buffer = 0;

  __device__ AffineRun(const Task& task, std::int64_t first, Shared& shared) : task(task), shared(shared), first(first) {}

  // g[i, entry] in every lane of the warp.
  __device__ Acc warp_value(std::int64_t i, std::int64_t entry) const {
    if (entry < 0 || entry >= 2 * task.channels) return not_a_number<Acc>();
    const bool weight = entry < task.channels;
    const std::int64_t channel = weight ? entry : entry - task.channels, plane = (i * task.channels + channel) * task.positions;
    const std::int64_t statistic = (task.statistics == 1 ? 0 : i * task.channels) + channel;
    const T *x = task.input + plane, *d = task.grad_output + plane;
    const Acc mean = weight ? load(task.mean + statistic) : Acc(0);
    Acc sum[kSums] = {};
    for (std::int64_t t = threadIdx.x % kWarp; t < task.positions; t += kSums * kWarp) {
      KNAS_UNROLL
      for (int j = 0; j < kSums; ++j) {
        const std::int64_t at = t + j * kWarp;
        if (at < task.positions) sum[j] += load(d + at) * (weight ? load(x + at) - mean : Acc(1));
      }
    }
    const Acc total = warp_sum((sum[0] + sum[1]) + (sum[2] + sum[3]));
    return weight ? total * load(task.rstd + statistic) : total;
  }

  __device__ Acc value(std::int64_t i) {
    for (unsigned r = threadIdx.x / kWarp; r < kEntries; r += blockDim.x / kWarp) {
      const Acc sum = warp_value(i, load_entry(first + r));
      if (threadIdx.x % kWarp == 0) shared.value[buffer][r] = sum;
    }
    __syncthreads();
    const Acc mine = shared.value[buffer][threadIdx.x % kEntries];
    buffer ^= 1;
    return mine;
  }

  __device__ std::int64_t load_entry(std::int64_t index) const { return task.entries[index < task.s ? index : task.s - 1]; }
};

}  // namespace knas::cuda
