// Launches the kernels of sampled.cuh for one kind of layer.
#pragma once
#include "core/element.h"
#include "cuda/launch.h"
#include "cuda/sampled.cuh"

namespace knas::cuda {

void launch_statistics(const double* moments, std::int64_t chunks, std::int64_t s, std::int64_t n, double* statistics, cudaStream_t);

template <class Run>
void launch_sampled(const typename Run::Task& task, unsigned threads, typename Run::Acc* g, cudaStream_t stream) {
  const Split split = split_work(task.s, Run::kEntries, task.n);
  launch(sampled_kernel<Run>, split.blocks(), threads, stream, task, split, g);
}

template <class Run>
void launch_gram(const typename Run::Task& task, unsigned threads, double* scratch, double* statistics, cudaStream_t stream) {
  const Split split = split_work(task.s, Run::kEntries, pair_units(task.n));
  launch(moments_kernel<Run>, split.blocks(), threads, stream, task, split, scratch);
  launch_statistics(scratch, split.chunks, task.s, task.n, statistics, stream);
}

}  // namespace knas::cuda
