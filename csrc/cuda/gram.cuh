// G = V V^T in float64 for per-sample vectors V [n, p], and what is read off G:
//   mean, mean_off_diagonal, trace, split (sampled.cuh) and frobenius = ||G||_F.
//
// Layout. gram_partial_kernel: a block owns one tile of 64 x 64 (32 x 32 for n <= 32) entries of G on or above the diagonal and one chunk of
// the p columns; (tile / 4)^2 threads, each 4 x 4 sums, 16 columns at a time through shared memory, the next 16 already on their way to
// registers. Sums are float for at most 512 columns and double beyond. gram_combine_kernel adds the chunks of each entry in their order and
// mirrors, so G is symmetric to the bit. Chunks depend on n and p only.
//   Shared tiles are [16 columns][tile rows, padded by 4]: a warp loads 4 rows x 8 columns (whole 32-byte sectors) and stores them to 32
//   different banks (4 column + row mod 32); 4 x 4 sums take 2 loads of 16 bytes per column (double: 32).
//
// Count, n = 64, p = 1,000,000, float32: 256 MB, 76 us at 3.35 TB/s; 64 x 64 x p x 2 = 8.2 GFLOP (the diagonal tile is computed whole),
// 122 us at 67 TFLOP/s, and shared memory about as much: bound by arithmetic, ~2 x the bandwidth floor. Blocks: 261 chunks of one tile.
// Partial sums: chunks x n^2 doubles, 8.6 MB here; read once.
// Dropped: cuBLAS (syrk has no float64 accumulation of float32, its order of summation is not ours, one more library to link); tensor
// cores in tf32 (3e-4: the off-diagonal mean is a small difference of large numbers). For n >> 64 a library product will win.
// 16-byte loads of V were dropped: stored to shared memory they meet in half of the banks (4 columns x pitch is 16 mod 32, and 4 rows read at
// once keep it so), to save 3 to 6 of some 330 instructions per thread and 16 columns. Next: 8 x 4 sums, cp.async.
#pragma once
#include <cstdint>

#include "cuda/block.cuh"

