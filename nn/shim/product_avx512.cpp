#include "product.h"

#if defined(__x86_64__) && defined(__GNUC__) && !defined(PAVLOV_NO_AVX512)
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
  static inline V clamp(V x, float limit) {
    // NaN is given on: of two numbers that do not compare, the instructions take the second.
    return _mm512_max_ps(splat(-limit), _mm512_min_ps(splat(limit), x));
  }
  static inline float total(V v) { return _mm512_reduce_add_ps(v); }
};

void run_avx512(const Job& job) { run<Avx512>(job); }
void dots_avx512(const Job& job) { run_dots<Avx512>(job); }
void tanh_avx512(float* numbers, int64_t count) { through<Avx512, Tanh>(numbers, count); }
void sigmoid_avx512(float* numbers, int64_t count) { through<Avx512, Sigmoid>(numbers, count); }

}  // namespace
}  // namespace pavlov
#pragma GCC pop_options

const pavlov::Kernel* pavlov::kernel_avx512() {
  static const Kernel kernel{16, run_avx512, dots_avx512, tanh_avx512, sigmoid_avx512};
  return __builtin_cpu_supports("avx512f") ? &kernel : nullptr;
}
#else
const pavlov::Kernel* pavlov::kernel_avx512() { return nullptr; }
#endif
