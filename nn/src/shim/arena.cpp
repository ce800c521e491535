// The node of the autograd graph that all parameters of an arena come from.
//
// Without it each parameter would be a leaf with a node of its own, and a backward pass pays for every node
// that it visits, whether a gradient reaches it or not: for small networks more than for their arithmetic.
// One node for all of them lets a fused network name every parameter as an input, so that autograd::grad can
// be asked for any of them, at the price of a single visit.

#include <vector>

#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/variable.h>

#include "node.h"

namespace {

using at::Tensor;

class ArenaNode final : public torch::autograd::Node {
 public:
  // Makes `parameter` an output of this node, whose gradient accumulates in `gradient`.
  void add(const Tensor& parameter, const Tensor& gradient) {
    TORCH_CHECK(parameter.sizes() == gradient.sizes(), "a gradient must have its parameter's shape");
    torch::autograd::impl::set_gradient_edge(parameter, {getptr(), add_input_metadata(parameter)});
    parameter.mutable_grad() = gradient;
    gradients_.push_back(gradient);
  }

  torch::autograd::variable_list apply(torch::autograd::variable_list&& incoming) override {
    for (size_t i = 0; i < incoming.size(); ++i) {
      if (!incoming[i].defined()) continue;
      pavlov::check_no_graph();
      at::AutoDispatchBelowADInplaceOrView guard;
      gradients_[i].add_(incoming[i]);
    }
    return {};
  }

  std::string name() const override { return "ParametersBackward"; }

 private:
  std::vector<Tensor> gradients_;
};

}  // namespace

extern "C" {

// Makes each of `count` parameters require a gradient, which accumulates in the tensor that comes with it.
char* pavlov_set_gradients(int count, const pavlov::ParameterHandle* handles) {
  return guarded([&] {
    auto node = pavlov::make_node<ArenaNode>();
    for (int i = 0; i < count; ++i) node->add(*handles[i].value, *handles[i].gradient);
  });
}

}  // extern "C"