namespace knas::cuda {

constexpr int kGramColumns = 16, kGramFlush = 512, kGramMicro = 4;
constexpr std::int64_t kGramBlocks = 264;  // two per SM of an H100

inline std::int64_t column_blocks(std::int64_t p) {
  const std::int64_t blocks = (p + kMaxThreads - 1) / kMaxThreads;
  return blocks < 4 * kGramBlocks ? blocks : 4 * kGramBlocks;
}

struct GramPlan {
  int tile;
  std::int64_t tiles, chunks, length;  // tiles on or above the diagonal; chunks of `length` columns
  unsigned threads() const { return unsigned(tile / kGramMicro * (tile / kGramMicro)); }
};

inline GramPlan gram_plan(std::int64_t n, std::int64_t p) {
  const int tile = n <= 32 ? 32 : 64;
  const std::int64_t side = (n + tile - 1) / tile, tiles = side * (side + 1) / 2;
  const std::int64_t room = kGramBlocks > tiles ? kGramBlocks / tiles : 1;
  const std::int64_t quantum = kGramFlush / 2, length = ((p + room - 1) / room + quantum - 1) / quantum * quantum;
  return {tile, tiles, (p + length - 1) / length, length};
}

template <class T, int kTile> struct GramShared {
  static constexpr int kPitch = kTile + 4;
  alignas(32) accumulate_t<T> rows[2][kGramColumns][kPitch];
};

// A thread's share of the 16 columns of one tile: fetched to registers while the columns before are multiplied, then stored to shared memory.
template <class T, int kTile> struct GramLoader {
  static constexpr int kRowStep = kTile / kGramMicro * (kTile / kGramMicro) / 8, kRows = kTile / kRowStep, kHalves = kGramColumns / 8;

  const T* base;        // this thread's first row and column
  std::int64_t stride;  // to its next row
  int rows;             // how many rows of V there are from its first one on, at most kTile
  accumulate_t<T> held[kRows][kHalves];

  __device__ GramLoader(const T* v, std::int64_t n, std::int64_t p, std::int64_t first) : stride(kRowStep * p) {
    const std::int64_t row = first + threadIdx.x / 8, left = n - row;
    base = v + row * p + threadIdx.x % 8;
    rows = left < kTile ? int(left) : kTile;
  }

  // Columns column .. column + 16; 0 beyond the last row and `end`.
  __device__ void fetch(std::int64_t column, std::int64_t end) {
    const int columns = int(end - column < kGramColumns ? end - column : kGramColumns) - int(threadIdx.x % 8);
    KNAS_UNROLL
    for (int r = 0; r < kRows; ++r) {
      KNAS_UNROLL
      for (int h = 0; h < kHalves; ++h) {
        held[r][h] = r * kRowStep < rows && 8 * h < columns ? load(base + r * stride + column + 8 * h) : accumulate_t<T>(0);
      }
    }
  }

  __device__ void store(accumulate_t<T> (&tile)[kGramColumns][GramShared<T, kTile>::kPitch]) const {
    KNAS_UNROLL
    for (int r = 0; r < kRows; ++r) {
      KNAS_UNROLL
      for (int h = 0; h < kHalves; ++h) tile[8 * h + threadIdx.x % 8][r * kRowStep + threadIdx.x / 8] = held[r][h];
    }
  }
};

// grid (tiles, chunks), (kTile / 4)^2 threads. partial [chunks, n, n]: tiles on and above the diagonal.
template <class T, int kTile>
__global__ void __launch_bounds__(kTile / kGramMicro * (kTile / kGramMicro), kTile == 64 ? 2 : 5)
gram_partial_kernel(const T* __restrict__ v, const std::int64_t n, const std::int64_t p, const std::int64_t length,
                    double* __restrict__ partial) {
  using Acc = accumulate_t<T>;
  using Shared = GramShared<T, kTile>;
  constexpr int kSide = kTile / kGramMicro;
  constexpr bool kIsDouble = sizeof(Acc) == sizeof(double);  // its sums need no other ones behind them
  KNAS_SHARED(Shared, shared);
  std::int64_t row_tile = 0, column_tile = blockIdx.x;  // tile b of the upper triangle, row by row
  for (std::int64_t width = (n + kTile - 1) / kTile; column_tile >= width - row_tile;) column_tile -= width - row_tile++;
  column_tile += row_tile;
  const bool diagonal = row_tile == column_tile;
  const std::int64_t begin = std::int64_t(blockIdx.y) * length, end = begin + length < p ? begin + length : p;
  const int y = int(threadIdx.x) / kSide * kGramMicro, x = int(threadIdx.x) % kSide * kGramMicro;
  const auto& right = shared.rows[diagonal ? 0 : 1];
  double total[kGramMicro][kGramMicro] = {};
  Acc sum[kGramMicro][kGramMicro] = {};
  GramLoader<T, kTile> left_loader(v, n, p, row_tile * kTile), right_loader(v, n, p, column_tile * kTile);
  left_loader.fetch(begin, end);
  if (!diagonal) right_loader.fetch(begin, end);
  for (std::int64_t column = begin, next = begin + kGramColumns; column < end; column = next, next += kGramColumns) {
    left_loader.store(shared.rows[0]);
    if (!diagonal) right_loader.store(shared.rows[1]);
    __syncthreads();
    if (next < end) left_loader.fetch(next, end);
    if (next < end && !diagonal) right_loader.fetch(next, end);
    KNAS_UNROLL
    for (int k = 0; k < kGramColumns; ++k) {
      const auto a = *reinterpret_cast<const Four<Acc>*>(&shared.rows[0][k][y]);
      const auto b = *reinterpret_cast<const Four<Acc>*>(&right[k][x]);
      KNAS_UNROLL
      for (int i = 0; i < kGramMicro; ++i) {
        KNAS_UNROLL
        for (int j = 0; j < kGramMicro; ++j) sum[i][j] += a.value[i] * b.value[j];
      }
    }
    __syncthreads();
    if constexpr (!kIsDouble) {
      if (next < end && (next - begin) % kGramFlush != 0) continue;
      KNAS_UNROLL
      for (int i = 0; i < kGramMicro; ++i) {
        KNAS_UNROLL
        for (int j = 0; j < kGramMicro; ++j) total[i][j] += double(sum[i][j]), sum[i][j] = 0;
      }
    }
  }
  double* out = partial + std::int64_t(blockIdx.y) * n * n;
  KNAS_UNROLL
  for (int i = 0; i < kGramMicro; ++i) {
    KNAS_UNROLL
    for (int j = 0; j < kGramMicro; ++j) {
      const std::int64_t row = row_tile * kTile + y + i, column = column_tile * kTile + x + j;
      if (row < n && column < n) out[row * n + column] = kIsDouble ? double(sum[i][j]) : total[i][j];
    }
  }
}

// One thread per entry of gram [n, n].
__global__ void __launch_bounds__(kMaxThreads)
gram_combine_kernel(const double* __restrict__ partial, const std::int64_t n, const std::int64_t chunks, double* __restrict__ gram) {
  const std::int64_t index = std::int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
  if (index >= n * n) return;
  const std::int64_t row = index / n, column = index % n, upper = row < column ? index : column * n + row;
  double sum = 0;
  for (std::int64_t c = 0; c < chunks; ++c) sum += partial[c * n * n + upper];
  gram[index] = sum;
}

// squares [blocks]: each block's sum of S_e^2 over its columns e, S_e = sum_i v_ie in double. The mean of G is their total / n^2; adding up
// the n^2 entries of G instead would lose it to cancellation where the vectors nearly cancel. Reads v once more, coalesced.
template <class T>
__global__ void __launch_bounds__(kMaxThreads)
column_squares_kernel(const T* __restrict__ v, const std::int64_t n, const std::int64_t p, double* __restrict__ squares) {
  using Sums = WarpSums<double, 1>;
  KNAS_SHARED(Sums, shared);
  double total = 0;
  for (std::int64_t e = std::int64_t(blockIdx.x) * blockDim.x + threadIdx.x; e < p; e += std::int64_t(gridDim.x) * blockDim.x) {
    double sum = 0;
    for (std::int64_t i = 0; i < n; ++i) sum += load(v + i * p + e);
    total += sum * sum;
  }
  double sums[1];
  shared.block_sum({total}, sums);
  if (threadIdx.x == 0) squares[blockIdx.x] = sums[0];
}

// One block. statistics [5]: mean, mean_off_diagonal, trace, split, frobenius.
__global__ void __launch_bounds__(kMaxThreads)
gram_statistics_kernel(const double* __restrict__ gram, const std::int64_t n, const double* __restrict__ column_squares,
                       const int blocks, double* __restrict__ statistics) {
  using Sums = WarpSums<double, 4>;
  KNAS_SHARED(Sums, shared);
  double total[4] = {0, 0, 0, 0};  // column squares, trace, split, squares of G
  for (int b = int(threadIdx.x); b < blocks; b += int(blockDim.x)) total[0] += column_squares[b];
  for (std::int64_t index = threadIdx.x; index < n * n; index += blockDim.x) {
    const std::int64_t row = index / n, column = index % n;
    const double g = gram[index];
    if (row == column) total[1] += g;
    if (row < n / 2 && column == row + n / 2) total[2] += g;
    total[3] += g * g;
  }
  double sums[4];
  shared.block_sum(total, sums);
  if (threadIdx.x == 0) {
    write_statistics(sums[0], sums[1], sums[2], n, statistics);
    statistics[4] = sqrt(sums[3]);
  }
}

}  // namespace knas::cuda
