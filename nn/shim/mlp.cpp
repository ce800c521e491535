// A multi-layer perceptron, or several of one shape side by side, as one node of the autograd graph.
//
// Autograd's price is per operation; on small networks it is several times the arithmetic. Here the forward
// pass runs without recording, and the hand-derived backward pass accumulates straight into the gradient
// views of the parameter arena (node.h). On the CPU both passes run over plain memory (dense.h); everywhere
// else, and for the activations that those do not know, they are written in ATen operations. Networks side by
// side are one thread's work each.

#include "shim.h"

#include <utility>
#include <vector>

#include "mlp_layers.h"
#include "product_bf16.h"

namespace {

using at::Tensor;
using pavlov::Activation;
using pavlov::FusedNode;
using pavlov::MlpLayer;
using pavlov::MlpLayers;
using pavlov::Parameter;
using pavlov::ParameterHandle;
using pavlov::Parameters;
using pavlov::Wanted;

class MlpNode final : public FusedNode {
 public:
  MlpNode(Parameters parameters, std::vector<MlpLayers> networks, bool is_dense, bool is_stacked)
      : FusedNode(std::move(parameters)),
        networks_(std::move(networks)),
        is_dense_(is_dense),
        is_stacked_(is_stacked) {
    // The output is handed out: the node keeps views of it, or it would own itself. The input likewise, since
    // it may be the output of another node that owns this one.
    for (MlpLayers& layers : networks_) {
      layers.back().saved = layers.back().saved.detach();
      layers.front().input = layers.front().input.detach();
    }
  }

  std::string name() const override { return "MlpBackward"; }

 protected:
  Tensor backward(const Tensor& own, Wanted wanted) override {
    const Tensor gradient = is_stacked_ ? own : own.unsqueeze(0);
    // The weights may have been given other memory since the forward pass.
    pavlov::check_shapes(networks_, networks_[0].front().input);
    return is_dense_ ? pavlov::backward_dense(networks_, gradient, wanted)
                     : pavlov::backward_aten(networks_, gradient, wanted);
  }

  Tensor by_operations(const Tensor& x, const std::vector<Tensor>& values) override {
    std::vector<Tensor> outputs;
    for (const MlpLayers& layers : networks_) {
      Tensor y = x;
      for (const MlpLayer& layer : layers) y = through(layer, y, values);
      outputs.push_back(y);
    }
    return is_stacked_ ? at::stack(outputs) : outputs[0];
  }

  void release() override { networks_.clear(); }

 private:
  Tensor through(const MlpLayer& layer, const Tensor& x, const std::vector<Tensor>& values) const {
    const auto value_of = [&](const Parameter* parameter) { return values[parameter - parameters().data()]; };
    const auto factor = [&](const Tensor& tensor) { return pavlov::in_kind(layer.bf16, tensor); };
    Tensor z = at::linear(factor(x), factor(value_of(layer.weight)), factor(value_of(layer.bias)));
    z = pavlov::widened(layer.bf16, z);
    if (layer.has_norm())
      z = at::layer_norm(z, {z.size(1)}, value_of(layer.scale), value_of(layer.shift), pavlov::kNormEpsilon);
    z = pavlov::activated(z, layer.activation);
    return layer.mask.defined() ? z * layer.mask : z;
  }

