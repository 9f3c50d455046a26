// Launches the kernels on raw device pointers. Nothing here allocates, synchronizes or checks for errors; sizes are > 0.
// `scratch` is device memory of the stated size. T: float, double, bfloat16 or float16.
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/element.h"
#include "core/geometry.h"

struct CUstream_st;
using cudaStream_t = CUstream_st*;  // as in CUDA's own headers, which this one does not need

namespace knas::cuda {

// What every kind of layer has: its tensors, contiguous on the device, and the sampled entries [s].
template <class T> struct Sampled {
  const T* input;
  const T* grad_output;
  const std::int64_t* entries;
  std::int64_t s;
  bool interleaved = false;  // both tensors have their channels side by side ("channels last"): [n, positions, channels]
};

// Whether a convolution's kernels read interleaved tensors (a normalization's always do, a linear layer's never).
bool reads_interleaved(const ConvGeometry&);

// Doubles of scratch that the three *_gram functions need.
std::int64_t gram_scratch(std::int64_t n, std::int64_t s);

// g [n, s] in float (double for double).
template <class T>
void conv_sampled_gradients(const ConvGeometry&, const Sampled<T>&, accumulate_t<T>* g, cudaStream_t);
template <class T>
void linear_sampled_gradients(const LinearGeometry&, const Sampled<T>&, accumulate_t<T>* g, cudaStream_t);
template <class T>
void affine_sampled_gradients(const AffineGeometry&, const Sampled<T>&, const accumulate_t<T>* mean, const accumulate_t<T>* rstd, accumulate_t<T>* g, cudaStream_t);

// statistics [4]: mean, mean_off_diagonal, trace, split.
template <class T>
void conv_gram(const ConvGeometry&, const Sampled<T>&, double* scratch, double* statistics, cudaStream_t);
template <class T>
void linear_gram(const LinearGeometry&, const Sampled<T>&, double* scratch, double* statistics, cudaStream_t);
template <class T>
void affine_gram(const AffineGeometry&, const Sampled<T>&, const accumulate_t<T>* mean, const accumulate_t<T>* rstd, double* scratch, double* statistics,
                 cudaStream_t);

// The statistics of many layers in a few launches (grouped.cuh), the same to the bit as those of the *_gram functions above. Usage: add layers,
// copy descriptors() to the device, launch there. Pointers that were added must live until the launches are done.
class GroupedPlan {
 public:
  // The next layer; its statistics go to row `row` of the result. T may differ between layers.
  template <class T> void add(const ConvGeometry&, const Sampled<T>&, std::int64_t row);
  template <class T> void add(const LinearGeometry&, const Sampled<T>&, std::int64_t row);
  template <class T> void add(const AffineGeometry&, const Sampled<T>&, const accumulate_t<T>* mean, const accumulate_t<T>* rstd, std::int64_t row);

  bool empty() const { return statistics_.empty(); }
  std::int64_t scratch() const { return moments_; }  // doubles
  std::vector<std::byte> descriptors() const;
  std::size_t launches() const { return groups_.size() + 1; }
  // descriptors: those above, on the device, at an address that is a multiple of 16; statistics [rows, 4].
  void launch(const std::byte* descriptors, double* scratch, double* statistics, cudaStream_t) const;

 private:
  // Launches one group: tasks, first_block, layers, blocks, threads, moments, stream.
  using Launch = void (*)(const std::byte*, const unsigned*, unsigned, unsigned, unsigned, double*, cudaStream_t);
  struct Group {
    Launch launch;
    unsigned threads, blocks;
    std::vector<std::byte> tasks;
    std::vector<unsigned> first_block;
  };

  template <class Run> void push(const typename Run::Task&, unsigned threads, std::int64_t row);
  Group& group(Launch launch, unsigned threads);

  std::vector<Group> groups_;
  std::vector<std::int64_t> statistics_;  // 5 numbers per layer, a StatisticsTask
  std::int64_t moments_ = 0;
};

// Doubles of scratch that gram_matrix and gram_statistics need.
std::int64_t gram_matrix_scratch(std::int64_t n, std::int64_t p);
std::int64_t gram_statistics_scratch(std::int64_t p);

// gram [n, n] of vectors [n, p].
template <class T> void gram_matrix(const T* vectors, std::int64_t n, std::int64_t p, double* scratch, double* gram, cudaStream_t);

// statistics [5]: mean, mean_off_diagonal, trace, split, frobenius of vectors [n, p] and their gram [n, n].
template <class T>
void gram_statistics(const T* vectors, const double* gram, std::int64_t n, std::int64_t p, double* scratch, double* statistics,
                     cudaStream_t);

}  // namespace knas::cuda
