#include "cuda/statistics.cuh"

#include "cuda/launch_sampled.cuh"

namespace knas::cuda {

std::int64_t gram_scratch(std::int64_t n, std::int64_t s) { return moments_size(n, s); }

void launch_statistics(const double* moments, std::int64_t chunks, std::int64_t s, std::int64_t n, double* statistics, cudaStream_t stream) {
  launch(statistics_kernel, 1, kMaxThreads, stream, moments, chunks, s, n, statistics);
}

}  // namespace knas::cuda
