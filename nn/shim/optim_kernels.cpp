// Each number of an arena is read, updated and written once per step. The loops use only operations whose
// rounding IEEE 754 fixes, in a fixed order and (by the build's flags) never contracted: every instruction
// set gives the same bits, and so does every position in a vector or in a loop's rest.

#include "optim_kernels.h"

#include <cmath>
#include <cstring>

#include "team.h"
#include "vectorised.h"

#if defined(__SSE__)
#include <xmmintrin.h>
#endif

namespace {

// A moment whose gradients stay zero (a dead unit) decays into denormal numbers and never leaves them;
// processors that handle those in microcode then take many times as long. They are taken as zero here.
class FlushDenormals {
#if defined(__SSE__)
 public:
  FlushDenormals() { _mm_setcsr(saved_ | kFlushToZero | kDenormalsAreZero); }
  ~FlushDenormals() { _mm_setcsr(saved_); }
  FlushDenormals(const FlushDenormals&) = delete;
  FlushDenormals& operator=(const FlushDenormals&) = delete;

 private:
  static constexpr unsigned kFlushToZero = 0x8000, kDenormalsAreZero = 0x0040;
  const unsigned saved_ = _mm_getcsr();
#else
 public:
  FlushDenormals() {}
#endif
};

// Weight decay as a step needs it.
struct Decayed {
  float l2;
  float l1;
  float off;  // the share that decoupled decay takes off
  bool any;

  Decayed(const Decay& decay, double learning_rate)
      : l2(static_cast<float>(decay.l2)),
        l1(static_cast<float>(decay.l1)),
        off(static_cast<float>(learning_rate * decay.decoupled)),
        any(decay.l2 != 0.0 || decay.l1 != 0.0 || decay.decoupled != 0.0) {}
};

template <bool decays>
INLINED float with_decay(float gradient, float value, const Decayed& decay) {
  if (!decays) return gradient;
  const float sign = (value > 0.0f ? 1.0f : 0.0f) - (value < 0.0f ? 1.0f : 0.0f);
  return gradient + decay.l2 * value + decay.l1 * sign;
}

// The value after decoupled decay and a step. Both are small beside the value: added first, they cost one
// rounding.
template <bool decays>
INLINED float moved(float value, float step, const Decayed& decay) {
  return value - (decays ? decay.off * value + step : step);
}

struct AdamStep {
  float take_first;   // 1 - beta1
  float keep_second;  // beta2
  float take_second;  // 1 - beta2
  float size;         // learning rate over the first moment's bias correction
  float root_scale;   // one over the root of the second moment's bias correction
  float eps;
  Decayed decay;

  explicit AdamStep(const AdamNumbers& n)
      : take_first(static_cast<float>(1.0 - n.beta1)),
        keep_second(static_cast<float>(n.beta2)),
        take_second(static_cast<float>(1.0 - n.beta2)),
        size(static_cast<float>(n.learning_rate / (1.0 - std::pow(n.beta1, static_cast<double>(n.step))))),
        root_scale(static_cast<float>(1.0 / std::sqrt(1.0 - std::pow(n.beta2, static_cast<double>(n.step))))),
        eps(static_cast<float>(n.eps)),
        decay(n.decay, n.learning_rate) {}
};

template <bool decays>
INLINED void adam_loop(const AdamStep& s, int64_t count, float* __restrict values, const float* __restrict gradients,
                       float* __restrict first, float* __restrict second) {
  for (int64_t i = 0; i < count; ++i) {
    const float gradient = with_decay<decays>(gradients[i], values[i], s.decay);
    first[i] += (gradient - first[i]) * s.take_first;
    second[i] = second[i] * s.keep_second + s.take_second * gradient * gradient;
    const float root = std::sqrt(second[i]) * s.root_scale + s.eps;
    values[i] = moved<decays>(values[i], s.size * first[i] / root, s.decay);
  }
}

VECTORISED void adam_step(const AdamStep& s, int64_t count, float* values, const float* gradients, float* first,
                           float* second) {
  if (s.decay.any) adam_loop<true>(s, count, values, gradients, first, second);
  else adam_loop<false>(s, count, values, gradients, first, second);
}

struct RmspropStep {
  float keep;  // alpha
  float take;  // 1 - alpha
  float eps_inside;
  float eps_outside;
  float momentum;
  float learning_rate;
  Decayed decay;

