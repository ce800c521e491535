// Drives the shim's loops over plain memory with awkward shapes: one row, one column, what is left over
// behind whole vectors, nothing at all. It is compiled with sanitizers, without libtorch
// (scripts/sanitize-shim), and says nothing when all is well. The numbers themselves are the Rust tests' to
// check.

#include <cstring>

#include "../../shim/product.h"
#include "../../shim/product_bf16.h"
#include "../../shim/team.h"
#include "support.h"

bool is_short = false;

// The BLAS that the passes find here: plain loops, so that a sanitizer sees which numbers a product touches.
extern "C" void sgemm_(const char* op_a, const char* op_b, const int* m, const int* n, const int* k,
                       const float* alpha, const float* a, const int* lda, const float* b, const int* ldb,
                       const float* beta, float* c, const int* ldc) {
  for (int64_t j = 0; j < *n; ++j)
    for (int64_t i = 0; i < *m; ++i) {
      float sum = 0.0f;
      for (int64_t l = 0; l < *k; ++l)
        sum += (*op_a == 'N' ? a[i + l * *lda] : a[l + i * *lda]) *
               (*op_b == 'N' ? b[l + j * *ldb] : b[j + l * *ldb]);
      float& to = c[i + j * *ldc];
      to = *alpha * sum + *beta * to;
    }
}

int main(int count, char** words) {
  is_short = count > 1 && std::strcmp(words[1], "short") == 0;
  pavlov::set_team_size(3);
  drive_team();
  drive_products();
  drive_perceptrons();
  drive_memories();
  drive_convolutions();
  drive_optimisers();
  const pavlov::Kernel* kernel = pavlov::best_kernel();
  std::printf("the shim's loops: no fault (vectors of %d numbers%s)\n",
              kernel ? static_cast<int>(kernel->width) : 1, pavlov::has_bf16() ? ", bf16" : "");
  return 0;
}
