// The passes of whole networks.

#include <deque>
#include <vector>

#include "../../shim/cells.h"
#include "../../shim/convolution.h"
#include "../../shim/dense.h"
#include "support.h"

namespace {

using pavlov::Activation;
using pavlov::Cell;

// Arrays that live as long as a case. A deque, since passes point to them.
class Arrays {
 public:
  float* of(int64_t count) { return all_.emplace_back(count).data(); }
  float* zeros(int64_t count) {
    all_.emplace_back(count).fill(0.0f);
    return all_.back().data();
  }
  uint8_t* bytes(int64_t count) { return bytes_.emplace_back(count).data(); }

 private:
  std::deque<Floats> all_;
  std::deque<Exact<uint8_t>> bytes_;
};

struct Perceptron {
  std::vector<int64_t> widths;  // the inputs first
  int64_t batch;
  Activation activation;
  bool norm, mask;
  bool trained[2];  // the layers of an even place, and the others
};

void drive_perceptron(const Perceptron& net) {
  Arrays arrays;
  const int64_t batch = net.batch;
  std::vector<pavlov::DenseLayer> layers;
  const float* input = arrays.of(batch * net.widths[0]);
  for (size_t i = 0; i + 1 < net.widths.size(); ++i) {
    pavlov::DenseLayer layer{};
    const int64_t in = layer.in = net.widths[i], out = layer.out = net.widths[i + 1];
    const bool is_last = i + 2 == net.widths.size();
    layer.weight = arrays.of(in * out);
    layer.bias = arrays.of(out);
    if (net.norm && !is_last) {
      layer.scale = arrays.of(out);
      layer.shift = arrays.of(out);
      layer.normalised = arrays.of(batch * out);
      layer.factors = arrays.of(batch);
    }
    if (net.trained[i % 2]) {
      layer.weight_gradient = arrays.of(in * out);
      layer.bias_gradient = arrays.of(out);
      if (layer.has_norm()) layer.scale_gradient = arrays.of(out);
      if (layer.has_norm()) layer.shift_gradient = arrays.of(out);
    }
    layer.activation = net.activation;
    layer.input = input;
    layer.output = arrays.of(batch * out);
    layer.dropped = layer.output;
    if (net.mask && !is_last) {
      layer.mask = arrays.of(batch * out);
      layer.dropped = arrays.of(batch * out);
    }
    layer.gradient = arrays.of(batch * out);
    input = layer.dropped;
    layers.push_back(layer);
  }
  std::vector<pavlov::DenseLayer> inferring = layers;
  for (pavlov::DenseLayer& layer : inferring) layer.normalised = layer.factors = nullptr;
  const int64_t outputs = batch * net.widths.back();
  float* inferred = inferring.back().output = inferring.back().dropped = arrays.of(outputs);
  pavlov::dense_infer(inferring, batch);
  pavlov::dense_forward(layers, batch);
  for (int64_t i = 0; i < outputs; ++i)
    REQUIRE(close_to(inferred[i], layers.back().output[i]), "output %d of %d rows", int(i), int(batch));
  pavlov::dense_backward(layers, batch, nullptr);
  pavlov::dense_backward(layers, batch, arrays.of(batch * net.widths[0]));
}

struct Memory {
  Cell cell;
  int64_t steps, batch, in, size;
};

void drive_memory(const Memory& net, int frozen) {
  Arrays arrays;
  pavlov::Sequence s{};
  s.cell = net.cell;
  s.steps = net.steps;
  s.batch = net.batch;
  s.in = net.in;
  s.size = net.size;
  const int64_t gates = s.gate_count() * s.size, rows = s.steps * s.batch;
  s.weight_ih = arrays.of(gates * s.in);
  s.weight_hh = arrays.of(gates * s.size);
  s.bias_ih = arrays.of(gates);
  s.bias_hh = arrays.of(gates);
  s.x = arrays.of(rows * s.in);
  float* starts = arrays.zeros(rows);
  for (int64_t i = 0; i < rows; i += 3) starts[i] = 1.0f;
  s.starts = starts;
  s.state = arrays.of(s.batch * s.width());
  s.gates = arrays.of(rows * 4 * s.size);
  s.before = arrays.of(rows * s.width());
  s.states = arrays.of(rows * s.width());
  s.y = arrays.of(rows * s.size);
  pavlov::sequence_forward(s);
  pavlov::SequenceGradients to{};
  to.y = arrays.of(rows * s.size);
  if (!(frozen & 1)) to.weight_ih = arrays.of(gates * s.in);
  if (!(frozen & 2)) to.weight_hh = arrays.of(gates * s.size);
  if (!(frozen & 4)) to.bias_ih = arrays.of(gates);
  if (!(frozen & 8)) to.bias_hh = arrays.of(gates);
  if (!(frozen & 16)) to.x = arrays.of(rows * s.in);
  pavlov::sequence_backward(s, to);
}

struct Step {
  int64_t filters, kernel, stride, padding, pool;
};

struct Convolutions {
  int64_t height, width, channels;
  std::vector<Step> steps;
};

void drive_convolution(const Convolutions& net, int64_t batch, bool channels_first, bool keeps,
                       int64_t extra) {
  Arrays arrays;
  std::vector<pavlov::ConvLayer> layers;
  int64_t height = net.height, width = net.width, channels = net.channels;
  for (const Step& step : net.steps) {
    pavlov::ConvLayer layer{};
    layer.height = height;
    layer.width = width;
    layer.channels = channels;
    layer.filters = step.filters;
    layer.kernel = step.kernel;
    layer.stride = step.stride;
    layer.padding = step.padding;
    layer.pool = step.pool;
    layer.weight = arrays.of(layer.filters * layer.window());
    layer.bias = arrays.of(layer.filters);
    layer.weight_gradient = arrays.of(layer.filters * layer.window());
    layer.bias_gradient = arrays.of(layer.filters);
    const int64_t numbers = batch * layer.positions() * layer.filters;
    if (keeps && layers.size() + 1 < net.steps.size()) layer.output = arrays.of(numbers);
    if (keeps && layer.pool > 1) layer.winners = arrays.bytes(numbers);
    height = layer.given_height();
    width = layer.given_width();
    channels = layer.filters;
    layers.push_back(layer);
  }
  const int64_t inputs = net.height * net.width * net.channels, outputs = batch * height * width * channels;
  const int64_t stride = inputs + extra, span = batch == 0 ? 0 : (batch - 1) * stride + inputs;
  const pavlov::ConvBatch images{batch, arrays.of(span), stride, channels_first, false, arrays.of(outputs)};
  pavlov::convolution_forward(layers, images);
  if (!keeps) return;
  pavlov::convolution_backward(layers, images, arrays.of(outputs), nullptr);
  layers[0].weight_gradient = layers[0].bias_gradient = nullptr;
  pavlov::convolution_backward(layers, images, arrays.of(outputs), arrays.of(batch * inputs));
}

}  // namespace

