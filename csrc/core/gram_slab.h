// The Gram matrix of vectors that come slab by slab: [n, some of their entries] at a time.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <type_traits>
#include <vector>

#include "core/gram_tile.h"

namespace knas {

// Whether a sum of squares of floats is far enough from both ends of float for every product in it to have its digits.
inline bool in_range(double square) { return square > 1e-30 && square < 1e36; }

// peaks[i] = max(peaks[i], |rows[i][q]|) over q.
template <class A> void raise_peaks(const A* rows, std::int64_t step, std::int64_t columns, std::vector<A>& peaks) {
  for (std::size_t i = 0; i < peaks.size(); ++i)
    for (std::int64_t q = 0; q < columns; ++q) peaks[i] = std::max(peaks[i], std::abs(rows[i * step + q]));
}

template <class A>
void scale_rows(const A* rows, std::int64_t step, std::int64_t columns, const std::vector<A>& scales, std::vector<A>& scaled) {
  scaled.resize(scales.size() * columns);
  for (std::size_t i = 0; i < scales.size(); ++i)
    for (std::int64_t q = 0; q < columns; ++q) scaled[i * columns + q] = rows[i * step + q] * scales[i];
}

// Adds up rows[i] . rows[j] in double. A slab's columns are split into groups of blocks of 1,024 (their n rows stay in a second
// level cache), whose sums are kept apart, and added in order at the end; a block's sums are in A. How columns are split depends
// on n and on the widest slab only, so the result does not depend on the number of threads.
template <class A> class SlabGram {
 public:
  SlabGram(std::int64_t n, std::int64_t widest, Isa isa = best_isa())
      : n_(n), tile_(gram_tile<A>(isa)), groups_(group_count(n, widest)), sums_(groups_ * n * n), tail_(n * tile_.lanes) {}

  // Takes rows[i * step + q], q < columns. All threads of a parallel region call it together.
  void add(const A* rows, std::int64_t step, std::int64_t columns) {
    const std::int64_t even = columns / tile_.lanes * tile_.lanes, share = (even + groups_ - 1) / groups_;
    const std::int64_t length = (share + tile_.lanes - 1) / tile_.lanes * tile_.lanes, bands = (n_ + kBand - 1) / kBand;
#pragma omp single
    keep_tail(rows, step, even, columns);
#pragma omp for schedule(dynamic) collapse(2)
    for (std::int64_t group = 0; group < groups_; ++group)
      for (std::int64_t band = 0; band < bands; ++band) {
        const std::int64_t end = std::min((group + 1) * length, even);
        for (std::int64_t q = group * length; q < end; q += kBlock)
          add_block(group, band, rows + q, step, std::min(kBlock, end - q));
        if (group == 0 && even < columns) add_block(group, band, tail_.data(), tile_.lanes, tile_.lanes);
      }
  }

  // All threads together, too.
  void finish(double* matrix) {
#pragma omp for schedule(static)
    for (std::int64_t i = 0; i < n_; ++i) {
      double* row = sums_.data() + i * n_;
      for (std::int64_t group = 1; group < groups_; ++group)
        for (std::int64_t j = 0; j <= i; ++j) row[j] += row[group * n_ * n_ + j];
      for (std::int64_t j = 0; j <= i; ++j) matrix[i * n_ + j] = matrix[j * n_ + i] = row[j];
    }
  }

 private:
  static constexpr std::int64_t kBlock = 1024, kBand = 48;  // a band is a whole number of every tile's rows

  static std::int64_t group_count(std::int64_t n, std::int64_t widest) {
    const std::int64_t most = std::clamp<std::int64_t>((std::int64_t(1) << 20) / (n * n), 1, 32);
    return std::clamp<std::int64_t>((widest + kBlock - 1) / kBlock, 1, most);
  }

  // The columns beyond the last whole vector, filled up with zeros.
  void keep_tail(const A* rows, std::int64_t step, std::int64_t even, std::int64_t columns) {
    for (std::int64_t i = 0; i < n_ && even < columns; ++i) {
      A* end = std::copy(rows + i * step + even, rows + i * step + columns, tail_.begin() + i * tile_.lanes).base();
      std::fill(end, tail_.data() + (i + 1) * tile_.lanes, A(0));
    }
  }

  void add_block(std::int64_t group, std::int64_t band, const A* rows, std::int64_t step, std::int64_t columns) {
    const std::int64_t bottom = std::min(n_, (band + 1) * kBand);
    for (std::int64_t i = band * kBand; i < bottom; i += tile_.rows)
      for (std::int64_t j = 0; j < std::min(i + tile_.rows, bottom); j += kGramColumns)
        add_tile(sums_.data() + group * n_ * n_, i, j, rows, step, columns);
  }

  // Where the tile hangs over the edge, the last row again; what lies above the diagonal is not used.
  void add_tile(double* sums, std::int64_t row, std::int64_t column, const A* rows, std::int64_t step, std::int64_t columns) {
    const A *x[kMaxGramRows], *y[kGramColumns];
    A out[kMaxGramRows * kGramColumns];
    for (int r = 0; r < tile_.rows; ++r) x[r] = rows + std::min(row + r, n_ - 1) * step;
    for (int c = 0; c < kGramColumns; ++c) y[c] = rows + std::min(column + c, n_ - 1) * step;
    tile_.run(x, y, columns / tile_.lanes, out);
    const std::int64_t height = std::min<std::int64_t>(tile_.rows, n_ - row), width = std::min<std::int64_t>(kGramColumns, n_ - column);
    for (std::int64_t r = 0; r < height; ++r)
      for (std::int64_t c = 0; c < width; ++c) sums[(row + r) * n_ + column + c] += out[r * kGramColumns + c];
  }

  std::int64_t n_;
  const GramTile<A>& tile_;
  std::int64_t groups_;
  std::vector<double> sums_;  // [groups, n, n]
  std::vector<A> tail_;       // [n, lanes]
};

// The Gram matrix of the slabs that `visit(take)`, called by all threads of a parallel region, hands to take(rows, step, columns).
//
// Where a row's square is out of range, the slabs are visited twice more: for each row's largest entry, and with the rows scaled by
// powers of two.
template <class A, class Visit>
void gram_of_slabs(std::int64_t n, std::int64_t widest, double* matrix, int threads, Isa isa, Visit&& visit) {
  const auto sum = [&](const std::vector<A>& scales) {
    SlabGram<A> gram(n, widest, isa);
    std::vector<A> scaled;
#pragma omp parallel num_threads(threads)
    {
      visit([&](const A* rows, std::int64_t step, std::int64_t columns) {
        if (scales.empty()) return gram.add(rows, step, columns);
#pragma omp single
        scale_rows(rows, step, columns, scales, scaled);
        gram.add(scaled.data(), columns, columns);
      });
      gram.finish(matrix);
    }
  };
  sum({});
  std::vector<std::int64_t> bad;
  for (std::int64_t i = 0; i < n; ++i)
    if (!in_range(matrix[i * n + i])) bad.push_back(i);
  if (std::is_same_v<A, double> || bad.empty()) return;
  std::vector<A> peaks(n), scales(n, A(1));
#pragma omp parallel num_threads(threads)
  visit([&](const A* rows, std::int64_t step, std::int64_t columns) {
#pragma omp single
    raise_peaks(rows, step, columns, peaks);
  });
  for (std::int64_t i = 0; i < n; ++i)  // zeros, and what is not finite anyway, stay as they are
    if (peaks[i] > 0 && std::isfinite(peaks[i])) scales[i] = std::ldexp(A(1), std::min(-std::ilogb(peaks[i]), 126));
  if (std::all_of(bad.begin(), bad.end(), [&](std::int64_t i) { return scales[i] == A(1); })) return;
  sum(scales);
  for (std::int64_t i = 0; i < n; ++i)
    for (std::int64_t j = 0; j < n; ++j) matrix[i * n + j] /= double(scales[i]) * double(scales[j]);
}

}  // namespace knas
