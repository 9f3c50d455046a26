// Scale and shift of a normalization. Both gradients of a channel come from one reading of its two planes; where channels lie
// side by side, all of them come from one reading of the sample.
#include <algorithm>
#include <type_traits>
#include <vector>

#include "core/interleaved.h"
#include "core/layers.h"
#include "core/pairs.h"
#include "core/samples.h"

namespace knas {
namespace {

template <class T> class AffineSample {
  using A = accumulate_t<T>;

 public:
  AffineSample(const AffineGeometry& g, Planes<const T> input, Planes<const T> grad, const A* mean, const A* rstd,
               const std::vector<std::int64_t>& channels, const std::int64_t* entries, std::int64_t s)
      : g_(g), input_(input), grad_(grad), mean_(mean), rstd_(rstd), channels_(channels), entries_(entries), s_(s),
        plain_(g.channels), product_(g.channels), row_(std::is_same_v<T, A> ? 0 : 2 * g.positions) {}

  void operator()(std::int64_t i, A* gradients) {
    const std::int64_t first = (g_.statistics == 1 ? 0 : i) * g_.channels;
    if (input_.side_by_side()) {
      std::fill(plain_.begin(), plain_.end(), 0), std::fill(product_.begin(), product_.end(), 0);
      interleaved_sums(input_(i, 0), grad_(i, 0), g_.positions, g_.channels, mean_ + first, plain_.data(), product_.data());
    } else {
      for (const std::int64_t c : channels_) {
        double sums[2];
        long_shifted_sums(widen(input_(i, c), 0), widen(grad_(i, c), 1), g_.positions, mean_[first + c], sums);
        plain_[c] = sums[0], product_[c] = sums[1];
      }
    }
    for (std::int64_t e = 0; e < s_; ++e) {
      const std::int64_t c = entries_[e] % g_.channels;
      gradients[e] = A(entries_[e] < g_.channels ? product_[c] * rstd_[first + c] : plain_[c]);
    }
  }

 private:
  const A* widen(const T* plane, int which) {
    if constexpr (std::is_same_v<T, A>) return plane;
    else return std::copy(plane, plane + g_.positions, row_.data() + which * g_.positions) - g_.positions;
  }

  const AffineGeometry& g_;
  const Planes<const T> input_, grad_;  // in the same order
  const A *mean_, *rstd_;
  const std::vector<std::int64_t>& channels_;
  const std::int64_t* entries_;
  std::int64_t s_;
  std::vector<double> plain_, product_;  // [channels]
  std::vector<A> row_;
};

std::vector<std::int64_t> distinct_channels(const AffineGeometry& g, const std::int64_t* entries, std::int64_t s) {
  std::vector<std::int64_t> channels(entries, entries + s);
  for (auto& c : channels) c %= g.channels;
  std::sort(channels.begin(), channels.end());
  channels.erase(std::unique(channels.begin(), channels.end()), channels.end());
  return channels;
}

}  // namespace

template <class T>
void affine_sampled_gradients(const AffineGeometry& g, Planes<const T> input, Planes<const T> grad, const accumulate_t<T>* mean,
                              const accumulate_t<T>* rstd, const std::int64_t* entries, std::int64_t s,
                              accumulate_t<T>* gradients, int threads) {
  const auto channels = distinct_channels(g, entries, s);
  each_sample(g.n, s, gradients, threads, [&] { return AffineSample<T>(g, input, grad, mean, rstd, channels, entries, s); });
}

template <class T>
GramSums affine_gram(const AffineGeometry& g, Planes<const T> input, Planes<const T> grad, const accumulate_t<T>* mean,
                     const accumulate_t<T>* rstd, const std::int64_t* entries, std::int64_t s, int threads) {
  const auto channels = distinct_channels(g, entries, s);
  return fused_gram<accumulate_t<T>>(g.n, s, threads, [&] { return AffineSample<T>(g, input, grad, mean, rstd, channels, entries, s); });
}

#define KNAS_INSTANTIATE(T)                                                                                                       \
  template void affine_sampled_gradients(const AffineGeometry&, Planes<const T>, Planes<const T>, const accumulate_t<T>*,         \
                                         const accumulate_t<T>*, const std::int64_t*, std::int64_t, accumulate_t<T>*, int);      \
  template GramSums affine_gram(const AffineGeometry&, Planes<const T>, Planes<const T>, const accumulate_t<T>*,                  \
                                const accumulate_t<T>*, const std::int64_t*, std::int64_t, int);
KNAS_FOR_ELEMENTS(KNAS_INSTANTIATE)

}  // namespace knas
