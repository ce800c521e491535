#include "norm.h"

#include <cmath>
#include <cstring>

#include "functions.h"
#include "vectorised.h"

// Vectors are passed to inlined functions alone, so how they would be passed to others does not matter.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wpsabi"
#endif

namespace pavlov {
namespace {

// As many numbers side by side as the widest vector has. The order in which sums over a row are taken follows
// from it, so that every instruction set gives the same.
constexpr int kLanes = 16;
typedef float Lanes __attribute__((vector_size(kLanes * sizeof(float))));

INLINED Lanes load(const float* from) {
  Lanes lanes;
  std::memcpy(&lanes, from, sizeof(lanes));
  return lanes;
}

INLINED void store(float* to, const Lanes& lanes) { std::memcpy(to, &lanes, sizeof(lanes)); }

// The last numbers of a row, with zeros behind them.
INLINED Lanes load_some(const float* from, int64_t count) {
  float numbers[kLanes] = {};
  for (int64_t l = 0; l < count; ++l) numbers[l] = from[l];
  return load(numbers);
}

INLINED float total(const Lanes& lanes) {
  float sums[kLanes];
  store(sums, lanes);
  for (int half = kLanes / 2; half > 0; half /= 2)
    for (int l = 0; l < half; ++l) sums[l] += sums[l + half];
  return sums[0];
}

INLINED float sum_of(const float* row, int64_t n) {
  Lanes sum = {};
  int64_t c = 0;
  for (; c + kLanes <= n; c += kLanes) sum += load(row + c);
  return total(sum + load_some(row + c, n - c));
}

// The sum of squared distances from the mean.
INLINED float spread_of(const float* row, int64_t n, float mean) {
  Lanes sum = {};
  int64_t c = 0;
  for (; c + kLanes <= n; c += kLanes) {
    const Lanes distance = load(row + c) - mean;
    sum += distance * distance;
  }
  Lanes last = load_some(row + c, n - c) - mean;
  for (int64_t l = n - c; l < kLanes; ++l) last[l] = 0.0f;
  return total(sum + last * last);
}

template <typename Function>
INLINED void forward_loop(const DenseLayer& layer, Range rows) {
  const int64_t n = layer.out;
  const float share = 1.0f / static_cast<float>(n);
  const float *scale = layer.scale, *shift = layer.shift;
  for (int64_t r = rows.begin; r < rows.begin + rows.count; ++r) {
    float* y = layer.output + r * n;
    float* z = layer.normalised ? layer.normalised + r * n : y;
    const float mean = sum_of(z, n) * share;
    const float factor = 1.0f / std::sqrt(spread_of(z, n, mean) * share + kNormEpsilon);
    if (layer.factors) layer.factors[r] = factor;
    INDEPENDENT
    for (int64_t c = 0; c < n; ++c) z[c] = (z[c] - mean) * factor;
    INDEPENDENT
    for (int64_t c = 0; c < n; ++c) y[c] = Function::of(z[c] * scale[c] + shift[c]);
  }
}

// What a row adds to the norm's gradients, and what of its gradient the division takes away again.
struct Taken {
  Lanes sum = {}, along = {};
};

// `before` is the gradient of what scale and shift gave, `x` the normalised numbers. Gives the former scaled.
INLINED Lanes take(const Lanes& before, const Lanes& x, const Lanes& scale, Lanes& by_scale, Lanes& by_shift,
                   Taken& taken) {
  by_scale += before * x;
  by_shift += before;
  const Lanes scaled = before * scale;
  taken.sum += scaled;
  taken.along += scaled * x;
  return scaled;
}

// From the gradient of scale and shift's output to that of the normalised numbers, in place.
INLINED Taken take_row(const DenseLayer& layer, float* gradient, const float* x, float* by_scale,
                       float* by_shift) {
  const int64_t n = layer.out;
  Taken taken;
  int64_t c = 0;
  for (; c + kLanes <= n; c += kLanes) {
    Lanes of_scale = load(by_scale + c), of_shift = load(by_shift + c);
    store(gradient + c,
          take(load(gradient + c), load(x + c), load(layer.scale + c), of_scale, of_shift, taken));
    store(by_scale + c, of_scale);
    store(by_shift + c, of_shift);
  }
  const int64_t rest = n - c;
  Lanes of_scale = load_some(by_scale + c, rest), of_shift = load_some(by_shift + c, rest);
  const Lanes last = take(load_some(gradient + c, rest), load_some(x + c, rest),
                          load_some(layer.scale + c, rest), of_scale, of_shift, taken);
  for (int64_t l = 0; l < rest; ++l) {
    gradient[c + l] = last[l];
    by_scale[c + l] = of_scale[l];
    by_shift[c + l] = of_shift[l];
  }
  return taken;
}

template <typename Function>
INLINED void backward_loop(const DenseLayer& layer, Range rows, float* sums) {
  const int64_t n = layer.out;
  const float share = 1.0f / static_cast<float>(n);
  for (int64_t r = rows.begin; r < rows.begin + rows.count; ++r) {
    float* gradient = layer.gradient + r * n;
    const float *x = layer.normalised + r * n, *y = layer.output + r * n;
    INDEPENDENT
    for (int64_t c = 0; c < n; ++c) gradient[c] *= Function::slope(y[c]);
    const Taken taken = take_row(layer, gradient, x, sums, sums + n);
    const float mean = total(taken.sum) * share, along = total(taken.along) * share,
                factor = layer.factors[r];
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
