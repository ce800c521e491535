// The loops of a matrix product, over an instruction set `Isa`: a vector type, how wide it is, and how many
// vectors of sums its registers hold. Included by one source for each instruction set.
#pragma once

#include <cstring>

#include "functions.h"
#include "product.h"

namespace pavlov {
namespace {

// R rows of C vectors of sums, which stay in registers while k runs.
template <class Isa, int R, int C>
inline void tile(const Job& job, int64_t i, int64_t j) {
  using V = typename Isa::V;
  V sums[R][C];
  const float* start = job.start ? job.start + i * job.start_stride + j : nullptr;
  for (int r = 0; r < R; ++r)
    for (int c = 0; c < C; ++c)
      sums[r][c] = start ? Isa::load(start + r * job.start_stride + c * Isa::kWidth) : Isa::splat(0.0f);
  const float* a = job.a + i * job.a_row;
  const float* b = job.b + j;
  // Without this the loop's own bookkeeping takes a share of the instructions that a processor can issue.
#pragma GCC unroll 4
  for (int64_t k = 0; k < job.k; ++k, a += job.a_k, b += job.b_stride) {
    V row[C];
    for (int c = 0; c < C; ++c) row[c] = Isa::load(b + c * Isa::kWidth);
    for (int r = 0; r < R; ++r) {
      const V factor = Isa::splat(a[r * job.a_row]);
      for (int c = 0; c < C; ++c) sums[r][c] = Isa::multiply_add(factor, row[c], sums[r][c]);
    }
  }
  for (int r = 0; r < R; ++r)
    for (int c = 0; c < C; ++c) Isa::store(job.c + (i + r) * job.stride + j + c * Isa::kWidth, sums[r][c]);
}

// R rows, from column j on, in tiles of up to C vectors.
template <class Isa, int R, int C>
inline void across(const Job& job, int64_t i, int64_t j) {
  for (; j + C * Isa::kWidth <= job.n; j += C * Isa::kWidth) tile<Isa, R, C>(job, i, j);
  if constexpr (C > 1) {
    if (j < job.n) across<Isa, R, C / 2>(job, i, j);
  }
}

// The number of vectors of sums that each of so many rows has: more than 4 would not divide the usual widths.
template <class Isa>
constexpr int vectors_of(int rows) {
  const int vectors = Isa::kVectors / rows;
  return vectors < 4 ? vectors : 4;
}

// The last rows, fewer than R, in one tile each.
template <class Isa, int R>
inline void last_rows(const Job& job, int64_t i, int64_t j, int64_t columns) {
  if constexpr (R > 0) {
    if (job.m - i < R) return last_rows<Isa, R - 1>(job, i, j, columns);
    across<Isa, R, vectors_of<Isa>(R)>(job, i, j);
    job.finish({i, R}, {job.first + j, columns});
  }
}

template <class Isa>
void run(const Job& job) {
  constexpr int R = 6, C = vectors_of<Isa>(R);
  // So many numbers of the second factor stay in the nearest cache: then each row is written once, from left
  // to right.
  constexpr int64_t kNear = 8192;
  const int64_t step = job.n * job.k <= kNear ? job.n : C * Isa::kWidth;
  for (int64_t j = 0; j < job.n; j += step) {
    const int64_t columns = job.n - j < step ? job.n - j : step;
    Job part = job;
    part.n = j + columns;
    int64_t i = 0;
    for (; i + R <= job.m; i += R) {
      across<Isa, R, C>(part, i, j);
      job.finish({i, R}, {job.first + j, columns});
    }
    last_rows<Isa, R - 1>(part, i, j, columns);
  }
}

// The sums of R rows' products with C columns, which lie along k as the rows do.
template <class Isa, int R, int C>
inline void dots_tile(const Job& job, int64_t i, int64_t j) {
  using V = typename Isa::V;
  constexpr int W = Isa::kWidth;
  V sums[R][C];
  for (int r = 0; r < R; ++r)
    for (int c = 0; c < C; ++c) sums[r][c] = Isa::splat(0.0f);
  const float *a = job.a + i * job.a_row, *b = job.b + j * job.b_stride;
  int64_t k = 0;
  for (; k + W <= job.k; k += W) {
    V column[C];
    for (int c = 0; c < C; ++c) column[c] = Isa::load(b + c * job.b_stride + k);
    for (int r = 0; r < R; ++r) {
      const V row = Isa::load(a + r * job.a_row + k);
      for (int c = 0; c < C; ++c) sums[r][c] = Isa::multiply_add(row, column[c], sums[r][c]);
    }
  }
  for (int r = 0; r < R; ++r)
    for (int c = 0; c < C; ++c) {
      float sum = Isa::total(sums[r][c]);
      for (int64_t l = k; l < job.k; ++l) sum += a[r * job.a_row + l] * b[c * job.b_stride + l];
      if (job.start) sum += job.start[(i + r) * job.start_stride + j + c];
      job.c[(i + r) * job.stride + j + c] = sum;
    }
}

template <class Isa, int C>
inline void dots_columns(const Job& job, int64_t j) {
  constexpr int R = C == 1 ? 8 : 4;
  int64_t i = 0;
  for (; i + R <= job.m; i += R) dots_tile<Isa, R, C>(job, i, j);
  for (; i < job.m; ++i) dots_tile<Isa, 1, C>(job, i, j);
}

template <class Isa>
void run_dots(const Job& job) {
  int64_t j = 0;
  for (; j + 2 <= job.n; j += 2) dots_columns<Isa, 2>(job, j);
  if (j < job.n) dots_columns<Isa, 1>(job, j);
}

template <class Isa, class Function>
inline void through(float* numbers, int64_t count) {
  int64_t i = 0;
  for (; i + Isa::kWidth <= count; i += Isa::kWidth)
    Isa::store(numbers + i, Function::template through<Isa>(Isa::load(numbers + i)));
  for (; i < count; ++i) numbers[i] = Function::of(numbers[i]);
}

}  // namespace
}  // namespace pavlov
