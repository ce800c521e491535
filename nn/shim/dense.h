// The passes of a multi-layer perceptron on the CPU, over plain memory, in f32 or with products of bf16.
#pragma once

#include <cstdint>
#include <vector>

namespace pavlov {

// The numbers by which Rust names the activations (activation.rs).
enum class Activation : int { kIdentity, kRelu, kLeakyRelu, kElu, kGelu, kSilu, kTanh, kSigmoid };

// True if these passes know the activation: those whose derivative follows from their output.
bool dense_knows(Activation activation);

// Adds the sum of each column of `batch` rows, `stride` numbers apart, to `sums`, which has `width` numbers.
void add_column_sums(float* sums, const float* rows, int64_t batch, int64_t width, int64_t stride);

// A layer norm adds this to the variance (PyTorch's default).
constexpr float kNormEpsilon = 1e-5f;

struct DenseLayer {
  int64_t in;
  int64_t out;
  const float* weight;  // [out, in]
  const float* bias;    // [out]
  const float* scale;   // [out], of a layer norm before the activation; null without one
  const float* shift;   // [out], likewise
  const float* mask;    // [batch, out], by which the output is multiplied (dropout); null without one
  // Where the gradients of the parameters are added to; null for frozen ones.
  float *weight_gradient, *bias_gradient, *scale_gradient, *shift_gradient;
  Activation activation;
  bool bf16;           // whether the factors of large products are rounded to bf16 (product_bf16.h)
  const float* input;  // [batch, in]
  // Written by the forward pass.
  float* output;   // [batch, out], of the activation
  float* dropped;  // [batch, out], the same times the mask, if there is one: the next layer's input
  float*
      normalised;   // [batch, out], before scale and shift, if there is a norm and the backward pass follows
  float* factors;   // [batch], by which the norm multiplied each row, likewise
  float* gradient;  // [batch, out], of what the layer gives; overwritten by that of its products

  bool has_norm() const { return scale != nullptr; }
  bool is_trained() const { return weight_gradient || bias_gradient || scale_gradient || shift_gradient; }
};

// Writes the last layer's output and no other's: for passes that nothing is derived from.
void dense_infer(const std::vector<DenseLayer>& layers, int64_t batch);

// Writes each layer's output. Each layer's input is the output of the one before it.
void dense_forward(const std::vector<DenseLayer>& layers, int64_t batch);

// From the last layer's gradient: writes those of the other layers, adds to those of weights and biases, and
// writes that of the first layer's input, [batch, in], if `input_gradient` is not null.
void dense_backward(const std::vector<DenseLayer>& layers, int64_t batch, float* input_gradient);

}  // namespace pavlov
