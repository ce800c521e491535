// A multi-layer perceptron, or several of one shape side by side, as one node of the autograd graph.
//
// Autograd's price is per operation; on small networks it is several times the arithmetic. Here the forward
// pass runs without recording, and the hand-derived backward pass accumulates straight into the gradient
// views of the parameter arena. On the CPU both passes run over plain memory (dense.h); everywhere else, and
// for the activations that those do not know, they are written in ATen operations. Networks side by side are
// one thread's work each.

#include "shim.h"

#include <utility>
#include <vector>

#include "blas.h"
#include "dense.h"
#include "functions.h"
#include "node.h"
#include "product_bf16.h"
#include "team.h"

namespace {

using at::Tensor;
using pavlov::Activation;
using pavlov::DenseLayer;
using pavlov::FusedNode;
using pavlov::Parameter;
using pavlov::ParameterHandle;
using pavlov::Parameters;
using pavlov::Wanted;

struct Layer {
  const Parameter* weight;  // [out, in]
  const Parameter* bias;    // [out]
  Activation activation;
  bool bf16;
  Tensor input;  // [batch, in]
  Tensor saved;  // what the activation's derivative is computed from
};

// A factor in the type that products are computed in, and their result in f32 again.
Tensor in_kind(bool bf16, const Tensor& factor) { return bf16 ? factor.to(at::kBFloat16) : factor; }
Tensor widened(bool bf16, const Tensor& product) { return bf16 ? product.to(at::kFloat) : product; }

bool plain(const Tensor& tensor) {
  return tensor.device().is_cpu() && tensor.scalar_type() == at::kFloat && tensor.is_contiguous();
}

bool takes_dense(const std::vector<Layer>& layers, const Tensor& x) {
  if (!pavlov::has_blas() || !plain(x) || x.size(0) == 0) return false;
  int64_t width = x.size(1);
  for (const Layer& layer : layers) {
    if (layer.bf16 && !pavlov::has_bf16()) return false;
    const Tensor& weight = layer.weight->value;
    if (!pavlov::dense_knows(layer.activation) || !plain(weight) || !plain(layer.bias->value)) return false;
    // A shape that does not fit is ATen's to explain.
    if (weight.dim() != 2 || weight.size(1) != width) return false;
    width = weight.size(0);
  }
  return true;
}

DenseLayer dense(const Layer& layer) {
  DenseLayer dense{};
  dense.in = layer.weight->value.size(1);
  dense.out = layer.weight->value.size(0);
  dense.weight = layer.weight->value.const_data_ptr<float>();
  dense.bias = layer.bias->value.const_data_ptr<float>();
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
  Tensor y = at::empty({count, batch, networks[0].back().weight->value.size(0)}, x.options());
  std::vector<std::vector<DenseLayer>> passes;
  for (int64_t i = 0; i < count; ++i)
    passes.push_back(forward_passes(networks[i], x, y.select(0, i), recorded));
  auto run = [&](int i) {
    if (recorded) pavlov::dense_forward(passes[i], batch);
    else pavlov::dense_infer(passes[i], batch);
  };
  pavlov::share(static_cast<int>(count), run);
  return y;
}

// The passes of one network back from `gradient` through room for the gradients of all its layers' outputs.
std::vector<DenseLayer> backward_passes(const Layers& layers, bool trains, const float* gradient,
                                        int64_t batch, float* room) {
  std::vector<DenseLayer> passes;
  passes.reserve(layers.size());
  for (const Layer& layer : layers) {
    DenseLayer pass = dense(layer);
    pass.input = layer.input.const_data_ptr<float>();
    pass.output = layer.saved.data_ptr<float>();
    if (trains) pass.weight_gradient = layer.weight->gradient_numbers();
    if (trains) pass.bias_gradient = layer.bias->gradient_numbers();
    pass.gradient = room;
    room += batch * pass.out;
    passes.push_back(pass);
  }
  std::memcpy(passes.back().gradient, gradient, batch * passes.back().out * sizeof(float));
  return passes;
}

Tensor backward_dense(const std::vector<Layers>& networks, const Tensor& gradient, Wanted wanted) {
  const int64_t count = networks.size(), batch = gradient.size(1), out = gradient.size(2);
  const int64_t in = networks[0].front().weight->value.size(1);
  int64_t width = 0;
  for (const Layer& layer : networks[0]) width += layer.weight->value.size(0);
  Tensor room = at::empty({count, batch * width}, gradient.options());
  Tensor input_gradients;
  if (wanted.input) input_gradients = at::empty({count, batch, in}, gradient.options());

  std::vector<std::vector<DenseLayer>> passes;
  const float* numbers = gradient.const_data_ptr<float>();
  for (int64_t i = 0; i < count; ++i) {
    float* own = room.data_ptr<float>() + i * batch * width;
    passes.push_back(backward_passes(networks[i], wanted.parameters, numbers + i * batch * out, batch, own));
  }
  auto run = [&](int i) {
    float* home = wanted.input ? input_gradients.data_ptr<float>() + i * batch * in : nullptr;
    pavlov::dense_backward(passes[i], batch, home);
  };
  pavlov::share(static_cast<int>(count), run);
  if (!wanted.input) return Tensor();
  return count == 1 ? input_gradients[0] : input_gradients.sum(0);
}

// Whether the derivative is computed from the input; from the output otherwise, which saves keeping the
// input.
bool needs_input(Activation activation) {
  return activation == Activation::kGelu || activation == Activation::kSilu;
}

// Whether it is computed from the output.
bool reads_output(Activation activation) {
  return activation != Activation::kIdentity && !needs_input(activation);
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

// The activation by an operation that autograd records.
Tensor activated(const Tensor& z, Activation activation) {
  switch (activation) {
    case Activation::kIdentity: return z;
    case Activation::kRelu: return at::relu(z);
    case Activation::kLeakyRelu: return at::leaky_relu(z, pavlov::kLeakySlope);
    case Activation::kElu: return at::elu(z);
    case Activation::kGelu: return at::gelu(z);
    case Activation::kSilu: return at::silu(z);
    case Activation::kTanh: return at::tanh(z);
    case Activation::kSigmoid: return at::sigmoid(z);
  }
  return z;
}

// The gradient with respect to the activation's input. `saved` is its input for gelu and silu, its output
// else.
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

Tensor forward_aten(Layers& layers, const Tensor& x) {
  Tensor y = x;
  for (Layer& layer : layers) {
    layer.input = y;
    const bool bf16 = layer.bf16;
    const Tensor bias = in_kind(bf16, layer.bias->value), weight = in_kind(bf16, layer.weight->value);
    Tensor z = widened(bf16, at::addmm(bias, in_kind(bf16, y), weight.t()));
    if (needs_input(layer.activation)) layer.saved = z.clone();
    activate_(z, layer.activation);
    if (!layer.saved.defined()) layer.saved = z;
    y = z;
  }
  return y;
}

Tensor backward_aten(Layers& layers, Tensor gradient, Wanted wanted) {
  for (size_t i = layers.size(); i-- > 0;) {
    Layer& layer = layers[i];
    const bool bf16 = layer.bf16;
    gradient = activation_backward(gradient, layer.saved, layer.activation);
    Tensor weight_gradient = layer.weight->gradient, bias_gradient = layer.bias->gradient;
    if (wanted.parameters && weight_gradient.defined()) {
      if (bf16) weight_gradient.add_(at::mm(in_kind(bf16, gradient).t(), in_kind(bf16, layer.input)));
      else weight_gradient.addmm_(gradient.t(), layer.input);
    }
    if (wanted.parameters && bias_gradient.defined()) bias_gradient.add_(gradient.sum(0));
    if (i == 0 && !wanted.input) return Tensor();
    gradient = widened(bf16, at::mm(in_kind(bf16, gradient), in_kind(bf16, layer.weight->value)));
  }
  return gradient;
}

Tensor forward_aten(std::vector<Layers>& networks, const Tensor& x) {
  std::vector<Tensor> outputs;
  for (Layers& layers : networks) outputs.push_back(forward_aten(layers, x));
  return outputs.size() == 1 ? outputs[0].unsqueeze(0) : at::stack(outputs);
}

Tensor backward_aten(std::vector<Layers>& networks, const Tensor& gradient, Wanted wanted) {
  Tensor sum;
  for (size_t i = 0; i < networks.size(); ++i) {
    const Tensor own = backward_aten(networks[i], gradient[i], wanted);
    if (wanted.input) sum = sum.defined() ? sum + own : own;
  }
  return sum;
}

class MlpNode final : public FusedNode {
 public:
  MlpNode(Parameters parameters, std::vector<Layers> networks, bool is_dense, bool is_stacked)
      : FusedNode(std::move(parameters)),
        networks_(std::move(networks)),
        is_dense_(is_dense),
        is_stacked_(is_stacked) {
    // The output is handed out: the node keeps views of it, or it would own itself. The input likewise, since
    // it may be the output of another node that owns this one.
    for (Layers& layers : networks_) {
      layers.back().saved = layers.back().saved.detach();
      layers.front().input = layers.front().input.detach();
    }
  }

  std::string name() const override { return "MlpBackward"; }

 protected:
  Tensor backward(const Tensor& own, Wanted wanted) override {
    const Tensor gradient = is_stacked_ ? own : own.unsqueeze(0);
    return is_dense_ ? backward_dense(networks_, gradient, wanted)
                     : backward_aten(networks_, gradient, wanted);
  }

  Tensor by_operations(const Tensor& x, const std::vector<Tensor>& values) override {
    std::vector<Tensor> outputs;
    const auto value_of = [&](const Parameter* parameter) { return values[parameter - parameters().data()]; };
    for (const Layers& layers : networks_) {
      Tensor y = x;
      for (const Layer& layer : layers) {
        const bool bf16 = layer.bf16;
        const Tensor weight = in_kind(bf16, value_of(layer.weight)),
                     bias = in_kind(bf16, value_of(layer.bias));
        y = activated(widened(bf16, at::linear(in_kind(bf16, y), weight, bias)), layer.activation);
      }
      outputs.push_back(y);
    }
    return is_stacked_ ? at::stack(outputs) : outputs[0];
  }

  void release() override { networks_.clear(); }

 private:
  std::vector<Layers> networks_;
  bool is_dense_;
  bool is_stacked_;
};

}  // namespace

extern "C" {

bool pavlov_has_bf16() { return pavlov::has_bf16(); }

// `out` = the output for `x` [batch, in]: [batch, out], or [networks, batch, out] where they are `stacked`.
// There are `count` layers of each network, one network after the other, and of each layer the weight and the
// bias. With `bf16` products round their factors.
char* pavlov_mlp_forward(Handle* out, Handle x, int networks, bool stacked, int count,
                         const ParameterHandle* handles, int activation, int output_activation, bool bf16) {
  return guarded([&] {
    TORCH_CHECK(networks == 1 || stacked, "the outputs of several networks are stacked");
    Parameters parameters(handles, handles + 2 * networks * count);
    std::vector<Layers> all(networks, Layers(count));
    for (int i = 0; i < networks * count; ++i) {
      Layer& layer = all[i / count][i % count];
      layer.weight = &parameters[2 * i];
      layer.bias = &parameters[2 * i + 1];
      layer.activation = static_cast<Activation>(i % count + 1 < count ? activation : output_activation);
      layer.bf16 = bf16;
    }
    const bool recorded = pavlov::is_recorded(*x, parameters);
    Tensor y;
    bool is_dense = true;
    {
      at::AutoDispatchBelowADInplaceOrView guard;
      const Tensor contiguous = x->contiguous();
      for (const Layers& layers : all) is_dense = is_dense && takes_dense(layers, contiguous);
      y = is_dense ? forward_dense(all, contiguous, recorded) : forward_aten(all, contiguous);
      if (!stacked) y = y[0];
    }
    if (recorded) {
      auto node = pavlov::make_node<MlpNode>(std::move(parameters), std::move(all), is_dense, stacked);
      node->record(*x, y, reads_output(static_cast<Activation>(output_activation)));
    }
    *out = new Tensor(std::move(y));
  });
}

// Runs the backward pass from `output`, whose gradient is `gradient`.
char* pavlov_backward(Handle output, Handle gradient) {
  return guarded([&] {
    // Nothing lies behind a fused network that was given plain numbers: the engine has nothing to schedule.
    auto* node = dynamic_cast<FusedNode*>(output->grad_fn().get());
    if (!node || !node->is_end()) return output->backward(*gradient);
    TORCH_CHECK(gradient->sizes() == output->sizes(), "the gradient's shape must be the output's");
    node->run(*gradient);
  });
}

}  // extern "C"
