// A multi-layer perceptron, or several of one shape side by side, as one node of the autograd graph.
//
// Autograd's price is per operation; on small networks it is several times the arithmetic. Here the forward pass runs
// without recording, and the hand-derived backward pass accumulates straight into the gradient views of the parameter
// arena. On the CPU both passes run over plain memory (dense.h); everywhere else, and for the activations that
// those do not know, they are written in ATen operations. Networks side by side are one thread's work each.

#include "shim.h"

#include <utility>
#include <vector>

#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/functions/utils.h>
#include <torch/csrc/autograd/variable.h>

#include "blas.h"
#include "dense.h"
#include "functions.h"
#include "product_bf16.h"
#include "team.h"

namespace {

using at::Tensor;
using pavlov::Activation;
using pavlov::DenseLayer;

struct Layer {
  Tensor weight;           // [out, in]
  Tensor bias;             // [out]
  Tensor weight_gradient;  // undefined for a frozen network
  Tensor bias_gradient;    // likewise
  Activation activation;
  bool bf16;
  uint32_t version;  // of the weight when the forward pass ran
  Tensor input;      // [batch, in]
  Tensor saved;      // what the activation's derivative is computed from

  // A factor in the type that products are computed in, and their result in f32 again.
  Tensor in_kind(const Tensor& factor) const { return bf16 ? factor.to(at::kBFloat16) : factor; }
  Tensor widened(const Tensor& product) const { return bf16 ? product.to(at::kFloat) : product; }
};

bool plain(const Tensor& tensor) {
  return tensor.device().is_cpu() && tensor.scalar_type() == at::kFloat && tensor.is_contiguous();
}

bool takes_dense(const std::vector<Layer>& layers, const Tensor& x) {
  if (!pavlov::has_blas() || !plain(x) || x.size(0) == 0) return false;
  int64_t width = x.size(1);
  for (const Layer& layer : layers) {
    if (layer.bf16 && !pavlov::has_bf16()) return false;
    if (!pavlov::dense_knows(layer.activation) || !plain(layer.weight) || !plain(layer.bias)) return false;
    // A shape that does not fit is ATen's to explain.
    if (layer.weight.dim() != 2 || layer.weight.size(1) != width) return false;
    width = layer.weight.size(0);
  }
  return true;
}

DenseLayer dense(const Layer& layer) {
  DenseLayer dense{};
  dense.in = layer.weight.size(1);
  dense.out = layer.weight.size(0);
  dense.weight = layer.weight.const_data_ptr<float>();
  dense.bias = layer.bias.const_data_ptr<float>();
  dense.activation = layer.activation;
  dense.bf16 = layer.bf16;
  return dense;
}

// One network's layers.
using Layers = std::vector<Layer>;

// The passes of one network from `x` to `y`. If they are recorded, each layer keeps its input and its output.
std::vector<DenseLayer> forward_passes(Layers& layers, const Tensor& x, const Tensor& y, bool recorded) {
  std::vector<DenseLayer> passes;
  passes.reserve(layers.size());
  Tensor input = x;
  for (Layer& layer : layers) {
    DenseLayer pass = dense(layer);
    pass.input = input.defined() ? input.const_data_ptr<float>() : nullptr;
    if (recorded) layer.input = input;
    if (&layer == &layers.back()) input = y;
    else input = recorded ? at::empty({x.size(0), pass.out}, x.options()) : Tensor();
    if (recorded) layer.saved = input;
    pass.output = input.defined() ? input.data_ptr<float>() : nullptr;
    passes.push_back(pass);
  }
  return passes;
}

// Each network's output for `x`, [networks, batch, out].
Tensor forward_dense(std::vector<Layers>& networks, const Tensor& x, bool recorded) {
  const int64_t batch = x.size(0), count = networks.size();
  Tensor y = at::empty({count, batch, networks[0].back().weight.size(0)}, x.options());
  std::vector<std::vector<DenseLayer>> passes;
  for (int64_t i = 0; i < count; ++i) passes.push_back(forward_passes(networks[i], x, y.select(0, i), recorded));
  auto run = [&](int i) {
    if (recorded) pavlov::dense_forward(passes[i], batch);
    else pavlov::dense_infer(passes[i], batch);
  };
  pavlov::share(static_cast<int>(count), run);
  return y;
}

// The passes of one network back from `gradient` through room for the gradients of all its layers' outputs.
std::vector<DenseLayer> backward_passes(const Layers& layers, const float* gradient, int64_t batch, float* room) {
  std::vector<DenseLayer> passes;
  passes.reserve(layers.size());
  for (const Layer& layer : layers) {
    DenseLayer pass = dense(layer);
    pass.input = layer.input.const_data_ptr<float>();
    pass.output = layer.saved.data_ptr<float>();
    if (layer.weight_gradient.defined()) {
      pass.weight_gradient = layer.weight_gradient.data_ptr<float>();
      pass.bias_gradient = layer.bias_gradient.data_ptr<float>();
    }
    pass.gradient = room;
    room += batch * pass.out;
    passes.push_back(pass);
  }
  std::memcpy(passes.back().gradient, gradient, batch * passes.back().out * sizeof(float));
  return passes;
}

Tensor backward_dense(const std::vector<Layers>& networks, const Tensor& gradient, bool wants_input) {
  const int64_t count = networks.size(), batch = gradient.size(1), out = gradient.size(2);
  const int64_t in = networks[0].front().weight.size(1);
  int64_t width = 0;
  for (const Layer& layer : networks[0]) width += layer.weight.size(0);
  Tensor room = at::empty({count, batch * width}, gradient.options());
  Tensor input_gradients;
  if (wants_input) input_gradients = at::empty({count, batch, in}, gradient.options());

  std::vector<std::vector<DenseLayer>> passes;
  const float* numbers = gradient.const_data_ptr<float>();
  for (int64_t i = 0; i < count; ++i) {
    float* own = room.data_ptr<float>() + i * batch * width;
    passes.push_back(backward_passes(networks[i], numbers + i * batch * out, batch, own));
  }
  auto run = [&](int i) {
    float* home = wants_input ? input_gradients.data_ptr<float>() + i * batch * in : nullptr;
    pavlov::dense_backward(passes[i], batch, home);
  };
  pavlov::share(static_cast<int>(count), run);
  if (!wants_input) return Tensor();
  return count == 1 ? input_gradients[0] : input_gradients.sum(0);
}

// Whether the derivative is computed from the input; from the output otherwise, which saves keeping the input.
bool needs_input(Activation activation) {
  return activation == Activation::kGelu || activation == Activation::kSilu;
}

void activate_(Tensor& z, Activation activation) {
  switch (activation) {
    case Activation::kIdentity: return;
    case Activation::kRelu: at::relu_(z); return;
    case Activation::kLeakyRelu: at::leaky_relu_(z, pavlov::kLeakySlope); return;
    case Activation::kElu: at::elu_(z); return;
    case Activation::kGelu: at::gelu_(z); return;
    case Activation::kSilu: at::silu_(z); return;
    case Activation::kTanh: at::tanh_(z); return;
    case Activation::kSigmoid: at::sigmoid_(z); return;
  }
}

// The gradient with respect to the activation's input. `saved` is its input for gelu and silu, its output else.
Tensor activation_backward(const Tensor& gradient, const Tensor& saved, Activation activation) {
  switch (activation) {
    case Activation::kIdentity: return gradient;
    case Activation::kRelu: return at::threshold_backward(gradient, saved, 0.0);
    case Activation::kTanh: return at::tanh_backward(gradient, saved);
    case Activation::kLeakyRelu: return at::leaky_relu_backward(gradient, saved, pavlov::kLeakySlope, true);
    case Activation::kElu: return at::elu_backward(gradient, 1.0, 1.0, 1.0, true, saved);
    case Activation::kSigmoid: return at::sigmoid_backward(gradient, saved);
    case Activation::kGelu: return at::gelu_backward(gradient, saved);
    case Activation::kSilu: return at::silu_backward(gradient, saved);
  }
  return gradient;
}

Tensor forward_by_operations(Layers& layers, const Tensor& x) {
  Tensor y = x;
  for (Layer& layer : layers) {
    layer.input = y;
    Tensor z = layer.widened(at::addmm(layer.in_kind(layer.bias), layer.in_kind(y), layer.in_kind(layer.weight).t()));
    if (needs_input(layer.activation)) layer.saved = z.clone();
    activate_(z, layer.activation);
    if (!layer.saved.defined()) layer.saved = z;
    y = z;
  }
  return y;
}

Tensor backward_by_operations(Layers& layers, Tensor gradient, bool wants_input) {
  for (size_t i = layers.size(); i-- > 0;) {
    Layer& layer = layers[i];
    gradient = activation_backward(gradient, layer.saved, layer.activation);
    if (layer.weight_gradient.defined()) {
      if (layer.bf16) layer.weight_gradient.add_(at::mm(layer.in_kind(gradient).t(), layer.in_kind(layer.input)));
      else layer.weight_gradient.addmm_(gradient.t(), layer.input);
      layer.bias_gradient.add_(gradient.sum(0));
    }
    if (i == 0 && !wants_input) return Tensor();
    gradient = layer.widened(at::mm(layer.in_kind(gradient), layer.in_kind(layer.weight)));
  }
  return gradient;
}

Tensor forward_by_operations(std::vector<Layers>& networks, const Tensor& x) {
  std::vector<Tensor> outputs;
  for (Layers& layers : networks) outputs.push_back(forward_by_operations(layers, x));
  return outputs.size() == 1 ? outputs[0].unsqueeze(0) : at::stack(outputs);
}

Tensor backward_by_operations(std::vector<Layers>& networks, const Tensor& gradient, bool wants_input) {
  Tensor sum;
  for (size_t i = 0; i < networks.size(); ++i) {
    const Tensor own = backward_by_operations(networks[i], gradient[i], wants_input);
    if (wants_input) sum = sum.defined() ? sum + own : own;
  }
  return sum;
}

struct MlpBackward : public torch::autograd::Node {
  std::vector<Layers> networks;
  bool ran_dense = false;

