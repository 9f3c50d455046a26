// The linear layer's CUDA kernels, emulated, and the CPU core, against the definition in double.
#include "simt.h"
//
#include "check.h"
#include "core/layers.h"
#include "cuda/linear.cuh"
#include "kernels.h"

namespace {

using Entries = std::vector<std::int64_t>;

template <class T>
std::vector<double> reference(const knas::LinearGeometry& g, const std::vector<T>& x, const std::vector<T>& d, const Entries& entries) {
  std::vector<double> out;
  for (std::int64_t i = 0; i < g.n; ++i) {
    for (const std::int64_t entry : entries) {
      const bool bias = entry >= g.weights();
      const std::int64_t o = bias ? entry - g.weights() : entry / g.in_features, c = entry % g.in_features;
      double sum = 0;
      for (std::int64_t t = i * g.positions; t < (i + 1) * g.positions; ++t) {
        sum += double(d[t * g.out_features + o]) * (bias ? 1 : double(x[t * g.in_features + c]));
      }
      out.push_back(sum);
    }
  }
  return out;
}

template <class T> void run_case(const knas::LinearGeometry& g, std::int64_t s, unsigned threads, std::mt19937& generator) {
  const auto x = check::random<T>(g.n * g.positions * g.in_features, generator);
  const auto d = check::random<T>(g.n * g.positions * g.out_features, generator);
  const auto entries = check::random_entries(s, g.weights() + g.out_features, generator);
  const auto want = reference(g, x, d, entries);
  const std::string name = "linear, n " + std::to_string(g.n) + ", positions " + std::to_string(g.positions) + ", s " + std::to_string(s) +
                           ", threads " + std::to_string(threads);
  const knas::cuda::LinearTask<T> task{x.data(), d.data(), entries.data(), s, g.n, g.positions, g.in_features, g.out_features};
  compare_kernels(Kernels<knas::cuda::LinearRun<T>>{task, threads}, want, name);
  std::vector<knas::accumulate_t<T>> core(want.size(), NAN);
  knas::linear_sampled_gradients<T>(g, x.data(), d.data(), entries.data(), s, core.data(), 2);
  compare_core(core, knas::linear_gram<T>(g, x.data(), d.data(), entries.data(), s, 2), want, g.n, s, check::tolerance<T>, name);
}

void missing_entries() {
  const knas::LinearGeometry g{2, 3, 4, 5};
  const std::vector<float> x(2 * 3 * 4, 1), d(2 * 3 * 5, 1);
  const Entries entries = {-7, 24, 25, std::int64_t(1) << 60};
  const knas::cuda::LinearTask<float> task{x.data(), d.data(), entries.data(), 4, g.n, g.positions, g.in_features, g.out_features};
  const auto got = Kernels<knas::cuda::LinearRun<float>>{task, 32}.gradients();
  for (std::size_t k = 0; k < got.size(); ++k) {
    check::that(k % 4 == 1 ? got[k] == 3 : std::isnan(got[k]), "linear, missing entry " + std::to_string(k));
  }
}

}  // namespace

int main() {
  std::mt19937 generator(0);
  for (const std::int64_t positions : {1, 2, 17, 70}) {
    for (const std::int64_t s : {1, 31, 32, 50}) {
      if (!check::kEveryCase && (positions < 17 || s < 32)) continue;
      run_case<float>({5, positions, 11, 7}, s, 32, generator);
      run_case<double>({4, positions, 3, 13}, s, 96, generator);
    }
  }
  run_case<float>({1, 5, 1, 1}, 2, 64, generator);
  run_case<knas::bfloat16>({3, 9, 16, 4}, 40, 32, generator);
  run_case<knas::float16>({3, 9, 16, 4}, 40, 64, generator);
  missing_entries();
  simt::blocks_at_once = 3;
  run_case<float>({4, 20, 9, 9}, 70, 64, generator);
  return check::finish();
}
