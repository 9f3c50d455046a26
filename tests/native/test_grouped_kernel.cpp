// Grouped launches, emulated: the statistics of many layers of all kinds, layouts and element types, to the bit those of the launches per layer.
#include "simt.h"
//
#include <deque>
#include <memory>

#include "check.h"
#include "cuda/affine.cu"
#include "cuda/conv.cu"
#include "cuda/grouped.cu"
#include "cuda/linear.cu"
#include "cuda/statistics.cu"

namespace {

namespace cuda = knas::cuda;

// Layers' tensors, the plan of their grouped launch, and the statistics of a launch each.
struct Network {
  std::mt19937& generator;
  cuda::GroupedPlan plan;
  std::vector<double> want;  // [layers, 4]
  std::deque<std::shared_ptr<void>> memory;

  template <class T> const T* random(std::int64_t size) {
    const auto values = std::make_shared<std::vector<T>>(check::random<T>(size, generator));
    memory.push_back(values);
    return values->data();
  }

  template <class T> cuda::Sampled<T> sampled(std::int64_t in, std::int64_t out, std::int64_t parameters, std::int64_t s, bool last = false) {
    const auto entries = std::make_shared<std::vector<std::int64_t>>(check::random_entries(s, parameters, generator));
    memory.push_back(entries);
    return {random<T>(in), random<T>(out), entries->data(), s, last};
  }

  // alone(scratch, statistics) launches the layer by itself; add(row) adds it to the plan.
  template <class Alone, class Add> void layer(std::int64_t n, std::int64_t s, Alone&& alone, Add&& add) {
    std::vector<double> scratch(cuda::gram_scratch(n, s), NAN), statistics(4, NAN);
    alone(scratch.data(), statistics.data());
    add(std::int64_t(want.size() / 4));
    want.insert(want.end(), statistics.begin(), statistics.end());
  }

  template <class T> void conv(const knas::ConvGeometry& g, std::int64_t s, bool last = false) {
    const auto a = sampled<T>(g.n * g.in_channels * g.in_plane(), g.n * g.out_channels * g.out_plane(), g.weights() + g.out_channels, s, last);
    layer(g.n, s, [&](double* scratch, double* out) { cuda::conv_gram(g, a, scratch, out, nullptr); },
          [&](std::int64_t row) { plan.add(g, a, row); });
  }

  // A 3x3 convolution of `channels` square planes, padded; stride > 1 is not for windows of rows.
  template <class T> void conv(std::int64_t n, std::int64_t channels, std::int64_t side, std::int64_t stride, std::int64_t s, bool last = false) {
    const std::int64_t out = (side - 1) / stride + 1;
    conv<T>({n, channels, channels, 1, {1, side, side}, {1, out, out}, {1, 3, 3}, {1, stride, stride}, {0, 1, 1}, {1, 1, 1}}, s, last);
  }

  template <class T> void linear(const knas::LinearGeometry& g, std::int64_t s) {
    const auto a = sampled<T>(g.n * g.positions * g.in_features, g.n * g.positions * g.out_features, g.weights() + g.out_features, s);
    layer(g.n, s, [&](double* scratch, double* out) { cuda::linear_gram(g, a, scratch, out, nullptr); },
          [&](std::int64_t row) { plan.add(g, a, row); });
  }

  template <class T> void affine(const knas::AffineGeometry& g, std::int64_t s, bool last = false) {
    using A = knas::accumulate_t<T>;
    const std::int64_t size = g.n * g.channels * g.positions;
    const auto a = sampled<T>(size, size, 2 * g.channels, s, last);
    const A *mean = random<A>(g.statistics * g.channels), *rstd = random<A>(g.statistics * g.channels);
    layer(g.n, s, [&](double* scratch, double* out) { cuda::affine_gram(g, a, mean, rstd, scratch, out, nullptr); },
          [&](std::int64_t row) { plan.add(g, a, mean, rstd, row); });
  }

  void compare(std::size_t launches, const std::string& name) const {
    const auto bytes = plan.descriptors();
    std::vector<long double> device((bytes.size() + 15) / 16);  // memory at a multiple of 16
    std::copy(bytes.begin(), bytes.end(), reinterpret_cast<std::byte*>(device.data()));
    std::vector<double> scratch(plan.scratch(), NAN), got(want.size(), NAN);
    plan.launch(reinterpret_cast<const std::byte*>(device.data()), scratch.data(), got.data(), nullptr);
    check::that(got == want, name + ": the bits of launches per layer");
    check::that(plan.launches() == launches, name + ": " + std::to_string(plan.launches()) + " launches");
  }
};

// One cell's kinds of layers in float32, `networks` networks in one launch.
void networks(int count, std::mt19937& generator) {
  Network network{generator, {}, {}, {}};
  for (int k = 0; k < count; ++k) {
    for (const std::int64_t side : {8, 4}) network.conv<float>(3, 2, side, 1, 20), network.affine<float>({3, 4, side * side, 1}, 8);
    network.conv<float>(3, 2, 8, 2, 9);
    network.linear<float>({3, 1, 6, 4}, 20 + k);
  }
  network.compare(5, std::to_string(count) + " networks");  // 8 x 8 in windows, 4 x 4 and strided not; affine; linear; statistics
}

void every_variant(std::mt19937& generator) {
  Network network{generator, {}, {}, {}};
  network.conv<float>({2, 2, 3, 1, {3, 4, 5}, {3, 4, 5}, {3, 3, 3}, {1, 1, 1}, {1, 1, 1}, {1, 1, 1}}, 20);
  network.conv<float>(5, 3, 6, 1, 10), network.conv<float>(5, 3, 6, 1, 10, true), network.conv<float>(2, 3, 16, 1, 10);
  network.conv<double>(2, 2, 8, 1, 9), network.conv<knas::bfloat16>(2, 2, 8, 1, 9), network.conv<knas::float16>(2, 2, 8, 1, 9, true);
  network.affine<float>({4, 5, 12, 4}, 7, true), network.affine<float>({4, 5, 9, 1}, 7), network.affine<double>({1, 3, 4, 1}, 6);
  network.affine<knas::bfloat16>({2, 3, 8, 1}, 6), network.affine<knas::float16>({2, 3, 7, 2}, 6, true);
  network.linear<double>({3, 7, 4, 4}, 17), network.linear<knas::bfloat16>({2, 40, 3, 4}, 9), network.linear<knas::float16>({1, 3, 3, 3}, 40);
  network.linear<float>({300, 1, 9, 9}, 90);
  network.compare(17, "every variant");
}

}  // namespace

int main() {
  std::mt19937 generator(0);
  networks(1, generator);
  if (check::kEveryCase) networks(3, generator), every_variant(generator);
  simt::blocks_at_once = 3;
  networks(1, generator);
  return check::finish();
}
