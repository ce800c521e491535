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
};

void run_avx2(const Job& job) { run<Avx2>(job); }

}  // namespace
}  // namespace pavlov
#pragma GCC pop_options

const pavlov::Kernel* pavlov::kernel_avx2() {
  static const Kernel kernel{8, run_avx2};
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? &kernel : nullptr;
}
#else
const pavlov::Kernel* pavlov::kernel_avx2() { return nullptr; }
#endif
