// The CPU operators: arguments are checked and laid out here, and the torch-free core does the work.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/library.h>

#include "core/dot.h"
#include "core/layers.h"
#include "cpu_planes.h"

namespace knas {
namespace {

at::Tensor to_tensor(std::initializer_list<double> numbers) {
  return at::tensor(at::ArrayRef<double>(numbers.begin(), numbers.size()), at::kDouble);
}

// What the operators of a layer do alike. Both tensors keep the order of the input where the core can read it.
struct Layer {
  at::Tensor input, grad_output, entries;
  const char* op;

  Layer(const at::Tensor& x, const at::Tensor& d, const at::Tensor& entries, const char* op) : entries(entries.contiguous()), op(op) {
    const bool interleaved = is_interleaved(x);
    input = interleaved ? x : x.contiguous();
    grad_output = !interleaved ? d.contiguous() : d.dim() < 3 ? d : d.movedim(1, -1).contiguous().movedim(-1, 1);
  }

  bool empty() const { return input.numel() == 0 || grad_output.numel() == 0 || entries.numel() == 0; }
  std::int64_t s() const { return entries.numel(); }
  const std::int64_t* entry_data() const { return entries.const_data_ptr<std::int64_t>(); }
  template <class T> Planes<const T> x() const { return planes<T>(input); }
  template <class T> Planes<const T> d() const { return planes<T>(grad_output); }

  // compute(T{}, g, threads) fills g [n, s].
  template <class Compute> at::Tensor gradients(Compute&& compute) const {
    auto g = at::zeros({input.size(0), s()}, input.options().dtype(accumulate_type(input)));
    if (empty()) return g;
    dispatch_elements(input, op, [&](auto t) { compute(t, g.mutable_data_ptr<accumulate_t<decltype(t)>>(), at::get_num_threads()); });
    return g;
  }

