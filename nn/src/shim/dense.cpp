#include "dense.h"

#include <algorithm>
#include <cstring>

#include "blas.h"
#include "functions.h"
#include "product.h"
#include "product_bf16.h"
#include "team.h"
#include "vectorised.h"

namespace pavlov {
namespace {

// Some rows and some columns of a matrix whose rows lie `stride` numbers apart.
struct Tile {
  float* numbers;
  int64_t rows;
  int64_t columns;
  int64_t stride;
};

template <typename Function>
INLINED void activate_loop(const Tile& z) {
  for (int64_t r = 0; r < z.rows; ++r) {
    float* row = z.numbers + r * z.stride;
    for (int64_t c = 0; c < z.columns; ++c) row[c] = Function::of(row[c]);
  }
}

VECTORISED void activate(Activation activation, const Tile& z) {
  switch (activation) {
    case Activation::kRelu: return activate_loop<Relu>(z);
    case Activation::kLeakyRelu: return activate_loop<LeakyRelu>(z);
    case Activation::kTanh: return activate_loop<Tanh>(z);
    case Activation::kSigmoid: return activate_loop<Sigmoid>(z);
    default: return;
  }
}

template <typename Function>
INLINED void activate_backward_loop(const Tile& gradient, const float* output) {
  for (int64_t r = 0; r < gradient.rows; ++r) {
    float* row = gradient.numbers + r * gradient.stride;
    const float* y = output + r * gradient.stride;
    for (int64_t c = 0; c < gradient.columns; ++c) row[c] *= Function::slope(y[c]);
  }
}

// From the gradient of the activation's output to that of its input.
VECTORISED void activate_backward(Activation activation, const Tile& gradient, const float* output) {
  switch (activation) {
    case Activation::kRelu: return activate_backward_loop<Relu>(gradient, output);
    case Activation::kLeakyRelu: return activate_backward_loop<LeakyRelu>(gradient, output);
    case Activation::kTanh: return activate_backward_loop<Tanh>(gradient, output);
    case Activation::kSigmoid: return activate_backward_loop<Sigmoid>(gradient, output);
    default: return;
  }
}

// The sums of so many columns stay in registers.
template <int kColumns>
INLINED void add_sums(float* sums, const float* rows, int64_t batch, int64_t stride) {
  float own[kColumns] = {};
  for (int64_t r = 0; r < batch; ++r)
    for (int c = 0; c < kColumns; ++c) own[c] += rows[r * stride + c];
  for (int c = 0; c < kColumns; ++c) sums[c] += own[c];
}

// How the passes are cut into parts. It depends on shapes alone, never on the number of threads, so that
// every number is the same however many there are.
struct Cut {
  int parts = 1;
  // Parts are rows of the batch, which go through all layers without waiting for each other: right for small
  // weights. Otherwise they are units of each layer in turn, so that a thread reads its share of the weights
  // alone, which for large ones is what costs.
  bool by_rows = true;
};

Cut cut(const std::vector<DenseLayer>& layers, int64_t batch) {
  // Below this many products a part is over before another thread has noticed it.
  constexpr int64_t kWorthwhile = 1 << 20;
  // Fewer rows or units use the processor's vector units badly.
  constexpr int64_t kThinnest = 32;
  constexpr int64_t kParts = 2;
  int64_t products = 0, widest = 0;
  for (const DenseLayer& layer : layers) {
    products += batch * layer.in * layer.out;
    widest = std::max(widest, layer.out);
  }
  if (products < kWorthwhile) return {};
  const bool by_rows = batch > widest;
  return {static_cast<int>(std::clamp<int64_t>(std::max(batch, widest) / kThinnest, 1, kParts)), by_rows};
}

// The layer's products. Thin ones have more to pack than to multiply.
void multiply(const DenseLayer& layer, int64_t m, int64_t n, int64_t k, Matrix a, Matrix b, Start start,
              const float* row, float* c, int64_t stride) {
  constexpr int64_t kThin = 16;
  if (layer.bf16 && std::min({m, n, k}) >= kThin) return product_bf16(m, n, k, a, b, start, row, c, stride);
  product(m, n, k, a, b, start, row, c, stride);
}

void forward(const DenseLayer& layer, Range rows, Range units) {
  if (rows.count == 0 || units.count == 0) return;
  float* z = layer.output + rows.begin * layer.out + units.begin;
  multiply(layer, rows.count, units.count, layer.in, {layer.input + rows.begin * layer.in, layer.in},
           {layer.weight + units.begin * layer.in, layer.in, true}, Start::kRow, layer.bias + units.begin, z,
           layer.out);
  activate(layer.activation, {z, rows.count, units.count, layer.out});
}

// The gradient of some of the layer's inputs, which are the outputs of the layer before it, if there is one.
void backward(const DenseLayer& layer, const DenseLayer* before, Range rows, Range inputs,
              float* input_gradient) {
  if (rows.count == 0 || inputs.count == 0) return;
  const int64_t at = rows.begin * layer.in + inputs.begin;
  multiply(layer, rows.count, inputs.count, layer.out, {layer.gradient + rows.begin * layer.out, layer.out},
           {layer.weight + inputs.begin, layer.in}, Start::kZero, nullptr, input_gradient + at, layer.in);
  if (!before) return;
  activate_backward(before->activation, {input_gradient + at, rows.count, inputs.count, layer.in},
                    before->output + at);
}

// Adds to the gradients of some of the layer's units: of their rows of the weight and of their biases.
void add_weight_gradient(const DenseLayer& layer, int64_t batch, Range units) {
  if (units.count == 0) return;
  const float* gradient = layer.gradient + units.begin;
  if (layer.weight_gradient)
    multiply(layer, units.count, layer.in, batch, {gradient, layer.out, true}, {layer.input, layer.in},
             Start::kItself, nullptr, layer.weight_gradient + units.begin * layer.in, layer.in);
  if (layer.bias_gradient)
    add_column_sums(layer.bias_gradient + units.begin, gradient, batch, units.count, layer.out);
}

}  // namespace

VECTORISED void add_column_sums(float* sums, const float* rows, int64_t batch, int64_t width,
                                int64_t stride) {
  int64_t c = 0;
  for (; c + 64 <= width; c += 64) add_sums<64>(sums + c, rows + c, batch, stride);
  for (; c + 16 <= width; c += 16) add_sums<16>(sums + c, rows + c, batch, stride);
  for (; c < width; ++c) add_sums<1>(sums + c, rows + c, batch, stride);
}

bool dense_knows(Activation activation) {
  switch (activation) {
    case Activation::kIdentity:
    case Activation::kRelu:
    case Activation::kLeakyRelu:
    case Activation::kTanh:
    case Activation::kSigmoid: return true;
    default: return false;
  }
}

void dense_infer(const std::vector<DenseLayer>& layers, int64_t batch) {
  // So many rows at a time go through all layers: what lies between two layers stays in the nearest cache. In
  // bf16 more, since weights are packed for each block.
  const int64_t block = layers.front().bf16 ? 256 : 64;
  const OneBlasThread guard;
  int64_t widest = 0;
  for (const DenseLayer& layer : layers) widest = std::max(widest, layer.out);
  const auto [parts, by_rows] = cut(layers, batch);
  // The blocks of a large batch are shared; a small one is one block, whose layers are.
  const int jobs = by_rows ? parts : 1;
  auto rows = [&, parts = parts](int job) {
    thread_local std::vector<float> between;
    between.resize(2 * block * widest);
    const Range range = part_of(batch, job, jobs);
    for (int64_t done = 0; done < range.count; done += block) {
      const int64_t begin = range.begin + done, count = std::min(block, range.count - done);
      const float* x = layers.front().input + begin * layers.front().in;
      for (size_t i = 0; i < layers.size(); ++i) {
        DenseLayer layer = layers[i];
        layer.input = x;
        layer.output = i + 1 < layers.size() ? between.data() + (i % 2) * block * widest
                                             : layer.output + begin * layer.out;
        auto units = [&, parts = parts](int part) {
          forward(layer, {0, count}, part_of(layer.out, part, parts));
        };
        if (jobs == 1) share(parts, units);
        else forward(layer, {0, count}, {0, layer.out});
        x = layer.output;
      }
    }
  };
  share(jobs, rows);
}

void dense_forward(const std::vector<DenseLayer>& layers, int64_t batch) {
  const OneBlasThread guard;
  const auto [parts, by_rows] = cut(layers, batch);
  if (by_rows) {
    auto rows = [&, parts = parts](int part) {
      for (const DenseLayer& layer : layers) forward(layer, part_of(batch, part, parts), {0, layer.out});
    };
    return share(parts, rows);
  }
  for (const DenseLayer& layer : layers) {
    auto units = [&, parts = parts](int part) {
      forward(layer, {0, batch}, part_of(layer.out, part, parts));
    };
    share(parts, units);
  }
}

void dense_backward(const std::vector<DenseLayer>& layers, int64_t batch, float* input_gradient) {
  const OneBlasThread guard;
  const auto [parts, by_rows] = cut(layers, batch);
  const DenseLayer& last = layers.back();
  activate_backward(last.activation, {last.gradient, batch, last.out, last.out}, last.output);
  // The first layer that anything is computed for, and the first whose input's gradient somebody wants, and
  // where it goes.
  size_t lowest = 0;
  while (!input_gradient && lowest < layers.size() && !layers[lowest].is_trained()) ++lowest;
  const size_t first = input_gradient ? 0 : lowest + 1;
  const auto before = [&](size_t i) { return i > 0 ? &layers[i - 1] : nullptr; };
  const auto home = [&](size_t i) { return i > 0 ? layers[i - 1].gradient : input_gradient; };
  if (by_rows) {
    auto rows = [&, parts = parts](int part) {
      for (size_t i = layers.size(); i-- > first;)
        backward(layers[i], before(i), part_of(batch, part, parts), {0, layers[i].in}, home(i));
    };
    share(parts, rows);
    auto units = [&, parts = parts](int part) {
      for (size_t i = lowest; i < layers.size(); ++i)
        add_weight_gradient(layers[i], batch, part_of(layers[i].out, part, parts));
    };
    return share(parts, units);
  }
  for (size_t i = layers.size(); i-- > lowest;) {
    auto units = [&, parts = parts](int part) {
      add_weight_gradient(layers[i], batch, part_of(layers[i].out, part, parts));
      if (i >= first) backward(layers[i], before(i), {0, batch}, part_of(layers[i].in, part, parts), home(i));
    };
    share(parts, units);
  }
}

}  // namespace pavlov
