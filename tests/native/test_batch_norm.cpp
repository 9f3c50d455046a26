// Channel moments and BatchNorm by constant statistics on the CPU, in both memory orders, against the definition in double.
#include "check.h"
#include "core/batch_norm.h"

namespace {

template <class T> void run_case(const knas::AffineGeometry& g, std::mt19937& generator) {
  using A = knas::accumulate_t<T>;
  using P = knas::Planes<const T>;
  const auto x = check::random<T>(g.n * g.channels * g.positions, generator);
  const auto scale = check::random<A>(g.channels, generator), shift = check::random<A>(g.channels, generator);
  std::vector<double> mean(g.channels), variance(g.channels), output(x.size());
  const double count = double(g.n * g.positions);
  const auto each = [&](auto&& f) {
    for (std::int64_t k = 0; k < std::int64_t(x.size()); ++k) f(k, k / g.positions % g.channels);
  };
  each([&](std::int64_t k, std::int64_t c) { mean[c] += double(x[k]) / count; });
  each([&](std::int64_t k, std::int64_t c) { variance[c] += (double(x[k]) - mean[c]) * (double(x[k]) - mean[c]) / count; });
  each([&](std::int64_t k, std::int64_t c) { output[k] = (double(x[k]) - mean[c]) * double(scale[c]) + double(shift[c]); });
  const auto xs = check::side_by_side(x, g.n, g.channels, g.positions);
  for (const bool interleaved : {false, true}) {
    const P planes = interleaved ? P::interleaved(xs.data(), g.channels, g.positions) : P::contiguous(x.data(), g.channels, g.positions);
    const std::string name = "channels " + std::to_string(g.channels) + ", positions " + std::to_string(g.positions) +
                             (interleaved ? ", side by side" : ", planes");
    std::vector<A> m(g.channels), v(g.channels);
    knas::channel_moments<T>(g, planes, m.data(), v.data(), 2);
    for (std::int64_t c = 0; c < g.channels; ++c) {  // relative to the values: their mean may cancel
      const double size = std::sqrt(variance[c] + mean[c] * mean[c]);
      check::that(std::abs(double(m[c]) - mean[c]) <= check::tolerance<T> * size, name + ", mean of channel " + std::to_string(c));
    }
    check::close(v, variance, check::tolerance<T>, name + ", variance");
    if constexpr (!std::is_same_v<T, knas::float16>) {
      std::vector<T> y(x.size());
      knas::channel_affine<T>(g, planes, m.data(), scale.data(), shift.data(), y.data(), 2);
      const double rounding = std::is_same_v<T, knas::bfloat16> ? 0.004 : check::tolerance<T>;
      check::close(y, interleaved ? check::side_by_side(output, g.n, g.channels, g.positions) : output, rounding, name + ", output");
    }
  }
}

// to_bfloat16 rounds to nearest, ties to even, and keeps NaN and infinities.
void rounding() {
  const auto rounded = [](float value) { return float(knas::to_bfloat16(value)); };
  check::that(rounded(1.0f + 0x1p-8f) == 1.0f && rounded(1.0f + 0x3p-8f) == 1.0f + 0x1p-6f, "ties go to even");
  check::that(rounded(1.0f + 0x1.1p-8f) == 1.0f + 0x1p-7f && rounded(-3.0f) == -3.0f, "the nearest");
  check::that(std::isnan(rounded(NAN)) && rounded(INFINITY) == INFINITY && rounded(3.4e38f) == INFINITY, "NaN and infinities");
}

}  // namespace

int main() {
  std::mt19937 generator(0);
  for (const std::int64_t channels : {1, 3, 16, 37}) {
    for (const std::int64_t positions : {1, 7, 1100}) {
      if (!check::kEveryCase && channels != 37) continue;
      run_case<float>({5, channels, positions, 1}, generator);
      run_case<double>({2, channels, positions, 1}, generator);
    }
  }
  run_case<knas::bfloat16>({3, 19, 40, 1}, generator);
  run_case<knas::float16>({3, 19, 40, 1}, generator);
  rounding();
  return check::finish();
}
