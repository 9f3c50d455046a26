// Stands for torch's header: there is one device, the CPU.
#pragma once
#include <c10/core/Device.h>

namespace c10::cuda {

struct CUDAGuard {
  explicit CUDAGuard(c10::Device) {}
  ~CUDAGuard() {}
};

}  // namespace c10::cuda
