// Batches of dot products: the inner loops of every CPU operator. Compiled once per instruction set, chosen when loaded.
#pragma once
#include <cstdint>

namespace knas {

constexpr int kDots = 8;                 // products per call: enough independent sums to hide the latency of one
constexpr std::int64_t kDotBlock = 2048; // longest run that is summed in the element type; longer ones go through double

// out[k] = sum_q x[k][q] * y[k][q], q < length <= kDotBlock.
void dots(const float* const x[kDots], const float* const y[kDots], std::int64_t length, float out[kDots]);
void dots(const double* const x[kDots], const double* const y[kDots], std::int64_t length, double out[kDots]);

// sums[0] = sum_q y[q], sums[1] = sum_q y[q] * (x[q] - shift).
void shifted_sums(const float* x, const float* y, std::int64_t length, float shift, float sums[2]);
void shifted_sums(const double* x, const double* y, std::int64_t length, double shift, double sums[2]);

// sums[0] = sum_q (x[q] - shift), sums[1] = sum_q (x[q] - shift)^2.
void shifted_squares(const float* x, std::int64_t length, float shift, float sums[2]);
void shifted_squares(const double* x, std::int64_t length, double shift, double sums[2]);

// Whether no element is NaN or infinite.
bool all_finite(const float* x, std::int64_t length);
bool all_finite(const double* x, std::int64_t length);

}  // namespace knas
