// affine.cuh's sums where the channels come last in memory, x and d [n, positions, channels], read as they are.
//
// Layout. That of linear.cuh: lanes are entries (a block owns 32), warps share the positions, four sums per thread. Sorted entries are
// neighbouring channels, so a warp reads whole sectors.
//
// Count, n = 64, [16, 32, 32], all 32 entries (16 weights, 16 biases), float32: both tensors once, 8.4 MB, 2.5 us at 3.35 TB/s, as where
// channels come first; a copy of both would take 16.8 MB, 5 us, and 2 launches before that. With 64 channels the 50 entries sampled of 128
// are in every sector of 8 channels with near certainty: both tensors whole here, 50 of 64 x 2 planes there.
// L1: one position, 32 entries: 2 loads of 64 bytes, 2 cycles. Issue: 29 instructions (disassembly for sm_90), 7 cycles: 64 x 1024 x 7 / 132 SMs
// are 2 us at 1.755 GHz, below the bytes.
#pragma once
#include <cstdint>

#include "cuda/affine.cuh"

namespace knas::cuda {

template <class T> struct AffineLastRun {
  using Task = AffineTask<T>;
  using Acc = accumulate_t<T>;
  static constexpr int kEntries = kWarp, kBlocksPerSm = sizeof(Acc) == 8 ? 2 : 3;
  static constexpr int kSums = 4;

  struct Shared { WarpSums<Acc, kEntries> sums; };

  const Task& task;
  Shared& shared;
  AffineEntry entry;
  int buffer = 0;

  __device__ AffineLastRun(const Task& task, std::int64_t first, Shared& shared)
      : task(task), shared(shared), entry(affine_entry(task, first + threadIdx.x % kWarp)) {}

  __device__ Acc value(std::int64_t i) {
    const std::int64_t warps = blockDim.x / kWarp, first = threadIdx.x / kWarp, step = warps * task.channels;
    std::int64_t at = (i * task.positions + first) * task.channels + entry.channel;
    const Acc mean = entry.weight ? load(task.mean + entry.statistic(task, i)) : Acc(0);
    Acc sum[kSums] = {};
    KNAS_NO_UNROLL  // eight loads in flight already
    for (std::int64_t t = first; t < task.positions; t += kSums * warps, at += kSums * step) {
      Acc deltas[kSums], values[kSums];
      KNAS_UNROLL
      for (int j = 0; j < kSums; ++j) {  // loads alone, as in linear.cuh
        const bool exists = t + j * warps < task.positions;
        deltas[j] = exists ? load(task.grad_output + at + j * step) : Acc(0);
        values[j] = exists && entry.weight ? load(task.input + at + j * step) - mean : Acc(1);
      }
      KNAS_UNROLL
      for (int j = 0; j < kSums; ++j) sum[j] += deltas[j] * values[j];
    }
    shared.sums.part[buffer][threadIdx.x / kWarp][threadIdx.x % kWarp] = (sum[0] + sum[1]) + (sum[2] + sum[3]);
    const Acc total = shared.sums.sum(buffer, threadIdx.x);
    buffer ^= 1;
    if (!entry.exists) return not_a_number<Acc>();
    return entry.weight ? total * load(task.rstd + entry.statistic(task, i)) : total;
  }
};

}  // namespace knas::cuda
