// How the whole per-sample gradients of a convolution are laid out in tiles: shared by all samples of a call.
#pragma once
#include <cstdint>
#include <vector>

#include "core/conv_tile.h"
#include "core/geometry.h"

namespace knas {

// The columns of a sample's gradient come in `units`, which are computed on their own:
//   outer     a unit is up to `rows` output channels of a group; column o * K + tap * C + c
//   lanewise  a unit is one output channel of every group, and lanes are groups; column (r * K + tap * C + c) * groups + group
// with C = in_channels / groups and K = C * taps. The packed input is [groups, *padded, C], or [*padded, C, lanes of groups].
// An input whose channels lie side by side and which is read without padding in whole vectors needs no packing.
struct ConvPlan {
  // distances: those of the input along its axes if its channels lie side by side, else null.
  ConvPlan(const ConvGeometry& g, int lanes, int rows, const std::int64_t* distances);

  const ConvGeometry& g;
  const int lanes;
  bool narrow;                             // units of half as many rows, for groups of few outputs
  const int rows;
  bool lanewise, direct;                   // direct: the input is not packed
  std::int64_t padded[3];                  // what is read of the padded input
  std::int64_t step[3];                    // distances in the packed input, or in the direct one
  std::int64_t size = 1;                   // elements of a packed input, of one group of it if not lanewise
  std::int64_t units, unit_size;           // unit_size: elements of a position's packed output gradient
  std::vector<std::int64_t> position;      // of each output position in the packed input
  std::vector<std::vector<TileVector>> tiles;  // of a unit, each of at most as many vectors as a kernel takes

  std::int64_t channels() const { return g.group_channels(); }
  std::int64_t columns_per_output() const { return channels() * g.taps(); }
  std::int64_t group_outputs() const { return g.out_channels / g.groups; }
  std::int64_t units_per_group() const { return (group_outputs() + rows - 1) / rows; }
  std::int64_t padded_groups() const { return (g.groups + lanes - 1) / lanes * lanes; }
  std::int64_t first_output(std::int64_t unit) const {  // outer units only
    return unit / units_per_group() * group_outputs() + unit % units_per_group() * rows;
  }
  std::int64_t outputs(std::int64_t unit) const;
  std::int64_t first_column(std::int64_t unit) const;
  std::int64_t columns(std::int64_t unit) const { return first_column(unit + 1) - first_column(unit); }
  std::int64_t chunk(std::int64_t element_size) const;

 private:
  void choose();
  bool reads_whole_vectors(const std::int64_t* distances) const;
  std::vector<TileVector> vectors() const;
};

}  // namespace knas
