// Memory that a thread keeps from call to call: what the allocator would fetch from the system each time is the
// slowest there is.
#pragma once

#include <cstdint>
#include <vector>

namespace pavlov {

// Room for so many numbers; what stood there is lost.
template <typename Number>
Number* room_for(std::vector<Number>& numbers, int64_t count) {
#if defined(__SANITIZE_ADDRESS__)
  // No more than that, so that the sanitizer sees what is read behind it.
  std::vector<Number>(count).swap(numbers);
#else
  if (static_cast<int64_t>(numbers.size()) < count) numbers.resize(count);
#endif
  return numbers.data();
}

}  // namespace pavlov
