// Sampled per-sample gradients of any convolution (conv_task.cuh), straight from its input x and output gradient d.
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
//   issue  176 instructions per warp, 32 positions and run (disassembly for sm_90): 64 x 32 x 7 x 176 / 132 SMs / 4 per cycle: 2.7 us
//   blocks 7 runs x 64 samples = 448 of 256 threads (moments: 7 x 32 pairs = 224), 4 positions x 8 taps per thread: a few dependent
//   loads deep, 1 to 2 us. So one layer is bound by issue, latency and launch, not by bytes: conv_rows.cuh and grouped.cuh go on from here.
// Dropped: planes staged in shared memory (a barrier and a copy, to save L1 reads that are not the limit; pays from ~4 runs
//   per plane on); one warp per sample (32 positions deep per thread: ~5 x the latency); one thread per entry (uncoalesced).
// Layers whose taps along x reach one position at most, at stride 1, go to conv_rows.cuh, which reads a row once for all its taps; those with
// the channels last in memory to conv_last.cuh. This kernel takes all others, and is what both are compared with.
#pragma once
#include <cstdint>

#include "cuda/conv_task.cuh"

namespace knas::cuda {

template <class T, int kAxes, class I> struct ConvRun {
  using Task = ConvTask<T>;
  using Acc = accumulate_t<T>;
  using Index = I;
  static constexpr int kEntries = 8, kBlocksPerSm = sizeof(Acc) == 8 || sizeof(Index) == 8 ? 1 : 2;

  struct Tap {
    Index input, delta;  // where the input plane, moved by the tap, and the gradient plane start in a sample
    Index shift[3];
    Acc outside;
  };
  struct Shared {
    Tap tap[kEntries];
    WarpSums<Acc, kEntries> sums;
  };

  const Task& task;
  Shared& shared;
  ConvWalk<T, kAxes, Index> walk;
  Index input[kEntries], shift[kEntries][3];
  bool same_output = true;
  int buffer = 0;

  __device__ ConvRun(const Task& task, std::int64_t first, Shared& shared) : task(task), shared(shared), walk(task, threadIdx.x, blockDim.x) {
    if (threadIdx.x < kEntries) {
      const auto e = conv_entry<kAxes, Index>(task, first + threadIdx.x);
      shared.tap[threadIdx.x] = {e.in_channel * Index(task.in_plane) + walk.offset(e.shift), e.out_channel * Index(task.out_plane),
                                 {e.shift[0], e.shift[1], e.shift[2]}, e.outside};
    }
    __syncthreads();
    KNAS_UNROLL
    for (int r = 0; r < kEntries; ++r) {
      const Tap& tap = shared.tap[r];
      input[r] = tap.input;
      KNAS_UNROLL
      for (int a = 0; a < 3; ++a) shift[r][a] = tap.shift[a];
      same_output = same_output && tap.delta == shared.tap[0].delta;
    }
  }

  template <bool kSameOutput> __device__ void accumulate(const T* x, const T* d, Acc (&sum)[kEntries]) const {
    const T* shared_plane = d + shared.tap[0].delta;
    auto p = walk.start;
    KNAS_NO_UNROLL  // 9 loads in flight already: registers buy more as resident warps
    for (Index t = threadIdx.x; t < Index(task.out_plane); t += blockDim.x) {
      const Acc shared_delta = kSameOutput ? load(shared_plane + t) : Acc(0);
      const Index base = walk.offset(p.x);
      KNAS_UNROLL
      for (int r = 0; r < kEntries; ++r) {
        const Acc delta = kSameOutput ? shared_delta : load(d + shared.tap[r].delta + t);
        sum[r] += delta * (walk.inside(p, shift[r]) ? load(x + Index(input[r] + base)) : shared.tap[r].outside);
      }
      walk.advance(p);
    }
  }

  __device__ Acc value(std::int64_t i) {
    Acc sum[kEntries] = {};
    const T *x = task.input + i * task.in_sample, *d = task.grad_output + i * task.out_sample;
    if (same_output) accumulate<true>(x, d, sum);
    else accumulate<false>(x, d, sum);
    const Acc warp = warp_sums(sum);
    if (threadIdx.x % 4 == 0) shared.sums.part[buffer][threadIdx.x / kWarp][threadIdx.x % kWarp / 4] = warp;
    const Acc total = shared.sums.sum(buffer, threadIdx.x);
    buffer ^= 1;
    return total;
  }
};

}  // namespace knas::cuda
