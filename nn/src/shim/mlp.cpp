// A multi-layer perceptron as one node of the autograd graph.
//
// Autograd's price is per operation; on small networks it is several times the arithmetic. Here the forward pass runs
// without recording, and the hand-derived backward pass accumulates straight into the gradient views of the parameter
// arena. On the CPU in f32 the matrix products are BLAS calls without a dispatcher between them; everywhere else the
// same passes are written in ATen operations.

#include "shim.h"
#include "vectorised.h"

#include <utility>
#include <vector>

#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/functions/utils.h>
#include <torch/csrc/autograd/variable.h>

// libtorch carries a BLAS and exports its Fortran face; a libtorch built without one takes the other path.
extern "C" __attribute__((weak)) void sgemm_(const char*, const char*, const int*, const int*, const int*,
                                             const float*, const float*, const int*, const float*, const int*,
                                             const float*, float*, const int*);

namespace {

using at::Tensor;

// The numbers by which Rust names the activations (activation.rs).
enum class Activation : int { kIdentity, kRelu, kLeakyRelu, kElu, kGelu, kSilu, kTanh, kSigmoid };

constexpr float kLeakySlope = 0.01f;

// Whether the derivative is computed from the input; from the output otherwise, which saves keeping the input.
bool needs_input(Activation activation) {
  return activation == Activation::kGelu || activation == Activation::kSilu;
}

VECTORISED void relu_rows(float* z, int64_t count) {
  for (int64_t i = 0; i < count; ++i) z[i] = z[i] > 0.0f ? z[i] : 0.0f;
}

VECTORISED void relu_backward(float* gradient, const float* y, int64_t count) {
  for (int64_t i = 0; i < count; ++i) gradient[i] = y[i] > 0.0f ? gradient[i] : 0.0f;
}

VECTORISED void tanh_backward(float* gradient, const float* y, int64_t count) {
  for (int64_t i = 0; i < count; ++i) gradient[i] *= 1.0f - y[i] * y[i];
}

VECTORISED void add_column_sums(float* sums, const float* rows, int64_t batch, int64_t width) {
  for (int64_t r = 0; r < batch; ++r)
    for (int64_t c = 0; c < width; ++c) sums[c] += rows[r * width + c];
}

// C = A B + beta C for row-major matrices, A as [m, k] or transposed from [k, m], B likewise.
void gemm(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k, const float* a, const float* b,
          float beta, float* c) {
  // BLAS is column-major: a row-major product is the transposed one with the factors exchanged.
  const int bm = static_cast<int>(n), bn = static_cast<int>(m), bk = static_cast<int>(k);
  const int lda = static_cast<int>(transpose_b ? k : n), ldb = static_cast<int>(transpose_a ? m : k);
  const float one = 1.0f;
  sgemm_(transpose_b ? "T" : "N", transpose_a ? "T" : "N", &bm, &bn, &bk, &one, b, &lda, a, &ldb, &beta, c, &bm);
}

bool plain(const Tensor& tensor) {
  return tensor.device().is_cpu() && tensor.scalar_type() == at::kFloat && tensor.is_contiguous();
}

// The activation in place.
void activate_(Tensor& z, Activation activation) {
  switch (activation) {
    case Activation::kIdentity: return;
    case Activation::kRelu:
      if (plain(z)) relu_rows(z.data_ptr<float>(), z.numel());
      else at::relu_(z);
      return;
    case Activation::kLeakyRelu: at::leaky_relu_(z, kLeakySlope); return;
    case Activation::kElu: at::elu_(z); return;
    case Activation::kGelu: at::gelu_(z); return;
    case Activation::kSilu: at::silu_(z); return;
    case Activation::kTanh: at::tanh_(z); return;
    case Activation::kSigmoid: at::sigmoid_(z); return;
  }
}

// The gradient with respect to the activation's input. `saved` is its input for gelu and silu, its output else.
// `gradient` may be overwritten.
Tensor activation_backward(Tensor gradient, const Tensor& saved, Activation activation) {
  switch (activation) {
    case Activation::kIdentity: return gradient;
    case Activation::kRelu:
      if (!plain(gradient)) return at::threshold_backward(gradient, saved, 0.0);
      relu_backward(gradient.data_ptr<float>(), saved.const_data_ptr<float>(), gradient.numel());
      return gradient;
    case Activation::kTanh:
      if (!plain(gradient)) return at::tanh_backward(gradient, saved);
      tanh_backward(gradient.data_ptr<float>(), saved.const_data_ptr<float>(), gradient.numel());
      return gradient;
    case Activation::kLeakyRelu: return at::leaky_relu_backward(gradient, saved, kLeakySlope, true);
    case Activation::kElu: return at::elu_backward(gradient, 1.0, 1.0, 1.0, true, saved);
    case Activation::kSigmoid: return at::sigmoid_backward(gradient, saved);
    case Activation::kGelu: return at::gelu_backward(gradient, saved);
    case Activation::kSilu: return at::silu_backward(gradient, saved);
  }
  return gradient;
}

struct Layer {
  Tensor weight;  // [out, in]
  Tensor bias;    // [out]
  Tensor weight_gradient;
  Tensor bias_gradient;
  Activation activation;
  Tensor input;  // what the layer was given
  Tensor saved;  // what the activation's derivative is computed from
};

Tensor linear(const Tensor& x, const Layer& layer) {
  const int64_t batch = x.size(0), in = x.size(1), out = layer.weight.size(0);
  if (!sgemm_ || !plain(x) || !plain(layer.weight) || batch == 0) return at::addmm(layer.bias, x, layer.weight.t());
  Tensor z = at::empty({batch, out}, x.options());
  float* rows = z.data_ptr<float>();
  const float* bias = layer.bias.const_data_ptr<float>();
  for (int64_t r = 0; r < batch; ++r) std::memcpy(rows + r * out, bias, out * sizeof(float));
  gemm(false, true, batch, out, in, x.const_data_ptr<float>(), layer.weight.const_data_ptr<float>(), 1.0f, rows);
  return z;
}

// Adds to the layer's gradients and, if `wants_input`, returns the gradient of the layer's input.
Tensor linear_backward(const Tensor& gradient, const Layer& layer, bool wants_input) {
  const int64_t batch = gradient.size(0), out = gradient.size(1), in = layer.input.size(1);
  if (!sgemm_ || !plain(gradient) || !plain(layer.input) || !plain(layer.weight) || batch == 0) {
    Tensor weight_gradient = layer.weight_gradient;
    Tensor bias_gradient = layer.bias_gradient;
    weight_gradient.addmm_(gradient.t(), layer.input);
    bias_gradient.add_(gradient.sum(0));
    return wants_input ? at::mm(gradient, layer.weight) : Tensor();
  }
  const float* rows = gradient.const_data_ptr<float>();
  gemm(true, false, out, in, batch, rows, layer.input.const_data_ptr<float>(), 1.0f,
       layer.weight_gradient.data_ptr<float>());
  add_column_sums(layer.bias_gradient.data_ptr<float>(), rows, batch, out);
  if (!wants_input) return Tensor();
  Tensor input_gradient = at::empty({batch, in}, gradient.options());
  gemm(false, false, batch, in, out, rows, layer.weight.const_data_ptr<float>(), 0.0f,
       input_gradient.data_ptr<float>());
  return input_gradient;
}

struct MlpBackward : public torch::autograd::Node {
  std::vector<Layer> layers;

