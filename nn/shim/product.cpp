#include "product.h"

#include <algorithm>
#include <vector>

#include "room.h"
#include "transpose.h"

namespace pavlov {
namespace {

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

// The job's start for columns `first` and on.
void start_at(Job& job, Start start, const float* row, int64_t first) {
  job.start = start == Start::kZero ? nullptr : start == Start::kItself ? job.c : row + first;
  job.start_stride = start == Start::kItself ? job.stride : 0;
}

void small_product(const Kernel& kernel, int64_t m, int64_t n, int64_t k, const Matrix& a, const Matrix& b,
                   Start start, const float* row, float* c, int64_t stride, Finish finish);

// Few columns of a transposed first factor: the transposed product has whole vectors.
void turned_product(const Kernel& kernel, int64_t m, int64_t n, int64_t k, const Matrix& a, const Matrix& b,
                    Start start, const float* row, float* c, int64_t stride, Finish finish) {
  thread_local std::vector<float> turned;
  float* sums = room_for(turned, n * m);
  small_product(kernel, n, m, k, {b.numbers, b.stride, !b.transposed}, {a.numbers, a.stride, false}, Start::kZero,
                nullptr, sums, m, {});
  for (int64_t i = 0; i < m; ++i)
    for (int64_t j = 0; j < n; ++j) {
      const float from = start == Start::kZero ? 0.0f : start == Start::kRow ? row[j] : c[i * stride + j];
      c[i * stride + j] = from + sums[j * m + i];
    }
  finish({0, m}, {0, n});
}

// Few columns, each as a row.
void narrow_product(const Kernel& kernel, Job job, int64_t first, int64_t count, const Matrix& b) {
  thread_local std::vector<float> columns;
  job.n = count;
  if (b.transposed) {
    job.b = b.numbers + first * b.stride;
    job.b_stride = b.stride;
  } else {
    float* out = room_for(columns, count * job.k);
    transpose(b.numbers + first, b.stride, job.k, count, out, job.k);
    job.b = out;
    job.b_stride = job.k;
  }
  kernel.dots(job);
}

void small_product(const Kernel& kernel, int64_t m, int64_t n, int64_t k, const Matrix& a, const Matrix& b,
                   Start start, const float* row, float* c, int64_t stride, Finish finish) {
  thread_local std::vector<float> packed, narrow;
  if (n < kernel.width && a.transposed && m >= kernel.width)
    return turned_product(kernel, m, n, k, a, b, start, row, c, stride, finish);
  Job job{};
  job.m = m;
  job.k = k;
  job.a = a.numbers;
  job.a_row = a.transposed ? 1 : a.stride;
  job.a_k = a.transposed ? a.stride : 1;
  job.c = c;
  job.stride = stride;
  const int64_t whole = n / kernel.width * kernel.width, tail = n - whole;
  job.finish = finish;
  // So many columns of a transposed factor at a time: their copies lie close enough not to push each other
  // out of the nearest cache.
  const int64_t step = b.transposed ? 64 : whole;
  for (int64_t first = 0; first < whole; first += step) {
    job.first = first;
    job.n = std::min(step, whole - first);
    job.b = b.numbers + first;
    job.b_stride = b.stride;
    if (b.transposed) {
      float* out = room_for(packed, k * job.n);
      pack(b, first, job.n, k, job.n, out);
      job.b = out;
      job.b_stride = job.n;
    }
    job.c = c + first;
    start_at(job, start, row, first);
    kernel.run(job);
  }
  job.finish = {};
  if (tail == 0) return;
  job.c = c + whole;
  start_at(job, start, row, whole);
  if (!a.transposed) {
    narrow_product(kernel, job, whole, tail, b);
    return finish({0, m}, {whole, tail});
  }
  // The last columns in a block as wide as a vector.
  const int64_t width = kernel.width;
  float* out = room_for(packed, k * width);
  pack(b, whole, tail, k, width, out);
  float* sums = room_for(narrow, m * width);
  for (int64_t r = 0; r < m; ++r) {
    const float* from = job.start ? job.start + r * job.start_stride : nullptr;
    if (from) std::copy(from, from + tail, sums + r * width);
    else std::fill(sums + r * width, sums + r * width + tail, 0.0f);
    std::fill(sums + r * width + tail, sums + (r + 1) * width, 0.0f);
  }
  job.n = width;
  job.b = out;
  job.b_stride = width;
  job.start = job.c = sums;
  job.start_stride = job.stride = width;
  kernel.run(job);
  for (int64_t r = 0; r < m; ++r) std::copy(sums + r * width, sums + r * width + tail, c + r * stride + whole);
  finish({0, m}, {whole, tail});
}

// True if a kernel of ours is at least as fast as a BLAS: for thin factors, and where the second factor stays
// in the nearest caches while the rows of the first one pass by. Columns of a first factor that is transposed
// lie far apart: the more of C they are read for, the more their copies in a BLAS are worth.
bool is_small(int64_t m, int64_t n, int64_t k, const Matrix& a) {
  if (n < 16 || k < 16) return true;
  return n * k <= 32768 && !(a.transposed && m * n > 16384);
}

}  // namespace

const Kernel* best_kernel() {
  static const Kernel* const kernel = kernel_avx512() ? kernel_avx512() : kernel_avx2();
  return kernel;
}

void product(int64_t m, int64_t n, int64_t k, Matrix a, Matrix b, Start start, const float* row, float* c,
             int64_t stride, Finish finish) {
  const Kernel* kernel = best_kernel();
  if (kernel && is_small(m, n, k, a)) return small_product(*kernel, m, n, k, a, b, start, row, c, stride, finish);
  for (int64_t r = 0; r < m && start != Start::kItself; ++r) {
    if (start == Start::kZero) std::fill(c + r * stride, c + r * stride + n, 0.0f);
    else std::copy(row, row + n, c + r * stride);
  }
  add_product(m, n, k, a, b, c, stride);
  finish({0, m}, {0, n});
}

}  // namespace pavlov
