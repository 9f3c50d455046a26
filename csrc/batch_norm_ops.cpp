// BatchNorm by constant statistics. On a CPU the core computes it, in one pass each way; elsewhere torch's own operators do.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include "core/batch_norm.h"
#include "cpu_planes.h"

namespace knas {
namespace {

using Optional = std::optional<at::Tensor>;

AffineGeometry check_channels(const at::Tensor& input, const char* op) {
  TORCH_CHECK(input.dim() >= 2 && input.numel() > 0, op, ": input must be [n, channels, ...] and not empty, got ", input.sizes());
  return {input.size(0), input.size(1), input.numel() / (input.size(0) * input.size(1)), 1};
}

// Not `to` itself, which may return its input and so must not be called below autograd.
at::Tensor as_type(const at::Tensor& t, at::ScalarType type) { return t.scalar_type() == type ? t : t.to(type); }

at::Tensor along_channels(const at::Tensor& numbers, std::int64_t axes) {
  std::vector<std::int64_t> shape(axes, 1);
  shape[1] = numbers.numel();
  return numbers.view(shape);
}

std::tuple<at::Tensor, at::Tensor> channel_moments_cpu(const at::Tensor& input) {
  const auto g = check_channels(input, "channel_moments");
  const auto x = readable(input);
  auto mean = at::empty({g.channels}, x.options().dtype(accumulate_type(x))), variance = at::empty_like(mean);
  dispatch_elements(x, "channel_moments", [&](auto t) {
    using T = decltype(t);
    using A = accumulate_t<T>;
    channel_moments<T>(g, planes<T>(x), mean.mutable_data_ptr<A>(), variance.mutable_data_ptr<A>(), at::get_num_threads());
  });
  return {mean, variance};
}

std::tuple<at::Tensor, at::Tensor> channel_moments_by_torch(const at::Tensor& input) {
  std::vector<std::int64_t> axes{0};
  for (std::int64_t axis = 2; axis < input.dim(); ++axis) axes.push_back(axis);
  const auto [variance, mean] = at::var_mean(input.to(accumulate_type(input)), at::OptionalIntArrayRef(axes), std::optional<at::Scalar>(0), false);
  return {mean, variance};
}

// (input - mean) * scale + shift, all three [channels] in the type of the sums, in the input's order.
at::Tensor channel_affine(const at::Tensor& input, const Optional& mean, const at::Tensor& scale, const Optional& shift) {
  if (!input.is_cpu() || input.numel() == 0 || input.scalar_type() == at::kHalf) {
    auto y = as_type(input, scale.scalar_type());
    if (mean) y = y - along_channels(*mean, input.dim());
    y = y * along_channels(scale, input.dim());
    return as_type(shift ? y + along_channels(*shift, input.dim()) : y, input.scalar_type());
  }
  const auto g = check_channels(input, "channel_affine");
  const auto x = readable(input), zeros = mean && shift ? at::Tensor() : at::zeros_like(scale);
  auto output = at::empty_like(x);
  dispatch_elements(x, "channel_affine", [&](auto t) {
    using T = decltype(t);
    using A = accumulate_t<T>;
    if constexpr (!std::is_same_v<T, float16>)
      channel_affine<T>(g, planes<T>(x), const_data<A>(mean.value_or(zeros)), const_data<A>(scale), const_data<A>(shift.value_or(zeros)),
                        static_cast<T*>(output.mutable_data_ptr()), at::get_num_threads());
  });
  return output;
}

at::Tensor scale_channels(const at::Tensor& input, const at::Tensor& scale) {
  TORCH_CHECK(input.dim() >= 2 && scale.dim() == 1 && scale.size(0) == input.size(1) && scale.scalar_type() == accumulate_type(input),
              "scale_channels: scale must be [channels] in ", accumulate_type(input), ", got ", scale.scalar_type(), " ", scale.sizes());
  return channel_affine(input, std::nullopt, scale.is_contiguous() ? scale : scale.contiguous(), std::nullopt);
}

// Output, rstd and scale, where output = (input - mean) * scale + bias, rstd = 1 / sqrt(variance + eps), scale = weight * rstd.
std::tuple<at::Tensor, at::Tensor, at::Tensor> fixed_batch_norm(const at::Tensor& input, const at::Tensor& mean, const at::Tensor& variance,
                                                                const Optional& weight, const Optional& bias, double eps) {
  const auto type = accumulate_type(input);
  const auto numbers = [&](const at::Tensor& given) {
    TORCH_CHECK(given.dim() == 1 && input.dim() >= 2 && given.size(0) == input.size(1), "fixed_batch_norm: mean, variance, weight and bias must be [",
                input.dim() >= 2 ? input.size(1) : 0, "], got ", given.sizes());
    const auto typed = as_type(given, type);
    return typed.is_contiguous() ? typed : typed.contiguous();
  };
  const auto rstd = numbers(variance).add(eps).rsqrt_(), scale = weight ? rstd * numbers(*weight) : rstd.clone();
  const auto shift = bias ? Optional(numbers(*bias)) : std::nullopt;
  return {channel_affine(input, numbers(mean), scale, shift), rstd, scale};
}

template <class Signature> auto operation(const char* name) {
  return c10::Dispatcher::singleton().findSchemaOrThrow(name, "").typed<Signature>();
}

// Constant statistics, weight and bias make the backward pass one multiplication (torch's takes two passes).
struct FixedBatchNorm : torch::autograd::Function<FixedBatchNorm> {
  static torch::autograd::variable_list forward(torch::autograd::AutogradContext* context, const at::Tensor& input, const at::Tensor& mean,
                                                const at::Tensor& variance, const Optional& weight, const Optional& bias, double eps) {
    static const auto op = operation<decltype(fixed_batch_norm)>("knas::fixed_batch_norm");
    at::AutoDispatchBelowADInplaceOrView below;
    const auto [output, rstd, scale] = op.call(input, mean, variance, weight, bias, eps);
    context->save_for_backward({scale});
    context->mark_non_differentiable({rstd, scale});
    return {output, rstd, scale};
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context, torch::autograd::variable_list grads) {
    static const auto op = operation<decltype(scale_channels)>("knas::scale_channels");
    return {op.call(grads[0], context->get_saved_variables()[0]), {}, {}, {}, {}, {}};
  }
};

std::tuple<at::Tensor, at::Tensor, at::Tensor> fixed_batch_norm_autograd(const at::Tensor& input, const at::Tensor& mean,
                                                                         const at::Tensor& variance, const Optional& weight,
                                                                         const Optional& bias, double eps) {
  for (const Optional& constant : {Optional(mean), Optional(variance), weight, bias})
    TORCH_CHECK(!constant || !constant->requires_grad(), "fixed_batch_norm: only its input may require a gradient");
  const auto outputs = FixedBatchNorm::apply(input, mean, variance, weight, bias, eps);
  return {outputs[0], outputs[1], outputs[2]};
}

}  // namespace
}  // namespace knas

TORCH_LIBRARY_IMPL(knas, CPU, m) {
  m.impl("channel_moments", &knas::channel_moments_cpu);
  m.impl("fixed_batch_norm", &knas::fixed_batch_norm);
  m.impl("scale_channels", &knas::scale_channels);
}

TORCH_LIBRARY_IMPL(knas, CUDA, m) {
  m.impl("channel_moments", &knas::channel_moments_by_torch);
  m.impl("fixed_batch_norm", &knas::fixed_batch_norm);
  m.impl("scale_channels", &knas::scale_channels);
}

TORCH_LIBRARY_IMPL(knas, Autograd, m) { m.impl("fixed_batch_norm", &knas::fixed_batch_norm_autograd); }
