// From CPU tensors [n, channels, ...] to the two memory orders that the core reads.
#pragma once
#include <ATen/ATen.h>

#include "core/planes.h"
#include "dispatch.h"

namespace knas {

// `t` in its own order where the core can read that, else contiguous.
inline at::Tensor readable(const at::Tensor& t) { return t.is_contiguous() || is_interleaved(t) ? t : t.contiguous(); }

// Of a readable tensor that is not empty.
template <class T> Planes<const T> planes(const at::Tensor& t) {
  const std::int64_t channels = t.size(1), positions = t.numel() / (t.size(0) * channels);
  const auto* data = const_data<T>(t);
  return t.is_contiguous() ? Planes<const T>::contiguous(data, channels, positions) : Planes<const T>::interleaved(data, channels, positions);
}

}  // namespace knas