  torch::autograd::variable_list apply(torch::autograd::variable_list&& gradients) override {
    torch::autograd::variable_list result(num_outputs());
    if (!gradients[0].defined()) return result;
    TORCH_CHECK(!networks.empty(), "the backward pass of a fused network can run only once");
    for (const Layers& layers : networks)
      for (const Layer& layer : layers)
        TORCH_CHECK(layer.weight._version() == layer.version,
                    "the network's weights were changed between its forward and its backward pass");
    at::AutoDispatchBelowAutograd guard;
    const Tensor own = gradients[0].contiguous();
    const Tensor gradient = own.dim() == 3 ? own : own.unsqueeze(0);
    const bool wants_input = task_should_compute_output(0);
    Tensor input_gradient = ran_dense ? backward_dense(networks, gradient, wants_input)
                                      : backward_by_operations(networks, gradient, wants_input);
    if (wants_input) result[0] = std::move(input_gradient);
    return result;
  }

  void release_variables() override { networks.clear(); }

  std::string name() const override { return "MlpBackward"; }
};

}  // namespace

extern "C" {

bool pavlov_has_bf16() { return pavlov::has_bf16(); }

// `out` = the output for `x` [batch, in]: [batch, out], or [networks, batch, out] where they are `stacked`. There are
// `count` layers of each network, one network after the other. The gradients are null for frozen networks, which still
// pass a gradient to their input. With `bf16` products round their factors.
char* pavlov_mlp_forward(Handle* out, Handle x, int networks, bool stacked, int count, const Handle* weights,
                         const Handle* biases, const Handle* weight_gradients, const Handle* bias_gradients,
                         int activation, int output_activation, bool bf16) {
  return guarded([&] {
    const bool trained = weight_gradients != nullptr;
    const bool recorded = at::GradMode::is_enabled() && (trained || x->requires_grad());
    TORCH_CHECK(networks == 1 || stacked, "the outputs of several networks are stacked");
    std::vector<Layers> all(networks, Layers(count));
    for (int i = 0; i < networks * count; ++i) {
      Layer& layer = all[i / count][i % count];
      layer.weight = *weights[i];
      layer.bias = *biases[i];
      if (trained) {
        layer.weight_gradient = *weight_gradients[i];
        layer.bias_gradient = *bias_gradients[i];
      }
      layer.activation = static_cast<Activation>(i % count + 1 < count ? activation : output_activation);
      layer.bf16 = bf16;
      layer.version = layer.weight._version();
    }
    Tensor y;
    bool ran_dense = true;
    {
      at::AutoDispatchBelowAutograd guard;
      const Tensor contiguous = x->contiguous();
      for (const Layers& layers : all) ran_dense = ran_dense && takes_dense(layers, contiguous);
      y = ran_dense ? forward_dense(all, contiguous, recorded) : forward_by_operations(all, contiguous);
      if (!stacked) y = y[0];
    }
    if (recorded) {
      // The output is handed out: the node keeps views of it, or it would own itself. The input likewise, since it may
      // be the output of another node that owns this one.
      for (Layers& layers : all) {
        layers.back().saved = layers.back().saved.detach();
        layers.front().input = layers.front().input.detach();
      }
      auto node = std::shared_ptr<MlpBackward>(new MlpBackward(), torch::autograd::deleteNode);
      node->networks = std::move(all);
      node->ran_dense = ran_dense;
      // The first weight stands for all parameters: it makes the output part of the graph, and gets nothing back.
      if (trained) node->set_next_edges(torch::autograd::collect_next_edges(*x, *weights[0]));
      else node->set_next_edges(torch::autograd::collect_next_edges(*x));
      torch::autograd::set_history(y, node);
    }
    *out = new Tensor(std::move(y));
  });
}

// Runs the backward pass from `output`, whose gradient is `gradient`.
char* pavlov_backward(Handle output, Handle gradient) {
  return guarded([&] {
    const auto& function = output->grad_fn();
    auto* node = dynamic_cast<MlpBackward*>(function.get());
    // Nothing lies behind a fused network that was given plain numbers: the engine has nothing to schedule.
    if (!node || node->next_edge(0).is_valid()) return output->backward(*gradient);
    TORCH_CHECK(gradient->sizes() == output->sizes(), "the gradient's shape must be the output's");
    const at::NoGradGuard guard;
    node->apply({*gradient});
    node->release_variables();
  });
}

}  // extern "C"
