// Matrices turned round.
#pragma once

#include <cstdint>
#include <cstring>

#include "vectorised.h"

namespace pavlov {

// out[c][r] = from[r][c] for a matrix of these rows and columns, at most a few dozen of them; the rows of
// either lie a stride apart.
INLINED void transpose_strip(const float* from, int64_t stride, int64_t rows, int64_t columns, float* out,
                             int64_t out_stride) {
  // Squares of 4: read along rows, written along columns.
  typedef float V __attribute__((vector_size(16)));
  typedef int I __attribute__((vector_size(16)));
  int64_t r = 0;
  for (; r + 4 <= rows; r += 4) {
    const float* four[4];
    for (int i = 0; i < 4; ++i) four[i] = from + (r + i) * stride;
    int64_t c = 0;
    for (; c + 4 <= columns; c += 4) {
      V v[4];
      for (int i = 0; i < 4; ++i) std::memcpy(&v[i], four[i] + c, sizeof(V));
      const V low01 = __builtin_shuffle(v[0], v[1], I{0, 4, 1, 5}), high01 = __builtin_shuffle(v[0], v[1], I{2, 6, 3, 7});
      const V low23 = __builtin_shuffle(v[2], v[3], I{0, 4, 1, 5}), high23 = __builtin_shuffle(v[2], v[3], I{2, 6, 3, 7});
      const V turned[4] = {
          __builtin_shuffle(low01, low23, I{0, 1, 4, 5}), __builtin_shuffle(low01, low23, I{2, 3, 6, 7}),
          __builtin_shuffle(high01, high23, I{0, 1, 4, 5}), __builtin_shuffle(high01, high23, I{2, 3, 6, 7})};
      for (int i = 0; i < 4; ++i) std::memcpy(out + (c + i) * out_stride + r, &turned[i], sizeof(V));
    }
    for (; c < columns; ++c)
      for (int i = 0; i < 4; ++i) out[c * out_stride + r + i] = four[i][c];
  }
  for (; r < rows; ++r)
    for (int64_t c = 0; c < columns; ++c) out[c * out_stride + r] = from[r * stride + c];
}

// The same for a matrix of any size. A strip of columns at a time: the rows that it writes stay in the
// nearest cache until they are whole.
INLINED void transpose(const float* from, int64_t stride, int64_t rows, int64_t columns, float* out, int64_t out_stride) {
  constexpr int64_t kStrip = 32;
  for (int64_t c = 0; c < columns; c += kStrip)
    transpose_strip(from + c, stride, rows, columns - c < kStrip ? columns - c : kStrip, out + c * out_stride, out_stride);
}

}  // namespace pavlov