  explicit RmspropStep(const RmspropNumbers& n)
      : keep(static_cast<float>(n.alpha)),
        take(static_cast<float>(1.0 - n.alpha)),
        eps_inside(n.eps_inside_root ? static_cast<float>(n.eps) : 0.0f),
        eps_outside(n.eps_inside_root ? 0.0f : static_cast<float>(n.eps)),
        momentum(static_cast<float>(n.momentum)),
        learning_rate(static_cast<float>(n.learning_rate)),
        decay(n.decay, n.learning_rate) {}
};

template <bool decays, bool centred, bool has_momentum>
INLINED void rmsprop_loop(const RmspropStep& s, int64_t count, float* __restrict values,
                          const float* __restrict gradients, float* __restrict square, float* __restrict average,
                          float* __restrict buffer) {
  for (int64_t i = 0; i < count; ++i) {
    const float gradient = with_decay<decays>(gradients[i], values[i], s.decay);
    square[i] = square[i] * s.keep + s.take * gradient * gradient;
    float variance = square[i];
    if (centred) {
      average[i] += (gradient - average[i]) * s.take;
      variance -= average[i] * average[i];
      // Rounding can take the variance of a constant gradient below zero, and its root would be NaN.
      variance = variance > 0.0f ? variance : 0.0f;
    }
    float direction = gradient / (std::sqrt(variance + s.eps_inside) + s.eps_outside);
    if (has_momentum) direction = buffer[i] = buffer[i] * s.momentum + direction;
    values[i] = moved<decays>(values[i], s.learning_rate * direction, s.decay);
  }
}

template <bool decays>
INLINED void rmsprop_kind(const RmspropStep& s, int64_t count, float* values, const float* gradients, float* square,
                          float* average, float* buffer) {
  if (average && buffer) rmsprop_loop<decays, true, true>(s, count, values, gradients, square, average, buffer);
  else if (average) rmsprop_loop<decays, true, false>(s, count, values, gradients, square, average, buffer);
  else if (buffer) rmsprop_loop<decays, false, true>(s, count, values, gradients, square, average, buffer);
  else rmsprop_loop<decays, false, false>(s, count, values, gradients, square, average, buffer);
}

VECTORISED void rmsprop_step(const RmspropStep& s, int64_t count, float* values, const float* gradients,
                              float* square, float* average, float* buffer) {
  if (s.decay.any) rmsprop_kind<true>(s, count, values, gradients, square, average, buffer);
  else rmsprop_kind<false>(s, count, values, gradients, square, average, buffer);
}

struct SgdStep {
  float keep;      // of the buffer
  float take;      // of the gradient into the buffer
  float gradient;  // the step's direction = gradient * g + buffer * b
  float buffer;
  float learning_rate;
  Decayed decay;

