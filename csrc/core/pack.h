// Buffers that begin at a cache line, and copies that put neighboring channels side by side.
#pragma once
#include <algorithm>
#include <cstdint>
#include <memory>
#include <new>
#include <type_traits>

#include "core/isa.h"

namespace knas {

constexpr std::align_val_t kLine{64};  // a vector that lies across two lines takes two loads

struct DeleteLines {
  void operator()(void* lines) const { ::operator delete(lines, kLine); }
};

// Uninitialized.
template <class A> using Lines = std::unique_ptr<A[], DeleteLines>;
template <class A> Lines<A> make_lines(std::int64_t size) {
  return Lines<A>(static_cast<A*>(::operator new(std::size_t(size) * sizeof(A), kLine)));
}

// to[k * step + r] = from[r * channel + k] for r, k < 4.
inline void transpose_4x4(const float* from, std::int64_t channel, float* to, std::int64_t step) {
  simd_t<float, 16> a, b, c, d;
  load(a, from), load(b, from + channel), load(c, from + 2 * channel), load(d, from + 3 * channel);
  const auto ab = __builtin_shufflevector(a, b, 0, 4, 1, 5), cd = __builtin_shufflevector(c, d, 0, 4, 1, 5);
  const auto ef = __builtin_shufflevector(a, b, 2, 6, 3, 7), gh = __builtin_shufflevector(c, d, 2, 6, 3, 7);
  store(to, __builtin_shufflevector(ab, cd, 0, 1, 4, 5)), store(to + step, __builtin_shufflevector(ab, cd, 2, 3, 6, 7));
  store(to + 2 * step, __builtin_shufflevector(ef, gh, 0, 1, 4, 5)), store(to + 3 * step, __builtin_shufflevector(ef, gh, 2, 3, 6, 7));
}

// std::copy calls a function, which takes longer than to copy a few elements.
template <class T, class A> void copy_few(const T* from, std::int64_t count, A* to) {
  if (count > 64) return static_cast<void>(std::copy(from, from + count, to));
  std::int64_t k = 0;
  if constexpr (std::is_same_v<T, A>)
    for (; k + 4 <= count; k += 4) std::memcpy(to + k, from + k, 4 * sizeof(A));
  for (; k < count; ++k) to[k] = A(from[k]);
}

// to[x * to_step + c] = from[x * from_step + c * channel] for x < count, c < channels.
template <class T, class A>
void copy_row(const T* from, std::int64_t from_step, std::int64_t channel, std::int64_t count, std::int64_t channels, A* to,
              std::int64_t to_step) {
  if (channel == 1 && from_step == channels && to_step == channels) {
    std::copy(from, from + count * channels, to);
  } else if (channel == 1) {
    for (std::int64_t x = 0; x < count; ++x) copy_few(from + x * from_step, channels, to + x * to_step);
  } else {
    std::int64_t done = 0;  // channels
    if constexpr (std::is_same_v<T, float> && std::is_same_v<A, float>)
      for (; from_step == 1 && done + 4 <= channels; done += 4) {
        std::int64_t x = 0;
        for (; x + 4 <= count; x += 4) transpose_4x4(from + done * channel + x, channel, to + x * to_step + done, to_step);
        for (; x < count; ++x)
          for (std::int64_t c = done; c < done + 4; ++c) to[x * to_step + c] = from[x + c * channel];
      }
    for (std::int64_t c = done; c < channels; ++c)
      for (std::int64_t x = 0; x < count; ++x) to[x * to_step + c] = A(from[x * from_step + c * channel]);
  }
}

}  // namespace knas
