// The CPU operators: arguments are checked and made contiguous here, and the torch-free core does the work.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/library.h>

#include "core/layers.h"
#include "core/moments.h"
#include "dispatch.h"

namespace knas {
namespace {

const std::int64_t* entry_data(const at::Tensor& entries) { return entries.const_data_ptr<std::int64_t>(); }

at::Tensor gradients_like(const at::Tensor& input, const at::Tensor& entries) {
  return at::zeros({input.size(0), entries.numel()}, input.options().dtype(accumulate_type(input)));
}

at::Tensor to_tensor(std::initializer_list<double> numbers) {
  return at::tensor(at::ArrayRef<double>(numbers.begin(), numbers.size()), at::kDouble);
}

at::Tensor to_tensor(const GramSums& s) { return to_tensor({s.mean, s.mean_off_diagonal, s.trace, s.split}); }

bool nothing_to_do(const at::Tensor& input, const at::Tensor& grad_output, const at::Tensor& entries) {
  return input.numel() == 0 || grad_output.numel() == 0 || entries.numel() == 0;
}

at::Tensor conv_sampled_gradients_cpu(const at::Tensor& input, const at::Tensor& grad_output, const at::Tensor& entries, at::IntArrayRef kernel_size,
                                  at::IntArrayRef stride, at::IntArrayRef padding, at::IntArrayRef dilation, std::int64_t groups) {
  const auto x = input.contiguous(), d = grad_output.contiguous(), e = entries.contiguous();
  const auto g = check_conv({x, d, e, kernel_size, stride, padding, dilation, groups}, "conv_sampled_gradients");
  auto out = gradients_like(x, e);
  if (nothing_to_do(x, d, e)) return out;
  dispatch_elements(x, "conv_sampled_gradients", [&](auto t) {
    using T = decltype(t);
    conv_sampled_gradients<T>(g, const_data<T>(x), const_data<T>(d), entry_data(e), e.numel(), out.mutable_data_ptr<accumulate_t<T>>(), at::get_num_threads());
  });
  return out;
}

at::Tensor conv_gram_cpu(const at::Tensor& input, const at::Tensor& grad_output, const at::Tensor& entries, at::IntArrayRef kernel_size,
                     at::IntArrayRef stride, at::IntArrayRef padding, at::IntArrayRef dilation, std::int64_t groups) {
  const auto x = input.contiguous(), d = grad_output.contiguous(), e = entries.contiguous();
  const auto g = check_conv({x, d, e, kernel_size, stride, padding, dilation, groups}, "conv_gram");
  GramSums sums;
  if (nothing_to_do(x, d, e)) return to_tensor(sums);
  dispatch_elements(x, "conv_gram", [&](auto t) {
    using T = decltype(t);
    sums = conv_gram<T>(g, const_data<T>(x), const_data<T>(d), entry_data(e), e.numel(), at::get_num_threads());
  });
  return to_tensor(sums);
}

at::Tensor linear_sampled_gradients_cpu(const at::Tensor& input, const at::Tensor& grad_output, const at::Tensor& entries) {
  const auto x = input.contiguous(), d = grad_output.contiguous(), e = entries.contiguous();
  const auto g = check_linear(x, d, e, "linear_sampled_gradients");
  auto out = gradients_like(x, e);
  if (nothing_to_do(x, d, e)) return out;
  dispatch_elements(x, "linear_sampled_gradients", [&](auto t) {
    using T = decltype(t);
    linear_sampled_gradients<T>(g, const_data<T>(x), const_data<T>(d), entry_data(e), e.numel(), out.mutable_data_ptr<accumulate_t<T>>(), at::get_num_threads());
  });
  return out;
}

at::Tensor linear_gram_cpu(const at::Tensor& input, const at::Tensor& grad_output, const at::Tensor& entries) {
  const auto x = input.contiguous(), d = grad_output.contiguous(), e = entries.contiguous();
  const auto g = check_linear(x, d, e, "linear_gram");
  GramSums sums;
  if (nothing_to_do(x, d, e)) return to_tensor(sums);
  dispatch_elements(x, "linear_gram", [&](auto t) {
    using T = decltype(t);
    sums = linear_gram<T>(g, const_data<T>(x), const_data<T>(d), entry_data(e), e.numel(), at::get_num_threads());
  });
  return to_tensor(sums);
}

at::Tensor affine_sampled_gradients_cpu(const at::Tensor& input, const at::Tensor& grad_output, const at::Tensor& mean, const at::Tensor& rstd,
                                    const at::Tensor& entries) {
  const auto x = input.contiguous(), d = grad_output.contiguous(), e = entries.contiguous();
  const auto g = check_affine(x, d, mean, rstd, e, "affine_sampled_gradients");
  const auto m = mean.to(accumulate_type(x)).contiguous(), r = rstd.to(accumulate_type(x)).contiguous();
  auto out = gradients_like(x, e);
  if (nothing_to_do(x, d, e)) return out;
  dispatch_elements(x, "affine_sampled_gradients", [&](auto t) {
    using T = decltype(t);
    using A = accumulate_t<T>;
    affine_sampled_gradients<T>(g, const_data<T>(x), const_data<T>(d), const_data<A>(m), const_data<A>(r), entry_data(e), e.numel(), out.mutable_data_ptr<A>(),
                                at::get_num_threads());
  });
  return out;
}

at::Tensor affine_gram_cpu(const at::Tensor& input, const at::Tensor& grad_output, const at::Tensor& mean, const at::Tensor& rstd,
                       const at::Tensor& entries) {
  const auto x = input.contiguous(), d = grad_output.contiguous(), e = entries.contiguous();
  const auto g = check_affine(x, d, mean, rstd, e, "affine_gram");
  const auto m = mean.to(accumulate_type(x)).contiguous(), r = rstd.to(accumulate_type(x)).contiguous();
  GramSums sums;
  if (nothing_to_do(x, d, e)) return to_tensor(sums);
  dispatch_elements(x, "affine_gram", [&](auto t) {
    using T = decltype(t);
    using A = accumulate_t<T>;
    sums = affine_gram<T>(g, const_data<T>(x), const_data<T>(d), const_data<A>(m), const_data<A>(r), entry_data(e), e.numel(), at::get_num_threads());
  });
  return to_tensor(sums);
}

at::Tensor gram_matrix_cpu(const at::Tensor& vectors) {
  check_vectors(vectors, "gram_matrix");
  const auto v = vectors.to(accumulate_type(vectors)).contiguous();
  auto matrix = at::zeros({v.size(0), v.size(0)}, v.options().dtype(at::kDouble));
  if (v.numel() == 0) return matrix;
  dispatch_elements(v, "gram_matrix", [&](auto t) {
    using A = accumulate_t<decltype(t)>;
    gram_matrix<A>(const_data<A>(v), v.size(0), v.size(1), matrix.mutable_data_ptr<double>(), at::get_num_threads());
  });
  return matrix;
}

at::Tensor gram_statistics_cpu(const at::Tensor& vectors) {
  check_vectors(vectors, "gram_statistics");
  const auto matrix = gram_matrix_cpu(vectors);
  double frobenius = 0;
  const auto from_matrix = sums_of_matrix(matrix.const_data_ptr<double>(), matrix.size(0), &frobenius);
  // The mean by the sum vector: summing the n^2 entries would lose it to cancellation where the vectors nearly cancel.
  const auto entry_sums = vectors.sum(0, /*keepdim=*/false, at::kDouble);
  const auto sums = gram_sums(entry_sums.const_data_ptr<double>(), entry_sums.numel(), from_matrix.trace, from_matrix.split, matrix.size(0));
  return to_tensor({sums.mean, sums.mean_off_diagonal, sums.trace, sums.split, frobenius});
}

std::tuple<at::Tensor, at::Tensor> channel_moments_cpu(const at::Tensor& input) {
  TORCH_CHECK(input.dim() == 3 && input.numel() > 0, "channel_moments: input must be [n, channels, positions] and not empty, got ", input.sizes());
  const auto x = input.to(accumulate_type(input)).contiguous();
  const AffineGeometry g{x.size(0), x.size(1), x.size(2), 1};
  auto mean = at::empty({g.channels}, x.options()), variance = at::empty({g.channels}, x.options());
  dispatch_elements(x, "channel_moments", [&](auto t) {
    using A = accumulate_t<decltype(t)>;
    channel_moments<A>(g, const_data<A>(x), mean.mutable_data_ptr<A>(), variance.mutable_data_ptr<A>(), at::get_num_threads());
  });
  return {mean, variance};
}

}  // namespace
}  // namespace knas

TORCH_LIBRARY_IMPL(knas, CPU, m) {
  m.impl("conv_sampled_gradients", &knas::conv_sampled_gradients_cpu);
  m.impl("conv_gram", &knas::conv_gram_cpu);
  m.impl("linear_sampled_gradients", &knas::linear_sampled_gradients_cpu);
  m.impl("linear_gram", &knas::linear_gram_cpu);
  m.impl("affine_sampled_gradients", &knas::affine_sampled_gradients_cpu);
  m.impl("affine_gram", &knas::affine_gram_cpu);
  m.impl("gram_matrix", &knas::gram_matrix_cpu);
  m.impl("gram_statistics", &knas::gram_statistics_cpu);
  m.impl("channel_moments", &knas::channel_moments_cpu);
}
