// The loops of a matrix product, over an instruction set `Isa`: a vector type, how wide it is, and how many vectors of
// sums its registers hold. Included by one source for each instruction set.
#pragma once

#include "product.h"

namespace pavlov {
namespace {

// R rows of C vectors of sums, which stay in registers while k runs.
template <class Isa, int R, int C>
inline void tile(const Job& job, int64_t i, int64_t j) {
  using V = typename Isa::V;
  V sums[R][C];
  for (int r = 0; r < R; ++r)
    for (int c = 0; c < C; ++c) sums[r][c] = Isa::load(job.start + (i + r) * job.start_stride + j + c * Isa::kWidth);
  const float* a = job.a + i * job.a_row;
  const float* b = job.b + j;
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

template <class Isa, int R, int C>
inline void columns(const Job& job, int64_t j) {
  int64_t i = 0;
  for (; i + R <= job.m; i += R) tile<Isa, R, C>(job, i, j);
  if constexpr (R > 8)
    for (; i + 8 <= job.m; i += 8) tile<Isa, 8, C>(job, i, j);
  for (; i + 4 <= job.m; i += 4) tile<Isa, 4, C>(job, i, j);
  for (; i + 2 <= job.m; i += 2) tile<Isa, 2, C>(job, i, j);
  for (; i < job.m; ++i) tile<Isa, 1, C>(job, i, j);
}

template <class Isa>
void run(const Job& job) {
  constexpr int W = Isa::kWidth;
  int64_t j = 0;
  if constexpr (Isa::kVectors >= 24)
    for (; j + 4 * W <= job.n; j += 4 * W) columns<Isa, 6, 4>(job, j);
  for (; j + 2 * W <= job.n; j += 2 * W) columns<Isa, Isa::kVectors >= 24 ? 12 : 6, 2>(job, j);
  for (; j < job.n; j += W) columns<Isa, Isa::kVectors >= 24 ? 12 : 8, 1>(job, j);
}

}  // namespace
}  // namespace pavlov
