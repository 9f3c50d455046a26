// What a BatchNorm layer makes of a batch [n, channels, positions] whose statistics are held constant.
#pragma once
#include <cstdint>

#include "core/element.h"
#include "core/geometry.h"
#include "core/planes.h"

namespace knas {

// mean[c] and the biased variance[c] over samples and positions, n * positions > 0.
template <class T>
void channel_moments(const AffineGeometry&, Planes<const T> input, accumulate_t<T>* mean, accumulate_t<T>* variance, int threads);

// output = (input - mean[c]) * scale[c] + shift[c], in the order of the input. Not for float16.
template <class T>
void channel_affine(const AffineGeometry&, Planes<const T> input, const accumulate_t<T>* mean, const accumulate_t<T>* scale,
                    const accumulate_t<T>* shift, T* output, int threads);

}  // namespace knas
