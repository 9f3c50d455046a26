// The normalization's CUDA kernels, emulated, and the CPU core, against the definition in double.
#include "simt.h"
//
#include "check.h"
#include "core/layers.h"
#include "cuda/affine.cuh"
#include "cuda/affine_last.cuh"
#include "kernels.h"

namespace {

template <class T> struct Inputs {
  std::vector<T> x, d;
  std::vector<knas::accumulate_t<T>> mean, rstd;
  std::vector<std::int64_t> entries;
};

template <class T> std::vector<double> reference(const knas::AffineGeometry& g, const Inputs<T>& in) {
  std::vector<double> out;
  for (std::int64_t i = 0; i < g.n; ++i) {
    for (const std::int64_t entry : in.entries) {
      const std::int64_t c = entry % g.channels, statistic = (g.statistics == 1 ? 0 : i * g.channels) + c;
      double sum = 0;
      for (std::int64_t t = (i * g.channels + c) * g.positions; t < (i * g.channels + c + 1) * g.positions; ++t) {
        const double normalized = (double(in.x[t]) - double(in.mean[statistic])) * double(in.rstd[statistic]);
        sum += double(in.d[t]) * (entry < g.channels ? normalized : 1);
      }
      out.push_back(sum);
    }
  }
  return out;
}

template <class T> void run_case(const knas::AffineGeometry& g, std::int64_t s, unsigned threads, std::mt19937& generator) {
  using A = knas::accumulate_t<T>;
  const std::int64_t size = g.n * g.channels * g.positions;
  const Inputs<T> in{check::random<T>(size, generator), check::random<T>(size, generator),
                     check::random<A>(g.statistics * g.channels, generator), check::random<A>(g.statistics * g.channels, generator),
                     check::random_entries(s, 2 * g.channels, generator)};
  const auto want = reference(g, in);
  const std::string name = "affine, n " + std::to_string(g.n) + ", channels " + std::to_string(g.channels) + ", positions " +
                           std::to_string(g.positions) + ", s " + std::to_string(s) + ", threads " + std::to_string(threads);
  using namespace knas::cuda;
  AffineTask<T> task{in.x.data(), in.d.data(), in.mean.data(), in.rstd.data(), in.entries.data(), s, g.n, g.channels, g.positions, g.statistics,
                     false};
  compare_kernels(Kernels<AffineRun<T>>{task, threads}, want, name);
  const auto scalar = Kernels<AffineRun<T>>{task, threads}.gradients();
  task.aligned = g.positions % 4 == 0 && aligned_to_four(task.input) && aligned_to_four(task.grad_output);
  check::that(!task.aligned || Kernels<AffineRun<T>>{task, threads}.gradients() == scalar, name + ": the bits of loads of one and of four");
  const auto x = check::side_by_side(in.x, g.n, g.channels, g.positions), d = check::side_by_side(in.d, g.n, g.channels, g.positions);
  task.input = x.data(), task.grad_output = d.data(), task.aligned = false;
  compare_kernels(Kernels<AffineLastRun<T>>{task, threads}, want, name + ", channels last");
  using P = knas::Planes<const T>;
  const auto core = [&](P input, P grad, const std::string& order) {
    std::vector<A> out(want.size(), NAN);
    const auto* e = in.entries.data();
    knas::affine_sampled_gradients<T>(g, input, grad, in.mean.data(), in.rstd.data(), e, s, out.data(), 2);
    const auto sums = knas::affine_gram<T>(g, input, grad, in.mean.data(), in.rstd.data(), e, s, 2);
    compare_core(out, sums, want, g.n, s, check::tolerance<T>, name + order);
  };
  core(P::contiguous(in.x.data(), g.channels, g.positions), P::contiguous(in.d.data(), g.channels, g.positions), ", planes");
  core(P::interleaved(x.data(), g.channels, g.positions), P::interleaved(d.data(), g.channels, g.positions), ", side by side");
}

template <class Run> void missing_entries() {
  const std::vector<float> ones(2 * 3 * 4, 1), zeros(3, 0);
  const std::vector<std::int64_t> entries = {-1, 5, 6, std::int64_t(1) << 61};
  const knas::cuda::AffineTask<float> task{ones.data(), ones.data(), zeros.data(), ones.data(), entries.data(), 4, 2, 3, 4, 1, false};
  const auto got = Kernels<Run>{task, 32}.gradients();
  for (std::size_t k = 0; k < got.size(); ++k) {
    check::that(k % 4 == 1 ? got[k] == 4 : std::isnan(got[k]), "affine, missing entry " + std::to_string(k));
  }
}

}  // namespace

int main() {
  std::mt19937 generator(0);
  for (const std::int64_t positions : {1, 33, 100}) {
    for (const std::int64_t s : {1, 8, 9, 50}) {
      if (!check::kEveryCase && (positions < 33 || s < 9)) continue;
      run_case<float>({5, 7, positions, 1}, s, 32, generator);
      run_case<double>({4, 30, positions, 4}, s, 64, generator);
    }
  }
  run_case<float>({1, 1, 5, 1}, 2, 64, generator);
  run_case<knas::bfloat16>({3, 6, 20, 3}, 12, 32, generator);
  run_case<knas::float16>({3, 6, 20, 1}, 12, 64, generator);
  missing_entries<knas::cuda::AffineRun<float>>();
  missing_entries<knas::cuda::AffineLastRun<float>>();
  simt::blocks_at_once = 3;
  run_case<float>({4, 9, 40, 4}, 18, 64, generator);
  return check::finish();
}
