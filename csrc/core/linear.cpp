// A linear layer's entry is the dot product of one column of the input with one of the gradient over the positions: distinct
// columns are gathered once per sample. With a single position that is one multiplication and nothing is gathered twice.
#include <vector>

#include "core/layers.h"
#include "core/pairs.h"
#include "core/samples.h"

namespace knas {
namespace {

PairPlan linear_plan(const LinearGeometry& g, const std::int64_t* entries, std::int64_t s) {
  PairPlan plan;
  for (std::int64_t e = 0; e < s; ++e) {
    if (entries[e] >= g.weights())
      plan.add_sum(e, entries[e] - g.weights());
    else
      plan.add_product(e, entries[e] % g.in_features, 0, entries[e] / g.in_features);
  }
  plan.sort();
  return plan;
}

template <class T> class LinearSample {
  using A = accumulate_t<T>;

 public:
  LinearSample(const LinearGeometry& g, const PairPlan& plan, const T* input, const T* grad)
      : g_(g), plan_(plan), input_(input), grad_(grad), column_(g.positions), grads_(g.positions * plan.gradients.size()) {}

  void operator()(std::int64_t i, A* gradients) {
    for (std::size_t slot = 0; slot < plan_.gradients.size(); ++slot)
      gather(grad_ + i * g_.positions * g_.out_features + plan_.gradients[slot], g_.out_features, grads_.data() + slot * g_.positions);
    std::int64_t gathered = -1;
    const auto input = [&](std::int64_t slot) {
      const T* first = input_ + i * g_.positions * g_.in_features + plan_.inputs[slot];
      if (gathered != slot) gather(first, g_.in_features, column_.data()), gathered = slot;
      return static_cast<const A*>(column_.data());
    };
    const auto gradient = [&](std::int64_t slot) { return static_cast<const A*>(grads_.data() + slot * g_.positions); };
    evaluate_pairs(plan_, g_.positions, input, gradient, gradients);
  }

 private:
  void gather(const T* first, std::int64_t stride, A* column) const {
    for (std::int64_t t = 0; t < g_.positions; ++t) column[t] = A(first[t * stride]);
  }

  const LinearGeometry& g_;
  const PairPlan& plan_;
  const T *input_, *grad_;
  std::vector<A> column_, grads_;
};

}  // namespace

template <class T>
void linear_sampled_gradients(const LinearGeometry& g, const T* input, const T* grad, const std::int64_t* entries, std::int64_t s,
                              accumulate_t<T>* gradients, int threads) {
  const PairPlan plan = linear_plan(g, entries, s);
  each_sample(g.n, s, gradients, threads, [&] { return LinearSample<T>(g, plan, input, grad); });
}

template <class T>
GramSums linear_gram(const LinearGeometry& g, const T* input, const T* grad, const std::int64_t* entries, std::int64_t s, int threads) {
  const PairPlan plan = linear_plan(g, entries, s);
  return fused_gram<accumulate_t<T>>(g.n, s, threads, [&] { return LinearSample<T>(g, plan, input, grad); });
}

#define KNAS_INSTANTIATE(T)                                                                                              \
  template void linear_sampled_gradients(const LinearGeometry&, const T*, const T*, const std::int64_t*, std::int64_t,  \
                                         accumulate_t<T>*, int);                                                        \
  template GramSums linear_gram(const LinearGeometry&, const T*, const T*, const std::int64_t*, std::int64_t, int);
KNAS_FOR_ELEMENTS(KNAS_INSTANTIATE)

}  // namespace knas
