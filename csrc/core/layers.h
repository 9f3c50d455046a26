// Sampled per-sample gradients of layers, straight from input and output gradient, and their Gram sums without storing them.
// T is the element type of the captured tensors, A = accumulate_t<T>; `entries` index weight, then bias.
#pragma once
#include <cstdint>

#include "core/element.h"
#include "core/geometry.h"
#include "core/gram.h"
#include "core/planes.h"

namespace knas {

// gradients [n, s]:  g[i, (o, c, u)] = sum_t grad[i, o, t] * input[i, c, t * stride + u * dilation - padding]
template <class T>
void conv_sampled_gradients(const ConvGeometry&, Planes<const T> input, Planes<const T> grad, const std::int64_t* entries,
                            std::int64_t s, accumulate_t<T>* gradients, int threads);
template <class T>
GramSums conv_gram(const ConvGeometry&, Planes<const T> input, Planes<const T> grad, const std::int64_t* entries, std::int64_t s,
                   int threads);

// g[i, (o, c)] = sum_t grad[i, t, o] * input[i, t, c]
template <class T>
void linear_sampled_gradients(const LinearGeometry&, const T* input, const T* grad, const std::int64_t* entries, std::int64_t s,
                              accumulate_t<T>* gradients, int threads);
template <class T>
GramSums linear_gram(const LinearGeometry&, const T* input, const T* grad, const std::int64_t* entries, std::int64_t s, int threads);

// g[i, c] = sum_t grad[i, c, t] * (input[i, c, t] - mean[i, c]) * rstd[i, c];  bias: sum_t grad[i, c, t]
template <class T>
void affine_sampled_gradients(const AffineGeometry&, Planes<const T> input, Planes<const T> grad, const accumulate_t<T>* mean,
                              const accumulate_t<T>* rstd, const std::int64_t* entries, std::int64_t s,
                              accumulate_t<T>* gradients, int threads);
template <class T>
GramSums affine_gram(const AffineGeometry&, Planes<const T> input, Planes<const T> grad, const accumulate_t<T>* mean,
                     const accumulate_t<T>* rstd, const std::int64_t* entries, std::int64_t s, int threads);

}  // namespace knas

