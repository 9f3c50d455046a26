// R x 4 dot products need R + 4 loads of a vector for 4 R fused multiply-adds: with AVX-512 4 x 4 sums in 16 of 32 registers
// (6 x 4 are no faster: more of them lie above the diagonal), with AVX2 3 x 4 in 12 of 16. The lanes of four sums are added by
// one transposition, about 6 instructions per sum: a tenth of the time of a block of 1,024 floats.
#include "core/gram_tile.h"

namespace knas {
namespace {

template <class A, class V> KNAS_INLINE void to_quad(const V& v, simd_t<A, 4 * sizeof(A)>& quad) {
  constexpr int kLanes = sizeof(V) / sizeof(A);
  if constexpr (kLanes == 4) {
    quad = v;
  } else if constexpr (kLanes == 8) {
    quad = __builtin_shufflevector(v, v, 0, 1, 2, 3) + __builtin_shufflevector(v, v, 4, 5, 6, 7);
  } else {
    const simd_t<A, 8 * sizeof(A)> half =
        __builtin_shufflevector(v, v, 0, 1, 2, 3, 4, 5, 6, 7) + __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15);
    to_quad<A>(half, quad);
  }
}

// out[k] = sum of the lanes of sums[k], k < 4.
template <class A, class V> KNAS_INLINE void add_lanes(const V* sums, A* out) {
  simd_t<A, 4 * sizeof(A)> a, b, c, d;
  to_quad<A>(sums[0], a), to_quad<A>(sums[1], b), to_quad<A>(sums[2], c), to_quad<A>(sums[3], d);
  const auto ab = __builtin_shufflevector(a, b, 0, 4, 1, 5) + __builtin_shufflevector(a, b, 2, 6, 3, 7);
  const auto cd = __builtin_shufflevector(c, d, 0, 4, 1, 5) + __builtin_shufflevector(c, d, 2, 6, 3, 7);
  store(out, __builtin_shufflevector(ab, cd, 0, 1, 4, 5) + __builtin_shufflevector(ab, cd, 2, 3, 6, 7));
}

template <class A, int kBytes, int kRows>
KNAS_INLINE void dots(const A* const* x, const A* const* y, std::int64_t vectors, A* out) {
  using V = simd_t<A, kBytes>;
  constexpr std::int64_t kLanes = kBytes / sizeof(A);
  V sums[kRows][kGramColumns];
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 8
    for (int c = 0; c < kGramColumns; ++c) sums[r][c] = V{};
  const A *row[kRows], *column[kGramColumns];
  for (int r = 0; r < kRows; ++r) row[r] = x[r];
  for (int c = 0; c < kGramColumns; ++c) column[c] = y[c];
  for (std::int64_t q = 0; q < vectors * kLanes; q += kLanes) {
    V u, v[kGramColumns];
#pragma GCC unroll 8
    for (int c = 0; c < kGramColumns; ++c) load(v[c], column[c] + q);
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      load(u, row[r] + q);
#pragma GCC unroll 8
      for (int c = 0; c < kGramColumns; ++c) sums[r][c] += u * v[c];
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) add_lanes(sums[r], out + r * kGramColumns);
}

#define KNAS_GRAM_TILE(target, name, lanes, rows)                                                              \
  template <class A> target void dots_##name(const A* const* x, const A* const* y, std::int64_t n, A* out) {   \
    dots<A, lanes * sizeof(A), rows>(x, y, n, out);                                                            \
  }

// Of doubles a vector has at least four lanes, too; where the registers are shorter it takes two.
KNAS_GRAM_TILE(, baseline, 4, 2)
#ifdef KNAS_X86
KNAS_GRAM_TILE(KNAS_TARGET_V3, v3, (32 / sizeof(A)), 3)
KNAS_GRAM_TILE(KNAS_TARGET_V4, v4, (64 / sizeof(A)), 4)
#endif

}  // namespace

template <class A> const GramTile<A>& gram_tile(Isa isa) {
#ifdef KNAS_X86
  static constexpr GramTile<A> v4 = {64 / sizeof(A), 4, dots_v4<A>}, v3 = {32 / sizeof(A), 3, dots_v3<A>};
  if (isa == Isa::v4) return v4;
  if (isa == Isa::v3) return v3;
#endif
  static_cast<void>(isa);
  static constexpr GramTile<A> baseline = {4, 2, dots_baseline<A>};
  return baseline;
}

template const GramTile<float>& gram_tile<float>(Isa);
template const GramTile<double>& gram_tile<double>(Isa);

}  // namespace knas
