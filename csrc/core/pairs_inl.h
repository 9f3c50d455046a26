#pragma once
#include <algorithm>

#include "core/dot.h"

namespace knas {

// count <= kDots products of `length` elements each; unused lanes repeat the first.
template <class A>
void long_dots(const A* x[kDots], const A* y[kDots], int count, std::int64_t length, double out[kDots]) {
  for (int k = count; k < kDots; ++k) x[k] = x[0], y[k] = y[0];
  std::fill(out, out + kDots, 0.0);
  for (std::int64_t q = 0; q < length; q += kDotBlock) {
    A part[kDots];
    dots(x, y, std::min(kDotBlock, length - q), part);
    for (int k = 0; k < kDots; ++k) out[k] += part[k], x[k] += kDotBlock, y[k] += kDotBlock;
  }
}

template <class A> void long_shifted_sums(const A* x, const A* y, std::int64_t length, A shift, double out[2]) {
  out[0] = out[1] = 0;
  for (std::int64_t q = 0; q < length; q += kDotBlock) {
    A part[2];
    shifted_sums(x + q, y + q, std::min(kDotBlock, length - q), shift, part);
    out[0] += part[0], out[1] += part[1];
  }
}

template <class A, class Input, class Gradient>
void evaluate_pairs(const PairPlan& plan, std::int64_t length, Input&& input, Gradient&& gradient, A* g) {
  for (const Pair& pair : plan.sums) {
    double sums[2];
    const A* y = gradient(pair.gradient);
    long_shifted_sums(y, y, length, A(0), sums);
    g[pair.entry] = A(sums[0]);
  }
  for (std::size_t first = 0; first < plan.products.size();) {
    const A *x[kDots], *y[kDots], *plane = input(plan.products[first].input);
    int count = 0;
    for (; count < kDots && first + count < plan.products.size(); ++count) {
      const Pair& pair = plan.products[first + count];
      if (pair.input != plan.products[first].input) break;
      x[count] = plane + pair.offset, y[count] = gradient(pair.gradient);
    }
    double out[kDots];
    long_dots(x, y, count, length, out);
    for (int k = 0; k < count; ++k) g[plan.products[first + k].entry] = A(out[k]);
    first += count;
  }
}

}  // namespace knas
