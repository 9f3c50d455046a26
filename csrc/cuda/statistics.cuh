// Only for statistics.cu: kernels that are no templates may be in one object file.
// The last step of the fused operators: from the moments of moments_kernel (sampled.cuh) to the four numbers, in one block.
// Each thread adds the chunks of an entry in their order and strides over the entries. Reads 24 bytes per chunk and entry: 0.1 to 0.4 MB,
// a few microseconds on one SM; for s beyond 100,000 entries (where the full Gram matrix is the better way anyway) it would need a tree.
#pragma once
#include <cstdint>

#include "cuda/grouped.cuh"

namespace knas::cuda {

__device__ inline void block_statistics(const double* __restrict__ moments, std::int64_t chunks, std::int64_t s, std::int64_t n,
                                        double* __restrict__ statistics) {
  using Sums = WarpSums<double, 3>;
  KNAS_SHARED(Sums, shared);
  double total[3] = {0, 0, 0};  // sum_e S_e^2, trace, split
  for (std::int64_t e = threadIdx.x; e < s; e += blockDim.x) {
    double sum = 0;
    for (std::int64_t c = 0; c < chunks; ++c) {
      const double* m = moments + (c * s + e) * 3;
      sum += m[0], total[1] += m[1], total[2] += m[2];
    }
    total[0] += sum * sum;
  }
  double sums[3];
  shared.block_sum(total, sums);
  if (threadIdx.x == 0) write_statistics(sums[0], sums[1], sums[2], n, statistics);
}

__global__ void __launch_bounds__(kMaxThreads)
statistics_kernel(const double* __restrict__ moments /* [chunks, s, 3] */, const std::int64_t chunks, const std::int64_t s,
                  const std::int64_t n, double* __restrict__ statistics /* [4] */) {
  block_statistics(moments, chunks, s, n, statistics);
}

// One block per layer.
__global__ void __launch_bounds__(kMaxThreads)
grouped_statistics_kernel(const StatisticsTask* __restrict__ tasks, const double* __restrict__ moments,
                          double* __restrict__ statistics /* [layers, 4] */) {
  const StatisticsTask task = tasks[blockIdx.x];
  block_statistics(moments + task.first_moment, task.chunks, task.s, task.n, statistics + 4 * task.row);
}

}  // namespace knas::cuda
