// Gram statistics of per-sample vectors. All results are double; rows are summed in blocks in their own type, and these in double.
#pragma once
#include <cstdint>

#include "core/isa.h"

namespace knas {

// What is known of a Gram matrix G[i, j] = <g_i, g_j> without forming it, from three sums over each entry e of the vectors:
//   S_e = sum_i g_ie,  Q_e = sum_i g_ie^2,  P_e = sum_{k < n/2} g_ke g_{k + n/2, e}.
struct GramSums {
  double mean = 0;               // (1/n^2) sum_ij G_ij = sum_e S_e^2 / n^2
  double mean_off_diagonal = 0;  // sum_{i != j} G_ij / (n (n - 1)); 0 for n < 2
  double trace = 0;              // sum_i G_ii = sum_e Q_e
  double split = 0;              // sum_{k < n/2} G_{k, k + n/2} = sum_e P_e
};

GramSums gram_sums(const double* entry_sums, std::int64_t entries, double trace, double split, std::int64_t n);

// matrix[i, j] = sum_e vectors[i, e] * vectors[j, e] for contiguous vectors[n, p].
template <class T> void gram_matrix(const T* vectors, std::int64_t n, std::int64_t p, double* matrix, int threads,
                                   Isa isa = best_isa());

// The sums of an n x n Gram matrix, read off its entries in row order; frobenius = sqrt(sum_ij G_ij^2).
GramSums sums_of_matrix(const double* matrix, std::int64_t n, double* frobenius);

extern template void gram_matrix(const float*, std::int64_t, std::int64_t, double*, int, Isa);
extern template void gram_matrix(const double*, std::int64_t, std::int64_t, double*, int, Isa);

}  // namespace knas