  // PyTorch's buffer starts as the first gradient, undampened; ours is zero until then.
  explicit SgdStep(const SgdNumbers& n)
      : keep(static_cast<float>(n.momentum)),
        take(n.first_step ? 1.0f : static_cast<float>(1.0 - n.dampening)),
        gradient(n.nesterov ? 1.0f : 0.0f),
        buffer(n.nesterov ? static_cast<float>(n.momentum) : 1.0f),
        learning_rate(static_cast<float>(n.learning_rate)),
        decay(n.decay, n.learning_rate) {}
};

template <bool decays, bool has_momentum>
INLINED void sgd_loop(const SgdStep& s, int64_t count, float* __restrict values, const float* __restrict gradients,
                      float* __restrict buffer) {
  for (int64_t i = 0; i < count; ++i) {
    float direction = with_decay<decays>(gradients[i], values[i], s.decay);
    if (has_momentum) {
      buffer[i] = buffer[i] * s.keep + direction * s.take;
      direction = direction * s.gradient + buffer[i] * s.buffer;
    }
    values[i] = moved<decays>(values[i], s.learning_rate * direction, s.decay);
  }
}

template <bool decays>
INLINED void sgd_kind(const SgdStep& s, int64_t count, float* values, const float* gradients, float* buffer) {
  if (buffer) sgd_loop<decays, true>(s, count, values, gradients, buffer);
  else sgd_loop<decays, false>(s, count, values, gradients, buffer);
}

VECTORISED void sgd_step(const SgdStep& s, int64_t count, float* values, const float* gradients, float* buffer) {
  if (s.decay.any) sgd_kind<true>(s, count, values, gradients, buffer);
  else sgd_kind<false>(s, count, values, gradients, buffer);
}

VECTORISED double sum_of_squares_loop(int64_t count, const float* numbers) {
  constexpr int64_t kLanes = 32;
  double sums[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes)
    for (int64_t k = 0; k < kLanes; ++k) {
      const double number = numbers[i + k];
      sums[k] += number * number;
    }
  for (int64_t k = 0; i + k < count; ++k) {
    const double number = numbers[i + k];
    sums[k] += number * number;
  }
  for (int64_t width = kLanes / 2; width > 0; width /= 2)
    for (int64_t k = 0; k < width; ++k) sums[k] += sums[k + width];
  return sums[0];
}

VECTORISED void scale_loop(int64_t count, float* numbers, float factor) {
  for (int64_t i = 0; i < count; ++i) numbers[i] *= factor;
}

VECTORISED void clamp_loop(int64_t count, float* numbers, float largest) {
  for (int64_t i = 0; i < count; ++i) {
    const float number = numbers[i];
    const float below = number > largest ? largest : number;
    numbers[i] = below < -largest ? -largest : below;
  }
}

// Runs `piece` over the pieces of `count` numbers.
template <typename Piece>
void in_pieces(int64_t count, Piece& piece) {
  const int pieces = pavlov::pieces_of(count);
  auto part = [&](int index) {
    const FlushDenormals guard;
    piece(pavlov::part_of(count, index, pieces));
  };
  pavlov::share(pieces, part);
}

}  // namespace

namespace pavlov {

void adam(const AdamNumbers& numbers, const Arena& arena, float* first_moment, float* second_moment) {
  const AdamStep step(numbers);
  auto piece = [&](Range range) {
    adam_step(step, range.count, arena.values + range.begin, arena.gradients + range.begin,
              first_moment + range.begin, second_moment + range.begin);
  };
  in_pieces(arena.count, piece);
}

void rmsprop(const RmspropNumbers& numbers, const Arena& arena, float* square_average, float* gradient_average,
             float* buffer) {
  const RmspropStep step(numbers);
  auto piece = [&](Range range) {
    const auto from = [&](float* moment) { return moment ? moment + range.begin : nullptr; };
    rmsprop_step(step, range.count, arena.values + range.begin, arena.gradients + range.begin, from(square_average),
                 from(gradient_average), from(buffer));
  };
  in_pieces(arena.count, piece);
}

void sgd(const SgdNumbers& numbers, const Arena& arena, float* buffer) {
  const SgdStep step(numbers);
  auto piece = [&](Range range) {
    sgd_step(step, range.count, arena.values + range.begin, arena.gradients + range.begin,
             buffer ? buffer + range.begin : nullptr);
  };
  in_pieces(arena.count, piece);
}

double sum_of_squares(int64_t count, const float* numbers) {
  double sums[kLargestJob];
  const int pieces = pieces_of(count);
  auto piece = [&](int part) {
    const FlushDenormals guard;
    const Range range = part_of(count, part, pieces);
    sums[part] = sum_of_squares_loop(range.count, numbers + range.begin);
  };
  share(pieces, piece);
  double sum = 0.0;
  for (int part = 0; part < pieces; ++part) sum += sums[part];
  return sum;
}

void scale(int64_t count, float* numbers, float factor) {
  auto piece = [&](Range range) { scale_loop(range.count, numbers + range.begin, factor); };
  in_pieces(count, piece);
}

void zero(int64_t count, float* numbers) {
  auto piece = [&](Range range) { std::memset(numbers + range.begin, 0, range.count * sizeof(float)); };
  in_pieces(count, piece);
}

void clamp(int64_t count, float* numbers, float largest) {
  auto piece = [&](Range range) { clamp_loop(range.count, numbers + range.begin, largest); };
  in_pieces(count, piece);
}

}  // namespace pavlov
