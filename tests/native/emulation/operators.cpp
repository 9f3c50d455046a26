// The CUDA operators as they are, csrc/cuda_*.cpp and all that they launch, emulated on CPU tensors: torch.ops.knas_emulated.*.
// tests/cuda/test_ops_emulated.py builds this with the headers beside it in place of torch's CUDA ones, and declares the schemas.
#include <ATen/ATen.h>
#include <torch/library.h>

#include "simt.h"

#undef TORCH_LIBRARY_IMPL
#define TORCH_LIBRARY_IMPL(ns, key, m) _TORCH_LIBRARY_IMPL(knas_emulated, CPU, m, C10_UID)

#include "cuda_grouped.cpp"
#include "cuda_ops.cpp"

#include "cuda/affine.cu"
#include "cuda/conv.cu"
#include "cuda/gram.cu"
#include "cuda/grouped.cu"
#include "cuda/linear.cu"
#include "cuda/statistics.cu"
