// Whole per-sample gradients of convolutions and their Gram matrices, for every instruction set that this machine has, against
// the definition in double.
#include <array>

#include "check.h"
#include "conv_geometry.h"
#include "core/gram.h"
#include "core/per_sample.h"

namespace {

using knas::ConvGeometry;
using Size = std::array<std::int64_t, 3>;

struct Case {
  const char* name;
  std::int64_t n, in_channels, out_channels, groups;
  Size in, kernel, stride, padding, dilation;

  ConvGeometry geometry() const { return conv_geometry(*this); }
};

const Case kCases[] = {
    {"stem", 3, 3, 16, 1, {1, 9, 8}, {1, 3, 3}, {1, 1, 1}, {0, 1, 1}, {1, 1, 1}},
    {"whole tiles", 5, 16, 16, 1, {1, 6, 6}, {1, 3, 3}, {1, 1, 1}, {0, 1, 1}, {1, 1, 1}},
    {"odd channels", 2, 19, 13, 1, {1, 5, 4}, {1, 3, 3}, {1, 1, 1}, {0, 1, 1}, {1, 1, 1}},
    {"1x1", 4, 40, 9, 1, {1, 4, 3}, {1, 1, 1}, {1, 1, 1}, {0, 0, 0}, {1, 1, 1}},
    {"whole vectors, nothing packed", 3, 32, 16, 1, {1, 4, 5}, {1, 1, 1}, {1, 2, 1}, {0, 0, 0}, {1, 1, 1}},
    {"whole vectors of 3 taps", 2, 16, 16, 1, {1, 7, 8}, {1, 3, 3}, {1, 2, 2}, {0, 0, 0}, {1, 2, 1}},
    {"whole vectors of taps apart", 2, 16, 24, 1, {1, 7, 9}, {1, 3, 3}, {1, 1, 1}, {0, 0, 0}, {1, 1, 2}},
    {"stride and dilation", 2, 5, 10, 1, {1, 12, 15}, {1, 3, 2}, {1, 2, 3}, {0, 3, 2}, {1, 2, 4}},
    {"stride beyond the kernel", 3, 2, 2, 1, {1, 13, 11}, {1, 2, 2}, {1, 5, 3}, {0, 0, 0}, {1, 1, 1}},
    {"padding beyond the input", 2, 1, 2, 1, {1, 3, 2}, {1, 2, 3}, {1, 1, 2}, {0, 4, 6}, {1, 1, 1}},
    {"rows of the padding alone are read", 2, 2, 3, 1, {1, 2, 2}, {1, 1, 1}, {1, 3, 3}, {0, 4, 4}, {1, 1, 1}},
    {"groups", 2, 24, 36, 3, {1, 5, 6}, {1, 3, 3}, {1, 1, 1}, {0, 1, 1}, {1, 1, 1}},
    {"depthwise", 2, 37, 37, 37, {1, 9, 9}, {1, 3, 3}, {1, 2, 2}, {0, 1, 1}, {1, 1, 1}},
    {"depthwise, 5x5, two each", 2, 18, 36, 18, {1, 6, 7}, {1, 5, 5}, {1, 1, 1}, {0, 2, 2}, {1, 1, 1}},
    {"many groups of two", 2, 32, 32, 16, {1, 4, 4}, {1, 3, 3}, {1, 1, 1}, {0, 1, 1}, {1, 1, 1}},
    {"1d", 4, 3, 2, 1, {1, 1, 40}, {1, 1, 5}, {1, 1, 3}, {0, 0, 2}, {1, 1, 2}},
    {"3d", 3, 4, 12, 2, {4, 5, 6}, {3, 2, 3}, {1, 2, 1}, {1, 0, 1}, {1, 1, 2}},
    {"more than one chunk", 2, 4, 4, 1, {1, 24, 25}, {1, 3, 3}, {1, 1, 1}, {0, 1, 1}, {1, 1, 1}},
};

template <class T> std::vector<double> reference(const ConvGeometry& g, const std::vector<T>& x, const std::vector<T>& d) {
  std::vector<double> out(g.n * g.weights());
  const std::int64_t outputs = g.out_channels / g.groups;
  for (std::int64_t i = 0, e = 0; i < g.n; ++i) {
    for (std::int64_t o = 0; o < g.out_channels; ++o) {
      for (std::int64_t k = 0; k < g.group_channels() * g.taps(); ++k, ++e) {
        const std::int64_t c = o / outputs * g.group_channels() + k / g.taps(), tap = k % g.taps();
        const std::int64_t u[3] = {tap / g.kernel[2] / g.kernel[1], tap / g.kernel[2] % g.kernel[1], tap % g.kernel[2]};
        for (std::int64_t t = 0; t < g.out_plane(); ++t) {
          const std::int64_t at[3] = {t / g.out[2] / g.out[1], t / g.out[2] % g.out[1], t % g.out[2]};
          std::int64_t index = i * g.in_channels + c;
          bool inside = true;
          for (int a = 0; a < 3; ++a) {
            const std::int64_t p = at[a] * g.stride[a] + u[a] * g.dilation[a] - g.padding[a];
            inside = inside && p >= 0 && p < g.in[a];
            index = index * g.in[a] + p;
          }
          if (inside) out[e] += double(d[(i * g.out_channels + o) * g.out_plane() + t]) * double(x[index]);
        }
      }
    }
  }
  return out;
}

std::vector<double> products(const std::vector<double>& g, std::int64_t n) {
  const std::int64_t p = std::int64_t(g.size()) / n;
  std::vector<double> gram(n * n);
  for (std::int64_t i = 0; i < n; ++i) {
    for (std::int64_t j = 0; j < n; ++j) {
      for (std::int64_t e = 0; e < p; ++e) gram[i * n + j] += g[i * p + e] * g[j * p + e];
    }
  }
  return gram;
}

template <class T>
knas::Volumes<T> volumes(const std::vector<T>& data, std::int64_t channels, const std::int64_t size[3], bool last) {
  const std::int64_t plane = size[0] * size[1] * size[2], step = last ? channels : 1;
  return {data.data(), channels * plane, last ? 1 : plane, {size[1] * size[2] * step, size[2] * step, step}};
}

template <class T> void run_case(const Case& c, knas::Isa isa, bool last, std::mt19937& generator) {
  const ConvGeometry g = c.geometry();
  const auto x = check::random<T>(g.n * g.in_channels * g.in_plane(), generator);
  const auto d = check::random<T>(g.n * g.out_channels * g.out_plane(), generator);
  const auto placed_x = last ? check::side_by_side(x, g.n, g.in_channels, g.in_plane()) : x;
  const auto placed_d = last ? check::side_by_side(d, g.n, g.out_channels, g.out_plane()) : d;
  const auto input = volumes(placed_x, g.in_channels, g.in, last), grad = volumes(placed_d, g.out_channels, g.out, last);
  const auto want = reference(g, x, d), gram = products(want, g.n);
  const std::string name = std::string(c.name) + (last ? ", channels last" : "") + ", isa " + std::to_string(int(isa));
  std::vector<knas::accumulate_t<T>> got(want.size(), NAN);
  knas::conv_per_sample_gradients<T>(g, input, grad, got.data(), 2, isa);
  check::close(got, want, check::tolerance<T>, name);
  std::vector<double> matrix(g.n * g.n, NAN), other(g.n * g.n, NAN);
  knas::conv_gram_matrix<T>(g, input, grad, matrix.data(), 2, 1 << 20, isa);
  check::close(matrix, gram, check::tolerance<T>, name + ", Gram matrix");
  knas::conv_gram_matrix<T>(g, input, grad, other.data(), 2, 1, isa);
  check::close(other, gram, check::tolerance<T>, name + ", Gram matrix in the smallest blocks");
  knas::conv_gram_matrix<T>(g, input, grad, other.data(), 1, 1 << 20, isa);
  check::that(matrix == other, name + ", the same bits on one thread");
}

void run_gram(std::int64_t n, std::int64_t p, knas::Isa isa, std::mt19937& generator) {
  const auto v = check::random<float>(n * p, generator);
  const auto want = products({v.begin(), v.end()}, n);
  std::vector<double> got(n * n, NAN), other(n * n, NAN);
  knas::gram_matrix<float>(v.data(), n, p, got.data(), 2, isa);
  knas::gram_matrix<float>(v.data(), n, p, other.data(), 1, isa);
  const std::string name = "Gram matrix, n " + std::to_string(n) + ", p " + std::to_string(p) + ", isa " + std::to_string(int(isa));
  check::close(got, want, 1e-6, name);
  check::that(got == other, name + ", the same bits on one thread");
}

}  // namespace

int main() {
  std::mt19937 generator(0);
  for (const auto isa : {knas::Isa::baseline, knas::Isa::v3, knas::Isa::v4}) {
    if (isa > knas::best_isa()) continue;
    for (const Case& c : kCases) {
      for (const bool last : {false, true}) {
        run_case<float>(c, isa, last, generator);
        if (!check::kEveryCase) break;
        run_case<double>(c, isa, last, generator);
      }
    }
    run_case<knas::bfloat16>(kCases[1], isa, true, generator);
    run_case<knas::float16>(kCases[8], isa, false, generator);
    for (const std::int64_t n : {1, 6, 50, 101}) run_gram(n, 2500, isa, generator);
    run_gram(3, 40000, isa, generator);
  }
  return check::finish();
}
