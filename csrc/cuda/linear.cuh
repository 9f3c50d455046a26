// Sampled per-sample gradients of a linear layer at t positions per sample (tokens, pixels; 1 for a plain one):
//   g[i, (o, c)] = sum_t d[i, t, o] x[i, t, c],   g[i, bias o] = sum_t d[i, t, o].
//
// Layout. Features are the fast axis in memory, so lanes are entries: a block owns 32 neighbouring entries, which share inputs and outputs
// when the sampler draws them in blocks (few outputs x few inputs), and its warps share the positions, warp w taking w, w + warps, ...;
// four independent sums per thread keep loads in flight and rounding short. One shared-memory sum over the warps, no shuffles.
// Each thread decodes its own entry once per block.
//
// Count, n = 64, t = 128, x [64, 128, 768], d [64, 128, 768], 50 entries (8 outputs x 7 inputs, anywhere), float32:
//   bytes  64 x 128 x (7 + 8 sectors of 32 B) = 3.9 MB, 1.2 us at 3.35 TB/s; 0.8 MFLOP
//   issue  25 instructions per warp and position (disassembly for sm_90): 64 x 128 x 2 runs x 25 / 132 SMs / 4 per cycle, 0.4 us
//   blocks 2 runs x 64 samples = 128 of 256 threads, 16 positions per thread in 4 steps. Bound by latency, like conv.cuh.
//   t = 1: one product per entry and sample, 32 threads per block.
// No loads of 16 bytes: a lane's next element is a whole row further on, and its neighbour in the row belongs to another entry, if to any.
// Dropped: lanes as positions (each lane reads another sector for 4 of its 32 bytes: 8 x the traffic).
#pragma once
#include <cstdint>

#include "core/geometry.h"
#include "cuda/sampled.cuh"

namespace knas::cuda {

template <class T> struct LinearTask {
  const T* input;               // [n, positions, in_features]
  const T* grad_output;         // [n, positions, out_features]
  const std::int64_t* entries;  // [s]
  std::int64_t s, n, positions, in_features, out_features;
};

template <class T> struct LinearRun {
  using Task = LinearTask<T>;
  using Acc = accumulate_t<T>;
  static constexpr int kEntries = kWarp, kBlocksPerSm = sizeof(Acc) == 8 ? 2 : 3;
  static constexpr int kSums = 4;

  struct Shared { WarpSums<Acc, kEntries> sums; };

  const Task& task;
  Shared& shared;
  std::int64_t in = 0, out = 0;
  Acc constant = 0;     // stands for x where there is none: 1 for a bias, NaN for an entry that does not exist
  bool weight = false;
  int buffer = 0;

  __device__ LinearRun(const Task& task, std::int64_t first, Shared& shared) : task(task), shared(shared) {
    const std::int64_t index = first + threadIdx.x % kWarp, weights = task.out_features * task.in_features;
    const std::int64_t entry = task.entries[index < task.s ? index : task.s - 1];
    weight = entry >= 0 && entry < weights;
    if (weight) {
      out = entry / task.in_features, in = entry % task.in_features;
    } else if (entry >= weights && entry < weights + task.out_features) {
      out = entry - weights, constant = 1;
    } else {
      constant = not_a_number<Acc>();
    }
  }

  __device__ Acc value(std::int64_t i) {
    const std::int64_t warps = blockDim.x / kWarp, first = threadIdx.x / kWarp, position = i * task.positions + first;
    const std::int64_t in_step = warps * task.in_features, out_step = warps * task.out_features;
    std::int64_t x = position * task.in_features + in, d = position * task.out_features + out;
    Acc sum[kSums] = {};
    KNAS_NO_UNROLL  // eight loads in flight already
    for (std::int64_t t = first; t < task.positions; t += kSums * warps, x += kSums * in_step, d += kSums * out_step) {
      Acc deltas[kSums], values[kSums];
      KNAS_UNROLL
      for (int j = 0; j < kSums; ++j) {  // loads alone: a product in between would wait for its own before the next can start
        const bool exists = t + j * warps < task.positions;
        deltas[j] = exists ? load(task.grad_output + d + j * out_step) : Acc(0);
        values[j] = exists && weight ? load(task.input + x + j * in_step) : constant;
      }
      KNAS_UNROLL
      for (int j = 0; j < kSums; ++j) sum[j] += deltas[j] * values[j];
    }
    shared.sums.part[buffer][threadIdx.x / kWarp][threadIdx.x % kWarp] = (sum[0] + sum[1]) + (sum[2] + sum[3]);
    const Acc total = shared.sums.sum(buffer, threadIdx.x);
    buffer ^= 1;
    return total;
  }
};

}  // namespace knas::cuda
