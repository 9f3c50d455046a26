#include "core/dot.h"

#include "core/clones.h"

#define KNAS_DEFINE_DOTS(T)                                                                                  \
  KNAS_CLONES void dots(const T* const x[kDots], const T* const y[kDots], std::int64_t length, T out[kDots]) { \
    const T *x0 = x[0], *x1 = x[1], *x2 = x[2], *x3 = x[3], *x4 = x[4], *x5 = x[5], *x6 = x[6], *x7 = x[7];  \
    const T *y0 = y[0], *y1 = y[1], *y2 = y[2], *y3 = y[3], *y4 = y[4], *y5 = y[5], *y6 = y[6], *y7 = y[7];  \
    T s0 = 0, s1 = 0, s2 = 0, s3 = 0, s4 = 0, s5 = 0, s6 = 0, s7 = 0;                                        \
    _Pragma("omp simd reduction(+ : s0, s1, s2, s3, s4, s5, s6, s7)")                                        \
    for (std::int64_t q = 0; q < length; ++q) {                                                              \
      s0 += x0[q] * y0[q], s1 += x1[q] * y1[q], s2 += x2[q] * y2[q], s3 += x3[q] * y3[q];                    \
      s4 += x4[q] * y4[q], s5 += x5[q] * y5[q], s6 += x6[q] * y6[q], s7 += x7[q] * y7[q];                    \
    }                                                                                                        \
    out[0] = s0, out[1] = s1, out[2] = s2, out[3] = s3, out[4] = s4, out[5] = s5, out[6] = s6, out[7] = s7;  \
  }                                                                                                          \
  KNAS_CLONES void shifted_sums(const T* x, const T* y, std::int64_t length, T shift, T sums[2]) {           \
    T plain = 0, product = 0;                                                                                \
    _Pragma("omp simd reduction(+ : plain, product)")                                                        \
    for (std::int64_t q = 0; q < length; ++q) plain += y[q], product += y[q] * (x[q] - shift);               \
    sums[0] = plain, sums[1] = product;                                                                      \
  }                                                                                                          \
  KNAS_CLONES void shifted_squares(const T* x, std::int64_t length, T shift, T sums[2]) {                    \
    T plain = 0, square = 0;                                                                                 \
    _Pragma("omp simd reduction(+ : plain, square)")                                                         \
    for (std::int64_t q = 0; q < length; ++q) plain += x[q] - shift, square += (x[q] - shift) * (x[q] - shift); \
    sums[0] = plain, sums[1] = square;                                                                       \
  }                                                                                                          \
  KNAS_CLONES bool all_finite(const T* x, std::int64_t length) {                                             \
    T zero = 0; /* NaN and infinity times zero are NaN */                                                    \
    _Pragma("omp simd reduction(+ : zero)")                                                                  \
    for (std::int64_t q = 0; q < length; ++q) zero += x[q] * T(0);                                           \
    return zero == 0;                                                                                        \
  }

namespace knas {

KNAS_DEFINE_DOTS(float)
KNAS_DEFINE_DOTS(double)

}  // namespace knas
