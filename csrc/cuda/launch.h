// Launches the kernels on raw device pointers. Nothing here allocates, synchronizes or checks for errors; sizes are > 0.
// `scratch` is device memory of the stated size. T: float, double, bfloat16 or float16.
#pragma once
#include <cstdint>

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
};

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
