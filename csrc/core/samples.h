// Runs an evaluator over samples, on all threads: into a stored [n, s] matrix, or into Gram sums that never store it.
// An evaluator `evaluate(i, g)` writes sample i's s entries to g; `make()` gives each thread one with scratch space of its own.
#pragma once
#include <algorithm>
#include <cstdint>
#include <vector>

#include "core/gram.h"

namespace knas {

template <class A, class Make> void each_sample(std::int64_t n, std::int64_t s, A* g, int threads, Make&& make) {
#pragma omp parallel num_threads(threads)
  {
    auto evaluate = make();
#pragma omp for schedule(static)
    for (std::int64_t i = 0; i < n; ++i) evaluate(i, g + i * s);
  }
}

// One chunk of consecutive pairs (k, k + n/2), whose sums are added up on one thread.
struct ChunkSums {
  std::vector<double> entries;
  double trace = 0, split = 0;

  template <class A> void add(const A* first, const A* second) {
    for (std::size_t e = 0; e < entries.size(); ++e) {
      const double u = first[e], v = second ? second[e] : 0.0;
      entries[e] += u + v, trace += u * u + v * v, split += u * v;
    }
  }
};

// Chunks are fixed by n alone and added in order, so the result does not depend on the number of threads.
template <class A, class Make> GramSums fused_gram(std::int64_t n, std::int64_t s, int threads, Make&& make) {
  constexpr std::int64_t kPairs = 2;
  const std::int64_t half = n / 2, pairs = half + n % 2, chunks = (pairs + kPairs - 1) / kPairs;
  std::vector<ChunkSums> parts(chunks, ChunkSums{std::vector<double>(s)});
#pragma omp parallel num_threads(threads)
  {
    auto evaluate = make();
    std::vector<A> first(s), second(s);
#pragma omp for schedule(static)
    for (std::int64_t chunk = 0; chunk < chunks; ++chunk)
      for (std::int64_t k = chunk * kPairs; k < std::min(pairs, (chunk + 1) * kPairs); ++k) {
        const bool lone = k == half;  // the last of an odd number of samples has no partner
        evaluate(lone ? n - 1 : k, first.data());
        if (!lone) evaluate(k + half, second.data());
        parts[chunk].add(first.data(), lone ? nullptr : second.data());
      }
  }
  ChunkSums total{std::vector<double>(s)};
  for (const ChunkSums& part : parts) {
    for (std::int64_t e = 0; e < s; ++e) total.entries[e] += part.entries[e];
    total.trace += part.trace, total.split += part.split;
  }
  return gram_sums(total.entries.data(), s, total.trace, total.split, n);
}

}  // namespace knas
