// One sample's gradients after another's, for a range of a plan's units.
#pragma once
#include <algorithm>
#include <type_traits>

#include "core/conv_plan.h"
#include "core/pack.h"
#include "core/per_sample.h"

namespace knas {

// Each thread has its own, with its packed copies of the sample at hand.
template <class T> class ConvSample {
  using A = accumulate_t<T>;

 public:
  ConvSample(const ConvPlan& plan, const ConvTiles<A>& kernels, const Volumes<T>& input, const Volumes<T>& grad)
      : plan_(plan), kernels_(kernels), input_(input), grad_(grad), chunk_(plan.chunk(sizeof(A))),
        direct_(grad_is_direct()), left_step_(direct_ ? grad.axis[2] : plan.unit_size) {}

  // The columns of units first .. last - 1, side by side.
  void operator()(std::int64_t i, std::int64_t first, std::int64_t last, A* out) {
    const std::int64_t positions = plan_.position.size();
    pack_input(i, first, last);
    pack_grad(i, first, last);
    for (std::int64_t t = 0; t < positions; t += chunk_)
      for (std::int64_t unit = first; unit < last; ++unit)
        add(unit, unit - first, t, std::min(chunk_, positions - t), out + plan_.first_column(unit) - plan_.first_column(first));
  }

 private:
  std::int64_t group(std::int64_t unit) const { return plan_.lanewise ? 0 : unit / plan_.units_per_group(); }

  void add(std::int64_t unit, std::int64_t packed, std::int64_t t, std::int64_t count, A* out) const {
    TileOperands<A> in{left(unit, packed, t), left_step_, right(unit),
                       plan_.position.data() + t, count, out, plan_.columns_per_output(), int(plan_.outputs(unit)), t > 0};
    if (!plan_.lanewise) {
      const auto& kernel = plan_.narrow ? kernels_.narrow : kernels_.outer;
      for (const auto& tile : plan_.tiles) kernel[tile.size() - 1](in, tile.data());
      return;
    }
    for (std::int64_t lane = 0; lane < plan_.g.groups; lane += plan_.lanes) {
      for (auto tile : plan_.tiles) {
        for (auto& vector : tile) vector.valid = int(std::min<std::int64_t>(plan_.lanes, plan_.g.groups - lane));
        kernels_.lanewise[tile.size() - 1](in, tile.data());
      }
      in.left += plan_.lanes, in.right += plan_.lanes, in.out += plan_.lanes;
    }
  }

  // Where a unit's output gradients of position t lie.
  const A* left(std::int64_t unit, std::int64_t packed, std::int64_t t) const {
    if constexpr (std::is_same_v<T, A>)
      if (direct_) return sample_grad_ + plan_.first_output(unit) + t * left_step_;
    return grads_.get() + (packed * std::int64_t(plan_.position.size()) + t) * left_step_;
  }

  const A* right(std::int64_t unit) const {
    if constexpr (std::is_same_v<T, A>)
      if (plan_.direct) return sample_input_;
    return inputs_.get() + (group(unit) - first_group_) * plan_.size;
  }

  // Channels-last gradients whose tiles are whole are read where they lie.
  bool grad_is_direct() const {
    const ConvGeometry& g = plan_.g;
    const bool rows = g.out[1] == 1 || grad_.axis[1] == grad_.axis[2] * g.out[2];
    const bool planes = g.out[0] == 1 || grad_.axis[0] == grad_.axis[2] * g.out[1] * g.out[2];
    const bool whole_tiles = !plan_.lanewise && plan_.group_outputs() % plan_.rows == 0;
    return std::is_same_v<T, A> && grad_.channel == 1 && rows && planes && whole_tiles;
  }

  // The borders are zeros from the beginning, and stay so.
  void reserve_inputs(std::int64_t size) {
    if (size <= reserved_) return;
    inputs_ = make_lines<A>(reserved_ = size);
    std::fill(inputs_.get(), inputs_.get() + size, A(0));
  }

  void pack_input(std::int64_t i, std::int64_t first, std::int64_t last) {
    const ConvGeometry& g = plan_.g;
    sample_input_ = input_.data + i * input_.sample;
    if (plan_.direct) return;
    first_group_ = group(first);
    const std::int64_t groups = group(last - 1) + 1 - first_group_;
    reserve_inputs(groups * plan_.size + plan_.lanes);
    std::int64_t begin[3], end[3];
    for (int a = 0; a < 3; ++a) {
      begin[a] = std::min(g.padding[a], plan_.padded[a]);
      end[a] = std::min(g.padding[a] + g.in[a], plan_.padded[a]);
    }
    for (std::int64_t k = 0; k < groups; ++k)
      for (std::int64_t z = begin[0]; z < end[0]; ++z)
        for (std::int64_t y = begin[1]; y < end[1]; ++y) {
          const T* from = sample_input_ + (z - g.padding[0]) * input_.axis[0] + (y - g.padding[1]) * input_.axis[1];
          A* to = inputs_.get() + k * plan_.size + z * plan_.step[0] + y * plan_.step[1] + begin[2] * plan_.step[2];
          pack_input_row(from, first_group_ + k, end[2] - begin[2], to);
        }
  }

  void pack_input_row(const T* from, std::int64_t group, std::int64_t count, A* to) const {
    const std::int64_t channels = plan_.channels(), step = input_.axis[2];
    if (!plan_.lanewise)
      return copy_row(from + group * channels * input_.channel, step, input_.channel, count, channels, to, plan_.step[2]);
    for (std::int64_t c = 0; c < channels; ++c)
      copy_row(from + c * input_.channel, step, channels * input_.channel, count, plan_.g.groups, to + c * plan_.padded_groups(),
               plan_.step[2]);
  }

  // [units, positions, unit_size]
  void pack_grad(std::int64_t i, std::int64_t first, std::int64_t last) {
    const ConvGeometry& g = plan_.g;
    sample_grad_ = grad_.data + i * grad_.sample;
    if (direct_) return;
    if (!grads_)  // later blocks are no larger
      grads_ = make_lines<A>((last - first) * std::int64_t(plan_.position.size()) * plan_.unit_size);
    A* to = grads_.get();
    for (std::int64_t unit = first; unit < last; ++unit) {
      const T* from = sample_grad_ + (plan_.lanewise ? unit : plan_.first_output(unit)) * grad_.channel;
      const std::int64_t channel = plan_.lanewise ? plan_.group_outputs() * grad_.channel : grad_.channel;
      for (std::int64_t z = 0; z < g.out[0]; ++z)
        for (std::int64_t y = 0; y < g.out[1]; ++y, to += g.out[2] * plan_.unit_size)
          copy_row(from + z * grad_.axis[0] + y * grad_.axis[1], grad_.axis[2], channel, g.out[2],
                   plan_.lanewise ? g.groups : plan_.outputs(unit), to, plan_.unit_size);
    }
  }

  const ConvPlan& plan_;
  const ConvTiles<A>& kernels_;
  const Volumes<T>&input_, &grad_;
  const std::int64_t chunk_;
  const bool direct_;
  const std::int64_t left_step_;
  const T *sample_input_ = nullptr, *sample_grad_ = nullptr;
  std::int64_t first_group_ = 0, reserved_ = 0;
  Lines<A> inputs_, grads_;
};

}  // namespace knas
