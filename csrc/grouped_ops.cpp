// knas::grouped_gram where nothing is gained by launching layers together: their operators one after another.
#include <ATen/ATen.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <torch/library.h>

#include "grouped.h"

namespace knas {
namespace {

using at::Tensor;

Tensor layer_gram(const GroupedLayer& a) {
  const auto find = [](const char* name) { return c10::Dispatcher::singleton().findSchemaOrThrow(name, ""); };
  using Lists = at::IntArrayRef;
  static const auto conv = find("knas::conv_gram").typed<Tensor(const Tensor&, const Tensor&, const Tensor&, Lists, Lists, Lists, Lists, std::int64_t)>();
  static const auto linear = find("knas::linear_gram").typed<Tensor(const Tensor&, const Tensor&, const Tensor&)>();
  static const auto affine = find("knas::affine_gram").typed<Tensor(const Tensor&, const Tensor&, const Tensor&, const Tensor&, const Tensor&)>();
  switch (a.kind) {
    case LayerKind::conv: return conv.call(a.input, a.grad_output, a.entries, a.kernel_size, a.stride, a.padding, a.dilation, a.groups);
    case LayerKind::linear: return linear.call(a.input, a.grad_output, a.entries);
    case LayerKind::affine: return affine.call(a.input, a.grad_output, *a.mean, *a.rstd, a.entries);
  }
  TORCH_INTERNAL_ASSERT(false);
}

Tensor grouped_gram_cpu(at::TensorList inputs, at::TensorList grad_outputs, at::TensorList entries, at::TensorList statistics,
                        at::IntArrayRef kinds, at::IntArrayRef geometry) {
  std::vector<Tensor> rows;
  for (const GroupedLayer& layer : unpack({inputs, grad_outputs, entries, statistics, kinds, geometry})) rows.push_back(layer_gram(layer));
  TORCH_CHECK(!rows.empty(), "grouped_gram: at least one layer expected");
  return at::stack(rows);
}

}  // namespace
}  // namespace knas

TORCH_LIBRARY_IMPL(knas, CPU, m) { m.impl("grouped_gram", &knas::grouped_gram_cpu); }
