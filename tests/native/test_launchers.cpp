// The launchers of cuda/*.cu as the operators call them, emulated: which kernel, how many blocks and threads, how much scratch. Against the
// CPU core, on shapes whose blocks have one warp and eight, and whose grids have one chunk and several.
#include "simt.h"
//
#include "check.h"
#include "core/layers.h"
#include "cuda/affine.cu"
#include "cuda/conv.cu"
#include "cuda/gram.cu"
#include "cuda/grouped.cu"
#include "cuda/linear.cu"
#include "cuda/statistics.cu"

namespace {

namespace cuda = knas::cuda;
using Entries = std::vector<std::int64_t>;

std::vector<double> list(const knas::GramSums& sums) { return {sums.mean, sums.mean_off_diagonal, sums.trace, sums.split}; }

// `layer` gives one kind of layer's four functions over the same tensors.
template <class T, class Layer> void compare(const Layer& layer, std::int64_t n, std::int64_t s, const std::string& name) {
  using A = knas::accumulate_t<T>;
  std::vector<A> got(n * s, NAN), want(n * s, NAN);
  layer.gradients(got.data()), layer.core_gradients(want.data());
  check::close(got, want, check::tolerance<T>, name + ", gradients");
  std::vector<double> scratch(cuda::gram_scratch(n, s), NAN), statistics(4, NAN);
  layer.gram(scratch.data(), statistics.data());
  check::close(statistics, list(layer.core_gram()), check::tolerance<T>, name + ", statistics");
}

template <class T> knas::Planes<const T> planes(const std::vector<T>& t, std::int64_t channels, std::int64_t positions) {
  return knas::Planes<const T>::contiguous(t.data(), channels, positions);
}

template <class T> struct Conv {
  knas::ConvGeometry g;
  std::vector<T> x, d;
  Entries e;
  knas::Planes<const T> input() const { return planes(x, g.in_channels, g.in_plane()); }
  knas::Planes<const T> grad() const { return planes(d, g.out_channels, g.out_plane()); }
  cuda::Sampled<T> tensors() const { return {x.data(), d.data(), e.data(), std::int64_t(e.size())}; }
  void gradients(knas::accumulate_t<T>* out) const { cuda::conv_sampled_gradients(g, tensors(), out, nullptr); }
  void gram(double* scratch, double* out) const { cuda::conv_gram(g, tensors(), scratch, out, nullptr); }
  void core_gradients(knas::accumulate_t<T>* out) const {
    knas::conv_sampled_gradients<T>(g, input(), grad(), e.data(), std::int64_t(e.size()), out, 2);
  }
  knas::GramSums core_gram() const { return knas::conv_gram<T>(g, input(), grad(), e.data(), std::int64_t(e.size()), 2); }
};

template <class T> struct Linear {
  knas::LinearGeometry g;
  std::vector<T> x, d;
  Entries e;
  cuda::Sampled<T> tensors() const { return {x.data(), d.data(), e.data(), std::int64_t(e.size())}; }
  void gradients(knas::accumulate_t<T>* out) const { cuda::linear_sampled_gradients(g, tensors(), out, nullptr); }
  void gram(double* scratch, double* out) const { cuda::linear_gram(g, tensors(), scratch, out, nullptr); }
  void core_gradients(knas::accumulate_t<T>* out) const {
    knas::linear_sampled_gradients<T>(g, x.data(), d.data(), e.data(), std::int64_t(e.size()), out, 2);
  }
  knas::GramSums core_gram() const { return knas::linear_gram<T>(g, x.data(), d.data(), e.data(), std::int64_t(e.size()), 2); }
};

template <class T> struct Affine {
  knas::AffineGeometry g;
  std::vector<T> x, d;
  std::vector<knas::accumulate_t<T>> mean, rstd;
  Entries e;
  cuda::Sampled<T> tensors() const { return {x.data(), d.data(), e.data(), std::int64_t(e.size())}; }
  void gradients(knas::accumulate_t<T>* out) const {
    cuda::affine_sampled_gradients(g, tensors(), mean.data(), rstd.data(), out, nullptr);
  }
  void gram(double* scratch, double* out) const { cuda::affine_gram(g, tensors(), mean.data(), rstd.data(), scratch, out, nullptr); }
  void core_gradients(knas::accumulate_t<T>* out) const {
    knas::affine_sampled_gradients<T>(g, planes(x, g.channels, g.positions), planes(d, g.channels, g.positions), mean.data(), rstd.data(), e.data(),
                                      std::int64_t(e.size()), out, 2);
  }
  knas::GramSums core_gram() const {
    return knas::affine_gram<T>(g, planes(x, g.channels, g.positions), planes(d, g.channels, g.positions), mean.data(), rstd.data(), e.data(),
                                std::int64_t(e.size()), 2);
  }
};

// side: of the square (3 axes: cubic) planes of a 3x3 convolution.
template <class T> void conv(std::int64_t n, std::int64_t side, bool cubic, std::int64_t s, std::mt19937& generator) {
  const std::int64_t depth = cubic ? side : 1, tap = cubic ? 3 : 1, plane = depth * side * side;
  const knas::ConvGeometry g{n, 2, 3, 1, {depth, side, side}, {depth, side, side}, {tap, 3, 3}, {1, 1, 1}, {cubic, 1, 1}, {1, 1, 1}};
  const Conv<T> layer{g, check::random<T>(n * 2 * plane, generator), check::random<T>(n * 3 * plane, generator),
                      check::random_entries(s, g.weights() + 3, generator)};
  compare<T>(layer, n, s, "conv launcher, side " + std::to_string(side) + (cubic ? ", 3 axes" : ", 2 axes"));
}

template <class T> void linear(std::int64_t n, std::int64_t positions, std::int64_t s, std::mt19937& generator) {
  const Linear<T> layer{{n, positions, 9, 4}, check::random<T>(n * positions * 9, generator), check::random<T>(n * positions * 4, generator),
                        check::random_entries(s, 40, generator)};
  compare<T>(layer, n, s, "linear launcher, positions " + std::to_string(positions));
}

template <class T> void affine(std::int64_t n, std::int64_t positions, std::int64_t s, std::mt19937& generator) {
  using A = knas::accumulate_t<T>;
  const Affine<T> layer{{n, 5, positions, n}, check::random<T>(n * 5 * positions, generator), check::random<T>(n * 5 * positions, generator),
                        check::random<A>(n * 5, generator), check::random<A>(n * 5, generator), check::random_entries(s, 10, generator)};
  compare<T>(layer, n, s, "affine launcher, positions " + std::to_string(positions));
}

template <class T> void gram(std::int64_t n, std::int64_t p, std::mt19937& generator) {
  const auto v = check::random<T>(n * p, generator);
  const std::string name = "gram launcher, n " + std::to_string(n) + ", p " + std::to_string(p);
  std::vector<double> scratch(cuda::gram_matrix_scratch(n, p), NAN), got(n * n, NAN), want(n * n, NAN);
  cuda::gram_matrix(v.data(), n, p, scratch.data(), got.data(), nullptr);
  knas::gram_matrix(v.data(), n, p, want.data(), 2);
  check::close(got, want, check::tolerance<T>, name);
  std::vector<double> squares(cuda::gram_statistics_scratch(p), NAN), statistics(5, NAN);
  cuda::gram_statistics(v.data(), got.data(), n, p, squares.data(), statistics.data(), nullptr);
  double frobenius = 0;
  auto expected = list(knas::sums_of_matrix(want.data(), n, &frobenius));
  expected.push_back(frobenius);
  check::close(statistics, expected, check::tolerance<T>, name + ", statistics");
}

}  // namespace

int main() {
  std::mt19937 generator(0);
  conv<float>(3, 5, false, 20, generator);
  linear<float>(3, 1, 40, generator);
  affine<float>(2, 40, 9, generator);
  gram<float>(5, 300, generator);
  if (check::kEveryCase) {
    conv<double>(2, 32, false, 9, generator);  // blocks of 8 warps
    conv<double>(2, 6, true, 12, generator);
    conv<knas::bfloat16>(4, 5, false, 20, generator), conv<knas::float16>(4, 5, false, 20, generator);
    linear<double>(3, 70, 33, generator);
    linear<float>(500, 1, 400, generator);  // several pairs of samples per block
    affine<double>(3, 200, 8, generator);
    gram<double>(70, 40, generator);
    gram<float>(33, 600, generator);
  }
  return check::finish();
}
