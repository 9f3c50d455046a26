// Reads the element types of core/element.h in device code, without CUDA headers: nvcc compiles this file, and so does the host
// compiler for the tests (tests/native/simt.h).
#pragma once
#include <cstddef>
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

template <class A> struct alignas(4 * sizeof(A)) Four { A value[4]; };

// Four neighbours at once, from an address that is a multiple of their size (16 bytes will do for double's 32): one load of 16 bytes
// (double: two; 16-bit types: one of 8). Bit patterns come first, so that the types of the loads are CUDA's own.
__device__ inline Four<float> load_four(const float* x) {
  const uint4 four = __ldg(reinterpret_cast<const uint4*>(x));
  return {{bits_to_float(four.x), bits_to_float(four.y), bits_to_float(four.z), bits_to_float(four.w)}};
}
__device__ inline Four<double> load_four(const double* x) {
  const double2 low = __ldg(reinterpret_cast<const double2*>(x)), high = __ldg(reinterpret_cast<const double2*>(x) + 1);
  return {{low.x, low.y, high.x, high.y}};
}
__device__ inline Four<float> load_four(const bfloat16* x) {
  const uint2 four = __ldg(reinterpret_cast<const uint2*>(x));
  constexpr std::uint32_t upper = 0xffff0000u;
  return {{bits_to_float(four.x << 16), bits_to_float(four.x & upper), bits_to_float(four.y << 16), bits_to_float(four.y & upper)}};
}
__device__ inline Four<float> load_four(const float16* x) {
  const uint2 four = __ldg(reinterpret_cast<const uint2*>(x));
  return {{half_to_float(std::uint16_t(four.x)), half_to_float(std::uint16_t(four.x >> 16)), half_to_float(std::uint16_t(four.y)),
           half_to_float(std::uint16_t(four.y >> 16))}};
}

// Whether load_four may read at `x` and at every multiple of four elements from it. On the host.
template <class T> bool aligned_to_four(const T* x) {
  constexpr std::size_t bytes = 4 * sizeof(T) < 16 ? 4 * sizeof(T) : 16;
  return reinterpret_cast<std::uintptr_t>(x) % bytes == 0;
}

template <class A> __device__ inline A not_a_number() { return A(bits_to_float(0x7fc00000u)); }

}  // namespace knas::cuda
