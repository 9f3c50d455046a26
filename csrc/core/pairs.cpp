#include "core/pairs.h"

#include <tuple>

namespace knas {

namespace {

std::int64_t slot_of(std::int64_t plane, std::vector<std::int64_t>& planes) {
  const auto found = std::find(planes.begin(), planes.end(), plane);
  if (found != planes.end()) return found - planes.begin();
  planes.push_back(plane);
  return std::int64_t(planes.size()) - 1;
}

}  // namespace

void PairPlan::add_product(std::int64_t entry, std::int64_t input, std::int64_t offset, std::int64_t gradient) {
  products.push_back({entry, slot_of(input, inputs), offset, slot_of(gradient, gradients)});
}

void PairPlan::add_sum(std::int64_t entry, std::int64_t gradient) { sums.push_back({entry, 0, 0, slot_of(gradient, gradients)}); }

void PairPlan::sort() {
  std::sort(products.begin(), products.end(), [](const Pair& a, const Pair& b) {
    return std::tie(a.input, a.gradient, a.offset, a.entry) < std::tie(b.input, b.gradient, b.offset, b.entry);
  });
}

}  // namespace knas
