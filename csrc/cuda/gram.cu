#include "cuda/gram.cuh"

#include "core/element.h"
#include "cuda/launch.h"

namespace knas::cuda {

std::int64_t gram_matrix_scratch(std::int64_t n, std::int64_t p) { return gram_plan(n, p).chunks * n * n; }

std::int64_t gram_statistics_scratch(std::int64_t p) { return column_blocks(p); }

template <class T>
void gram_matrix(const T* vectors, std::int64_t n, std::int64_t p, double* scratch, double* gram, cudaStream_t stream) {
  const GramPlan plan = gram_plan(n, p);
  const dim3 grid(unsigned(plan.tiles), unsigned(plan.chunks));
  launch(plan.tile == 32 ? gram_partial_kernel<T, 32> : gram_partial_kernel<T, 64>, grid, plan.threads(), stream, vectors, n, p, plan.length,
         scratch);
  const unsigned blocks = unsigned((n * n + kMaxThreads - 1) / kMaxThreads);
  launch(gram_combine_kernel, blocks, kMaxThreads, stream, scratch, n, plan.chunks, gram);
}

template <class T>
void gram_statistics(const T* vectors, const double* gram, std::int64_t n, std::int64_t p, double* scratch, double* statistics,
                     cudaStream_t stream) {
  const int blocks = int(column_blocks(p));
  launch(column_squares_kernel<T>, unsigned(blocks), kMaxThreads, stream, vectors, n, p, scratch);
  launch(gram_statistics_kernel, 1, kMaxThreads, stream, gram, n, scratch, blocks, statistics);
}

#define KNAS_INSTANTIATE(T)                                                                                  \
  template void gram_matrix(const T*, std::int64_t, std::int64_t, double*, double*, cudaStream_t);           \
  template void gram_statistics(const T*, const double*, std::int64_t, std::int64_t, double*, double*, cudaStream_t);
KNAS_FOR_ELEMENTS(KNAS_INSTANTIATE)
#undef KNAS_INSTANTIATE

}  // namespace knas::cuda
