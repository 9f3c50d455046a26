// From tensors to the element types of core/element.h, and what the operators of every device allocate alike.
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

template <class T> const T* const_data(const at::Tensor& t) { return static_cast<const T*>(t.const_data_ptr()); }

}  // namespace knas
