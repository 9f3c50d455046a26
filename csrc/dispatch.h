// From tensors to the element types of core/element.h and their order in memory, and what the operators of every device allocate alike.
#pragma once
#include <ATen/ATen.h>

#include "checks.h"
#include "core/element.h"

namespace knas {

// Calls f(T{}) with T the element type of `t`.
template <class F> void dispatch_elements(const at::Tensor& t, const char* op, F&& f) {
  switch (t.scalar_type()) {
    case at::kFloat: return f(float{});
    case at::kDouble: return f(double{});
    case at::kBFloat16: return f(bfloat16{});
    case at::kHalf: return f(float16{});
    default: TORCH_CHECK_TYPE(false, op, ": float32, float64, bfloat16 or float16 expected, got ", t.scalar_type());
  }
}

// Whether the channels of [n, channels, ...] lie side by side in memory ("channels last"), and not plane after plane.
inline bool is_interleaved(const at::Tensor& t) {
  if (t.dim() < 3 || t.is_contiguous()) return false;
  std::int64_t step = t.size(1);
  if (step > 1 && t.stride(1) != 1) return false;
  for (std::int64_t axis = t.dim() - 1; axis >= 2; step *= t.size(axis--))
    if (t.size(axis) != 1 && t.stride(axis) != step) return false;
  return t.size(0) == 1 || t.stride(0) == step;
}

template <class T> const T* const_data(const at::Tensor& t) { return static_cast<const T*>(t.const_data_ptr()); }

}  // namespace knas
