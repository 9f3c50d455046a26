#include "core/gram.h"

#include <algorithm>
#include <cmath>

#include "core/dot.h"

namespace knas {
namespace {

// Rows first..first + count - 1; where the tile hangs over the edge, the last row again (its products are not used).
template <class T, int N>
void tile_rows(const T* vectors, std::int64_t p, std::int64_t first, std::int64_t n, std::int64_t offset, const T* rows[N]) {
  for (int k = 0; k < N; ++k) rows[k] = vectors + std::min(first + k, n - 1) * p + offset;
}

template <class T>
void gram_tile(const T* vectors, std::int64_t n, std::int64_t p, std::int64_t row, std::int64_t column, double* matrix) {
  double sums[kDots] = {};
  for (std::int64_t q = 0; q < p; q += kDotBlock) {
    const T *x[4], *y[2];
    T part[kDots];
    tile_rows<T, 4>(vectors, p, row, n, q, x);
    tile_rows<T, 2>(vectors, p, column, n, q, y);
    dots_4x2(x, y, std::min(kDotBlock, p - q), part);
    for (int k = 0; k < kDots; ++k) sums[k] += part[k];
  }
  for (std::int64_t i = row; i < std::min(row + 4, n); ++i)
    for (std::int64_t j = column; j < std::min(column + 2, i + 1); ++j)
      matrix[i * n + j] = matrix[j * n + i] = sums[2 * (i - row) + (j - column)];
}

}  // namespace

GramSums gram_sums(const double* entry_sums, std::int64_t entries, double trace, double split, std::int64_t n) {
  double total = 0;
  for (std::int64_t e = 0; e < entries; ++e) total += entry_sums[e] * entry_sums[e];
  const double pairs = double(n) * double(n - 1);
  return {n ? total / (double(n) * double(n)) : 0, n > 1 ? (total - trace) / pairs : 0, trace, split};
}

template <class T> void gram_matrix(const T* vectors, std::int64_t n, std::int64_t p, double* matrix, int threads) {
  const std::int64_t strips = (n + 3) / 4;
#pragma omp parallel for num_threads(threads) schedule(dynamic)
  for (std::int64_t strip = strips - 1; strip >= 0; --strip)  // the longest rows of the lower triangle first
    for (std::int64_t column = 0; column < std::min(4 * strip + 4, n); column += 2)
      gram_tile(vectors, n, p, 4 * strip, column, matrix);
}

GramSums sums_of_matrix(const double* matrix, std::int64_t n, double* frobenius) {
  double total = 0, squares = 0;
  GramSums sums;
  for (std::int64_t k = 0; k < n * n; ++k) total += matrix[k], squares += matrix[k] * matrix[k];
  for (std::int64_t i = 0; i < n; ++i) sums.trace += matrix[i * n + i];
  for (std::int64_t k = 0; k < n / 2; ++k) sums.split += matrix[k * n + k + n / 2];
  if (n > 0) sums.mean = total / (double(n) * double(n));
  if (n > 1) sums.mean_off_diagonal = (total - sums.trace) / (double(n) * double(n - 1));
  *frobenius = std::sqrt(squares);
  return sums;
}

template void gram_matrix(const float*, std::int64_t, std::int64_t, double*, int);
template void gram_matrix(const double*, std::int64_t, std::int64_t, double*, int);

}  // namespace knas
