// Mean and variance of each channel over samples and positions: what a BatchNorm layer makes of a batch.
#pragma once
#include <cstdint>

#include "core/geometry.h"

namespace knas {

// mean[c] and the biased variance[c] of contiguous input[n, channels, positions], n * positions > 0.
template <class T> void channel_moments(const AffineGeometry&, const T* input, T* mean, T* variance, int threads);

extern template void channel_moments(const AffineGeometry&, const float*, float*, float*, int);
extern template void channel_moments(const AffineGeometry&, const double*, double*, double*, int);

}  // namespace knas
