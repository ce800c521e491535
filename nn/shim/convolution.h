// The passes of a stack of convolutions, each with a bias, a ReLU and perhaps a max pooling, on the CPU, over
// plain memory, in f32 or with products of bf16.
#pragma once

#include <cstdint>
#include <vector>

namespace pavlov {

struct ConvLayer {
  int64_t height, width, channels;  // of the layer's input
  int64_t filters, kernel, stride, padding;
  int64_t pool;            // the side of the squares whose largest number is given; 1 gives all numbers
  const float* weight;     // [filters, channels, kernel, kernel]
  const float* bias;       // [filters]
  float* weight_gradient;  // [filters, channels, kernel, kernel], or null if it is frozen
  float* bias_gradient;    // [filters], likewise
  float*
      output;  // [batch, given_height, given_width, filters]; null for the last layer, and where it is not kept
  uint8_t* winners;  // the place of each output in its square, likewise; null without squares too

  int64_t out_height() const { return (height + 2 * padding - kernel) / stride + 1; }
  int64_t out_width() const { return (width + 2 * padding - kernel) / stride + 1; }
  // The sides of the image that the layer gives, behind its pooling.
  int64_t given_height() const { return out_height() / pool; }
  int64_t given_width() const { return out_width() / pool; }
  int64_t positions() const { return given_height() * given_width(); }
  // The rows of outputs that come to be given: the rest of a square that is cut off is not.
  int64_t used_height() const { return given_height() * pool; }
  // The number of inputs that one output sees.
  int64_t window() const { return kernel * kernel * channels; }
};

// A batch of images, and what comes out of the last layer.
struct ConvBatch {
  int64_t count;
  const float*
      images;      // rows of [channels, height, width] if `channels_first`, else of [height, width, channels]
  int64_t stride;  // how far apart the rows lie
  bool channels_first;
  bool bf16;      // whether the factors of products are rounded to bf16 (product_bf16.h)
  float* output;  // [count, filters, given_height, given_width]
};

// Writes the output of the batch, and that of every layer that has a place for it.
void convolution_forward(const std::vector<ConvLayer>& layers, const ConvBatch& batch);

// From the gradient of the batch's output, [count, filters, given_height, given_width]: adds to the gradients
// of weights and biases, and writes that of the images, rows as theirs but side by side, if `image_gradient`
// is not null. Every layer's output must have been kept.
void convolution_backward(const std::vector<ConvLayer>& layers, const ConvBatch& batch, const float* gradient,
                          float* image_gradient);

}  // namespace pavlov
