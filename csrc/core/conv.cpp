// Every weight entry of a convolution is one long dot product once both planes are packed: the input plane is split into
// stride phases, padded with zeros, and the gradient plane gets the phases' row length with zeros in the gaps. Each plane is
// read from memory once per sample, whatever number of taps is sampled; 1 x 1 convolutions use contiguous planes as they lie.
// Where channels lie side by side, the planes that are needed are picked out together, since they share cache lines.
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
      plan.add_sum(e, entries[e] - g.weights());
      continue;
    }
    const std::int64_t tap = entries[e] % g.taps(), rest = entries[e] / g.taps();
    const std::int64_t o = rest / g.group_channels(), c = rest % g.group_channels() + o / out_per_group * g.group_channels();
    const std::int64_t u[3] = {tap / (g.kernel[1] * g.kernel[2]), tap / g.kernel[2] % g.kernel[1], tap % g.kernel[2]};
    plan.add_product(e, c, packing.offset(g, u), o);
  }
  plan.sort();
  return plan;
}

// Some planes of a sample, from where they are read to where they are packed, `gap` elements apart.
template <class T, class A> struct Pick {
  static constexpr int kMost = 4;
  const T* from[kMost];
  std::int64_t step;  // between positions
  A* to;
  std::int64_t gap;
  int count;

  // One row of a phase of each: to[x] = row[x * stride + first], zero outside the row of `width` elements that begins at `start`.
  void row(std::int64_t start, std::int64_t width, std::int64_t first, std::int64_t stride, std::int64_t length, std::int64_t at) const {
    const std::int64_t begin = std::clamp<std::int64_t>(first < 0 ? (-first + stride - 1) / stride : 0, 0, length);
    const std::int64_t end = std::clamp<std::int64_t>(first < width ? (width - first + stride - 1) / stride : 0, begin, length);
    const std::int64_t offset = (start + first) * step, stretch = stride * step;
    for (int k = 0; k < count; ++k) {
      std::fill(to + k * gap + at, to + k * gap + at + begin, A(0));
      std::fill(to + k * gap + at + end, to + k * gap + at + length, A(0));
    }
    if (stretch == 1) copy<1>(offset + begin, 1, end - begin, at + begin);
    else if (count == 1) copy<1>(offset + begin * stretch, stretch, end - begin, at + begin);
    else if (count == 2) copy<2>(offset + begin * stretch, stretch, end - begin, at + begin);
    else if (count == 3) copy<3>(offset + begin * stretch, stretch, end - begin, at + begin);
    else copy<4>(offset + begin * stretch, stretch, end - begin, at + begin);
  }

  void zeros(std::int64_t begin, std::int64_t end) const {
    for (int k = 0; k < count; ++k) std::fill(to + k * gap + begin, to + k * gap + std::max(begin, end), A(0));
  }

 private:
  template <int K> void copy(std::int64_t offset, std::int64_t stretch, std::int64_t length, std::int64_t at) const {
    for (int first = 0; first < count; first += K)
      for (std::int64_t x = 0; x < length; ++x)
        for (int k = first; k < first + K; ++k) to[k * gap + at + x] = A(from[k][offset + x * stretch]);
  }
};

