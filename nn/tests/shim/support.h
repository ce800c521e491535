// The common ground of the drivers of the shim's loops: arrays that end where they must, and checks that fail loudly.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>

// An array of exactly so many numbers on the heap, so that a sanitizer sees a read or a write beside it.
template <typename T>
class Exact {
 public:
  explicit Exact(int64_t count) : count_(count), numbers_(new T[count]) { fill(); }
  T* data() { return numbers_.get(); }
  const T* data() const { return numbers_.get(); }
  T& operator[](int64_t i) { return numbers_[i]; }
  const T& operator[](int64_t i) const { return numbers_[i]; }
  int64_t count() const { return count_; }

  // Numbers between -1 and 1 that differ from their neighbours.
  void fill() {
    static uint32_t state = 1;
    for (int64_t i = 0; i < count_; ++i) {
      state = state * 1664525u + 1013904223u;
      numbers_[i] = static_cast<T>(static_cast<float>(static_cast<int32_t>(state)) / 2147483648.0f);
    }
  }
  void fill(T value) {
    for (int64_t i = 0; i < count_; ++i) numbers_[i] = value;
  }

 private:
  int64_t count_;
  std::unique_ptr<T[]> numbers_;
};

using Floats = Exact<float>;

#define REQUIRE(condition, ...)                                            \
  do {                                                                     \
    if (!(condition)) {                                                    \
      std::fprintf(stderr, "%s:%d: %s: ", __FILE__, __LINE__, #condition); \
      std::fprintf(stderr, __VA_ARGS__);                                   \
      std::fputc('\n', stderr);                                            \
      std::exit(1);                                                        \
    }                                                                      \
  } while (false)

inline bool close_to(float a, float b) { return std::fabs(a - b) <= 1e-3f * (1.0f + std::fabs(b)); }

// True if a sanitizer that slows threads down is at work: then the largest shapes are left out.
extern bool is_short;

void drive_products();
void drive_perceptrons();
void drive_memories();
void drive_convolutions();
void drive_optimisers();
void drive_team();
