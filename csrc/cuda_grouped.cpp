// knas::grouped_gram on CUDA: the statistics of many layers in a few launches (cuda/grouped.cuh), the same to the bit as those of the
// operators per layer. One copy to the device, no wait.
#include <c10/cuda/CUDAGraphsC10Utils.h>
#include <torch/library.h>

#include <cstring>
#include <deque>

#include "cuda_layer.h"
#include "grouped.h"

namespace knas {
namespace {

using at::Tensor;

constexpr const char* kOp = "grouped_gram";

// A plan, and the contiguous copies of what it points to.
struct Plan {
  cuda::GroupedPlan launches;
  std::deque<CudaLayer> layers;
  std::deque<Tensor> statistics;

  void add(const GroupedLayer& a, std::int64_t row) {
    switch (a.kind) {
      case LayerKind::conv: {
        const auto g = check_conv({a.input, a.grad_output, a.entries, a.kernel_size, a.stride, a.padding, a.dilation, a.groups}, kOp);
        return add(CudaLayer(a.input, a.grad_output, a.entries, kOp, cuda::reads_interleaved(g)),
                   [&](auto arguments) { launches.add(g, arguments, row); });
      }
      case LayerKind::linear: {
        const auto g = check_linear(a.input, a.grad_output, a.entries, kOp);
        return add(CudaLayer(a.input, a.grad_output, a.entries, kOp, false), [&](auto arguments) { launches.add(g, arguments, row); });
      }
      case LayerKind::affine: {
        const auto g = check_affine(a.input, a.grad_output, *a.mean, *a.rstd, a.entries, kOp);
        const Tensor &m = statistics.emplace_back(in_sum_type(*a.mean, a.input)), &r = statistics.emplace_back(in_sum_type(*a.rstd, a.input));
        return add(CudaLayer(a.input, a.grad_output, a.entries, kOp, true), [&](auto arguments) {
          using A = accumulate_t<std::remove_cv_t<std::remove_pointer_t<decltype(arguments.input)>>>;
          launches.add(g, arguments, const_data<A>(m), const_data<A>(r), row);
        });
      }
    }
  }

  template <class Add> void add(CudaLayer&& made, Add&& to_plan) {
    const CudaLayer& layer = layers.emplace_back(std::move(made));
    if (!layer.empty()) dispatch_elements(layer.input, kOp, [&](auto t) { to_plan(layer.arguments<decltype(t)>()); });
  }
};

// From pinned memory, which the allocator keeps until the copy is done, so that the host goes on at once.
Tensor to_device(const std::vector<std::byte>& bytes, at::Device device) {
  auto host = at::empty({std::int64_t(bytes.size())}, at::TensorOptions(at::kByte).pinned_memory(device.is_cuda()));
  std::memcpy(host.mutable_data_ptr(), bytes.data(), bytes.size());
  return host.to(device, /*non_blocking=*/true);
}

Tensor grouped_gram(at::TensorList inputs, at::TensorList grad_outputs, at::TensorList entries, at::TensorList statistics,
                    at::IntArrayRef kinds, at::IntArrayRef geometry) {
  const auto layers = unpack({inputs, grad_outputs, entries, statistics, kinds, geometry});
  TORCH_CHECK(!layers.empty(), kOp, ": at least one layer expected");
  const at::Device device = inputs[0].device();
  const c10::cuda::CUDAGuard guard(device);
  TORCH_CHECK(c10::cuda::currentStreamCaptureStatusMayInitCtx() == c10::cuda::CaptureStatus::None, kOp,
              ": not in a CUDA graph, whose replay would copy the layers' descriptors again after they are gone; the operators per layer can be captured");
  Plan plan;
  for (std::size_t k = 0; k < layers.size(); ++k) {
    TORCH_CHECK(layers[k].input.device() == device, kOp, ": all layers must be on one device, got ", device, " and ", layers[k].input.device());
    plan.add(layers[k], std::int64_t(k));
  }
  const auto doubles = inputs[0].options().dtype(at::kDouble);
  auto out = at::zeros({std::int64_t(layers.size()), 4}, doubles), scratch = at::empty({plan.launches.scratch()}, doubles);
  if (plan.launches.empty()) return out;
  const auto descriptors = to_device(plan.launches.descriptors(), device);
  plan.launches.launch(static_cast<const std::byte*>(descriptors.const_data_ptr()), scratch.mutable_data_ptr<double>(),
                       out.mutable_data_ptr<double>(), c10::cuda::getCurrentCUDAStream());
  C10_CUDA_KERNEL_LAUNCH_CHECK();
  return out;
}

}  // namespace
}  // namespace knas

TORCH_LIBRARY_IMPL(knas, CUDA, m) { m.impl("grouped_gram", &knas::grouped_gram); }
