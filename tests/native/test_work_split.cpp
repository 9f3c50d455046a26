// How work is shared out over blocks: everything once, within bounds, scratch large enough.
#include "simt.h"
//
#include "check.h"
#include "cuda/affine.cuh"
#include "cuda/conv.cuh"
#include "cuda/gram.cuh"
#include "cuda/linear.cuh"

namespace {

using namespace knas::cuda;

void splits() {
  for (const std::int64_t s : {1, 7, 8, 9, 50, 1000, 20000, 300000}) {
    for (const std::int64_t units : {1, 2, 31, 32, 33, 1000, 100000}) {
      for (const int entries : {8, 32}) {
        const Split split = split_work(s, entries, units);
        const std::string name = "split of " + std::to_string(s) + " entries, " + std::to_string(units) + " units";
        check::that(std::int64_t(split.runs) * entries >= s && std::int64_t(split.runs - 1) * entries < s, name + ": runs");
        check::that(split.chunks * split.length >= units && (split.chunks - 1) * split.length < units, name + ": chunks");
        check::that(split.runs >= kTargetBlocks || split.blocks() <= kTargetBlocks, name + ": blocks");
        check::that(moments_size(2 * units, s) >= std::int64_t(split.chunks) * s * 3, name + ": scratch");
        check::that(moments_size(2 * units, s) <= (kTargetBlocks * kWarp + s) * 3, name + ": scratch has a bound");
      }
    }
  }
}

void threads() {
  for (const std::int64_t work : {1, 31, 128, 129, 1024, 1000000}) {
    for (const int lanes : {1, 32}) {
      const unsigned t = block_threads(work, lanes);
      check::that(t % kWarp == 0 && t >= kWarp && t <= kMaxThreads, "threads for " + std::to_string(work));
    }
  }
  check::that(block_threads(1024, 1) == 256 && block_threads(64, 1) == 32 && block_threads(1, 32) == 32, "threads: the usual layers");
}

void gram_plans() {
  for (const std::int64_t n : {1, 32, 33, 64, 65, 1000}) {
    for (const std::int64_t p : {1, 255, 256, 257, 36864, 11000000}) {
      const GramPlan plan = gram_plan(n, p);
      const std::string name = "gram plan, n " + std::to_string(n) + ", p " + std::to_string(p);
      check::that(plan.chunks * plan.length >= p && (plan.chunks - 1) * plan.length < p, name + ": chunks");
      check::that(plan.chunks <= kGramBlocks && plan.length % kGramColumns == 0 && plan.threads() <= kMaxThreads, name + ": bounds");
      check::that(column_blocks(p) >= 1 && column_blocks(p) <= 4 * kGramBlocks, name + ": column blocks");
    }
  }
}

void index_widths() {
  knas::ConvGeometry g{64, 16, 16, 1, {1, 32, 32}, {1, 32, 32}, {1, 3, 3}, {1, 1, 1}, {0, 1, 1}, {1, 1, 1}};
  check::that(conv_fits_32_bits(g) && conv_has_2_axes(g), "an ordinary convolution has 32-bit indices and 2 axes");
  g.n = std::int64_t(1) << 40;
  check::that(conv_fits_32_bits(g), "the number of samples does not widen the index");
  g.in[2] = g.out[2] = std::int64_t(1) << 27;
  check::that(!conv_fits_32_bits(g), "2^36 elements in a sample do");
  g.in[2] = g.out[2] = 32, g.padding[0] = 1, g.out[0] = 3;
  check::that(!conv_has_2_axes(g), "padding of the first axis makes a third");
}

}  // namespace

int main() {
  splits(), threads(), gram_plans(), index_widths();
  return check::finish();
}
