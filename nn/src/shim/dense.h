// The passes of a multi-layer perceptron on the CPU, over plain memory, in f32 or with products of bf16.
#pragma once

#include <cstdint>
#include <vector>

namespace pavlov {

// The numbers by which Rust names the activations (activation.rs).
enum class Activation : int { kIdentity, kRelu, kLeakyRelu, kElu, kGelu, kSilu, kTanh, kSigmoid };

// Whether these passes know the activation: those whose derivative follows from their output.
bool dense_knows(Activation activation);

// Adds the sum of each column of `batch` rows, `stride` numbers apart, to `sums`, which has `width` numbers.
void add_column_sums(float* sums, const float* rows, int64_t batch, int64_t width, int64_t stride);

struct DenseLayer {
  int64_t in;
  int64_t out;
  const float* weight;     // [out, in]
  const float* bias;       // [out]
  float* weight_gradient;  // [out, in], or null if it is frozen
  float* bias_gradient;    // [out], likewise
  Activation activation;
  bool bf16;           // whether the factors of large products are rounded to bf16 (product_bf16.h)
  const float* input;  // [batch, in]
  float* output;       // [batch, out], written by the forward pass
  float* gradient;     // [batch, out], of the output; overwritten by that of the activation's input

  bool is_trained() const { return weight_gradient || bias_gradient; }
};

// Writes the last layer's output and no other's: for passes that nothing is derived from.
void dense_infer(const std::vector<DenseLayer>& layers, int64_t batch);

// Writes each layer's output. Each layer's input is the output of the one before it.
void dense_forward(const std::vector<DenseLayer>& layers, int64_t batch);

// From the last layer's gradient: writes those of the other layers, adds to those of weights and biases, and
// writes that of the first layer's input, [batch, in], if `input_gradient` is not null.
void dense_backward(const std::vector<DenseLayer>& layers, int64_t batch, float* input_gradient);

}  // namespace pavlov
