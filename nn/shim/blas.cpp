#include "blas.h"

#include <algorithm>
#include <limits>
#include <stdexcept>

// Weak: a libtorch built without a BLAS, or with another than MKL, lacks them.
extern "C" {
__attribute__((weak)) void sgemm_(const char*, const char*, const int*, const int*, const int*, const float*,
                                  const float*, const int*, const float*, const int*, const float*, float*, const int*);
__attribute__((weak)) int MKL_Set_Num_Threads_Local(int);
}

namespace pavlov {

bool has_blas() { return sgemm_ != nullptr; }

void use_one_blas_thread() {
  if (MKL_Set_Num_Threads_Local) MKL_Set_Num_Threads_Local(1);
}

OneBlasThread::OneBlasThread() {
  if (MKL_Set_Num_Threads_Local) before_ = MKL_Set_Num_Threads_Local(1);
}

OneBlasThread::~OneBlasThread() {
  if (MKL_Set_Num_Threads_Local) MKL_Set_Num_Threads_Local(before_);
}

void add_product(int64_t m, int64_t n, int64_t k, Matrix a, Matrix b, float* c, int64_t stride) {
  constexpr int64_t kMost = std::numeric_limits<int>::max();
  if (std::max({m, n, k, a.stride, b.stride, stride}) > kMost)
    throw std::length_error(
        "a matrix product of more rows or columns than a BLAS counts: give smaller batches");
  // BLAS is column-major: a row-major product is the transposed one with the factors exchanged.
  const int bm = static_cast<int>(n), bn = static_cast<int>(m), bk = static_cast<int>(k);
  const int lda = static_cast<int>(b.stride), ldb = static_cast<int>(a.stride), ldc = static_cast<int>(stride);
  const float one = 1.0f;
  sgemm_(b.transposed ? "T" : "N", a.transposed ? "T" : "N", &bm, &bn, &bk, &one, b.numbers, &lda, a.numbers, &ldb, &one,
         c, &ldc);
}

}  // namespace pavlov
