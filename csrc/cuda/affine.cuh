// Sampled per-sample gradients of a normalization's weight and bias, y = weight (x - mean) rstd + bias:
//   g[i, weight c] = rstd sum_t d[i, c, t] (x[i, c, t] - mean),   g[i, bias c] = sum_t d[i, c, t].
// mean and rstd belong to a channel (BatchNorm in evaluation mode) or to a sample and channel (Instance- and GroupNorm); they come in
// float (double for double): 16 bits would cost the difference x - mean its digits.
//
// Layout. A block owns 8 neighbouring entries and one sample after another; each of its 8 warps takes one entry (with fewer warps, several in
// turn), each lane four neighbouring positions at a time with a sum for each: one load of 16 bytes where the planes' size and address allow
// (the host decides), four of 4 bytes otherwise, in the same order, for the same bits. No sum crosses warps.
//
// Count, n = 64, x and d [64, 64, 32, 32], 50 weights, float32: 64 x 50 x 2 planes of 4 KiB = 26 MB, 7.8 us at 3.35 TB/s: every entry has planes
// of its own, bytes are the limit. 7 x 64 blocks, all resident at once; 2 loads of 16 bytes in flight per lane are 32 KiB per SM with 4 blocks
// each, more than hides the latency of memory (3.35 TB/s x 0.8 us / 132 = 20 KiB). Of the instructions for 4 positions, 8 loads
// become 2; L1 takes the same cycles for them (a warp's 512 bytes in 4 lines), 4 times fewer than loads of 4 bytes at a stride of 16.
// Dropped: all 8 entries in every thread, as in conv.cuh: nothing is shared between entries, and 16 addresses took 140 registers.
#pragma once
#include <cstdint>

#include "core/geometry.h"
#include "cuda/sampled.cuh"

namespace knas::cuda {

template <class T> struct AffineTask {
  const T* input;               // [n, channels, positions]; [n, positions, channels] where affine_last.cuh reads it
  const T* grad_output;         // likewise
  const accumulate_t<T>* mean;    // [statistics, channels]
  const accumulate_t<T>* rstd;    // [statistics, channels]
  const std::int64_t* entries;  // [s]
  std::int64_t s, n, channels, positions, statistics;
  bool aligned;  // whether load_four may read every plane whole
};

struct AffineEntry {
  std::int64_t channel;  // 0 where there is no such entry, so that reading it is harmless
  bool weight, exists;

  template <class T> __device__ std::int64_t statistic(const AffineTask<T>& task, std::int64_t i) const {
    return (task.statistics == 1 ? 0 : i * task.channels) + channel;
  }
};

template <class T> __device__ inline AffineEntry affine_entry(const AffineTask<T>& task, std::int64_t index) {
  const std::int64_t entry = task.entries[index < task.s ? index : task.s - 1];
  const bool exists = entry >= 0 && entry < 2 * task.channels, weight = exists && entry < task.channels;
  return {!exists ? 0 : weight ? entry : entry - task.channels, weight, exists};
}

template <class T> struct AffineRun {
  using Task = AffineTask<T>;
  using Acc = accumulate_t<T>;
  static constexpr int kEntries = 8, kBlocksPerSm = 4;

  struct Shared { Acc value[2][kEntries]; };  // two buffers: WarpSums in block.cuh says why

  const Task& task;
  Shared& shared;
  std::int64_t first;
  int buffer = 0;

  __device__ AffineRun(const Task& task, std::int64_t first, Shared& shared) : task(task), shared(shared), first(first) {}

  // Up to four elements from t on; 0 beyond the plane.
  __device__ Four<Acc> four(const T* plane, std::int64_t t) const {
    if (task.aligned) return load_four(plane + t);
    Four<Acc> values{{0, 0, 0, 0}};
    KNAS_UNROLL
    for (int j = 0; j < 4; ++j) {
      if (t + j < task.positions) values.value[j] = load(plane + t + j);
    }
    return values;
  }

  // g[i, entry] in every lane of the warp.
  __device__ Acc warp_value(std::int64_t i, const AffineEntry& entry) const {
    if (!entry.exists) return not_a_number<Acc>();
    const std::int64_t plane = (i * task.channels + entry.channel) * task.positions, statistic = entry.statistic(task, i);
    const T *x = task.input + plane, *d = task.grad_output + plane;
    const Acc mean = entry.weight ? load(task.mean + statistic) : Acc(0);
    Acc sum[4] = {};
    for (std::int64_t t = threadIdx.x % kWarp * 4; t < task.positions; t += 4 * kWarp) {
      const Four<Acc> deltas = four(d, t), values = entry.weight ? four(x, t) : Four<Acc>{{1, 1, 1, 1}};
      KNAS_UNROLL
      for (int j = 0; j < 4; ++j) {
        if (t + j < task.positions) sum[j] += deltas.value[j] * (values.value[j] - mean);
      }
    }
    const Acc total = warp_sum((sum[0] + sum[1]) + (sum[2] + sum[3]));
    return entry.weight ? total * load(task.rstd + statistic) : total;
  }

  __device__ Acc value(std::int64_t i) {
    for (unsigned r = threadIdx.x / kWarp; r < kEntries; r += blockDim.x / kWarp) {
      const Acc sum = warp_value(i, affine_entry(task, first + r));
      if (threadIdx.x % kWarp == 0) shared.value[buffer][r] = sum;
    }
    __syncthreads();
    const Acc mine = shared.value[buffer][threadIdx.x % kEntries];
    buffer ^= 1;
    return mine;
  }
};

}  // namespace knas::cuda
