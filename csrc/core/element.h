// Element types of captured tensors. bfloat16 and float16 are bit patterns that widen to float: no torch, no CUDA headers.
#pragma once
#include <cstdint>
#include <cstring>

namespace knas {

template <class To, class From> To same_bits(From from) {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  std::memcpy(&to, &from, sizeof to);
  return to;
}

struct bfloat16 {
  std::uint16_t bits;
  operator float() const { return same_bits<float>(std::uint32_t(bits) << 16); }
};

struct float16 {
  std::uint16_t bits;
  operator float() const {
    const std::uint32_t sign = std::uint32_t(bits & 0x8000u) << 16, magnitude = bits & 0x7fffu;
    if (magnitude >= 0x7c00u) return same_bits<float>(sign | 0x7f800000u | (magnitude & 0x3ffu) << 13);  // Inf, NaN
    // Shifted into a float's exponent field the value is 2^-112 of what is meant, subnormals included.
    return same_bits<float>(sign | same_bits<std::uint32_t>(same_bits<float>(magnitude << 13) * 0x1p112f));
  }
};

// Rounded to the nearest, ties to even; NaN stays NaN.
inline bfloat16 to_bfloat16(float value) {
  const auto bits = same_bits<std::uint32_t>(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return {std::uint16_t(bits >> 16 | 0x40u)};
  return {std::uint16_t((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16)};
}

// What sums over an element type are held in.
template <class T> struct accumulate { using type = float; };
template <> struct accumulate<double> { using type = double; };
template <class T> using accumulate_t = typename accumulate<T>::type;

}  // namespace knas

// Instantiates X for every element type.
#define KNAS_FOR_ELEMENTS(X) X(float) X(double) X(knas::bfloat16) X(knas::float16)