void drive_perceptrons() {
  const std::vector<std::vector<int64_t>> shapes{{1, 1},         {3, 1},      {4, 64, 64, 2},
                                                 {17, 5, 33, 1}, {1, 16, 15}, {65, 7}};
  for (const auto& widths : shapes)
    for (int64_t batch : {1, 2, 7, 63, 64, 65, 130})
      for (int form = 0; form < 16; ++form) {
        const Activation all[] = {Activation::kIdentity, Activation::kRelu, Activation::kLeakyRelu,
                                  Activation::kTanh, Activation::kSigmoid};
        drive_perceptron({widths,
                          batch,
                          all[(form + batch) % 5],
                          (form & 1) != 0,
                          (form & 2) != 0,
                          {(form & 4) == 0, (form & 8) == 0}});
      }
  if (is_short) return;
  // Large enough for parts: rows of the batch, and units of each layer.
  for (bool norm : {false, true})
    for (int64_t batch : {33, 257, 1025})
      drive_perceptron({{31, 129, 300, 3}, batch, Activation::kRelu, norm, norm, {true, true}});
}

void drive_memories() {
  for (Cell cell : {Cell::kLstm, Cell::kGru}) {
    for (int64_t steps : {0, 1, 3})
      for (int64_t batch : {0, 1, 2, 9})
        for (int64_t in : {1, 3, 17})
          for (int64_t size : {1, 5, 16, 33})
            drive_memory({cell, steps, batch, in, size}, (steps + batch + in + size) % 32);
    if (!is_short) drive_memory({cell, 4, 9, 20, 97}, 0);
  }
}

void drive_convolutions() {
  const std::vector<Convolutions> nets{
      {1, 1, 1, {{1, 1, 1, 0, 1}}},    {6, 5, 2, {{4, 3, 1, 1, 1}, {3, 2, 2, 0, 1}}},
      {10, 10, 4, {{16, 3, 1, 0, 1}}}, {9, 7, 3, {{5, 3, 2, 2, 1}, {7, 2, 1, 1, 2}}},
      {7, 8, 1, {{70, 3, 1, 0, 2}}},   {13, 11, 5, {{33, 4, 3, 0, 1}, {17, 2, 1, 0, 1}, {1, 1, 1, 0, 1}}},
      {5, 4, 17, {{3, 3, 1, 2, 3}}},   {9, 8, 3, {{65, 3, 1, 0, 2}, {4, 2, 1, 0, 1}}},
  };
  for (const Convolutions& net : nets)
    for (int64_t batch : {0, 1, 2, 5})
      for (int form = 0; form < 8; ++form)
        drive_convolution(net, batch, (form & 1) != 0, (form & 2) != 0, form & 4 ? 3 : 0);
  if (is_short) return;
  const Convolutions nature{44, 44, 4, {{32, 8, 4, 0, 1}, {64, 4, 2, 0, 1}, {64, 3, 1, 0, 1}}};
  for (bool channels_first : {false, true}) drive_convolution(nature, 6, channels_first, true, 0);
}
