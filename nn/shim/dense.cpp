#include "dense.h"

#include <algorithm>
#include <cstring>

#include "blas.h"
#include "functions.h"
#include "norm.h"
#include "product.h"
#include "product_bf16.h"
#include "room.h"
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

void rows_through(void (*function)(float*, int64_t), const Tile& z) {
  for (int64_t r = 0; r < z.rows; ++r) function(z.numbers + r * z.stride, z.columns);
}

VECTORISED void activate_by_loops(Activation activation, const Tile& z) {
  switch (activation) {
    case Activation::kRelu: return activate_loop<Relu>(z);
    case Activation::kLeakyRelu: return activate_loop<LeakyRelu>(z);
    case Activation::kTanh: return activate_loop<Tanh>(z);
    case Activation::kSigmoid: return activate_loop<Sigmoid>(z);
    default: return;
  }
}

void activate(Activation activation, const Tile& z) {
  const Kernel* kernel = best_kernel();
  if (kernel && activation == Activation::kTanh) return rows_through(kernel->tanh, z);
  if (kernel && activation == Activation::kSigmoid) return rows_through(kernel->sigmoid, z);
  activate_by_loops(activation, z);
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

// to = from * mask, number by number; the rows of all three lie as far apart as the tile's.
VECTORISED void multiply_by(const Tile& to, const float* from, const float* mask) {
  for (int64_t r = 0; r < to.rows; ++r) {
    const int64_t at = r * to.stride;
    INDEPENDENT
    for (int64_t c = 0; c < to.columns; ++c) to.numbers[at + c] = from[at + c] * mask[at + c];
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

// The cut of the passes into parts. It depends on shapes alone, never on the number of threads, so that
// every number is the same however many there are.
struct Cut {
  int parts = 1;
  // Parts are rows of the batch, which go through all layers without waiting for each other: right for
  // weights that a processor's own cache holds, and for batches that are larger than them. Otherwise they are
  // units of each layer in turn, so that a thread reads its share of the weights alone, which for large ones
  // is what costs.
  bool by_rows = true;
};

Cut cut(const std::vector<DenseLayer>& layers, int64_t batch) {
  // Below this many products a part is over before another thread has noticed it.
  constexpr int64_t kWorthwhile = 1 << 20;
  // Fewer rows or units use the processor's vector units badly.
  constexpr int64_t kThinnest = 32;
  // So many weights, half a MiB, stay in a processor's own cache.
  constexpr int64_t kNear = 1 << 17;
  constexpr int64_t kParts = 2;
  int64_t weights = 0, widest = 0;
  for (const DenseLayer& layer : layers) {
    weights += layer.in * layer.out;
    widest = std::max(widest, layer.out);
  }
  if (batch * weights < kWorthwhile) return {};
  const bool by_rows = batch > widest || (weights <= kNear && batch >= kParts * kThinnest);
  return {static_cast<int>(std::clamp<int64_t>((by_rows ? batch : widest) / kThinnest, 1, kParts)), by_rows};
}

// The layer's products. Thin ones have more to pack than to multiply.
void multiply(const DenseLayer& layer, int64_t m, int64_t n, int64_t k, Matrix a, Matrix b, Start start,
              const float* row, float* c, int64_t stride, Finish finish = {}) {
  constexpr int64_t kThin = 16;
  const bool rounds = layer.bf16 && std::min({m, n, k}) >= kThin;
  (rounds ? product_bf16 : product)(m, n, k, a, b, start, row, c, stride, finish);
}

// Dropout, behind the activation.
void drop(const DenseLayer& layer, Range rows, Range units) {
  if (!layer.mask) return;
  const int64_t at = rows.begin * layer.out + units.begin;
  multiply_by({layer.dropped + at, rows.count, units.count, layer.out}, layer.output + at, layer.mask + at);
}

// The outputs of some rows and units; of a layer with a norm the products alone.
void forward(const DenseLayer& layer, Range rows, Range units) {
  if (rows.count == 0 || units.count == 0) return;
  float* z = (layer.normalised ? layer.normalised : layer.output) + rows.begin * layer.out + units.begin;
  auto output = [&](Range r, Range u) {
    activate(layer.activation, {z + r.begin * layer.out + u.begin, r.count, u.count, layer.out});
    drop(layer, {rows.begin + r.begin, r.count}, {units.begin + u.begin, u.count});
  };
  multiply(layer, rows.count, units.count, layer.in, {layer.input + rows.begin * layer.in, layer.in},
           {layer.weight + units.begin * layer.in, layer.in, true}, Start::kRow, layer.bias + units.begin, z,
           layer.out, layer.has_norm() ? Finish{} : finish_by(output));
}

// The outputs of some rows of a layer with a norm, whose products are there.
void normalise(const DenseLayer& layer, Range rows) {
  if (!layer.has_norm()) return;
  norm_forward(layer, rows);
  drop(layer, rows, {0, layer.out});
}

// The outputs of some rows: the products in parts, which are units, and then the norm in parts, which are
// rows.
void forward_by_units(const DenseLayer& layer, int64_t rows, int parts) {
  auto units = [&](int part) { forward(layer, {0, rows}, part_of(layer.out, part, parts)); };
  share(parts, units);
  if (!layer.has_norm()) return;
  auto norm = [&](int part) { normalise(layer, part_of(rows, part, parts)); };
  share(parts, norm);
}

// From the gradient of some outputs to that of what the activation, of a layer with a norm the mask, was
// given.
void through_activation(const DenseLayer& layer, Range rows, Range units) {
  if (rows.count == 0 || units.count == 0) return;
  const int64_t at = rows.begin * layer.out + units.begin;
  const Tile gradient{layer.gradient + at, rows.count, units.count, layer.out};
  if (layer.mask) multiply_by(gradient, layer.gradient + at, layer.mask + at);
  if (!layer.has_norm()) activate_backward(layer.activation, gradient, layer.output + at);
}

// The gradient of some of the layer's inputs; where these are the outputs of a layer, through its activation.
void input_gradient(const DenseLayer& layer, Range rows, Range inputs, float* home, const DenseLayer* below) {
  if (rows.count == 0 || inputs.count == 0) return;
  auto through = [&](Range r, Range i) {
    through_activation(*below, {rows.begin + r.begin, r.count}, {inputs.begin + i.begin, i.count});
  };
  multiply(layer, rows.count, inputs.count, layer.out, {layer.gradient + rows.begin * layer.out, layer.out},
           {layer.weight + inputs.begin, layer.in}, Start::kZero, nullptr,
           home + rows.begin * layer.in + inputs.begin, layer.in, below ? finish_by(through) : Finish{});
}

class Backward {
 public:
  Backward(const std::vector<DenseLayer>& layers, int64_t batch, float* home)
      : layers_(layers),
        batch_(batch),
        home_(home),
        cut_(cut(layers, batch)) {
    while (!home && lowest_ < layers.size() && !layers[lowest_].is_trained()) ++lowest_;
    for (const DenseLayer& layer : layers) {
      places_.push_back(width_);
      if (layer.has_norm()) width_ += 2 * layer.out;
    }
    if (width_ > 0) sums_.assign(cut_.parts * width_, 0.0f);
  }

  void run() {
    if (lowest_ == layers_.size()) return;
    if (cut_.by_rows) by_rows();
    else by_units();
  }

 private:
  void by_rows() {
    auto rows = [&](int part) {
      const Range own = part_of(batch_, part, cut_.parts);
      through_activation(layers_.back(), own, {0, layers_.back().out});
      for (size_t i = layers_.size(); i-- > lowest_;) {
        through_norm(i, own, part);
        if (i > lowest_ || home_) input_gradient(layers_[i], own, {0, layers_[i].in}, home_of(i), below(i));
      }
    };
    share(cut_.parts, rows);
    auto units = [&](int part) {
      for (size_t i = lowest_; i < layers_.size(); ++i) add_parameter_gradients(i, part);
    };
    share(cut_.parts, units);
  }

  void by_units() {
    const DenseLayer& last = layers_.back();
    through_activation(last, {0, batch_}, {0, last.out});
    for (size_t i = layers_.size(); i-- > lowest_;) {
      auto norm = [&](int part) { through_norm(i, part_of(batch_, part, cut_.parts), part); };
      if (layers_[i].has_norm()) share(cut_.parts, norm);
      auto units = [&](int part) {
        add_parameter_gradients(i, part);
        if (i == lowest_ && !home_) return;
        const Range inputs = part_of(layers_[i].in, part, cut_.parts);
        input_gradient(layers_[i], {0, batch_}, inputs, home_of(i), below(i));
      };
      share(cut_.parts, units);
    }
  }

  // Where the gradient of a layer's input goes.
  float* home_of(size_t i) const { return i > 0 ? layers_[i - 1].gradient : home_; }

  const DenseLayer* below(size_t i) const { return i > 0 ? &layers_[i - 1] : nullptr; }

  float* sums_of(size_t i, int part) { return sums_.data() + part * width_ + places_[i]; }

  void through_norm(size_t i, Range rows, int part) {
    if (layers_[i].has_norm()) norm_backward(layers_[i], rows, sums_of(i, part));
  }

  // Adds to the gradients of a part of the layer's units: of their rows of the weight, of their biases and
  // norms.
  void add_parameter_gradients(size_t i, int part) {
    const DenseLayer& layer = layers_[i];
    const Range units = part_of(layer.out, part, cut_.parts);
    if (units.count == 0) return;
    const float* gradient = layer.gradient + units.begin;
    if (layer.weight_gradient)
      multiply(layer, units.count, layer.in, batch_, {gradient, layer.out, true}, {layer.input, layer.in},
               Start::kItself, nullptr, layer.weight_gradient + units.begin * layer.in, layer.in);
    if (layer.bias_gradient)
      add_column_sums(layer.bias_gradient + units.begin, gradient, batch_, units.count, layer.out);
    for (int of = 0; layer.has_norm() && of < cut_.parts; ++of) {
      const float* sums = sums_of(i, of) + units.begin;
      if (layer.scale_gradient) add_column_sums(layer.scale_gradient + units.begin, sums, 1, units.count, 0);
      if (layer.shift_gradient)
        add_column_sums(layer.shift_gradient + units.begin, sums + layer.out, 1, units.count, 0);
    }
  }

  const std::vector<DenseLayer>& layers_;
  const int64_t batch_;
  float* const home_;
  const Cut cut_;
  // The first layer that anything is computed for.
  size_t lowest_ = 0;
  // The norms' gradients of each part of the batch: `width_` numbers, those of layer i from places_[i] on.
  std::vector<float> sums_;
  std::vector<int64_t> places_;
  int64_t width_ = 0;
};

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
    float* const numbers = room_for(between, 2 * block * widest);
    const Range range = part_of(batch, job, jobs);
    for (int64_t done = 0; done < range.count; done += block) {
      const int64_t begin = range.begin + done, count = std::min(block, range.count - done);
      const float* x = layers.front().input + begin * layers.front().in;
      for (size_t i = 0; i < layers.size(); ++i) {
        DenseLayer layer = layers[i];
        layer.input = x;
        layer.output =
            i + 1 < layers.size() ? numbers + (i % 2) * block * widest : layer.output + begin * layer.out;
        layer.dropped = layer.output;
        if (layer.mask) layer.mask += begin * layer.out;
        forward_by_units(layer, count, jobs == 1 ? parts : 1);
        x = layer.output;
      }
    }
  };
  share(jobs, rows);
}

void dense_forward(const std::vector<DenseLayer>& layers, int64_t batch) {
  const OneBlasThread guard;
  const auto [parts, by_rows] = cut(layers, batch);
  if (!by_rows) {
    for (const DenseLayer& layer : layers) forward_by_units(layer, batch, parts);
    return;
  }
  auto rows = [&, parts = parts](int part) {
    const Range own = part_of(batch, part, parts);
    for (const DenseLayer& layer : layers) {
      forward(layer, own, {0, layer.out});
      normalise(layer, own);
    }
  };
  share(parts, rows);
}

void dense_backward(const std::vector<DenseLayer>& layers, int64_t batch, float* input_gradient) {
  const OneBlasThread guard;
  Backward(layers, batch, input_gradient).run();
}

}  // namespace pavlov
