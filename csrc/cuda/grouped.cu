#include "cuda/launch_sampled.cuh"

namespace knas::cuda {
namespace {

// The parts of the descriptors follow each other, each from a multiple of 16 bytes on.
constexpr std::size_t padded(std::size_t size) { return (size + 15) / 16 * 16; }

template <class T> void append(std::vector<std::byte>& to, const std::vector<T>& part) {
  const auto* bytes = reinterpret_cast<const std::byte*>(part.data());
  to.insert(to.end(), bytes, bytes + part.size() * sizeof(T));
  to.resize(padded(to.size()));
}

}  // namespace

GroupedPlan::Group& GroupedPlan::group(Launch launch, unsigned threads) {
  constexpr unsigned kMostBlocks = 1u << 30;  // a grid holds 2^31, and a layer adds kTargetBlocks, or as many as it has runs of entries
  for (Group& g : groups_) {
    if (g.launch == launch && g.threads == threads && g.blocks < kMostBlocks) return g;
  }
  return groups_.emplace_back(Group{launch, threads, 0, {}, {}});
}

std::vector<std::byte> GroupedPlan::descriptors() const {
  std::vector<std::byte> all;
  for (const Group& g : groups_) append(all, g.tasks), append(all, g.first_block);
  append(all, statistics_);
  return all;
}

void GroupedPlan::launch(const std::byte* descriptors, double* scratch, double* statistics, cudaStream_t stream) const {
  const auto take = [&](std::size_t size) {
    const std::byte* part = descriptors;
    descriptors += padded(size);
    return part;
  };
  for (const Group& g : groups_) {
    const std::byte* tasks = take(g.tasks.size());
    const auto* first_block = reinterpret_cast<const unsigned*>(take(g.first_block.size() * sizeof(unsigned)));
    g.launch(tasks, first_block, unsigned(g.first_block.size()), g.blocks, g.threads, scratch, stream);
  }
  const auto* layers = reinterpret_cast<const StatisticsTask*>(take(0));
  const auto count = unsigned(statistics_.size() * sizeof(std::int64_t) / sizeof(StatisticsTask));
  launch_grouped_statistics(layers, count, scratch, statistics, stream);
}

}  // namespace knas::cuda
