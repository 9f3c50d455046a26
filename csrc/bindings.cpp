// The operators' schemas, what answers where a device has no kernels, and what `import knas._C` tells about the build.
#include <pybind11/pybind11.h>
#include <torch/library.h>
#include <torch/version.h>

TORCH_LIBRARY(knas, m) {
  m.def("conv_sampled_gradients(Tensor input, Tensor grad_output, Tensor entries, int[] kernel_size, int[] stride, int[] padding, "
        "int[] dilation, int groups) -> Tensor");
  m.def("conv_gram(Tensor input, Tensor grad_output, Tensor entries, int[] kernel_size, int[] stride, int[] padding, int[] dilation, "
        "int groups) -> Tensor");
  m.def("linear_sampled_gradients(Tensor input, Tensor grad_output, Tensor entries) -> Tensor");
  m.def("linear_gram(Tensor input, Tensor grad_output, Tensor entries) -> Tensor");
  m.def("affine_sampled_gradients(Tensor input, Tensor grad_output, Tensor mean, Tensor rstd, Tensor entries) -> Tensor");
  m.def("affine_gram(Tensor input, Tensor grad_output, Tensor mean, Tensor rstd, Tensor entries) -> Tensor");
  m.def("conv_per_sample_gradients(Tensor input, Tensor grad_output, int[] kernel_size, int[] stride, int[] padding, int[] dilation, "
        "int groups) -> Tensor");  // on CUDA by library products, from Python
  m.def("conv_gram_matrix(Tensor input, Tensor grad_output, int[] kernel_size, int[] stride, int[] padding, int[] dilation, "
        "int groups) -> Tensor");
  m.def("grouped_gram(Tensor[] inputs, Tensor[] grad_outputs, Tensor[] entries, Tensor[] statistics, int[] kinds, int[] geometry) "
        "-> Tensor");
  m.def("gram_matrix(Tensor vectors) -> Tensor");
  m.def("gram_statistics(Tensor vectors) -> Tensor");
  m.def("all_finite(Tensor[] tensors) -> bool");
  m.def("channel_moments(Tensor input) -> (Tensor, Tensor)");
  m.def("scale_channels(Tensor input, Tensor scale) -> Tensor");
  m.def("fixed_batch_norm(Tensor input, Tensor mean, Tensor variance, Tensor? weight, Tensor? bias, float eps) -> (Tensor, Tensor, Tensor)");
}

#ifndef KNAS_WITH_CUDA
namespace knas {
namespace {

void no_cuda(const c10::OperatorHandle& op, torch::jit::Stack*) {
  TORCH_CHECK_NOT_IMPLEMENTED(false, op.schema().name(), ": knas was installed without its CUDA kernels: ", KNAS_CUDA_REASON);
}

}  // namespace
}  // namespace knas

TORCH_LIBRARY_IMPL(knas, CUDA, m) {
  for (const char* op : {"conv_sampled_gradients", "conv_gram", "linear_sampled_gradients", "linear_gram", "affine_sampled_gradients",
                         "affine_gram", "grouped_gram", "gram_matrix", "gram_statistics"})
    m.impl(op, torch::CppFunction::makeFromBoxedFunction<&knas::no_cuda>());
}
#endif

PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {
  m.attr("torch_version") = TORCH_VERSION;
  m.attr("cuda_reason") = KNAS_CUDA_REASON;
#ifdef KNAS_WITH_CUDA
  m.attr("with_cuda") = true;
  m.attr("cuda_version") = KNAS_CUDA_VERSION;
#else
  m.attr("with_cuda") = false;
  m.attr("cuda_version") = pybind11::none();
#endif
}
