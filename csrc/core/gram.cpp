#include "core/gram.h"

#include <cmath>

#include "core/gram_slab.h"

namespace knas {

GramSums gram_sums(const double* entry_sums, std::int64_t entries, double trace, double split, std::int64_t n) {
  double total = 0;
  for (std::int64_t e = 0; e < entries; ++e) total += entry_sums[e] * entry_sums[e];
  const double pairs = double(n) * double(n - 1);
  return {n ? total / (double(n) * double(n)) : 0, n > 1 ? (total - trace) / pairs : 0, trace, split};
}

template <class T> void gram_matrix(const T* vectors, std::int64_t n, std::int64_t p, double* matrix, int threads, Isa isa) {
  gram_of_slabs<T>(n, p, matrix, threads, isa, [&](auto&& take) { take(vectors, p, p); });
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

template void gram_matrix(const float*, std::int64_t, std::int64_t, double*, int, Isa);
template void gram_matrix(const double*, std::int64_t, std::int64_t, double*, int, Isa);

}  // namespace knas
