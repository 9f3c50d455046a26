// What the convolution's kernels share: a layer's arguments, what an entry of it is, and how a thread walks over output positions.
//   g[i, (o, c, u)] = sum_t d[i, o, t] x[i, c, t * stride + u * dilation - padding],   g[i, bias o] = sum_t d[i, o, t].
// I, the type of indices into one sample: uint32_t, or uint64_t for what it can't hold. Index arithmetic is modular: a sum that passes
// through "negative" values is right again once it is in range, and a coordinate outside the input, on either side, is >= its size.
#pragma once
#include <cstdint>

#include "core/geometry.h"
#include "cuda/launch.h"
#include "cuda/sampled.cuh"

namespace knas::cuda {

// A layer's arguments; sizes are computed on the host.
template <class T> struct ConvTask {
  const T* input;               // [n, in_channels, in[0], in[1], in[2]]; channels behind the axes where conv_last.cuh reads it
  const T* grad_output;         // [n, out_channels, out[0], out[1], out[2]], likewise
  const std::int64_t* entries;  // [s]
  std::int64_t s, n, weights, taps, in_sample, out_sample, in_plane, out_plane, in_channels, group_channels, out_channels, group_outputs;
  std::int64_t in[3], out[3], kernel[3], stride[3], padding[3], dilation[3];
};

template <class T> ConvTask<T> conv_task(const ConvGeometry& g, const Sampled<T>& a) {
  ConvTask<T> task{a.input, a.grad_output, a.entries, a.s, g.n, g.weights(), g.taps(), g.in_channels * g.in_plane(),
                   g.out_channels * g.out_plane(), g.in_plane(), g.out_plane(), g.in_channels, g.group_channels(), g.out_channels,
                   g.out_channels / g.groups, {}, {}, {}, {}, {}, {}};
  for (int a = 0; a < 3; ++a) {
    task.in[a] = g.in[a], task.out[a] = g.out[a], task.kernel[a] = g.kernel[a];
    task.stride[a] = g.stride[a], task.padding[a] = g.padding[a], task.dilation[a] = g.dilation[a];
  }
  return task;
}

// Whether 32 bits hold every index into one sample or the parameters, and every padded coordinate.
inline bool conv_fits_32_bits(const ConvGeometry& g) {
  constexpr std::int64_t limit = std::int64_t(1) << 31;
  bool fits = g.in_channels * g.in_plane() < limit && g.out_channels * g.out_plane() < limit && g.weights() < limit;
  for (int a = 0; a < 3; ++a) {
    fits = fits && g.padding[a] < limit / 4 && g.in[a] + 2 * g.padding[a] < limit && g.stride[a] < limit && g.out[a] * g.stride[a] < limit;
  }
  return fits;
}

// Whether the first axis is one of those that 1d and 2d convolutions lack.
inline bool conv_has_2_axes(const ConvGeometry& g) { return g.in[0] == 1 && g.out[0] == 1 && g.kernel[0] == 1 && g.padding[0] == 0; }

// One entry: its input and output channel, and its tap as a shift: coordinate in the input = position * stride + shift.
template <class Acc, class I> struct ConvEntry {
  I in_channel, out_channel, shift[3];
  Acc outside;  // what x is replaced by outside of the input: 0; 1 for a bias; NaN for an entry that does not exist
};

// kAxes: the last 2, or all 3. A bias, or what does not exist, lies outside of the input wherever the position is.
template <int kAxes, class I, class T>
__device__ inline ConvEntry<accumulate_t<T>, I> conv_entry(const ConvTask<T>& task, std::int64_t index) {
  using Acc = accumulate_t<T>;
  const std::int64_t entry = task.entries[index < task.s ? index : task.s - 1];
  const bool bias = entry >= task.weights, exists = entry >= 0 && entry < task.weights + task.out_channels;
  ConvEntry<Acc, I> e{0, 0, {0, 0, 0}, exists ? Acc(bias) : not_a_number<Acc>()};
  if (!exists || bias) {
    for (int a = 0; a < 3; ++a) e.shift[a] = I(task.in[a]);
    if (exists) e.out_channel = I(entry - task.weights);
    return e;
  }
  // In I, not in int64_t: 32-bit divisions take a third of the time, and a block can't start without them.
  const I flat = I(entry), taps = I(task.taps), group_channels = I(task.group_channels), row = flat / taps;
  I rest = flat % taps;
  e.out_channel = row / group_channels;
  e.in_channel = e.out_channel / I(task.group_outputs) * group_channels + row % group_channels;
  for (int a = 2; a >= 3 - kAxes; --a) {
    e.shift[a] = rest % I(task.kernel[a]) * I(task.dilation[a]) - I(task.padding[a]);
    rest /= I(task.kernel[a]);
  }
  return e;
}

// Coordinates of output positions first, first + step, ..., each times its stride.
template <class T, int kAxes, class I> struct ConvWalk {
  static constexpr int kFirstAxis = 3 - kAxes;
  struct Position { I x[3]; };

  const ConvTask<T>& task;  // read where it lies: constant memory (shared memory in a grouped launch), not registers
  Position start, step;
  I size[3];

  __device__ ConvWalk(const ConvTask<T>& task, I first, I by) : task(task), start(at(first)), step(at(by)) {
    KNAS_UNROLL
    for (int a = 0; a < 3; ++a) size[a] = I(task.out[a] * task.stride[a]);
  }

  __device__ Position at(I t) const {
    Position p{{0, 0, 0}};
    for (int a = 2; a > kFirstAxis; --a) p.x[a] = t % I(task.out[a]) * I(task.stride[a]), t /= I(task.out[a]);
    p.x[kFirstAxis] = t * I(task.stride[kFirstAxis]);
    return p;
  }

  __device__ void advance(Position& p) const {
    KNAS_UNROLL
    for (int a = 2; a >= kFirstAxis; --a) {
      p.x[a] += step.x[a];
      if (a > kFirstAxis && p.x[a] >= size[a]) p.x[a] -= size[a], p.x[a - 1] += I(task.stride[a - 1]);
    }
  }

  // Where the coordinates lie in an input plane; of a shift: how far it moves there.
  __device__ I offset(const I (&x)[3]) const { return ((kAxes == 3 ? x[0] * I(task.in[1]) : I(0)) + x[1]) * I(task.in[2]) + x[2]; }

  __device__ bool inside(const Position& p, const I (&shift)[3]) const {
    bool inside = true;
    KNAS_UNROLL
    for (int a = kFirstAxis; a < 3; ++a) inside = inside && p.x[a] + shift[a] < I(task.in[a]);
    return inside;
  }
};

}  // namespace knas::cuda
