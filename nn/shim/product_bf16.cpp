#include "product_bf16.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "room.h"
#include "transpose.h"

#if defined(__x86_64__) && defined(__GNUC__) && !defined(PAVLOV_NO_AVX512)
#include <immintrin.h>

#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512bf16,fma")

// The instruction takes, for each of 16 sums, a pair of numbers of each factor that follow one another in k.
// Both factors are therefore packed as pairs, each a word of 32 bits; an odd k gets a zero.

namespace pavlov {
namespace {

using Word = uint32_t;

constexpr int64_t kWidth = 16;

// Pairs of neighbours of one row.
inline void pair_neighbours(const float* row, int64_t count, Word* out) {
  int64_t i = 0;
  for (; i + 32 <= count; i += 32) {
    const __m512bh pairs = _mm512_cvtne2ps_pbh(_mm512_loadu_ps(row + i + 16), _mm512_loadu_ps(row + i));
    _mm512_storeu_si512(out + i / 2, (__m512i)pairs);
  }
  for (; i < count; i += 2) {
    const __m128 pair = _mm_set_ps(0.0f, 0.0f, i + 1 < count ? row[i + 1] : 0.0f, row[i]);
    out[i / 2] = _mm_cvtsi128_si32((__m128i)_mm_cvtneps_pbh(pair));
  }
}

// Pairs of what stands below one another in two rows; without a second row, with zeros.
inline void pair_rows(const float* first, const float* second, int64_t count, Word* out) {
  for (int64_t i = 0; i < count; i += kWidth) {
    const __mmask16 there = count - i >= kWidth ? 0xffff : (1u << (count - i)) - 1;
    const __m512 low = _mm512_maskz_loadu_ps(there, first + i);
    const __m512 high = second ? _mm512_maskz_loadu_ps(there, second + i) : _mm512_setzero_ps();
    const __m512i lows = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(low));
    const __m512i highs = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(high));
    _mm512_mask_storeu_epi32(out + i, there, _mm512_or_si512(lows, _mm512_slli_epi32(highs, 16)));
  }
}

// The first factor as pairs, and how far apart rows and pairs lie.
struct Left {
  const Word* words;
  int64_t row, pair;
};

Left pack_left(const Matrix& a, int64_t m, int64_t k, std::vector<Word>& words) {
  const int64_t pairs = (k + 1) / 2;
  Word* out = room_for(words, m * pairs);
  if (!a.transposed) {
    for (int64_t r = 0; r < m; ++r) pair_neighbours(a.numbers + r * a.stride, k, out + r * pairs);
    return {out, pairs, 1};
  }
  for (int64_t p = 0; p < pairs; ++p) {
    const float* first = a.numbers + 2 * p * a.stride;
    pair_rows(first, 2 * p + 1 < k ? first + a.stride : nullptr, m, out + p * m);
  }
  return {out, 1, m};
}

// The second factor as pairs, in blocks of 16 columns: [blocks, pairs, 16], with zeros beyond the last
// column.
const Word* pack_right(const Matrix& b, int64_t n, int64_t k, std::vector<Word>& words) {
  const int64_t pairs = (k + 1) / 2, blocks = (n + kWidth - 1) / kWidth;
  Word* out = room_for(words, blocks * pairs * kWidth);
  thread_local std::vector<Word> columns;
  Word* of_block = b.transposed ? room_for(columns, kWidth * pairs) : nullptr;
  for (int64_t block = 0; block < blocks; ++block, out += pairs * kWidth) {
    const int64_t begin = block * kWidth, count = std::min(kWidth, n - begin);
    if (count < kWidth) std::fill(out, out + pairs * kWidth, 0);
    if (b.transposed) {
      for (int64_t c = 0; c < count; ++c)
        pair_neighbours(b.numbers + (begin + c) * b.stride, k, of_block + c * pairs);
      // Words are moved as the numbers of 32 bits that they are not.
      transpose(reinterpret_cast<const float*>(of_block), pairs, count, pairs, reinterpret_cast<float*>(out), kWidth);
      continue;
    }
    for (int64_t p = 0; p < pairs; ++p) {
      const float* first = b.numbers + 2 * p * b.stride + begin;
      pair_rows(first, 2 * p + 1 < k ? first + b.stride : nullptr, count, out + p * kWidth);
    }
  }
  return words.data();
}

