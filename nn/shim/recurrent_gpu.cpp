// Recurrent layers on a GPU, by libtorch's kernels and by cuDNN's. There each operation costs a launch, so a
// step is two: a product, and all the gates at once.

#include "shim.h"

#include <tuple>

#include <c10/core/GradMode.h>

#include "cells.h"
#include "node.h"
#include "recurrent.h"

namespace {

using at::Tensor;
using pavlov::Cell;
using pavlov::ParameterHandle;

// As cuDNN's cudnnRNNMode_t.
constexpr int64_t kCudnnLstm = 2, kCudnnGru = 3;

// The shape of a layer with these parameters.
pavlov::RecurrentShape shape_of(Cell cell, const ParameterHandle* parameters) {
  return pavlov::recurrent_shape(cell, [&](int index) -> const Tensor& { return *parameters[index].value; });
}

}  // namespace

extern "C" {

// As `pavlov_recurrent_forward`, recorded by autograd step by step.
char* pavlov_recurrent_steps(Handle* y, Handle* states, Handle x, Handle starts, Handle state, int cell,
                             const ParameterHandle* parameters) {
  return guarded([&] {
    const bool is_lstm = static_cast<Cell>(cell) == Cell::kLstm;
    const Tensor &weight_ih = *parameters[0].value, &weight_hh = *parameters[1].value;
    const Tensor &bias_ih = *parameters[2].value, &bias_hh = *parameters[3].value;
    const pavlov::RecurrentShape shape = shape_of(static_cast<Cell>(cell), parameters);
    pavlov::check_sequence(shape, *x, *starts, *state);
    const int64_t size = shape.size;
    const Tensor from_x = at::matmul(*x, weight_ih.t());
    const Tensor goes_on = starts->eq(0).to(at::kFloat).unsqueeze(2);
    Tensor h = state->narrow(1, 0, size);
    Tensor c = is_lstm ? state->narrow(1, size, size) : Tensor();
    std::vector<Tensor> outputs, after;
    for (int64_t step = 0; step < x->size(0); ++step) {
      h = h * goes_on[step];
      const Tensor from_state = at::matmul(h, weight_hh.t());
      if (is_lstm) {
        c = c * goes_on[step];
        std::tie(h, c, std::ignore) =
            at::_thnn_fused_lstm_cell(from_x[step], from_state, c, bias_ih, bias_hh);
      } else {
        std::tie(h, std::ignore) = at::_thnn_fused_gru_cell(from_x[step], from_state, h, bias_ih, bias_hh);
      }
      outputs.push_back(h);
      if (is_lstm) after.push_back(c.detach());
    }
    const Tensor out = at::stack(outputs);
    *y = new Tensor(out);
    *states = new Tensor(is_lstm ? at::cat({out.detach(), at::stack(after)}, 2) : out.detach());
  });
}

// The outputs [steps, batch, size] for whole sequences `x` that begin with an empty memory, by cuDNN.
char* pavlov_recurrent_read(Handle* y, Handle x, int cell, const ParameterHandle* parameters) {
  return guarded([&] {
    const bool is_lstm = static_cast<Cell>(cell) == Cell::kLstm;
    const pavlov::RecurrentShape shape = shape_of(static_cast<Cell>(cell), parameters);
    TORCH_CHECK(x->dim() == 3 && x->size(2) == shape.in, "a recurrent layer takes [steps, batch, ", shape.in,
                "], not ", x->sizes());
    for (int index = 0; index < pavlov::kRecurrentParameters; ++index)
      TORCH_CHECK(parameters[index].value->device() == x->device() && x->scalar_type() == at::kFloat,
                  "a recurrent layer and its input must be f32 on one device");
    std::vector<Tensor> weights, flat;
    bool recorded = x->requires_grad();
    for (int index = 0; index < pavlov::kRecurrentParameters; ++index) {
      const Tensor& value = *parameters[index].value;
      weights.push_back(value);
      flat.push_back(value.detach().reshape({-1}));
      recorded = recorded || value.requires_grad();
    }
    const int64_t size = shape.size;
    const Tensor empty = at::zeros({1, x->size(1), size}, x->options());
    // cuDNN's own order of one layer's numbers. Without it libtorch makes one too, and warns.
    const Tensor buffer = at::cat(flat);
    // cuDNN goes back through what ran in training alone.
    const bool train = recorded && c10::GradMode::is_enabled();
    const auto answer = at::_cudnn_rnn(x->contiguous(), weights, pavlov::kRecurrentParameters, buffer, empty,
                                       is_lstm ? std::optional<Tensor>(empty) : std::nullopt,
                                       is_lstm ? kCudnnLstm : kCudnnGru, size, 0, 1, false, 0.0, train, false,
                                       {}, std::nullopt);
    *y = new Tensor(std::get<0>(answer));
  });
}

}  // extern "C"
