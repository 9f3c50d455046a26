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

// The tensors live as long as this, and so until the kernels are queued: the allocator gives their memory to later work of the
// same stream only.
struct CudaLayer {
  at::Tensor input, grad_output, entries;
  const char* op;
  bool interleaved;  // both tensors, with the channels side by side: for kernels that read that order

  // reads_interleaved: whether this layer's kernels do; then both keep the order of the input.
  CudaLayer(const at::Tensor& x, const at::Tensor& d, const at::Tensor& entries, const char* op, bool reads_interleaved)
      : entries(entries.contiguous()), op(op), interleaved(reads_interleaved && is_interleaved(x)) {
    TORCH_CHECK(entries.numel() <= std::numeric_limits<int>::max(), op, ": at most 2^31 - 1 entries, got ", entries.numel());
    input = interleaved ? x : x.contiguous();
    grad_output = !interleaved ? d.contiguous() : is_interleaved(d) ? d : d.movedim(1, -1).contiguous().movedim(-1, 1);
  }

  bool empty() const { return input.numel() == 0 || grad_output.numel() == 0 || entries.numel() == 0; }
  at::TensorOptions sums() const { return input.options().dtype(accumulate_type(input)); }
  at::TensorOptions doubles() const { return input.options().dtype(at::kDouble); }
  template <class T> cuda::Sampled<T> arguments() const {
    return {const_data<T>(input), const_data<T>(grad_output), const_data<std::int64_t>(entries), entries.numel(), interleaved};
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

// A normalization's mean or rstd as the kernels take it.
inline at::Tensor in_sum_type(const at::Tensor& statistic, const at::Tensor& input) { return statistic.to(accumulate_type(input)).contiguous(); }

}  // namespace knas
