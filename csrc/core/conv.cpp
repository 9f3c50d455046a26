// Every weight entry of a convolution is one long dot product once both planes are packed: the input plane is split into
// stride phases, padded with zeros, and the gradient plane gets the phases' row length with zeros in the gaps. Each plane is
// read from memory once per sample, whatever number of taps is sampled; 1 x 1 convolutions use the planes as they lie.
#include <algorithm>
#include <type_traits>
#include <vector>

#include "core/layers.h"
#include "core/pairs.h"
#include "core/samples.h"

namespace knas {
namespace {

struct ConvPacking {
  std::int64_t phase[3], phases = 1, phase_size = 1, length;
  bool input_as_is = true, grad_as_is;

  explicit ConvPacking(const ConvGeometry& g) {
    for (int a = 0; a < 3; ++a) {
      const std::int64_t used = (g.out[a] - 1) * g.stride[a] + (g.kernel[a] - 1) * g.dilation[a] + 1;
      phase[a] = (used + g.stride[a] - 1) / g.stride[a];
      phases *= g.stride[a], phase_size *= phase[a];
      input_as_is = input_as_is && g.stride[a] == 1 && g.padding[a] == 0 && used == g.in[a];
    }
    grad_as_is = phase[1] == g.out[1] && phase[2] == g.out[2];
    length = ((g.out[0] - 1) * phase[1] + g.out[1] - 1) * phase[2] + g.out[2];
  }

