// The inner loops of whole per-sample gradients of convolutions: sums over positions, held in registers.
#pragma once
#include <cstdint>

#include "core/isa.h"

namespace knas {

// Where a tile's vector of columns lies: read from `offset` behind a position's input, written at `column` of a row of
// gradients; only the first `valid` of its lanes are columns at all.
struct TileVector {
  std::int64_t offset, column;
  int valid;
};

// Positions t < count: gradients from left + t * step on, inputs from right + position[t] on. Row r of the sums goes to (or, with
// `add`, onto) out + r * out_step.
template <class A> struct TileOperands {
  const A* left;
  std::int64_t step;
  const A* right;
  const std::int64_t* position;
  std::int64_t count;
  A* out;
  std::int64_t out_step;
  int rows;
  bool add;
};

// One instruction set's compilations, for 1, 2, ... vectors. `outer` sums left[t][r] * right[t][lanes of v] in row r, for up to
// `rows` rows, `narrow` for up to half as many; `lanewise` sums left[t][lanes] * right[t][lanes of v] in the only row.
template <class A> struct ConvTiles {
  using Run = void (*)(const TileOperands<A>&, const TileVector*);
  static constexpr int kOuter = 3, kLanewise = 9;
  int lanes, rows;
  Run outer[kOuter], narrow[kOuter], lanewise[kLanewise];
};

template <class A> const ConvTiles<A>& conv_tiles(Isa isa);

}  // namespace knas
