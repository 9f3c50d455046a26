#include "cuda/statistics.cuh"

#include "cuda/launch_sampled.cuh"

namespace knas::cuda {

std::int64_t gram_scratch(std::int64_t n, std::int64_t s) { return moments_size(n, s); }

void launch_statistics(const double* moments, std::int64_t chunks, std::int64_t s, std::int64_t n, double* statistics, cudaStream_t stream) {
  launch(statistics_kernel, 1, kMaxThreads, stream, moments, chunks, s, n, statistics);
}

void launch_grouped_statistics(const StatisticsTask* layers, unsigned count, const double* moments, double* statistics, cudaStream_t stream) {
  launch(grouped_statistics_kernel, count, kMaxThreads, stream, layers, moments, statistics);
}

}  // namespace knas::cuda
