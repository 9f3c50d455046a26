// Sampled per-sample gradients of a convolution whose tensors have the channels last in memory, x [n, in, in_channels] and
// d [n, out, out_channels], read as they are.
//
// Layout. That of linear.cuh: channels are the fast axis, so lanes are entries (a block owns 32) and warps share the positions, 16 of a row at a
// time, with four sums per thread. The taps and channels of a warp's entries lie in a few lines around one position, which neighbouring positions reuse.
//
// Count, n = 64, [16, 32, 32], 50 entries of 3 output x 2 input channels x 9 taps, float32; a pixel is 64 bytes, 2 sectors:
//   bytes  each sector with a sampled channel once: at most both tensors, 8.4 MB, 2.5 us at 3.35 TB/s (1.3 MB where channels come first)
//   L1     one position, 32 entries: 9 pixels in 3 rows, 3 lines and about 6 words per bank, and 1 to 2 for d: 8 cycles;
//          64 x 1024 x 2 runs x 8 / 132 SMs = 7,900 cycles, 4.5 us at 1.755 GHz
//   issue  28 instructions per warp and position (disassembly for sm_90), 7 cycles: hidden behind L1
//   copies to channels first: read and write both tensors, 16.8 MB, 5 us, 2 more launches, and 8.4 MB that live until the kernel is done
// so reading directly costs no more than the copies alone, and saves their launches and memory.
// Dropped: lanes as positions with a stride of the channels (conv.cuh with strides): 32 lanes read one word each of 32 pixels, 16 to 32 cycles
// of L1 per entry and 32 positions for 1 where channels come first: 4 (16 channels) to 8 times what it takes here.
#pragma once
#include <cstdint>

#include "cuda/conv_task.cuh"

namespace knas::cuda {

constexpr unsigned kConvSegment = 16;  // positions of a row between two divisions

// One warp per segment of a row, 1 to 8 warps.
inline unsigned conv_last_threads(const ConvGeometry& g) {
  return block_threads(4 * g.out[0] * g.out[1] * ((g.out[2] + kConvSegment - 1) / kConvSegment), kWarp);
}

template <class T> struct ConvLastRun {
  using Task = ConvTask<T>;
  using Acc = accumulate_t<T>;
  static constexpr int kEntries = kWarp, kBlocksPerSm = sizeof(Acc) == 8 ? 2 : 3;
  static constexpr int kSums = 4;

  struct Shared { WarpSums<Acc, kEntries> sums; };

  const Task& task;
  Shared& shared;
  unsigned width, segments, pixel, step;  // segments per row; elements of d, and of x, from a position to the next
  ConvEntry<Acc, unsigned> entry;
  int buffer = 0;

  __device__ ConvLastRun(const Task& task, std::int64_t first, Shared& shared)
      : task(task), shared(shared), width(unsigned(task.out[2])), segments((width + kConvSegment - 1) / kConvSegment),
        pixel(unsigned(task.out_channels)), step(unsigned(task.stride[2] * task.in_channels)),
        entry(conv_entry<3, unsigned>(task, first + threadIdx.x % kWarp)) {}

  // Adds segment `segment` of the rows. Index arithmetic is modular, as in conv_task.cuh.
  __device__ void accumulate(const T* x, const T* d, unsigned segment, Acc (&sum)[kSums]) const {
    const unsigned row = segment / segments, begin = segment % segments * kConvSegment, height = unsigned(task.out[1]);
    const unsigned end = begin + kConvSegment < width ? begin + kConvSegment : width;
    const unsigned stride = unsigned(task.stride[2]), in_width = unsigned(task.in[2]), in_height = unsigned(task.in[1]);
    const unsigned z = row / height * unsigned(task.stride[0]) + entry.shift[0], y = row % height * unsigned(task.stride[1]) + entry.shift[1];
    const bool row_inside = z < unsigned(task.in[0]) && y < in_height;
    unsigned column = begin * stride + entry.shift[2], delta = (row * width + begin) * pixel + entry.out_channel;
    unsigned at = ((z * in_height + y) * in_width + column) * unsigned(task.in_channels) + entry.in_channel;
    KNAS_NO_UNROLL
    for (unsigned p = begin; p < end; p += kSums) {
      Acc deltas[kSums], values[kSums];
      KNAS_UNROLL
      for (unsigned j = 0; j < kSums; ++j) {  // loads alone: a product in between would wait for its own before the next can start
        const bool exists = p + j < end;
        deltas[j] = exists ? load(d + (delta + j * pixel)) : Acc(0);
        values[j] = exists && row_inside && column + j * stride < in_width ? load(x + (at + j * step)) : entry.outside;
      }
      column += kSums * stride, delta += kSums * pixel, at += kSums * step;
      KNAS_UNROLL
      for (int j = 0; j < kSums; ++j) sum[j] += deltas[j] * values[j];
    }
  }

  __device__ Acc value(std::int64_t i) {
    const T *x = task.input + i * task.in_sample, *d = task.grad_output + i * task.out_sample;
    const unsigned all = segments * unsigned(task.out[0] * task.out[1]);
    Acc sum[kSums] = {};
    for (unsigned segment = threadIdx.x / kWarp; segment < all; segment += blockDim.x / kWarp) accumulate(x, d, segment, sum);
    shared.sums.part[buffer][threadIdx.x / kWarp][threadIdx.x % kWarp] = (sum[0] + sum[1]) + (sum[2] + sum[3]);
    const Acc total = shared.sums.sum(buffer, threadIdx.x);
    buffer ^= 1;
    return total;
  }
};

}  // namespace knas::cuda
