// The arguments of knas::grouped_gram: layers of all kinds, in flat lists as an operator's schema can hold them.
#pragma once
#include <ATen/core/Tensor.h>
#include <c10/util/Exception.h>

#include <cstdint>
#include <vector>

namespace knas {

enum class LayerKind : std::int64_t { conv, linear, affine };

struct GroupedArguments {
  at::TensorList inputs, grad_outputs, entries;  // one per layer
  at::TensorList statistics;                     // mean and rstd of each normalization, in the order of the layers
  at::IntArrayRef kinds;                         // one LayerKind per layer
  at::IntArrayRef geometry;  // of each convolution, in that order: kernel_size, stride, padding and dilation per axis, then groups
};

// What one layer has of them; the lists point into the arguments.
struct GroupedLayer {
  LayerKind kind;
  const at::Tensor &input, &grad_output, &entries;
  at::IntArrayRef kernel_size, stride, padding, dilation;
  std::int64_t groups;
  const at::Tensor *mean, *rstd;
};

inline std::vector<GroupedLayer> unpack(const GroupedArguments& a) {
  constexpr const char* op = "grouped_gram";
  const std::size_t layers = a.kinds.size();
  TORCH_CHECK(a.inputs.size() == layers && a.grad_outputs.size() == layers && a.entries.size() == layers, op, ": kinds has ", layers,
              " layers, but inputs ", a.inputs.size(), ", grad_outputs ", a.grad_outputs.size(), " and entries ", a.entries.size());
  std::vector<GroupedLayer> found;
  at::IntArrayRef geometry = a.geometry;
  at::TensorList statistics = a.statistics;
  const auto numbers = [&](std::size_t count) {
    TORCH_CHECK(geometry.size() >= count, op, ": geometry ends before layer ", found.size(), ", which is a convolution");
    const auto taken = geometry.slice(0, count);
    geometry = geometry.slice(count);
    return taken;
  };
  for (std::size_t k = 0; k < layers; ++k) {
    GroupedLayer layer{LayerKind(a.kinds[k]), a.inputs[k], a.grad_outputs[k], a.entries[k], {}, {}, {}, {}, 1, nullptr, nullptr};
    TORCH_CHECK(a.kinds[k] >= 0 && layer.kind <= LayerKind::affine, op, ": kinds are 0 (conv), 1 (linear) and 2 (affine), got ", a.kinds[k]);
    if (layer.kind == LayerKind::conv) {
      TORCH_CHECK(layer.input.dim() >= 3, op, ": layer ", k, ": input must be [n, channels, *spatial], got ", layer.input.sizes());
      const std::size_t axes = layer.input.dim() - 2;
      layer.kernel_size = numbers(axes), layer.stride = numbers(axes), layer.padding = numbers(axes), layer.dilation = numbers(axes);
      layer.groups = numbers(1)[0];
    } else if (layer.kind == LayerKind::affine) {
      TORCH_CHECK(statistics.size() >= 2, op, ": statistics ends before layer ", k, ", which is a normalization");
      layer.mean = &statistics[0], layer.rstd = &statistics[1];
      statistics = statistics.slice(2);
    }
    found.push_back(layer);
  }
  TORCH_CHECK(geometry.empty() && statistics.empty(), op, ": ", geometry.size(), " numbers of geometry and ", statistics.size(),
              " tensors of statistics belong to no layer");
  return found;
}

}  // namespace knas
