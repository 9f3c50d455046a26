// Sums over channels that lie side by side: a vector register holds neighbouring channels and moves along the positions, so
// that channels-last tensors are read in the order in which they lie. Compiled once per instruction set, chosen when loaded.
#pragma once
#include <cstdint>

#include "core/element.h"

namespace knas {

// plain[c] += sum_t y[t][c], product[c] += sum_t y[t][c] * (x[t][c] - shift[c]) for x, y [positions, channels].
template <class T>
void interleaved_sums(const T* x, const T* y, std::int64_t positions, std::int64_t channels, const accumulate_t<T>* shift,
                      double* plain, double* product);

// plain[c] += sum_t (x[t][c] - shift[c]), square[c] += sum_t (x[t][c] - shift[c])^2.
template <class T>
void interleaved_squares(const T* x, std::int64_t positions, std::int64_t channels, const accumulate_t<T>* shift, double* plain,
                         double* square);

// y[t][c] = (x[t][c] - mean[c]) * scale[c] + shift[c]. With one channel this is a plane. Not for float16.
template <class T>
void interleaved_affine(const T* x, std::int64_t positions, std::int64_t channels, const accumulate_t<T>* mean,
                        const accumulate_t<T>* scale, const accumulate_t<T>* shift, T* y);

}  // namespace knas
