// A stack of convolutions, each with a bias, a ReLU and perhaps a max pooling, as one node of the autograd
// graph: on the CPU, over plain memory (convolution.h). The backward pass accumulates straight into the
// gradient views of the parameter arena (node.h).

#include "shim.h"

#include <utility>
#include <vector>

#include "blas.h"
#include "convolution.h"
#include "node.h"
#include "product_bf16.h"

namespace {

using at::Tensor;
using pavlov::ConvBatch;
using pavlov::ConvLayer;
using pavlov::FusedNode;
using pavlov::Parameter;
using pavlov::ParameterHandle;
using pavlov::Parameters;
using pavlov::Wanted;

// The passes through all layers and what they keep.
struct Stack {
  std::vector<ConvLayer> layers;
  std::vector<Tensor>
      outputs;  // of each layer but the last, [batch, positions, filters], where they are kept
  std::vector<Tensor> winners;  // of each pooling the places of its outputs, likewise
  bool channels_first;
  bool bf16;
  Tensor images;  // [batch, numbers], rows contiguous
  Tensor output;  // [batch, numbers]

  ConvBatch batch() const {
    return {images.size(0), images.const_data_ptr<float>(), images.stride(0), channels_first,
            bf16,           output.data_ptr<float>()};
  }
};

// Rows may be a part of longer ones.
Tensor with_contiguous_rows(const Tensor& x) {
  const bool are_whole = !x.is_neg() && (x.size(1) == 1 || x.stride(1) == 1);
  return are_whole ? x : pavlov::in_one_piece(x);
}

// Takes the numbers of a layer whose shape is known.
void point(ConvLayer& layer, const Parameter& weight, const Parameter& bias) {
  weight.check({layer.filters, layer.channels, layer.kernel, layer.kernel}, "a convolution's weight");
  bias.check({layer.filters}, "a convolution's bias");
  layer.weight = weight.numbers();
  layer.bias = bias.numbers();
}

// One layer over plain memory, without gradients. Its input has these sides.
ConvLayer layer_of(const Parameter& weights, const Parameter& bias, int64_t height, int64_t width) {
  const Tensor& weight = weights.value;
  TORCH_CHECK(weight.dim() == 4 && weight.numel() > 0,
              "a convolution's weight is [filters, channels, kernel, kernel]");
  ConvLayer layer{};
  layer.height = height;
  layer.width = width;
  layer.channels = weight.size(1);
  layer.filters = weight.size(0);
  layer.kernel = weight.size(2);
  point(layer, weights, bias);
  return layer;
}

// Fails unless the memory holds the images.
void check_images(const Tensor& images) {
  const int64_t batch = images.size(0);
  TORCH_CHECK(batch == 0 || pavlov::is_held(images, (batch - 1) * images.stride(0) + images.size(1)),
              "the images' memory is smaller than they are");
}

// `parameters` are the weight and the bias of each layer.
void describe(Stack& stack, const Parameters& parameters, int64_t height, int64_t width,
              const int64_t* strides, const int64_t* paddings, const int64_t* pools) {
  for (size_t i = 0; i < parameters.size() / 2; ++i) {
    ConvLayer layer = layer_of(parameters[2 * i], parameters[2 * i + 1], height, width);
    layer.stride = strides[i];
    layer.padding = paddings[i];
    layer.pool = pools[i];
    TORCH_CHECK(layer.pool > 0 && layer.pool < 16, "squares of 1 to 15 pixels are pooled");
    TORCH_CHECK(layer.stride > 0 && layer.padding >= 0 && layer.padding < pavlov::kMostRows && height > 0 &&
                    width > 0 && height < pavlov::kMostRows && width < pavlov::kMostRows,
                "a convolution has strides above 0 and no negative padding");
    TORCH_CHECK(i == 0 || layer.channels == stack.layers.back().filters,
                "a layer takes what the one before it gives");
    TORCH_CHECK(height + 2 * layer.padding >= layer.kernel && width + 2 * layer.padding >= layer.kernel,
                "the image is too small");
    height = layer.given_height();
    width = layer.given_width();
    TORCH_CHECK(height > 0 && width > 0, "the image is too small");
    stack.layers.push_back(layer);
  }
  const ConvLayer& first = stack.layers.front();
  const int64_t numbers = first.height * first.width * first.channels;
  TORCH_CHECK(stack.images.dim() == 2 && stack.images.size(1) == numbers &&
                  pavlov::is_ordinary(stack.images, at::kFloat),
              "the images must be f32 [batch, ", numbers, "] on the CPU");
  check_images(stack.images);
}

void forward(Stack& stack, bool recorded) {
  const int64_t batch = stack.images.size(0);
  const ConvLayer& last = stack.layers.back();
  stack.output = at::empty({batch, last.positions() * last.filters}, stack.images.options());
  for (size_t i = 0; recorded && i + 1 < stack.layers.size(); ++i) {
    ConvLayer& layer = stack.layers[i];
    stack.outputs.push_back(at::empty({batch, layer.positions(), layer.filters}, stack.images.options()));
    layer.output = stack.outputs.back().data_ptr<float>();
  }
  for (ConvLayer& layer : stack.layers) {
    if (!recorded || layer.pool == 1) continue;
    stack.winners.push_back(
        at::empty({batch, layer.positions(), layer.filters}, stack.images.options().dtype(at::kByte)));
    layer.winners = stack.winners.back().data_ptr<uint8_t>();
  }
  pavlov::convolution_forward(stack.layers, stack.batch());
}

class CnnNode final : public FusedNode {
 public:
  CnnNode(Parameters parameters, Stack stack) : FusedNode(std::move(parameters)), stack_(std::move(stack)) {
    // The output is handed out: the node keeps a view of it, or it would own itself. The input likewise,
    // since it may be the output of another node that owns this one.
    stack_.output = stack_.output.detach();
    stack_.images = stack_.images.detach();
  }

