// Sampled per-sample gradients of a normalization's weight and bias, y = weight (x - mean) rstd + bias:
//   g[i, weight c] = rstd sum_t d[i, c, t] (x[i, c, t] - mean),   g[i, bias c] = sum_t d[i, c, t].
// mean and rstd belong to a channel (BatchNorm in evaluation mode) or to a sample and channel (Instance- and GroupNorm); they come in
// float (double for double): 16 bits would cost the difference x - mean its digits.
//
// Layout. A block owns 8 neighbouring entries and one sample after another, threads stride over the positions, as in conv.cuh.
//
// Count, n = 64, x and d [64, 64, 32, 32], 50 weights, float32: 64 x 50 x 2 planes of 4 KiB = 26 MB, 7.8 us at 3.35 TB/s (each entry
// has planes of its own: bytes, not operations, are the limit); 7 x 64 blocks of 256 threads with 16 loads in flight each.
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
  static constexpr int kEntries = 8;

  struct Shared { WarpSums<Acc, kEntries> sums; };

  const Task& task;
  Shared& shared;
  std::int64_t channel[kEntries];
  unsigned weights = 0, missing = 0;  // one bit per entry: a weight; no such entry
  int buffer = 0;

  __device__ AffineRun(const Task& task, std::int64_t first, Shared& shared) : task(task), shared(shared) {
    KNAS_UNROLL
    for (int r = 0; r < kEntries; ++r) {
      const std::int64_t entry = task.entries[first + r < task.s ? first + r : task.s - 1];
      const bool exists = entry >= 0 && entry < 2 * task.channels, weight = exists && entry < task.channels;
      channel[r] = exists ? entry - (weight ? 0 : task.channels) : 0;
      weights |= unsigned(weight) << r, missing |= unsigned(!exists) << r;
    }
  }

  __device__ Acc value(std::int64_t i) {
    const std::int64_t sample = i * task.channels * task.positions, statistics = task.statistics == 1 ? 0 : i * task.channels;
    Acc sum[kEntries] = {}, mean[kEntries];
    KNAS_UNROLL
    for (int r = 0; r < kEntries; ++r) mean[r] = load(task.mean + statistics + channel[r]);
    for (std::int64_t t = threadIdx.x; t < task.positions; t += blockDim.x) {
      KNAS_UNROLL
      for (int r = 0; r < kEntries; ++r) {
        const std::int64_t at = sample + channel[r] * task.positions + t;
        const Acc delta = load(task.grad_output + at);
        sum[r] += weights >> r & 1 ? delta * (load(task.input + at) - mean[r]) : delta;
      }
    }
    KNAS_UNROLL
    for (int r = 0; r < kEntries; ++r) {
      if (weights >> r & 1) sum[r] *= load(task.rstd + statistics + channel[r]);
      if (missing >> r & 1) sum[r] = not_a_number<Acc>();
    }
    const Acc warp = warp_sum_8(sum);
    if (threadIdx.x % 4 == 0) shared.sums.part[buffer][threadIdx.x / kWarp][threadIdx.x % kWarp / 4] = warp;
    const Acc total = shared.sums.sum(buffer);
    buffer ^= 1;
    return total;
  }
};

}  // namespace knas::cuda
