// A tile of R output channels x V vectors of input entries needs R scalars and V vectors per position for R V fused
// multiply-adds of a vector: with AVX-512 8 x 3 sums in 24 of 32 registers, 11 loads per 24 operations, which is below both
// load ports' rate; with AVX2 4 x 3 in 12 of 16 registers. The lanewise tile (depthwise convolutions: lanes are groups) has
// V + 1 loads for V operations and is bound by loads at half of the peak. No sums are spilled.
#include "core/conv_tile.h"

namespace knas {
namespace {

// Not inlined: it would be, once per sum of a tile.
template <class A> [[gnu::noinline]] void write_part(const A* sums, const TileVector& at, A* out, bool add) {
  for (int l = 0; l < at.valid; ++l) out[l] = add ? out[l] + sums[l] : sums[l];
}

template <class A, class V> KNAS_INLINE void write(const V& sum, const TileVector& at, A* row, bool add) {
  constexpr int kLanes = sizeof(V) / sizeof(A);
  A* out = row + at.column;
  if (at.valid == kLanes) {
    V before{};
    if (add) load(before, out);
    store(out, before + sum);
    return;
  }
  A lanes[kLanes];
  store(lanes, sum);
  write_part(lanes, at, out, add);
}

template <class A, int kBytes, int kRows, int kVectors>
KNAS_INLINE void outer_tile(const TileOperands<A>& in, const TileVector* vectors) {
  using V = simd_t<A, kBytes>;
  V sums[kRows][kVectors];
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) sums[r][v] = V{};
  const A *left = in.left, *column[kVectors];
  for (int v = 0; v < kVectors; ++v) column[v] = in.right + vectors[v].offset;
  for (std::int64_t t = 0; t < in.count; ++t, left += in.step) {
    const std::int64_t at = in.position[t];
    V x[kVectors];
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) load(x[v], column[v] + at);
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      const A d = left[r];
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) sums[r][v] += d * x[v];
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
    if (r == in.rows) return;
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) write(sums[r][v], vectors[v], in.out + r * in.out_step, in.add);
  }
}

template <class A, int kBytes, int kVectors>
KNAS_INLINE void lanewise_tile(const TileOperands<A>& in, const TileVector* vectors) {
  using V = simd_t<A, kBytes>;
  V sums[kVectors];
#pragma GCC unroll 9
  for (int v = 0; v < kVectors; ++v) sums[v] = V{};
  const A *left = in.left, *column[kVectors];
  for (int v = 0; v < kVectors; ++v) column[v] = in.right + vectors[v].offset;
  for (std::int64_t t = 0; t < in.count; ++t, left += in.step) {
    const std::int64_t at = in.position[t];
    V d, x;
    load(d, left);
#pragma GCC unroll 9
    for (int v = 0; v < kVectors; ++v) load(x, column[v] + at), sums[v] += d * x;
  }
#pragma GCC unroll 9
  for (int v = 0; v < kVectors; ++v) write(sums[v], vectors[v], in.out, in.add);
}

#define KNAS_CONV_TILES(target, name, bytes, rows)                                                               \
  template <class A, int kRows, int kVectors> target void outer_##name(const TileOperands<A>& in, const TileVector* v) { \
    outer_tile<A, bytes, kRows, kVectors>(in, v);                                                                \
  }                                                                                                              \
  template <class A, int kVectors> target void lanewise_##name(const TileOperands<A>& in, const TileVector* v) { \
    lanewise_tile<A, bytes, kVectors>(in, v);                                                                    \
  }                                                                                                              \
  template <class A> constexpr ConvTiles<A> tiles_##name = {                                                     \
      int(bytes / sizeof(A)), rows, {outer_##name<A, rows, 1>, outer_##name<A, rows, 2>, outer_##name<A, rows, 3>}, \
      {outer_##name<A, rows / 2, 1>, outer_##name<A, rows / 2, 2>, outer_##name<A, rows / 2, 3>},                \
      {lanewise_##name<A, 1>, lanewise_##name<A, 2>, lanewise_##name<A, 3>, lanewise_##name<A, 4>,               \
       lanewise_##name<A, 5>, lanewise_##name<A, 6>, lanewise_##name<A, 7>, lanewise_##name<A, 8>,               \
       lanewise_##name<A, 9>}};

KNAS_CONV_TILES(, baseline, 16, 4)
#ifdef KNAS_X86
KNAS_CONV_TILES(KNAS_TARGET_V3, v3, 32, 4)
KNAS_CONV_TILES(KNAS_TARGET_V4, v4, 64, 8)
#endif

}  // namespace

template <class A> const ConvTiles<A>& conv_tiles(Isa isa) {
#ifdef KNAS_X86
  if (isa == Isa::v4) return tiles_v4<A>;
  if (isa == Isa::v3) return tiles_v3<A>;
#endif
  static_cast<void>(isa);
  return tiles_baseline<A>;
}

template const ConvTiles<float>& conv_tiles<float>(Isa);
template const ConvTiles<double>& conv_tiles<double>(Isa);

}  // namespace knas
