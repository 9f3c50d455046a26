// The convolution's CUDA kernels, emulated, and the CPU core, against the definition as a loop over positions in double.
#include "simt.h"
//
#include "check.h"
#include "conv_geometry.h"
#include "core/layers.h"
#include "cuda/conv.cuh"
#include "cuda/conv_last.cuh"
#include "cuda/conv_rows.cuh"
#include "kernels.h"

namespace {

using knas::ConvGeometry;
using Entries = std::vector<std::int64_t>;

struct Case {
  const char* name;
  std::int64_t n, in_channels, out_channels, groups, s;
  std::int64_t in[3], kernel[3], stride[3], padding[3], dilation[3];

  ConvGeometry geometry() const { return conv_geometry(*this); }
};

const Case kCases[] = {
    {"3x3", 4, 3, 5, 1, 50, {1, 8, 9}, {1, 3, 3}, {1, 1, 1}, {0, 1, 1}, {1, 1, 1}},
    {"odd n, non-square", 5, 2, 4, 1, 19, {1, 7, 12}, {1, 3, 2}, {1, 1, 1}, {0, 1, 0}, {1, 1, 1}},
    {"one sample, one entry", 1, 1, 1, 1, 1, {1, 5, 5}, {1, 3, 3}, {1, 2, 2}, {0, 1, 1}, {1, 1, 1}},
    {"1x1", 2, 9, 4, 1, 24, {1, 6, 5}, {1, 1, 1}, {1, 1, 1}, {0, 0, 0}, {1, 1, 1}},
    {"one position", 3, 4, 3, 1, 33, {1, 3, 3}, {1, 3, 3}, {1, 1, 1}, {0, 0, 0}, {1, 1, 1}},
    {"stride beyond the kernel", 3, 2, 2, 1, 12, {1, 13, 11}, {1, 2, 2}, {1, 5, 3}, {0, 0, 0}, {1, 1, 1}},
    {"dilation and stride", 2, 2, 3, 1, 21, {1, 12, 15}, {1, 3, 3}, {1, 2, 1}, {0, 3, 2}, {1, 2, 4}},
    {"padding beyond the kernel", 2, 1, 2, 1, 10, {1, 3, 2}, {1, 2, 3}, {1, 1, 2}, {0, 4, 6}, {1, 1, 1}},
    {"groups", 3, 6, 9, 3, 40, {1, 5, 6}, {1, 3, 3}, {1, 1, 1}, {0, 1, 1}, {1, 1, 1}},
    {"depthwise", 2, 5, 5, 5, 50, {1, 9, 9}, {1, 3, 3}, {1, 2, 2}, {0, 1, 1}, {1, 1, 1}},
    {"1d", 4, 3, 2, 1, 17, {1, 1, 40}, {1, 1, 5}, {1, 1, 3}, {0, 0, 2}, {1, 1, 2}},
    {"3d", 3, 2, 4, 2, 30, {4, 5, 6}, {3, 2, 3}, {1, 2, 1}, {1, 0, 1}, {1, 1, 2}},
    {"rows", 3, 2, 3, 1, 20, {1, 8, 8}, {1, 3, 3}, {1, 1, 1}, {0, 1, 1}, {1, 1, 1}},
    {"rows, 3 lanes each", 2, 2, 3, 1, 18, {1, 15, 12}, {1, 3, 3}, {1, 2, 1}, {0, 0, 1}, {1, 2, 1}},
    {"rows, 1x1", 3, 9, 5, 1, 17, {1, 4, 16}, {1, 1, 1}, {1, 1, 1}, {0, 0, 0}, {1, 1, 1}},
    {"rows, a warp each", 1, 1, 2, 1, 20, {1, 3, 128}, {1, 2, 3}, {1, 1, 1}, {0, 1, 1}, {1, 1, 1}},
    {"rows, 2 taps apart, groups", 2, 4, 4, 2, 16, {1, 5, 20}, {1, 3, 2}, {1, 1, 1}, {0, 4, 1}, {1, 3, 2}},
    {"rows, 1d", 3, 3, 2, 1, 17, {1, 1, 64}, {1, 1, 3}, {1, 1, 1}, {0, 0, 1}, {1, 1, 1}},
    {"3d strided", 2, 1, 1, 1, 8, {7, 4, 9}, {2, 2, 2}, {3, 1, 4}, {2, 1, 3}, {2, 1, 1}},
};

const Case& find(const std::string& name) {
  return *std::find_if(std::begin(kCases), std::end(kCases), [&](const Case& c) { return c.name == name; });
}

// g[i, e] by the definition; x outside of the input is 0.
template <class T>
std::vector<double> reference(const ConvGeometry& g, const std::vector<T>& x, const std::vector<T>& d, const Entries& entries) {
  std::vector<double> out;
  for (std::int64_t i = 0; i < g.n; ++i) {
    for (const std::int64_t entry : entries) {
      const bool bias = entry >= g.weights();
      const std::int64_t o = bias ? entry - g.weights() : entry / g.taps() / g.group_channels();
      const std::int64_t c = o / (g.out_channels / g.groups) * g.group_channels() + entry / g.taps() % g.group_channels();
      const std::int64_t tap = entry % g.taps();
      const std::int64_t u[3] = {tap / g.kernel[2] / g.kernel[1], tap / g.kernel[2] % g.kernel[1], tap % g.kernel[2]};
      double sum = 0;
      for (std::int64_t t = 0; t < g.out_plane(); ++t) {
        const std::int64_t at[3] = {t / g.out[2] / g.out[1], t / g.out[2] % g.out[1], t % g.out[2]};
        std::int64_t index = i * g.in_channels + c;
        bool inside = true;
        for (int a = 0; a < 3; ++a) {
          const std::int64_t position = at[a] * g.stride[a] + u[a] * g.dilation[a] - g.padding[a];
          inside = inside && position >= 0 && position < g.in[a];
          index = index * g.in[a] + position;
        }
        sum += double(d[(i * g.out_channels + o) * g.out_plane() + t]) * (bias ? 1 : inside ? double(x[index]) : 0);
      }
      out.push_back(sum);
    }
  }
  return out;
}

template <class T> void run_case(const Case& c, unsigned threads, std::mt19937& generator) {
  const ConvGeometry g = c.geometry();
  const auto x = check::random<T>(g.n * g.in_channels * g.in_plane(), generator);
  const auto d = check::random<T>(g.n * g.out_channels * g.out_plane(), generator);
  const auto entries = check::random_entries(c.s, g.weights() + g.out_channels, generator);
  const auto want = reference(g, x, d, entries);
  const knas::cuda::Sampled<T> tensors{x.data(), d.data(), entries.data(), c.s};
  const auto task = knas::cuda::conv_task(g, tensors);
  const std::string name = std::string("conv, ") + c.name;
  using namespace knas::cuda;
  if (conv_has_2_axes(g)) compare_kernels(Kernels<ConvRun<T, 2, std::uint32_t>>{task, threads}, want, name + ", 2 axes");
  else compare_kernels(Kernels<ConvRun<T, 3, std::uint32_t>>{task, threads}, want, name + ", 3 axes");
  if (threads == 32) compare_kernels(Kernels<ConvRun<T, 3, std::uint64_t>>{task, threads}, want, name + ", 64 bits");
  check::that(conv_has_rows(g, tensors) == (name.find("rows") != std::string::npos), name + ": where rows are used");
  if (conv_has_rows(g, tensors)) compare_kernels(Kernels<ConvRowsRun<T>>{task, threads}, want, name + ", windows");
  const auto xs = check::side_by_side(x, g.n, g.in_channels, g.in_plane()), ds = check::side_by_side(d, g.n, g.out_channels, g.out_plane());
  const auto last_task = conv_task(g, Sampled<T>{xs.data(), ds.data(), entries.data(), c.s, true});
  compare_kernels(Kernels<ConvLastRun<T>>{last_task, threads}, want, name + ", channels last");
  using P = knas::Planes<const T>;
  const auto core = [&](P input, P grad, const std::string& order) {
    std::vector<knas::accumulate_t<T>> out(want.size(), NAN);
    knas::conv_sampled_gradients<T>(g, input, grad, entries.data(), c.s, out.data(), 2);
    compare_core(out, knas::conv_gram<T>(g, input, grad, entries.data(), c.s, 2), want, g.n, c.s, check::tolerance<T>, name + order);
  };
  const auto planes = P::contiguous(d.data(), g.out_channels, g.out_plane());
  core(P::contiguous(x.data(), g.in_channels, g.in_plane()), planes, ", planes");
  core(P::interleaved(xs.data(), g.in_channels, g.in_plane()), P::interleaved(ds.data(), g.out_channels, g.out_plane()), ", side by side");
  core(P::interleaved(xs.data(), g.in_channels, g.in_plane()), planes, ", input side by side");
}

// An entry that does not exist must not be read from memory, and must not pass for a number.
template <class Run> void missing_entries(const Case& c, bool last) {
  const ConvGeometry g = c.geometry();
  const std::vector<float> x(g.n * g.in_channels * g.in_plane(), 1), d(g.n * g.out_channels * g.out_plane(), 1);
  const Entries entries = {0, -1, g.weights() + g.out_channels, std::int64_t(1) << 62, 3};
  const auto task = knas::cuda::conv_task(g, knas::cuda::Sampled<float>{x.data(), d.data(), entries.data(), std::int64_t(entries.size()), last});
  const auto got = Kernels<Run>{task, 32}.gradients();
  for (std::size_t k = 0; k < got.size(); ++k) {
    const bool exists = k % entries.size() == 0 || k % entries.size() == 4;
    check::that(std::isnan(got[k]) != exists, "conv, missing entry " + std::to_string(k));
  }
}

// What lies beside a row in memory, in the next lane or in one without work, must not reach the row's sums.
void infinite_neighbours(std::int64_t infinite_column) {
  const ConvGeometry g = Case{"", 1, 1, 1, 1, 9, {1, 3, 12}, {1, 3, 3}, {1, 1, 1}, {0, 1, 1}, {1, 1, 1}}.geometry();
  std::vector<float> x(36, 1), d(36, 1);
  for (std::int64_t row = 0; row < 3; ++row) x[row * 12 + infinite_column] = INFINITY;
  const Entries entries = {0, 1, 2, 3, 4, 5, 6, 7, 8};
  const auto task = knas::cuda::conv_task(g, knas::cuda::Sampled<float>{x.data(), d.data(), entries.data(), 9});
  const auto want = reference(g, x, d, entries);
  const auto got = Kernels<knas::cuda::ConvRowsRun<float>>{task, 32}.gradients();
  for (std::size_t k = 0; k < got.size(); ++k) check::that(double(got[k]) == want[k], "conv, infinite column, entry " + std::to_string(k));
  check::that(std::count(want.begin(), want.end(), INFINITY) == 6, "conv, a column that a third of the taps never reads");
}

}  // namespace

int main() {
  std::mt19937 generator(0);
  for (const Case& c : kCases) {
    run_case<float>(c, check::kEveryCase ? 32 : 64, generator);
    if (check::kEveryCase) run_case<double>(c, 64, generator);
  }
  run_case<float>(find("3x3"), 96, generator);
  run_case<knas::bfloat16>(find("3x3"), 32, generator);
  run_case<knas::float16>(find("groups"), 64, generator);
  run_case<knas::bfloat16>(find("rows"), 32, generator);
  run_case<knas::float16>(find("rows, 1x1"), 64, generator);
  missing_entries<knas::cuda::ConvRun<float, 2, std::uint32_t>>(find("rows"), false);
  missing_entries<knas::cuda::ConvRowsRun<float>>(find("rows"), false);
  missing_entries<knas::cuda::ConvLastRun<float>>(find("rows"), true);
  infinite_neighbours(0), infinite_neighbours(11);
  simt::blocks_at_once = 3;
  run_case<float>(find("groups"), 32, generator);
  run_case<float>(find("rows"), 64, generator);
  return check::finish();
}
