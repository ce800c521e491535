// Rows from all over memory, one after the other.

#include <cstdint>
#include <cstring>

#include "team.h"

namespace {

// The first part of a row that is about to be copied: where pages begin the processor does not look ahead by
// itself.
void expect(const uint8_t* row, int64_t length) {
#if defined(__GNUC__)
  for (int64_t at = 0; at < length; at += 64) __builtin_prefetch(row + at, 0, 2);
#endif
}

// So many rows are fetched ahead, and so much of them.
constexpr int64_t kAhead = 2;
constexpr int64_t kMost = 8192;

}  // namespace

extern "C" void pavlov_gather(const uint8_t* const* rows, int64_t count, int64_t length, uint8_t* out) {
  const int parts = count * length < (1 << 18) ? 1 : 8;
  auto part = [&](int index) {
    const auto range = pavlov::part_of(count, index, parts);
    const int64_t end = range.begin + range.count;
    for (int64_t row = range.begin; row < end; ++row) {
      if (row + kAhead < end) expect(rows[row + kAhead], length < kMost ? length : kMost);
      std::memcpy(out + row * length, rows[row], length);
    }
  };
  pavlov::share(parts, part);
}
