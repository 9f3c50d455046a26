#include "cuda/linear.cuh"

#include "cuda/launch_sampled.cuh"

namespace knas::cuda {
namespace {

template <class T> LinearTask<T> linear_task(const LinearGeometry& g, const Sampled<T>& a) {
  return {a.input, a.grad_output, a.entries, a.s, g.n, g.positions, g.in_features, g.out_features};
}

}  // namespace

template <class T>
void linear_sampled_gradients(const LinearGeometry& g, const Sampled<T>& a, accumulate_t<T>* out, cudaStream_t stream) {
  launch_sampled<LinearRun<T>>(linear_task(g, a), block_threads(g.positions, kWarp), out, stream);
}

template <class T>
void linear_gram(const LinearGeometry& g, const Sampled<T>& a, double* scratch, double* statistics, cudaStream_t stream) {
  launch_gram<LinearRun<T>>(linear_task(g, a), block_threads(g.positions, kWarp), scratch, statistics, stream);
}

template <class T> void GroupedPlan::add(const LinearGeometry& g, const Sampled<T>& a, std::int64_t row) {
  push<LinearRun<T>>(linear_task(g, a), block_threads(g.positions, kWarp), row);
}

#define KNAS_INSTANTIATE(T)                                                                                         \
  template void linear_sampled_gradients(const LinearGeometry&, const Sampled<T>&, accumulate_t<T>*, cudaStream_t); \
  template void linear_gram(const LinearGeometry&, const Sampled<T>&, double*, double*, cudaStream_t);               \
  template void GroupedPlan::add(const LinearGeometry&, const Sampled<T>&, std::int64_t);
KNAS_FOR_ELEMENTS(KNAS_INSTANTIATE)
#undef KNAS_INSTANTIATE

}  // namespace knas::cuda
