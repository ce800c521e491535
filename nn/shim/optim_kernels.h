// Passes over a flat arena of f32 numbers in ordinary memory: optimiser steps and gradient clipping, shared
// by the team of threads where they are long. No allocation, nothing of libtorch.
#pragma once

#include <cstdint>

// The Rust side's arguments (optim.rs); both sides lay it out as C does.

struct Decay {
  double l2;         // adds l2 * value to the gradient
  double decoupled;  // shrinks the value by learning_rate * decoupled
  double l1;         // adds l1 * sign(value) to the gradient
};

struct AdamNumbers {
  double learning_rate;
  double beta1;
  double beta2;
  double eps;
  Decay decay;
  int64_t step;  // the first is 1
};

struct RmspropNumbers {
  double learning_rate;
  double alpha;
  double eps;
  double momentum;
  Decay decay;
  bool eps_inside_root;
};

struct SgdNumbers {
  double learning_rate;
  double momentum;
  double dampening;
  Decay decay;
  bool nesterov;
  bool first_step;
};

// The part of an arena that a step goes over.
struct Part {
  int64_t from;
  int64_t count;
};

namespace pavlov {

// The numbers of a network and their gradients.
struct Arena {
  int64_t count;
  float* values;
  const float* gradients;
};

void adam(const AdamNumbers& numbers, const Arena& arena, float* first_moment, float* second_moment);

// `gradient_average` is null unless centred, `buffer` is null without momentum.
void rmsprop(const RmspropNumbers& numbers, const Arena& arena, float* square_average, float* gradient_average,
             float* buffer);

// `buffer` is null without momentum.
void sgd(const SgdNumbers& numbers, const Arena& arena, float* buffer);

// The sum of squares in f64, always added in the same order.
double sum_of_squares(int64_t count, const float* numbers);

void scale(int64_t count, float* numbers, float factor);

void zero(int64_t count, float* numbers);

// Bounds every number to [-largest, largest]; NaN stays.
void clamp(int64_t count, float* numbers, float largest);

}  // namespace pavlov
