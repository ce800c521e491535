#include "product.h"

#include <algorithm>
#include <vector>

#include "transpose.h"

namespace pavlov {
namespace {

const Kernel* best_kernel() {
  static const Kernel* const kernel = kernel_avx512() ? kernel_avx512() : kernel_avx2();
  return kernel;
}

// The second factor in its rows, [k, padded]: columns `first` and on, zeros beyond the last one.
void pack(const Matrix& b, int64_t first, int64_t count, int64_t k, int64_t padded, float* out) {
  if (!b.transposed) {
    for (int64_t row = 0; row < k; ++row) {
      const float* from = b.numbers + row * b.stride + first;
      std::copy(from, from + count, out + row * padded);
      std::fill(out + row * padded + count, out + (row + 1) * padded, 0.0f);
    }
    return;
  }
  transpose(b.numbers + first * b.stride, b.stride, count, k, out, padded);
  if (padded > count)
    for (int64_t row = 0; row < k; ++row)
      std::fill(out + row * padded + count, out + (row + 1) * padded, 0.0f);
}

float* room(std::vector<float>& numbers, int64_t count) {
  if (static_cast<int64_t>(numbers.size()) < count) numbers.resize(count);
  return numbers.data();
}

void small_product(const Kernel& kernel, int64_t m, int64_t n, int64_t k, const Matrix& a, const Matrix& b,
                   Start start, const float* row, float* c, int64_t stride) {
  thread_local std::vector<float> packed, narrow, begin;
  Job job{};
  job.m = m;
  job.k = k;
  job.a = a.numbers;
  job.a_row = a.transposed ? 1 : a.stride;
  job.a_k = a.transposed ? a.stride : 1;
  const int64_t whole = n / kernel.width * kernel.width, tail = n - whole;
  if (whole > 0) {
    job.n = whole;
    job.b = b.numbers;
    job.b_stride = b.stride;
    if (b.transposed) {
      float* out = room(packed, k * whole);
      pack(b, 0, whole, k, whole, out);
      job.b = out;
      job.b_stride = whole;
    }
    job.c = c;
    job.stride = stride;
    job.start = c;
    job.start_stride = stride;
    if (start != Start::kItself) {
      job.start = row;
      job.start_stride = 0;
    }
    if (start == Start::kZero) {
      float* zeros = room(begin, whole);
      std::fill(zeros, zeros + whole, 0.0f);
      job.start = zeros;
    }
    kernel.run(job);
  }
  if (tail == 0) return;
  // The last columns in a block as wide as a vector.
  const int64_t width = kernel.width;
  float* out = room(packed, k * width);
  pack(b, whole, tail, k, width, out);
  float* sums = room(narrow, m * width);
  for (int64_t r = 0; r < m; ++r) {
    const float* from = start == Start::kItself ? c + r * stride + whole : row + whole;
    if (start == Start::kZero) std::fill(sums + r * width, sums + r * width + tail, 0.0f);
    else std::copy(from, from + tail, sums + r * width);
    std::fill(sums + r * width + tail, sums + (r + 1) * width, 0.0f);
  }
  job.n = width;
  job.b = out;
  job.b_stride = width;
  job.c = sums;
  job.stride = width;
  job.start = sums;
  job.start_stride = width;
  kernel.run(job);
  for (int64_t r = 0; r < m; ++r) std::copy(sums + r * width, sums + r * width + tail, c + r * stride + whole);
}

// Whether the second factor stays in the nearest caches while the rows of the first one pass by.
bool is_small(int64_t n, int64_t k) { return n * k <= 32768; }

}  // namespace

void product(int64_t m, int64_t n, int64_t k, Matrix a, Matrix b, Start start, const float* row, float* c,
             int64_t stride) {
  const Kernel* kernel = best_kernel();
  if (kernel && is_small(n, k)) return small_product(*kernel, m, n, k, a, b, start, row, c, stride);
  for (int64_t r = 0; r < m && start != Start::kItself; ++r) {
    if (start == Start::kZero) std::fill(c + r * stride, c + r * stride + n, 0.0f);
    else std::copy(row, row + n, c + r * stride);
  }
  add_product(m, n, k, a, b, c, stride);
}

}  // namespace pavlov
