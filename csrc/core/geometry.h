// Sizes of the layers whose per-sample gradients are sampled. Shared by the CPU code, the CUDA kernels and their tests.
#pragma once
#include <cstdint>

namespace knas {

// A convolution over 3 spatial axes; 1d and 2d ones have leading axes of size 1 (kernel 1, stride 1, padding 0).
//   input       [n, in_channels, in[0], in[1], in[2]]
//   grad_output [n, out_channels, out[0], out[1], out[2]]
//   weight      [out_channels, in_channels / groups, kernel[0], kernel[1], kernel[2]],  bias [out_channels]
// An entry e < weight size is a flat index into the weight; e - weight size is an index into the bias.
struct ConvGeometry {
  std::int64_t n, in_channels, out_channels, groups;
  std::int64_t in[3], out[3], kernel[3], stride[3], padding[3], dilation[3];

  constexpr std::int64_t taps() const { return kernel[0] * kernel[1] * kernel[2]; }
  constexpr std::int64_t in_plane() const { return in[0] * in[1] * in[2]; }
  constexpr std::int64_t out_plane() const { return out[0] * out[1] * out[2]; }
  constexpr std::int64_t group_channels() const { return in_channels / groups; }
  constexpr std::int64_t weights() const { return out_channels * group_channels() * taps(); }
};

// A linear layer at `positions` places per sample: input [n, positions, in_features], grad_output [n, positions, out_features].
// Entries: flat indices into weight [out_features, in_features], then bias [out_features].
struct LinearGeometry {
  std::int64_t n, positions, in_features, out_features;

  constexpr std::int64_t weights() const { return out_features * in_features; }
};

// The affine part of a normalization: input and grad_output [n, channels, positions], y = weight * (x - mean) * rstd + bias,
// mean and rstd [statistics, channels] with statistics = n (own for each sample) or 1 (shared). Entries: weight [channels], then bias.
struct AffineGeometry {
  std::int64_t n, channels, positions, statistics;
};

}  // namespace knas
