// The node of the autograd graph that all parameters of an arena come from.
//
// Without it each parameter would be a leaf with a node of its own, and a backward pass pays for every node
// that it visits, whether a gradient reaches it or not: for small networks more than for their arithmetic.
// One node for all of them lets a fused network name every parameter as an input, so that autograd::grad can
// be asked for any of them, at the price of a single visit.

#include <vector>

#include "node.h"

namespace pavlov {

using at::Tensor;

void ArenaNode::add(const Tensor& parameter, const Tensor& gradient) {
  TORCH_CHECK(parameter.sizes() == gradient.sizes(), "a gradient must have its parameter's shape");
  torch::autograd::impl::set_gradient_edge(parameter, {getptr(), add_input_metadata(parameter)});
  parameter.mutable_grad() = gradient;
  gradients_.push_back(gradient);
}

torch::autograd::variable_list ArenaNode::apply(torch::autograd::variable_list&& incoming) {
  const std::lock_guard<std::mutex> lock(adding_);
  for (size_t i = 0; i < incoming.size(); ++i) {
    if (!incoming[i].defined()) continue;
    check_no_graph();
    at::AutoDispatchBelowADInplaceOrView guard;
    gradients_[i].add_(incoming[i]);
  }
  return {};
}

}  // namespace pavlov

extern "C" {

// Makes each of `count` parameters require a gradient, which accumulates in the tensor that comes with it.
char* pavlov_set_gradients(int count, const pavlov::ParameterHandle* handles) {
  return guarded([&] {
    auto node = pavlov::make_node<pavlov::ArenaNode>();
    for (int i = 0; i < count; ++i) node->add(*handles[i].value, *handles[i].gradient);
  });
}

}  // extern "C"