  // compute(T{}, threads) gives the sums.
  template <class Compute> at::Tensor statistics(Compute&& compute) const {
    GramSums sums;
    if (!empty()) dispatch_elements(input, op, [&](auto t) { sums = compute(t, at::get_num_threads()); });
    return to_tensor({sums.mean, sums.mean_off_diagonal, sums.trace, sums.split});
  }
};

at::Tensor conv_sampled_gradients_cpu(const at::Tensor& input, const at::Tensor& grad_output, const at::Tensor& entries,
                                      at::IntArrayRef kernel_size, at::IntArrayRef stride, at::IntArrayRef padding,
                                      at::IntArrayRef dilation, std::int64_t groups) {
  const Layer layer(input, grad_output, entries, "conv_sampled_gradients");
  const auto g = check_conv({layer.input, layer.grad_output, layer.entries, kernel_size, stride, padding, dilation, groups}, layer.op);
  return layer.gradients([&](auto t, auto* out, int threads) {
    using T = decltype(t);
    conv_sampled_gradients<T>(g, layer.x<T>(), layer.d<T>(), layer.entry_data(), layer.s(), out, threads);
  });
}

at::Tensor conv_gram_cpu(const at::Tensor& input, const at::Tensor& grad_output, const at::Tensor& entries, at::IntArrayRef kernel_size,
                         at::IntArrayRef stride, at::IntArrayRef padding, at::IntArrayRef dilation, std::int64_t groups) {
  const Layer layer(input, grad_output, entries, "conv_gram");
  const auto g = check_conv({layer.input, layer.grad_output, layer.entries, kernel_size, stride, padding, dilation, groups}, layer.op);
  return layer.statistics([&](auto t, int threads) {
    using T = decltype(t);
    return conv_gram<T>(g, layer.x<T>(), layer.d<T>(), layer.entry_data(), layer.s(), threads);
  });
}

at::Tensor linear_sampled_gradients_cpu(const at::Tensor& input, const at::Tensor& grad_output, const at::Tensor& entries) {
  const Layer layer(input.contiguous(), grad_output, entries, "linear_sampled_gradients");
  const auto g = check_linear(layer.input, layer.grad_output, layer.entries, layer.op);
  return layer.gradients([&](auto t, auto* out, int threads) {
    using T = decltype(t);
    linear_sampled_gradients<T>(g, layer.x<T>().data, layer.d<T>().data, layer.entry_data(), layer.s(), out, threads);
  });
}

at::Tensor linear_gram_cpu(const at::Tensor& input, const at::Tensor& grad_output, const at::Tensor& entries) {
  const Layer layer(input.contiguous(), grad_output, entries, "linear_gram");
  const auto g = check_linear(layer.input, layer.grad_output, layer.entries, layer.op);
  return layer.statistics([&](auto t, int threads) {
    using T = decltype(t);
    return linear_gram<T>(g, layer.x<T>().data, layer.d<T>().data, layer.entry_data(), layer.s(), threads);
  });
}

at::Tensor affine_sampled_gradients_cpu(const at::Tensor& input, const at::Tensor& grad_output, const at::Tensor& mean,
                                        const at::Tensor& rstd, const at::Tensor& entries) {
  const Layer layer(input, grad_output, entries, "affine_sampled_gradients");
  const auto g = check_affine(layer.input, layer.grad_output, mean, rstd, layer.entries, layer.op);
  const auto m = mean.to(accumulate_type(input)).contiguous(), r = rstd.to(accumulate_type(input)).contiguous();
  return layer.gradients([&](auto t, auto* out, int threads) {
    using T = decltype(t);
    using A = accumulate_t<T>;
    affine_sampled_gradients<T>(g, layer.x<T>(), layer.d<T>(), const_data<A>(m), const_data<A>(r), layer.entry_data(), layer.s(), out,
                                threads);
  });
}

at::Tensor affine_gram_cpu(const at::Tensor& input, const at::Tensor& grad_output, const at::Tensor& mean, const at::Tensor& rstd,
                           const at::Tensor& entries) {
  const Layer layer(input, grad_output, entries, "affine_gram");
  const auto g = check_affine(layer.input, layer.grad_output, mean, rstd, layer.entries, layer.op);
  const auto m = mean.to(accumulate_type(input)).contiguous(), r = rstd.to(accumulate_type(input)).contiguous();
  return layer.statistics([&](auto t, int threads) {
    using T = decltype(t);
    using A = accumulate_t<T>;
    return affine_gram<T>(g, layer.x<T>(), layer.d<T>(), const_data<A>(m), const_data<A>(r), layer.entry_data(), layer.s(), threads);
  });
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

bool all_finite_cpu(at::TensorList tensors) {
  return std::all_of(tensors.begin(), tensors.end(), [](const at::Tensor& t) {
    if (!t.is_floating_point()) return true;
    const auto x = t.to(accumulate_type(t)).contiguous();
    return x.scalar_type() == at::kDouble ? all_finite(const_data<double>(x), x.numel()) : all_finite(const_data<float>(x), x.numel());
  });
}

bool all_finite_by_torch(at::TensorList tensors) {
  return tensors.empty() || at::stack(at::_foreach_norm(tensors, INFINITY)).isfinite().all().item<bool>();
}

}  // namespace
}  // namespace knas

TORCH_LIBRARY_IMPL(knas, CUDA, m) { m.impl("all_finite", &knas::all_finite_by_torch); }

TORCH_LIBRARY_IMPL(knas, CPU, m) {
  m.impl("all_finite", &knas::all_finite_cpu);
  m.impl("conv_sampled_gradients", &knas::conv_sampled_gradients_cpu);
  m.impl("conv_gram", &knas::conv_gram_cpu);
  m.impl("linear_sampled_gradients", &knas::linear_sampled_gradients_cpu);
  m.impl("linear_gram", &knas::linear_gram_cpu);
  m.impl("affine_sampled_gradients", &knas::affine_sampled_gradients_cpu);
  m.impl("affine_gram", &knas::affine_gram_cpu);
  m.impl("gram_matrix", &knas::gram_matrix_cpu);
  m.impl("gram_statistics", &knas::gram_statistics_cpu);
}
