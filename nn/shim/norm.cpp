#include "norm.h"

#include <cmath>

#include "functions.h"
#include "vectorised.h"

namespace pavlov {
namespace {

// As many sums side by side as the widest vector has numbers. The order in which a row is summed follows from
// it, so that every instruction set gives the same.
constexpr int kLanes = 16;

// The sum over a row of what `term` gives for each column.
template <typename Term>
INLINED float sum_over(int64_t n, const Term& term) {
  float sums[kLanes] = {};
  int64_t c = 0;
  for (; c + kLanes <= n; c += kLanes)
    for (int l = 0; l < kLanes; ++l) sums[l] += term(c + l);
  for (int l = 0; c + l < n; ++l) sums[l] += term(c + l);
  for (int half = kLanes / 2; half > 0; half /= 2)
    for (int l = 0; l < half; ++l) sums[l] += sums[l + half];
  return sums[0];
}

template <typename Function>
INLINED void forward_loop(const DenseLayer& layer, Range rows) {
  const int64_t n = layer.out;
  const float share = 1.0f / static_cast<float>(n);
  const float *scale = layer.scale, *shift = layer.shift;
  for (int64_t r = rows.begin; r < rows.begin + rows.count; ++r) {
    float* y = layer.output + r * n;
    float* z = layer.normalised ? layer.normalised + r * n : y;
    const float mean = sum_over(n, [=](int64_t c) { return z[c]; }) * share;
    const float spread = sum_over(n, [=](int64_t c) { return (z[c] - mean) * (z[c] - mean); });
    const float factor = 1.0f / std::sqrt(spread * share + kNormEpsilon);
    if (layer.factors) layer.factors[r] = factor;
    INDEPENDENT
    for (int64_t c = 0; c < n; ++c) z[c] = (z[c] - mean) * factor;
    INDEPENDENT
    for (int64_t c = 0; c < n; ++c) y[c] = Function::of(z[c] * scale[c] + shift[c]);
  }
}

template <typename Function>
INLINED void backward_loop(const DenseLayer& layer, Range rows, float* sums) {
  const int64_t n = layer.out;
  const float share = 1.0f / static_cast<float>(n);
  const float* scale = layer.scale;
  float *by_scale = sums, *by_shift = sums + n;
  for (int64_t r = rows.begin; r < rows.begin + rows.count; ++r) {
    float* gradient = layer.gradient + r * n;
    const float *x = layer.normalised + r * n, *y = layer.output + r * n;
    INDEPENDENT
    for (int64_t c = 0; c < n; ++c) {
      const float before = gradient[c] * Function::slope(y[c]);
      by_scale[c] += before * x[c];
      by_shift[c] += before;
      gradient[c] = before * scale[c];
    }
    // The division takes these away again.
    const float mean = sum_over(n, [=](int64_t c) { return gradient[c]; }) * share;
    const float along = sum_over(n, [=](int64_t c) { return gradient[c] * x[c]; }) * share;
    const float factor = layer.factors[r];
    INDEPENDENT
    for (int64_t c = 0; c < n; ++c) gradient[c] = factor * (gradient[c] - mean - x[c] * along);
  }
}

}  // namespace

VECTORISED void norm_forward(const DenseLayer& layer, Range rows) {
  switch (layer.activation) {
    case Activation::kRelu: return forward_loop<Relu>(layer, rows);
    case Activation::kLeakyRelu: return forward_loop<LeakyRelu>(layer, rows);
    case Activation::kTanh: return forward_loop<Tanh>(layer, rows);
    case Activation::kSigmoid: return forward_loop<Sigmoid>(layer, rows);
    default: return forward_loop<Identity>(layer, rows);
  }
}

VECTORISED void norm_backward(const DenseLayer& layer, Range rows, float* sums) {
  switch (layer.activation) {
    case Activation::kRelu: return backward_loop<Relu>(layer, rows, sums);
    case Activation::kLeakyRelu: return backward_loop<LeakyRelu>(layer, rows, sums);
    case Activation::kTanh: return backward_loop<Tanh>(layer, rows, sums);
    case Activation::kSigmoid: return backward_loop<Sigmoid>(layer, rows, sums);
    default: return backward_loop<Identity>(layer, rows, sums);
  }
}

}  // namespace pavlov
