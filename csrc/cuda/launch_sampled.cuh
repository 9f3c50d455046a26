// Launches the kernels of sampled.cuh for one kind of layer.
#pragma once
#include "core/element.h"
#include "cuda/grouped.cuh"
#include "cuda/launch.h"
#include "cuda/sampled.cuh"

namespace knas::cuda {

void launch_statistics(const double* moments, std::int64_t chunks, std::int64_t s, std::int64_t n, double* statistics, cudaStream_t);
void launch_grouped_statistics(const StatisticsTask* layers, unsigned count, const double* moments, double* statistics, cudaStream_t);

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

template <class Run>
void launch_grouped(const std::byte* tasks, const unsigned* first_block, unsigned layers, unsigned blocks, unsigned threads, double* moments,
                    cudaStream_t stream) {
  launch(grouped_moments_kernel<Run>, blocks, threads, stream, reinterpret_cast<const GroupedTask<Run>*>(tasks), first_block, layers, moments);
}

template <class Run> void GroupedPlan::push(const typename Run::Task& task, unsigned threads, std::int64_t row) {
  const Split split = split_work(task.s, Run::kEntries, pair_units(task.n));
  const GroupedTask<Run> grouped{task, split, moments_};
  Group& g = group(launch_grouped<Run>, threads);
  const auto* bytes = reinterpret_cast<const std::byte*>(&grouped);
  g.tasks.insert(g.tasks.end(), bytes, bytes + sizeof grouped);
  g.first_block.push_back(g.blocks);
  g.blocks += split.blocks();
  statistics_.insert(statistics_.end(), {moments_, std::int64_t(split.chunks), task.s, task.n, row});
  moments_ += std::int64_t(split.chunks) * task.s * 3;
}

}  // namespace knas::cuda
