// Matrix products by the BLAS that libtorch carries, without a dispatcher between them.
#pragma once

#include <cstdint>

namespace pavlov {

// True if libtorch carries a BLAS and exports its Fortran face.
bool has_blas();

// Keeps the BLAS of the calling thread on that thread, until it is told otherwise.
void use_one_blas_thread();

// The same for as long as the guard lives.
class OneBlasThread {
 public:
  OneBlasThread();
  ~OneBlasThread();
  OneBlasThread(const OneBlasThread&) = delete;
  OneBlasThread& operator=(const OneBlasThread&) = delete;

 private:
  int before_ = 0;
};

// A row-major matrix, or its transpose, whose rows lie `stride` numbers apart.
struct Matrix {
  const float* numbers;
  int64_t stride;
  bool transposed = false;
};

// Adds A B to C, where C is [m, n] with rows `stride` numbers apart, A [m, k] and B [k, n].
void add_product(int64_t m, int64_t n, int64_t k, Matrix a, Matrix b, float* c, int64_t stride);

}  // namespace pavlov
