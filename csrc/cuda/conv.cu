#include "cuda/conv.cuh"

#include <type_traits>

#include "cuda/conv_last.cuh"
#include "cuda/conv_rows.cuh"
#include "cuda/launch_sampled.cuh"

namespace knas::cuda {

namespace {

// Calls f(Run*, threads) with the cheapest variant that holds this layer.
template <class T, class F> void with_run(const ConvGeometry& g, const Sampled<T>& a, F&& f) {
  if (a.interleaved) f(static_cast<ConvLastRun<T>*>(nullptr), conv_last_threads(g));
  else if (conv_has_rows(g, a)) f(static_cast<ConvRowsRun<T>*>(nullptr), conv_rows_threads(g));
  else if (!conv_fits_32_bits(g)) f(static_cast<ConvRun<T, 3, std::uint64_t>*>(nullptr), block_threads(g.out_plane(), 1));
  else if (conv_has_2_axes(g)) f(static_cast<ConvRun<T, 2, std::uint32_t>*>(nullptr), block_threads(g.out_plane(), 1));
  else f(static_cast<ConvRun<T, 3, std::uint32_t>*>(nullptr), block_threads(g.out_plane(), 1));
}

}  // namespace

bool reads_interleaved(const ConvGeometry& g) { return conv_fits_32_bits(g); }

template <class T>
void conv_sampled_gradients(const ConvGeometry& g, const Sampled<T>& a, accumulate_t<T>* out, cudaStream_t stream) {
  with_run<T>(g, a, [&](auto* run, unsigned threads) {
    launch_sampled<std::remove_pointer_t<decltype(run)>>(conv_task(g, a), threads, out, stream);
  });
}

template <class T>
void conv_gram(const ConvGeometry& g, const Sampled<T>& a, double* scratch, double* statistics, cudaStream_t stream) {
  with_run<T>(g, a, [&](auto* run, unsigned threads) {
    launch_gram<std::remove_pointer_t<decltype(run)>>(conv_task(g, a), threads, scratch, statistics, stream);
  });
}

template <class T> void GroupedPlan::add(const ConvGeometry& g, const Sampled<T>& a, std::int64_t row) {
  with_run<T>(g, a, [&](auto* run, unsigned threads) { push<std::remove_pointer_t<decltype(run)>>(conv_task(g, a), threads, row); });
}

#define KNAS_INSTANTIATE(T)                                                                                         \
  template void conv_sampled_gradients(const ConvGeometry&, const Sampled<T>&, accumulate_t<T>*, cudaStream_t);     \
  template void conv_gram(const ConvGeometry&, const Sampled<T>&, double*, double*, cudaStream_t);                  \
  template void GroupedPlan::add(const ConvGeometry&, const Sampled<T>&, std::int64_t);
KNAS_FOR_ELEMENTS(KNAS_INSTANTIATE)
#undef KNAS_INSTANTIATE

}  // namespace knas::cuda