  std::string name() const override { return "CnnBackward"; }

 protected:
  Tensor backward(const Tensor& gradient, Wanted wanted) override {
    std::vector<ConvLayer> layers = stack_.layers;
    pavlov::check_plain(gradient, stack_.output.sizes(), "the gradient of the network's output");
    check_images(stack_.images);
    // The weights may have been given other memory since the forward pass.
    for (size_t i = 0; i < layers.size(); ++i) point(layers[i], parameters()[2 * i], parameters()[2 * i + 1]);
    for (size_t i = 0; wanted.parameters && i < layers.size(); ++i) {
      layers[i].weight_gradient = parameters()[2 * i].gradient_numbers();
      layers[i].bias_gradient = parameters()[2 * i + 1].gradient_numbers();
    }
    Tensor images;
    if (wanted.input) images = at::empty(stack_.images.sizes(), stack_.images.options());
    pavlov::convolution_backward(layers, stack_.batch(), gradient.const_data_ptr<float>(),
                                 wanted.input ? images.data_ptr<float>() : nullptr);
    return images;
  }

  Tensor by_operations(const Tensor& x, const std::vector<Tensor>& values) override {
    const auto in_kind = [&](const Tensor& factor) {
      return stack_.bf16 ? factor.to(at::kBFloat16) : factor;
    };
    const ConvLayer& first = stack_.layers.front();
    Tensor y = stack_.channels_first
                   ? x.reshape({-1, first.channels, first.height, first.width})
                   : x.reshape({-1, first.height, first.width, first.channels}).permute({0, 3, 1, 2});
    y = in_kind(y);
    for (size_t i = 0; i < stack_.layers.size(); ++i) {
      const ConvLayer& layer = stack_.layers[i];
      y = at::relu(at::conv2d(y, in_kind(values[2 * i]), in_kind(values[2 * i + 1]),
                              {layer.stride, layer.stride}, {layer.padding, layer.padding}));
      if (layer.pool > 1) y = at::max_pool2d(y, {layer.pool, layer.pool});
    }
    return y.flatten(1).to(at::kFloat);
  }

  void release() override { stack_ = Stack(); }

 private:
  Stack stack_;
};

}  // namespace

extern "C" {

// True if the passes can run here: libtorch must carry a BLAS for large products, and the processor know bf16
// if it is asked for.
bool pavlov_cnn_is_available(bool bf16) { return bf16 ? pavlov::has_bf16() : pavlov::has_blas(); }

// `out` = the network's output [batch, numbers] for the images `x` [batch, numbers]. `handles` are the weight
// and the bias of each of `count` layers; a pool of 1 is none.
char* pavlov_cnn_forward(Handle* out, Handle x, int64_t height, int64_t width, int channels_first, int count,
                         const ParameterHandle* handles, const int64_t* strides, const int64_t* paddings,
                         const int64_t* pools, bool bf16) {
  return guarded([&] {
    TORCH_CHECK(count > 0, "a network has a layer");
    Parameters parameters(handles, handles + 2 * count);
    const bool recorded = pavlov::is_recorded(*x, parameters);
    Stack stack;
    stack.channels_first = channels_first != 0;
    stack.bf16 = bf16;
    {
      at::AutoDispatchBelowADInplaceOrView guard;
      stack.images = with_contiguous_rows(*x);
      describe(stack, parameters, height, width, strides, paddings, pools);
      forward(stack, recorded);
    }
    Tensor y = stack.output;
    if (recorded) pavlov::make_node<CnnNode>(std::move(parameters), std::move(stack))->record(*x, y, true);
    *out = new Tensor(std::move(y));
  });
}

}  // extern "C"
