// Runs the kernels of cuda/sampled.cuh for one kind of layer, emulated, and compares them and the CPU core with a reference.
#pragma once
#include <string>
#include <vector>

#include "check.h"
#include "core/gram.h"
#include "cuda/sampled.cuh"
#include "cuda/statistics.cuh"
#include "simt.h"

template <class Run> struct Kernels {
  const typename Run::Task& task;
  unsigned threads;

  std::vector<typename Run::Acc> gradients() const {
    const auto split = knas::cuda::split_work(task.s, Run::kEntries, task.n);
    std::vector<typename Run::Acc> g(task.n * task.s, NAN);
    simt::launch(knas::cuda::sampled_kernel<Run>, dim3{split.blocks()}, dim3{threads}, task, split, g.data());
    return g;
  }

  // `length` > 0: so many units per block instead of what split_work chooses.
  std::vector<double> statistics(std::int64_t length = 0) const {
    const std::int64_t units = knas::cuda::pair_units(task.n);
    auto split = knas::cuda::split_work(task.s, Run::kEntries, units);
    if (length) split.length = length, split.chunks = unsigned((units + length - 1) / length);
    std::vector<double> moments(split.chunks * task.s * 3, NAN), out(4, NAN);
    simt::launch(knas::cuda::moments_kernel<Run>, dim3{split.blocks()}, dim3{threads}, task, split, moments.data());
    simt::launch(knas::cuda::statistics_kernel, dim3{1}, dim3{threads}, moments.data(), std::int64_t(split.chunks), task.s, task.n,
                 out.data());
    return out;
  }
};

template <class Run>
void compare_kernels(const Kernels<Run>& kernels, const std::vector<double>& want, const std::string& name) {
  using T = std::remove_cv_t<std::remove_pointer_t<decltype(kernels.task.input)>>;
  const auto statistics = check::statistics(want, kernels.task.n, kernels.task.s);
  check::close(kernels.gradients(), want, check::tolerance<T>, name + ", gradients");
  check::close(kernels.statistics(), statistics, check::tolerance<T>, name + ", statistics");
  check::close(kernels.statistics(2), statistics, check::tolerance<T>, name + ", statistics in chunks of 2");
}

template <class A>
void compare_core(const std::vector<A>& gradients, const knas::GramSums& sums, const std::vector<double>& want, std::int64_t n,
                  std::int64_t s, double tolerance, const std::string& name) {
  check::close(gradients, want, tolerance, name + ", gradients of the core");
  check::close(std::vector<double>{sums.mean, sums.mean_off_diagonal, sums.trace, sums.split}, check::statistics(want, n, s), tolerance,
               name + ", statistics of the core");
}
