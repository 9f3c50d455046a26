// Sampled per-sample gradients of a convolution whose tensors have the channels last in memory, x [n, in, in_channels] and
// d [n, out, out_channels], read as they are.
//
// Layout. That of linear.cuh: channels are the fast axis, so lanes are entries (a block owns 32) and warps share the positions, with four
// sums per thread. The taps and channels of a warp's entries lie in a few lines around one position, which neighbouring positions reuse.
//
// Count, n = 64, [16, 32, 32], 50 entries of 3 output x 2 input channels x 9 taps, float32; a pixel is 64 bytes, 2 sectors:
//   bytes  each sector with a sampled channel once: at most both tensors, 8.4 MB, 2.5 us at 3.35 TB/s (1.3 MB where channels come first)
//   L1     one position, 32 entries: 9 pixels in 3 rows, 3 lines and about 6 words per bank, and 1 to 2 for d: 8 cycles;
//          64 x 1024 x 2 runs x 8 / 132 SMs = 7,900 cycles, 4.5 us at 1.755 GHz
//   copies to channels first: read and write both tensors, 16.8 MB, 5 us, 2 more launches, and 8.4 MB that live until the kernel is done
// so reading directly costs no more than the copies alone, and saves their launches and memory.
// Dropped: lanes as positions with a stride of the channels (conv.cuh with strides): 32 lanes read one word each of 32 pixels, 16 to 32 cycles
// of L1 per entry and 32 positions for 1 where channels come first: 4 (16 channels) to 8 times what it takes here.
#pragma once
#include <cstdint>

#include "cuda/conv_task.cuh"

namespace knas::cuda {

template <class T> struct ConvLastRun {
  using Task = ConvTask<T>;
  using Acc = accumulate_t<T>;
  using Walk = ConvWalk<T, 3, unsigned>;
  static constexpr int kEntries = kWarp, kBlocksPerSm = sizeof(Acc) == 8 ? 2 : 4;
  static constexpr int kSums = 4;

  struct Shared { WarpSums<Acc, kEntries> sums; };

  const Task& task;
  Shared& shared;
  const Walk walk;
  unsigned in_channels, out_channels, out_plane, input;
  ConvEntry<Acc, unsigned> entry;
  int buffer = 0;

  __device__ ConvLastRun(const Task& task, std::int64_t first, Shared& shared)
      : task(task), shared(shared), walk(task, threadIdx.x / kWarp, blockDim.x / kWarp), in_channels(unsigned(task.in_channels)),
        out_channels(unsigned(task.out_channels)), out_plane(unsigned(task.out_plane)),
        entry(conv_entry<3, unsigned>(task, first + threadIdx.x % kWarp)) {
    input = walk.offset(entry.shift) * in_channels + entry.in_channel;
  }

  __device__ Acc value(std::int64_t i) {
    const T *x = task.input + i * task.in_sample, *d = task.grad_output + i * task.out_sample + entry.out_channel;
    Acc sum[kSums] = {};
    auto p = walk.start;
    for (unsigned t = threadIdx.x / kWarp; t < out_plane;) {
      KNAS_UNROLL
      for (int j = 0; j < kSums; ++j) {
        if (t < out_plane) {
          const unsigned at = walk.offset(p.x) * in_channels + input;
          sum[j] += load(d + t * out_channels) * (walk.inside(p, entry.shift) ? load(x + at) : entry.outside);
        }
        t += blockDim.x / kWarp;
        walk.advance(p);
      }
    }
    shared.sums.part[buffer][threadIdx.x / kWarp][threadIdx.x % kWarp] = (sum[0] + sum[1]) + (sum[2] + sum[3]);
    const Acc total = shared.sums.sum(buffer, threadIdx.x);
    buffer ^= 1;
    return total;
  }
};

}  // namespace knas::cuda
