// A sequence through a recurrent layer as one node of the autograd graph, on the CPU in f32.
//
// Autograd's price is per operation, and a sequence by operations has a dozen of them for each step. Here the forward
// pass runs without recording, and the hand-derived pass back through time accumulates straight into the gradient views of
// the parameter arena (cells.h).

#include "shim.h"

#include <memory>

#include <ATen/core/LegacyTypeDispatch.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/functions/utils.h>

#include "cells.h"

namespace {

using at::Tensor;
using pavlov::Cell;
using pavlov::Sequence;

constexpr int kParameters = 4;

struct Pass {
  Cell cell;
  Tensor parameters[kParameters];  // weight_ih, weight_hh, bias_ih, bias_hh
  Tensor gradients[kParameters];   // undefined for frozen weights
  uint32_t version = 0;
  Tensor x, starts, state, gates, before, states;

  Sequence sequence() const {
    Sequence s{};
    s.cell = cell;
    s.steps = x.size(0);
    s.batch = x.size(1);
    s.in = x.size(2);
    s.size = parameters[1].size(1);
    s.weight_ih = parameters[0].const_data_ptr<float>();
    s.weight_hh = parameters[1].const_data_ptr<float>();
    s.bias_ih = parameters[2].const_data_ptr<float>();
    s.bias_hh = parameters[3].const_data_ptr<float>();
    s.x = x.const_data_ptr<float>();
    s.starts = starts.const_data_ptr<float>();
    s.state = state.const_data_ptr<float>();
    s.gates = gates.data_ptr<float>();
    s.before = before.data_ptr<float>();
    s.states = states.data_ptr<float>();
    return s;
  }
};

struct RecurrentBackward : public torch::autograd::Node {
  std::unique_ptr<Pass> pass;

  torch::autograd::variable_list apply(torch::autograd::variable_list&& gradients) override {
    torch::autograd::variable_list result(num_outputs());
    if (!gradients[0].defined()) return result;
    TORCH_CHECK(pass != nullptr, "the backward pass of a sequence can run only once");
    TORCH_CHECK(pass->parameters[0]._version() == pass->version,
                "the network's weights were changed between its forward and its backward pass");
    at::AutoDispatchBelowAutograd guard;
    // The pass overwrites what it needs.
    const std::unique_ptr<Pass> own = std::move(pass);
    const Tensor by_y = gradients[0].contiguous();
    const bool wants_input = task_should_compute_output(0);
    Tensor by_x;
    if (wants_input) by_x = at::empty_like(own->x);
    pavlov::SequenceGradients to{};
    to.y = by_y.const_data_ptr<float>();
    to.x = wants_input ? by_x.data_ptr<float>() : nullptr;
    if (own->gradients[0].defined()) {
      to.weight_ih = own->gradients[0].data_ptr<float>();
      to.weight_hh = own->gradients[1].data_ptr<float>();
      to.bias_ih = own->gradients[2].data_ptr<float>();
      to.bias_hh = own->gradients[3].data_ptr<float>();
    }
    pavlov::sequence_backward(own->sequence(), to);
    if (wants_input) result[0] = std::move(by_x);
    return result;
  }

  void release_variables() override { pass.reset(); }

  std::string name() const override { return "RecurrentBackward"; }
};

}  // namespace

extern "C" {

// `y` = the outputs for `x` [steps, batch, in], [steps, batch, size]; `states` [steps, batch, width] is what each step
// ends with, and takes no part in the graph. `starts` is [steps, batch], `state` [batch, width]. The gradients are null
// for frozen weights.
char* pavlov_recurrent_forward(Handle* y, Handle* states, Handle x, Handle starts, Handle state, int cell,
                               const Handle* parameters, const Handle* gradients) {
  return guarded([&] {
    const bool recorded = at::GradMode::is_enabled() && (gradients || x->requires_grad());
    auto pass = std::make_unique<Pass>();
    pass->cell = static_cast<Cell>(cell);
    for (int i = 0; i < kParameters; ++i) {
      pass->parameters[i] = *parameters[i];
      if (gradients) pass->gradients[i] = *gradients[i];
    }
    pass->version = pass->parameters[0]._version();
    Tensor out, after;
    {
      at::AutoDispatchBelowAutograd guard;
      pass->x = x->contiguous();
      pass->starts = starts->contiguous();
      pass->state = state->contiguous();
      const int64_t steps = x->size(0), batch = x->size(1), size = pass->parameters[1].size(1);
      pass->gates = at::empty({steps, batch, 4 * size}, x->options());
      pass->before = at::empty({steps, batch, state->size(1)}, x->options());
      pass->states = at::empty({steps, batch, state->size(1)}, x->options());
      out = at::empty({steps, batch, size}, x->options());
      Sequence sequence = pass->sequence();
      sequence.y = out.data_ptr<float>();
      pavlov::sequence_forward(sequence);
      after = pass->states;
      pass->x = pass->x.detach();
    }
    if (recorded) {
      auto node = std::shared_ptr<RecurrentBackward>(new RecurrentBackward(), torch::autograd::deleteNode);
      // The first weight stands for all parameters: it makes the output part of the graph, and gets nothing back.
      if (gradients) node->set_next_edges(torch::autograd::collect_next_edges(*x, *parameters[0]));
      else node->set_next_edges(torch::autograd::collect_next_edges(*x));
      node->pass = std::move(pass);
      torch::autograd::set_history(out, node);
    }
    *y = new Tensor(std::move(out));
    *states = new Tensor(std::move(after));
  });
}

}  // extern "C"
