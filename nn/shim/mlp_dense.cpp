#include "mlp_layers.h"

#include <cstring>
#include <utility>

#include "blas.h"
#include "product_bf16.h"
#include "room.h"
#include "team.h"

namespace pavlov {
namespace {

using at::Tensor;

bool plain(const Parameter& parameter) {
  return is_plain(parameter.value) &&
         (!parameter.is_trained() ||
          (is_plain(parameter.gradient) && parameter.gradient.sizes() == parameter.value.sizes()));
}

bool has_length(const Parameter& parameter, int64_t length) {
  return parameter.value.dim() == 1 && parameter.value.size(0) == length;
}

float* numbers_of(const Tensor& tensor) { return tensor.defined() ? tensor.data_ptr<float>() : nullptr; }

DenseLayer dense(const MlpLayer& layer) {
  DenseLayer dense{};
  dense.in = layer.weight->value.size(1);
  dense.out = layer.weight->value.size(0);
  dense.weight = layer.weight->value.const_data_ptr<float>();
  dense.bias = layer.bias->value.const_data_ptr<float>();
  if (layer.has_norm()) {
    dense.scale = layer.scale->value.const_data_ptr<float>();
    dense.shift = layer.shift->value.const_data_ptr<float>();
  }
  dense.mask = numbers_of(layer.mask);
  dense.activation = layer.activation;
  dense.bf16 = layer.bf16;
  return dense;
}

// The passes of one network from `x` to `y`. If they are recorded, each layer keeps its input and its output.
std::vector<DenseLayer> forward_passes(MlpLayers& layers, const Tensor& x, const Tensor& y, bool recorded) {
  std::vector<DenseLayer> passes;
  passes.reserve(layers.size());
  Tensor input = x;
  for (MlpLayer& layer : layers) {
    DenseLayer pass = dense(layer);
    const bool is_last = &layer == &layers.back();
    const auto room = [&] { return at::empty({x.size(0), pass.out}, x.options()); };
    pass.input = numbers_of(input);
    if (recorded) {
      layer.input = input;
      layer.saved = is_last ? y : room();
      if (layer.has_norm()) {
        layer.normalised = room();
        layer.factors = at::empty({x.size(0)}, x.options());
      }
      input = layer.mask.defined() ? room() : layer.saved;
      pass.normalised = numbers_of(layer.normalised);
      pass.factors = numbers_of(layer.factors);
      pass.output = numbers_of(layer.saved);
      pass.dropped = numbers_of(input);
    } else {
      input = is_last ? y : Tensor();
      pass.output = numbers_of(input);
    }
    passes.push_back(pass);
  }
  return passes;
}

// The passes of one network back from `gradient` through room for the gradients of all its layers' outputs.
std::vector<DenseLayer> backward_passes(const MlpLayers& layers, bool trains, const float* gradient,
                                        int64_t batch, float* room) {
  std::vector<DenseLayer> passes;
  passes.reserve(layers.size());
  for (const MlpLayer& layer : layers) {
    DenseLayer pass = dense(layer);
    pass.input = layer.input.const_data_ptr<float>();
    pass.output = layer.saved.data_ptr<float>();
    pass.normalised = numbers_of(layer.normalised);
    pass.factors = numbers_of(layer.factors);
    if (trains) {
      pass.weight_gradient = layer.weight->gradient_numbers();
      pass.bias_gradient = layer.bias->gradient_numbers();
      if (layer.has_norm()) pass.scale_gradient = layer.scale->gradient_numbers();
      if (layer.has_norm()) pass.shift_gradient = layer.shift->gradient_numbers();
    }
    pass.gradient = room;
    room += batch * pass.out;
    passes.push_back(pass);
  }
  std::memcpy(passes.back().gradient, gradient, batch * passes.back().out * sizeof(float));
  return passes;
}

}  // namespace

void check_shapes(const std::vector<MlpLayers>& networks, const Tensor& x) {
  TORCH_CHECK(x.dim() == 2, "a perceptron takes [batch, inputs], not ", x.sizes());
  for (const MlpLayers& layers : networks) {
    int64_t width = x.size(1);
    for (size_t i = 0; i < layers.size(); ++i) {
      const MlpLayer& layer = layers[i];
      const Tensor& weight = layer.weight->value;
      TORCH_CHECK(weight.dim() == 2 && weight.size(1) == width, "layer ", i, " takes ", width,
                  " numbers, and its weight is ", weight.sizes());
      width = weight.size(0);
      TORCH_CHECK(has_length(*layer.bias, width), "layer ", i, " has ", width, " units, and its bias is ",
                  layer.bias->value.sizes());
      TORCH_CHECK(!layer.has_norm() || (has_length(*layer.scale, width) && has_length(*layer.shift, width)),
                  "layer ", i, " has ", width, " units, and its norm's weight and bias are ",
                  layer.scale->value.sizes(), " and ", layer.shift->value.sizes());
      TORCH_CHECK(
          !layer.mask.defined() || (layer.mask.dim() == 2 && layer.mask.size(0) == x.size(0) &&
                                    layer.mask.size(1) == width && layer.mask.scalar_type() == at::kFloat),
          "layer ", i, " has ", x.size(0), " rows of ", width, " units, and its mask is ",
          layer.mask.toString(), " ", layer.mask.sizes());
      TORCH_CHECK(width == networks[0][i].weight->value.size(0),
                  "networks side by side have layers of one shape");
    }
  }
}

bool takes_dense(const MlpLayers& layers, const Tensor& x) {
  if (!has_blas() || !is_plain(x) || x.size(0) == 0 || x.size(0) > kMostRows) return false;
  for (const MlpLayer& layer : layers) {
    if (layer.bf16 && !has_bf16()) return false;
    const Tensor& weight = layer.weight->value;
    if (!dense_knows(layer.activation) || !plain(*layer.weight) || !plain(*layer.bias)) return false;
    if (layer.has_norm() && !(plain(*layer.scale) && plain(*layer.shift))) return false;
    if (layer.mask.defined() && !is_plain(layer.mask)) return false;
    if (weight.size(0) > kMostRows || weight.size(1) > kMostRows) return false;
  }
  return true;
}

Tensor forward_dense(std::vector<MlpLayers>& networks, const Tensor& x, bool recorded) {
  const int64_t batch = x.size(0), count = networks.size();
  Tensor y = at::empty({count, batch, networks[0].back().weight->value.size(0)}, x.options());
  std::vector<std::vector<DenseLayer>> passes;
  for (int64_t i = 0; i < count; ++i)
    passes.push_back(forward_passes(networks[i], x, y.select(0, i), recorded));
  auto run = [&](int i) {
    if (recorded) dense_forward(passes[i], batch);
    else dense_infer(passes[i], batch);
  };
  share(static_cast<int>(count), run);
  return y;
}

Tensor backward_dense(const std::vector<MlpLayers>& networks, const Tensor& gradient, Wanted wanted) {
  const int64_t count = networks.size(), batch = networks[0].front().input.size(0);
  const int64_t in = networks[0].front().weight->value.size(1),
                out = networks[0].back().weight->value.size(0);
  check_plain(gradient, {count, batch, out}, "the gradient of the network's output");
  for (const MlpLayers& layers : networks)
    TORCH_CHECK(takes_dense(layers, layers.front().input) && is_plain(layers.back().saved),
                "the network's memory was changed between its forward and its backward pass");
  int64_t width = 0;
  for (const MlpLayer& layer : networks[0]) width += layer.weight->value.size(0);
  thread_local std::vector<float> room;
  float* const gradients = room_for(room, count * batch * width);
  Tensor input_gradients;
  if (wanted.input) input_gradients = at::empty({count, batch, in}, gradient.options());

  std::vector<std::vector<DenseLayer>> passes;
  const float* numbers = gradient.const_data_ptr<float>();
  for (int64_t i = 0; i < count; ++i) {
    float* own = gradients + i * batch * width;
    passes.push_back(backward_passes(networks[i], wanted.parameters, numbers + i * batch * out, batch, own));
  }
  auto run = [&](int i) {
    float* home = wanted.input ? input_gradients.data_ptr<float>() + i * batch * in : nullptr;
    dense_backward(passes[i], batch, home);
  };
  share(static_cast<int>(count), run);
  if (!wanted.input) return Tensor();
  return count == 1 ? input_gradients[0] : input_gradients.sum(0);
}

}  // namespace pavlov
