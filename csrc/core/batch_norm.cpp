// The moments take one reading of the input: sums of x - shift and of its square, where shift is the channel's first element,
// which lies within a few standard deviations of the mean, so that nothing cancels. PyTorch's two passes take 4 to 5 times as
// long. Planes are shared out by channels; interleaved channels by chunks of samples that n alone decides, added in order.
#include "core/batch_norm.h"

#include <algorithm>
#include <vector>

#include "core/dot.h"
#include "core/interleaved.h"

namespace knas {
namespace {

template <class A> void finish(double plain, double square, double count, A shift, A* mean, A* variance) {
  const double offset = plain / count;
  *mean = A(shift + offset), *variance = A(std::max(square / count - offset * offset, 0.0));
}

template <class T>
void plane_moments(const AffineGeometry& g, Planes<const T> input, accumulate_t<T>* mean, accumulate_t<T>* variance, int threads) {
  using A = accumulate_t<T>;
#pragma omp parallel for num_threads(threads) schedule(static)
  for (std::int64_t c = 0; c < g.channels; ++c) {
    const A shift = *input(0, c);
    double plain = 0, square = 0;
    A row[kDotBlock], part[2];
    for (std::int64_t i = 0; i < g.n; ++i)
      for (std::int64_t q = 0; q < g.positions; q += kDotBlock) {
        const T* run = input(i, c) + q;
        const std::int64_t length = std::min(kDotBlock, g.positions - q);
        if constexpr (std::is_same_v<T, A>) shifted_squares(run, length, shift, part);
        else std::copy(run, run + length, row), shifted_squares(row, length, shift, part);
        plain += part[0], square += part[1];
      }
    finish(plain, square, double(g.n) * double(g.positions), shift, mean + c, variance + c);
  }
}

template <class T>
void interleaved_moments(const AffineGeometry& g, Planes<const T> input, accumulate_t<T>* mean, accumulate_t<T>* variance,
                         int threads) {
  constexpr std::int64_t kSamples = 2;
  const std::int64_t chunks = (g.n + kSamples - 1) / kSamples;
  const std::vector<accumulate_t<T>> shift(input.data, input.data + g.channels);
  std::vector<double> sums(2 * g.channels * chunks);
#pragma omp parallel for num_threads(threads) schedule(static)
  for (std::int64_t chunk = 0; chunk < chunks; ++chunk) {
    double* plain = sums.data() + 2 * g.channels * chunk;
    const std::int64_t begin = chunk * kSamples, positions = (std::min(g.n, begin + kSamples) - begin) * g.positions;
    interleaved_squares(input(begin, 0), positions, g.channels, shift.data(), plain, plain + g.channels);
  }
  for (std::int64_t c = 0; c < g.channels; ++c) {
    double plain = 0, square = 0;
    for (std::int64_t chunk = 0; chunk < chunks; ++chunk)
      plain += sums[2 * g.channels * chunk + c], square += sums[2 * g.channels * chunk + g.channels + c];
    finish(plain, square, double(g.n) * double(g.positions), shift[c], mean + c, variance + c);
  }
}

}  // namespace

template <class T>
void channel_moments(const AffineGeometry& g, Planes<const T> input, accumulate_t<T>* mean, accumulate_t<T>* variance, int threads) {
  if (input.side_by_side()) interleaved_moments(g, input, mean, variance, threads);
  else plane_moments(g, input, mean, variance, threads);
}

template <class T>
void channel_affine(const AffineGeometry& g, Planes<const T> input, const accumulate_t<T>* mean, const accumulate_t<T>* scale,
                    const accumulate_t<T>* shift, T* output, int threads) {
#pragma omp parallel for num_threads(threads) schedule(static)
  for (std::int64_t i = 0; i < g.n; ++i) {
    const std::int64_t sample = i * g.channels * g.positions;
    if (input.side_by_side()) {
      interleaved_affine(input(i, 0), g.positions, g.channels, mean, scale, shift, output + sample);
    } else {
      for (std::int64_t c = 0; c < g.channels; ++c)
        interleaved_affine(input(i, c), g.positions, 1, mean + c, scale + c, shift + c, output + sample + c * g.positions);
    }
  }
}

#define KNAS_INSTANTIATE(T) \
  template void channel_moments(const AffineGeometry&, Planes<const T>, accumulate_t<T>*, accumulate_t<T>*, int);
KNAS_FOR_ELEMENTS(KNAS_INSTANTIATE)

#define KNAS_INSTANTIATE_AFFINE(T)                                                                           \
  template void channel_affine(const AffineGeometry&, Planes<const T>, const accumulate_t<T>*,              \
                               const accumulate_t<T>*, const accumulate_t<T>*, T*, int);
KNAS_INSTANTIATE_AFFINE(float)
KNAS_INSTANTIATE_AFFINE(double)
KNAS_INSTANTIATE_AFFINE(bfloat16)

}  // namespace knas
