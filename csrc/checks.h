// Argument checks shared by the CPU and CUDA operators; each turns tensors into the sizes that the kernels take.
#pragma once
#include <ATen/core/Tensor.h>
#include <c10/util/Exception.h>

#include "core/geometry.h"

namespace knas {

struct ConvArguments {
  const at::Tensor& input;        // [n, in_channels, *spatial]
  const at::Tensor& grad_output;  // [n, out_channels, *out_spatial]
  const at::Tensor& entries;      // [s], int64
  at::IntArrayRef kernel_size, stride, padding, dilation;  // one per spatial axis
  std::int64_t groups;
};

inline void check_pair(const at::Tensor& input, const at::Tensor& grad_output, const at::Tensor& entries, const char* op) {
  TORCH_CHECK(input.scalar_type() == grad_output.scalar_type(), op, ": input is ", input.scalar_type(), " but grad_output is ",
              grad_output.scalar_type());
  TORCH_CHECK(input.device() == grad_output.device() && input.device() == entries.device(), op, ": input, grad_output and entries must be on one device, got ",
              input.device(), ", ", grad_output.device(), " and ", entries.device());
  TORCH_CHECK(input.dim() > 0 && grad_output.dim() == input.dim() && input.size(0) == grad_output.size(0), op, ": input ", input.sizes(), " and grad_output ",
              grad_output.sizes(), " must have the same number of axes and samples");
  TORCH_CHECK(entries.dim() == 1 && entries.scalar_type() == at::kLong, op, ": entries must be int64 of shape [s], got ",
              entries.scalar_type(), " ", entries.sizes());
}

// CUDA entries are not read back for this check: the kernels give NaN for what is out of range.
inline void check_entries(const at::Tensor& entries, std::int64_t parameters, const char* op) {
  if (!entries.device().is_cpu()) return;
  const auto* e = entries.const_data_ptr<std::int64_t>();
  for (std::int64_t k = 0; k < entries.numel(); ++k)
    TORCH_CHECK_INDEX(e[k] >= 0 && e[k] < parameters, op, ": entry ", e[k], " is outside the layer's ", parameters, " parameters");
}

inline ConvGeometry check_conv(const ConvArguments& a, const char* op) {
  check_pair(a.input, a.grad_output, a.entries, op);
  const std::int64_t axes = a.input.dim() - 2;
  TORCH_CHECK(axes >= 1 && axes <= 3, op, ": input must be [n, channels, *spatial] with 1 to 3 spatial axes, got ", a.input.sizes());
  for (const auto& list : {a.kernel_size, a.stride, a.padding, a.dilation})
    TORCH_CHECK(std::int64_t(list.size()) == axes, op, ": kernel_size, stride, padding and dilation need ", axes, " numbers each, got ", list);
  ConvGeometry g{a.input.size(0), a.input.size(1), a.grad_output.size(1), a.groups, {1, 1, 1}, {1, 1, 1}, {1, 1, 1}, {1, 1, 1}, {0, 0, 0}, {1, 1, 1}};
  TORCH_CHECK(a.groups > 0 && g.in_channels % a.groups == 0 && g.out_channels % a.groups == 0, op, ": groups = ", a.groups, " must divide ",
              g.in_channels, " input and ", g.out_channels, " output channels");
  for (std::int64_t k = 0, to = 3 - axes; k < axes; ++k, ++to) {
    g.in[to] = a.input.size(2 + k), g.out[to] = a.grad_output.size(2 + k);
    g.kernel[to] = a.kernel_size[k], g.stride[to] = a.stride[k], g.padding[to] = a.padding[k], g.dilation[to] = a.dilation[k];
    TORCH_CHECK(g.kernel[to] > 0 && g.stride[to] > 0 && g.padding[to] >= 0 && g.dilation[to] > 0, op,
                ": kernel_size, stride and dilation must be positive and padding not negative");
    const std::int64_t room = g.in[to] + 2 * g.padding[to] - g.dilation[to] * (g.kernel[to] - 1) - 1;
    TORCH_CHECK(g.out[to] == (room < 0 ? 0 : room / g.stride[to] + 1), op, ": grad_output ", a.grad_output.sizes(),
                " is not what this convolution makes of input ", a.input.sizes());
  }
  check_entries(a.entries, g.weights() + g.out_channels, op);
  return g;
}

inline LinearGeometry check_linear(const at::Tensor& input, const at::Tensor& grad_output, const at::Tensor& entries, const char* op) {
  check_pair(input, grad_output, entries, op);
  TORCH_CHECK(input.dim() == 3 && input.size(1) == grad_output.size(1), op, ": input [n, positions, in] and grad_output [n, positions, out] expected, got ",
              input.sizes(), " and ", grad_output.sizes());
  const LinearGeometry g{input.size(0), input.size(1), input.size(2), grad_output.size(2)};
  check_entries(entries, g.weights() + g.out_features, op);
  return g;
}

inline AffineGeometry check_affine(const at::Tensor& input, const at::Tensor& grad_output, const at::Tensor& mean, const at::Tensor& rstd,
                                   const at::Tensor& entries, const char* op) {
  check_pair(input, grad_output, entries, op);
  TORCH_CHECK(input.dim() == 3 && input.sizes() == grad_output.sizes(), op, ": input and grad_output must both be [n, channels, positions], got ",
              input.sizes(), " and ", grad_output.sizes());
  const AffineGeometry g{input.size(0), input.size(1), input.size(2), mean.dim() == 2 ? mean.size(0) : -1};
  TORCH_CHECK(mean.sizes() == rstd.sizes() && mean.dim() == 2 && mean.size(1) == g.channels && (g.statistics == 1 || g.statistics == g.n), op,
              ": mean and rstd must be [1 or ", g.n, ", ", g.channels, "], got ", mean.sizes(), " and ", rstd.sizes());
  TORCH_CHECK(mean.device() == input.device() && rstd.device() == input.device(), op, ": mean and rstd must be on ", input.device());
  check_entries(entries, 2 * g.channels, op);
  return g;
}

inline void check_vectors(const at::Tensor& vectors, const char* op) {
  TORCH_CHECK(vectors.dim() == 2, op, ": vectors must be [n, p], got ", vectors.sizes());
}

// The type that sums, means and sampled gradients of `t` are held in.
inline at::ScalarType accumulate_type(const at::Tensor& t) { return t.scalar_type() == at::kDouble ? at::kDouble : at::kFloat; }

}  // namespace knas
