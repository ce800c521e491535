// A sequence through a recurrent layer as one node of the autograd graph, on the CPU in f32.
//
// Autograd's price is per operation, and a sequence by operations has a dozen of them for each step. Here the
// forward pass runs without recording, and the hand-derived pass back through time accumulates straight into
// the gradient views of the parameter arena (cells.h, node.h).

#include "shim.h"

#include <utility>

#include <ATen/core/LegacyTypeDispatch.h>

#include "cells.h"
#include "node.h"
#include "recurrent.h"

namespace {

using at::Tensor;
using pavlov::Cell;
using pavlov::FusedNode;
using pavlov::ParameterHandle;
using pavlov::Parameters;
using pavlov::Sequence;
using pavlov::Wanted;
using pavlov::Writes;

struct Pass {
  Cell cell;
  pavlov::RecurrentShape shape;
  Tensor x, starts, state, gates, before, states;

  Sequence sequence(const Parameters& parameters) const {
    const int64_t steps = x.size(0), batch = x.size(1);
    parameters[0].check({shape.gates, shape.in}, "weight_ih");
    parameters[1].check({shape.gates, shape.size}, "weight_hh");
    parameters[2].check({shape.gates}, "bias_ih");
    parameters[3].check({shape.gates}, "bias_hh");
    pavlov::check_plain(x, {steps, batch, shape.in}, "a recurrent layer's input");
    pavlov::check_plain(starts, {steps, batch}, "a recurrent layer's starts");
    pavlov::check_plain(state, {batch, shape.width}, "a recurrent layer's state");
    pavlov::check_plain(states, {steps, batch, shape.width}, "a recurrent layer's states");
    Sequence s{};
    s.cell = cell;
    s.steps = steps;
    s.batch = batch;
    s.in = shape.in;
    s.size = shape.size;
    s.weight_ih = parameters[0].numbers();
    s.weight_hh = parameters[1].numbers();
    s.bias_ih = parameters[2].numbers();
    s.bias_hh = parameters[3].numbers();
    s.x = x.const_data_ptr<float>();
    s.starts = starts.const_data_ptr<float>();
    s.state = state.const_data_ptr<float>();
    s.gates = gates.data_ptr<float>();
    s.before = before.data_ptr<float>();
    s.states = states.data_ptr<float>();
    return s;
  }
};

// The state after a step, from what the gates take from the input and from the state, by operations.
Tensor lstm_step(const Tensor& from_x, const Tensor& from_state, const Tensor& before) {
  const auto gates = (from_x + from_state).chunk(4, 1);
  const Tensor c = gates[1].sigmoid() * before.chunk(2, 1)[1] + gates[0].sigmoid() * gates[2].tanh();
  return at::cat({gates[3].sigmoid() * c.tanh(), c}, 1);
}

Tensor gru_step(const Tensor& from_x, const Tensor& from_state, const Tensor& before) {
  const auto x = from_x.chunk(3, 1), own = from_state.chunk(3, 1);
  const Tensor r = (x[0] + own[0]).sigmoid(), z = (x[1] + own[1]).sigmoid();
  const Tensor n = (x[2] + r * own[2]).tanh();
  return n + z * (before - n);
}

class RecurrentNode final : public FusedNode {
 public:
  // `starts` and `state` are the caller's, of which those of the pass may be copies.
  RecurrentNode(Parameters parameters, Pass pass, const Tensor& starts, const Tensor& state)
      : FusedNode(std::move(parameters)),
        pass_(std::move(pass)),
        to_states_(pass_.states),
        to_starts_(starts),
        to_state_(state) {
    // The states are handed out, and the input may be the output of another node that owns this one.
    pass_.states = pass_.states.detach();
    pass_.x = pass_.x.detach();
    pass_.starts = pass_.starts.detach();
  }

  std::string name() const override { return "RecurrentBackward"; }

