// The Gram matrix's CUDA kernels, emulated, and the CPU core, against the definition in double.
#include "simt.h"
//
#include "check.h"
#include "core/gram.h"
#include "cuda/gram.cuh"

namespace {

template <class T, int kTile>
std::vector<double> emulated_gram(const std::vector<T>& v, std::int64_t n, std::int64_t p, const knas::cuda::GramPlan& plan) {
  std::vector<double> partial(plan.chunks * n * n, NAN), gram(n * n, NAN);
  simt::launch(knas::cuda::gram_partial_kernel<T, kTile>, dim3{unsigned(plan.tiles), unsigned(plan.chunks)}, dim3{plan.threads()}, v.data(),
               n, p, plan.length, partial.data());
  simt::launch(knas::cuda::gram_combine_kernel, dim3{unsigned((n * n + 63) / 64)}, dim3{64}, partial.data(), n, plan.chunks, gram.data());
  return gram;
}

template <class T>
std::vector<double> emulated_statistics(const std::vector<T>& v, const std::vector<double>& gram, std::int64_t n, std::int64_t p) {
  std::vector<double> squares(3, NAN), out(5, NAN);
  simt::launch(knas::cuda::column_squares_kernel<T>, dim3{3}, dim3{64}, v.data(), n, p, squares.data());
  simt::launch(knas::cuda::gram_statistics_kernel, dim3{1}, dim3{96}, gram.data(), n, squares.data(), 3, out.data());
  return out;
}

template <class T> std::vector<double> reference(const std::vector<T>& v, std::int64_t n, std::int64_t p) {
  std::vector<double> gram;
  for (std::int64_t i = 0; i < n; ++i) {
    for (std::int64_t j = 0; j < n; ++j) {
      double sum = 0;
      for (std::int64_t e = 0; e < p; ++e) sum += double(v[i * p + e]) * double(v[j * p + e]);
      gram.push_back(sum);
    }
  }
  return gram;
}

bool symmetric(const std::vector<double>& gram, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) {
    for (std::int64_t j = 0; j < n; ++j) {
      if (gram[i * n + j] != gram[j * n + i]) return false;
    }
  }
  return true;
}

template <class T, int kTile> void run_case(std::int64_t n, std::int64_t p, std::int64_t length, std::mt19937& generator) {
  const auto v = check::random<T>(n * p, generator);
  const std::string name = "gram, tile " + std::to_string(kTile) + ", n " + std::to_string(n) + ", p " + std::to_string(p);
  auto plan = knas::cuda::gram_plan(n, p);
  check::that(plan.chunks * plan.length >= p && (plan.chunks - 1) * plan.length < p, name + ", the plan covers every column once");
  const std::int64_t side = (n + kTile - 1) / kTile;
  plan = {kTile, side * (side + 1) / 2, (p + length - 1) / length, length};
  const auto want = reference(v, n, p), gram = emulated_gram<T, kTile>(v, n, p, plan);
  check::close(gram, want, check::tolerance<T>, name);
  check::that(symmetric(gram, n), name + ", symmetric");

  std::vector<double> doubles;
  for (const T& x : v) doubles.push_back(double(x));
  auto statistics = check::statistics(doubles, n, p);
  double squares = 0;
  for (const double g : want) squares += g * g;
  statistics.push_back(std::sqrt(squares));
  check::close(emulated_statistics(v, gram, n, p), statistics, check::tolerance<T>, name + ", statistics");

  if constexpr (std::is_floating_point_v<T>) {
    std::vector<double> core(n * n, NAN);
    knas::gram_matrix<T>(v.data(), n, p, core.data(), 2);
    check::close(core, want, check::tolerance<T>, name + ", core");
  }
}

}  // namespace

int main() {
  std::mt19937 generator(0);
  for (const std::int64_t n : {1, 2, 5, 32}) {
    for (const std::int64_t p : {1, 15, 16, 300}) {
      if (!check::kEveryCase && (n < 5 || p < 300)) continue;
      run_case<float, 32>(n, p, 256, generator), run_case<double, 32>(n, p, 256, generator);
    }
  }
  if (check::kEveryCase) run_case<float, 32>(3, 1500, 1280, generator);  // more than one flush per chunk
  run_case<float, 32>(70, 40, 256, generator);                           // 3 x 3 tiles
  run_case<double, 64>(67, 20, 256, generator);
  run_case<knas::bfloat16, 32>(9, 60, 256, generator);
  run_case<knas::float16, 32>(9, 60, 256, generator);
  simt::blocks_at_once = 3;
  run_case<float, 32>(40, 70, 32, generator);
  return check::finish();
}
