#include "product.h"

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>

#pragma GCC push_options
#pragma GCC target("avx2,fma")
#include "product_kernel.h"

namespace pavlov {
namespace {

struct Avx2 {
  using V = __m256;
  static constexpr int kWidth = 8;
  static constexpr int kVectors = 12;
  static inline V load(const float* from) { return _mm256_loadu_ps(from); }
  static inline void store(float* to, V v) { _mm256_storeu_ps(to, v); }
  static inline V splat(float x) { return _mm256_set1_ps(x); }
  static inline V multiply_add(V a, V b, V sum) { return _mm256_fmadd_ps(a, b, sum); }
  static inline V clamp(V x, float limit) {
    // NaN is given on: of two numbers that do not compare, the instructions take the second.
    return _mm256_max_ps(splat(-limit), _mm256_min_ps(splat(limit), x));
  }
  static inline float total(V v) {
    __m128 sums = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    sums = _mm_add_ps(sums, _mm_movehl_ps(sums, sums));
    return _mm_cvtss_f32(_mm_add_ss(sums, _mm_movehdup_ps(sums)));
  }
};

void run_avx2(const Job& job) { run<Avx2>(job); }
void dots_avx2(const Job& job) { run_dots<Avx2>(job); }
void tanh_avx2(float* numbers, int64_t count) { through<Avx2, Tanh>(numbers, count); }
void sigmoid_avx2(float* numbers, int64_t count) { through<Avx2, Sigmoid>(numbers, count); }

}  // namespace
}  // namespace pavlov
#pragma GCC pop_options

const pavlov::Kernel* pavlov::kernel_avx2() {
  static const Kernel kernel{8, run_avx2, dots_avx2, tanh_avx2, sigmoid_avx2};
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? &kernel : nullptr;
}
#else
const pavlov::Kernel* pavlov::kernel_avx2() { return nullptr; }
#endif
