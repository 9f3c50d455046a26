// The inner loop of Gram matrices: tiles of dot products, held in registers.
#pragma once
#include <cstdint>

#include "core/isa.h"

namespace knas {

constexpr int kGramColumns = 4;   // vectors of a tile on one side; `rows` on the other
constexpr int kMaxGramRows = 4;

// out[r * kGramColumns + c] = sum_q x[r][q] * y[c][q] over `vectors` * `lanes` elements.
template <class A> struct GramTile {
  int lanes, rows;
  void (*run)(const A* const* x, const A* const* y, std::int64_t vectors, A* out);
};

template <class A> const GramTile<A>& gram_tile(Isa isa);

}  // namespace knas
