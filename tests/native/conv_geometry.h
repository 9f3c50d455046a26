// From a test case that names a convolution's sizes to the geometry that the code takes, output sizes included.
#pragma once
#include <cstdint>

#include "core/geometry.h"

template <class Case> knas::ConvGeometry conv_geometry(const Case& c) {
  knas::ConvGeometry g{c.n, c.in_channels, c.out_channels, c.groups, {}, {}, {}, {}, {}, {}};
  for (int a = 0; a < 3; ++a) {
    g.in[a] = c.in[a], g.kernel[a] = c.kernel[a], g.stride[a] = c.stride[a], g.padding[a] = c.padding[a], g.dilation[a] = c.dilation[a];
    g.out[a] = (c.in[a] + 2 * c.padding[a] - c.dilation[a] * (c.kernel[a] - 1) - 1) / c.stride[a] + 1;
  }
  return g;
}
