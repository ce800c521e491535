// Matrix products of any size: small ones by kernels of our own, large ones by the BLAS.
//
// A BLAS packs both factors before it multiplies. Where a factor fits the nearest caches that costs more than it brings,
// and a matrix of one to four columns, as first and last layers have, it does not do well at all.
#pragma once

#include <cstdint>

#include "blas.h"

namespace pavlov {

// What the product is added to.
enum class Start {
  kItself,  // what stands in C
  kZero,
  kRow,  // one row, the same for each row of C
};

// C = start + A B, where C is [m, n] with rows `stride` numbers apart, A [m, k] and B [k, n]. `row` is read for kRow.
// Each number is summed in the order of k, whatever m is: rows that are cut into parts give the same bits.
void product(int64_t m, int64_t n, int64_t k, Matrix a, Matrix b, Start start, const float* row, float* c,
             int64_t stride);

// A product whose columns are a multiple of the kernel's width.
struct Job {
  int64_t m, n, k;
  const float* a;
  int64_t a_row, a_k;  // how far apart rows and columns of A lie
  const float* b;
  int64_t b_stride;
  const float* start;  // what row 0 is added to
  int64_t start_stride;
  float* c;
  int64_t stride;
};

// A kernel for one instruction set.
struct Kernel {
  int64_t width;
  void (*run)(const Job& job);
};

// Null where the processor, or the compiler's target, does not have the instructions.
const Kernel* kernel_avx512();
const Kernel* kernel_avx2();

}  // namespace pavlov
