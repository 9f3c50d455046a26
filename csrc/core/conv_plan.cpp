#include "core/conv_plan.h"

#include <algorithm>

namespace knas {
namespace {

template <class Visit> void each_tap(const ConvGeometry& g, const std::int64_t step[3], Visit&& visit) {
  std::int64_t tap = 0;
  for (std::int64_t z = 0; z < g.kernel[0]; ++z)
    for (std::int64_t y = 0; y < g.kernel[1]; ++y)
      for (std::int64_t x = 0; x < g.kernel[2]; ++x, ++tap)
        visit(tap, x, z * g.dilation[0] * step[0] + y * g.dilation[1] * step[1] + x * g.dilation[2] * step[2]);
}

// Tiles as equal as can be: 4 vectors are better off as 2 + 2 than as 3 + 1.
std::vector<std::vector<TileVector>> split(const std::vector<TileVector>& vectors, std::size_t most) {
  const std::size_t count = (vectors.size() + most - 1) / most;
  std::vector<std::vector<TileVector>> tiles;
  for (std::size_t k = 0; k < count; ++k)
    tiles.emplace_back(vectors.begin() + k * vectors.size() / count, vectors.begin() + (k + 1) * vectors.size() / count);
  return tiles;
}

}  // namespace

ConvPlan::ConvPlan(const ConvGeometry& g, int lanes, int rows, const std::int64_t* distances)
    : g(g), lanes(lanes), narrow(2 * group_outputs() <= rows), rows(narrow ? rows / 2 : rows) {
  for (int a = 0; a < 3; ++a) padded[a] = (g.out[a] - 1) * g.stride[a] + (g.kernel[a] - 1) * g.dilation[a] + 1;
  choose();
  step[2] = lanewise ? channels() * padded_groups() : channels();
  step[1] = step[2] * padded[2], step[0] = step[1] * padded[1], size = step[0] * padded[0];
  direct = distances && reads_whole_vectors(distances);
  if (direct) std::copy(distances, distances + 3, step);
  units = lanewise ? group_outputs() : g.groups * units_per_group();
  unit_size = lanewise ? padded_groups() : rows;
  for (std::int64_t z = 0; z < g.out[0]; ++z)
    for (std::int64_t y = 0; y < g.out[1]; ++y)
      for (std::int64_t x = 0; x < g.out[2]; ++x)
        position.push_back(z * g.stride[0] * step[0] + y * g.stride[1] * step[1] + x * g.stride[2] * step[2]);
  tiles = split(vectors(), lanewise ? ConvTiles<float>::kLanewise : ConvTiles<float>::kOuter);
}

// Lanes of groups waste none of small groups, but need two loads per operation; else lanes are neighboring taps and channels.
void ConvPlan::choose() {
  const std::int64_t run = g.dilation[2] == 1 ? g.kernel[2] * channels() : channels();
  const std::int64_t outer = g.groups * units_per_group() * rows * (columns_per_output() / run) * ((run + lanes - 1) / lanes);
  lanewise = g.groups > 1 && 2 * group_outputs() * columns_per_output() * padded_groups() / lanes < outer;
}

bool ConvPlan::reads_whole_vectors(const std::int64_t* distances) const {
  const bool padding = g.padding[0] || g.padding[1] || g.padding[2];
  const bool runs = channels() % lanes == 0 && (g.kernel[2] == 1 || g.dilation[2] > 1 || distances[2] == channels());
  return !lanewise && g.groups == 1 && !padding && runs;
}

std::vector<TileVector> ConvPlan::vectors() const {
  std::vector<TileVector> found;
  if (lanewise) {
    each_tap(g, step, [&](std::int64_t tap, std::int64_t, std::int64_t offset) {
      for (std::int64_t c = 0; c < channels(); ++c)
        found.push_back({offset + c * padded_groups(), (tap * channels() + c) * g.groups, lanes});
    });
    return found;
  }
  const bool joined = g.dilation[2] == 1;  // neighboring taps of a row see neighboring elements
  const std::int64_t run = (joined ? g.kernel[2] : 1) * channels();
  each_tap(g, step, [&](std::int64_t tap, std::int64_t x, std::int64_t offset) {
    for (std::int64_t l = 0; l < run && (x == 0 || !joined); l += lanes)
      found.push_back({offset + l, tap * channels() + l, int(std::min<std::int64_t>(lanes, run - l))});
  });
  return found;
}

std::int64_t ConvPlan::first_column(std::int64_t unit) const {
  if (lanewise) return unit * columns_per_output() * g.groups;
  return (unit == units ? g.out_channels : first_output(unit)) * columns_per_output();
}

std::int64_t ConvPlan::outputs(std::int64_t unit) const {
  return lanewise ? 1 : std::min<std::int64_t>(rows, group_outputs() - unit % units_per_group() * rows);
}

// Positions that are summed in one go: their inputs and gradients stay in a first level cache over all tiles, and no sum in
// the element type is longer than 512 terms.
std::int64_t ConvPlan::chunk(std::int64_t element_size) const {
  const std::int64_t bytes = (size / std::int64_t(position.size()) + unit_size + 1) * element_size;
  return std::clamp<std::int64_t>(32768 / bytes, 96, 512);
}

}  // namespace knas
