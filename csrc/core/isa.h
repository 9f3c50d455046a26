// Which of a kernel's compilations runs: templates over vector size and register tile, compiled once per instruction set.
#pragma once
#include <cstdint>
#include <cstring>

#include "core/clones.h"

// A function marked so may use the instruction set's registers; KNAS_INLINE templates take it over where they are called.
#if defined(__x86_64__) && defined(__GNUC__)
#define KNAS_X86 1
#define KNAS_TARGET_V4 __attribute__((target("arch=x86-64-v4")))
#define KNAS_TARGET_V3 __attribute__((target("arch=x86-64-v3")))
#endif

namespace knas {

enum class Isa { baseline, v3, v4 };  // 16 byte vectors; AVX2 with FMA; AVX-512 with its 32 registers

inline Isa best_isa() {
#ifdef KNAS_X86
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512cd"))
    return Isa::v4;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2")) return Isa::v3;
#endif
  return Isa::baseline;
}

template <class A, int kBytes> struct simd {
  typedef A type __attribute__((vector_size(kBytes)));
};
template <class A, int kBytes> using simd_t = typename simd<A, kBytes>::type;

// By reference: a vector as a function's value would need the instruction set in the caller, too.
template <class V, class A> KNAS_INLINE void load(V& v, const A* from) { std::memcpy(&v, from, sizeof v); }
template <class V, class A> KNAS_INLINE void store(A* to, const V& v) { std::memcpy(to, &v, sizeof v); }

}  // namespace knas
