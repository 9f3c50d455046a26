// Sampled per-sample gradients of a convolution, straight from its input x and output gradient d:
//   g[i, (o, c, u)] = sum_t d[i, o, t] x[i, c, t * stride + u * dilation - padding],   g[i, bias o] = sum_t d[i, o, t].
//
// Layout. A block owns a run of 8 neighbouring entries and one sample after another; its threads stride over the output positions t,
// so that loads along a plane coalesce, and each keeps 8 sums in registers: d is read once for all 8 when they share the output
// channel (mostly: entries come sorted, in blocks of few output x few input channels x all taps), and once per entry in a run across a border.
// The taps of one plane are read through L1. 8 sums x 32 lanes cost 9 shuffles, warps are added through shared memory.
// An entry is decoded once per block (64-bit divisions), positions advance by additions.
//
// Count, n = 64, x and d [64, 16, 32, 32], 50 entries of 3x3 taps (3 output x 2 input channels), float32:
//   bytes  64 x 5 planes x 4 KiB = 1.3 MB, 0.39 us at 3.35 TB/s;   operations 64 x 50 x 1024 x 2 = 6.6 MFLOP, 0.1 us at 67 TFLOP/s
//   L1     64 x 1024 x (50 + 5 + 2 x 8 in 2 runs across a border) x 4 B = 19 MB over 132 SMs at 128 B per cycle: 0.6 us
//   blocks 7 runs x 64 samples = 448 of 256 threads (moments: 7 x 32 pairs = 224), 4 positions x 8 taps per thread: a few dependent
//   loads deep, 1 to 2 us. So one layer is bound by latency and launch, not by bytes: more work per launch is the next step.
// Dropped: planes staged in shared memory (a barrier and a copy, to save L1 reads that are not the limit; pays from ~4 runs
//   per plane on); one warp per sample (32 positions deep per thread: ~5 x the latency); one thread per entry (uncoalesced).
// Next (grouped launches): a register window along x (4 positions share 6 loads per row of 3 taps instead of 12) and 16-byte loads.
#pragma once
#include <cstdint>

#include "core/geometry.h"
#include "cuda/sampled.cuh"

