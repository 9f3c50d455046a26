// From CPU tensors [n, channels, ...] to the two memory orders that the core reads.
#pragma once
#include <ATen/ATen.h>

#include "core/planes.h"
#include "dispatch.h"

namespace knas {

// Whether channels lie side by side, and not plane after plane.
inline bool is_interleaved(const at::Tensor& t) {
  if (t.dim() < 3 || t.is_contiguous()) return false;
  std::int64_t step = t.size(1);
  if (step > 1 && t.stride(1) != 1) return false;
  for (std::int64_t axis = t.dim() - 1; axis >= 2; step *= t.size(axis--))
    if (t.size(axis) != 1 && t.stride(axis) != step) return false;
  return t.size(0) == 1 || t.stride(0) == step;
}

// `t` in its own order where the core can read that, else contiguous.
inline at::Tensor readable(const at::Tensor& t) { return t.is_contiguous() || is_interleaved(t) ? t : t.contiguous(); }

// Of a readable tensor that is not empty.
template <class T> Planes<const T> planes(const at::Tensor& t) {
  const std::int64_t channels = t.size(1), positions = t.numel() / (t.size(0) * channels);
  const auto* data = const_data<T>(t);
  return t.is_contiguous() ? Planes<const T>::contiguous(data, channels, positions) : Planes<const T>::interleaved(data, channels, positions);
}

}  // namespace knas
