// What the CUDA operators of a layer do alike: contiguous tensors, empty inputs, results, dispatch over element types, the current stream.
#pragma once
#include <ATen/ATen.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include <limits>

#include "checks.h"
#include "cuda/launch.h"
#include "dispatch.h"

namespace knas {

// Whether both tensors [n, channels, ...] lie in memory with their channels last, and not as they would with the channels first.
inline bool channels_last(const at::Tensor& input, const at::Tensor& grad_output) {
  const auto last = [](const at::Tensor& t) { return t.dim() > 2 && t.movedim(1, -1).is_contiguous(); };
  return !(input.is_contiguous() && grad_output.is_contiguous()) && last(input) && last(grad_output);
}

// The tensors live as long as this, and so until the kernels are queued: the allocator gives their memory to later work of the
// same stream only.
struct Layer {
  at::Tensor input, grad_output, entries;
  const char* op;
  bool last;  // channels last in memory, which the kernels read as it is

  Layer(const at::Tensor& input, const at::Tensor& grad_output, const at::Tensor& entries, const char* op, bool last = false)
      : input(last ? input : input.contiguous()), grad_output(last ? grad_output : grad_output.contiguous()),
        entries(entries.contiguous()), op(op), last(last) {
    TORCH_CHECK(entries.numel() <= std::numeric_limits<int>::max(), op, ": at most 2^31 - 1 entries, got ", entries.numel());
  }

  bool empty() const { return input.numel() == 0 || grad_output.numel() == 0 || entries.numel() == 0; }
  at::TensorOptions sums() const { return input.options().dtype(accumulate_type(input)); }
  at::TensorOptions doubles() const { return input.options().dtype(at::kDouble); }
  template <class T> cuda::Sampled<T> arguments() const {
    return {const_data<T>(input), const_data<T>(grad_output), const_data<std::int64_t>(entries), entries.numel(), last};
  }

  // launch(T{}, g, stream) fills g [n, s].
  template <class Launch> at::Tensor gradients(Launch&& launch) const {
    const std::int64_t n = input.size(0), s = entries.numel();
    if (empty()) return at::zeros({n, s}, sums());
    auto g = at::empty({n, s}, sums());
    dispatch_elements(input, op, [&](auto t) {
      launch(t, g.mutable_data_ptr<accumulate_t<decltype(t)>>(), c10::cuda::getCurrentCUDAStream());
    });
    C10_CUDA_KERNEL_LAUNCH_CHECK();
    return g;
  }

  // launch(T{}, scratch, statistics, stream) fills the four statistics.
  template <class Launch> at::Tensor statistics(Launch&& launch) const {
    if (empty()) return at::zeros({4}, doubles());
    auto scratch = at::empty({cuda::gram_scratch(input.size(0), entries.numel())}, doubles()), out = at::empty({4}, doubles());
    dispatch_elements(input, op, [&](auto t) {
      launch(t, scratch.mutable_data_ptr<double>(), out.mutable_data_ptr<double>(), c10::cuda::getCurrentCUDAStream());
    });
    C10_CUDA_KERNEL_LAUNCH_CHECK();
    return out;
  }
};

inline bool reads_channels_last(const ConvGeometry& g, const at::Tensor& input, const at::Tensor& grad_output) {
  return channels_last(input, grad_output) && cuda::channels_last_works(g);
}

// A normalization's mean or rstd as the kernels take it.
inline at::Tensor in_sum_type(const at::Tensor& statistic, const at::Tensor& input) { return statistic.to(accumulate_type(input)).contiguous(); }

}  // namespace knas
