#include "mlp_layers.h"

#include <tuple>

#include "functions.h"

namespace pavlov {
namespace {

using at::Tensor;

// True if the derivative is computed from the input; from the output otherwise, which saves keeping the
// input.
bool reads_input(Activation activation) {
  return activation == Activation::kGelu || activation == Activation::kSilu;
}

void activate_(Tensor& z, Activation activation) {
  switch (activation) {
    case Activation::kIdentity: return;
    case Activation::kRelu: at::relu_(z); return;
    case Activation::kLeakyRelu: at::leaky_relu_(z, kLeakySlope); return;
    case Activation::kElu: at::elu_(z); return;
    case Activation::kGelu: at::gelu_(z); return;
    case Activation::kSilu: at::silu_(z); return;
    case Activation::kTanh: at::tanh_(z); return;
    case Activation::kSigmoid: at::sigmoid_(z); return;
  }
}

// The gradient with respect to the activation's input. `saved` is its input for gelu and silu, its output
// else.
Tensor activation_backward(const Tensor& gradient, const Tensor& saved, Activation activation) {
  switch (activation) {
    case Activation::kIdentity: return gradient;
    case Activation::kRelu: return at::threshold_backward(gradient, saved, 0.0);
    case Activation::kTanh: return at::tanh_backward(gradient, saved);
    case Activation::kLeakyRelu: return at::leaky_relu_backward(gradient, saved, kLeakySlope, true);
    case Activation::kElu: return at::elu_backward(gradient, 1.0, 1.0, 1.0, true, saved);
    case Activation::kSigmoid: return at::sigmoid_backward(gradient, saved);
    case Activation::kGelu: return at::gelu_backward(gradient, saved);
    case Activation::kSilu: return at::silu_backward(gradient, saved);
  }
  return gradient;
}

Tensor forward(MlpLayers& layers, const Tensor& x) {
  Tensor y = x;
  for (MlpLayer& layer : layers) {
    layer.input = y;
    const bool bf16 = layer.bf16;
    const Tensor bias = in_kind(bf16, layer.bias->value), weight = in_kind(bf16, layer.weight->value);
    Tensor z = widened(bf16, at::addmm(bias, in_kind(bf16, y), weight.t()));
    if (layer.has_norm()) {
      layer.normalised = z;
      std::tie(z, layer.mean, layer.factors) =
          at::native_layer_norm(z, {z.size(1)}, layer.scale->value, layer.shift->value, kNormEpsilon);
    }
    if (reads_input(layer.activation)) layer.saved = z.clone();
    activate_(z, layer.activation);
    if (!layer.saved.defined()) layer.saved = z;
    y = layer.mask.defined() ? z * layer.mask : z;
  }
  return y;
}

void add_to(const Parameter& parameter, const Tensor& gradient) {
  Tensor home = parameter.gradient;
  home.add_(gradient);
}

void add_weight_gradient(const MlpLayer& layer, const Tensor& gradient) {
  if (!layer.weight->is_trained()) return;
  Tensor home = layer.weight->gradient;
  if (layer.bf16) home.add_(at::mm(in_kind(true, gradient).t(), in_kind(true, layer.input)));
  else home.addmm_(gradient.t(), layer.input);
}

// From the gradient of the norm's output to that of its input.
Tensor norm_backward(const MlpLayer& layer, const Tensor& gradient, bool trains) {
  const bool by_scale = trains && layer.scale->is_trained(), by_shift = trains && layer.shift->is_trained();
  const auto [input, scale, shift] = at::native_layer_norm_backward(
      gradient, layer.normalised, {gradient.size(1)}, layer.mean, layer.factors, layer.scale->value,
      layer.shift->value, {true, by_scale, by_shift});
  if (by_scale) add_to(*layer.scale, scale);
  if (by_shift) add_to(*layer.shift, shift);
  return input;
}

Tensor backward(const MlpLayers& layers, Tensor gradient, Wanted wanted) {
  for (size_t i = layers.size(); i-- > 0;) {
    const MlpLayer& layer = layers[i];
    if (layer.mask.defined()) gradient = gradient * layer.mask;
    gradient = activation_backward(gradient, layer.saved, layer.activation);
    if (layer.has_norm()) gradient = norm_backward(layer, gradient, wanted.parameters);
    if (wanted.parameters) add_weight_gradient(layer, gradient);
    if (wanted.parameters && layer.bias->is_trained()) add_to(*layer.bias, gradient.sum(0));
    if (i == 0 && !wanted.input) return Tensor();
    gradient =
        widened(layer.bf16, at::mm(in_kind(layer.bf16, gradient), in_kind(layer.bf16, layer.weight->value)));
  }
  return gradient;
}

}  // namespace

bool reads_output(Activation activation) {
  return activation != Activation::kIdentity && !reads_input(activation);
}

Tensor activated(const Tensor& z, Activation activation) {
  switch (activation) {
    case Activation::kIdentity: return z;
    case Activation::kRelu: return at::relu(z);
    case Activation::kLeakyRelu: return at::leaky_relu(z, kLeakySlope);
    case Activation::kElu: return at::elu(z);
    case Activation::kGelu: return at::gelu(z);
    case Activation::kSilu: return at::silu(z);
    case Activation::kTanh: return at::tanh(z);
    case Activation::kSigmoid: return at::sigmoid(z);
  }
  return z;
}

Tensor forward_aten(std::vector<MlpLayers>& networks, const Tensor& x) {
  std::vector<Tensor> outputs;
  for (MlpLayers& layers : networks) outputs.push_back(forward(layers, x));
  return outputs.size() == 1 ? outputs[0].unsqueeze(0) : at::stack(outputs);
}

Tensor backward_aten(const std::vector<MlpLayers>& networks, const Tensor& gradient, Wanted wanted) {
  Tensor sum;
  for (size_t i = 0; i < networks.size(); ++i) {
    const Tensor own = backward(networks[i], gradient[i], wanted);
    if (wanted.input) sum = sum.defined() ? sum + own : own;
  }
  return sum;
}

}  // namespace pavlov