  // Where in a packed input plane the run of tap (u[0], u[1], u[2]) begins.
  std::int64_t offset(const ConvGeometry& g, const std::int64_t u[3]) const {
    std::int64_t which = 0, shift = 0;
    for (int a = 0; a < 3; ++a) {
      const std::int64_t at = u[a] * g.dilation[a];
      which = which * g.stride[a] + at % g.stride[a];
      shift = shift * phase[a] + at / g.stride[a];
    }
    return which * phase_size + shift;
  }
};

PairPlan conv_plan(const ConvGeometry& g, const ConvPacking& packing, const std::int64_t* entries, std::int64_t s) {
  PairPlan plan;
  const std::int64_t out_per_group = g.out_channels / g.groups;
  for (std::int64_t e = 0; e < s; ++e) {
    if (entries[e] >= g.weights()) {
      plan.sums.push_back({e, 0, 0, plan.gradient_slot(entries[e] - g.weights())});
      continue;
    }
    const std::int64_t tap = entries[e] % g.taps(), rest = entries[e] / g.taps();
    const std::int64_t o = rest / g.group_channels(), c = rest % g.group_channels() + o / out_per_group * g.group_channels();
    const std::int64_t u[3] = {tap / (g.kernel[1] * g.kernel[2]), tap / g.kernel[2] % g.kernel[1], tap % g.kernel[2]};
    plan.products.push_back({e, c, packing.offset(g, u), plan.gradient_slot(o)});
  }
  plan.sort();
  return plan;
}

// One row of a phase: packed[x] = row[x * stride - padding + first], zero outside the row.
template <class T, class A>
void pack_row(const T* row, std::int64_t width, std::int64_t first, std::int64_t stride, std::int64_t count, A* packed) {
  const std::int64_t begin = std::clamp<std::int64_t>(first < 0 ? (-first + stride - 1) / stride : 0, 0, count);
  const std::int64_t end = std::clamp<std::int64_t>(first < width ? (width - first + stride - 1) / stride : 0, begin, count);
  std::fill(packed, packed + begin, A(0));
  if (stride == 1)
    for (std::int64_t x = begin; x < end; ++x) packed[x] = A(row[first + x]);
  else
    for (std::int64_t x = begin; x < end; ++x) packed[x] = A(row[first + x * stride]);
  std::fill(packed + end, packed + count, A(0));
}

template <class T> class ConvSample {
  using A = accumulate_t<T>;

 public:
  ConvSample(const ConvGeometry& g, const ConvPacking& packing, const PairPlan& plan, const T* input, const T* grad)
      : g_(g), packing_(packing), plan_(plan), input_(input), grad_(grad),
        packed_input_(input_direct() ? 0 : packing.phases * packing.phase_size),
        packed_grads_(grad_direct() ? 0 : packing.length * plan.gradients.size()) {}

  void operator()(std::int64_t i, A* gradients) {
    for (std::size_t slot = 0; slot < plan_.gradients.size() && !grad_direct(); ++slot)
      pack_grad(grad_plane(i, slot), packed_grads_.data() + slot * packing_.length);
    std::int64_t packed = -1;
    const auto input = [&](std::int64_t c) {
      const T* plane = input_ + (i * g_.in_channels + c) * g_.in_plane();
      if constexpr (std::is_same_v<T, A>)
        if (input_direct()) return plane;
      if (packed != c) pack_input(plane), packed = c;
      return static_cast<const A*>(packed_input_.data());
    };
    const auto gradient = [&](std::int64_t slot) {
      if constexpr (std::is_same_v<T, A>)
        if (grad_direct()) return grad_plane(i, slot);
      return static_cast<const A*>(packed_grads_.data() + slot * packing_.length);
    };
    evaluate_pairs(plan_, packing_.length, input, gradient, gradients);
  }

 private:
  bool input_direct() const { return std::is_same_v<T, A> && packing_.input_as_is; }
  bool grad_direct() const { return std::is_same_v<T, A> && packing_.grad_as_is; }
  const T* grad_plane(std::int64_t i, std::int64_t slot) const {
    return grad_ + (i * g_.out_channels + plan_.gradients[slot]) * g_.out_plane();
  }

  void pack_grad(const T* plane, A* packed) const {
    for (std::int64_t z = 0; z < g_.out[0]; ++z)
      for (std::int64_t y = 0; y < g_.out[1]; ++y) {
        A* row = packed + (z * packing_.phase[1] + y) * packing_.phase[2];
        const bool last = z == g_.out[0] - 1 && y == g_.out[1] - 1;
        pack_row(plane + (z * g_.out[1] + y) * g_.out[2], g_.out[2], 0, 1, last ? g_.out[2] : packing_.phase[2], row);
        if (y == g_.out[1] - 1 && !last) std::fill(row + packing_.phase[2], packed + (z + 1) * packing_.phase[1] * packing_.phase[2], A(0));
      }
  }

  void pack_input(const T* plane) {
    A* row = packed_input_.data();
    for (std::int64_t pz = 0; pz < g_.stride[0]; ++pz)
      for (std::int64_t py = 0; py < g_.stride[1]; ++py)
        for (std::int64_t px = 0; px < g_.stride[2]; ++px)
          for (std::int64_t z = 0; z < packing_.phase[0]; ++z)
            for (std::int64_t y = 0; y < packing_.phase[1]; ++y, row += packing_.phase[2]) {
              const std::int64_t zi = z * g_.stride[0] + pz - g_.padding[0], yi = y * g_.stride[1] + py - g_.padding[1];
              const bool inside = zi >= 0 && zi < g_.in[0] && yi >= 0 && yi < g_.in[1];
              pack_row(plane + (inside ? (zi * g_.in[1] + yi) * g_.in[2] : 0), inside ? g_.in[2] : 0, px - g_.padding[2],
                       g_.stride[2], packing_.phase[2], row);
            }
  }

  const ConvGeometry& g_;
  const ConvPacking& packing_;
  const PairPlan& plan_;
  const T *input_, *grad_;
  std::vector<A> packed_input_, packed_grads_;
};

}  // namespace

template <class T>
void conv_sampled_gradients(const ConvGeometry& g, const T* input, const T* grad, const std::int64_t* entries, std::int64_t s,
                            accumulate_t<T>* gradients, int threads) {
  const ConvPacking packing(g);
  const PairPlan plan = conv_plan(g, packing, entries, s);
  each_sample(g.n, s, gradients, threads, [&] { return ConvSample<T>(g, packing, plan, input, grad); });
}

template <class T>
GramSums conv_gram(const ConvGeometry& g, const T* input, const T* grad, const std::int64_t* entries, std::int64_t s, int threads) {
  const ConvPacking packing(g);
  const PairPlan plan = conv_plan(g, packing, entries, s);
  return fused_gram<accumulate_t<T>>(g.n, s, threads, [&] { return ConvSample<T>(g, packing, plan, input, grad); });
}

#define KNAS_INSTANTIATE(T)                                                                                                \
  template void conv_sampled_gradients(const ConvGeometry&, const T*, const T*, const std::int64_t*, std::int64_t,        \
                                       accumulate_t<T>*, int);                                                            \
  template GramSums conv_gram(const ConvGeometry&, const T*, const T*, const std::int64_t*, std::int64_t, int);
KNAS_FOR_ELEMENTS(KNAS_INSTANTIATE)

}  // namespace knas
