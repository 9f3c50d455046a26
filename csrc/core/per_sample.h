// Whole per-sample weight gradients of convolutions, and their Gram matrix a block of output channels at a time.
// T is the element type of the captured tensors, which may lie in memory in any order of axes; A = accumulate_t<T>.
#pragma once
#include <cstdint>

#include "core/element.h"
#include "core/geometry.h"
#include "core/isa.h"

namespace knas {

// A tensor [n, channels, z, y, x] with its distances between neighbors along each axis, in elements.
template <class T> struct Volumes {
  const T* data;
  std::int64_t sample, channel, axis[3];
};

// gradients [n, weights]: g[i, (o, c, u)] = sum_t grad[i, o, t] * input[i, c, t * stride + u * dilation - padding].
template <class T>
void conv_per_sample_gradients(const ConvGeometry&, const Volumes<T>& input, const Volumes<T>& grad, accumulate_t<T>* gradients,
                               int threads, Isa isa = best_isa());

// matrix [n, n] of their inner products; at most about `block_bytes` of them are held at once (one tile of output channels at least).
template <class T>
void conv_gram_matrix(const ConvGeometry&, const Volumes<T>& input, const Volumes<T>& grad, double* matrix, int threads,
                      std::int64_t block_bytes, Isa isa = best_isa());

}  // namespace knas
