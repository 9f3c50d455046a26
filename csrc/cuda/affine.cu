#include "cuda/affine.cuh"

#include <type_traits>

#include "cuda/affine_last.cuh"
#include "cuda/launch_sampled.cuh"

namespace knas::cuda {
namespace {

template <class T>
AffineTask<T> affine_task(const AffineGeometry& g, const Sampled<T>& a, const accumulate_t<T>* mean, const accumulate_t<T>* rstd) {
  const bool aligned = g.positions % 4 == 0 && aligned_to_four(a.input) && aligned_to_four(a.grad_output);
  return {a.input, a.grad_output, mean, rstd, a.entries, a.s, g.n, g.channels, g.positions, g.statistics, aligned};
}

// Calls f(Run*, threads) with the variant for this layer.
template <class T, class F> void with_run(const AffineGeometry& g, const Sampled<T>& a, F&& f) {
  if (a.interleaved) f(static_cast<AffineLastRun<T>*>(nullptr), block_threads(g.positions, kWarp));
  else f(static_cast<AffineRun<T>*>(nullptr), unsigned(kMaxThreads));
}

}  // namespace

template <class T>
void affine_sampled_gradients(const AffineGeometry& g, const Sampled<T>& a, const accumulate_t<T>* mean, const accumulate_t<T>* rstd,
                              accumulate_t<T>* out, cudaStream_t stream) {
  with_run<T>(g, a, [&](auto* run, unsigned threads) {
    launch_sampled<std::remove_pointer_t<decltype(run)>>(affine_task(g, a, mean, rstd), threads, out, stream);
  });
}

template <class T>
void affine_gram(const AffineGeometry& g, const Sampled<T>& a, const accumulate_t<T>* mean, const accumulate_t<T>* rstd, double* scratch,
                 double* statistics, cudaStream_t stream) {
  with_run<T>(g, a, [&](auto* run, unsigned threads) {
    launch_gram<std::remove_pointer_t<decltype(run)>>(affine_task(g, a, mean, rstd), threads, scratch, statistics, stream);
  });
}

template <class T>
void GroupedPlan::add(const AffineGeometry& g, const Sampled<T>& a, const accumulate_t<T>* mean, const accumulate_t<T>* rstd,
                      std::int64_t row) {
  with_run<T>(g, a, [&](auto* run, unsigned threads) {
    push<std::remove_pointer_t<decltype(run)>>(affine_task(g, a, mean, rstd), threads, row);
  });
}

#define KNAS_INSTANTIATE(T)                                                                                                \
  template void affine_sampled_gradients(const AffineGeometry&, const Sampled<T>&, const accumulate_t<T>*,                 \
                                         const accumulate_t<T>*, accumulate_t<T>*, cudaStream_t);                          \
  template void affine_gram(const AffineGeometry&, const Sampled<T>&, const accumulate_t<T>*, const accumulate_t<T>*,      \
                            double*, double*, cudaStream_t);                                                               \
  template void GroupedPlan::add(const AffineGeometry&, const Sampled<T>&, const accumulate_t<T>*, const accumulate_t<T>*, \
                                 std::int64_t);
KNAS_FOR_ELEMENTS(KNAS_INSTANTIATE)
#undef KNAS_INSTANTIATE

}  // namespace knas::cuda
