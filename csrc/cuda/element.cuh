// Reads the element types of core/element.h in device code, without CUDA headers: nvcc compiles this file, and so does the host
// compiler for the tests (tests/native/simt.h).
#pragma once
#include <cstdint>
#include <cstring>

#include "core/element.h"

namespace knas::cuda {

__device__ inline float bits_to_float(std::uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

__device__ inline float half_to_float(std::uint16_t bits) {
#ifdef __CUDACC__
  float value;
  asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(bits));
  return value;
#else
  return float16{bits};
#endif
}

__device__ inline float load(const float* x) { return __ldg(x); }
__device__ inline double load(const double* x) { return __ldg(x); }
__device__ inline float load(const bfloat16* x) { return bits_to_float(std::uint32_t(__ldg(&x->bits)) << 16); }
__device__ inline float load(const float16* x) { return half_to_float(__ldg(&x->bits)); }

template <class A> __device__ inline A not_a_number() { return A(bits_to_float(0x7fc00000u)); }

}  // namespace knas::cuda
