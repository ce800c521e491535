// A stack of convolutions, each with a bias and a ReLU, as one node of the autograd graph: on the CPU, over plain memory
// (convolution.h). The backward pass accumulates straight into the gradient views of the parameter arena.

#include "shim.h"

#include <utility>
#include <vector>

#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/functions/utils.h>
#include <torch/csrc/autograd/variable.h>

#include "blas.h"
#include "convolution.h"
#include "product_bf16.h"

namespace {

using at::Tensor;
using pavlov::ConvBatch;
using pavlov::ConvLayer;

struct Layer {
  Tensor weight;           // [filters, channels, kernel, kernel]
  Tensor bias;             // [filters]
  Tensor weight_gradient;  // undefined for a frozen network
  Tensor bias_gradient;    // likewise
  uint32_t version;        // of the weight when the forward pass ran
  Tensor output;           // [batch, height, width, filters]; undefined for the last layer, and where it is not kept
};

struct Stack {
  std::vector<Layer> layers;
  std::vector<ConvLayer> passes;  // the same, over plain memory
  bool channels_first;
  bool bf16;
  Tensor images;  // [batch, numbers], rows contiguous
  Tensor output;  // [batch, numbers]

  ConvBatch batch() const {
    return {images.size(0), images.const_data_ptr<float>(), images.stride(0), channels_first, bf16,
            output.data_ptr<float>()};
  }
};

bool plain(const Tensor& tensor) {
  return tensor.device().is_cpu() && tensor.scalar_type() == at::kFloat && tensor.is_contiguous();
}

// Rows may be a part of longer ones.
Tensor with_contiguous_rows(const Tensor& x) {
  return x.size(1) == 1 || x.stride(1) == 1 ? x : x.contiguous();
}

void describe(Stack& stack, int64_t height, int64_t width, const int64_t* strides, const int64_t* paddings) {
  for (size_t i = 0; i < stack.layers.size(); ++i) {
    const Layer& layer = stack.layers[i];
    TORCH_CHECK(plain(layer.weight) && plain(layer.bias) && layer.weight.dim() == 4, "f32 weights on the CPU are needed");
    ConvLayer pass{};
    pass.height = height;
    pass.width = width;
    pass.channels = layer.weight.size(1);
    pass.filters = layer.weight.size(0);
    pass.kernel = layer.weight.size(2);
    pass.stride = strides[i];
    pass.padding = paddings[i];
    pass.weight = layer.weight.const_data_ptr<float>();
    pass.bias = layer.bias.const_data_ptr<float>();
    if (layer.weight_gradient.defined()) {
      pass.weight_gradient = layer.weight_gradient.data_ptr<float>();
      pass.bias_gradient = layer.bias_gradient.data_ptr<float>();
    }
    TORCH_CHECK(i == 0 || pass.channels == stack.passes.back().filters, "a layer takes what the one before it gives");
    height = pass.out_height();
    width = pass.out_width();
    TORCH_CHECK(height > 0 && width > 0, "the image is too small");
    stack.passes.push_back(pass);
  }
  const ConvLayer& first = stack.passes.front();
  const int64_t numbers = first.height * first.width * first.channels;
  TORCH_CHECK(stack.images.dim() == 2 && stack.images.size(1) == numbers && stack.images.device().is_cpu() &&
                  stack.images.scalar_type() == at::kFloat,
              "the images must be f32 [batch, ", numbers, "] on the CPU");
}

void forward(Stack& stack, bool recorded) {
  const int64_t batch = stack.images.size(0);
  const ConvLayer& last = stack.passes.back();
  stack.output = at::empty({batch, last.positions() * last.filters}, stack.images.options());
  for (size_t i = 0; recorded && i + 1 < stack.layers.size(); ++i) {
    ConvLayer& pass = stack.passes[i];
    stack.layers[i].output = at::empty({batch, pass.positions(), pass.filters}, stack.images.options());
    pass.output = stack.layers[i].output.data_ptr<float>();
  }
  pavlov::convolution_forward(stack.passes, stack.batch());
}

struct CnnBackward : public torch::autograd::Node {
  Stack stack;

  torch::autograd::variable_list apply(torch::autograd::variable_list&& gradients) override {
    torch::autograd::variable_list result(num_outputs());
    if (!gradients[0].defined()) return result;
    TORCH_CHECK(!stack.layers.empty(), "the backward pass of a fused network can run only once");
    for (const Layer& layer : stack.layers)
      TORCH_CHECK(layer.weight._version() == layer.version,
                  "the network's weights were changed between its forward and its backward pass");
    at::AutoDispatchBelowAutograd guard;
    const Tensor gradient = gradients[0].contiguous();
    const bool wants_images = task_should_compute_output(0);
    Tensor images;
    if (wants_images) images = at::empty(stack.images.sizes(), stack.images.options());
    pavlov::convolution_backward(stack.passes, stack.batch(), gradient.const_data_ptr<float>(),
                                 wants_images ? images.data_ptr<float>() : nullptr);
    if (wants_images) result[0] = std::move(images);
    return result;
  }

  void release_variables() override { stack = Stack(); }

  std::string name() const override { return "CnnBackward"; }
};

}  // namespace

extern "C" {

// Whether the passes can run here: libtorch must carry a BLAS for large products, and the processor know bf16 if it is asked
// for.
bool pavlov_cnn_is_available(bool bf16) { return bf16 ? pavlov::has_bf16() : pavlov::has_blas(); }

// `out` = the network's output [batch, numbers] for the images `x` [batch, numbers]. The gradients are null for a frozen
// network, which still passes a gradient to its input.
char* pavlov_cnn_forward(Handle* out, Handle x, int64_t height, int64_t width, int channels_first, int count,
                         const Handle* weights, const Handle* biases, const Handle* weight_gradients,
                         const Handle* bias_gradients, const int64_t* strides, const int64_t* paddings, bool bf16) {
  return guarded([&] {
    const bool trained = weight_gradients != nullptr;
    const bool recorded = at::GradMode::is_enabled() && (trained || x->requires_grad());
    Stack stack;
    stack.channels_first = channels_first != 0;
    stack.bf16 = bf16;
    stack.layers.resize(count);
    for (int i = 0; i < count; ++i) {
      Layer& layer = stack.layers[i];
      layer.weight = *weights[i];
      layer.bias = *biases[i];
      if (trained) {
        layer.weight_gradient = *weight_gradients[i];
        layer.bias_gradient = *bias_gradients[i];
      }
      layer.version = layer.weight._version();
    }
    {
      at::AutoDispatchBelowAutograd guard;
      stack.images = with_contiguous_rows(*x);
      describe(stack, height, width, strides, paddings);
      forward(stack, recorded);
    }
    Tensor y = stack.output;
    if (recorded) {
      // The output is handed out: the node keeps a view of it, or it would own itself. The input likewise, since it may be
      // the output of another node that owns this one.
      stack.output = y.detach();
      stack.images = stack.images.detach();
      auto node = std::shared_ptr<CnnBackward>(new CnnBackward(), torch::autograd::deleteNode);
      node->stack = std::move(stack);
      // The first weight stands for all parameters: it makes the output part of the graph, and gets nothing back.
      if (trained) node->set_next_edges(torch::autograd::collect_next_edges(*x, *weights[0]));
      else node->set_next_edges(torch::autograd::collect_next_edges(*x));
      torch::autograd::set_history(y, node);
    }
    *out = new Tensor(std::move(y));
  });
}

}  // extern "C"
