// Matrix products of any size: small ones by kernels of our own, large ones by the BLAS.
//
// A BLAS packs both factors before it multiplies. Where a factor fits the nearest caches that costs more than
// it brings, and a matrix of one to four columns, as first and last layers have, it does not do well at all.
#pragma once

#include <cstdint>

#include "blas.h"
#include "team.h"

namespace pavlov {

// The matrix that the product is added to.
enum class Start {
  kItself,  // what stands in C
  kZero,
  kRow,  // one row, the same for each row of C
};

// Called for some rows and columns of C when their sums are complete, while they are in the nearest cache.
// Without a function, nothing.
struct Finish {
  void (*function)(const void* context, Range rows, Range columns) = nullptr;
  const void* context = nullptr;

  void operator()(Range rows, Range columns) const {
    if (function) function(context, rows, columns);
  }
};

// The same for a callable, which must outlive the product.
template <typename Function>
Finish finish_by(const Function& function) {
  return {[](const void* context, Range rows, Range columns) {
            (*static_cast<const Function*>(context))(rows, columns);
          },
          &function};
}

// C = start + A B, where C is [m, n] with rows `stride` numbers apart, A [m, k] and B [k, n]. `row` is read
// for kRow. Each number is summed in the order of k, whatever m is: rows that are cut into parts give the
// same bits.
void product(int64_t m, int64_t n, int64_t k, Matrix a, Matrix b, Start start, const float* row, float* c,
             int64_t stride, Finish finish = {});

// A product whose columns are a multiple of the kernel's width.
struct Job {
  int64_t m, n, k;
  const float* a;
  int64_t a_row, a_k;  // how far apart rows and columns of A lie
  const float* b;
  int64_t b_stride;
  const float* start;  // what row 0 is added to; null for zeros
  int64_t start_stride;
  float* c;
  int64_t stride;
  Finish finish;
  int64_t first;  // the number of C's first column, as `finish` counts them
};

// A kernel for one instruction set.
struct Kernel {
  int64_t width;
  void (*run)(const Job& job);
  // The same for any number of columns, which lie along k as the rows of A do: b_stride is how far apart they
  // are.
  void (*dots)(const Job& job);
  // Activations in place, with the bits of functions.h.
  void (*tanh)(float* numbers, int64_t count);
  void (*sigmoid)(float* numbers, int64_t count);
};

// The best kernel for this processor; null without one.
const Kernel* best_kernel();

// Null where the processor, or the compiler's target, does not have the instructions.
const Kernel* kernel_avx512();
const Kernel* kernel_avx2();

}  // namespace pavlov