namespace knas::cuda {

// A layer's arguments; sizes are computed on the host.
template <class T> struct ConvTask {
  const T* input;               // [n, in_channels, in[0], in[1], in[2]]
  const T* grad_output;         // [n, out_channels, out[0], out[1], out[2]]
  const std::int64_t* entries;  // [s]
  std::int64_t s, n, weights, taps, in_sample, out_sample, in_plane, out_plane, group_channels, out_channels, group_outputs;
  std::int64_t in[3], out[3], kernel[3], stride[3], padding[3], dilation[3];
};

template <class T>
ConvTask<T> conv_task(const ConvGeometry& g, const T* input, const T* grad_output, const std::int64_t* entries, std::int64_t s) {
  ConvTask<T> task{input, grad_output, entries, s, g.n, g.weights(), g.taps(), g.in_channels * g.in_plane(),
                   g.out_channels * g.out_plane(), g.in_plane(), g.out_plane(), g.group_channels(), g.out_channels,
                   g.out_channels / g.groups, {}, {}, {}, {}, {}, {}};
  for (int a = 0; a < 3; ++a) {
    task.in[a] = g.in[a], task.out[a] = g.out[a], task.kernel[a] = g.kernel[a];
    task.stride[a] = g.stride[a], task.padding[a] = g.padding[a], task.dilation[a] = g.dilation[a];
  }
  return task;
}

// Whether 32 bits hold every index into one sample or the parameters, and every padded coordinate.
inline bool conv_fits_32_bits(const ConvGeometry& g) {
  constexpr std::int64_t limit = std::int64_t(1) << 31;
  bool fits = g.in_channels * g.in_plane() < limit && g.out_channels * g.out_plane() < limit && g.weights() < limit;
  for (int a = 0; a < 3; ++a) {
    fits = fits && g.padding[a] < limit / 4 && g.in[a] + 2 * g.padding[a] < limit && g.stride[a] < limit && g.out[a] * g.stride[a] < limit;
  }
  return fits;
}

// Whether the first axis is one of those that 1d and 2d convolutions lack.
inline bool conv_has_2_axes(const ConvGeometry& g) { return g.in[0] == 1 && g.out[0] == 1 && g.kernel[0] == 1 && g.padding[0] == 0; }

// kAxes: the last 2, or all 3. I: uint32_t or uint64_t, for indices into one sample. Index arithmetic is modular: a sum that passes
// through "negative" values is right again once it is in range, and a coordinate outside the input, on either side, is >= its size.
template <class T, int kAxes, class I> struct ConvRun {
  using Task = ConvTask<T>;
  using Acc = accumulate_t<T>;
  using Index = I;
  static constexpr int kEntries = 8, kBlocksPerSm = sizeof(Acc) == 8 ? 1 : 0;
  static constexpr int kFirstAxis = 3 - kAxes;

  struct Tap {
    Index input, delta;  // where the input plane, moved by the tap, and the gradient plane start in a sample
    Index shift[3];      // coordinate in the input = position * stride + shift
    Acc outside;         // what x is replaced by outside of the input: 0; 1 for a bias; NaN for an entry that does not exist
  };
  struct Shared {
    Tap tap[kEntries];
    WarpSums<Acc, kEntries> sums;
  };
  struct Position { Index x[3]; };  // coordinates times stride

  const Task& task;
  Shared& shared;
  Index input[kEntries], shift[kEntries][3];
  Acc outside[kEntries];
  Position start, step, size;
  bool same_output = true;
  int buffer = 0;

  __device__ ConvRun(const Task& task, std::int64_t first, Shared& shared) : task(task), shared(shared) {
    if (threadIdx.x < kEntries) shared.tap[threadIdx.x] = decode(first + threadIdx.x < task.s ? first + threadIdx.x : task.s - 1);
    start = position(threadIdx.x), step = position(blockDim.x);
    KNAS_UNROLL
    for (int a = 0; a < 3; ++a) size.x[a] = Index(task.out[a] * task.stride[a]);
    __syncthreads();
    KNAS_UNROLL
    for (int r = 0; r < kEntries; ++r) {
      const Tap& tap = shared.tap[r];
      input[r] = tap.input, outside[r] = tap.outside;
      KNAS_UNROLL
      for (int a = 0; a < 3; ++a) shift[r][a] = tap.shift[a];
      same_output = same_output && tap.delta == shared.tap[0].delta;
    }
  }

  __device__ Tap decode(std::int64_t index) const {
    const std::int64_t entry = task.entries[index];
    const bool bias = entry >= task.weights, exists = entry >= 0 && entry < task.weights + task.out_channels;
    Tap tap{0, 0, {0, 0, 0}, exists ? Acc(bias) : not_a_number<Acc>()};
    if (!exists || bias) {
      for (int a = 0; a < 3; ++a) tap.shift[a] = Index(task.in[a]);  // outside wherever the position is
      if (exists) tap.delta = Index((entry - task.weights) * task.out_plane);
      return tap;
    }
    // In Index, not in int64_t: 32-bit divisions take a third of the time, and a block can't start without them.
    const Index tap_index = Index(entry), taps = Index(task.taps), group_channels = Index(task.group_channels);
    const Index row = tap_index / taps, channel = row / group_channels;
    const Index plane = channel / Index(task.group_outputs) * group_channels + row % group_channels;
    Index rest = tap_index % taps, u[3];
    for (int a = 2; a >= kFirstAxis; --a) u[a] = rest % Index(task.kernel[a]), rest /= Index(task.kernel[a]);
    for (int a = kFirstAxis; a < 3; ++a) tap.shift[a] = u[a] * Index(task.dilation[a]) - Index(task.padding[a]);
    tap.input = plane * Index(task.in_plane) + offset({{tap.shift[0], tap.shift[1], tap.shift[2]}});
    tap.delta = channel * Index(task.out_plane);
    return tap;
  }

  __device__ Position position(Index t) const {
    Position p{{0, 0, 0}};
    for (int a = 2; a > kFirstAxis; --a) p.x[a] = t % Index(task.out[a]) * Index(task.stride[a]), t /= Index(task.out[a]);
    p.x[kFirstAxis] = t * Index(task.stride[kFirstAxis]);
    return p;
  }

  __device__ Index offset(const Position& p) const {
    return ((kAxes == 3 ? p.x[0] * Index(task.in[1]) : Index(0)) + p.x[1]) * Index(task.in[2]) + p.x[2];
  }

  __device__ void advance(Position& p) const {
    KNAS_UNROLL
    for (int a = 2; a >= kFirstAxis; --a) {
      p.x[a] += step.x[a];
      if (a > kFirstAxis && p.x[a] >= size.x[a]) p.x[a] -= size.x[a], p.x[a - 1] += Index(task.stride[a - 1]);
    }
  }

  template <bool kSameOutput> __device__ void accumulate(const T* x, const T* d, Acc (&sum)[kEntries]) const {
    const T* shared_plane = d + shared.tap[0].delta;
    Position p = start;
    KNAS_NO_UNROLL  // 9 loads in flight already: registers buy more as resident warps
    for (Index t = threadIdx.x; t < Index(task.out_plane); t += blockDim.x) {
      const Acc shared_delta = kSameOutput ? load(shared_plane + t) : Acc(0);
      const Index base = offset(p);
      KNAS_UNROLL
      for (int r = 0; r < kEntries; ++r) {
        bool inside = true;
        KNAS_UNROLL
        for (int a = kFirstAxis; a < 3; ++a) inside = inside && p.x[a] + shift[r][a] < Index(task.in[a]);
        const Acc delta = kSameOutput ? shared_delta : load(d + shared.tap[r].delta + t);
        sum[r] += delta * (inside ? load(x + Index(input[r] + base)) : outside[r]);
      }
      advance(p);
    }
  }

  __device__ Acc value(std::int64_t i) {
    Acc sum[kEntries] = {};
    const T *x = task.input + i * task.in_sample, *d = task.grad_output + i * task.out_sample;
    if (same_output) accumulate<true>(x, d, sum);
    else accumulate<false>(x, d, sum);
    const Acc warp = warp_sum_8(sum);
    if (threadIdx.x % 4 == 0) shared.sums.part[buffer][threadIdx.x / kWarp][threadIdx.x % kWarp / 4] = warp;
    const Acc total = shared.sums.sum(buffer);
    buffer ^= 1;
    return total;
  }
};

}  // namespace knas::cuda
