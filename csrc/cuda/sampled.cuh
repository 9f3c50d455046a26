// The two kernels that every kind of layer shares. A `Run` (conv*.cuh, linear.cuh, affine*.cuh) is kEntries neighbouring entries of
// one layer, owned by one block; run.value(i) is the collective that leaves g[i, first + r] in thread r. On top of it
//   sampled_kernel   stores g [n, s];
//   moments_kernel   never stores g: per entry e and chunk of samples it leaves S = sum_i g_ie, Q = sum_i g_ie^2 and
//                    P = sum_{k < n/2} g_ke g_{k + n/2, e}, for which a block takes samples k and k + n/2 together;
//   statistics_kernel (statistics.cuh) adds the chunks of each entry, then the entries:
//                    mean = sum_e S_e^2 / n^2, trace = sum_e Q_e, split = sum_e P_e (Eq. 15 and 16 of arXiv 2111.13293).
// kBlocksPerSm is the register budget (65,536 per SM over blocks of 256 threads; 0: as the compiler likes): each kind of layer has the one
// with the fewest registers that compiles without spills for sm_75, 80, 90 and 120.
// No atomics: every sum has one order, fixed by the shapes and the block size.
//
// Layout: block = chunk * runs + run, so blocks that run together read the same samples' planes (L2, or L1 on the same SM).
// A chunk has one sample (or pair) while that gives at most kTargetBlocks blocks, and grows beyond, so moments take at most
// kTargetBlocks * kEntries * 24 bytes + 24 s, whatever n is. One entry's 3 numbers are a thread's registers until its last sample.
// Dropped: the last block of the grid doing statistics_kernel's work behind an atomic counter: it saves one launch of ~2 us per
// layer, and costs a fence, a counter to reset and an order that the emulation cannot prove; a grouped launch over all
// layers saves more (grouped.cuh). The arguments of a layer are one `Task` value for that reason: the grouped kernel reads an array of them.
#pragma once
#include <cstdint>

#include "cuda/block.cuh"

namespace knas::cuda {

constexpr std::int64_t kTargetBlocks = 2048;  // 132 SMs x 8 blocks of 128 threads x 2

// Work of a grid: `runs` runs of entries times `chunks` chunks of `length` units; a unit is a sample, or a pair of samples.
struct Split {
  unsigned runs, chunks;
  std::int64_t length;
  unsigned blocks() const { return runs * chunks; }
};

inline Split split_work(std::int64_t s, int entries_per_run, std::int64_t units) {
  const std::int64_t runs = (s + entries_per_run - 1) / entries_per_run;
  const std::int64_t room = kTargetBlocks > runs ? kTargetBlocks / runs : 1;
  const std::int64_t length = (units + room - 1) / room;
  return {unsigned(runs), unsigned((units + length - 1) / length), length};
}

// Units of moments_kernel: the n/2 pairs, and the last sample alone when n is odd.
inline std::int64_t pair_units(std::int64_t n) { return n - n / 2; }

// Doubles that moments_kernel writes, whatever kind of layer: the longest runs make the most chunks.
inline std::int64_t moments_size(std::int64_t n, std::int64_t s) { return split_work(s, kWarp, pair_units(n)).chunks * s * 3; }

// Threads per block for `work` items shared out among `lanes_per_item`-thread teams, about 4 items each: 1 to 8 warps.
inline unsigned block_threads(std::int64_t work, int lanes_per_item) {
  const std::int64_t warps = (work * lanes_per_item + 4 * kWarp - 1) / (4 * kWarp);
  return unsigned(kWarp * (warps < 1 ? 1 : warps < kMaxWarps ? warps : kMaxWarps));
}

template <class Run>
__global__ void __launch_bounds__(kMaxThreads, Run::kBlocksPerSm)
sampled_kernel(const typename Run::Task task, const Split split, typename Run::Acc* __restrict__ g /* [n, s] */) {
  using Shared = typename Run::Shared;
  KNAS_SHARED(Shared, shared);
  const std::int64_t first = std::int64_t(blockIdx.x % split.runs) * Run::kEntries, entry = first + threadIdx.x;
  const std::int64_t begin = blockIdx.x / split.runs * split.length;
  const std::int64_t end = begin + split.length < task.n ? begin + split.length : task.n;
  const bool mine = threadIdx.x < Run::kEntries && entry < task.s;
  Run run(task, first, shared);
  for (std::int64_t i = begin; i < end; ++i) {
    const auto value = run.value(i);
    if (mine) g[i * task.s + entry] = value;
  }
}

// One block's part of a layer's moments [chunks, s, 3].
template <class Run>
__device__ inline void block_moments(const typename Run::Task& task, const Split& split, unsigned block, double* __restrict__ moments) {
  using Shared = typename Run::Shared;
  KNAS_SHARED(Shared, shared);
  const unsigned chunk = block / split.runs;
  const std::int64_t first = std::int64_t(block % split.runs) * Run::kEntries, entry = first + threadIdx.x;
  const std::int64_t half = task.n / 2, units = task.n - half, begin = chunk * split.length;
  const std::int64_t end = begin + split.length < units ? begin + split.length : units;
  Run run(task, first, shared);
  double sum = 0, squares = 0, products = 0;
  for (std::int64_t k = begin; k < end; ++k) {
    const bool paired = k < half;
    double first = 0;
    KNAS_NO_UNROLL  // one copy of run.value() in the code: two would cost registers and instruction cache
    for (int j = 0; j < (paired ? 2 : 1); ++j) {
      const double value = run.value(paired ? k + j * half : 2 * half);
      sum += value, squares += value * value;
      if (j == 0) first = value;
      else products += first * value;
    }
  }
  if (threadIdx.x < Run::kEntries && entry < task.s) {
    double* out = moments + (chunk * task.s + entry) * 3;
    out[0] = sum, out[1] = squares, out[2] = products;
  }
}

template <class Run>
__global__ void __launch_bounds__(kMaxThreads, Run::kBlocksPerSm)
moments_kernel(const typename Run::Task task, const Split split, double* __restrict__ moments /* [chunks, s, 3] */) {
  block_moments<Run>(task, split, blockIdx.x, moments);
}

}  // namespace knas::cuda
