// The CPU operators on whole per-sample gradients of convolutions; tensors are read where they lie, in any order of axes.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/library.h>

#include "core/per_sample.h"
#include "dispatch.h"

namespace knas {
namespace {

// Of gradients between their computation and their Gram matrix: they stay in a last level cache, and are of several tiles of output
// channels, so that inputs are not read too often (blocks of 2 MiB take up to 1.4 times as long).
constexpr std::int64_t kBlockBytes = 16 << 20;

struct FullConv {
  const at::Tensor &input, &grad_output;
  const char* op;
  ConvGeometry g;

  FullConv(const at::Tensor& input, const at::Tensor& grad_output, at::IntArrayRef kernel_size, at::IntArrayRef stride,
           at::IntArrayRef padding, at::IntArrayRef dilation, std::int64_t groups, const char* op)
      : input(input), grad_output(grad_output), op(op),
        g(check_conv({input, grad_output, at::empty({0}, at::kLong), kernel_size, stride, padding, dilation, groups}, op)) {}

  bool empty() const { return input.numel() == 0 || grad_output.numel() == 0; }

  template <class T> Volumes<T> volumes(const at::Tensor& t) const {
    Volumes<T> v{const_data<T>(t), t.stride(0), t.stride(1), {0, 0, 0}};
    for (std::int64_t k = 2, to = 5 - t.dim(); k < t.dim(); ++k, ++to) v.axis[to] = t.stride(k);
    return v;
  }
};

at::Tensor conv_per_sample_gradients_cpu(const at::Tensor& input, const at::Tensor& grad_output, at::IntArrayRef kernel_size,
                                         at::IntArrayRef stride, at::IntArrayRef padding, at::IntArrayRef dilation, std::int64_t groups) {
  const FullConv conv(input, grad_output, kernel_size, stride, padding, dilation, groups, "conv_per_sample_gradients");
  const auto options = input.options().dtype(accumulate_type(input));
  if (conv.empty()) return at::zeros({conv.g.n, conv.g.weights()}, options);
  auto gradients = at::empty({conv.g.n, conv.g.weights()}, options);
  dispatch_elements(input, conv.op, [&](auto t) {
    using T = decltype(t);
    conv_per_sample_gradients<T>(conv.g, conv.volumes<T>(input), conv.volumes<T>(grad_output),
                                 gradients.mutable_data_ptr<accumulate_t<T>>(), at::get_num_threads());
  });
  return gradients;
}

at::Tensor conv_gram_matrix_cpu(const at::Tensor& input, const at::Tensor& grad_output, at::IntArrayRef kernel_size,
                                at::IntArrayRef stride, at::IntArrayRef padding, at::IntArrayRef dilation, std::int64_t groups) {
  const FullConv conv(input, grad_output, kernel_size, stride, padding, dilation, groups, "conv_gram_matrix");
  auto matrix = at::zeros({conv.g.n, conv.g.n}, input.options().dtype(at::kDouble));
  if (conv.empty()) return matrix;
  dispatch_elements(input, conv.op, [&](auto t) {
    using T = decltype(t);
    conv_gram_matrix<T>(conv.g, conv.volumes<T>(input), conv.volumes<T>(grad_output), matrix.mutable_data_ptr<double>(),
                        at::get_num_threads(), kBlockBytes);
  });
  return matrix;
}

}  // namespace
}  // namespace knas

TORCH_LIBRARY_IMPL(knas, CPU, m) {
  m.impl("conv_per_sample_gradients", &knas::conv_per_sample_gradients_cpu);
  m.impl("conv_gram_matrix", &knas::conv_gram_matrix_cpu);
}