template <class T> class ConvSample {
  using A = accumulate_t<T>;

 public:
  ConvSample(const ConvGeometry& g, const ConvPacking& packing, const PairPlan& plan, Planes<const T> input, Planes<const T> grad)
      : g_(g), packing_(packing), plan_(plan), input_(input), grad_(grad), input_size_(packing.phases * packing.phase_size),
        packed_inputs_(input_direct() ? 0 : input_size_ * (together() ? plan.inputs.size() : 1)),
        packed_grads_(grad_direct() ? 0 : packing.length * plan.gradients.size()) {}

  void operator()(std::int64_t i, A* gradients) {
    if (!grad_direct())
      pick(grad_, i, plan_.gradients, packed_grads_, packing_.length, [&](const auto& planes) { pack_grads(planes); });
    if (together())
      pick(input_, i, plan_.inputs, packed_inputs_, input_size_, [&](const auto& planes) { pack_inputs(planes); });
    std::int64_t packed = -1;
    const auto input = [&](std::int64_t slot) {
      if constexpr (std::is_same_v<T, A>)
        if (input_direct()) return input_(i, plan_.inputs[slot]);
      if (together()) return static_cast<const A*>(packed_inputs_.data() + slot * input_size_);
      if (packed != slot) pack_inputs(Pick<T, A>{{input_(i, plan_.inputs[slot])}, 1, packed_inputs_.data(), 0, 1}), packed = slot;
      return static_cast<const A*>(packed_inputs_.data());
    };
    const auto gradient = [&](std::int64_t slot) {
      if constexpr (std::is_same_v<T, A>)
        if (grad_direct()) return grad_(i, plan_.gradients[slot]);
      return static_cast<const A*>(packed_grads_.data() + slot * packing_.length);
    };
    evaluate_pairs(plan_, packing_.length, input, gradient, gradients);
  }

 private:
  bool input_direct() const { return std::is_same_v<T, A> && packing_.input_as_is && !input_.side_by_side(); }
  bool grad_direct() const { return std::is_same_v<T, A> && packing_.grad_as_is && !grad_.side_by_side(); }
  bool together() const { return input_.side_by_side(); }

  template <class Pack>
  void pick(const Planes<const T>& planes, std::int64_t i, const std::vector<std::int64_t>& channels, std::vector<A>& packed,
            std::int64_t gap, Pack&& pack) {
    const std::size_t most = planes.side_by_side() ? Pick<T, A>::kMost : 1;
    for (std::size_t first = 0; first < channels.size(); first += most) {
      Pick<T, A> group{{}, planes.step, packed.data() + first * gap, gap, int(std::min(most, channels.size() - first))};
      for (int k = 0; k < group.count; ++k) group.from[k] = planes(i, channels[first + k]);
      pack(group);
    }
  }

  void pack_grads(const Pick<T, A>& planes) const {
    for (std::int64_t z = 0; z < g_.out[0]; ++z)
      for (std::int64_t y = 0; y < g_.out[1]; ++y) {
        const std::int64_t at = (z * packing_.phase[1] + y) * packing_.phase[2];
        const bool last = z == g_.out[0] - 1 && y == g_.out[1] - 1;
        planes.row((z * g_.out[1] + y) * g_.out[2], g_.out[2], 0, 1, last ? g_.out[2] : packing_.phase[2], at);
        if (y == g_.out[1] - 1 && !last) planes.zeros(at + packing_.phase[2], (z + 1) * packing_.phase[1] * packing_.phase[2]);
      }
  }

  void pack_inputs(const Pick<T, A>& planes) const {
    std::int64_t at = 0;
    for (std::int64_t pz = 0; pz < g_.stride[0]; ++pz)
      for (std::int64_t py = 0; py < g_.stride[1]; ++py)
        for (std::int64_t px = 0; px < g_.stride[2]; ++px)
          for (std::int64_t z = 0; z < packing_.phase[0]; ++z)
            for (std::int64_t y = 0; y < packing_.phase[1]; ++y, at += packing_.phase[2]) {
              const std::int64_t zi = z * g_.stride[0] + pz - g_.padding[0], yi = y * g_.stride[1] + py - g_.padding[1];
              const bool inside = zi >= 0 && zi < g_.in[0] && yi >= 0 && yi < g_.in[1];
              planes.row(inside ? (zi * g_.in[1] + yi) * g_.in[2] : 0, inside ? g_.in[2] : 0, px - g_.padding[2], g_.stride[2],
                         packing_.phase[2], at);
            }
  }

  const ConvGeometry& g_;
  const ConvPacking& packing_;
  const PairPlan& plan_;
  const Planes<const T> input_, grad_;
  const std::int64_t input_size_;
  std::vector<A> packed_inputs_, packed_grads_;
};

}  // namespace

template <class T>
void conv_sampled_gradients(const ConvGeometry& g, Planes<const T> input, Planes<const T> grad, const std::int64_t* entries,
                            std::int64_t s, accumulate_t<T>* gradients, int threads) {
  const ConvPacking packing(g);
  const PairPlan plan = conv_plan(g, packing, entries, s);
  each_sample(g.n, s, gradients, threads, [&] { return ConvSample<T>(g, packing, plan, input, grad); });
}

template <class T>
GramSums conv_gram(const ConvGeometry& g, Planes<const T> input, Planes<const T> grad, const std::int64_t* entries, std::int64_t s,
                   int threads) {
  const ConvPacking packing(g);
  const PairPlan plan = conv_plan(g, packing, entries, s);
  return fused_gram<accumulate_t<T>>(g.n, s, threads, [&] { return ConvSample<T>(g, packing, plan, input, grad); });
}

#define KNAS_INSTANTIATE(T)                                                                                                       \
  template void conv_sampled_gradients(const ConvGeometry&, Planes<const T>, Planes<const T>, const std::int64_t*, std::int64_t, \
                                       accumulate_t<T>*, int);                                                                   \
  template GramSums conv_gram(const ConvGeometry&, Planes<const T>, Planes<const T>, const std::int64_t*, std::int64_t, int);
KNAS_FOR_ELEMENTS(KNAS_INSTANTIATE)

}  // namespace knas
