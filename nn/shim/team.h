// A few threads that share short pieces of one thread's work.
//
// An update of a small network lasts a fraction of a millisecond, and its products tens of microseconds:
// OpenMP's barriers cost more than they bring there. These threads wait by spinning for a moment after each
// job, so that the next one of the same update finds them awake, and then sleep.
#pragma once

#include <cstdint>

namespace pavlov {

// Sets the number of threads that share the work from now on, the caller included; 1 to 64. Where the system
// starts no more, there are fewer.
void set_team_size(int threads);

// The most parts that are shared at once; more are shared one such lot after the other.
constexpr int kLargestJob = 64;

// Calls task(context, part) once for each part of 0..parts, on the caller and on whichever threads of the
// team are free, and returns when all are done. Each thread begins with the same share of the parts every
// time: pieces of memory that are cut alike stay in its processor's cache. A part must not depend on which
// thread runs it. What a part shares in turn it does alone. What a part throws comes out when all are done.
void share(int parts, void (*task)(void* context, int part), void* context);

// The same for a callable.
template <typename Task>
void share(int parts, Task& task) {
  share(parts, [](void* context, int part) { (*static_cast<Task*>(context))(part); }, &task);
}

// The number of parts that an array of `count` numbers is cut into where each number is handled once. It
// depends on nothing else, so that every result is the same however many threads there are.
inline int pieces_of(int64_t count) {
  // Shorter pieces are over before another thread has noticed them.
  const int64_t pieces = count / 16384;
  return static_cast<int>(pieces < 1 ? 1 : pieces > 4 ? 4 : pieces);
}

// A part of `total` things.
struct Range {
  int64_t begin;
  int64_t count;
};

inline Range part_of(int64_t total, int part, int parts) {
  const int64_t begin = total * part / parts;
  return {begin, total * (part + 1) / parts - begin};
}

}  // namespace pavlov
