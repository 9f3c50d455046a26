#include "cuda/affine.cuh"

#include "cuda/launch_sampled.cuh"

namespace knas::cuda {
namespace {

template <class T>
AffineTask<T> affine_task(const AffineGeometry& g, const Sampled<T>& a, const accumulate_t<T>* mean, const accumulate_t<T>* rstd) {
  return {a.input, a.grad_output, mean, rstd, a.entries, a.s, g.n, g.channels, g.positions, g.statistics};
}

}  // namespace

template <class T>
void affine_sampled_gradients(const AffineGeometry& g, const Sampled<T>& a, const accumulate_t<T>* mean, const accumulate_t<T>* rstd,
                              accumulate_t<T>* out, cudaStream_t stream) {
  launch_sampled<AffineRun<T>>(affine_task(g, a, mean, rstd), kMaxThreads, out, stream);
}

template <class T>
void affine_gram(const AffineGeometry& g, const Sampled<T>& a, const accumulate_t<T>* mean, const accumulate_t<T>* rstd, double* scratch,
                 double* statistics, cudaStream_t stream) {
  launch_gram<AffineRun<T>>(affine_task(g, a, mean, rstd), kMaxThreads, scratch, statistics, stream);
}

#define KNAS_INSTANTIATE(T)                                                                                                \
  template void affine_sampled_gradients(const AffineGeometry&, const Sampled<T>&, const accumulate_t<T>*,                 \
                                         const accumulate_t<T>*, accumulate_t<T>*, cudaStream_t);                          \
  template void affine_gram(const AffineGeometry&, const Sampled<T>&, const accumulate_t<T>*, const accumulate_t<T>*,      \
                            double*, double*, cudaStream_t);
KNAS_FOR_ELEMENTS(KNAS_INSTANTIATE)
#undef KNAS_INSTANTIATE

}  // namespace knas::cuda
