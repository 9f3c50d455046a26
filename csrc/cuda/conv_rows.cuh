// Sampled per-sample gradients of a convolution whose taps along x reach one position to either side at most, at stride 1 (every "same"
// convolution with 1 or 3 taps a row): a window over each input row, in registers.
//
// Layout. A block owns a run of 8 neighbouring entries, as in conv.cuh. They are taps of a few *input rows* (output o, input c, row u_y):
// 8 of 9 taps of one plane are 3 or 4 rows. Lanes own 4 neighbouring positions each, warps whole rows of them: width / 4 lanes per row,
// so that the neighbours to the left and right are in the next lanes or outside of the input. A pass takes up to 4 rows with one output
// channel: 1 load of 16 bytes of d and 4 of x, all in flight together, 2 shuffles per row for the neighbours, and 3 sums per row whether
// or not each tap was sampled; an entry picks its sum at the end. A row's kernel of one tap needs neither shuffles nor the outer sums.
// The scalar kernel differs from this one by rounding only: its sums run in another order. Types of 16 bits are read 8 bytes at a time (a warp's
// load is still two whole lines), so that a plane of 8 x 8 keeps 16 lanes at work; double takes two loads.
//
// Count per 128 positions (a warp's step) and run of 8 taps in 4 rows. L1 gives 128 bytes per cycle and SM: a 16-byte load by a warp takes 4
// of its cycles, a shuffle 1. An SM issues 4 instructions per cycle; those of the loops are counted in the disassembly for sm_90 (CUDA 13.0):
//   conv.cuh   (8 + 1) loads x 4 steps = 36 cycles of L1;  176 instructions x 4 steps = 704, 176 cycles of issue
//   here       5 loads x 4 + 8 shuffles = 28 cycles of L1; 160 instructions, 40 cycles of issue
// so both are bound by issue, and this one by a quarter of it. Bytes from memory are the same. Without the shuffles, neighbours as loads of
// 4 bytes at a stride of 16 would take 4 cycles of L1 each, 52 in all.
// n = 64, [16, 32, 32], 50 entries: 64 samples x 8 steps x 7 runs x 40 cycles / 132 SMs = 1,090 cycles, 0.6 us at 1.755 GHz (conv.cuh: 2.7 us).
// By itself a launch is bound by latency all the same, so this counts where launches are grouped (grouped.cuh).
// Dropped: planes staged in shared memory (a barrier and a copy per plane, to save what runs share through L1 anyway: L1 is not the limit);
// one window per entry (8 loads, 44 cycles of L1, and selections in place of the sums that nobody asked for).
#pragma once
#include <cstdint>

#include "cuda/conv_task.cuh"

