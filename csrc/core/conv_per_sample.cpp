// Per sample, the weight gradient of a convolution is a product of the output gradient [out_channels, T] with what each
// tap and channel sees [T, C * taps], T positions. The latter is never formed: a zero-padded copy of the sample with neighboring
// channels side by side lies in the second level cache, and a tile's vectors are read from it where the tap says.
//   operations   n T out_channels C taps multiply-adds; for the Gram matrix n (n + 1) / 2 * p more
//   bytes        input and output gradient once per block of output channels; a block of gradients stays in cache
#include "core/conv_sample.h"
#include "core/gram_slab.h"

namespace knas {
namespace {

// From the plan's order of columns to the weight's.
template <class A> void to_weights(const ConvPlan& plan, std::int64_t unit, const A* columns, A* weights) {
  const std::int64_t taps = plan.g.taps(), channels = plan.channels(), all = channels * taps;
  const std::int64_t outputs = plan.lanewise ? plan.g.groups : plan.outputs(unit);
  const std::int64_t row = plan.lanewise ? 1 : all, column = plan.lanewise ? outputs : 1;
  for (std::int64_t k = 0; k < outputs; ++k) {
    A* to = weights + (plan.lanewise ? k * plan.group_outputs() + unit : plan.first_output(unit) + k) * all;
    for (std::int64_t tap = 0; tap < taps; ++tap)
      for (std::int64_t c = 0; c < channels; ++c) to[c * taps + tap] = columns[k * row + (tap * channels + c) * column];
  }
}

// A block of gradients that the calling thread keeps for its next layer. One that is freed after each layer tears holes into the
// heap, between which the activations of the pass don't fit: the process then takes a quarter more.
template <class A> A* kept_block(std::int64_t size) {
  thread_local Lines<A> block;
  thread_local std::int64_t reserved = 0;
  if (size > reserved) block = make_lines<A>(reserved = size);
  return block.get();
}

}  // namespace

template <class T>
void conv_per_sample_gradients(const ConvGeometry& g, const Volumes<T>& input, const Volumes<T>& grad, accumulate_t<T>* gradients,
                               int threads, Isa isa) {
  using A = accumulate_t<T>;
  const auto& kernels = conv_tiles<A>(isa);
  const ConvPlan plan(g, kernels.lanes, kernels.rows, std::is_same_v<T, A> && input.channel == 1 ? input.axis : nullptr);
#pragma omp parallel num_threads(threads)
  {
    ConvSample<T> sample(plan, kernels, input, grad);
    const auto columns = make_lines<A>(g.weights());
#pragma omp for schedule(static)
    for (std::int64_t i = 0; i < g.n; ++i) {
      sample(i, 0, plan.units, columns.get());
      for (std::int64_t unit = 0; unit < plan.units; ++unit)
        to_weights(plan, unit, columns.get() + plan.first_column(unit), gradients + i * g.weights());
    }
  }
}

template <class T>
void conv_gram_matrix(const ConvGeometry& g, const Volumes<T>& input, const Volumes<T>& grad, double* matrix, int threads,
                      std::int64_t block_bytes, Isa isa) {
  using A = accumulate_t<T>;
  const auto& kernels = conv_tiles<A>(isa);
  const ConvPlan plan(g, kernels.lanes, kernels.rows, std::is_same_v<T, A> && input.channel == 1 ? input.axis : nullptr);
  const std::int64_t unit_bytes = g.n * plan.columns(0) * std::int64_t(sizeof(A));  // the first unit is as large as any
  const std::int64_t block = std::clamp<std::int64_t>(block_bytes / unit_bytes, 1, plan.units), step = block * plan.columns(0);
  const std::int64_t width = (step + kernels.lanes - 1) / kernels.lanes * kernels.lanes;
  const std::int64_t needed = g.n * width, kept = block_bytes / std::int64_t(sizeof(A));
  const auto large = make_lines<A>(needed > kept ? needed : 0);  // one unit alone is larger: not worth keeping
  A* rows = needed > kept ? large.get() : kept_block<A>(kept);
  gram_of_slabs<A>(g.n, step, matrix, threads, isa, [&](auto&& take) {
    ConvSample<T> sample(plan, kernels, input, grad);
    for (std::int64_t first = 0; first < plan.units; first += block) {
      const std::int64_t last = std::min(first + block, plan.units);
#pragma omp for schedule(static)
      for (std::int64_t i = 0; i < g.n; ++i) sample(i, first, last, rows + i * width);
      take(rows, width, plan.first_column(last) - plan.first_column(first));
    }
  });
}

#define KNAS_INSTANTIATE(T)                                                                                                     \
  template void conv_per_sample_gradients(const ConvGeometry&, const Volumes<T>&, const Volumes<T>&, accumulate_t<T>*, int, Isa); \
  template void conv_gram_matrix(const ConvGeometry&, const Volumes<T>&, const Volumes<T>&, double*, int, std::int64_t, Isa);
KNAS_FOR_ELEMENTS(KNAS_INSTANTIATE)

}  // namespace knas