  std::vector<MlpLayers> networks_;
  bool is_dense_;
  bool is_stacked_;
};

// One layer, as Rust hands it over. Without a norm the values of scale and shift are null, without dropout
// the mask is.
struct LayerHandle {
  ParameterHandle weight, bias, scale, shift;
  Handle mask;
};

Parameters parameters_of(const LayerHandle* handles, int count) {
  Parameters parameters;
  parameters.reserve(4 * count);
  for (int i = 0; i < count; ++i) {
    parameters.emplace_back(handles[i].weight);
    parameters.emplace_back(handles[i].bias);
    if (!handles[i].scale.value) continue;
    parameters.emplace_back(handles[i].scale);
    parameters.emplace_back(handles[i].shift);
  }
  return parameters;
}

struct Activations {
  Activation hidden, output;
};

// The layers of each network, whose parameters are `parameters_of` the same handles.
std::vector<MlpLayers> layers_of(const LayerHandle* handles, int networks, int count,
                                 const Parameters& parameters, Activations activations, bool bf16) {
  std::vector<MlpLayers> all(networks, MlpLayers(count));
  const Parameter* next = parameters.data();
  for (int i = 0; i < networks * count; ++i) {
    const LayerHandle& handle = handles[i];
    MlpLayer& layer = all[i / count][i % count];
    const bool is_last = i % count + 1 == count;
    layer.weight = next++;
    layer.bias = next++;
    if (handle.scale.value) {
      layer.scale = next++;
      layer.shift = next++;
    }
    TORCH_CHECK(!handle.mask || !is_last, "the outputs of the last layer are not dropped");
    TORCH_CHECK(!handle.mask || handle.mask->defined(), "a mask is an undefined tensor");
    if (handle.mask) layer.mask = *handle.mask;
    layer.activation = is_last ? activations.output : activations.hidden;
    layer.bf16 = bf16;
  }
  return all;
}

}  // namespace

extern "C" {

bool pavlov_has_bf16() { return pavlov::has_bf16(); }

// `out` = the output for `x` [batch, in]: [batch, out], or [networks, batch, out] where they are `stacked`.
// There are `count` layers of each network, one network after the other. With `bf16` products round their
// factors.
char* pavlov_mlp_forward(Handle* out, Handle x, int networks, bool stacked, int count,
                         const LayerHandle* handles, int activation, int output_activation, bool bf16) {
  return guarded([&] {
    TORCH_CHECK(networks > 0 && count > 0, "a network has a layer");
    TORCH_CHECK(networks == 1 || stacked, "the outputs of several networks are stacked");
    const Activations activations{static_cast<Activation>(activation),
                                  static_cast<Activation>(output_activation)};
    Parameters parameters = parameters_of(handles, networks * count);
    std::vector<MlpLayers> all = layers_of(handles, networks, count, parameters, activations, bf16);
    const bool recorded = pavlov::is_recorded(*x, parameters);
    Tensor y;
    bool is_dense = true;
    {
      at::AutoDispatchBelowADInplaceOrView guard;
      const Tensor contiguous = pavlov::in_one_piece(*x);
      pavlov::check_shapes(all, contiguous);
      for (const MlpLayers& layers : all) is_dense = is_dense && pavlov::takes_dense(layers, contiguous);
      y = is_dense ? pavlov::forward_dense(all, contiguous, recorded) : pavlov::forward_aten(all, contiguous);
      if (!stacked) y = y[0];
    }
    if (recorded) {
      auto node = pavlov::make_node<MlpNode>(std::move(parameters), std::move(all), is_dense, stacked);
      node->record(*x, y, pavlov::reads_output(activations.output));
    }
    *out = new Tensor(std::move(y));
  });
}

// Runs the backward pass from `output`, whose gradient is `gradient`.
char* pavlov_backward(Handle output, Handle gradient) {
  return guarded([&] {
    TORCH_CHECK(output->defined() && gradient->defined(), "backward() of an undefined tensor");
    // Nothing lies behind a fused network that was given plain numbers: the engine has nothing to schedule.
    const std::shared_ptr<torch::autograd::Node> function = output->grad_fn();
    auto* node = dynamic_cast<FusedNode*>(function.get());
    if (!node || !node->is_end()) return output->backward(*gradient);
    TORCH_CHECK(gradient->sizes() == output->sizes(), "the gradient's shape must be the output's");
    TORCH_CHECK(gradient->scalar_type() == output->scalar_type() && gradient->device() == output->device() &&
                    gradient->layout() == at::kStrided,
                "the gradient's type and device must be the output's");
    node->run(*gradient);
  });
}

}  // extern "C"
