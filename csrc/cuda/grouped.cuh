// The moments of many layers in one launch: those of a network after its backward pass, or of several networks.
//
// Layout. A layer's `Task` and `Split` are one descriptor in device memory. Blocks are numbered through the layers, and each layer has the
// blocks that moments_kernel would have: first_block (prefix sums) tells a block its layer by binary search, the rest of its number is
// its (run, chunk) there. It copies the descriptor to shared memory and runs block_moments (sampled.cuh), the code of the launch per layer, with
// as many threads: the same sums in the same order.
//
// Layers share a launch when they have one kernel (kind, element type, layout, variant) and one block size; a network has 4 to 8 of such
// groups. One launch for all kinds was dropped: every block would take the registers of the greediest kind (a normalization needs a
// third of a convolution's, and its loads in flight are what fills the bandwidth) and the largest block, so that a small layer's blocks
// would hold 8 warps' registers for one at work, or sum in another order than launches per layer do. What it would save is 3 to 7 launches of
// 2 to 4 us per network.
//
// Count, a NAS-Bench-201 network of 67 convolutions, 66 normalizations and a classifier: per layer 134 x 2 launches, here 5 to 7 + 1 and one
// copy of 134 x ~300 bytes = 40 KB from pinned memory, a microsecond or two. The search reads log2(layers) = 7 words, in L1 after an SM's
// first block.
// It needs every layer's input and output gradient at once, when the backward pass is over. Inputs are alive until the pass
// reaches their layer anyway, so the peak grows by the gradients: n = 32, float32, per layer n x C x H x W x 4 = 2.1, 1.05 and 0.52 MB in the
// three stages; 45 + 44 + 44 layers: 160 MB.
#pragma once
#include <cstdint>

#include "cuda/sampled.cuh"

namespace knas::cuda {

template <class Run> struct GroupedTask {
  typename Run::Task task;
  Split split;
  std::int64_t first_moment;  // doubles before this layer's moments [chunks, s, 3]
};

// Of one layer in grouped_statistics_kernel: where its moments begin, and its row of the result.
struct StatisticsTask { std::int64_t first_moment, chunks, s, n, row; };

template <class Run>
__global__ void __launch_bounds__(kMaxThreads, Run::kBlocksPerSm)
grouped_moments_kernel(const GroupedTask<Run>* __restrict__ tasks, const unsigned* __restrict__ first_block, const unsigned layers,
                       double* __restrict__ moments) {
  static_assert(sizeof(GroupedTask<Run>) % sizeof(std::int64_t) == 0);
  using Task = GroupedTask<Run>;
  KNAS_SHARED(Task, grouped);
  unsigned layer = 0;
  for (unsigned end = layers; end - layer > 1;) {
    const unsigned middle = layer + (end - layer) / 2;
    if (__ldg(first_block + middle) <= blockIdx.x) layer = middle;
    else end = middle;
  }
  const auto* from = reinterpret_cast<const long long*>(tasks + layer);
  auto* to = reinterpret_cast<long long*>(&grouped);
  for (unsigned word = threadIdx.x; word < sizeof(Task) / sizeof *to; word += blockDim.x) to[word] = __ldg(from + word);
  __syncthreads();
  block_moments<Run>(grouped.task, grouped.split, blockIdx.x - __ldg(first_block + layer), moments + grouped.first_moment);
}

}  // namespace knas::cuda
