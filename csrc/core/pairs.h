// The plan behind every sampled layer: each entry is one dot product of a run of the input with a run of the output gradient.
#pragma once
#include <cstdint>
#include <vector>

namespace knas {

// Entry `entry` of the sampled vector is the product of input plane number `input` (from element `offset` on) and gradient plane
// number `gradient` of the plan's.
struct Pair {
  std::int64_t entry, input, offset, gradient;
};

// Pairs sorted by input plane, so that a sample's plane is packed once and used by all its entries while it is in cache.
struct PairPlan {
  std::vector<std::int64_t> inputs, gradients;  // distinct planes
  std::vector<Pair> products, sums;             // weight entries; bias entries (input and offset unused)

  void add_product(std::int64_t entry, std::int64_t input, std::int64_t offset, std::int64_t gradient);
  void add_sum(std::int64_t entry, std::int64_t gradient);
  void sort();
};

// g[entry] for all entries of one sample. `input(slot)` and `gradient(slot)` return the packed run; `length` elements are
// multiplied. The pointer from `input` need only live until the next call; those from `gradient` for the whole sample.
template <class A, class Input, class Gradient>
void evaluate_pairs(const PairPlan& plan, std::int64_t length, Input&& input, Gradient&& gradient, A* g);

}  // namespace knas

#include "core/pairs_inl.h"
