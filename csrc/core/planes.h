// Where the elements of a tensor [n, channels, positions] lie: planes one after the other (positions next to each other), or
// channels side by side ("channels-last"). The CPU code reads both; element [i, c, t] is data[i * sample + c * channel + t * step].
#pragma once
#include <cstdint>

namespace knas {

template <class T> struct Planes {
  T* data;
  std::int64_t sample, channel, step;

  static Planes contiguous(T* data, std::int64_t channels, std::int64_t positions) {
    return {data, channels * positions, positions, 1};
  }
  static Planes interleaved(T* data, std::int64_t channels, std::int64_t positions) {
    return {data, channels * positions, 1, channels};
  }

  T* operator()(std::int64_t i, std::int64_t c) const { return data + i * sample + c * channel; }
  bool side_by_side() const { return step != 1; }
};

}  // namespace knas
