#include "core/pairs.h"

#include <tuple>

namespace knas {

std::int64_t PairPlan::gradient_slot(std::int64_t plane) {
  const auto found = std::find(gradients.begin(), gradients.end(), plane);
  if (found != gradients.end()) return found - gradients.begin();
  gradients.push_back(plane);
  return std::int64_t(gradients.size()) - 1;
}

void PairPlan::sort() {
  std::sort(products.begin(), products.end(), [](const Pair& a, const Pair& b) {
    return std::tie(a.input, a.gradient, a.offset, a.entry) < std::tie(b.input, b.gradient, b.offset, b.entry);
  });
}

}  // namespace knas
