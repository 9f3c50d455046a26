#include "cuda/statistics.cuh"

#include "cuda/launch_sampled.cuh"

namespace knas::cuda {

// The longest runs make the most chunks: this is enough for every kind of layer.
std::int64_t gram_scratch(std::int64_t n, std::int64_t s) { return split_work(s, kWarp, pair_units(n)).chunks * s * 3; }

void launch_statistics(const double* moments, std::int64_t chunks, std::int64_t s, std::int64_t n, double* statistics, cudaStream_t stream) {
  statistics_kernel<<<1, kMaxThreads, 0, stream>>>(moments, chunks, s, n, statistics);
}

}  // namespace knas::cuda
