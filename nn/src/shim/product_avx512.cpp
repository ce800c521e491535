#include "product.h"

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>

#pragma GCC push_options
#pragma GCC target("avx512f,fma")
#include "product_kernel.h"

namespace pavlov {
namespace {

struct Avx512 {
  using V = __m512;
  static constexpr int kWidth = 16;
  static constexpr int kVectors = 24;
  static inline V load(const float* from) { return _mm512_loadu_ps(from); }
  static inline void store(float* to, V v) { _mm512_storeu_ps(to, v); }
  static inline V splat(float x) { return _mm512_set1_ps(x); }
  static inline V multiply_add(V a, V b, V sum) { return _mm512_fmadd_ps(a, b, sum); }
};

void run_avx512(const Job& job) { run<Avx512>(job); }

}  // namespace
}  // namespace pavlov
#pragma GCC pop_options

const pavlov::Kernel* pavlov::kernel_avx512() {
  static const Kernel kernel{16, run_avx512};
  return __builtin_cpu_supports("avx512f") ? &kernel : nullptr;
}
#else
const pavlov::Kernel* pavlov::kernel_avx512() { return nullptr; }
#endif
