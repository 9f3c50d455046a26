// The CUDA operators of one layer, and of vectors: arguments are checked here, and made contiguous where the kernels need it, on the tensors'
// device and the current stream; the launchers of cuda/ do the work. Nothing waits for the device. Empty inputs return zeros before any launch.
#include <torch/library.h>

#include "cuda_layer.h"

namespace knas {
namespace {

using at::Tensor;

Tensor conv_sampled_gradients(const Tensor& input, const Tensor& grad_output, const Tensor& entries, at::IntArrayRef kernel_size,
                              at::IntArrayRef stride, at::IntArrayRef padding, at::IntArrayRef dilation, std::int64_t groups) {
  const auto g = check_conv({input, grad_output, entries, kernel_size, stride, padding, dilation, groups}, "conv_sampled_gradients");
  const c10::cuda::CUDAGuard guard(input.device());
  const CudaLayer layer(input, grad_output, entries, "conv_sampled_gradients", cuda::reads_interleaved(g));
  return layer.gradients([&](auto t, auto* out, cudaStream_t stream) {
    cuda::conv_sampled_gradients(g, layer.arguments<decltype(t)>(), out, stream);
  });
}

Tensor conv_gram(const Tensor& input, const Tensor& grad_output, const Tensor& entries, at::IntArrayRef kernel_size,
                 at::IntArrayRef stride, at::IntArrayRef padding, at::IntArrayRef dilation, std::int64_t groups) {
  const auto g = check_conv({input, grad_output, entries, kernel_size, stride, padding, dilation, groups}, "conv_gram");
  const c10::cuda::CUDAGuard guard(input.device());
  const CudaLayer layer(input, grad_output, entries, "conv_gram", cuda::reads_interleaved(g));
  return layer.statistics([&](auto t, double* scratch, double* out, cudaStream_t stream) {
    cuda::conv_gram(g, layer.arguments<decltype(t)>(), scratch, out, stream);
  });
}

Tensor linear_sampled_gradients(const Tensor& input, const Tensor& grad_output, const Tensor& entries) {
  const auto g = check_linear(input, grad_output, entries, "linear_sampled_gradients");
  const c10::cuda::CUDAGuard guard(input.device());
  const CudaLayer layer(input, grad_output, entries, "linear_sampled_gradients", false);
  return layer.gradients([&](auto t, auto* out, cudaStream_t stream) {
    cuda::linear_sampled_gradients(g, layer.arguments<decltype(t)>(), out, stream);
  });
}

Tensor linear_gram(const Tensor& input, const Tensor& grad_output, const Tensor& entries) {
  const auto g = check_linear(input, grad_output, entries, "linear_gram");
  const c10::cuda::CUDAGuard guard(input.device());
  const CudaLayer layer(input, grad_output, entries, "linear_gram", false);
  return layer.statistics([&](auto t, double* scratch, double* out, cudaStream_t stream) {
    cuda::linear_gram(g, layer.arguments<decltype(t)>(), scratch, out, stream);
  });
}

Tensor affine_sampled_gradients(const Tensor& input, const Tensor& grad_output, const Tensor& mean, const Tensor& rstd,
                                const Tensor& entries) {
  const auto g = check_affine(input, grad_output, mean, rstd, entries, "affine_sampled_gradients");
  const c10::cuda::CUDAGuard guard(input.device());
  const CudaLayer layer(input, grad_output, entries, "affine_sampled_gradients", true);
  const auto m = in_sum_type(mean, input), r = in_sum_type(rstd, input);
  return layer.gradients([&](auto t, auto* out, cudaStream_t stream) {
    using T = decltype(t);
    using A = accumulate_t<T>;
    cuda::affine_sampled_gradients(g, layer.arguments<T>(), const_data<A>(m), const_data<A>(r), out, stream);
  });
}

Tensor affine_gram(const Tensor& input, const Tensor& grad_output, const Tensor& mean, const Tensor& rstd, const Tensor& entries) {
  const auto g = check_affine(input, grad_output, mean, rstd, entries, "affine_gram");
  const c10::cuda::CUDAGuard guard(input.device());
  const CudaLayer layer(input, grad_output, entries, "affine_gram", true);
  const auto m = in_sum_type(mean, input), r = in_sum_type(rstd, input);
  return layer.statistics([&](auto t, double* scratch, double* out, cudaStream_t stream) {
    using T = decltype(t);
    using A = accumulate_t<T>;
    cuda::affine_gram(g, layer.arguments<T>(), const_data<A>(m), const_data<A>(r), scratch, out, stream);
  });
}

Tensor row_products(const Tensor& v) {
  const std::int64_t n = v.size(0), p = v.size(1);
  const auto doubles = v.options().dtype(at::kDouble);
  auto gram = at::empty({n, n}, doubles), scratch = at::empty({cuda::gram_matrix_scratch(n, p)}, doubles);
  dispatch_elements(v, "gram_matrix", [&](auto t) {
    cuda::gram_matrix(const_data<decltype(t)>(v), n, p, scratch.mutable_data_ptr<double>(), gram.mutable_data_ptr<double>(),
                      c10::cuda::getCurrentCUDAStream());
  });
  C10_CUDA_KERNEL_LAUNCH_CHECK();
  return gram;
}

// Squares of float32 and bfloat16 leave the range of the sums where gradients do not: rows are scaled to a largest entry near 1 first, by
// powers of two. Always, since to look whether it is needed would wait for the device.
Tensor gram_matrix(const Tensor& vectors) {
  check_vectors(vectors, "gram_matrix");
  const c10::cuda::CUDAGuard guard(vectors.device());
  const auto v = vectors.contiguous();
  if (v.numel() == 0) return at::zeros({v.size(0), v.size(0)}, v.options().dtype(at::kDouble));
  if (v.scalar_type() != at::kFloat && v.scalar_type() != at::kBFloat16) return row_products(v);
  const auto exponent = std::get<1>(at::frexp(v.abs().amax(1).to(at::kFloat))).clamp(-125, 125);  // [n]
  const auto down = at::exp2(exponent.neg().to(at::kFloat)).to(v.scalar_type()), up = at::exp2(exponent.to(at::kDouble));
  return row_products((v * down.unsqueeze(1)).contiguous()) * up.unsqueeze(1) * up;
}

Tensor gram_statistics(const Tensor& vectors) {
  check_vectors(vectors, "gram_statistics");
  const c10::cuda::CUDAGuard guard(vectors.device());
  const auto v = vectors.contiguous();
  const auto doubles = v.options().dtype(at::kDouble);
  if (v.numel() == 0) return at::zeros({5}, doubles);
  const auto gram = gram_matrix(v);
  auto out = at::empty({5}, doubles), scratch = at::empty({cuda::gram_statistics_scratch(v.size(1))}, doubles);
  dispatch_elements(v, "gram_statistics", [&](auto t) {
    cuda::gram_statistics(const_data<decltype(t)>(v), gram.const_data_ptr<double>(), v.size(0), v.size(1),
                          scratch.mutable_data_ptr<double>(), out.mutable_data_ptr<double>(), c10::cuda::getCurrentCUDAStream());
  });
  C10_CUDA_KERNEL_LAUNCH_CHECK();
  return out;
}

}  // namespace
}  // namespace knas

TORCH_LIBRARY_IMPL(knas, CUDA, m) {
  m.impl("conv_sampled_gradients", &knas::conv_sampled_gradients);
  m.impl("conv_gram", &knas::conv_gram);
  m.impl("linear_sampled_gradients", &knas::linear_sampled_gradients);
  m.impl("linear_gram", &knas::linear_gram);
  m.impl("affine_sampled_gradients", &knas::affine_sampled_gradients);
  m.impl("affine_gram", &knas::affine_gram);
  m.impl("gram_matrix", &knas::gram_matrix);
  m.impl("gram_statistics", &knas::gram_statistics);
}
