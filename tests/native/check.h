// What the native tests share: random tensors of every element type, and comparison with a double reference.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <random>
#include <string>
#include <type_traits>
#include <vector>

#include "core/element.h"

namespace check {

#ifdef __SANITIZE_THREAD__  // ten times slower, and what it looks for does not depend on every size: a choice of cases will do
constexpr bool kEveryCase = false;
#else
constexpr bool kEveryCase = true;
#endif

inline int failures = 0, passes = 0;

inline void that(bool good, const std::string& what) {
  good ? ++passes : ++failures;
  if (!good) std::printf("FAILED %s\n", what.c_str());
}

// Relative to the whole vector's norm: single entries may cancel.
template <class A, class B> double distance(const A& got, const B& want) {
  double error = 0, norm = 0;
  for (std::size_t k = 0; k < want.size(); ++k) {
    error += (double(got[k]) - double(want[k])) * (double(got[k]) - double(want[k]));
    norm += double(want[k]) * double(want[k]);
  }
  return norm > 0 ? std::sqrt(error / norm) : std::sqrt(error);
}

template <class A, class B> void close(const A& got, const B& want, double tolerance, const std::string& what) {
  const double d = got.size() == want.size() ? distance(got, want) : INFINITY;
  that(d <= tolerance, what + ": distance " + std::to_string(d) + " of " + std::to_string(want.size()));
}

template <class T> constexpr double tolerance = std::is_same_v<T, double> ? 1e-12 : 1e-5;

inline int finish() {
  std::printf("%d passed, %d failed\n", passes, failures);
  return failures != 0;
}

// Exact when the value has few bits; the tests draw multiples of 1/16.
template <class T> T narrow(float value) {
  if constexpr (std::is_same_v<T, knas::bfloat16>) {
    return {std::uint16_t(knas::same_bits<std::uint32_t>(value) >> 16)};
  } else if constexpr (std::is_same_v<T, knas::float16>) {
    const auto bits = knas::same_bits<std::uint32_t>(value * 0x1p-112f);  // value in half's exponent range, 13 bits to the left
    return {std::uint16_t((bits >> 16 & 0x8000u) | (bits & 0x7fffffffu) >> 13)};
  } else {
    return T(value);
  }
}

template <class T> std::vector<T> random(std::int64_t size, std::mt19937& generator) {
  std::vector<T> values(size);
  std::normal_distribution<double> gauss;
  for (auto& v : values) {
    const double x = gauss(generator);
    if constexpr (std::is_floating_point_v<T>) v = T(x);
    else v = narrow<T>(float(std::round(x * 16) / 16));
  }
  return values;
}

// The four statistics of per-sample vectors g [n, s] by the definition: all n^2 inner products.
inline std::vector<double> statistics(const std::vector<double>& g, std::int64_t n, std::int64_t s) {
  double all = 0, trace = 0, split = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    for (std::int64_t j = 0; j < n; ++j) {
      double product = 0;
      for (std::int64_t e = 0; e < s; ++e) product += g[i * s + e] * g[j * s + e];
      all += product;
      if (i == j) trace += product;
      if (i < n / 2 && j == i + n / 2) split += product;
    }
  }
  return {all / double(n * n), n < 2 ? 0 : (all - trace) / double(n * (n - 1)), trace, split};
}

// Sampled entries: blocks of neighbours, single ones, repeats; sorted or not.
inline std::vector<std::int64_t> random_entries(std::int64_t s, std::int64_t parameters, std::mt19937& generator) {
  std::vector<std::int64_t> entries;
  std::uniform_int_distribution<std::int64_t> any(0, parameters - 1);
  while (std::int64_t(entries.size()) < s) {
    const std::int64_t first = any(generator);
    const std::int64_t length = generator() % 3 ? 9 : 1;
    for (std::int64_t k = 0; k < length && std::int64_t(entries.size()) < s; ++k) entries.push_back((first + k) % parameters);
  }
  if (generator() % 2) std::sort(entries.begin(), entries.end());
  return entries;
}

// [n, channels, positions] with the channels side by side: [n, positions, channels].
template <class T>
std::vector<T> side_by_side(const std::vector<T>& planes, std::int64_t n, std::int64_t channels, std::int64_t positions) {
  std::vector<T> out(planes.size());
  for (std::int64_t i = 0; i < n; ++i)
    for (std::int64_t c = 0; c < channels; ++c)
      for (std::int64_t t = 0; t < positions; ++t) out[(i * positions + t) * channels + c] = planes[(i * channels + c) * positions + t];
  return out;
}

}  // namespace check