namespace knas::cuda {

// Whether ConvRowsRun can take this layer, and half of a warp's lanes have work.
template <class T> bool conv_has_rows(const ConvGeometry& g, const Sampled<T>& a) {
  const std::int64_t width = g.in[2], last_shift = (g.kernel[2] - 1) * g.dilation[2] - g.padding[2];
  return conv_fits_32_bits(g) && conv_has_2_axes(g) && g.stride[2] == 1 && g.padding[2] <= 1 && last_shift <= 1 && g.out[2] == width &&
         width % 4 == 0 && width <= 4 * kWarp && g.out[1] * width >= 2 * kWarp && aligned_to_four(a.input) && aligned_to_four(a.grad_output);
}

// Two steps per warp, 1 to 8 warps.
inline unsigned conv_rows_threads(const ConvGeometry& g) {
  const std::int64_t rows = kWarp / (g.out[2] / 4);
  return block_threads(2 * ((g.out[1] + rows - 1) / rows), kWarp);
}

template <class T> struct ConvRowsRun {
  using Task = ConvTask<T>;
  using Acc = accumulate_t<T>;
  static constexpr int kEntries = 8, kBlocksPerSm = sizeof(Acc) == 8 ? 1 : 3;
  static constexpr int kSlots = 4, kTaps = 3;

  struct Row {
    unsigned input, delta, shift;  // where the rows' input plane, moved by the shift, and gradient plane start; row of x = y * stride + shift
    Acc outside;                   // as in ConvEntry
    __device__ bool operator==(const Row& o) const {  // never of rows that do not exist: theirs is NaN
      return input == o.input && delta == o.delta && shift == o.shift && outside == o.outside;
    }
  };
  struct Shared {
    Row entry[kEntries], row[kEntries + kSlots];  // row: the distinct ones in order, then some that are only read
    unsigned rows;
    WarpSums<Acc, kEntries * kTaps> sums;
  };

  const Task& task;
  Shared& shared;
  unsigned height, width, in_height, stride, column, line, lines, step;  // lane: positions (base + line, column .. column + 3)
  bool first_column, last_column, wide;
  unsigned mine = kEntries * kTaps;  // whose sum this thread hands out
  int buffer = 0;

  __device__ ConvRowsRun(const Task& task, std::int64_t first, Shared& shared)
      : task(task), shared(shared), height(unsigned(task.out[1])), width(unsigned(task.out[2])), in_height(unsigned(task.in[1])),
        stride(unsigned(task.stride[1])), wide(task.kernel[2] > 1) {
    const unsigned lane = threadIdx.x % kWarp, quads = width / 4;
    column = lane % quads * 4, line = lane / quads, lines = kWarp / quads, step = blockDim.x / kWarp * lines;
    first_column = column == 0, last_column = column + 4 == width;
    if (threadIdx.x < kEntries) mine = 1 + decode(first + threadIdx.x);
    __syncthreads();
    if (threadIdx.x < kEntries) mine += kTaps * place();
    __syncthreads();
  }

  // Leaves the entry's row in shared.entry; its shift along x, -1, 0 or 1.
  __device__ unsigned decode(std::int64_t index) {
    const auto e = conv_entry<2, unsigned>(task, index);
    const bool weight = e.outside == 0;
    const unsigned up = weight ? e.shift[1] : in_height;
    shared.entry[threadIdx.x] = {weight ? e.in_channel * unsigned(task.in_plane) + up * width : 0, e.out_channel * unsigned(task.out_plane), up,
                                 e.outside};
    return weight ? e.shift[2] : 0;
  }

  // Writes shared.row; the number of this thread's own. Each thread walks over the entries up to its own.
  __device__ unsigned place() {
    unsigned row = 0;
    for (unsigned r = 1; r <= threadIdx.x; ++r) row += !(shared.entry[r] == shared.entry[r - 1]);
    if (threadIdx.x == 0 || !(shared.entry[threadIdx.x] == shared.entry[threadIdx.x - 1])) shared.row[row] = shared.entry[threadIdx.x];
    if (threadIdx.x < kSlots) shared.row[kEntries + threadIdx.x] = {0, 0, in_height, 0};
    if (threadIdx.x == kEntries - 1) shared.rows = row + 1;
    return row;
  }

  // The sums of up to 4 rows with one output channel, from row `begin` on, over the positions of this lane.
  template <bool kWide> __device__ void accumulate(const T* x, const T* d, unsigned begin, unsigned count, Acc (&sum)[kSlots][kTaps]) const {
    Row row[kSlots];
    KNAS_UNROLL
    for (int s = 0; s < kSlots; ++s) {
      row[s] = shared.row[begin + s];
      if (unsigned(s) >= count) row[s].shift = in_height, row[s].outside = 0;
    }
    KNAS_NO_UNROLL
    for (unsigned base = threadIdx.x / kWarp * lines; base < height; base += step) {
      const unsigned y = base + line, top = y * stride, at = top * width + column;
      const bool active = line < lines && y < height;
      const Four<Acc> g = active ? load_four(d + (row[0].delta + y * width + column)) : Four<Acc>{{0, 0, 0, 0}};
      Four<Acc> v[kSlots];
      KNAS_UNROLL
      for (int s = 0; s < kSlots; ++s) {
        const Acc outside = row[s].outside;
        v[s] = active && top + row[s].shift < in_height ? load_four(x + (row[s].input + at)) : Four<Acc>{{outside, outside, outside, outside}};
      }
      KNAS_UNROLL
      for (int s = 0; s < kSlots; ++s) {
        const Acc(&w)[4] = v[s].value;
        add_products(g, v[s], sum[s][1]);
        if constexpr (kWide) {
          const Acc before = __shfl_up_sync(0xffffffffu, w[3], 1), after = __shfl_down_sync(0xffffffffu, w[0], 1);
          add_products(g, {{first_column ? Acc(0) : before, w[0], w[1], w[2]}}, sum[s][0]);
          add_products(g, {{w[1], w[2], w[3], last_column ? Acc(0) : after}}, sum[s][2]);
        }
      }
    }
  }

  static __device__ void add_products(const Four<Acc>& g, const Four<Acc>& x, Acc& sum) {
    KNAS_UNROLL
    for (int j = 0; j < 4; ++j) sum += g.value[j] * x.value[j];
  }

  // Adds a pass's sums over the warp and leaves them in shared.sums.
  template <bool kWide> __device__ void pass(const T* x, const T* d, unsigned begin, unsigned count) {
    Acc sum[kSlots][kTaps] = {};
    accumulate<kWide>(x, d, begin, count, sum);
    const unsigned lane = threadIdx.x % kWarp;
    auto& part = shared.sums.part[buffer][threadIdx.x / kWarp];
    KNAS_UNROLL
    for (int tap = kWide ? 0 : 1; tap < (kWide ? kTaps : 2); ++tap) {
      Acc slots[kSlots] = {sum[0][tap], sum[1][tap], sum[2][tap], sum[3][tap]};
      const Acc total = warp_sums(slots);
      const unsigned slot = lane / (kWarp / kSlots);
      if (lane % (kWarp / kSlots) == 0 && slot < count) part[(begin + slot) * kTaps + tap] = total;
    }
  }

  __device__ Acc value(std::int64_t i) {
    const T *x = task.input + i * task.in_sample, *d = task.grad_output + i * task.out_sample;
    const unsigned rows = shared.rows;
    for (unsigned begin = 0, count; begin < rows; begin += count) {
      for (count = 1; count < kSlots && begin + count < rows && shared.row[begin + count].delta == shared.row[begin].delta;) ++count;
      if (wide) pass<true>(x, d, begin, count);
      else pass<false>(x, d, begin, count);
    }
    const Acc total = shared.sums.sum(buffer, mine);
    buffer ^= 1;
    return total;
  }
};

}  // namespace knas::cuda