 protected:
  Tensor backward(const Tensor& gradient, Wanted wanted) override {
    check_unwritten();
    TORCH_CHECK(
        !to_states_.went_on(),
        "the states of a recurrent layer were changed in place before its backward pass: change a copy");
    Sequence sequence = pass_.sequence(parameters());
    pavlov::check_plain(gradient, {sequence.steps, sequence.batch, sequence.size},
                        "the gradient of the outputs");
    // The pass overwrites the gates.
    const Tensor gates = wanted.again ? pass_.gates.clone() : pass_.gates;
    sequence.gates = gates.data_ptr<float>();
    Tensor by_x;
    if (wanted.input) by_x = at::empty_like(pass_.x);
    pavlov::SequenceGradients to{};
    to.y = gradient.const_data_ptr<float>();
    if (wanted.input) to.x = by_x.data_ptr<float>();
    if (wanted.parameters) {
      to.weight_ih = parameters()[0].gradient_numbers();
      to.weight_hh = parameters()[1].gradient_numbers();
      to.bias_ih = parameters()[2].gradient_numbers();
      to.bias_hh = parameters()[3].gradient_numbers();
    }
    pavlov::sequence_backward(sequence, to);
    return by_x;
  }

  Tensor by_operations(const Tensor& x, const std::vector<Tensor>& values) override {
    check_unwritten();
    const int64_t size = values[1].size(1);
    const Tensor from_x = at::linear(x, values[0], values[2]);
    const Tensor goes_on = pass_.starts.eq(0).to(at::kFloat).unsqueeze(2);
    Tensor state = pass_.state;
    std::vector<Tensor> outputs;
    for (int64_t step = 0; step < x.size(0); ++step) {
      const Tensor before = state * goes_on[step];
      const Tensor from_state = at::linear(before.narrow(1, 0, size), values[1], values[3]);
      const auto cell = pass_.cell == Cell::kLstm ? lstm_step : gru_step;
      state = cell(from_x[step], from_state, before);
      outputs.push_back(state.narrow(1, 0, size));
    }
    return at::stack(outputs);
  }

  void release() override { pass_ = Pass(); }

 private:
  void check_unwritten() const {
    TORCH_CHECK(
        !to_starts_.went_on() && !to_state_.went_on(),
        "the state that a recurrent layer began with, or its starts, were changed in place between its "
        "forward and its backward pass: change a copy");
  }

  Pass pass_;
  Writes to_states_, to_starts_, to_state_;
};

}  // namespace

extern "C" {

// `y` = the outputs for `x` [steps, batch, in], [steps, batch, size]; `states` [steps, batch, width] is what
// each step ends with, and takes no part in the graph. `starts` is [steps, batch], `state` [batch, width].
char* pavlov_recurrent_forward(Handle* y, Handle* states, Handle x, Handle starts, Handle state, int cell,
                               const ParameterHandle* handles) {
  return guarded([&] {
    Parameters parameters(handles, handles + pavlov::kRecurrentParameters);
    const bool recorded = pavlov::is_recorded(*x, parameters);
    Pass pass;
    pass.cell = static_cast<Cell>(cell);
    const auto value = [&](int index) -> const Tensor& { return parameters[index].value; };
    const pavlov::RecurrentShape shape = pass.shape = pavlov::recurrent_shape(pass.cell, value);
    pavlov::check_sequence(shape, *x, *starts, *state);
    Tensor out, after;
    {
      at::AutoDispatchBelowADInplaceOrView guard;
      pass.x = pavlov::in_one_piece(*x);
      pass.starts = pavlov::in_one_piece(*starts);
      pass.state = pavlov::in_one_piece(*state).detach();
      const int64_t steps = x->size(0), batch = x->size(1);
      const at::TensorOptions f32(at::kFloat);
      pass.gates = at::empty({steps, batch, 4 * shape.size}, f32);
      pass.before = at::empty({steps, batch, shape.width}, f32);
      pass.states = at::empty({steps, batch, shape.width}, f32);
      out = at::empty({steps, batch, shape.size}, f32);
      Sequence sequence = pass.sequence(parameters);
      sequence.y = out.data_ptr<float>();
      pavlov::sequence_forward(sequence);
      after = pass.states;
    }
    if (recorded) {
      pavlov::make_node<RecurrentNode>(std::move(parameters), std::move(pass), *starts, *state)
          ->record(*x, out, false);
    }
    *y = new Tensor(std::move(out));
    *states = new Tensor(std::move(after));
  });
}

}  // extern "C"
