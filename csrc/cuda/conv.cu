#include "cuda/conv.cuh"

#include <type_traits>

#include "cuda/launch_sampled.cuh"

namespace knas::cuda {

namespace {

// Calls f(ConvRun<...>*) with the cheapest variant that holds this layer.
template <class T, class F> void with_run(const ConvGeometry& g, F&& f) {
  if (!conv_fits_32_bits(g)) f(static_cast<ConvRun<T, 3, std::uint64_t>*>(nullptr));
  else if (conv_has_2_axes(g)) f(static_cast<ConvRun<T, 2, std::uint32_t>*>(nullptr));
  else f(static_cast<ConvRun<T, 3, std::uint32_t>*>(nullptr));
}

}  // namespace

template <class T>
void conv_sampled_gradients(const ConvGeometry& g, const Sampled<T>& a, accumulate_t<T>* out, cudaStream_t stream) {
  const auto task = conv_task(g, a.input, a.grad_output, a.entries, a.s);
  with_run<T>(g, [&](auto* run) {
    launch_sampled<std::remove_pointer_t<decltype(run)>>(task, block_threads(g.out_plane(), 1), out, stream);
  });
}

template <class T>
void conv_gram(const ConvGeometry& g, const Sampled<T>& a, double* scratch, double* statistics, cudaStream_t stream) {
  const auto task = conv_task(g, a.input, a.grad_output, a.entries, a.s);
  with_run<T>(g, [&](auto* run) {
    launch_gram<std::remove_pointer_t<decltype(run)>>(task, block_threads(g.out_plane(), 1), scratch, statistics, stream);
  });
}

#define KNAS_INSTANTIATE(T)                                                                                         \
  template void conv_sampled_gradients(const ConvGeometry&, const Sampled<T>&, accumulate_t<T>*, cudaStream_t);     \
  template void conv_gram(const ConvGeometry&, const Sampled<T>&, double*, double*, cudaStream_t);
KNAS_FOR_ELEMENTS(KNAS_INSTANTIATE)
#undef KNAS_INSTANTIATE

}  // namespace knas::cuda
