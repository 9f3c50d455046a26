#include "core/interleaved.h"

#include <algorithm>
#include <cstring>
#include <type_traits>

#include "core/clones.h"

namespace knas {
namespace {

constexpr std::int64_t kPositions = 512;  // added up in the element type before the sums go to double
constexpr int kChains = 4;                // independent sums per channel: hide the latency of one

template <class A> struct Vector {
  static constexpr int kLanes = 64 / sizeof(A);
  typedef A type __attribute__((vector_size(64)));
};

template <class T, class V> KNAS_INLINE void load(const T* from, V& to) {
  using A = accumulate_t<T>;
  A lanes[Vector<A>::kLanes];
  for (int l = 0; l < Vector<A>::kLanes; ++l) lanes[l] = A(from[l]);
  std::memcpy(&to, lanes, sizeof to);
}

// first[c] += sum_t f(t, c), second[c] += sum_t g(t, c), where add(x + t channels + c, y + ..., shift, &f, &g) gives f and g.
template <class T, class Add>
KNAS_INLINE void sums(const T* x, const T* y, std::int64_t positions, std::int64_t channels, const accumulate_t<T>* shift,
                      double* first, double* second, Add&& add) {
  using A = accumulate_t<T>;
  using V = typename Vector<A>::type;
  constexpr int kLanes = Vector<A>::kLanes;
  std::int64_t c = 0;
  for (; c + kLanes <= channels; c += kLanes) {
    V m, u, v;
    load(shift + c, m);
    for (std::int64_t begin = 0; begin < positions; begin += kPositions) {
      const std::int64_t end = std::min(positions, begin + kPositions), whole = begin + (end - begin) / kChains * kChains;
      V p[kChains] = {}, q[kChains] = {};
      std::int64_t t = begin;
      for (; t < whole; t += kChains)
#pragma GCC unroll 4  // else the sums live in memory
        for (int k = 0; k < kChains; ++k) {
          load(x + (t + k) * channels + c, u), load(y + (t + k) * channels + c, v);
          add(u, v, m, p[k], q[k]);
        }
      for (; t < end; ++t) load(x + t * channels + c, u), load(y + t * channels + c, v), add(u, v, m, p[0], q[0]);
      const V plain = (p[0] + p[1]) + (p[2] + p[3]), other = (q[0] + q[1]) + (q[2] + q[3]);
      for (int l = 0; l < kLanes; ++l) first[c + l] += plain[l], second[c + l] += other[l];
    }
  }
  for (std::int64_t begin = 0; begin < positions && c < channels; begin += kPositions) {
    const std::int64_t end = std::min(positions, begin + kPositions), rest = channels - c;
    A p[kLanes] = {}, q[kLanes] = {};
    for (std::int64_t t = begin; t < end; ++t)
      for (std::int64_t l = 0; l < rest; ++l)
        add(A(x[t * channels + c + l]), A(y[t * channels + c + l]), shift[c + l], p[l], q[l]);
    for (std::int64_t l = 0; l < rest; ++l) first[c + l] += p[l], second[c + l] += q[l];
  }
}

template <class T> KNAS_INLINE T narrow(accumulate_t<T> value) {
  if constexpr (std::is_same_v<T, bfloat16>) return to_bfloat16(value);
  else return T(value);
}

// Rows of all channels, a block of positions at a time: a block's rows stay in the cache while its channels are gone through.
template <class T>
KNAS_INLINE void affine(const T* x, std::int64_t positions, std::int64_t channels, const accumulate_t<T>* mean,
                        const accumulate_t<T>* scale, const accumulate_t<T>* shift, T* y) {
  using A = accumulate_t<T>;
  using V = typename Vector<A>::type;
  constexpr int kLanes = Vector<A>::kLanes;
  constexpr std::int64_t kRows = 64;
  for (std::int64_t begin = 0; begin < positions; begin += kRows) {
    const std::int64_t end = std::min(positions, begin + kRows);
    std::int64_t c = 0;
    for (; c + kLanes <= channels; c += kLanes) {
      V m, a, b, u;
      load(mean + c, m), load(scale + c, a), load(shift + c, b);
      for (std::int64_t t = begin; t < end; ++t) {
        load(x + t * channels + c, u);
        u = (u - m) * a + b;
        T* to = y + t * channels + c;
        for (int l = 0; l < kLanes; ++l) to[l] = narrow<T>(u[l]);
      }
    }
    for (std::int64_t t = begin; t < end && c < channels; ++t)
      for (std::int64_t k = t * channels + c, l = c; l < channels; ++k, ++l)
        y[k] = narrow<T>((A(x[k]) - mean[l]) * scale[l] + shift[l]);
  }
}

template <class T>
KNAS_INLINE void affine_plane(const T* __restrict x, std::int64_t positions, accumulate_t<T> mean, accumulate_t<T> scale,
                              accumulate_t<T> shift, T* __restrict y) {
  for (std::int64_t t = 0; t < positions; ++t) y[t] = narrow<T>((accumulate_t<T>(x[t]) - mean) * scale + shift);
}

}  // namespace

#define KNAS_DEFINE_SUMS(T)                                                                                                \
  template <>                                                                                                              \
  KNAS_CLONES void interleaved_sums(const T* x, const T* y, std::int64_t positions, std::int64_t channels,                 \
                                    const accumulate_t<T>* shift, double* plain, double* product) {                       \
    sums(x, y, positions, channels, shift, plain, product,                                                                \
         [](const auto& u, const auto& v, const auto& m, auto& p, auto& q) { p += v, q += v * (u - m); });                \
  }                                                                                                                        \
  template <>                                                                                                              \
  KNAS_CLONES void interleaved_squares(const T* x, std::int64_t positions, std::int64_t channels,                          \
                                       const accumulate_t<T>* shift, double* plain, double* square) {                     \
    sums(x, x, positions, channels, shift, plain, square,                                                                 \
         [](const auto& u, const auto&, const auto& m, auto& p, auto& q) { p += u - m, q += (u - m) * (u - m); });         \
  }
KNAS_FOR_ELEMENTS(KNAS_DEFINE_SUMS)

#define KNAS_DEFINE_AFFINE(T)                                                                                              \
  template <>                                                                                                              \
  KNAS_CLONES void interleaved_affine(const T* x, std::int64_t positions, std::int64_t channels,                           \
                                      const accumulate_t<T>* mean, const accumulate_t<T>* scale,                          \
                                      const accumulate_t<T>* shift, T* y) {                                               \
    if (channels == 1) affine_plane(x, positions, *mean, *scale, *shift, y);                                               \
    else affine(x, positions, channels, mean, scale, shift, y);                                                            \
  }
KNAS_DEFINE_AFFINE(float)
KNAS_DEFINE_AFFINE(double)
KNAS_DEFINE_AFFINE(bfloat16)

}  // namespace knas