struct Sums {
  float* c;
  int64_t stride;
  const float* start;
  int64_t start_stride;  // 0 where one row is the start of all; a start of null is zero
};

// R rows of C vectors of sums, which stay in registers while k runs. `last` are the columns of the last
// vector.
template <int R, int C>
inline void tile(const Left& a, const Word* b, int64_t pairs, int64_t i, int64_t j, __mmask16 last, const Sums& to) {
  __m512 sums[R][C];
  const auto there = [&](int c) { return c + 1 == C ? last : static_cast<__mmask16>(0xffff); };
  for (int r = 0; r < R; ++r)
    for (int c = 0; c < C; ++c)
      sums[r][c] = to.start ? _mm512_maskz_loadu_ps(there(c), to.start + (i + r) * to.start_stride + j + c * kWidth)
                            : _mm512_setzero_ps();
  const Word* left = a.words + i * a.row;
  for (int64_t p = 0; p < pairs; ++p, left += a.pair, b += kWidth) {
    __m512bh row[C];
    for (int c = 0; c < C; ++c) row[c] = (__m512bh)_mm512_loadu_si512(b + c * pairs * kWidth);
    for (int r = 0; r < R; ++r) {
      const __m512bh factor = (__m512bh)_mm512_set1_epi32(left[r * a.row]);
      for (int c = 0; c < C; ++c) sums[r][c] = _mm512_dpbf16_ps(sums[r][c], factor, row[c]);
    }
  }
  for (int r = 0; r < R; ++r)
    for (int c = 0; c < C; ++c)
      _mm512_mask_storeu_ps(to.c + (i + r) * to.stride + j + c * kWidth, there(c), sums[r][c]);
}

template <int C>
void columns(const Left& a, const Word* b, int64_t m, int64_t pairs, int64_t j, __mmask16 last, const Sums& to) {
  const Word* block = b + j / kWidth * pairs * kWidth;
  int64_t i = 0;
  for (; i + 6 <= m; i += 6) tile<6, C>(a, block, pairs, i, j, last, to);
  for (; i + 2 <= m; i += 2) tile<2, C>(a, block, pairs, i, j, last, to);
  for (; i < m; ++i) tile<1, C>(a, block, pairs, i, j, last, to);
}

}  // namespace

void product_bf16(int64_t m, int64_t n, int64_t k, Matrix a, Matrix b, Start start, const float* row, float* c,
                  int64_t stride, Finish finish) {
  thread_local std::vector<Word> left_words, right_words;
  const Left left = pack_left(a, m, k, left_words);
  const Word* right = pack_right(b, n, k, right_words);
  Sums to{c, stride, nullptr, 0};
  if (start == Start::kRow) to.start = row;
  if (start == Start::kItself) to.start = c, to.start_stride = stride;
  const int64_t pairs = (k + 1) / 2;
  for (int64_t j = 0; j < n; j += 4 * kWidth) {
    const int64_t count = std::min(4 * kWidth, n - j), vectors = (count + kWidth - 1) / kWidth;
    const int64_t rest = count - (vectors - 1) * kWidth;
    const __mmask16 last = rest == kWidth ? 0xffff : (1u << rest) - 1;
    if (vectors == 4) columns<4>(left, right, m, pairs, j, last, to);
    else if (vectors == 3) columns<3>(left, right, m, pairs, j, last, to);
    else if (vectors == 2) columns<2>(left, right, m, pairs, j, last, to);
    else columns<1>(left, right, m, pairs, j, last, to);
  }
  finish({0, m}, {0, n});
}

}  // namespace pavlov
#pragma GCC pop_options

bool pavlov::has_bf16() {
  return __builtin_cpu_supports("avx512bf16") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl");
}
#else
bool pavlov::has_bf16() { return false; }

void pavlov::product_bf16(int64_t, int64_t, int64_t, Matrix, Matrix, Start, const float*, float*, int64_t, Finish) {}
#endif