  torch::autograd::variable_list apply(torch::autograd::variable_list&& gradients) override {
    torch::autograd::variable_list result(num_outputs());
    if (!gradients[0].defined()) return result;
    TORCH_CHECK(!layers.empty(), "the backward pass of a fused network can run only once");
    at::AutoDispatchBelowAutograd guard;
    // The caller keeps its gradient: the passes below write in place.
    Tensor gradient = gradients[0].clone(at::MemoryFormat::Contiguous);
    const bool input_is_wanted = task_should_compute_output(0);
    for (size_t i = layers.size(); i-- > 0;) {
      const Layer& layer = layers[i];
      gradient = activation_backward(std::move(gradient), layer.saved, layer.activation);
      gradient = linear_backward(gradient, layer, i > 0 || input_is_wanted);
    }
    if (input_is_wanted) result[0] = gradient;
    return result;
  }

  void release_variables() override { layers.clear(); }

  std::string name() const override { return "MlpBackward"; }
};

}  // namespace

extern "C" {

// `out` = the network's output for `x` [batch, in]. The gradients are null for a frozen network.
char* pavlov_mlp_forward(Handle* out, Handle x, int count, const Handle* weights, const Handle* biases,
                         const Handle* weight_gradients, const Handle* bias_gradients, int activation,
                         int output_activation) {
  return guarded([&] {
    const bool trained = weight_gradients != nullptr && at::GradMode::is_enabled();
    const bool recorded = at::GradMode::is_enabled() && (trained || x->requires_grad());
    std::vector<Layer> layers;
    if (recorded) layers.reserve(count);
    Tensor y;
    {
      at::AutoDispatchBelowAutograd guard;
      y = x->contiguous();
      for (int i = 0; i < count; ++i) {
        Layer layer{*weights[i], *biases[i], {}, {}, {}, {}, {}};
        layer.activation = static_cast<Activation>(i + 1 < count ? activation : output_activation);
        Tensor z = linear(y, layer);
        if (recorded) {
          TORCH_CHECK(weight_gradients != nullptr, "a frozen network cannot pass a gradient to its input");
          layer.weight_gradient = *weight_gradients[i];
          layer.bias_gradient = *bias_gradients[i];
          layer.input = y;
          if (needs_input(layer.activation)) layer.saved = z.clone();
        }
        activate_(z, layer.activation);
        if (recorded) {
          // The last output is handed out: a view of it, or the node would own itself.
          if (!layer.saved.defined() && layer.activation != Activation::kIdentity)
            layer.saved = i + 1 < count ? z : z.detach();
          layers.push_back(std::move(layer));
        }
        y = std::move(z);
      }
    }
    if (recorded) {
      auto node = std::shared_ptr<MlpBackward>(new MlpBackward(), torch::autograd::deleteNode);
      node->layers = std::move(layers);
      // The first weight stands for all parameters: it makes the output part of the graph, and gets nothing back.
      node->set_next_edges(torch::autograd::collect_next_edges(*x, *weights[0]));
      torch::autograd::set_history(y, node);
    }
    *out = new Tensor(std::move(y));
  });
}

}  // extern "C"
